/* SPDX-License-Identifier: MIT */
#include "cli/sparks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/pool.h"
#include "base/text.h"
#include "show/timeline.h"

#define SINCE_S UINT64_C(86400)
#define MINUTE_MS 60000 /* the history has more only then */
#define POLL_MS 50
#define SLOW_MS 1000 /* a disk that has not answered by then is asked about less often */

struct spark {
	char uuid[UUID_TEXT];
	char text[3 * SPARKS_COLUMNS + 1];
};

struct sparks_batch {
	const char *root, *uri;
	size_t n;
	struct spark spark[];
};

static void read_spark(int dir, uint64_t now_s, struct spark *spark)
{
	struct timeline t;

	if (timeline_read(dir, spark->uuid, SINCE_S, now_s, &t))
		return;
	if (timeline_has(&t))
		timeline_spark(spark->text, SPARKS_COLUMNS, &t, FIGURE_USED, text_is_utf8());
	timeline_clear(&t);
}

static int read_batch(void *arg)
{
	struct sparks_batch *b = arg;
	int dir = history_dir(b->root, b->uri, false);

	for (size_t i = 0; i < b->n && dir >= 0; i++)
		read_spark(dir, clock_ms(CLOCK_REALTIME) / 1000, &b->spark[i]);
	fd_close(&dir);
	return 0;
}

static void begin_reading(struct sparks *s, const struct guest *guest, size_t n, uint64_t now_ms)
{
	struct sparks_batch *b = calloc(1, sizeof(*b) + n * sizeof(*b->spark));

	s->began_ms = now_ms;
	if (!b)
		return;
	*b = (struct sparks_batch){.root = s->root, .uri = s->uri, .n = n};
	for (size_t i = 0; i < n; i++)
		memcpy(b->spark[i].uuid, guest[i].uuid, UUID_TEXT);
	if (task_start(read_batch, free, b, &s->task))
		free(b);
	else
		s->reading = b;
}

static void finish_reading(struct sparks *s)
{
	if (!s->task || task_result(s->task) == -EINPROGRESS)
		return;
	task_free(s->task);
	s->task = NULL;
	free(s->known);
	s->known = s->reading;
}

/* NULL: it was not read. */
static const char *find_line(const struct sparks *s, const char *uuid)
{
	for (size_t i = 0; s->known && i < s->known->n; i++)
		if (strcmp(s->known->spark[i].uuid, uuid) == 0)
			return s->known->spark[i].text;
	return NULL;
}

static bool is_any_known(const struct sparks *s)
{
	for (size_t i = 0; s->known && i < s->known->n; i++)
		if (*s->known->spark[i].text)
			return true;
	return false;
}

const char *const *sparks_show(struct sparks *s, const struct guest *guest, size_t n, uint64_t now_ms)
{
	const char **line = reallocarray(s->line, n + 1, sizeof(*line));
	bool missing = false;

	if (!line)
		return NULL;
	s->line = line;
	finish_reading(s);
	for (size_t i = 0; i < n; i++) {
		line[i] = find_line(s, guest[i].uuid);
		missing |= !line[i];
		line[i] = line[i] ? line[i] : "";
	}
	if (!s->task && n && (missing || clock_is_due(s->began_ms, now_ms, MINUTE_MS)))
		begin_reading(s, guest, n, now_ms);
	return is_any_known(s) ? line : NULL;
}

uint64_t sparks_wake_ms(const struct sparks *s, uint64_t now_ms)
{
	if (!s->task)
		return UINT64_MAX;
	return now_ms + (now_ms - s->began_ms < SLOW_MS ? POLL_MS : SLOW_MS);
}

void sparks_end(struct sparks *s)
{
	if (s->task && task_free(s->task))
		free(s->reading);
	free(s->known);
	free(s->line);
	*s = (struct sparks){.root = s->root, .uri = s->uri};
}
