/* SPDX-License-Identifier: MIT */
/*
 * One connection to libvirt and the calls made over it, as they are: each may block for ever, so all are made by
 * workers (virt.c). One worker alone uses it: libvirt's client (9.0) can fail to send a call while another thread waits
 * in one, and goes on only when that is answered, which a stopped QEMU never does. The only file that includes libvirt.
 * Errors as in virt.h, and -ESRCH: the guest is gone (or is another one by now), -ENOTSUP: the driver cannot do this.
 * libvirt_words has libvirt's own words for the last of them.
 */
#ifndef MEMSCHED_VIRT_LIBVIRT_H
#define MEMSCHED_VIRT_LIBVIRT_H

#include "plan/guest.h"
#include "plan/host.h"

struct libvirt;

/* On failure *ret_words, owned by the caller, may say why. */
int libvirt_open(const char *uri, bool read_only, struct libvirt **ret_link, char **ret_words);
void libvirt_close(struct libvirt *l);

/* Valid until the next call; never NULL. */
const char *libvirt_words(const struct libvirt *l);

/* The URI that libvirt made of ours (which may be an alias); owned by the caller, NULL if there is none. */
char *libvirt_uri(struct libvirt *l);

/* Active domains with name, uuid and id, in no order. */
int libvirt_list(struct libvirt *l, struct guest **ret_guests, size_t *ret_n);

/* The domain of that name or UUID, running (with an id) or not (-1), and its definition: one guest. */
int libvirt_find(struct libvirt *l, const char *domain, struct guest **ret_guests, size_t *ret_n);

#define READINGS_MOST                                                                                                  \
	10 /* guests of one call: it takes 1 ms for each, and a QEMU that stops costs the others that call */

/* A guest that is read, and what came of it. */
struct reading {
	size_t at; /* the caller's */
	struct guest guest;
	int result;  /* -EAGAIN: the call for all failed, another for this guest alone may not */
	char *words; /* libvirt's for result, to be freed */
};

/*
 * State and sample of n guests (READINGS_MOST at most), found by guest.uuid, in one call for all that were found over
 * this connection before; guest.domain_id becomes the one it has now, and answered is set. Device, hints and whether it
 * migrates too if guest_facts_due: while another client holds the guest's job they stay as they are, and are unknown if
 * they were never read. A result of -ETIMEDOUT: QEMU has held its monitor for too long. Returns 0, or -ENOTCONN.
 */
int libvirt_read(struct libvirt *l, struct reading *r, size_t n);

/* The sample alone, with actual as it is at this moment, if the guest still bears g->domain_id. -EAGAIN: another client
 * kept its monitor busy, and the sample is the old one. */
int libvirt_sample(struct libvirt *l, struct guest *g);

/* Sends g->plan.ask_kib, likewise, unless the guest turns out to be migrating, which is no error. */
int libvirt_set(struct libvirt *l, struct guest *g);

int libvirt_set_period(struct libvirt *l, struct guest *g, uint32_t period_s);

/* The figures of the host for node_end, and what KSM merged. */
int libvirt_host(struct libvirt *l, struct host *ret_host);

/* The host's pool of huge pages, from its capabilities; 0 if the driver has none, or does not let us read them. */
int libvirt_hugetlb(struct libvirt *l, uint64_t *ret_kib);

#endif
