# SPDX-License-Identifier: MIT
# Debian guests that run real programs on disks of 150 IOPS, so that lost page cache costs what it costs. Times and tps hang on the
# machine: they are figures, which end beside each other in one table.
bats_require_minimum_version 1.5.0

guests=(d1 d2 d3 d4)

setup_file() {
	load ../bed.bash
	export BED_IMAGE # of the guests of this file
	BED_IMAGE=$("$BATS_TEST_DIRNAME/../debian")
	echo 'boot_grace = 0s' >/etc/memsched.conf.d/test.conf
	without_huge_pages libvirtd_restart
}

# khugepaged fills up what balloons gave back, 1.2 MiB a second: how much the host has would hang on time. Guests inherit that there
# is nothing for it to do from libvirtd (41 is PR_SET_THP_DISABLE).
without_huge_pages() {
	python3 -c 'import ctypes, os, sys; ctypes.CDLL(None).prctl(41, 1, 0, 0, 0); os.execvp("bash", ["bash", "-c"] + sys.argv[1:])' \
		". '$BATS_TEST_DIRNAME/../bed.bash' && $1"
}

teardown_file() {
	[ ! -e "$BATS_FILE_TMPDIR/figures" ] || awk '
		{
			for (i = 2; i <= NF; i++) {
				split($i, pair, "=")
				if (!(pair[1] in row)) order[++n] = pair[1]
				row[pair[1]] = row[pair[1]] " " $1 "=" pair[2]
			}
		}
		END { for (i = 1; i <= n; i++) print "# figure: Debian guests, " order[i] ":" row[order[i]] }' "$BATS_FILE_TMPDIR"/figures >&3
	rm -f /etc/memsched.conf.d/test.conf
}

setup() {
	load ../bed.bash
	pid=
	controller=
	sampler=
	host_keeper=
	patience=400 # seconds a job may take; less if none has to be done
	host_needs 8192 # overlays and swap are files of the bed, which are memory
}

teardown() {
	[ -n "${BATS_TEST_COMPLETED:-}" ] || tail -n 3 "$BED"/guests/d?.log || :
	[ -z "$controller" ] || kill "$controller" "$sampler" || :
	kill_background
	[ -z "$host_keeper" ] || host_end
	guests_stop_all
	rm -f "$BED"/guests/*.{root,swap}
	rm -rf /run/memsched/state/*
}

# disk FILE DEVICE FORMAT
disk() {
	cat <<-END
		<disk type='file'>
		  <driver name='qemu' type='$3'/>
		  <source file='$1'/>
		  <target dev='$2' bus='virtio'/>
		</disk>
	END
}

# debian_boot MIB NAME...: guests of 1280 MiB at most that have so much. An emulated processor keeps no more than 64 MiB of its code.
debian_boot() {
	local name size=$1 files
	shift
	for name; do
		files=$BED/guests/$name
		qemu-img create -q -f qcow2 -b "$BED_IMAGE/root" -F raw "$files.root"
		truncate -s 768M "$files.swap"
		guest_boot "$name" max=1280 current="$size" cmdline='root=/dev/vdb rw init=/agent' \
			features="<tcg><tb-cache unit='MiB'>64</tb-cache></tcg>" \
			devices="$(disk "$files.root" vdb qcow2)$(disk "$files.swap" vdc raw)"
	done
	for name; do
		wait_until 400 guest_ready "$name" || complain "guest '$name' does not come up"
		virsh -q blkdeviotune "$name" vdb --total-iops-sec 150 --group-name disk
		virsh -q blkdeviotune "$name" vdc --total-iops-sec 150 --group-name disk
	done
}

# job GUEST ORDER...: until it is done, or so late that the guest does not get on at all: jobs_done tells.
job() {
	local before
	before=$(guest_said "$1" done)
	guest_tell "$@"
	wait_until "$patience" said_more "$before" "$1" || complain "guest '$1' does not get on with '${*:2}'" || :
}

said_more() {
	[ "$(guest_said "$2" done)" -gt "$1" ]
}

# Each guest in turn does another job. What redis holds, or the database has in page cache, stays until the job after it is done.
turns() {
	local turn redis
	for turn in 0 1; do
		redis=${guests[turn]}
		job "$redis" redis 500
		job "${guests[turn + 1]}" gcc
		job "$redis" flush
		job "${guests[turn + 2]}" warm 20
		job "${guests[turn + 2]}" pgbench 20 20
		job "${guests[(turn + 3) % 4]}" stress 450 3
	done
}

host_least() {
	local least=999999 available
	while :; do
		available=$(host_available_mib)
		[ "$available" -ge "$least" ] || { least=$available && echo "$least" >"$BATS_TEST_TMPDIR/least"; }
		sleep 0.3
	done
}

# sum JOB FIGURE: over all guests.
sum() {
	cat "$BED"/guests/d?.log | sed -n "s/.*load: done $1 .*$2=\([0-9.]*\).*/\1/p" | awk '{ sum += $1 } END { print sum + 0 }'
}

jobs_done() {
	cat "$BED"/guests/d?.log | grep -c 'load: done .* status=0 ' || :
}

oom_kills() {
	local guest kills=0
	for guest in "${guests[@]}"; do
		kills=$((kills + $(sed -n 's/.*load: done .*oom=\([0-9]*\).*/\1/p' "$BED/guests/$guest.log" | tail -n 1) + $(guest_starts "$guest") - 1))
	done
	echo "$kills"
}

# run_turns VARIANT COMMAND...: with a balancer, or what takes its place. A QEMU needs 165 MiB beside its guest, and the host 293.
run_turns() {
	local begin
	debian_boot 400 "${guests[@]}"
	host_begin $((4 * (400 + 165) + 293))
	host_least 3>&- 4>&- &
	sampler=$!
	"${@:2}" >"$BED/$1.log" 2>&1 3>&- 4>&- &
	controller=$!
	begin=$SECONDS
	turns
	echo "$1 jobs=$(jobs_done) seconds=$((SECONDS - begin)) oom_kills=$(oom_kills) host_least_mib=$(<"$BATS_TEST_TMPDIR/least")" \
		"redis_s=$(sum redis seconds) gcc_s=$(sum gcc seconds) stress_s=$(sum stress seconds) warm_s=$(sum warm seconds)" \
		"pgbench_tps=$(sum pgbench tps) disk_reads=$(sum '[a-z]*' reads)" | tee -a "$BATS_FILE_TMPDIR/figures"
}

# holds JOBS: at least so many are done.
holds() {
	[ "$(jobs_done)" -ge "$1" ]
	[ "$(oom_kills)" -eq 0 ]
	[ "$(<"$BATS_TEST_TMPDIR/least")" -ge $(($(host_reserve_mib) / 2)) ]
}

# ---- turns: four guests on a host that has memory for one and a half of them at their height

@test "Debian guests of static sizes" {
	patience=180
	run_turns static sleep 3600
}

@test "Debian guests, the original's rule" {
	patience=180
	run_turns original tests/bench/original 1
}

@test "Debian guests, each second: all jobs, no kill, the host keeps half of its reserve" {
	run_turns ours_1s membalance --interval 1 --json
	holds 12
}

# A load that fills its guest within 10 s swaps until the next pass: some jobs may come too late.
@test "Debian guests, each minute: no kill, the host keeps half of its reserve" {
	patience=180
	run_turns ours_60s bash -c 'while sleep 60; do membalance --once --json; done'
	holds "$(sed -n 's/^static jobs=\([0-9]*\) .*/\1/p' "$BATS_FILE_TMPDIR/figures")"
}

# ---- a host with plenty

# bench GUEST: tps and disk reads of a database that is in page cache.
bench() {
	job "$1" pgbench 35 30
	sed -n 's/.*load: done pgbench .*\(reads=[0-9]*\) \(tps=[0-9]*\).*/\1 \2/p' "$BED/guests/$1.log" | tail -n 1
}

@test "a database of 500 MiB stays in page cache while the host has plenty" {
	debian_boot 1280 d1
	host_begin 20480
	job d1 warm 35
	before=$(bench d1)
	loop_begin
	loop_goes_on 60
	after=$(bench d1)
	echo "# figure: PostgreSQL without a balancer: $before" >&3
	echo "# figure: PostgreSQL, ours each second: $after" >&3
	[[ $after =~ reads=([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -le 1000 ] # of 4000 that have read all of it
	loop_end
}
