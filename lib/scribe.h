/*
 * Writes the record of moves (audit.h) in a thread of its own: a disk that hangs costs whoever has moves to record no
 * time, and what is hung is one thread at most.
 */
#ifndef MEMSCHED_SCRIBE_H
#define MEMSCHED_SCRIBE_H

#include "audit.h"

#define SCRIBE_PATIENCE_MS 10000 /* a write that takes longer hangs */

struct scribe;

/* 0 or -ENOMEM. */
int scribe_new(struct scribe **ret_scribe);

/*
 * Takes over the moves that a keeps, and begins to write them to where, as audit_write does; a has as much room as
 * before. 0 or -errno, and a is as it was; -EBUSY: the last write is still under way, or nobody asked what came of it.
 */
int scribe_write(struct scribe *s, struct audit *a, const char *where, uint64_t now_ms);

/*
 * What came of the last write: once 0 or what audit_write returned, with what is lost added to a; -ETIMEDOUT: it hangs;
 * -EINPROGRESS: nothing is known yet, or has been told.
 */
int scribe_outcome(struct scribe *s, struct audit *a, uint64_t now_ms);

/* Writes the rest to where (may be NULL where a keeps nothing) and releases s, before deadline_ms: what hangs longer
 * (-ETIMEDOUT) keeps what it has. 0 or what audit_write returned. */
int scribe_end(struct scribe *s, struct audit *a, const char *where, uint64_t deadline_ms);

#endif
