/* SPDX-License-Identifier: MIT */
/* Whether the hints of a guest make sense together, and the sentences in hints.fault if they do not. */
#ifndef MEMSCHED_PLAN_HINTS_H
#define MEMSCHED_PLAN_HINTS_H

#include "plan/guest.h"

struct hint_context { /* what a sentence and a judgement need besides the hint */
	const char *domain;
	uint64_t maximum_kib;
};

/* Takes "hint %s" and the like for the rest of the sentence; what comes from outside is escaped by then. */
void hints_fault(struct hints *h, const struct hint_context *in, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Says that the hint does not hold, and why. hint and value may come from outside. */
void hints_void(struct hints *h, const struct hint_context *in, const char *hint, const char *value, const char *why);

/* Voids a max that is too small, notes sizes that are small, and cuts all to the maximum. */
void hints_judge(const struct hint_context *in, struct hints *h);

#endif
