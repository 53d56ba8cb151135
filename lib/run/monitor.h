/* SPDX-License-Identifier: MIT */
/*
 * The guard on duty: keeps a snapshot of the guests, looks at the host, decides by guard.h, takes by reclaim.h, and
 * knows what came of it: memguard(8). It never waits for the lock of balancing passes, and for libvirt at most
 * MONITOR_SEND_MS to send and twice that to connect anew; between a look and the first command nothing here allocates.
 *
 * The guests are read by a task, with connections of its own: an emergency finds them known without asking libvirt
 * first, and what hangs in reading never delays the guard. The snapshot is the guard's alone; what a task read takes
 * its place at the next look. If libvirt cannot list the guests because a hook runs, those that are known are read.
 */
#ifndef MEMSCHED_RUN_MONITOR_H
#define MEMSCHED_RUN_MONITOR_H

#include "plan/guard.h"
#include "plan/host.h"
#include "plan/reclaim.h"
#include "host/conf.h"
#include "host/movelog.h"
#include "host/registry.h"
#include "host/wakeup.h"
#include "run/snapshot.h"

#define MONITOR_SEND_MS 300 /* a healthy QEMU answers in 1 ms */

/* What was seen and done at one look. */
struct sight {
	struct instant at;
	struct host host;
	uint64_t reserve_kib;
	enum guard_level level;
	bool foreseen;                      /* it is tight only because that is foreseen */
	uint64_t pending_kib, starting_kib; /* what guests that are being started, and those that boot, will need */
	uint64_t lack_kib;                  /* what is to come back */
	uint64_t need_kib;                  /* what guests must give for that */
	bool squeezing;                     /* it is to come back from guests */
	enum reclaim_way way;
	uint64_t planned_kib;  /* what guests give, what is on its way included */
	uint64_t returned_kib; /* what they are given back of what was taken */
	uint64_t freed_kib;    /* what QEMUs hold less than before they were told to give, in this emergency */
	int sent;              /* commands; -errno: none could be sent */
	uint64_t sent_ms;      /* CLOCK_BOOTTIME when they had been sent; 0: none was */
	int no_give;           /* -errno where gives cannot be forbidden */
	uint32_t nap_ms;       /* until the next look, as far as the host is concerned */
};

struct monitor;

/* conf and root stay the caller's. dry_run: nothing is written or commanded, and no statistics period is set. 0 or
 * -ENOMEM. */
int monitor_new(const struct conf *conf, const char *root, bool dry_run, struct monitor **ret_monitor);
/* Releases no-give; waits for a reading until deadline_ms, and then abandons it. */
void monitor_free(struct monitor *s, uint64_t deadline_ms);

/* The guests in reclaim_order, judged; the caller's until the next look or reading. */
struct snapshot *monitor_snapshot(struct monitor *s);

/*
 * Begins a reading if none is under way and it is time: READER_GAP_MS after the last began (READER_REST_MS at rest,
 * which the last look tells), later if that was slow, or, if libvirt is gone, with pauses that grow to some seconds.
 * Returns how long this can wait, in ms.
 */
uint32_t monitor_keep_reading(struct monitor *s);
/*
 * A reading that is waited for, before end_ms. 0, or what snapshot_read returned, and the snapshot stays as it was
 * then. -ETIMEDOUT also if there is no list and none of the known guests answers, which the snapshot then has as hung.
 */
int monitor_read(struct monitor *s, uint64_t end_ms);

/* While one is under way conf must not be changed. */
bool monitor_is_reading(const struct monitor *s);
/* The URI was: connects anew. Only while no reading is under way. */
void monitor_reconnect(struct monitor *s);

/* What the last reading came to: 0 or -errno. */
int monitor_error(const struct monitor *s);
/* When a reading last began, or was over: as long as this goes on, readings do not hang. CLOCK_BOOTTIME ms. */
uint64_t monitor_beat_ms(const struct monitor *s);

/* From now on looks add their moves to a, after they were sent, and note what came of them; the caller writes it. */
void monitor_record(struct monitor *s, struct movelog *a);

/*
 * Opens the registry where it is not (-errno: it cannot be used, and nothing forbids gives), and connects and makes
 * ready for sending where that was lost or guests were added (-errno of virt_open). For calm times, and before the
 * first look.
 */
int monitor_open_registry(struct monitor *s);
int monitor_prepare(struct monitor *s, uint64_t deadline_ms);
/* The caller may write there; NULL: it is not open. */
struct registry *monitor_registry(struct monitor *s);

/* libvirt's words for what failed last: in reading if monitor_error, else in monitor_prepare and in sending. */
const char *monitor_words(const struct monitor *s);

/* A descriptor that is readable when starts become pending; -errno where there is none. */
int monitor_watch_pending(const struct monitor *s);
/* Looks again what starts are pending; allocates nothing. There must be a registry. If not all can be read, no less is
 * pending than before, until that is void (PENDING_MAX_S). */
void monitor_count_pending(struct monitor *s);
/* Whether more may be pending than was counted: something was there that cannot be read. Then nothing is given back. */
bool monitor_pending_unreadable(const struct monitor *s);

/* Waits for nap_ms at most (wakeup_wait), and counts the starts that are pending where they changed. */
void monitor_wait(struct monitor *s, struct wakeup *w, uint32_t nap_ms, const volatile sig_atomic_t *stop);

/* Looks and acts. 0, or -errno of /proc/meminfo: nothing was done. */
int monitor_look(struct monitor *s, struct sight *ret_sight);

/* Whether more is on its way: guests were told at this look, or before and have not given it yet. */
bool monitor_awaits(const struct monitor *s, const struct sight *sight);

/*
 * Whether the host is short though nothing more is on its way: who gave nothing more, and why, as "a (stuck), b
 * (at-min)", cut to size.
 */
bool monitor_cannot(struct monitor *s, const struct sight *sight, char *refused, size_t size);
#endif
