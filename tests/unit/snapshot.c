/* SPDX-License-Identifier: MIT */
/* The guests as the guard keeps them: what readings by a task bring, over the test driver. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "folder.h"
#include "base/clock.h"
#include "plan/estimate.h"
#include "host/registry.h"
#include "virt/virt.h"
#include "run/monitor.h"

#define TIME_MS 30000
#define SHORT_MS 300
#define MANY 500
#define UUID "00000000-0000-4000-8000-000000000%03u"

static char root[FOLDER_BYTES];
static struct conf conf;

/* ---- what happens while a reading is under way ---- */

static unsigned periods_set;
static atomic_bool holds_up, held_up;

/* What the thread has for connecting and listing is little for a busy machine: it gets longer. */
static bool patient;
static bool no_list, no_answers; /* libvirt does not come back with them */
static bool one_is_gone;
static uint64_t open_by_ms; /* the deadline that was given */

int __real_virt_open(const char *where, bool read_only, unsigned workers, uint64_t deadline_ms, struct virt **ret_virt);
int __wrap_virt_open(const char *where, bool read_only, unsigned workers, uint64_t deadline_ms, struct virt **ret_virt);
int __real_virt_list(struct virt *v, uint64_t deadline_ms, struct guest **ret_guests, size_t *ret_n);
int __wrap_virt_list(struct virt *v, uint64_t deadline_ms, struct guest **ret_guests, size_t *ret_n);
int __real_virt_read(struct virt *v, struct guest *g, size_t n, uint64_t deadline_ms);
int __wrap_virt_read(struct virt *v, struct guest *g, size_t n, uint64_t deadline_ms);
int __real_virt_set_period(struct virt *v, struct guest *g, size_t n, uint32_t period_s, uint64_t deadline_ms);
int __wrap_virt_set_period(struct virt *v, struct guest *g, size_t n, uint32_t period_s, uint64_t deadline_ms);

static uint64_t longer(uint64_t deadline_ms)
{
	return patient ? clock_ms(CLOCK_BOOTTIME) + TIME_MS : deadline_ms;
}

int __wrap_virt_open(const char *where, bool read_only, unsigned workers, uint64_t deadline_ms, struct virt **ret_virt)
{
	open_by_ms = deadline_ms;
	return __real_virt_open(where, read_only, workers, longer(deadline_ms), ret_virt);
}

int __wrap_virt_list(struct virt *v, uint64_t deadline_ms, struct guest **ret_guests, size_t *ret_n)
{
	return no_list ? -ETIMEDOUT : __real_virt_list(v, longer(deadline_ms), ret_guests, ret_n);
}

int __wrap_virt_read(struct virt *v, struct guest *g, size_t n, uint64_t deadline_ms)
{
	for (held_up = holds_up; holds_up;)
		poll(NULL, 0, 5);
	for (size_t i = 0; i < n && no_answers; i++)
		g[i].hung = i || !one_is_gone;
	return no_answers ? 0 : __real_virt_read(v, g, n, longer(deadline_ms));
}

int __wrap_virt_set_period(struct virt *v, struct guest *g, size_t n, uint32_t period_s, uint64_t deadline_ms)
{
	periods_set++;
	return __real_virt_set_period(v, g, n, period_s, deadline_ms);
}

int __wrap_virt_set(struct virt *v, struct guest *g, size_t n, uint64_t deadline_ms);

/* Each command goes well; virt_set of the test driver would move the guests at once. */
int __wrap_virt_set(struct virt *v, struct guest *g, size_t n, uint64_t deadline_ms)
{
	(void)v, (void)deadline_ms;
	for (size_t i = 0; i < n; i++)
		g[i].order.sent = g[i].plan.ask_kib > 0;
	return 0;
}

static uint64_t in_time(void)
{
	return clock_ms(CLOCK_BOOTTIME) + TIME_MS;
}

/* n guests, named backwards; every third has a weight of its own. */
static void make_world(unsigned n)
{
	char path[128], uri[160];
	FILE *f;

	snprintf(path, sizeof(path), "%s/world.xml", root);
	snprintf(uri, sizeof(uri), "test://%s", path);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "<node><memory>33554432</memory>");
	for (unsigned i = 0; i < n; i++)
		fprintf(f,
		        "<domain type='test'><name>guest%03u</name><uuid>" UUID "</uuid>"
		        "<metadata>%s</metadata><memory unit='MiB'>1024</memory><os><type>hvm</type></os>"
		        "<devices><memballoon model='virtio'><stats period='1'/></memballoon></devices></domain>",
		        n - 1 - i, i,
		        i % 3 ? "" : "<m:memory xmlns:m='urn:memsched:domain:1.0'><m:weight>50</m:weight></m:memory>");
	fprintf(f, "</node>");
	assert_int_equal(fclose(f), 0);
	assert_int_equal(conf_set(&conf, "uri", uri), 0);
}

static int set_up(void **state)
{
	(void)state;
	holds_up = patient = no_list = no_answers = one_is_gone = false; /* a test that failed may have left it */
	assert_int_equal(folder_make_root(root, "snapshot"), 0);
	assert_int_equal(conf_init(&conf), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	conf_clear(&conf);
	return folder_remove(root);
}

static struct monitor *new_monitor(void)
{
	struct monitor *s;

	assert_int_equal(monitor_new(&conf, root, false, &s), 0);
	return s;
}

/* A reading that is under way, and does not go on while holds_up. */
static void begin_held_up(struct monitor *s)
{
	held_up = false;
	holds_up = true;
	for (int i = 0; i < TIME_MS / 5 && !held_up; i++) {
		monitor_keep_reading(s);
		poll(NULL, 0, 5);
	}
	assert_true(held_up && monitor_is_reading(s));
}

static void test_reading(void **state)
{
	struct monitor *s;
	struct snapshot *h;

	(void)state;
	make_world(4);
	conf_set(&conf, "exclude", "guest002");
	s = new_monitor();
	h = monitor_snapshot(s);
	assert_int_equal(h->began_ms, 0);
	assert_int_equal(h->n, 0);
	assert_int_equal(monitor_read(s, in_time()), 0);
	assert_int_equal(monitor_error(s), 0);
	h = monitor_snapshot(s);
	assert_true(h->began_ms > 0 && h->listed);
	assert_int_equal(h->n, 4); /* least weight first, then by name */
	assert_string_equal(h->guest[0].name, "guest000");
	assert_string_equal(h->guest[1].name, "guest003");
	assert_string_equal(h->guest[2].name, "guest001");
	assert_string_equal(h->guest[3].name, "guest002");
	assert_int_equal(h->guest[0].hints.weight, 50);
	assert_true(h->guest[3].excluded);
	assert_int_equal(h->guest[3].plan.reason, REASON_EXCLUDED);
	assert_int_equal(h->guest[2].sample.actual_kib, 1048576);
	assert_true(h->guest[2].target_kib > 0 && h->guest[2].plan.floor_kib > 0);
	monitor_free(s, in_time());
}

static void test_nobody(void **state)
{
	struct monitor *s;
	struct snapshot *h;

	(void)state;
	make_world(0);
	s = new_monitor();
	for (unsigned i = 1; i <= 2; i++) {
		uint64_t before_ms = clock_ms(CLOCK_BOOTTIME);

		assert_int_equal(monitor_read(s, in_time()), 0);
		h = monitor_snapshot(s);
		assert_int_equal(h->n, 0);
		assert_true(h->began_ms >= before_ms);
	}
	monitor_free(s, in_time());
}

/* What was asked, and what QEMU held before, is known to the next readings. */
static void test_memory(void **state)
{
	struct monitor *s;
	struct snapshot *h;

	(void)state;
	make_world(3);
	s = new_monitor();
	assert_int_equal(monitor_read(s, in_time()), 0);
	h = monitor_snapshot(s);
	estimate_asked(&h->guest[1], 500000, clock_now());
	h->guest[1].order.rss_kib = 700000;
	assert_int_equal(monitor_read(s, in_time()), 0);
	h = monitor_snapshot(s);
	assert_int_equal(h->guest[1].past.asked_kib, 500000);
	assert_int_equal(h->guest[1].order.rss_kib, 700000);
	assert_int_equal(h->guest[0].past.asked_kib, 0);
	assert_int_equal(h->guest[0].order.rss_kib, 0);
	monitor_free(s, in_time());
}

/* Nor is it lost what was asked while the guests were read. */
static void test_asked_meanwhile(void **state)
{
	struct monitor *s;
	struct snapshot *h;

	(void)state;
	make_world(3);
	s = new_monitor();
	assert_int_equal(monitor_read(s, in_time()), 0);
	begin_held_up(s);
	h = monitor_snapshot(s);
	estimate_asked(&h->guest[0], 500000, clock_now());
	h->guest[0].order.rss_kib = 700000;
	holds_up = false;
	assert_int_equal(monitor_read(s, in_time()), 0);
	h = monitor_snapshot(s);
	assert_int_equal(h->guest[0].past.asked_kib, 500000);
	assert_int_equal(h->guest[0].past.asked_from_kib, h->guest[0].sample.actual_kib);
	assert_true(h->guest[0].past.asked_ms > 0);
	assert_int_equal(h->guest[0].order.rss_kib, 700000);
	assert_int_equal(h->guest[1].past.asked_kib, 0);
	monitor_free(s, in_time());
}

/* That a guest migrates may be found when it is told to give: the next reading asks whether it still does. */
static void test_migrating(void **state)
{
	struct monitor *s;
	struct snapshot *h;
	uint64_t read_ms;

	(void)state;
	make_world(1);
	s = new_monitor();
	assert_int_equal(monitor_read(s, in_time()), 0);
	h = monitor_snapshot(s);
	read_ms = h->guest->facts_ms;
	h->guest->migrating = true;
	poll(NULL, 0, 5);
	assert_int_equal(monitor_read(s, in_time()), 0);
	h = monitor_snapshot(s);
	assert_true(h->guest->facts_ms > read_ms);
	assert_false(h->guest->migrating || h->guest->plan.fixed);
	monitor_free(s, in_time());
}

static void test_period(void **state)
{
	struct monitor *s;

	(void)state;
	make_world(1);
	for (unsigned read_only = 0; read_only <= 1; read_only++) {
		periods_set = 0;
		assert_int_equal(monitor_new(&conf, root, read_only, &s), 0);
		assert_int_equal(monitor_read(s, in_time()), 0);
		assert_int_equal(periods_set, !read_only);
		monitor_free(s, in_time());
	}
}

static void test_registered(void **state)
{
	const uint64_t started_s = clock_now().wall_ms / 1000;
	struct record record = {.name = (char *)"guest001",
	                        .maximum_kib = 1048576,
	                        .started_s = started_s,
	                        .hints = {.weight = 100, .opted_out = true}};
	struct registry *r;
	struct monitor *s;
	struct snapshot *h;
	char uuid[64];

	(void)state;
	make_world(2);
	snprintf(uuid, sizeof(uuid), UUID, 0);
	assert_int_equal(registry_open(root, true, &r), 0);
	assert_int_equal(registry_save_record(r, uuid, &record), 0);
	registry_close(r);
	s = new_monitor();
	assert_int_equal(monitor_read(s, in_time()), 0);
	h = monitor_snapshot(s);
	for (size_t i = 0; i < h->n; i++) {
		bool is_it = !strcmp(h->guest[i].uuid, uuid);

		assert_int_equal(h->guest[i].registered, is_it);
		assert_int_equal(h->guest[i].started_s, is_it ? started_s : 0);
		assert_false(h->guest[i].hints.opted_out);
	}
	no_answers = true;
	assert_int_equal(monitor_read(s, in_time()), 0);
	h = monitor_snapshot(s);
	for (size_t i = 0; i < h->n; i++) /* what its definition says cannot be read, what the record says holds */
		assert_int_equal(h->guest[i].hints.opted_out, !strcmp(h->guest[i].uuid, uuid));
	monitor_free(s, in_time());
}

/* While a hook runs, a pass works from the registry, and knows what it learned; a guest that is gone is no error. */
static void test_registered_unlisted(void **state)
{
	const struct snapshot_conf sc = {.conf = &conf, .interval_ms = 1000, .period_s = 1};
	const struct snapshot_conf saved = {.conf = &conf, .interval_ms = 1000, .period_s = 1, .is_saved = true};
	struct record record = {.maximum_kib = 1048576, .hints = {.weight = 100}};
	struct registry *r;
	struct snapshot s, before;
	struct virt *v;
	char path[160];

	(void)state;
	make_world(2);
	assert_int_equal(virt_open(conf.uri, true, 1, in_time(), &v), 0);
	assert_int_equal(registry_open(root, true, &r), 0);
	no_list = true;
	assert_int_equal(snapshot_read(&sc, v, NULL, NULL, in_time(), &s), -ETIMEDOUT);
	snapshot_clear(&s);
	assert_int_equal(snapshot_read(&sc, v, r, NULL, in_time(), &s), -ETIMEDOUT);
	snapshot_clear(&s);
	for (unsigned i = 0; i < 3; i++) { /* the last is not there */
		char uuid[64], name[16];

		snprintf(uuid, sizeof(uuid), UUID, i);
		snprintf(name, sizeof(name), "guest%03u", i < 2 ? 1 - i : i);
		record.name = name;
		assert_int_equal(registry_save_record(r, uuid, &record), 0);
		assert_int_equal(
		    registry_save_past(r, uuid, &(struct past){.known = true, .domain_id = 2, .top_kib = 5 << 20}), 0);
	}
	assert_int_equal(snapshot_read(&sc, v, r, NULL, in_time(), &s), 0);
	assert_int_equal(s.n, 3);
	assert_false(s.listed || snapshot_is_silent(&s));
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(s.guest[i].name[strlen("guest00")], '0' + (int)i);
		assert_true(s.guest[i].answered && s.guest[i].registered);
		assert_int_equal(s.guest[i].past.top_kib, s.guest[i].domain_id == 2 ? 5 << 20 : 1 << 20);
	}
	assert_true(s.guest[2].vanished);
	before = s;
	snprintf(path, sizeof(path), "%s/run/memsched/domains/" UUID, root, 2);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(snapshot_read(&saved, v, r, &before, in_time(), &s), 0);
	assert_int_equal(s.n, 2); /* a loop, too, which kept all three in memory */
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(s.guest[i].past.top_kib, s.guest[i].domain_id == 2 ? 5 << 20 : 1 << 20);
	snapshot_clear(&s);
	assert_int_equal(snapshot_read(&sc, v, r, &before, in_time(), &s), 0);
	assert_int_equal(s.n, 3);
	snapshot_clear(&s);
	snapshot_clear(&before);
	registry_close(r);
	virt_close(v);
}

/* A record that is none counts as absent, of this guest alone, until it is removed. */
static void test_unreadable(void **state)
{
	char path[160];
	struct registry *r;
	struct monitor *s;
	struct snapshot *h;

	(void)state;
	make_world(2);
	assert_int_equal(registry_open(root, true, &r), 0);
	registry_close(r);
	snprintf(path, sizeof(path), "%s/run/memsched/domains/" UUID, root, 1);
	assert_int_equal(mkfifo(path, 0644), 0);
	s = new_monitor();
	for (int i = 0; i < 3; i++) {
		assert_int_equal(monitor_read(s, in_time()), 0);
		h = monitor_snapshot(s); /* the first has less weight */
		assert_int_equal(h->n, 2);
		assert_int_equal(h->guest[1].unreadable, i < 2);
		assert_false(h->guest[1].registered || h->guest[0].unreadable);
		if (i == 1)
			assert_int_equal(unlink(path), 0);
	}
	monitor_free(s, in_time());
}

/* Read and asked side by side (for the thread sanitizer); in the end nothing is lost. */
static void test_many(void **state)
{
	struct monitor *s;
	uint64_t first_ms, read_ms = 0;
	unsigned readings = 0;
	bool changed = false;

	(void)state;
	make_world(MANY);
	patient = true;
	s = new_monitor();
	first_ms = monitor_alive_ms(s);
	for (int i = 0; i < 40000 && readings < 3; i++) {
		struct snapshot *h = monitor_snapshot(s);

		assert_in_range(monitor_keep_reading(s), 0, TIME_MS);
		assert_true(h->n == (h->began_ms ? MANY : 0));
		readings += h->began_ms > read_ms && h->n == MANY;
		read_ms = h->began_ms;
		for (size_t g = 0; g < h->n; g++)
			estimate_asked(&h->guest[g], 400000 + readings, clock_now());
		monitor_error(s);
		if (readings && !changed)
			monitor_read(s, in_time()); /* then none is under way */
		if (readings && !changed && !monitor_is_reading(s)) {
			conf_set(&conf, "target", "100MiB");
			monitor_reconnect(s);
			changed = true;
		}
		poll(NULL, 0, 5);
	}
	assert_true(changed);
	assert_true(readings >= 3);
	assert_true(monitor_alive_ms(s) > first_ms);
	assert_true(monitor_snapshot(s)->guest[0].past.asked_kib > 0);
	monitor_free(s, in_time());
}

/* A reading that is held up does not beat, whatever is asked of the guard meanwhile. */
static void test_beat(void **state)
{
	struct monitor *s;
	uint64_t beat_ms;

	(void)state;
	make_world(1);
	patient = true;
	s = new_monitor();
	begin_held_up(s);
	beat_ms = monitor_alive_ms(s);
	for (int i = 0; i < 5; i++) {
		poll(NULL, 0, 5);
		monitor_keep_reading(s);
		monitor_snapshot(s);
		monitor_error(s);
		assert_int_equal(monitor_alive_ms(s), beat_ms);
	}
	holds_up = false;
	for (int i = 0; i < TIME_MS / 5 && monitor_alive_ms(s) == beat_ms; i++) {
		monitor_keep_reading(s);
		poll(NULL, 0, 5);
	}
	assert_true(monitor_alive_ms(s) > beat_ms);
	monitor_free(s, in_time());
}

/* ---- a libvirtd that never answers ---- */

static int silent_libvirtd(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	char uri[160];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s/socket", root);
	snprintf(uri, sizeof(uri), "qemu+unix:///system?socket=%s", at.sun_path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 64), 0);
	assert_int_equal(conf_set(&conf, "uri", uri), 0);
	return fd;
}

static void test_silent(void **state)
{
	int libvirtd = silent_libvirtd();
	struct monitor *s = new_monitor();
	uint64_t began_ms = clock_ms(CLOCK_BOOTTIME);

	(void)state;
	assert_int_equal(monitor_read(s, began_ms + SHORT_MS), -ETIMEDOUT);
	assert_int_equal(open_by_ms, began_ms + SHORT_MS); /* that it is kept is virt's */
	assert_int_equal(monitor_error(s), -ETIMEDOUT);
	assert_true(*monitor_words(s));
	assert_int_equal(monitor_snapshot(s)->began_ms, 0);
	monitor_free(s, in_time());
	close(libvirtd);
}

/* The end does not wait for it; what hangs keeps what it has. */
static void test_silent_thread(void **state)
{
	static volatile sig_atomic_t stop;
	int libvirtd = silent_libvirtd();
	struct monitor *s = new_monitor();
	uint64_t began_ms;

	(void)state;
	patient = true; /* it goes on asking for as long as this */
	stop = 0;
	virt_stop_on(&stop);
	began_ms = clock_ms(CLOCK_BOOTTIME);
	monitor_keep_reading(s);
	poll(NULL, 0, 50);
	monitor_keep_reading(s); /* neither does this */
	assert_true(monitor_is_reading(s));
	assert_int_equal(monitor_error(s), 0);
	assert_true(clock_ms(CLOCK_BOOTTIME) < began_ms + TIME_MS);
	stop = 1;
	monitor_free(s, in_time());
	assert_true(clock_ms(CLOCK_BOOTTIME) < began_ms + TIME_MS);
	virt_stop_on(NULL);
	close(libvirtd);
}

/* No list is a hook that runs, no answers are QEMUs that hang: only both together are a libvirtd that does. */
static void test_silence(void **state)
{
	static const struct {
		bool no_list, no_answers, one_is_gone;
		int error;
	} rows[] = {{false, false, false, 0}, {true, false, false, 0},         {false, true, false, 0},
	            {true, true, true, 0},    {true, true, false, -ETIMEDOUT}, {false, false, false, 0}};
	struct monitor *s;
	struct snapshot *h;

	(void)state;
	make_world(2);
	s = new_monitor();
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		no_list = rows[i].no_list;
		no_answers = rows[i].no_answers;
		one_is_gone = rows[i].one_is_gone;
		assert_int_equal(monitor_read(s, in_time()), rows[i].error);
		assert_int_equal(monitor_error(s), rows[i].error);
		h = monitor_snapshot(s);
		assert_int_equal(h->n, 2);
		assert_int_equal(h->guest[1].hung, no_answers);
	}
	make_world(0); /* without guests none is silent */
	monitor_reconnect(s);
	no_list = no_answers = false;
	assert_int_equal(monitor_read(s, in_time()), 0);
	no_list = true;
	assert_int_equal(monitor_read(s, in_time()), 0);
	monitor_free(s, in_time());
}

/* A snapshot outlives libvirt. */
static void test_gone(void **state)
{
	struct monitor *s;

	(void)state;
	make_world(2);
	s = new_monitor();
	assert_int_equal(monitor_read(s, in_time()), 0);
	conf_set(&conf, "uri", "qemu+unix:///system?socket=/nowhere");
	monitor_reconnect(s);
	assert_int_equal(monitor_read(s, in_time()), -ENOTCONN);
	assert_int_equal(monitor_error(s), -ENOTCONN);
	assert_int_equal(monitor_snapshot(s)->n, 2);
	make_world(1);
	assert_int_equal(monitor_read(s, in_time()), 0);
	assert_int_equal(monitor_snapshot(s)->n, 1);
	monitor_free(s, in_time());
	monitor_free(NULL, 0);
}

static const struct {
	const char *what;
	uint64_t actual_kib, asked_kib;
	uint64_t ask_kib;
	struct moves moves;
} sent[] = {
    {"nothing", 1000, 0, 0, {0}},
    {"a give", 1000, 0, 1300, {1, 0, 300, 0}},
    {"a take", 1000, 0, 900, {0, 1, 0, 100}},
    {"more, before it has arrived", 1000, 1300, 1400, {1, 0, 100, 0}},
    {"less, before it has arrived", 1000, 1300, 1100, {0, 1, 0, 200}},
    {"the same again", 1000, 1300, 1300, {0}},
};

static struct moves moves_of(struct guest *g, uint64_t ask_kib)
{
	unsigned n;

	g->plan.ask_kib = ask_kib;
	assert_int_equal(guests_send(NULL, g, 1, 0, clock_now(), &n), 0);
	return g->order.moves;
}

static void test_moves(void **state)
{
	struct guest twice = {.sample = {.have = SAMPLE_ACTUAL, .actual_kib = 1000}};
	struct moves moves;

	(void)state;
	for (size_t i = 0; i < sizeof(sent) / sizeof(*sent); i++) {
		struct guest g = {.sample = {.have = SAMPLE_ACTUAL, .actual_kib = sent[i].actual_kib},
		                  .past = {.asked_kib = sent[i].asked_kib}};

		moves = moves_of(&g, sent[i].ask_kib);
		if (memcmp(&moves, &sent[i].moves, sizeof(moves)))
			fail_msg("%s", sent[i].what);
	}
	moves_of(&twice, 900);
	moves = moves_of(&twice, 950);
	assert_memory_equal(&moves, (&(struct moves){1, 1, 50, 100}), sizeof(moves));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_reading),   TEST(test_nobody),        TEST(test_memory),     TEST(test_asked_meanwhile),
	    TEST(test_moves),     TEST(test_period),        TEST(test_registered), TEST(test_registered_unlisted),
	    TEST(test_migrating), TEST(test_unreadable),    TEST(test_many),       TEST(test_beat),
	    TEST(test_silent),    TEST(test_silent_thread), TEST(test_silence),    TEST(test_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
