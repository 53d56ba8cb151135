/* SPDX-License-Identifier: MIT */
/*
 * The columns of a guest and of the host, for every table, for JSON and for the metrics; and a pass's findings and
 * actions, as tables, as JSON (JSON in memstat(8) and membalance(8)) and as sentences.
 */
#ifndef MEMSCHED_SHOW_REPORT_H
#define MEMSCHED_SHOW_REPORT_H

#include <stdio.h>

#include "host/movelog.h"
#include "run/balance.h"
#include "run/monitor.h"
#include "show/status.h"
#include "show/table.h"

extern const struct column guest_columns[]; /* rows: struct guest; the first is the name */
extern const struct column host_columns[];  /* rows: struct balance_report */

/*
 * The guests by columns (NULL: those of COLUMN_TABLE); if they are a table with headings, below it their totals,
 * that of the host, the unit, and a pause. 0, or -ENOMEM: a part is left out.
 */
int report_table(FILE *out, const struct balance_report *rep, const struct column *columns,
                 const struct table_style *style);

/*
 * "NAME: sentence" for each guest, with its decision and why, and then for the host. whole: with the guest's memory
 * before, and the last pass's decision and its result after.
 */
void report_explain(FILE *out, const struct balance_report *rep, bool whole);

/* The sentences of the guests that would be moved alone, or that there is none: of a dry run. */
void report_plan(FILE *out, const struct balance_report *rep);

/* One object, ended by a newline: memsched.stat/1 with these columns of guests, and memsched.pass/1. */
void report_stat_json(FILE *out, const struct balance_report *rep, const struct status *status,
                      const struct column *columns);
void report_pass_json(FILE *out, const struct balance_report *rep);

/* Writes last-pass.json: memsched.pass/1 and time_seconds, the wall clock. 0 or -errno; whole or not at all. */
int report_keep(struct registry *r, const struct balance_report *rep, uint64_t wall_ms);

/* Adds the moves of the pass to those recorded; at is now. */
void report_moves(const struct balance_report *rep, struct instant at, struct movelog *a);
/* Notes how far guests had come when the pass began: the result of the moves of the pass before. */
void report_reached(const struct balance_report *rep, struct movelog *a);

/* The message for the error of a pass; words are libvirt's own. Safe to print; to be freed, NULL without memory. */
char *report_failure(int error, const char *uri, const char *root, const char *words);

/* Why the registry cannot be used, for a -errno of registry_open. */
const char *report_unusable(int error);

/* The message for an error of registry_paused: whether there is a pause is not known. Returns buffer. */
char *report_pause_unknown(char *buffer, size_t size, int error);

/* "MemAvailable is 166 GiB, but ...", for a host's figure that its neighbours contradict (doubtful). Returns buffer. */
char *report_doubtful(char *buffer, size_t size, const struct host *h);

/* The message for an unreadable record of the guest uuid; NULL: one of a pending start. Returns buffer. */
char *report_unreadable(char *buffer, size_t size, const char *uuid);

/* Calls say(arg, key, sentence) for each complaint the pass gives rise to; sentences are safe to print. */
void report_complain(const struct balance_report *rep, void (*say)(void *arg, const char *key, const char *sentence),
                     void *arg);
/* Likewise for a guest's record and hints alone, whatever was decided for it. */
void report_complain_guest(const struct guest *g, void (*say)(void *arg, const char *key, const char *sentence),
                           void *arg);

/* "cannot free: needed 412 MiB, freed 96 MiB, refused: ...". Returns text. */
const char *report_cannot_free(char *text, size_t size, const struct monitor_view *view, const char *refused);

/* "210 MiB available, reserve 293 MiB". Returns text. */
const char *report_available(char *text, size_t size, uint64_t available_kib, uint64_t reserve_kib);

#endif
