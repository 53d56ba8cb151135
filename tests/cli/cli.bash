# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# cli.bash: what the cli tests share. Each test has a root of its own, so nothing of the machine is read or written.

# Every test begins with it, so it starts two processes and no more.
cli_setup() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	umask 022 # what a group may write is no configuration
	PATH=$PWD/bin:$PATH
	root=$BATS_TEST_TMPDIR/root
	node=test://$PWD/tests/cli/node.xml
	hash promtool 2>/dev/null || :
	promtool=${BASH_CMDS[promtool]-${PROMTOOL:-$PWD/build/promtool}}
	mkdir -p "$root/proc" "$root/run" "$root/etc/memsched.conf.d"
	figures 16777216 12582912 >"$root/proc/meminfo"
	unset LIBVIRT_DEFAULT_URI
	exec {never}<><(:) # here, for it changes $!
}

# be_patient: single runs have a minute, however slow the machine is. For tests that are not about the deadline of 5 s.
be_patient() {
	echo 'deadline = 1m' >"$root/etc/memsched.conf.d/patient.conf"
}

# python3 -c "$pty_spawn" COMMAND...: runs it in a terminal of its own, whose other side is our stdin and stdout. Not
# script(1), which is not in the same package everywhere.
# shellcheck disable=SC2034
pty_spawn='import pty, sys; pty.spawn(sys.argv[1:])'

# meminfo TOTAL AVAILABLE: KiB of the host below the root. A reader sees the old figures or the new ones.
meminfo() {
	figures "$@" >"$root/proc/meminfo.new"
	mv -f "$root/proc/meminfo.new" "$root/proc/meminfo"
}

figures() {
	printf '%s: %s kB\n' MemTotal "$1" MemFree "$2" MemAvailable "$2" Buffers 1024 Cached 2048
}

# separately [-CODE] COMMAND...: as run [-CODE] --separate-stderr, with a fourth of its processes.
separately() {
	local code='' printed=$BATS_TEST_TMPDIR/printed
	[[ $1 != -[0-9]* ]] || code=${1#-}
	[ -z "$code" ] || shift
	status=0
	"$@" >"$printed.out" 2>"$printed.err" || status=$?
	IFS= read -r -d '' output <"$printed.out" || :
	output=${output%"${output##*[!$'\n']}"}
	read -r -d '' stderr <"$printed.err" || :
	IFS=$'\n' read -r -d '' -a lines <"$printed.out" || :
	IFS=$'\n' read -r -d '' -a stderr_lines <"$printed.err" || :
	[ -z "$code" ] || [ "$status" -eq "$code" ] || { echo "exit $status, not $code: $stderr"; return 1; }
}

# refuses CODE WORDS COMMAND...: exits with CODE, prints nothing on stdout and one line with WORDS on stderr. Sets what run
# sets.
refuses() {
	local code=$1 words=$2 printed=$BATS_TEST_TMPDIR/printed
	separately "-$code" "${@:3}" || return
	mapfile -t stderr_lines <"$printed.err" # with empty ones
	[ ! -s "$printed.out" ] || { echo "on stdout: $output"; return 1; }
	[ "${#stderr_lines[@]}" -eq 1 ] || { echo "not one line: $stderr"; return 1; }
	[[ $stderr == *"$words"* ]] || { echo "no '$words' in: $stderr"; return 1; }
}

# pause SECONDS: without a process.
pause() {
	read -r -t "$1" -u "$never" || :
}

# wait_for COMMAND...: until it succeeds. Only what hangs takes a minute, also on a busy machine.
wait_for() {
	local end=$((SECONDS + 60))
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || { echo "not in a minute: $*"; return 1; }
		pause 0.1
	done
}

# ends COMMAND...: sets pid, the number of the loop that COMMAND starts; SIGTERM ends it, good. Hours before its next pass, if
# it has such an interval.
ends() {
	"$@"
	kill -TERM "$pid"
	wait_for has_ended
	wait "$pid" || return 1
	pid=
}

has_ended() {
	! kill -0 "$pid" 2>/dev/null
}

# goes_round TIMES: until the loop with the number pid has gone to sleep TIMES more: it has had the occasion to say again what
# it says once.
goes_round() {
	local least
	count_sleeps
	least=$((sleeps + $1))
	wait_for has_slept "$least"
}

has_slept() {
	count_sleeps
	[ "$sleeps" -ge "$1" ]
}

count_sleeps() {
	local all
	IFS= read -r -d '' all <"/proc/$pid/status" || :
	sleeps=${all##*$'\n'voluntary_ctxt_switches:}
	sleeps=${sleeps%%$'\n'*}
}

# stuffed FIFO: one that takes nothing more, open as descriptor 7.
stuffed() {
	mkfifo "$1"
	exec 7<>"$1"
	dd if=/dev/zero of="$1" oflag=nonblock bs=4096 count=100 2>/dev/null || true
}

# waits_for_reader: whether the program with the number pid is in a write to standard output or standard error.
waits_for_reader() {
	local nr fd
	read -r nr fd _ <"/proc/$pid/syscall"
	[[ $nr == @(1|64) && $fd == 0x[12] ]] # of x86_64 and of others
}

# as_root_only: for tests that mount or take on other users.
as_root_only() {
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	unshare -m true 2>/dev/null || skip "cannot make mount namespaces"
}

# metrics_are_clean FILE: promtool finds nothing to say. Without a promtool nothing is checked: tests/deps fetches it.
metrics_are_clean() {
	[ -x "$promtool" ] || skip "promtool is not there: tests/deps test"
	run "$promtool" check metrics <"$1"
	[ "$status" -eq 0 ] || { echo "$output"; return 1; }
	[ -z "$output" ] || { echo "$output"; return 1; }
}

# with_guests NUMBER: node is one with so many, at most 900, each of which has an unknown hint.
with_guests() {
	local i
	{
		echo "<node>"
		for ((i = 100; i < 100 + $1; i++)); do
			echo "<domain type='test'><name>g$i</name><uuid>11111111-0000-4000-8000-000000000$i</uuid><metadata>\
				<m:memory xmlns:m='urn:memsched:domain:1.0' weight='7'/></metadata><memory>524288</memory><os><type>hvm</type></os></domain>"
		done
		echo "</node>"
	} >"$BATS_TEST_TMPDIR/guests.xml"
	node=test://$BATS_TEST_TMPDIR/guests.xml
}

# with_hints XML: node is one whose guest needy has XML as its metadata.
with_hints() {
	sed "0,/<memory unit/s|<memory unit|<metadata>$1</metadata>&|" tests/cli/node.xml >"$BATS_TEST_TMPDIR/hints.xml"
	node=test://$BATS_TEST_TMPDIR/hints.xml
}
