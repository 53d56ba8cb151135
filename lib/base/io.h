/*
 * Reading files to their end, and the names that files of guests bear: UUIDs, as libvirt writes them.
 */
#ifndef MEMSCHED_BASE_IO_H
#define MEMSCHED_BASE_IO_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

#define UUID_TEXT 37 /* 36 characters and the end */

/* Up to size bytes, so what fills them may be longer; their number, or -errno. */
static inline ssize_t file_read(int fd, char *bytes, size_t size)
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

/* Closes what is open; -1 stays. */
static inline void fd_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Whether text is a UUID and nothing else; ret_uuid (may be text itself) gets it in lower case, else stays. */
static inline bool uuid_parse(const char *text, char ret_uuid[UUID_TEXT])
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
	for (size_t i = 0; i < UUID_TEXT; i++)
		ret_uuid[i] = uuid[i];
	return true;
}

#endif
