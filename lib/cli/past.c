/* SPDX-License-Identifier: MIT */
#include "cli/past.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"
#include "base/units.h"
#include "cli/say.h"
#include "show/advice.h"
#include "show/picture.h"

#define SINCE_S UINT64_C(86400)

/* ---- times ---- */

int past_since_parse(const char *text, uint64_t *ret_since_s)
{
	static const struct {
		char letter;
		uint64_t unit_s;
	} units[] = {{'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 7 * 86400}, {'y', 365 * 86400}};
	size_t length = strlen(text);
	char digits[16];
	uint64_t number;

	if (length < 2 || length > sizeof(digits))
		return -EINVAL;
	memcpy(digits, text, length - 1);
	digits[length - 1] = '\0';
	if (number_parse(digits, UINT32_MAX, &number))
		return -EINVAL;
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		uint64_t since_s = number * units[i].unit_s;

		if (text[length - 1] != units[i].letter)
			continue;
		if (!number || since_s > (uint64_t)BUCKET_KEPT(BUCKET_DAY) * BUCKET_SPAN_S(BUCKET_DAY))
			return -ERANGE;
		*ret_since_s = since_s;
		return 0;
	}
	return -EINVAL;
}

int past_at_parse(const char *text, uint64_t now_s, uint64_t *ret_at_s)
{
	static const char *const forms[] = {"%H:%M", "%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S",
	                                    "%Y-%m-%dT%H:%M"};
	time_t now = (time_t)now_s, at;
	const char *end = NULL;
	struct tm parts;
	size_t i = 0;

	for (; i < sizeof(forms) / sizeof(*forms) && !(end && !*end); i++) {
		if (!localtime_r(&now, &parts))
			return -EINVAL;
		parts.tm_sec = 0;
		end = strptime(text, forms[i], &parts);
	}
	if (!end || *end)
		return -EINVAL;
	parts.tm_isdst = -1;
	at = mktime(&parts);
	if (at > now && i <= 2) { /* a time of day that is still to come: yesterday's */
		parts.tm_mday--;
		parts.tm_isdst = -1;
		at = mktime(&parts);
	}
	if (at < 0)
		return -EINVAL;
	*ret_at_s = (uint64_t)at;
	return 0;
}

/* ---- whose ---- */

struct showing {
	const struct program *program;
	const struct past_asked *asked;
	struct timeline *timeline; /* guests by name, the host last */
	size_t n;
	uint64_t now_s;
	int unread; /* -errno of a file that could not be read, beside which the others are shown; 0: all could */
};

static int order_of_timelines(const void *a, const void *b)
{
	const struct timeline *one = a, *other = b;

	if (!*one->uuid != !*other->uuid)
		return *one->uuid ? -1 : 1;
	return strcmp(one->name, other->name);
}

static bool is_named(const struct timeline *t, const char *operand)
{
	return strcmp(operand, t->name) == 0 || (*t->uuid && text_same(operand, t->uuid));
}

static bool is_wanted(const struct showing *p, const struct timeline *t)
{
	bool wanted = !*p->asked->operand && (!(p->asked->svg || p->asked->at) || !*t->uuid);

	for (char **o = p->asked->operand; *o; o++)
		wanted |= is_named(t, *o);
	return wanted && (timeline_has(t) || *p->asked->operand);
}

/* A file that is damaged is as none, and so is one that was removed just now. */
static int read_one(struct showing *p, int dir, const char *uuid, uint64_t since_s)
{
	struct timeline *more = reallocarray(p->timeline, p->n + 1, sizeof(*more));
	int r;

	if (!more)
		return -ENOMEM;
	p->timeline = more;
	r = timeline_read(dir, uuid, since_s, p->now_s, &more[p->n]);
	if (r == -ENOENT || r == -EBADMSG)
		return 0;
	if (r) {
		p->unread = r;
		return r == -ENOMEM ? r : 0;
	}
	if (is_wanted(p, &more[p->n]))
		p->n++;
	else
		timeline_clear(&more[p->n]);
	return 0;
}

static int read_all(struct showing *p, int dir, uint64_t since_s)
{
	char(*uuid)[UUID_TEXT] = NULL;
	size_t n = 0;
	int r = history_list(dir, &uuid, &n);

	for (size_t i = 0; i < n && !r; i++)
		r = read_one(p, dir, uuid[i], since_s);
	if (!r)
		r = read_one(p, dir, HISTORY_HOST, since_s);
	free(uuid);
	if (p->n)
		qsort(p->timeline, p->n, sizeof(*p->timeline), order_of_timelines);
	return r;
}

static int say_missing(const struct showing *p)
{
	int code = EXIT_DONE;
	char name[256];

	for (char **o = p->asked->operand; *o; o++) {
		bool found = false;

		for (size_t i = 0; i < p->n; i++)
			found |= is_named(&p->timeline[i], *o);
		if (found)
			continue;
		say_error(p->program, "no history of '%s'", text_escape(name, sizeof(name), *o, text_is_utf8()));
		code = EXIT_FAILED;
	}
	if (!p->n && !code) {
		say_error(p->program, "there is no history yet: membalance writes it");
		code = EXIT_FAILED;
	}
	return code;
}

/* ---- output ---- */

static int write_picture(const struct showing *p)
{
	const char *path = p->asked->svg;
	struct memfile m;
	char escaped[256];
	int r;

	if (p->n != 1) {
		say_error(p->program, "'--svg' draws one guest or the host, but %zu have these names", p->n);
		return EXIT_USAGE;
	}
	r = memfile_open(&m) ? picture_write(m.out, p->timeline) : -ENOMEM;
	if (m.out && memfile_close(&m))
		r = -ENOMEM;
	if (!r)
		r = file_publish(path, m.text, m.length);
	free(m.text);
	if (r)
		say_error(p->program, "cannot write '%s': %s",
		          text_escape(escaped, sizeof(escaped), path, text_is_utf8()), file_words(r));
	return r ? EXIT_FAILED : EXIT_DONE;
}

static int show_timelines(const struct showing *p, uint64_t at_s)
{
	char name[HISTORY_NAME * 4 + 1];
	int r = 0;

	if (p->asked->svg)
		return write_picture(p);
	if (p->asked->advise)
		r = advice_report(stdout, p->timeline, p->n, p->now_s, p->asked->style, p->asked->json);
	else if (p->asked->json)
		timeline_json(stdout, p->timeline, p->n, p->now_s);
	else if (!p->asked->at)
		r = timeline_table(stdout, p->timeline, p->n, p->asked->style);
	for (size_t i = 0; i < p->n && p->asked->at; i++) {
		printf("%s: ", text_escape(name, sizeof(name), p->timeline[i].name, text_is_utf8()));
		timeline_explain(stdout, &p->timeline[i], at_s);
	}
	if (r)
		say_error(p->program, "cannot print the whole result: %s", strerror(-r));
	return r ? EXIT_FAILED : EXIT_DONE;
}

static int refuse_value(const struct program *program, const char *value, const char *option, const char *form)
{
	char escaped[256];

	say_error(program, "bad value '%s' for '--%s': must be %s",
	          text_escape(escaped, sizeof(escaped), value, text_is_utf8()), option, form);
	return EXIT_USAGE;
}

static int say_unread(const struct showing *p, const char *root)
{
	char escaped[256];

	say_error(p->program, "cannot read %s'%s/var/lib/memsched/history': %s", p->n ? "all of " : "",
	          text_escape(escaped, sizeof(escaped), root, text_is_utf8()), file_words(p->unread));
	return EXIT_FAILED;
}

static int open_and_show(struct showing *p, const char *root, const char *uri, uint64_t since_s, uint64_t at_s)
{
	int dir = history_dir(root, uri, false), r = dir < 0 ? dir : read_all(p, dir, since_s), code;

	fd_close(&dir);
	if (r && r != -ENOENT)
		p->unread = r;
	code = p->unread ? say_unread(p, root) : say_missing(p);
	if (p->n) {
		r = show_timelines(p, at_s);
		code = r ? r : code;
	}
	return code;
}

int past_show(const struct program *program, const struct conf *conf, const char *root, const struct past_asked *asked)
{
	struct showing p = {.program = program, .asked = asked, .now_s = clock_ms(CLOCK_REALTIME) / 1000};
	uint64_t since_s = SINCE_S, at_s = 0;
	int code;

	if (asked->since && past_since_parse(asked->since, &since_s))
		return refuse_value(program, asked->since, "since",
		                    "a time such as 30m, 2h, 3d, 4w or 2y, at most 2 years");
	if (asked->at && (past_at_parse(asked->at, p.now_s, &at_s) || at_s > p.now_s))
		return refuse_value(program, asked->at, "at", "a past time such as 03:00 or '2026-11-28 03:00'");
	if (asked->advise)
		since_s = ADVICE_SINCE_S;
	if (asked->at)
		since_s = max_u64(p.now_s - at_s, 1) + BUCKET_SPAN_S(BUCKET_MINUTE);
	code = open_and_show(&p, root, conf->uri, since_s, at_s);
	for (size_t i = 0; i < p.n; i++)
		timeline_clear(&p.timeline[i]);
	free(p.timeline);
	return code;
}
