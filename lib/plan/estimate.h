/* SPDX-License-Identifier: MIT */
/*
 * Use and growth of a guest, from its sample and its past; whether its figures can be trusted, its balloon is stuck or
 * frees nothing, and it has rebooted. Pure: no I/O, no clock, no allocation; time is an argument.
 */
#ifndef MEMSCHED_PLAN_ESTIMATE_H
#define MEMSCHED_PLAN_ESTIMATE_H

#include "base/clock.h"
#include "plan/guest.h"

struct estimate_conf {
	uint64_t tolerance_kib; /* so near to its asked size a guest has arrived */
	uint32_t interval_ms;   /* of the loop; 0: single passes, whose gap is measured */
	uint32_t boot_grace_ms; /* so long after its start it is booting */
	uint32_t period_s;      /* of the statistics if the guest's device has none */
};

/*
 * Whether p may have been written on this host since it booted: all times but retry_ms are past, and that lies no more
 * than pause_ms ahead. A time of another boot would hold until it comes.
 */
bool past_is_sound(const struct past *p, uint64_t now_ms);

/*
 * Fills g->est from g->sample, g->device, g->target_kib and g->past, and brings g->past up to date:
 *   used = available - free + overhead, all of one sample
 *   overhead = actual - available, learned at rest
 *   growth follows a rise of used at once, and a lesser one with a time constant of 3 s
 *   lead = interval or gap of single passes + statistics period + 1 s
 *   foreseen = min(growth, last rise) * lead
 * If available does not follow the balloon, used = actual - free, of samples at rest alone.
 * Run once for each reading; the same sample again changes no figure.
 */
void estimate_update(const struct estimate_conf *conf, struct guest *g, struct instant at);

/* Remembers that want was asked of g now (after a successful command). */
void estimate_asked(struct guest *g, uint64_t want_kib, struct instant at);

/* Brings past up to date with an actual that was read again after a command, so that the next pass
 * finds it there. */
void estimate_reread(struct past *p, uint64_t actual_kib, struct instant at);

#endif
