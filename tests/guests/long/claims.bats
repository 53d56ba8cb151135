# SPDX-License-Identifier: MIT
# What the rule promises to guests of a host that has memory: real guests under loads that come late, at once, in turns, or as page
# cache. The bed's host is as large as each test says, whatever else the machine does.
bats_require_minimum_version 1.5.0

setup() {
	load ../bed.bash
	pid=
	passes=
	host_keeper=
	file_begin 6144
}

teardown() {
	[ -n "${BATS_TEST_COMPLETED:-}" ] || show_state
	kill_background
	[ -z "$host_keeper" ] || host_end
	umount "$KSM" 2>/dev/null || :
	file_end
}

# What a test that failed leaves behind, for the report.
show_state() {
	tail -n 3 "$passes" 2>/dev/null || :
	timeout 20 memstat || :
}

configure() {
	printf '%s\n' "$@" >>/etc/memsched.conf.d/test.conf
}

# kills GUEST…: of their load programs, since they were started.
kills() {
	local guest sum=0
	for guest; do
		sum=$((sum + $(guest_restarts "$guest")))
	done
	echo "# figure: $BATS_TEST_DESCRIPTION: kills=$sum" >&3
	echo "$sum"
}

figure() {
	echo "# figure: $BATS_TEST_DESCRIPTION: $*" >&3
}

# ---- statistics that come late

held_or_killed() {
	guest_held "$@" || [ "$(guest_restarts "$1")" -gt 0 ]
}

# They begin to grow a pass after they are seen first, by 25 MiB a second.
grow_to_600() {
	local guest
	for guest in p5 p10 p60; do
		guest_start "$guest" max=768 current=384 "period=${guest#p}"
	done
	guest_wait p5 p10 p60
	host_begin 8192
	loop_begin
	loop_goes_on 2
	for guest in p5 p10 p60; do
		guest_load "$guest" 600 25
	done
	for guest in p5 p10 p60; do
		wait_until 300 held_or_killed "$guest" 600
	done
	[ "$(kills p5 p10 p60)" -eq 0 ]
}

@test "guests that report each 5, 10 and 60 s are made to report each second, and grow unharmed" {
	grow_to_600
	for guest in p5 p10 p60; do
		[[ $(virsh dumpxml "$guest") == *"<stats period='1'/>"* ]]
	done
}

@test "and so they do if their periods are left as they are" {
	configure 'stats_period = 60s'
	grow_to_600
	[[ $(virsh dumpxml p60) == *"<stats period='60'/>"* ]]
}

# ---- memory that others may call for

KSM=/sys/kernel/mm/ksm/pages_sharing

# grows_beside MIB: a guest grows by 25 MiB a second on a host with so much.
grows_beside() {
	guest_start grows max=768 current=384
	guest_wait grows
	host_begin "$1"
	loop_begin
	loop_goes_on 2
	guest_load grows 600 25
	wait_until 300 held_or_killed grows 600
	[ "$(kills grows)" -eq 0 ]
}

# The machine's own KSM stays as it is.
@test "24 GiB that KSM has merged hold up no guest that grows" {
	echo $((24 * 262144)) >"$BED/pages_sharing"
	mount --bind "$BED/pages_sharing" "$KSM"
	grows_beside 8192
	promised=$(head -n 1 "$passes" | jq '.host.promised_bytes / 1048576 | floor')
	figure "promised_mib=$promised"
	[ "$promised" -ge 1536 ] # a sixteenth
	[ "$promised" -le $((1536 + 384)) ]
}

@test "two guests of 20 GiB that boot without a driver hold up no guest that grows" {
	guest_boot big1 max=20480 cmdline=nodriver
	guest_boot big2 max=20480 cmdline=nodriver
	grows_beside 14438 # a guest was killed beside so much
	said=$(jq -r '.moves[] | select(.name | startswith("big")) | .reason' "$passes" | sort -u)
	[[ $said = no-driver || $said = booting$'\n'no-driver ]]
}

# ---- page cache

# cached GUEST: MiB of page cache it has.
cached() {
	echo $(($(guest_stat "$1" disk_caches) / 1024))
}

@test "a host with plenty leaves a guest its 500 MiB of page cache" {
	guest_start reader max=1024 current=1024
	guest_wait reader
	host_begin 20480
	guest_ask reader cache 500
	guest_fresh reader
	before=$(cached reader)
	[ "$before" -ge 495 ]
	loop_begin
	for _ in {1..6}; do
		loop_goes_on 50 # 5 min
	done
	figure "cached_mib=$(cached reader) before=$before"
	[ "$(cached reader)" -ge $((before - 5)) ]
}

# beyond GUEST: MiB that it has for page cache beyond its target of 150000 KiB.
beyond() {
	echo $((($(guest_stat "$1" usable) - 150000) / 1024))
}

# Each reads more than it can keep, over and over.
read_on() {
	local end=$((SECONDS + 400))
	while [ $SECONDS -lt $end ]; do
		guest_ask light cache 1800
		guest_ask heavy cache 1800
	done
}

is_shared() {
	local light heavy
	light=$(beyond light) heavy=$(beyond heavy)
	share="light_mib=$light heavy_mib=$heavy"
	[ "$light" -ge 200 ] && [ $((heavy * 100)) -ge $((light * 340)) ] && [ $((heavy * 100)) -le $((light * 460)) ]
}

# weight WEIGHT: metadata.
weight() {
	echo "<m:memory xmlns:m='urn:memsched:domain:1.0'><m:weight>$1</m:weight></m:memory>"
}

@test "on a host without plenty, weights of 100 and 400 share page cache 1 to 4 within 15 %" {
	guest_start light max=2048 current=900 metadata="$(weight 100)"
	guest_start heavy max=2048 current=900 metadata="$(weight 400)"
	guest_wait light heavy
	host_begin 2900
	read_on 3>&- 4>&- &
	readers=$!
	loop_begin
	wait_until 300 is_shared || { figure "$share"; kill "$readers"; false; }
	loop_goes_on 20
	is_shared || { figure "$share"; kill "$readers"; false; }
	figure "$share"
	kill "$readers"
}

# ---- guests whose MemTotal does not follow the balloon

# rests_and_grows GUEST: it holds 200 MiB of its 1 GiB, and is not moved any more after 30 s. Then it grows.
rests_and_grows() {
	local moves
	guest_wait "$1"
	host_begin 2048
	guest_ask "$1" 200
	guest_fresh "$1"
	available=$(guest_stat "$1" available)
	loop_begin
	loop_goes_on 30
	loop_goes_on 50
	moves=$(tail -n 50 "$passes" | jq -s '[.[].moves[] | select(.action != "keep" and .action != "skip")] | length')
	figure "moves=$moves"
	[ "$moves" -eq 0 ]
	at_most "$1" 640
	available=$((available - $(guest_stat "$1" available)))
	guest_load "$1" 700 25
	wait_until 300 held_or_killed "$1" 700
	[ "$(kills "$1")" -eq 0 ]
}

# Like Windows: what QEMU is told the definition does not show. With autodeflate= in the definition, QEMU would ignore the -global.
@test "a guest whose MemTotal stays is at rest after 30 s of a constant load, and grows unharmed" {
	guest_start windows max=1024 current=1024 autodeflate= extra="<qemu:commandline
		xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><qemu:arg value='-global'/><qemu:arg
		value='virtio-balloon-device.deflate-on-oom=on'/></qemu:commandline>"
	rests_and_grows windows
	[ "$available" -eq 0 ]
}

@test "a guest whose MemTotal follows is at rest after 30 s of a constant load, and grows unharmed" {
	guest_start linux max=1024 current=1024
	rests_and_grows linux
	[ "$available" -ge $((384 * 1024)) ]
}

# ---- loads that come again

# repeats MIB SECONDS TIMES: of guest "busy" from 20 MiB, at once.
repeats() {
	local i
	for ((i = 0; i < $3; i++)); do
		guest_ask busy "$1" || : # it was killed
		sleep "$2"
		guest_ask busy 20
		sleep "$2"
	done
}

# again MIB SECONDS: the first may kill it, those after it must not.
again() {
	local first
	guest_start busy max=1024 current=512
	guest_wait busy
	host_begin 8192
	loop_begin
	loop_goes_on 2
	repeats "$1" "$2" 1
	first=$(guest_restarts busy)
	repeats "$1" "$2" 5
	figure "first=$first later=$(($(guest_restarts busy) - first))"
	[ "$(guest_restarts busy)" -eq "$first" ]
}

@test "swings of 20 s between 20 and 200 MiB kill at most once" {
	again 200 10
}

@test "bursts of 300 MiB kill at most once" {
	again 300 5
}

# ---- memguard alone

@test "memguard alone gives back what it took, once the host is calm again" {
	guest_start idle max=640 current=640
	guest_wait idle
	host_begin 4096
	guest_ask idle 500
	guest_ask idle 20
	guest_fresh idle
	configure "reserve = $(($(host_available_mib) * 3 / 2))MiB"
	memguard -v 2>"$BATS_TEST_TMPDIR/log" 3>&- 4>&- &
	pid=$!
	wait_until 60 at_most idle 300
	configure 'reserve = 300MiB'
	kill -HUP "$pid"
	wait_until 120 at_least idle 630
	guest_ask idle 500
	[ "$(kills idle)" -eq 0 ]
}
