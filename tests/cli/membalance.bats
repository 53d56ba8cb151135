# SPDX-License-Identifier: MIT
bats_require_minimum_version 1.5.0

setup() {
	load cli.bash
	cli_setup
	be_patient
	pid=
}

# A loop does not outlive the test that fails beside it.
teardown() {
	[ -z "$pid" ] || kill "$pid" 2>/dev/null || :
}

balance() {
	membalance -c "$node" --root "$root" "$@"
}

# pauses OPTION...: --pause and --resume, which concern the host, whatever its libvirt.
pauses() {
	membalance --root "$root" "$@"
}

@test "a good pass prints nothing and remembers" {
	run balance
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	[ -s "$root/run/memsched/state/11111111-0000-4000-8000-000000000001" ]
}

@test "a MemAvailable that its neighbours contradict is said once, and counts as they allow" {
	cp tests/cli/roots/host-lost-count/proc/meminfo "$root/proc/meminfo"
	separately balance -J
	[ "$status" -eq 0 ]
	[ "$(jq .host.available_bytes <<<"$output")" -eq $((11488452 * 1024)) ]
	[ "$stderr" = 'membalance: warning: host: MemAvailable is 166 GiB, but the other figures allow only 11 GiB, which is used instead' ]
	separately balance -J
	[ -z "$stderr" ]
	meminfo 16777216 12582912
	separately balance
	[[ $stderr == "membalance: notice: resolved after "*": host: MemAvailable is 166 GiB"* ]]
}

@test "a guest in need is given to, and JSON tells" {
	balance -J >"$BATS_TEST_TMPDIR/json"
	jq -e '.schema == "memsched.pass/1" and .dry_run == false and .result == "done" and .shortage_bytes == 0
		and (keys_unsorted | sort) == (["schema","dry_run","result","shortage_bytes","host","moves"] | sort)
		and all(.moves[]; (keys_unsorted | sort) == (["name","uuid","action","from_bytes","want_bytes","reached_bytes","reason"] | sort))
		and (.moves[] | select(.name == "needy") | .action == "grow" and .from_bytes == 204800 * 1024
			and .want_bytes == (102400 + 150000) * 1024 and .reached_bytes == .want_bytes)
		and (.moves[] | select(.name == "plain") | .action == "skip" and .reason == "no-balloon")
		and (.moves[] | select(.name == "resting") | .action == "skip" and .reason == "paused")
		and (.moves[] | select(.name == "idle") | .action == "keep" and .reason == "stale-stats")' "$BATS_TEST_TMPDIR/json"
}

@test "each pass leaves last-pass.json, whole or not at all" {
	last=$root/run/memsched/last-pass.json
	balance -J >"$BATS_TEST_TMPDIR/json"
	[ "$(stat -c %a "$last")" = 644 ]
	jq -e --argjson now "$(date +%s)" '.time_seconds <= $now + 1 and .time_seconds > $now - 60' "$last"
	jq -s '.[0] == (.[1] | del(.time_seconds))' "$BATS_TEST_TMPDIR/json" "$last" | grep -x true
	before=$(cat "$last")
	balance -n
	[ "$(cat "$last")" = "$before" ]
	balance
	[ "$(cat "$last")" != "$before" ]
	rm "$last"
	mkdir "$last"
	separately balance
	[ "$status" -eq 0 ]
	[[ $stderr == *"cannot write 'last-pass.json': Is a directory"* ]]
	rmdir "$last"
	separately balance
	[[ $stderr == *"notice: resolved after "*": cannot write 'last-pass.json'"* ]]
	[ -s "$last" ]
}

@test "a dry run decides the same and changes nothing" {
	run balance --dry-run --explain
	[ "$status" -eq 0 ]
	[[ $output == *'needy: give '* ]]
	run balance -n
	[[ $output == 'needy: give '* ]]
	[ "${#lines[@]}" -eq 1 ]
	[ "$(balance -n --target 1MiB)" = 'no guest would be given or taken anything' ]
	[ -z "$(ls -A "$root/run")" ]
	balance -nJ | jq -e '.dry_run and (.moves[] | select(.name == "needy") | .action == "grow" and .reached_bytes == null)'
}

@test "the host's reserve comes first: what is given together stays within the room above it" {
	local promised room given
	promised=$(balance -nJ | jq '(.host.promised_bytes - .host.lent_bytes) / 1024')
	for room in 0 20000 100000; do
		rm -rf "$root/run/memsched"
		meminfo 16777216 $((300000 + 262144 + promised + room)) # the reserve, what the paused guest may still touch
		balance -J >"$BATS_TEST_TMPDIR/json"
		given=$(jq '[.moves[] | select(.reached_bytes > .from_bytes) | (.reached_bytes - .from_bytes) / 1024] | add // 0' \
			"$BATS_TEST_TMPDIR/json")
		echo "room $room: $given"
		[ "$given" -le "$room" ]
		[ "$given" -ge $((room < 47600 ? room : 47600)) ] # all that needy lacks
	done
}

@test "options and the file say the same; options win" {
	echo 'target = 500MiB' >"$root/etc/memsched.conf"
	balance -nJ | jq -e '.moves[] | select(.name == "needy") | .want_bytes == (102400 + 512000) * 1024'
	balance -nJ --target 300MiB | jq -e '.moves[] | select(.name == "needy") | .want_bytes == (102400 + 307200) * 1024'
	echo 'exclude = nee*' >"$root/etc/memsched.conf"
	balance -nJ | jq -e '.moves[] | select(.name == "needy") | .action == "skip" and .reason == "excluded"'
}

@test "an unknown key is a warning, a bad value stops everything" {
	echo 'tagret = 5' >"$root/etc/memsched.conf"
	separately balance
	[ "$status" -eq 0 ]
	[ "${#stderr_lines[@]}" -eq 1 ]
	[[ $stderr == *"memsched.conf:1: unknown key 'tagret', did you mean 'target'?"* ]]
	for words in '' '' "notice: resolved after *unknown key 'tagret', did you mean 'target'?"; do # once, and when it ends
		[ -z "$words" ] || rm "$root/etc/memsched.conf"
		separately balance
		[ "$status" -eq 0 ]
		# shellcheck disable=SC2053
		[[ ${stderr#membalance: } == $words ]] || false
	done
	echo 'tagret = 5' >"$root/etc/memsched.conf"
	run balance -q
	[ -z "$output" ]
	rm -r "$root/run/memsched"
	printf 'step = 50000KiB\nstep = many\n' >"$root/etc/memsched.conf"
	separately balance
	[ "$status" -eq 2 ]
	[[ $stderr == *"memsched.conf:2: bad value 'many' for 'step'"* ]]
	[ ! -e "$root/run/memsched" ]
}

@test "two passes at once: the second exits 75, says nothing and changes nothing" {
	balance
	exec {lock}<>"$root/run/memsched/lock"
	flock -n "$lock"
	before=$(find "$root/run" -type f -newermt '1970-01-01' -printf '%p %T@\n' | sort)
	separately balance
	[ "$status" -eq 75 ]
	[ -z "$output$stderr" ]
	[ "$before" = "$(find "$root/run" -type f -newermt '1970-01-01' -printf '%p %T@\n' | sort)" ]
}

@test "what takes nothing holds up no loop, no other pass, and no end" {
	stuffed "$BATS_TEST_TMPDIR/out"
	membalance -c "$node" --root "$root" --interval 100ms -J >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/said" 3>&- 7>&- &
	pid=$!
	wait_for grep -q 'warning: standard output is not read; passes not printed: 1$' "$BATS_TEST_TMPDIR/said"
	goes_round 3
	timeout 120 cat <&7 >"$BATS_TEST_TMPDIR/passes" 3>&- &
	reader=$!
	wait_for grep -q 'notice: resolved after' "$BATS_TEST_TMPDIR/said"
	kill "$pid"
	wait "$pid"
	kill "$reader"
	tr -d '\0' <"$BATS_TEST_TMPDIR/passes" | jq -es 'length > 1' # each is there whole
	stuffed "$BATS_TEST_TMPDIR/err"
	for uri in 'qemu+unix:///system?socket=/nonexistent' "$node"; do
		membalance -c "$uri" --root "$root" -J >"$BATS_TEST_TMPDIR/err" 2>&1 3>&- 7>&- &
		pid=$!
		wait_for waits_for_reader
		balance
		kill "$pid"
		wait_for has_ended
	done
	echo 'target = lots' >"$root/etc/memsched.conf"
	membalance -c "$node" --root "$root" 2>"$BATS_TEST_TMPDIR/err" 3>&- 7>&- &
	pid=$!
	wait_for waits_for_reader
	flock -n "$root/run/memsched/lock" true
	kill "$pid"
	wait_for has_ended
}

# stuck: has whoever holds the lock begun its last pass 6 minutes ago. A clock of a host that runs for less has no such time.
stuck() {
	local up
	read -r up _ </proc/uptime
	[ "${up%.*}" -gt 400 ] || skip "the host has just started"
	printf 'version=1\npid=%d\npass_ms=%d\ninterval_ms=0\n' $$ $((${up%.*} * 1000 - 360000)) >"$root/run/memsched/holder"
}

@test "a lock that is held for too long is said, and by whom; once, and when it is over" {
	balance
	exec {lock}<>"$root/run/memsched/lock"
	flock -n "$lock"
	stuck
	refuses 75 "error: no pass for 6 min: process $$ holds the lock in '$root/run/memsched'" balance
	run balance
	[ "$status" -eq 75 ]
	[ -z "$output" ]
	exec {lock}>&-
	run balance
	[ "$status" -eq 0 ]
	[[ $output == *"notice: resolved after "*" s: no pass for 6 min: process $$ holds the lock"* ]]
}

@test "refusals name what is wrong" {
	local value
	for value in abc -1 99999999999999999999 '' 1.5G 0x10 '10 apples'; do
		refuses 2 "'$value' for '--target'" balance --target "$value"
	done
	refuses 2 "'0' for '--interval'" balance --interval 0
	refuses 2 "bad option '--bogus'" balance --bogus
	refuses 2 "unexpected argument 'vm1'" balance vm1
	refuses 2 'exclude each other' balance --once --interval 5
	refuses 2 "'--json' and '--explain' exclude each other" balance --json --explain
	balance -n -Jv | jq -e '.dry_run'
	refuses 2 '/nonexistent' balance --config /nonexistent
	refuses 75 '/nonexistent' membalance --root "$root" -c 'qemu+unix:///system?socket=/nonexistent'
}

@test "a complaint that lasts is said once" {
	refuses 75 '/nonexistent' membalance --root "$root" -c 'qemu+unix:///system?socket=/nonexistent'
	separately membalance --root "$root" -c 'qemu+unix:///system?socket=/nonexistent'
	[ "$status" -eq 75 ]
	[ -z "$stderr" ]
	separately balance
	[ "$status" -eq 0 ]
	[[ $stderr == *"notice: resolved after"*'/nonexistent'* ]]
	separately balance
	[ -z "$stderr" ]
}

@test "who looks on is told each time" {
	local away='qemu+unix:///system?socket=/nonexistent'
	for _ in 1 2; do
		refuses 75 '/nonexistent' membalance --root "$root" -c "$away" -v
		refuses 75 '/nonexistent' membalance --root "$root" -c "$away" --explain
	done
}

@test "what -q kept back is new without it" {
	echo 'textfile = /nonexistent/memsched.prom' >"$root/etc/memsched.conf"
	run balance -q
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	run balance
	[[ $output == *'cannot write metrics'* ]]
	run balance -q # does not make it new again
	[ -z "$output" ]
	run balance
	[ -z "$output" ]
}

@test "a bad configuration is said once, not each minute, and when it is over" {
	balance
	echo 'target = lots' >"$root/etc/memsched.conf"
	refuses 2 "$root/etc/memsched.conf:1: bad value 'lots'" balance
	run balance
	[ "$status" -eq 2 ]
	[ -z "$output" ]
	refuses 2 "bad value 'lots'" balance -v
	refuses 2 "bad value 'lots'" balance --show-config
	refuses 2 "bad value 'lots'" balance --interval 1
	rm "$root/etc/memsched.conf"
	separately balance
	[ "$status" -eq 0 ]
	[[ $stderr == *"notice: resolved after"*"bad value 'lots'"* ]]
	run balance
	[ -z "$output" ]
}

@test "a report that cannot be written is said: by a single pass at its end, by a loop once" {
	run bash -c "membalance -c '$node' --root '$root' -J >/dev/full"
	[ "$status" -eq 1 ]
	[ "$output" = 'membalance: error: cannot write: No space left on device' ]
	membalance -c "$node" --root "$root" --interval 100ms -J >/dev/full 2>"$BATS_TEST_TMPDIR/said" 3>&- &
	pid=$!
	wait_for grep -q 'cannot write to standard output: No space left on device' "$BATS_TEST_TMPDIR/said"
	goes_round 30
	[ "$(wc -l <"$BATS_TEST_TMPDIR/said")" -eq 1 ]
}

@test "a host or a registry that cannot be read is named" {
	rm "$root/proc/meminfo"
	refuses 1 "'$root/proc/meminfo'" balance
	mkfifo "$root/proc/meminfo"
	refuses 1 "'$root/proc/meminfo'" balance -n
	rm "$root/run/memsched/lock"
	mkfifo "$root/run/memsched/lock"
	refuses 1 "'lock' is not a plain file" balance
	chmod 777 "$root/run/memsched"
	refuses 4 'another user' balance
	refuses 1 "'$root/\\x1B[2J/run/memsched'" membalance --root "$root/"$'\e[2J' -c "$node"
}

@test "what cannot be remembered is said" {
	balance
	rm -r "$root/run/memsched/state"/*
	mkdir "$root/run/memsched/state/11111111-0000-4000-8000-000000000001"
	separately balance
	[ "$status" -eq 0 ]
	[[ $stderr == *'cannot write the records for the next pass'* ]]
}

@test "a daemon that never answers costs the deadline" {
	coproc perl -e 'use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new(Type => SOCK_STREAM, Local => shift, Listen => 9) or die;
		$| = 1; print "ready\n"; sleep 120' "$BATS_TEST_TMPDIR/mute"
	read -r -u "${COPROC[0]}" _
	refuses 75 "'qemu+unix:" timeout 60 membalance --root "$root" --deadline 1 -c "qemu+unix:///system?socket=$BATS_TEST_TMPDIR/mute"
	kill "$COPROC_PID"
}

has_passes() {
	[ "$(wc -l <"$BATS_TEST_TMPDIR/passes")" -ge "$1" ]
}

loop() {
	: >"$BATS_TEST_TMPDIR/passes" # of the loop before
	membalance -c "$node" --root "$root" --interval "$interval" -J >"$BATS_TEST_TMPDIR/passes" 3>&- &
	pid=$!
	wait_for has_passes "$passes"
}

@test "SIGTERM ends a loop, in a pass and in between" {
	while read -r interval passes; do
		ends loop
		has_passes "$passes"
		jq -es --argjson passes "$passes" 'length >= $passes' "$BATS_TEST_TMPDIR/passes"
		[ -z "$(find "$root/run" -name '*tmp*')" ]
	done <<-END
		100ms 3
		1h 1
	END
}

@test "the loop shows the table with -v" {
	membalance -c "$node" --root "$root" --interval 100ms -v >"$BATS_TEST_TMPDIR/out" 3>&- &
	pid=$!
	has_tables() { [ "$(grep -c '^Domain ' "$BATS_TEST_TMPDIR/out")" -ge 2 ]; }
	wait_for has_tables
}

@test "a state file that is no state is said, once, and mended" {
	balance
	state=$root/run/memsched/state/11111111-0000-4000-8000-000000000001
	rm "$state"
	mkfifo "$state"
	separately balance
	[ "$status" -eq 0 ]
	[[ $stderr == *11111111-0000-4000-8000-000000000001*'cannot be read'* ]]
	separately balance
	[ "$status" -eq 0 ]
	[[ $stderr == *"notice: resolved after"* ]]
	[ -f "$state" ]
	# one of another time
	sed -i 's/^booted_ms=.*/booted_ms=99999999999999/' "$state"
	separately balance
	[[ $stderr == *'cannot be read'* ]]
	grep -qx booted_ms=0 "$state"
}

@test "a pause stops passes until it is over or ended" {
	separately pauses --pause 30m
	[ "$status" -eq 0 ]
	[[ $output =~ ^'no passes until '(20..-..-..\ )?..:..:..\;\ \'membalance\ --resume\'\ ends\ the\ pause$ ]]
	[ -z "$stderr" ]
	[ "$(stat -c %a "$root/run/memsched/paused")" = 644 ]
	separately balance -J
	[ "$status" -eq 0 ]
	[ -z "$output$stderr" ]
	[ ! -e "$root/run/memsched/last-pass.json" ]
	separately balance --explain
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	[[ $stderr =~ ^'membalance: warning: balancing is paused for another '(30|29)\ min$ ]]
	balance -nJ | jq -e '.dry_run and (.moves[] | select(.name == "needy") | .action == "grow")'
	run pauses --resume
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	balance -J | jq -e '.moves[] | select(.name == "needy") | .action == "grow"'
	pauses --resume
	pauses --pause 100ms
	sleep 0.2
	[ -e "$root/run/memsched/paused" ]
	balance -J | jq -e '.moves | length > 0'
}

@test "a pause begins in a loop, and ends" {
	membalance -c "$node" --root "$root" --interval 100ms -Jv >"$BATS_TEST_TMPDIR/passes" 2>"$BATS_TEST_TMPDIR/said" 3>&- &
	pid=$!
	wait_for test -s "$BATS_TEST_TMPDIR/passes"
	pauses --pause 100s
	wait_for grep -q paused "$BATS_TEST_TMPDIR/said"
	passes=$(wc -l <"$BATS_TEST_TMPDIR/passes")
	goes_round 10
	[ "$(wc -l <"$BATS_TEST_TMPDIR/passes")" -eq "$passes" ]
	[ "$(grep -c paused "$BATS_TEST_TMPDIR/said")" -eq 1 ]
	pauses --resume
	more() { [ "$(wc -l <"$BATS_TEST_TMPDIR/passes")" -gt "$passes" ]; }
	wait_for more
	memstat -c "$node" --root "$root" -J | jq -e '.status.interval_seconds == 0.1 and .status.overdue == false
		and (.status.text | contains("; last pass ") and contains("(loop 0.1 s)"))'
	kill -TERM $pid
	wait $pid
}

@test "memstat shows a pause" {
	show() { memstat -c "$node" --root "$root" "$@"; }
	show -J | jq -e 'has("paused_seconds") and .paused_seconds == null'
	[[ $(show) != *"alancing is paused"* ]]
	[[ $(show --prometheus) != *$'\nmemsched_host_paused'* ]]
	pauses --pause 2h
	show -J | jq -e '.paused_seconds > 7000 and .paused_seconds <= 7200 and (.status.text | contains("; paused for another "))'
	[[ $(show) =~ $'\n''Balancing is paused for another '(2\ h|119\ min)\.$ ]] # a second is a long time on a busy machine
	show --prometheus | grep -qE '^memsched_host_paused_seconds 7[0-9]{3}\.'
	[[ $(show --explain) =~ $'\n''host: balancing is paused for another '(2\ h|119\ min)$ ]]
}

@test "a pause that cannot be read is one, and is said with what ends it" {
	words="'/run/memsched/paused' is damaged or of another version, so there is no pass: 'membalance --resume' removes it"
	pauses --pause 30m
	for pause in later version=2; do
		echo $pause >"$root/run/memsched/paused"
		refuses 75 "error: $words" balance -J
		run balance
		[ "$status" -eq 75 ]
		[ -z "$output" ]
		separately memstat -c "$node" --root "$root" -J
		[ "$stderr" = "memstat: warning: $words" ]
		jq -e '.paused_seconds == null' <<<"$output"
		run memstat -c "$node" --root "$root" --check
		[[ $output == *" last pass "*"FAIL  $words"* ]]
		pauses --resume
		separately -0 balance
		[[ $stderr == *"notice: resolved after "*" s: $words" ]]
	done
	mkdir "$root/run/memsched/paused"
	refuses 75 "error: $words" balance
	pauses --resume
	[ ! -e "$root/run/memsched/paused" ]
}

@test "refusals of --pause and --resume" {
	local value other option
	for value in 0 0s 30 abc -1 '' 1d 169h 99999999999999999999 --resume; do
		refuses 2 "bad value '$value' for '--pause'" pauses --pause "$value"
	done
	refuses 2 "no argument for '--pause'" pauses --pause
	refuses 2 "'--pause' and '--resume' exclude each other" pauses --pause 5 --resume
	# one of each kind; tests/unit/options.c has what is refused beside an option
	for other in -n --interval=5 --log --config=/nowhere --take=many; do
		option=${other/#-n/--dry-run}
		refuses 2 "'--pause' and '${option%%=*}' exclude each other" pauses --pause 5 "$other"
		refuses 2 "'--resume' and '${option%%=*}' exclude each other" pauses "$other" --resume
	done
	[ -z "$(ls -A "$root/run")" ]
	run pauses -qv --resume
	[ "$status" -eq 0 ]
	[ -z "$(ls -A "$root/run")" ]
	balance
	mkdir -p "$root/run/memsched/paused/full" # an empty one goes
	refuses 1 "'$root/run/memsched/paused': Is a directory" pauses --pause 5s
	refuses 1 "'$root/run/memsched/paused': Is a directory" pauses --resume
	rm -r "$root/run/memsched/paused"
	chmod 777 "$root/run/memsched"
	refuses 4 'another user' pauses --pause 5s
}

@test "who is not root cannot pause, and is not told of dry runs" {
	as_root_only
	as_nobody() {
		unshare -m bash -c 'mount -t tmpfs -o mode=755 run /run && cp "$1" /run && eval "$2" &&
			exec setpriv --reuid 65534 --regid 65534 --clear-groups /run/membalance "${@:3}"' - bin/membalance "$@"
	}
	local before there='mkdir /run/memsched && touch /run/memsched/paused'
	for before in true "$there"; do
		refuses 4 "cannot write '/run/memsched/paused': Permission denied; only root can pause" as_nobody "$before" --pause 5s
		[[ $stderr == *'only root can pause' ]]
	done
	refuses 4 "cannot write '/run/memsched/paused': Permission denied; only root can resume" as_nobody "$there" --resume
}

# A pass in which there is something to move, as if it were the first.
moving() {
	rm -rf "$root/run/memsched/state"
	balance "$@"
}

@test "each move is logged to a file as a line of JSON, and nothing is printed" {
	log=$BATS_TEST_TMPDIR/log
	run moving --log="$log"
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	[ "$(stat -c %a "$log")" = 640 ]
	[ "$(wc -l <"$log")" -eq 1 ]
	jq -e --argjson now "$(date +%s)" '(keys_unsorted | sort) == (["schema","time_seconds","program","name","uuid","action",
			"from_bytes","asked_bytes","reached_bytes","reason"] | sort)
		and .schema == "memsched.move/1" and .program == "membalance" and .name == "needy"
		and .time_seconds <= $now + 1 and .time_seconds > $now - 60
		and .uuid == "11111111-0000-4000-8000-000000000001" and .action == "grow" and .from_bytes == 204800 * 1024
		and .asked_bytes == 252400 * 1024 and .reached_bytes == .asked_bytes and .reason == "below-target"' "$log"
	moving --log="$log" --dry-run
	[ "$(wc -l <"$log")" -eq 1 ]
	mv "$log" "$log.1"
	echo "log = $log" >"$root/etc/memsched.conf"
	moving
	[ "$(wc -l <"$log")" -eq 1 ]
	moving --log=
	[ "$(wc -l <"$log")" -eq 1 ]
	[ "$(wc -l <"$log.1")" -eq 1 ]
}

@test "a loop logs a move when it has seen how far the guest came, and the last one as it ends" {
	log=$BATS_TEST_TMPDIR/log
	membalance -c "$node" --root "$root" --interval 300ms --log="$log" -J >"$BATS_TEST_TMPDIR/passes" 3>&- &
	pid=$!
	wait_for test -s "$log"
	kill -TERM $pid
	wait $pid
	jq -es '.[0].reached_bytes == .[0].asked_bytes and .[0].action == "grow"' "$log"
	grows=$(jq -s "[.[].moves[] | select(.action == \"grow\")] | length" "$BATS_TEST_TMPDIR/passes")
	[ "$(wc -l <"$log")" -ge "$grows" ] && [ "$(wc -l <"$log")" -le $((grows + 1)) ] # the last pass may not have come to its end
}

# listen SOCKET: prints "ready", and then each datagram with an empty line behind it.
listen() {
	exec perl -e 'use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => shift) or die; $| = 1;
		print "ready\n"; alarm 300; print "$_\n\n" while defined $s->recv($_, 65536)' "$1"
}

@test "moves go to the journal with fields, and to syslog where there is none" {
	mkdir -p "$root/run/systemd/journal" "$root/dev"
	journal=$root/run/systemd/journal/socket
	coproc listen "$journal"
	read -r -u "${COPROC[0]}" _
	moving --log
	sed '/^$/q' <&"${COPROC[0]}" >"$BATS_TEST_TMPDIR/fields"
	for field in MESSAGE='needy: grow from 204800 KiB to 252400 KiB (below-target), reached 252400 KiB' \
		SYSLOG_IDENTIFIER=membalance MEMSCHED_DOMAIN=needy MEMSCHED_DOMAIN_UUID=11111111-0000-4000-8000-000000000001 \
		MEMSCHED_FROM_BYTES=209715200 MEMSCHED_ASKED_BYTES=258457600 MEMSCHED_REACHED_BYTES=258457600 \
		MEMSCHED_REASON=below-target; do
		grep -qFx "$field" "$BATS_TEST_TMPDIR/fields"
	done
	kill "$COPROC_PID"
	wait "$COPROC_PID" || :
	coproc listen "$root/dev/log"
	read -r -u "${COPROC[0]}" _
	echo 'log = journal' >"$root/etc/memsched.conf"
	moving
	read -r -t 60 -u "${COPROC[0]}" line
	[[ $line == '<30>'*' membalance: needy: grow from 204800 KiB to 252400 KiB (below-target), reached 252400 KiB' ]]
	kill "$COPROC_PID"
}

@test "a log that cannot be written is said once, and fails nothing" {
	log=$BATS_TEST_TMPDIR/log
	mkdir "$log"
	separately moving --log="$log"
	[ "$status" -eq 0 ]
	[ "$stderr" = "membalance: warning: cannot log to '$log': not a plain file; moves not logged: 1" ]
	separately balance --log="$log"
	[ -z "$stderr" ]
	separately moving --log="$log"
	[ -z "$stderr" ]
	rmdir "$log"
	separately balance --log="$log"
	[ -z "$stderr" ]
	separately moving --log="$log"
	[[ $stderr == "membalance: notice: resolved after "*" s: cannot log to '$log'"* ]]
	separately moving --log
	[ "$status" -eq 0 ]
	[[ $stderr == *"cannot log to 'journal': No such file or directory"* ]]
	refuses 2 "bad value 'x' for '--log'" balance --log=x
	refuses 2 "unexpected argument 'journal'" balance --log journal
}

# ---- metrics

# counted PASSES FAILED GIVES BYTES: the counters in textfile.
counted() {
	diff <(printf 'memsched_%s %d\n' passes_total "$1" passes_failed_total "$2" gives_total "$3" takes_total 0 \
		given_bytes_total "$4" taken_bytes_total 0) <(grep -E '^memsched_[a-z_]*_total ' "$textfile" | grep -v memsched_guard)
}

@test "metrics after each pass, good or bad, where a textfile is named" {
	mkdir "$BATS_TEST_TMPDIR/metrics"
	textfile=$BATS_TEST_TMPDIR/metrics/memsched.prom
	echo "textfile = $textfile" >"$root/etc/memsched.conf"
	run balance -n
	[ ! -e "$textfile" ]
	began=$(date +%s)
	run balance
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	grep -qx 'memsched_pass_success 1' "$textfile"
	grep -qE '^memsched_pass_duration_seconds [0-9]+\.[0-9]{3}$' "$textfile"
	ended=$(sed -n 's/^memsched_pass_timestamp_seconds //p' "$textfile")
	[ "${ended%.*}" -ge "$began" ]
	[ "${ended%.*}" -le "$(date +%s)" ]
	grep -qx 'memsched_pass_failed_domains 0' "$textfile"
	grep -qx 'memsched_pass_commands 1' "$textfile"
	counted 1 0 1 $(((102400 + 150000 - 204800) * 1024))
	grep -qxF 'memsched_domain_want_bytes{domain="needy"} 258457600' "$textfile"
	[ "$(ls -A "$BATS_TEST_TMPDIR/metrics")" = memsched.prom ]
	# no guest is known where libvirt is away, and its absence is a figure
	run membalance --root "$root" -c 'qemu+unix:///system?socket=/nonexistent'
	[ "$status" -eq 75 ]
	grep -qx 'memsched_pass_success 0' "$textfile"
	run -1 grep memsched_domain "$textfile"
	counted 1 1 1 $(((102400 + 150000 - 204800) * 1024))
	# nor while balancing is paused: what was known before would look as if it still held
	run balance
	pauses --pause 1h
	run balance
	[ -z "$output" ]
	grep -qE '^memsched_host_paused_seconds 3[0-9]{3}\.' "$textfile"
	run -1 grep -E '^memsched_(pass|domain)_' "$textfile"
	counted 2 1 1 $(((102400 + 150000 - 204800) * 1024))
	metrics_are_clean "$textfile"
}


@test "metrics that cannot be written are a complaint, and not the pass's failure" {
	echo "textfile = $BATS_TEST_TMPDIR/nowhere/memsched.prom" >"$root/etc/memsched.conf"
	separately balance
	[ "$status" -eq 0 ]
	[ "${#stderr_lines[@]}" -eq 1 ]
	[[ $stderr == *"warning: cannot write metrics to '$BATS_TEST_TMPDIR/nowhere/memsched.prom': No such file"* ]]
	separately balance
	[ -z "$stderr" ]
	mkdir "$BATS_TEST_TMPDIR/nowhere"
	separately balance
	[[ $stderr == *"notice: resolved after"*'cannot write metrics'* ]]
	[ -s "$BATS_TEST_TMPDIR/nowhere/memsched.prom" ]
}
