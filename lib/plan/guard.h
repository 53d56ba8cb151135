/* SPDX-License-Identifier: MIT */
/*
 * When the host is short, and how badly: levels with hysteresis, and the time until the next look: LEVELS in
 * memguard(8).
 * Pure: no I/O, no clock, no allocation; time is an argument.
 */
#ifndef MEMSCHED_PLAN_GUARD_H
#define MEMSCHED_PLAN_GUARD_H

#include <stdbool.h>
#include <stdint.h>

enum guard_level { GUARD_CALM, GUARD_TIGHT, GUARD_CRITICAL, GUARD_LEVELS };

/* "calm", "tight" or "critical". */
const char *guard_level_word(enum guard_level level);

struct guard_conf {
	uint64_t reserve_kib; /* tight below 3/4 of it or foreseen to be so in a second, critical below 1/2 */
	uint32_t hold_ms;     /* a level is left only after so long above its upper edge */
};

#define GUARD_HOLD_MS 10000 /* a tenth if tight was only foreseen and has not come */
#define GUARD_SEEN 8

/* The state between steps; begins as zeroes. */
struct guard {
	enum guard_level level;
	uint64_t since_ms;   /* since when above the level's upper edge; 0: not above */
	bool was_low;        /* it fell below the edge of tight after it was last calm */
	uint64_t fall_kibps; /* measured: KiB that are lost a second, beyond what guests may take; 0 while it rises */
	struct {
		uint64_t at_ms, available_kib;
	} seen[GUARD_SEEN]; /* the last looks, the newest first */
	unsigned n_seen;
};

/* Below this the host is tight, below that it is critical; tight is left at the reserve, critical where tight begins.
 */
uint64_t guard_tight_kib(const struct guard_conf *conf);
uint64_t guard_critical_kib(const struct guard_conf *conf);

/*
 * Returns the level after seeing available_kib at now_ms; g remembers what it needs. Guests may still touch
 * promised_kib without asking. membalance has counted it, except for the part that their kernels keep unused. No more
 * of it counts than the memory available above the reserve, or half a reserve. A fall by so much in a second foretells
 * nothing.
 * (Measured with loads of 20 to 120 MiB/s on a host that membalance holds at its reserve: without this rule their falls
 * kept the host tight, and guests that got nothing were killed.)
 */
enum guard_level guard_step(const struct guard_conf *conf, struct guard *g, uint64_t available_kib,
                            uint64_t promised_kib, uint64_t now_ms);

/*
 * The memory the host lacks: up to the reserve, and its loss within a second at the measured pace. 0 if nothing is
 * lacking.
 */
uint64_t guard_lack_kib(const struct guard_conf *conf, const struct guard *g, uint64_t available_kib);

/*
 * The memory that guests must give while the host is tight: twice its lack up to the reserve, or twice its loss until
 * that has arrived, whichever is more. 0 if it is neither short nor will be within a second.
 */
uint64_t guard_take_kib(const struct guard_conf *conf, const struct guard *g, uint64_t available_kib);

/*
 * How long the guard may sleep: the memory above tight, filled at 6000 MiB/s (earlyoom's figure), lasts so long. At
 * most 2 s, and 25 ms if the measured pace leads to tight within two seconds. At least 100 ms, and 5 ms below twice the
 * reserve.
 */
uint32_t guard_nap_ms(const struct guard_conf *conf, const struct guard *g, uint64_t available_kib);

#endif
