# SPDX-License-Identifier: MIT
# Real guests that want more than there is: a reserve just below what is available makes any host short. What is available is
# what these guests leave of a host of their own, so that nobody else's memory comes and goes.
# bats file_tags=more
bats_require_minimum_version 1.5.0

setup_file() {
	load bed.bash
	file_begin 2500
	guest_start light max=768 current=512
	guest_start heavy max=768 current=512 \
		metadata="<memsched:memory xmlns:memsched='urn:memsched:domain:1.0'><memsched:weight>200</memsched:weight></memsched:memory>"
	guest_wait light heavy
	guest_ask light 60
	guest_ask heavy 60
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
	guest_fresh light heavy
}

teardown() {
	kill_background
}

available_kib() {
	awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo
}

# reserve_short_by MIB OPTION…: the reserve (KiB) with which the guests lack so much. It is asked for with one that lies far above what
# is available, because guests lack nothing of what there is.
reserve_short_by() {
	local reserve short
	reserve=$(($(available_kib) + 1024 * 1024))
	short=$(membalance --dry-run --quiet -J "${@:2}" --reserve "$reserve" | jq .shortage_bytes)
	echo $((reserve - short / 1024 + $1 * 1024))
}

# holds_all GUEST: whether the host holds all the memory that the guest has.
holds_all() {
	[ "$(guest_stat "$1" rss)" -ge "$(guest_stat "$1" current)" ]
}

# last GUEST CONDITION: whether the last pass said that of the guest.
last() {
	tail -n 1 "$passes" | jq -es "any(.[].moves[] | select(.name == \"$1\"); $2)" >/dev/null
}

# some GUEST CONDITION: whether any pass did.
some() {
	jq -es "any(.[].moves[] | select(.name == \"$1\"); $2)" "$passes" >/dev/null
}

shares_by_weight() {
	local light heavy
	light=$(guest_stat light usable) heavy=$(guest_stat heavy usable)
	[ $((heavy * 10)) -ge $((light * 18)) ] && [ $((heavy * 10)) -le $((light * 22)) ]
}

# Whether in the last three passes the shared level was the same, and between the least headroom of 100 MiB (short by 500 MiB) and what
# gives heavy all it wishes (short by 200 MiB).
lies_between() {
	fill_caches # of what was given since
	tail -n 3 "$passes" | jq -es '[.[].shortage_bytes / 1048576] | min > 220 and max < 480 and max - min < 20' >/dev/null
}

# Their page cache fills all that they have by now, as it does in a guest that runs for long. What guests have not touched is lent to
# others: then nothing is short.
fill_caches() {
	guest_tell light cache 700
	guest_tell heavy cache 700
}

# Whether a pass says of both that memory is short. It needs statistics from after the last move.
says_how_it_shares() {
	fill_caches
	run membalance --dry-run --quiet --explain "${options[@]}"
	[ "$status" -eq 0 ] && [ "${#lines[@]}" -eq 3 ] &&
		[[ ${lines[0]} == heavy:*"memory is short: "*"weight 200 "*" of its target of 400 MiB"*"; it needs "* ]] &&
		[[ ${lines[1]} == light:*"memory is short: "*"weight 100 "*" of its target of 400 MiB"*"; it needs "* ]] &&
		[[ ${lines[2]} =~ ^host:\ guests\ need\ .*\ available,\ .*\ a\ reserve\ of\ .*\ short\ by\ .*weight\ 100\ gets ]]
}

@test "weight 200 gets twice the headroom of weight 100, and the reasons say so" {
	local options=(--target 400MiB --tolerance 1MiB)
	fill_caches
	wait_until 120 holds_all light
	wait_until 120 holds_all heavy
	options+=(--reserve "$(reserve_short_by 320 "${options[@]}")")
	loop_begin "${options[@]}"
	loop_goes_on 4
	wait_until 120 lies_between
	wait_until 60 shares_by_weight || { tail -n 3 "$passes"; return 1; }
	loop_end
	echo "# figure: weights 100 and 200: light_mib=$(($(guest_stat light usable) / 1024)) heavy_mib=$(($(guest_stat heavy usable) / 1024))" >&3
	wait_until 60 says_how_it_shares || { echo "$output"; return 1; }
}

# bats test_tags=long
@test "a guest that ignores its balloon is stuck after 3 passes; others get what is there; it obeys again: back within 2" {
	virsh metadata heavy urn:memsched:domain:1.0 --key memsched --live --remove >/dev/null
	guest_ask light cache 0
	guest_ask heavy cache 0
	guest_set light 512
	guest_set heavy 512
	guest_ask light 380 # so that the host holds all it has, and nothing of that is only promised
	guest_ask light 20
	guest_ask light keep 300
	guest_fresh light heavy
	rm -f /run/memsched/state/* # what was asked of it above is none of this
	loop_begin
	wait_until 60 last light '.reason == "stuck"'
	loop_end
	# It went some of the way at first, and then was asked from the same size each time.
	asked=$(jq -s '[.[].moves[] | select(.name == "light" and .action == "shrink") | .from_bytes] |
		min as $least | map(select(. - $least < 1048576)) | length' "$passes")
	[ "$asked" -ge 2 ]
	[ "$asked" -le 4 ] # the first of them may have seen it move
	loop_begin --reserve $(($(available_kib) - 100 * 1024))
	guest_ask heavy 150 40 # it lives without more, too: part of the 100 MiB is promised to it already
	wait_until 60 lacks heavy
	last light '.reason == "stuck" and .action == "keep"'
	# Never more than was there: room, and what others gave since. What a pass sees of a balloon that moves may be a second old, so that
	# the growth it shows may be what the pass before had room for, too.
	jq -es '[., .[1:], .[2:]] | transpose | map(select(all(. != null)) |
		(map(.host.available_bytes - .host.reserve_bytes) | [([.[0], 0] | max), ([.[1], 0] | max)] | add) as $room |
		(map(.moves | map({(.name): .from_bytes}) | add) | {grown: (.[2].heavy - .[1].heavy), freed: (.[0].light - .[2].light)}) |
		.grown <= $room + ([.freed, 0] | max) + 2 * 1048576) | all' "$passes" ||
		{ jq -c '[.host, .moves]' "$passes"; return 1; }
	stuck=$(($(guest_actual light) / 1024))
	before=$(wc -l <"$passes")
	guest_ask light keep 0
	wait_until 60 obeys_again
	# As soon as a pass sees that it has given: the next but one at the latest knows that it obeys.
	late=$(tail -n +$((before + 1)) "$passes" | jq -s --argjson stuck "$stuck" '[.[].moves[] |
		select(.name == "light" and .reason == "stuck" and .from_bytes <= ($stuck - 2) * 1048576)] | length')
	[ "$late" -le 2 ]
	loop_end
	[ "$(guest_restarts heavy)" -eq 0 ]
	[ "$(guest_restarts light)" -eq 0 ]
}

# lacks GUEST: whether a pass said that there was not what it needed.
lacks() {
	some "$1" '.reason == "shared-shortage" or .reason == "host-reserve"'
}

obeys_again() {
	last light '.reason != "stuck"'
}

# Whether it has read more than a page a second of its 170 MiB: it does so only once it has swapped out.
swaps_in() {
	[ "$(guest_stat swaps swap_in)" -ge 4096 ]
}

# bats test_tags=long
@test "a guest that swaps is given to although it has more unused than the target: distress" {
	guest_stop light heavy
	guest_start swaps max=512 current=256 cmdline=zram=256M
	guest_wait swaps
	guest_ask swaps keep 45 # its kernel keeps some 70 MiB unused
	guest_load swaps 170 40 # on a slow machine it swaps so hard on the way that it gets there only with what it is given
	wait_until 60 swaps_in
	# Its usable memory is below any target, so it would be given to at once. As long as the host has nothing to spare, it is seen to swap.
	loop_begin --target 30MiB --reserve "$(available_kib)"
	loop_goes_on 4
	loop_end
	loop_begin --target 30MiB
	wait_until 60 some swaps '.reason == "distress" and .action == "grow"'
	loop_end
	[ "$(guest_stat swaps unused)" -ge $((40 * 1024)) ]
	[ "$(guest_restarts swaps)" -eq 0 ]
}
