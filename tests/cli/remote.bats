# SPDX-License-Identifier: MIT
# Another host, whose memory libvirt alone can tell: the test driver in its place (faults/remote.c), with 8 GiB, of which
# 4 GiB are huge pages. The host of the root has 16 GiB.
bats_require_minimum_version 1.5.0

setup() {
	load cli.bash
	cli_setup
	be_patient
	conf=$root/etc/memsched.conf
	err=$BATS_TEST_TMPDIR/err out=$BATS_TEST_TMPDIR/out there=$BATS_TEST_TMPDIR/there
	mkdir "$there"
	far=qemu+ssh://elsewhere/system
	has 8388608 2048
	echo "$node" >"$there/guests"
	# The library comes before the runtime of a sanitizer.
	remote=(env "LD_PRELOAD=$PWD/tests/faults/remote.so" "REMOTE=$there" "ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0")
	pid=
}

teardown() {
	[ -z "$pid" ] || kill "$pid" 2>/dev/null || :
}

# is NAME VALUE: a setting of the other host, at once.
is() {
	echo "$2" >"$there/$1.new"
	mv "$there/$1.new" "$there/$1"
}

# has KIB PAGES [AVAILABLE]: the memory of the other host. kib comes last: without it each pass fails.
has() {
	[ -z "${3-}" ] || is available "$3"
	is pages "$2"
	is kib "$1"
}

# elsewhere COMMAND [OPTION...]: with the other host.
elsewhere() {
	"${remote[@]}" "$1" --root "$root" -c "$far" "${@:2}"
}

# loop [OPTION...]: one over the other host, in the background.
loop() {
	"${remote[@]}" membalance --root "$root" -c "$far" --interval 100ms -J "$@" >"$out" 2>"$err" 3>&- &
	pid=$!
}

reloads() {
	echo "$1" >"$conf"
	kill -HUP "$pid"
}

# counts NUMBER WORDS: of the lines with WORDS that the loop has said.
counts() {
	[ "$(grep -cF "$2" "$err")" -eq "$1" ] || { cat "$err"; return 1; }
}

# fails_once KIB PAGES: the next reading of the other host fails, so its loop connects again; then the host has these.
fails_once() {
	rm "$there/kib"
	wait_for grep -qF "the driver does not report the host's memory" "$err"
	has "$@"
}

# How often the other host was asked for its capabilities.
asked() {
	wc -c <"$there/asked"
}

was_asked() {
	[ "$(asked)" -ge "$1" ]
}

# tries TIMES: until so many more passes have failed, and the next one has asked.
tries() {
	wait_for was_asked $(($(asked) + $1 + 1))
}

lasts() {
	kill -0 "$pid"
}

fit="more than 90% of the host's 4 GiB"
refused="bad value '5GiB' for 'reserve': $fit"

@test "a share of another host is one of its memory without huge pages" {
	elsewhere membalance -n -J --reserve 50% >"$out"
	jq -e '.host.total_bytes == 8 * 1073741824 and .host.reserve_bytes == 2 * 1073741824' "$out"
}

@test "a host that does not tell its capabilities is not balanced, as its pool is not known" {
	echo yes >"$there/mute"
	refuses 1 "cannot ask libvirt at '$far'" elsewhere membalance -n --reserve 50%
	refuses 1 "cannot ask libvirt at '$far'" elsewhere memstat
}

@test "a loop reads the pool once, and again when figures contradict it" {
	loop -n --reserve 50% # with four connections
	wait_for grep -qF '"reserve_bytes":2147483648' "$out"
	goes_round 40
	[ "$(asked)" -eq 1 ]
	has 8388608 1024 6291456 # half of the pool was given back, so that more is available than the other half leaves
	wait_for grep -qF '"reserve_bytes":3221225472' "$out"
	goes_round 5
	[ "$(asked)" -eq 2 ]
}

@test "a size that is more than another host has is refused once it is connected" {
	echo 'reserve = 5GiB' >"$conf"
	run -0 membalance --root "$root" -c "$node" -n
	refuses 2 "$conf:1: $refused" elsewhere membalance -n
	refuses 2 "$conf:1: $refused" elsewhere memstat
	refuses 3 "$conf:1: $refused" elsewhere memstat --check
	refuses 3 "$conf:1: $refused" elsewhere memstat --fit 1GiB
	rm "$conf"
	refuses 2 "bad value '4GiB' for '--target': $fit" elsewhere membalance --target 4GiB
	run -0 elsewhere memstat --target 3GiB
}

@test "a size is judged by the host that a pass reads, whatever the URI" {
	echo qemu:///session >"$there/uri"
	run -0 "${remote[@]}" membalance --root "$root" -c qemu:///session -n --reserve 14GiB
	refuses 2 "bad value '15GiB' for '--reserve': more than 90% of the host's 16 GiB" \
		"${remote[@]}" membalance --root "$root" -c qemu:///session -n --reserve 15GiB
	refuses 2 "bad value '15GiB' for '--reserve': more than 90% of the host's 16 GiB" \
		memguard --root "$root" -c qemu:///session -n --reserve 15GiB
	run -0 memguard --root "$root" -c qemu:///session --show-config
	grep -q '^reserve = .* on this host$' <<<"$output"
	echo "$far" >"$there/uri"
	refuses 2 "bad value '5GiB' for '--reserve': $fit" "${remote[@]}" membalance --root "$root" -c alias -n --reserve 5GiB
}

@test "figures that contradict each other, or leave no memory, judge sizes by all of it" {
	local free available pages
	while read -r pages free available; do
		has 8388608 "$pages" "$available"
		echo "$free" >"$there/free"
		separately -0 elsewhere membalance -n --reserve 5GiB
		[[ $stderr != *'bad value'* ]]
		separately -0 elsewhere memstat --target 5GiB
		refuses 2 "bad value '200GiB' for '--reserve': more than 90% of the host's 8 GiB" \
			elsewhere membalance -n --reserve 200GiB
	done <<-END
		2048 9 9999999
		4096 0 0
		9999 0 0
	END
}

@test "a single pass commands nothing by such a size, and says it once" {
	printf 'reserve = 5GiB\nstep = 6GiB\n' >"$conf"
	separately -2 elsewhere membalance -J
	[ -z "$output" ]
	[ "${#stderr_lines[@]}" -eq 2 ]
	[[ ${stderr_lines[0]} == "membalance: error: $conf:"*"$fit" ]]
	[[ ${stderr_lines[1]} == "membalance: error: $conf:"*"$fit" ]]
	[ -z "$(find "$root/run/memsched" -name last-pass.json)" ]
	separately -2 elsewhere membalance
	[ -z "$stderr" ]
	rm "$conf"
	separately -0 elsewhere membalance
	[ "${#stderr_lines[@]}" -eq 2 ]
	[[ ${stderr_lines[0]} == *"notice: resolved after"*"$fit" ]]
	separately -0 elsewhere membalance
	[ -z "$stderr" ]
}

@test "while a size is refused, metrics and warnings go on" {
	printf 'reserve = 5GiB\nunknown = 1\ntextfile = %s\n' "$out" >"$conf"
	separately -2 elsewhere membalance
	[[ $stderr == *"unknown"* ]]
	grep -qx 'memsched_pass_success 0' "$out"
	printf 'reserve = 5GiB\ntextfile = /nonexistent/memsched.prom\n' >"$conf"
	separately -2 elsewhere membalance
	[[ $stderr == *"cannot write metrics to '/nonexistent/memsched.prom'"* ]]
	[[ $stderr != *"resolved"*"bad value"* ]]
}

@test "a loop ends at its start by such a size" {
	for i in 1 2; do
		refuses 2 "bad value '5GiB' for '--reserve': $fit" elsewhere membalance --interval 1h --reserve 5GiB
	done
}

@test "a loop that reaches its host later complains of such a size, and goes on once it fits" {
	echo yes >"$there/away"
	echo 'reserve = 5GiB' >"$conf"
	loop
	wait_for grep -qF 'cannot ask libvirt' "$err"
	rm "$there/away"
	wait_for grep -qF "error: $conf:1: $refused" "$err"
	tries 2
	lasts
	counts 1 "$refused"
	[ ! -s "$out" ]
	has 16777216 2048
	wait_for test -s "$out"
	wait_for grep -qF "resolved after" "$err"
	counts 2 "$refused"
}

@test "a loop stays with its configuration if such a size is read again" {
	: >"$conf"
	loop
	wait_for test -s "$out"
	reloads 'reserve = 5GiB'
	wait_for grep -qF "error: $conf:1: $refused" "$err"
	wait_for grep -qF 'the configuration stays as it was' "$err"
	: >"$out"
	wait_for test -s "$out"
	reloads 'reserve = 3GiB'
	wait_for grep -qF '"reserve_bytes":3221225472' "$out"
	counts 1 "$fit"
}

@test "a host that comes back with less memory has its sizes judged anew" {
	echo 'reserve = 3GiB' >"$conf"
	loop
	wait_for test -s "$out"
	is free 524288
	fails_once 8388608 3584
	wait_for grep -qF "bad value '3GiB' for 'reserve': more than 90% of the host's 1 GiB" "$err"
	: >"$out"
	tries 2
	[ ! -s "$out" ]
	lasts
	reloads 'reserve = 512MiB'
	wait_for grep -qF '"reserve_bytes":536870912' "$out"
}

@test "a loop goes on with the pool that it knows, whenever it connects" {
	loop --reserve 50%
	wait_for grep -qF '"reserve_bytes":2147483648' "$out"
	is mute yes
	fails_once 8388608 4000
	: >"$out"
	wait_for grep -qF '"reserve_bytes":2147483648' "$out"
}

@test "what is read again is judged by the memory that the host has now, whenever a pass was" {
	: >"$conf"
	loop --interval 1h
	wait_for test -s "$out"
	has 16777216 2048
	reloads 'reserve = 5GiB'
	wait_for grep -qF '"reserve_bytes":5368709120' "$out"
	counts 0 'bad value'
	is free 524288
	is pages 6144
	reloads 'reserve = 6GiB'
	wait_for grep -qF "bad value '6GiB' for 'reserve': more than 90% of the host's 4 GiB" "$err"
}

@test "the pass that finds that a size no longer fits says so, without a new connection" {
	is free 524288
	loop --reserve 3GiB
	wait_for test -s "$out"
	is kib 6291456
	wait_for grep -qF "bad value '3GiB' for '--reserve': more than 90% of the host's 2 GiB" "$err"
	lasts
	is kib 8388608
	wait_for grep -qF 'resolved after' "$err"
}

@test "what is read again is judged by the memory that the host has by now" {
	: >"$conf"
	loop
	wait_for test -s "$out"
	has 16777216 2048
	wait_for grep -qF '"total_bytes":17179869184' "$out"
	goes_round 2
	reloads 'reserve = 5GiB'
	wait_for grep -qF '"reserve_bytes":5368709120' "$out"
	counts 0 'bad value'
}

@test "a size that lacks its unit is warned of for another host too" {
	separately -0 memstat --root "$root" --show-config -c qemu+ssh://host/system --target 15MiB
	[[ $stderr == *"value '15MiB' for '--target' is only 15 MiB"* ]]
}
