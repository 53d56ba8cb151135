/*
 * What a pass found and did, as tables, as JSON (design §3) and as sentences. One table of columns a layout.
 */
#ifndef MEMSCHED_REPORT_H
#define MEMSCHED_REPORT_H

#include <stdio.h>

#include "audit.h"
#include "json.h"
#include "pass.h"

/* The table of guests and, below it, that of the host. human: 1.5G in place of KiB. */
void report_table(FILE *out, const struct pass_report *rep, bool human);

/*
 * "NAME: sentence" for each guest, of what is done with it and why, and then for the host. whole: before it what the
 * guest has, and behind it what the last pass decided and what came of it.
 */
void report_explain(FILE *out, const struct pass_report *rep, bool whole);

/* One object, ended by a newline: memsched.stat/1 and memsched.pass/1. */
void report_stat_json(FILE *out, const struct pass_report *rep);
void report_pass_json(FILE *out, const struct pass_report *rep);

/* Writes last-pass.json: memsched.pass/1 and time_seconds, the wall clock. 0 or -errno; whole or not at all. */
int report_keep(struct registry *r, const struct pass_report *rep, uint64_t wall_ms);

/* Adds the moves of the pass to the audit; at is now. */
void report_moves(const struct pass_report *rep, struct instant at, struct audit *a);
/* Notes in the audit how far guests had come when the pass began: what came of the moves of the pass before. */
void report_reached(const struct pass_report *rep, struct audit *a);

/* What to say where a pass returned error; words are libvirt's own. Safe to print; to be freed, NULL without memory. */
char *report_failure(int error, const char *uri, const char *root, const char *words);

/* Calls say(arg, key, sentence) for each complaint the pass gives rise to; sentences are safe to print. */
void report_complain(const struct pass_report *rep, void (*say)(void *arg, const char *key, const char *sentence),
                     void *arg);

#endif
