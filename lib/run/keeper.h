/*
 * Keeps the guard's picture of the guests fresh, in a thread and with connections of its own: an emergency finds it
 * there without asking anybody first, and what hangs in reading never delays the guard. Where libvirt cannot list the
 * guests because a hook runs, those that are known are read one by one.
 */
#ifndef MEMSCHED_RUN_KEEPER_H
#define MEMSCHED_RUN_KEEPER_H

#include "plan/policy.h"
#include "host/conf.h"

#define KEEPER_PERIOD_MS 1000 /* between two readings, as between two statistics */

/* The guests as they were read last. */
struct herd {
	struct guest *guest; /* judged, in reclaim_order */
	size_t n;
	struct policy_scratch scratch; /* for n */
	uint64_t *before_kib;          /* rss when it was first told to give in this emergency; 0: it was not */
	uint64_t number;               /* of the reading; 0: none yet */
	uint64_t read_ms;              /* CLOCK_BOOTTIME when it began */
	unsigned connection;           /* by which it was read: another number, another libvirtd; 0: none yet */
};

struct keeper;

/* conf stays the caller's and outlives k. read_only: sets no statistics period. 0 or -ENOMEM. */
int keeper_new(const struct conf *conf, const char *root, bool read_only, struct keeper **ret_keeper);
/* Ends the thread, waiting until deadline_ms; one that does not end keeps what it has. NULL is fine. */
void keeper_free(struct keeper *k, uint64_t deadline_ms);

/* Between the two conf is not in use and may be changed; reconnect: its URI was. keeper_hold waits for the end of a
 * reading, which is bounded. */
void keeper_hold(struct keeper *k);
void keeper_resume(struct keeper *k, bool reconnect);

/* One reading by the caller, before end_ms. 0, or what virt.h or registry_list returned, or -ENOMEM; the herd stays as
 * it was then. -ETIMEDOUT also where there is no list and none of the known guests answers, which the herd then has as
 * hung. */
int keeper_read(struct keeper *k, uint64_t end_ms);

/* Reads each KEEPER_PERIOD_MS from now on in a thread; where libvirt is gone, with pauses that grow to some seconds. 0
 * or -errno. */
int keeper_start(struct keeper *k);

/* The herd, for the caller alone until keeper_done; never waits for libvirt. */
struct herd *keeper_herd(struct keeper *k);
void keeper_done(struct keeper *k);

/* What the last reading came to: 0 or -errno. words (of size bytes; may be NULL) gets libvirt's words for it. */
int keeper_state(struct keeper *k, char *words, size_t size);

/* CLOCK_BOOTTIME ms when the thread last began or ended a reading: it lives as long as this goes on. */
uint64_t keeper_beat_ms(struct keeper *k);

#endif
