/* SPDX-License-Identifier: MIT */
#include "show/limits.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"
#include "host/section.h"

#define TEXT_LIMIT 32
#define TEXT_SOURCE 320

/* In the largest unit that leaves a whole number. */
static const char *exact_size(char text[TEXT_LIMIT], uint64_t kib)
{
	static const char *const units[] = {"KiB", "MiB", "GiB"};
	size_t unit = 0;

	for (; kib && kib % 1024 == 0 && unit < 2; unit++)
		kib /= 1024;
	snprintf(text, TEXT_LIMIT, "%" PRIu64 "%s", kib, units[unit]);
	return text;
}

static const char *general_source(const struct conf *conf, const char *name)
{
	const struct conf_key *key = conf_keys();
	const struct conf_origin *origin;

	while (strcmp(key->name, name) != 0)
		key++;
	origin = &conf->origin[key - conf_keys()];
	return !origin->value ? "default" : origin->where ? origin->where : "option";
}

/* Of a value that metadata or a section gives; NULL: neither does. */
static const char *own_source(const struct conf *conf, const struct guest *g, enum hint hint, bool given)
{
	if (g->hints.configured & 1U << hint)
		return section_of(conf, g->name, hint)->origin[hint].where;
	return given ? "metadata" : NULL;
}

static void write_limit(FILE *out, enum hint hint, const char *value, const char *source)
{
	int width = fprintf(out, "%s = %s", section_keys[hint].name, value);

	fprintf(out, "%*s # from %s\n", width < 30 ? 30 - width : 0, "", source);
}

static void write_size(FILE *out, enum hint hint, uint64_t kib, const char *source)
{
	char value[TEXT_LIMIT];

	write_limit(out, hint, exact_size(value, kib), source);
}

static const char *min_source(const struct conf *conf, const struct guest *g, char text[TEXT_SOURCE])
{
	const char *own = own_source(conf, g, HINT_MIN, g->hints.has_min);
	char maximum[TEXT_SIZE];

	if (own)
		return own;
	snprintf(text, TEXT_SOURCE, "default for its maximum of %s",
	         text_size(maximum, sizeof(maximum), g->device.maximum_kib));
	return text;
}

static const char *max_source(const struct conf *conf, const struct guest *g)
{
	const char *own = own_source(conf, g, HINT_MAX, g->hints.has_max);

	if (own && g->plan.ceil_kib == g->hints.max_kib)
		return own;
	return g->plan.ceil_kib < g->device.maximum_kib ? "its hard limit" : "its maximum";
}

static const char *managed_source(const struct conf *conf, const struct guest *g)
{
	const struct conf_section *section = section_of(conf, g->name, HINT_MANAGED);

	if (conf_excludes(conf, g->name))
		return general_source(conf, "exclude");
	if (g->hints.has_managed)
		return "metadata";
	return section ? section->origin[HINT_MANAGED].where : "default";
}

void limits_report(FILE *out, const struct conf *conf, const struct guest *g)
{
	const char *weight = own_source(conf, g, HINT_WEIGHT, g->hints.has_weight);
	const char *target = own_source(conf, g, HINT_TARGET, g->hints.has_target);
	bool managed = !g->excluded && !g->hints.opted_out;
	char text[TEXT_SOURCE], number[TEXT_DECIMAL];

	fprintf(out, "[guest %s]\n", text_escape(text, sizeof(text), g->name, text_is_utf8()));
	write_size(out, HINT_MIN, g->plan.floor_kib, min_source(conf, g, text));
	write_size(out, HINT_MAX, g->plan.ceil_kib, max_source(conf, g));
	write_limit(out, HINT_WEIGHT, text_decimal(number, sizeof(number), weight_of(g), 0),
	            weight ? weight : "default");
	write_size(out, HINT_TARGET, g->target_kib, target ? target : general_source(conf, "target"));
	write_limit(out, HINT_MANAGED, managed ? "yes" : "no", managed_source(conf, g));
}
