/* SPDX-License-Identifier: MIT */
/*
 * The files of /var/lib/memsched/history: what passes saw of a guest, by its UUID, and of the host. Each has three
 * rings of buckets, for minutes, quarters of an hour and days, and one of the last moves. Its size never changes.
 *
 * A bucket or move has a place of its own with a checksum, within a page of the disk. A write that is cut short, or
 * any other damage to a place, loses that place alone. Only minutes are written as they
 * come: a quarter is folded from its minutes when the next one begins, and a day from its quarters; what is missing is
 * made up for as long as its parts are there. The place follows from the time, so that a clock that was set back
 * replaces only what has the same place. A file of another version is set aside, as UUID.void.
 *
 * Functions return 0 or -errno.
 */
#ifndef MEMSCHED_HOST_HISTORY_H
#define MEMSCHED_HOST_HISTORY_H

#include "plan/bucket.h"
#include "plan/guest.h"

#define HISTORY_MOVES 500
#define HISTORY_NAME 1024   /* bytes of a name that are kept */
#define HISTORY_HOST "host" /* the name of the host's file */
#define HISTORY_GONE_S (UINT64_C(31) * 86400)

struct history_move {
	uint64_t wall_ms; /* when it was asked for */
	uint64_t from_kib, asked_kib;
	bool has_reached;
	uint64_t reached_kib;
	enum reason reason;
	bool by_guard; /* else a pass told it */
};

/*
 * A descriptor of the folder for the guests of a libvirt URI: var/lib/memsched/history below root, and hosts and
 * uri_folder in it. create makes what is missing. Else as dir_open.
 */
int history_dir(const char *root, const char *uri, bool create);

/*
 * A descriptor of the file of a guest: uuid, or HISTORY_HOST. history_open is for reading: -ENOENT none; -EBADMSG: it
 * is damaged, of another version, or no file of ours. history_open_to_write makes it where there is none, and keeps the
 * name (hostile).
 */
int history_open(int dir, const char *uuid);
int history_open_to_write(int dir, const char *uuid, const char *name);

/*
 * Keeps other writers of the folder away until the descriptor is closed, or the process ends: membalance and memguard
 * write the same files. Readers need no lock. -ETIMEDOUT: another writer holds it until deadline_ms (CLOCK_BOOTTIME).
 */
int history_lock(int dir, uint64_t deadline_ms);

/* Counts a bucket of a minute, and finishes what ended before. *ret_begins (may be NULL): a quarter began. */
int history_write(int fd, const struct bucket *minute, bool *ret_begins);
int history_write_moves(int fd, const struct history_move *move, size_t n);

/* The UUIDs of guests that have a file there, in no order; to be freed. */
int history_list(int dir, char (**ret_uuid)[UUID_TEXT], size_t *ret_n);

/* The n buckets of a level from number first on. What was not seen, or is damaged, has the number 0. */
int history_read(int fd, enum bucket_level level, uint32_t first, uint32_t n, struct bucket *ret_bucket);
/* The moves, the oldest first. */
int history_read_moves(int fd, struct history_move ret_move[HISTORY_MOVES], size_t *ret_n);
/* "": it is damaged, or there is none. */
int history_read_name(int fd, char ret_name[HISTORY_NAME + 1]);

/*
 * Removes files of guests that nothing was written to for HISTORY_GONE_S. A clock that runs ahead for a while must not
 * remove them: the host, whose file is fd, must have been recorded on seven days since.
 */
void history_prune(int dir, int fd, uint64_t now_s);

#endif
