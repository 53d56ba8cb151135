/* SPDX-License-Identifier: MIT */
#include "host/complaints.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"

#define TEXT_BYTES 320
#define FILE_BYTES (2 * COMPLAINTS_MAX * (TEXT_BYTES + 48))

static struct complaint *find_complaint(struct complaints *c, uint64_t key)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->list[i].key == key)
			return &c->list[i];
	return NULL;
}

/* NULL: there is no room. */
static struct complaint *add_complaint(struct complaints *c, uint64_t key, uint64_t now_s, const char *text)
{
	struct complaint *new = &c->list[c->n];

	if (c->n == COMPLAINTS_MAX)
		return NULL;
	*new = (struct complaint){.key = key, .since_s = now_s, .said_s = now_s, .text = strndup(text, TEXT_BYTES - 1)};
	if (!new->text)
		return NULL;
	for (char *newline = new->text; (newline = strchr(newline, '\n'));)
		*newline = ' ';
	c->n++;
	return new;
}

void complaints_clear(struct complaints *c)
{
	for (size_t i = 0; i < c->n; i++)
		free(c->list[i].text);
	*c = (struct complaints){.each_time = c->each_time};
}

/* ---- the file ---- */

/* The first line of a complaint has the time when it appeared, a second one when it was said last. A line that does not
 * parse is forgotten: its complaint is said again. */
static void read_lines(struct complaints *c, char *text)
{
	char *line;

	while ((line = strsep(&text, "\n")) && text) {
		const char *key_text = strsep(&line, " ");
		const char *said_text = line ? strsep(&line, " ") : NULL;
		struct complaint *known;
		uint64_t key, said_s;

		if (!line || number_parse(key_text, UINT64_MAX, &key) || number_parse(said_text, UINT64_MAX, &said_s))
			continue;
		known = find_complaint(c, key);
		if (known)
			known->said_s = said_s;
		else
			add_complaint(c, key, said_s, line);
	}
}

int complaints_load(struct complaints *c, struct registry *r)
{
	char *text = r ? malloc(FILE_BYTES) : NULL;
	int error = text ? registry_read(r, "said", text, FILE_BYTES) : r ? -ENOMEM : -ENOENT;

	complaints_clear(c);
	c->registry = r;
	if (!error)
		read_lines(c, text);
	free(text);
	return error == -ENOENT ? 0 : error;
}

static int write_lines(const struct complaints *c)
{
	char *text = malloc(FILE_BYTES);
	size_t used = 0;
	int error;

	if (!text)
		return -ENOMEM;
	for (size_t i = 0; i < c->n; i++) {
		const struct complaint *l = &c->list[i];
		const uint64_t times[] = {l->since_s, l->said_s};

		for (int k = 0; k < (l->said_s != l->since_s) + 1; k++)
			used += (size_t)snprintf(text + used, FILE_BYTES - used, "%" PRIu64 " %" PRIu64 " %s\n", l->key,
			                         times[k], l->text);
	}
	error = registry_write(c->registry, "said", text, used);
	free(text);
	return error;
}

/* ---- messages ---- */

bool complaints_raise(struct complaints *c, const char *key, const char *text, uint64_t now_s, uint64_t again_s)
{
	uint64_t hash = text_hash(key);
	struct complaint *known = find_complaint(c, hash);
	bool due = !known || now_s - known->said_s >= again_s;

	if (!known)
		known = add_complaint(c, hash, now_s, text);
	if (!known)
		return true;
	if (due)
		known->said_s = now_s;
	c->unwritten |= due;
	known->raised = true;
	return due || c->each_time;
}

void complaints_keep(struct complaints *c, const char *key)
{
	struct complaint *known = find_complaint(c, text_hash(key));

	if (known)
		known->raised = true;
}

void complaints_keep_all(struct complaints *c)
{
	for (size_t i = 0; i < c->n; i++)
		c->list[i].raised = true;
}

void complaints_end(struct complaints *c, uint64_t now_s,
                    void (*resolved)(const void *arg, const char *text, uint64_t lasted_s), const void *arg)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->n; i++) {
		struct complaint l = c->list[i];

		if (l.raised) {
			l.raised = false;
			c->list[kept++] = l;
			continue;
		}
		resolved(arg, l.text, sat_sub(now_s, l.since_s));
		free(l.text);
		c->unwritten = true;
	}
	c->n = kept;
	if (c->unwritten)
		c->unwritten = c->registry && write_lines(c) != 0;
}
