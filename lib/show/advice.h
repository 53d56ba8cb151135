/* SPDX-License-Identifier: MIT */
/* Which limits would suit guests, from their histories: memstat --advise. */
#ifndef MEMSCHED_SHOW_ADVICE_H
#define MEMSCHED_SHOW_ADVICE_H

#include <stdio.h>

#include "show/table.h"
#include "show/timeline.h"

#define ADVICE_SINCE_S (UINT64_C(31) * 86400) /* what was used before counts for nothing: it has halved 31 times */

/*
 * A row for each of n timelines of ADVICE_SINCE_S until now_s, the host's left out; json: one object,
 * memsched.advice/1. As pairs with the command that sets the limits. 0 or -ENOMEM.
 */
int advice_report(FILE *out, const struct timeline *t, size_t n, uint64_t now_s, const struct table_style *style,
                  bool json);

#endif
