/* SPDX-License-Identifier: MIT */
/* What targets that read files share: a root of their own in memory, and a check that holds. */
#ifndef FUZZ_ROOT_H
#define FUZZ_ROOT_H

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char root[] = "/dev/shm/memsched-fuzz-XXXXXX";

static inline void check(bool holds)
{
	if (!holds)
		abort();
}

static inline void remove_root(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", root);
	check(system(command) == 0);
}

/* With these directories below it; to be called once. */
static inline void make_root(const char *directories)
{
	char command[PATH_MAX];

	check(mkdtemp(root) != NULL);
	atexit(remove_root);
	snprintf(command, sizeof(command), "cd %s && mkdir -p %s", root, directories);
	check(system(command) == 0);
}

static inline void put(const char *name, const uint8_t *data, size_t size)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	check(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	close(fd);
}

#endif
