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
		and .result == "partly"' <<<"$output" || { jq -c '.moves[] | [.name, .action, .reason, .error]' <<<"$output"; return 1; }
}

@test "all healthy: nobody is unresponsive" {
	run --separate-stderr membalance -J --target 30MiB --deadline 60s
	[ "$status" -eq 0 ]
	jq -e --argjson all "$HERD" '.result == "done" and (.moves | length) == $all and all(.moves[]; .reason != "unresponsive")' <<<"$output"
}

# calls NUMBER: how often this procedure of libvirt's protocol was called.
calls() {
	grep -c "RPC_CLIENT_MSG_TX_QUEUE.*prog=536903814 .*proc=$1 " "$log" || :
}

@test "a loop asks for several guests at once, and for the XML of each only now and then" {
	log=$BATS_TEST_TMPDIR/calls
	begin=$SECONDS
	LIBVIRT_LOG_FILTERS=2:rpc.netclient LIBVIRT_LOG_OUTPUTS=1:file:$log loop_begin --dry-run
	loop_goes_on 8
	loop_end
	most=$(((SECONDS + 1 - begin) / 10 + 1)) # of readings every 10 s
	passes=$(calls 273)                  # lists
	[ "$passes" -ge 8 ]
	[ "$(calls 344)" -ge $((passes - 1)) ]
	[ "$(calls 344)" -le $((4 * (passes + 1) + HERD)) ] # a worker takes a quarter of the guests, or one that was busy
	[ "$(calls 14)" -ge "$HERD" ]
	[ "$(calls 14)" -le $((HERD * most)) ]
}

# has_reason GUEST REASON: whether the last pass said so.
has_reason() {
	tail -n 1 "$passes" | jq -e --arg name "$1" --arg reason "$2" 'any(.moves[]; .name == $name and .reason == $reason)' >/dev/null
}

lacks_reason() {
	! has_reason "$@"
}

has_job() {
	virsh domjobinfo "$1" | grep -q '^Operation: *Dump'
}

# bats test_tags=long
@test "a guest that is dumped under a loop is left alone, and back when that is over" {
	helper=/usr/lib/libvirt/libvirt_iohelper
	cp $helper "$BED/iohelper"
	printf '#!/bin/sh\nuntil [ -e %s/go ]; do sleep 0.1; done\nexec %s/iohelper "$@"\n' "$BED" "$BED" >"$BED/waiting"
	chmod +x "$BED/waiting"
	loop_begin
	loop_goes_on 2
	mount --bind "$BED/waiting" $helper
	virsh dump g1 "$BED/dump" --live >/dev/null 3>&- 4>&- &
	dump=$!
	wait_until 60 has_job g1
	umount -l $helper
	guest_tell g1 60
	wait_until 60 has_reason g1 migrating
	loop_goes_on 2
	touch "$BED/go"
	wait "$dump"
	wait_until 60 lacks_reason g1 migrating
	loop_end
	jq -es 'all(.[].moves[]; .reason != "failed" and (.reason != "migrating" or .action == "skip"))' "$passes"
	guest_tell g1 0
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

# bats test_tags=long
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

# bats test_tags=more
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
