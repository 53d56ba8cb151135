/* SPDX-License-Identifier: MIT */
/*
 * The settings of memsched.conf: one table of key, type, default and help drives parsing, the defaults and the tests
 * that hold man/memsched.conf to it. Its files are read by conffile.h.
 */
#ifndef MEMSCHED_HOST_CONF_H
#define MEMSCHED_HOST_CONF_H

#include "plan/policy.h"

/* A size, or a percentage of something that is only known later. */
struct amount {
	uint64_t kib;
	uint32_t pct; /* 0: kib holds */
};

/* How a key got its value. */
struct conf_origin {
	char *value; /* as it was written; owned; NULL: the default holds */
	char *where; /* "/etc/memsched.conf:3", safe to print; owned; NULL: an option */
};
#define CONF_KEYS 18

struct conf {
	struct amount target;  /* pct: of the guest's maximum */
	struct amount reserve; /* pct: of the host's memory outside huge pages; both 0: by conf_reserve_kib's rule */
	uint64_t step_kib;
	uint64_t tolerance_kib;
	struct amount plenty; /* pct: of what guests and host can share */
	uint32_t buffer_pct;  /* of what a guest uses */
	enum take take;
	uint32_t interval_ms;
	uint32_t deadline_ms;
	uint32_t settle_ms;
	uint32_t boot_grace_ms;
	uint32_t stats_period_s; /* 0: the interval of the loop, at most 10; 10 for single passes */
	char *exclude;           /* shell patterns of domain names, separated by spaces or commas; owned; NULL: none */
	char *uri;               /* owned */
	char *on_critical;       /* argv split on blanks, the first an absolute path; owned; NULL: none */
	char *textfile;          /* an absolute path; owned; NULL: none */
	char *log;               /* "journal", "syslog" or an absolute path; owned; NULL: none */
	bool history;

	struct conf_origin origin[CONF_KEYS]; /* in the order of conf_keys */
	struct conf_section *section;         /* of section.h: the last in the files; owned; NULL: none */
	char **warning;                       /* oddities of the files, as conf_say has them; owned */
	size_t n_warnings;
};

/* One key. */
struct conf_key {
	const char *name;
	const char *value; /* the default, as in a file; "": it depends */
	const char *help;  /* one line */
	const char *form;  /* the form of a good value: conf_form */

	/* for conf_key_set: how a value is checked and where it goes */
	int (*set)(const struct conf_key *key, const char *value, void *slot);
	const char *least, *most;        /* as one would write them; NULL: no bound */
	bool (*fits)(const char *value); /* of texts that are not empty; NULL: any does */
	size_t slot;                     /* offset in struct conf or conf_section */
};

/* Of conf_key.set: for a struct amount, within least and most; and for a bool, yes or no. */
int conf_set_amount(const struct conf_key *key, const char *value, void *slot);
int conf_set_yes_no(const struct conf_key *key, const char *value, void *slot);

void conf_origin_clear(struct conf_origin *origin);

/* The row of a table that a NULL name ends, or NULL. */
const struct conf_key *conf_key_find(const struct conf_key *key, const char *name);

/* Sets one key in base, the struct of its table, and the origin of its value. As conf_set; where is NULL for an option.
 */
int conf_key_set(void *base, struct conf_origin *ret_origin, const struct conf_key *key, const char *value,
                 const char *where);

/* The table, ended by a NULL name. */
const struct conf_key *conf_keys(void);

/* How errors reach the caller: whole sentences with file:line, already escaped. */
typedef void conf_say(void *arg, const char *sentence);

/* The defaults. 0 or -ENOMEM. */
int conf_init(struct conf *ret_conf);
void conf_clear(struct conf *conf);
/* All but the warnings and sections. 0 or -ENOMEM. */
int conf_copy(const struct conf *conf, struct conf *ret_copy);

/* Keeps a warning; 0, or -ENOMEM, which is said. */
int conf_warn(struct conf *conf, const char *sentence, conf_say *say, void *arg);

/* Whether a line of a file can have it as a value, and a terminal show it. */
bool conf_is_plain(const char *value);
#define CONF_BLANK " \t\r\v\f"

/*
 * Sets one key; -ENOENT unknown key, -EINVAL bad value, -ERANGE value out of range, -ENOMEM; conf is untouched on
 * failure. An empty value is good if the default is empty. Texts are as in a line of a file: plain UTF-8
 * and tabs, no blank at an end and none before a #. Options of the commands are set through this too, so that file and
 * option take the same words.
 */
int conf_set(struct conf *conf, const char *key, const char *value);

/* The form of a good value of key, for messages: "usable or unused"; NULL: unknown key. */
const char *conf_form(const char *key);

/* Whether its values are sizes; a number without a unit is KiB then. */
bool conf_is_size(const struct conf_key *key);

/*
 * Checks the sizes that were set against a host with so much memory outside its huge pages (CONF_HOST_UNKNOWN: it is
 * not known yet). More than 90 % of it is said, as conf_load does, and returns -ERANGE. Less than 16 MiB is a warning,
 * but for keys that have no least value; -ENOMEM, said too, if it cannot be kept.
 */
#define CONF_HOST_UNKNOWN UINT64_MAX
int conf_check(struct conf *conf, uint64_t host_kib, conf_say *say, void *arg);
/* The same without warnings, for a host whose memory is known later than the rest. */
int conf_check_host(const struct conf *conf, uint64_t host_kib, conf_say *say, void *arg);
/* Length of the part of their sentences that is the same while the host's memory changes; of other sentences, all. */
size_t conf_key_length(const char *sentence);

/* The target of a guest of this maximum: at least 1 MiB. */
uint64_t conf_target_kib(const struct conf *conf, uint64_t maximum_kib);

/*
 * The reserve of a host with so much memory outside its huge pages (host_pageable_kib). If it is not
 * configured: twice the target (150000 KiB if that is a percentage), or 1/128 of that memory if that is more.
 */
uint64_t conf_reserve_kib(const struct conf *conf, uint64_t host_kib);

/* The part that policy needs, on a host with so much memory outside its huge pages. */
struct policy_conf conf_policy(const struct conf *conf, uint64_t host_kib);

/* Whether name matches one of the shell patterns, which spaces or commas separate. NULL: none. */
bool conf_matches(const char *patterns, const char *name);

/* Whether name matches one of the exclude patterns. */
bool conf_excludes(const struct conf *conf, const char *name);

#endif
