/* SPDX-License-Identifier: MIT */
/*
 * Whether all is set up right, for memstat --check: one finding a check, each fault with what to do. Pure: judges what
 * was read; the sizes and words that it knows are those of the structs.
 */
#ifndef MEMSCHED_SHOW_DOCTOR_H
#define MEMSCHED_SHOW_DOCTOR_H

#include <stdio.h>

#include "host/conf.h"
#include "host/setup.h"
#include "run/balance.h"
#include "show/status.h"

enum verdict { VERDICT_PASS, VERDICT_WARN, VERDICT_FAIL };

struct finding {
	const char *group, *check; /* "guests", "statistics" */
	enum verdict verdict;
	char text[768]; /* safe to print */
};

/* The facts to judge. */
struct examination {
	const struct conf *conf;
	const struct setup *setup;
	const struct balance_report *report; /* NULL: libvirt could not be asked */
	const char *failure;                 /* why; safe to print */
	const struct status *status;         /* if there is a report */
	struct instant now;
};

/* Calls say for each finding, in a fixed order. Of another host only checks of its guests are made. */
void doctor_examine(const struct examination *e, void (*say)(void *arg, const struct finding *f), void *arg);

/* As lines or, with json, as memsched.check/1. Returns the worst verdict. */
enum verdict doctor_report(FILE *out, const struct examination *e, bool json);

#endif
