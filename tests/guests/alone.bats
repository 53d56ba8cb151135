# SPDX-License-Identifier: MIT
# Guests that are left alone, each with its reason, beside one that is balanced.
bats_require_minimum_version 1.5.0

setup_file() {
	load bed.bash
	file_begin 2500
	# Its kernel does not put a DIMM to use, which is Linux' default without a udev rule.
	guest_start healthy max=256 current=256 cmdline=memhp_default_state=offline extra="$(dimm_slots 256)"
	guest_start driverless max=256 cmdline=nodriver
	guest_start bare max=256 balloon=none
	guest_start resting max=256
	guest_start leaving max=256
	guest_start excluded max=256
	guest_wait healthy driverless bare resting leaving excluded
	virsh suspend resting >/dev/null
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

# reason GUEST: the word of it in the output of the last run.
reason() {
	jq -r --arg name "$1" '.moves[] | select(.name == $name) | .action + " " + .reason' <<<"$output"
}

@test "each is named with its reason, and the healthy one is balanced" {
	echo 'exclude = excl*' >>/etc/memsched.conf.d/test.conf
	run membalance -J
	[ "$status" -eq 0 ]
	[ "$(reason driverless)" = 'skip no-driver' ]
	[ "$(reason bare)" = 'skip no-balloon' ]
	[ "$(reason resting)" = 'skip paused' ]
	[ "$(reason excluded)" = 'skip excluded' ]
	[[ $(reason healthy) == 'shrink above-target' || $(reason healthy) == 'keep at-'* ]]
	[ "$(guest_actual bare)" -eq $((256 * 1024)) ]
	[ "$(guest_actual resting)" -eq $((256 * 1024)) ]
}

@test "memstat shows the same reasons, and dashes for what is not known" {
	run memstat driverless bare
	[[ $output =~ driverless\ .*-\ .*no-driver ]]
	[[ $output =~ bare\ .*-\ .*no-balloon ]]
}

@test "a guest that is destroyed during the pass disturbs nobody" {
	pid=$(guest_pid leaving)
	kill -STOP "$pid"
	membalance --deadline 40 -J >"$BATS_TEST_TMPDIR/pass" 3>&- &
	pass=$!
	wait_until 60 lock_held /run/memsched/lock
	sleep 3 # the pass waits for it for half of its deadline
	kill -KILL "$pid"
	wait "$pass"
	jq -e '(.moves[] | select(.name == "leaving") | .reason == "vanished")
		and (.moves[] | select(.name == "bare") | .reason == "no-balloon")' "$BATS_TEST_TMPDIR/pass"
	wait_until 60 guest_gone leaving # from libvirt's list too, which hears of it when it gets to it
	run membalance -J
	[ "$status" -eq 0 ]
	[ -z "$(reason leaving)" ]
}

is_balanced() {
	membalance -J | jq -e --arg name "$1" '.moves[] | select(.name == $name) |
		.reason == "at-target" or .reason == "above-target" or .reason == "at-min"'
}

# bats test_tags=long
@test "a guest that reboots is left in peace, and then balanced again" {
	guest_start restarting max=512 current=256
	guest_wait restarting
	loop_begin
	loop_goes_on 4
	boots=$(guest_boots restarting)
	guest_tell restarting reboot
	wait_until 120 guest_booted_more "$boots" restarting
	loop_goes_on 2
	loop_end
	jq -es 'all(.[]; .result == "done")' "$passes"
	[ "$(guest_restarts restarting)" -eq 0 ]
	wait_until 120 is_balanced restarting
}

@test "a DIMM that the guest does not put to use is not taken for free memory" {
	loop_begin
	loop_goes_on 3
	guest_plug healthy 512
	loop_goes_on 4
	loop_end
	guest_ask healthy 40
	[ "$(guest_boots healthy)" -eq 1 ]
	[ "$(guest_restarts healthy)" -eq 0 ]
}
