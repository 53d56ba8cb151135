/* SPDX-License-Identifier: MIT */
#include "host/setup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

#define FILE_BYTES 8192

static int stat_below(const char *root, const char *path, struct stat *ret_st)
{
	char full[PATH_MAX];

	if ((size_t)snprintf(full, sizeof(full), "%s%s", root, path) >= sizeof(full))
		return -ENAMETOOLONG;
	return stat(full, ret_st) ? -errno : 0;
}

/* The beginning of a file as a text; "" if it cannot be read. */
static void read_below(const char *root, const char *path, char text[static FILE_BYTES])
{
	char full[PATH_MAX];
	ssize_t n = -1;
	int fd = -1;

	if ((size_t)snprintf(full, sizeof(full), "%s%s", root, path) < sizeof(full))
		fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd >= 0)
		n = file_read(fd, text, FILE_BYTES - 1);
	fd_close(&fd);
	text[n > 0 ? n : 0] = '\0';
}

/* ---- the hook ---- */

/* Its usual places, as in hooks/install. */
static void find_hook(const char *root, struct setup *s)
{
	static const char *const places[] = {"/etc/libvirt/hooks/qemu.d/memsched",
	                                     "/etc/libvirt/hooks/qemu.d/90-memsched", "/etc/libvirt/hooks/qemu"};
	char text[FILE_BYTES], helper[128];
	struct stat st;

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		const char *line;

		read_below(root, places[i], text);
		line = strstr(text, "helper=");
		if (!line || sscanf(line, "helper=%127s", helper) != 1 || !strstr(helper, "memsched-hook") ||
		    stat_below(root, places[i], &st))
			continue;
		snprintf(s->hook, sizeof(s->hook), "%s", places[i]);
		s->hook_runs = st.st_mode & 0111;
		s->hook_changed_s = (uint64_t)st.st_ctime;
		s->has_helper = stat_below(root, helper, &st) == 0 && S_ISREG(st.st_mode) && st.st_mode & 0111;
		return;
	}
}

/* A daemon writes its pid file when it starts, and looks for hooks only then, or when it is reloaded. */
static void find_daemon(const char *root, struct setup *s)
{
	static const char *const files[] = {"/run/libvirtd.pid", "/run/virtqemud.pid"};
	struct stat st;

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		if (stat_below(root, files[i], &st) == 0 && (uint64_t)st.st_mtime > s->daemon_began_s)
			s->daemon_began_s = (uint64_t)st.st_mtime;
}

/* ---- units and cron ---- */

/* Also a link to a unit that is not there: systemd complains of it, and an upgrade may bring it. */
static bool is_wanted(const char *root, const char *target, const char *unit)
{
	char full[PATH_MAX];
	struct stat st;

	snprintf(full, sizeof(full), "%s/etc/systemd/system/%s.target.wants/%s", root, target, unit);
	return lstat(full, &st) == 0;
}

/* A line that names the command and is no comment. */
static bool has_cron_line(const char *root)
{
	char text[FILE_BYTES], *rest = text, *line;

	read_below(root, "/etc/cron.d/memsched", text);
	while ((line = strsep(&rest, "\n")))
		if (line[strspn(line, " \t")] != '#' && strstr(line, "membalance"))
			return true;
	return false;
}

/* ---- khugepaged ---- */

#define HUGE_PAGES "/sys/kernel/mm/transparent_hugepage/"

/* A limit of 1 is enough: then one page of a huge page may be a page that a balloon gave back. */
static bool khugepaged_fills_up(const char *root)
{
	char enabled[FILE_BYTES], most[FILE_BYTES];

	read_below(root, HUGE_PAGES "enabled", enabled);
	read_below(root, HUGE_PAGES "khugepaged/max_ptes_none", most);
	return !strstr(enabled, "[never]") && *most >= '1' && *most <= '9';
}

/* ---- files named in the configuration ---- */

/* The first word of the command. */
static int check_command(const char *command)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%.*s", (int)strcspn(command, " \t"), command);
	if (stat(path, &st))
		return -errno;
	return S_ISREG(st.st_mode) && st.st_mode & 0111 ? 0 : -EACCES;
}

/* A file that is written in place must be writable, one that is replaced needs its directory. */
static int check_writable(const char *path, bool in_place)
{
	const char *name;
	int dir = dir_open_of(path, &name), error = dir < 0 ? dir : 0;
	struct stat st;
	bool there = !error && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;

	if (there)
		error = file_check_target(&st);
	if (!error &&
	    faccessat(dir, there && in_place ? name : ".", there && in_place ? W_OK : W_OK | X_OK, AT_EACCESS))
		error = -errno;
	fd_close(&dir);
	return error;
}

void setup_read(const char *root, const struct conf *conf, struct setup *ret_setup)
{
	struct setup s = {
	    .is_root = geteuid() == 0,
	    .cron = has_cron_line(root),
	    .timer = is_wanted(root, "timers", "membalance-once.timer"),
	    .loop = is_wanted(root, "multi-user", "membalance.service"),
	    .guard = is_wanted(root, "multi-user", "memguard.service"),
	    .fills_up = khugepaged_fills_up(root),
	    .on_critical = conf->on_critical ? check_command(conf->on_critical) : 0,
	    .log = conf->log && *conf->log == '/' ? check_writable(conf->log, true) : 0,
	    .textfile = conf->textfile ? check_writable(conf->textfile, false) : 0,
	};
	char swaps[FILE_BYTES];

	find_hook(root, &s);
	find_daemon(root, &s);
	read_below(root, "/proc/swaps", swaps);
	s.zram = strstr(swaps, "/dev/zram") != NULL;
	*ret_setup = s;
}
