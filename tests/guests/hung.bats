# Forty guests, some of whose QEMUs are stopped.
bats_require_minimum_version 1.5.0

setup_file() {
	load bed.bash
	file_begin 9500
	local batch i
	for ((batch = 0; batch < 4; batch++)); do
		for ((i = 10 * batch + 1; i <= 10 * batch + 10; i++)); do
			guest_start "g$i" max=128 current=128 period=2
		done
		for ((i = 10 * batch + 1; i <= 10 * batch + 10; i++)); do
			guest_wait "g$i"
		done
	done
	sleep 3
}

teardown_file() {
	load bed.bash
	file_end
}

setup() {
	load bed.bash
	pid=
}

teardown() {
	kill_background
}

# stopped SIGNAL NUMBER: sends it to the QEMUs of the first NUMBER guests.
stopped() {
	local i
	for ((i = 1; i <= $2; i++)); do
		kill "-$1" "$(guest_pid "g$i")"
	done
}

# balanced NUMBER TARGET: with NUMBER stopped the pass ends within its deadline, names them, and moves the others.
balanced() {
	local start=$EPOCHREALTIME
	run membalance --deadline 10 --target "$2" -J
	[ "$status" -eq 3 ]
	awk -v start="$start" -v now="$EPOCHREALTIME" 'BEGIN { exit !(now - start < 12) }'
	output=$(grep '^{' <<<"$output")
	jq -e --argjson stopped "$1" '
		([.moves[] | select(.reason == "unresponsive")] | length) == $stopped
		and ([.moves[] | select(.action == "shrink" or .action == "grow" or .action == "keep")] | length) == 40 - $stopped
		and .result == "partly"' <<<"$output"
}

@test "all healthy: nobody is unresponsive" {
	run --separate-stderr membalance -J --target 30MiB
	[ "$status" -eq 0 ]
	jq -e '.result == "done" and (.moves | length) == 40 and all(.moves[]; .reason != "unresponsive")' <<<"$output"
}

@test "one stopped: named, the other 39 are balanced; continued, it is back in the next pass" {
	stopped STOP 1
	balanced 1 40MiB
	balanced 1 30MiB
	stopped CONT 1
	run membalance -J --target 35MiB
	[ "$status" -eq 0 ]
	jq -e 'all(.moves[]; .reason != "unresponsive")' <<<"$(grep '^{' <<<"$output")"
}

@test "six stopped: the same" {
	stopped STOP 6
	balanced 6 40MiB
	balanced 6 30MiB
	run memstat -J
	[ "$status" -eq 3 ]
	stopped CONT 6
	run membalance -J --target 35MiB
	[ "$status" -eq 0 ]
	jq -e 'all(.moves[]; .reason != "unresponsive")' <<<"$(grep '^{' <<<"$output")"
}

@test "a loop with a stopped guest goes on at its pace" {
	stopped STOP 1
	timeout 12 membalance --interval 1 -J >"$BATS_TEST_TMPDIR/passes" 2>/dev/null || [ $? -eq 124 ]
	stopped CONT 1
	[ "$(wc -l <"$BATS_TEST_TMPDIR/passes")" -ge 7 ]
}
