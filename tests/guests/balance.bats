# SPDX-License-Identifier: MIT
# Four real guests, balanced. Their host keeps half of what it has for itself, so it has no plenty: single passes, which come back in
# a minute or so, would leave idle memory to the guests of a host that has.
bats_require_minimum_version 1.5.0

setup_file() {
	load bed.bash
	file_begin 2500
	echo 'reserve = 2GiB' >>/etc/memsched.conf.d/test.conf
	guests_start 3 idle max=768 current=384
	guest_start busy max=768 current=384 period=0
	guest_wait idle1 idle2 idle3 busy
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
}

teardown() {
	kill_background
}

# Whether the last ten passes sent no balloon command, and not because figures of idle guests are late: "plenty" would be said then.
rests() {
	has_lines "$passes" 10 &&
		tail -n 10 "$passes" | jq -es 'all(.[].moves[]; .action != "grow" and .action != "shrink") and
			all(.[-1].moves[] | select(.name | startswith("idle")); .reason == "at-target")' >/dev/null
}

@test "the hook has registered the guests" {
	run memstat -J
	[ "$status" -eq 0 ]
	jq -e '(.domains | length) == 4 and all(.domains[]; .registered)' <<<"$output"
}

@test "a dry run touches neither balloons nor statistics periods" {
	before=$(guest_actual idle1)
	membalance --dry-run --explain | grep '^idle1: take '
	[ "$(guest_actual idle1)" -eq "$before" ]
	run virsh dumpxml busy
	[[ $output != *'<stats period'* ]]
}

@test "a guest without a statistics period is given one and balanced in the same pass" {
	membalance -J >"$BATS_TEST_TMPDIR/pass"
	run virsh dumpxml busy
	[[ $output == *"<stats period='10'/>"* ]]
	jq -e '.moves[] | select(.name == "busy") | .reason == "above-target" or .reason == "at-target"' "$BATS_TEST_TMPDIR/pass"
	virsh dommemstat busy --period 1 --live >/dev/null
	# the first pass that keeps a history
	memstat -J >"$BATS_TEST_TMPDIR/stat"
	memstat --history -J >"$BATS_TEST_TMPDIR/history"
	jq -es '.[0] as $pass | .[1] as $stat | .[2] as $history |
		[$history.domains[] | .name as $name | .moves[] | {name: $name, program, from_bytes, reached_bytes, reason}] ==
		([$pass.moves[] | select(.action == ("grow", "shrink")) | {name, program: "membalance", from_bytes, reached_bytes, reason}] |
			sort_by(.name)) and
		([$history.domains[].moves[]] | length) > 0 and
		all($history.domains[], $history.host; .buckets | length == 1) and
		all($history.domains[] | select(.name | startswith("idle")); .name as $name | .buckets[0].used_bytes.mean -
			($stat.domains[] | select(.name == $name) | .used_bytes) | fabs < 67108864)' \
		"$BATS_TEST_TMPDIR/pass" "$BATS_TEST_TMPDIR/stat" "$BATS_TEST_TMPDIR/history"
	memstat --explain --at "$(date '+%F %T')" idle1 | grep ' a pass asked it to go from 384 MiB to '
	memstat --advise -J | jq -e 'all(.domains[]; .min_bytes == null and .reason == "seen for 60 s: no advice before 1 h")'
}

@test "idle memory is taken down to the target, and then nothing moves" {
	loop_begin
	wait_until 120 rests || { tail -n 10 "$passes"; return 1; }
	loop_end
	for guest in idle1 idle2 idle3; do
		usable=$(guest_stat $guest usable)
		[ "$usable" -ge 140000 ]
		[ "$usable" -le 200000 ]
	done
}

# bats test_tags=more
@test "a guest that grows is given to as it grows, and gives back as it lets go" {
	loop_begin
	wait_until 120 rests # it would grow while it is taken from, with its first figures
	guest_ask busy 300 25
	wait_until 60 at_least busy 400
	loop_goes_on 2 # it may be given more
	grown=$(($(guest_actual busy) / 1024))
	guest_load busy 20
	wait_until 150 at_most busy $((grown - 150)) # what it used of the last minute is kept for it
	loop_end
	[ "$(guest_restarts busy)" -eq 0 ]
	jq -es 'any(.[].moves[]; .name == "busy" and .action == "grow" and .reason == "growing")' "$passes"
	jq -es 'all(.[]; .result == "done")' "$passes"
}

# One more, which has new figures; whether one so far gave and saw it arrive.
single_pass_gave() {
	guest_fresh busy
	membalance -J >>"$BATS_TEST_TMPDIR/passes"
	jq -es 'any(.[].moves[]; .name == "busy" and .action == "grow" and .reached_bytes > .from_bytes)' "$BATS_TEST_TMPDIR/passes" >/dev/null
}

# bats test_tags=long
@test "single passes know growth and overhead from the last" {
	guest_load busy 200 12
	wait_until 60 single_pass_gave ||
		{ jq -c '.moves[] | select(.name == "busy")' "$BATS_TEST_TMPDIR/passes"; return 1; }
	guest_load busy 20
	[ "$(guest_restarts busy)" -eq 0 ]
	grep -q '^learned=1' /run/memsched/state/"$(virsh domuuid busy)"
}

# bats test_tags=long
@test "what the guest is left with is what it was told" {
	membalance
	wait_until 30 is_left_with_want idle1
}

is_left_with_want() {
	memstat -J | jq -e --arg name "$1" '.domains[] | select(.name == $name) | .want_bytes == .actual_bytes'
}

# Gives a guest more than it needs, behind membalance's back, which forgets that the guest swung in the test before.
spoil() {
	rm -f /run/memsched/state/"$(virsh domuuid "$1")"
	guest_set "$1" 700
	wait_until 60 at_least "$1" 690
	guest_fresh "$1"
	wait_until 70 would_take "$1"
}

would_take() {
	membalance -n -J | jq -e --arg name "$1" '.moves[] | select(.name == $name) | .action == "shrink"'
}

@test "each move is on record: what the guest had, was told, and came to; and memstat tells" {
	spoil busy
	log=$BATS_TEST_TMPDIR/moves
	membalance --log="$log"
	jq -e 'select(.name == "busy") | .action == "shrink" and .reason == "above-target" and .from_bytes == 700 * 1048576
		and .asked_bytes < .from_bytes and .reached_bytes < .from_bytes and .reached_bytes >= .asked_bytes - 1048576' "$log"
	reached=$(jq 'select(.name == "busy") | .reached_bytes / 1024' "$log")
	[[ $(memstat --explain busy) =~ busy:\ the\ last\ pass,\ [0-9]+\ s\ ago,\ asked\ it\ to\ go\ from\ 700\ MiB\ to.*\(above-target\),\ and\ it\ reached ]]
	jq -e --argjson reached "$reached" '.moves[] | select(.name == "busy") | .reached_bytes == $reached * 1024' /run/memsched/last-pass.json
	wait_until 30 at_most busy $((reached / 1024 + 1)) # it may have been on its way still
	loop_begin --log="$log"
	wait_until 60 loop_has_told || { cat "$log"; return 1; }
	loop_end
	jq -es 'map(select(.name == "busy")) | all(.[]; .reached_bytes == null or .reached_bytes <= .from_bytes)' "$log"
}

loop_has_told() {
	jq -es 'map(select(.name == "busy")) | length > 1 and any(.[1:][]; .reached_bytes != null)' "$log" >/dev/null
}

# bats test_tags=more
@test "a pause holds guests as they are, until it is ended" {
	spoil busy
	log=$BATS_TEST_TMPDIR/moves
	before=$(guest_actual busy)
	membalance --pause 1h
	membalance --log="$log"
	timeout 2 membalance --interval 500ms --log="$log" || [ $? -eq 124 ]
	[ ! -e "$log" ]
	[ "$(guest_actual busy)" -eq "$before" ]
	[[ $(memstat) == *'Balancing is paused for another '* ]]
	membalance --resume
	membalance --log="$log"
	jq -e 'select(.name == "busy") | .action == "shrink" and .reached_bytes < .from_bytes' "$log"
}

# bats test_tags=long
@test "what the guard takes is on record too, and no pause binds it" {
	spoil busy
	root=$BATS_TEST_TMPDIR/root
	mkdir -p "$root/proc" "$root/run" "$root/etc"
	printf '%s kB\n' 'MemTotal: 16777216' 'MemFree: 100000' 'MemAvailable: 100000' >"$root/proc/meminfo" # it stays critical
	echo "log = $root/moves" >"$root/etc/memsched.conf"
	membalance --root "$root" --pause 1h
	run memguard --once --root "$root"
	[ "$status" -eq 1 ]
	jq -es 'map(select(.name == "busy")) | length > 0 and all(.[]; .program == "memguard" and .reason == "host-reserve"
		and .action == "shrink" and .asked_bytes < .from_bytes) and .[0].reached_bytes < 690 * 1048576' "$root/moves"
	rm -f /run/memsched/state/* # what passes knew of the balloons
}

@test "a second pass at the same time exits 75 and says nothing" {
	membalance --interval 1 3>&- &
	pid=$!
	wait_until 60 lock_held /run/memsched/lock
	run --separate-stderr membalance
	kill "$pid"
	wait "$pid"
	pid=
	[ "$status" -eq 75 ]
	[ -z "$output$stderr" ]
}

# bats test_tags=long
@test "libvirtd gone: once it says so; a loop goes on when it is back" {
	membalance --interval 500ms -J >"$BATS_TEST_TMPDIR/passes" 2>"$BATS_TEST_TMPDIR/said" 3>&- &
	pid=$!
	wait_until 30 test -s "$BATS_TEST_TMPDIR/passes"
	libvirtd_stop
	wait_until 60 grep -q 'cannot ask libvirt' "$BATS_TEST_TMPDIR/said"
	sleep 1.5 # for it to be said again
	before=$(wc -l <"$BATS_TEST_TMPDIR/passes")
	libvirtd_start 3>&- 4>&-
	wait_until 60 has_lines "$BATS_TEST_TMPDIR/passes" $((before + 3))
	kill "$pid"
	wait "$pid"
	pid=
	[ "$(grep -c 'cannot ask libvirt' "$BATS_TEST_TMPDIR/said")" -eq 2 ] # when it appears, and when it is over
	grep -q 'notice: resolved after ' "$BATS_TEST_TMPDIR/said"
}
