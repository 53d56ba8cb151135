/* SPDX-License-Identifier: MIT */
/*
 * When a complaint is said: when it first appears, then hourly while it lasts, and when it is resolved; cli/say.h
 * prints it. The programs keep their complaints in memory; membalance keeps them in the registry too, as a single pass
 * has no memory of its own.
 */
#ifndef MEMSCHED_HOST_COMPLAINTS_H
#define MEMSCHED_HOST_COMPLAINTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/registry.h"

#define COMPLAINTS_MAX 256 /* further ones are said each time */

/* Zero: nothing was said yet. */
struct complaints {
	struct registry *registry; /* its file "said" has them too; NULL: memory alone */
	bool unwritten;            /* the file does not say the same */
	bool each_time;            /* each complaint is due each time */
	size_t n;
	struct complaint {
		uint64_t key;             /* hash */
		uint64_t since_s, said_s; /* when it appeared, and when it was said last */
		bool raised;              /* since complaints_end */
		char *text;
	} list[COMPLAINTS_MAX];
};

/* Goes on from the file of r (NULL: from nothing) and writes it from now on. 0, or -errno: it cannot be read. */
int complaints_load(struct complaints *c, struct registry *r);
void complaints_clear(struct complaints *c);

/* Whether the complaint key, with this text, is due: it is new or was said again_s ago. A clock that
 * was set back makes it due. */
#define COMPLAINTS_HOURLY_S 3600
bool complaints_raise(struct complaints *c, const char *key, const char *text, uint64_t now_s, uint64_t again_s);
/* Keeps key as it is: nothing is known about it at present. */
void complaints_keep(struct complaints *c, const char *key);
/* Likewise for all of them. */
void complaints_keep_all(struct complaints *c);
/* Forgets each complaint that did not come up again since the last call, and calls resolved for it. */
void complaints_end(struct complaints *c, uint64_t now_s,
                    void (*resolved)(const void *arg, const char *text, uint64_t lasted_s), const void *arg);

#endif
