# SPDX-License-Identifier: MIT
# membalance and memguard together, on a host that runs short (STARVE=yes). The figures stand in the report; `all`, which needs no
# short host, is in scenarios.bats. SOAK_SECONDS (60) is how long the soak takes with either.
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

# What membalance alone does; of scarce starved.bats has seen it already.
alone() {
	if [ -s "$BED/alone.$1" ]; then
		line=$(<"$BED/alone.$1")
	else
		scenario "$1" membalance --interval 1 --json
	fi
}

# A fight would be dozens; alone they differ by 6 from run to run.
swings_at_most_as() {
	[ "$(figure swings)" -le $(($1 + 10)) ]
}

@test "scarce, with both: the host keeps half its reserve, and they do not fight" {
	alone scarce
	swings=$(figure swings)
	scenario scarce both
	[ "$(figure least_with_unsplit)" -ge $((2 * quarter)) ] # as in starved.bats
	swings_at_most_as "$swings"
}

@test "soak: they do not fight, and neither grows" {
	alone soak
	swings=$(figure swings)
	scenario soak both
	swings_at_most_as "$swings"
	[ "$(figure least_with_unsplit)" -ge "$quarter" ]
	[ "$(figure fds_more)" -le 2 ]
	[ "$(figure rss_more_kib)" -le 2048 ]
}
