#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

		if (n < 0 && errno == EAGAIN) /* who shares it has set O_NONBLOCK */
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

/* A file of this name can only be left over from an earlier process of this number. */
static int open_temporary(int at, const char *name)
{
	int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(at, name, flags, 0600);

	if (fd < 0 && errno == EEXIST && unlinkat(at, name, 0) == 0)
		fd = openat(at, name, flags, 0600);
	return fd < 0 ? -errno : fd;
}

/* The mode does not depend on the caller's umask. */
static int fill_file(int fd, const char *text, size_t length)
{
	int error = fd_write(fd, text, length);

	if (!error && fchmod(fd, 0644))
		error = -errno;
	if (close(fd) && !error)
		error = -errno;
	return error;
}

int file_write(int at, const char *path, const char *text, size_t length)
{
	const char *slash = strrchr(path, '/');
	int fd, error, dir = slash ? (int)(slash + 1 - path) : 0;
	char *temporary;

	if (asprintf(&temporary, "%.*s.%s.tmp.%d", dir, path, path + dir, (int)getpid()) < 0)
		return -ENOMEM;
	fd = open_temporary(at, temporary);
	error = fd < 0 ? fd : fill_file(fd, text, length);
	if (!error && renameat(at, temporary, at, path))
		error = -errno;
	if (error && fd >= 0)
		unlinkat(at, temporary, 0);
	free(temporary);
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
			m->failed = true; /* C libraries differ in how a stream is told */
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
