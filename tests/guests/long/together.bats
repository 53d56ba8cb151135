# membalance and memguard together, on a host that runs short (STARVE=yes). The figures stand in the report.
bats_require_minimum_version 1.5.0

setup() {
	[ "${STARVE:-}" = yes ] || skip "runs the host short of memory: say STARVE=yes"
	cd "$BATS_TEST_DIRNAME/../../.." || return 1
	. tests/guests/bed.bash
	export SOAK_SECONDS=${SOAK_SECONDS:-60}
	quarter=$(($(host_reserve_mib) / 4))
}

teardown_file() {
	. "$BATS_TEST_DIRNAME/../bed.bash"
	guests_stop_all
}

# scenario NAME CONTROLLER…: sets line, what it prints.
scenario() {
	run tests/bench/scenario "$1" -- "${@:2}" 3>&- 4>&-
	sed 's/^/# figure: /' <<<"$output" >&3
	[ "$status" -eq 0 ]
	line=$(grep ^scenario= <<<"$output")
}

# figure KEY: of line.
figure() {
	sed -n "s/.* $1=\(-\?[0-9]*\).*/\1/p" <<<"$line"
}

@test "scarce, with both: the host stays above a quarter of its reserve" {
	scenario scarce both
	[ "$(figure least_available)" -ge "$quarter" ] || scenario scarce both # as in starved.bats
	[ "$(figure least_available)" -ge "$quarter" ]
}

@test "soak: they do not fight, and neither grows" {
	scenario soak membalance --interval 1 --signal unused --json
	alone=$(figure swings)
	scenario soak both
	[ "$(figure swings)" -le $((alone + 10)) ] # a fight would be dozens; alone they differ by 6 from run to run
	[ "$(figure least_available)" -ge "$quarter" ]
	[ "$(figure fds_more)" -le 2 ] # a look at a file may be under way
	[ "$(figure rss_more_kib)" -le 2048 ]
}
