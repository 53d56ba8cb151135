/* SPDX-License-Identifier: MIT */
/*
 * Documents that are hostile, read with libxml2: no network, no DTD (a document with one is refused where the DTD
 * begins), no entities, no other encoding than UTF-8; text is taken from direct text children only.
 * libvirt itself emits documents that are not well-formed: of a definition with a DTD it keeps references to entities
 * in <metadata>, and drops what declared them (9.0). Up to 64 of them are read past, and are nodes of the tree.
 */
#ifndef MEMSCHED_VIRT_XML_H
#define MEMSCHED_VIRT_XML_H

#include <stdbool.h>
#include <stddef.h>
#include <libxml/tree.h>

/*
 * 0, and *ret_doc is to be freed by xmlFreeDoc; -EMSGSIZE longer than most_bytes (at most INT_MAX), and not read;
 * -EBADMSG not well-formed or with a DTD; -ENOMEM.
 */
int xml_read(const char *xml, size_t length, size_t most_bytes, xmlDoc **ret_doc);

/* A reference to an entity that nothing declares. */
bool xml_is_entity(const xmlNode *node);

/* NULL, which libxml2 leaves without memory, is no name. */
bool xml_is_same(const xmlChar *name, const char *ours);

bool xml_is_named(const xmlNode *node, const char *name);
/* namespace NULL: none. */
bool xml_has_namespace(const xmlNode *node, const char *namespace);

/* The value of an attribute without namespace (libvirt puts none on attributes); NULL if it is absent. */
const char *xml_attribute(const xmlNode *node, const char *name);
bool xml_attribute_is(const xmlNode *node, const char *name, const char *value);

/*
 * The text that stands directly in node, as far as it fits. -EINVAL if something else but comments stands there too,
 * -E2BIG if it was cut.
 */
int xml_text(const xmlNode *node, char *text, size_t size);

#endif
