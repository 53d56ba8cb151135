/* SPDX-License-Identifier: MIT */
/* The sections [guest PATTERN] of memsched.conf: hints for several guests at once. */
#ifndef MEMSCHED_HOST_SECTION_H
#define MEMSCHED_HOST_SECTION_H

#include "host/conf.h"

/* A section [guest PATTERN]. A key that it does not give has no value in its origin. */
struct conf_section {
	struct conf_section *before; /* the one before it in the files, which it wins over; owned */
	char *patterns;              /* of names, as exclude has them; owned */
	struct amount min, max;      /* pct: of the guest's maximum; both 0: none */
	struct amount target;        /* likewise; both 0: the target of all guests */
	uint32_t weight;
	bool managed;
	struct conf_origin origin[HINT_COUNT];
};

/* The table of its keys, in the order of enum hint, ended by a NULL name. */
extern const struct conf_key section_keys[];

/* Takes over before, or returns NULL without memory. section_free frees those before it too. */
struct conf_section *section_new(const char *patterns, struct conf_section *before);
void section_free(struct conf_section *section);

/* The last section that gives this key for a guest of that name; NULL: none does. */
const struct conf_section *section_of(const struct conf *conf, const char *name, enum hint hint);

/*
 * Sets g->excluded, g->target_kib, and in g->hints what its metadata does not give, anew each time. A max below the
 * least that a guest of this size keeps, or below its min, is ignored, with a sentence in g->hints.fault. A min below
 * the least holds, with a sentence.
 */
void sections_apply(const struct conf *conf, struct guest *g);

/* Leaves in h what the metadata gives. */
void sections_undo(struct hints *h);

#endif
