/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <libxml/SAX2.h>
#include <libxml/parser.h>
#include <libxml/tree.h>

#include "base/io.h"
#include "base/text.h"
#include "base/units.h"
#include "plan/hints.h"
#include "virt/domxml.h"

#define VALUE_BYTES 64
#define WEIGHT_MOST 10000
#define UNLIMITED_KIB ((UINT64_C(1) << 53) - 1) /* libvirt's value for a limit of memtune that was removed */

/*
 * No encoding but UTF-8, which libvirt writes: iconv would load modules for one that the document declares, and libxml2
 * 2.9.14 reads through NULL if it has no memory for the text in another encoding, even for UTF-8 as the one given.
 */
#define PARSE_OPTIONS (XML_PARSE_NONET | XML_PARSE_NOWARNING | XML_PARSE_RECOVER | XML_PARSE_IGNORE_ENC)
#define ERRORS_MAX 64 /* beside undeclared entities; libxml2 2.13 reports no more than 100 */

/* ---- documents ---- */

struct trouble { /* that came up while a document was parsed */
	unsigned errors, entities;
	bool stopped, no_memory;
};

static void stop_parsing(xmlParserCtxt *ctxt)
{
	struct trouble *t = ctxt->_private;

	t->stopped = true;
	xmlStopParser(ctxt);
}

/* Before anything it declares can be used: entities in values of attributes are expanded whatever the options. */
static void refuse_dtd(void *ctxt, const xmlChar *name, const xmlChar *external_id, const xmlChar *system_id)
{
	(void)name, (void)external_id, (void)system_id;
	stop_parsing(ctxt);
}

/*
 * Each error ends the parsing but an undeclared entity: libvirt drops the DTD of a definition and hands on what it
 * declared for <metadata>. A reference without an entity is put there, before an element for one in its attributes.
 */
static void note_error(void *arg, const char *message, ...)
{
	xmlParserCtxt *ctxt = arg;
	const xmlError *error = xmlCtxtGetLastError(ctxt);
	struct trouble *t = ctxt->_private;

	(void)message;
	t->errors++;
	t->no_memory |= ctxt->errNo == XML_ERR_NO_MEMORY;
	/* Without memory libxml2 stops by itself, and still reads the input that xmlStopParser frees (2.9.14). */
	if (t->no_memory)
		return;
	if (!error || error->level < XML_ERR_FATAL)
		return;
	if (error->code != XML_ERR_UNDECLARED_ENTITY || !ctxt->node || t->errors > ERRORS_MAX) {
		stop_parsing(ctxt);
		return;
	}
	t->entities++;
	/* libxml2 2.14 reports an early end, or content behind the end, only in a document without errors. */
	ctxt->wellFormed = 1;
	ctxt->errNo = XML_ERR_OK;
	xmlSAX2Reference(ctxt, BAD_CAST "undeclared");
}

/* Errors without a parser: of these only a lack of memory makes a document incomplete. Nothing is printed. */
static void note_general_error(void *trouble, const char *message, ...)
{
	const xmlError *error = xmlGetLastError();

	(void)message;
	if (trouble && (!error || error->code == XML_ERR_NO_MEMORY))
		((struct trouble *)trouble)->no_memory = true;
}

static bool xml_is_entity(const xmlNode *node)
{
	return node && node->type == XML_ENTITY_REF_NODE;
}

static pthread_once_t parser_once = PTHREAD_ONCE_INIT;

/* Whether libxml2 takes the first bytes for those of another encoding than UTF-8. */
static bool is_recoded(const char *xml, size_t length)
{
	return length < 2 || !strchr(" \t\r\n<", xml[0]) || !xml[0] || !xml[1];
}

/* Whether it is whole. */
static bool parse_xml(const char *xml, size_t length, struct trouble *trouble, xmlDoc **ret_doc)
{
	xmlParserCtxt *ctxt = xmlNewParserCtxt();
	bool whole;

	if (!ctxt) {
		trouble->no_memory = true;
		return false;
	}
	ctxt->sax->internalSubset = refuse_dtd;
	ctxt->sax->error = note_error;
	ctxt->_private = trouble;
	*ret_doc = xmlCtxtReadMemory(ctxt, xml, (int)length, NULL, NULL, PARSE_OPTIONS);
	trouble->no_memory |= ctxt->errNo == XML_ERR_NO_MEMORY;
	whole = trouble->entities ? trouble->errors <= ERRORS_MAX : ctxt->wellFormed;
	xmlFreeParserCtxt(ctxt);
	return whole && !trouble->stopped && !trouble->no_memory && *ret_doc && xmlDocGetRootElement(*ret_doc);
}

static int xml_read(const char *xml, size_t length, size_t most_bytes, xmlDoc **ret_doc)
{
	struct trouble trouble = {0};
	xmlDoc *doc = NULL;
	bool good;

	if (length > most_bytes)
		return -EMSGSIZE;
	if (is_recoded(xml, length))
		return -EBADMSG;
	xmlSetGenericErrorFunc(&trouble, note_general_error); /* of this thread */
	pthread_once(&parser_once, xmlInitParser); /* left to itself, it races where several threads parse first */
	good = parse_xml(xml, length, &trouble, &doc);
	xmlSetGenericErrorFunc(NULL, note_general_error);
	if (good) {
		*ret_doc = doc;
		return 0;
	}
	xmlFreeDoc(doc);
	return trouble.no_memory ? -ENOMEM : -EBADMSG;
}

/* libxml2 leaves a name NULL if it is out of memory: that equals no name. */
static bool xml_is_same(const xmlChar *name, const char *ours)
{
	return name && strcmp((const char *)name, ours) == 0;
}

static bool xml_has_namespace(const xmlNode *node, const char *namespace)
{
	return node->ns ? namespace && xml_is_same(node->ns->href, namespace) : !namespace;
}

static bool xml_is_named(const xmlNode *node, const char *name)
{
	return node->type == XML_ELEMENT_NODE && xml_is_same(node->name, name);
}

/* The value of an attribute without namespace (libvirt puts none on attributes); NULL if it is absent. */
static const char *xml_attribute(const xmlNode *node, const char *name)
{
	const xmlAttr *a = xmlHasNsProp(node, BAD_CAST name, NULL);
	const xmlNode *value = a ? a->children : NULL;

	if (!a)
		return NULL;
	return value && value->type == XML_TEXT_NODE && value->content ? (const char *)value->content : "";
}

static bool xml_attribute_is(const xmlNode *node, const char *name, const char *value)
{
	const char *is = xml_attribute(node, name);

	return is && strcmp(is, value) == 0;
}

/*
 * The text that stands directly in node, as far as it fits. -EINVAL if something else but comments stands there too,
 * -E2BIG if it was cut.
 */
static int xml_text(const xmlNode *node, char *text, size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	for (const xmlNode *c = node->children; c; c = c->next) {
		if (c->type == XML_COMMENT_NODE || c->type == XML_PI_NODE)
			continue;
		if (c->type != XML_TEXT_NODE && c->type != XML_CDATA_SECTION_NODE)
			return -EINVAL;
		used += (size_t)snprintf(text + used, size - used, "%s", c->content ? (const char *)c->content : "");
		if (used >= size)
			return -E2BIG;
	}
	return 0;
}

/* ---- hints ---- */

static int read_min(const char *text, const char *unit, struct hints *h)
{
	int r = size_parse_unit(text, unit, &h->min_kib);

	h->has_min = r == 0;
	return r;
}

static int read_max(const char *text, const char *unit, struct hints *h)
{
	int r = size_parse_unit(text, unit, &h->max_kib);

	h->has_max = r == 0;
	return r;
}

static int read_target(const char *text, const char *unit, struct hints *h)
{
	int r = size_parse_unit(text, unit, &h->target_kib);

	h->has_target = r == 0;
	return r;
}

static int read_weight(const char *text, const char *unit, struct hints *h)
{
	uint64_t weight;
	int r = unit ? -EINVAL : number_parse(text, WEIGHT_MOST, &weight);

	if (r == 0 && weight == 0)
		return -ERANGE;
	if (r == 0)
		h->weight = (uint32_t)weight;
	h->has_weight = r == 0;
	return r;
}

static const struct part {
	const char *name;
	int (*read)(const char *text, const char *unit, struct hints *h);
	const char *form, *range; /* of a valid value, for the message about an invalid one */
} parts[] = {
    {"min", read_min, "not a size such as 512 with unit='MiB'", "too large"},
    {"max", read_max, "not a size such as 512 with unit='MiB'", "too large"},
    {"target", read_target, "not a size such as 256 with unit='MiB'", "too large"},
    {"weight", read_weight, "not a whole number from 1 to 10000", "not from 1 to 10000"},
};

/* The next child of that name after (NULL: from the start), without a namespace or with ours. */
static const xmlNode *find_part(const xmlNode *element, const char *name, const xmlNode *after)
{
	const xmlNode *c = after ? after->next : element->children;

	while (c && !(xml_is_named(c, name) && (xml_has_namespace(c, NULL) || xml_has_namespace(c, DOMXML_NAMESPACE))))
		c = c->next;
	return c;
}

/* An attribute of ours: libvirt puts no namespace on attributes, but takes one. */
static bool is_ours(const xmlAttr *a)
{
	return !a->ns || xml_is_same(a->ns->href, DOMXML_NAMESPACE);
}

/* The first attribute of ours but the one of this name; NULL if there is none. */
static const xmlAttr *find_unknown(const xmlAttr *from, const char *known)
{
	const xmlAttr *a = from;

	while (a && !(is_ours(a) && (a->ns || !xml_is_same(a->name, known))))
		a = a->next;
	return a;
}

static void void_attribute(struct hints *h, const struct hint_context *in, const char *hint, const char *value,
                           const xmlAttr *unknown)
{
	struct text_nearest nearest = {.given = (const char *)unknown->name};
	char name[32], why[96];

	text_nearest_try(&nearest, "unit");
	text_escape(name, sizeof(name), nearest.given, text_is_utf8());
	snprintf(why, sizeof(why), "unknown attribute '%s'%s", name, nearest.word ? ", did you mean 'unit'?" : "");
	hints_void(h, in, hint, value, why);
}

static void read_part(const struct part *part, const xmlNode *element, const struct hint_context *in, struct hints *h)
{
	const xmlNode *node = find_part(element, part->name, NULL);
	char text[VALUE_BYTES], value[2 * VALUE_BYTES];
	const xmlAttr *unknown;
	const char *unit;
	int r;

	if (!node)
		return;
	unit = xml_attribute(node, "unit");
	unknown = find_unknown(node->properties, "unit");
	r = xml_text(node, text, sizeof(text));
	snprintf(value, sizeof(value), "%s%s%s", text, unit ? " " : "", unit ? unit : "");
	if (find_part(element, part->name, node)) {
		hints_void(h, in, part->name, value, "it is there twice");
		return;
	}
	if (unknown) {
		void_attribute(h, in, part->name, value, unknown);
		return;
	}
	if (r == 0)
		r = part->read(text, unit, h);
	if (r < 0)
		hints_void(h, in, part->name, value, r == -ERANGE ? part->range : part->form);
}

/* A guest is left alone if its administrator's wishes are unclear. */
static void read_managed(const xmlNode *element, const struct hint_context *in, struct hints *h)
{
	static const char *const yes[] = {"yes", "true", "on", "1"}, *const no[] = {"no", "false", "off", "0"};
	const char *managed = xml_attribute(element, "managed");
	bool is_yes = !managed, is_no = false;
	char given[64];

	for (size_t i = 0; managed && i < sizeof(yes) / sizeof(yes[0]); i++) {
		is_yes |= text_same(managed, yes[i]);
		is_no |= text_same(managed, no[i]);
	}
	h->opted_out = !is_yes;
	h->has_managed = managed;
	if (is_yes || is_no)
		return;
	h->voided = true;
	hints_fault(h, in, "hint managed '%s' is neither yes nor no: the guest is left alone",
	            text_escape(given, sizeof(given), managed, text_is_utf8()));
}

/* ---- names that are none of ours ---- */

struct unknown {
	char list[160];
	size_t used;
	unsigned more; /* that do not fit */
};

/* Each name once. Of a hostile document with very many only their number is said. */
static void add_unknown(struct unknown *u, const char *name, const char *kind)
{
	struct text_nearest nearest = {.given = name};
	char escaped[48], item[128];
	size_t n;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		text_nearest_try(&nearest, parts[i].name);
	text_nearest_try(&nearest, "managed");
	n = (size_t)snprintf(item, sizeof(item), "%s '%s'", kind,
	                     text_escape(escaped, sizeof(escaped), name, text_is_utf8()));
	if (nearest.word && strcmp(nearest.word, "managed") == 0)
		n += (size_t)snprintf(item + n, sizeof(item) - n, " (did you mean the attribute managed?)");
	else if (nearest.word)
		n += (size_t)snprintf(item + n, sizeof(item) - n, " (did you mean <%s>?)", nearest.word);
	if (strstr(u->list, item))
		return;
	if (u->used + n + strlen(", ") >= sizeof(u->list)) {
		u->more++;
		return;
	}
	u->used += (size_t)snprintf(u->list + u->used, sizeof(u->list) - u->used, "%s%s", u->used ? ", " : "", item);
}

static bool is_part(const xmlNode *node)
{
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (xml_is_named(node, parts[i].name))
			return true;
	return false;
}

static void void_unknown(const xmlNode *element, const struct hint_context *in, struct hints *h)
{
	struct unknown u = {.used = 0};
	char more[32] = "";

	for (const xmlAttr *a = find_unknown(element->properties, "managed"); a; a = find_unknown(a->next, "managed"))
		add_unknown(&u, (const char *)a->name, "attribute");
	for (const xmlNode *c = element->children; c; c = c->next)
		if (c->type == XML_ELEMENT_NODE && !is_part(c) &&
		    (xml_has_namespace(c, NULL) || xml_has_namespace(c, DOMXML_NAMESPACE)))
			add_unknown(&u, (const char *)c->name, "element");
	if (!u.used)
		return;
	h->voided = true;
	if (u.more)
		snprintf(more, sizeof(more), " and %u more", u.more);
	hints_fault(h, in, "unknown hints are ignored: %s%s", u.list, more);
}

/* An undeclared entity may have contained any of the hints. */
static void read_hints(const xmlNode *element, const struct hint_context *in, struct hints *h)
{
	bool unknown = xml_is_entity(element->prev);

	h->present = true;
	h->opted_out = unknown && xml_attribute(element, "managed");
	if (!xml_is_named(element, "memory")) {
		hints_void(h, in, "element", (const char *)element->name, "its name is not 'memory'");
		return;
	}
	if (!unknown)
		read_managed(element, in, h);
	for (const xmlNode *c = element->children; c; c = c->next)
		unknown |= xml_is_entity(c);
	if (unknown) {
		hints_void(h, in, "element", "memory", "an undeclared entity stands in it");
		return;
	}
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		read_part(&parts[i], element, in, h);
	void_unknown(element, in, h);
	hints_judge(in, h);
}

/* ---- domains ---- */

static void read_size(const xmlNode *node, uint64_t *kib)
{
	char text[VALUE_BYTES];

	if (xml_text(node, text, sizeof(text)) == 0)
		size_parse_unit(text, xml_attribute(node, "unit"), kib);
}

static void read_name(const xmlNode *node, struct domxml *d)
{
	char name[DOMXML_NAME_BYTES + 1];

	if (d->name || xml_text(node, name, sizeof(name)) == -EINVAL)
		return;
	d->name = strdup(name);
	d->no_memory |= !d->name;
}

static void read_uuid(const xmlNode *node, struct domxml *d)
{
	char text[UUID_TEXT];

	if (xml_text(node, text, sizeof(text)) == 0)
		uuid_parse(text, d->uuid);
}

static void read_maximum(const xmlNode *node, struct domxml *d)
{
	read_size(node, &d->device.maximum_kib);
}

static void read_current(const xmlNode *node, struct domxml *d)
{
	read_size(node, &d->device.current_kib);
}

static void read_hard_limit(const xmlNode *node, struct domxml *d)
{
	read_size(node, &d->device.hard_limit_kib);
	if (d->device.hard_limit_kib >= UNLIMITED_KIB)
		d->device.hard_limit_kib = 0;
}

static const xmlNode *find_child(const xmlNode *node, const char *name)
{
	const xmlNode *c = node ? node->children : NULL;

	while (c && !xml_is_named(c, name))
		c = c->next;
	return c;
}

static void read_balloon(const xmlNode *node, struct domxml *d)
{
	const xmlNode *stats = find_child(node, "stats");
	const char *period = stats ? xml_attribute(stats, "period") : NULL;
	uint64_t period_s;

	d->device.bare = xml_attribute_is(node, "model", "none");
	d->device.balloon = !d->device.bare;
	d->device.autodeflate = xml_attribute_is(node, "autodeflate", "on");
	d->device.reporting = xml_attribute_is(node, "freePageReporting", "on");
	if (period && number_parse(period, INT32_MAX, &period_s) == 0)
		d->device.period_s = (uint32_t)period_s;
}

/*
 * A disk is a chain: layers below it, a copy that is being made (mirror), and files that hold the data of a layer.
 * libvirt raises the limit of locked memory for an NVMe disk anywhere in it.
 */
static bool pins_memory(const xmlNode *disk)
{
	static const char *const links[] = {"source", "backingStore", "mirror", "dataStore"};

	if (xml_attribute_is(disk, "type", "nvme") || xml_attribute_is(disk, "type", "vhostvdpa"))
		return true;
	for (const xmlNode *c = disk->children; c; c = c->next)
		for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
			if (xml_is_named(c, links[i]) && pins_memory(c))
				return true;
	return false;
}

static void read_disk(const xmlNode *node, struct domxml *d)
{
	d->device.passthrough |= pins_memory(node);
}

/* Of memory devices QEMU's balloon knows DIMMs alone; libvirt counts all of them in <memory>. Its nodes bind
 * strictly unless <numatune> has a mode for all memory, or for its cell: that is not read, as the fact only warns. */
static void read_memory_device(const xmlNode *node, struct domxml *d)
{
	const xmlNode *size = find_child(find_child(node, "target"), "size");
	uint64_t kib = 0;

	if (size)
		read_size(size, &kib);
	if (find_child(find_child(node, "source"), "nodemask"))
		d->device.numa_bound |= !find_child(find_child(node->parent->parent, "numatune"), "memory");
	d->device.virtio_mem |= xml_attribute_is(node, "model", "virtio-mem");
	if (xml_attribute_is(node, "model", "dimm"))
		d->device.dimm_kib = sat_add(d->device.dimm_kib, kib);
	else if (!xml_attribute_is(node, "model", "virtio-mem"))
		d->device.outside_kib = sat_add(d->device.outside_kib, kib);
}

static const struct element {
	const char *in, *name; /* in "": directly in <domain> */
	void (*read)(const xmlNode *node, struct domxml *d);
} elements[] = {
    {"", "name", read_name},
    {"", "uuid", read_uuid},
    {"", "memory", read_maximum},
    {"", "currentMemory", read_current},
    {"memtune", "hard_limit", read_hard_limit},
    {"devices", "memballoon", read_balloon},
    {"devices", "disk", read_disk},
    {"devices", "memory", read_memory_device},
};

/*
 * Passthrough makes QEMU keep all of a guest's memory in place, as libvirt has it for the limit of locked
 * memory (qemuDomainGetMemLockLimitBytes): VFIO, mediated and vDPA devices, and NVMe disks, which are driven through
 * VFIO too; and encrypted guests. A host device on USB or SCSI does not.
 */
static const struct fact {
	const char *in, *name;
	const char *attribute, *value; /* NULL: that the element is there suffices */
	size_t offset;                 /* of a bool in struct device */
} facts[] = {
    {"memoryBacking", "locked", NULL, NULL, offsetof(struct device, locked)},
    {"memoryBacking", "hugepages", NULL, NULL, offsetof(struct device, hugepages)},
    {"memoryBacking", "allocation", "mode", "immediate", offsetof(struct device, preallocated)},
    {"numatune", "memory", "mode", "strict", offsetof(struct device, numa_bound)},
    {"numatune", "memory", "mode", "restrictive", offsetof(struct device, numa_bound)},
    {"numatune", "memnode", "mode", "strict", offsetof(struct device, numa_bound)},
    {"numatune", "memnode", "mode", "restrictive", offsetof(struct device, numa_bound)},
    {"", "launchSecurity", NULL, NULL, offsetof(struct device, passthrough)},
    {"devices", "hostdev", "type", "pci", offsetof(struct device, passthrough)},
    {"devices", "hostdev", "type", "mdev", offsetof(struct device, passthrough)},
    {"devices", "interface", "type", "hostdev", offsetof(struct device, passthrough)},
    {"devices", "interface", "type", "vdpa", offsetof(struct device, passthrough)},
};

static void read_element(const xmlNode *node, const char *in, struct domxml *d)
{
	for (size_t i = 0; i < sizeof(elements) / sizeof(elements[0]); i++)
		if (xml_is_named(node, elements[i].name) && strcmp(in, elements[i].in) == 0)
			elements[i].read(node, d);
	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
		const struct fact *f = &facts[i];

		if (xml_is_named(node, f->name) && strcmp(in, f->in) == 0 &&
		    (!f->attribute || xml_attribute_is(node, f->attribute, f->value)))
			*(bool *)((char *)&d->device + f->offset) = true;
	}
}

/* The first element of our namespace in the first <metadata>; NULL if there is none. */
static const xmlNode *find_hints(const xmlNode *root)
{
	const xmlNode *c = find_child(root, "metadata");

	c = c ? c->children : NULL;
	while (c && !(c->type == XML_ELEMENT_NODE && xml_has_namespace(c, DOMXML_NAMESPACE)))
		c = c->next;
	return c;
}

static int read_domain(const xmlNode *root, struct domxml *d)
{
	const xmlNode *hints = find_hints(root);
	const char *id = xml_attribute(root, "id");
	uint64_t number;

	if (!xml_is_named(root, "domain") || !xml_has_namespace(root, NULL))
		return -EBADMSG;
	if (id && number_parse(id, INT32_MAX, &number) == 0)
		d->domain_id = (int64_t)number;
	for (const xmlNode *c = root->children; c; c = c->next) {
		if (c->type != XML_ELEMENT_NODE || !xml_has_namespace(c, NULL))
			continue;
		read_element(c, "", d);
		for (const xmlNode *cc = c->children; cc; cc = cc->next)
			if (cc->type == XML_ELEMENT_NODE && xml_has_namespace(cc, NULL))
				read_element(cc, (const char *)c->name, d);
	}
	d->device.maximum_kib = sat_sub(d->device.maximum_kib, d->device.outside_kib);
	if (d->device.maximum_kib || d->device.outside_kib) /* libvirt cuts it too */
		d->device.current_kib = min_u64(d->device.current_kib, d->device.maximum_kib);
	if (hints)
		read_hints(hints, &(struct hint_context){d->name, d->device.maximum_kib}, &d->hints);
	return d->no_memory ? -ENOMEM : 0;
}

int domxml_read(const char *xml, size_t length, struct domxml *ret_domain)
{
	struct domxml d = {.domain_id = -1, .hints.weight = WEIGHT_DEFAULT};
	xmlDoc *doc;
	int r = xml_read(xml, length, DOMXML_MAX_BYTES, &doc);

	if (r < 0)
		return r;
	r = read_domain(xmlDocGetRootElement(doc), &d);
	xmlFreeDoc(doc);
	if (r == 0)
		*ret_domain = d;
	else
		domxml_clear(&d);
	return r;
}

void domxml_clear(struct domxml *d)
{
	free(d->name);
	*d = (struct domxml){.domain_id = -1};
}

/* ---- capabilities of a host ---- */

struct page_sums {
	uint64_t usual_kib;   /* the smallest size that is listed, */
	uint64_t pages_kib;   /* what pages of this size make up, */
	uint64_t hugetlb_kib; /* and what all others do */
};

/* A count that is no number counts as 0. */
static void add_pages(const xmlNode *node, struct page_sums *s)
{
	const char *size = xml_attribute(node, "size");
	uint64_t size_kib, count = 0, *sum;
	char text[VALUE_BYTES];

	if (!size || size_parse_unit(size, xml_attribute(node, "unit"), &size_kib) < 0 || !size_kib)
		return;
	if (xml_text(node, text, sizeof(text)) == 0)
		number_parse(text, UINT64_MAX, &count);
	if (size_kib < s->usual_kib) {
		s->hugetlb_kib = sat_add(s->hugetlb_kib, s->pages_kib);
		s->usual_kib = size_kib;
		s->pages_kib = 0;
	}
	sum = size_kib == s->usual_kib ? &s->pages_kib : &s->hugetlb_kib;
	*sum = sat_add(*sum, scale_u64(count, size_kib, 1));
}

static uint64_t sum_hugetlb(const xmlNode *root)
{
	const xmlNode *cells = find_child(find_child(find_child(root, "host"), "topology"), "cells");
	struct page_sums s = {.usual_kib = UINT64_MAX};

	for (const xmlNode *cell = find_child(cells, "cell"); cell; cell = cell->next)
		for (const xmlNode *c = xml_is_named(cell, "cell") ? cell->children : NULL; c; c = c->next)
			if (xml_is_named(c, "pages"))
				add_pages(c, &s);
	return s.hugetlb_kib;
}

int domxml_read_hugetlb(const char *xml, size_t length, uint64_t *ret_kib)
{
	xmlDoc *doc;
	int r = xml_read(xml, length, DOMXML_MAX_BYTES, &doc);

	if (r < 0)
		return r;
	if (xml_is_named(xmlDocGetRootElement(doc), "capabilities"))
		*ret_kib = sum_hugetlb(xmlDocGetRootElement(doc));
	else
		r = -EBADMSG;
	xmlFreeDoc(doc);
	return r;
}
