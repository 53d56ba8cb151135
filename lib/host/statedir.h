/* SPDX-License-Identifier: MIT */
/*
 * The directory /run/memsched and its files; no other source opens them. Each access is relative to a descriptor of a
 * directory that was checked: root or this user owns it, others cannot write to it, and it is no symlink. A file must
 * be regular and owned by root or by this user. It is read whole up to a size, and written whole or not at all.
 * Functions return 0 or -errno; in a directory that is not there everything is -ENOENT.
 */
#ifndef MEMSCHED_HOST_STATEDIR_H
#define MEMSCHED_HOST_STATEDIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum statedir_place {
	STATEDIR_TOP,   /* run/memsched */
	STATEDIR_HOSTS, /* of all other hosts; the top for this one */
	STATEDIR_HOST,  /* of the guests of one libvirt; the top for this host's */
	STATEDIR_DOMAINS,
	STATEDIR_PENDING,
	STATEDIR_STATE,
	STATEDIR_PLACES
};

struct statedir {
	char *path;              /* of STATEDIR_TOP */
	char host[17];           /* the name below hosts; "": this host */
	int fd[STATEDIR_PLACES]; /* -1: not there */
};

/*
 * Opens root/run/memsched; create makes missing directories (0755), but never root/run. -ENOENT: it is not there and
 * create is false; -EPERM: another user owns it or can write to it; -ENOTDIR: a symlink or a file. The last three
 * places may be missing. On failure ret_dir needs no statedir_close.
 */
int statedir_open(const char *root, const char *host, bool create, struct statedir *ret_dir);
void statedir_close(struct statedir *d);

/* Whether the open directories are still those that others find by name. */
bool statedir_is_current(const struct statedir *d);
/* Opens it all anew, and creates missing directories. After a failure nothing is there, and this may be tried again. */
int statedir_reopen(struct statedir *d);

/* A descriptor of a file, made (0600) with O_CREAT. -EBADMSG: something else bears the name. */
int statedir_file(const struct statedir *d, enum statedir_place place, const char *name, int flags);
/* Whether fd is still the file of that name. */
bool statedir_is_file(const struct statedir *d, enum statedir_place place, const char *name, int fd);

/* Reads a text of less than size bytes and ends it. -EBADMSG: it is larger, has a NUL, or is no plain file. */
int statedir_read(const struct statedir *d, enum statedir_place place, const char *name, char *text, size_t size);
/* The same of the beginning of a file: it may be larger. */
int statedir_read_head(const struct statedir *d, enum statedir_place place, const char *name, char *text, size_t size);
int statedir_write(const struct statedir *d, enum statedir_place place, const char *name, const char *text,
                   size_t length);
/* Absent is fine. -EISDIR: it is a directory, which statedir_remove_dir removes if it is empty. */
int statedir_remove(const struct statedir *d, enum statedir_place place, const char *name);
int statedir_remove_dir(const struct statedir *d, enum statedir_place place, const char *name);
/* When it was written last. */
int statedir_mtime(const struct statedir *d, enum statedir_place place, const char *name, uint64_t *ret_mtime_s);

/* Calls see for each name there. -E2BIG: after some 16384 there were more. Allocates nothing: the guard counts the
 * pending starts before its first command. */
int statedir_walk(const struct statedir *d, enum statedir_place place, void (*see)(void *arg, const char *name),
                  void *arg);
/* A descriptor (inotify, does not block) that is readable when a file appears or disappears. */
int statedir_watch(const struct statedir *d, enum statedir_place place);

#endif
