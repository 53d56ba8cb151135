# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154 # root and node are cli.bash's; of what is set here tests make use
# guard.bash: what the tests of memguard share. Needs cli.bash.

guard_setup() {
	be_patient
	said=$BATS_TEST_TMPDIR/said
	notify=$BATS_TEST_TMPDIR/notify
	pid=
}

guard_end() {
	[ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || true
}

# The default reserve is 300000 KiB: tight under 225000, critical under 150000.
guard() {
	memguard -c "$node" --root "$root" "$@"
}

# available KIB: all at once, as the kernel does it.
available() {
	meminfo 16777216 "$1"
}

# unchanged COMMAND...: fails unless it leaves the root as it is.
unchanged() {
	find "$root" -printf '%p %s %T@\n' >"$BATS_TEST_TMPDIR/before"
	"$@"
	find "$root" -printf '%p %s %T@\n' | diff "$BATS_TEST_TMPDIR/before" -
}

# start OPTION...: the loop, with its words in $said.
start() {
	memguard -c "$node" --root "$root" "$@" >"$said" 2>&1 3>&- &
	pid=$!
}

says() {
	local all
	IFS= read -r -d '' all <"$said" || :
	[[ $all == *"$1"* ]]
}

stop() {
	kill -TERM "$pid"
	wait "$pid"
	pid=
}

no_give_held() {
	[ -e "$root/run/memsched/no-give" ] && ! flock --nonblock --shared "$root/run/memsched/no-give" true
}

# spoil KIND FILE: makes something of that name that is no record.
spoil() {
	case $1 in
	fifo) mkfifo "$2" ;;
	link) ln -s /dev/zero "$2" ;;
	huge) truncate -s 1T "$2" ;;
	rubbish) echo rubbish >"$2" ;;
	foreign) printf 'version=1\nneed_kib=1\nsince_s=%s\n' "$(date +%s)" >"$2" && chown 65534 "$2" ;;
	esac
}

# The coprocess listens as systemd does.
listen() {
	coproc perl -e 'use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => shift) or die; $| = 1;
		print "ready\n"; alarm 300; print "$_\n" while defined $s->recv($_, 65536)' "$notify"
	read -r -u "${COPROC[0]}" _
	export NOTIFY_SOCKET=$notify WATCHDOG_USEC=1000000
}

# hears STATE...: these, one after the other; what there is for people in between is in $shown.
hears() {
	local state
	for state; do
		hear
		[ "$heard" = "$state" ]
	done
}

hear() {
	heard=STATUS=
	while [[ $heard == STATUS=* ]]; do
		shown=$heard
		read -r -t 60 -u "${COPROC[0]}" heard
	done
}

# guarded [AGE]: as a guard that is there leaves it, with a sign of life that is so many seconds old.
guarded() {
	mkdir -p -m 755 "$root/run/memsched"
	printf '{"schema":"memsched.guard/1","level":"calm","no_give":false,"time_seconds":%d,"pid":%d,"since_seconds":1,' \
		$((EPOCHSECONDS - ${1:-0})) $$ >"$root/run/memsched/guard.json"
	printf '"%s":0,' available_bytes reserve_bytes lack_bytes freed_bytes began_seconds calm_seconds tight_seconds \
		critical_seconds freed_total_bytes refusals_total on_critical_total last_command_seconds >>"$root/run/memsched/guard.json"
	echo '"commands_total":0}' >>"$root/run/memsched/guard.json"
}
