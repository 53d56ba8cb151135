# SPDX-License-Identifier: MIT
# memguard's --check and its single runs against the test driver, whose statistics are of 1989: nobody can be taken from. What
# is taken from real guests is in tests/guests.
bats_require_minimum_version 1.5.0

setup() {
	load cli.bash
	load guard.bash
	cli_setup
	guard_setup
}

teardown() {
	guard_end
}

@test "--check: a word, sizes, performance data and an exit code for each level" {
	number='[0-9]+' unit='(s|us|ms|%|B|KB|MB|TB|c)?' range='(@?((~|-?[0-9.]+)?:)?(-?[0-9.]+)?)?'
	datum="('[^'=]+'|[^'= ]+)=-?[0-9.]+$unit(;$range){0,2}(;(-?[0-9.]+)?){0,2}"
	size='[0-9.]+ (KiB|MiB|GiB)'
	while read -r kib code word; do
		available "$kib"
		guarded
		unchanged separately guard --check
		[ "$status" -eq "$code" ]
		[ -z "$stderr" ]
		[ "${#lines[@]}" -eq 1 ]
		[[ $output =~ ^"MEMGUARD $word - "$size" available, reserve "$size' | '($datum)(' '$datum)*$ ]] || { echo "$output"; false; }
		[[ $output == *" | available=$((kib * 1024))B;230400000:;153600000:;0;$((16777216 * 1024)) reserve=307200000B" ]]
	done <<-END
		12582912 0 OK
		225000 0 OK
		224999 1 WARNING
		150000 1 WARNING
		149999 2 CRITICAL
		0 2 CRITICAL
	END
	# a guard that hangs, and one that has gone
	available 12582912
	guarded 90
	run -1 guard --check
	[[ $output == "MEMGUARD WARNING - memguard hangs: 12 GiB available, reserve 293 MiB | available="* ]]
	sed -i "s/\"pid\":$$,/\"pid\":2147483647,/" "$root/run/memsched/guard.json"
	run -1 guard --check
	[[ $output == "MEMGUARD WARNING - no memguard is running: 12 GiB available, reserve 293 MiB | available="* ]]
	available 0
	run -2 guard --check
}

@test "--check: what is configured counts" {
	guarded
	available 9437184
	run guard --check --reserve 14GiB
	[ "$status" -eq 1 ]
	available 12582912
	echo 'reserve = 90%' >"$root/etc/memsched.conf"
	run guard --check
	[ "$status" -eq 0 ]
	[[ $output == *" reserve=15461881856B" ]]
	run memguard --root "$root" --check -c qemu+ssh://elsewhere/system # which it does not ask
	[ "$status" -eq 0 ]
}

@test "--check: a share of the host is of what is not set aside for huge pages" {
	guarded
	cp tests/cli/roots/host-hugepages/proc/meminfo "$root/proc/meminfo" # 1 TiB, 896 GiB of it huge pages
	run -0 guard --check --reserve 10%
	[[ $output == "MEMGUARD OK - 36.2 GiB available, reserve 11.1 GiB | "* ]]
	run -0 guard --check
	[[ $output == *" reserve=$((116378488 / 128 * 1024))B" ]]
	sed -i '/^Hugetlb/d' "$root/proc/meminfo"
	run -0 guard --check --reserve 10%
	[[ $output == *"reserve 11.1 GiB"* ]]
}

@test "--check: a figure that the others contradict is named, and does not count" {
	guarded
	sed 's/^MemAvailable:.*/MemAvailable: 11000000 kB/; s/^Inactive(anon):.*/Inactive(anon): 60000000 kB/' \
		tests/cli/roots/host-lost-count/proc/meminfo >"$root/proc/meminfo"
	run -0 guard --check
	# of what is used, all but 23 GiB is mapped or slab, and 3/4 of it would be 17.2 GiB
	[[ $output == "MEMGUARD OK - 27.7 GiB available, reserve 1004 MiB, Inactive(anon) doubtful | available="* ]]
	cp tests/cli/roots/host-lost-count/proc/meminfo "$root/proc/meminfo"
	run -0 guard --check
	[[ $output == "MEMGUARD OK - 11 GiB available, reserve 1004 MiB, MemAvailable doubtful | available="* ]]
}

@test "--check: what is wrong is UNKNOWN, on stdout too" {
	for options in --bogus '--reserve many' '--once' '-n' 'operand' '--explain' '--config /nowhere'; do
		# shellcheck disable=SC2086
		separately guard $options --check
		[ "$status" -eq 3 ]
		[ "${#stderr_lines[@]}" -eq 1 ]
		[ "$output" = "MEMGUARD UNKNOWN - ${stderr#memguard: error: }" ]
	done
	echo 'reserve = many|more' >"$root/etc/memsched.conf"
	separately guard --check
	[ "$status" -eq 3 ]
	[[ $output == "MEMGUARD UNKNOWN - "*"memsched.conf:1: bad value 'many/more' for 'reserve'"* ]]
	[[ $stderr == *"memsched.conf:1: bad value 'many|more' for 'reserve'"* ]]
	rm "$root/etc/memsched.conf" "$root/proc/meminfo"
	separately guard --check
	[ "$status" -eq 3 ]
	[[ $output == "MEMGUARD UNKNOWN - cannot read '$root/proc/meminfo': No such file or directory" ]]
	echo garbage >"$root/proc/meminfo"
	run guard --check
	[ "$status" -eq 3 ]
}

@test "--check: what cannot be said is UNKNOWN" {
	available 12582912
	run -3 bash -c 'exec memguard --root "$1" --check >/dev/full' _ "$root"
	[[ $output == *"cannot write: No space left on device" ]]
	run -3 bash -c 'exec memguard --root "$1" --check >&-' _ "$root"
}

@test "wrong usage: one line each, exit 2, nothing done" {
	while IFS='|' read -r words options; do
		# shellcheck disable=SC2086
		unchanged refuses 2 "$words" guard $options
	done <<-'END'
		bad option '--bogus'|--bogus
		operand|--once operand
		'--explain' needs|--explain
		bad value 'many' for '--reserve'|--once --reserve many
		bad value '0' for '--deadline'|--once --deadline 0
		bad value 'relative' for '--on-critical'|--once --on-critical relative
		bad value '-1' for '--target'|--once --target=-1
		--reserve|--once --reserve
		/nowhere|--once --config /nowhere
	END
}

@test "another host's libvirt is refused" {
	unchanged refuses 2 "'qemu+ssh://elsewhere/system' is another host's libvirt: run memguard there" \
		memguard --root "$root" --once -c qemu+ssh://elsewhere/system
	unchanged refuses 2 "another host's libvirt" memguard --root "$root" -n -c 'qemu+tls://h/system'
	echo 'uri = qemu+ssh://elsewhere/system' >"$root/etc/memsched.conf"
	refuses 2 "another host's libvirt" memguard --root "$root"
}

@test "a calm host: a single run says nothing and takes nothing" {
	separately guard --once
	[ "$status" -eq 0 ]
	[ -z "$output$stderr" ]
	separately guard --once --explain
	[ "$status" -eq 0 ]
	[[ $output == *"host: calm: 12 GiB available, reserve 293 MiB; guests give nothing"* ]]
	[ "${#lines[@]}" -eq 6 ]
}

@test "a short host: who refuses is named, and the exit code is 1" {
	while read -r kib needed level; do
		available "$kib"
		refuses 1 "cannot free: needed $needed MiB, freed 0 KiB, refused: " guard --once
		for refusal in 'idle (stale-stats)' 'plain (no-balloon)' 'resting (paused)'; do
			[[ $stderr == *"$refusal"* ]]
		done
		separately guard --once --explain
		[ "$status" -eq 1 ]
		[[ $output == *"idle: has 2 GiB and gives nothing: stale-stats"* ]]
		[[ $output == *"host: $level: "*"; guests give nothing; $needed MiB still missing"* ]]
	done <<-END
		200000 97.7 tight
		100000 195 critical
	END
}

@test "a dry run tells and changes nothing, however short the host" {
	available 100000
	unchanged separately guard --dry-run --explain
	[ "$status" -eq 0 ]
	[ -z "$stderr" ]
	[[ $output == *"plain: has 512 MiB and gives nothing: no-balloon"* ]]
	[[ $output == *"host: critical: 97.7 MiB available, reserve 293 MiB; guests give nothing; 195 MiB still missing"* ]]
	[ ! -e "$root/run/memsched" ]
	unchanged separately guard -n
	[ "${#lines[@]}" -eq 1 ]
}

@test "hostile names are escaped wherever they are said" {
	available 100000
	run guard --once --explain
	[[ $output != *$'\xC2\x9B'* ]]
	[[ $output != *$'\xE2\x80\xAE'* ]]
	[[ $output == *'-rf \xC2\x9B2J'*'x: has 512 MiB'* ]]
	[[ $output == *'refused: -rf \xC2\x9B2J'*'x (stale-stats)'* ]]
}

@test "a single run holds no-give while it takes, and no longer" {
	available 100000
	run guard --once
	[ "$(stat -c %a "$root/run/memsched/no-give")" = 600 ]
	run ! no_give_held
}

@test "libvirt cannot be reached: 75 when calm, 1 when short" {
	refuses 75 "libvirt" memguard --root "$root" -c 'qemu+unix:///system?socket=/nowhere' --once
	available 100000
	separately memguard --root "$root" -c 'qemu+unix:///system?socket=/nowhere' --once
	[ "$status" -eq 1 ]
	[[ $stderr == *"cannot free: needed 195 MiB, freed 0 KiB, refused: all (libvirt does not answer)"* ]]
	run memguard --root "$root" -c 'qemu+unix:///system?socket=/nowhere' -n
	[ "$status" -eq 75 ] # what it was asked for cannot be told
	run memguard --root "$root" -c nonsense:///x --once
	[ "$status" -ne 0 ]
}

@test "a libvirt that never answers is waited for until the deadline" {
	socket=$BATS_TEST_TMPDIR/socket
	coproc perl -e 'use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new(Type => SOCK_STREAM, Local => shift, Listen => 9) or die;
		$| = 1; print "ready\n"; sleep 120' "$socket"
	read -r -u "${COPROC[0]}" _
	separately timeout 60 memguard --root "$root" -c "qemu+unix:///system?socket=$socket" --once --deadline 1
	kill "$COPROC_PID"
	[ "$status" -eq 75 ]
	[ "${#stderr_lines[@]}" -eq 1 ]
}

@test "a single run ends where the host is not tight and nobody gives" {
	mkdir -p -m 755 "$root/run/memsched/pending"
	printf 'version=1\nneed_kib=900000\nsince_s=%s\n' "$(date +%s)" >"$root/run/memsched/pending/00000000-0000-4000-8000-000000009999"
	available 400000
	separately timeout 60 memguard -c "$node" --root "$root" --once --explain --deadline 1h
	[ "$status" -eq 0 ]
	[[ $output == *"idle: has 2 GiB and gives nothing: stale-stats"* ]]
}

@test "/proc/meminfo cannot be read: failed, in words" {
	rm "$root/proc/meminfo"
	separately guard --once
	[ "$status" -eq 1 ]
	[[ $stderr == *meminfo* ]]
}

@test "/run/memsched cannot be used: said, and the host is guarded all the same" {
	touch "$root/run/memsched"
	available 100000
	separately guard --once
	[ "$status" -eq 1 ]
	[ "${#stderr_lines[@]}" -eq 2 ]
	[[ $stderr == *"cannot use '$root/run/memsched': Not a directory"*"cannot free: "* ]]
	rm -r "$root/run"
	available 12582912
	separately guard --once
	[ "$status" -eq 0 ]
	[[ $stderr == *"cannot use '$root/run/memsched': No such file or directory"* ]]
}

@test "what is no record in /run/memsched is said, and counts as absent" {
	uuid=11111111-0000-4000-8000-000000000002
	mkdir -p -m 755 "$root/run/memsched/pending" "$root/run/memsched/domains"
	for kind in fifo link huge rubbish foreign; do
		[ $kind != foreign ] || [ "$(id -u)" -eq 0 ] || continue
		spoil $kind "$root/run/memsched/pending/$uuid"
		spoil $kind "$root/run/memsched/domains/$uuid"
		for how in --once --dry-run; do
			separately timeout 60 memguard -c "$node" --root "$root" $how
			[ "$status" -eq 0 ]
			[ "${#stderr_lines[@]}" -eq 2 ] || { echo "$kind: $stderr"; false; }
			[ "${stderr_lines[0]}" = "memguard: warning: a record in '/run/memsched/pending' cannot be read, so nothing is given" ]
			[ "${stderr_lines[1]}" = "memguard: warning: the record of domain $uuid in '/run/memsched' cannot be read: it counts as absent" ]
		done
		separately guard --once -q
		[ -z "$stderr" ]
		rm "$root/run/memsched/pending/$uuid" "$root/run/memsched/domains/$uuid"
	done
}

@test "a hint that is void is said in a single run, in the words of membalance, but not with -q" {
	with_hints "<m:memory xmlns:m='urn:memsched:domain:1.0'><m:minimum unit='MiB'>400</m:minimum></m:memory>"
	separately -0 membalance -c "$node" --root "$root" --dry-run
	[[ $stderr == "membalance: warning: domain 'needy': unknown hints are ignored: element 'minimum' (did you mean <min>?)"* ]]
	before=${stderr#membalance: }
	for how in --once --dry-run; do
		separately -0 guard $how
		[ "$stderr" = "memguard: $before" ]
	done
	separately -0 guard --once -q
	[ -z "$stderr" ]
}

@test "warnings of the configuration are said, but not with -q" {
	echo 'tagret = 1' >"$root/etc/memsched.conf"
	separately guard --once
	[ "$status" -eq 0 ]
	[ "$stderr" = "memguard: warning: $root/etc/memsched.conf:1: unknown key 'tagret', did you mean 'target'?" ]
	separately guard --once -q
	[ -z "$stderr" ]
}
