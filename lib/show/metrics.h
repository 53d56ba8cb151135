/* SPDX-License-Identifier: MIT */
/*
 * The text format of Prometheus, and the files of it that node_exporter's textfile collector reads.
 */
#ifndef MEMSCHED_SHOW_METRICS_H
#define MEMSCHED_SHOW_METRICS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* prefix and name together are the metric's name. Comes before its samples. Errors of writing stay in the stream. */
void metrics_gauge(FILE *out, const char *prefix, const char *name, const char *help);
void metrics_counter(FILE *out, const char *prefix, const char *name, const char *help);

/* An array of labels is ended by a NULL name; a label with a NULL value is left out. */
struct metrics_label {
	const char *name, *value; /* name: dashes become _. value: from outside; escaped as by text_escape */
};

/* value / 10^decimals; decimals: at most 19. 0, or -ENOMEM with nothing written. */
int metrics_sample(FILE *out, const char *prefix, const char *name, const struct metrics_label *labels, uint64_t value,
                   unsigned decimals);

/*
 * file_write, whose temporary the collector leaves alone: it reads files that end in .prom. 0 or -errno; -EMEDIUMTYPE
 * and -EPERM as file_check_target and dir_open_of.
 */
int metrics_publish(const char *path, const char *text, size_t length);

#endif
