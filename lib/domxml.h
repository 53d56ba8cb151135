/*
 * Domain or metadata XML to device facts and hints. The only file with libxml2.
 * The document is hostile: no network, no DTD (a document with one is refused), no entities, no expansion; text is
 * taken from direct text children only; sizes and counts are capped. Allocates only inside libxml2 and frees all of it.
 */
#ifndef MEMSCHED_DOMXML_H
#define MEMSCHED_DOMXML_H

#include "guest.h"

#define DOMXML_NAMESPACE "urn:memsched:domain:1.0"
#define DOMXML_MAX_BYTES (8u << 20) /* more is refused unread */

struct domxml {
	char *name;           /* as in the document, owned; NULL where it has none */
	char uuid[UUID_TEXT]; /* "" where it has none or it is not a UUID; lower case */
	int64_t domain_id;    /* -1 where it has none */
	struct device device;
	struct hints hints;
};

/*
 * Reads a <domain> document of length bytes. -EMSGSIZE too large, -EBADMSG not well-formed or with a DTD or not a
 * domain, -ENOMEM. A wrong hint is no failure: it is voided, alone, with a sentence in hints.fault that names the
 * domain, the element and the value.
 */
int domxml_read(const char *xml, size_t length, struct domxml *ret_domain);
void domxml_clear(struct domxml *d);

/*
 * Reads the bare element that virDomainGetMetadata hands back (without its namespace), or the same with it.
 * maximum_kib (0: unknown) cuts a max above it; name is used in the sentences.
 */
int domxml_read_hints(const char *xml, size_t length, const char *name, uint64_t maximum_kib, struct hints *ret_hints);

#endif
