/* SPDX-License-Identifier: MIT */
/*
 * Which guests give memory back in an emergency, how much, and in which order, until the host has what it needs.
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

/* Below this the guard takes nothing: the guest's floor, or, if more, its use (now and soon, or by its rss) with an
 * eighth of its target. Of a guest that was judged (policy_judge). */
uint64_t reclaim_bottom_kib(const struct guest *g);

/*
 * Plans so that need_kib come back, counting what guests were told to give and have not given yet. Sets want_kib of all
 * guests, and ask_kib of those that get a command. They have been judged. Each gives in proportion to the most it
 * could give, by its weight: of memory that is plainly unused first, and of page cache if all of that does not suffice.
 * A share within the tolerance is not commanded but added to the next guest's in g: no more than the tolerance is
 * missing however many share. Returns the sum of all gives, earlier commands included, shares without a command not.
 * A guest that was read more than a second after its command and has not obeyed gets it again, as far as its memory may
 * still be taken.
 */
uint64_t reclaim_plan(enum reclaim_way way, uint64_t need_kib, uint64_t tolerance_kib, struct guest *g, size_t n,
                      struct policy_scratch *scratch);

/*
 * Plans to give taken memory back, up to order.before_kib, out of half of the host's spare memory: the rest follows
 * after the next reading. Sets want_kib, and ask_kib of the guests that get a command. They have been judged; guests in
 * need come first. Returns the sum of the gives.
 */
uint64_t reclaim_return(const struct policy_conf *conf, const struct host *host, uint64_t pending_kib, struct guest *g,
                        size_t n, struct policy_scratch *scratch);

/*
 * Whether it is smaller than before the guard's take. Not if an administrator or another program has made it smaller
 * still since: that decision stays.
 */
bool reclaim_owes(uint64_t tolerance_kib, const struct guest *g);

/* The part of earlier commands that guests have not obeyed yet. */
uint64_t reclaim_coming_kib(const struct guest *g, size_t n);

/* Why a guest can give no more; REASON_NONE if it can by that way. */
enum reason reclaim_refusal(enum reclaim_way way, uint64_t tolerance_kib, const struct guest *g);

/* Whether the only reason is that its idle memory is untouched, so that a take would free nothing, or is being touched.
 */
bool reclaim_spares_untouched(enum reclaim_way way, uint64_t tolerance_kib, const struct guest *g);

/* The memory that guests may still touch without asking. */
uint64_t reclaim_promised_kib(const struct guest *g, size_t n);

/* Likewise those of them that are growing now. */
uint64_t reclaim_growing_kib(const struct guest *g, size_t n);

/* The memory that guests that start may still touch: the rest of their maximum as long as their balloon does not work
 * yet. */
uint64_t reclaim_starting_kib(const struct guest *g, size_t n);

/* The order of commands: least weight first, then by name. For qsort. */
int reclaim_order(const void *a, const void *b);

/* "db (at-min), web (at-min) and 3 more": the guests that refuse, and why; names escaped, as many as fit. */
void reclaim_refusals(enum reclaim_way way, uint64_t tolerance_kib, const struct guest *g, size_t n, char *text,
                      size_t size);

#endif
