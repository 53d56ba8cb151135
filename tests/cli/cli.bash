# shellcheck shell=bash
# cli.bash: what the cli tests share. Each test has a root of its own, so nothing of the machine is read or written.

cli_setup() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	PATH=$PWD/bin:$PATH
	root=$BATS_TEST_TMPDIR/root
	node=test://$PWD/tests/cli/node.xml
	promtool=$(command -v promtool || echo "${PROMTOOL:-$PWD/build/promtool}")
	mkdir -p "$root/proc" "$root/run" "$root/etc"
	meminfo 16777216 12582912
	unset LIBVIRT_DEFAULT_URI
}

# meminfo TOTAL AVAILABLE: KiB of the host below the root.
meminfo() {
	cat >"$root/proc/meminfo" <<-END
		MemTotal:       $1 kB
		MemFree:        $2 kB
		MemAvailable:   $2 kB
		Buffers:        1024 kB
		Cached:         2048 kB
	END
}

# refuses CODE WORDS COMMAND...: exits with CODE, prints nothing on stdout and one line with WORDS on stderr.
refuses() {
	local code=$1 words=$2
	shift 2
	run --separate-stderr "$@"
	[ "$status" -eq "$code" ] || { echo "exit $status, not $code: $stderr"; return 1; }
	[ -z "$output" ] || { echo "on stdout: $output"; return 1; }
	[ "${#stderr_lines[@]}" -eq 1 ] || { echo "not one line: $stderr"; return 1; }
	[[ $stderr == *"$words"* ]] || { echo "no '$words' in: $stderr"; return 1; }
}

# wait_for COMMAND...: until it succeeds, at most 10 s.
wait_for() {
	local _
	for _ in {1..100}; do
		"$@" && return
		sleep 0.1
	done
	echo "not in 10 s: $*"
	return 1
}

# ends_soon COMMAND…: sets pid, the number of the loop that COMMAND starts; SIGTERM is to end it within 1 s, good. The best of five
# tries counts, for a machine may be busy.
ends_soon() {
	local start took least=1000000
	for _ in {1..5}; do
		"$@"
		start=${EPOCHREALTIME/[.,]/}
		kill -TERM "$pid"
		wait "$pid" || return 1
		took=$((${EPOCHREALTIME/[.,]/} - start))
		least=$((took < least ? took : least))
	done
	pid=
	[ "$least" -lt 1000000 ]
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
