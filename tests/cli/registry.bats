# SPDX-License-Identifier: MIT
bats_require_minimum_version 1.5.0

# /run/memsched under passes: removed, replaced, full, read-only, and full of what is none of ours. Passes go on, one at
# a time, and what is wrong is said once.

setup() {
	load cli.bash
	cli_setup
	be_patient
	registry=$root/run/memsched
	passes=$BATS_TEST_TMPDIR/passes
	said=$BATS_TEST_TMPDIR/said
	needy=11111111-0000-4000-8000-000000000001
	pid=
}

teardown() {
	[ -z "$pid" ] || kill "$pid" 2>/dev/null || :
}

balance() {
	membalance -c "$node" --root "$root" "$@"
}

# begin_loop [COMMAND...]: a loop of passes, begun by COMMAND.
begin_loop() {
	"$@" membalance -c "$node" --root "$root" --interval 100ms -J >"$passes" 2>"$said" 3>&- &
	pid=$!
	more_passes 2
}

count() {
	wc -l <"$passes"
}

# more_passes N: until N more have been made.
more_passes() {
	local least=$(($(count) + $1))
	enough() { [ "$(count)" -ge $least ]; }
	wait_for enough
}

# meanwhile COMMAND...: between two breaths of the loop.
meanwhile() {
	kill -STOP "$pid"
	"$@"
	kill -CONT "$pid"
}

# lasting: how many lines were said, but for what a pass under way could not write just then.
lasting() {
	grep -vc 'cannot write' "$said" || :
}

end_loop() {
	kill "$pid"
	wait "$pid"
	pid=
}

@test "the directory is removed under a loop: it makes it again and locks it again" {
	begin_loop
	meanwhile rm -r "$registry"
	more_passes 3
	[ -s "$registry/state/$needy" ]
	refuses 75 'holds' balance -v
	meanwhile rm "$registry/lock"
	more_passes 3
	refuses 75 'holds' balance -v
	end_loop
	[ "$(lasting)" -eq 0 ]
}

# written: each record of a guest, with its inode and the time it was written.
written() {
	find "$registry/domains" -type f -printf '%f %i %T@\n' | sort
}

@test "a pass writes the record of a guest again only if it has changed" {
	balance
	before=$(written)
	[ "$(wc -l <<<"$before")" -eq 5 ]
	balance
	[ "$(written)" = "$before" ]
	begin_loop
	end_loop
	[ "$(written)" = "$before" ]
	with_hints "<m:memory xmlns:m='urn:memsched:domain:1.0'><m:weight>7</m:weight></m:memory>"
	balance
	[ "$(written | grep -v "$needy")" = "$(grep -v "$needy" <<<"$before")" ]
	[ "$(written)" != "$before" ]
}

@test "another pass has the directory that was made meanwhile: the loop waits for it" {
	begin_loop
	mkdir "$registry.new"
	exec {fd}>"$registry.new/lock"
	flock -n "$fd"
	replace() { mv "$registry" "$registry.old" && mv "$registry.new" "$registry"; }
	meanwhile replace
	wait_for flock -n "$registry.old/lock" true # the loop has seen it
	before=$(count)
	goes_round 10
	[ "$(count)" -eq "$before" ]
	exec {fd}>&-
	more_passes 2
	end_loop
	[ "$(lasting)" -eq 0 ]
}

@test "the directory becomes a symlink under a loop: no pass, said once, and over" {
	begin_loop
	link() { mv "$registry" "$registry.old" && ln -s memsched.old "$registry"; }
	meanwhile link
	wait_for grep -q "cannot use '$registry'" "$said"
	before=$(count)
	goes_round 10
	[ "$(count)" -eq "$before" ]
	[ "$(lasting)" -eq 1 ]
	rm "$registry"
	more_passes 2
	end_loop
	[ "$(lasting)" -eq 2 ]
	grep -q "notice: resolved after .*: cannot use '$registry'" "$said"
}

# Leaves no page in /run. A write that is under way would free one when it is over, which is all that the later ones need.
fill_up() {
	local full=1
	kill -STOP "$pid"
	wait_for grep -q '^State:.T' "/proc/$pid/status"
	if [ -z "$(inside find "$root/run" -name '.*.tmp*')" ]; then
		inside dd if=/dev/zero of="$root/run/filler" bs=4k status=none 2>/dev/null || full=0 # there is no space left
	fi
	kill -CONT "$pid"
	return $full
}

@test "a full /run: passes go on, said once, and over" {
	as_root_only
	# shellcheck disable=SC2016 # the inner shell's
	begin_loop unshare -m bash -c 'mount -t tmpfs -o size=64k,mode=755 full "$1/run" && shift && exec "$@"' - "$root"
	inside() { nsenter -t "$pid" -m -r "$@"; }
	wait_for fill_up
	wait_for grep -q 'No space left' "$said"
	more_passes 2
	lines=$(wc -l <"$said")
	more_passes 5
	[ "$(wc -l <"$said")" -eq "$lines" ]
	inside rm "$root/run/filler"
	more_passes 3
	end_loop
	[ "$(grep -c 'notice: resolved after ' "$said")" -eq "$lines" ]
	jq -es 'all(.result == "done")' "$passes"
}

@test "a read-only /run: a pass acts all the same, and says what it cannot write" {
	as_root_only
	# shellcheck disable=SC2016
	separately unshare -m bash -c '
		mount -t tmpfs -o mode=755 ro "$1/run" && shift && "$@" >/dev/null && mount -o remount,ro "${@: -1}/run" && "$@"
	' - "$root" membalance -J -c "$node" --root "$root"
	[ "$status" -eq 0 ]
	jq -e '.result == "done" and any(.moves[]; .action == "grow")' <<<"$output"
	[[ $stderr == *'cannot write the records for the next pass: Read-only file system'* ]]
}

@test "a /run that is replaced by one that cannot be written: no pass without a lock, said once" {
	as_root_only
	# shellcheck disable=SC2016
	begin_loop unshare -m bash -c 'mount -t tmpfs -o mode=755 rw "$1/run" && shift && exec "$@"' - "$root"
	nsenter -t "$pid" -m -r mount -t tmpfs -o ro,mode=755 ro "$root/run"
	wait_for grep -q "cannot use '$registry': Read-only file system" "$said"
	before=$(count)
	goes_round 10
	[ "$(count)" -eq "$before" ]
	nsenter -t "$pid" -m -r umount "$root/run"
	more_passes 2
	[ "$(lasting)" -eq 2 ]
	grep -q 'notice: resolved after ' "$said"
}

@test "strange things in the folders: a pass says what it cannot read, and passes over the rest" {
	balance
	rm -r "$registry/state" "$registry/domains"
	mkdir "$registry/state" "$registry/domains"
	mkfifo "$registry/domains/$needy" "$registry/pending/$needy" "$registry/pending/fifo"
	ln -s /dev/zero "$registry/pending/22222222-0000-4000-8000-000000000002"
	mkdir "$registry/pending/33333333-0000-4000-8000-000000000003"
	truncate -s 1T "$registry/said" "$registry/pending/44444444-0000-4000-8000-000000000004"
	separately timeout 60 membalance -c "$node" --root "$root" -J
	[ "$status" -eq 0 ]
	jq -e '.result == "done" and any(.moves[]; .reason == "no-give") and all(.moves[]; .action != "grow")' <<<"$output"
	[[ $stderr == *"$needy"*'cannot be read'* ]]
	[[ $stderr == *"a record in '/run/memsched/pending' cannot be read, so nothing is given"* ]]
	[ -f "$registry/domains/$needy" ]
	[ "$(stat -c %s "$registry/said")" -lt 100000 ]
}
