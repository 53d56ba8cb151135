/* SPDX-License-Identifier: MIT */
#include "show/picture.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "base/units.h"

/* The picture, and the part of it that time and size are drawn in. So large that whole numbers do: a fraction would
 * have the decimal point of the locale, which SVG does not know. */
#define WIDTH UINT64_C(9600)
#define HEIGHT UINT64_C(3600)
#define LEFT UINT64_C(800)
#define RIGHT UINT64_C(9400)
#define TOP UINT64_C(500)
#define BOTTOM UINT64_C(3000)
#define GRID_ROWS 4
#define GRID_COLUMNS 6

static const char style[] =
    "<style>\n"
    "svg{--back:#fff;--ink:#222;--faint:#ddd;--actual:#c9ddf5;--used:#6c9fe0;--want:#d97706;--rss:#7c3aed;"
    "--available:#15803d;--alarm:#dc2626;font:120px sans-serif}\n"
    "@media(prefers-color-scheme:dark){svg{--back:#16181d;--ink:#ddd;--faint:#33363d;--actual:#23395a;"
    "--used:#3b6fb6;--want:#f59e0b;--rss:#a78bfa;--available:#4ade80;--alarm:#f87171}}\n"
    ".back{fill:var(--back)}.ink{fill:var(--ink)}.grid{stroke:var(--faint);stroke-width:8}\n"
    ".actual{fill:var(--actual)}.used{fill:var(--used)}.want,.rss,.available{fill:none;stroke-width:15}\n"
    ".want{stroke:var(--want)}.rss{stroke:var(--rss);stroke-dasharray:40 30}.available{stroke:var(--available)}\n"
    ".move{fill:var(--ink)}.alarm{fill:var(--alarm)}.title{font-size:160px}\n"
    "</style>\n";

/* The reasons that need attention. */
static const enum reason alarms[] = {REASON_DISTRESS,        REASON_STUCK,        REASON_NO_GAIN, REASON_UNRESPONSIVE,
                                     REASON_SHARED_SHORTAGE, REASON_HOST_RESERVE, REASON_FAILED,  REASON_STALE_STATS};
#define N_ALARMS (sizeof(alarms) / sizeof(*alarms))

struct picture {
	FILE *out;
	const struct timeline *t;
	uint64_t most; /* at the top */
};

static uint64_t x_of(const struct picture *p, uint64_t wall_s)
{
	return LEFT + scale_u64(RIGHT - LEFT, sat_sub(wall_s, timeline_begin_s(p->t, 0)),
	                        (uint64_t)p->t->n * BUCKET_SPAN_S(p->t->level));
}

static uint64_t y_of(const struct picture *p, uint64_t value)
{
	return BOTTOM - scale_u64(BOTTOM - TOP, min_u64(value, p->most), p->most);
}

/* The left end of a bucket. */
static uint64_t left_of(const struct picture *p, uint32_t i)
{
	return x_of(p, timeline_begin_s(p->t, i));
}

static bool is_seen(const struct picture *p, uint32_t i, enum figure figure)
{
	return i < p->t->n && p->t->bucket[i].figure[figure].n;
}

/* The points of the buckets from first on in which the figure is known, as a path; returns the one after the last. */
static uint32_t write_points(const struct picture *p, enum figure figure, uint32_t first, char begin)
{
	uint32_t i = first;

	for (; is_seen(p, i, figure); i++) {
		uint64_t y = y_of(p, bucket_mean(&p->t->bucket[i].figure[figure]));

		fprintf(p->out, "%c%" PRIu64 " %" PRIu64 "H%" PRIu64, i == first ? begin : 'L', left_of(p, i), y,
		        left_of(p, i + 1));
	}
	return i;
}

/* Gaps stay gaps. */
static void write_line(const struct picture *p, enum figure figure)
{
	fprintf(p->out, "<path class=\"%s\" d=\"", timeline_figure_name(figure));
	for (uint32_t i = 0; i < p->t->n; i++)
		if (is_seen(p, i, figure))
			i = write_points(p, figure, i, 'M');
	fprintf(p->out, "\"/>\n");
}

static void write_area(const struct picture *p, enum figure figure)
{
	fprintf(p->out, "<path class=\"%s\" d=\"", timeline_figure_name(figure));
	for (uint32_t i = 0; i < p->t->n; i++) {
		if (!is_seen(p, i, figure))
			continue;
		fprintf(p->out, "M%" PRIu64 " %" PRIu64, left_of(p, i), BOTTOM);
		i = write_points(p, figure, i, 'L');
		fprintf(p->out, "V%" PRIu64 "z", BOTTOM);
	}
	fprintf(p->out, "\"/>\n");
}

/* ---- title, axes and legend ---- */

static void write_text(const struct picture *p, uint64_t x, uint64_t y, const char *anchor, const char *words)
{
	fprintf(p->out, "<text class=\"ink\" x=\"%" PRIu64 "\" y=\"%" PRIu64 "\" text-anchor=\"%s\">%s</text>\n", x, y,
	        anchor, words);
}

static void write_sizes(const struct picture *p)
{
	char words[TEXT_SIZE];

	for (unsigned i = 0; i <= GRID_ROWS; i++) {
		uint64_t value = scale_u64(p->most, i, GRID_ROWS), y = y_of(p, value);

		fprintf(p->out, "<path class=\"grid\" d=\"M%" PRIu64 " %" PRIu64 "H%" PRIu64 "\"/>", LEFT, y, RIGHT);
		write_text(p, LEFT - 60, y + 40, "end", text_size(words, sizeof(words), value));
	}
}

static void write_times(const struct picture *p)
{
	uint64_t span_s = (uint64_t)p->t->n * BUCKET_SPAN_S(p->t->level), begin_s = timeline_begin_s(p->t, 0);
	bool long_ago = span_s > UINT64_C(3) * 86400;
	char words[64];

	for (unsigned i = 0; i <= GRID_COLUMNS; i++) {
		uint64_t wall_s = begin_s + span_s * i / GRID_COLUMNS;
		time_t wall = (time_t)wall_s;
		struct tm parts;

		if (localtime_r(&wall, &parts) && (long_ago ? strftime(words, sizeof(words), "%F", &parts)
		                                            : strftime(words, sizeof(words), "%m-%d %H:%M", &parts)))
			write_text(p, x_of(p, wall_s), BOTTOM + 180, i < GRID_COLUMNS ? "middle" : "end", words);
	}
}

static void write_key(const struct picture *p, const bool *has)
{
	static const enum figure shown[] = {FIGURE_ACTUAL, FIGURE_USED, FIGURE_WANT, FIGURE_RSS, FIGURE_AVAILABLE};
	uint64_t x = LEFT;

	for (size_t i = 0; i < sizeof(shown) / sizeof(*shown); i++) {
		const char *name = timeline_figure_name(shown[i]);

		if (!has[shown[i]])
			continue;
		fprintf(p->out, "<path class=\"%s\" d=\"M%" PRIu64 " %" PRIu64 "h140v60h-140z\"/>", name, x,
		        HEIGHT - 250);
		write_text(p, x + 200, HEIGHT - 180, "start", name);
		x += 1100;
	}
}

/* ---- marks ---- */

static void write_moves(const struct picture *p)
{
	char from[TEXT_SIZE], asked[TEXT_SIZE];

	for (size_t i = 0; i < p->t->n_moves; i++) {
		const struct history_move *m = &p->t->move[i];
		bool grows = m->asked_kib >= m->from_kib;

		if (!timeline_has_move(p->t, m))
			continue;
		fprintf(p->out,
		        "<path class=\"move\" d=\"M%" PRIu64 " %" PRIu64
		        "l-30 %dh60z\"><title>%s%s to %s (%s)</title></path>\n",
		        x_of(p, m->wall_ms / 1000), grows ? TOP - 120 : TOP - 60, grows ? 60 : -60,
		        m->by_guard ? "memguard: " : "", text_size(from, sizeof(from), m->from_kib),
		        text_size(asked, sizeof(asked), m->asked_kib), reason_word(m->reason));
	}
}

static void write_alarms(const struct picture *p)
{
	for (uint32_t i = 0; i < p->t->n; i++)
		for (size_t k = 0; k < N_ALARMS; k++)
			if (p->t->bucket[i].reasons & 1u << alarms[k])
				fprintf(p->out,
				        "<rect class=\"alarm\" x=\"%" PRIu64 "\" y=\"%" PRIu64 "\" width=\"%" PRIu64
				        "\" height=\"40\"><title>%s</title></rect>\n",
				        left_of(p, i), BOTTOM, left_of(p, i + 1) - left_of(p, i) + 1,
				        reason_word(alarms[k]));
}

static int write_title(const struct picture *p)
{
	char *name = text_escaped(p->t->name, true, "&<>\"'");

	if (!name)
		return -ENOMEM;
	fprintf(p->out, "<title>%s</title>\n<text class=\"ink title\" x=\"%" PRIu64 "\" y=\"240\">%s</text>\n", name,
	        LEFT, name);
	free(name);
	return 0;
}

int picture_write(FILE *out, const struct timeline *t)
{
	const struct bucket all = timeline_total(t);
	struct picture p = {.out = out, .t = t, .most = 1};
	bool has[FIGURES];
	int r;

	for (enum figure i = 0; i < FIGURES; i++) {
		has[i] = all.figure[i].n && i != FIGURE_SWAP_IN && i != FIGURE_FAULTS && i != FIGURE_CACHE;
		if (has[i])
			p.most = max_u64(p.most, all.figure[i].most);
	}
	fprintf(out,
	        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %" PRIu64 " %" PRIu64
	        "\" role=\"img\">\n%s<rect class=\"back\" width=\"%" PRIu64 "\" height=\"%" PRIu64 "\"/>\n",
	        WIDTH, HEIGHT, style, WIDTH, HEIGHT);
	r = write_title(&p);
	for (enum figure i = FIGURE_ACTUAL; i <= FIGURE_USED; i++)
		if (has[i])
			write_area(&p, i);
	write_sizes(&p);
	write_times(&p);
	for (enum figure i = 0; i < FIGURES; i++)
		if (has[i] && i != FIGURE_ACTUAL && i != FIGURE_USED)
			write_line(&p, i);
	write_moves(&p);
	write_alarms(&p);
	write_key(&p, has);
	fputs("</svg>\n", out);
	return r;
}
