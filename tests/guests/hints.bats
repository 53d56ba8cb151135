# SPDX-License-Identifier: MIT
# Hints in the metadata of four real guests, under load.
# bats file_tags=more
bats_require_minimum_version 1.5.0

setup_file() {
	load bed.bash
	file_begin 2500
	guests_start 3 idle max=768 current=384
	guest_start busy max=768 current=384
	guest_wait idle1 idle2 idle3 busy
}

teardown_file() {
	load bed.bash
	file_end
}

setup() {
	load bed.bash
	pid=
}

teardown() {
	kill_background
}

# hint GUEST XML: its hints are these from now on.
hint() {
	virsh metadata "$1" urn:memsched:domain:1.0 --key memsched --live --set "<memory>$2</memory>" >/dev/null
}

# wanted GUEST CONDITION [FIRST]: whether what passes (from the FIRST on) decided for the guest, in MiB, is so; one did decide.
wanted() {
	jq -es --arg name "$1" --argjson first "${3:-0}" "[.[\$first:][].moves[] | select(.name == \$name and .action != \"skip\") |
		.want_bytes / 1048576] | length > 0 and all(.[]; $2)" "$passes"
}

@test "min and max of the metadata hold, also when they change" {
	membalance # who has what
	hint busy '<max unit="MiB">300</max>'
	hint idle1 '<min unit="MiB">390</min>'
	membalance -J >"$BATS_TEST_TMPDIR/pass"
	jq -e '.moves[] | select(.name == "idle1") | .action == "grow" and .want_bytes == 390 * 1048576' "$BATS_TEST_TMPDIR/pass"
	loop_begin
	guest_ask busy 150 50
	loop_goes_on 4
	loop_end
	jq -es 'all(.[].moves[] | select(.name == "busy"); .want_bytes <= ([.from_bytes, 300 * 1048576] | max))' "$passes"
	wanted idle1 '. >= 390'
	guest_load busy 20
	run memstat -J
	jq -e '(.domains[] | select(.name == "busy") | .max_bytes) == 300 * 1048576' <<<"$output"
	virsh metadata idle1 urn:memsched:domain:1.0 --key memsched --live --set '<memory managed="no"/>' >/dev/null
	membalance -J | jq -e '.moves[] | select(.name == "idle1") | .action == "skip" and .reason == "opted-out"'
	hint idle1 '<min unit="parsecs">390</min>'
	run --separate-stderr membalance
	[ "$status" -eq 0 ]
	[[ $stderr == *idle1*min*parsecs* ]]
	[[ $(memstat -o hints idle1 2>/dev/null) == *voided* ]]
}

# bats test_tags=long
@test "min and max hold over a whole load, a min that is raised meanwhile soon after" {
	hint busy ''
	hint idle1 '<min unit="MiB">300</min>'
	hint idle2 '<max unit="MiB">400</max>'
	loop_begin
	wait_until 60 at_least idle1 300
	wait_until 60 at_most idle2 400
	trace=$BATS_TEST_TMPDIR/trace
	"$BATS_TEST_DIRNAME"/../bench/meter 300 "$trace" >/dev/null 3>&- &
	meter=$!
	guest_load idle2 220 30 # with headroom it wants 440 MiB
	guest_load busy 300 40
	guest_ask idle1 250 40
	wait_until 60 at_least idle2 391 # the max is needed
	loop_goes_on 3
	guest_load busy 20
	guest_load idle1 20
	loop_goes_on 4
	hint idle1 '<min unit="MiB">350</min>'
	wait_until 60 at_least idle1 350 # the loop reads hints again after a while
	raised=$(wc -l <"$passes")
	guest_load idle2 20
	loop_goes_on 5
	wait_until 120 traced 40
	loop_end
	kill "$meter"
	wait "$meter" || :
	awk -F, '$2 == "idle1" && $3 < 300 * 1024 { print; bad = 1 } $2 == "idle2" && $3 > 400 * 1024 { print; bad = 1 } END { exit bad }' \
		"$trace"
	wanted idle2 '. <= 400'
	wanted idle1 '. >= 300'
	wanted idle1 '. >= 350' $((raised + 1))
	[ "$(guest_restarts idle1)" -eq 0 ]
	[ "$(guest_restarts idle2)" -eq 0 ]
}

# traced NUMBER: whether the guest was sampled so often.
traced() {
	[ "$(grep -c ,idle1, "$trace")" -ge "$1" ]
}

# Whether a pass said so of the guest.
is_at_max() {
	jq -es --arg name "$1" 'any(.[].moves[] | select(.name == $name); .reason == "at-max")' "$passes"
}

gives_back() {
	membalance -J | jq -e --arg name "$1" '.moves[] | select(.name == $name) | .action == "shrink"'
}

@test "a max below what the guest uses stops gives and hurts nobody" {
	loop_begin
	loop_goes_on 3
	guest_ask idle3 250 40
	loop_goes_on 3
	hint idle3 '<max unit="MiB">250</max>'
	before=$(guest_actual idle3)
	wait_until 60 is_at_max idle3 || { jq -c '.moves[] | select(.name == "idle3")' "$passes"; return 1; }
	loop_goes_on 4
	loop_end
	[ "$(guest_restarts idle3)" -eq 0 ]
	[ "$(guest_stat idle3 usable)" -ge 140000 ] # not taken below what it uses and the target
	[ "$(guest_actual idle3)" -le "$before" ]
	guest_ask idle3 20
	wait_until 120 gives_back idle3 # what it does not use any more goes
	hint idle3 ''
}
