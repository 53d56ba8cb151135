# SPDX-License-Identifier: MIT
bats_require_minimum_version 1.5.0

# The deb is installed, upgraded, removed and purged for real, within the bed. Guests start after each step.

hook=/etc/libvirt/hooks/qemu.d/memsched

setup_file() {
	load ../bed.bash
	export lacking='' deb=''
	command -v dpkg-deb >/dev/null || lacking="no dpkg-deb here"
	[ -z "$lacking" ] || return 0
	cd "$BATS_TEST_DIRNAME/../../.." || return 1
	cp -a /var/lib/dpkg "$BED/dpkg" # an overlay cannot lie over every file system
	mount --bind "$BED/dpkg" /var/lib/dpkg
	make --no-print-directory -s uninstall PREFIX=/usr
	make --no-print-directory -s deb
	deb=$(echo "$PWD"/build/memsched_*_"$(dpkg --print-architecture)".deb)
}

teardown_file() {
	[ -n "$lacking" ] || umount -l /var/lib/dpkg
}

setup() {
	[ -z "$lacking" ] || skip "$lacking"
	load ../bed.bash
}

teardown() {
	guests_stop_all
}

# A daemon that starts takes notice of the hook that is there now.
libvirtd_starts_guest() {
	libvirtd_restart
	guest_start one
	guest_wait one
}

@test "installed, the package registers guests, and enables nothing" {
	dpkg -i "$deb" >&2
	dpkg -V memsched
	[ -x "$hook" ]
	[ -z "$(find /etc/systemd/system -name 'mem*' -type l)" ]
	[ -z "$(grep -v '^#' /etc/cron.d/memsched)" ]
	libvirtd_starts_guest
	[ -n "$(ls /run/memsched/domains)" ]
	memstat one
}

@test "an upgrade keeps what was changed, and guests start" {
	local next=$BED/next
	echo 'step = 64MiB' >>/etc/memsched.conf
	dpkg-deb -R "$deb" "$next"
	sed -i 's/^Version: .*/&+1/' "$next/DEBIAN/control"
	dpkg-deb -Znone --build "$next" "$BED/next.deb" >&2
	dpkg -i "$BED/next.deb" >&2
	grep -qx 'step = 64MiB' /etc/memsched.conf
	libvirtd_starts_guest
	memstat one
}

@test "removed, the hook stays and does nothing, and guests start" {
	dpkg -r memsched >&2
	[ -x "$hook" ]
	[ ! -e /usr/sbin/memsched-hook ]
	grep -qx 'step = 64MiB' /etc/memsched.conf
	libvirtd_starts_guest
}

@test "purged, nothing is left, and guests start" {
	dpkg -P memsched >&2
	[ -z "$(find /etc /usr/sbin /usr/lib/systemd /usr/share/man /usr/share/memsched /usr/share/doc/memsched /run/memsched \
		-name '*memsched*' 2>/dev/null)" ]
	[ -z "$(ls -A /var/lib/memsched)" ] # a mount point here
	libvirtd_starts_guest
}
