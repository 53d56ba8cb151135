# SPDX-License-Identifier: MIT
bats_require_minimum_version 1.5.0

# /var/lib/memsched/history: what passes write, and what memstat shows of it.

setup() {
	load cli.bash
	cli_setup
	be_patient
	history=$root/var/lib/memsched/history
	needy=11111111-0000-4000-8000-000000000001
}

balance() {
	membalance -c "$node" --root "$root" "$@"
}

@test "passes keep a history: a file for each guest and for the host" {
	balance --dry-run >/dev/null
	echo 'history = no' >"$root/etc/memsched.conf"
	balance
	[ ! -e "$root/var" ]
	rm "$root/etc/memsched.conf"
	balance
	balance
	(cd "$history" && stat -c '%n %s %a' -- *) >"$BATS_TEST_TMPDIR/files"
	diff "$BATS_TEST_TMPDIR/files" <(printf '%s 678912 644\n' "${needy%1}"{1..5} host)
	[ "$(du -s --block-size=1k "$history" | cut -f 1)" -lt 200 ] # what was not seen takes no room
}

@test "memstat shows the history: a table, lines, JSON and a picture" {
	past() { memstat --root "$root" -c test:///nowhere "$@"; } # no libvirt is asked
	refuses 1 "there is no history yet: membalance writes it" past --history
	balance
	past --history -H | grep -Eq '^needy  +used  +100M +100M +100M +100M  +.$'
	LC_ALL=C past --history needy | grep -Eq 'want  +252400 +252400 +252400 +252400  +@$'
	[ "$(past --history -r -n needy host | cut -d ' ' -f 1,4,5)" = $'needy 252400 102400\nhost 3922416 1675264' ]
	past --history -P needy | grep -q '^DOMAIN="needy" TIME="[0-9]*" AVAILABLE="" ACTUAL="252400" '
	past --history -J needy "${needy%1}2" | jq -e '.schema == "memsched.history/1" and
		[.domains[].name] == ["idle", "needy"] and (.domains[1].moves | length) == 1 and
		.domains[1].buckets[0].used_bytes == {least: 104857600, mean: 104857600, most: 104857600}'
	[[ $(past --explain --at "$(date '+%F %T')" needy) == *'to go from 200 MiB to 246 MiB (below-target), and it reached 246 MiB' ]]
	past --advise -J needy | jq -e '.schema == "memsched.advice/1" and .domains[0].min_bytes == null and
		.domains[0].reason == "seen for 60 s: no advice before 1 h"'
	past --svg "$BATS_TEST_TMPDIR/host.svg"
	grep -q '<title>host</title>' "$BATS_TEST_TMPDIR/host.svg"
	refuses 1 "no history of 'nobody'" past --history nobody
	refuses 2 "'--svg' draws one guest or the host, but 2 have these names" past --svg x needy idle
	refuses 1 "cannot write '/nowhere/x': No such file or directory" past --svg /nowhere/x
}

@test "refusals of the history" {
	refuses 2 "bad value '5' for '--since'" memstat --root "$root" --history --since 5
	refuses 2 "'--since' needs '--history' or '--svg'" memstat --root "$root" --since 2h
	refuses 2 "'--at' needs '--explain'" memstat --root "$root" --at 03:00
	refuses 2 "bad value '3' for '--at'" memstat --root "$root" --explain --at 3
	refuses 2 "exclude each other" memstat --root "$root" --history --svg x
}

@test "a history that cannot be written: passes go on, said once, and over" {
	as_root_only
	# shellcheck disable=SC2016 # the inner shell's
	separately unshare -m bash -c '
		mkdir -p "$1/var" && mount -t tmpfs -o mode=755 var "$1/var" && shift && "$@" && mount -o remount,ro "${@: -1}/var" &&
			"$@" && "$@" && memstat -c test:///nowhere --root "${@: -1}" --history -rn needy >"$BATS_TEST_TMPDIR/seen" &&
			mount -o remount,rw,size=64k "${@: -1}/var" && "$@" && cp -r "${@: -1}/var/lib" "$BATS_TEST_TMPDIR/kept"
	' - "$root" membalance -c "$node" --root "$root"
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	[ "${#stderr_lines[@]}" -eq 2 ]
	[[ ${stderr_lines[0]} == "membalance: warning: cannot write the history in '$history': Read-only file system" ]]
	[[ ${stderr_lines[1]} == *'notice: resolved after '*': cannot write the history in '* ]]
	[ "$(cut -d ' ' -f 1,5 "$BATS_TEST_TMPDIR/seen" | tail -n 1)" = 'needy 102400' ]
	cmp -n 64 "$BATS_TEST_TMPDIR/kept/memsched/history/$needy" "$BATS_TEST_TMPDIR/kept/memsched/history/host"
}

@test "a full disk under the history is said, and the pass goes on" {
	as_root_only
	# shellcheck disable=SC2016
	separately unshare -m bash -c '
		mkdir -p "$1/var" && mount -t tmpfs -o mode=755,size=24k var "$1/var" && shift && "$@"
	' - "$root" membalance -c "$node" --root "$root"
	[ "$status" -eq 0 ]
	[ "${stderr_lines[*]}" = "membalance: warning: cannot write the history in '$history': No space left on device" ]
}
