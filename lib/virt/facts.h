/* SPDX-License-Identifier: MIT */
/*
 * Facts of guests that last from one reading to the next: devices and hints, which come from the XML once for each boot
 * and again from time to time, and whether a guest hung when it was read last. Pure, but for memory.
 */
#ifndef MEMSCHED_VIRT_FACTS_H
#define MEMSCHED_VIRT_FACTS_H

#include "plan/guest.h"

struct fact;

struct facts {
	struct fact *fact; /* in the order of the UUIDs */
	size_t n;
};

/* Sets device and hints of g as they are known, and facts_ms: 0 if they are not known, very old if they are in doubt.
 */
void facts_recall(const struct facts *f, struct guest *g);
bool facts_was_hung(const struct facts *f, const struct guest *g);

/* Keeps those of the n guests in place of all before. Without memory for them, they are read again next time. */
void facts_remember(struct facts *f, const struct guest *g, size_t n);

/* They are in doubt: the next reading replaces them, and they stay until then. */
void facts_forget(struct facts *f, const struct guest *g);

void facts_clear(struct facts *f);

#endif
