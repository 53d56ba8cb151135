# SPDX-License-Identifier: MIT
bats_require_minimum_version 1.5.0

# The hook as libvirt runs it. Whatever it is given and wherever it runs: exit 0, not a word, within its alarm, and nothing
# but /run/memsched touched. The tests that bend /run do it in a mount namespace of their own.

setup() {
	load cli.bash
	cli_setup
	uuid=6f1c8a2e-0000-4000-8000-0123456789ab
	helper=$PWD/hooks/memsched-hook
	registry=$root/run/memsched
	export MEMSCHED_ROOT=$root
	export TMPDIR=$BATS_TEST_TMPDIR
	domain "" >"$BATS_TEST_TMPDIR/domain.xml"
	stub="$BATS_TEST_TMPDIR/stub"
	lay_stub "$helper"
}

# lay_stub HELPER: the stub, with HELPER where it looks for its own.
lay_stub() {
	sed "s|^helper=.*|helper='$1'|" hooks/qemu >"$stub"
	chmod 755 "$stub"
}

# domain XML: a domain with XML among its elements.
domain() {
	cat <<-END
		<domain type='kvm' id='3'>
		  <name>web</name>
		  <uuid>$uuid</uuid>
		  <metadata>
		    <memsched:memory xmlns:memsched='urn:memsched:domain:1.0'><memsched:min unit='MiB'>512</memsched:min></memsched:memory>
		  </metadata>
		  <memory unit='KiB'>4194304</memory>
		  <currentMemory unit='KiB'>1048576</currentMemory>
		  $1
		  <devices><memballoon model='virtio'/></devices>
		</domain>
	END
}

# harmless COMMAND...: is quiet, and leaves no file of its own beside the registry.
harmless() {
	others_are_left quiet "$@"
}

# quiet COMMAND...: exits 0, says nothing, and ends by its own alarm. Of stdin only what the command reads. A busy machine may
# let the alarm of 1 s end what is only slow: that is done again.
quiet() {
	local i started elapsed stdin=/proc/self/fd/0
	[ -f $stdin ] || stdin=
	for ((i = 1; i <= ${tries:-10}; i++)); do
		started=${EPOCHREALTIME/[.,]/}
		if [ -n "$stdin" ]; then "$@" <$stdin; else "$@"; fi >"$BATS_TEST_TMPDIR/out"
		status=$?
		elapsed=$((${EPOCHREALTIME/[.,]/} - started))
		[ -n "$stdin" ] && [ $elapsed -ge 1000000 ] || break
	done
	[ $status -eq 0 ] || { echo "exit $status"; return 1; }
	[ ! -s "$BATS_TEST_TMPDIR/out" ] || { echo "on stdout: $(head -c 200 "$BATS_TEST_TMPDIR/out")"; return 1; }
	[ $elapsed -le 60000000 ] || { echo "took $elapsed us"; return 1; }
}

# others_are_left COMMAND...: which succeeds, and changes nothing that others lists.
others_are_left() {
	others >"$BATS_TEST_TMPDIR/before" || :
	"$@" || return
	others >"$BATS_TEST_TMPDIR/after" || :
	diff "$BATS_TEST_TMPDIR/before" "$BATS_TEST_TMPDIR/after"
}

# All that is below the root but the registry's own files, with what could be changed of it.
others() {
	find "$root" "$PWD/hooks" -path "$root/run/memsched/*" -prune -o ! -path "$root/run" ! -path "$root/run/memsched" \
		-printf '%p %i %m %u %s %l %T@\n' 2>/dev/null
}

# The files of the registry, without a process: many tests ask often.
files() {
	local file
	shopt -s globstar dotglob nullglob
	for file in "$registry"/**; do
		[ ! -f "$file" ] || [ -L "$file" ] || echo "${file#"$registry/"}"
	done
}

# hostile NAME: NAME's document to the helper and to the stub; nothing is registered, whatever ends them.
hostile() {
	local tries=1
	"$1" >"$BATS_TEST_TMPDIR/hostile"
	quietly() {
		quiet "$helper" web started begin - <"$BATS_TEST_TMPDIR/hostile" &&
			quiet "$stub" web started begin - <"$BATS_TEST_TMPDIR/hostile"
	}
	others_are_left quietly
	[ -z "$(files)" ] || { files; return 1; }
}

# repeat N TEXT
repeat() {
	head -c $(($1 * ${#2})) < <(yes "$2" | tr -d '\n')
}

@test "a start, a restart of libvirt, and an end" {
	harmless "$stub" web prepare begin - <"$BATS_TEST_TMPDIR/domain.xml"
	[ "$(files)" = "pending/$uuid" ]
	grep -qx "need_kib=1114112" "$registry/pending/$uuid"
	harmless "$stub" web start begin - <"$BATS_TEST_TMPDIR/domain.xml"
	harmless "$stub" web started begin - <"$BATS_TEST_TMPDIR/domain.xml"
	[ "$(files)" = "domains/$uuid" ]
	grep -qx "name=web" "$registry/domains/$uuid"
	grep -qx "hints.min_kib=524288" "$registry/domains/$uuid"
	before=$(<"$registry/domains/$uuid")
	sleep 1.1
	harmless "$stub" web reconnect begin - <"$BATS_TEST_TMPDIR/domain.xml"
	[ "$(<"$registry/domains/$uuid")" = "$before" ]
	harmless "$stub" web stopped end - <"$BATS_TEST_TMPDIR/domain.xml"
	[ -z "$(files)" ]
	harmless "$stub" web release end - <"$BATS_TEST_TMPDIR/domain.xml"
	[ -z "$(files)" ]
}

@test "no arguments, too few, 1000, and operations that are not ours" {
	harmless "$helper" </dev/null
	harmless "$stub" </dev/null
	harmless env -i "$helper" </dev/null
	harmless "$helper" web <"$BATS_TEST_TMPDIR/domain.xml"
	harmless "$helper" web started <"$BATS_TEST_TMPDIR/domain.xml"
	# shellcheck disable=SC2046 # a word each
	harmless "$stub" $(seq 1000) <"$BATS_TEST_TMPDIR/domain.xml"
	harmless "$stub" web unknown begin - <"$BATS_TEST_TMPDIR/domain.xml"
	harmless "$stub" web started end - <"$BATS_TEST_TMPDIR/domain.xml"
	harmless "$stub" "" "" "" "" <"$BATS_TEST_TMPDIR/domain.xml"
	[ ! -e "$registry" ]
	# shellcheck disable=SC2046
	harmless "$stub" web started begin $(seq 1000) <"$BATS_TEST_TMPDIR/domain.xml"
	[ "$(files)" = "domains/$uuid" ]
}

@test "what libvirt calls the guest is neither an option nor a path" {
	called() {
		local name
		for name in --help -h -- ../../etc/passwd '$(reboot)' '`reboot`' $'a\nb' '' ' ' '*' $'\xc2\x9b2J' $'\xe2\x80\xae'; do
			quiet "$stub" "$name" started begin - <"$BATS_TEST_TMPDIR/domain.xml" && [ "$(files)" = "domains/$uuid" ] &&
				quiet "$stub" "$name" release end - <"$BATS_TEST_TMPDIR/domain.xml" && [ -z "$(files)" ] ||
				{ echo "called '$name': $(files)"; return 1; }
		done
	}
	others_are_left called
}

@test "hostile names are registered as they are" {
	named() {
		local name
		for name in --help .. '&lt;x>' $'a\nb' $'\xc2\x9b2J' $'\xe2\x80\xaegnp.exe' "$(repeat 300 x)"; do
			echo "<domain><name>$name</name><uuid>$uuid</uuid></domain>" >"$BATS_TEST_TMPDIR/named.xml"
			quiet "$stub" x started begin - <"$BATS_TEST_TMPDIR/named.xml" && [ "$(files)" = "domains/$uuid" ] &&
				LC_ALL=C awk '/[^ -~]/ { exit 1 } /^name=/ { n++ } END { if (n != 1) exit 1 }' "$registry/domains/$uuid" ||
				{ cat "$registry/domains/$uuid"; return 1; }
		done
	}
	others_are_left named
}

@test "empty stdin and none" {
	harmless "$helper" web started begin - </dev/null
	harmless "$helper" web started begin - <&-
	harmless "$stub" web started begin - <&-
	[ ! -e "$registry" ]
}

@test "stdin that is never closed" {
	mkfifo "$BATS_TEST_TMPDIR/pipe"
	exec {fd}<>"$BATS_TEST_TMPDIR/pipe"
	harmless "$helper" web started begin - <&"$fd"
	cat "$BATS_TEST_TMPDIR/domain.xml" >&"$fd"
	harmless "$stub" web started begin - <&"$fd"
	harmless timeout -s KILL 60 env --block-signal "$helper" web started begin - <&"$fd"
	exec {fd}>&-
	[ ! -e "$registry" ]
}

@test "48 MiB of XML, and all of a pipe that never ends" {
	large() {
		domain "<description>"
		repeat 50331648 x
		echo '</description>'
	}
	hostile large
	harmless "$stub" web started begin - < <(yes '<domain>')
	[ ! -e "$registry" ]
}

@test "binary rubbish" {
	rubbish() { head -c 100000 "$helper"; }
	hostile rubbish
	zeros() { head -c 1000000 /dev/zero; }
	hostile zeros
}

@test "billion laughs, in text and in an attribute" {
	laughs() {
		local i five
		echo '<!DOCTYPE domain [<!ENTITY e0 "ha">'
		for i in 1 2 3 4 5 6 7 8 9; do
			five="&e$((i - 1));&e$((i - 1));&e$((i - 1));&e$((i - 1));&e$((i - 1));"
			echo "<!ENTITY e$i \"$five$five\">"
		done
		echo ']>'
		domain "<description a='$1'>$2</description>"
	}
	in_text() { laughs '' '&e9;'; }
	in_attribute() { laughs '&e9;' ''; }
	hostile in_text
	hostile in_attribute
}

@test "quadratic entities" {
	quadratic() {
		echo "<!DOCTYPE domain [<!ENTITY a \"$(repeat 100000 x)\">]>"
		domain "<description>$(repeat 25000 '&a;')</description>"
	}
	hostile quadratic
}

@test "entities of files are not read" {
	echo secret >"$BATS_TEST_TMPDIR/secret"
	external() {
		echo "<!DOCTYPE domain [<!ENTITY a SYSTEM 'file://$BATS_TEST_TMPDIR/secret'>]>"
		domain '' | sed 's/web/\&a;/'
	}
	hostile external
	parameter() {
		echo "<!DOCTYPE domain [<!ENTITY % a SYSTEM 'file://$BATS_TEST_TMPDIR/secret'> %a;]>"
		domain ''
	}
	hostile parameter
	subset() {
		echo "<!DOCTYPE domain SYSTEM 'file://$BATS_TEST_TMPDIR/secret'>"
		domain ''
	}
	hostile subset
	domain "<xi:include xmlns:xi='http://www.w3.org/2001/XInclude' href='file://$BATS_TEST_TMPDIR/secret' parse='text'/>" \
		>"$BATS_TEST_TMPDIR/included"
	harmless strace_opens "$stub" web started begin - <"$BATS_TEST_TMPDIR/included"
	run ! grep -r secret "$registry"
}

# Without strace the access time of the file tells nothing reliable, so the registry alone is looked at.
strace_opens() {
	if command -v strace >/dev/null; then
		strace -f -qq -e trace=open,openat -o "$BATS_TEST_TMPDIR/trace" "$@"
		! grep secret "$BATS_TEST_TMPDIR/trace"
	else
		"$@"
	fi
}

@test "hints that are no names of ours are void, and a managed that is not understood leaves the guest alone" {
	local m="memsched:memory xmlns:memsched='urn:memsched:domain:1.0'" xml
	for xml in "<$m><memsched:minimum unit='MiB'>2048</memsched:minimum></memsched:memory>" \
		"<$m><memsched:Min unit='MiB'>2048</memsched:Min></memsched:memory>" \
		"<$m min='2048MiB' max='3072MiB' weight='200'/>" "<$m managed='perhaps'/>"; do
		domain "" | sed "s|<memsched:memory.*|$xml|" >"$BATS_TEST_TMPDIR/domain.xml"
		harmless "$helper" web started begin - <"$BATS_TEST_TMPDIR/domain.xml"
		grep -qx hints.present=1 "$registry/domains/$uuid"
		grep -qx hints.has_min=0 "$registry/domains/$uuid"
		grep -qx hints.has_max=0 "$registry/domains/$uuid"
		grep -qx hints.weight=100 "$registry/domains/$uuid"
	done
	grep -qx hints.opted_out=1 "$registry/domains/$uuid"
}

@test "an entity that is not declared, as libvirt itself hands it on: only the hint it stands in is void" {
	domain "" | sed 's|512|5\&a;12|; s|</metadata>|<o:o xmlns:o="urn:o">\&a;</o:o></metadata>|' >"$BATS_TEST_TMPDIR/undeclared"
	grep -q '5&a;12' "$BATS_TEST_TMPDIR/undeclared"
	harmless "$stub" web started begin - <"$BATS_TEST_TMPDIR/undeclared"
	[ "$(files)" = "domains/$uuid" ]
	grep -qx hints.has_min=0 "$registry/domains/$uuid"
	grep -qx maximum_kib=4194304 "$registry/domains/$uuid"
	undeclared() { domain "<description>$(repeat 100000 '&a;')</description>"; }
	rm -r "${registry:?}"
	hostile undeclared
}

@test "100000 attributes, which take libxml2 before 2.12 too long" {
	echo "<domain $(seq -f "a%.0f=''" -s ' ' 100000)>$(domain '' | tail -n +2)" >"$BATS_TEST_TMPDIR/many"
	local tries=1 # whether the alarm ends it or not
	harmless "$helper" web started begin - <"$BATS_TEST_TMPDIR/many"
	harmless "$stub" web started begin - <"$BATS_TEST_TMPDIR/many"
	[[ $(files) =~ ^(domains/$uuid)?$ ]]
}

@test "10000 elements, and a depth of 200; 100000 are harmless" {
	domain "$(repeat 10000 '<a/>')$(repeat 200 '<a>')$(repeat 200 '</a>')" >"$BATS_TEST_TMPDIR/many"
	harmless "$stub" web started begin - <"$BATS_TEST_TMPDIR/many"
	[ "$(files)" = "domains/$uuid" ]
	rm -r "${registry:?}"
	local tries=1
	domain "$(repeat 100000 '<a/>')" >"$BATS_TEST_TMPDIR/many"
	harmless "$stub" web started begin - <"$BATS_TEST_TMPDIR/many"
	[[ $(files) =~ ^(domains/$uuid)?$ ]]
}

@test "a depth of 300" {
	deep() { domain "$(repeat 300 '<a>')$(repeat 300 '</a>')"; }
	hostile deep
}

@test "UUIDs that are none" {
	for wrong in '' ../../../../tmp/x "$(repeat 100000 a)" 6f1c8a2e-0000-4000-8000-0123456789a/ "${uuid}0"; do
		wrong() { domain '' | sed "s|$uuid|$wrong|"; }
		hostile wrong
	done
}

@test "a helper that is missing, not executable, a directory, of another machine, or fails" {
	for shape in missing plain directory foreign failing killed noisy; do
		rm -rf "$BATS_TEST_TMPDIR/helper"
		case $shape in
		missing) ;;
		plain) echo exit 1 >"$BATS_TEST_TMPDIR/helper" ;;
		directory) mkdir "$BATS_TEST_TMPDIR/helper" ;;
		foreign) printf '\x7fELF\2\1\1' >"$BATS_TEST_TMPDIR/helper" ;;
		failing) printf '#!/bin/sh\nexit 1\n' >"$BATS_TEST_TMPDIR/helper" ;;
		killed) printf '#!/bin/sh\nkill -9 $$\n' >"$BATS_TEST_TMPDIR/helper" ;;
		noisy) printf '#!/bin/sh\necho words; echo more >&2\n' >"$BATS_TEST_TMPDIR/helper" ;;
		esac
		[ $shape = missing ] || [ $shape = plain ] || chmod 755 "$BATS_TEST_TMPDIR/helper"
		lay_stub "$BATS_TEST_TMPDIR/helper"
		harmless "$stub" web started begin - <"$BATS_TEST_TMPDIR/domain.xml" 2>"$BATS_TEST_TMPDIR/err"
		[ ! -s "$BATS_TEST_TMPDIR/err" ]
	done
}

# ---- bent directories

@test "no /run, and no root at all" {
	rmdir "$root/run"
	harmless "$helper" web started begin - <"$BATS_TEST_TMPDIR/domain.xml"
	[ ! -e "$root/run" ]
	MEMSCHED_ROOT=$root/nowhere harmless "$helper" web started begin - <"$BATS_TEST_TMPDIR/domain.xml"
	[ ! -e "$root/nowhere" ]
}

@test "a registry that is a symlink, a file, a FIFO, or open to others" {
	mkdir "$root/elsewhere"
	for shape in symlink file fifo open folder; do
		rm -rf "$registry"
		case $shape in
		symlink) ln -s "$root/elsewhere" "$registry" ;;
		file) echo precious >"$registry" ;;
		fifo) mkfifo "$registry" ;;
		open) mkdir -m 777 "$registry" ;;
		folder) mkdir "$registry" && ln -s "$root/elsewhere" "$registry/domains" ;;
		esac
		harmless "$helper" web started begin - <"$BATS_TEST_TMPDIR/domain.xml"
		harmless "$helper" web release end - <"$BATS_TEST_TMPDIR/domain.xml"
		[ -z "$(ls "$root/elsewhere")" ]
	done
}

@test "a record that is a symlink is replaced, not followed" {
	mkdir -p "$registry/domains"
	echo precious >"$root/precious"
	ln -s "$root/precious" "$registry/domains/$uuid"
	harmless "$helper" web reconnect begin - <"$BATS_TEST_TMPDIR/domain.xml"
	[ "$(<"$root/precious")" = precious ]
	[ ! -L "$registry/domains/$uuid" ]
	grep -qx started_s=0 "$registry/domains/$uuid"
}

@test "a lock that is held is not waited for" {
	mkdir -p "$registry"
	exec {fd}>"$registry/lock"
	flock "$fd"
	harmless "$helper" web started begin - <"$BATS_TEST_TMPDIR/domain.xml"
	[ "$(files)" = $'domains/'"$uuid"$'\nlock' ]
	exec {fd}>&-
}

# The tests below mount, or take on other users.

@test "a registry of another user" {
	as_root_only
	mkdir "$registry"
	chown 65534 "$registry"
	harmless "$helper" web started begin - <"$BATS_TEST_TMPDIR/domain.xml"
	[ -z "$(files)" ]
}

@test "a full /run: what was there stays whole" {
	as_root_only
	full() {
		unshare -m bash -c '
			mount -t tmpfs -o size=16k,mode=755 full "$1/run" && shift
			"$1" web started begin - <"$2" || exit
			cp "$MEMSCHED_ROOT/run/memsched/domains/$3" "$4" || exit
			cat /dev/zero >"$MEMSCHED_ROOT/run/filler" 2>/dev/null
			"$1" web started begin - <"$2" || exit
			"$1" web prepare begin - <"$2" || exit
			cmp "$MEMSCHED_ROOT/run/memsched/domains/$3" "$4" || exit
			[ -z "$(find "$MEMSCHED_ROOT/run/memsched" -name ".*tmp*")" ] || exit
			"$1" web release end - <"$2" || exit
			[ ! -e "$MEMSCHED_ROOT/run/memsched/domains/$3" ]
		' - "$root" "$helper" "$BATS_TEST_TMPDIR/domain.xml" "$uuid" "$BATS_TEST_TMPDIR/copy"
	}
	harmless full
	no_inodes() {
		unshare -m bash -c '
			mount -t tmpfs -o nr_inodes=2,mode=755 full "$1/run" &&
			"$2" web started begin - <"$3"
		' - "$root" "$helper" "$BATS_TEST_TMPDIR/domain.xml"
	}
	harmless no_inodes
}

@test "a read-only /run" {
	as_root_only
	read_only() {
		unshare -m bash -c '
			mount -t tmpfs -o ro,mode=755 ro "$1/run" &&
			"$2" web started begin - <"$3" && "$2" web release end - <"$3"
		' - "$root" "$helper" "$BATS_TEST_TMPDIR/domain.xml"
	}
	harmless read_only
}

@test "the real /run, where no root is set" {
	as_root_only
	unset MEMSCHED_ROOT
	real() {
		unshare -m bash -c '
			mount -t tmpfs -o mode=755 run /run &&
			"$1" web started begin - <"$2" && [ -e "/run/memsched/domains/$3" ] &&
			[ "$(find /run -mindepth 1 -maxdepth 1)" = /run/memsched ] &&
			"$1" web release end - <"$2" && [ -z "$(find /run/memsched -type f)" ]
		' - "$helper" "$BATS_TEST_TMPDIR/domain.xml" "$uuid"
	}
	harmless real
}

@test "as another user, whose session's daemon calls the same hook: nothing is done" {
	as_root_only
	unset MEMSCHED_ROOT
	cp "$helper" "$BATS_TEST_TMPDIR/helper"
	as_user() {
		unshare -m bash -c '
			mount -t tmpfs -o mode=777 run /run && cp "$1" "$2" /run &&
			setpriv --reuid 65534 --regid 65534 --clear-groups /run/helper web started begin - </run/domain.xml &&
			[ ! -e /run/memsched ]
		' - "$BATS_TEST_TMPDIR/helper" "$BATS_TEST_TMPDIR/domain.xml"
	}
	harmless as_user
}

@test "no process left for the helper" {
	as_root_only
	local open
	open=$(mktemp -d /tmp/memsched-stub.XXXXXX)
	chmod 755 "$open"
	lay_stub /bin/true
	cp "$stub" "$open/stub"
	harmless setpriv --reuid=65534 --regid=65534 --clear-groups prlimit --nproc=0 "$open/stub" web started begin - \
		<"$BATS_TEST_TMPDIR/domain.xml"
	rm -r "$open"
}

@test "too little memory to load the helper" {
	local kib=2000
	little() { (ulimit -v "$kib" && "$@"); }
	until little sh -c : 2>/dev/null; do
		kib=$((kib + 100))
	done
	kib=$((kib + 300)) # the shell has enough
	run -127 little "$helper" web started begin -
	harmless little "$stub" web started begin - <"$BATS_TEST_TMPDIR/domain.xml"
	[ ! -e "$registry" ]
}

@test "the helper has no libvirt in it" {
	run ldd "$helper"
	[[ $output == *libxml2* && $output != *libvirt* ]]
}
