/*
 * What there is to show of a guest, of the host and of a pass: the columns of every table, of JSON and of the metrics.
 */
#ifndef MEMSCHED_FIGURES_H
#define MEMSCHED_FIGURES_H

#include "column.h"
#include "pass.h"

/* How a pass went, for its metrics. */
struct outcome {
	const struct pass_report *report; /* NULL: it failed as a whole */
	uint64_t took_ms, ended_s;        /* wall clock */
	uint64_t paused_ms;               /* there was none, as balancing is paused for so long; 0: it is not */
};

extern const struct column guest_columns[];   /* rows: struct guest; the first is the name */
extern const struct column host_columns[];    /* rows: struct pass_report */
extern const struct column outcome_columns[]; /* rows: struct outcome */

#endif
