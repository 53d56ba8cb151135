# memguard against the test driver, whose statistics are of 1989: nobody can be taken from. What is taken from real guests
# is in tests/guests.
bats_require_minimum_version 1.5.0

setup() {
	load cli.bash
	cli_setup
	pid=
}

teardown() {
	[ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || true
}

# The default reserve is 300000 KiB: tight under 225000, critical under 150000.
guard() {
	memguard -c "$node" --root "$root" "$@"
}

# available KIB: all at once, as the kernel does it.
available() {
	meminfo 16777216 "$1"
}

# changes COMMAND...: fails unless it leaves the root as it is.
unchanged() {
	local before
	before=$(find "$root" -printf '%p %s %T@\n' | sort)
	"$@"
	[ "$(find "$root" -printf '%p %s %T@\n' | sort)" = "$before" ]
}

# start OPTION...: the loop, with its words in $BATS_TEST_TMPDIR/said.
start() {
	memguard -c "$node" --root "$root" "$@" >"$BATS_TEST_TMPDIR/said" 2>&1 3>&- &
	pid=$!
}

says() {
	grep -qF -- "$1" "$BATS_TEST_TMPDIR/said"
}

stop() {
	local code=0
	kill -TERM "$pid"
	wait "$pid" || code=$?
	pid=
	[ "$code" -eq "${1:-0}" ]
}

no_give_held() {
	[ -e "$root/run/memsched/no-give" ] && ! flock --nonblock --shared "$root/run/memsched/no-give" true
}

@test "--check: a word, sizes, performance data and an exit code for each level" {
	number='[0-9]+' unit='(s|us|ms|%|B|KB|MB|TB|c)?' range='(@?((~|-?[0-9.]+)?:)?(-?[0-9.]+)?)?'
	datum="('[^'=]+'|[^'= ]+)=-?[0-9.]+$unit(;$range){0,2}(;(-?[0-9.]+)?){0,2}"
	size='[0-9.]+ (KiB|MiB|GiB)'
	while read -r kib code word; do
		available "$kib"
		unchanged run --separate-stderr guard --check
		[ "$status" -eq "$code" ]
		[ -z "$stderr" ]
		[ "${#lines[@]}" -eq 1 ]
		[[ $output =~ ^"MEMGUARD $word - "$size" available, reserve "$size' | '($datum)(' '$datum)*$ ]] || { echo "$output"; false; }
		[[ $output == *" | available=$((kib * 1024))B;230400000:;153600000:;0;$((16777216 * 1024)) reserve=307200000B" ]]
	done <<-END
		12582912 0 OK
		225000 0 OK
		224999 1 WARNING
		150000 1 WARNING
		149999 2 CRITICAL
		0 2 CRITICAL
	END
}

@test "--check: what is configured counts" {
	available 12582912
	run guard --check --reserve 20GiB
	[ "$status" -eq 1 ]
	echo 'reserve = 90%' >"$root/etc/memsched.conf"
	run guard --check
	[ "$status" -eq 0 ]
	[[ $output == *" reserve=15461881856B" ]]
	run memguard --root "$root" --check -c qemu+ssh://elsewhere/system # which it does not ask
	[ "$status" -eq 0 ]
}

@test "--check: what is wrong is UNKNOWN, on stdout too" {
	for options in --bogus '--reserve many' '--once' '-n' 'operand' '--explain' '--config /nowhere'; do
		# shellcheck disable=SC2086
		run --separate-stderr guard $options --check
		[ "$status" -eq 3 ]
		[ "${#stderr_lines[@]}" -eq 1 ]
		[ "$output" = "MEMGUARD UNKNOWN - ${stderr#memguard: error: }" ]
	done
	echo 'reserve = many|more' >"$root/etc/memsched.conf"
	run --separate-stderr guard --check
	[ "$status" -eq 3 ]
	[[ $output == "MEMGUARD UNKNOWN - "*"memsched.conf:1: bad value 'many/more' for 'reserve'"* ]]
	[[ $stderr == *"memsched.conf:1: bad value 'many|more' for 'reserve'"* ]]
	rm "$root/etc/memsched.conf" "$root/proc/meminfo"
	run --separate-stderr guard --check
	[ "$status" -eq 3 ]
	[[ $output == "MEMGUARD UNKNOWN - cannot read '$root/proc/meminfo': No such file or directory" ]]
	echo garbage >"$root/proc/meminfo"
	run guard --check
	[ "$status" -eq 3 ]
}

@test "--check: what cannot be said is UNKNOWN" {
	available 12582912
	run -3 bash -c 'exec memguard --root "$1" --check >/dev/full' _ "$root"
	[[ $output == *"cannot write: No space left on device" ]]
	run -3 bash -c 'exec memguard --root "$1" --check >&-' _ "$root"
}

@test "wrong usage: one line each, exit 2, nothing done" {
	while IFS='|' read -r words options; do
		# shellcheck disable=SC2086
		unchanged refuses 2 "$words" guard $options
	done <<-'END'
		bad option '--bogus'|--bogus
		operand|--once operand
		'--explain' needs|--explain
		bad value 'many' for '--reserve'|--once --reserve many
		bad value '0' for '--deadline'|--once --deadline 0
		bad value 'relative' for '--on-critical'|--once --on-critical relative
		bad value '-1' for '--target'|--once --target=-1
		--reserve|--once --reserve
		/nowhere|--once --config /nowhere
	END
}

@test "another host's libvirt is refused" {
	unchanged refuses 2 "'qemu+ssh://elsewhere/system' is another host's libvirt: run memguard there" \
		memguard --root "$root" --once -c qemu+ssh://elsewhere/system
	unchanged refuses 2 "another host's libvirt" memguard --root "$root" -n -c 'qemu+tls://h/system'
	echo 'uri = qemu+ssh://elsewhere/system' >"$root/etc/memsched.conf"
	refuses 2 "another host's libvirt" memguard --root "$root"
}

@test "a calm host: a single run says nothing and takes nothing" {
	run --separate-stderr guard --once
	[ "$status" -eq 0 ]
	[ -z "$output$stderr" ]
	run --separate-stderr guard --once --explain
	[ "$status" -eq 0 ]
	[[ $output == *"host: calm: 12 GiB available, reserve 293 MiB; guests give nothing."* ]]
	[ "${#lines[@]}" -eq 6 ]
}

@test "a short host: who refuses is named, and the exit code is 1" {
	while read -r kib needed level; do
		available "$kib"
		refuses 1 "cannot free: needed $needed MiB, freed 0 KiB, refused: " guard --once
		for refusal in 'idle (stale-stats)' 'plain (no-balloon)' 'resting (paused)'; do
			[[ $stderr == *"$refusal"* ]]
		done
		run --separate-stderr guard --once --explain
		[ "$status" -eq 1 ]
		[[ $output == *"idle: has 2 GiB and gives nothing: stale-stats."* ]]
		[[ $output == *"host: $level: "*"; guests give nothing."* ]]
	done <<-END
		200000 97.7 tight
		100000 195 critical
	END
}

@test "a dry run tells and changes nothing, however short the host" {
	available 100000
	unchanged run --separate-stderr guard --dry-run --explain
	[ "$status" -eq 0 ]
	[ -z "$stderr" ]
	[[ $output == *"plain: has 512 MiB and gives nothing: no-balloon."* ]]
	[[ $output == *"host: critical: 97.7 MiB available, reserve 293 MiB; guests give nothing."* ]]
	[ ! -e "$root/run/memsched" ]
	unchanged run --separate-stderr guard -n
	[ "${#lines[@]}" -eq 1 ]
}

@test "hostile names are escaped wherever they are said" {
	available 100000
	run guard --once --explain
	[[ $output != *$'\xC2\x9B'* ]]
	[[ $output != *$'\xE2\x80\xAE'* ]]
	[[ $output == *'-rf \xC2\x9B2J'*'x: has 512 MiB'* ]]
	[[ $output == *'refused: -rf \xC2\x9B2J'*'x (stale-stats)'* ]]
}

@test "a single run holds no-give while it takes, and no longer" {
	available 100000
	run guard --once
	[ "$(stat -c %a "$root/run/memsched/no-give")" = 600 ]
	run ! no_give_held
}

@test "libvirt cannot be reached: 75 when calm, 1 when short" {
	refuses 75 "libvirt" memguard --root "$root" -c 'qemu+unix:///system?socket=/nowhere' --once
	available 100000
	run --separate-stderr memguard --root "$root" -c 'qemu+unix:///system?socket=/nowhere' --once
	[ "$status" -eq 1 ]
	[[ $stderr == *"cannot free: needed 195 MiB, freed 0 KiB, refused: all (libvirt does not answer)"* ]]
	run memguard --root "$root" -c 'qemu+unix:///system?socket=/nowhere' -n
	[ "$status" -eq 75 ] # what it was asked for cannot be told
	run memguard --root "$root" -c nonsense:///x --once
	[ "$status" -ne 0 ]
}

@test "a libvirt that never answers is waited for until the deadline" {
	socket=$BATS_TEST_TMPDIR/socket
	coproc perl -e 'use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new(Type => SOCK_STREAM, Local => shift, Listen => 9) or die;
		$| = 1; print "ready\n"; sleep 60' "$socket"
	read -r -u "${COPROC[0]}" _
	run --separate-stderr timeout 20 memguard --root "$root" -c "qemu+unix:///system?socket=$socket" --once --deadline 1
	kill "$COPROC_PID"
	[ "$status" -eq 75 ]
	[ "${#stderr_lines[@]}" -eq 1 ]
}

@test "a single run ends where the host is not tight and nobody gives" {
	mkdir -p -m 755 "$root/run/memsched/pending"
	printf 'version=1\nneed_kib=900000\nsince_s=%s\n' "$(date +%s)" >"$root/run/memsched/pending/00000000-0000-4000-8000-000000009999"
	available 400000
	SECONDS=0
	run --separate-stderr guard --once --explain --deadline 20s
	[ "$status" -eq 0 ]
	[ "$SECONDS" -lt 10 ]
	[[ $output == *"idle: has 2 GiB and gives nothing: stale-stats."* ]]
}

@test "/proc/meminfo cannot be read: failed, in words" {
	rm "$root/proc/meminfo"
	run --separate-stderr guard --once
	[ "$status" -eq 1 ]
	[[ $stderr == *meminfo* ]]
}

@test "/run/memsched cannot be used: said, and the host is guarded all the same" {
	touch "$root/run/memsched"
	available 100000
	run --separate-stderr guard --once
	[ "$status" -eq 1 ]
	[ "${#stderr_lines[@]}" -eq 2 ]
	[[ $stderr == *"cannot use '$root/run/memsched': Not a directory"*"cannot free: "* ]]
	rm -r "$root/run"
	available 12582912
	run --separate-stderr guard --once
	[ "$status" -eq 0 ]
	[[ $stderr == *"cannot use '$root/run/memsched': No such file or directory"* ]]
}

# spoil KIND FILE: makes something of that name that is no record.
spoil() {
	case $1 in
	fifo) mkfifo "$2" ;;
	link) ln -s /dev/zero "$2" ;;
	huge) truncate -s 1T "$2" ;;
	rubbish) echo rubbish >"$2" ;;
	foreign) printf 'version=1\nneed_kib=1\nsince_s=%s\n' "$(date +%s)" >"$2" && chown 65534 "$2" ;;
	esac
}

@test "what is no record in /run/memsched is said, and counts as absent" {
	uuid=11111111-0000-4000-8000-000000000002
	mkdir -p -m 755 "$root/run/memsched/pending" "$root/run/memsched/domains"
	for kind in fifo link huge rubbish foreign; do
		[ $kind != foreign ] || [ "$(id -u)" -eq 0 ] || continue
		spoil $kind "$root/run/memsched/pending/$uuid"
		spoil $kind "$root/run/memsched/domains/$uuid"
		for how in --once --dry-run; do
			run --separate-stderr timeout 20 memguard -c "$node" --root "$root" $how
			[ "$status" -eq 0 ]
			[ "${#stderr_lines[@]}" -eq 2 ] || { echo "$kind: $stderr"; false; }
			[ "${stderr_lines[0]}" = "memguard: warning: something in '/run/memsched/pending' cannot be read: it counts as absent" ]
			[ "${stderr_lines[1]}" = "memguard: warning: what '/run/memsched' has of domain $uuid cannot be read: it counts as absent" ]
		done
		run --separate-stderr guard --once -q
		[ -z "$stderr" ]
		rm "$root/run/memsched/pending/$uuid" "$root/run/memsched/domains/$uuid"
	done
}

@test "the loop says once of each record that it cannot be read, and that it is over" {
	pending=$root/run/memsched/pending/11111111-0000-4000-8000-000000000002
	domain=$root/run/memsched/domains/11111111-0000-4000-8000-00000000000
	start
	wait_for test -d "$root/run/memsched/domains"
	mkfifo "$pending" "${domain}2"
	wait_for says "warning: something in '/run/memsched/pending' cannot be read: it counts as absent"
	wait_for says "warning: what '/run/memsched' has of domain ${domain##*/}2 cannot be read: it counts as absent"
	mkfifo "${domain}3"
	wait_for says "warning: what '/run/memsched' has of domain ${domain##*/}3 cannot be read"
	sleep 2.5 # readings, and rounds of what can wait
	rm "$pending" "${domain}2"
	wait_for says "warning: over: something in '/run/memsched/pending' cannot be read"
	wait_for says "warning: over: what '/run/memsched' has of domain ${domain##*/}2 cannot be read"
	[ "$(grep -c 'cannot be read' "$BATS_TEST_TMPDIR/said")" -eq 5 ]
	stop
}

@test "warnings of the configuration are said, but not with -q" {
	echo 'tagret = 1' >"$root/etc/memsched.conf"
	run --separate-stderr guard --once
	[ "$status" -eq 0 ]
	[ "$stderr" = "memguard: warning: $root/etc/memsched.conf:1: unknown key 'tagret'" ]
	run --separate-stderr guard --once -q
	[ -z "$stderr" ]
}

@test "SIGHUP: what is good holds, what is wrong is said and changes nothing" {
	conf=$root/etc/memsched.conf
	said=$BATS_TEST_TMPDIR/said
	printf 'uri = %s\nreserve = 300000KiB\n' "$node" >"$conf"
	memguard --root "$root" -v >"$said" 2>&1 3>&- &
	pid=$!
	wait_for test -d "$root/run/memsched/pending"
	printf 'uri = %s\nreserve = 1GiB\ntagret = 1\n' "$node" >"$conf"
	kill -HUP "$pid"
	wait_for says 'memguard: read the configuration again'
	says "memguard: warning: $conf:3: unknown key 'tagret'"
	printf 'uri = %s\nreserve = 2GiB\nstep = many\n' "$node" >"$conf"
	kill -HUP "$pid"
	wait_for says 'memguard: error: the configuration stays as it was'
	says "memguard: error: $conf:3: bad value 'many' for 'step'"
	printf 'uri = qemu+ssh://elsewhere/system\nreserve = 3GiB\n' >"$conf"
	kill -HUP "$pid"
	wait_for says "memguard: error: the configured libvirt is another host's"
	wait_for eval "[ \$(grep -c 'stays as it was' '$said') -eq 2 ]"
	[ "$(grep -c 'read the configuration again' "$said")" -eq 1 ]
	available 100000
	wait_for says 'critical: 97.7 MiB available, reserve 1 GiB'
	wait_for no_give_held
	stop
}

@test "the loop tells each level once, forbids gives, and ends with SIGTERM" {
	start
	wait_for test -d "$root/run/memsched/pending"
	available 100000
	wait_for says 'memguard: warning: critical: 97.7 MiB available, reserve 293 MiB'
	wait_for no_give_held
	wait_for says 'cannot free: needed 195 MiB, freed 0 KiB, refused: '
	sleep 1
	[ "$(grep -c 'critical' "$BATS_TEST_TMPDIR/said")" -eq 1 ]
	[ "$(grep -c 'cannot free' "$BATS_TEST_TMPDIR/said")" -eq 1 ]
	stop
	run ! no_give_held
}

critical() {
	start
	wait_for no_give_held
}

@test "SIGTERM ends it at once" {
	available 100000
	ends_soon critical
}

@test "inotify at its limit is said once, and the guard goes by its naps" {
	unshare --user --map-root-user true 2>/dev/null || skip "no user namespaces"
	# shellcheck disable=SC2016
	unshare --user --map-root-user sh -c 'echo 0 >/proc/sys/user/max_inotify_instances && exec "$@"' sh \
		"$(command -v memguard)" -c "$node" --root "$root" >"$BATS_TEST_TMPDIR/said" 2>&1 3>&- &
	pid=$!
	wait_for says "error: cannot be woken by a guest that starts: inotify is at its limit: raise fs.inotify.max_user_instances or max_user_watches"
	available 100000
	wait_for no_give_held
	stop
	[ "$(grep -c woken "$BATS_TEST_TMPDIR/said")" -eq 1 ]
}

@test "no-give does not outlive a guard that is killed" {
	available 100000
	start
	wait_for no_give_held
	kill -KILL "$pid"
	wait "$pid" || true
	pid=
	run ! no_give_held
}

@test "a level is left after ten seconds" {
	available 200000
	start
	wait_for no_give_held
	available 12582912
	for _ in {1..5}; do
		sleep 1
		no_give_held
	done
	wait_for says 'memguard: warning: calm: 12 GiB available'
	run ! no_give_held
	stop
}

@test "on_critical: once, with the numbers, and nobody waits for it" {
	cat >"$BATS_TEST_TMPDIR/command" <<-END
		#!/bin/sh
		echo "\$# \$2 \$MEMSCHED_AVAILABLE_BYTES \$MEMSCHED_RESERVE_BYTES \$MEMSCHED_LACK_BYTES \$MEMSCHED_FREED_BYTES" >>$BATS_TEST_TMPDIR/ran
		sleep 30
	END
	chmod +x "$BATS_TEST_TMPDIR/command"
	available 200000
	start --on-critical "$BATS_TEST_TMPDIR/command one  \$HOME"
	wait_for no_give_held
	sleep 0.5
	[ ! -e "$BATS_TEST_TMPDIR/ran" ] # tight is not critical
	available 100000
	wait_for test -s "$BATS_TEST_TMPDIR/ran"
	wait_for says 'critical: 97.7 MiB'
	sleep 1
	[ "$(wc -l <"$BATS_TEST_TMPDIR/ran")" -eq 1 ]
	[[ $(cat "$BATS_TEST_TMPDIR/ran") =~ ^'2 $HOME 102400000 307200000 '[1-9][0-9]+' 0'$ ]]
	stop
}

@test "on_critical that cannot be executed is said at the start" {
	start --on-critical /nowhere/command
	wait_for says 'memguard: error: cannot run on_critical: No such file or directory'
	available 100000
	wait_for no_give_held # and the guard goes on
	stop
}

@test "the loop outlives a host and a registry that come and go, and tells once" {
	rm -r "$root/run"
	start
	wait_for says "cannot use '/run/memsched': No such file or directory"
	mkdir "$root/run"
	wait_for says "over: cannot use '/run/memsched'"
	wait_for test -d "$root/run/memsched/pending"
	rm -r "$root/run/memsched"
	wait_for test -d "$root/run/memsched/pending"
	mv "$root/proc/meminfo" "$root/proc/elsewhere"
	wait_for says "cannot read '/proc/meminfo'"
	mv "$root/proc/elsewhere" "$root/proc/meminfo"
	wait_for says "over: cannot read '/proc/meminfo'"
	available 100000
	wait_for no_give_held
	[ "$(grep -c 'error: cannot use' "$BATS_TEST_TMPDIR/said")" -eq 1 ]
	[ "$(grep -c 'error: cannot read' "$BATS_TEST_TMPDIR/said")" -eq 1 ]
	stop
}

@test "the loop outlives libvirt, and tells once" {
	start -c 'qemu+unix:///system?socket=/nowhere'
	wait_for says "cannot see the guests: "
	available 100000
	wait_for says 'refused: all (libvirt does not answer)'
	wait_for no_give_held
	[ "$(grep -c 'cannot see' "$BATS_TEST_TMPDIR/said")" -eq 1 ]
	stop
}

@test "a pass beside a guard gives nothing out of the host" {
	available 200000
	start --reserve 300000KiB
	wait_for no_give_held
	available 9000000
	run membalance -c "$node" --root "$root" -J
	jq -e '.moves[] | select(.name == "needy") | .reason == "no-give"' <<<"$output"
	stop
	membalance -c "$node" --root "$root" -J | jq -e '.moves[] | select(.name == "needy") | .action == "grow"'
}

# The coprocess listens as systemd does.
listen() {
	coproc perl -e 'use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => shift) or die; $| = 1;
		print "ready\n"; alarm 60; print "$_\n" while defined $s->recv($_, 65536)' "$BATS_TEST_TMPDIR/notify"
	read -r -u "${COPROC[0]}" _
	export NOTIFY_SOCKET=$BATS_TEST_TMPDIR/notify WATCHDOG_USEC=1000000
}

# hears STATE...: these, one after the other.
hears() {
	local state
	for state; do
		read -r -t 10 -u "${COPROC[0]}" heard
		[ "$heard" = "$state" ]
	done
}

# What was sent is heard, and then for three seconds nothing; from a loop that goes on something comes each second.
hears_no_more() {
	local n=0
	while read -r -t 3 -u "${COPROC[0]}" heard; do
		[ $((n += 1)) -le 20 ] || return 1
	done
}

@test "systemd hears of the start, of a loop that goes on, and of the end" {
	listen
	start
	hears READY=1 WATCHDOG=1 WATCHDOG=1
	stop
	while [ "$heard" = WATCHDOG=1 ]; do
		read -r -t 10 -u "${COPROC[0]}" heard
	done
	[ "$heard" = STOPPING=1 ]
	kill "$COPROC_PID"
}

@test "systemd hears nothing of a loop that does not see the host" {
	listen
	start
	hears READY=1 WATCHDOG=1
	mv "$root/proc/meminfo" "$root/proc/elsewhere"
	hears_no_more
	mv "$root/proc/elsewhere" "$root/proc/meminfo"
	hears WATCHDOG=1
	stop
	kill "$COPROC_PID"
}

@test "who read what it says has gone: it guards on" {
	memguard -c "$node" --root "$root" 2> >(true) >/dev/null 3>&- &
	pid=$!
	available 100000
	wait_for no_give_held
	sleep 1
	kill -0 "$pid"
	stop
}

hears_of_it() {
	grep -Eaq 'memguard: warning: [1-9] lines before this are lost: nobody took them$' "$BATS_TEST_TMPDIR/heard" &&
		grep -aq '^memguard: warning: calm: ' "$BATS_TEST_TMPDIR/heard"
}

@test "who does not take what it says holds nothing up, and hears what was lost" {
	listen
	mkfifo "$BATS_TEST_TMPDIR/said"
	exec 7<>"$BATS_TEST_TMPDIR/said"
	start
	hears READY=1
	dd if=/dev/zero of="$BATS_TEST_TMPDIR/said" oflag=nonblock bs=4096 count=100 2>/dev/null || true
	available 100000
	wait_for no_give_held
	hears WATCHDOG=1 WATCHDOG=1
	timeout 60 cat <&7 >"$BATS_TEST_TMPDIR/heard" 3>&- &
	reader=$!
	available 9000000 # which is believed after ten seconds
	wait_for hears_of_it || wait_for hears_of_it
	run ! grep -a 'critical: ' "$BATS_TEST_TMPDIR/heard"
	stop
	kill "$reader" "$COPROC_PID"
}

# confined COMMAND...: becomes it, without a capability or memory that it may lock.
confined() {
	local without=()
	[ "$(id -u)" -ne 0 ] || without=(setpriv --bounding-set=-all --inh-caps=-all)
	exec prlimit --memlock=0:0 "${without[@]}" "$@"
}

# is_ready [COMMAND...]: the loop, by COMMAND, is through with its start; nothing spares it beforehand.
is_ready() {
	listen
	echo 0 >/proc/self/oom_score_adj || skip "somebody spares us"
	"$@" memguard -c "$node" --root "$root" >"$BATS_TEST_TMPDIR/said" 2>&1 3>&- &
	pid=$!
	hears READY=1
}

@test "what keeps the guard from being spared and from locking memory is said, and it guards all the same" {
	[ -z "${ASAN_OPTIONS:-}" ] || skip "sanitizers lock nothing, and say nothing of it"
	is_ready confined
	says "memguard: warning: cannot lower oom_score_adj: Permission denied"
	says "memguard: warning: cannot lock memory: Operation not permitted"
	available 100000
	wait_for no_give_held
	stop
	kill "$COPROC_PID"
}

@test "of what is permitted nothing is said" {
	[ -z "${ASAN_OPTIONS:-}" ] || skip "sanitizers lock nothing, and say nothing of it"
	is_ready
	if says 'cannot lower oom_score_adj'; then
		[ "$(cat "/proc/$pid/oom_score_adj")" -eq 0 ]
	else
		[ "$(cat "/proc/$pid/oom_score_adj")" -eq -900 ]
	fi
	locked=$(awk '$1 == "VmLck:" { print $2 }' "/proc/$pid/status")
	if says 'cannot lock memory'; then
		[ "$locked" -eq 0 ]
	else
		[ "$locked" -gt 4096 ] # the heap that is kept alone
	fi
	stop
	kill "$COPROC_PID"
}

# unwatched COMMAND...: becomes it, where nobody may have an inotify.
unwatched() {
	# shellcheck disable=SC2016
	exec unshare -Ur sh -c 'echo 0 >/proc/sys/user/max_inotify_instances && exec "$@"' _ "$@"
}

@test "woken by nothing the loop looks by time alone, and sees what there is to see" {
	(unwatched true) 2>/dev/null || skip "cannot make user namespaces"
	mkdir "$root/proc/pressure"
	for kind in none fifo link rubbish; do
		[ $kind = none ] || spoil $kind "$root/proc/pressure/memory"
		guard --once
		available 12582912
		is_ready unwatched
		says 'memguard: warning: no wake-up by memory pressure: '
		spoil fifo "$root/run/memsched/pending/11111111-0000-4000-8000-000000000002"
		wait_for says "something in '/run/memsched/pending' cannot be read"
		[ "$(find "/proc/$pid/fd" -lname '*inotify*' | wc -l)" -eq 0 ]
		available 100000
		wait_for no_give_held
		read -r -a stat <"/proc/$pid/stat"
		[ $((stat[13] + stat[14])) -lt 100 ] # of a hundred a second: it does not spin
		stop
		kill "$COPROC_PID"
		wait "$COPROC_PID" || true
		rm -f "$root/proc/pressure/memory" "$root/run/memsched/pending/"* "$BATS_TEST_TMPDIR/notify"
		available 12582912
	done
}

# The reserve of a slip is more than the host has: it is never calm, and there is nothing to take.
@test "a reserve that was a slip can be mended while it keeps the host critical" {
	available 12582912
	echo 'reserve = 40GiB' >"$root/etc/memsched.conf"
	start -v
	wait_for says 'critical: '
	echo 'reserve = 1GiB' >"$root/etc/memsched.conf"
	kill -HUP "$pid"
	wait_for says 'read the configuration again'
	stop
}
