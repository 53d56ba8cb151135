/* SPDX-License-Identifier: MIT */
/*
 * The claims of each guest by itself, and its weight. The claims are nested: bottom, basic, need, comfort; HOW IT
 * DECIDES in membalance(8).
 */
#ifndef MEMSCHED_PLAN_CLAIMS_H
#define MEMSCHED_PLAN_CLAIMS_H

#include "plan/policy.h"

/* The size with the least headroom: use and target. */
uint64_t claim_wish_kib(const struct guest *g);

/* The headroom that its surges taught: at least its target. */
uint64_t claim_headroom_kib(const struct guest *g);

/* The headroom it always keeps: a quarter of its target, and its foreseen growth. */
uint64_t claim_least_kib(const struct guest *g);

/* The size it keeps however short memory is: all it has if nothing may be taken from it. */
uint64_t claim_bottom_kib(const struct guest *g);

/* The memory that is free beyond the target and holds no page cache: taking it costs the guest nothing. */
uint64_t claim_plain_kib(const struct guest *g);

/* The part of its size that it keeps at this claim: a claim of others never takes it below. */
uint64_t claim_keep_kib(const struct guest *g, uint64_t claim_kib);

/* The size it will hold at this claim: no less than it has if nothing may be taken from it. */
uint64_t claim_holding_kib(const struct guest *g, uint64_t claim_kib);

/* Its claim to comfort; a guest that is not taken from and one that is left alone claim no comfort.
 */
uint64_t claim_comfort_kib(const struct guest *g);

/* Nothing can be taken from it now: for a reason of its own, or its sample is of before its last
 * move. */
bool claim_keeps_all(const struct guest *g);

/* Its rise, at its fastest of late, until memory that was given to others can be back. */
uint64_t claim_rise_kib(const struct guest *g);

/*
 * The same, but no more than its reported use rises by, if the report is new. Use alone seems to rise while a balloon
 * moves. Page cache and huge pages raise rss alone.
 */
uint64_t claim_growth_kib(const struct guest *g);

/* The memory it may touch without asking before memory that was given to others can be back. */
uint64_t claim_call_kib(const struct guest *g);

/* The memory it was promised and has not touched, without the part that its kernel keeps unused. */
uint64_t claim_untouched_kib(const struct guest *g);

/* The part of its size that it has not touched and its kernel keeps unused: it is no debt of the host. */
uint64_t claim_kept_kib(const struct guest *g);

/* The part of its size that the host holds for it, or that its kernel keeps unused. */
uint64_t claim_covered_kib(const struct guest *g);

#endif
