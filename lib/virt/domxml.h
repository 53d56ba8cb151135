/* SPDX-License-Identifier: MIT */
/*
 * Domain or metadata XML to device facts and hints, and capabilities of a host to its huge pages. The only file with
 * libxml2. Sizes and counts are capped. Allocates only inside libxml2 and frees all of it but the name. What libxml2
 * does not bound is the time for an element of very many attributes (100000: 10 s); libvirt has paid that price before
 * us, and the hook's helper has an alarm. References to entities void the hints they stand in.
 */
#ifndef MEMSCHED_VIRT_DOMXML_H
#define MEMSCHED_VIRT_DOMXML_H

#include "plan/guest.h"

#define DOMXML_NAMESPACE "urn:memsched:domain:1.0"
#define DOMXML_MAX_BYTES (8u << 20) /* more is refused unread */
#define DOMXML_NAME_BYTES 1024      /* a longer name is cut */

struct domxml {
	char *name;           /* as in the document, owned; NULL if it has none */
	char uuid[UUID_TEXT]; /* "" if it has none or it is not a UUID; lower case */
	int64_t domain_id;    /* -1 if it has none */
	struct device device; /* 0 and false if the document does not say */
	struct hints hints;
	bool no_memory; /* while it was read; false if it was read whole */
};

/*
 * Reads a <domain> document of length bytes. -EMSGSIZE too large, -EBADMSG not well-formed or with a DTD or not a
 * domain, -ENOMEM; *ret_domain is untouched then. A wrong hint is no failure: it is voided, alone, with a sentence in
 * hints.fault that names the domain, the element and the value:
 *   not a size as libvirt takes it, too large, weight outside 1-10000, an element twice, an unknown attribute;
 *   an undeclared entity in it; all of them if one stands between them or in the attributes of one (but managed="no"
 *   holds if that can be read);
 *   a max below the default floor of a guest of this size (policy_floor_kib);
 *   min above max: the max is voided and the min holds, for a guest with too much memory costs the others something,
 *   and a guest with too little dies.
 * managed is yes, true, on or 1, or no, false, off or 0, in any case; any other value leaves the guest alone. Unknown
 * elements and attributes of ours share one sentence, with the nearest known names. A size below 16 MiB, and a
 * min below the default floor, hold but get a sentence too. A min or max above the domain's maximum is cut to it and is
 * no fault. Of two elements of our namespace the first counts, as in libvirt.
 */
int domxml_read(const char *xml, size_t length, struct domxml *ret_domain);
void domxml_clear(struct domxml *d);

/*
 * Reads the pool of huge pages from a <capabilities> document: the pages of all NUMA cells but those of the smallest
 * size. A size or count that is no number counts as absent. -EMSGSIZE, -EBADMSG and -ENOMEM as domxml_read; *ret_kib
 * is untouched then.
 */
int domxml_read_hugetlb(const char *xml, size_t length, uint64_t *ret_kib);

#endif
