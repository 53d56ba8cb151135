/* SPDX-License-Identifier: MIT */
/*
 * memguard's monitor: keeps a snapshot of the guests, looks at the host, decides by guard.h, takes by reclaim.h, and
 * follows the results: memguard(8). It never waits for the lock of balancing passes. It waits for libvirt at most
 * MONITOR_SEND_MS to send and twice that to connect anew. It allocates nothing between a look and the first command.
 *
 * A task with its own connections reads the guests: an emergency needs no answer from libvirt first, and a reading that
 * hangs never delays the guard. Only the guard uses the snapshot; the next look replaces it by the task's reading. If
 * libvirt cannot list the guests because a hook runs, the task reads the known ones.
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

/* The state of the host at one look, and the actions taken. */
struct monitor_view {
	struct instant at;
	struct host host;
	uint64_t reserve_kib;
	enum guard_level level;
	bool foreseen;                      /* it is tight only because that is foreseen */
	uint64_t pending_kib, starting_kib; /* future need of guests that are being started, and that boot */
	uint64_t lack_kib;                  /* memory that must come back */
	uint64_t need_kib;                  /* memory that guests must give for that */
	bool reclaiming;                    /* it must come back from guests */
	enum reclaim_way way;
	uint64_t planned_kib;  /* memory that guests give, earlier commands included */
	uint64_t returned_kib; /* memory that they are given back */
	uint64_t freed_kib;    /* decrease of the QEMUs' RSS since their first command in this emergency */
	int sent;              /* commands; -errno: none could be sent */
	uint64_t sent_ms;      /* CLOCK_BOOTTIME when they had been sent; 0: none was */
	int no_give;           /* -errno: gives cannot be forbidden */
	uint32_t nap_ms;       /* until the next look of the host */
};

struct monitor;

/* conf and root stay the caller's. dry_run: nothing is written or commanded, and no statistics period is set. 0 or
 * -ENOMEM. */
int monitor_new(const struct conf *conf, const char *root, bool dry_run, struct monitor **ret_monitor);
/* Releases no-give, until the next look. */
void monitor_allow_gives(struct monitor *s);

/* Releases no-give; waits for a reading until deadline_ms, and then abandons it. */
void monitor_free(struct monitor *s, uint64_t deadline_ms);

/* The guests in reclaim_order, judged; the caller's until the next look or reading. */
struct snapshot *monitor_snapshot(struct monitor *s);

/*
 * Begins a reading if none is under way and one is due: READER_GAP_MS after the last began (READER_REST_MS if the last
 * look found the host at rest), later if that was slow. If libvirt is gone, pauses grow to some seconds. Returns the
 * time until the next call is needed, in ms.
 */
uint32_t monitor_keep_reading(struct monitor *s);
/*
 * Reads, and waits for it until end_ms. 0, or what snapshot_read returned; on failure the snapshot stays as it was.
 * -ETIMEDOUT also if there is no list and none of the known guests answers, which the snapshot then has as hung.
 */
int monitor_read(struct monitor *s, uint64_t end_ms);

/* While one is under way conf must not be changed. */
bool monitor_is_reading(const struct monitor *s);
/* Closes the connections: the next go to the URI that conf then has. Only while no reading is under way. */
void monitor_reconnect(struct monitor *s);

/* The last reading's result: 0 or -errno. */
int monitor_error(const struct monitor *s);
/* The last begin or end of a reading, CLOCK_BOOTTIME ms: readings do not hang as long as it advances. */
uint64_t monitor_alive_ms(const struct monitor *s);

/* From now on looks add their moves to a after sending them, and later the sizes reached; the caller writes a. */
void monitor_record(struct monitor *s, struct movelog *a);

/*
 * The first opens the registry if it is not open (-errno: it cannot be used, and nothing forbids gives). The second
 * connects and prepares sending if the connection was lost or guests were added (-errno of virt_open). For calm times,
 * and before the first look.
 */
int monitor_open_registry(struct monitor *s);
int monitor_prepare(struct monitor *s, uint64_t deadline_ms);
/* The caller may write there; NULL: it is not open. */
struct registry *monitor_registry(struct monitor *s);

/* libvirt's words for the last failure: in reading if monitor_error, else in monitor_prepare and in sending. */
const char *monitor_words(const struct monitor *s);

/* A descriptor that is readable when starts become pending; -errno if there is none. */
int monitor_watch_pending(const struct monitor *s);
/* Reads the pending starts again; allocates nothing. There must be a registry. If not all can be read, the sum does not
 * fall, until the earlier one is void (PENDING_MAX_S). */
void monitor_count_pending(struct monitor *s);
/* Whether more may be pending than was counted, as one cannot be read. Then nothing is given back. */
bool monitor_pending_unreadable(const struct monitor *s);

/* Waits for nap_ms at most (wakeup_wait), and counts the pending starts again if they changed. */
void monitor_wait(struct monitor *s, struct wakeup *w, uint32_t nap_ms, const volatile sig_atomic_t *stop);

/* Looks and acts. 0, or -errno of /proc/meminfo: nothing was done. */
int monitor_look(struct monitor *s, struct monitor_view *ret_view);

/* Whether more is on its way: commands were sent at this look, or guests have not obeyed earlier ones yet. */
bool monitor_awaits(const struct monitor *s, const struct monitor_view *view);

/*
 * Whether the host is short though nothing more is on its way. refused: the guests that gave no more, and why, as
 * "a (stuck), b (at-min)", cut to size.
 */
bool monitor_cannot(struct monitor *s, const struct monitor_view *view, char *refused, size_t size);
#endif
