/* SPDX-License-Identifier: MIT */
/*
 * The narrow door to libvirt: connect, list, read, set. None of libvirt's types leaves it.
 * A call to libvirt has no time limit of its own, so every call is made by one of a few workers, each with its own
 * connection, and waited for until a deadline (CLOCK_BOOTTIME ms). A worker that is stuck in a call is abandoned with
 * its connection and replaced; it cleans up after itself should it ever return. No function here blocks past its
 * deadline. Errors: -ENOTCONN libvirt cannot be reached or went away, -ETIMEDOUT no answer by the deadline, -EACCES not
 * permitted, -EINVAL a URI libvirt does not know, -ENOTSUP the driver cannot, -EINTR told to stop, -ENOMEM, -EIO else;
 * virt_words has libvirt's own words for it. After -ENOTCONN, or -ETIMEDOUT that lasts, close and open again.
 */
#ifndef MEMSCHED_VIRT_VIRT_H
#define MEMSCHED_VIRT_VIRT_H

#include <signal.h>

#include "plan/guest.h"
#include "plan/host.h"

struct virt;
struct node_pool;

/* Connects, read-only or not, with workers to make calls. */
int virt_open(const char *uri, bool read_only, unsigned workers, uint64_t deadline_ms, struct virt **ret_virt);

/* Never waits for a stuck worker. NULL is fine. */
void virt_close(struct virt *v);

/* libvirt's words (or ours, for a deadline) for what failed last; never NULL; valid until the next call. v may be NULL
 * after a failed virt_open of the same thread. */
const char *virt_words(const struct virt *v);

/*
 * While *stop is set, calls end early with -EINTR (within 50 ms). For the whole process, as signals are; NULL: never.
 */
void virt_stop_on(const volatile sig_atomic_t *stop);

/* Whether host memory has to be asked of libvirt because the URI names another host. */
bool virt_is_remote(const struct virt *v);

/*
 * The running and paused domains, with name, uuid, id and nothing else, in the order of their names.
 * *ret_guests is to be freed with guests_free. Domains that only exist inactive are not listed.
 */
int virt_list(struct virt *v, uint64_t deadline_ms, struct guest **ret_guests, size_t *ret_n);

/*
 * Puts the domain of that name or UUID into *ret_guests, an array of one. Device and hints are read only if it does not
 * run (domain_id -1). -ESRCH: there is none.
 */
int virt_find(struct virt *v, const char *domain, uint64_t deadline_ms, struct guest **ret_guests);

/*
 * Reads state and a sample of each guest, side by side; actual lags by up to a second. Device facts, hints and whether
 * a guest migrates are read once for each boot, and again if they may have changed (guest_facts_due) or it was seen
 * migrating. A guest whose job another client holds has no sample but actual. Sets answered, hung, vanished, migrating.
 * Returns 0 also when some did not answer; an error only if libvirt itself is gone.
 */
int virt_read(struct virt *v, struct guest *g, size_t n, uint64_t deadline_ms);

/* Reads again only the sample of the guests for which want(g) is true, actual as it is now, and sets reread. A guest
 * that does not answer keeps the old one and is hung, so leave it time; one not asked in time only keeps it. */
int virt_sample(struct virt *v, struct guest *g, size_t n, bool (*want)(const struct guest *g), uint64_t deadline_ms);

/*
 * Sends plan.ask_kib to each guest that has one and is not hung: sets order.sent, error and words (-ETIMEDOUT: no
 * answer in time), hung, vanished, migrating, which is no error. The outcome of before stays where there is none.
 */
int virt_set(struct virt *v, struct guest *g, size_t n, uint64_t deadline_ms);

/*
 * Makes ready for virt_set of n guests: starts and connects the workers, and allocates what they need. After it
 * virt_set allocates nothing here unless a guest fails or hangs; call it again from time to time, for what hung is not
 * given back.
 */
int virt_prepare(struct virt *v, size_t n, uint64_t deadline_ms);

/*
 * Sets the live statistics period of the running guests that have a balloon and no period or a longer one; their
 * configuration stays as it is. Returns how many were set, or an error. What is known of a guest shows it when it is
 * read again.
 */
int virt_set_period(struct virt *v, struct guest *g, size_t n, uint32_t period_s, uint64_t deadline_ms);

/*
 * The node statistics of a remote host, its pool of huge pages, and what KSM merged. Before libvirt 12.3 available is
 * estimated as free + buffers + cached. A figure that contradicts the others is cut, and doubtful names it. The pool is
 * the caller's, and read if node_pool_is_due; if that fails, its last known value holds on.
 */
int virt_host(struct virt *v, struct node_pool *pool, uint64_t deadline_ms, struct host *ret_host);

#endif
