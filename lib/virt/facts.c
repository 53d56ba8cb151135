/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "virt/facts.h"

#define OLD_MS 1 /* as the time of a reading: read again next time */

struct fact {
	char uuid[UUID_TEXT];
	int64_t domain_id;
	uint64_t read_ms; /* 0: the XML was not read */
	bool hung;
	struct device device;
	struct hints hints;
};

static int fact_order(const void *a, const void *b)
{
	return strcmp(((const struct fact *)a)->uuid, ((const struct fact *)b)->uuid);
}

static struct fact *facts_find(const struct facts *f, const struct guest *g)
{
	struct fact key = {.domain_id = g->domain_id}, *found = NULL;

	memcpy(key.uuid, g->uuid, sizeof(key.uuid));
	if (f->n)
		found = bsearch(&key, f->fact, f->n, sizeof(key), fact_order);
	return found && found->domain_id == g->domain_id ? found : NULL;
}

void facts_recall(const struct facts *f, struct guest *g)
{
	const struct fact *found = facts_find(f, g);

	g->facts_ms = 0;
	if (!found || !found->read_ms)
		return;
	g->facts_ms = g->migrating ? OLD_MS : found->read_ms; /* that may be over */
	g->device = found->device;
	g->hints = found->hints;
}

bool facts_was_hung(const struct facts *f, const struct guest *g)
{
	const struct fact *found = facts_find(f, g);

	return found && found->hung;
}

void facts_remember(struct facts *f, const struct guest *g, size_t n)
{
	struct fact *fact = reallocarray(f->fact, n + 1, sizeof(*fact));

	f->n = 0;
	if (!fact)
		return;
	f->fact = fact;
	for (size_t i = 0; i < n; i++, g++) {
		if (!g->facts_ms && !g->hung)
			continue;
		fact[f->n] = (struct fact){.domain_id = g->domain_id,
		                           .read_ms = g->facts_ms && g->migrating ? OLD_MS : g->facts_ms,
		                           .hung = g->hung,
		                           .device = g->device,
		                           .hints = g->hints};
		memcpy(fact[f->n++].uuid, g->uuid, sizeof(fact->uuid));
	}
	if (f->n)
		qsort(fact, f->n, sizeof(*fact), fact_order);
}

void facts_forget(struct facts *f, const struct guest *g)
{
	struct fact *found = facts_find(f, g);

	if (found && found->read_ms)
		found->read_ms = OLD_MS;
}

void facts_clear(struct facts *f)
{
	free(f->fact);
	*f = (struct facts){.n = 0};
}
