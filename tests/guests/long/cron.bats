bats_require_minimum_version 1.5.0

# The installed line of /etc/cron.d, run by Debian's cron at its own pace: six minutes.

setup_file() {
	load ../bed.bash
	export mails=$BED/mails lacking='' cron
	command -v cron >/dev/null || lacking="no cron here"
	[ -z "$lacking" ] || return 0
	host_needs 3000
	rm -f /etc/crontab
	find /etc/cron.d -type f ! -name memsched -delete
	mount -t tmpfs -o mode=755 cron /var/spool/cron
	mkdir "$mails" /var/spool/cron/crontabs
	printf '#!/bin/sh\nexec cat >"$(mktemp %s/XXXXXX)"\n' "$mails" >/usr/sbin/sendmail
	chmod 755 /usr/sbin/sendmail
	sed -i 's/^#\*/*/' /etc/cron.d/memsched
	guest_start needy max=512 current=256
	guest_start idle max=512
	guest_wait needy idle
	cron -f 3>&- &
	cron=$!
}

teardown_file() {
	[ -z "$lacking" ] || return 0
	load ../bed.bash
	kill "$cron"
	guests_stop_all
	umount /var/spool/cron
}

setup() {
	[ -z "$lacking" ] || skip "$lacking"
	load ../bed.bash
}

teardown() {
	[ -n "$lacking" ] || head -n 20 /run/memsched/last-pass.json "$mails"/* || :
}

# What grows with each job that cron has waited for, mail included: page faults of its children.
ran() {
	cut -d ' ' -f 11 "/proc/$cron/stat"
}

has_run() {
	[ "$(ran)" -gt "$(<"$BED/ran")" ]
}

# minute: until cron has done its next job.
minute() {
	wait_until 90 has_run || complain "cron did nothing for 90 s"
	ran >"$BED/ran"
}

mailed() {
	find "$mails" -type f | wc -l
}

# What was asked for arrives within moments, and libvirt knows of it up to a second later.
grew() {
	[ "$(guest_actual "$1")" -gt "$2" ]
}

shrank() {
	[ "$(guest_actual "$1")" -lt "$2" ]
}

# balanced CHANGE GUEST KIB: by the next job, or the one after it where that was under way already.
balanced() {
	wait_until 140 "$@" || complain "in two minutes cron did not balance: $*"
}

@test "three minutes: guests are balanced, and nothing is mailed" {
	local idle needy end=$((SECONDS + 180))
	guest_ask needy 150
	needy=$(guest_actual needy) idle=$(guest_actual idle)
	balanced grew needy "$needy"
	balanced shrank idle "$idle"
	guest_ask needy 250
	needy=$(guest_actual needy)
	balanced grew needy "$needy"
	guest_ask needy 10
	needy=$(guest_actual needy)
	balanced shrank needy "$needy"
	while [ "$SECONDS" -lt "$end" ]; do sleep 1; done
	[ "$(mailed)" -eq 0 ]
	[ "$(guest_restarts needy)" -eq 0 ]
}

@test "without libvirtd: one mail, and no second one" {
	libvirtd_stop
	ran >"$BED/ran"
	minute
	[ "$(mailed)" -eq 1 ]
	grep '^membalance: error: .*libvirt' "$mails"/*
	minute
	[ "$(mailed)" -eq 1 ]
}

mailed_again() {
	[ "$(mailed)" -gt 1 ]
}

@test "libvirtd is back: one mail says that it is over" {
	libvirtd_start
	wait_until 140 mailed_again || complain "no second mail in two minutes"
	[ "$(mailed)" -eq 2 ]
	grep '^membalance: warning: over: .*libvirt' "$mails"/*
}
