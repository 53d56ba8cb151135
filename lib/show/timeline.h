/* SPDX-License-Identifier: MIT */
/*
 * What a history has of a guest or of the host over a time, as text with sparklines, as lines for scripts, as JSON and
 * as sentences: memstat --history. Times are of the wall clock.
 */
#ifndef MEMSCHED_SHOW_TIMELINE_H
#define MEMSCHED_SHOW_TIMELINE_H

#include <stdio.h>

#include "host/history.h"
#include "show/table.h"

struct timeline {
	char name[HISTORY_NAME + 1]; /* hostile; of the host HISTORY_HOST */
	char uuid[UUID_TEXT];        /* "": the host's */
	enum bucket_level level;
	uint32_t first, n;         /* of the buckets */
	struct bucket *bucket;     /* a void one: nothing was seen; owned */
	struct history_move *move; /* all that are known, the oldest first, also if two programs wrote them; owned */
	size_t n_moves;
};

/* The level that has all of a time until now. */
enum bucket_level timeline_level(uint64_t since_s);

/*
 * Reads the file in dir (history_dir) of a guest, or HISTORY_HOST: since_s until until_s. 0, or -errno as history_open
 * has it, of reading, or -ENOMEM; then there is nothing to clear.
 */
int timeline_read(int dir, const char *uuid, uint64_t since_s, uint64_t until_s, struct timeline *ret_timeline);
void timeline_clear(struct timeline *t);

/* Whether anything was seen. */
bool timeline_has(const struct timeline *t);

/* When a bucket begins. */
uint64_t timeline_begin_s(const struct timeline *t, uint32_t i);
/* Whether it was in this time. */
bool timeline_has_move(const struct timeline *t, const struct history_move *move);

/* "actual" …: as the columns of memstat. */
const char *timeline_figure_name(enum figure figure);

/* All that was seen, as one bucket. */
struct bucket timeline_total(const struct timeline *t);

/*
 * The figure as a line of at most columns characters, blank for times in which nothing was seen; spark has three bytes
 * for each, and one more. Sizes of a guest are drawn to one scale, what the host has available and rates each to its
 * own.
 */
char *timeline_spark(char *spark, size_t columns, const struct timeline *t, enum figure figure, bool utf8);

/*
 * n of them: a row for each figure that is known, with its sparkline; raw or as pairs a row for each bucket, with the
 * means. Times are local. 0 or -ENOMEM.
 */
int timeline_table(FILE *out, const struct timeline *t, size_t n, const struct table_style *style);

/* One object: memsched.history/1. */
void timeline_json(FILE *out, const struct timeline *t, size_t n, uint64_t until_s);

/* What was seen at a time, and the commands before and after it: sentences of a line each, without the name. */
void timeline_explain(FILE *out, const struct timeline *t, uint64_t at_s);

#endif
