/* SPDX-License-Identifier: MIT */
#include "virt/xml.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <libxml/SAX2.h>
#include <libxml/parser.h>

/*
 * No encoding but UTF-8, which libvirt writes: iconv would load modules for one that the document declares, and libxml2
 * 2.9.14 reads through NULL if it has no memory for the text in another encoding, even for UTF-8 as the one given.
 */
#define PARSE_OPTIONS (XML_PARSE_NONET | XML_PARSE_NOWARNING | XML_PARSE_RECOVER | XML_PARSE_IGNORE_ENC)
#define ERRORS_MAX 64 /* beside undeclared entities; of 100, libxml2 2.13 does not tell any more */

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

/* What has no parser to blame: of that memory alone makes a document incomplete. Nothing is printed. */
static void note_general_error(void *trouble, const char *message, ...)
{
	const xmlError *error = xmlGetLastError();

	(void)message;
	if (trouble && (!error || error->code == XML_ERR_NO_MEMORY))
		((struct trouble *)trouble)->no_memory = true;
}

bool xml_is_entity(const xmlNode *node)
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
static bool parse(const char *xml, size_t length, struct trouble *trouble, xmlDoc **ret_doc)
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

int xml_read(const char *xml, size_t length, size_t most_bytes, xmlDoc **ret_doc)
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
	good = parse(xml, length, &trouble, &doc);
	xmlSetGenericErrorFunc(NULL, note_general_error);
	if (good) {
		*ret_doc = doc;
		return 0;
	}
	xmlFreeDoc(doc);
	return trouble.no_memory ? -ENOMEM : -EBADMSG;
}

bool xml_is_same(const xmlChar *name, const char *ours)
{
	return name && strcmp((const char *)name, ours) == 0;
}

bool xml_has_namespace(const xmlNode *node, const char *namespace)
{
	return node->ns ? namespace && xml_is_same(node->ns->href, namespace) : !namespace;
}

bool xml_is_named(const xmlNode *node, const char *name)
{
	return node->type == XML_ELEMENT_NODE && xml_is_same(node->name, name);
}

const char *xml_attribute(const xmlNode *node, const char *name)
{
	const xmlAttr *a = xmlHasNsProp(node, BAD_CAST name, NULL);
	const xmlNode *value = a ? a->children : NULL;

	if (!a)
		return NULL;
	return value && value->type == XML_TEXT_NODE && value->content ? (const char *)value->content : "";
}

bool xml_attribute_is(const xmlNode *node, const char *name, const char *value)
{
	const char *is = xml_attribute(node, name);

	return is && strcmp(is, value) == 0;
}

int xml_text(const xmlNode *node, char *text, size_t size)
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
