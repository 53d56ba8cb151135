bats_require_minimum_version 1.5.0

setup() {
	load cli.bash
	cli_setup
}

stat() {
	memstat -c "$node" --root "$root" "$@"
}

@test "the table has the original's words, sorted by name, and the host below" {
	run stat
	[ "$status" -eq 0 ]
	[[ ${lines[0]} =~ ^Domain\ +Actual\ +Available\ +Unused\ +Usable\ +Maximum\ +Min\ +Max\ +Weight\ +Hints\ +Registered\ +Want\ +Reason$ ]]
	[[ ${lines[2]} =~ ^idle\ +2097152\ +2097152\ +1048576\ +1048576\ +2097152\ +-\ +-\ +100\ +-\ +no\ .*stale-stats$ ]]
	[[ ${lines[3]} =~ ^needy\ +204800\ +204800\ +102400\ +102400\ +2097152 ]]
	[[ $output =~ Host\ +Total\ +Free\ +Buffers\ +Cached ]]
	[[ $output =~ host\ +16777216\ +12582912\ +1024\ +2048\ +12582912\ +300000 ]]
	[[ $output != *sleeping* ]]
}

@test "what is not reported is a dash with a reason" {
	run stat plain resting
	[[ ${lines[1]} =~ ^plain\ .*-\ .*-\ .*no-balloon$ ]]
	[[ ${lines[2]} =~ ^resting\ .*paused$ ]]
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
			"reserve_bytes","promised_bytes","pressure_some_avg10"] | sort)
		and all(.domains[]; (keys_unsorted | sort) == (["name","uuid","state","managed","registered","actual_bytes",
			"maximum_bytes","available_bytes","unused_bytes","usable_bytes","rss_bytes","min_bytes","max_bytes","weight",
			"used_bytes","want_bytes","stats_age_seconds","reason"] | sort))
		and .host.total_bytes == 16777216 * 1024
		and (.domains[] | select(.name == "idle") | .actual_bytes == 2097152 * 1024 and .state == "running")
		and (.domains[] | select(.name == "plain") | .want_bytes == null and .reason == "no-balloon")
		and (.domains[] | select(.name | startswith("-rf")) | .name == "-rf \u009b2J\u202ex")' "$BATS_TEST_TMPDIR/json"
	! grep -qP '[\x80-\x9f]' "$BATS_TEST_TMPDIR/json"
}

@test "it writes nothing" {
	stat >/dev/null
	[ -z "$(ls -A "$root/run")" ]
}

@test "each guest is explained in a sentence with its numbers" {
	run stat --explain needy
	[ "$status" -eq 0 ]
	[ "${#lines[@]}" -eq 4 ]
	[ "${lines[0]}" = 'needy: it has 200 MiB of at most 2 GiB, 100 MiB are used, and the host holds 100 MiB for it' ]
	[[ ${lines[1]} == 'needy: give 46'*' MiB to reach 246 MiB: '* ]]
	[ "${lines[2]}" = 'needy: no pass has decided anything for it yet' ]
	[[ ${lines[3]} == 'host: '* ]]
	membalance -c "$node" --root "$root"
	run stat --explain needy
	[[ ${lines[2]} =~ ^needy:\ the\ last\ pass,\ [0-9]+\ s\ ago,\ told\ it\ to\ go\ from\ 200\ MiB\ to\ 246\ MiB\ \(below-target\),\ and\ it\ reached\ 246\ MiB$ ]]
	run stat --explain resting
	[[ ${lines[2]} =~ ^resting:\ the\ last\ pass,\ [0-9]+\ s\ ago,\ left\ it\ alone\ \(paused\)$ ]]
}

@test "refusals" {
	refuses 1 "no running domain 'nosuch'" stat nosuch
	refuses 1 "no running domain 'a\x0Ab'" stat -J $'a\nb'
	refuses 1 "'$root/nowhere/proc/meminfo'" memstat -c "$node" --root "$root/nowhere"
	refuses 2 "bad option '--bogus'" stat --bogus
	refuses 2 "bad option '-x'" stat -x
	refuses 2 "no argument for '--root'" memstat --root
	refuses 2 "'abc'" stat --target abc
	refuses 2 "'sometimes'" stat --signal sometimes
	refuses 75 '/nonexistent' memstat --root "$root" -c 'qemu+unix:///system?socket=/nonexistent'
}

@test "help and version" {
	run memstat --help
	[ "$status" -eq 0 ]
	[[ $output == 'Usage: memstat '* ]]
	run memstat -V
	[ "$status" -eq 0 ]
	[[ $output == 'memstat (memsched) '* ]]
}

@test "a full disk is no success" {
	run sh -c "memstat -c '$node' --root '$root' >/dev/full"
	[ "$status" -eq 1 ]
	[[ $output == *'cannot write'* ]]
}
