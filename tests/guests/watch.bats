# SPDX-License-Identifier: MIT
# memstat --watch over real guests: bars that move, a QEMU that hangs, a libvirtd that comes and goes.
# bats file_tags=more
bats_require_minimum_version 1.5.0

setup_file() {
	load bed.bash
	host_needs 2500
	guests_start 2 w max=512 current=256
	guest_wait w1 w2
}

teardown_file() {
	load bed.bash
	guests_stop_all
}

setup() {
	load bed.bash
	load ../cli/terminal.bash
	terminal_setup
	world=$LIBVIRT_DEFAULT_URI
	root=
}

teardown() {
	terminal_end
	kill -CONT "$(guest_pid w1)"
}

wait_for() {
	wait_until 60 "$@"
}

# bar GUEST CELL: how many such cells its bar has.
bar() {
	shown | sed -n "s/^$1 //p" | grep -o "$2" | wc -l
}

bar_is() {
	[ "$(bar "$1" "$2")" "$3" "$4" ]
}

@test "bars follow load and balloon" {
	watching 80x24
	sees '^w1 +█+░+·+ ' '^w2 +█+░+·+ '
	local used away
	used=$(bar w1 █) away=$(bar w2 ·)
	guest_load w1 120
	guest_set w2 384
	wait_for bar_is w1 █ -gt "$((used + 2))"
	wait_for bar_is w2 · -lt "$((away - 2))"
	press q
	given_back 0
	guest_ask w1 0
	guest_set w2 256
}

@test "while a QEMU hangs, keys are heeded; then it is named, and back when it goes on" {
	watching 80x24 --deadline 100s
	sees '^w1 +█'
	kill -STOP "$(guest_pid w1)"
	sees '^no answer for [0-9]+ s$'
	press s
	sees ' by used '
	press q
	given_back 0
	rm "$dir/over"
	type_line 'clear; echo be""fore; w --deadline 2s'
	sees '^w1 .* unresponsive$' '^w2 +█'
	kill -CONT "$(guest_pid w1)"
	sees '^w1 +█'
	press q
	given_back 0
}

# bats test_tags=long
@test "libvirtd goes away and comes back" {
	watching 80x24
	sees '^w1 +█'
	libvirtd_stop
	sees '^trying again' '^w1 +█'
	libvirtd_start
	wait_for gone '^trying again'
	sees '^w1 +█'
	press q
	given_back 0
}

gone() {
	unseen=("$1")
	! shows_unseen && [ "${#screen[@]}" -gt 0 ]
}
