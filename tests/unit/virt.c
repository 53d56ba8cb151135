/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <poll.h>
#include <unistd.h>
#include <cmocka.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include "base/clock.h"
#include "base/pool.h"
#include "base/units.h"
#include "virt/node.h"
#include "virt/virt.h"

#define TIME_MS 300000 /* no call here takes so long, under valgrind on a busy machine either */
#define MANY 200

static char folder[] = "/tmp/memsched-virt-XXXXXX";

static uint64_t in_time(void)
{
	return clock_ms(CLOCK_BOOTTIME) + TIME_MS;
}

static bool everyone(const struct guest *g)
{
	(void)g;
	return true;
}

static bool no_guest(const struct guest *g)
{
	(void)g;
	return false;
}

static struct virt *open_uri(const char *uri, bool read_only)
{
	struct virt *v;

	assert_int_equal(virt_open(uri, read_only, 4, in_time(), &v), 0);
	return v;
}

static void wait_for_workers(void)
{
	for (int i = 0; i < 500 && pool_threads(); i++)
		poll(NULL, 0, 10);
	assert_int_equal(pool_threads(), 0);
}

/* Says goodbye and sees that no worker stays behind. */
static void close_all(struct virt *v, struct guest *g, size_t n)
{
	guests_free(g, n);
	virt_close(v);
	wait_for_workers();
	poll(NULL, 0, 10); /* the last threads are beyond our reach for a moment */
}

/* A host of the test driver with these domains; returns its URI. */
static const char *world(const char *domains)
{
	static char uri[128];
	char path[96];
	FILE *f;

	snprintf(path, sizeof(path), "%s/world.xml", folder);
	snprintf(uri, sizeof(uri), "test://%s", path);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "<node><memory>8388608</memory>%s</node>", domains);
	assert_int_equal(fclose(f), 0);
	return uri;
}

#define DOMAIN(name, uuid, state, more)                                                                                \
	"<domain type='test' xmlns:test='http://libvirt.org/schemas/domain/test/1.0'><name>" name "</name>"            \
	"<uuid>00000000-0000-4000-8000-0000000000" uuid "</uuid><memory unit='KiB'>1048576</memory>"                   \
	"<currentMemory unit='KiB'>524288</currentMemory><os><type>hvm</type></os>"                                    \
	"<test:runstate>" state "</test:runstate>" more "</domain>"
#define BALLOON "<devices><memballoon model='virtio'/></devices>"

static void test_default(void **state)
{
	struct virt *v = open_uri("test:///default", true);
	struct guest *g;
	size_t n;

	(void)state;
	assert_false(virt_is_remote(v));
	assert_int_equal(virt_list(v, in_time(), &g, &n), 0);
	assert_int_equal(n, 1);
	assert_string_equal(g->name, "test");
	assert_int_equal(g->domain_id, 1);
	assert_int_equal(virt_read(v, g, n, in_time()), 0);
	assert_true(g->answered);
	assert_int_equal(g->run, RUN_RUNNING);
	assert_int_equal(g->device.maximum_kib, 8388608);
	assert_int_equal(g->sample.actual_kib, 2097152);
	close_all(v, g, n);
}

static void test_find(void **state)
{
	const char *uri = world(DOMAIN("up", "01", "1", BALLOON) DOMAIN("down", "02", "5", BALLOON));
	struct virt *v = open_uri(uri, true);
	struct guest *g;

	(void)state;
	assert_int_equal(virt_find(v, "down", in_time(), &g), 0);
	assert_string_equal(g->name, "down");
	assert_true(g->domain_id < 0);
	assert_int_equal(g->device.maximum_kib, 1048576);
	assert_int_equal(g->device.current_kib, 524288);
	guests_free(g, 1);
	assert_int_equal(virt_find(v, "00000000-0000-4000-8000-000000000001", in_time(), &g), 0);
	assert_string_equal(g->name, "up");
	assert_true(g->domain_id >= 0);
	assert_int_equal(g->device.maximum_kib, 0); /* its definition was not asked for: that may wait for its job */
	guests_free(g, 1);
	g = NULL;
	assert_int_equal(virt_find(v, "nowhere", in_time(), &g), -ESRCH);
	assert_int_equal(virt_find(v, "00000000-0000-4000-8000-000000000009", in_time(), &g), -ESRCH);
	assert_null(g);
	close_all(v, NULL, 0);
}

static void test_kinds_of_guests(void **state)
{
	static const struct {
		const char *name;
		enum run_state run;
		bool balloon;
		unsigned have;
	} rows[] = {
	    {"a-paused", RUN_PAUSED, true, 0xff},          {"b-running", RUN_RUNNING, true, 0xff},
	    {"c-bare", RUN_RUNNING, false, SAMPLE_ACTUAL}, {"d-none", RUN_RUNNING, false, SAMPLE_ACTUAL},
	    {"e-hinted", RUN_RUNNING, true, 0xff},
	};
	struct virt *v = open_uri(
	    world(DOMAIN(
		"e-hinted", "05", "1",
		"<metadata><m:memory xmlns:m='urn:memsched:domain:1.0'><m:min unit='MiB'>300</m:min>"
		"<m:weight>7</m:weight></m:memory></metadata>"
		"<devices><memballoon model='virtio' autodeflate='on'><stats period='3'/></memballoon></devices>")
	              DOMAIN("b-running", "02", "1", BALLOON) DOMAIN("off", "09", "5", BALLOON)
	                  DOMAIN("a-paused", "01", "3", BALLOON) DOMAIN("c-bare", "03", "1", "")
	                      DOMAIN("d-none", "04", "1", "<devices><memballoon model='none'/></devices>")),
	    true);
	struct guest *g;
	size_t n;

	(void)state;
	assert_int_equal(virt_list(v, in_time(), &g, &n), 0);
	assert_int_equal(n, COUNT(rows));
	assert_int_equal(virt_read(v, g, n, in_time()), 0);
	for (size_t i = 0; i < n; i++) {
		assert_string_equal(g[i].name, rows[i].name);
		assert_int_equal(g[i].run, rows[i].run);
		assert_int_equal(g[i].device.balloon, rows[i].balloon);
		assert_int_equal(g[i].sample.have & rows[i].have, rows[i].have);
		assert_int_equal(g[i].sample.actual_kib, 524288);
		assert_int_equal(g[i].device.maximum_kib, 1048576);
		assert_true(g[i].answered && !g[i].hung && !g[i].vanished && !g[i].migrating && !g[i].order.error);
	}
	assert_true(g[4].hints.present && g[4].hints.has_min);
	assert_int_equal(g[4].hints.min_kib, 307200);
	assert_int_equal(g[4].hints.weight, 7);
	assert_int_equal(g[4].device.period_s, 3);
	assert_true(g[4].device.autodeflate);
	close_all(v, g, n);
}

/* What is kept from round to round is kept once, whatever came of a command; room grows with the guests. */
static void test_prepared(void **state)
{
	struct virt *v = open_uri(world(DOMAIN("a", "01", "1", BALLOON) DOMAIN("b", "02", "1", BALLOON)
	                                    DOMAIN("c", "03", "1", BALLOON) DOMAIN("d", "04", "1", BALLOON)),
	                          false);
	struct guest *g;
	size_t n;

	(void)state;
	assert_int_equal(virt_list(v, in_time(), &g, &n), 0);
	assert_int_equal(virt_read(v, g, n, in_time()), 0);
	for (size_t room = 1; room <= 2 * n; room++) {
		assert_int_equal(virt_prepare(v, room, in_time()), 0);
		for (size_t i = 0; i < n; i++)
			g[i].plan.ask_kib = i % 2 ? 2000000 : 300000; /* above their maximum */
		assert_int_equal(virt_set(v, g, n, in_time()), 0);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(g[i].order.error, i % 2 ? -EINVAL : 0);
	}
	close_all(v, g, n);
}

static void test_set_and_sample(void **state)
{
	struct virt *v = open_uri(world(DOMAIN("a", "01", "1", BALLOON) DOMAIN("b", "02", "1", BALLOON)
	                                    DOMAIN("c", "03", "1", BALLOON) DOMAIN("d", "04", "1", BALLOON)),
	                          false);
	struct guest *g;
	size_t n;

	(void)state;
	assert_int_equal(virt_list(v, in_time(), &g, &n), 0);
	assert_int_equal(virt_prepare(v, n, in_time()), 0);
	assert_int_equal(virt_read(v, g, n, in_time()), 0);
	g[0].plan.ask_kib = 300000;
	g[1].plan.ask_kib = 2000000; /* above its maximum */
	g[3].plan.ask_kib = 400000;
	memset(g[3].uuid, '1', 8); /* there is no such guest (any more) */
	assert_int_equal(virt_set(v, g, n, in_time()), 0);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(g[i].order.sent, i == 0);
		g[i].plan.ask_kib = 0;
		assert_int_equal(g[i].order.error, i == 1 ? -EINVAL : 0);
		assert_int_equal(g[i].order.words != NULL, i == 1);
		assert_int_equal(g[i].vanished, i == 3);
		assert_int_equal(g[i].sample.actual_kib, 524288);
	}

	/* without a command the earlier outcome stays */
	g[2].plan.ask_kib = 350000;
	assert_int_equal(virt_set(v, g, n, in_time()), 0);
	assert_true(g[0].order.sent && g[2].order.sent && g[1].order.error == -EINVAL);

	assert_int_equal(virt_sample(v, g, n, no_guest, in_time()), 0);
	assert_int_equal(g[0].sample.actual_kib, 524288);
	assert_int_equal(virt_sample(v, g, n, everyone, in_time()), 0);
	assert_int_equal(g[0].sample.actual_kib, 300000);
	assert_int_equal(g[1].sample.actual_kib, 524288);
	assert_int_equal(g[2].sample.actual_kib, 350000);
	close_all(v, g, n);
}

static void test_another_boot_is_another_guest(void **state)
{
	struct virt *v = open_uri(world(DOMAIN("a", "01", "1", BALLOON)), false);
	struct guest *g;
	size_t n;

	(void)state;
	assert_int_equal(virt_list(v, in_time(), &g, &n), 0);
	g->domain_id += 5;
	g->plan.ask_kib = 300000;
	assert_int_equal(virt_set(v, g, n, in_time()), 0);
	assert_true(g->vanished && !g->order.sent);
	assert_int_equal(virt_read(v, g, n, in_time()), 0);
	assert_int_equal(g->domain_id, 1);
	assert_int_equal(g->sample.actual_kib, 524288);
	assert_true(g->answered && !g->vanished);
	close_all(v, g, n);
}

static void test_period(void **state)
{
	struct virt *v = open_uri(
	    world(DOMAIN("a", "01", "1", BALLOON) DOMAIN("b", "02", "1", "") DOMAIN("c", "03", "3", BALLOON) DOMAIN(
		"d", "04", "1", "<devices><memballoon model='virtio'><stats period='3'/></memballoon></devices>")),
	    false);
	struct guest *g;
	size_t n;

	(void)state;
	assert_int_equal(virt_list(v, in_time(), &g, &n), 0);
	assert_int_equal(virt_set_period(v, g, n, 10, in_time()), 0); /* nothing is known of them */
	assert_int_equal(virt_read(v, g, n, in_time()), 0);
	assert_int_equal(virt_set_period(v, g, n, 10, in_time()), 1);
	assert_int_equal(virt_read(v, g, n, in_time()), 0);
	assert_int_equal(g[0].device.period_s, 10);
	assert_int_equal(g[2].device.period_s, 0);
	assert_int_equal(g[3].device.period_s, 3);
	assert_int_equal(virt_set_period(v, g, n, 10, in_time()), 0);
	assert_int_equal(virt_set_period(v, g, n, 2, in_time()), 2); /* they report less often */
	assert_int_equal(virt_read(v, g, n, in_time()), 0);
	assert_int_equal(g[0].device.period_s, 2);
	assert_int_equal(g[3].device.period_s, 2);
	close_all(v, g, n);
}

/* A command changes the XML here, so what device says tells when that was read. */
static void test_xml_is_read_once(void **state)
{
	struct virt *v = open_uri(world(DOMAIN("a", "01", "1", BALLOON) DOMAIN("b", "02", "1", BALLOON)), false);
	uint64_t began_ms = clock_ms(CLOCK_BOOTTIME);
	struct guest *g;
	size_t n;

	(void)state;
	assert_int_equal(virt_list(v, in_time(), &g, &n), 0);
	assert_int_equal(virt_read(v, g, n, in_time()), 0);
	g[1].plan.ask_kib = 300000;
	assert_int_equal(virt_set(v, g, n, in_time()), 0);
	guests_free(g, n);
	assert_int_equal(virt_list(v, in_time(), &g, &n), 0);
	assert_int_equal(virt_read(v, g, n, in_time()), 0);
	assert_int_equal(g[1].sample.actual_kib, 300000);
	if (clock_ms(CLOCK_BOOTTIME) < began_ms + FACTS_MS) /* else it was time to read it again */
		assert_int_equal(g[1].device.current_kib, 524288);

	g[1].domain_id += 5; /* another boot */
	assert_int_equal(virt_read(v, g, n, in_time()), 0);
	assert_int_equal(g[1].device.current_kib, 300000);
	close_all(v, g, n);
}

static void test_read_only(void **state)
{
	struct virt *v = open_uri(world(DOMAIN("a", "01", "1", BALLOON)), true);
	struct guest *g;
	size_t n;

	(void)state;
	assert_int_equal(virt_list(v, in_time(), &g, &n), 0);
	g->plan.ask_kib = 300000;
	assert_int_equal(virt_set(v, g, n, in_time()), 0);
	assert_int_equal(g->order.error, -EACCES);
	assert_false(g->order.sent);
	assert_non_null(g->order.words);
	assert_int_equal(virt_read(v, g, n, in_time()), 0);
	assert_null(g->order.words);
	assert_int_equal(g->sample.actual_kib, 524288);
	close_all(v, g, n);
}

static void test_no_guests(void **state)
{
	struct virt *v = open_uri(world(DOMAIN("off", "09", "5", BALLOON)), true);
	struct guest *g;
	size_t n;

	(void)state;
	assert_int_equal(virt_list(v, in_time(), &g, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(virt_read(v, g, n, in_time()), 0);
	assert_int_equal(virt_set(v, g, n, in_time()), 0);
	close_all(v, g, n);
}

static void test_many_with_hostile_names(void **state)
{
	static const char *const names[] = {"-rf",           "..",        ".",           "a b&#10;c",
	                                    "&#x9b;31m",     "&#x202e;x", "%s%n",        "&lt;script&gt;",
	                                    "&#xe9;t&#xe9;", "'&quot;",   "$(reboot);`", "\\"};
	char *text, *at;
	struct guest *g;
	struct virt *v;
	size_t n;

	(void)state;
	at = text = calloc(MANY, 1024);
	assert_non_null(text);
	for (int i = 0; i < MANY; i++) {
		char name[400];

		if (i == MANY - 1)
			memset(name, 'x', 300), name[300] = 0;
		else if (i < (int)COUNT(names))
			snprintf(name, sizeof(name), "%s", names[i]);
		else
			snprintf(name, sizeof(name), "guest %d", i);
		at += sprintf(at, DOMAIN("%s", "%02x", "1", BALLOON), name, i);
	}
	v = open_uri(world(text), true);
	free(text);
	assert_int_equal(virt_list(v, in_time(), &g, &n), 0);
	assert_int_equal(n, MANY);
	assert_int_equal(virt_read(v, g, n, in_time()), 0);
	for (size_t i = 0; i < n; i++) {
		assert_true(g[i].answered);
		assert_true(!i || strcmp(g[i - 1].name, g[i].name) < 0);
	}
	close_all(v, g, n);
}

static void test_no_time(void **state)
{
	struct virt *v = open_uri(world(DOMAIN("a", "01", "1", BALLOON)), false), *w;
	uint64_t past_ms = clock_ms(CLOCK_BOOTTIME) - 1;
	struct guest *g, *h;
	size_t n, m;

	(void)state;
	assert_int_equal(virt_open("test:///default", true, 4, past_ms, &w), -ETIMEDOUT);
	assert_non_null(strstr(virt_words(NULL), "in time"));
	assert_int_equal(virt_list(v, past_ms, &h, &m), -ETIMEDOUT);
	assert_non_null(strstr(virt_words(v), "in time"));
	assert_int_equal(virt_list(v, in_time(), &g, &n), 0);
	assert_int_equal(virt_read(v, g, n, in_time()), 0);
	assert_int_equal(virt_sample(v, g, n, everyone, past_ms), 0); /* what was read stays */
	assert_true(g->answered && !g->hung);
	g->plan.ask_kib = 300000;
	assert_int_equal(virt_set(v, g, n, past_ms), 0);
	assert_true(!g->order.sent && g->order.error == -ETIMEDOUT && g->order.words);
	assert_int_equal(virt_read(v, g, n, past_ms), 0);
	assert_true(!g->answered && g->hung);
	close_all(v, g, n);
}

/* ---- figures of a node; while there are none the test driver answers, which has none ---- */

static struct node {
	const char *field;
	unsigned long long kib;
} node[8];
static int node_n;
static struct node_pool pool;
static const char *capabilities; /* NULL: they cannot be read */
static atomic_uint capabilities_asked;
static atomic_bool node_hangs, capabilities_hang;
static int fault; /* the code of the last error of libvirt; VIR_ERR_OK: its own */
static atomic_uint passed_s;

int __wrap_virNodeGetMemoryStats(virConnectPtr conn, int cell, virNodeMemoryStatsPtr stat, int *n, unsigned flags);
int __real_virNodeGetMemoryStats(virConnectPtr conn, int cell, virNodeMemoryStatsPtr stat, int *n, unsigned flags);
char *__wrap_virConnectGetCapabilities(virConnectPtr conn);
virErrorPtr __wrap_virGetLastError(void);
virErrorPtr __real_virGetLastError(void);
int __wrap_clock_gettime(clockid_t id, struct timespec *ret_time);
int __real_clock_gettime(clockid_t id, struct timespec *ret_time);

static void hang_while(atomic_bool *flag)
{
	while (atomic_load(flag))
		poll(NULL, 0, 1);
}

int __wrap_virNodeGetMemoryStats(virConnectPtr conn, int cell, virNodeMemoryStatsPtr stat, int *n, unsigned flags)
{
	if (!node_n)
		return __real_virNodeGetMemoryStats(conn, cell, stat, n, flags);
	hang_while(&node_hangs);
	for (int i = 0; i < *n && i < node_n; i++) {
		snprintf(stat[i].field, sizeof(stat[i].field), "%s", node[i].field);
		stat[i].value = node[i].kib;
	}
	*n = node_n;
	return 0;
}

char *__wrap_virConnectGetCapabilities(virConnectPtr conn)
{
	(void)conn;
	atomic_fetch_add(&capabilities_asked, 1);
	if (atomic_load(&capabilities_hang))
		atomic_fetch_add(&passed_s, TIME_MS / 2000 + 1); /* more than half of in_time */
	hang_while(&capabilities_hang);
	virResetLastError();
	return capabilities ? strdup(capabilities) : NULL;
}

virErrorPtr __wrap_virGetLastError(void)
{
	static virError error;

	if (!fault)
		return __real_virGetLastError();
	error = (virError){.code = fault, .message = (char *)"no figures today"};
	return &error;
}

int __wrap_clock_gettime(clockid_t id, struct timespec *ret_time)
{
	int r = __real_clock_gettime(id, ret_time);

	if (id == CLOCK_BOOTTIME)
		ret_time->tv_sec += (time_t)atomic_load(&passed_s);
	return r;
}

static void node_has(const char *field, unsigned long long kib)
{
	node[node_n++] = (struct node){field, kib};
}

static const char with_huge_pages[] = "<capabilities><host><topology><cells><cell><pages unit='KiB' size='4'>9</pages>"
				      "<pages unit='KiB' size='2048'>1024</pages></cell></cells></topology></host>"
				      "</capabilities>";

/* A host of 8 GiB, with a pool of 2 GiB. */
static struct virt *open_node(void)
{
	node_n = 0;
	pool = (struct node_pool){.known = false};
	node_has(VIR_NODE_MEMORY_STATS_TOTAL, 8388608);
	node_has("available", 1048576);
	capabilities = with_huge_pages;
	fault = VIR_ERR_OK;
	atomic_store(&capabilities_asked, 0);
	return open_uri("test:///default", true);
}

static void close_node(struct virt *v)
{
	node_n = 0;
	fault = VIR_ERR_OK;
	atomic_store(&node_hangs, false);
	atomic_store(&capabilities_hang, false);
	close_all(v, NULL, 0);
}

static void expect_pool(struct virt *v, uint64_t deadline_ms, uint64_t kib)
{
	struct host host;

	assert_int_equal(virt_host(v, &pool, deadline_ms, &host), 0);
	assert_int_equal(host.total_kib, 8388608);
	assert_int_equal(host.hugetlb_kib, kib);
}

static void test_host(void **state)
{
	struct virt *v = open_node();
	struct host host;

	(void)state;
	node_n = 0;
	node_has(VIR_NODE_MEMORY_STATS_TOTAL, 8388608);
	node_has(VIR_NODE_MEMORY_STATS_FREE, 1048576);
	node_has(VIR_NODE_MEMORY_STATS_BUFFERS, 1024);
	node_has(VIR_NODE_MEMORY_STATS_CACHED, 2048);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(virt_host(v, &pool, in_time(), &host), 0);
		assert_int_equal(host.total_kib, 8388608);
		assert_int_equal(host.available_kib, 1048576 + 1024 + 2048);
		assert_int_equal(host.hugetlb_kib, 2097152);
		assert_null(host.doubtful);
	}
	assert_int_equal(capabilities_asked, 1);
	close_node(v);
}

/* If the pool was not read again, pages that an administrator gave back would bound available memory for ten minutes.
 */
static void test_host_whose_figures_contradict_the_pool(void **state)
{
	struct virt *v = open_node();
	struct host host;

	(void)state;
	expect_pool(v, in_time(), 2097152);
	node_has("available", 8388608);
	assert_int_equal(virt_host(v, &pool, in_time(), &host), 0);
	assert_string_equal(host.doubtful, "available");
	assert_int_equal(host.doubtful_kib, 8388608);
	assert_int_equal(host.allowed_kib, 6291456);
	assert_int_equal(host.available_kib, 6291456);
	atomic_fetch_add(&passed_s, 20);
	capabilities = "<capabilities/>";
	assert_int_equal(virt_host(v, &pool, in_time(), &host), 0);
	assert_int_equal(host.hugetlb_kib, 0);
	assert_int_equal(host.available_kib, 8388608);
	assert_null(host.doubtful);
	assert_int_equal(capabilities_asked, 2);
	close_node(v);
}

static void test_host_without_a_pool(void **state)
{
	static const int faults[] = {VIR_ERR_NO_SUPPORT, VIR_ERR_OPERATION_DENIED, VIR_ERR_ACCESS_DENIED};

	(void)state;
	for (size_t i = 0; i < COUNT(faults); i++) {
		struct virt *v = open_node();

		capabilities = NULL;
		fault = faults[i];
		for (int j = 0; j < 3; j++)
			expect_pool(v, in_time(), 0);
		assert_int_equal(capabilities_asked, 1);
		close_node(v);
	}
}

static void test_host_whose_pool_cannot_be_read(void **state)
{
	static const struct {
		const char *capabilities;
		int fault, error;
	} rows[] = {
	    {NULL, VIR_ERR_NO_MEMORY, -ENOMEM},
	    {NULL, VIR_ERR_INTERNAL_ERROR, -EIO},
	    {NULL, VIR_ERR_OPERATION_TIMEOUT, -ETIMEDOUT},
	    {"<capabilities", VIR_ERR_OK, -EIO},
	    {"<domain/>", VIR_ERR_OK, -EIO},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct virt *v = open_node();
		struct host host;

		capabilities = rows[i].capabilities;
		fault = rows[i].fault;
		for (int j = 0; j < 2; j++) {
			assert_int_equal(virt_host(v, &pool, in_time(), &host), rows[i].error);
			assert_string_not_equal(virt_words(v), "");
			assert_string_not_equal(virt_words(v), "unknown error");
		}
		assert_int_equal(capabilities_asked, 2);

		/* once it is known it holds on */
		capabilities = with_huge_pages;
		fault = VIR_ERR_OK;
		expect_pool(v, in_time(), 2097152);
		atomic_fetch_add(&passed_s, 600);
		capabilities = rows[i].capabilities;
		fault = rows[i].fault;
		expect_pool(v, in_time(), 2097152);
		assert_int_equal(capabilities_asked, 4);
		capabilities = "<capabilities/>";
		fault = VIR_ERR_OK;
		expect_pool(v, in_time(), 2097152);
		atomic_fetch_add(&passed_s, 20);
		expect_pool(v, in_time(), 0);
		assert_int_equal(capabilities_asked, 5);
		close_node(v);
	}
}

static void test_pool_outlives_the_worker_that_read_it(void **state)
{
	struct virt *v = open_node();
	struct host host;

	(void)state;
	expect_pool(v, in_time(), 2097152);
	capabilities = "<capabilities/>";
	atomic_store(&node_hangs, true);
	assert_int_equal(virt_host(v, &pool, clock_ms(CLOCK_BOOTTIME) + 100, &host), -ETIMEDOUT);
	atomic_store(&node_hangs, false);
	expect_pool(v, in_time(), 2097152);
	assert_int_equal(capabilities_asked, 1);
	close_node(v);
}

static void test_host_that_does_not_tell_its_pool(void **state)
{
	struct virt *v = open_node();
	struct host host;

	(void)state;
	atomic_store(&capabilities_hang, true);
	assert_int_equal(virt_host(v, &pool, clock_ms(CLOCK_BOOTTIME) + 200, &host), -ETIMEDOUT);
	atomic_store(&capabilities_hang, false);
	wait_for_workers(); /* the one that hung counts as stuck until it has left */
	expect_pool(v, in_time(), 2097152);

	/* half of the time is left, and as long as one call hangs there is no other */
	atomic_fetch_add(&passed_s, 600);
	atomic_store(&capabilities_asked, 0);
	atomic_store(&capabilities_hang, true);
	for (int i = 0; i < 3; i++) {
		uint64_t deadline_ms = in_time();

		expect_pool(v, deadline_ms, 2097152);
		assert_true(clock_ms(CLOCK_BOOTTIME) < deadline_ms);
		atomic_fetch_add(&passed_s, 600);
	}
	assert_int_equal(capabilities_asked, 1);
	close_node(v);
}

static void test_host_of_the_test_driver(void **state)
{
	struct virt *v = open_uri("test:///default", true);
	struct host host;

	(void)state;
	assert_int_equal(virt_host(v, &pool, in_time(), &host), -ENOTSUP);
	assert_true(*virt_words(v));
	close_all(v, NULL, 0);
}

static void test_what_cannot_be_opened(void **state)
{
	static const struct {
		const char *uri;
		int error;
		const char *words;
	} rows[] = {
	    {"qemu+unix:///system?socket=/nonexistent", -ENOTCONN, "/nonexistent"},
	    {"qemu+tcp://127.0.0.1:1/system", -ENOTCONN, "127.0.0.1"},
	    {"qemu+nope:///system", -EINVAL, "transport"},
	    {"foo", -EINVAL, "foo"},
	    {"::::", -EINVAL, "::::"},
	    {"test:///nonexistent.xml", -EIO, "/nonexistent.xml"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t began_ms = clock_ms(CLOCK_BOOTTIME);
		struct virt *v;

		assert_int_equal(virt_open(rows[i].uri, true, 4, in_time(), &v), rows[i].error);
		assert_in_range(clock_ms(CLOCK_BOOTTIME) - began_ms, 0, TIME_MS - 1);
		assert_true(*virt_words(NULL));
		assert_non_null(strstr(virt_words(NULL), rows[i].words));
		close_all(NULL, NULL, 0);
	}
}

/* A daemon that takes calls and never answers; returns its socket and the URI to it. */
static int deaf_daemon(char uri[static 160])
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/deaf", folder);
	unlink(address.sun_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 100), 0);
	snprintf(uri, 160, "qemu+unix:///system?socket=%s", address.sun_path);
	return fd;
}

static void test_a_daemon_that_does_not_answer(void **state)
{
	char uri[160];
	int fd = deaf_daemon(uri);
	uint64_t began_ms = clock_ms(CLOCK_BOOTTIME);
	struct virt *v;

	(void)state;
	assert_int_equal(virt_open(uri, false, 4, began_ms + 300, &v), -ETIMEDOUT);
	assert_in_range(clock_ms(CLOCK_BOOTTIME) - began_ms, 299, TIME_MS - 1);
	assert_int_equal(pool_threads(), 1);

	/* however often one tries */
	for (int i = 0; i < 2 * POOL_MAX; i++)
		assert_int_equal(virt_open(uri, false, 4, clock_ms(CLOCK_BOOTTIME) + 5, &v), -ETIMEDOUT);
	assert_int_equal(pool_threads(), POOL_MAX);
	assert_int_equal(virt_open("test:///default", false, 4, clock_ms(CLOCK_BOOTTIME) + 5, &v), -ETIMEDOUT);
	close(fd);
	close_all(NULL, NULL, 0);
	close_all(open_uri("test:///default", false), NULL, 0);
}

static volatile sig_atomic_t stop;

static void on_alarm(int number)
{
	(void)number;
	stop = 1;
}

static void test_stop(void **state)
{
	static const struct itimerval in_100_ms = {.it_value = {.tv_usec = 100000}};
	char uri[160];
	int fd = deaf_daemon(uri);
	uint64_t began_ms = clock_ms(CLOCK_BOOTTIME);
	struct virt *v;

	(void)state;
	virt_stop_on(&stop);
	signal(SIGALRM, on_alarm);
	assert_int_equal(setitimer(ITIMER_REAL, &in_100_ms, NULL), 0);
	assert_int_equal(virt_open(uri, false, 4, in_time(), &v), -EINTR);
	assert_in_range(clock_ms(CLOCK_BOOTTIME) - began_ms, 95, TIME_MS - 1);
	virt_stop_on(NULL);
	close(fd);
	close_all(NULL, NULL, 0);
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	static const char *const files[] = {"world.xml", "deaf"};
	char path[96];

	(void)state;
	for (size_t i = 0; i < COUNT(files); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
		unlink(path);
	}
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_default),
	    cmocka_unit_test(test_find),
	    cmocka_unit_test(test_kinds_of_guests),
	    cmocka_unit_test(test_set_and_sample),
	    cmocka_unit_test(test_prepared),
	    cmocka_unit_test(test_another_boot_is_another_guest),
	    cmocka_unit_test(test_period),
	    cmocka_unit_test(test_xml_is_read_once),
	    cmocka_unit_test(test_read_only),
	    cmocka_unit_test(test_no_guests),
	    cmocka_unit_test(test_many_with_hostile_names),
	    cmocka_unit_test(test_no_time),
	    cmocka_unit_test(test_host),
	    cmocka_unit_test(test_host_whose_figures_contradict_the_pool),
	    cmocka_unit_test(test_host_without_a_pool),
	    cmocka_unit_test(test_host_whose_pool_cannot_be_read),
	    cmocka_unit_test(test_pool_outlives_the_worker_that_read_it),
	    cmocka_unit_test(test_host_that_does_not_tell_its_pool),
	    cmocka_unit_test(test_host_of_the_test_driver),
	    cmocka_unit_test(test_what_cannot_be_opened),
	    cmocka_unit_test(test_a_daemon_that_does_not_answer),
	    cmocka_unit_test(test_stop),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
