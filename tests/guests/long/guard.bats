# SPDX-License-Identifier: MIT
# The guard on a host that runs short for real (STARVE=yes): four guests with 1.5 GiB of idle memory they have touched, 900 MiB
# available, and a process that takes 500 MiB a second. The figures stand in the report.
bats_require_minimum_version 1.5.0

guests=(g1 g2 g3 g4)

setup_file() {
	[ "${STARVE:-}" = yes ] || skip "runs the host short of memory: say STARVE=yes"
	load ../bed.bash
	host_needs 4096
	echo 'boot_grace = 1s' >/etc/memsched.conf.d/test.conf
	guests_start 4 g max=640 current=640
	guest_wait "${guests[@]}"
	make_idle
	rm /etc/memsched.conf.d/test.conf
	"$BENCH/fill" 900 >"$BATS_FILE_TMPDIR/filled" 3>&- 4>&- &
	echo $! >"$BATS_FILE_TMPDIR/fill.pid"
	wait_until 400 grep -q filled "$BATS_FILE_TMPDIR/filled"
}

teardown_file() {
	load ../bed.bash
	kill -KILL "$(cat "$BATS_FILE_TMPDIR/fill.pid")" 2>/dev/null || :
	guests_stop_all
	rm -f /etc/memsched.conf.d/test.conf
	rm -rf /run/memsched/state/* /run/memsched/said
}

setup() {
	load ../bed.bash
	pid=
	log=$BATS_TEST_TMPDIR/log
	reserve_mib=$(host_reserve_mib)
	kill -0 "$(cat "$BATS_FILE_TMPDIR/fill.pid")" || complain "the host is not full any more: an earlier flood killed what fills it"
}

teardown() {
	local jobs
	[ -n "${BATS_TEST_COMPLETED:-}" ] || show_state
	jobs=$(jobs -p)
	disown -a
	kill -KILL $jobs $pid 2>/dev/null || : # bats waits for what a test leaves running
	rm -f /etc/memsched.conf.d/test.conf
	libvirtd_answers || libvirtd_start
	virsh -q undefine other 2>/dev/null || :
	virsh -q destroy late 2>/dev/null || :
}

# What a test that failed leaves behind, for the report.
show_state() {
	tail -n 40 "$log"* 2>/dev/null || :
	tail -n 5 "$BED"/guests/late.log 2>/dev/null || :
	grep -E '^(MemTotal|MemFree|MemAvailable|AnonPages):' /proc/meminfo
	timeout 10 memstat || :
}

BENCH=$BATS_TEST_DIRNAME/../../bench

# Each has all its memory, has touched 520 MiB of it, and uses 20.
make_idle() {
	local guest
	for guest in "${guests[@]}"; do
		virsh -q setmem "$guest" 640MiB
	done
	for guest in "${guests[@]}"; do
		wait_until 30 is_full "$guest"
		guest_load "$guest" 520
	done
	for guest in "${guests[@]}"; do
		wait_until 60 guest_held "$guest" 520
		guest_ask "$guest" 20
	done
	sleep 2 # the figures are those of now
}

is_full() {
	[ "$(guest_actual "$1")" -ge $((638 * 1024)) ]
}

kills() {
	awk '$1 == "oom_kill" { print $2 }' /proc/vmstat
}

guard() {
	memguard -v "$@" 2>>"$log" 3>&- 4>&- &
	pid=$!
	sleep 2.5
}

# A flood that never made the host short proves nothing.
guard_acted() {
	grep -q ' commands, ' "$log"
}

# acted_after LINES: whether it did after it had logged so many lines.
acted_after() {
	tail -n "+$(($1 + 1))" "$log" | grep -q ' commands, '
}

# flood MIB SECONDS [MIB_PER_S]: sets least, the least MemAvailable in MiB; fails where the process is killed.
flood() {
	local before
	before=$(kills)
	run "$BENCH/fill" "+$1" "${3:-500}" $((reserve_mib * 3 / 4)) "$2"
	killed=$(($(kills) - before))
	least=$(sed -n 's/.*least_available=\([0-9]*\).*/\1/p' <<<"$output")
	echo "# figure: $BATS_TEST_DESCRIPTION: least_available_mib=${least:--} reserve_mib=$reserve_mib kills=$killed" >&3
	[ "$status" -eq 0 ]
}

@test "with memguard a flood of 500 MiB/s finds the idle memory, and nobody is killed" {
	guard
	flood 1900 8
	guard_acted
	[ "$least" -ge $((reserve_mib / 4)) ]
	[ "$killed" -eq 0 ]
}

# It is away when the flood is foreseen, after 2.4 s, and back before the host is tight, after 3.4 s: what is sent then goes by a
# connection that was made in the emergency.
@test "libvirtd is killed and started again in the middle of a flood" {
	make_idle
	guard
	(sleep 1.5; wc -l <"$log" >"$BATS_TEST_TMPDIR/killed"; kill -KILL "$(<"$BED/libvirtd.pid")"; libvirtd_start) 3>&- 4>&- &
	flood 1500 11 200
	acted_after "$(<"$BATS_TEST_TMPDIR/killed")"
	[ "$least" -ge $((reserve_mib / 4)) ]
}

@test "a QEMU is stopped" {
	make_idle
	guard
	kill -STOP "$(guest_pid g1)"
	flood 1500 8 || { kill -CONT "$(guest_pid g1)"; false; }
	kill -CONT "$(guest_pid g1)"
	guard_acted
	[ "$least" -ge $((reserve_mib / 4)) ]
}

# The first is killed before it can foresee anything: what comes back is the second's doing.
@test "the guard is killed and started again in the middle of a flood" {
	make_idle
	guard
	(sleep 0.3; kill -KILL "$pid"; exec memguard -v 2>"$log.second") 3>&- 4>&- &
	second=$!
	flood 1700 8 || { kill -KILL "$second"; false; }
	kill -KILL "$second"
	log=$log.second
	guard_acted
	[ "$least" -ge $((reserve_mib / 4)) ]
	wait_until 5 flock -n /run/memsched/no-give true
}

# Its grace is over when it touches its memory: the guard sees the host fall, and leaves it what it is about to touch.
@test "room is made for a guest that starts, while others list and define domains" {
	make_idle
	echo 'boot_grace = 1s' >/etc/memsched.conf.d/test.conf
	"$BENCH/fill" $((reserve_mib + 300)) >"$BATS_TEST_TMPDIR/filled" 3>&- 4>&- & # ends with the test
	wait_until 60 grep -q filled "$BATS_TEST_TMPDIR/filled"
	guard
	guest_xml other max=64 >"$BATS_TEST_TMPDIR/other.xml"
	(while sleep 0.02; do
		virsh -q list || :
		virsh -q define "$BATS_TEST_TMPDIR/other.xml" || :
	done) >/dev/null 2>&1 3>&- 4>&- &
	loop=$!
	"$BENCH/fill" +5 500 $((reserve_mib * 3 / 4)) 25 >"$BATS_TEST_TMPDIR/ebb" 3>&- 4>&- &
	watcher=$!
	guest_boot late max=600 current=600
	guest_wait late
	guest_ask late 450
	wait "$watcher"
	kill "$loop"
	least=$(sed -n 's/.*least_available=\([0-9]*\).*/\1/p' "$BATS_TEST_TMPDIR/ebb")
	echo "# figure: $BATS_TEST_DESCRIPTION: least_available_mib=$least reserve_mib=$reserve_mib" >&3
	[ "$least" -ge $((reserve_mib * 3 / 4)) ]
	grep -q 'making room' "$log"
}

# The last, for the process that holds the host full is the first to be killed.
@test "without memguard the same flood ends in the host's OOM killer" {
	make_idle
	flood 1900 8 || :
	[ "$killed" -ge 1 ]
}
