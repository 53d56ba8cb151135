/* SPDX-License-Identifier: MIT */
#include "show/advice.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/text.h"
#include "base/units.h"
#include "plan/advise.h"

#define REASON_TEXT 128
#define COMMAND_TEXT 320

struct row {
	const struct timeline *t;
	struct advise seen;
	struct advice advice;
	bool known; /* advice and weight hold */
	uint32_t weight;
	char reason[REASON_TEXT];
	char command[COMMAND_TEXT]; /* "": there is none */
};

/* ---- the words ---- */

static void write_reason(struct row *row)
{
	char least[TEXT_SIZE], most[TEXT_SIZE], age[TEXT_AGE], distress[TEXT_AGE];

	text_age(age, sizeof(age), row->seen.minutes * UINT64_C(60));
	if (!row->known) {
		snprintf(row->reason, sizeof(row->reason), "seen for %s: no advice before 1 h", age);
		return;
	}
	text_size(least, sizeof(least), row->advice.p50_kib);
	text_size(most, sizeof(most), row->advice.p98_kib);
	snprintf(row->reason, sizeof(row->reason), "mostly uses %s to %s, seen for %s%s%s", least, most, age,
	         row->seen.distress_minutes ? ", in distress for " : "",
	         row->seen.distress_minutes
	             ? text_age(distress, sizeof(distress), row->seen.distress_minutes * UINT64_C(60))
	             : "");
}

/* Sizes without a unit are KiB, so that the command needs no double quotes. */
static void write_command(struct row *row)
{
	if (row->known)
		snprintf(row->command, sizeof(row->command),
		         "virsh metadata %s urn:memsched:domain:1.0 --key memsched --live --config --set "
		         "'<memory><min>%" PRIu64 "</min><max>%" PRIu64 "</max><weight>%" PRIu32 "</weight></memory>'",
		         row->t->uuid, row->advice.min_kib, row->advice.max_kib, row->weight);
}

/* ---- the columns ---- */

#define ROW_CELL(column, expression) COLUMN_CELL(row_##column, const struct row *row, expression)
#define KIB(member) cell_if(row->known, CELL_KIB, row->advice.member)

ROW_CELL(name, cell_text(row->t->name))
ROW_CELL(uuid, cell_text(row->t->uuid))
ROW_CELL(min, KIB(min_kib))
ROW_CELL(max, KIB(max_kib))
ROW_CELL(weight, cell_if(row->known, CELL_NUMBER, row->weight))
ROW_CELL(p50, KIB(p50_kib))
ROW_CELL(p90, KIB(p90_kib))
ROW_CELL(p98, KIB(p98_kib))
ROW_CELL(seen, cell_of(CELL_MS, UINT64_C(60000) * row->seen.minutes))
ROW_CELL(reason, cell_text(row->reason))
ROW_CELL(command, cell_text(*row->command ? row->command : NULL))

static const struct column columns[] = {
    {"domain", "Domain", "name", "", COLUMN_TABLE | COLUMN_JSON, row_name, NULL},
    {"uuid", "UUID", "uuid", "", COLUMN_JSON, row_uuid, NULL},
    {"min", "Min", "min_bytes", "", COLUMN_TABLE | COLUMN_JSON, row_min, NULL},
    {"max", "Max", "max_bytes", "", COLUMN_TABLE | COLUMN_JSON, row_max, NULL},
    {"weight", "Weight", "weight", "", COLUMN_TABLE | COLUMN_JSON, row_weight, NULL},
    {"p50", "P50", "p50_bytes", "", COLUMN_TABLE | COLUMN_JSON, row_p50, NULL},
    {"p90", "P90", "p90_bytes", "", COLUMN_TABLE | COLUMN_JSON, row_p90, NULL},
    {"p98", "P98", "p98_bytes", "", COLUMN_TABLE | COLUMN_JSON, row_p98, NULL},
    {"seen", "Seen", "seen_seconds", "", COLUMN_JSON, row_seen, NULL},
    {"reason", "Reason", "reason", "", COLUMN_TABLE | COLUMN_JSON, row_reason, NULL},
    {"command", "Command", "command", "", COLUMN_JSON, row_command, NULL},
    {.name = NULL},
};

/* ---- the rows ---- */

static uint64_t swing_kib(const struct row *row)
{
	return row->advice.p98_kib - row->advice.p50_kib;
}

static void advise_guest(struct row *row, const struct timeline *t, uint64_t now_s)
{
	*row = (struct row){.t = t, .seen = {.now_s = now_s}};
	for (uint32_t i = 0; i < t->n; i++)
		advise_add(&row->seen, &t->bucket[i], t->level);
	row->known = advise_limits(&row->seen, &row->advice);
}

static void weigh_rows(struct row *row, size_t n)
{
	uint64_t sum_kib = 0, known = 0;

	for (size_t i = 0; i < n; i++) {
		sum_kib += row[i].known ? swing_kib(&row[i]) : 0;
		known += row[i].known;
	}
	for (size_t i = 0; i < n; i++) {
		row[i].weight = advise_weight(swing_kib(&row[i]), known ? sum_kib / known : 0);
		write_reason(&row[i]);
		write_command(&row[i]);
	}
}

static void write_json(FILE *out, const struct row *row, size_t n)
{
	struct json j;

	json_begin(&j, out, "memsched.advice/1");
	json_array(&j, "domains");
	for (size_t i = 0; i < n; i++) {
		json_object(&j, NULL);
		table_write_json(&j, columns, &row[i]);
		json_end_object(&j);
	}
	json_end_array(&j);
	json_end_object(&j);
}

static int write_table(FILE *out, const struct row *row, size_t n, const struct table_style *style)
{
	struct column *chosen = NULL;
	char *name = NULL;
	int r = column_choose(columns, style->form == TABLE_PAIRS ? COLUMN_JSON : COLUMN_TABLE, NULL, &chosen, &name);

	if (!r)
		r = table_write(out, chosen, row, n, sizeof(*row), style);
	free(chosen);
	free(name);
	return r;
}

int advice_report(FILE *out, const struct timeline *t, size_t n, uint64_t now_s, const struct table_style *style,
                  bool json)
{
	struct row *row = calloc(n + 1, sizeof(*row));
	size_t rows = 0;
	int r = 0;

	if (!row)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (*t[i].uuid)
			advise_guest(&row[rows++], &t[i], now_s);
	weigh_rows(row, rows);
	if (json)
		write_json(out, row, rows);
	else
		r = write_table(out, row, rows, style);
	free(row);
	return r;
}
