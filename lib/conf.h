/*
 * /etc/memsched.conf and its drop-ins: one table of key, type, default and help drives parsing, the defaults,
 * --show-config and the tests that hold man/memsched.conf to it.
 */
#ifndef MEMSCHED_CONF_H
#define MEMSCHED_CONF_H

#include "estimate.h"

/* A size, or a percentage of something that is only known later. */
struct amount {
	uint64_t kib;
	uint32_t pct; /* 0: kib holds */
};

struct conf {
	struct amount target; /* pct: of the guest's maximum */
	struct amount
	    reserve; /* pct: of the host's memory; kib 0 and pct 0: max(2 * 150000 KiB or 2 * target, MemTotal / 128) */
	uint64_t step_kib;
	uint64_t tolerance_kib;
	enum signal_source signal;
	uint32_t interval_ms;
	uint32_t deadline_ms;
	uint32_t settle_ms;
	uint32_t boot_grace_ms;
	uint32_t stats_period_s; /* 0: 1 in a loop, 10 for single passes */
	char *exclude;           /* shell patterns of domain names, separated by spaces or commas; owned; NULL: none */
	char *uri;               /* owned */
};

/* One key. */
struct conf_key {
	const char *name;
	const char *value; /* the default, as one would write it */
	const char *help;  /* one line */
};

/* The table, ended by a NULL name. */
const struct conf_key *conf_keys(void);

/* How complaints reach the caller: whole sentences with file:line, already escaped. */
typedef void conf_say(void *arg, const char *sentence);

/* The defaults. */
int conf_init(struct conf *ret_conf);
void conf_clear(struct conf *conf);

/*
 * Sets one key; -ENOENT unknown key, -EINVAL bad value, -ERANGE value out of range; conf is untouched on failure.
 * Options of the commands are set through this too, so that file and option take the same words.
 */
int conf_set(struct conf *conf, const char *key, const char *value);

/* What a good value of key looks like, for messages: "a size such as 150000KiB or a percentage such as 10%". */
const char *conf_form(const char *key);

/*
 * Reads file, or (file NULL) root/etc/memsched.conf and root/etc/memsched.conf.d/<x>.conf in the order of their names;
 * what is absent is skipped unless named. An unknown key is said and skipped; a bad value is said and makes it fail
 * with -EINVAL after everything was read. On failure conf is untouched.
 */
int conf_load(struct conf *conf, const char *root, const char *file, conf_say *say, void *arg);

/* What the amounts mean for this guest and this host. */
uint64_t conf_target_kib(const struct conf *conf, uint64_t maximum_kib);
uint64_t conf_reserve_kib(const struct conf *conf, uint64_t host_total_kib);

/* Whether name matches one of the exclude patterns. */
bool conf_excludes(const struct conf *conf, const char *name);

#endif
