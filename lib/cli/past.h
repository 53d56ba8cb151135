/* SPDX-License-Identifier: MIT */
/* Answers from the histories: memstat --history, --svg, --advise, and --explain --at. Asks no libvirt. */
#ifndef MEMSCHED_CLI_PAST_H
#define MEMSCHED_CLI_PAST_H

#include "cli/options.h"
#include "show/table.h"

struct past_asked {
	const char *since; /* "3d"; NULL: 24 h */
	const char *svg;   /* the file to write; NULL: none */
	const char *at;    /* the time to explain; NULL: none */
	bool advise;       /* show limits that would suit */
	bool json;
	const struct table_style *style;
	char **operand; /* names or UUIDs of guests, ended by NULL; none: all, and the host, which "host" names too */
};

/* Returns an exit code; an error has its message. */
int past_show(const struct program *program, const struct conf *conf, const char *root, const struct past_asked *asked);

/* "2h", "3d": minutes, hours, days, weeks or years in seconds; 1m to two years. 0, -EINVAL or -ERANGE. */
int past_since_parse(const char *text, uint64_t *ret_since_s);

/* "03:00", "03:00:20": the last such time here; "2026-11-28 03:00". 0 or -EINVAL. */
int past_at_parse(const char *text, uint64_t now_s, uint64_t *ret_at_s);

#endif
