/* SPDX-License-Identifier: MIT */
/*
 * How it stands, in a line: memstat's first line has how much the guests have, when the last pass was made, and how the
 * guard finds the host; memguard --check has the host and its guard, for a monitoring system.
 */
#ifndef MEMSCHED_SHOW_STATUS_H
#define MEMSCHED_SHOW_STATUS_H

#include "host/conf.h"
#include "host/heartbeat.h"
#include "run/balance.h"
#include "show/table.h"

struct status {
	uint64_t now_s; /* wall clock */
	size_t guests;
	size_t swapping;                            /* of them: in distress */
	uint64_t maximum_kib, actual_kib, used_kib; /* sums, of the guests of which it is known */
	uint64_t given_back_kib;                    /* what balloons hold: maximum less actual */
	uint64_t shortage_kib;                      /* what the host lacks for all needs */
	bool has_pass;
	struct pass_heartbeat pass;
	bool has_totals;
	struct totals totals;
	uint64_t paused_ms; /* what is left of a pause; 0: none */
	bool remote;        /* the guests are on another host, so its guard is not known */
	enum guard_presence presence;
	struct guard_heartbeat guard;
};

/* Sums up all guests of the report. registry: of the report's guests; NULL: no pass is known. */
void status_read(const struct balance_report *rep, const char *root, const char *uri, const struct registry *registry,
                 struct status *ret_status);

#define TEXT_STATUS 256 /* suffices for every line */

/*
 * "30 guests: 214G maximum, 132G now, 96G used, 82G given back; last pass 12 s ago (loop 1 s); guard: calm". brief: for
 * 80 columns. Returns buffer.
 */
char *text_status(char *buffer, size_t size, const struct status *s, bool brief);

/* "calm", "tight", "critical", "silent" or "not running"; NULL: another host's. */
const char *status_guard_word(const struct status *s);

/*
 * memguard --check: a line on standard output for Icinga, Nagios and the like. Returns their exit code: 0 OK, 1
 * WARNING, 2 CRITICAL, 3 UNKNOWN (Monitoring Plugins Development Guidelines). root_words: root, safe to print.
 * status_plugin_unknown: words say why nothing is known.
 */
int status_plugin(const struct conf *conf, const char *root, const char *root_words);
int status_plugin_unknown(const char *words);

extern const struct column status_columns[]; /* rows: struct status */
extern const struct column guard_columns[];  /* rows: struct guard_heartbeat */
extern const struct column totals_columns[]; /* rows: struct totals */

#endif
