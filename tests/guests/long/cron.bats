# SPDX-License-Identifier: MIT
bats_require_minimum_version 1.5.0

# The installed line of /etc/cron.d, run by Debian's cron at its own pace: eight minutes. The host is tight: of one with plenty,
# passes that come back in a minute leave idle memory to the guests.

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
	echo 'boot_grace = 0s' >/etc/memsched.conf.d/test.conf
	guest_start first max=512 current=256
	guest_start second max=512
	guest_wait first second
	host_begin 1024 # the two need 690 MiB of 750 at most
	cron -f 3>&- &
	cron=$!
}

teardown_file() {
	[ -z "$lacking" ] || return 0
	load ../bed.bash
	kill "$cron"
	host_end
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

# moved GUEST ACTION: whether a pass that ended after the last question did so, and the guest followed.
moved() {
	local from actual
	from=$(jq -e --arg name "$1" --arg action "$2" --argjson asked "$asked" 'select(.time_seconds > $asked) | .moves[] |
		select(.name == $name and .action == $action) | .from_bytes / 1024' /run/memsched/last-pass.json) || return 1
	actual=$(guest_actual "$1")
	if [ "$2" = grow ]; then [ "$actual" -gt "$from" ]; else [ "$actual" -lt "$from" ]; fi
}

# ask GUEST MIB: its statistics are of a moment later when this ends.
ask() {
	guest_ask "$@"
	asked=$(date +%s.%N)
}

# balanced GUEST ACTION: by the next job, or the one after it where that was under way already. libvirt knows of it up to 1 s later.
balanced() {
	wait_until 140 moved "$@" || complain "in two minutes cron did not balance: $*"
}

@test "memory goes where it is wanted, minute by minute, and nothing is mailed" {
	local asked
	ask first 150
	balanced first grow
	balanced second shrink
	ask first 250
	balanced first grow
	ask first 10
	ask second 150
	balanced first shrink
	balanced second grow
	[ "$(mailed)" -eq 0 ]
	[ "$(guest_restarts first)" -eq 0 ]
	[ "$(guest_restarts second)" -eq 0 ]
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
	grep '^membalance: notice: resolved after .*libvirt' "$mails"/*
}
