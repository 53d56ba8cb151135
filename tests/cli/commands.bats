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
	mkdir "$root/etc/memsched.conf.d"
	printf 'step = 1 MiB # little\nexclude = a  b\n' >"$root/etc/memsched.conf"
	printf '\nstep = 2MiB\n' >"$root/etc/memsched.conf.d/a.conf"
	for command in "${commands[@]}"; do
		shows "$command" -c test:///default >"$BATS_TEST_TMPDIR/shown"
		diff "$BATS_TEST_TMPDIR/shown" - <<-END
			target = 150000KiB # from default
			step = 2MiB # from $root/etc/memsched.conf.d/a.conf:2
			reserve = # from default: 300000KiB on this host
			tolerance = 5000KiB # from default
			signal = usable # from default
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
		END
	done
	[ -z "$(ls -A "$root/run")" ]
}

@test "what --show-config prints is a configuration that says the same" {
	printf 'exclude = a  b*, c#\nreserve = 10%%\nlog = /var/log/x\n' >"$root/etc/memsched.conf"
	membalance --root "$root" --show-config --target 20% >"$BATS_TEST_TMPDIR/shown"
	run --separate-stderr membalance --root "$root" --config "$BATS_TEST_TMPDIR/shown" --show-config
	[ -z "$stderr" ]
	diff <(sed 's/ *# from.*//' "$BATS_TEST_TMPDIR/shown") <(sed 's/ *# from.*//' <<<"$output")
	[[ $output == *'target = 20% '*"# from $BATS_TEST_TMPDIR/shown:1"* ]]
	[[ $output == *'reserve = 10% '*"shown:3: 1677721KiB on this host"* ]]
	grep -q '^exclude = a  b\*, c# ' "$BATS_TEST_TMPDIR/shown"
}

@test "--show-config says what is odd, and refuses what is wrong" {
	echo 'tagret = 1' >"$root/etc/memsched.conf"
	for command in "${commands[@]}"; do
		run --separate-stderr shows "$command"
		[[ $stderr == "$command: warning: $root/etc/memsched.conf:1: unknown key 'tagret'" ]]
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
