/* SPDX-License-Identifier: MIT */
/* The answer of memstat --fit: a sentence, a row of columns, and JSON. FITTING in memstat(8). */
#ifndef MEMSCHED_SHOW_ROOM_H
#define MEMSCHED_SHOW_ROOM_H

#include <stdio.h>

#include "plan/fit.h"
#include "run/balance.h"
#include "show/table.h"

/* The guest that is asked about. */
struct candidate {
	char *name; /* of its definition, hostile; owned; NULL: a size alone was given */
	struct device device;
};

struct room {
	const struct candidate *candidate;
	struct fit fit;
	struct guest *guest; /* with what each is left in plan.want_kib; owned but for what they point at */
	size_t n;
	bool pages_unknown; /* of another host huge pages are not known */
	bool guarded;       /* memguard runs: it makes room at once */
};

extern const struct column room_columns[]; /* rows: struct room */

/* The answer beside the guests of the report, which must live as long. 0 or -ENOMEM. */
int room_find(const struct conf *conf, const struct balance_report *rep, const struct candidate *candidate,
              bool guarded, struct room *ret_room);
void room_clear(struct room *r);

#define TEXT_ROOM 1536 /* suffices for every answer */

/* "yes: 4 GiB fit; ...". Returns buffer. */
char *text_room(char *buffer, size_t size, const struct room *r);

/* One object, ended by a newline: memsched.fit/1. */
void room_json(FILE *out, const struct room *r);

#endif
