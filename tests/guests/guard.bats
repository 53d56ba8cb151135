# SPDX-License-Identifier: MIT
# The guard and real guests. A reserve beyond what the host has makes it short without filling it: nothing that is freed suffices.
bats_require_minimum_version 1.5.0

setup_file() {
	load bed.bash
	file_begin 2500
	guest_start light max=400 current=400 metadata='<m:memory xmlns:m="urn:memsched:domain:1.0"><m:weight>50</m:weight></m:memory>'
	guest_start heavy max=400 current=400 metadata='<m:memory xmlns:m="urn:memsched:domain:1.0"><m:min unit="MiB">300</m:min><m:weight>200</m:weight></m:memory>'
	guest_start mute max=256 current=256 cmdline=nodriver
	guest_wait light heavy mute
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
	log=$BATS_TEST_TMPDIR/log
	for guest in light heavy; do
		virsh -q setmem "$guest" 400MiB
	done
	wait_until 60 is_full light
	wait_until 60 is_full heavy
	guest_ask light 20
	guest_ask heavy 20
	guest_fresh light heavy
}

teardown() {
	[ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || :
	kill -CONT "$(guest_pid heavy)" "$(<"$BED/libvirtd.pid")"
	touch "$BATS_TEST_TMPDIR/enough" # for the slow hook
	for guest in late plugged; do
		virsh -q destroy "$guest" 2>/dev/null || :
	done
	rm -f /etc/memsched.conf.d/reserve.conf /etc/libvirt/hooks/qemu.d/aslow
}

is_full() {
	[ "$(guest_actual "$1")" -ge $((398 * 1024)) ]
}

# reserve PERCENT: a reserve of which so much is available, in the middle between critical and tight: guests come and go.
reserve() {
	echo --reserve $(($(host_available_mib) * 100 / $1))MiB
}

# guard OPTION…: in the background.
guard() {
	memguard -v "$@" 2>"$log" 3>&- 4>&- &
	pid=$!
}

@test "calm: a single run says and changes nothing" {
	run memguard --once
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	is_full light && is_full heavy
}

@test "tight: what is idle comes back, here all of it; the headroom stays; what could not be freed is said" {
	wait_until 60 tight_frees_no_more
	at_most light 300
	usable=$(guest_stat light usable)
	[ "$usable" -ge 110000 ]
	at_least heavy 299
	memstat --explain --at "$(date '+%F %T')" light | grep ' memguard asked it to go from .* (host-reserve)'
}

# A single run ends as soon as nothing more comes, on a slow machine with its deadline before: the next one goes on.
tight_frees_no_more() {
	# shellcheck disable=SC2046
	run memguard --once --deadline 20s $(reserve 62)
	[ "$status" -eq 1 ] && [[ $output == *"cannot free: needed "*"light (at-min)"* && $output == *"mute (no-driver)"* ]]
}

# bats test_tags=long
@test "critical: everyone to the guard's bottom, which a guest outlives; min holds" {
	# shellcheck disable=SC2046
	run memguard --once --deadline 20s --explain $(reserve 40)
	[ "$status" -eq 1 ]
	[[ $output == *"light: gives "*" it is left at least "* ]]
	wait_until 60 at_most light 200
	at_least heavy 299
	guest_ask light 21 # its load program answers
	[ "$(guest_restarts light)" -eq 0 ]
}

@test "a dry run shows it and changes nothing" {
	# shellcheck disable=SC2046
	run memguard --dry-run --explain $(reserve 40)
	[ "$status" -eq 0 ]
	[[ $output == *"heavy: gives "* && $output == *"host: critical: "* ]]
	is_full light && is_full heavy
}

@test "while it is tight nothing is given; when the guard dies, gives go on" {
	# shellcheck disable=SC2046
	guard $(reserve 62)
	wait_until 60 at_most light 250
	guest_ask light 100
	guest_fresh light
	run membalance -J
	jq -e '.moves[] | select(.name == "light") | .reason == "no-give"' <<<"$output"
	at_most light 250
	kill -KILL "$pid"
	wait_until 60 balanced_up
}

balanced_up() {
	membalance >/dev/null
	at_least light 260
}

# bats test_tags=long
@test "libvirtd is restarted in the middle: the guard stays and goes on, and tells once" {
	# shellcheck disable=SC2046
	guard $(reserve 62)
	wait_until 60 at_most light 300
	libvirtd_restart 3>&- 4>&-
	wait_until 60 guard_said 'cannot see the guests'
	rounds=$(guard_rounds)
	virsh -q setmem light 400MiB
	wait_until 60 guard_acted_since "$rounds"
	wait_until 60 at_most light 300
	[ "$(grep -c 'error: cannot see the guests' "$log")" -eq 1 ]
	kill -0 "$pid"
}

# How many rounds of commands it has told of.
guard_rounds() {
	grep -c 'commands, ' "$log" || :
}

guard_acted_since() {
	[ "$(guard_rounds)" -gt "$1" ]
}

guard_said() {
	grep -q "$1" "$log"
}

# bats test_tags=more
@test "a stopped QEMU costs the others nothing" {
	stopped=$(guest_pid heavy)
	kill -STOP "$stopped"
	# shellcheck disable=SC2046
	guard $(reserve 62)
	wait_until 60 at_most light 300
	wait_until 60 guard_said 'heavy (unresponsive)'
	kill -CONT "$stopped"
	wait_until 60 at_most heavy 305
}

# slow_hook: holds up the start of "late", and so libvirt's list, until there is a file "enough".
slow_hook() {
	cat >/etc/libvirt/hooks/qemu.d/aslow <<-HOOK
		#!/bin/sh
		[ "\$1 \$2" = "late prepare" ] || exit 0
		touch "$BATS_TEST_TMPDIR/begun"
		tries=0
		while [ ! -e "$BATS_TEST_TMPDIR/enough" ] && [ \$tries -lt 6000 ]; do
			sleep 0.1
			tries=\$((tries + 1))
		done
		exit 0
	HOOK
	chmod 755 /etc/libvirt/hooks/qemu.d/aslow
}

# serves_the_known COMMAND FILTER: what FILTER leaves of its output has the guests that were there before, and it says that these are all.
serves_the_known() {
	run --separate-stderr "$1" --deadline 20 -J
	[ "$status" -eq 0 ]
	[[ $stderr == *'libvirt does not list its guests'* ]]
	jq -es "[.[] | $2 | .name] | contains([\"heavy\", \"light\"])" <<<"$output"
}

# bats test_tags=long
@test "a slow hook of another guest: the guard, passes and memstat go on serving the others" {
	slow_hook
	# shellcheck disable=SC2046
	guard $(reserve 62)
	wait_until 60 at_most light 300
	guest_boot late max=128 current=128 3>&- 4>&- &
	starting=$!
	wait_until 60 test -e "$BATS_TEST_TMPDIR/begun"
	sleep 1 # the list is held up by now
	rounds=$(guard_rounds)
	virsh -q setmem light 400MiB
	wait_until 60 guard_acted_since "$rounds"
	wait_until 60 at_most light 300
	serves_the_known membalance '.moves[] | select(.reason != "unresponsive")'
	serves_the_known memstat '.domains[] | select(.usable_bytes)'
	kill -0 "$starting" # the hook still runs
	touch "$BATS_TEST_TMPDIR/enough"
	wait "$starting"
}

loop_said() {
	grep -q "$1" "$BATS_TEST_TMPDIR/said"
}

# Each step is well within the headroom that the guest has by then, and each size is its need at rest: no speed decides.
# bats test_tags=more
@test "a slow hook of another guest: a loop gives to a guest that grows meanwhile" {
	guest_set light 250
	wait_until 60 at_most light 251
	slow_hook
	rm -f /run/memsched/said # or it is not said again
	loop_begin --deadline 20 2>"$BATS_TEST_TMPDIR/said"
	loop_goes_on 2
	guest_files late max=128 current=128
	timeout 600 virsh -q create "$BED/guests/late.xml" >/dev/null 3>&- 4>&- &
	starting=$!
	wait_until 60 loop_said 'libvirt does not list its guests' || { cat "$BATS_TEST_TMPDIR/said"; return 1; }
	before=$(wc -l <"$passes")
	guest_ask light 90 25
	wait_until 60 at_least light 295
	guest_ask light 160 25
	wait_until 60 at_least light 365
	tail -n +$((before + 1)) "$passes" | jq -es 'any(.[].moves[]; .name == "light" and .action == "grow")'
	kill -0 "$starting" # the hook still runs
	! loop_said 'resolved' || false
	[ "$(guest_restarts light)" -eq 0 ]
	touch "$BATS_TEST_TMPDIR/enough"
	wait "$starting"
	wait_until 60 loop_said 'resolved after .* libvirt does not list its guests'
	loop_end
}

# bats test_tags=more
@test "room is made for a guest that starts" {
	guest_ask light 300
	guest_ask light 20
	guest_ask heavy 300
	guest_ask heavy 20
	guest_fresh light heavy
	# more than there is, as long as it is calm
	echo "reserve = $(($(host_available_mib) * 9 / 8))MiB" >/etc/memsched.conf.d/reserve.conf
	guard
	sleep 2
	is_full light && is_full heavy
	guest_boot late max=384 current=384
	wait_until 60 at_most light 390
	wait_until 60 guard_said 'making room for a guest that starts'
}

@test "on_critical runs, with the figures, once a minute at most" {
	cat >"$BATS_TEST_TMPDIR/critical" <<-EOF
		#!/bin/sh
		echo "\$1 \$MEMSCHED_AVAILABLE_BYTES \$MEMSCHED_RESERVE_BYTES" >>"$BATS_TEST_TMPDIR/ran"
	EOF
	chmod 755 "$BATS_TEST_TMPDIR/critical"
	# shellcheck disable=SC2046
	guard $(reserve 40) --on-critical "$BATS_TEST_TMPDIR/critical word"
	wait_until 60 test -s "$BATS_TEST_TMPDIR/ran"
	sleep 2
	grep -Exq 'word [0-9]{8,} [0-9]{8,}' "$BATS_TEST_TMPDIR/ran"
	[ "$(grep -c . "$BATS_TEST_TMPDIR/ran")" -eq 1 ]
}

# light_is_taken_again: the guard has read all guests since, whatever it took of the others.
light_is_taken_again() {
	local rounds
	rounds=$(guard_rounds)
	virsh -q setmem light 400MiB
	wait_until 60 guard_acted_since "$rounds"
	wait_until 60 at_most light 300
}

# bats test_tags=more
@test "a DIMM that its guest does not put to use is nothing to take" {
	guest_start plugged max=256 current=256 cmdline=memhp_default_state=offline extra="$(dimm_slots 256)"
	guest_wait plugged
	guest_ask plugged 60
	guest_fresh plugged
	echo "log = $BATS_TEST_TMPDIR/moves" >/etc/memsched.conf.d/reserve.conf
	# shellcheck disable=SC2046
	guard $(reserve 62)
	wait_until 60 at_most light 300
	guest_plug plugged 512
	plugged=$EPOCHREALTIME
	light_is_taken_again
	light_is_taken_again
	guest_ask plugged 61 # its load program answers
	least=$(guest_least plugged)
	kill "$pid" # writes its log
	wait_until 60 process_gone "$pid"
	# what was asked before the DIMM was seen is not held against it
	jq -es --argjson least "$least" --argjson plugged "$plugged" 'any(.[]; .name == "light" and .time_seconds > $plugged) and
		all(.[] | select(.name == "plugged" and .from_bytes > 300 * 1048576); .asked_bytes >= $least * 1024)' "$BATS_TEST_TMPDIR/moves"
	[ "$(guest_restarts plugged)" -eq 0 ]
	[ "$(guest_boots plugged)" -eq 1 ]
	guest_stop plugged
}

# bats test_tags=more
@test "it stops when it is told to, and leaves nothing behind" {
	# shellcheck disable=SC2046
	guard $(reserve 62)
	wait_until 60 at_most light 300
	kill "$pid"
	wait_until 60 process_gone "$pid"
	flock -n /run/memsched/no-give true
}

# Its workers are in calls that do not come back, its keeper is in one for the list.
# bats test_tags=long
@test "it ends when it is told to, with a libvirtd and a QEMU that hang" {
	kill -STOP "$(guest_pid heavy)"
	# shellcheck disable=SC2046
	guard $(reserve 62)
	wait_until 60 at_most light 300
	kill -STOP "$(<"$BED/libvirtd.pid")"
	wait_until 60 guard_said 'cannot see the guests'
	kill "$pid"
	wait_until 60 process_gone "$pid"
	flock -n /run/memsched/no-give true
}
