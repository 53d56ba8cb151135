# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# bed.bash: functions for bats files and scripts that run inside the bed. Each wait has an end: then it says what it waited for.
# A guest's files are $BED/guests/NAME.{xml,in,log,disk}; its load program is load.c.

complain() {
	echo "bed: error: $*" >&2
	return 1
}

# wait_until SECONDS COMMAND…: looks ever less often, because a virsh takes a tenth of a second of CPU.
wait_until() {
	local end=$((SECONDS + $1 + 1)) pause_ms=100
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep "0.$pause_ms"
		pause_ms=$((pause_ms < 700 ? pause_ms * 5 / 4 : pause_ms))
	done
}

# ---- libvirtd

libvirtd_configure() {
	local daemon
	# Without libvirt-daemon-system its users are missing, and the QEMU driver does not start before it has read `user` below.
	getent passwd libvirt-qemu >/dev/null || echo 'libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin' >>/etc/passwd
	getent group libvirt-qemu >/dev/null || echo 'libvirt-qemu:x:64055:' >>/etc/group
	cat >/etc/libvirt/qemu.conf <<-'END'
		user = "root"
		group = "root"
		security_driver = "none"
		namespaces = []
		cgroup_controllers = []
		stdio_handler = "file"
	END
	for daemon in libvirtd virtqemud; do
		cat >/etc/libvirt/$daemon.conf <<-END
			auth_unix_ro = "none"
			auth_unix_rw = "none"
			log_level = $([ "${BED_DEBUG:-}" = yes ] && echo 1 || echo 3)
			log_outputs = "1:file:$BED/libvirtd.log"
		END
	done
}

libvirtd_start() {
	local daemon
	daemon=$(command -v libvirtd || command -v virtqemud)
	rm -f "$BED/libvirtd.pid"
	"$daemon" -d -p "$BED/libvirtd.pid" 3>&- 4>&- # or bats would wait for it
	wait_until 30 libvirtd_answers || {
		tail -n 20 "$BED/libvirtd.log" >&2
		complain "libvirtd does not answer"
	}
}

libvirtd_answers() {
	timeout 5 virsh -q list >/dev/null 2>&1
}

libvirtd_stop() {
	local pid
	pid=$(<"$BED/libvirtd.pid")
	kill "$pid"
	wait_until 20 process_gone "$pid" || complain "libvirtd does not end"
}

libvirtd_restart() {
	libvirtd_stop && libvirtd_start
}

process_gone() {
	! kill -0 "$1" 2>/dev/null
}

# cpu_ms PID…: CPU time of each so far, in ms.
cpu_ms() {
	local pid
	for pid; do
		awk '{ sub(/.*[)] /, ""); print ($12 + $13) * 10 }' "/proc/$pid/stat"
	done
}

# ---- the host

host_available_mib() {
	awk '$1 == "MemAvailable:" { print int($2 / 1024) }' /proc/meminfo
}

# The reserve that is configured.
host_reserve_mib() {
	echo $(($(memguard --check | sed -n 's/.* reserve=\([0-9]*\)B$/\1/p') / 1048576))
}

# host_needs MIB: false, with a reason, where the machine has less to spare.
host_needs() {
	[ "$(host_available_mib)" -ge "$1" ] || complain "needs $1 MiB available, the host has $(host_available_mib) MiB"
}

# host_begin MIB: from now on the bed sees a host with that much memory for the bed's own guests: what other beds do cannot change a
# verdict. Three times as much is in use otherwise, for a reserve must be less than the host. It ends with the file.
host_begin() {
	touch "$BED/meminfo"
	host_tell "$1"
	mount --bind "$BED/meminfo" /proc/meminfo
	host_keep "$1" 3>&- 4>&- &
	export host_keeper=$!
}

host_keep() {
	local never
	trap - DEBUG # bats would note each line, which takes more than the line
	exec {never}<> <(:)
	while host_tell "$1"; do
		read -r -t 0.2 -u "$never" || :
	done
}

host_tell() {
	local file pid resident free_kib=$(($1 * 1024))
	for file in /run/libvirt/qemu/*.xml; do
		# A guest that starts or ends has no number yet, or no process: a substitution that fails would end the caller.
		# libvirt writes no newline behind the number, so read fails at the end of the file.
		pid=''
		if { { read -r pid <"${file%.xml}.pid" || [ "$pid" ]; } && read -r _ resident _ <"/proc/$pid/statm"; } 2>/dev/null; then
			free_kib=$((free_kib - resident * 4))
		fi
	done
	# in place, always of the same length, and in one call: who reads it sees the figures of one moment
	printf '%-13s %12d kB\n' MemTotal: $(($1 * 4096)) MemFree: "$free_kib" MemAvailable: "$free_kib" 1<>"$BED/meminfo"
}

host_end() {
	kill "$host_keeper"
	wait_until 10 process_gone "$host_keeper"
	umount /proc/meminfo
}

# ---- guests

# guest_xml NAME [KEY=VALUE…]: max= and current= (MiB), balloon=virtio|none, period= (s), autodeflate=on|off|'', cmdline= (words for
# the guest's kernel and init), metadata=, extra=, features= and devices= (XML inside <metadata>, <domain> and so on), uuid=.
# The log is appended to, because a restored guest's log begins with the lines from before its save.
guest_xml() {
	local name=$1 max=768 current='' balloon=virtio period=1 autodeflate=off cmdline='' metadata='' extra='' features='' devices='' uuid=''
	shift
	[ $# -eq 0 ] || local "$@"
	cat <<-END
		<domain type='qemu'>
		  <name>$name</name>
		  ${uuid:+<uuid>$uuid</uuid>}
		  <metadata>$metadata</metadata>
		  <memory unit='MiB'>$max</memory>
		  <currentMemory unit='MiB'>${current:-$max}</currentMemory>
		  <vcpu>1</vcpu>
		  <os>
		    <type arch='x86_64' machine='pc'>hvm</type>
		    <kernel>$BED_IMAGE/vmlinuz</kernel>
		    <initrd>$BED_IMAGE/initrd</initrd>
		    <cmdline>console=ttyS1 quiet panic=-1 printk.devkmsg=on mitigations=off nokaslr no_timer_check $cmdline</cmdline>
		  </os>
		  <features><acpi/>$features</features>
		  <on_reboot>restart</on_reboot>
		  $extra
		  <devices>
		    <disk type='file'>
		      <driver name='qemu' type='raw'/>
		      <source file='$BED/guests/disk'/>
		      <target dev='vda' bus='virtio'/>
		      <readonly/>
		      <shareable/>
		    </disk>
		    <controller type='usb' model='none'/>
		    <serial type='pipe'><source path='$BED/guests/$name'/><target port='0'/></serial>
		    <serial type='file'><source path='$BED/guests/$name.log' append='on'/><target port='1'/></serial>
		    $devices
		    <memballoon model='$balloon'$([ "$balloon" = none ] || echo "${autodeflate:+ autodeflate='$autodeflate'}")>
		      $([ "$balloon" = none ] || [ "$period" = 0 ] || echo "<stats period='$period'/>")
		    </memballoon>
		  </devices>
		</domain>
	END
}

# guest_boot NAME [KEY=VALUE…]: a transient guest; does not wait until it has booted. Keys as of guest_xml.
guest_boot() {
	guest_files "$@"
	timeout 60 virsh -q create "$BED/guests/$1.xml" >/dev/null
}

guest_files() {
	local files=$BED/guests/$1
	[ -e "$BED/guests/disk" ] || truncate -s 4G "$BED/guests/disk" # all holes: costs nothing, in no one's cache either
	rm -f "$files".{in,out,log}
	mkfifo "$files.in" "$files.out"
	guest_xml "$@" >"$files.xml"
}

# guest_start NAME [KEY=VALUE…]: a transient guest that has booted already: restored in 0.3 s, while a boot takes 4 s of CPU.
# The image's directory keeps one saved guest of each shape. The first test that needs it saves it, and anew if it cannot be restored.
guest_start() {
	local saved
	saved=$BED_IMAGE/saved-$({ echo "$BED_VERSIONS" && guest_xml "" "${@:2}" period=1 metadata= uuid=; } | sha256sum | cut -c 1-16)
	guest_save "$saved" "${@:2}" && guest_restore "$saved" "$@" && return
	rm -f "$saved"
	guest_save "$saved" "${@:2}" && guest_restore "$saved" "$@"
}

# guest_save FILE [KEY=VALUE…]: unless FILE exists. Beds that need the same file at once wait for the first.
guest_save() {
	local lock status=0
	[ ! -s "$1" ] || return 0
	exec {lock}>>"$1.lock"
	flock -w 300 "$lock" && { [ -s "$1" ] || guest_save_booted "$@"; } || status=1
	exec {lock}>&-
	return "$status"
}

# Its metadata leave room in the file's head for those of the restored guests.
guest_save_booted() {
	local name=${1##*/}
	find "$BED_IMAGE" -name 'saved-*' ! -name '*.lock' -mtime +7 -delete
	guest_boot "$name" "${@:2}" period=1 uuid= metadata="<room xmlns='urn:room'>$(printf 'x%.0s' {1..2000})</room>" &&
		guest_wait "$name" &&
		timeout 120 virsh -q save "$name" "$1.new" >/dev/null &&
		cp "$BED/guests/$name.log" "$1.log" || return 1
	if "$BED_IMAGE/slim" <"$1.new" >"$1.slim"; then # a restore of all pages takes 2 s where new memory is slow
		mv "$1.slim" "$1.new"
	fi
	mv "$1.new" "$1"
}

# guest_restore FILE NAME [KEY=VALUE…]: libvirt restores no guest under another name and UUID, so both are replaced in the definition
# at the file's head, which keeps its length. (libvirt 11 opens the file twice, so no pipe will do.)
guest_restore() {
	local saved=$1 name=$2 begin definition length file=$BED/guests/$2.saved status=0 LC_ALL=C
	guest_files "${@:2}"
	cp "$saved.log" "$BED/guests/$name.log" && begin=$(grep -abom 1 '<domain' "$saved") || return 1
	begin=${begin%%:*}
	definition=$(head -c 65536 "$saved" | tail -c "+$((begin + 1))" | sed -n '1,/^<\/domain>/p')
	length=${#definition}
	definition=$(guest_redefine "$saved" "${@:2}" <<<"$definition")
	[ ${#definition} -le "$length" ] || complain "the metadata of '$name' are too long for '$saved'" || return 1
	# cp has few calls for much; each call is dear in a virtual machine
	cp "$saved" "$file" && printf '%-*s' "$length" "$definition" |
		dd of="$file" bs=64K iflag=fullblock oflag=seek_bytes seek="$begin" conv=notrunc status=none || return 1
	timeout 60 virsh -q restore "$file" >/dev/null || status=1
	rm "$file"
	return "$status"
}

# guest_redefine FILE NAME [KEY=VALUE…]: the definition on stdin, of the guest in FILE, as that of the new guest.
guest_redefine() {
	local definition metadata='' period=1 uuid='' old=${1##*/} name=$2
	shift 2
	[ $# -eq 0 ] || local "$@"
	definition=$(sed -e "s|<uuid>.*<|<uuid>${uuid:-$(</proc/sys/kernel/random/uuid)}<|" \
		-e "$([ "$period" = 0 ] && echo '/<stats period=/d' || echo "s/<stats period='1'/<stats period='$period'/")")
	definition=${definition/<metadata>*<\/metadata>/"<metadata>$metadata</metadata>"}
	echo "${definition//"$old"/"$name"}"
}

# guests_start NUMBER PREFIX [KEY=VALUE…]: PREFIX1, PREFIX2 and so on, started side by side.
guests_start() {
	local number=$1 prefix=$2 i pids=() pid status=0
	shift 2
	for ((i = 1; i <= number; i++)); do
		guest_start "$prefix$i" "$@" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid" || status=1
	done
	return "$status"
}

# guest_wait NAME…: until the load program is ready and, where there is a driver, its figures are in and the balloon is at rest.
guest_wait() {
	local name
	for name; do
		wait_until 120 guest_ready "$name" || {
			tail -n 5 "$BED/guests/$name.log" >&2
			complain "guest '$name' does not come up"
		} || return 1
	done
}

guest_ready() {
	grep -qs 'load: ready' "$BED/guests/$1.log" || return 1
	grep -q "memballoon model='none'\|nodriver" "$BED/guests/$1.xml" || guest_settled "$1"
}

# Whether the balloon has reached the guest's <currentMemory>.
guest_settled() {
	local wanted
	wanted=$(sed -n 's/.*<currentMemory unit=.MiB.>\([0-9]*\).*/\1/p' "$BED/guests/$1.xml")
	timeout 10 virsh -q domstats --balloon --nowait "$1" |
		awk -F= -v most=$((wanted * 1024 + 1024)) '$1 ~ /current$/ && $2 <= most { settled = 1 } $1 ~ /unused$/ { told = 1 } END { exit !settled || !told }'
}

# guest_tell NAME ORDER: an order of load.c, not waited for. Opened both ways, so that a dead QEMU does not block.
guest_tell() {
	local fd
	exec {fd}<>"$BED/guests/$1.in"
	echo "${*:2}" >&"$fd"
	exec {fd}>&-
}

# guest_load NAME MIB [MIB_PER_S]: not waited for.
guest_load() {
	guest_tell "$@"
}

# guest_ask NAME ORDER: tells, and waits until the guest has fulfilled it (120 s at most); fails when the load program is killed.
guest_ask() {
	local before starts
	before=$(guest_answers "$@")
	starts=$(guest_starts "$1")
	guest_tell "$@"
	wait_until 120 guest_answered_or_died "$before" "$starts" "$@" || true
	[ "$(guest_answers "$@")" -gt "$before" ] || complain "guest '$1' does not get to '${*:2}'"
}

guest_answers() {
	guest_said "$1" "ok ${*:2}[[:space:]]*$"
}

guest_answered_or_died() {
	[ "$(guest_answers "${@:3}")" -gt "$1" ] || [ "$(guest_starts "$3")" -gt "$2" ]
}

# guest_held NAME MIB: whether that is what it holds by now.
guest_held() {
	[[ $(grep 'load: \(ok [0-9]\|ready\)' "$BED/guests/$1.log" | tail -n 1) =~ ok\ $2([[:space:]]|$) ]]
}

# How many lines of the load program begin so.
guest_said() {
	grep -c "load: $2" "$BED/guests/$1.log" || :
}

guest_starts() {
	guest_said "$1" ready
}

# How often the load program was started again after its first start since boot: each is a kill by the guest's OOM killer.
guest_restarts() {
	echo $(($(guest_starts "$1") - $(guest_boots "$1")))
}

# How often the guest has booted: each more than 1 is a reboot, asked for or not.
guest_boots() {
	guest_said "$1" 'ready 1 '
}

guest_reboot() {
	local before
	before=$(guest_boots "$1")
	guest_tell "$1" reboot
	wait_until 60 guest_booted_more "$before" "$1" || complain "guest '$1' does not come back"
}

guest_booted_more() {
	[ "$(guest_boots "$2")" -gt "$1" ]
}

# QEMU's process number.
guest_pid() {
	cat "/run/libvirt/qemu/$1.pid"
}

guest_rss_kib() {
	awk '$1 == "VmRSS:" { print $2 }' "/proc/$(guest_pid "$1")/status"
}

# guest_stat NAME FIELD: FIELD of `virsh domstats --balloon` (KiB): current maximum unused available usable rss last-update …
guest_stat() {
	timeout 10 virsh -q domstats --balloon --nowait "$1" | sed -n "s/^ *balloon\.$2=//p"
}

# KiB, as libvirt knows it: up to a second old.
guest_actual() {
	guest_stat "$1" current
}

# at_least GUEST MIB, at_most GUEST MIB: its actual.
at_least() {
	[ "$(guest_actual "$1")" -ge $(($2 * 1024)) ]
}

at_most() {
	[ "$(guest_actual "$1")" -le $(($2 * 1024)) ]
}

# guest_fresh NAME…: until the statistics of each are from after the call.
guest_fresh() {
	wait_until 120 guests_updated "$EPOCHSECONDS" "$@" || complain "no statistics from: $*"
}

# guests_updated SECOND NAME…: whether all are from after that.
guests_updated() {
	timeout 10 virsh -q domstats --balloon --nowait "${@:2}" |
		awk -F= -v second="$1" -v all=$(($# - 1)) '$1 ~ /last-update/ && $2 > second { updated++ } END { exit updated < all }'
}

# guest_set NAME MIB: a balloon target.
guest_set() {
	timeout 40 virsh -q setmem "$1" "$2MiB" --live
}

# dimm_slots MIB: extra= for a guest of that size, into which memory devices can be plugged.
dimm_slots() {
	echo "<maxMemory slots='2' unit='MiB'>$(($1 + 1024))</maxMemory>
		<cpu><numa><cell id='0' cpus='0' memory='$1' unit='MiB'/></numa></cpu>"
}

# guest_plug NAME MIB: a DIMM, until actual shows it. With memhp_default_state=offline the guest's kernel does not put it to use, which
# is Linux' default without a udev rule.
guest_plug() {
	local before
	before=$(guest_actual "$1")
	echo "<memory model='dimm'><target><size unit='MiB'>$2</size><node>0</node></target></memory>" >"$BED/guests/$1.dimm"
	timeout 60 virsh -q attach-device "$1" "$BED/guests/$1.dimm" --live >/dev/null
	wait_until 60 at_least "$1" $((before / 1024 + $2 * 3 / 4)) || complain "the DIMM does not come into guest '$1'"
}

# guest_least NAME: the KiB that no one may leave it less than, by its newest sample.
guest_least() {
	guest_fresh "$1"
	timeout 10 virsh -q domstats --balloon --nowait "$1" |
		awk -F= '$1 ~ /current$/ { current = $2 } $1 ~ /usable$/ { usable = $2 } END { print current - usable }'
}

# guest_stop NAME…: by one virsh, whose start takes longer than all it does here.
guest_stop() {
	timeout $((40 * $#)) virsh -q "$(printf "destroy '%s'; " "$@")" >/dev/null
}

# Whether libvirt lists it no more.
guest_gone() {
	local names
	names=$(timeout 10 virsh -q list --name) && ! grep -qxF "$1" <<<"$names"
}

# By UUID: names can be anything.
guests_stop_all() {
	local uuids
	mapfile -t uuids < <(timeout 10 virsh -q list --uuid | grep .)
	[ ${#uuids[@]} -eq 0 ] || guest_stop "${uuids[@]}"
}

# ---- files of tests: guests for all tests of a file, and a process of its own ($pid) for each test

# file_begin MIB: before the guests are started, which need so much of the host.
file_begin() {
	host_needs "$1"
	printf '%s\n' 'boot_grace = 0s' 'deadline = 60s' >/etc/memsched.conf.d/test.conf # a slow machine is late for the usual one
}

file_end() {
	guests_stop_all
	rm -f /etc/memsched.conf.d/test.conf
	rm -rf /run/memsched/state/* /run/memsched/said
}

# loop_begin OPTION…: membalance passes each second, in the background as $pid; what each says goes into a line of $passes.
loop_begin() {
	passes=$BATS_TEST_TMPDIR/passes
	: >"$passes"
	membalance --interval 1 -J "$@" >"$passes" 3>&- 4>&- &
	pid=$!
}

loop_end() {
	kill "$pid"
	wait "$pid"
	pid=
}

# loop_goes_on NUMBER: until so many passes more have ended.
loop_goes_on() {
	wait_until 120 has_lines "$passes" $(($(wc -l <"$passes") + $1)) || complain "fewer than $1 passes in 120 s"
}

has_lines() {
	[ "$(wc -l <"$1")" -ge "$2" ]
}

# lock_held FILE: whether a process has it locked. Trying to lock it would get in the way of those who do.
lock_held() {
	local inode
	inode=$(stat -c %i "$1" 2>/dev/null) && grep -q " FLOCK .*:$inode 0 EOF$" /proc/locks
}

kill_background() {
	[ -z "$pid" ] || kill "$pid" 2>/dev/null || :
}
