# SPDX-License-Identifier: MIT
# Memory devices: DIMMs that a guest does not put to use.
# bats file_tags=more
bats_require_minimum_version 1.5.0

setup_file() {
	load bed.bash
	file_begin 1500
	host_begin 4096
}

teardown_file() {
	load bed.bash
	host_end
	file_end
}

setup() {
	load bed.bash
	pid=
}

teardown() {
	kill_background
	guests_stop_all
}

# Each pass but the first finds the host short, and takes what it can.
@test "single passes leave a guest what it uses beside a DIMM that it does not put to use" {
	log=$BATS_TEST_TMPDIR/moves
	guest_start plugged max=256 current=256 cmdline=memhp_default_state=offline extra="$(dimm_slots 256)"
	guest_wait plugged
	guest_ask plugged 60
	guest_fresh plugged
	membalance --once # learns what its kernel keeps
	guest_plug plugged 512
	for _ in 1 2 3; do
		membalance --once --reserve 5GiB --log="$log"
		guest_fresh plugged
	done
	guest_ask plugged 61 # its load program answers
	least=$(guest_least plugged)
	jq -es --argjson least "$least" 'map(select(.name == "plugged")) | length > 0 and
		all(.[]; .asked_bytes >= $least * 1024)' "$log" || { echo "$least"; cat "$log"; return 1; }
	[ "$(guest_restarts plugged)" -eq 0 ]
	[ "$(guest_boots plugged)" -eq 1 ]
}
