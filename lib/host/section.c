/* SPDX-License-Identifier: MIT */
#include "host/section.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"
#include "plan/policy.h"

#define WEIGHT_MOST 10000

/* ---- keys ---- */

static int weight_set(const struct conf_key *key, const char *value, void *slot)
{
	uint64_t weight;
	int r = number_parse(value, WEIGHT_MOST, &weight);

	(void)key;
	if (r == 0 && weight == 0)
		return -ERANGE;
	if (r == 0)
		*(uint32_t *)slot = (uint32_t)weight;
	return r;
}

#define AMOUNT(most)                                                                                                   \
	"a size such as 512MiB, or a percentage of the guest's maximum such as 10% (at least 1MiB, at most " most ")", \
	    conf_set_amount, "1MiB", most, NULL
#define ONE_OF(words, set) words, set, NULL, NULL, NULL

const struct conf_key section_keys[] = {
    [HINT_MIN] = {"min", "", "the guest is never taken below it", AMOUNT("100%"), offsetof(struct conf_section, min)},
    [HINT_MAX] = {"max", "", "the guest is never given more", AMOUNT("100%"), offsetof(struct conf_section, max)},
    [HINT_WEIGHT] = {"weight", "100", "its part if there is not enough for all",
                     ONE_OF("a whole number from 1 to 10000", weight_set), offsetof(struct conf_section, weight)},
    [HINT_TARGET] = {"target", "", "headroom it should have", AMOUNT("90%"), offsetof(struct conf_section, target)},
    [HINT_MANAGED] = {"managed", "yes", "no: it is left alone", ONE_OF("yes or no", conf_set_yes_no),
                      offsetof(struct conf_section, managed)},
    [HINT_COUNT] = {.name = NULL},
};

/* ---- sections ---- */

struct conf_section *section_new(const char *patterns, struct conf_section *before)
{
	struct conf_section *section = calloc(1, sizeof(*section));

	if (section && !(section->patterns = strdup(patterns))) {
		free(section);
		return NULL;
	}
	if (section)
		section->before = before;
	return section;
}

void section_free(struct conf_section *section)
{
	while (section) {
		struct conf_section *before = section->before;

		for (size_t i = 0; i < HINT_COUNT; i++)
			conf_origin_clear(&section->origin[i]);
		free(section->patterns);
		free(section);
		section = before;
	}
}

const struct conf_section *section_of(const struct conf *conf, const char *name, enum hint hint)
{
	const struct conf_section *section = conf->section;

	while (section && !(section->origin[hint].value && conf_matches(section->patterns, name)))
		section = section->before;
	return section;
}

/* ---- the hints of a guest ---- */

static uint64_t amount_kib(const struct amount *amount, uint64_t maximum_kib)
{
	uint64_t kib = amount->pct ? scale_u64(maximum_kib, amount->pct, 100) : amount->kib;

	return maximum_kib ? min_u64(kib, maximum_kib) : kib;
}

void sections_undo(struct hints *h)
{
	if (h->configured & 1 << HINT_MIN)
		h->has_min = false, h->min_kib = 0;
	if (h->configured & 1 << HINT_MAX)
		h->has_max = false, h->max_kib = 0;
	if (h->configured & 1 << HINT_TARGET)
		h->has_target = false, h->target_kib = 0;
	if (h->configured & 1 << HINT_WEIGHT)
		h->weight = WEIGHT_DEFAULT;
	h->configured = 0;
}

/* A size of 0 is none: the section removes the value of an earlier one. */
static void adopt_size(const struct conf *conf, struct guest *g, enum hint hint, bool *has, uint64_t *ret_kib)
{
	const struct conf_section *section = *has ? NULL : section_of(conf, g->name, hint);
	uint64_t kib;

	if (!section)
		return;
	kib =
	    amount_kib((const struct amount *)((const char *)section + section_keys[hint].slot), g->device.maximum_kib);
	if (!kib)
		return;
	*has = true;
	*ret_kib = kib;
	g->hints.configured |= 1U << hint;
}

static void adopt_weight(const struct conf *conf, struct guest *g)
{
	const struct conf_section *section = g->hints.has_weight ? NULL : section_of(conf, g->name, HINT_WEIGHT);

	if (!section)
		return;
	g->hints.weight = section->weight;
	g->hints.configured |= 1 << HINT_WEIGHT;
}

static bool is_excluded(const struct conf *conf, const struct guest *g)
{
	const struct conf_section *section = g->hints.has_managed ? NULL : section_of(conf, g->name, HINT_MANAGED);

	return conf_excludes(conf, g->name) || (section && !section->managed);
}

static void add_fault(struct hints *h, const char *sentence)
{
	for (unsigned i = 0; i < h->n_faults; i++)
		if (!strcmp(h->fault[i], sentence))
			return;
	if (h->n_faults < HINT_FAULTS)
		text_copy(h->fault[h->n_faults++], HINT_FAULT_TEXT, sentence);
}

/* It holds, as in metadata. */
static void note_low_min(const struct conf *conf, struct guest *g)
{
	uint64_t floor_kib = policy_floor_kib(g->device.maximum_kib);
	char name[96], min[TEXT_SIZE], floor[TEXT_SIZE], sentence[HINT_FAULT_TEXT + 512];

	if (!(g->hints.configured & 1 << HINT_MIN) || !g->device.maximum_kib || g->hints.min_kib >= floor_kib)
		return;
	snprintf(sentence, sizeof(sentence),
	         "domain '%s': min is %s, less than a guest of this size keeps without it (%s): %s",
	         text_escape(name, sizeof(name), g->name, text_is_utf8()),
	         text_size(min, sizeof(min), g->hints.min_kib), text_size(floor, sizeof(floor), floor_kib),
	         section_of(conf, g->name, HINT_MIN)->origin[HINT_MIN].where);
	add_fault(&g->hints, sentence);
}

/* As with hints: a guest with too much memory costs the others something, a guest with too little dies. */
static void drop_low_max(const struct conf *conf, struct guest *g)
{
	uint64_t floor_kib = policy_floor_kib(g->device.maximum_kib);
	struct hints *h = &g->hints;
	bool below_min = h->has_min && h->max_kib < h->min_kib;
	char name[96], max[TEXT_SIZE], least[TEXT_SIZE], sentence[HINT_FAULT_TEXT + 512];

	if (!(h->configured & 1 << HINT_MAX) || (!below_min && h->max_kib >= floor_kib))
		return;
	snprintf(sentence, sizeof(sentence), "domain '%s': max %s is ignored: below %s (%s): %s",
	         text_escape(name, sizeof(name), g->name, text_is_utf8()), text_size(max, sizeof(max), h->max_kib),
	         below_min ? "its min" : "the least a guest of this size keeps",
	         text_size(least, sizeof(least), below_min ? h->min_kib : floor_kib),
	         section_of(conf, g->name, HINT_MAX)->origin[HINT_MAX].where);
	add_fault(h, sentence);
	h->has_max = false;
	h->max_kib = 0;
	h->configured &= ~(1U << HINT_MAX);
}

void sections_apply(const struct conf *conf, struct guest *g)
{
	struct hints *h = &g->hints;

	sections_undo(h);
	g->excluded = is_excluded(conf, g);
	adopt_size(conf, g, HINT_MIN, &h->has_min, &h->min_kib);
	adopt_size(conf, g, HINT_MAX, &h->has_max, &h->max_kib);
	adopt_size(conf, g, HINT_TARGET, &h->has_target, &h->target_kib);
	adopt_weight(conf, g);
	note_low_min(conf, g);
	drop_low_max(conf, g);
	g->target_kib =
	    h->has_target ? max_u64(h->target_kib, KIB_PER_MIB) : conf_target_kib(conf, g->device.maximum_kib);
}
