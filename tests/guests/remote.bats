# SPDX-License-Identifier: MIT
# Guests of another host, by qemu+ssh://. The host is this one again, behind libvirt's own ssh transport; only ssh itself is
# a script that runs here what it should run there.
# bats file_tags=more
bats_require_minimum_version 1.5.0

setup_file() {
	load bed.bash
	file_begin 2000
	guest_start idle max=512 current=512
	guest_start needy max=512 current=200
	guest_wait idle needy
	guest_ask needy 60
	guest_fresh idle needy
}

teardown_file() {
	load bed.bash
	file_end
	rm -rf /run/memsched/hosts
}

setup() {
	load bed.bash
	ssh=$BATS_FILE_TMPDIR/ssh
	there="qemu+ssh://elsewhere/system?command=$ssh"
	make_ssh 'exec sh -c "$*"'
}

# make_ssh COMMAND: what it does with the words for the other host.
make_ssh() {
	printf '#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\n[ "$2" = elsewhere ] || exit 9\nshift 2\n%s\n' "$1" >"$ssh"
	chmod +x "$ssh"
}

# What is remembered of this host's guests.
own_memory() {
	find /run/memsched -path /run/memsched/hosts -prune -o -type f -printf '%P %s %T@\n' | sort
}

@test "memstat shows it by its node statistics" {
	memstat -c "$there" -J >"$BATS_TEST_TMPDIR/json"
	jq -e --argjson total "$(awk '$1 == "MemTotal:" { printf "%.0f", $2 * 1024 }' /proc/meminfo)" '.host.total_bytes == $total
		and .host.available_bytes == .host.free_bytes + .host.buffers_bytes + .host.cached_bytes
		and .host.pressure_some_avg10 == null
		and ([.domains[].name] == ["idle", "needy"]) and all(.domains[]; .registered == false and .usable_bytes > 0)' "$BATS_TEST_TMPDIR/json"
	run memstat -o domain,registered
	[[ $output =~ needy\ +yes ]] # which the hook of this host has registered
	[ ! -e /run/memsched/hosts ]
}

@test "a size that is more than it has is refused" {
	run --separate-stderr membalance -c "$there" --reserve 100TiB
	[ "$status" -eq 2 ]
	[[ $stderr == *"bad value '100TiB' for '--reserve': more than 90% of the host's "* ]]
	run --separate-stderr memstat -c "$there" --target 100TiB
	[ "$status" -eq 2 ]
}

@test "a share of it leaves out its huge pages, as one of this host does" {
	[ "$(awk '$1 == "Hugetlb:" { print $2 }' /proc/meminfo)" -gt 0 ] || skip 'the machine has no pool of huge pages'
	membalance -n -J --reserve 50% >"$BATS_TEST_TMPDIR/here"
	membalance -c "$there" -n -J --reserve 50% >"$BATS_TEST_TMPDIR/there"
	diff <(jq .host.reserve_bytes "$BATS_TEST_TMPDIR/here") <(jq .host.reserve_bytes "$BATS_TEST_TMPDIR/there")
}

@test "a sixteenth of what KSM has merged there is promised" {
	local pages=/sys/kernel/mm/ksm/pages_sharing
	[ -e $pages ] || skip 'the kernel has no KSM'
	echo 100000000 >"$BATS_TEST_TMPDIR/pages" # 381 GiB
	mount --bind "$BATS_TEST_TMPDIR/pages" $pages
	run --separate-stderr membalance -c "$there" --dry-run -J
	umount $pages
	jq -e '.host.promised_bytes >= 100000000 * 4096 / 16' <<<"$output"
}

@test "membalance balances it, and leaves what is known of this host's guests alone" {
	local gone=00000000-0000-4000-8000-000000000001 reserve
	# A host with plenty would leave idle memory to a guest that is seen again in a minute.
	reserve=$(memstat -c "$there" -J | jq '.host.available_bytes / 1048576 * 3 / 4 | floor')MiB
	touch -d '1 hour ago' /run/memsched/{state,domains}/$gone
	own_memory >"$BATS_TEST_TMPDIR/before"
	guest_fresh idle needy # a pass that was refused has seen the last figures, and takes need newer ones
	membalance -c "$there" -J --reserve "$reserve" --deadline 120s --settle 60s >"$BATS_TEST_TMPDIR/json"
	jq -e '.result == "done" and (.moves | map({key: .name, value: .action}) | from_entries) == {idle: "shrink", needy: "grow"}
		and all(.moves[]; .reached_bytes - .want_bytes | fabs <= 5000 * 1024)' "$BATS_TEST_TMPDIR/json" # the tolerance
	own_memory | diff "$BATS_TEST_TMPDIR/before" -
	[ "$(find /run/memsched/hosts/*/state -type f | wc -l)" -eq 2 ]
	run membalance # a pass over its own guests forgets who is gone, and nobody of the other host
	[ "$status" -eq 0 ]
	[ ! -e /run/memsched/state/$gone ]
	[ "$(find /run/memsched/hosts/*/state -type f | wc -l)" -eq 2 ]
}

# bats test_tags=long
@test "each host has its own lock" {
	run membalance -c "$there"
	[ "$status" -eq 0 ]
	exec {lock}<>"$(echo /run/memsched/hosts/*/lock)"
	flock -n "$lock"
	run --separate-stderr membalance -c "$there"
	[ "$status" -eq 75 ]
	[ -z "$stderr" ]
	run membalance
	[ "$status" -eq 0 ]
}

@test "a loop stays connected, and finds the host again" {
	local before
	membalance -c "$there" --interval 500ms -J >"$BATS_TEST_TMPDIR/passes" 2>"$BATS_TEST_TMPDIR/said" 3>&- &
	pid=$!
	wait_until 60 eval '[ "$(wc -l <"$BATS_TEST_TMPDIR/passes")" -ge 3 ]'
	libvirtd_stop
	wait_until 60 grep -q 'cannot ask libvirt' "$BATS_TEST_TMPDIR/said"
	before=$(wc -l <"$BATS_TEST_TMPDIR/passes")
	libvirtd_start
	wait_until 60 eval '[ "$(wc -l <"$BATS_TEST_TMPDIR/passes")" -gt "$before" ]'
	wait_until 60 grep -q 'notice: resolved after .*: cannot ask libvirt' "$BATS_TEST_TMPDIR/said"
	kill "$pid"
	wait "$pid"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/said")" -eq 2 ] || { cat "$BATS_TEST_TMPDIR/said"; return 1; }
}

@test "a host that cannot be reached is said once, one that does not answer costs the deadline" {
	make_ssh 'echo no route >&2; head -c 1 >/dev/null; exit 255' # libvirt writes first: without a reader it reports a broken pipe
	run --separate-stderr membalance -c "$there"
	[ "$status" -eq 75 ]
	[[ $stderr == *"'qemu+ssh://elsewhere/system"*'no route'* ]]
	run --separate-stderr membalance -c "$there"
	[ "$status" -eq 75 ]
	[ -z "$stderr" ]
	make_ssh 'exec sleep 100'
	before=$SECONDS
	run memstat --deadline 1 -c "$there"
	[ "$status" -eq 75 ]
	[ $((SECONDS - before)) -lt 60 ]
}
