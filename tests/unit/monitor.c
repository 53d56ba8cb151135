/* SPDX-License-Identifier: MIT */
/* The guard on duty, over the test driver: what it asks for, and that nothing is allocated before it does. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "folder.h"
#include "base/clock.h"
#include "virt/virt.h"
#include "run/monitor.h"
#include "run/reader.h"
#include "show/report.h"

#define MIB KIB_PER_MIB
#define GUESTS 40 /* more than qsort would sort without memory of its own */
#define TIME_MS 30000
#define LAST_UPDATE_S 627319920 /* what the test driver says of every guest's statistics */

/*
 * ---- clocks ----
 * The wall clock stands a second after those statistics: they are fresh. The other goes so slowly that a busy machine
 * makes nothing old, except where a test lets time pass.
 */
#define SLOWNESS 50

int __real_clock_gettime(clockid_t id, struct timespec *t);
int __wrap_clock_gettime(clockid_t id, struct timespec *t);

static _Atomic uint64_t passed_ms;

int __wrap_clock_gettime(clockid_t id, struct timespec *t)
{
	int r = __real_clock_gettime(id, t);
	uint64_t ns;

	if (id == CLOCK_REALTIME) {
		*t = (struct timespec){.tv_sec = LAST_UPDATE_S + 1};
	} else if (id == CLOCK_BOOTTIME) {
		ns = ((uint64_t)t->tv_sec * 1000000000 + (uint64_t)t->tv_nsec) / SLOWNESS + passed_ms * 1000000;
		*t = (struct timespec){.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};
	}
	return r;
}

/* ---- a connection that dies when it is used; when it and commands have to be through ---- */

int __real_virt_open(const char *where, bool read_only, unsigned workers, uint64_t deadline_ms, struct virt **ret_virt);
int __wrap_virt_open(const char *where, bool read_only, unsigned workers, uint64_t deadline_ms, struct virt **ret_virt);
int __real_virt_set(struct virt *v, struct guest *g, size_t n, uint64_t deadline_ms);
int __wrap_virt_set(struct virt *v, struct guest *g, size_t n, uint64_t deadline_ms);
int __real_virt_list(struct virt *v, uint64_t deadline_ms, struct guest **ret_guests, size_t *ret_n);
int __wrap_virt_list(struct virt *v, uint64_t deadline_ms, struct guest **ret_guests, size_t *ret_n);

static bool dies, list_dies;
static uint64_t list_takes_ms;
static uint64_t open_by_ms, send_by_ms; /* the deadlines that were given; a busy machine has longer */

int __wrap_virt_open(const char *where, bool read_only, unsigned workers, uint64_t deadline_ms, struct virt **ret_virt)
{
	open_by_ms = deadline_ms;
	return __real_virt_open(where, read_only, workers, clock_ms(CLOCK_BOOTTIME) + TIME_MS, ret_virt);
}

int __wrap_virt_list(struct virt *v, uint64_t deadline_ms, struct guest **ret_guests, size_t *ret_n)
{
	bool died = list_dies;

	list_dies = false;
	passed_ms += list_takes_ms;
	return died ? -ENOTCONN : __real_virt_list(v, deadline_ms, ret_guests, ret_n);
}

int __wrap_virt_set(struct virt *v, struct guest *g, size_t n, uint64_t deadline_ms)
{
	bool died = dies;

	dies = false;
	send_by_ms = deadline_ms;
	return died ? -ENOTCONN : __real_virt_set(v, g, n, clock_ms(CLOCK_BOOTTIME) + TIME_MS);
}

/* ---- allocations of this thread are counted, libc's and libvirt's too ---- */

static __thread volatile bool counting;
static __thread volatile unsigned allocations;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CAN_COUNT false
#else
#define CAN_COUNT (getenv("VALGRIND") == NULL) /* which has a malloc of its own */

static void *(*next_malloc)(size_t size);
static void *(*next_calloc)(size_t n, size_t size);
static void *(*next_realloc)(void *was, size_t size);

static void *next(const char *name)
{
	bool was = counting;
	void *symbol;

	counting = false;
	symbol = dlsym(RTLD_NEXT, name);
	counting = was;
	return symbol;
}

void *malloc(size_t size)
{
	if (!next_malloc)
		*(void **)&next_malloc = next("malloc");
	allocations += counting;
	return next_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	static _Alignas(max_align_t) char early[4096]; /* for dlsym itself */
	static bool asking;

	if (!next_calloc && asking)
		return n * size <= sizeof(early) ? early : NULL;
	asking = true;
	if (!next_calloc)
		*(void **)&next_calloc = next("calloc");
	allocations += counting;
	return next_calloc(n, size);
}

void *realloc(void *was, size_t size)
{
	if (!next_realloc)
		*(void **)&next_realloc = next("realloc");
	allocations += counting;
	return next_realloc(was, size);
}
#endif

/* ---- a root, a world, a configuration ---- */

static char root[FOLDER_BYTES], uri[PATH_MAX];
static struct conf conf;

static FILE *create(const char *name)
{
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	f = fopen(path, "w");
	assert_non_null(f);
	return f;
}

static void host_has(uint64_t available_kib)
{
	FILE *f = create("proc/meminfo");

	fprintf(f, "MemTotal: 16777216 kB\nMemFree: %llu kB\nMemAvailable: %llu kB\nBuffers: 0 kB\nCached: 0 kB\n",
	        (unsigned long long)available_kib, (unsigned long long)available_kib);
	assert_int_equal(fclose(f), 0);
}

/* Guests of 1 GiB, half of which the test driver says is unused. */
static void make_world(unsigned n)
{
	FILE *f = create("world.xml");

	fprintf(f, "<node><memory>33554432</memory>");
	for (unsigned i = 0; i < n; i++)
		fprintf(f,
		        "<domain type='test'><name>guest%02u</name><uuid>00000000-0000-4000-8000-0000000000%02u</uuid>"
		        "<memory unit='MiB'>1024</memory><currentMemory unit='MiB'>1024</currentMemory>"
		        "<os><type>hvm</type></os><devices><memballoon model='virtio'><stats period='1'/></memballoon>"
		        "</devices></domain>",
		        i, i);
	fprintf(f, "</node>");
	assert_int_equal(fclose(f), 0);
}

static int set_up(void **state)
{
	static const char *const folders[] = {"proc", "run", "etc"};
	char path[PATH_MAX];

	(void)state;
	assert_int_equal(folder_make(root, "monitor"), 0);
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", root, folders[i]);
		assert_int_equal(mkdir(path, 0755), 0);
	}
	snprintf(uri, sizeof(uri), "test://%s/world.xml", root);
	assert_int_equal(conf_init(&conf), 0);
	assert_int_equal(conf_set(&conf, "uri", uri), 0);
	assert_int_equal(conf_set(&conf, "reserve", "1024MiB"), 0);
	make_world(GUESTS);
	host_has(8192 * MIB);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	conf_clear(&conf);
	return folder_remove(root);
}

static uint64_t in_time(void)
{
	return clock_ms(CLOCK_BOOTTIME) + TIME_MS;
}

/* A guard that knows its guests and is ready to send. */
static struct monitor *on_duty(bool dry_run)
{
	struct monitor *s;

	assert_int_equal(monitor_new(&conf, root, dry_run, &s), 0);
	assert_int_equal(monitor_open_registry(s), dry_run ? -ENOENT : 0);
	assert_int_equal(monitor_read(s, in_time()), 0);
	assert_int_equal(monitor_prepare(s, in_time()), 0);
	return s;
}

static struct monitor_view look(struct monitor *s)
{
	struct monitor_view v;

	assert_int_equal(monitor_look(s, &v), 0);
	return v;
}

/* The test driver says that QEMU holds half of what a guest has. */
static void touch_all(struct monitor *s)
{
	struct snapshot *h = monitor_snapshot(s);

	for (size_t i = 0; i < h->n; i++)
		h->guest[i].sample.rss_kib = h->guest[i].sample.actual_kib + QEMU_USUAL_KIB;
}

static struct registry *registry_of_a_pass(void)
{
	struct registry *r;

	assert_int_equal(registry_open(root, true, &r), 0);
	return r;
}

/* ---- tests ---- */

static void test_calm(void **state)
{
	struct monitor *s = on_duty(false);
	struct registry *r = registry_of_a_pass();
	struct monitor_view v = look(s);
	char refused[64];

	(void)state;
	assert_int_equal(v.level, GUARD_CALM);
	assert_false(v.reclaiming);
	assert_int_equal(v.sent, 0);
	assert_false(registry_no_give(r));
	assert_false(monitor_cannot(s, &v, refused, sizeof(refused)));
	registry_close(r);
	monitor_free(s, in_time());
}

/*
 * All that is idle comes back at once, for it was not touched and the host cannot honour it: 1024 MiB each, of which
 * 512 and the target are kept.
 */
static void test_tight(void **state)
{
	struct monitor *s = on_duty(false);
	struct registry *r = registry_of_a_pass();
	const uint64_t idle_kib = 512 * MIB - 150000;
	struct monitor_view v;

	(void)state;
	host_has(700 * MIB);
	v = look(s);
	assert_int_equal(v.level, GUARD_TIGHT);
	assert_true(v.reclaiming);
	assert_int_equal(v.sent, GUESTS);
	assert_int_equal(v.planned_kib, GUESTS * idle_kib);
	assert_true(v.sent_ms >= v.at.now_ms);
	assert_true(registry_no_give(r));
	v = look(s); /* it is on its way: no second command */
	assert_int_equal(v.sent, 0);
	assert_int_equal(v.planned_kib, GUESTS * idle_kib);
	monitor_free(s, in_time());
	assert_false(registry_no_give(r));
	registry_close(r);
}

/* What was touched comes back as far as is needed: twice what the host lacks. */
static void test_tight_touched(void **state)
{
	struct monitor *s = on_duty(false);
	struct monitor_view v;

	(void)state;
	touch_all(s);
	host_has(700 * MIB);
	v = look(s);
	assert_int_equal(v.lack_kib, 324 * MIB);
	assert_in_range(v.planned_kib, 648 * MIB - 5000, 648 * MIB);
	assert_int_equal(v.sent, GUESTS);
	assert_int_equal(look(s).sent, 0);
	monitor_free(s, in_time());
}

/* Somebody else set the balloons since: what was told is told again, once it is known that it did not come. */
static void test_told_again(void **state)
{
	struct monitor *s = on_duty(false);
	struct snapshot *h;

	(void)state;
	host_has(700 * MIB);
	assert_int_equal(look(s).sent, GUESTS);
	h = monitor_snapshot(s);
	for (size_t i = 0; i < h->n; i++)
		h->guest[i].past.seen_ms = h->guest[i].past.asked_ms + 1001;
	passed_ms += 5; /* then it is not asked again in the millisecond in which it was first */
	assert_int_equal(look(s).sent, GUESTS);
	assert_int_equal(look(s).sent, 0);
	monitor_free(s, in_time());
}

/* The connection died since calm times, and libvirtd is there again: the same look connects and sends. */
static void test_sends_again(void **state)
{
	struct monitor *s = on_duty(false);
	struct monitor_view v;

	(void)state;
	host_has(700 * MIB);
	dies = true;
	v = look(s);
	assert_false(dies);
	assert_int_equal(open_by_ms, v.at.now_ms + 2 * MONITOR_SEND_MS);
	assert_int_equal(v.sent, GUESTS);
	assert_int_equal(look(s).sent, 0);
	monitor_free(s, in_time());

	s = on_duty(false); /* and where it is not, the next look may find it */
	dies = true;
	conf_set(&conf, "uri", "qemu+unix:///system?socket=/nowhere");
	assert_int_equal(look(s).sent, -ENOTCONN);
	conf_set(&conf, "uri", uri);
	assert_int_equal(look(s).sent, -ENOTCONN); /* not 200 attempts a second */
	passed_ms += 100;
	assert_int_equal(look(s).sent, GUESTS);
	monitor_free(s, in_time());
}

static void test_sends_in_time(void **state)
{
	struct monitor *s = on_duty(false);
	struct monitor_view v;

	(void)state;
	host_has(700 * MIB);
	v = look(s);
	assert_in_range(send_by_ms, v.at.now_ms + MONITOR_SEND_MS, v.sent_ms + MONITOR_SEND_MS);
	monitor_free(s, in_time());
}

/* A host that falls so that it will be short within the second. */
static struct monitor_view look_at_a_fall(struct monitor *s)
{
	struct monitor_view v;

	host_has(1500 * MIB);
	look(s);
	passed_ms += 200;
	host_has(1100 * MIB);
	v = look(s);
	assert_int_equal(v.level, GUARD_TIGHT);
	assert_true(v.foreseen);
	return v;
}

/* What is foreseen may be a guest that touches what it has: that is left alone. */
static void test_foreseen_untouched(void **state)
{
	struct monitor *s = on_duty(false);
	struct monitor_view v = look_at_a_fall(s);

	(void)state;
	assert_int_equal(v.way, RECLAIM_ROOM);
	assert_int_equal(v.planned_kib, 0);
	assert_int_equal(v.sent, 0);
	host_has(700 * MIB); /* it has come */
	v = look(s);
	assert_int_equal(v.way, RECLAIM_IDLE);
	assert_int_equal(v.sent, GUESTS);
	monitor_free(s, in_time());
}

/*
 * Of what is idle and touched twice as much comes back beforehand as is lost until then; a level that is held when the
 * host has recovered takes no more.
 */
static void test_foreseen(void **state)
{
	struct monitor *s = on_duty(false);
	struct monitor_view v;

	(void)state;
	touch_all(s);
	v = look_at_a_fall(s);
	assert_int_equal(v.way, RECLAIM_ROOM);
	assert_in_range(v.need_kib, 1, 2 * 3 * 2000 * MIB);
	assert_in_range(v.planned_kib, v.need_kib - 5000, v.need_kib);
	assert_int_equal(v.sent, GUESTS);
	host_has(500 * MIB);
	assert_int_equal(look(s).way, RECLAIM_HARD);
	host_has(5000 * MIB);
	v = look(s);
	assert_int_equal(v.level, GUARD_CRITICAL);
	assert_int_equal(v.way, RECLAIM_ROOM);
	assert_int_equal(v.need_kib, 0);
	assert_int_equal(v.sent, 0);
	monitor_free(s, in_time());
}

/* A guest that grows may have more to touch than the host can bear. */
static void test_growing(void **state)
{
	struct monitor *s = on_duty(false);
	struct snapshot *h = monitor_snapshot(s);
	struct monitor_view v;

	(void)state;
	for (size_t i = 0; i < h->n; i++)
		h->guest[i].est.risen_kib = 10 * MIB;
	v = look_at_a_fall(s);
	assert_int_equal(v.way, RECLAIM_IDLE);
	assert_int_equal(v.sent, GUESTS);
	monitor_free(s, in_time());
}

static void test_critical(void **state)
{
	struct monitor *s = on_duty(false);
	struct snapshot *h;
	struct monitor_view v;

	(void)state;
	host_has(1);
	assert_int_equal(conf_set(&conf, "reserve", "100GiB"), 0);
	v = look(s);
	assert_int_equal(v.level, GUARD_CRITICAL);
	assert_int_equal(v.sent, GUESTS);
	h = monitor_snapshot(s);
	for (size_t i = 0; i < h->n; i++)
		assert_int_equal(h->guest[i].past.asked_kib, 512 * MIB + 150000 / 8);
	monitor_free(s, in_time());
}

/* A lack counts even if the share of each of many guests is within the tolerance. */
static void test_crumbs(void **state)
{
	struct monitor *s;
	char refused[100];
	struct monitor_view v;

	(void)state;
	assert_int_equal(conf_set(&conf, "target", "512MiB"), 0); /* nothing is idle */
	assert_int_equal(conf_set(&conf, "reserve", "256MiB"), 0);
	s = on_duty(false);
	touch_all(s);
	host_has(100 * MIB);
	v = look(s);
	assert_int_equal(v.level, GUARD_CRITICAL);
	assert_in_range(v.planned_kib, 156 * MIB - 5000, 156 * MIB);
	assert_in_range(v.sent, 156 * MIB / 10000, GUESTS - 1);
	v = look(s);
	assert_false(monitor_cannot(s, &v, refused, sizeof(refused)));
	monitor_free(s, in_time());
}

/* Each guest that is told is on record, once, and how far it came when it was read again. */
static void test_record(void **state)
{
	struct monitor *s = on_duty(false);
	struct movelog a = {.program = "memguard", .root = root};

	(void)state;
	monitor_record(s, &a);
	host_has(700 * MIB);
	assert_int_equal(conf_set(&conf, "log", "/nowhere/log"), 0);
	assert_int_equal(look(s).sent, GUESTS);
	look(s);
	assert_int_equal(a.n, GUESTS);
	for (size_t i = 0; i < a.n; i++) {
		assert_int_equal(a.move[i].from_kib, 1024 * MIB);
		assert_int_equal(a.move[i].asked_kib, 512 * MIB + 150000);
		assert_int_equal(a.move[i].reason, REASON_HOST_RESERVE);
		assert_false(a.move[i].has_reached);
	}
	assert_string_equal(a.move[0].name, "guest00");
	assert_string_equal(a.move[0].uuid, "00000000-0000-4000-8000-000000000000");
	passed_ms += 1100;
	assert_int_equal(monitor_read(s, in_time()), 0);
	look(s);
	assert_true(a.move[0].has_reached);
	assert_in_range(a.move[0].reached_kib, 1, 1024 * MIB);
	movelog_clear(&a);
	monitor_free(s, in_time());
}

static void test_records_nothing(void **state)
{
	struct monitor *s = on_duty(false);
	struct movelog a = {.program = "memguard", .root = root};

	(void)state;
	conf.history = false;
	monitor_record(s, &a);
	host_has(700 * MIB);
	assert_int_equal(look(s).sent, GUESTS);
	assert_int_equal(a.n, 0);
	monitor_free(s, in_time());
}

static void test_records_for_the_history_alone(void **state)
{
	struct monitor *s = on_duty(false);
	struct movelog a = {.program = "memguard", .root = root};

	(void)state;
	assert_true(conf.history);
	monitor_record(s, &a);
	host_has(700 * MIB);
	assert_int_equal(look(s).sent, GUESTS);
	assert_int_equal(a.n, GUESTS);
	movelog_clear(&a);
	monitor_free(s, in_time());
}

static void test_dry(void **state)
{
	struct monitor *s = on_duty(true);
	char path[PATH_MAX];
	struct monitor_view v;

	(void)state;
	host_has(700 * MIB);
	v = look(s);
	assert_true(v.reclaiming);
	assert_true(v.planned_kib > 0);
	assert_int_equal(v.sent, 0);
	assert_int_equal(v.no_give, 0);
	snprintf(path, sizeof(path), "%s/run/memsched", root);
	assert_int_equal(access(path, F_OK), -1);
	monitor_free(s, in_time());
}

/* Only what is needed, and only for as long as the start is pending. */
static void test_room(void **state)
{
	struct monitor *s = on_duty(false);
	struct registry *r = registry_of_a_pass();
	struct monitor_view v;

	(void)state;
	touch_all(s);
	host_has(1100 * MIB);
	assert_false(look(s).reclaiming);
	assert_int_equal(
	    registry_save_pending(r, "00000000-0000-4000-8000-000000009999", 500 * MIB, clock_now().wall_ms / 1000), 0);
	monitor_count_pending(s);
	v = look(s);
	assert_int_equal(v.level, GUARD_CALM);
	assert_true(v.reclaiming);
	assert_int_equal(v.way, RECLAIM_ROOM);
	assert_int_equal(v.lack_kib, 424 * MIB);
	assert_in_range(v.planned_kib, 424 * MIB - GUESTS, 424 * MIB);
	assert_int_equal(v.sent, GUESTS);
	assert_false(registry_no_give(r));
	registry_forget_pending(r, "00000000-0000-4000-8000-000000009999");
	monitor_count_pending(s);
	assert_false(look(s).reclaiming);
	registry_close(r);
	monitor_free(s, in_time());
}

static void unreadable(const char *name)
{
	char path[PATH_MAX];

	const struct timespec now[] = {{.tv_sec = LAST_UPDATE_S + 1}, {.tv_sec = LAST_UPDATE_S + 1}};

	snprintf(path, sizeof(path), "%s/run/memsched/%s", root, name);
	assert_int_equal(mkfifo(path, 0644) | utimensat(AT_FDCWD, path, now, 0), 0);
}

/*
 * What cannot be read is known of as long as it is there, and lets nothing be forgotten that was pending before, until
 * that is void as any start is by then.
 */
static void test_pending_unreadable(void **state)
{
	struct monitor *s = on_duty(false);
	struct registry *r = registry_of_a_pass();
	char path[PATH_MAX];

	(void)state;
	assert_false(monitor_pending_unreadable(s));
	unreadable("pending/00000000-0000-4000-8000-000000008888");
	assert_int_equal(
	    registry_save_pending(r, "00000000-0000-4000-8000-000000009999", 500 * MIB, clock_now().wall_ms / 1000), 0);
	monitor_count_pending(s);
	assert_true(monitor_pending_unreadable(s));
	assert_int_equal(look(s).pending_kib, 500 * MIB);
	registry_forget_pending(r, "00000000-0000-4000-8000-000000009999");
	passed_ms += PENDING_MAX_S * 1000 / 2;
	monitor_count_pending(s);
	assert_int_equal(look(s).pending_kib, 500 * MIB);
	passed_ms += PENDING_MAX_S * 1000 / 2 + 1;
	monitor_count_pending(s);
	assert_true(monitor_pending_unreadable(s));
	assert_int_equal(look(s).pending_kib, 0);
	snprintf(path, sizeof(path), "%s/run/memsched/pending/00000000-0000-4000-8000-000000008888", root);
	assert_int_equal(unlink(path), 0);
	monitor_count_pending(s);
	assert_false(monitor_pending_unreadable(s));
	assert_int_equal(look(s).pending_kib, 0);
	registry_close(r);
	monitor_free(s, in_time());
}

/* What boots will touch the rest of what it has; the others make room for that. */
static void test_starting(void **state)
{
	struct monitor *s = on_duty(false);
	struct snapshot *h;
	struct monitor_view v;

	(void)state;
	touch_all(s);
	h = monitor_snapshot(s);
	h->guest[0].est.booting = h->guest[0].plan.no_take = true;
	h->guest[0].sample.rss_kib = 224 * MIB;
	host_has(1100 * MIB);
	v = look(s);
	assert_int_equal(v.level, GUARD_CALM);
	assert_int_equal(v.starting_kib, 800 * MIB);
	assert_int_equal(v.lack_kib, 724 * MIB);
	assert_true(v.reclaiming);
	assert_in_range(v.planned_kib, 724 * MIB - 5000, 724 * MIB);
	host_has(1824 * MIB);
	assert_false(look(s).reclaiming);
	monitor_free(s, in_time());
}

/* Who is woken by a start knows of it at the next look. */
static void test_woken(void **state)
{
	static const volatile sig_atomic_t stop;
	struct monitor *s = on_duty(false);
	struct registry *r = registry_of_a_pass();
	struct wakeup w = {.pressure = -1, .pending = monitor_watch_pending(s)};
	uint64_t began_ms = clock_ms(CLOCK_BOOTTIME);

	(void)state;
	assert_true(w.pending >= 0);
	registry_save_pending(r, "00000000-0000-4000-8000-000000009999", 500 * MIB, clock_now().wall_ms / 1000);
	assert_int_equal(look(s).pending_kib, 0);
	monitor_wait(s, &w, TIME_MS, &stop);
	assert_true(clock_ms(CLOCK_BOOTTIME) < began_ms + TIME_MS);
	assert_int_equal(look(s).pending_kib, 500 * MIB);
	wakeup_close(&w);
	registry_close(r);
	monitor_free(s, in_time());
}

static void test_allocates_nothing(void **state)
{
	static const uint64_t available_mib[] = {700, 300, 300}; /* tight, critical; the first opens no-give */
	struct monitor *s = on_duty(false);
	struct registry *r = registry_of_a_pass();
	char *volatile counted;
	struct monitor_view v;

	(void)state;
	if (!CAN_COUNT) {
		registry_close(r);
		monitor_free(s, in_time());
		skip();
	}
	registry_save_pending(r, "00000000-0000-4000-8000-000000009999", 500 * MIB, clock_now().wall_ms / 1000);
	unreadable("pending/00000000-0000-4000-8000-000000008888");
	registry_close(r);
	look(s);
	allocations = 0;
	counting = true;
	counted = strdup("counted");
	counting = false;
	free(counted);
	assert_int_equal(allocations, 1);
	for (size_t i = 0; i < sizeof(available_mib) / sizeof(*available_mib); i++) {
		host_has(available_mib[i] * MIB);
		conf_set(&conf, "target", i == 2 ? "1MiB" : "150000KiB");
		if (i == 2)
			assert_int_equal(monitor_read(s, in_time()), 0);
		allocations = 0;
		counting = true;
		monitor_count_pending(s);
		monitor_look(s, &v);
		counting = false;
		assert_int_equal(allocations, 0);
		assert_int_equal(v.pending_kib, 500 * MIB);
		assert_true(monitor_pending_unreadable(s));
		if (i != 1) /* there the headroom was not needed, as all that is idle suffices */
			assert_int_equal(v.sent, GUESTS);
	}
	monitor_free(s, in_time());
}

/* What an emergency needs was opened before. */
static void test_without_descriptors(void **state)
{
	struct monitor *s = on_duty(false);
	struct registry *r = registry_of_a_pass();
	struct rlimit all, none;
	struct monitor_view v = look(s);
	int error;

	(void)state;
	host_has(700 * MIB);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
	none = (struct rlimit){0, all.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	error = monitor_look(s, &v);
	if (!error)
		error = monitor_read(s, in_time());
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
	assert_int_equal(error, 0);
	assert_int_equal(v.level, GUARD_TIGHT);
	assert_int_equal(v.sent, GUESTS);
	assert_true(registry_no_give(r));
	registry_close(r);
	monitor_free(s, in_time());
}

/* If its file was replaced, no process sees the lock on the old one. */
static void test_no_give_replaced(void **state)
{
	struct monitor *s = on_duty(false);
	struct registry *r = registry_of_a_pass();
	char path[PATH_MAX];

	(void)state;
	host_has(700 * MIB);
	look(s);
	assert_true(registry_no_give(r));
	snprintf(path, sizeof(path), "%s/run/memsched/no-give", root);
	assert_int_equal(unlink(path), 0);
	fclose(create("run/memsched/no-give"));
	assert_false(registry_no_give(r));
	assert_int_equal(monitor_open_registry(s), 0);
	look(s);
	assert_true(registry_no_give(r));
	registry_close(r);
	monitor_free(s, in_time());
}

/* The registry goes and comes: what is forbidden is forbidden where passes look for it. */
static void test_registry_removed(void **state)
{
	struct monitor *s = on_duty(false);
	struct registry *r;
	char path[PATH_MAX];

	(void)state;
	snprintf(path, sizeof(path), "%s/run/memsched", root);
	assert_int_equal(folder_remove(path), 0);
	assert_int_equal(monitor_open_registry(s), 0);
	host_has(700 * MIB);
	look(s);
	r = registry_of_a_pass();
	assert_true(registry_no_give(r));
	registry_close(r);
	monitor_free(s, in_time());
}

static void test_cannot(void **state)
{
	struct monitor *s;
	struct monitor_view v;
	char refused[100];

	(void)state;
	conf_set(&conf, "exclude", "guest0*");
	conf_set(&conf, "target", "512MiB");
	s = on_duty(false);
	host_has(700 * MIB);
	v = look(s);
	assert_int_equal(v.sent, 0);
	assert_true(monitor_cannot(s, &v, refused, sizeof(refused)));
	if (strcmp(refused, "guest00 (excluded), guest01 (excluded), guest02 (excluded) and 37 more") != 0)
		fail_msg("%s", refused);
	v.sent = 1; /* something is on its way */
	assert_false(monitor_cannot(s, &v, refused, sizeof(refused)));
	monitor_free(s, in_time());

	conf_set(&conf, "uri", "qemu+unix:///system?socket=/nowhere");
	assert_int_equal(monitor_new(&conf, root, false, &s), 0);
	assert_int_not_equal(monitor_read(s, in_time()), 0);
	assert_int_not_equal(monitor_prepare(s, in_time()), 0);
	v = look(s);
	assert_true(monitor_cannot(s, &v, refused, sizeof(refused)));
	assert_string_equal(refused, "all (libvirt does not answer)");
	monitor_free(s, in_time());
}

/* What came back is what QEMUs hold less than when they were told, and counts to what was needed. */
static void test_freed(void **state)
{
	struct monitor *s = on_duty(false);
	struct snapshot *h;
	char text[200];
	struct monitor_view v;

	(void)state;
	touch_all(s);
	host_has(700 * MIB);
	assert_int_equal(look(s).freed_kib, 0);
	h = monitor_snapshot(s);
	for (size_t i = 0; i < 3; i++)
		h->guest[i].sample.rss_kib -= 32 * MIB;
	h->guest[3].sample.rss_kib += 32 * MIB;
	v = look(s);
	assert_int_equal(v.freed_kib, 96 * MIB);
	assert_string_equal(report_cannot_free(text, sizeof(text), &v, "db (at-min)"),
	                    "cannot free: needed 420 MiB, freed 96 MiB, refused: db (at-min)");
	monitor_free(s, in_time());
}

/* What the guests were told has come: the test driver does not tell it to other connections. */
static void obey(struct monitor *s)
{
	struct snapshot *h = monitor_snapshot(s);

	assert_int_equal(monitor_read(s, in_time()), 0);
	for (size_t i = 0; i < h->n; i++) {
		h->guest[i].sample.actual_kib = h->guest[i].past.asked_kib;
		h->guest[i].past.asked_kib = 0;
	}
}

/* After an emergency: it is calm again, for long enough. */
static void calm_down(struct monitor *s)
{
	host_has(8192 * MIB);
	look(s);
	passed_ms += GUARD_HOLD_MS - 1000;
	assert_int_equal(look(s).level, GUARD_TIGHT);
	passed_ms += 1000;
	assert_int_equal(look(s).level, GUARD_CALM);
	passed_ms += 3000;
}

/* And the guests obeyed. */
static void calm_again(struct monitor *s)
{
	calm_down(s);
	obey(s);
}

/* A guard that has taken from 4 guests, which had touched all they have. */
static struct monitor *that_took(void)
{
	struct monitor_view v;
	struct monitor *s;

	make_world(4);
	s = on_duty(false);
	touch_all(s);
	host_has(700 * MIB);
	v = look(s);
	assert_int_equal(v.sent, 4);
	assert_in_range(v.planned_kib, 648 * MIB - 5000, 648 * MIB);
	return s;
}

/* The guard that took gives back, once, if no pass does. */
static void test_gives_back(void **state)
{
	struct monitor *s = that_took();
	struct monitor_view v;

	(void)state;
	calm_again(s);
	v = look(s);
	assert_int_equal(v.level, GUARD_CALM);
	assert_int_equal(v.returned_kib, 648 * MIB);
	assert_int_equal(v.sent, 4);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(monitor_snapshot(s)->guest[i].past.asked_kib, 1024 * MIB);
	assert_int_equal(look(s).sent, 0);
	obey(s);
	assert_int_equal(look(s).sent, 0);
	monitor_free(s, in_time());
}

/* At rest guests are read each 10 s; at once as soon as the host has less than twice its reserve. */
static void test_reads_seldom_at_rest(void **state)
{
	struct monitor *s;
	char refused[200];
	struct monitor_view v;

	(void)state;
	make_world(4);
	s = on_duty(false);
	host_has(8192 * MIB);
	passed_ms += 3000; /* as after an emergency */
	assert_int_equal(monitor_read(s, in_time()), 0);
	assert_int_equal(look(s).level, GUARD_CALM);
	assert_in_range(monitor_keep_reading(s), READER_REST_MS - 1000, READER_REST_MS);
	passed_ms += READER_REST_MS - 1000;
	assert_in_range(monitor_keep_reading(s), 1, 1000);
	assert_false(monitor_is_reading(s));
	host_has(700 * MIB);
	v = look(s);
	assert_int_equal(v.level, GUARD_TIGHT);
	assert_int_equal(v.sent, 0); /* what guests use may have changed since */
	assert_false(monitor_cannot(s, &v, refused, sizeof(refused)));
	assert_in_range(monitor_keep_reading(s), 0, 10); /* then it looks again */
	assert_true(monitor_is_reading(s));
	assert_int_equal(monitor_read(s, in_time()), 0);
	assert_in_range(monitor_keep_reading(s), 0, READER_GAP_MS);
	monitor_free(s, in_time());
}

/* What guests still have to give, or a host that falls, says that a flood goes on. */
static void test_gives_nothing_back_in_a_flood(void **state)
{
	struct monitor *s = that_took();
	struct monitor_view v;

	(void)state;
	calm_down(s);
	assert_int_equal(monitor_read(s, in_time()), 0);
	assert_true(monitor_awaits(s, &(struct monitor_view){.sent = 0}));
	assert_int_equal(look(s).returned_kib, 0);
	obey(s);
	for (unsigned i = 1; i < 5; i++) { /* it may be at its reserve in 10 s */
		passed_ms += 1000;
		host_has((8192 - 1000 * i) * MIB);
		v = look(s);
		assert_int_equal(v.level, GUARD_CALM);
		assert_int_equal(v.returned_kib, 0);
	}
	passed_ms += 2900;
	assert_int_equal(look(s).returned_kib, 0);
	passed_ms += 100;
	assert_int_equal(look(s).returned_kib, 648 * MIB);
	monitor_free(s, in_time());
}

/* Room that was made for a guest that boots is not given back to the others. */
static void test_keeps_room_for_a_start(void **state)
{
	struct monitor *s = that_took();
	struct snapshot *h;
	struct monitor_view v;

	(void)state;
	calm_again(s);
	h = monitor_snapshot(s);
	h->guest[0].est.booting = h->guest[0].plan.no_take = true;
	h->guest[0].sample.rss_kib = 224 * MIB;
	host_has(1824 * MIB + 100);
	v = look(s);
	assert_int_equal(v.starting_kib, 800 * MIB);
	assert_in_range(v.returned_kib, 0, 100);
	monitor_free(s, in_time());
}

/* What the host has to spare is for a pass to give, if one goes on. */
static void test_leaves_it_to_a_pass_that_goes_on(void **state)
{
	struct monitor *s = that_took();
	struct registry *r;

	(void)state;
	calm_again(s);
	r = registry_of_a_pass();
	assert_int_equal(registry_lock(r), 0);
	assert_int_equal(look(s).returned_kib, 0);
	registry_unlock(r);
	assert_int_equal(look(s).returned_kib, 648 * MIB);
	registry_close(r);
	monitor_free(s, in_time());
}

/* As if the guard had taken half of what each guest had. */
static void take_half(struct monitor *s)
{
	struct snapshot *h = monitor_snapshot(s);

	for (size_t i = 0; i < h->n; i++) {
		h->guest[i].sample.actual_kib = h->guest[i].order.kib = 512 * MIB;
		h->guest[i].past.asked_kib = 0;
		h->guest[i].order.before_kib = 1024 * MIB;
	}
}

/* If giving back brings the next emergency, it takes longer each time. */
static void test_gives_back_later(void **state)
{
	struct monitor *s = that_took();

	(void)state;
	calm_again(s);
	assert_int_equal(look(s).returned_kib, 648 * MIB);
	host_has(700 * MIB);
	assert_true(look(s).reclaiming);
	calm_again(s);
	take_half(s);
	assert_int_equal(look(s).returned_kib, 0);
	passed_ms += 3000;
	assert_int_equal(look(s).returned_kib, 4 * 512 * MIB);
	monitor_free(s, in_time());
}

/* What passes have decided since it is calm again holds. */
static void test_leaves_it_to_passes(void **state)
{
	struct monitor *s = that_took();
	struct registry *r;
	struct past past = {.known = true};

	(void)state;
	r = registry_of_a_pass();
	calm_again(s);
	past.last.decided_ms = clock_ms(CLOCK_BOOTTIME);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(registry_save_past(r, monitor_snapshot(s)->guest[i].uuid, &past), 0);
	past.last.decided_ms -= GUARD_HOLD_MS; /* while it was tight */
	assert_int_equal(registry_save_past(r, monitor_snapshot(s)->guest[3].uuid, &past), 0);
	assert_int_equal(look(s).sent, 1);
	assert_int_equal(monitor_snapshot(s)->guest[3].past.asked_kib, 1024 * MIB);
	registry_close(r);
	monitor_free(s, in_time());
}

/* A single run waits as long as something is on its way, and no longer. */
static void test_awaits(void **state)
{
	struct monitor *s = on_duty(false);
	struct snapshot *h;
	struct monitor_view v;

	(void)state;
	host_has(700 * MIB);
	v = look(s);
	assert_true(monitor_awaits(s, &v));
	v = look(s);
	assert_int_equal(v.sent, 0);
	assert_true(monitor_awaits(s, &v));
	host_has(800 * MIB); /* above where it is tight */
	h = monitor_snapshot(s);
	for (size_t i = 0; i < h->n; i++)
		h->guest[i].est.stuck = h->guest[i].plan.no_take = true;
	v = look(s);
	assert_true(v.reclaiming);
	assert_int_equal(v.sent, 0);
	assert_false(monitor_awaits(s, &v));
	monitor_free(s, in_time());
}

/* What guests used when they were read last is no bottom for a take long after; that nothing can be had is said. */
static void test_old(void **state)
{
	struct monitor *s = on_duty(false);
	struct snapshot *h = monitor_snapshot(s);
	char refused[100];
	struct monitor_view v;

	(void)state;
	h->began_ms -= 9000;
	estimate_asked(&h->guest[0], 512 * MIB, clock_now()); /* whether it gave is not known either */
	host_has(300 * MIB);
	v = look(s);
	assert_int_equal(v.level, GUARD_CRITICAL);
	assert_int_equal(v.planned_kib, 0);
	assert_int_equal(v.sent, 0);
	assert_true(monitor_cannot(s, &v, refused, sizeof(refused)));
	assert_int_equal(monitor_read(s, in_time()), 0);
	assert_true(look(s).sent > 0);
	monitor_free(s, in_time());
}

/* Guests may have grown since the last reading: a fresh one is waited for, though not long. */
static void test_renews(void **state)
{
	struct monitor *s = on_duty(false);
	char refused[100];
	struct monitor_view v;

	(void)state;
	passed_ms += 2500;
	host_has(300 * MIB);
	v = look(s);
	assert_int_equal(v.level, GUARD_CRITICAL);
	assert_int_equal(v.planned_kib, 0);
	assert_int_equal(v.sent, 0);
	assert_true(monitor_awaits(s, &v));
	assert_false(monitor_cannot(s, &v, refused, sizeof(refused)));
	assert_in_range(monitor_keep_reading(s), 0, 10);
	assert_true(monitor_is_reading(s));
	assert_int_equal(monitor_read(s, in_time()), 0);
	assert_true(look(s).sent > 0);
	monitor_free(s, in_time());

	s = on_duty(false); /* no reading ends */
	passed_ms += 2500;
	host_has(300 * MIB);
	assert_int_equal(look(s).sent, 0);
	passed_ms += 110;
	assert_true(look(s).sent > 0);
	monitor_free(s, in_time());

	s = on_duty(false); /* the host is not critical: a little longer */
	passed_ms += 2500;
	host_has(700 * MIB);
	assert_int_equal(look(s).sent, 0);
	passed_ms += 350;
	assert_int_equal(look(s).sent, 0);
	passed_ms += 60;
	assert_true(look(s).sent > 0);
	monitor_free(s, in_time());

	list_takes_ms = 2500; /* no other reading is due by then */
	s = on_duty(false);
	list_takes_ms = 0;
	host_has(300 * MIB);
	v = look(s);
	assert_true(v.sent > 0);
	assert_false(monitor_cannot(s, &v, refused, sizeof(refused)));
	monitor_free(s, in_time());

	s = on_duty(false); /* libvirt is gone */
	list_dies = true;
	assert_int_equal(monitor_read(s, in_time()), -ENOTCONN);
	passed_ms += 2500;
	host_has(300 * MIB);
	assert_true(look(s).planned_kib > 0);
	monitor_free(s, in_time());
}

/* Where a reading had to connect again the guard does so for sending in calm times. */
static void test_connects_again(void **state)
{
	struct monitor *s = on_duty(false);

	(void)state;
	make_world(GUESTS + 1); /* of the test driver each connection has its own */
	list_dies = true;
	assert_int_equal(monitor_read(s, in_time()), -ENOTCONN);
	assert_int_equal(monitor_read(s, in_time()), 0);
	assert_int_equal(monitor_prepare(s, in_time()), 0);
	host_has(700 * MIB);
	assert_int_equal(look(s).sent, GUESTS + 1);
	monitor_free(s, in_time());
}

static void test_no_host(void **state)
{
	struct monitor *s = on_duty(false);
	char path[PATH_MAX];
	struct monitor_view v = {.sent = 77};

	(void)state;
	snprintf(path, sizeof(path), "%s/proc/meminfo", root);
	assert_int_equal(unlink(path), 0);
	assert_true(monitor_look(s, &v) < 0);
	assert_int_equal(v.sent, 77);
	monitor_free(s, in_time());
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_calm),
	    TEST(test_tight),
	    TEST(test_tight_touched),
	    TEST(test_told_again),
	    TEST(test_foreseen),
	    TEST(test_foreseen_untouched),
	    TEST(test_growing),
	    TEST(test_critical),
	    TEST(test_crumbs),
	    TEST(test_dry),
	    TEST(test_record),
	    TEST(test_records_nothing),
	    TEST(test_records_for_the_history_alone),
	    TEST(test_room),
	    TEST(test_pending_unreadable),
	    TEST(test_starting),
	    TEST(test_woken),
	    TEST(test_freed),
	    TEST(test_gives_back),
	    TEST(test_gives_nothing_back_in_a_flood),
	    TEST(test_reads_seldom_at_rest),
	    TEST(test_keeps_room_for_a_start),
	    TEST(test_leaves_it_to_a_pass_that_goes_on),
	    TEST(test_gives_back_later),
	    TEST(test_leaves_it_to_passes),
	    TEST(test_awaits),
	    TEST(test_sends_again),
	    TEST(test_sends_in_time),
	    TEST(test_allocates_nothing),
	    TEST(test_cannot),
	    TEST(test_old),
	    TEST(test_renews),
	    TEST(test_connects_again),
	    TEST(test_no_host),
	    TEST(test_registry_removed),
	    TEST(test_without_descriptors),
	    TEST(test_no_give_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
