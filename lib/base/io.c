/* SPDX-License-Identifier: MIT */
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PUBLISH_TRIES 20
#define PUBLISH_PAUSE_NS 5000000 /* a writer needs less than a millisecond */
#define LINKS_MOST 40            /* as path_resolution(7) */

void fd_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

int fd_fill_standard(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0)
			return -errno;
	return 0;
}

int fd_write(int fd, const char *text, size_t length)
{
	while (length) {
		ssize_t n = write(fd, text, length);

		if (n < 0 && errno == EAGAIN) /* another process that shares it has set O_NONBLOCK */
			poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
		else if (n < 0 && errno != EINTR)
			return -errno;
		text += n > 0 ? n : 0;
		length -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

ssize_t file_read(int fd, char *bytes, size_t size)
{
	size_t length = 0;
	ssize_t n;

	do {
		n = read(fd, bytes + length, size - length);
		if (n < 0 && errno != EINTR)
			return -errno;
		length += n > 0 ? (size_t)n : 0;
	} while (n != 0);
	return (ssize_t)length;
}

/* The mode does not depend on the caller's umask. Some file systems report errors only at close: close of a duplicate
 * shows them. */
static int fill_file(int fd, const char *text, size_t length)
{
	int error = fd_write(fd, text, length), copy = -1;

	if (!error && (fchmod(fd, 0644) || (copy = dup(fd)) < 0 || close(copy)))
		error = -errno;
	return error;
}

static int replace_file(int at, int fd, const char *temporary, const char *name, const char *text, size_t length)
{
	int error = fill_file(fd, text, length);

	if (!error && renameat(at, temporary, at, name))
		error = -errno;
	if (error)
		unlinkat(at, temporary, 0);
	close(fd);
	return error;
}

int file_write(int at, const char *name, const char *text, size_t length)
{
	struct timespec now;
	char *temporary;
	int fd, error;

	clock_gettime(CLOCK_REALTIME, &now);
	if (asprintf(&temporary, ".%s.tmp.%d.%09ld", name, (int)getpid(), now.tv_nsec) < 0)
		return -ENOMEM;
	fd = openat(at, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	error = fd < 0 ? -errno : replace_file(at, fd, temporary, name, text, length);
	free(temporary);
	return error;
}

/* ---- files that other users can change ---- */

bool file_is_ours(const struct stat *st)
{
	return st->st_uid == 0 || st->st_uid == geteuid();
}

bool file_is_safe(const struct stat *st)
{
	return file_is_ours(st) && !(st->st_mode & (S_IWGRP | S_IWOTH));
}

int file_check_target(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return -EMEDIUMTYPE;
	if (st->st_nlink == 0)
		return -EBUSY;
	return file_is_ours(st) && st->st_nlink == 1 ? 0 : -EPERM;
}

const char *file_words(int error)
{
	switch (error) {
	case -EMEDIUMTYPE:
		return "not a plain file";
	case -EPERM:
		return "another user owns it, or a link to it";
	case -EBUSY:
		return "another process writes it";
	default:
		return strerror(-error);
	}
}

/* The mode does not depend on the caller's umask. */
int dir_open(int at, const char *name, bool create)
{
	bool made = create && mkdirat(at, name, 0755) == 0;
	int r = create && !made && errno != EEXIST ? -errno : 0;
	int fd = r < 0 ? r : openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (r < 0)
		return r;
	if (fd < 0)
		return -errno;
	if ((made && fchmod(fd, 0755) < 0) || fstat(fd, &st) < 0)
		r = -errno;
	else if (!file_is_safe(&st))
		r = -EPERM;
	if (r < 0)
		close(fd);
	return r < 0 ? r : fd;
}

int file_open(int at, const char *name, int flags)
{
	int fd = openat(at, name, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	struct stat st;

	if (fd < 0)
		return errno == ELOOP || errno == ENXIO || errno == EISDIR ? -EBADMSG : -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || !file_is_ours(&st)) {
		close(fd);
		return -EBADMSG;
	}
	return fd;
}

bool file_is_same(int fd, int at, const char *name)
{
	struct stat open, now;

	return fd >= 0 && fstat(fd, &open) == 0 && fstatat(at, name, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
	       open.st_dev == now.st_dev && open.st_ino == now.st_ino;
}

int file_open_target(int at, const char *name, int flags, mode_t mode)
{
	int fd = openat(at, name, flags | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, mode), error;
	struct stat st;

	if (fd < 0)
		return errno == ENXIO || errno == EISDIR || errno == ELOOP ? -EMEDIUMTYPE : -errno;
	error = fstat(fd, &st) ? -errno : file_check_target(&st);
	if (!error)
		return fd;
	close(fd);
	return error;
}

/* ---- ways through links ---- */

/* Links are followed here and not by the kernel, which would follow those of other users too. */
struct way {
	unsigned links;
	bool safe; /* behind a link, each directory must be one in which another user can put nothing */
};

/* Of a sticky directory each entry is its owner's. */
static bool dir_is_safe(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (file_is_safe(&st) || (file_is_ours(&st) && st.st_mode & S_ISVTX));
}

static int read_link(struct way *w, int at, const char *name, char target[static PATH_MAX])
{
	struct stat st;
	ssize_t n;

	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW))
		return -errno;
	if (!file_is_ours(&st) || !dir_is_safe(at))
		return -EPERM;
	if (++w->links > LINKS_MOST)
		return -ELOOP;
	n = readlinkat(at, name, target, PATH_MAX);
	if (n < 0 || n == PATH_MAX)
		return n < 0 ? -errno : -ENAMETOOLONG;
	target[n] = '\0';
	return 0;
}

static int open_way(struct way *w, int at, const char *path, const char *end);

static int open_step(struct way *w, int at, const char *name)
{
	char target[PATH_MAX];
	struct stat st;
	int fd, error;

	if (w->safe && w->links && !dir_is_safe(at))
		return -EPERM;
	fd = openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	error = errno;
	if (fd >= 0)
		return fd;
	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISLNK(st.st_mode))
		return -error;
	error = read_link(w, at, name, target);
	return error ? error : open_way(w, at, target, target + strlen(target));
}

/* Opens the directory that path is up to end. */
static int open_way(struct way *w, int at, const char *path, const char *end)
{
	int fd = openat(at, *path == '/' ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC), next;
	char step[NAME_MAX + 1];
	size_t n;

	if (fd < 0)
		return -errno;
	for (path += strspn(path, "/"); fd >= 0 && path < end; path += strspn(path, "/")) {
		n = strcspn(path, "/");
		snprintf(step, sizeof(step), "%.*s", (int)n, path);
		next = n > NAME_MAX ? -ENAMETOOLONG : open_step(w, fd, step);
		close(fd);
		fd = next;
		path += n;
	}
	return fd;
}

static const char *last_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

int dir_open_of(const char *path, const char **ret_name)
{
	*ret_name = last_name(path);
	return open_way(&(struct way){.links = 0}, AT_FDCWD, path, *ret_name);
}

static int open_safe(struct way *w, int at, const char *path)
{
	const char *name = last_name(path);
	int dir = open_way(w, at, path, name), fd = -EPERM;
	char target[PATH_MAX];

	if (dir < 0)
		return dir;
	if (dir_is_safe(dir)) {
		fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		fd = fd < 0 ? -errno : fd;
	}
	if (fd == -ELOOP)
		fd = read_link(w, dir, name, target);
	if (!fd)
		fd = open_safe(w, dir, target);
	close(dir);
	return fd;
}

int file_open_safe(const char *path)
{
	int fd = open_safe(&(struct way){.safe = true}, AT_FDCWD, path), error;
	struct stat st;

	if (fd < 0)
		return fd;
	error = fstat(fd, &st) ? -errno : !S_ISREG(st.st_mode) ? -EMEDIUMTYPE : file_is_safe(&st) ? 0 : -EPERM;
	if (!error)
		return fd;
	close(fd);
	return error;
}

/* ---- files in directories of other users ---- */

/* -EBUSY: another writer has it, or has just renamed it. */
static int take_temporary(int at, const char *temporary)
{
	int fd = file_open_target(at, temporary, O_WRONLY, 0600);

	if (fd < 0 || (flock(fd, LOCK_EX | LOCK_NB) == 0 && file_is_same(fd, at, temporary) && ftruncate(fd, 0) == 0))
		return fd;
	close(fd);
	return -EBUSY;
}

static int publish_at(int at, const char *name, const char *text, size_t length)
{
	int fd, error, tries = PUBLISH_TRIES;
	char *temporary;

	if (asprintf(&temporary, ".%s.tmp", name) < 0)
		return -ENOMEM;
	while ((fd = take_temporary(at, temporary)) == -EBUSY && --tries)
		nanosleep(&(struct timespec){.tv_nsec = PUBLISH_PAUSE_NS}, NULL);
	error = fd < 0 ? fd : replace_file(at, fd, temporary, name, text, length);
	free(temporary);
	return error;
}

/* Lest `--prometheus=/dev/stdout` puts a file in its place, or root replaces one of another user. */
static int check_published(int at, const char *name)
{
	struct stat st;

	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : -errno;
	return file_check_target(&st);
}

int file_publish(const char *path, const char *text, size_t length)
{
	const char *name;
	int dir = dir_open_of(path, &name);
	int error = dir < 0 ? dir : *name ? check_published(dir, name) : -EMEDIUMTYPE;

	if (!error)
		error = publish_at(dir, name, text, length);
	fd_close(&dir);
	return error;
}

/* ---- a stream in memory ---- */

#define ROOM_AT_FIRST 4096

static ssize_t collect_bytes(void *arg, const char *bytes, size_t n)
{
	struct memfile *m = arg;

	if (m->length + n >= m->room) {
		size_t room = 2 * (m->length + n + 1);
		char *text = realloc(m->text, room);

		if (!text) {
			m->failed = true; /* C libraries report this to a stream in different ways */
			return (ssize_t)n;
		}
		m->text = text;
		m->room = room;
	}
	memcpy(m->text + m->length, bytes, n);
	m->length += n;
	m->text[m->length] = '\0';
	return (ssize_t)n;
}

FILE *memfile_open(struct memfile *m)
{
	*m = (struct memfile){.text = calloc(1, ROOM_AT_FIRST), .room = ROOM_AT_FIRST};
	m->out = m->text ? fopencookie(m, "w", (cookie_io_functions_t){.write = collect_bytes}) : NULL;
	return m->out;
}

int memfile_close(struct memfile *m)
{
	m->failed |= fclose(m->out) != 0;
	m->out = NULL;
	return m->failed ? -ENOMEM : 0;
}

/* ---- names of files ---- */

bool uuid_parse(const char *text, char ret_uuid[UUID_TEXT])
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	char uuid[UUID_TEXT] = "";

	for (size_t i = 0; i < UUID_TEXT; i++) {
		char c = text[i] >= 'A' && text[i] <= 'F' ? (char)(text[i] + 'a' - 'A') : text[i];
		bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');

		if (form[i] == 'x' ? !hex : c != form[i])
			return false;
		uuid[i] = c;
	}
	memcpy(ret_uuid, uuid, sizeof(uuid));
	return true;
}
