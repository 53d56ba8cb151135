/*
 * Words for people: escaping, stable reason words, sizes, and sentences that explain a decision.
 */
#ifndef MEMSCHED_TEXT_H
#define MEMSCHED_TEXT_H

#include "guest.h"
#include "policy.h"

/*
 * The one function through which every outside string goes on its way to a terminal or a log: control characters (C0,
 * DEL, C1), bidi controls, U+2028/9, BOM, unassigned and invalid bytes become \xNN a byte; a backslash becomes two.
 * With utf8 false (C locale) everything beyond ASCII is escaped. Writes at most size bytes, always ended; what does not
 * fit is cut at a whole character and ended with "...". Returns buffer.
 */
char *text_escape(char *buffer, size_t size, const char *outside, bool utf8);

/* The same, allocated; NULL without memory. */
char *text_escaped(const char *outside);

/* Columns of a terminal that an escaped text takes. */
size_t text_width(const char *escaped);

/* Whether the locale set by setlocale takes UTF-8. */
bool text_is_utf8(void);

/* "below-target" …; never NULL. */
const char *reason_word(enum reason reason);

/* "running" …, as virsh says it; "unresponsive" is not one of them. */
const char *run_state_word(enum run_state state);

/* "512 MiB", "1.5 GiB", "12 KiB": at most one decimal. Returns buffer. */
char *text_size(char *buffer, size_t size, uint64_t kib);

/*
 * One sentence, without the name and without a full stop, that tells with the numbers that decided what is done with g
 * and why: "give 121 MiB to reach 512 MiB: uses 366 MiB, has 25 MiB of 146 MiB headroom".
 */
char *text_explain(char *buffer, size_t size, const struct guest *g);

/* The same for the host: demand, capacity, promised, reserve, shortage. */
char *text_explain_host(char *buffer, size_t size, const struct host *host, uint64_t reserve_kib,
			const struct balance *balance);

#endif
