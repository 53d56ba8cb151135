/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include "base/clock.h"
#include "base/text.h"
#include "base/units.h"
#include "plan/hints.h"
#include "virt/domxml.h"
#include "virt/libvirt.h"
#include "virt/node.h"
#include "virt/virt.h"

#define OCCUPIED_MOST_MS 200 /* QEMU answers a command in 1 ms */
#define BUSY_RETRIES 2
#define BUSY_PAUSE (&(const struct timespec){.tv_nsec = 5000000})
#define FOUND 256

struct libvirt {
	virConnectPtr conn;
	virDomainPtr found[FOUND]; /* the last of each hash: they need not be looked up again */
	char *words;
};

/* ---- errors ---- */

#define ANY_DOMAIN (-1)
#define ANY_NUMBER 0

/* The first row that fits. */
static const struct {
	int code;
	int domain;
	int number; /* errno of a system error */
	int error;
} errors[] = {
    {VIR_ERR_NO_DOMAIN, ANY_DOMAIN, ANY_NUMBER, -ESRCH},
    {VIR_ERR_OPERATION_TIMEOUT, ANY_DOMAIN, ANY_NUMBER, -ETIMEDOUT},
    {VIR_ERR_SYSTEM_ERROR, VIR_FROM_RPC, EACCES, -EACCES},
    {VIR_ERR_SYSTEM_ERROR, VIR_FROM_RPC, EPERM, -EACCES},
    {VIR_ERR_SYSTEM_ERROR, VIR_FROM_RPC, ANY_NUMBER, -ENOTCONN},
    {VIR_ERR_NO_CONNECT, ANY_DOMAIN, ANY_NUMBER, -EINVAL},
    {VIR_ERR_INTERNAL_ERROR, VIR_FROM_URI, ANY_NUMBER, -EINVAL},
    {VIR_ERR_INVALID_ARG, ANY_DOMAIN, ANY_NUMBER, -EINVAL},
    {VIR_ERR_OPERATION_DENIED, ANY_DOMAIN, ANY_NUMBER, -EACCES},
    {VIR_ERR_AUTH_FAILED, ANY_DOMAIN, ANY_NUMBER, -EACCES},
    {VIR_ERR_AUTH_CANCELLED, ANY_DOMAIN, ANY_NUMBER, -EACCES},
    {VIR_ERR_AUTH_UNAVAILABLE, ANY_DOMAIN, ANY_NUMBER, -EACCES},
    {VIR_ERR_ACCESS_DENIED, ANY_DOMAIN, ANY_NUMBER, -EACCES},
    {VIR_ERR_NO_SUPPORT, ANY_DOMAIN, ANY_NUMBER, -ENOTSUP},
    {VIR_ERR_ARGUMENT_UNSUPPORTED, ANY_DOMAIN, ANY_NUMBER, -ENOTSUP},
    {VIR_ERR_OPERATION_UNSUPPORTED, ANY_DOMAIN, ANY_NUMBER, -ENOTSUP},
    {VIR_ERR_NO_MEMORY, ANY_DOMAIN, ANY_NUMBER, -ENOMEM},
};

static int error_number(const virError *e)
{
	for (size_t i = 0; e && i < COUNT(errors); i++)
		if (errors[i].code == e->code && (errors[i].domain == ANY_DOMAIN || errors[i].domain == e->domain) &&
		    (errors[i].number == ANY_NUMBER || errors[i].number == e->int1))
			return errors[i].error;
	return -EIO;
}

/* Notes libvirt's last error. A dead connection has no error code of its own. */
static int link_fail(struct libvirt *l)
{
	const virError *e = virGetLastError();
	int rc = error_number(e);

	free(l->words);
	l->words = e && e->message ? strdup(e->message) : NULL;
	return virConnectIsAlive(l->conn) == 0 ? -ENOTCONN : rc;
}

/* A guest may go at any time, and each call has its own words for that. */
static int guest_fail(struct libvirt *l, virDomainPtr dom)
{
	int rc = link_fail(l);

	if (rc == -ENOTCONN || rc == -ESRCH)
		return rc;
	if (virDomainIsActive(dom) == 1)
		return rc;
	return virConnectIsAlive(l->conn) == 0 ? -ENOTCONN : -ESRCH;
}

static int link_refuse(struct libvirt *l, int error, const char *words)
{
	free(l->words);
	l->words = strdup(words);
	return error;
}

const char *libvirt_words(const struct libvirt *l)
{
	return l->words ? l->words : "unknown error";
}

/* ---- connection ---- */

static void be_silent(void *arg, virErrorPtr error)
{
	(void)arg, (void)error;
}

/* No event loop is ever registered: libvirtd would then expect it to run, and hang up on us after 30 s. */
static void initialize_libvirt(void)
{
	virSetErrorFunc(NULL, be_silent);
	virInitialize();
}

/* A wrong path has no code of its own: "unexpected qemu URI path '/sytem'". */
static bool is_bad_uri(const virError *e)
{
	return e && e->code == VIR_ERR_INTERNAL_ERROR && e->domain == VIR_FROM_NONE;
}

int libvirt_open(const char *uri, bool read_only, struct libvirt **ret_link, char **ret_words)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct libvirt *l = calloc(1, sizeof(*l));
	const virError *e;

	if (!l)
		return -ENOMEM;
	pthread_once(&once, initialize_libvirt);
	l->conn = read_only ? virConnectOpenReadOnly(uri) : virConnectOpen(uri);
	if (l->conn) {
		*ret_link = l;
		return 0;
	}
	free(l);
	e = virGetLastError();
	*ret_words = e && e->message ? strdup(e->message) : NULL;
	return is_bad_uri(e) ? -EINVAL : error_number(e);
}

void libvirt_close(struct libvirt *l)
{
	for (size_t i = 0; i < FOUND; i++)
		if (l->found[i])
			virDomainFree(l->found[i]);
	virConnectClose(l->conn);
	free(l->words);
	free(l);
}

char *libvirt_uri(struct libvirt *l)
{
	return virConnectGetURI(l->conn);
}

/* ---- list ---- */

static int guest_init(virDomainPtr dom, struct guest *ret_guest)
{
	struct guest g = {.domain_id = (int)virDomainGetID(dom)};

	g.name = strdup(virDomainGetName(dom));
	if (!g.name)
		return -ENOMEM;
	virDomainGetUUIDString(dom, g.uuid);
	*ret_guest = g;
	return 0;
}

static virDomainPtr *found_slot(struct libvirt *l, const char *uuid)
{
	unsigned hash = 0;

	while (*uuid)
		hash = 31 * hash + (unsigned char)*uuid++;
	return &l->found[hash % FOUND];
}

/* Takes the domain over. */
static void found_keep(struct libvirt *l, virDomainPtr dom)
{
	char uuid[VIR_UUID_STRING_BUFLEN] = "";
	virDomainPtr *slot;

	virDomainGetUUIDString(dom, uuid);
	slot = found_slot(l, uuid);
	if (*slot)
		virDomainFree(*slot);
	*slot = dom;
}

int libvirt_list(struct libvirt *l, struct guest **ret_guests, size_t *ret_n)
{
	virDomainPtr *dom;
	struct guest *g;
	size_t n = 0;
	int found = virConnectListAllDomains(l->conn, &dom, VIR_CONNECT_LIST_DOMAINS_ACTIVE), rc = 0;

	if (found < 0)
		return link_fail(l);
	g = calloc((size_t)found + 1, sizeof(*g));
	if (!g)
		rc = -ENOMEM;
	for (int i = 0; i < found; i++) {
		if (!rc && virDomainGetID(dom[i]) != (unsigned)-1)
			rc = guest_init(dom[i], &g[n]);
		n += g && g[n].name;
		found_keep(l, dom[i]);
	}
	free(dom);
	if (rc < 0) {
		guests_free(g, n);
		return rc;
	}
	*ret_guests = g;
	*ret_n = n;
	return 0;
}

/* ---- one guest ---- */

static int guest_look_up(struct libvirt *l, const struct guest *g, virDomainPtr *ret_dom)
{
	*ret_dom = virDomainLookupByUUIDString(l->conn, g->uuid);
	return *ret_dom ? 0 : link_fail(l);
}

/* -ESRCH too if it is no longer the guest that was listed: it was restarted meanwhile. */
static int guest_find(struct libvirt *l, const struct guest *g, virDomainPtr *ret_dom)
{
	virDomainPtr dom = NULL;
	int rc = guest_look_up(l, g, &dom);

	if (rc < 0)
		return rc;
	if ((int)virDomainGetID(dom) != g->domain_id) {
		virDomainFree(dom);
		return link_refuse(l, -ESRCH, "domain is not running");
	}
	*ret_dom = dom;
	return 0;
}

/* For calls that report themselves which boot of the guest they found. The domain stays l's. */
static int guest_find_any(struct libvirt *l, const struct guest *g, virDomainPtr *ret_dom)
{
	virDomainPtr dom = *found_slot(l, g->uuid);
	char uuid[VIR_UUID_STRING_BUFLEN] = "";
	int rc = 0;

	if (dom)
		virDomainGetUUIDString(dom, uuid);
	if (strcmp(uuid, g->uuid) != 0) {
		rc = guest_look_up(l, g, &dom);
		if (!rc)
			found_keep(l, dom);
	}
	*ret_dom = dom;
	return rc;
}

/*
 * The one question that is answered while QEMU is stopped: whether its monitor is free, so that the next question does
 * not wait behind another one that is never answered. -EBUSY: it is not, but QEMU may be healthy.
 */
static int guest_probe(struct libvirt *l, virDomainPtr dom)
{
	virDomainControlInfo info = {.state = VIR_DOMAIN_CONTROL_OK};

	if (virDomainGetControlInfo(dom, &info, 0) < 0) {
		int rc = guest_fail(l, dom);

		if (rc != -ENOTSUP)
			return rc;
	}
	if (info.state == VIR_DOMAIN_CONTROL_ERROR)
		return link_refuse(l, -ETIMEDOUT, "its monitor is unusable");
	if (info.state == VIR_DOMAIN_CONTROL_OCCUPIED && info.stateTime > OCCUPIED_MOST_MS)
		return link_refuse(l, -ETIMEDOUT, "its monitor does not answer");
	return info.state == VIR_DOMAIN_CONTROL_OK ? 0 : -EBUSY;
}

/* ---- sample ---- */

#define SAMPLE(member) offsetof(struct sample, member)

static const struct {
	const char *field; /* in bulk */
	int tag;
	unsigned bit;
	size_t at;
} values[] = {
    {"balloon.current", VIR_DOMAIN_MEMORY_STAT_ACTUAL_BALLOON, SAMPLE_ACTUAL, SAMPLE(actual_kib)},
    {"balloon.rss", VIR_DOMAIN_MEMORY_STAT_RSS, SAMPLE_RSS, SAMPLE(rss_kib)},
    {"balloon.available", VIR_DOMAIN_MEMORY_STAT_AVAILABLE, SAMPLE_AVAILABLE, SAMPLE(available_kib)},
    {"balloon.unused", VIR_DOMAIN_MEMORY_STAT_UNUSED, SAMPLE_UNUSED, SAMPLE(unused_kib)},
    {"balloon.usable", VIR_DOMAIN_MEMORY_STAT_USABLE, SAMPLE_USABLE, SAMPLE(usable_kib)},
    {"balloon.swap_in", VIR_DOMAIN_MEMORY_STAT_SWAP_IN, SAMPLE_SWAP_IN, SAMPLE(swap_in_kib)},
    {"balloon.major_fault", VIR_DOMAIN_MEMORY_STAT_MAJOR_FAULT, SAMPLE_MAJOR_FAULTS, SAMPLE(major_faults)},
    {"balloon.last-update", VIR_DOMAIN_MEMORY_STAT_LAST_UPDATE, SAMPLE_LAST_UPDATE, SAMPLE(last_update_s)},
};

/* A guest's figures in one bulk call. */
struct stats {
	int64_t domain_id;
	enum run_state run;
	uint64_t maximum_kib; /* with all its memory devices; 0: the driver does not report it */
	struct sample sample;
	bool complete; /* QEMU was asked; false: another client holds the guest's job, and actual is all there is */
};

static void sample_put(struct sample *s, size_t row, uint64_t value)
{
	memcpy((char *)s + values[row].at, &value, sizeof(value));
	s->have |= values[row].bit;
}

static int sample_check(struct libvirt *l, const struct sample *s)
{
	if (!(s->have & SAMPLE_RSS) || s->rss_kib)
		return 0;
	/* its QEMU ended while it was asked, which libvirt does not call an error */
	return link_refuse(l, -ESRCH, "domain is not running");
}

/* The statistics of one domain: actual is live. Waits if another client holds the guest's job, so probe first. */
static int sample_take(struct libvirt *l, virDomainPtr dom, struct sample *ret_sample)
{
	virDomainMemoryStatStruct stat[VIR_DOMAIN_MEMORY_STAT_NR];
	int n = virDomainMemoryStats(dom, stat, COUNT(stat), 0);
	struct sample s = {0};

	if (n < 0)
		return guest_fail(l, dom);
	for (int i = 0; i < n; i++)
		for (size_t row = 0; row < COUNT(values); row++)
			if (stat[i].tag == values[row].tag)
				sample_put(&s, row, stat[i].val);
	*ret_sample = s;
	return sample_check(l, &s);
}

static struct stats stats_of(const virDomainStatsRecord *record)
{
	struct stats s = {.domain_id = (int)virDomainGetID(record->dom)};
	int state = VIR_DOMAIN_NOSTATE;
	unsigned long long value;

	virTypedParamsGetInt(record->params, record->nparams, "state.state", &state);
	s.run = state > 0 && state < RUN_COUNT ? (enum run_state)state : RUN_NOSTATE;
	if (virTypedParamsGetULLong(record->params, record->nparams, "balloon.maximum", &value) > 0)
		s.maximum_kib = value;
	for (size_t row = 0; row < COUNT(values); row++)
		if (virTypedParamsGetULLong(record->params, record->nparams, values[row].field, &value) > 0)
			sample_put(&s.sample, row, value);
	s.complete = s.sample.have & SAMPLE_RSS;
	return s;
}

/* One call that waits for no guest's job. Here actual is the size QEMU announced last, up to a second ago. */
static int stats_list(virDomainPtr *list, virDomainStatsRecordPtr **ret_record)
{
	return virDomainListGetStats(list, VIR_DOMAIN_STATS_STATE | VIR_DOMAIN_STATS_BALLOON, ret_record,
	                             VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT);
}

/* For a guest without a record too: libvirt leaves vanished guests out. */
static int stats_check(struct libvirt *l, const struct stats *s)
{
	if (s->run == RUN_SHUTOFF)
		return link_refuse(l, -ESRCH, "domain is not running");
	return sample_check(l, &s->sample);
}

static int stats_take(struct libvirt *l, virDomainPtr dom, struct stats *ret_stats)
{
	virDomainPtr list[] = {dom, NULL};
	virDomainStatsRecordPtr *record = NULL;
	int n = stats_list(list, &record);

	if (n < 0)
		return guest_fail(l, dom);
	*ret_stats = n > 0 ? stats_of(record[0]) : (struct stats){.run = RUN_SHUTOFF};
	virDomainStatsRecordListFree(record);
	return stats_check(l, ret_stats);
}

/* Another client's question is answered a moment later, or QEMU does not answer that one either. */
static int stats_complete(struct libvirt *l, virDomainPtr dom, struct stats *s)
{
	int rc = stats_check(l, s);

	if (!rc && !s->maximum_kib) { /* the test driver has no more than the state in bulk */
		s->complete = true;
		return sample_take(l, dom, &s->sample);
	}
	for (int i = 0; !rc && !s->complete && i < BUSY_RETRIES; i++) {
		nanosleep(BUSY_PAUSE, NULL);
		rc = stats_take(l, dom, s);
	}
	if (!rc && !s->complete)
		rc = guest_probe(l, dom);
	return rc == -EBUSY ? 0 : rc;
}

/* Alone, it keeps the old sample if another client keeps the monitor busy. */
int libvirt_sample(struct libvirt *l, struct guest *g)
{
	virDomainPtr dom = NULL;
	int rc = guest_find(l, g, &dom);

	if (rc < 0)
		return rc;
	rc = guest_probe(l, dom);
	for (int i = 0; rc == -EBUSY && i < BUSY_RETRIES; i++) {
		nanosleep(BUSY_PAUSE, NULL);
		rc = guest_probe(l, dom);
	}
	if (!rc)
		rc = sample_take(l, dom, &g->sample);
	virDomainFree(dom);
	return rc == -EBUSY ? -EAGAIN : rc;
}

/* ---- read ---- */

/* As if it had all that forbids taking, so that passes go on. Known hints hold on: a guest that opted out stays so. */
static int guest_read_no_xml(struct libvirt *l, virDomainPtr dom, const char *why, struct guest *g)
{
	char words[96];
	virDomainInfo info;

	if (virDomainGetInfo(dom, &info) < 0)
		return guest_fail(l, dom);
	g->device = (struct device){.maximum_kib = info.maxMem, .current_kib = info.memory, .unknown = true};
	g->hints.weight = g->hints.weight ? g->hints.weight : WEIGHT_DEFAULT;
	g->hints.voided = true;
	g->hints.n_faults = 0;
	hints_fault(&g->hints, &(struct hint_context){virDomainGetName(dom), info.maxMem},
	            "its definition cannot be read: %s", text_escape(words, sizeof(words), why, text_is_utf8()));
	return 0;
}

/* An answer that is too large for a message of libvirt is an error without a code of its own. */
static int guest_read_xml(struct libvirt *l, virDomainPtr dom, struct guest *g)
{
	struct domxml d;
	char *xml = virDomainGetXMLDesc(dom, 0);
	int rc;

	if (!xml) {
		rc = guest_fail(l, dom);
		return rc == -EIO ? guest_read_no_xml(l, dom, libvirt_words(l), g) : rc;
	}
	rc = domxml_read(xml, strlen(xml), &d);
	free(xml);
	if (rc < 0 && rc != -ENOMEM)
		return guest_read_no_xml(l, dom, "it is too large or not well-formed", g);
	if (rc < 0)
		return link_refuse(l, rc, strerror(-rc));
	g->device = d.device;
	g->hints = d.hints;
	domxml_clear(&d);
	return 0;
}

int libvirt_find(struct libvirt *l, const char *domain, struct guest **ret_guests, size_t *ret_n)
{
	char uuid[UUID_TEXT];
	virDomainPtr dom = uuid_parse(domain, uuid) ? virDomainLookupByUUIDString(l->conn, uuid)
	                                            : virDomainLookupByName(l->conn, domain);
	struct guest *g;
	int rc;

	if (!dom)
		return link_fail(l);
	g = calloc(1, sizeof(*g));
	rc = g ? guest_init(dom, g) : -ENOMEM;
	if (!rc && g->domain_id < 0) /* a running one may be busy */
		rc = guest_read_xml(l, dom, g);
	virDomainFree(dom);
	if (rc) {
		guests_free(g, g != NULL);
		return rc;
	}
	*ret_guests = g;
	*ret_n = 1;
	return 0;
}

/* Of the jobs a guest can be busy with, only a backup lets its memory be set. */
static bool is_migrating(virDomainPtr dom)
{
	virTypedParameterPtr params = NULL;
	int n = 0, type, operation = VIR_DOMAIN_JOB_OPERATION_UNKNOWN;

	if (virDomainGetJobStats(dom, &type, &params, &n, 0) < 0)
		return false;
	virTypedParamsGetInt(params, n, VIR_DOMAIN_JOB_OPERATION, &operation);
	virTypedParamsFree(params, n);
	return type != VIR_DOMAIN_JOB_NONE && operation != VIR_DOMAIN_JOB_OPERATION_BACKUP;
}

/* Not while another client holds the guest's job: both would wait for it, the XML since libvirt 11.0 (30 s). */
static int guest_read_facts(struct libvirt *l, virDomainPtr dom, const struct stats *s, struct guest *g)
{
	uint64_t now_ms = clock_ms(CLOCK_BOOTTIME);
	int rc;

	if (!guest_facts_due(g, s->maximum_kib, now_ms))
		return 0;
	if (!s->complete) {
		if (!g->facts_ms)
			g->device = (struct device){.maximum_kib = s->maximum_kib, .unknown = true};
		return 0;
	}
	rc = guest_read_xml(l, dom, g);
	if (rc)
		return rc;
	g->facts_ms = now_ms;
	g->migrating = s->run == RUN_RUNNING && is_migrating(dom);
	return 0;
}

static int guest_read(struct libvirt *l, virDomainPtr dom, struct stats s, struct guest *g)
{
	int rc = stats_complete(l, dom, &s);

	if (rc)
		return rc;
	if (s.domain_id != g->domain_id)
		g->facts_ms = 0;
	g->domain_id = s.domain_id;
	rc = guest_read_facts(l, dom, &s, g);
	if (rc)
		return rc;
	g->run = s.run;
	g->sample = s.sample;
	if (!(g->sample.have & SAMPLE_ACTUAL)) {
		g->sample.actual_kib = g->device.current_kib;
		g->sample.have |= SAMPLE_ACTUAL;
	}
	return 0;
}

static void reading_end(struct libvirt *l, struct reading *r, int result)
{
	r->result = result;
	r->guest.answered = !result;
	if (result)
		r->words = strdup(libvirt_words(l));
}

static struct stats stats_find(virDomainStatsRecordPtr *record, int n, const char *uuid)
{
	char other[VIR_UUID_STRING_BUFLEN];

	for (int i = 0; i < n; i++)
		if (!virDomainGetUUIDString(record[i]->dom, other) && !strcmp(other, uuid))
			return stats_of(record[i]);
	return (struct stats){.run = RUN_SHUTOFF};
}

/* Looks up the domains, as references of the caller's: another guest's may take its place in l. Those there are. */
static size_t readings_find(struct libvirt *l, struct reading *r, size_t n, virDomainPtr *ret_dom,
                            virDomainPtr *ret_list)
{
	size_t found = 0;

	for (size_t i = 0; i < n; i++) {
		int rc = guest_find_any(l, &r[i].guest, &ret_dom[i]);

		if (rc) {
			reading_end(l, &r[i], rc);
			ret_dom[i] = NULL;
			continue;
		}
		virDomainRef(ret_dom[i]);
		ret_list[found++] = ret_dom[i];
	}
	ret_list[found] = NULL;
	return found;
}

int libvirt_read(struct libvirt *l, struct reading *r, size_t n)
{
	virDomainPtr dom[READINGS_MOST], list[READINGS_MOST + 1];
	virDomainStatsRecordPtr *record = NULL;
	size_t found = readings_find(l, r, n, dom, list);
	int records = found ? stats_list(list, &record) : 0, rc = 0, failed = 0;

	if (records < 0)
		failed = found > 1 ? link_fail(l) : guest_fail(l, list[0]);
	if (failed && failed != -ENOTCONN && found > 1)
		failed = -EAGAIN;
	for (size_t i = 0; i < n; i++) {
		struct guest *g = &r[i].guest;

		if (dom[i]) {
			reading_end(l, &r[i],
			            failed ? failed : guest_read(l, dom[i], stats_find(record, records, g->uuid), g));
			virDomainFree(dom[i]);
		}
		if (r[i].result == -ENOTCONN)
			rc = failed = -ENOTCONN;
	}
	virDomainStatsRecordListFree(record);
	return rc;
}

/* ---- set ---- */

int libvirt_set(struct libvirt *l, struct guest *g)
{
	virDomainPtr dom = NULL;
	int rc = guest_find(l, g, &dom);

	if (rc < 0)
		return rc;
	g->migrating = is_migrating(dom); /* or the command waits for 30 s */
	if (!g->migrating &&
	    virDomainSetMemoryFlags(dom, (unsigned long)min_u64(g->plan.ask_kib, ULONG_MAX), VIR_DOMAIN_MEM_LIVE) < 0)
		rc = guest_fail(l, dom);
	virDomainFree(dom);
	return rc;
}

int libvirt_set_period(struct libvirt *l, struct guest *g, uint32_t period_s)
{
	virDomainPtr dom = NULL;
	int rc = guest_find(l, g, &dom);

	if (rc < 0)
		return rc;
	if (virDomainSetMemoryStatsPeriod(dom, (int)period_s, VIR_DOMAIN_MEM_LIVE) < 0)
		rc = guest_fail(l, dom);
	virDomainFree(dom);
	return rc;
}

/* ---- host ---- */

/* Of pages of 4 KiB. A host without KSM, or that does not report it, has merged nothing. */
static uint64_t node_ksm_kib(virConnectPtr conn)
{
	virTypedParameter params[16];
	unsigned long long pages = 0;
	int n = 0;

	if (virNodeGetMemoryParameters(conn, NULL, &n, 0) < 0 || n > (int)COUNT(params) ||
	    virNodeGetMemoryParameters(conn, params, &n, 0) < 0)
		return 0;
	virTypedParamsGetULLong(params, n, VIR_NODE_MEMORY_SHARED_PAGES_SHARING, &pages);
	virTypedParamsClear(params, n);
	return scale_u64(pages, 4, 1);
}

int libvirt_host(struct libvirt *l, struct host *ret_host)
{
	virNodeMemoryStats stat[16];
	struct host h;
	int n = 0;

	if (virNodeGetMemoryStats(l->conn, VIR_NODE_MEMORY_STATS_ALL_CELLS, NULL, &n, 0) < 0)
		return link_fail(l);
	n = n > (int)COUNT(stat) ? (int)COUNT(stat) : n;
	if (virNodeGetMemoryStats(l->conn, VIR_NODE_MEMORY_STATS_ALL_CELLS, stat, &n, 0) < 0)
		return link_fail(l);
	h = node_begin();
	for (int i = 0; i < n; i++)
		node_put(&h, stat[i].field, stat[i].value);
	if (!h.total_kib)
		return link_refuse(l, -ENOTSUP, "the driver does not report the host's memory");
	h.ksm_kib = node_ksm_kib(l->conn);
	*ret_host = h;
	return 0;
}

int libvirt_hugetlb(struct libvirt *l, uint64_t *ret_kib)
{
	char *xml = virConnectGetCapabilities(l->conn);
	int rc = xml ? domxml_read_hugetlb(xml, strlen(xml), ret_kib) : link_fail(l);

	if (xml && rc == -ENOMEM)
		link_refuse(l, rc, strerror(ENOMEM));
	else if (xml && rc < 0)
		rc = link_refuse(l, -EIO, "the host's capabilities are too large or not well-formed");
	free(xml);
	if (rc != -ENOTSUP && rc != -EACCES)
		return rc;
	*ret_kib = 0;
	return 0;
}
