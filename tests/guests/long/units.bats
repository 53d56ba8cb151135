# SPDX-License-Identifier: MIT
bats_require_minimum_version 1.5.0

# The installed units under a real systemd, in namespaces and a control group of its own. It sees the bed's libvirtd in
# the bed's /run, our units and a few empty targets; what it would change of the machine is read-only or covered.

setup_file() {
	load ../bed.bash
	export units=$BED/units words=$BED/units.log lacking='' systemd group
	mkdir "$BED/cgroup"
	mount -t cgroup2 cgroup "$BED/cgroup" || lacking="no unified control groups here"
	command -v systemctl >/dev/null || lacking="no systemd here"
	[ -z "$lacking" ] || return 0
	host_needs 3000
	group=$(mktemp -d "$BED/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)/memsched-bed.XXXXXX")
	make_units
	export -f systemd_start
	(echo $BASHPID >"$group/cgroup.procs" && exec unshare --pid --mount --uts --ipc --cgroup --fork --kill-child \
		bash -c systemd_start) 3>&- 4>&- &
	systemd=$!
	wait_until 30 on -q is-active bed.target 2>/dev/null
	guest_start needy max=512 current=256
	guest_start idle max=512
	guest_wait needy idle
}

teardown_file() {
	[ -z "$lacking" ] || return 0
	load ../bed.bash
	kill -KILL "$systemd" && wait_until 10 process_gone "$systemd"
	guests_stop_all
	wait_until 10 remove_group
}

setup() {
	[ -z "$lacking" ] || skip "$lacking"
	load ../bed.bash
	: >"$words"
}

teardown() {
	[ -z "$lacking" ] || return 0
	on show -p Id,Result,ExecMainStatus,ActiveState,SubState 'mem*.service' || :
	cat "$words"
	rm -rf /etc/memsched.conf.d/test.conf "$units/memguard.service.d"
	on daemon-reload
	on stop membalance-once.timer membalance-once.service membalance.service memguard.service
	on reset-failed
}

remove_group() {
	find "$group" -depth -type d -exec rmdir {} + 2>/dev/null
}

make_units() {
	local target
	mkdir -p "$units/service.d"
	cp /usr/lib/systemd/system/mem{balance,guard}* "$units"
	for target in bed sysinit basic shutdown multi-user timers; do
		printf '[Unit]\nDefaultDependencies=no\n' >"$units/$target.target"
	done
	# what another one names is remembered when it has ended
	echo 'After=membalance-once.service membalance.service memguard.service' >>"$units/bed.target"
	printf '[Service]\nStandardOutput=append:%s\nStandardError=append:%s\n' "$words" "$words" >"$units/service.d/log.conf"
	printf '[Service]\nType=oneshot\nExecStart=/bin/sh -c "touch %s"\n' "$BED/alarm" >"$units/alarm.service"
}

# The first process of the namespaces, until it is systemd.
systemd_start() {
	local dir
	mount --make-rprivate /
	mount -t proc proc /proc
	mount --bind /proc/sys /proc/sys
	mount -o remount,ro,bind /proc/sys
	mount --bind /dev/null /dev/console
	for dir in /tmp /var/tmp /var/log /var/lib; do
		mount -t tmpfs -o mode=755 bed $dir
	done
	mkdir -p /var/lib/prometheus/node-exporter
	mount -t cgroup2 cgroup /sys/fs/cgroup
	exec env -i PATH="$PATH" container=bed SYSTEMD_UNIT_PATH="$units" \
		/lib/systemd/systemd --system --unit=bed.target --log-target=null --show-status=no </dev/null >/dev/null 2>&1
}

# inside COMMAND…: in systemd's namespaces: it answers only those that have a process number there.
inside() {
	timeout 60 nsenter --target "$(pgrep -P "$systemd")" --mount --pid "$@"
}

# on COMMAND…: of systemctl.
on() {
	inside systemctl --no-pager "$@"
}

# is UNIT PROPERTY=VALUE…
is() {
	local wanted
	for wanted in "${@:2}"; do
		on show "$1" | grep -qx -e "$wanted" || return 1
	done
}

main_pid() {
	on show -P MainPID "$1"
}

# another UNIT PID: it runs, and no more as PID; in one look, for between two of them it may end.
another() {
	[[ $(on show -p SubState,MainPID "$1") =~ MainPID=([1-9][0-9]*).*SubState=running ]] && [ "${BASH_REMATCH[1]}" != "$2" ]
}

# has UNIT FIELD: a field of its process's status.
has() {
	inside awk -v field="$2:" '$1 == field { print $2 }' "/proc/$(main_pid "$1")/status"
}

configure() {
	printf '%s\n' "$@" >/etc/memsched.conf.d/test.conf
}

grew() {
	[ "$(guest_actual "$1")" -gt "$2" ]
}

@test "one pass, confined as it is, balances and leaves the registry" {
	local actual
	guest_ask needy 150
	sleep 2 # statistics are up to a second old
	actual=$(guest_actual needy)
	on start membalance-once.service
	is membalance-once.service Result=success ExecMainStatus=0 ActiveState=inactive TimeoutStartUSec=50s
	[ ! -s "$words" ]
	wait_until 10 grew needy "$actual"
	[ "$(stat -c %a:%U /run/memsched)" = 755:root ]
	[ -n "$(ls /run/memsched/state)" ]
}

ran_by_timer() {
	[ "$(on show -P ExecMainStartTimestampMonotonic membalance-once.service)" -gt "$1" ]
}

@test "the timer makes a pass, and there is a next one" {
	local before
	before=$(on show -P ExecMainStartTimestampMonotonic membalance-once.service)
	on start membalance-once.timer
	wait_until 70 ran_by_timer "$before"
	wait_until 20 is membalance-once.service ActiveState=inactive Result=success
	is membalance-once.timer SubState=waiting AccuracyUSec=1s
}

@test "a guest that hangs, and libvirt away: the unit has not failed" {
	kill -STOP "$(guest_pid idle)"
	run on start membalance-once.service
	kill -CONT "$(guest_pid idle)"
	[ "$status" -eq 0 ]
	is membalance-once.service Result=success ExecMainStatus=3 ActiveState=inactive
	libvirtd_stop
	run on start membalance-once.service
	libvirtd_start
	[ "$status" -eq 0 ]
	is membalance-once.service Result=success ExecMainStatus=75 ActiveState=inactive
	grep 'membalance: error: ' "$words"
}

@test "the loop: runs, reads its configuration again, and is started again when it was killed" {
	local pid
	on start membalance.service
	pid=$(main_pid membalance.service)
	configure 'log = /var/log/memsched/moves' 'textfile = /var/lib/prometheus/node-exporter/memsched.prom'
	on reload membalance.service
	guest_load needy 250 20
	wait_until 30 inside grep -qs '"name":"needy"' /var/log/memsched/moves
	wait_until 10 inside test -s /var/lib/prometheus/node-exporter/memsched.prom
	is membalance.service SubState=running MainPID="$pid"
	kill -KILL "$(pgrep -f 'membalance --loop')"
	wait_until 30 another membalance.service "$pid"
	is membalance.service NRestarts=1
	on stop membalance.service
	is membalance.service Result=success
	[ -d /run/memsched/state ]
}

@test "a wrong configuration is not tried again and again" {
	configure 'step = many'
	on start membalance.service memguard.service || :
	wait_until 10 is membalance.service ActiveState=failed ExecMainStatus=2
	wait_until 10 is memguard.service ActiveState=failed ExecMainStatus=2
	sleep 2
	is membalance.service NRestarts=0
	is memguard.service NRestarts=0
}

# As far as the machine's root may raise limits and lower scores, which containers' often may not.
may_spare() {
	local caps
	caps=$(awk '$1 == "CapEff:" { print $2 }' /proc/1/status)
	[ $((16#$caps >> 24 & 1)) -eq 1 ] # CAP_SYS_RESOURCE
}

fed() {
	[ "$(on show -P WatchdogTimestampMonotonic memguard.service)" -gt "$1" ]
}

@test "the guard: ready, locked, spared, watched, and back when it was killed" {
	local pid
	on start memguard.service
	is memguard.service SubState=running NotifyAccess=main WatchdogUSec=30s
	pid=$(main_pid memguard.service)
	if may_spare; then
		[ ! -s "$words" ]
		[ "$(inside cat "/proc/$pid/oom_score_adj")" -eq -900 ]
		[ "$(has memguard.service VmLck)" -gt 0 ]
	fi
	[ -n "$(inside find "/proc/$pid/fd" -lname '/proc/pressure/memory')" ] || grep 'cannot watch memory pressure' "$words"
	wait_until 30 fed "$(on show -P WatchdogTimestampMonotonic memguard.service)"
	on reload memguard.service
	sleep 1
	is memguard.service SubState=running MainPID="$pid"
	inside kill -KILL "$pid"
	wait_until 20 another memguard.service "$pid"
	on stop memguard.service
	is memguard.service Result=success ActiveState=inactive
}

# critical_begin: memguard sees a host with next to nothing available from its next start on. Its unit has a /proc of its own.
critical_begin() {
	sed 's/^\(MemFree\|MemAvailable\):.*/\1: 1024 kB/' /proc/meminfo >"$BED/meminfo"
	mkdir "$units/memguard.service.d"
	printf '[Service]\nBindReadOnlyPaths=%s:/proc/meminfo\n' "$BED/meminfo" >"$units/memguard.service.d/critical.conf"
	on daemon-reload
}

@test "on_critical is confined as the guard, and starts a unit that is not" {
	configure 'on_critical = /usr/bin/systemctl --no-block start alarm.service'
	critical_begin
	on start memguard.service
	wait_until 20 inside test -e "$BED/alarm"
}
