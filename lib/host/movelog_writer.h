/*
 * Writes the record of moves (movelog.h) in a thread of its own: a disk that hangs costs whoever has moves to record no
 * time, and what is hung is one thread at most.
 */
#ifndef MEMSCHED_HOST_MOVELOG_WRITER_H
#define MEMSCHED_HOST_MOVELOG_WRITER_H

#include "host/movelog.h"

#define MOVELOG_WRITER_PATIENCE_MS 10000 /* a write that takes longer hangs */

struct movelog_writer;

/* 0 or -ENOMEM. */
int movelog_writer_new(struct movelog_writer **ret_scribe);

/*
 * Takes over the moves that a keeps, and begins to write them to where, as movelog_write does; a has as much room as
 * before. 0 or -errno, and a is as it was; -EBUSY: the last write is still under way, or nobody asked what came of it.
 */
int movelog_writer_write(struct movelog_writer *s, struct movelog *a, const char *where, uint64_t now_ms);

/*
 * What came of the last write: once 0 or what movelog_write returned, with what is lost added to a; -ETIMEDOUT: it
 * hangs; -EINPROGRESS: nothing is known yet, or has been told.
 */
int movelog_writer_outcome(struct movelog_writer *s, struct movelog *a, uint64_t now_ms);

/* Writes the rest to where (may be NULL where a keeps nothing) and releases s, before deadline_ms: what hangs longer
 * (-ETIMEDOUT) keeps what it has. 0 or what movelog_write returned. */
int movelog_writer_end(struct movelog_writer *s, struct movelog *a, const char *where, uint64_t deadline_ms);

#endif
