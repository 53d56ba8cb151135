/* SPDX-License-Identifier: MIT */
/*
 * Guests and host as bars: a report as lines of text for a terminal of any size. Pure, but for the locale, which
 * says how wide a character is. Three layouts show more figures the wider the terminal is; lines go as it gets lower.
 */
#ifndef MEMSCHED_CLI_BARS_H
#define MEMSCHED_CLI_BARS_H

#include <stdio.h>

#include "run/balance.h"

/* In what order guests stand; equal ones by name. */
enum bars_order {
	BARS_BY_NAME,
	BARS_BY_USED,   /* most first; who does not tell comes last, here and below */
	BARS_BY_FREE,   /* least first */
	BARS_BY_WANT,   /* who is to grow most first, who is to shrink most last */
	BARS_BY_REASON, /* what needs attention first */
	BARS_AS_GIVEN,  /* as the caller has sorted them */
	BARS_ORDERS
};

struct bars_view {
	unsigned rows, columns; /* of the terminal; at least 1 */
	bool utf8;              /* else ASCII alone is drawn */
	bool color;
	enum bars_order order;
	const char *given;          /* what they are sorted by where that is BARS_AS_GIVEN */
	size_t first;               /* the guest at the top; above it are as many */
	const char *clock;          /* when the figures were read: "14:03:22" */
	const char *status, *brief; /* the line that says it all, and its form for 80 columns; NULL: none */
	const char *message;        /* shown above the guests; safe to print; NULL: none */
	const char *const *sparks;  /* what each guest from first on used, as a line; NULL: not shown */
	const char *no_guest;       /* shown where there is no guest; safe to print */
};

/* From so many columns on there is room for view->sparks. */
#define BARS_SPARKS_FROM 120

/* Does nothing for BARS_AS_GIVEN. */
void bars_sort(struct balance_report *report, enum bars_order order);

/* How many of the guests fit at once. */
size_t bars_room(const struct bars_view *view, const struct balance_report *report);

/*
 * Writes view->rows lines, each ended by a newline and at most view->columns wide (with color, plus its escapes, which
 * end on the line they begin on). report NULL: nothing has been read yet.
 */
void bars_write(FILE *out, const struct bars_view *view, const struct balance_report *report);

#endif
