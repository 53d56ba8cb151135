# SPDX-License-Identifier: MIT
# A herd of guests, some of whose QEMUs are stopped: 12, and 40 in check-long.
bats_require_minimum_version 1.5.0

HERD=${HERD:-12}

setup_file() {
	load bed.bash
	file_begin $((200 * HERD))
	local i names=()
	for ((i = 1; i <= HERD; i++)); do
		guest_start "g$i" max=128 current=128 period=2
		names+=("g$i")
	done
	guest_wait "${names[@]}"
	guest_fresh "${names[@]}"
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
	awk -v start="$start" -v now="$EPOCHREALTIME" 'BEGIN { exit !(now - start < 28) }' # a call to them takes 30 s and more
	output=$(grep '^{' <<<"$output")
	jq -e --argjson stopped "$1" --argjson all "$HERD" '
		([.moves[] | select(.reason == "unresponsive")] | length) == $stopped
		and ([.moves[] | select(.action == "shrink" or .action == "grow" or .action == "keep")] | length) == $all - $stopped
		and .result == "partly"' <<<"$output"
}

@test "all healthy: nobody is unresponsive" {
	run --separate-stderr membalance -J --target 30MiB --deadline 60s
	[ "$status" -eq 0 ]
	jq -e --argjson all "$HERD" '.result == "done" and (.moves | length) == $all and all(.moves[]; .reason != "unresponsive")' <<<"$output"
}

@test "one stopped: named, the others are balanced; continued, it is back in the next pass" {
	stopped STOP 1
	balanced 1 40MiB
	balanced 1 30MiB
	stopped CONT 1
	run membalance -J --target 35MiB --deadline 60s
	[ "$status" -eq 0 ]
	jq -e 'all(.moves[]; .reason != "unresponsive")' <<<"$(grep '^{' <<<"$output")"
}

@test "six stopped: the same, and memstat says so" {
	stopped STOP 6
	balanced 6 40MiB
	balanced 6 30MiB
	run memstat -J --deadline 10
	[ "$status" -eq 3 ]
	stopped CONT 6
	run membalance -J --target 35MiB --deadline 60s
	[ "$status" -eq 0 ]
	jq -e 'all(.moves[]; .reason != "unresponsive")' <<<"$(grep '^{' <<<"$output")"
}

@test "a loop with a stopped guest goes on at its pace" {
	stopped STOP 1
	loop_begin --deadline 10 2>/dev/null
	loop_goes_on 8
	stopped CONT 1
	loop_end
	# The first waits for it; a pass that did so again would take half the deadline.
	jq -es '[.[].time_seconds] | [., .[1:]] | transpose | map(select(all(. != null)) | .[1] - .[0]) | sort | .[length / 2 | floor] < 4' \
		"$passes"
}
