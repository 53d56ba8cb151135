/* SPDX-License-Identifier: MIT */
/*
 * The guard's acting line: which guests give memory back, how much, in which order, until the host has what it needs.
 * LEVELS in memguard(8). The plan is pure; sending is virt_set.
 */
#ifndef MEMSCHED_PLAN_RECLAIM_H
#define MEMSCHED_PLAN_RECLAIM_H

#include "plan/estimate.h"
#include "plan/policy.h"

enum reclaim_way {
	RECLAIM_ROOM, /* of what is idle and was touched, what is needed: a guest starts, the host will be tight, or was
	               */
	RECLAIM_IDLE, /* and all that was never touched: it is tight */
	RECLAIM_HARD, /* all that is idle, and of the rest what is needed, down to the guard's bottom: it is critical */
};

/* Below this the guard takes nothing: the guest's floor, or, where that is more, what it uses and may soon use, or by
 * its rss uses already, with an eighth of its target. Of a guest that was judged (policy_judge). */
uint64_t reclaim_bottom_kib(const struct guest *g);

/*
 * Plans so that need_kib come back, counting what guests were told to give and have not given yet. Sets want_kib of all
 * guests, and ask_kib of those that are to be told. They have been judged; what each gives is in proportion to what it
 * could give by its weight: of memory that is plainly unused first, and of page cache if all of that does not suffice.
 * No guest is told for a share within the tolerance: the next in g gives it too, so that no more than the tolerance is
 * missing however many share. Returns what all give together, what is on its way
 * included; what nobody was told is not. Who was read more than a second after it was told and has not given it is
 * told again, as far as it may still be taken.
 */
uint64_t reclaim_plan(enum reclaim_way way, uint64_t need_kib, uint64_t tolerance_kib, struct guest *g, size_t n,
                      struct policy_scratch *scratch);

/*
 * Plans to give back what was taken, as far as order.before_kib tells, out of half of what the host has to spare: the
 * rest follows when it is seen what became of it. Sets want_kib, and ask_kib of the guests that are to be told. They
 * have been judged; guests in need come first. Returns what was handed out.
 */
uint64_t reclaim_return(const struct policy_conf *conf, const struct host *host, uint64_t pending_kib, struct guest *g,
                        size_t n, struct policy_scratch *scratch);

/*
 * Whether it is smaller than before the guard told it to give. Not if it has been made smaller still since, by an
 * administrator or another program: then that holds.
 */
bool reclaim_owes(uint64_t tolerance_kib, const struct guest *g);

/* What guests were told to give and have not given yet. */
uint64_t reclaim_coming_kib(const struct guest *g, size_t n);

/* Why nothing more can be had of a guest; REASON_NONE where more can be had by that way. */
enum reason reclaim_refusal(enum reclaim_way way, uint64_t tolerance_kib, const struct guest *g);

/* Whether that is so only because it has not touched what it leaves idle, which would free nothing, or touches it now.
 */
bool reclaim_spares_untouched(enum reclaim_way way, uint64_t tolerance_kib, const struct guest *g);

/* What guests may still touch without asking. */
uint64_t reclaim_promised_kib(const struct guest *g, size_t n);

/* Likewise those of them that are growing now. */
uint64_t reclaim_growing_kib(const struct guest *g, size_t n);

/* What guests that start may still touch: the rest of their maximum as long as their balloon does not work yet. */
uint64_t reclaim_starting_kib(const struct guest *g, size_t n);

/* The order in which guests are told: least weight first, then by name. For qsort. */
int reclaim_order(const void *a, const void *b);

/* "db (at-min), web (at-min) and 3 more": the guests that refuse, and why; names escaped, as many as fit. */
void reclaim_refusals(enum reclaim_way way, uint64_t tolerance_kib, const struct guest *g, size_t n, char *text,
                      size_t size);

#endif
