# SPDX-License-Identifier: MIT
# Real guests under load: ours in turn with the original's rule. The figures stand in the report. `make bench` has more scenarios.
bats_require_minimum_version 1.5.0

setup() {
	cd "$BATS_TEST_DIRNAME/../../.." || return 1
}

teardown_file() {
	. "$BATS_TEST_DIRNAME/../bed.bash"
	guests_stop_all
}

# figures COMMAND...: what it prints goes into the report, whatever comes of it.
figures() {
	run "$@" 3>&- 4>&-
	sed 's/^/# figure: /' <<<"$output" >&3
	[ "$status" -eq 0 ]
}

# swings: of the last scenario that was run with membalance, or with both.
swings() {
	sed -n 's/.* controller=\(membalance\|both\) .* swings=\([0-9]*\).*/\2/p' <<<"$output" | tail -n 1
}

@test "all: four guests grow and let go" {
	figures tests/bench/scenario --compare all
	swings >"$BATS_FILE_TMPDIR/alone"
}

@test "all, with memguard too: they do not fight" {
	[ -s "$BATS_FILE_TMPDIR/alone" ] || skip "there is nothing to compare it with"
	figures tests/bench/scenario all -- both
	[[ $output == *' oom=0 '* ]]
	[ "$(swings)" -le $(($(<"$BATS_FILE_TMPDIR/alone") + 10)) ] # as in together.bats
}

@test "seesaw: guests swing each few seconds" {
	figures tests/bench/scenario --compare seesaw
}

@test "single passes each 5 s serve all: no guest is killed" {
	figures tests/bench/scenario all -- bash -c 'while sleep 5; do membalance --once --json; done'
	[[ $output == *' oom=0 '* ]]
}
