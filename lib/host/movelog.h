/* SPDX-License-Identifier: MIT */
/*
 * The record of moves: which program asked a guest to go from which size to which, when, why, and the size reached. It
 * goes to the journal with fields, to syslog as a line, or to a file as a line of JSON. A move is added when it was
 * asked for, and written once it is known how far the guest came, or that this will stay unknown.
 *
 * Writing never blocks but for MOVELOG_WAIT_MS on a socket that is full, and on a disk that hangs: movelog_start has
 * another thread do it. Nothing is kept open, so that a rotated file, or a journal that was started anew, is found
 * again with the next move.
 */
#ifndef MEMSCHED_HOST_MOVELOG_H
#define MEMSCHED_HOST_MOVELOG_H

#include <stdio.h>

#include "plan/guest.h"

#define MOVELOG_NAME 512          /* bytes of a name that are kept: a line stays below PIPE_BUF */
#define MOVELOG_WAIT_MS 100       /* the longest wait of one movelog_write, however many moves it writes */
#define MOVELOG_PATIENCE_MS 10000 /* a write by a task that takes longer hangs */

struct movelog_move {
	char name[MOVELOG_NAME + 1]; /* hostile */
	char uuid[UUID_TEXT];
	uint64_t wall_ms;  /* when it was asked for */
	uint64_t asked_ms; /* the same by CLOCK_BOOTTIME */
	uint64_t from_kib, asked_kib;
	bool has_reached;
	uint64_t reached_kib;
	enum reason reason;
	bool recorded; /* the history has it */
};

/* {.program, .root} has no moves. */
struct movelog {
	const char *program;       /* the program that asks: "membalance" */
	const char *root;          /* of /run and /dev, where the sockets are */
	struct movelog_move *move; /* not written yet; owned, movelog_clear */
	size_t n, room;
	size_t most;                 /* so many are kept; 0: as many as there is memory for */
	size_t lost;                 /* moves that could not be kept or written, since all could */
	bool unkept;                 /* one could not be kept, since movelog_write */
	struct task *writing;        /* under way, or its result was not asked; NULL: none */
	struct movelog_batch *batch; /* the moves that it writes, or wrote */
	uint64_t began_ms;           /* CLOCK_BOOTTIME */
};

/* Makes room for n moves, so that adding them allocates nothing. 0 or -ENOMEM. */
int movelog_reserve(struct movelog *a, size_t n);
/* Keeps a move; it counts as lost without memory, or beyond most. */
void movelog_add(struct movelog *a, const struct movelog_move *move);
/* Notes how far the guest had come at seen_ms (CLOCK_BOOTTIME), for its moves that are kept and were asked for before.
 */
void movelog_reached(struct movelog *a, const char *uuid, uint64_t actual_kib, uint64_t seen_ms);
/*
 * Writes the moves and forgets them, written or not. where: "journal" (if there is none: syslog), "syslog",
 * or the path of a file: made with 0640, never through a symlink. Returns 0 or the first -errno; -EMEDIUMTYPE,
 * -EPERM: as file_check_target and dir_open_of; -EAGAIN: no process reads the socket; -ENOBUFS: moves could not be
 * kept.
 */
int movelog_write(struct movelog *a, const char *where);

/*
 * Begins the same in a task, so that a disk that hangs costs the caller no time, and one thread at most. a keeps as
 * much room as before. 0 or -errno, and a is as it was; -EBUSY: the last write is still under way, or what came of it
 * was not asked.
 */
int movelog_start(struct movelog *a, const char *where, uint64_t now_ms);
/*
 * The result of the last movelog_start: once 0 or as movelog_write, with the loss added to a; -ETIMEDOUT: it hangs;
 * -EINPROGRESS: not known yet, or returned before.
 */
int movelog_outcome(struct movelog *a, uint64_t now_ms);
/* Writes the rest to where (may be NULL if a keeps nothing) by tasks, and clears a, before deadline_ms. 0, what
 * movelog_write returned, or -ETIMEDOUT: it hangs, and is abandoned. */
int movelog_end(struct movelog *a, const char *where, uint64_t deadline_ms);

/* Frees the moves that are kept. */
void movelog_clear(struct movelog *a);

/* The message for an error of movelog_write. Safe to print. Returns buffer. */
char *movelog_complaint(char *buffer, size_t size, const struct movelog *a, const char *where, int error);

/* A move as a line of JSON: memsched.move/1. */
void movelog_json(FILE *out, const char *program, const struct movelog_move *move);
/* A datagram of the journal's native protocol. */
void movelog_fields(FILE *out, const char *program, const struct movelog_move *move);
/* A datagram as syslog(3) would send it, in ASCII, with the time of the move. */
void movelog_syslog(FILE *out, const char *program, const struct movelog_move *move);

#endif
