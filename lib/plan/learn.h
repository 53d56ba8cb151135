/* SPDX-License-Identifier: MIT */
/*
 * What readings teach of a guest's load: how fast it grows, by how much it surges, the most it used
 * of late, whether it runs short, and whether its MemTotal follows its balloon.
 * Pure: no I/O, no clock, no allocation; time is an argument.
 */
#ifndef MEMSCHED_PLAN_LEARN_H
#define MEMSCHED_PLAN_LEARN_H

#include "plan/estimate.h"

/*
 * Learns growth, surge and distress from a new sample whose used can be compared with that of the
 * last one. Of e, used, free and lead hold.
 */
void learn_load(struct past *p, const struct guest *g, const struct estimate *e, struct instant at);

/* Notes the most that the guest used, foreseen growth included. */
void learn_peak(struct past *p, const struct estimate *e, struct instant at);

/* Finds a surge that came and went between samples: rss rose, and the next sample does not show it.
 */
void learn_hidden_surge(struct past *p, const struct sample *s, const struct estimate *e);

/* Notes size and MemTotal of a guest at rest, and whether both moved alike since its last rest. */
void learn_follows(struct past *p, const struct sample *s);

/* Notes rss. Fills risen and hidden of e. fresh: the sample is new. */
void learn_rss(struct past *p, const struct sample *s, bool fresh, struct instant at, struct estimate *e);

/* Forgets the load of before a reboot; what is known of the driver stays. */
void learn_anew(struct past *p);

#endif
