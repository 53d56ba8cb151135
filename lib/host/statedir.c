/* SPDX-License-Identifier: MIT */
#include "host/statedir.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/io.h"

#define MAX_ENTRIES 16384
#define ENTRIES_BYTES 4096

/* ---- directories ---- */

static const char *name_of(const struct statedir *d, enum statedir_place place)
{
	static const char *const names[] = {[STATEDIR_HOSTS] = "hosts",
	                                    [STATEDIR_DOMAINS] = "domains",
	                                    [STATEDIR_PENDING] = "pending",
	                                    [STATEDIR_STATE] = "state"};

	if (place == STATEDIR_TOP)
		return d->path;
	if (place > STATEDIR_HOST)
		return names[place];
	return !*d->host ? "." : place == STATEDIR_HOSTS ? names[place] : d->host;
}

static int parent_of(const struct statedir *d, enum statedir_place place)
{
	return place == STATEDIR_TOP ? AT_FDCWD : d->fd[place <= STATEDIR_HOST ? place - 1 : STATEDIR_HOST];
}

static void close_places(struct statedir *d)
{
	for (enum statedir_place i = 0; i < STATEDIR_PLACES; i++)
		fd_close(&d->fd[i]);
}

static int open_places(struct statedir *d, bool create)
{
	for (enum statedir_place i = 0; i < STATEDIR_PLACES; i++) {
		int fd = dir_open(parent_of(d, i), name_of(d, i), create);

		if (fd < 0 && !(fd == -ENOENT && i > STATEDIR_HOST)) {
			close_places(d);
			return fd;
		}
		d->fd[i] = fd < 0 ? -1 : fd;
	}
	return 0;
}

int statedir_open(const char *root, const char *host, bool create, struct statedir *ret_dir)
{
	struct statedir d = {.fd = {-1, -1, -1, -1, -1, -1}};
	int error;

	snprintf(d.host, sizeof(d.host), "%s", host);
	if (asprintf(&d.path, "%s/run/memsched", root) < 0)
		return -ENOMEM;
	error = open_places(&d, create);
	if (error)
		free(d.path);
	else
		*ret_dir = d;
	return error;
}

void statedir_close(struct statedir *d)
{
	close_places(d);
	free(d->path);
	d->path = NULL;
}

bool statedir_is_current(const struct statedir *d)
{
	for (enum statedir_place i = 0; i < STATEDIR_PLACES; i++)
		if (!file_is_same(d->fd[i], parent_of(d, i), name_of(d, i)))
			return false;
	return true;
}

int statedir_reopen(struct statedir *d)
{
	close_places(d);
	return open_places(d, true);
}

/* ---- files ---- */

int statedir_file(const struct statedir *d, enum statedir_place place, const char *name, int flags)
{
	return d->fd[place] < 0 ? -ENOENT : file_open(d->fd[place], name, flags);
}

bool statedir_is_file(const struct statedir *d, enum statedir_place place, const char *name, int fd)
{
	return file_is_same(fd, d->fd[place], name);
}

/* Returns how many bytes were read, the end not counted: size if there are more than the text has room for. */
static ssize_t read_text(const struct statedir *d, enum statedir_place place, const char *name, char *text, size_t size)
{
	int fd = statedir_file(d, place, name, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = file_read(fd, text, size);
	close(fd);
	if (n < 0)
		return n;
	if (memchr(text, '\0', (size_t)n))
		return -EBADMSG;
	text[n < (ssize_t)size ? n : n - 1] = '\0';
	return n;
}

int statedir_read(const struct statedir *d, enum statedir_place place, const char *name, char *text, size_t size)
{
	ssize_t n = read_text(d, place, name, text, size);

	return n < 0 ? (int)n : n == (ssize_t)size ? -EBADMSG : 0;
}

int statedir_read_head(const struct statedir *d, enum statedir_place place, const char *name, char *text, size_t size)
{
	ssize_t n = read_text(d, place, name, text, size);

	return n < 0 ? (int)n : 0;
}

int statedir_write(const struct statedir *d, enum statedir_place place, const char *name, const char *text,
                   size_t length)
{
	return d->fd[place] < 0 ? -ENOENT : file_write(d->fd[place], name, text, length);
}

int statedir_remove(const struct statedir *d, enum statedir_place place, const char *name)
{
	return d->fd[place] < 0 || unlinkat(d->fd[place], name, 0) == 0 || errno == ENOENT ? 0 : -errno;
}

int statedir_remove_dir(const struct statedir *d, enum statedir_place place, const char *name)
{
	return unlinkat(d->fd[place], name, AT_REMOVEDIR) == 0 ? 0 : -errno;
}

int statedir_mtime(const struct statedir *d, enum statedir_place place, const char *name, uint64_t *ret_mtime_s)
{
	struct stat st;

	if (d->fd[place] < 0 || fstatat(d->fd[place], name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return d->fd[place] < 0 ? -ENOENT : -errno;
	*ret_mtime_s = (uint64_t)st.st_mtime;
	return 0;
}

/* ---- listing ---- */

static_assert(sizeof((struct dirent){0}.d_ino) == 8, "struct dirent as the kernel writes it: -D_FILE_OFFSET_BITS=64");

/* opendir would allocate. */
int statedir_walk(const struct statedir *d, enum statedir_place place, void (*see)(void *arg, const char *name),
                  void *arg)
{
	int fd = d->fd[place] < 0 ? -1 : openat(d->fd[place], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), error;
	_Alignas(struct dirent) char entries[ENTRIES_BYTES];
	size_t seen = 0;
	ssize_t n = 0;

	if (fd < 0)
		return d->fd[place] < 0 ? -ENOENT : -errno;
	while (seen < MAX_ENTRIES && (n = syscall(SYS_getdents64, fd, entries, sizeof(entries))) > 0)
		for (ssize_t at = 0; at < n; seen++) {
			const struct dirent *entry = (const void *)(entries + at);

			if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
				see(arg, entry->d_name);
			at += entry->d_reclen;
		}
	error = n < 0 ? -errno : n > 0 ? -E2BIG : 0;
	close(fd);
	return error;
}

int statedir_watch(const struct statedir *d, enum statedir_place place)
{
	char path[sizeof("/proc/self/fd/") + 11];
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), error;

	if (fd < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", d->fd[place]);
	if (inotify_add_watch(fd, path, IN_MOVED_TO | IN_DELETE | IN_ONLYDIR) >= 0)
		return fd;
	error = -errno;
	close(fd);
	return error;
}
