/* SPDX-License-Identifier: MIT */
/*
 * The files in /run/memsched (statedir): registered guests, pending starts, what passes learned, the pause,
 * and the locks. Returns 0 or -errno; results are untouched on failure.
 *
 * Records are lines of key=value after a line version=N; each key once, none missing, unknown ones ignored. Files are
 * named by UUID. A record that does not parse, is cut short, huge, no plain file, or another user's counts as absent
 * and returns -EBADMSG, so that it can be said; one of another version is simply not there (-ENOENT). It is all a cache
 * and never the truth.
 */
#ifndef MEMSCHED_HOST_REGISTRY_H
#define MEMSCHED_HOST_REGISTRY_H

#include "plan/guest.h"

struct registry;

/*
 * Opens root/run/memsched; create makes it (0755) with its folders where missing, but never root/run. -ENOENT: it is
 * not there and create is false. -EPERM: another user owns it or others may write to it; -ENOTDIR: a symlink, a file.
 * Everybody may read it, and only its owner may write.
 */
int registry_open(const char *root, bool create, struct registry **ret_registry);
/*
 * The same for the guests of a libvirt URI. Those of another host, or of another driver here, must not be taken for
 * this host's: a URI that is not uri_is_own has a directory below run/memsched/hosts, named by a hash of the URI, with
 * all files but two: "paused" is one for all URIs, and "no-give" one for all guests of this host (those of uri_is_test
 * take none of its memory).
 */
int registry_open_uri(const char *root, const char *uri, bool create, struct registry **ret_registry);
/* The same for the guard, which is one for this host, and another for each URI of uri_is_test. */
int registry_open_guard(const char *root, const char *uri, bool create, struct registry **ret_registry);
/* Releases the lock too. NULL is fine. */
void registry_close(struct registry *r);

/*
 * For a process that keeps r open: the directory, a folder or the lock's file may have been removed or replaced since,
 * and others then see other files. Opens anew those that are not the same, and takes the lock again if
 * registry_lock was called before (and no registry_unlock since). Returns 1 if it had been lost: passes of others may
 * have written since. Fails as registry_open (with create) and registry_lock do; then the lock is not held, and this
 * may be tried again. While the directory is not there, all else returns an error or nothing.
 */
int registry_refresh(struct registry *r);

/*
 * The lock of a balancing pass, held until registry_unlock or the end of the process. -EWOULDBLOCK: another pass holds
 * it. Never waits. Its file is never removed. A process that can open it can lock it: only its owner may.
 */
int registry_lock(struct registry *r);
void registry_unlock(struct registry *r);

/*
 * The report of the lock's holder before each pass: now_ms is CLOCK_MONOTONIC, which stands still while the
 * host sleeps; interval_ms is 0 for a single pass. A process that does not get the lock learns whether the holder has
 * begun no pass for three intervals and 5 min; *ret_pid is 0 if the report is of another process than the holder.
 */
int registry_note_pass(struct registry *r, uint64_t now_ms, uint64_t interval_ms);
bool registry_is_stuck(const struct registry *r, uint64_t now_ms, int64_t *ret_pid, uint64_t *ret_idle_ms);

/*
 * Whether the guard forbids gives (it holds a flock on no-give): 1 or 0; -errno if that is not known, which must count
 * as 1. A user that may not read the file may not give memory either, and gets 0.
 */
int registry_no_give(const struct registry *r);

/*
 * The guard's part: forbids gives until it is released or the process ends. -EWOULDBLOCK: another process holds it.
 * Waits for 4 ms at most. Its file (0600) stays, and is opened once: beforehand, if there may be no descriptor later.
 */
int registry_prepare_no_give(struct registry *r);
int registry_hold_no_give(struct registry *r);
void registry_release_no_give(struct registry *r);

/* state/<uuid>. -ENOENT none, -EBADMSG unreadable. */
int registry_load_past(const struct registry *r, const char *uuid, struct past *ret_past);
int registry_save_past(struct registry *r, const char *uuid, const struct past *past);

/* domains/<uuid>: written by the hook at the guest's start, or by the pass that found the guest. */
struct record {
	char *name; /* hostile; the first 1024 bytes are kept; owned, record_clear */
	uint64_t maximum_kib;
	uint64_t started_s; /* wall clock of a start that the hook saw; 0: found running */
	struct hints hints; /* without the sentences */
};
int registry_load_record(const struct registry *r, const char *uuid, struct record *ret_record);
/* Writes only if it differs from the file. */
int registry_save_record(struct registry *r, const char *uuid, const struct record *record);
void record_clear(struct record *record);

/* pending/<uuid>: a guest that is being started and will need this much; void after PENDING_MAX_S. */
#define PENDING_MAX_S 60
int registry_save_pending(struct registry *r, const char *uuid, uint64_t need_kib, uint64_t now_s);
/* Forgets it: the guest has started. Absent is fine. */
void registry_forget_pending(struct registry *r, const char *uuid);
/* The sum of pending starts at now_s; allocates nothing. *ret_unreadable (may be NULL): more may be pending, as
 * something there cannot be read. */
uint64_t registry_pending_kib(const struct registry *r, uint64_t now_s, bool *ret_unreadable);
/* A descriptor (inotify, does not block) that is readable when a start becomes or ceases to be pending; or -errno. */
int registry_watch_pending(const struct registry *r);

/*
 * The registered guests, with name and uuid, domain id -1, and nothing else, without those that are being started: for
 * when libvirt cannot list them because a hook runs. *ret_guests is the caller's (guest_clear, free). 0, or -errno if
 * not all could be read; those whose record is damaged are left out.
 */
int registry_list(const struct registry *r, uint64_t now_s, struct guest **ret_guests, size_t *ret_n);

/* Whether any is registered, being started or not; also if that cannot be read. */
bool registry_has_guests(const struct registry *r);

/* Forgets one guest: its record, its pending start, its state. Absent is fine. */
void registry_forget(struct registry *r, const char *uuid);
/*
 * Forgets each guest that is not among the n in g (in any order), pending starts that expired, and temporaries of
 * writers that died. A record written in the last PENDING_MAX_S is kept: its guest may have started since g was listed.
 */
void registry_prune(struct registry *r, const struct guest *g, size_t n, uint64_t now_s);

/* The sums over all passes since /run began; the file "totals". -ENOENT none, -EBADMSG unreadable. */
struct totals {
	uint64_t passes;
	uint64_t failed; /* for example because libvirt was away; not among passes */
	struct moves moves;
};
int registry_load_totals(const struct registry *r, struct totals *ret_totals);
int registry_save_totals(struct registry *r, const struct totals *totals);
/* Counts a pass over the guests in g there. Totals that cannot be read begin anew. */
int registry_count_pass(struct registry *r, const struct guest *g, size_t n, bool made, bool failed);

/*
 * The administrator's pause: membalance makes no pass for so long, at most PAUSE_MAX_MS (-ERANGE); again counts anew.
 * now_ms is CLOCK_BOOTTIME: it goes on in suspend, cannot be set, and ends with /run. Resuming where nothing is
 * paused is fine.
 */
#define PAUSE_MAX_MS (UINT64_C(168) * 3600 * 1000)
int registry_pause(struct registry *r, uint64_t now_ms, uint64_t for_ms);
int registry_resume(struct registry *r);
/* The rest of the pause; 0: not paused. -EBADMSG: the file is damaged, -EPROTO: of another version; else -errno. What
 * cannot be read counts as a pause. */
int registry_paused(const struct registry *r, uint64_t now_ms, uint64_t *ret_left_ms);

/* Files that others fill: reads a text of less than size bytes and ends it; writes one whole or not at all. */
int registry_read(const struct registry *r, const char *name, char *text, size_t size);
/* The same of the beginning of a file of any size. */
int registry_read_head(const struct registry *r, const char *name, char *text, size_t size);
int registry_write(struct registry *r, const char *name, const char *text, size_t length);

#endif
