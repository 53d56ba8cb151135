# SPDX-License-Identifier: MIT
# memstat --fit: its forms, its exit codes, and what it refuses.
bats_require_minimum_version 1.5.0

setup() {
	load cli.bash
	cli_setup
	be_patient
}

fit() {
	memstat -c "$node" --root "$root" --fit "$@"
}

# definition WORDS: a domain with these elements.
definition() {
	echo "<domain type='kvm'><name>new</name>$1</domain>" >"$BATS_TEST_TMPDIR/new.xml"
}

@test "each answer is a sentence and has its exit code" {
	run fit 4GiB
	[ "$status" -eq 0 ]
	[ "$output" = 'yes: 4 GiB fit; nothing is taken from other guests; 1 more such guest fits' ]
	largest=$(fit 1 -J | jq '.largest_bytes / 1024')
	most=$(fit 1 -J | jq '.most_bytes / 1024')
	[ "$most" -gt "$largest" ]
	run -0 fit "$largest"
	[[ $output == 'yes: '*' fit; nothing is taken from other guests; no more such guest fits' ]]
	run -1 fit $((largest + 1))
	[[ $output == 'only by taking headroom: '*' fit; '*'; up to '*' fit without that' ]]
	run -1 fit "$most"
	run -2 fit $((most + 1))
	[[ $output == 'no: '*' are 1 KiB short; up to '*' fit by taking headroom' ]]
	run -2 fit 8191PiB
}

@test "a defined domain, a file: what they touch when they start" {
	run -0 fit sleeping
	[[ $output == 'yes: sleeping (512 MiB) fits; '* ]]
	run -0 fit 11111111-0000-4000-8000-000000000006
	[[ $output == 'yes: sleeping (512 MiB) fits; '* ]]
	definition "<memory unit='GiB'>8</memory><currentMemory unit='GiB'>1</currentMemory>"
	run -0 fit "$BATS_TEST_TMPDIR/new.xml"
	[[ $output == 'yes: new (1 GiB) fits; '* ]]
	cd "$BATS_TEST_TMPDIR"
	definition "<memory unit='GiB'>8</memory><currentMemory unit='GiB'>1</currentMemory><memoryBacking><locked/></memoryBacking>"
	run -0 "$BATS_TEST_DIRNAME/../../bin/memstat" -c "$node" --root "$root" --fit new.xml
	[[ $output == 'yes: new (all of its 8 GiB at once) fits; '* ]]
	definition "<memory unit='GiB'>8</memory><currentMemory unit='GiB'>1</currentMemory><memoryBacking><hugepages/></memoryBacking>"
	run -2 fit "$PWD/new.xml"
	[ "$output" = 'no: new (8 GiB on huge pages) is 8 GiB of huge pages short' ]
	definition "<memory unit='GiB'>1</memory><memoryBacking><hugepages/></memoryBacking>"
}

@test "the forms for programs" {
	fit 4GiB -J >"$BATS_TEST_TMPDIR/json"
	jq -e '.schema == "memsched.fit/1" and .answer == "yes" and .name == null and .need_bytes == 4362076160
		and .short_bytes == 0 and .taken_bytes == 0 and .more == 1 and .takes == []
		and (.text | startswith("yes: 4 GiB fit"))' "$BATS_TEST_TMPDIR/json"
	# every member is in the manual, which knows no other
	diff <(sed -nE '/^\.Sh FITTING/,/^\.Sh/s/^\.It Va ([a-z_]*).*/\1/p' man/memstat.8 | sort) <(jq -r 'keys[]' "$BATS_TEST_TMPDIR/json" | sort)
	[ "$(fit sleeping -rn)" = "yes sleeping 589824 0 0 0 0 $(jq '.largest_bytes / 1024, .most_bytes / 1024' "$BATS_TEST_TMPDIR/json" | paste -s -d ' ') $(fit sleeping -J | jq .more)" ]
	eval "$(fit sleeping -Pb)"
	[ "$FIT $DOMAIN $NEED $SHORT" = "yes sleeping $((589824 * 1024)) 0" ]
	run -2 fit 1TiB -P
	[[ $output == 'FIT="no" DOMAIN="" '* ]]
}

@test "what starts beside it counts" {
	mkdir -p "$root/run/memsched/pending"
	chmod 755 "$root/run/memsched" "$root/run/memsched/pending"
	before=$(fit 1GiB -J | jq .largest_bytes)
	printf 'version=1\nneed_kib=1048576\nsince_s=%s\n' "$(date +%s)" >"$root/run/memsched/pending/11111111-0000-4000-8000-000000000006"
	separately -0 fit 1GiB -J
	[ -z "$stderr" ]
	[ "$(jq .largest_bytes <<<"$output")" -eq $((before - 1024 * 1024 * 1024)) ]
}

@test "no answer has no exit code of an answer" {
	refuses 3 "'nowhere': no such domain; a size is written as 4GiB, a file as ./FILE" fit nowhere
	refuses 3 "'needy' is running already" fit needy
	refuses 3 "'0' is no size of a guest" fit 0
	refuses 3 "'9999999999999999999GiB' is too large for a size" fit 9999999999999999999GiB
	refuses 3 "'nosuch.xml': No such file" fit nosuch.xml
	refuses 3 "'/': Is a directory" fit /
	definition "<memory unit='fortnight'>1</memory>"
	refuses 3 "new.xml' has no <memory>, or none with a valid size" fit "$BATS_TEST_TMPDIR/new.xml"
	echo "<network/>" >"$BATS_TEST_TMPDIR/new.xml"
	refuses 3 "new.xml': no domain definition" fit "$BATS_TEST_TMPDIR/new.xml"
	printf '<!DOCTYPE a [<!ENTITY b "c">]><domain><memory>&b;</memory></domain>' >"$BATS_TEST_TMPDIR/new.xml"
	refuses 3 "new.xml': no domain definition" fit "$BATS_TEST_TMPDIR/new.xml"
	truncate -s 8388609 "$BATS_TEST_TMPDIR/new.xml"
	refuses 3 "new.xml': larger than a domain definition may be, 8 MiB" fit "$BATS_TEST_TMPDIR/new.xml"
	refuses 3 "bad option '--bogus'" memstat --bogus --fit 4GiB
	refuses 3 "no argument for '--fit'" memstat --fit
	refuses 3 "bad value 'x' for '--target'" fit 4GiB --target x
	refuses 3 "'--fit' looks at all guests, and takes no second name" fit 4GiB needy
	refuses 3 "with '--fit', '--human' needs '--raw' or '--pairs'" fit 4GiB -H
	for other in --check --explain --prometheus -w '-o domain' '--sort used' --show-config; do
		refuses 3 "exclude each other" fit 4GiB $other
	done
	refuses 75 "cannot ask libvirt" memstat --root "$root" -c "qemu+unix:///system?socket=$BATS_TEST_TMPDIR/nosuch" --fit 4GiB
	status=0
	fit 4GiB >/dev/full 2>/dev/null || status=$?
	[ "$status" -eq 3 ]
	# and so it is with the codes of --check
	refuses 3 "bad option '--bogus'" memstat --bogus --check
}
