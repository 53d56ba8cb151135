# SPDX-License-Identifier: MIT
# SIGHUP: the configuration is read again while a loop runs.
bats_require_minimum_version 1.5.0

setup() {
	load cli.bash
	cli_setup
	be_patient
	conf=$root/etc/memsched.conf
	out=$BATS_TEST_TMPDIR/out err=$BATS_TEST_TMPDIR/err
	: >"$out"
	pid=
}

teardown() {
	[ -z "$pid" ] || kill "$pid" 2>/dev/null || :
}

# start [OPTION...]: a loop that prints a pass a line.
start() {
	membalance --root "$root" --interval 100ms -J "$@" >"$out" 2>"$err" 3>&- &
	pid=$!
	passes
}

# within COMMAND...: until it is true.
within() {
	wait_for "$@" && return
	tail -n 2 "$out" "$err" >&2
	return 1
}

# passes: at least two more are made.
passes() {
	local before
	before=$(wc -l <"$out")
	within eval "[ \$(wc -l <'$out') -ge $((before + 2)) ]"
}

# needy FILTER: what jq says of the guest in the last pass.
needy() {
	grep '^{' "$out" | tail -n 1 | jq -e ".moves[] | select(.name == \"needy\") | $1" >/dev/null
}

said() {
	within grep -qF "$1" "$err"
}

@test "what is good holds from the next pass on, and options still override it" {
	echo "uri = $node" >"$conf"
	start -n -v --target 200MiB
	needy '.reason != "excluded"'
	printf 'uri = %s\nexclude = needy\ntarget = 300MiB\n' "$node" >"$conf"
	kill -HUP "$pid"
	within needy '.reason == "excluded"'
	said 'membalance: read the configuration again'
	echo "uri = $node" >"$conf"
	kill -HUP "$pid"
	within needy '.want_bytes == (102400 + 204800) * 1024'
	kill -TERM "$pid"
	wait "$pid"
}

@test "what is wrong is said with its line, and the running configuration stays" {
	printf 'uri = %s\nexclude = needy\n' "$node" >"$conf"
	start
	printf 'uri = %s\nexclude =\nstep = many\n' "$node" >"$conf"
	kill -HUP "$pid"
	said "$conf:3: bad value 'many' for 'step'"
	said 'the configuration stays as it was'
	passes
	needy '.reason == "excluded"'
	printf 'uri = %s\nreserve = 200G\n' "$node" >"$conf"
	kill -HUP "$pid"
	said "$conf:2: bad value '200G' for 'reserve': more than 90% of the host's 16 GiB"
	passes
	needy '.reason == "excluded"'
	rm "$conf" && mkdir "$conf"
	kill -HUP "$pid"
	said "cannot read '$conf': not a regular file"
	passes
	needy '.reason == "excluded"'
}

# pool PAGES: of the host's 16 GiB, in huge pages of 2 MiB.
pool() {
	figures 16777216 1048576 >"$root/proc/meminfo.new"
	printf 'HugePages_Total: %s\nHugePages_Free: 0\nHugepagesize: 2048 kB\n' "$1" >>"$root/proc/meminfo.new"
	mv "$root/proc/meminfo.new" "$root/proc/meminfo"
}

# How many passes have failed.
failures() {
	awk '$1 == "memsched_passes_failed_total" { print $2 }' "$BATS_TEST_TMPDIR/metrics"
}

# failed TIMES: whether so many have.
failed() {
	[ "$(failures)" -ge "$1" ]
}

@test "huge pages that leave a size no room end the passes of a loop until there is room again" {
	echo "textfile = $BATS_TEST_TMPDIR/metrics" >"$conf"
	start -c "$node" --reserve 10GiB
	pool 4096
	said "bad value '10GiB' for '--reserve': more than 90% of the host's 8 GiB"
	: >"$out"
	pool 5120
	within failed $(($(failures) + 2)) # the first of them may have begun before
	[ ! -s "$out" ]
	[ "$(grep -cF 'bad value' "$err")" -eq 1 ]
	pool 0
	said 'notice: resolved after'
	passes
}

@test "warnings come and go with the configuration" {
	echo "uri = $node" >"$conf"
	start
	echo 'tagret = 1' >>"$conf"
	kill -HUP "$pid"
	said "warning: $conf:2: unknown key 'tagret', did you mean 'target'?"
	passes
	echo "uri = $node" >"$conf"
	kill -HUP "$pid"
	said " s: $conf:2: unknown key 'tagret', did you mean 'target'?"
	passes
	[ "$(grep -c tagret "$err")" -eq 2 ]
}

@test "another URI is gone over to, one that cannot be is refused" {
	sed 's/>needy</>moved</' tests/cli/node.xml >"$BATS_TEST_TMPDIR/other.xml"
	echo "uri = $node" >"$conf"
	start
	echo "uri = test://$BATS_TEST_TMPDIR/other.xml" >"$conf"
	kill -HUP "$pid"
	within eval "tail -n 1 '$out' | grep -q '\"moved\"'"
	echo 'uri = qemu+bogus:///system' >"$conf"
	kill -HUP "$pid"
	said "'qemu+bogus:///system'"
	said 'the configuration stays as it was'
	passes
	tail -n 1 "$out" | grep -q '"moved"'
}

@test "to another host and back: its own lock and its own memory" {
	local remote='qemu+unix:///session?socket=/nonexistent' hosts=$root/run/memsched/hosts
	echo "uri = $node" >"$conf"
	start
	echo "uri = $remote" >"$conf"
	kill -HUP "$pid"
	said '/nonexistent'
	flock -n "$root/run/memsched/lock" true # let go
	run flock -n "$hosts"/*/lock true
	[ "$status" -eq 1 ]
	echo "uri = $node" >"$conf"
	(
		flock -n 9
		kill -HUP "$pid"
		said 'another pass holds the lock'
		said 'the configuration stays as it was'
	) 9<>"$root/run/memsched/lock"
	kill -HUP "$pid"
	passes
	flock -n "$hosts"/*/lock true
}

@test "a single pass has no use for SIGHUP, a loop whose terminal goes away ends" {
	echo "uri = $node" >"$conf"
	python3 -c "$pty_spawn" sh -c "exec bin/membalance --root '$root' --interval 100ms -J >'$out' 2>'$err'" </dev/null >/dev/null 3>&- &
	terminal=$!
	passes
	kill -KILL "$terminal"
	within flock -n "$root/run/memsched/lock" true
	[ ! -s "$err" ]
}
