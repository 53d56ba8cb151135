# SPDX-License-Identifier: MIT
bats_require_minimum_version 1.5.0

# make install and uninstall below a directory of the test's: what is laid down, what stays, what is refused. The bed of
# the guests tier installs for real, and runs with what was installed.

# Lays it all down once; laid_before copies it.
setup_file() {
	environment
	make --no-print-directory -s install DESTDIR="$BATS_FILE_TMPDIR/laid"
}

setup() {
	environment
	root="$BATS_TEST_TMPDIR/a host's root"
	conf=$root/etc/memsched.conf
	cron=$root/etc/cron.d/memsched
	hook=$root/etc/libvirt/hooks/qemu.d/memsched
	# Of the files that are ours alone a few suffice for tests of those that an administrator may change.
	few=(COMMANDS=bin/membalance HELPERS= UNITS= PAGES= EXAMPLES=)
}

environment() {
	cd "$BATS_TEST_DIRNAME/../.." || return 1
	unset MAKEFLAGS MAKELEVEL MFLAGS DESTDIR SBINDIR MANDIR SYSCONFDIR TMPFILESDIR UNITDIR COMPLETIONDIR FISHDIR DOCDIR DATADIR HOOK_PATH
	# Everything is built: make need not try the compiler's flags, which takes ten times as long as the rest.
	export HARDEN=- ZSHDIR=/usr/share/zsh/vendor-completions
}

lay() {
	make --no-print-directory -s "$@" DESTDIR="$root"
}

lay_few() {
	lay "$@" "${few[@]}"
}

# laid_before: as lay install leaves it below an empty root.
laid_before() {
	cp -aT "$BATS_FILE_TMPDIR/laid" "$root"
}

# Everything below the root, with its mode.
laid() {
	(cd "$root" && find . ! -type d -printf '%m %P\n' | LC_ALL=C sort -k 2)
}

expected() {
	local file command
	{
		printf '644 %s\n' etc/cron.d/memsched etc/logrotate.d/memsched etc/memsched.conf usr/lib/tmpfiles.d/memsched.conf \
			usr/share/memsched/{memsched.cil,memsched.conf,memsched.cron,memsched.logrotate,qemu} \
			usr/share/doc/memsched/{NEWS,copyright} \
			usr/share/zsh/vendor-completions/_memsched \
			usr/lib/systemd/system/{memguard.service,membalance.service,membalance-once.service,membalance-once.timer}
		printf '755 %s\n' etc/libvirt/hooks/qemu.d/memsched usr/sbin/memsched-hook
		for file in bin/*.c; do
			command=${file#bin/} command=${command%.c}
			echo "755 usr/sbin/$command"
			echo "644 usr/share/bash-completion/completions/$command"
			echo "644 usr/share/fish/vendor_completions.d/$command.fish"
		done
		for file in man/*.[578]; do
			echo "644 usr/share/man/man${file##*.}/${file##*/}"
		done
		for file in man/*.yml man/*.json; do
			echo "644 usr/share/doc/memsched/${file##*/}"
		done
	} | LC_ALL=C sort -k 2
}

# older FILE COPY: FILE is as another version of memsched would have laid it down.
older() {
	echo '# from another version' | tee "$1" >"$2"
}

@test "what is laid down, with which modes, whatever the umask" {
	umask 077
	run lay install
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	diff <(expected) <(laid)
	[ -z "$(find "$root" -mindepth 1 -type d ! -perm 755)" ]
	[ -d "$root/etc/memsched.conf.d" ]
	cmp man/memsched.conf "$conf"
	[ ! -x "$cron" ]
}

@test "uninstall leaves nothing, and what others have laid down" {
	mkdir -p "$root/etc/cron.d" "$root/etc/libvirt/hooks/qemu.d" "$root/usr/sbin"
	touch "$root/etc/cron.d/other" "$root/etc/libvirt/hooks/qemu.d/other" "$root/usr/sbin/membalance2"
	laid >"$BATS_TEST_TMPDIR/before"
	lay install
	lay uninstall
	diff "$BATS_TEST_TMPDIR/before" <(laid)
	[ -z "$(find "$root" -name '*memsched*')" ]
	rm -r "$root"
	laid_before
	lay uninstall
	[ -z "$(laid)" ]
	[ ! -e "${hook%/*}" ]
	run lay_few uninstall
	[ "$status" -eq 0 ]
}

@test "what an administrator changed is kept by an upgrade and by uninstall" {
	local file
	lay_few install
	laid >"$BATS_TEST_TMPDIR/before"
	echo 'step = 64MiB' >>"$conf"
	sed -i 's/^#\*/*/' "$cron"
	echo 'target = 1G' >"$root/etc/memsched.conf.d/10-mine.conf"
	run lay_few install
	[ "$status" -eq 0 ]
	for file in "$conf" "$cron"; do
		[[ $output == *"'$file' was changed and is kept; this version's is '$root/usr/share/memsched/"* ]]
	done
	grep -qx 'step = 64MiB' "$conf"
	grep -q '^\* \* \* \* \* root ' "$cron"
	diff "$BATS_TEST_TMPDIR/before" <(laid | grep -v mine)
	run lay_few uninstall
	[ "$status" -eq 0 ]
	[[ $output == *"'$conf' was changed and is kept"*  ]]
	[[ $output == *"'$cron' was changed and is kept"* ]]
	[ "$(laid)" = "$(printf '644 %s\n' etc/cron.d/memsched etc/memsched.conf etc/memsched.conf.d/10-mine.conf)" ]
	lay_few install
	grep -qx 'step = 64MiB' "$conf"
}

@test "what nobody changed is replaced by an upgrade" {
	laid_before
	older "$conf" "$root/usr/share/memsched/memsched.conf"
	older "$cron" "$root/usr/share/memsched/memsched.cron"
	older "$hook" "$root/usr/share/memsched/qemu"
	rm "$root/usr/sbin/membalance"
	echo '#!/bin/false' >"$root/usr/sbin/memstat"
	run lay install
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	diff <(expected) <(laid)
	cmp man/memsched.conf "$conf"
	cmp hooks/qemu "$hook"
	cmp bin/memstat "$root/usr/sbin/memstat"
	older "$conf" "$root/usr/share/memsched/memsched.conf"
	lay uninstall
	[ -z "$(laid)" ]
}

@test "a hook that was disabled stays so, also when it is replaced" {
	lay_few install
	chmod 644 "$hook"
	lay_few install
	[ "$(stat -c %a "$hook")" = 644 ]
	older "$hook" "$root/usr/share/memsched/qemu"
	lay_few install
	cmp hooks/qemu "$hook"
	[ "$(stat -c %a "$hook")" = 644 ]
}

@test "what may be changed and was removed stays away, until all is installed anew" {
	lay_few install
	rm "$hook"
	run lay_few install
	[ "$status" -eq 0 ]
	[[ $output == *"'$hook' was removed and stays away"* ]]
	[ ! -e "$hook" ]
	lay_few uninstall
	lay_few install
	[ -x "$hook" ]
	local dir=$BATS_TEST_TMPDIR/host
	make --no-print-directory -s install PREFIX="$dir/usr" SYSCONFDIR="$dir/etc" "${few[@]}"
	rm "$dir/etc/libvirt/hooks/qemu.d/memsched"
	run make --no-print-directory -s install PREFIX="$dir/usr" SYSCONFDIR="$dir/etc" "${few[@]}"
	[[ $output == *"/memsched' was removed and stays away"* ]]
	[[ $output != *chmod* ]]
}

@test "the hook goes to another place when one is chosen, and is found there" {
	lay_few install
	rm "$hook"
	run lay_few install HOOK_PATH=/etc/libvirt/hooks/qemu
	[ -z "$output" ]
	[ -x "$root/etc/libvirt/hooks/qemu" ]
	run lay_few install
	[ -z "$output" ]
	[ -x "$hook" ]
	lay_few uninstall
	[ -z "$(laid)" ]
}

@test "another's hook is never touched: nothing is laid down" {
	mkdir -p "${hook%/*}"
	echo 'exit 0' >"$hook"
	run lay_few install
	[ "$status" -ne 0 ]
	[[ $output == *"error: '$hook' is there already and is not ours"* ]]
	[[ $output == *"another place: make install HOOK_PATH=/etc/libvirt/hooks/qemu.d/90-memsched"* ]]
	[ "$(laid)" = "644 etc/libvirt/hooks/qemu.d/memsched" ]
	lay_few uninstall
	[ "$(<"$hook")" = 'exit 0' ]
	lay_few install HOOK_PATH=/etc/libvirt/hooks/qemu
	cmp hooks/qemu "$root/etc/libvirt/hooks/qemu"
}

@test "the place that is advised is free, is taken, and is cleared by uninstall" {
	local advised
	lay_few install
	echo 'exit 0' >"$hook" # of an installation, too, whose own hook became another's
	for advised in "${hook%/*}/90-memsched" "$root/etc/libvirt/hooks/qemu"; do
		run lay_few install
		[[ $output == *"choose another place: make install HOOK_PATH=${advised#"$root"}"* ]]
		lay_few install HOOK_PATH="${advised#"$root"}"
		cmp hooks/qemu "$advised"
		lay_few uninstall
		[ ! -e "$advised" ]
		echo 'exit 0' >"$advised"
	done
	run lay_few install
	[[ $output == *$'\n'"install: move it away"* ]]
	[[ $output != *HOOK_PATH* ]]
	run lay_few uninstall
	[ "$(laid | cut -d ' ' -f 2)" = "$(printf 'etc/libvirt/hooks/%s\n' qemu qemu.d/90-memsched qemu.d/memsched)" ]
}

@test "a link to nowhere in the place of the hook or the configuration is somebody's too" {
	mkdir -p "${hook%/*}"
	ln -s /opt/nowhere "$hook"
	run lay_few install
	[ "$status" -ne 0 ]
	[ -L "$hook" ]
	lay_few uninstall
	[ -L "$hook" ]
	rm "$hook"
	ln -s /opt/nowhere "$conf"
	run lay_few install
	[ "$status" -eq 0 ]
	[[ $output == *"'$conf' was changed and is kept"* ]]
	[ -L "$conf" ]
	lay_few uninstall
	[ -L "$conf" ]
}

@test "uninstall finds the hook in the other usual place, and takes it away before all else" {
	lay_few install HOOK_PATH=/etc/libvirt/hooks/qemu
	lay_few uninstall
	[ -z "$(laid)" ]
	laid_before
	rm "$root/usr/sbin/memstat"
	mkdir "$root/usr/sbin/memstat" # cannot be removed as a file
	run lay uninstall
	[ "$status" -ne 0 ]
	[ ! -e "$hook" ]
	[ -e "$root/usr/sbin/memsched-hook" ]
}

# So that an old one, which a changed configuration or another package manager kept, does what a new one does.
@test "the stub is the same in every version" {
	[ "$(sha256sum <hooks/qemu)" = "4d04a08cc3fd5541a99c34cc2090840af4c6544a9521572e81880d4764f84abf  -" ]
}

# enforcing COMMAND...: where the kernel says that SELinux enforces.
enforcing() {
	mkdir "$BATS_TEST_TMPDIR/fs"
	unshare -m sh -c 'mount -t tmpfs fs "$0" && mkdir "$0/selinux" && echo 1 >"$0/selinux/enforce" &&
		mount --rbind "$0" /sys/fs && exec "$@"' "$BATS_TEST_TMPDIR/fs" "$@"
}

@test "where SELinux enforces the hook is laid down not executable, and how to enable it is said" {
	[ "$(id -u)" -eq 0 ] && unshare -m true 2>/dev/null || skip "cannot make mount namespaces"
	local dir=$BATS_TEST_TMPDIR/host
	run enforcing make --no-print-directory -s install PREFIX="$dir/usr" SYSCONFDIR="$dir/etc" "${few[@]}"
	[ "$status" -eq 0 ]
	[[ $output == *"SELinux enforces: the hook is not enabled"*"chmod 755 $dir/etc/libvirt/hooks/qemu.d/memsched"* ]]
	[ "$(stat -c %a "$dir/etc/libvirt/hooks/qemu.d/memsched")" = 644 ]
	run make --no-print-directory -s install PREFIX="$dir/usr" SYSCONFDIR="$dir/etc" "${few[@]}"
	[[ $output == *"the hook was disabled and stays so"* ]]
	[[ $output != *SELinux* ]]
}

@test "a place that units and cron cannot name is refused: nothing is laid down" {
	local dir
	for dir in sbin '/my programs' '/usr/sbin%' '/a;b'; do
		run lay_few install SBINDIR="$dir"
		[ "$status" -ne 0 ]
		[[ $output == *"error: SBINDIR '$dir' is no plain absolute path"* ]]
		[ ! -e "$root" ]
	done
}

@test "a failure is one, and leaves no half a file" {
	mkdir -p "$root/usr"
	echo in the way >"$root/usr/lib"
	run lay install
	[ "$status" -ne 0 ]
	[ -z "$(find "$root" -name '*.new')" ]
}

@test "with another PREFIX units and cron follow, and AppArmor is warned of" {
	run lay install PREFIX=/usr/local
	[ "$status" -eq 0 ]
	[[ $output == *"warning: the hook runs /usr/sbin/memsched-hook only"* ]]
	[ -x "$root/usr/local/sbin/memsched-hook" ]
	grep -qx 'ExecStart=/usr/local/sbin/membalance --loop' "$root/usr/local/lib/systemd/system/membalance.service"
	grep -q '|| /usr/local/sbin/membalance --once$' "$cron"
	[ -z "$(grep -r '[^l]/sbin/' "$root/usr/local/lib" "$cron")" ]
	[ ! -e "$root/usr/sbin" ]
	run lay_few install PREFIX=/usr/local
	[[ $output != *changed* ]]
	lay uninstall PREFIX=/usr/local
	[ -z "$(laid)" ]
}

@test "in places from which AppArmor lets libvirtd run it, the hook is not run for another reason" {
	local dir
	mkdir -p "$root"/{usr/sbin,usr/bin,sbin,bin}
	for dir in /usr/bin /sbin /bin; do
		run lay_few install SBINDIR="$dir"
		[ "$status" -eq 0 ]
		[[ $output == *"warning: the hook runs /usr/sbin/memsched-hook only"* ]]
		[[ $output != *AppArmor* ]]
	done
}

@test "a folder that is /usr/sbin by another name gives no warning" {
	mkdir -p "$root/usr/bin"
	ln -s bin "$root/usr/sbin"
	run lay install SBINDIR=/usr/bin
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	[ -x "$root/usr/sbin/memsched-hook" ]
	grep -qx 'ExecStart=/usr/bin/membalance --loop' "$root/usr/lib/systemd/system/membalance.service"
	ln -s usr/bin "$root/sbin"
	run lay_few install SBINDIR=/sbin
	[ "$status" -eq 0 ]
	[[ $output != *warning* ]]
}

@test "the next steps are said on the host itself, not to a packager" {
	local dir=$BATS_TEST_TMPDIR/host
	run make --no-print-directory -s install PREFIX="$dir/usr" SYSCONFDIR="$dir/etc" "${few[@]}"
	[ "$status" -eq 0 ]
	[[ $output == *"nothing was started or enabled"*"$dir/etc/cron.d/memsched"*"enable --now membalance-once.timer"*"enable --now memguard.service"* ]]
	[[ $output == *"reload libvirtd"* ]]
	[ ! -e "$dir/etc/systemd" ]
}

@test "cron's line is commented out, in a file that cron reads, and silent where membalance is gone" {
	laid_before
	[[ ${cron##*/} =~ ^[A-Za-z0-9_-]+$ ]]
	[ -z "$(grep -v '^#' "$cron")" ]
	sed -i 's/^#\*/*/' "$cron"
	[ "$(grep -vc '^#' "$cron")" -eq 1 ]
	read -r _ _ _ _ _ user command < <(grep -v '^#' "$cron")
	[ "$user" = root ]
	[[ $command != *%* ]]
	run env -i /bin/sh -c "${command//\/usr\/sbin/$BATS_TEST_TMPDIR}"
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	printf '#!/bin/sh\necho "passed $*"\n' >"$BATS_TEST_TMPDIR/membalance"
	chmod 755 "$BATS_TEST_TMPDIR/membalance"
	run env -i /bin/sh -c "${command//\/usr\/sbin/$BATS_TEST_TMPDIR}"
	[ "$output" = "passed --once" ]
}

@test "systemd takes the units as they are installed" {
	command -v systemd-analyze >/dev/null || skip "no systemd-analyze here"
	laid_before
	# what the units refer to
	cp -rn /usr/lib/systemd/system/. "$root/usr/lib/systemd/system"
	install -D /bin/kill "$root/bin/kill"
	run systemd-analyze verify --man=no --root="$root" membalance.service membalance-once.timer membalance-once.service \
		memguard.service
	echo "$output"
	[ "$status" -eq 0 ]
	[ -z "$output" ]
}

@test "a unit that is still enabled is named by uninstall, with a command that disables it" {
	local unit
	command -v systemctl >/dev/null || skip "no systemctl here"
	laid_before
	for unit in membalance.service membalance-once.timer memguard.service; do
		systemctl -q --root="$root" enable $unit
	done
	mkdir -p "$root/etc/systemd/system/membalance.service.d"
	run lay uninstall
	[ "$status" -eq 0 ]
	[[ $output == *"'$root/etc/systemd/system/membalance.service.d' is kept"* ]]
	for unit in membalance.service membalance-once.timer memguard.service; do
		[[ $output == *"systemctl disable --now $unit"* ]]
		systemctl -q --root="$root" disable $unit
	done
	[ -z "$(find "$root/etc/systemd" -type l)" ]
	[[ $(lay uninstall) != *disable* ]]
}

@test "the level of _FORTIFY_SOURCE is the distribution's, if its flags set one" {
	local command level
	unset HARDEN
	for level in '' -D_FORTIFY_SOURCE=1; do
		for command in "CPPFLAGS=$level" "CFLAGS=-O2 $level"; do
			# as with a compiler that has each flag; the build tries them with the real one
			run make --no-print-directory -n -B V=1 lib/base/units.o CC=true "$command"
			[ "$status" -eq 0 ]
			[ "$(grep -o '_FORTIFY_SOURCE=.' <<<"$output")" = "_FORTIFY_SOURCE=$([ -z "$level" ] && echo 3 || echo 1)" ]
		done
	done
}
