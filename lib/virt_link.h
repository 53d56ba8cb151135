/*
 * One connection to libvirt and the calls made over it, as they are: each may block for ever, so all are made by
 * workers (virt.c). The only file that includes libvirt. Errors as in virt.h, and -ESRCH: the guest is gone (or is
 * another one by now), -ENOTSUP: the driver cannot do this. link_words has libvirt's own words for the last of them.
 */
#ifndef MEMSCHED_VIRT_LINK_H
#define MEMSCHED_VIRT_LINK_H

#include "guest.h"
#include "host.h"

struct link;

/* On failure *ret_words, owned by the caller, may say why. */
int link_open(const char *uri, bool read_only, struct link **ret_link, char **ret_words);
void link_close(struct link *l);

/* Valid until the next call; never NULL. */
const char *link_words(const struct link *l);

/* The URI that libvirt made of ours (which may be an alias); owned by the caller, NULL where there is none. */
char *link_uri(struct link *l);

/* Active domains with name, uuid and id, in no order. */
int link_list(struct link *l, struct guest **ret_guests, size_t *ret_n);

/*
 * Device facts, hints, state and sample of g, found by g->uuid; g->domain_id becomes what it is now. -ETIMEDOUT: QEMU
 * has held its monitor for too long.
 */
int link_read(struct link *l, struct guest *g);

/* The sample alone, if the guest still bears g->domain_id. */
int link_sample(struct link *l, struct guest *g);

/* Sends g->ask_kib, likewise. */
int link_set(struct link *l, struct guest *g);

int link_set_period(struct link *l, struct guest *g, uint32_t period_s);

int link_host(struct link *l, struct host *ret_host);

#endif
