/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"
#include "host/section.h"

#define STRING_OF(x) #x
#define STRING(x) STRING_OF(x)

#define TARGET_KIB 150000
#define VALUE_MOST 4095u
#define BETWEEN_PATTERNS CONF_BLANK ","

int conf_set_amount(const struct conf_key *key, const char *value, void *slot)
{
	struct amount amount = {0};
	uint64_t least_kib = 0;
	uint32_t most_pct = 100;
	int r = 0;

	if (*value || *key->value)
		r = strchr(value, '%') ? percent_parse(value, &amount.pct) : size_parse(value, &amount.kib);
	if (r < 0)
		return r;
	size_parse(key->least, &least_kib);
	percent_parse(key->most, &most_pct);
	if (*value && (amount.pct ? amount.pct > most_pct : amount.kib < least_kib))
		return -ERANGE;
	*(struct amount *)slot = amount;
	return 0;
}

int conf_set_yes_no(const struct conf_key *key, const char *value, void *slot)
{
	bool yes = !strcmp(value, "yes");

	(void)key;
	if (!yes && strcmp(value, "no") != 0)
		return -EINVAL;
	*(bool *)slot = yes;
	return 0;
}

static int size_set(const struct conf_key *key, const char *value, void *slot)
{
	uint64_t kib, least_kib = 0;
	int r = size_parse(value, &kib);

	if (r < 0)
		return r;
	if (key->least)
		size_parse(key->least, &least_kib);
	if (kib < least_kib)
		return -ERANGE;
	*(uint64_t *)slot = kib;
	return 0;
}

static int duration_set(const struct conf_key *key, const char *value, void *slot)
{
	uint32_t ms, least_ms = 0, most_ms = 0;
	int r = duration_parse(value, &ms);

	if (r < 0)
		return r;
	duration_parse(key->least, &least_ms);
	duration_parse(key->most, &most_ms);
	if (ms < least_ms || ms > most_ms)
		return -ERANGE;
	*(uint32_t *)slot = ms;
	return 0;
}

/* libvirt counts the period of statistics in whole seconds. */
static int period_set(const struct conf_key *key, const char *value, void *slot)
{
	uint32_t ms = 0;
	int r = *value ? duration_set(key, value, &ms) : 0;

	if (r < 0)
		return r;
	if (ms % 1000 != 0)
		return -EINVAL;
	*(uint32_t *)slot = ms / 1000;
	return 0;
}

static int percent_set(const struct conf_key *key, const char *value, void *slot)
{
	(void)key;
	return percent_parse(value, slot);
}

static int take_set(const struct conf_key *key, const char *value, void *slot)
{
	static const char *const words[] = {[TAKE_IDLE] = "idle", [TAKE_NEEDED] = "needed"};

	(void)key;
	for (unsigned i = 0; i < COUNT(words); i++)
		if (strcmp(value, words[i]) == 0) {
			*(enum take *)slot = i;
			return 0;
		}
	return -EINVAL;
}

static bool is_file(const char *value)
{
	return value[0] == '/' && value[strlen(value) - 1] != '/';
}

/* The first word is the program. */
static bool is_command(const char *value)
{
	size_t n = strcspn(value, CONF_BLANK);

	return value[0] == '/' && value[n - 1] != '/';
}

static bool is_log(const char *value)
{
	return strcmp(value, "journal") == 0 || strcmp(value, "syslog") == 0 || is_file(value);
}

bool conf_is_plain(const char *value)
{
	const char *p = value;
	uint32_t code;
	size_t n;

	for (; *p; p += n) {
		n = text_decode(p, &code);
		if (n == 0 || (!text_is_plain(code) && code != '\t') ||
		    (*p == '#' && (p == value || strchr(CONF_BLANK, p[-1]))))
			return false;
	}
	return p == value || (!strchr(CONF_BLANK, *value) && !strchr(CONF_BLANK, p[-1]));
}

static int text_set(const struct conf_key *key, const char *value, void *slot)
{
	char *copy = NULL;

	if (!*value && *key->value)
		return -EINVAL;
	if (strlen(value) > VALUE_MOST)
		return -ERANGE;
	if (!conf_is_plain(value) || (*value && key->fits && !key->fits(value)))
		return -EINVAL;
	if (*value && !(copy = strdup(value)))
		return -ENOMEM;
	free(*(char **)slot);
	*(char **)slot = copy;
	return 0;
}

/* The rest of a row: form, check, bounds or fitting function. The words and the check of a bound are one text. */
#define AMOUNT(least, most)                                                                                            \
	"a size such as 150000KiB, or a percentage such as 10% (at least " least ", at most " most ")",                \
	    conf_set_amount, least, most, NULL
#define SIZE(least) "a size such as 50000KiB (at least " least ")", size_set, least, NULL, NULL
#define ANY_SIZE "a size such as 5000KiB", size_set, NULL, NULL, NULL
#define DURATION(least, most)                                                                                          \
	"a duration such as 500ms, 2s or 1m (" least " to " most ")", duration_set, least, most, NULL
#define PERIOD(most) "a duration in whole seconds (1s to " most "), or 0 for the default", period_set, "0s", most, NULL
#define PERCENT "a percentage such as 20% (1% to 100%)", percent_set, NULL, NULL, NULL
#define TAKE "idle or needed", take_set, NULL, NULL, NULL
#define YES_NO "yes or no", conf_set_yes_no, NULL, NULL, NULL
#define TEXT(form, fits) form, text_set, NULL, NULL, fits

static const struct conf_key keys[] = {
    {"target", STRING(TARGET_KIB) "KiB", "headroom each guest should have; N% of its maximum", AMOUNT("1MiB", "90%"),
     offsetof(struct conf, target)},
    {"step", "50000KiB", "least that is taken from a guest at once", SIZE("1MiB"), offsetof(struct conf, step_kib)},
    {"reserve", "", "memory the host keeps; N% of all but huge pages", AMOUNT("1MiB", "90%"),
     offsetof(struct conf, reserve)},
    {"tolerance", "5000KiB", "a smaller deficit moves nothing", ANY_SIZE, offsetof(struct conf, tolerance_kib)},
    {"plenty", "10%", "memory that no page cache gets; N% of what guests and host can share", AMOUNT("1MiB", "90%"),
     offsetof(struct conf, plenty)},
    {"buffer", "20%", "headroom if the host has plenty; N% of what a guest uses", PERCENT,
     offsetof(struct conf, buffer_pct)},
    {"take", "idle", "when idle memory is taken: always, or if others need it", TAKE, offsetof(struct conf, take)},
    {"interval", "1s", "time between two passes of a loop", DURATION("100ms", "1h"),
     offsetof(struct conf, interval_ms)},
    {"deadline", "5s", "longest time a pass may take", DURATION("200ms", "1h"), offsetof(struct conf, deadline_ms)},
    {"settle", "2s", "longest wait for memory that was taken to arrive", DURATION("0s", "1h"),
     offsetof(struct conf, settle_ms)},
    {"boot_grace", "15s", "how long nothing is taken from a guest that started", DURATION("0s", "1h"),
     offsetof(struct conf, boot_grace_ms)},
    {"stats_period", "", "longest period of statistics", PERIOD("1h"), offsetof(struct conf, stats_period_s)},
    {"exclude", "", "guests that are left alone", TEXT("shell patterns of names, with spaces or commas between", NULL),
     offsetof(struct conf, exclude)},
    {"uri", "qemu:///system", "the libvirt host", TEXT("a libvirt URI such as qemu:///system", NULL),
     offsetof(struct conf, uri)},
    {"on_critical", "", "what is run when the host is critically short",
     TEXT("a command and its arguments, beginning with an absolute path", is_command),
     offsetof(struct conf, on_critical)},
    {"textfile", "", "where metrics are written", TEXT("the absolute path of a file", is_file),
     offsetof(struct conf, textfile)},
    {"log", "", "where each move is recorded", TEXT("journal, syslog or the absolute path of a file", is_log),
     offsetof(struct conf, log)},
    {"history", "yes", "whether passes keep a history of guests and host", YES_NO, offsetof(struct conf, history)},
    {0},
};
_Static_assert(COUNT(keys) == CONF_KEYS + 1, "each key has an origin");

const struct conf_key *conf_keys(void)
{
	return keys;
}

const struct conf_key *conf_key_find(const struct conf_key *key, const char *name)
{
	while (key->name && strcmp(key->name, name) != 0)
		key++;
	return key->name ? key : NULL;
}

/* base: struct conf or struct conf_section. */
static void *slot_of(const struct conf_key *key, void *base)
{
	return (char *)base + key->slot;
}

void conf_origin_clear(struct conf_origin *origin)
{
	free(origin->value);
	free(origin->where);
	*origin = (struct conf_origin){0};
}

static int origin_init(struct conf_origin *ret_origin, const char *value, const char *where)
{
	struct conf_origin origin = {.value = strdup(value), .where = where ? strdup(where) : NULL};

	if (!origin.value || (where && !origin.where)) {
		conf_origin_clear(&origin);
		return -ENOMEM;
	}
	*ret_origin = origin;
	return 0;
}

int conf_key_set(void *base, struct conf_origin *ret_origin, const struct conf_key *key, const char *value,
                 const char *where)
{
	struct conf_origin origin;
	int r = origin_init(&origin, value, where);

	if (r < 0)
		return r;
	r = key->set(key, value, slot_of(key, base));
	if (r < 0) {
		conf_origin_clear(&origin);
		return r;
	}
	conf_origin_clear(ret_origin);
	*ret_origin = origin;
	return 0;
}

int conf_set(struct conf *conf, const char *name, const char *value)
{
	const struct conf_key *key = conf_key_find(keys, name);

	return key ? conf_key_set(conf, &conf->origin[key - keys], key, value, NULL) : -ENOENT;
}

const char *conf_form(const char *name)
{
	const struct conf_key *key = conf_key_find(keys, name);

	return key ? key->form : NULL;
}

void conf_clear(struct conf *conf)
{
	for (const struct conf_key *key = keys; key->name; key++) {
		if (key->set == text_set)
			free(*(char **)slot_of(key, conf));
		conf_origin_clear(&conf->origin[key - keys]);
	}
	for (size_t i = 0; i < conf->n_warnings; i++)
		free(conf->warning[i]);
	free(conf->warning);
	section_free(conf->section);
	*conf = (struct conf){0};
}

int conf_init(struct conf *ret_conf)
{
	struct conf conf = {0};
	int r = 0;

	for (const struct conf_key *key = keys; key->name && r == 0; key++)
		r = key->set(key, key->value, slot_of(key, &conf));
	if (r < 0) {
		conf_clear(&conf);
		return r;
	}
	*ret_conf = conf;
	return 0;
}

static int copy_text(char **text)
{
	return *text && !(*text = strdup(*text)) ? -ENOMEM : 0;
}

int conf_copy(const struct conf *conf, struct conf *ret_copy)
{
	struct conf copy = *conf;
	int r = 0;

	copy.warning = NULL;
	copy.n_warnings = 0;
	copy.section = NULL;
	for (const struct conf_key *key = keys; key->name; key++) {
		if (key->set == text_set)
			r |= copy_text(slot_of(key, &copy));
		r |= copy_text(&copy.origin[key - keys].value);
		r |= copy_text(&copy.origin[key - keys].where);
	}
	if (r < 0) {
		conf_clear(&copy);
		return r;
	}
	*ret_copy = copy;
	return 0;
}

static int warning_add(struct conf *conf, const char *sentence)
{
	char **list = reallocarray(conf->warning, conf->n_warnings + 1, sizeof(*list));

	if (!list)
		return -ENOMEM;
	conf->warning = list;
	list[conf->n_warnings] = strdup(sentence);
	if (!list[conf->n_warnings])
		return -ENOMEM;
	conf->n_warnings++;
	return 0;
}

int conf_warn(struct conf *conf, const char *sentence, conf_say *say, void *arg)
{
	int r = warning_add(conf, sentence);

	if (r)
		say(arg, strerror(-r));
	return r;
}

#define HOST_MOST_PCT 90
#define MORE_THAN ": more than "     /* figures of the host follow */
#define SMALL_KIB (16 * KIB_PER_MIB) /* a smaller value mostly lacks its unit */

bool conf_is_size(const struct conf_key *key)
{
	return key->set == size_set || key->set == conf_set_amount;
}

/* The size that was set; 0 if none was, or a percentage. */
static uint64_t size_of(const struct conf_key *key, const struct conf_origin *origin, const void *base)
{
	const void *slot = (const char *)base + key->slot;
	const struct amount *amount = slot;

	if (!conf_is_size(key) || !origin->value)
		return 0;
	return key->set == size_set ? *(const uint64_t *)slot : amount->pct ? 0 : amount->kib;
}

/* "FILE:LINE: bad value 'VALUE' for 'KEY'", or that of an option. */
static void name_value(const struct conf_origin *origin, const char *what, const char *name, char *text, size_t size)
{
	char value[64];

	text_escape(value, sizeof(value), origin->value, text_is_utf8());
	snprintf(text, size, "%s%s%s '%s' for '%s%s'", origin->where ? origin->where : "", origin->where ? ": " : "",
	         what, value, origin->where ? "" : "--", name);
}

/* base and origin: of one part of the configuration. warned gets the warnings; NULL: there are none. */
static int check_sizes(const struct conf_key *table, const struct conf_origin *origin, const void *base,
                       uint64_t host_kib, struct conf *warned, conf_say *say, void *arg)
{
	char named[768], sentence[1024], size[TEXT_SIZE];
	int r = 0;

	for (const struct conf_key *key = table; key->name; key++, origin++) {
		uint64_t kib = size_of(key, origin, base);

		if (kib > scale_u64(host_kib, HOST_MOST_PCT, 100)) {
			name_value(origin, "bad value", key->name, named, sizeof(named));
			snprintf(sentence, sizeof(sentence), "%s" MORE_THAN "%d%% of the host's %s", named,
			         HOST_MOST_PCT, text_size(size, sizeof(size), host_kib));
			say(arg, sentence);
			r = -ERANGE;
		} else if (warned && kib && kib < SMALL_KIB && key->least) {
			name_value(origin, "value", key->name, named, sizeof(named));
			snprintf(sentence, sizeof(sentence), "%s is only %s: a number without a unit is KiB", named,
			         text_size(size, sizeof(size), kib));
			if (conf_warn(warned, sentence, say, arg))
				r = -ENOMEM;
		}
	}
	return r;
}

static int check_all(const struct conf *conf, uint64_t host_kib, struct conf *warned, conf_say *say, void *arg)
{
	int r = check_sizes(keys, conf->origin, conf, host_kib, warned, say, arg), error;

	for (const struct conf_section *s = conf->section; s; s = s->before) {
		error = check_sizes(section_keys, s->origin, s, host_kib, warned, say, arg);
		r = r ? r : error;
	}
	return r;
}

int conf_check(struct conf *conf, uint64_t host_kib, conf_say *say, void *arg)
{
	return check_all(conf, host_kib, conf, say, arg);
}

int conf_check_host(const struct conf *conf, uint64_t host_kib, conf_say *say, void *arg)
{
	return check_all(conf, host_kib, NULL, say, arg);
}

size_t conf_key_length(const char *sentence)
{
	const char *end = strstr(sentence, MORE_THAN);

	return end ? (size_t)(end - sentence) : strlen(sentence);
}

uint64_t conf_target_kib(const struct conf *conf, uint64_t maximum_kib)
{
	if (conf->target.pct == 0)
		return conf->target.kib;
	return max_u64(scale_u64(maximum_kib, conf->target.pct, 100), KIB_PER_MIB);
}

uint64_t conf_reserve_kib(const struct conf *conf, uint64_t host_kib)
{
	uint64_t target_kib = conf->target.pct ? TARGET_KIB : conf->target.kib;

	if (conf->reserve.pct)
		return scale_u64(host_kib, conf->reserve.pct, 100);
	if (conf->reserve.kib)
		return conf->reserve.kib;
	return max_u64(sat_add(target_kib, target_kib), host_kib / 128);
}

struct policy_conf conf_policy(const struct conf *conf, uint64_t host_kib)
{
	return (struct policy_conf){
	    .step_kib = conf->step_kib,
	    .reserve_kib = conf_reserve_kib(conf, host_kib),
	    .tolerance_kib = conf->tolerance_kib,
	    .plenty_kib = conf->plenty.kib,
	    .plenty_pct = conf->plenty.pct,
	    .buffer_pct = conf->buffer_pct,
	    .take = conf->take,
	};
}

bool conf_matches(const char *patterns, const char *name)
{
	const char *p = patterns ? patterns : "";
	char pattern[VALUE_MOST + 1];

	for (p += strspn(p, BETWEEN_PATTERNS); *p; p += strspn(p, BETWEEN_PATTERNS)) {
		int n = (int)strcspn(p, BETWEEN_PATTERNS);

		snprintf(pattern, sizeof(pattern), "%.*s", n, p);
		if (fnmatch(pattern, name, 0) == 0)
			return true;
		p += n;
	}
	return false;
}

bool conf_excludes(const struct conf *conf, const char *name)
{
	return conf_matches(conf->exclude, name);
}
