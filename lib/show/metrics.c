/* SPDX-License-Identifier: MIT */
#include "show/metrics.h"

#include <errno.h>
#include <stdlib.h>

#include "base/io.h"
#include "plan/fit.h"
#include "show/report.h"

/* ---- columns that are metrics alone ---- */

static struct cell build_version(const void *arg)
{
	(void)arg;
	return cell_text(MEMSCHED_VERSION);
}

static const struct column build_columns[] = {
    {"version", "", NULL, "version of memsched", 0, build_version, "build_info"},
    {.name = NULL},
};

COLUMN_CELL(host_fit, const struct balance_report *rep, cell_of(CELL_KIB, fit_largest_kib(&rep->budget)))

static const struct column fit_columns[] = {
    {"fit", "", NULL, "memory of the largest guest that could start now", 0, host_fit, "fit_bytes"},
    {.name = NULL},
};

#define OUTCOME_CELL(column, expression) COLUMN_CELL(outcome_##column, const struct outcome *o, expression)

OUTCOME_CELL(success, cell_of(CELL_BOOL, o->report != NULL))
OUTCOME_CELL(duration, cell_of(CELL_MS, o->took_ms))
OUTCOME_CELL(timestamp, cell_of(CELL_NUMBER, o->ended_s))
OUTCOME_CELL(failed, cell_if(o->report, CELL_NUMBER, o->report ? o->report->failed : 0))
OUTCOME_CELL(commands, cell_if(o->report, CELL_NUMBER, o->report ? o->report->commands : 0))
OUTCOME_CELL(shortage, cell_if(o->report, CELL_KIB, o->report ? o->report->budget.shortage_kib : 0))

static const struct column outcome_columns[] = {
    {"success", "", NULL, "whether the last pass was made", 0, outcome_success, "success"},
    {"duration", "", NULL, "how long the last pass took", 0, outcome_duration, "duration_seconds"},
    {"timestamp", "", NULL, "when the last pass ended", 0, outcome_timestamp, "timestamp_seconds"},
    {"failed", "", NULL, "guests that did not answer the last pass or whose command failed", 0, outcome_failed,
     "failed_domains"},
    {"commands", "", NULL, "balloon commands that the last pass sent", 0, outcome_commands, "commands"},
    {"shortage", "", NULL, "what the host lacks for all needs", 0, outcome_shortage, "shortage_bytes"},
    {.name = NULL},
};

/* ---- all of them ---- */

/* Of the host nothing but the pause is known. */
static int write_pause(FILE *out, uint64_t paused_ms)
{
	const struct balance_report rep = {.paused_ms = paused_ms};
	struct column *columns;
	int r = column_choose(host_columns, COLUMN_ALL, "paused", &columns, NULL);

	if (r)
		return r;
	r = table_write_metrics(out, "memsched_host_", columns, NULL, &rep, 1, sizeof(rep));
	free(columns);
	return r;
}

int metrics_write(FILE *out, const struct balance_report *rep, const struct status *status,
                  const struct outcome *outcome)
{
	int r = table_write_metrics(out, "memsched_", build_columns, NULL, "", 1, 1);

	if (!r && status->has_totals)
		r = table_write_metrics(out, "memsched_", totals_columns, NULL, &status->totals, 1,
		                        sizeof(status->totals));
	if (!r && outcome && outcome->paused_ms)
		return write_pause(out, outcome->paused_ms);
	if (!r && outcome)
		r = table_write_metrics(out, "memsched_pass_", outcome_columns, NULL, outcome, 1, sizeof(*outcome));
	if (r || !rep)
		return r;
	r = table_write_metrics(out, "memsched_status_", status_columns, NULL, status, 1, sizeof(*status));
	if (!r && status->presence == GUARD_PRESENT)
		r = table_write_metrics(out, "memsched_guard_", guard_columns, NULL, &status->guard, 1,
		                        sizeof(status->guard));
	if (!r)
		r = table_write_metrics(out, "memsched_host_", host_columns, NULL, rep, 1, sizeof(*rep));
	if (!r)
		r = table_write_metrics(out, "memsched_", fit_columns, NULL, rep, 1, sizeof(*rep));
	if (!r)
		r = table_write_metrics(out, "memsched_domain_", guest_columns, &guest_columns[0], rep->guest, rep->n,
		                        sizeof(*rep->guest));
	return r;
}

int metrics_publish(const char *path, const struct balance_report *rep, const struct status *status,
                    const struct outcome *outcome)
{
	struct memfile m;
	int r = memfile_open(&m) ? metrics_write(m.out, rep, status, outcome) : -ENOMEM;

	if (m.out && memfile_close(&m))
		r = -ENOMEM;
	if (!r)
		r = file_publish(path, m.text, m.length);
	free(m.text);
	return r;
}
