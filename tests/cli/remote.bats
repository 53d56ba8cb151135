# SPDX-License-Identifier: MIT
# Another host, whose memory libvirt alone can tell: the test driver in its place (faults/remote.c), with 8 GiB, of which
# 4 GiB are huge pages. The host of the root has 16 GiB.
bats_require_minimum_version 1.5.0

setup() {
	load cli.bash
	cli_setup
	be_patient
	conf=$root/etc/memsched.conf
	err=$BATS_TEST_TMPDIR/err out=$BATS_TEST_TMPDIR/out
	# The library comes before the runtime of a sanitizer.
	remote=(env "LD_PRELOAD=$PWD/tests/faults/remote.so" REMOTE_KIB=8388608 REMOTE_HUGE_PAGES=2048
		"ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0")
	pid=
}

teardown() {
	[ -z "$pid" ] || kill "$pid" 2>/dev/null || :
}

# elsewhere COMMAND [OPTION...]: with the other host.
elsewhere() {
	"${remote[@]}" "$1" --root "$root" -c "$node" "${@:2}"
}

fit="more than 90% of the host's 4 GiB"

@test "a share of another host is one of its memory without huge pages" {
	elsewhere membalance -n -J --reserve 50% >"$out"
	jq -e '.host.total_bytes == 8 * 1073741824 and .host.reserve_bytes == 2 * 1073741824' "$out"
}

@test "a size that is more than another host has is refused once it is connected" {
	echo 'reserve = 5GiB' >"$conf"
	run -0 membalance --root "$root" -c "$node" -n
	refuses 2 "$conf:1: bad value '5GiB' for 'reserve': $fit" elsewhere membalance -n
	refuses 2 "$conf:1: bad value '5GiB' for 'reserve': $fit" elsewhere memstat
	refuses 3 "$conf:1: bad value '5GiB' for 'reserve': $fit" elsewhere memstat --check
	refuses 3 "$conf:1: bad value '5GiB' for 'reserve': $fit" elsewhere memstat --fit 1GiB
	rm "$conf"
	refuses 2 "bad value '4GiB' for '--target': $fit" elsewhere membalance --target 4GiB
	run -0 elsewhere memstat --target 3GiB
}

@test "a single pass commands nothing by such a size, and says it once" {
	printf 'reserve = 5GiB\nstep = 6GiB\n' >"$conf"
	separately -2 elsewhere membalance -J
	[ -z "$output" ]
	[ "${#stderr_lines[@]}" -eq 2 ]
	[[ ${stderr_lines[0]} == "membalance: error: $conf:"*"$fit" ]]
	[[ ${stderr_lines[1]} == "membalance: error: $conf:"*"$fit" ]]
	[ ! -e "$root/run/memsched/last-pass.json" ]
	separately -2 elsewhere membalance
	[ -z "$stderr" ]
	rm "$conf"
	separately -0 elsewhere membalance
	[ "${#stderr_lines[@]}" -eq 2 ]
	[[ ${stderr_lines[0]} == *"notice: resolved after"*"$fit" ]]
	separately -0 elsewhere membalance
	[ -z "$stderr" ]
}

@test "a loop ends at its start by such a size" {
	refuses 2 "bad value '5GiB' for '--reserve': $fit" elsewhere membalance --interval 1h --reserve 5GiB
}

@test "a loop stays with its configuration if such a size is read again" {
	: >"$conf"
	"${remote[@]}" membalance --root "$root" -c "$node" --interval 100ms -J >"$out" 2>"$err" 3>&- &
	pid=$!
	wait_for test -s "$out"
	echo 'reserve = 5GiB' >"$conf"
	kill -HUP "$pid"
	wait_for grep -qF "error: $conf:1: bad value '5GiB' for 'reserve': $fit" "$err"
	wait_for grep -qF 'the configuration stays as it was' "$err"
	: >"$out"
	wait_for test -s "$out"
	echo 'reserve = 3GiB' >"$conf"
	kill -HUP "$pid"
	wait_for grep -qF '"reserve_bytes":3221225472' "$out"
	[ "$(grep -c "$fit" "$err")" -eq 1 ]
}

@test "a size that lacks its unit is warned of for another host too" {
	separately -0 memstat --root "$root" --show-config -c qemu+ssh://host/system --target 15MiB
	[[ $stderr == *"value '15MiB' for '--target' is only 15 MiB"* ]]
}
