/* Reading a file to its end, in one place: /proc hands out a page at a time, a pipe whatever is in it. */
#ifndef MEMSCHED_FILE_H
#define MEMSCHED_FILE_H

#include <errno.h>
#include <unistd.h>

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

#endif
