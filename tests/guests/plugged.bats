# SPDX-License-Identifier: MIT
# Memory devices: DIMMs that a guest does not put to use, and NVDIMMs, which the balloon does not reach.
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
short_pass() {
	membalance --once --reserve 5GiB --log="$log"
	guest_fresh plugged
}

# What was learned of the guest is void when the DIMM comes: it is taken from after new samples at rest.
is_taken() {
	short_pass
	grep -qs '"name":"plugged"' "$log"
}

@test "single passes leave a guest what it uses beside a DIMM that it does not put to use" {
	log=$BATS_TEST_TMPDIR/moves
	guest_start plugged max=256 current=256 cmdline=memhp_default_state=offline extra="$(dimm_slots 256)"
	guest_wait plugged
	guest_ask plugged 60
	guest_fresh plugged
	membalance --once # learns what its kernel keeps
	guest_plug plugged 512
	wait_until 120 is_taken
	short_pass
	short_pass
	guest_ask plugged 61 # its load program answers
	least=$(guest_least plugged)
	jq -es --argjson least "$least" 'map(select(.name == "plugged")) |
		all(.[]; .asked_bytes >= $least * 1024)' "$log" || { echo "$least"; cat "$log"; return 1; }
	[ "$(guest_restarts plugged)" -eq 0 ]
	[ "$(guest_boots plugged)" -eq 1 ]
}

# QEMU touches all of an NVDIMM when it starts, so rss shows it: like memory that a take did not free.
# bats test_tags=long
@test "a guest with an NVDIMM gives, and grows up to the size that its balloon reaches" {
	truncate -s 128M "$BED/guests/nvdimm"
	guest_boot pmem max=512 current=384 extra="$(dimm_slots 384)" devices="<memory model='nvdimm' access='shared'>
		<source><path>$BED/guests/nvdimm</path></source><target><size unit='MiB'>128</size><node>0</node></target></memory>"
	guest_wait pmem
	loop_begin --reserve 2GiB
	loop_goes_on 3
	guest_ask pmem 190 25
	guest_ask pmem 20
	wait_until 150 at_most pmem 345 # what it used of the last minute is kept for it
	loop_goes_on 8
	guest_ask pmem 190 25
	wait_until 60 at_least pmem 383
	loop_goes_on 8
	loop_end
	jq -es 'all(.[].moves[]; .reason != "stuck" and .reason != "no-gain")' "$passes" || { jq -c '.moves[]' "$passes"; return 1; }
	[ "$(guest_restarts pmem)" -eq 0 ]
}
