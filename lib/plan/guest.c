/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "plan/guest.h"

int guest_order(const void *a, const void *b)
{
	return strcmp(((const struct guest *)a)->name, ((const struct guest *)b)->name);
}

uint64_t device_start_kib(const struct device *d)
{
	bool whole = d->locked || d->passthrough || d->preallocated || d->bare || !d->current_kib;

	if (d->hugepages)
		return QEMU_START_KIB;
	return sat_add(whole ? d->maximum_kib : d->current_kib, QEMU_START_KIB);
}

bool guest_facts_due(const struct guest *g, uint64_t maximum_kib, uint64_t now_ms)
{
	return !g->facts_ms || now_ms >= g->facts_ms + FACTS_MS ||
	       (maximum_kib && maximum_kib != g->device.maximum_kib + g->device.outside_kib);
}

void guest_clear(struct guest *g)
{
	free(g->name);
	free(g->order.words);
	*g = (struct guest){.name = NULL};
}

void guests_free(struct guest *g, size_t n)
{
	for (size_t i = 0; i < n; i++)
		guest_clear(&g[i]);
	free(g);
}

static const char *const reason_words[] = {
    [REASON_NONE] = "none",
    [REASON_BELOW_TARGET] = "below-target",
    [REASON_ABOVE_TARGET] = "above-target",
    [REASON_AT_TARGET] = "at-target",
    [REASON_AT_MIN] = "at-min",
    [REASON_AT_MAX] = "at-max",
    [REASON_GROWING] = "growing",
    [REASON_PAGE_CACHE] = "page-cache",
    [REASON_PLENTY] = "plenty",
    [REASON_DISTRESS] = "distress",
    [REASON_BOOTING] = "booting",
    [REASON_STALE_STATS] = "stale-stats",
    [REASON_NO_STATS] = "no-stats",
    [REASON_NO_BALLOON] = "no-balloon",
    [REASON_NO_DRIVER] = "no-driver",
    [REASON_STUCK] = "stuck",
    [REASON_NO_GAIN] = "no-gain",
    [REASON_UNRESPONSIVE] = "unresponsive",
    [REASON_PAUSED] = "paused",
    [REASON_MIGRATING] = "migrating",
    [REASON_PINNED] = "pinned",
    [REASON_HUGEPAGES] = "hugepages",
    [REASON_PASSTHROUGH] = "passthrough",
    [REASON_OPTED_OUT] = "opted-out",
    [REASON_EXCLUDED] = "excluded",
    [REASON_HOST_RESERVE] = "host-reserve",
    [REASON_SHARED_SHORTAGE] = "shared-shortage",
    [REASON_NO_GIVE] = "no-give",
    [REASON_VANISHED] = "vanished",
    [REASON_FAILED] = "failed",
};
static_assert(COUNT(reason_words) == REASON_COUNT, "a word for each reason");

const char *reason_word(enum reason reason)
{
	return (unsigned)reason < REASON_COUNT ? reason_words[reason] : reason_words[REASON_NONE];
}

static const char *const run_state_words[] = {
    [RUN_NOSTATE] = "no state", [RUN_RUNNING] = "running",         [RUN_BLOCKED] = "idle",
    [RUN_PAUSED] = "paused",    [RUN_SHUTDOWN] = "in shutdown",    [RUN_SHUTOFF] = "shut off",
    [RUN_CRASHED] = "crashed",  [RUN_PMSUSPENDED] = "pmsuspended",
};
static_assert(COUNT(run_state_words) == RUN_COUNT, "a word for each state");

const char *run_state_word(enum run_state state)
{
	return (unsigned)state < RUN_COUNT ? run_state_words[state] : run_state_words[RUN_NOSTATE];
}
