/* SPDX-License-Identifier: MIT */
/*
 * Which metrics there are, for Prometheus: METRICS in memstat(8). table_write_metrics has their text format; the files
 * are what node_exporter's textfile collector reads.
 */
#ifndef MEMSCHED_SHOW_METRICS_H
#define MEMSCHED_SHOW_METRICS_H

#include <stdio.h>

#include "run/balance.h"
#include "show/status.h"

/* How a pass went, for its metrics. */
struct outcome {
	const struct balance_report *report; /* NULL: it failed as a whole */
	uint64_t took_ms, ended_s;           /* wall clock */
	uint64_t paused_ms;                  /* there was none, as balancing is paused for so long; 0: it is not */
};

/*
 * The metrics of the pass (outcome; NULL: there was none) and of what it saw (rep; NULL: only the totals of status), to
 * out, or as the whole of the file at path. 0 or -errno: -ENOMEM, or as file_publish.
 */
int metrics_write(FILE *out, const struct balance_report *rep, const struct status *status,
                  const struct outcome *outcome);
int metrics_publish(const char *path, const struct balance_report *rep, const struct status *status,
                    const struct outcome *outcome);

#endif
