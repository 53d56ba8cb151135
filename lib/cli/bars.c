/* SPDX-License-Identifier: MIT */
#include "cli/bars.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"
#include "cli/sparks.h"

#define NAME_LEAST 8
#define NAME_TAIL 7 /* columns of its end that stay when it is cut */
#define BAR_LEAST 8
#define REASON_WIDTH 12          /* of nearly every word, so that bars keep their length when reasons change */
#define STATUS_ROWS 10           /* a lower terminal has no line for it */
#define MESSAGE_MOST 3           /* lines */
#define PRESSURE_WARN_CENTI 1000 /* tasks stall for a tenth of their time */

#define FORMS 4

/* What is drawn; words in several forms, longest first, of which the first that fits is taken. */
struct glyphs {
	const char *used, *free, *away, *unknown, *mark, *dots;
	const char *legend[FORMS], *keys[FORMS];
};

static const struct glyphs ascii_glyphs = {
    "#",
    "=",
    ".",
    "-",
    "|",
    "...",
    {"# used  = free  . ballooned away", "# used = free . away", "#used =free .away", ""},
    {"q quit  s sort  Up Down PgUp PgDn scroll", "q quit  s sort", "q quit", ""},
};
static const struct glyphs utf8_glyphs = {
    "█",
    "░",
    "·",
    "─",
    "│",
    "…",
    {"█ used  ░ free  · ballooned away", "█ used ░ free · away", "█used ░free ·away", ""},
    {"q quit  s sort  ↑↓ PgUp PgDn scroll", "q quit  s sort", "q quit", ""},
};

static const char *form_that_fits(const char *const forms[FORMS], size_t width)
{
	size_t i = 0;

	while (i < FORMS - 1 && text_width(forms[i]) > width)
		i++;
	return forms[i];
}

static const struct glyphs *glyphs_of(const struct bars_view *view)
{
	return view->utf8 ? &utf8_glyphs : &ascii_glyphs;
}

/* ---- a pen that stays on its line ---- */

struct pen {
	FILE *out;
	const struct bars_view *view;
	const struct glyphs *glyph;
	size_t left; /* columns of this line */
};

enum ink { INK_PLAIN, INK_STRONG, INK_FAINT, INK_GOOD, INK_WARN, INK_BAD };

static void pen_ink(struct pen *p, enum ink ink)
{
	static const char *const codes[] = {"", "\033[1m", "\033[2m", "\033[32m", "\033[33m", "\033[31m"};

	if (p->view->color)
		fprintf(p->out, "%s", ink == INK_PLAIN ? "\033[0m" : codes[ink]);
}

static void pen_end_line(struct pen *p)
{
	fputc('\n', p->out);
	p->left = p->view->columns;
}

static void pen_blanks(struct pen *p, size_t n)
{
	n = n < p->left ? n : p->left;
	fprintf(p->out, "%*s", (int)n, "");
	p->left -= n;
}

static void pen_repeat(struct pen *p, const char *glyph, size_t n)
{
	for (; n > 0 && p->left > 0; n--, p->left--)
		fputs(glyph, p->out);
}

/* Writes what fits in width columns, and dots where something is cut. Returns the columns that it took. */
static size_t pen_fit(struct pen *p, const char *text, size_t width)
{
	size_t most = width < p->left ? width : p->left, taken = 0, bytes = text_prefix(text, most, &taken);
	const char *dots = "";

	if (text[bytes] && text_width(p->glyph->dots) <= most) {
		dots = p->glyph->dots;
		bytes = text_prefix(text, most - text_width(dots), &taken);
	}
	fprintf(p->out, "%.*s%s", (int)bytes, text, dots);
	taken += text_width(dots);
	p->left -= taken;
	return taken;
}

static void pen_left(struct pen *p, const char *text, size_t width)
{
	pen_blanks(p, width - pen_fit(p, text, width));
}

static void pen_right(struct pen *p, const char *text, size_t width)
{
	size_t needed = text_width(text);

	pen_blanks(p, width > needed ? width - needed : 0);
	pen_fit(p, text, width);
}

/* Cut in the middle: the ends tell instance-0000001a and instance-0000001b apart. */
static void pen_name(struct pen *p, const char *name, size_t width)
{
	size_t dots = text_width(p->glyph->dots), taken = 0, bytes;

	if (text_width(name) > width && width >= dots + 2) {
		size_t tail = min_u64(NAME_TAIL, (width - dots) / 2);

		bytes = text_prefix(name, width - dots - tail, &taken);
		fprintf(p->out, "%.*s%s", (int)bytes, name, p->glyph->dots);
		p->left -= taken + dots;
		width -= taken + dots;
		name = text_suffix(name, tail);
	}
	pen_left(p, name, width);
}

/* ---- figures of a guest ---- */

static bool actual_of(const struct guest *g, uint64_t *ret_kib)
{
	*ret_kib = g->sample.actual_kib;
	return g->answered && g->sample.have & SAMPLE_ACTUAL;
}

static bool used_of(const struct guest *g, uint64_t *ret_kib)
{
	*ret_kib = g->est.used_kib;
	return g->est.has_used;
}

static bool free_of(const struct guest *g, uint64_t *ret_kib)
{
	*ret_kib = g->est.free_kib;
	return g->est.has_used;
}

static bool maximum_of(const struct guest *g, uint64_t *ret_kib)
{
	*ret_kib = g->device.maximum_kib;
	return g->device.maximum_kib;
}

static bool want_of(const struct guest *g, uint64_t *ret_kib)
{
	*ret_kib = g->plan.want_kib;
	return !g->plan.fixed;
}

/* From how many columns on a layout is used, and the figures that it shows. */
enum { NARROW = 30, MEDIUM = 72, WIDE = 100 };

static const struct figure {
	const char *heading;
	size_t width;
	unsigned columns; /* shown from this layout on */
	bool (*get)(const struct guest *g, uint64_t *ret_kib);
} figures[] = {
    {"Used", 5, MEDIUM, used_of},       {"Free", 5, WIDE, free_of},   {"Actual", 6, NARROW, actual_of},
    {"Maximum", 7, MEDIUM, maximum_of}, {"Want", 5, MEDIUM, want_of},
};

static enum ink ink_of(const struct guest *g)
{
	static const enum ink inks[REASON_COUNT] = {
	    [REASON_BELOW_TARGET] = INK_WARN, [REASON_GROWING] = INK_WARN,     [REASON_NO_GIVE] = INK_WARN,
	    [REASON_STALE_STATS] = INK_WARN,  [REASON_HOST_RESERVE] = INK_BAD, [REASON_SHARED_SHORTAGE] = INK_BAD,
	    [REASON_DISTRESS] = INK_BAD,      [REASON_STUCK] = INK_BAD,        [REASON_NO_GAIN] = INK_BAD,
	    [REASON_UNRESPONSIVE] = INK_BAD,  [REASON_FAILED] = INK_BAD,
	};
	enum ink ink = (unsigned)g->plan.reason < REASON_COUNT ? inks[g->plan.reason] : INK_PLAIN;

	return ink == INK_PLAIN ? INK_GOOD : ink;
}

/* ---- order ---- */

static const char *order_word(const struct bars_view *view)
{
	static const char *const words[BARS_AS_GIVEN] = {"name", "used", "free", "want", "reason"};

	return view->order < BARS_AS_GIVEN ? words[view->order] : view->given;
}

static int64_t key_used(const struct guest *g)
{
	uint64_t kib;

	return used_of(g, &kib) ? -(int64_t)kib : INT64_MAX;
}

static int64_t key_free(const struct guest *g)
{
	uint64_t kib;

	return free_of(g, &kib) ? (int64_t)kib : INT64_MAX;
}

static int64_t key_want(const struct guest *g)
{
	uint64_t want_kib, actual_kib;

	if (!want_of(g, &want_kib) || !actual_of(g, &actual_kib))
		return INT64_MAX;
	return (int64_t)actual_kib - (int64_t)want_kib;
}

static int64_t key_reason(const struct guest *g)
{
	return -(int64_t)ink_of(g) * REASON_COUNT + g->plan.reason;
}

static int by_order(const void *a, const void *b, void *arg)
{
	static int64_t (*const keys[BARS_AS_GIVEN])(const struct guest *g) = {NULL, key_used, key_free, key_want,
	                                                                      key_reason};
	int64_t (*key)(const struct guest *g) = keys[*(const enum bars_order *)arg];
	const struct guest *first = a, *second = b;

	if (key && key(first) != key(second))
		return key(first) < key(second) ? -1 : 1;
	return strcmp(first->name, second->name);
}

void bars_sort(struct balance_report *report, enum bars_order order)
{
	if (order < BARS_AS_GIVEN && report->n > 0)
		qsort_r(report->guest, report->n, sizeof(*report->guest), by_order, &order);
}

/* ---- which lines ---- */

struct frame {
	bool status, host, figures, gap, heading, footer;
	unsigned message; /* lines */
	size_t room;      /* lines for guests */
};

/* The bytes of a text's first line, ended at a blank where there is one near; *ret_next is where the next begins. */
static size_t first_line(const char *text, size_t columns, const char **ret_next)
{
	size_t width, n = text_prefix(text, columns, &width);
	const char *blank = text[n] ? memrchr(text, ' ', n + 1) : NULL;

	if (blank && (size_t)(blank - text) > n / 2)
		n = (size_t)(blank - text);
	*ret_next = text + n + (text[n] == ' ');
	return n;
}

static unsigned message_lines(const struct bars_view *view)
{
	unsigned lines = 0, most = view->rows < 12 ? 1 : MESSAGE_MOST;

	for (const char *text = view->message ? view->message : ""; *text && lines < most; lines++)
		first_line(text, view->columns, &text);
	return lines;
}

static struct frame frame_of(const struct bars_view *view, const struct balance_report *report)
{
	struct frame frame = {
	    .status = report && view->status && view->rows >= STATUS_ROWS,
	    .host = report && view->rows >= 2,
	    .message = !report || view->rows >= 3 ? message_lines(view) : 0,
	    .figures = report && view->rows >= 6,
	    .heading = report && view->rows >= 7,
	    .footer = view->rows >= 9,
	};
	unsigned others;

	frame.gap = report && !frame.message && view->rows >= 14;
	others = frame.status + frame.host + frame.message + frame.figures + frame.heading + frame.gap;
	if (view->rows >= 3 && report && report->n > view->rows - others)
		frame.footer = true;
	frame.room = sat_sub(view->rows, others + frame.footer);
	return frame;
}

size_t bars_room(const struct bars_view *view, const struct balance_report *report)
{
	return frame_of(view, report).room;
}

/* ---- how wide ---- */

struct layout {
	size_t name, bar, spark, reason; /* in columns; spark and reason 0: not shown */
};

static char *name_of(const struct guest *g, bool utf8)
{
	size_t size = 4 * strlen(g->name) + 1;
	char *name = malloc(size);

	return name ? text_escape(name, size, g->name, utf8) : NULL;
}

static size_t name_width(const struct bars_view *view, const struct balance_report *report)
{
	size_t width = NAME_LEAST, most = max_u64(NAME_LEAST, view->columns / 5);

	for (size_t i = 0; i < report->n && width < most; i++) {
		char *name = name_of(&report->guest[i], view->utf8);

		width = max_u64(width, name ? text_width(name) : 0);
		free(name);
	}
	return min_u64(width, most);
}

static size_t reason_width(const struct balance_report *report)
{
	size_t width = REASON_WIDTH;

	for (size_t i = 0; i < report->n; i++)
		width = max_u64(width, strlen(reason_word(report->guest[i].plan.reason)));
	return width;
}

static struct layout lay_out(const struct bars_view *view, const struct balance_report *report)
{
	struct layout layout = {
	    .name = name_width(view, report),
	    .spark = view->sparks && view->columns >= BARS_SPARKS_FROM ? SPARKS_COLUMNS : 0,
	    .reason = view->columns >= MEDIUM ? reason_width(report) : 0,
	};
	size_t others =
	    layout.name + 1 + (layout.spark ? 1 + layout.spark : 0) + (layout.reason ? 2 + layout.reason : 0);

	for (size_t i = 0; i < COUNT(figures); i++)
		others += view->columns >= figures[i].columns ? 1 + figures[i].width : 0;
	layout.bar = sat_sub(view->columns, others);
	return layout;
}

/* ---- lines ---- */

/* Which of width cells a size ends in: rounded, but what is there is seen. */
static size_t cells(uint64_t kib, uint64_t of_kib, size_t width)
{
	size_t n = of_kib ? (size_t)scale_u64(2 * min_u64(kib, of_kib), width, of_kib) : 0;

	return kib && !n ? 1 : (n + 1) / 2;
}

static void write_guest_bar(struct pen *p, const struct guest *g, size_t width)
{
	uint64_t actual_kib, used_kib, maximum_kib;
	bool has_used = used_of(g, &used_kib);
	size_t actual, used;

	if (!actual_of(g, &actual_kib) || !maximum_of(g, &maximum_kib)) {
		pen_blanks(p, width);
		return;
	}
	actual = cells(actual_kib, maximum_kib, width);
	used = has_used ? min_u64(cells(used_kib, maximum_kib, width), actual) : 0;
	pen_ink(p, ink_of(g));
	pen_repeat(p, p->glyph->used, used);
	pen_repeat(p, has_used ? p->glyph->free : p->glyph->unknown, actual - used);
	pen_ink(p, INK_PLAIN);
	pen_ink(p, INK_FAINT);
	pen_repeat(p, p->glyph->away, width - actual);
	pen_ink(p, INK_PLAIN);
}

static void write_beside(struct pen *p, size_t width, const char *text)
{
	pen_blanks(p, width ? 1 : 0);
	pen_left(p, text, width);
}

/* i: of the guests on the screen. */
static void write_guest(struct pen *p, const struct guest *g, size_t i, const struct layout *layout)
{
	char *name = name_of(g, p->view->utf8), size[TEXT_SIZE];
	uint64_t kib;

	pen_name(p, name ? name : "?", min_u64(layout->name, p->left));
	free(name);
	pen_blanks(p, 1);
	write_guest_bar(p, g, layout->bar);
	write_beside(p, layout->spark, layout->spark ? p->view->sparks[i] : "");
	for (size_t k = 0; k < COUNT(figures); k++) {
		if (p->view->columns < figures[k].columns)
			continue;
		pen_blanks(p, 1);
		pen_right(p, figures[k].get(g, &kib) ? text_size_short(size, sizeof(size), kib) : "-",
		          figures[k].width);
	}
	if (layout->reason) {
		pen_blanks(p, 2);
		pen_ink(p, ink_of(g));
		pen_fit(p, reason_word(g->plan.reason), layout->reason);
		pen_ink(p, INK_PLAIN);
	}
	pen_end_line(p);
}

static void write_heading(struct pen *p, const struct balance_report *report, const struct layout *layout)
{
	char guests[32];

	snprintf(guests, sizeof(guests), "%zu guest%s", report->n, report->n == 1 ? "" : "s");
	if (strlen(guests) > layout->name)
		snprintf(guests, sizeof(guests), "%zu", report->n);
	pen_ink(p, INK_STRONG);
	pen_left(p, guests, layout->name);
	pen_blanks(p, 1);
	pen_left(p, form_that_fits(p->glyph->legend, layout->bar), layout->bar);
	write_beside(p, layout->spark, "Used in 24 h");
	for (size_t i = 0; i < COUNT(figures); i++) {
		if (p->view->columns < figures[i].columns)
			continue;
		pen_blanks(p, 1);
		pen_right(p, figures[i].heading, figures[i].width);
	}
	if (layout->reason) {
		pen_blanks(p, 2);
		pen_fit(p, "Reason", layout->reason);
	}
	pen_ink(p, INK_PLAIN);
	pen_end_line(p);
}

static void write_status(struct pen *p)
{
	const struct bars_view *view = p->view;

	pen_fit(p, text_width(view->status) <= view->columns ? view->status : view->brief, p->left);
	pen_end_line(p);
}

static enum ink host_ink(const struct balance_report *report)
{
	if (report->host.available_kib < report->reserve_kib)
		return INK_BAD;
	return report->host.available_kib / 2 < report->reserve_kib ? INK_WARN : INK_GOOD;
}

/* The mark stands where use would begin to eat of the reserve. */
static void write_host_bar(struct pen *p, const struct balance_report *report, size_t width)
{
	uint64_t total_kib = report->host.total_kib;
	size_t used = cells(sat_sub(total_kib, report->host.available_kib), total_kib, width);
	size_t mark = total_kib ? scale_u64(sat_sub(total_kib, report->reserve_kib), width, total_kib) : 0;

	mark = width ? min_u64(mark, width - 1) : 0;
	pen_ink(p, host_ink(report));
	pen_repeat(p, p->glyph->used, min_u64(used, mark));
	pen_repeat(p, p->glyph->free, sat_sub(mark, used));
	pen_ink(p, INK_PLAIN);
	pen_ink(p, INK_STRONG);
	pen_repeat(p, p->glyph->mark, width ? 1 : 0);
	pen_ink(p, INK_PLAIN);
	pen_ink(p, host_ink(report));
	pen_repeat(p, p->glyph->used, sat_sub(used, mark + 1));
	pen_repeat(p, p->glyph->free, sat_sub(width, max_u64(used, mark + 1)));
	pen_ink(p, INK_PLAIN);
}

static void write_host(struct pen *p, const struct balance_report *report, const struct layout *layout)
{
	char used[TEXT_SIZE], total[TEXT_SIZE], words[2 * TEXT_SIZE + 16];
	uint64_t used_kib = sat_sub(report->host.total_kib, report->host.available_kib);
	size_t width;

	snprintf(words, sizeof(words), "%s of %s used", text_size_short(used, sizeof(used), used_kib),
	         text_size_short(total, sizeof(total), report->host.total_kib));
	if (layout->name + 1 + BAR_LEAST + 2 + strlen(words) > p->view->columns)
		words[0] = '\0';
	width = sat_sub(p->view->columns, layout->name + 1 + (*words ? 2 + strlen(words) : 0));
	pen_left(p, "Host", layout->name);
	pen_blanks(p, 1);
	write_host_bar(p, report, width);
	pen_blanks(p, 2);
	pen_fit(p, words, strlen(words));
	pen_end_line(p);
}

#define PIECES 8

struct piece {
	char text[48];
	enum ink ink;
};

static size_t add_size(struct piece *piece, size_t n, const char *word, uint64_t kib, enum ink ink)
{
	char size[TEXT_SIZE];

	snprintf(piece[n].text, sizeof(piece[n].text), "%s %s", word, text_size_short(size, sizeof(size), kib));
	piece[n].ink = ink;
	return n + 1;
}

static size_t add_pressure(struct piece *piece, size_t n, const struct host *h)
{
	if (!h->has_pressure)
		return n;
	snprintf(piece[n].text, sizeof(piece[n].text), "pressure %u.%02u%%", h->pressure_some_avg10_centi / 100,
	         h->pressure_some_avg10_centi % 100);
	piece[n].ink = h->pressure_some_avg10_centi >= PRESSURE_WARN_CENTI ? INK_WARN : INK_PLAIN;
	return n + 1;
}

/* What matters most first. */
static size_t host_pieces(const struct balance_report *report, struct piece piece[PIECES])
{
	const struct host *h = &report->host;
	enum ink ink = host_ink(report) == INK_GOOD ? INK_PLAIN : host_ink(report);
	size_t n = add_size(piece, 0, "available", h->available_kib, ink);

	if (report->budget.shortage_kib)
		n = add_size(piece, n, "short of", report->budget.shortage_kib, INK_BAD);
	n = add_size(piece, n, "reserve", report->reserve_kib, INK_PLAIN);
	n = add_pressure(piece, n, h);
	n = add_size(piece, n, "promised", report->budget.promised_kib, INK_PLAIN);
	n = add_size(piece, n, "free", h->free_kib, INK_PLAIN);
	n = add_size(piece, n, "buffers", h->buffers_kib, INK_PLAIN);
	return add_size(piece, n, "cached", h->cached_kib, INK_PLAIN);
}

/* Order and time stand at the right, where there is place for the first figure too. */
static void write_figures(struct pen *p, const struct balance_report *report)
{
	struct piece piece[PIECES];
	char right[64];
	size_t n = host_pieces(report, piece), reserved;

	snprintf(right, sizeof(right), "by %s  %s", order_word(p->view), p->view->clock);
	if (strlen(right) + strlen(piece[0].text) + 2 > p->left)
		snprintf(right, sizeof(right), "%s", p->view->clock);
	reserved = strlen(right) + strlen(piece[0].text) + 2 > p->left ? 0 : strlen(right);
	for (size_t i = 0; i < n && (i == 0 || strlen(piece[i].text) + 2 + reserved <= p->left); i++) {
		pen_ink(p, piece[i].ink);
		pen_fit(p, piece[i].text, sizeof(piece[i].text));
		pen_ink(p, INK_PLAIN);
		pen_blanks(p, 2);
	}
	if (reserved)
		pen_right(p, right, p->left);
	pen_end_line(p);
}

static void write_message(struct pen *p, unsigned lines)
{
	const char *text = p->view->message;

	for (; lines > 0; lines--) {
		const char *next;
		size_t n = first_line(text, p->left, &next);

		pen_ink(p, INK_WARN);
		if (lines > 1)
			fprintf(p->out, "%.*s", (int)n, text);
		else
			pen_fit(p, text, p->left);
		pen_ink(p, INK_PLAIN);
		pen_end_line(p);
		text = next;
	}
}

static void write_guests(struct pen *p, const struct balance_report *report, const struct layout *layout, size_t room)
{
	for (size_t i = 0; i < room; i++) {
		size_t at = p->view->first + i;

		if (at < report->n)
			write_guest(p, &report->guest[at], i, layout);
		else if (report->n || i)
			pen_end_line(p);
		else {
			pen_fit(p, p->view->no_guest, p->left);
			pen_end_line(p);
		}
	}
}

/* What is cut, and the keys as far as they fit. */
static void write_footer(struct pen *p, const struct balance_report *report, size_t room)
{
	size_t above = p->view->first, below = sat_sub(report ? report->n : 0, above + room);
	char cut[64] = "";

	if (below && above)
		snprintf(cut, sizeof(cut), "%s %zu more, %zu above", p->glyph->dots, below, above);
	else if (below || above)
		snprintf(cut, sizeof(cut), "%s %zu %s", p->glyph->dots, below + above, below ? "more" : "above");
	pen_ink(p, INK_STRONG);
	pen_fit(p, cut, p->left);
	pen_ink(p, INK_PLAIN);
	pen_ink(p, INK_FAINT);
	pen_right(p, form_that_fits(p->glyph->keys, sat_sub(p->left, 2)), p->left);
	pen_ink(p, INK_PLAIN);
	pen_end_line(p);
}

void bars_write(FILE *out, const struct bars_view *view, const struct balance_report *report)
{
	struct pen p = {.out = out, .view = view, .glyph = glyphs_of(view), .left = view->columns};
	struct frame frame = frame_of(view, report);
	struct layout layout = report ? lay_out(view, report) : (struct layout){0};

	if (frame.status)
		write_status(&p);
	if (frame.host)
		write_host(&p, report, &layout);
	if (frame.figures)
		write_figures(&p, report);
	write_message(&p, frame.message);
	if (frame.gap)
		pen_end_line(&p);
	if (frame.heading)
		write_heading(&p, report, &layout);
	if (report)
		write_guests(&p, report, &layout, frame.room);
	for (size_t i = 0; !report && i < frame.room; i++)
		pen_end_line(&p);
	if (frame.footer)
		write_footer(&p, report, frame.room);
}
