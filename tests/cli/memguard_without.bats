# SPDX-License-Identifier: MIT
# memguard's loop without what it relies on: libvirt, a host or a registry that can be read, inotify, locked memory.
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

@test "the loop says once of each record that it cannot be read, and that it is over" {
	pending=$root/run/memsched/pending/11111111-0000-4000-8000-000000000002
	domain=$root/run/memsched/domains/11111111-0000-4000-8000-00000000000
	start
	wait_for test -d "$root/run/memsched/domains"
	mkfifo "$pending" "${domain}2"
	wait_for says "warning: a record in '/run/memsched/pending' cannot be read, so nothing is given"
	wait_for says "warning: the record of domain ${domain##*/}2 in '/run/memsched' cannot be read: it counts as absent"
	mkfifo "${domain}3"
	wait_for says "warning: the record of domain ${domain##*/}3 in '/run/memsched' cannot be read"
	goes_round 5 # readings, and rounds of what can wait
	rm "$pending" "${domain}2"
	wait_for says " s: a record in '/run/memsched/pending' cannot be read"
	wait_for says " s: the record of domain ${domain##*/}2 in '/run/memsched' cannot be read"
	[ "$(grep -c 'cannot be read' "$said")" -eq 5 ]
	stop
}

@test "the loop outlives a host and a registry that come and go, and tells once" {
	rm -r "$root/run"
	start
	wait_for says "cannot use '/run/memsched': No such file or directory"
	mkdir "$root/run"
	wait_for says " s: cannot use '/run/memsched'"
	wait_for test -d "$root/run/memsched/pending"
	rm -r "$root/run/memsched"
	wait_for test -d "$root/run/memsched/pending"
	mv "$root/proc/meminfo" "$root/proc/elsewhere"
	wait_for says "cannot read '/proc/meminfo'"
	mv "$root/proc/elsewhere" "$root/proc/meminfo"
	wait_for says " s: cannot read '/proc/meminfo'"
	available 100000
	wait_for no_give_held
	[ "$(grep -c 'error: cannot use' "$said")" -eq 1 ]
	[ "$(grep -c 'error: cannot read' "$said")" -eq 1 ]
	stop
}

@test "the loop outlives libvirt, and tells once" {
	start -c 'qemu+unix:///system?socket=/nowhere'
	wait_for says "cannot see the guests: "
	available 100000
	wait_for says 'refused: all (libvirt does not answer)'
	wait_for no_give_held
	[ "$(grep -c 'cannot see' "$said")" -eq 1 ]
	stop
}

@test "inotify at its limit is said once, and the guard goes by its naps" {
	unshare --user --map-root-user true 2>/dev/null || skip "no user namespaces"
	# shellcheck disable=SC2016
	unshare --user --map-root-user sh -c 'echo 0 >/proc/sys/user/max_inotify_instances && exec "$@"' sh \
		"$(command -v memguard)" -c "$node" --root "$root" >"$said" 2>&1 3>&- &
	pid=$!
	wait_for says "error: cannot be woken by a guest that starts: inotify is at its limit: raise fs.inotify.max_user_instances or max_user_watches"
	available 100000
	wait_for no_give_held
	stop
	[ "$(grep -c woken "$said")" -eq 1 ]
}

# confined COMMAND...: becomes it, without a capability or memory that it may lock.
confined() {
	local without=()
	[ "$(id -u)" -ne 0 ] || without=(setpriv --bounding-set=-all --inh-caps=-all)
	exec prlimit --memlock=0:0 "${without[@]}" "$@"
}

# is_ready [COMMAND...]: the loop, by COMMAND, is through with its start; nothing spares it beforehand.
is_ready() {
	listen
	echo 0 >/proc/self/oom_score_adj || skip "somebody spares us"
	"$@" memguard -c "$node" --root "$root" >"$said" 2>&1 3>&- &
	pid=$!
	hears READY=1
}

@test "what keeps the guard from being spared and from locking memory is said, and it guards all the same" {
	[ -z "${ASAN_OPTIONS:-}" ] || skip "sanitizers lock nothing, and say nothing of it"
	is_ready confined
	says "memguard: warning: cannot lower oom_score_adj: Permission denied"
	says "memguard: warning: cannot lock memory: Operation not permitted"
	available 100000
	wait_for no_give_held
	stop
	kill "$COPROC_PID"
}

@test "of what is permitted nothing is said" {
	[ -z "${ASAN_OPTIONS:-}" ] || skip "sanitizers lock nothing, and say nothing of it"
	is_ready
	if says 'cannot lower oom_score_adj'; then
		[ "$(cat "/proc/$pid/oom_score_adj")" -eq 0 ]
	else
		[ "$(cat "/proc/$pid/oom_score_adj")" -eq -900 ]
	fi
	locked=$(awk '$1 == "VmLck:" { print $2 }' "/proc/$pid/status")
	if says 'cannot lock memory'; then
		[ "$locked" -eq 0 ]
	else
		[ "$locked" -gt 4096 ] # the heap that is kept alone
	fi
	stop
	kill "$COPROC_PID"
}

# unwatched COMMAND...: becomes it, where nobody may have an inotify.
unwatched() {
	# shellcheck disable=SC2016
	exec unshare -Ur sh -c 'echo 0 >/proc/sys/user/max_inotify_instances && exec "$@"' _ "$@"
}

# does_not_spin: it sleeps, and not so often that it never does for long.
does_not_spin() {
	local before
	goes_round 1
	before=$sleeps
	pause 1
	count_sleeps
	[ $((sleeps - before)) -lt 100 ]
}

# looks_by_time KIND: in a world of its own, with KIND of a thing in the place of the kernel's pressure.
looks_by_time() {
	trap '[ -z "$pid" ] || kill -KILL "$pid"; kill "$COPROC_PID"' EXIT
	root+=.$1 said+=.$1 notify+=.$1
	mkdir -p "$root/proc/pressure" "$root/run" "$root/etc"
	available 12582912
	[ "$1" = none ] || spoil "$1" "$root/proc/pressure/memory"
	guard --once
	is_ready unwatched
	says 'memguard: warning: cannot watch memory pressure: '
	spoil fifo "$root/run/memsched/pending/11111111-0000-4000-8000-000000000002"
	wait_for says "a record in '/run/memsched/pending' cannot be read"
	[ "$(find "/proc/$pid/fd" -lname '*inotify*' | wc -l)" -eq 0 ]
	available 100000
	wait_for no_give_held
	available 12582912 # it is held, and not looked at each 5 ms any more
	does_not_spin
	stop
}

@test "woken by nothing the loop looks by time alone, and sees what there is to see" {
	(unwatched true) 2>/dev/null || skip "cannot make user namespaces"
	local kind guards=()
	for kind in none fifo link rubbish; do
		looks_by_time $kind &
		guards+=($!)
	done
	for guard in "${guards[@]}"; do
		wait "$guard"
	done
}
