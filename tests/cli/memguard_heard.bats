# SPDX-License-Identifier: MIT
# Who hears of memguard's loop: systemd, and whoever reads what it says or does not.
bats_require_minimum_version 1.5.0

setup() {
	load cli.bash
	load guard.bash
	cli_setup
	guard_setup
}

teardown() {
	[ -z "${reader:-}" ] || kill "$reader" 2>/dev/null || true
	guard_end
}

# What was sent is heard, and then nothing, however often the loop goes round; from one that goes on something comes each second.
hears_no_more() {
	local n=0
	goes_round 2
	while read -r -t 0.5 -u "${COPROC[0]}" heard; do
		[ $((n += 1)) -le 20 ] || return 1
	done
	goes_round 3
	run ! read -r -t 0.5 -u "${COPROC[0]}" heard
}

@test "systemd hears of the start, of a loop that goes on, and of the end" {
	listen
	start
	hears READY=1 WATCHDOG=1
	[[ $shown =~ ^"STATUS=calm since "[0-9:]+": 12 GiB available, reserve 293 MiB"$ ]]
	hears WATCHDOG=1
	run -0 memguard --root "$root" --check
	[[ $output == "MEMGUARD OK - 12 GiB available, "* ]]
	memstat -c "$node" --root "$root" -J | jq -e '.status.guard == "calm" and .guard.no_give == false
		and .guard.calm_seconds_total >= 0 and (.status.text | endswith("; guard: calm"))'
	stop
	while [ "$heard" = WATCHDOG=1 ]; do
		hear
	done
	run -1 memguard --root "$root" --check
	[[ $output == "MEMGUARD WARNING - no memguard is running: 12 GiB available, "* ]]
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
	goes_round 10
	kill -0 "$pid"
	stop
}

@test "a warning of its configuration that nobody takes does not keep it from guarding" {
	echo 'unknown = 1' >>"$root/etc/memsched.conf"
	stuffed "$said"
	start
	available 100000
	wait_for no_give_held
	stop
}

@test "a single run forbids gives no longer than it takes, whoever reads what it explains" {
	available 100000
	stuffed "$said"
	start --once --explain
	wait_for waits_for_reader
	run ! no_give_held
	kill "$pid"
	wait_for has_ended
}

hears_of_it() {
	grep -Eaq 'memguard: [1-9] earlier lines are lost: standard error was not read$' "$BATS_TEST_TMPDIR/heard" &&
		grep -aq '^memguard: read the configuration again' "$BATS_TEST_TMPDIR/heard"
}

@test "who does not take what it says holds nothing up, and hears what was lost" {
	listen
	mkfifo "$said"
	exec 7<>"$said"
	start -v
	hears READY=1
	dd if=/dev/zero of="$said" oflag=nonblock bs=4096 count=100 2>/dev/null || true
	available 100000
	wait_for no_give_held
	hears WATCHDOG=1 WATCHDOG=1
	timeout 120 cat <&7 >"$BATS_TEST_TMPDIR/heard" 3>&- &
	reader=$!
	wait_for test -s "$BATS_TEST_TMPDIR/heard" # there is room for more
	kill -HUP "$pid"
	wait_for hears_of_it
	run ! grep -a 'critical: ' "$BATS_TEST_TMPDIR/heard"
	stop
	kill "$COPROC_PID"
}
