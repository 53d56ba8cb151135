# SPDX-License-Identifier: MIT
bats_require_minimum_version 1.5.0

# The hook under a real libvirtd: what is registered after each turn of a guest's life, and that guests start whatever
# has become of the hook. Most guests here are empty machines that halt at once: they start in a moment.

uuid=6f1c8a2e-0000-4000-8000-0123456789ab
hook=/etc/libvirt/hooks/qemu.d/memsched
helper=/usr/sbin/memsched-hook
registry=/run/memsched
namespace=urn:memsched:domain:1.0
hints="<memsched:memory xmlns:memsched='$namespace'><memsched:min unit='MiB'>300</memsched:min></memsched:memory>"

setup_file() {
	echo 'deadline = 60s' >/etc/memsched.conf.d/test.conf # a slow machine is late for the usual one
	{ head -c 65520 /dev/zero && printf '\xf4\xeb\xfd' && head -c 13 /dev/zero; } >"$BED/halt.rom" # hlt, and again
}

teardown_file() {
	rm -f /etc/memsched.conf.d/test.conf
}

setup() {
	load bed.bash
	[ "$(cat /sys/fs/selinux/enforce 2>/dev/null)" != 1 ] || skip "SELinux enforces: the hook is laid down not executable"
	[ -x $hook ] && [ -x $helper ] || complain "make install has laid down no hook that can be executed"
}

teardown() {
	guests_stop_all
	virsh -q undefine empty --managed-save 2>/dev/null || :
	umount -l $registry 2>/dev/null || :
	rm -rf ${registry:?} /etc/libvirt/hooks/qemu.d/99-* $hook.dpkg-old
	[ ! -e $helper.away ] || mv $helper.away $helper
	chmod 755 $helper $hook
}

# empty [XML]: the definition of a machine whose firmware halts it, 512 of 1024 MiB, with XML in its metadata.
empty() {
	cat <<-END
		<domain type='qemu'>
		  <name>empty</name>
		  <uuid>$uuid</uuid>
		  <metadata>${1-$hints}</metadata>
		  <memory unit='MiB'>1024</memory>
		  <currentMemory unit='MiB'>512</currentMemory>
		  <os><type arch='x86_64' machine='pc'>hvm</type><loader readonly='yes' type='rom'>$BED/halt.rom</loader></os>
		  <devices><controller type='usb' model='none'/><memballoon model='virtio'/></devices>
		</domain>
	END
}

empty_start() {
	empty >"$BATS_TEST_TMPDIR/empty.xml"
	timeout 60 virsh -q create "$BATS_TEST_TMPDIR/empty.xml"
}

runs() {
	[ "$(timeout 10 virsh -q domstate "$1")" = running ]
}

# known: what the registry has of the guest, as folders.
known() {
	local folder
	for folder in domains pending state; do
		[ ! -e "$registry/$folder/$uuid" ] || echo -n "$folder "
	done
}

is_registered() {
	[ "$(known)" = 'domains ' ] && grep -qx 'hints.min_kib=307200' "$registry/domains/$uuid"
}

is_forgotten() {
	[ -d "$registry" ] && [ -z "$(known)" ]
}

started_s() {
	sed -n 's/^started_s=//p' "$registry/domains/$uuid"
}

@test "start and destroy" {
	local before
	before=$(date +%s)
	empty_start
	is_registered
	grep -qx name=empty "$registry/domains/$uuid"
	grep -qx maximum_kib=1048576 "$registry/domains/$uuid"
	[ "$(started_s)" -ge "$before" ]
	[ "$(stat -c %a:%U $registry $registry/domains "$registry/domains/$uuid" | tr '\n' ' ')" = "755:root 755:root 644:root " ]
	virsh -q destroy empty
	is_forgotten
}

@test "a start is announced with what it will take, before QEMU runs" {
	cat >/etc/libvirt/hooks/qemu.d/99-look <<-END
		#!/bin/sh
		[ "\$2" != start ] || cp $registry/pending/$uuid $BED/pending
	END
	chmod 755 /etc/libvirt/hooks/qemu.d/99-look
	empty_start
	grep -qx need_kib=589824 "$BED/pending"
	[ -z "$(ls $registry/pending)" ]
}

# bats test_tags=long
@test "a start that fails leaves nothing" {
	printf '#!/bin/sh\n[ "$2" != start ]\n' >/etc/libvirt/hooks/qemu.d/99-refuse
	chmod 755 /etc/libvirt/hooks/qemu.d/99-refuse
	run empty_start
	[ "$status" -ne 0 ]
	is_forgotten
}

@test "QEMU is killed" {
	empty_start
	is_registered
	kill -KILL "$(guest_pid empty)"
	wait_until 60 is_forgotten
}

# bats test_tags=long
@test "the guest switches itself off" {
	guest_start own uuid=$uuid metadata="$hints" max=512
	is_registered
	guest_wait own
	guest_tell own quit
	wait_until 60 is_forgotten
}

# bats test_tags=more
@test "the guest reboots: nothing changes" {
	local record
	guest_start own uuid=$uuid metadata="$hints" max=512
	guest_wait own
	record=$(<"$registry/domains/$uuid")
	guest_reboot own
	[ "$(<"$registry/domains/$uuid")" = "$record" ]
}

# bats test_tags=more
@test "save and restore" {
	local first
	empty_start
	first=$(started_s)
	sleep 1.1
	virsh -q save empty "$BED/empty.save"
	is_forgotten
	virsh -q restore "$BED/empty.save"
	is_registered
	[ "$(started_s)" -gt "$first" ]
}

# bats test_tags=long
@test "managed save and start" {
	empty >"$BATS_TEST_TMPDIR/empty.xml"
	virsh -q define "$BATS_TEST_TMPDIR/empty.xml"
	virsh -q start empty
	virsh -q managedsave empty
	is_forgotten
	virsh -q start empty
	is_registered
}

# bats test_tags=long
@test "suspend, resume and reset: nothing changes" {
	local record
	empty_start
	record=$(<"$registry/domains/$uuid")
	virsh -q suspend empty
	virsh -q resume empty
	virsh -q reset empty
	[ "$(<"$registry/domains/$uuid")" = "$record" ]
}

# bats test_tags=more
@test "libvirtd is restarted under a running guest" {
	local first
	empty_start
	first=$(started_s)
	sleep 1.1
	libvirtd_restart 3>&- # or bats would wait for it
	runs empty
	wait_until 60 is_registered
	[ "$(started_s)" = "$first" ]
	# One that was started before there was a hook.
	rm -r ${registry:?}
	libvirtd_restart 3>&-
	wait_until 60 is_registered
	[ "$(started_s)" = 0 ]
}

# bats test_tags=long
@test "libvirtd is away while the guest ends" {
	empty_start
	kill -KILL "$(<"$BED/libvirtd.pid")"
	kill -KILL "$(guest_pid empty)"
	libvirtd_start 3>&-
	wait_until 60 is_forgotten
}

# ---- whatever has become of the hook

# still_starts: the guest starts and ends in time, and runs in between.
still_starts() {
	local started=$SECONDS
	empty_start
	runs empty
	virsh -q destroy empty
	[ $((SECONDS - started)) -le 60 ]
}

# bats test_tags=long
@test "guests start without the helper" {
	mv $helper $helper.away
	still_starts
	[ ! -e $registry ]
}

@test "guests start with a helper that is not executable, or is rubbish" {
	chmod 644 $helper
	still_starts
	mv $helper $helper.away
	head -c 1000 /dev/urandom >$helper
	chmod 755 $helper
	still_starts
	[ ! -e $registry ]
}

# bats test_tags=more
@test "guests start with a helper that hangs for its second, and run on when libvirtd is restarted" {
	mv $helper $helper.away
	printf '#!/bin/sh\nexec sleep 1\n' >$helper
	chmod 755 $helper
	empty_start
	runs empty
	libvirtd_restart 3>&-
	runs empty
}

# bats test_tags=more
@test "guests start with a registry that is a symlink, another user's, read-only or full" {
	mkdir "$BED/elsewhere"
	ln -s "$BED/elsewhere" $registry
	still_starts
	[ -z "$(ls "$BED/elsewhere")" ]
	rm $registry
	mkdir $registry
	chown 65534 $registry
	still_starts
	[ -z "$(ls $registry)" ]
	chown root $registry
	mount -t tmpfs -o ro,mode=755 ro $registry
	still_starts
	umount $registry
	mount -t tmpfs -o size=4k,mode=755 full $registry
	cat /dev/zero >$registry/filler 2>/dev/null || :
	still_starts
	run find $registry -name '*tmp*'
	[ -z "$output" ]
}

# bats test_tags=long
@test "guests start while a balancing pass holds the lock" {
	mkdir $registry
	exec {fd}>$registry/lock
	flock "$fd"
	still_starts
	exec {fd}>&-
}

# bats test_tags=long
@test "guests start twice over where a copy of the hook lies beside it" {
	cp $hook $hook.dpkg-old
	still_starts
	empty_start
	is_registered
	rm $hook.dpkg-old
}

@test "guests start with hostile hints and names" {
	local name
	for name in --help .. ' ' 'a&#10;b' $'\xc2\x9b2J' $'\xe2\x80\xaegnp'; do
		empty "<memsched:memory xmlns:memsched='$namespace' managed='?'><memsched:min>x</memsched:min></memsched:memory>" |
			sed "s|<name>empty|<name>${name/&/\\&}|" >"$BATS_TEST_TMPDIR/named.xml"
		timeout 60 virsh -q create "$BATS_TEST_TMPDIR/named.xml"
		[ "$(known)" = 'domains ' ]
		run grep '[^ -~]' "$registry/domains/$uuid"
		[ -z "$output" ]
		virsh -q destroy $uuid
		is_forgotten
	done
}

# Of the longest name that QEMU's files bear: 255 bytes without what libvirt adds. As character references, and as JSON.
long_name=$(printf 'x%.0s' {1..240})
hostile_names=('&#x9b;2J' '&#x202e;gnp.exe' -rf --help .. 'a&#10;b&#13;c' '%s%n' '&lt;b&gt; "&amp;' '&#x2028;' "$long_name")
hostile_json='["\u009b2J", "\u202egnp.exe", "-rf", "--help", "..", "a\nb\rc", "%s%n", "<b> \"&", "\u2028", "'$long_name'"]'

# is_clean FILE: nothing in it moves a cursor, a line or a reading direction, in bytes or as UTF-8.
is_clean() {
	run ! env LC_ALL=C.UTF-8 grep -P '[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]' "$1"
	run ! env LC_ALL=C grep -aP '[\x00-\x09\x0b-\x1f\x7f]' "$1"
}

# is_table FILE N: a head and N rows of as many columns, each to the end, and totals; the first column is the name.
is_table() {
	awk -v n="$2" '/^Domain / { after = NF - 1; next } !after { next } /^total / { exit } { rows++; bad += NF < after + 1 }
		END { exit bad || rows != n }' "$1" && [ "$(grep -cE ' (booting|no-driver)$' "$1")" -eq "$2" ]
}

# bats test_tags=long
@test "hostile names are shown escaped, and tables and JSON stay whole" {
	local name n=${#hostile_names[@]} locale out=$BATS_TEST_TMPDIR/out
	for name in "${hostile_names[@]}"; do
		empty "" | sed "/<uuid>/d; s|<name>empty|<name>${name//&/\\&}|" >"$BATS_TEST_TMPDIR/named.xml"
		timeout 60 virsh -q create "$BATS_TEST_TMPDIR/named.xml"
	done
	[ "$(find $registry/domains -type f | wc -l)" -eq "$n" ]
	for locale in C C.UTF-8; do
		export LC_ALL=$locale
		memstat >"$out"
		is_clean "$out"
		is_table "$out" "$n"
		memstat --explain >"$out"
		is_clean "$out"
		[ "$(grep -c ': left alone: ' "$out")" -eq "$n" ]
		memstat -J >"$out"
		is_clean "$out"
		jq -e --argjson names "$hostile_json" '([.domains[].name] | sort) == ($names | sort) and all(.domains[]; .registered)' "$out"
		pass -v >"$out"
		is_clean "$out"
		is_table "$out" "$n"
		pass -J >"$out"
		is_clean "$out"
		jq -e --argjson names "$hostile_json" '([.moves[].name] | sort) == ($names | sort)' "$out"
		jq -e --argjson names "$hostile_json" '[.. | .name? // empty] | sort == ($names | sort)' $registry/last-pass.json
	done
	memstat -J -- -rf | jq -e '[.domains[].name] == ["-rf"]'
	memstat -J $'a\nb\rc' | jq -e '[.domains[].name] == ["a\nb\rc"]'
	run memstat -- $'\xc2\x9bnosuch'
	[[ $output == *'\xC2\x9Bnosuch'* ]]
}

# ---- hints

# pass: one pass of membalance; what it does to the guest does not matter here.
pass() {
	timeout 90 membalance --once "${@:--q}"
}

has() {
	grep -qx "$1" "$registry/domains/$uuid"
}

# bats test_tags=long
@test "hints that virsh changes in a running guest are registered by the next pass" {
	empty >"$BATS_TEST_TMPDIR/empty.xml"
	virsh -q define "$BATS_TEST_TMPDIR/empty.xml"
	virsh -q start empty
	has hints.min_kib=307200
	# As in memsched-hints(7).
	virsh -q metadata empty $namespace --key memsched --live --config \
		--set '<memory><min unit="MiB">400</min><max unit="GiB">4</max></memory>'
	pass
	has hints.min_kib=409600
	has hints.max_kib=1048576
	virsh -q metadata empty $namespace --key memsched --live --config --set '<memory managed="no"/>'
	pass
	has hints.opted_out=1
	has hints.has_min=0
	[[ $(virsh metadata empty $namespace) == *'<memory managed="no"/>'* ]]
	virsh -q metadata empty $namespace --live --config --remove
	pass
	has hints.present=0
	virsh -q destroy empty
	virsh -q start empty
	has hints.present=0
}

# bats test_tags=long
@test "a start that the hook registers while a pass is under way keeps its time" {
	local pass
	mv $helper $helper.away
	empty_start
	empty | sed '/<uuid>/d; s/>empty/>stopped/' >"$BATS_TEST_TMPDIR/stopped.xml"
	virsh -q create "$BATS_TEST_TMPDIR/stopped.xml"
	mv $helper.away $helper
	kill -STOP "$(guest_pid stopped)" # half the deadline is spent on it
	pass --deadline 6 3>&- &
	pass=$!
	wait_until 60 lock_held /run/memsched/lock
	sleep 1
	virsh dumpxml empty | $helper empty started begin -
	[ "$(started_s)" -gt 0 ]
	wait "$pass" || [ $? -eq 3 ]
	kill -CONT "$(guest_pid stopped)"
	[ -e "$registry/state/$uuid" ] # the pass knew the guest
	[ "$(started_s)" -gt 0 ]
}

# bats test_tags=long
@test "definitions that libvirt cannot hand on whole: their guests do not fail, nor do passes" {
	local deep out
	deep=$(printf '<a>%.0s' {1..40})$(printf '<b/>%.0s' {1..75000})$(printf '</a>%.0s' {1..40}) # 5 MB once it is indented
	empty "<o:o xmlns:o='urn:o'>$deep</o:o>$hints" >"$BATS_TEST_TMPDIR/large.xml"
	virsh -q create "$BATS_TEST_TMPDIR/large.xml"
	run ! virsh -q dumpxml empty
	{
		echo '<!DOCTYPE domain [<!ENTITY a "5">]>'
		empty | sed '/<uuid>/d; s/>empty/>entity/; s/>300</>\&a;</'
	} >"$BATS_TEST_TMPDIR/entity.xml"
	virsh -q create "$BATS_TEST_TMPDIR/entity.xml"
	virsh -q dumpxml entity | grep -q '&a;'
	[ -s "$registry/domains/$(virsh domuuid entity)" ]

	run --separate-stderr pass -J
	[ "$status" -eq 0 ]
	jq -e '.result == "done" and ([.moves[] | {(.name): .reason}] | add) == {empty: "pinned", entity: "booting"}' <<<"$output"
	[[ $stderr == *"domain 'empty': its definition cannot be read"*"domain 'entity': hint min ' MiB' is ignored"* ]]
	run --separate-stderr pass
	[ "$status" -eq 0 ]
	[ -z "$stderr" ]
	[[ $(memstat --explain empty 2>/dev/null) == *'its definition cannot be read'* ]]
}

@test "a pass registers a guest that the hook missed, and forgets one that is gone" {
	mv $helper $helper.away
	empty_start
	pass
	has hints.min_kib=307200
	[ "$(started_s)" = 0 ]
	virsh -q destroy empty
	touch -d '2 minutes ago' "$registry/domains/$uuid"
	pass
	is_forgotten
}
