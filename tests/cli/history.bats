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

@test "a history that cannot be written: passes go on, said once, and over" {
	as_root_only
	# shellcheck disable=SC2016 # the inner shell's
	run --separate-stderr unshare -m bash -c '
		mkdir -p "$1/var" && mount -t tmpfs -o mode=755 var "$1/var" && shift && "$@" && mount -o remount,ro "${@: -1}/var" &&
			"$@" && "$@" && mount -o remount,rw,size=64k "${@: -1}/var" && "$@" && cp -r "${@: -1}/var/lib" "$BATS_TEST_TMPDIR/kept"
	' - "$root" membalance -c "$node" --root "$root"
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	[ "${#stderr_lines[@]}" -eq 2 ]
	[[ ${stderr_lines[0]} == "membalance: warning: cannot write the history in '$history': Read-only file system" ]]
	[[ ${stderr_lines[1]} == *'notice: resolved after '*': cannot write the history in '* ]]
	cmp -n 64 "$BATS_TEST_TMPDIR/kept/memsched/history/$needy" "$BATS_TEST_TMPDIR/kept/memsched/history/host"
}

@test "a full disk under the history: said, and what was there stays" {
	as_root_only
	# shellcheck disable=SC2016
	run --separate-stderr unshare -m bash -c '
		mkdir -p "$1/var" && mount -t tmpfs -o mode=755,size=24k var "$1/var" && shift && "$@"
	' - "$root" membalance -c "$node" --root "$root"
	[ "$status" -eq 0 ]
	[ "${stderr_lines[*]}" = "membalance: warning: cannot write the history in '$history': No space left on device" ]
}
