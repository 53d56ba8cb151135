# SPDX-License-Identifier: MIT
bats_require_minimum_version 1.5.0

setup() {
	load cli.bash
	cli_setup
	be_patient
}

stat() {
	memstat -c "$node" --root "$root" "$@"
}

@test "the table has what matters in 80 columns, sorted by name, and the host below" {
	run stat
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = '5 guests: 5.5G maximum, 3.7G now, 1.6G used, 1.8G given back; no pass yet; guard: not running' ]
	[[ ${lines[1]} =~ ^Domain\ +Actual\ +Maximum\ +Used\ +Usable\ +Want\ +Reason$ ]]
	[[ ${lines[3]} =~ ^idle\ +2097152\ +2097152\ +1048576\ +1048576\ +2097152\ +stale-stats$ ]]
	[[ ${lines[7]} =~ ^total\ +3874816\ +5767168\ +1675264\ +1675264\ +2873840$ ]]
	[[ ${lines[4]} =~ ^needy\ +204800\ +2097152\ +102400\ +102400\ +252400\ +below-target$ ]]
	[[ $output =~ Host\ +Total\ +Free\ +Buffers\ +Cached ]]
	[[ $output =~ host\ +16777216\ +12582912\ +1024\ +2048\ +12582912\ +300000 ]]
	[[ $output == *'Sizes in KiB.' ]]
	[[ $output != *sleeping* ]]
	# hosts of 512 GiB, guests of 8 GiB with names of 15 characters
	meminfo 536870912 402653184
	stat idle | sed 's/^idle           /a-name-so-long /; s/2097152/8388608/g' | awk 'NR > 1 && length > 80 { print; exit 1 }'
}

@test "what is not reported is a dash with a reason" {
	run stat plain resting
	[[ ${lines[2]} =~ ^plain\ .*-\ .*-\ .*no-balloon$ ]]
	[[ ${lines[3]} =~ ^resting\ .*paused$ ]]
}

@test "a hostile name is shown escaped" {
	run stat
	[[ $output == *'-rf \xC2\x9B2J\xE2\x80\xAEx'* ]]
	[[ $output != *$'\xc2\x9b'* ]]
}

@test "domains are named by name, id or UUID" {
	run stat --human idle
	[ "$status" -eq 0 ]
	[[ $output == *idle* && $output != *needy* && $output == *'2G'* ]]
	run stat 11111111-0000-4000-8000-000000000001
	[[ $output == *needy* && $output != *idle* ]]
	id=$(stat -J | jq -r '.domains | length')
	[ "$id" -eq 5 ]
	run stat 1
	[ "$status" -eq 0 ]
}

@test "JSON is as the design has it" {
	stat -J >"$BATS_TEST_TMPDIR/json"
	jq -e '.schema == "memsched.stat/1"
		and (.host | keys_unsorted | sort) == (["total_bytes","available_bytes","free_bytes","buffers_bytes","cached_bytes",
			"reserve_bytes","promised_bytes","lent_bytes","pressure_some_avg10"] | sort)
		and all(.domains[]; (keys_unsorted | sort) == (["name","uuid","state","managed","registered","actual_bytes",
			"maximum_bytes","available_bytes","unused_bytes","usable_bytes","rss_bytes","min_bytes","max_bytes","weight",
			"used_bytes","want_bytes","stats_age_seconds","reason"] | sort))
		and .host.total_bytes == 16777216 * 1024
		and (.domains[] | select(.name == "idle") | .actual_bytes == 2097152 * 1024 and .state == "running")
		and (.domains[] | select(.name == "plain") | .want_bytes == null and .reason == "no-balloon")
		and (.domains[] | select(.name | startswith("-rf")) | .name == "-rf \u009b2J\u202ex")' "$BATS_TEST_TMPDIR/json"
	run -1 grep -P '[\x80-\x9f]' "$BATS_TEST_TMPDIR/json"
}

@test "columns are chosen, in any case and order, and added" {
	run stat -n -o UUID,Domain needy
	[ "$output" = '11111111-0000-4000-8000-000000000001  needy' ]
	run stat -o +uuid,actual needy
	[[ ${lines[1]} =~ ^Domain\ .*Reason\ +UUID$ ]]
	[[ ${lines[2]} =~ ^needy\ .*below-target\ +11111111-0000-4000-8000-000000000001$ ]]
	[[ $output == *'Host '* ]]
	run stat --output-all
	[ "$(wc -w <<<"${lines[1]}")" -eq "$(memstat --help | grep -cE '^  [a-z-]+ +\*? +[^-]' )" ]
}

@test "every column is in --help and in the manual, which know no other" {
	memstat --help | sed '1,/^Columns/d; /^$/,$d' | awk '{ print $1 }' | sort >"$BATS_TEST_TMPDIR/help"
	sed -n '/^.Sh COLUMNS/,/^.Sh/s/^\.It Cm \([a-z-]*\) Pq Va .*/\1/p' man/memstat.8 | sort >"$BATS_TEST_TMPDIR/manual"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/help")" -ge 20 ]
	diff "$BATS_TEST_TMPDIR/help" "$BATS_TEST_TMPDIR/manual"
	# and is a heading, a variable and, each in its place, a key
	stat --output-all -r | head -n 1 | tr ' ' '\n' | tr '[:upper:]' '[:lower:]' | sort | diff - "$BATS_TEST_TMPDIR/help"
	stat --output-all -P needy | grep -o '[A-Z_]*=' | tr -d = | tr 'A-Z_' 'a-z-' | sort | diff - "$BATS_TEST_TMPDIR/help"
	stat --output-all -J | jq -e --argjson n "$(wc -l <"$BATS_TEST_TMPDIR/help")" '.domains[0] | length == $n'
}

@test "headings and units" {
	run stat -n needy
	[ "${#lines[@]}" -eq 1 ]
	[[ $output =~ ^needy\ +204800\ +2097152\  ]]
	run stat -b needy
	[[ ${lines[2]} =~ ^needy\ +209715200\ +2147483648\  ]]
	[[ $output == *'Sizes in bytes.' ]]
	run stat --human needy
	[[ ${lines[2]} =~ ^needy\ +200M\ +2G\  ]]
	[[ $output != *Sizes* ]]
	run stat -rnb -o actual needy
	[ "$output" = 209715200 ]
}

@test "rows are sorted by any column, both ways, what is not known last" {
	[ "$(stat -rn -o domain --sort actual | tr '\n' ' ')" = 'needy -rf\x20\xC2\x9B2J\xE2\x80\xAEx plain resting idle ' ]
	[ "$(stat -rn -o domain --sort -ACTUAL | tr '\n' ' ')" = 'idle -rf\x20\xC2\x9B2J\xE2\x80\xAEx plain resting needy ' ]
	[ "$(stat -rn -o domain --sort want | tail -n 2 | tr '\n' ' ')" = 'plain resting ' ]
	[ "$(stat -rn -o domain --sort=-want | tail -n 2 | tr '\n' ' ')" = 'plain resting ' ]
	[ "$(stat -rn -o domain --sort=-domain | head -n 1)" = resting ]
	[ "$(stat -J --sort -domain | jq -r '.domains[0].name')" = resting ]
	[[ $(stat --explain --sort -domain | head -n 1) == resting:* ]]
}

@test "JSON of chosen columns" {
	stat -J -o domain,hints,actual needy | jq -e '.schema == "memsched.stat/1" and .host.total_bytes == 16777216 * 1024
		and (.domains == [{name: "needy", hints: null, actual_bytes: 209715200}])'
	stat -J -o +hints,floor | jq -e 'all(.domains[]; has("hints") and has("floor_bytes") and has("reason") and (keys | length) == 20)'
}

# members JSON: the paths of its members, a line each, as the manuals write them.
members() {
	jq -r 'paths | map(if type == "number" then "[]" else "." + . end) | join("")' "$1" | sed -E 's/^\.//' |
		grep -vxE '(host|status|guard|domains|moves)(\[\])?' | LC_ALL=C sort -u
}

# documented COMMAND: those of its manual; of a guest they stand beside the columns.
documented() {
	{
		sed -nE '/^\.Sh JSON/,/^\.Sh/s/^\.It Va ([^ ]+).*/\1/p' "man/$1.8" | grep -vxF 'domains[]'
		sed -nE '/^\.Sh COLUMNS/,/^\.Sh/s/^\.It Cm .* Pq Va ([^ ]+).*/domains[].\1/p' "man/$1.8"
	} | LC_ALL=C sort
}

# documented_metrics: those of the manual; what is in the JSON too stands there alone.
documented_metrics() {
	sed -nE '/^\.Sh METRICS/,/^\.Sh/s/^\.It Li ([a-z0-9_]*[a-z0-9])$/\1/p' man/memstat.8
	documented memstat | sed -nE 's/^(status|guard|host)\./memsched_\1_/p; s/^domains\[\]\./memsched_domain_/p' |
		grep -vE '_(text|guard|avg10|name|id|uuid|state|reason|hints|free_page_reporting|stats_age_seconds)$|_domain_last_(want|reason|age)'
}

@test "every member of the JSON is in the manuals, which know no other" {
	load guard.bash
	guarded
	stat -J --output-all >"$BATS_TEST_TMPDIR/stat"
	diff <(documented memstat) <(members "$BATS_TEST_TMPDIR/stat")
	membalance -c "$node" --root "$root"
	diff <(documented membalance) <(members "$root/run/memsched/last-pass.json")
	[ "$(documented membalance | wc -l)" -ge 20 ]
	# the column that each is
	sed -nE 's/^\.It Cm ([a-z-]+) Pq Va ([^ ]+)( Ns \*)?$/\1 \2\3/p' man/memstat.8 >"$BATS_TEST_TMPDIR/columns"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/columns")" -eq "$(documented memstat | grep -c '^domains')" ]
	diff <(cut -d ' ' -f 2 "$BATS_TEST_TMPDIR/columns") <(stat -J -o "$(cut -d ' ' -f 1 "$BATS_TEST_TMPDIR/columns" | paste -s -d ,)" needy |
		jq -r '.domains[0] | keys_unsorted[]')
	# without -o it is those with a *
	diff <(sed -n 's/^[^ ]* \([^ ]*\) Ns \*$/\1/p' "$BATS_TEST_TMPDIR/columns") <(stat -J | jq -r '.domains[0] | keys_unsorted[]')
}

@test "every word of the JSON is in the manual" {
	membalance -c "$node" --root "$root" -J | jq -r '.result, .moves[].action' | sort -u >"$BATS_TEST_TMPDIR/words"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/words")" -ge 3 ]
	sed -n '/^\.Sh JSON/,/^\.Sh/s/^\.Cm \([a-z]*\).*/\1/p' man/membalance.8 | sort >"$BATS_TEST_TMPDIR/manual"
	[ -z "$(comm -23 "$BATS_TEST_TMPDIR/words" "$BATS_TEST_TMPDIR/manual")" ]
	stat -J | jq -r .schema | grep -qxF "$(sed -n 's/^\.Ql \(memsched.stat.*\)/\1/p' man/memstat.8)"
	membalance -c "$node" --root "$root" -J | jq -r .schema | grep -qxF "$(sed -n 's/^\.Ql \(memsched.pass.*\)/\1/p' man/membalance.8)"
}

# ---- hostile names, through real parsers

# hostile: a node whose guests bear the names of the array names, or as much of them as libvirt takes.
hostile() {
	names=('a b' '$(touch pwned)' '`touch pwned`' 'a";touch pwned;"' "a'b" 'a\x20b' 'a\' '-' '-n' '\\' '*' '#x' '!x' '${HOME}'
		'DOMAIN="x"' $'\xc2\x9b2J' $'\xe2\x80\xaetxt' $'db\xe2\x80\x832147483648\xc2\xa0\xe2\xa0\x80\xef\xbe\xa0' 'caf'$'\xc3\xa9' '{a="b"} 1' '%s%n' '<&>' ' lead' 'trail ' "$(printf 'x%.0s' {1..300})")
	cd "$BATS_TEST_TMPDIR"
	{
		echo "<node>"
		local name
		for name in "${names[@]}"; do
			name=$(sed 's/&/\&amp;/g; s/</\&lt;/g' <<<"$name")
			echo "<domain type='test'><name>$name</name><memory>524288</memory><os><type>hvm</type></os></domain>"
		done
		echo "</node>"
	} >hostile.xml
	node=test://$PWD/hostile.xml
	printf '%s\n' "${names[@]}" | LC_ALL=C sort >names
}

@test "hostile names: pairs are safe to eval, and give the names back" {
	hostile
	export LC_ALL=C.UTF-8
	stat -P -o domain,actual,min,reason >pairs
	[ "$(wc -l <pairs)" -eq "${#names[@]}" ]
	while IFS= read -r line; do
		DOMAIN='' ACTUAL='' MIN=x
		eval "$line"
		[ "$ACTUAL" = 524288 ]
		[ -z "$MIN" ]
		printf '%b\n' "$DOMAIN"
	done <pairs | LC_ALL=C sort | diff - names
	[ ! -e pwned ]
	run -1 grep -P '[\x00-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80\xae' pairs
	# a shell that is no bash either
	sh -c 'while IFS= read -r line; do eval "$line"; done <pairs'
	[ ! -e pwned ]
}

@test "hostile names: raw is a line a guest and a word a column, and gives the names back" {
	hostile
	for locale in C C.UTF-8; do
		LC_ALL=$locale stat -rn -o domain,actual,min,reason >raw
		[ "$(wc -l <raw)" -eq "${#names[@]}" ]
		awk -F ' ' 'NF != 4 || $2 != 524288 || $3 != "-" { exit 1 }' raw
		cut -d ' ' -f 1 raw | while IFS= read -r name; do printf '%b\n' "$name"; done | LC_ALL=C sort | diff - names
		grep -q '^\\x2D ' raw
		grep -qF 'db\xE2\x80\x832147483648\xC2\xA0\xE2\xA0\x80\xEF\xBE\xA0 524288 ' raw # no column of its own
	done
	run -1 env LC_ALL=C grep '[^ -~]' <(LC_ALL=C stat -r)
}

@test "hostile names: JSON by two parsers" {
	hostile
	stat -J >json
	jq -r '.domains[].name' json | LC_ALL=C sort | diff - names
	python3 -c 'import json, sys; [sys.stdout.buffer.write((d["name"] + "\n").encode()) for d in json.load(open("json"))["domains"]]' |
		LC_ALL=C sort | diff - names
}

@test "hostile names: metrics by promtool, and each guest has its own" {
	hostile
	stat --prometheus >metrics
	metrics_are_clean metrics
	[ "$(grep -c '^memsched_domain_actual_bytes{' metrics)" -eq "${#names[@]}" ]
	[ "$(grep '^memsched_domain_actual_bytes{' metrics | sort -u | wc -l)" -eq "${#names[@]}" ]
	grep -qF 'memsched_domain_actual_bytes{domain="{a=\"b\"} 1"} 536870912' metrics
	run -1 grep -P '[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80\xae' metrics
}

# ---- metrics

@test "metrics are what the table says, in base units" {
	stat --prometheus >"$BATS_TEST_TMPDIR/metrics"
	while IFS= read -r line; do
		grep -qxF "$line" "$BATS_TEST_TMPDIR/metrics" || { echo "no $line"; return 1; }
	done <<-'END'
		memsched_host_total_bytes 17179869184
		memsched_host_reserve_bytes 307200000
		memsched_domain_actual_bytes{domain="needy"} 209715200
		memsched_domain_want_bytes{domain="needy"} 258457600
		memsched_domain_reason{domain="needy",reason="below-target"} 1
		memsched_domain_info{domain="needy",uuid="11111111-0000-4000-8000-000000000001"} 1
		memsched_domain_managed{domain="needy"} 1
		memsched_domain_weight{domain="needy"} 100
		memsched_domain_stats_last_update_timestamp_seconds{domain="needy"} 627319920
		# TYPE memsched_domain_actual_bytes gauge
	END
	grep -qxF "memsched_fit_bytes $(stat --fit 1 -J | jq .largest_bytes)" "$BATS_TEST_TMPDIR/metrics"
	grep -qxF "memsched_build_info{version=\"$(memstat --version | sed 's/.* //')\"} 1" "$BATS_TEST_TMPDIR/metrics"
	run -1 grep 'want_bytes{domain="plain"}' "$BATS_TEST_TMPDIR/metrics"
	metrics_are_clean "$BATS_TEST_TMPDIR/metrics"
}

@test "every metric is in the manual, which knows no other" {
	load guard.bash
	guarded
	{
		stat --prometheus
		printf 'textfile = %s\n' "$root/m.prom" >"$root/etc/memsched.conf"
		membalance -c "$node" --root "$root"
		cat "$root/m.prom"
	} | sed -n 's/^# TYPE \([a-z0-9_]*\) .*/\1/p' | sort -u >"$BATS_TEST_TMPDIR/metrics"
	documented_metrics | sort | diff - "$BATS_TEST_TMPDIR/metrics"
}

@test "alerts and dashboard use metrics and words of the manual alone, and the alerts come when they should" {
	grep -oh '\bmemsched_[a-z0-9_]*' man/memsched.rules.yml man/memsched.grafana.json | sort -u >"$BATS_TEST_TMPDIR/used"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/used")" -gt 20 ]
	documented_metrics | sort | comm -23 "$BATS_TEST_TMPDIR/used" - | diff - /dev/null
	# and words of the manual in labels
	sed -n '/^.It Va status.guard/,/^.It/s/^.Ql \([a-z ]*[a-z]\).*/\1/p; /^.Sh REASONS/,/^.Sh/s/^.It Cm //p' man/memstat.8 |
		sort >"$BATS_TEST_TMPDIR/words"
	grep -oP '=~?"\K[^"]+' man/memsched.rules.yml | tr '|' '\n' | sort -u >"$BATS_TEST_TMPDIR/used"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/used")" -gt 8 ]
	comm -23 "$BATS_TEST_TMPDIR/used" "$BATS_TEST_TMPDIR/words" | diff - /dev/null
	[ -x "$promtool" ] || skip "promtool is not there: tests/deps test"
	"$promtool" check rules man/memsched.rules.yml
	"$promtool" test rules tests/cli/alerts.yml
	# each expression of the dashboard, as a rule
	jq -r '"groups: [{name: x, rules: [", (.panels[].targets[].expr | {record: "x", expr: gsub("\\$(instance|domain)"; "x")} | tojson + ","),
		"]}]"' man/memsched.grafana.json >"$BATS_TEST_TMPDIR/dashboard.yml"
	"$promtool" check rules "$BATS_TEST_TMPDIR/dashboard.yml"
}

@test "metrics into a file: whole, readable, and nothing else" {
	cd "$BATS_TEST_TMPDIR"
	mkdir metrics
	umask 077
	separately stat --prometheus=metrics/memsched.prom
	[ "$status" -eq 0 ]
	[ -z "$output$stderr" ]
	[ "$(stat_mode metrics/memsched.prom)" = 644 ]
	metrics_are_clean metrics/memsched.prom
	echo junk >metrics/memsched.prom
	stat --prometheus=metrics/memsched.prom
	metrics_are_clean metrics/memsched.prom
	[ "$(ls -A metrics)" = memsched.prom ]
	# and again each time
	rm metrics/memsched.prom
	separately stat --watch=200ms --count 2 --prometheus=metrics/memsched.prom
	[ "$status" -eq 0 ]
	[ -z "$output$stderr" ]
	metrics_are_clean metrics/memsched.prom
}

stat_mode() {
	command stat -c %a "$1"
}

@test "metrics are not put in the place of what is no file" {
	cd "$BATS_TEST_TMPDIR"
	mkdir folder
	ln -s folder link
	mkfifo fifo
	for target in folder link fifo; do
		refuses 1 "'$target': not a plain file" stat --prometheus=$target
	done
	[ -p fifo ]
	[ -L link ]
	refuses 1 "'nowhere/x.prom': No such file" stat --prometheus=nowhere/x.prom
	mkdir full
	if unshare -m true 2>/dev/null; then
		unshare -m sh -c 'mount -t tmpfs -o size=4k none full && echo old >full/x.prom &&
			! memstat -c "$1" --root "$2" --prometheus=full/x.prom && [ "$(ls -A full)" = x.prom ] &&
			[ "$(cat full/x.prom)" = old ]' - "$node" "$root"
	fi
}

@test "it writes nothing" {
	stat >/dev/null
	[ -z "$(ls -A "$root/run")" ]
}

@test "each guest is explained in a sentence with its numbers" {
	run stat --explain needy
	[ "$status" -eq 0 ]
	[ "${#lines[@]}" -eq 4 ]
	[ "${lines[0]}" = 'needy: it has 200 MiB of at most 2 GiB, 100 MiB used, and the host holds 100 MiB for it' ]
	[[ ${lines[1]} == 'needy: give 46'*' MiB to reach 246 MiB: '* ]]
	[ "${lines[2]}" = 'needy: no pass has decided anything for it yet' ]
	[[ ${lines[3]} == 'host: '* ]]
	membalance -c "$node" --root "$root"
	run stat --explain needy
	[[ ${lines[2]} =~ ^needy:\ the\ last\ pass,\ [0-9]+\ s\ ago,\ asked\ it\ to\ go\ from\ 200\ MiB\ to\ 246\ MiB\ \(below-target\),\ and\ it\ reached\ 246\ MiB$ ]]
	run stat --explain resting
	[[ ${lines[2]} =~ ^resting:\ the\ last\ pass,\ [0-9]+\ s\ ago,\ left\ it\ alone\ \(paused\)$ ]]
}

# check_host: where all is well but for the guests, which are the test driver's.
check_host() {
	load guard.bash
	guarded
	cp tests/cli/roots/host-plain/proc/meminfo "$root/proc/meminfo"
	cp -r tests/cli/roots/host-plain/proc/pressure "$root/proc"
	mkdir -p "$root/etc/libvirt/hooks/qemu.d" "$root/usr/sbin" "$root"/etc/systemd/system/{multi-user,timers}.target.wants
	cp hooks/qemu "$root/etc/libvirt/hooks/qemu.d/memsched"
	cp hooks/memsched-hook "$root/usr/sbin"
	touch -d '+1 minute' "$root/run/libvirtd.pid"
	ln -s /nowhere "$root/etc/systemd/system/multi-user.target.wants/membalance.service"
	membalance -c "$node" --root "$root"
}

@test "--check: each fault is found, and nothing else; exit codes, and JSON" {
	check_host
	separately -1 stat --check
	[ -z "$stderr" ]
	[ "$(grep -v PASS <<<"$output" | cut -c 1-36)" = "$(printf '%-8s %-20s %s  \n' guests 'balloon device' WARN guests statistics WARN \
		guests period WARN guests 'free page reporting' WARN)" ]
	stat --check -J >"$BATS_TEST_TMPDIR/json" || [ $? -eq 1 ]
	jq -e '.schema == "memsched.check/1" and .result == "warn" and (.checks | length > 25)
		and all(.checks[]; keys == ["check", "group", "result", "text"])
		and ([.checks[].result] | unique == ["pass", "warn"])' "$BATS_TEST_TMPDIR/json"
	# one of each group
	ln -s /nowhere "$root/etc/systemd/system/timers.target.wants/membalance-once.timer"
	chmod 644 "$root/etc/libvirt/hooks/qemu.d/memsched"
	printf 'on_critical = /nowhere/alarm now\nreserve = 1MiB\ntagret = 1\n' >"$root/etc/memsched.conf"
	rm "$root/run/memsched/guard.json" "$root/proc/pressure/memory"
	separately -2 stat --check
	[ "$(grep -v PASS <<<"$output" | grep -v '^guests' | cut -c 1-34)" = "$(printf '%-8s %-20s %s\n' hook executable WARN \
		host reserve WARN host pressure WARN service configuration WARN service membalance WARN service memguard WARN \
		service on_critical FAIL)" ]
	# a kernel that lost count
	cp tests/cli/roots/host-lost-count/proc/meminfo "$root/proc/meminfo"
	run -2 stat --check
	[[ $output == *"host     figures              WARN  MemAvailable is 166 GiB, but the other figures allow only 11 GiB, which is used instead: "* ]]
	# libvirt is away: the rest is checked
	run -2 memstat --root "$root" --check -c 'qemu+unix:///system?socket=/nowhere'
	[[ $output == *"guests   libvirt              FAIL  cannot ask libvirt at "* ]]
	[[ $output == *"service  on_critical          FAIL  '/nowhere/alarm now': No such file or directory"* ]]
	echo 'reserve = many' >"$root/etc/memsched.conf"
	refuses 3 "bad value 'many'" stat --check
}

@test "refusals" {
	refuses 1 "no running domain 'nosuch'" stat nosuch
	refuses 1 "no running domain 'a\x0Ab'" stat $'a\nb'
	refuses 1 "'$root/nowhere/proc/meminfo'" memstat -c "$node" --root "$root/nowhere"
	refuses 2 "unknown column 'nope' for '--output'" stat -o nope
	refuses 2 "unknown column 'nope' for '--output'" stat -o +domain,nope
	refuses 2 "unknown column 'a\x0Ab' for '--output'" stat -o $'a\nb'
	refuses 2 "unknown column ' domain'" stat -o 'actual, domain'
	refuses 2 "column 'ACTUAL' is named twice" stat -o actual,domain,ACTUAL
	refuses 2 "'--output' needs names of columns" stat -o ''
	refuses 2 "'--output' needs names of columns" stat -o +
	refuses 2 "'--output' needs names of columns" stat -o domain,
	refuses 2 "'--output' needs names of columns" stat -o ,domain
	refuses 2 "no argument for '-o'" memstat -o
	refuses 2 "unknown column 'nope' for '--sort'" stat --sort nope
	refuses 2 "unknown column 'actual,used' for '--sort'" stat --sort actual,used
	refuses 2 "unknown column '-actual' for '--sort'" stat --sort --actual
	refuses 2 "'--sort' needs" stat --sort ''
	refuses 2 "'--sort' needs" stat --sort -
	refuses 2 "'--prometheus=' needs" stat --prometheus=
	refuses 3 "'--check' looks at all guests" stat --check needy
	local both
	for both in 'raw pairs' 'raw json' 'raw prometheus' 'raw explain' 'pairs json' 'pairs prometheus' 'pairs explain' \
		'json prometheus' 'json explain' 'prometheus explain' 'output-all prometheus' 'output-all explain' 'bytes human' \
		'human json' 'human prometheus' 'human explain' 'bytes json' 'bytes prometheus' 'bytes explain' \
		'noheadings prometheus' 'noheadings explain' 'sort=used prometheus'; do
		refuses 2 "exclude each other" stat --${both% *} --${both#* }
		[[ $stderr == *"'--${both%%[= ]*}'"* && $stderr == *"'--${both#* }'"* ]]
	done
	refuses 2 "'--output' and '--output-all' exclude each other" stat --output-all -o domain
	refuses 2 "'--output' and '--prometheus' exclude each other" stat --prometheus=x -o domain
	refuses 2 "'--output' and '--explain' exclude each other" stat --explain -o domain
	refuses 2 "'--sort' and '--prometheus' exclude each other" stat --prometheus=x --sort used
	[ ! -e x ]
	refuses 2 "bad option '--bogus'" stat --bogus
	refuses 2 "bad option '-x'" stat -x
	refuses 2 "no argument for '--root'" memstat --root
	refuses 2 "'abc'" stat --target abc
	refuses 2 "'sometimes'" stat --take sometimes
	refuses 75 '/nonexistent' memstat --root "$root" -c 'qemu+unix:///system?socket=/nonexistent'
}

@test "of nobody there is JSON too, with the host" {
	separately stat -J nosuch
	[ "$status" -eq 1 ]
	jq -e '.host.total_bytes > 0 and .domains == []' <<<"$output"
	[[ $stderr == *"no running domain 'nosuch'"* ]]
}

@test "help and version" {
	run memstat --help
	[ "$status" -eq 0 ]
	[[ $output == 'Usage: memstat '* ]]
	run memstat -V
	[ "$status" -eq 0 ]
	[[ $output == 'memstat (memsched) '* ]]
}

@test "what is printed and lost is no success: a full disk, a closed output, a reader that is gone while SIGPIPE is ignored" {
	refuses 1 'cannot write: No space left on device' bash -c 'exec memstat "$@" >/dev/full' _ -c "$node" --root "$root"
	refuses 1 'cannot write: Bad file descriptor' bash -c 'exec memstat "$@" >&-' _ -c "$node" --root "$root"
	refuses 1 'cannot write: Broken pipe' bash -c \
		'trap "" PIPE; exec {gone}> >(:); wait $!; exec memstat "$@" >&"$gone"' _ -c "$node" --root "$root"
}

@test "hints that are no names of ours are said once, with the nearest, and are void" {
	local m="m:memory xmlns:m='urn:memsched:domain:1.0'" row
	while IFS='#' read -r xml words; do
		with_hints "$xml"
		separately -0 memstat -c "$node" --root "$root" -rn -o min,max,weight,hints needy
		[ "$output" = '- - 100 voided' ] || { echo "$xml: $output"; return 1; }
		[ "${#stderr_lines[@]}" -eq 1 ] && [[ $stderr == *"domain 'needy': unknown hints are ignored: $words"* ]] ||
			{ echo "$xml: $stderr"; return 1; }
	done <<-END
		<$m><m:minimum unit='MiB'>2048</m:minimum></m:memory>#element 'minimum' (did you mean <min>?)
		<$m><m:Min unit='MiB'>2048</m:Min></m:memory>#element 'Min' (did you mean <min>?)
		<$m min='2048MiB' max='3072MiB' weight='200'/>#attribute 'min' (did you mean <min>?), attribute 'max' (did you mean <max>?), attribute 'weight' (did you mean <weight>?)
	END
}

@test "a guest whose managed is not understood is left alone, and that is said" {
	with_hints "<m:memory xmlns:m='urn:memsched:domain:1.0' managed='nein'/>"
	separately -0 memstat -c "$node" --root "$root" -rn -o managed,hints needy
	[ "$output" = 'no voided' ]
	[[ $stderr == *"hint managed 'nein' is neither yes nor no: the guest is left alone"* ]]
	with_hints "<m:memory xmlns:m='urn:memsched:domain:1.0' managed='Off'/>"
	separately -0 memstat -c "$node" --root "$root" -rn -o managed,hints needy
	[ "$output" = 'no yes' ] && [ -z "$stderr" ]
}

@test "a hint that lacks its unit holds, and is said" {
	with_hints "<m:memory xmlns:m='urn:memsched:domain:1.0'><m:min>2048</m:min></m:memory>"
	separately -0 memstat -c "$node" --root "$root" -rn -o min,hints needy
	[ "$output" = '2048 yes' ]
	[[ $stderr == *"domain 'needy': hint min is only 2 MiB: a number without a unit is KiB"* ]]
}

@test "a hint that is void is seen, and said" {
	sed "s|<uuid>11111111-0000-4000-8000-000000000001</uuid>|&<metadata><m:memory xmlns:m='urn:memsched:domain:1.0'>\
		<m:min unit='MiB'>400</m:min><m:max unit='furlongs'>5</m:max></m:memory></metadata>|" tests/cli/node.xml >"$BATS_TEST_TMPDIR/hints.xml"
	node=test://$BATS_TEST_TMPDIR/hints.xml
	separately stat
	[ "$status" -eq 0 ]
	[ "${#stderr_lines[@]}" -eq 1 ]
	[[ $stderr == "memstat: warning: domain 'needy': "*furlongs* ]]
	[ "$(stat -qrn -o min,max,weight,hints,registered needy)" = '409600 - 100 voided no' ]
	[ "$(stat -qrn -o hints idle)" = - ]
}

@test "--show-config of a guest tells its limits and where each comes from" {
	local conf=$root/etc/memsched.conf
	printf '%s\n' 'target = 300MiB' '[guest *]' 'weight = 200' 'max = 50%' '[guest need? id*]' 'min = 300MiB' 'managed = no' \
		'[guest plain]' 'min = 1GiB' >"$conf"
	separately stat --show-config idle plain nosuch
	[ "$status" -eq 1 ]
	diff <(tr -s ' ' <<<"$output") - <<-END
		[guest idle]
		min = 300MiB # from $conf:6
		max = 1GiB # from $conf:4
		weight = 200 # from $conf:3
		target = 300MiB # from $conf:1
		managed = no # from $conf:7
		[guest plain]
		min = 512MiB # from $conf:9
		max = 512MiB # from its maximum
		weight = 200 # from $conf:3
		target = 300MiB # from $conf:1
		managed = yes # from default
	END
	[[ $stderr == *"domain 'plain': max 256 MiB is ignored: below its min (512 MiB): $conf:4"* ]]
	[[ $stderr == *"no running domain 'nosuch'"* ]]
	[[ $(stat --explain idle) == *'left alone: the configuration excludes it'* ]]
}

@test "an unknown key is warned of with its place, but not with -q" {
	printf '\ntagret = 1\n' >"$root/etc/memsched.conf"
	separately stat needy
	[ "$status" -eq 0 ]
	[ "$stderr" = "memstat: warning: $root/etc/memsched.conf:2: unknown key 'tagret', did you mean 'target'?" ]
	[[ $output == *Domain* ]]
	separately stat -q needy
	[ "$status" -eq 0 ]
	[ -z "$stderr" ]
	[[ $output == *Domain* ]]
}

@test "a registry that cannot be used is said, once, and does not hinder" {
	mkdir -m 777 "$root/run/memsched"
	chmod 777 "$root/run/memsched"
	separately stat
	[ "$status" -eq 0 ]
	[[ $output == *Domain* ]]
	[ "${#stderr_lines[@]}" -eq 1 ]
	[[ $stderr == "memstat: warning: cannot use '/run/memsched', "*': another user owns it or may write to it' ]]
	separately stat --watch=100ms --count 3
	[ "${#stderr_lines[@]}" -eq 1 ]
	separately stat -q
	[ -z "$stderr" ]
	separately membalance -n -c "$node" --root "$root"
	[[ $stderr == *"cannot use '/run/memsched'"* ]]
	rmdir "$root/run/memsched"
	echo x >"$root/run/memsched"
	separately stat
	[[ $stderr == *': it is not a directory' ]]
}

@test "told to end, it ends, and does not blame libvirt" {
	coproc perl -e 'use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new(Type => SOCK_STREAM, Local => shift, Listen => 9) or die;
		$| = 1; print "ready\n"; accept(my $c, $s); print "asked\n"; sleep 120' "$BATS_TEST_TMPDIR/mute"
	read -r -u "${COPROC[0]}" _
	memstat --root "$root" --deadline 30 -c "qemu+unix:///system?socket=$BATS_TEST_TMPDIR/mute" 2>"$BATS_TEST_TMPDIR/err" 3>&- &
	pid=$!
	read -r -u "${COPROC[0]}" _
	kill "$pid"
	code=0
	wait "$pid" || code=$?
	kill "$COPROC_PID"
	[ "$code" -eq 75 ]
	[ "$(<"$BATS_TEST_TMPDIR/err")" = 'memstat: error: stopped by a signal before there was anything to show' ]
}

@test "columns tell what the last pass decided, why, and how long ago" {
	last() {
		stat -nr -o domain,last-want,last-reason,last-age | grep '^needy '
	}
	[[ ! $(last) =~ [0-9] ]]
	membalance -c "$node" --root "$root"
	[[ $(last) =~ ^needy\ 252400\ below-target\ [0-9]+\.[0-9]$ ]]
	stat -J -o domain,last-want | jq -e '.domains[] | select(.name == "needy") | .last_want_bytes == 252400 * 1024'
}
