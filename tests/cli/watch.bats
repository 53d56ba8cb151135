# SPDX-License-Identifier: MIT
# memstat --watch, on terminals of tmux and without one.
bats_require_minimum_version 1.5.0

setup() {
	load cli.bash
	load terminal.bash
	cli_setup
	be_patient
	terminal_setup
	meminfo 16777216 4194304
	world=$node
}

teardown() {
	[ -z "${pid:-}" ] || kill "$pid" 2>/dev/null || :
	terminal_end
}

# guests NUMBER [PERIOD]: a world of so many. The test driver's statistics are of 1989: fresh by a very long PERIOD alone.
guests() {
	local i
	world=test://$dir/world.xml
	meminfo 67108864 62914560
	{
		sed '/<domain/,$d' tests/cli/node.xml
		for ((i = 1; i <= $1; i++)); do
			printf "<domain type='test'><name>vm%02d</name><uuid>11111111-0000-4000-8000-0000000000%02d</uuid>" "$i" "$i"
			printf "<memory unit='MiB'>1024</memory><currentMemory unit='MiB'>%d</currentMemory>" $((200 + 10 * i))
			printf "<os><type>hvm</type></os>"
			echo "<devices><memballoon model='virtio'><stats period='${2:-1}'/></memballoon></devices></domain>"
		done
		echo '</node>'
	} >"$dir/world.xml"
}

# ---- the bars

@test "80x24: host with its mark, a bar a guest, figures and reasons" {
	watching 80x24
	sees '^5 guests: 3.7G of 5.5G; no pass yet; guard: not running$' '^Host +█+░+│░? +12G of 16G used$' '^available 4G  reserve 293M .* by name  [0-9:]{8}$' \
		'^5 guests +█ used ░ free · away +Used Actual Maximum  Want  Reason$' \
		'^idle +█+░+ +1G +2G +2G +2G  stale-stats$' \
		'^needy +█░·+ +100M +200M +2G +[0-9M]+  below-target$' '^plain +─+ +- +512M +512M +-  no-balloon$' \
		'^resting +█+░+ .* paused$' '^-rf .xC2…80.xAEx █' 'q quit  s sort  ↑↓ PgUp PgDn scroll$'
	run -1 grep sleeping <(shown)
	[ "$(shown | wc -l)" -eq 24 ]
}

@test "other sizes, and a change of size" {
	watching 200x50
	sees '^5 guests: 5.5G maximum, 3.7G now, 1.6G used, 1.8G given back; no pass yet; guard: not running$' \
		'^5 guests +█ used  ░ free  · ballooned away +Used  Free Actual Maximum  Want  Reason$' \
		'^-rf .xC2.x9B2J.xE2.x80.xAEx +█'
	pane resize-window -x 40 -y 10
	sees '^Host +█+░*│░* +12G of 16G used$' '^needy +█░?·+ +200M'
	pane resize-window -x 20 -y 5
	sees '^Host +█+░*│░*$' '^needy +█░?·+$' '… 2 more'
	pane resize-window -x 80 -y 24
	sees ' Maximum  Want  Reason$'
	press q
	given_back 0
}

@test "a guest that is swapping is in the first line, narrow and wide" {
	guests 3 1000000000
	membalance -c "$world" --root "$root"
	sed -i 's/^distress_samples=0$/distress_samples=2/' "$root"/run/memsched/state/*02
	watching 80x24
	sees '^3 guests: 660M of 3G; 1 SWAPPING; last pass [0-9]+ s ago \(single\); guard: not run' '^vm02 .* distress$'
	pane resize-window -x 200 -y 50
	sees '^3 guests: 3G maximum, 660M now, 330M used, 2.4G given back; 1 SWAPPING; last pass .*; guard: not running$'
	[ "$(shown | grep -c ' distress$')" -eq 1 ]
	sees ' away +Used in 24 h +Used  Free Actual Maximum  Want  Reason$' '^vm02 +█+░+·+ +▄ +110M ' # the pass is in the history
}

@test "more guests than fit: scrolling, and what is cut is said" {
	guests 40
	watching 80x24
	sees '^vm01 ' '^… 22 more ' '^vm18 '
	press Down
	sees '^… 21 more, 1 above ' '^vm19 '
	press PageDown
	sees '^… 3 more, 19 above ' '^vm20 '
	press PageDown
	sees '^… 22 above ' '^vm40 '
	press Up
	sees '^… 1 more, 21 above '
	press Home
	sees '^… 22 more ' '^vm01 '
	press End
	sees '^vm40 '
	press g
	sees '^vm01 '
}

@test "sorted by another figure at a key" {
	guests 3
	watching 80x24
	sees 'by name '
	press s
	sees 'by used '
	[ "$(shown | grep -o '^vm0.' | tr '\n' ' ')" = 'vm03 vm02 vm01 ' ]
	press s
	sees 'by free '
	[ "$(shown | grep -o '^vm0.' | tr '\n' ' ')" = 'vm01 vm02 vm03 ' ]
	press s s s
	sees 'by name '
}

@test "--sort holds on the screen" {
	guests 3
	watching 80x24 --sort -actual
	sees 'by -actual '
	[ "$(shown | grep -o '^vm0.' | tr '\n' ' ')" = 'vm03 vm02 vm01 ' ]
	press s
	sees 'by name '
	[ "$(shown | grep -o '^vm0.' | tr '\n' ' ')" = 'vm01 vm02 vm03 ' ]
	press s s s s s
	sees 'by -actual '
	[ "$(shown | grep -o '^vm0.' | tr '\n' ' ')" = 'vm03 vm02 vm01 ' ]
}

@test "the figures are those of now" {
	watching 80x24 --watch=100ms
	sees 'available 4G '
	meminfo 16777216 200000
	sees 'available 195M ' '15.8G of 16G used'
	meminfo 16777216 8388608
	sees 'available 8G '
}

@test "a pause is said, and what there is to complain of" {
	membalance --root "$root" --pause 30m
	watching 80x24 --watch=100ms
	sees '^balancing is paused for another (30|29) min$'
	meminfo 16777216 1024
	sees '^balancing is paused for another (30|29) min; and 1 more$'
	membalance --root "$root" --resume
	sees '^host: guests need '
}

@test "named guests alone, and none of them" {
	watching 80x24 needy nosuch
	sees '^needy ' '^1 guest '
	run -1 grep '^idle ' <(shown)
	press q
	given_back 0
	rm "$dir/over"
	type_line w nosuch
	sees '^none of the named guests is running$'
}

@test "--count ends it" {
	watching 80x24 --watch=100ms --count 20
	given_back 0
}

# ---- what a terminal can do

@test "no color where NO_COLOR says so, ASCII where the locale has no more, no escapes on a dumb terminal" {
	shell 80x24
	pane pipe-pane "cat >'$dir/color'"
	type_line w
	sees '^Host'
	press q
	sees '^ended 0$'
	grep -q $'\033\\[3[123]m' "$dir/color"
	grep -q '█' "$dir/color"
	pane pipe-pane "cat >'$dir/plain'"
	type_line 'clear; NO_COLOR=1 LC_ALL=C w; echo plain""end'
	sees '^Host +#+=+\|=? '
	press q
	sees '^plainend$'
	run -1 env LC_ALL=C grep -P '[\x80-\xff]|\x1b\[[1-9][0-9;]*m' "$dir/plain"
	pane pipe-pane "cat >'$dir/dumb'"
	type_line 'TERM=dumb w --count 2; echo dumb""end'
	wait_for grep -q '^dumbend' "$dir/dumb"
	[ "$(grep -c '^Domain ' "$dir/dumb")" -eq 2 ]
	run -1 grep $'\033' <(sed -n '/^Domain/,/^ended/p' "$dir/dumb")
}

@test "without a terminal on standard input there are no keys, and Ctrl-C ends it" {
	watching 80x24 '</dev/null'
	press q
	sees '^needy '
	press C-c
	given_back 0
}

# ---- ways out

@test "q, Ctrl-C and signals: the terminal is given back" {
	watching 80x24
	press q
	given_back 0
	local signal
	for signal in TERM HUP; do
		rm "$dir/over"
		type_line 'clear; echo be""fore; w'
		sees '^Host'
		kill "-$signal" "$(<"$dir/pid")"
		given_back 0
	done
	rm "$dir/over"
	type_line 'clear; echo be""fore; w'
	sees '^Host'
	press C-c
	given_back 0
}

@test "a crash gives the terminal back as well" {
	export ASAN_OPTIONS=${ASAN_OPTIONS:-}:handle_segv=0 # which would have it
	shell 80x24
	local signal
	for signal in SEGV ABRT QUIT USR1; do
		rm -f "$dir/over"
		type_line 'clear; echo be""fore; ulimit -c 0; w'
		sees '^Host'
		kill "-$signal" "$(<"$dir/pid")"
		given_back $((128 + $(kill -l "$signal")))
	done
}

@test "Ctrl-Z and fg, and a stop from outside" {
	watching 80x24
	press C-z
	sees 'Stopped' '^before$'
	[ "$(flags alternate_on cursor_flag)" = 01 ]
	type_line 'echo mean""while'
	sees '^meanwhile$'
	type_line fg
	sees '^Host' '^needy '
	[ "$(flags alternate_on)" = 1 ]
	kill -STOP "$(<"$dir/pid")"
	sees 'Stopped'
	type_line 'clear; echo be""fore; fg'
	sees '^Host' '^needy '
	press s
	sees 'by used '
	press q
	wait_for not_running "$(<"$dir/pid")"
	type_line "stty -g >'$dir/after'"
	wait_for test -s "$dir/after"
	is_as_before
}

@test "it ends when its terminal is gone, with SIGHUP ignored too" {
	shell 80x24
	type_line "trap '' HUP; w"
	sees '^Host'
	local pid
	pid=$(<"$dir/pid")
	pane kill-server
	wait_for not_running "$pid"
}

not_running() {
	! kill -0 "$1" 2>/dev/null
}

# ---- libvirt

@test "without libvirt it says so and comes back by itself" {
	guests 3
	mv "$dir/world.xml" "$dir/later.xml"
	shell 80x24
	type_line w
	sees '^trying again( in [0-9]+ s)?: cannot ask libvirt at$' ' XML error|directory'
	mv "$dir/later.xml" "$dir/world.xml"
	sees '^vm01 ' '^Host'
	run -1 grep 'trying again' <(shown)
	press q
	given_back 0
}

@test "where libvirt does not answer, keys do" {
	perl -e 'use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new(Type => SOCK_STREAM, Local => shift, Listen => 9) or die;
		sleep 300' "$dir/mute" 3>&- &
	pid=$!
	wait_for test -S "$dir/mute"
	world="qemu+unix:///system?socket=$dir/mute"
	shell 80x24
	type_line w --deadline 100s
	sees '^asking libvirt' '^no answer for [0-9]+ s'
	press q
	given_back 75
}

@test "what libvirt will never know ends it" {
	world=nosuch
	shell 80x24
	type_line w
	sees '^memstat: error: cannot ask libvirt at .nosuch.'
	given_back 2
}

@test "memory and descriptors stay as they are" {
	export ASAN_OPTIONS=${ASAN_OPTIONS:-}:quarantine_size_mb=0:thread_local_quarantine_size_kb=0:malloc_context_size=0
	watching 80x24 --watch=100ms
	local pid fds kib
	pid=$(<"$dir/pid")
	goes_round 40
	fds=$(find "/proc/$pid/fd" -mindepth 1 | wc -l)
	kib=$(awk '$1 == "VmRSS:" { print $2 }' "/proc/$pid/status")
	goes_round 120
	[ "$(find "/proc/$pid/fd" -mindepth 1 | wc -l)" -lt $((fds + 10)) ] # one may be open just now
	[ "$(awk '$1 == "VmRSS:" { print $2 }' "/proc/$pid/status")" -lt $((kib + 1024)) ]
}

# ---- no terminal

@test "piped: a table each time, and nothing of a terminal" {
	separately bash -c "memstat -w100ms --count 3 -c '$world' --root '$root' | cat"
	[ "$status" -eq 0 ]
	[ "$(grep -c '^Domain ' <<<"$output")" -eq 3 ]
	[ "$(grep -c '^host ' <<<"$output")" -eq 3 ]
	[ "$(grep -cE '^20[0-9]{2}-[0-9]{2}-[0-9]{2} [0-9:]{8}$' <<<"$output")" -eq 3 ]
	[[ $output != *$'\033'* ]]
	[ -z "$stderr" ]
}

@test "piped: JSON objects in lines" {
	memstat --watch=100ms --count 3 -J -c "$world" --root "$root" >"$dir/json"
	[ "$(jq -s 'map(select(.schema == "memsched.stat/1")) | length' "$dir/json")" -eq 3 ]
}

@test "piped: failures are said once while they last, and it goes on" {
	guests 2
	mv "$dir/world.xml" "$dir/later.xml"
	memstat --watch=100ms -c "$world" --root "$root" >"$dir/out" 2>"$dir/err" 3>&- &
	pid=$!
	wait_for test -s "$dir/err"
	mv "$dir/later.xml" "$dir/world.xml"
	wait_for grep -q '^vm01 ' "$dir/out"
	mv "$root/proc/meminfo" "$root/proc/away"
	wait_for grep -q 'proc/meminfo' "$dir/err"
	kill "$pid"
	wait "$pid"
	[ "$(grep -c '^memstat: error: ' "$dir/err")" -eq 2 ]
}

@test "a time that stands apart is refused, with how it is written" {
	run memstat -w 5 --count 1 -c "$world" --root "$root"
	[ "$status" -eq 2 ]
	[[ $output == *"write the time as '-w5'"* ]]
}

@test "piped: failed looks count" {
	separately memstat --watch=100ms --count 2 -c "test:///$dir/nosuch" --root "$root"
	[ "$status" -ne 0 ]
	[ -z "$output" ]
	[ "$(grep -c '^memstat: error: ' <<<"$stderr")" -eq 1 ]
}

@test "piped: told to end with nothing seen is no success" {
	local code=0
	memstat -w100ms -c 'qemu+unix:///system?socket=/nonexistent' --root "$root" 2>"$dir/err" 3>&- &
	wait_for grep -q /nonexistent "$dir/err"
	kill -TERM $!
	wait $! || code=$?
	[ "$code" -eq 75 ]
}

@test "piped: a full disk ends it" {
	run bash -c "memstat -w100ms -c '$world' --root '$root' >/dev/full"
	[ "$status" -eq 1 ]
	[[ $output == *'cannot write'* ]]
}

@test "refusals" {
	local value
	refuses 2 "'--count' needs '--watch'" memstat -c "$world" --root "$root" --count 3
	for value in 0 -1 x 99999999999; do
		refuses 2 "bad value '$value' for '--count'" memstat -c "$world" --root "$root" -w --count "$value"
	done
	for value in 0 99ms x -1 1d; do
		refuses 2 "bad value '$value' for '--watch'" memstat -c "$world" --root "$root" --watch="$value"
	done
}
