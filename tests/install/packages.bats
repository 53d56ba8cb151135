# SPDX-License-Identifier: MIT
bats_require_minimum_version 1.5.0

# The packages and the tarball are built once, and compared with what make install lays down.

setup_file() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	unset MAKEFLAGS MAKELEVEL MFLAGS DESTDIR
	# Everything is built: make need not try the compiler's flags.
	export HARDEN=- root=$BATS_FILE_TMPDIR/root
	make --no-print-directory -s install PREFIX=/usr DESTDIR="$root"
}

setup() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
}

# Everything below DIR, with its mode.
laid() {
	(cd "$1" && find . ! -type d -printf '%m %P\n' | LC_ALL=C sort -k 2)
}

@test "the deb holds what make install lays down, and its conffiles are all of /etc" {
	command -v dpkg-deb >/dev/null || skip "no dpkg-deb here"
	local deb dir=$BATS_TEST_TMPDIR/deb
	run make --no-print-directory -s deb
	[ "$status" -eq 0 ]
	deb=$(echo build/memsched_*_"$(dpkg --print-architecture)".deb)
	dpkg-deb -R "$deb" "$dir"
	[ "$(cd "$dir" && find etc -type f -printf '/%p\n' | LC_ALL=C sort)" = "$(<"$dir/DEBIAN/conffiles")" ]
	[[ $(dpkg-deb -f "$deb" Depends) =~ libc6\ .*libvirt0\ .*libxml2 ]]
	[ -z "$(dpkg-deb -c "$deb" | awk '$2 != "root/root"')" ]
	[ -d "$dir/etc/memsched.conf.d" ]
	rm -r "$dir/DEBIAN"
	diff <(laid "$root") <(laid "$dir")
}

@test "the rpm holds what make install lays down, the hook as data only" {
	command -v rpmbuild >/dev/null || skip "no rpmbuild here"
	local package
	run make --no-print-directory -s rpm
	[ "$status" -eq 0 ]
	package=$(echo build/memsched-*.rpm)
	# rpm may compress manuals, and Fedora has another folder for zsh
	diff <(laid "$root" | sed 's|vendor-completions/_|site-functions/_|; /hooks.qemu.d/d') \
		<(rpm -qp --qf '[%{FILEMODES:octal} %{FILENAMES}\n]' "$package" | sed -n 's|^100\(...\) /|\1 |; s|\.gz$||; /^[0-7]\{3\} /p' |
			LC_ALL=C sort -k 2)
	[ "$(rpm -qpc "$package")" = "$(cd "$root" && find etc -type f ! -path '*/hooks/*' -printf '/%p\n' | LC_ALL=C sort)" ]
}

@test "make dist gives the same bytes twice" {
	[ "$(git rev-parse --show-toplevel 2>/dev/null)" = "$PWD" ] || skip "no repository here"
	local tarball sum
	tarball=$(make --no-print-directory -s dist)
	sum=$(sha256sum <"$tarball")
	rm "$tarball"
	make --no-print-directory -s dist
	[ "$sum" = "$(sha256sum <"$tarball")" ]
	tar -tzf "$tarball" | grep -qx 'memsched-[0-9.]*/Makefile'
}

@test "with PROGRAM_PREFIX no file has the plain name of a command, and units, cron and completions follow" {
	local dir=$BATS_TEST_TMPDIR/root
	make --no-print-directory -s install PREFIX=/usr DESTDIR="$dir" PROGRAM_PREFIX=my-
	[ "$(cd "$dir/usr/sbin" && echo *)" = "memsched-hook my-membalance my-memguard my-memstat" ]
	[ "$(cd "$dir/usr/share/man/man8" && echo *)" = "my-membalance.8 my-memguard.8 my-memstat.8" ]
	[ "$(cd "$dir/usr/share/bash-completion/completions" && echo *)" = "my-membalance my-memguard my-memstat" ]
	grep -qx 'ExecStart=/usr/sbin/my-membalance --loop' "$dir/usr/lib/systemd/system/membalance.service"
	grep -q '|| /usr/sbin/my-membalance --once$' "$dir/etc/cron.d/memsched"
	grep -qx '#compdef my-memstat my-membalance my-memguard' "$dir"/usr/share/zsh/*/_memsched
	grep -qx '.Nm my-memstat' "$dir/usr/share/man/man8/my-memstat.8"
	make --no-print-directory -s uninstall PREFIX=/usr DESTDIR="$dir" PROGRAM_PREFIX=my-
	[ -z "$(laid "$dir")" ]
}
