/* SPDX-License-Identifier: MIT */
/* A folder of a test's own below /tmp, as a root of the suite. */
#ifndef MEMSCHED_TESTS_FOLDER_H
#define MEMSCHED_TESTS_FOLDER_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define FOLDER_BYTES 40

/* NAME shows the test that left it behind. 0 or -1. */
static inline int folder_make(char path[static FOLDER_BYTES], const char *name)
{
	snprintf(path, FOLDER_BYTES, "/tmp/memsched-%s-XXXXXX", name);
	return mkdtemp(path) ? 0 : -1;
}

/* The same with run in it, where the registry goes. */
static inline int folder_make_root(char path[static FOLDER_BYTES], const char *name)
{
	char run[FOLDER_BYTES + 8];

	if (folder_make(path, name) < 0)
		return -1;
	snprintf(run, sizeof(run), "%s/run", path);
	return mkdir(run, 0755);
}

static inline int folder_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

/* With all that is in it. 0 or -1. */
static inline int folder_remove(const char *path)
{
	return nftw(path, folder_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
