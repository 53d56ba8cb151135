/* SPDX-License-Identifier: MIT */
#include "show/timeline.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "base/text.h"
#include "base/units.h"

#define TIME_TEXT 32
#define SPARK_COLUMNS 48

static const struct {
	const char *name, *json;
	bool rate;
} figures[FIGURES] = {
    [FIGURE_AVAILABLE] = {"available", "available_bytes", false},
    [FIGURE_ACTUAL] = {"actual", "actual_bytes", false},
    [FIGURE_USED] = {"used", "used_bytes", false},
    [FIGURE_CACHE] = {"cache", "cache_bytes", false},
    [FIGURE_WANT] = {"want", "want_bytes", false},
    [FIGURE_RSS] = {"rss", "rss_bytes", false},
    [FIGURE_SWAP_IN] = {"swap-in", "swap_in_bytes_per_second", true},
    [FIGURE_FAULTS] = {"faults", "major_faults_per_second", true},
};

const char *timeline_figure_name(enum figure figure)
{
	return figures[figure].name;
}

/* ---- reading ---- */

enum bucket_level timeline_level(uint64_t since_s)
{
	enum bucket_level level = BUCKET_MINUTE;

	while (level + 1 < BUCKET_LEVELS && since_s > (uint64_t)BUCKET_KEPT(level) * BUCKET_SPAN_S(level))
		level++;
	return level;
}

static int order_of_moves(const void *a, const void *b)
{
	const struct history_move *one = a, *other = b;

	return one->wall_ms < other->wall_ms ? -1 : one->wall_ms > other->wall_ms;
}

int timeline_read(int dir, const char *uuid, uint64_t since_s, uint64_t until_s, struct timeline *ret_timeline)
{
	struct timeline t = {.level = timeline_level(since_s)};
	int fd = history_open(dir, uuid), r;
	uint32_t last = bucket_number(t.level, until_s);

	if (fd < 0)
		return fd;
	t.n = (uint32_t)min_u64(
	    min_u64((since_s + BUCKET_SPAN_S(t.level) - 1) / BUCKET_SPAN_S(t.level), BUCKET_KEPT(t.level)), last);
	t.first = last - t.n + 1;
	t.bucket = calloc(t.n + 1, sizeof(*t.bucket));
	r = t.bucket ? history_read(fd, t.level, t.first, t.n, t.bucket) : -ENOMEM;
	t.move = calloc(HISTORY_MOVES, sizeof(*t.move));
	if (!r)
		r = t.move ? history_read_moves(fd, t.move, &t.n_moves) : -ENOMEM;
	if (!r)
		qsort(t.move, t.n_moves, sizeof(*t.move), order_of_moves);
	if (!r)
		r = history_read_name(fd, t.name);
	if (strcmp(uuid, HISTORY_HOST) != 0)
		snprintf(t.uuid, sizeof(t.uuid), "%s", uuid);
	close(fd);
	if (r)
		timeline_clear(&t);
	else
		*ret_timeline = t;
	return r;
}

void timeline_clear(struct timeline *t)
{
	free(t->bucket);
	free(t->move);
	*t = (struct timeline){.n = 0};
}

uint64_t timeline_begin_s(const struct timeline *t, uint32_t i)
{
	return (uint64_t)(t->first + i) * BUCKET_SPAN_S(t->level);
}

bool timeline_has_move(const struct timeline *t, const struct history_move *move)
{
	return move->wall_ms / 1000 >= timeline_begin_s(t, 0) && move->wall_ms / 1000 < timeline_begin_s(t, t->n);
}

static struct bucket sum_up(const struct timeline *t, uint32_t from, uint32_t to)
{
	struct bucket all = {.number = 0};

	for (uint32_t i = from; i < to; i++) {
		if (!t->bucket[i].number)
			continue;
		bucket_fold(&all, &t->bucket[i], t->level);
		all.number = t->bucket[i].number;
	}
	return all;
}

struct bucket timeline_total(const struct timeline *t)
{
	return sum_up(t, 0, t->n);
}

bool timeline_has(const struct timeline *t)
{
	return timeline_total(t).number;
}

/* ---- text ---- */

static uint64_t scale_of(const struct timeline *t, enum figure figure)
{
	const struct bucket all = timeline_total(t);
	uint64_t most = all.figure[figure].most;

	for (enum figure i = FIGURE_ACTUAL; i <= FIGURE_RSS; i++)
		if (!figures[figure].rate && figure != FIGURE_AVAILABLE)
			most = max_u64(most, all.figure[i].most);
	return most;
}

char *timeline_spark(char *spark, size_t columns, const struct timeline *t, enum figure figure, bool utf8)
{
	static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	static const char *const letters[] = {"_", ".", "-", "=", "+", "*", "#", "@"};
	uint64_t most = scale_of(t, figure);
	char *end = spark;

	columns = min_u64(columns, t->n);
	for (size_t i = 0; i < columns; i++) {
		const struct bucket b =
		    sum_up(t, (uint32_t)((uint64_t)t->n * i / columns), (uint32_t)((uint64_t)t->n * (i + 1) / columns));
		const struct bucket_figure *f = &b.figure[figure];
		uint64_t value = figures[figure].rate ? f->most : bucket_mean(f);
		uint64_t step = most ? min_u64(scale_u64(value, 8, most), 7) : 0;

		end = stpcpy(end, !f->n ? " " : (utf8 ? blocks : letters)[step]);
	}
	*end = '\0';
	return spark;
}

struct figure_row {
	const struct timeline *t;
	enum figure figure;
	struct bucket_figure all;
	uint64_t now;
	bool has_now;
	char spark[3 * SPARK_COLUMNS + 1];
};

static struct cell figure_cell(enum figure figure, bool known, uint64_t value)
{
	return (struct cell){.kind = !known                    ? CELL_NONE
	                             : figure == FIGURE_FAULTS ? CELL_NUMBER
	                                                       : CELL_KIB,
	                     .number = value};
}

#define ROW_CELL(column, expression) COLUMN_CELL(row_##column, const struct figure_row *row, expression)

ROW_CELL(name, cell_text(row->t->name))
ROW_CELL(figure, cell_text(timeline_figure_name(row->figure)))
ROW_CELL(least, figure_cell(row->figure, true, row->all.least))
ROW_CELL(mean, figure_cell(row->figure, true, bucket_mean(&row->all)))
ROW_CELL(most, figure_cell(row->figure, true, row->all.most))
ROW_CELL(now, figure_cell(row->figure, row->has_now, row->now))
ROW_CELL(spark, cell_text(row->spark))

static const struct column row_columns[] = {
    {.name = "domain", .heading = "Domain", .get = row_name},
    {.name = "figure", .heading = "Figure", .get = row_figure},
    {.name = "least", .heading = "Least", .get = row_least},
    {.name = "mean", .heading = "Mean", .get = row_mean},
    {.name = "most", .heading = "Most", .get = row_most},
    {.name = "last", .heading = "Last", .get = row_now},
    {.name = "history", .heading = "History", .get = row_spark},
    {.name = NULL},
};

/* Returns how many rows were filled. */
static size_t fill_rows(const struct timeline *t, struct figure_row row[FIGURES])
{
	const struct bucket all = timeline_total(t);
	const struct bucket *last = &t->bucket[all.number ? all.number - t->first : 0];
	size_t n = 0;

	for (enum figure i = 0; i < FIGURES; i++) {
		if (!all.figure[i].n)
			continue;
		row[n] = (struct figure_row){.t = t,
		                             .figure = i,
		                             .all = all.figure[i],
		                             .now = bucket_mean(&last->figure[i]),
		                             .has_now = last->figure[i].n};
		timeline_spark(row[n++].spark, SPARK_COLUMNS, t, i, text_is_utf8());
	}
	return n;
}

/* "2026-11-28 14:03" here. */
static const char *local_time(char text[TIME_TEXT], uint64_t wall_s)
{
	time_t wall = (time_t)wall_s;
	struct tm parts;

	if (!localtime_r(&wall, &parts) || !strftime(text, TIME_TEXT, "%F %H:%M", &parts))
		*text = '\0';
	return text;
}

static void print_span(FILE *out, const struct timeline *t)
{
	char from[TIME_TEXT], until[TIME_TEXT], column[TEXT_AGE];
	uint32_t columns = (uint32_t)min_u64(t->n, SPARK_COLUMNS);

	text_age(column, sizeof(column), (uint64_t)t->n * BUCKET_SPAN_S(t->level) / max_u64(columns, 1));
	fprintf(out, "%s to %s; a column is %s\n\n", local_time(from, timeline_begin_s(t, 0)),
	        local_time(until, timeline_begin_s(t, t->n)), column);
}

static int print_figures(FILE *out, const struct timeline *t, size_t n, const struct table_style *style)
{
	struct figure_row *row = calloc(n * FIGURES + 1, sizeof(*row));
	size_t rows = 0;
	int r;

	if (!row)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		rows += fill_rows(&t[i], row + rows);
	if (n && !style->no_headings)
		print_span(out, t);
	r = table_write(out, row_columns, row, rows, sizeof(*row), style);
	free(row);
	return r;
}

/* ---- lines for scripts ---- */

struct bucket_row {
	const struct timeline *t;
	const struct bucket *b;
};

static struct cell mean_cell(const struct bucket_row *row, enum figure figure)
{
	const struct bucket_figure *f = &row->b->figure[figure];

	return figure_cell(figure, f->n, bucket_mean(f));
}

#define BUCKET_CELL(column, expression) COLUMN_CELL(bucket_##column, const struct bucket_row *row, expression)

BUCKET_CELL(name, cell_text(row->t->name))
BUCKET_CELL(time, cell_of(CELL_NUMBER, BUCKET_SPAN_S(row->t->level) * (uint64_t)row->b->number))
BUCKET_CELL(available, mean_cell(row, FIGURE_AVAILABLE))
BUCKET_CELL(actual, mean_cell(row, FIGURE_ACTUAL))
BUCKET_CELL(used, mean_cell(row, FIGURE_USED))
BUCKET_CELL(cache, mean_cell(row, FIGURE_CACHE))
BUCKET_CELL(want, mean_cell(row, FIGURE_WANT))
BUCKET_CELL(rss, mean_cell(row, FIGURE_RSS))
BUCKET_CELL(swap_in, mean_cell(row, FIGURE_SWAP_IN))
BUCKET_CELL(faults, mean_cell(row, FIGURE_FAULTS))

static const struct column bucket_columns[] = {
    {.name = "domain", .heading = "Domain", .get = bucket_name},
    {.name = "time", .heading = "Time", .get = bucket_time},
    {.name = "available", .heading = "Available", .get = bucket_available},
    {.name = "actual", .heading = "Actual", .get = bucket_actual},
    {.name = "used", .heading = "Used", .get = bucket_used},
    {.name = "cache", .heading = "Cache", .get = bucket_cache},
    {.name = "want", .heading = "Want", .get = bucket_want},
    {.name = "rss", .heading = "RSS", .get = bucket_rss},
    {.name = "swap-in", .heading = "Swap-in", .get = bucket_swap_in},
    {.name = "faults", .heading = "Faults", .get = bucket_faults},
    {.name = NULL},
};

static int print_buckets(FILE *out, const struct timeline *t, size_t n, const struct table_style *style)
{
	struct bucket_row *row;
	size_t room = 0, rows = 0;
	int r;

	for (size_t i = 0; i < n; i++)
		room += t[i].n;
	row = calloc(room + 1, sizeof(*row));
	if (!row)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < t[i].n; k++)
			if (t[i].bucket[k].number)
				row[rows++] = (struct bucket_row){&t[i], &t[i].bucket[k]};
	r = table_write(out, bucket_columns, row, rows, sizeof(*row), style);
	free(row);
	return r;
}

int timeline_table(FILE *out, const struct timeline *t, size_t n, const struct table_style *style)
{
	return (style->form == TABLE_ALIGNED ? print_figures : print_buckets)(out, t, n, style);
}

/* ---- JSON ---- */

static void write_value(struct json *j, const char *key, enum figure figure, uint64_t value)
{
	if (figure == FIGURE_FAULTS)
		json_number(j, key, value);
	else
		json_bytes(j, key, value);
}

static void write_reasons(struct json *j, uint32_t reasons)
{
	json_array(j, "reasons");
	for (enum reason i = REASON_NONE + 1; i < REASON_COUNT; i++)
		if (reasons & 1u << i)
			json_string(j, NULL, reason_word(i));
	json_end_array(j);
}

static void write_bucket(struct json *j, const struct timeline *t, const struct bucket *b)
{
	json_object(j, NULL);
	json_number(j, "time_seconds", (uint64_t)b->number * BUCKET_SPAN_S(t->level));
	for (enum figure i = 0; i < FIGURES; i++) {
		if (!b->figure[i].n)
			continue;
		json_object(j, figures[i].json);
		write_value(j, "least", i, b->figure[i].least);
		write_value(j, "mean", i, bucket_mean(&b->figure[i]));
		write_value(j, "most", i, b->figure[i].most);
		json_end_object(j);
	}
	write_reasons(j, b->reasons);
	json_end_object(j);
}

static void write_move(struct json *j, const struct history_move *m)
{
	json_object(j, NULL);
	json_decimal(j, "time_seconds", m->wall_ms, 3);
	json_string(j, "program", m->by_guard ? "memguard" : "membalance");
	json_bytes(j, "from_bytes", m->from_kib);
	json_bytes(j, "asked_bytes", m->asked_kib);
	if (m->has_reached)
		json_bytes(j, "reached_bytes", m->reached_kib);
	else
		json_null(j, "reached_bytes");
	json_string(j, "reason", reason_word(m->reason));
	json_end_object(j);
}

/* The members of an object that the caller opened. */
static void write_timeline(struct json *j, const struct timeline *t)
{
	json_array(j, "buckets");
	for (uint32_t i = 0; i < t->n; i++)
		if (t->bucket[i].number)
			write_bucket(j, t, &t->bucket[i]);
	json_end_array(j);
	if (!*t->uuid)
		return;
	json_array(j, "moves");
	for (size_t i = 0; i < t->n_moves; i++)
		if (timeline_has_move(t, &t->move[i]))
			write_move(j, &t->move[i]);
	json_end_array(j);
}

void timeline_json(FILE *out, const struct timeline *t, size_t n, uint64_t until_s)
{
	struct json j;

	json_begin(&j, out, "memsched.history/1");
	json_number(&j, "until_seconds", until_s);
	if (n)
		json_number(&j, "bucket_seconds", BUCKET_SPAN_S(t->level));
	for (size_t i = 0; i < n; i++) {
		if (*t[i].uuid)
			continue;
		json_object(&j, "host");
		write_timeline(&j, &t[i]);
		json_end_object(&j);
	}
	json_array(&j, "domains");
	for (size_t i = 0; i < n; i++) {
		if (!*t[i].uuid)
			continue;
		json_object(&j, NULL);
		json_string(&j, "name", t[i].name);
		json_string(&j, "uuid", t[i].uuid);
		write_timeline(&j, &t[i]);
		json_end_object(&j);
	}
	json_end_array(&j);
	json_end_object(&j);
}

/* ---- sentences ---- */

static void explain_move(FILE *out, const struct history_move *m, uint64_t at_s)
{
	char clock[TEXT_CLOCK], from[TEXT_SIZE], asked[TEXT_SIZE], reached[TEXT_SIZE] = "";

	text_clock(clock, sizeof(clock), m->wall_ms / 1000, at_s);
	text_size(from, sizeof(from), m->from_kib);
	text_size(asked, sizeof(asked), m->asked_kib);
	if (m->has_reached)
		text_size(reached, sizeof(reached), m->reached_kib);
	fprintf(out, "at %s %s asked it to go from %s to %s (%s)%s%s\n", clock, m->by_guard ? "memguard" : "a pass",
	        from, asked, reason_word(m->reason), m->has_reached ? ", and it reached " : "", reached);
}

static void explain_bucket(FILE *out, const struct timeline *t, const struct bucket *b)
{
	char size[TEXT_SIZE], from[TIME_TEXT];
	const char *before = ": ";

	fprintf(out, "in the %s that began at %s",
	        t->level == BUCKET_MINUTE    ? "minute"
	        : t->level == BUCKET_QUARTER ? "quarter of an hour"
	                                     : "day",
	        local_time(from, (uint64_t)b->number * BUCKET_SPAN_S(t->level)));
	for (enum figure i = 0; i < FIGURES; i++) {
		uint64_t mean = bucket_mean(&b->figure[i]);

		if (!b->figure[i].n || (figures[i].rate && !mean))
			continue;
		if (i == FIGURE_FAULTS)
			fprintf(out, "%s%s %" PRIu64 "/s", before, figures[i].name, mean);
		else
			fprintf(out, "%s%s %s%s", before, figures[i].name, text_size(size, sizeof(size), mean),
			        figures[i].rate ? "/s" : "");
		before = ", ";
	}
	for (enum reason i = REASON_NONE + 1; i < REASON_COUNT; i++) {
		if (!(b->reasons & 1u << i))
			continue;
		fprintf(out, "%s%s", before[0] == ';' ? ", " : "; reasons: ", reason_word(i));
		before = ";";
	}
	putc('\n', out);
}

void timeline_explain(FILE *out, const struct timeline *t, uint64_t at_s)
{
	const struct history_move *before = NULL, *after = NULL;
	uint32_t number = bucket_number(t->level, at_s);
	const struct bucket *b = number - t->first < t->n ? &t->bucket[number - t->first] : NULL;

	for (size_t i = 0; i < t->n_moves; i++)
		if (t->move[i].wall_ms / 1000 <= at_s)
			before = &t->move[i];
		else if (!after)
			after = &t->move[i];
	if (b && b->number)
		explain_bucket(out, t, b);
	else
		fputs("there is no record of that time\n", out);
	if (before)
		explain_move(out, before, at_s);
	else if (*t->uuid)
		fputs("no earlier command to it is known\n", out);
	if (after)
		explain_move(out, after, at_s);
}
