# SPDX-License-Identifier: MIT
# memguard's loop: levels, no-give, on_critical, SIGHUP and SIGTERM.
bats_require_minimum_version 1.5.0

setup() {
	load cli.bash
	load guard.bash
	cli_setup
	guard_setup
}

teardown() {
	guard_end
}

@test "the loop tells each level once, forbids gives, and ends with SIGTERM" {
	start
	wait_for test -d "$root/run/memsched/pending"
	available 100000
	wait_for says 'memguard: warning: critical: 97.7 MiB available, reserve 293 MiB'
	wait_for no_give_held
	wait_for says 'cannot free: needed 195 MiB, freed 0 KiB, refused: '
	goes_round 10
	[ "$(grep -c 'critical' "$said")" -eq 1 ]
	[ "$(grep -c 'cannot free' "$said")" -eq 1 ]
	stop
	run ! no_give_held
}

@test "a MemAvailable that its neighbours contradict is said once, and the loop goes on with what they allow" {
	cp tests/cli/roots/host-lost-count/proc/meminfo "$root/proc/meminfo"
	start
	wait_for says 'memguard: warning: host: MemAvailable is 166 GiB, but the other figures allow only 11 GiB, which is used instead'
	goes_round 3
	[ "$(grep -c MemAvailable "$said")" -eq 1 ]
	[ "$(grep -c critical "$said")" -eq 0 ]
	sed -i 's/^\(MemFree\|Cached\):.*/\1: 100000 kB/; s/^\(Shmem\|SReclaimable\):.*/\1: 0 kB/; s/^\(Active(anon)\|AnonPages\):.*/\1: 0 kB/' "$root/proc/meminfo"
	wait_for says 'memguard: warning: critical: 197 MiB available'
	available 12582912
	wait_for says 'notice: resolved after '
	says ': host: MemAvailable is 166 GiB'
	stop
}

@test "a hint that is void is said once by the loop" {
	with_hints "<m:memory xmlns:m='urn:memsched:domain:1.0'><m:minimum unit='MiB'>400</m:minimum></m:memory>"
	start
	wait_for says "memguard: warning: domain 'needy': unknown hints are ignored: element 'minimum' (did you mean <min>?)"
	mkfifo "$root/run/memsched/pending/11111111-0000-4000-8000-000000000002"
	wait_for says "a record in '/run/memsched/pending' cannot be read" # in a later round
	[ "$(grep -c needy "$said")" -eq 1 ]
	stop
}

@test "void hints of very many guests leave room for complaints about the host" {
	with_guests 300
	start
	wait_for says "unknown hints are ignored"
	available 100000
	wait_for says 'cannot free: '
	goes_round 10
	[ "$(grep -c 'cannot free: ' "$said")" -lt 5 ] # once a minute
	[ "$(grep -c 'unknown hints' "$said")" -le 256 ]
	stop
}

critical() {
	start
	wait_for no_give_held
}

@test "SIGTERM ends it at once" {
	available 100000
	ends critical
}

@test "SIGHUP: what is good holds, what is wrong is said and changes nothing" {
	conf=$root/etc/memsched.conf
	printf 'uri = %s\nreserve = 300000KiB\n' "$node" >"$conf"
	memguard --root "$root" -v >"$said" 2>&1 3>&- &
	pid=$!
	wait_for test -d "$root/run/memsched/pending"
	printf 'uri = %s\nreserve = 1GiB\ntagret = 1\n' "$node" >"$conf"
	kill -HUP "$pid"
	wait_for says 'memguard: read the configuration again'
	says "memguard: warning: $conf:3: unknown key 'tagret', did you mean 'target'?"
	printf 'uri = %s\nreserve = 2GiB\nstep = many\n' "$node" >"$conf"
	kill -HUP "$pid"
	wait_for says 'memguard: error: the configuration stays as it was'
	says "memguard: error: $conf:3: bad value 'many' for 'step'"
	printf 'uri = qemu+ssh://elsewhere/system\nreserve = 3GiB\n' >"$conf"
	kill -HUP "$pid"
	wait_for says "memguard: error: the configured libvirt is another host's"
	wait_for eval "[ \$(grep -c 'stays as it was' '$said') -eq 2 ]"
	[ "$(grep -c 'read the configuration again' "$said")" -eq 1 ]
	available 100000
	wait_for says 'critical: 97.7 MiB available, reserve 1 GiB'
	wait_for no_give_held
	stop
}

# The reserve of a slip is most of what the host has: it is never calm, and there is nothing to take.
@test "a reserve that was a slip can be mended while it keeps the host critical" {
	available 6291456
	echo 'reserve = 14GiB' >"$root/etc/memsched.conf"
	start -v
	wait_for says 'critical: '
	echo 'reserve = 1GiB' >"$root/etc/memsched.conf"
	kill -HUP "$pid"
	wait_for says 'read the configuration again'
	stop
}

@test "no-give does not outlive a guard that is killed" {
	available 100000
	start
	wait_for no_give_held
	kill -KILL "$pid"
	wait "$pid" || true
	pid=
	run ! no_give_held
}

@test "a level is left after ten seconds" {
	available 200000
	start
	wait_for no_give_held
	local since=${EPOCHREALTIME/[.,]/}
	available 12582912
	wait_for says 'memguard: warning: calm: 12 GiB available'
	[ $((${EPOCHREALTIME/[.,]/} - since)) -ge 10000000 ]
	run ! no_give_held
	stop
}

@test "a pass beside a guard gives nothing out of the host" {
	available 200000
	start --reserve 300000KiB
	wait_for no_give_held
	available 9000000
	run membalance -c "$node" --root "$root" -J
	jq -e '.moves[] | select(.name == "needy") | .reason == "no-give"' <<<"$output"
	stop
	membalance -c "$node" --root "$root" -J | jq -e '.moves[] | select(.name == "needy") | .action == "grow"'
}

@test "on_critical: once, with the numbers, and nobody waits for it" {
	cat >"$BATS_TEST_TMPDIR/command" <<-END
		#!/bin/sh
		echo "\$# \$2 \$MEMSCHED_AVAILABLE_BYTES \$MEMSCHED_RESERVE_BYTES \$MEMSCHED_LACK_BYTES \$MEMSCHED_FREED_BYTES" >>$BATS_TEST_TMPDIR/ran
		sleep 30
	END
	chmod +x "$BATS_TEST_TMPDIR/command"
	available 200000
	start --on-critical "$BATS_TEST_TMPDIR/command one  \$HOME"
	wait_for no_give_held
	goes_round 3
	[ ! -e "$BATS_TEST_TMPDIR/ran" ] # tight is not critical
	available 100000
	wait_for test -s "$BATS_TEST_TMPDIR/ran"
	wait_for says 'critical: 97.7 MiB'
	goes_round 10
	[ "$(wc -l <"$BATS_TEST_TMPDIR/ran")" -eq 1 ]
	[[ $(cat "$BATS_TEST_TMPDIR/ran") =~ ^'2 $HOME 102400000 307200000 '[1-9][0-9]+' 0'$ ]]
	stop
}

@test "on_critical that cannot be executed is said at the start" {
	start --on-critical /nowhere/command
	wait_for says "memguard: error: cannot run on_critical '/nowhere/command': No such file or directory"
	available 100000
	wait_for no_give_held # and the guard goes on
	stop
}
