# SPDX-License-Identifier: MIT
# What every command has in common: its configuration, its manual, its --help, its completion.
bats_require_minimum_version 1.5.0

setup() {
	load cli.bash
	cli_setup
	commands=()
	for command in membalance memstat memguard; do
		[ ! -x "bin/$command" ] || commands+=("$command")
	done
}

# shows COMMAND OPTION...: --show-config with blanks made one.
shows() {
	"$1" --root "$root" --show-config "${@:2}" | tr -s ' '
}

@test "--show-config names each value and where it stands" {
	printf 'step = 1 MiB # little\nexclude = a  b\n' >"$root/etc/memsched.conf"
	printf '\nstep = 2MiB\n' >"$root/etc/memsched.conf.d/a.conf"
	for command in "${commands[@]}"; do
		shows "$command" -c test:///default >"$BATS_TEST_TMPDIR/shown"
		diff "$BATS_TEST_TMPDIR/shown" - <<-END
			target = 150000KiB # from default
			step = 2MiB # from $root/etc/memsched.conf.d/a.conf:2
			reserve = # from default: 300000KiB on this host
			tolerance = 5000KiB # from default
			plenty = 10% # from default
			buffer = 20% # from default
			take = idle # from default
			interval = 1s # from default
			deadline = 5s # from default
			settle = 2s # from default
			boot_grace = 15s # from default
			stats_period = # from default
			exclude = a b # from $root/etc/memsched.conf:2
			uri = test:///default # from option
			on_critical = # from default
			textfile = # from default
			log = # from default
			history = yes # from default
		END
	done
	[ -z "$(ls -A "$root/run")" ]
}

@test "what --show-config prints is a configuration that says the same" {
	printf 'exclude = a  b*, c#\nreserve = 10%%\nlog = /var/log/x\n[guest a b]\nmin = 1GiB\n[guest c]\nmin =\n' >"$root/etc/memsched.conf"
	membalance --root "$root" --show-config --target 20% >"$BATS_TEST_TMPDIR/shown"
	separately membalance --root "$root" --config "$BATS_TEST_TMPDIR/shown" --show-config
	[ -z "$stderr" ]
	diff <(sed 's/ *# from.*//' "$BATS_TEST_TMPDIR/shown") <(sed 's/ *# from.*//' <<<"$output")
	[[ $output == *'target = 20% '*"# from $BATS_TEST_TMPDIR/shown:1"* ]]
	[[ $output == *'reserve = 10% '*"shown:3: 1677721KiB on this host"* ]]
	grep -q '^exclude = a  b\*, c# ' "$BATS_TEST_TMPDIR/shown"
}

@test "in the same file no message stands within a result, however long that is" {
	local all=$BATS_TEST_TMPDIR/all
	with_guests 60
	while read -ra command; do
		"${command[@]}" -c "$node" --root "$root" -J >"$all" 2>&1 || [ $? -eq 3 ] || return 1
		[ "$(wc -c <"$all")" -gt 8192 ]
		grep -q '^mem[a-z]*: warning: .*unknown' "$all"
		[ "$(grep -vc '^mem[a-z]*: ' "$all")" -eq 1 ]
		grep -v '^mem[a-z]*: ' "$all" | jq -e '(.moves + .domains) | length == 60'
	done <<-END
		membalance
		membalance -n
		memstat
	END
}

@test "a size that is more than the host has is refused, with the host's total" {
	: >"$BATS_TEST_TMPDIR/empty.conf"
	printf 'step = 1GiB\nreserve = 200G\n' >"$root/etc/memsched.conf"
	for command in "${commands[@]}"; do
		refuses 2 "$root/etc/memsched.conf:2: bad value '200G' for 'reserve': more than 90% of the host's 16 GiB" \
			"$command" --root "$root" -c "$node"
		refuses 2 "bad value '15GiB' for '--target': more than 90% of the host's 16 GiB" \
			"$command" --root "$root" -c "$node" --config "$BATS_TEST_TMPDIR/empty.conf" --target 15GiB
	done
	echo 'reserve = 14GiB' >"$root/etc/memsched.conf"
	run -0 memstat --root "$root" -c "$node"
	echo 'reserve = 200G' >"$root/etc/memsched.conf"
	run -0 memstat --root "$root" --show-config -c qemu+ssh://host/system # which is not asked for its total
}

@test "a size that lacks its unit is warned of in MiB, and shown with its unit" {
	printf 'reserve = 8192\ntolerance = 4096\n' >"$root/etc/memsched.conf"
	for command in "${commands[@]}"; do
		separately -0 shows "$command" --target 15MiB
		[ "${#stderr_lines[@]}" -eq 2 ]
		[[ ${stderr_lines[0]} == "$command: warning: value '15MiB' for '--target' is only 15 MiB"* ]]
		[[ ${stderr_lines[1]} == "$command: warning: $root/etc/memsched.conf:1: value '8192' for 'reserve' is only 8 MiB: a number without a unit is KiB" ]]
		grep -q '^reserve = 8192KiB # from' <<<"$output"
		grep -q '^tolerance = 4096KiB # from' <<<"$output"
		grep -q '^target = 15MiB # from option' <<<"$output"
	done
}

@test "--show-config says what is odd, and refuses what is wrong" {
	echo 'tagret = 1' >"$root/etc/memsched.conf"
	for command in "${commands[@]}"; do
		separately shows "$command"
		[[ $stderr == "$command: warning: $root/etc/memsched.conf:1: unknown key 'tagret', did you mean 'target'?" ]]
		[[ $output == *'uri = qemu:///system # from default'* ]]
	done
	echo 'log = here' >"$root/etc/memsched.conf"
	for command in "${commands[@]}"; do
		refuses 2 "$root/etc/memsched.conf:1: bad value 'here' for 'log'" "$command" --root "$root" --show-config
	done
	rm "$root/etc/memsched.conf"
	run shows membalance -c qemu+ssh://host/system
	[ "$status" -eq 0 ]
	grep -q 'reserve = # from default$' <<<"$output" # whatever that host has
}

@test "a host whose memory cannot be read has no reserve to show" {
	rm "$root/proc/meminfo"
	run shows membalance
	[ "$status" -eq 0 ]
	grep -q 'reserve = # from default$' <<<"$output"
}

@test "an option that stands for a key sets that key, and no other" {
	local -A values=([connect]=test:///default [target]=1GiB [step]=7MiB [reserve]=9GiB [tolerance]=3MiB [plenty]=2GiB [buffer]=30% [take]=needed
		[interval]=7s [deadline]=9s [settle]=4s [on-critical]=/bin/true [log]=syslog)
	local -A least=([membalance]=11 [memstat]=4 [memguard]=5)
	cd "$BATS_TEST_TMPDIR"
	for command in "${commands[@]}"; do
		"$command" --root "$root" --show-config >plain
		keys=$'\n'$(sed 's/ .*//' plain)$'\n'
		tried=0
		for option in $("$command" --help | sed -nE 's/^ +(-., )?--([a-z-]+).*/\2/p'); do
			key=${option//-/_}
			[ "$option" != connect ] || key=uri
			[ "$option" != history ] || continue # shows it
			[[ $keys == *$'\n'"$key"$'\n'* ]] || continue
			tried=$((tried + 1))
			"$command" --root "$root" --show-config "--$option=${values[$option]}" >shown
			awk -v row="$key = ${values[$option]} # from option" 'NR == FNR { keys[++n] = $1; next }
				$1 != keys[FNR] { wrong = 1 }
				!/# from default/ { $1 = $1; set = set $0 }
				END { exit wrong || FNR != n || set != row }' plain shown || { echo "$command --$option:" && cat shown && false; }
		done
		[ "$tried" -ge "${least[$command]}" ]
	done
}

# The options of a command's --help, a line each: "-c URI", "--connect URI", "--log[=WHERE]".
helped() {
	grep -oE '^ +(-., )?--[^ ]+( [A-Z]+)? ' | sed -E 's/^ *//; s/ +$//; s/^(-.), (--[^[ ]+)(\[=([A-Z]+)\])?(.*)/\1\3\5\n\2\3\5/; s/^(-.)\[=/\1[/' | LC_ALL=C sort
}

# The same of a manual's list of options.
manual() {
	sed -nE 's/^\.It Fl //p' "$1" | sed -E 's/ Ns Op = Ns Ar ([A-Z]+)/[=\1]/; s/ Ns Oo Ar ([A-Z]+) Oc/[\1]/; s/ Ar / /' |
		sed -E 's/^([^ -])(\[[A-Z]+\])? , (Fl )?(-[^[ ]+)(\[=[A-Z]+\])?(.*)/-\1\2\6\n-\4\5\6/; t; s/^/-/' | LC_ALL=C sort
}

# Examples that wrap cannot be copied. Of 80 columns man leaves two.
@test "no example in a manual is wider than a terminal of 80 columns" {
	command -v mandoc >/dev/null || skip "mandoc is not there"
	for page in man/*.[578]; do
		mandoc -T ascii -O width=78 -W warning "$page" | sed $'s/.\b//g' | expand >"$BATS_TEST_TMPDIR/page"
		[ "$(wc -l <"$BATS_TEST_TMPDIR/page")" -gt 50 ]
		run ! grep -E '^.{81}' "$BATS_TEST_TMPDIR/page"
		# what is literal is not wrapped, .Dl is
		sed 's/^ *//' "$BATS_TEST_TMPDIR/page" >"$BATS_TEST_TMPDIR/lines"
		sed -n 's/^\.Dl //p' "$page" >"$BATS_TEST_TMPDIR/literal"
		run -1 grep -vxFf "$BATS_TEST_TMPDIR/lines" "$BATS_TEST_TMPDIR/literal"
	done
}

# completes WORDS...: what the shell offers at the end of the line, a line each.
completes() {
	COMP_LINE=$* COMP_POINT=${#COMP_LINE}
	local line=${*//=/ = }
	read -ra COMP_WORDS <<<"${line//:/ : }" # as COMP_WORDBREAKS has it
	[[ $* != *' ' ]] || COMP_WORDS+=('')
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	_memsched "${COMP_WORDS[0]}"
	printf '%s\n' "${COMPREPLY[@]}" >"$BATS_TEST_TMPDIR/unsorted"
	LC_ALL=C sort "$BATS_TEST_TMPDIR/unsorted"
}

@test "each option stands in --help, in the manual, in its synopsis and in the completion, and nothing else does" {
	. bin/memsched.bash
	local man=$PWD/man
	cd "$BATS_TEST_TMPDIR"
	for command in "${commands[@]}"; do
		[ -e "$man/$command.8" ] || continue
		"$command" --help >help
		helped <help >helped
		[ "$(wc -l <helped)" -ge 10 ]
		manual "$man/$command.8" | diff helped -
		sed 's/[ [].*//' helped | LC_ALL=C sort >options
		completes "$command" - | diff options -
		synopsis=$(sed -n '/^\.Sh SYNOPSIS/,/^\.Sh DESCRIPTION/p' "$man/$command.8" | sed 's/ | \([a-zA-Z]\)$/ | Fl \1/')
		local -A long=()
		while IFS= read -r line; do
			[[ ! $line =~ ^\ +((-.),\ )?--([a-z-]+) ]] || long[${BASH_REMATCH[2]:---${BASH_REMATCH[3]}}]=${BASH_REMATCH[3]}
		done <help
		# of an option with two names, the one that stands there
		while read -r option; do
			case $option in
			--*) [[ ! $synopsis =~ Fl\ ${option#-}([[:space:]]|$) ]] || echo "${option#--}" ;;
			*) [[ ! $synopsis =~ Fl\ [a-zA-Z]*${option#-}[a-zA-Z]*([[:space:]]|$) ]] || echo "${long[$option]}" ;;
			esac
		done <options | sort -u >synopsis
		printf '%s\n' "${long[@]}" | sort | diff - synopsis
	done
}

# offers LINE WORDS: what the shell offers at the end of LINE, in one line.
offers() {
	local words
	completes "$1" >"$BATS_TEST_TMPDIR/words" || return
	mapfile -t words <"$BATS_TEST_TMPDIR/words"
	[ "${words[*]}" = "$2" ] || { echo "'$1': '${words[*]}', not '$2'"; return 1; }
}

@test "the completion offers what fits" {
	. bin/memsched.bash
	mkdir "$BATS_TEST_TMPDIR/here"
	cd "$BATS_TEST_TMPDIR/here"
	mkdir dir
	touch file
	offers 'membalance --sh' --show-config
	offers 'membalance --take ' 'idle needed'
	offers 'memstat --take ne' needed
	offers 'memstat --take=ne' needed
	offers 'membalance --take=' 'idle needed'
	offers 'membalance --target ' ''
	offers 'membalance --config f' file
	offers 'membalance --config=f' file
	offers 'membalance --root ' dir
	offers 'membalance --log=j' journal
	offers 'membalance --log ' '' # what it records to stands behind the = or nowhere
	offers 'membalance -c qemu:///s' '///session ///system'
	offers 'membalance --connect=qemu:///sy' ///system
	offers 'membalance ' ''
	offers 'membalance --bogus=' ''
	offers "memstat -c $node " 'idle needy plain resting' # the hostile one has to be typed
	offers "memstat -c $node idle n" needy
	offers 'memstat -c qemu+ssh://nowhere/system ' ''
	offers './nosuch --' ''
	offers 'memstat -o act' actual
	offers 'memstat --output=domain,use' 'domain,used'
	offers 'memstat --output usable,us' 'usable,used' # not usable again
	offers 'memstat -o +last-w' +last-want
	offers 'memstat --sort want' want
	offers 'memstat --sort -act' -actual
	offers "memstat -c $node --fit sl" sleeping
	offers 'memstat -c qemu+ssh://nowhere/system --fit f' file
	[ "$(completes memstat -o ' ' | wc -l)" -eq "$(memstat --help | sed '1,/^Columns/d; /^$/,$d' | wc -l)" ]
}

@test "readline completes with it" {
	printf '%s\n' '. bin/memsched.bash' $'membalance --sho\t--root "$PWD/nowhere" --tar\t1GiB' exit |
		TERM=dumb python3 -c "$pty_spawn" bash --norc --noprofile -i >"$BATS_TEST_TMPDIR/typed"
	grep -q 'target = 1GiB .*# from option' "$BATS_TEST_TMPDIR/typed"
}

@test "fish and zsh complete with the same words" {
	command -v fish >/dev/null || command -v zsh >/dev/null || skip "neither is there"
	if command -v zsh >/dev/null; then zsh -n bin/memsched.zsh; fi
	command -v fish >/dev/null || return 0
	fished() {
		HOME=$BATS_TEST_TMPDIR fish --no-config -c 'source bin/memsched.fish; complete -C $argv[1]' -- "$1" | cut -f 1
	}
	[ "$(fished 'membalance --show')" = --show-config ]
	[ "$(fished 'memstat -o actual,use')" = actual,used ]
	[ "$(fished 'memstat --take ' | sort | xargs)" = 'idle needed' ]
	[ "$(fished 'memguard --' | sort)" = "$(memguard --help | grep -o ' --[a-z-]*' | tr -d ' ' | sort -u)" ]
}

@test "a try with libvirt's test driver leaves the host's state, metrics and log alone" {
	as_root_only
	printf 'textfile = %s/metrics.prom\nlog = %s/moves\n' "$root" "$root" >"$root/etc/try.conf"
	mkdir "$root/run/own"
	# shellcheck disable=SC2016 # the inner shell's
	unshare -m bash -e -c '
		mount -t tmpfs -o mode=755 run /run
		mount -t tmpfs -o mode=755 lib /var/lib
		for command in "membalance --once" "memguard --once" "memstat --explain"; do
			$command -c "$1" --config "$2/etc/try.conf" --deadline 1m >"$2/out"
		done
		membalance -c "$1" --config "$2/etc/try.conf" --deadline 1m --log="$2/asked"
		cp -r /run/memsched "$2/run/own"' - "$node" "$root"
	[ -z "$(find "$root/run/own/memsched" -type f ! -path '*/hosts/*')" ]
	[ -e "$(echo "$root/run/own/memsched/hosts/"*/no-give)" ]
	[ ! -e "$root/metrics.prom" ] && [ ! -e "$root/moves" ]
}

# only_null: whether the program with the number pid has /dev/null as each standard descriptor.
only_null() {
	local fd
	for fd in 0 1 2; do
		[ "$(readlink "/proc/$pid/fd/$fd")" = /dev/null ] || return 1
	done
}

@test "standard descriptors that are closed are /dev/null in each program" {
	coproc perl -e 'use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new(Type => SOCK_STREAM, Local => shift, Listen => 9) or die;
		$| = 1; print "ready\n"; sleep 300' "$BATS_TEST_TMPDIR/mute"
	read -r -u "${COPROC[0]}" _
	for command in "${commands[@]}"; do
		"$command" --root "$root" --deadline 1m -c "qemu+unix:///system?socket=$BATS_TEST_TMPDIR/mute" <&- >&- 2>&- 3>&- &
		pid=$!
		wait_for only_null
		kill -KILL "$pid"
	done
	kill "$COPROC_PID"
}
