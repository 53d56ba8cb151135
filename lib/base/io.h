/* SPDX-License-Identifier: MIT */
/*
 * Files read to their end and written whole, a stream in memory, and the names of files of guests: UUIDs, as libvirt
 * writes them.
 */
#ifndef MEMSCHED_BASE_IO_H
#define MEMSCHED_BASE_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

/* Closes open descriptors; -1 stays. */
void fd_close(int *fd);

/*
 * Opens /dev/null on each closed descriptor of 0 to 2. Otherwise a file or socket opened later gets that number, and
 * receives the output. /dev/null is opened in the wrong direction, so that each use of it still fails. 0 or -errno.
 */
int fd_fill_standard(void);

/* Writes all of it. 0 or -errno. */
int fd_write(int fd, const char *text, size_t length);

/* Up to size bytes, so a file of size bytes may be longer; their number, or -errno. */
ssize_t file_read(int fd, char *bytes, size_t size);

/*
 * Makes text the content of the file of that name in the directory at, mode 0644, whole or not at all: it is written
 * beside it as .NAME.tmp.PID.NUMBER and renamed. No two writers have the same temporary, also if they have the same
 * number in two containers. Not synced: after a crash of the host it is written anew. 0 or -errno.
 */
int file_write(int at, const char *name, const char *text, size_t length);

struct stat;

/* Whether root or this user owns it. */
bool file_is_ours(const struct stat *st);
/* Whether also no one else may write to it. Root of a program that obeys a file must be able to trust it. */
bool file_is_safe(const struct stat *st);

/*
 * Whether a file that is there may be written to or replaced: 0; -EMEDIUMTYPE: it is no plain file; -EPERM: another
 * user owns it, or it has a second name, which another user may have made of a file of ours; -EBUSY: it has been
 * replaced since it was opened.
 */
int file_check_target(const struct stat *st);
/* Opens a file for writing that is so, or makes it. Never waits; follows no link. A descriptor, or -errno. */
int file_open_target(int at, const char *name, int flags, mode_t mode);
/* Whether fd is the file of that name. */
bool file_is_same(int fd, int at, const char *name);
/* The meaning of -errno for a file, in words. */
const char *file_words(int error);

/*
 * Opens a directory by its name in the directory at, and makes it (0755) if create. -EPERM: another user owns it or can
 * write to it; -ENOTDIR: a symlink or a file; else -errno.
 */
int dir_open(int at, const char *name, bool create);
/* Opens a plain file of ours there, made (0600) with O_CREAT. -EBADMSG: something else bears the name; else -errno. */
int file_open(int at, const char *name, int flags);

/*
 * Opens (O_PATH) the directory that path is in; ret_name is the rest of path. Of a symbolic link on the way that
 * another user may have put there, also behind a link of ours: -EPERM, as it may lead anywhere. So one may write by
 * name below the result, in a directory of another user too. Else -errno.
 */
int dir_open_of(const char *path, const char **ret_name);
/*
 * Opens a plain file for reading that no other user can change. Links of ours are followed. -EPERM: it, its directory,
 * or a directory on the way to a link's target is not safe; -EMEDIUMTYPE: no plain file. Never waits.
 */
int file_open_safe(const char *path);

/*
 * file_write in a directory of others, where left-over temporaries would stay: the temporary is .NAME.tmp, and the next
 * writer takes over that of a writer that died. Both files must pass file_check_target, and the way dir_open_of.
 * -EBUSY: another process has written it for longer than 100 ms.
 */
int file_publish(const char *path, const char *text, size_t length);

/*
 * A stream whose text stays in memory. open_memstream does not report a lack of memory: glibc drops the text, and
 * neither ferror nor fclose shows it.
 */
struct memfile {
	FILE *out;
	char *text; /* ended by a NUL; to be freed, also after a failure */
	size_t length, room;
	bool failed;
};

/* NULL without memory; then there is nothing to close. */
FILE *memfile_open(struct memfile *m);
/* 0, or -ENOMEM: not all of the text is there. */
int memfile_close(struct memfile *m);

#define UUID_TEXT 37 /* 36 characters and the end */

/* Whether text is a UUID and nothing else; ret_uuid (may be text itself) gets it in lower case, else stays. */
bool uuid_parse(const char *text, char ret_uuid[UUID_TEXT]);

#endif
