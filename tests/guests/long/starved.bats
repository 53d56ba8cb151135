# SPDX-License-Identifier: MIT
# Real guests on a host that another process has filled: only with STARVE=yes. The figures stand in the report.
bats_require_minimum_version 1.5.0

setup() {
	cd "$BATS_TEST_DIRNAME/../../.." || return 1
	[ "${STARVE:-}" = yes ] || skip "runs the host short of memory: say STARVE=yes"
	reserve=$(membalance --dry-run -J | jq '.host.reserve_bytes / 1048576 | floor')
}

teardown_file() {
	. "$BATS_TEST_DIRNAME/../bed.bash"
	guests_stop_all
}

# starve SCENARIO: its figures go into the report, and into the array of that name.
starve() {
	run tests/bench/scenario "$1" -- membalance --interval 1 --json 3>&- 4>&-
	sed 's/^/# figure: /' <<<"$output" >&3
	[ "$status" -eq 0 ]
	printf '%s\n' "${output##*$'\n'}" >"$BED/alone.$1" # for together.bats
	declare -gA figure
	local pair
	for pair in ${output##*$'\n'}; do
		figure[${pair%%=*}]=${pair#*=}
	done
}

# What the host has is MemAvailable and what the kernel frees when it has to (lib/host.h): taken from guests, and not split
# from their huge pages yet. MemAvailable alone falls by up to 500 MiB while balloons inflate.
host_kept() {
	[ "${figure[least_with_unsplit]}" -ge "$1" ]
}

@test "scarce: more is wanted than there is: the host keeps half its reserve, those that live have the same" {
	starve scarce
	host_kept $((reserve / 2))
	[ "${figure[spread]}" = - ] || awk -v mib="${figure[spread]}" 'BEGIN { exit !(mib <= 10) }'
	# then a demand that all can live with: the same but for the tolerance (5 MiB) either way and what a sample is late by; measured 5-14
	[ "${figure[level_oom]}" -eq 0 ]
	awk -v mib="${figure[level_spread]}" 'BEGIN { exit !(mib <= 16) }'
}

@test "pinch: two of four grow to what there just is: no guest is killed, the host keeps half its reserve" {
	starve pinch
	[ "${figure[oom]}" -eq 0 ]
	host_kept $((reserve / 2))
}
