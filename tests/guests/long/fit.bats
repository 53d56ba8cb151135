# SPDX-License-Identifier: MIT
# memstat --fit, tried by starting the guests. The bed's host has what the guests there hold, its reserve and 100 MiB.
bats_require_minimum_version 1.5.0

setup() {
	load ../bed.bash
	pid=
	guard=
	host_keeper=
	file_begin 6144
	echo 'take = needed' >>/etc/memsched.conf.d/test.conf
}

teardown() {
	[ -n "${BATS_TEST_COMPLETED:-}" ] || timeout 20 memstat || :
	[ -z "$guard" ] || kill "$guard" || :
	kill_background
	[ -z "$host_keeper" ] || host_end
	file_end
	virsh -q undefine new 2>/dev/null || :
	virsh -q undefine big 2>/dev/null || :
}

# define GUEST MIB [KEY=VALUE]: with all of its memory from the start.
define() {
	guest_files "$1" "max=$2" "${@:3}"
	virsh -q define "$BED/guests/$1.xml"
}

# start_and_fill GUEST MIB: until its load program holds so much.
start_and_fill() {
	timeout 60 virsh -q start "$1"
	guest_wait "$1"
	guest_ask "$1" "$2"
}

# What passes find not worth a command may lack: 5 MiB a guest.
keeps_reserve() {
	[ "$(host_available_mib)" -ge $(($(host_reserve_mib) - 15)) ]
}

@test "a guest that fits leaves the host its reserve, and one that does not fit does not" {
	local began=$SECONDS
	guests_start 2 old max=768 current=768
	guest_wait old1 old2
	for guest in old1 old2; do
		guest_ask "$guest" 500
		guest_ask "$guest" 20
	done
	guest_fresh old1 old2
	host_begin $(($(guest_rss_kib old1) / 1024 + $(guest_rss_kib old2) / 1024 + 393))
	loop_begin
	loop_goes_on 3
	memguard 3>&- 4>&- &
	guard=$!
	wait_until 60 memguard_is_there

	largest=$(largest largest)
	define new $((largest - 30))
	run -0 memstat --fit new
	echo "# $output" >&3
	[[ $output == 'yes: new ('*') fits; '*' are taken from old1, '*' from old2; no more such guest fits' ]]
	# It fills itself as it boots; later it would be a guest with idle memory, which a tight host takes.
	sed -i 's/^boot_grace.*/boot_grace = 60s/' /etc/memsched.conf.d/test.conf
	sleep $((began + 60 > SECONDS ? began + 60 - SECONDS : 0)) # the others have booted
	kill -HUP "$pid"
	start_and_fill new $((largest - 150))
	wait_until 120 keeps_reserve
	loop_goes_on 5
	keeps_reserve
	for guest in old1 old2; do
		at_least "$guest" 200 # the floor of a guest of 768 MiB
		[ "$(guest_restarts "$guest")" -eq 0 ]
	done
	guest_stop new
	guest_fresh old1 old2
	loop_goes_on 3

	most=$(largest most)
	define big $((most + 200)) balloon=none # with one it would be kept small, and what it needs would not fit into it
	run -2 memstat --fit big
	echo "# $output" >&3
	start_and_fill big $((most + 50))
	loop_goes_on 10
	kill -0 "$host_keeper" # or the host would be one of before
	[ "$(host_available_mib)" -lt $(($(host_reserve_mib) - 50)) ]
}

# largest MEMBER: MiB of the largest guest that fits, by that member of the JSON.
largest() {
	local json
	json=$(memstat --fit 1 -J) || [ "$json" ]
	jq ".$1_bytes / 1048576 | floor" <<<"$json"
}

memguard_is_there() {
	[[ $(memstat) == *'guard: calm'* ]]
}
