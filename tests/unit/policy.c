/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/units.h"
#include "plan/policy.h"
#include "expect.h"

/* Sizes are in KiB and round in thousands, as the original's figures are. */
#define TARGET 150000
#define STEP 50000
#define TOLERANCE 5000
#define RESERVE 300000
#define MAXIMUM 2000000
#define FLOOR 356496 /* of that maximum: 104 MiB + 1/8 */
#define MIB KIB_PER_MIB

#define MANY 8

#pragma GCC diagnostic ignored "-Wmissing-field-initializers" /* rows say what is not usual */

/* A guest in a row: 0 is the default, in brackets. */
struct spec {
	uint64_t actual, used;
	uint64_t implied;  /* what its newest sample implies (no more than it uses) */
	uint64_t rss;      /* without QEMU's own (actual) */
	uint64_t qemu;     /* QEMU's own (not known, and the usual) */
	uint64_t fell;     /* what rss was more before the sample (nothing) */
	uint64_t outside;  /* its NVDIMM (none) */
	uint64_t cache;    /* page cache in its free memory (none) */
	uint64_t foreseen; /* growth (none) */
	uint64_t min, max, hard_limit, maximum;
	uint32_t weight;
	uint32_t lead_ms; /* (a loop of 1 s) */
	enum reason left; /* why it is not taken from (it is) */
	bool fixed;       /* nor given to */
	uint64_t told;    /* the size it is on its way to (nothing) */
	bool predates_move, unsettled;
	bool old;            /* the sample was seen before (it was not) */
	uint64_t surge;      /* (none) */
	uint64_t kept;       /* the part of its use that its kernel keeps unused (none) */
	uint64_t rise;       /* of its rss, a second (none) */
	uint64_t growth;     /* of its use, a second (none) */
	uint64_t hidden;     /* (nothing) */
	uint64_t peak;       /* what it used most of late (no more than now) */
	bool follow_unknown; /* whether available follows the balloon (it does) */
};

#define CRON .lead_ms = 71000

/* Statistics of now, running, a balloon with a driver that obeys. */
static struct guest guest(const struct spec *s)
{
	struct guest g = {
	    .domain_id = 1,
	    .run = RUN_RUNNING,
	    .answered = true,
	    .device = {.balloon = true,
	               .maximum_kib = s->maximum ? s->maximum : MAXIMUM,
	               .current_kib = s->actual,
	               .outside_kib = s->outside,
	               .hard_limit_kib = s->hard_limit,
	               .period_s = 1},
	    .hints = {.has_min = s->min, .has_max = s->max, .min_kib = s->min, .max_kib = s->max, .weight = s->weight},
	    .target_kib = TARGET,
	    .sample = {.have = SAMPLE_ACTUAL | SAMPLE_RSS | SAMPLE_AVAILABLE | SAMPLE_UNUSED | SAMPLE_USABLE |
	                       SAMPLE_LAST_UPDATE,
	               .actual_kib = s->actual,
	               .rss_kib = (s->rss ? s->rss : s->actual) + max_u64(s->qemu, QEMU_USUAL_KIB),
	               .available_kib = s->actual,
	               .unused_kib = s->kept ? sat_sub(s->actual, s->used) + s->kept : 0,
	               .usable_kib = sat_sub(s->actual, s->used),
	               .last_update_s = 1000},
	    .est = {.has_used = true,
	            .used_kib = s->used,
	            .implied_kib = s->implied,
	            .free_kib = sat_sub(s->actual, s->used),
	            .cache_kib = s->cache,
	            .kept_kib = s->kept,
	            .fresh = !s->old,
	            .lead_ms = s->lead_ms ? s->lead_ms : 3000,
	            .foreseen_kib = s->foreseen,
	            .hidden_kib = s->hidden,
	            .has_age = true,
	            .settled = !s->unsettled,
	            .predates_move = s->predates_move,
	            .stale = s->left == REASON_STALE_STATS,
	            .booting = s->left == REASON_BOOTING,
	            .distress = s->left == REASON_DISTRESS,
	            .stuck = s->left == REASON_STUCK,
	            .no_gain = s->left == REASON_NO_GAIN},
	    .past = {.known = true,
	             .has_qemu = s->qemu,
	             .qemu_kib = s->qemu,
	             .rss_before_kib = (s->rss ? s->rss : s->actual) + max_u64(s->qemu, QEMU_USUAL_KIB) + s->fell,
	             .surge_kib = s->surge,
	             .rss_kibps = s->rise,
	             .growth_kibps = s->growth,
	             .peak.now_kib = s->peak,
	             .follows = s->follow_unknown ? FOLLOWS_UNKNOWN : FOLLOWS,
	             .asked_kib = s->told ? s->told : 1,
	             .asked_from_kib = 2}, /* if stuck, then on a take */
	};

	g.excluded = s->fixed;
	return g;
}

struct fleet {
	struct policy_conf conf;
	struct host host;
	uint64_t pending_kib;
	struct guest g[MANY + 1]; /* and one behind the last, that no function may touch */
	size_t n;
	bool touch_all; /* they touch all they have, not only what they use */
	struct budget b;
	struct fairshare_item item[MANY + 1];
	struct fairshare_edge edge[2 * MANY + 2];
	struct policy_scratch scratch;
};

/* Guests up to the first of no size, on a host that has so much more than its reserve. */
static void set_up(struct fleet *f, const struct spec *spec, int64_t room_kib)
{
	*f = (struct fleet){
	    .conf = {.step_kib = STEP,
	             .reserve_kib = RESERVE,
	             .tolerance_kib = TOLERANCE,
	             .plenty_pct = 10,
	             .buffer_pct = 20},
	    .host = {.total_kib = 64 * KIB_PER_GIB, .available_kib = (uint64_t)(RESERVE + room_kib)},
	};
	f->scratch = (struct policy_scratch){f->item, f->edge};
	while (f->n < MANY && spec[f->n].actual) {
		f->g[f->n] = guest(&spec[f->n]);
		f->n++;
	}
}

static void plan(struct fleet *f)
{
	struct guest behind = guest(&(struct spec){700000, 900000});

	behind.plan.want_kib = 4242;
	f->g[f->n] = behind;
	policy_plan(&f->conf, &f->host, f->pending_kib, f->g, f->n, &f->scratch, &f->b);
	expect("the guest behind the last", f->g[f->n].plan.want_kib, 4242);
	expect("the guest behind the last", f->g[f->n].plan.reason, behind.plan.reason);
}

static uint64_t grant(struct fleet *f, uint64_t budget_kib, enum reason why)
{
	uint64_t handed_kib;

	f->g[f->n] = guest(&(struct spec){100000, 300000});
	f->g[f->n].plan.want_kib = 2000000;
	handed_kib = policy_grant(&f->conf, budget_kib, why, f->g, f->n, &f->scratch);
	expect("the guest behind the last", f->g[f->n].plan.grant_kib, 0);
	return handed_kib;
}

#define PLENTY 100000000 /* room */

/* ---- bounds and needs ---- */

static void test_floor(void **state)
{
	static const struct {
		const char *what;
		uint64_t maximum_kib, floor_kib;
	} rows[] = {
	    {"nothing", 0, 8 * MIB},
	    {"64 MiB", 64 * MIB, 40 * MIB},
	    {"under 128 MiB", 128 * MIB - 4, 72 * MIB - 2},
	    {"128 MiB", 128 * MIB, 72 * MIB},
	    {"under 512 MiB", 512 * MIB - 4, 168 * MIB - 1},
	    {"512 MiB", 512 * MIB, 168 * MIB},
	    {"1 GiB", 1024 * MIB, 232 * MIB},
	    {"under 2 GiB", 2048 * MIB - 8, 360 * MIB - 1},
	    {"2 GiB", 2048 * MIB, 360 * MIB},
	    {"4 GiB", 4096 * MIB, 488 * MIB},
	    {"under 8 GiB", 8192 * MIB - 16, 744 * MIB - 1},
	    {"8 GiB", 8192 * MIB, 744 * MIB},
	    {"32 GiB", 32768 * MIB, 1512 * MIB},
	    {"1 TiB", 1048576 * MIB, 33256 * MIB},
	    {"beyond all", UINT64_MAX, 488 * MIB + UINT64_MAX / 32},
	};

	(void)state;
	for (size_t r = 0; r < COUNT(rows); r++)
		expect(rows[r].what, policy_floor_kib(rows[r].maximum_kib), rows[r].floor_kib);
}

static const struct {
	const char *what;
	struct spec guest;
	uint64_t floor, ceil, bottom;
} bounds[] = {
    {"by maximum", {600000, 400000}, FLOOR, MAXIMUM, 437500},
    {"little used", {600000, 100000}, FLOOR, MAXIMUM, FLOOR},
    {"min", {600000, 400000, .min = 500000}, 500000, MAXIMUM, 500000},
    {"min below the floor by maximum", {600000, 100000, .min = 100000}, 100000, MAXIMUM, 137500},
    {"min above what it has", {600000, 400000, .min = 900000}, 900000, MAXIMUM, 900000},
    {"max", {600000, 400000, .max = 1000000}, FLOOR, 1000000, 437500},
    {"max above the maximum", {600000, 400000, .max = 5000000}, FLOOR, MAXIMUM, 437500},
    {"max below the floor by maximum", {600000, 100000, .max = 200000}, 200000, 200000, 200000},
    {"max below what it uses", {600000, 400000, .max = 380000}, FLOOR, 380000, 437500},
    {"min and max", {600000, 400000, .min = 500000, .max = 900000}, 500000, 900000, 500000},
    {"min is max", {600000, 400000, .min = 900000, .max = 900000}, 900000, 900000, 900000},
    {"hard limit", {600000, 400000, .hard_limit = 1662144}, FLOOR, 1400000, 437500},
    {"hard limit above the maximum", {600000, 400000, .hard_limit = 16000000}, FLOOR, MAXIMUM, 437500},
    {"max below the hard limit", {600000, 400000, .max = 1000000, .hard_limit = 1662144}, FLOOR, 1000000, 437500},
    {"min above the hard limit", {600000, 400000, .min = 1500000, .hard_limit = 1662144}, 1400000, 1400000, 1400000},
    {"more is implied than it is known to use", {1600000, 400000, .implied = 1470000}, FLOOR, MAXIMUM, 1507500},
    {"a small guest", {110 * MIB, 50 * MIB, .maximum = 120 * MIB}, 68 * MIB, 120 * MIB, 50 * MIB + TARGET / 4},
};

static void test_bounds(void **state)
{
	(void)state;
	for (size_t r = 0; r < COUNT(bounds); r++) {
		struct fleet f;

		set_up(&f, (struct spec[2]){bounds[r].guest}, PLENTY);
		plan(&f);
		expect(bounds[r].what, f.g[0].plan.floor_kib, bounds[r].floor);
		expect(bounds[r].what, f.g[0].plan.ceil_kib, bounds[r].ceil);
		expect(bounds[r].what, f.g[0].plan.bottom_kib, bounds[r].bottom);
	}
}

static const struct {
	const char *what;
	struct spec guest;
	uint64_t basic;
} basics[] = {
    {"used and headroom", {600000, 400000}, 550000},
    {"what it surged by is not basic", {600000, 400000, .surge = 300000, .hidden = 70000}, 550000},
    {"page cache neither", {900000, 400000, .cache = 500000}, 550000},
    {"and growth", {600000, 400000, .foreseen = 30000}, 580000},
    {"at most the maximum", {1900000, 1890000}, MAXIMUM},
    {"growth too", {1000000, 700000, .foreseen = 9000000}, MAXIMUM},
    {"at most max", {600000, 400000, .max = 500000}, 500000},
    {"at most what the hard limit leaves it", {600000, 400000, .hard_limit = 612144}, 350000},
    {"at least min", {600000, 400000, .min = 700000}, 700000},
    {"min below it", {600000, 400000, .min = 500000}, 550000},
    {"the floor by maximum is no need", {200000, 100000}, 250000},
    {"distress", {1000000, 400000, .left = REASON_DISTRESS}, 1050000},
    {"distress, and more used", {600000, 500000, .left = REASON_DISTRESS}, 650000},
    {"distress, and much more used", {600000, 550000, .left = REASON_DISTRESS}, 700000},
    {"distress at max", {1000000, 400000, .max = 1000000, .left = REASON_DISTRESS}, 1000000},
    {"distress, its step not in the sample yet",
     {1000000, 400000, .left = REASON_DISTRESS, .unsettled = true},
     1000000},
    {"and more used", {600000, 500000, .left = REASON_DISTRESS, .unsettled = true}, 650000},
};

static void test_basic(void **state)
{
	(void)state;
	for (size_t r = 0; r < COUNT(basics); r++) {
		struct fleet f;

		set_up(&f, (struct spec[2]){basics[r].guest}, PLENTY);
		plan(&f);
		expect(basics[r].what, f.g[0].plan.basic_kib, basics[r].basic);
	}
}

/* ---- guests left alone ---- */

static void vanished(struct guest *g)
{
	g->vanished = true;
	g->answered = false;
}

static void excluded(struct guest *g)
{
	g->excluded = true;
}

static void opted_out(struct guest *g)
{
	g->hints.opted_out = true;
}

static void unread(struct guest *g)
{
	g->answered = false;
	g->sample = (struct sample){.have = 0};
	g->est.has_used = false;
}

static void silent(struct guest *g)
{
	unread(g);
	g->past.has_rss = true;
	g->past.rss_kib = 800000;
}

static void hung(struct guest *g)
{
	silent(g);
	g->hung = true;
}

static void paused(struct guest *g)
{
	g->run = RUN_PAUSED;
}

static void asleep(struct guest *g)
{
	g->run = RUN_PMSUSPENDED;
}

static void crashed(struct guest *g)
{
	g->run = RUN_CRASHED;
}

static void migrating(struct guest *g)
{
	g->migrating = true;
}

static void no_balloon(struct guest *g)
{
	g->device.balloon = false;
	g->est.has_used = false;
}

static void passthrough(struct guest *g)
{
	g->device.passthrough = true;
}

static void locked(struct guest *g)
{
	g->device.locked = true;
}

static void hugepages(struct guest *g)
{
	g->device.hugepages = true;
}

static void virtio_mem(struct guest *g)
{
	g->device.virtio_mem = true;
}

static void rebooted(struct guest *g)
{
	g->est.rebooted = g->est.booting = true;
}

static void boots_stale(struct guest *g)
{
	g->est.booting = g->est.stale = true;
}

static void unknown(struct guest *g)
{
	g->facts_ms = 1;
	g->device = (struct device){.maximum_kib = g->device.maximum_kib, .unknown = true};
}

static void busy(struct guest *g)
{
	g->device = (struct device){.maximum_kib = g->device.maximum_kib, .unknown = true};
}

static void boots_silent(struct guest *g)
{
	g->est.booting = true;
	g->est.has_used = false;
	g->sample.last_update_s = 0;
}

static void no_driver(struct guest *g)
{
	g->est.has_used = false;
	g->sample.last_update_s = 0;
}

static void no_stats(struct guest *g)
{
	g->est.has_used = false;
}

static void no_statistics_at_all(struct guest *g)
{
	g->est.has_used = false;
	g->sample.have = SAMPLE_ACTUAL | SAMPLE_RSS;
	g->sample.last_update_s = 0;
}

static void refuses_gives(struct guest *g)
{
	g->est.stuck = true;
	g->past.asked_from_kib = 1000000;
	g->past.asked_kib = 1200000;
}

#define LEAP 262144                                       /* 256 MiB */
#define START (1000000 + 65536 - 700000 - QEMU_USUAL_KIB) /* up to its currentMemory, and QEMU's own */

/* Of 1000000 with 700000 touched and a maximum of 2000000; it lacks 50000. */
static const struct {
	const char *what;
	void (*make)(struct guest *g);
	enum reason reason;
	uint64_t may_touch; /* and the host must keep for it */
} alone[] = {
    {"vanished", vanished, REASON_VANISHED, 0},
    {"excluded", excluded, REASON_EXCLUDED, 300000},
    {"opted out", opted_out, REASON_OPTED_OUT, 300000},
    {"never read", unread, REASON_UNRESPONSIVE, 0},
    {"not read this time", silent, REASON_UNRESPONSIVE, 200000},
    {"hung", hung, REASON_UNRESPONSIVE, 200000},
    {"paused", paused, REASON_PAUSED, 300000},
    {"asleep", asleep, REASON_PAUSED, 300000},
    {"crashed", crashed, REASON_PAUSED, 300000},
    {"migrating", migrating, REASON_MIGRATING, 300000},
    {"no balloon", no_balloon, REASON_NO_BALLOON, START},
    {"passthrough", passthrough, REASON_PASSTHROUGH, 300000},
    {"locked", locked, REASON_PINNED, 300000},
    {"hugepages", hugepages, REASON_HUGEPAGES, 0},
    {"virtio-mem", virtio_mem, REASON_PINNED, 300000},
    {"its XML cannot be read", unknown, REASON_PINNED, 300000},
    {"its XML not read yet", busy, REASON_MIGRATING, 300000},
    {"rebooted", rebooted, REASON_BOOTING, START},
    {"booting, its statistics stale", boots_stale, REASON_BOOTING, START},
    {"booting, no statistics yet", boots_silent, REASON_BOOTING, START},
    {"no driver", no_driver, REASON_NO_DRIVER, START},
    {"nothing known of its use", no_stats, REASON_NO_STATS, LEAP},
    {"no statistics at all", no_statistics_at_all, REASON_NO_STATS, LEAP},
    {"refuses to grow, but may still", refuses_gives, REASON_STUCK, 500000},
};

static void test_left_alone(void **state)
{
	(void)state;
	for (size_t r = 0; r < COUNT(alone); r++)
		for (int idle = 0; idle < 2; idle++) {
			struct fleet f;

			set_up(&f, (struct spec[3]){{1000000, idle ? 100000 : 700000, .rss = 700000}, {550000, 400000}},
			       PLENTY);
			alone[r].make(&f.g[0]);
			plan(&f);
			expect(alone[r].what, f.g[0].plan.fixed, true);
			expect(alone[r].what, f.g[0].plan.reason, alone[r].reason);
			expect(alone[r].what, f.g[0].plan.no_take, true);
			expect(alone[r].what, f.g[0].plan.need_kib, 0);
			expect(alone[r].what, f.g[0].plan.want_kib, 1000000);
			expect(alone[r].what, guest_grows(&f.g[0]) || guest_shrinks(&f.g[0]), false);
			expect(alone[r].what, f.b.room_kib, PLENTY - alone[r].may_touch);
			expect(alone[r].what, f.b.capacity_kib, 550000 + PLENTY - alone[r].may_touch);
			expect(alone[r].what, f.b.demand_kib, 550000);
			expect(alone[r].what, f.b.promised_kib, 0);
			expect(alone[r].what, f.g[1].plan.fixed, false);
			expect(alone[r].what, f.g[1].plan.want_kib, 550000);
		}
}

/* A debt counts at the pace at which it can be called, and never as more than there is. */
static void test_calls(void **state)
{
	static const struct {
		const char *what;
		uint64_t maximum, rss_kibps, lead_ms;
		bool balloon;
		uint64_t call;
	} rows[] = {
	    {"without a balloon", 20000000, 0, 3000, false, LEAP},
	    {"and rising: what it rises by in 5 s", 20000000, 100000, 3000, false, LEAP + 500000},
	    {"in the lead of single passes", 20000000, 100000, 71000, false, LEAP + 7100000},
	    {"no more than it has left", 20000000, 10000000, 3000, false, 19000000},
	    {"little left", 1100000, 0, 3000, false, 100000},
	    {"with a balloon, all that it has", 20000000, 0, 3000, true, 19000000},
	};

	(void)state;
	for (size_t r = 0; r < COUNT(rows); r++) {
		struct fleet f;

		set_up(&f, (struct spec[2]){{rows[r].maximum, 400000, .rss = 1000000, .maximum = rows[r].maximum}},
		       PLENTY);
		f.g[0].device.balloon = rows[r].balloon;
		f.g[0].migrating = rows[r].balloon;
		f.g[0].past.rss_kibps = rows[r].rss_kibps;
		f.g[0].est.lead_ms = rows[r].lead_ms;
		plan(&f);
		expect(rows[r].what, PLENTY - f.b.room_kib, rows[r].call);
	}
}

/* It has touched more than it is said to have: then there is nothing to come. */
static void test_touched_all(void **state)
{
	struct fleet f;

	(void)state;
	set_up(&f, (struct spec[2]){{1000000, 400000, .rss = 2100000, .fixed = true}}, 700000);
	plan(&f);
	expect("rss above the maximum", f.b.room_kib, 700000);
}

static const struct {
	const char *what;
	enum reason left;
	enum reason when_given;
} no_takes[] = {
    {"booting", REASON_BOOTING, REASON_BELOW_TARGET}, {"stale statistics", REASON_STALE_STATS, REASON_BELOW_TARGET},
    {"distress", REASON_DISTRESS, REASON_DISTRESS},   {"refuses to shrink", REASON_STUCK, REASON_BELOW_TARGET},
    {"no gain", REASON_NO_GAIN, REASON_BELOW_TARGET},
};

static void test_no_take(void **state)
{
	(void)state;
	for (size_t r = 0; r < COUNT(no_takes); r++)
		for (int shortage = 0; shortage < 2; shortage++) {
			const char *what = no_takes[r].what;
			bool distress = no_takes[r].left == REASON_DISTRESS;
			struct fleet f;

			/* idle, and another guest in need */
			set_up(&f,
			       (struct spec[3]){{1500000, 400000, .left = no_takes[r].left, CRON}, {500000, 450000}},
			       shortage ? 0 : PLENTY);
			plan(&f);
			expect(what, f.b.shortage_kib > 0, shortage);
			expect(what, f.b.demand_kib, 1500000 + (distress ? STEP : 0) + 600000);
			expect(what, f.g[0].plan.fixed, false);
			expect(what, f.g[0].plan.no_take, true);
			expect(what, f.g[0].plan.reason, no_takes[r].left);
			expect(what, f.g[0].plan.want_kib, 1500000 + (distress && !shortage ? STEP : 0));

			/* in need itself */
			set_up(&f, (struct spec[2]){{500000, 450000, .left = no_takes[r].left}}, PLENTY);
			plan(&f);
			expect(what, f.g[0].plan.want_kib, 600000);
			expect(what, f.g[0].plan.reason, no_takes[r].when_given);
		}
}

/* ---- enough for all: one guest ---- */

/*
 * On a host with plenty a guest that uses 400000 has 600000 and its page cache spared (half of what it
 * uses); at a lead of so many times 3 s, its target as often.
 */
static const struct {
	const char *what;
	struct spec guest;
	uint64_t want;
	enum reason reason;
} moves[] = {
    {"at target", {550000, 400000}, 550000, REASON_AT_TARGET},
    {"lacks the tolerance", {545000, 400000}, 545000, REASON_AT_TARGET},
    {"lacks a little more", {544999, 400000}, 550000, REASON_BELOW_TARGET},
    {"lacks much: all at once", {400000, 1000000}, 1200000, REASON_BELOW_TARGET},
    {"lacks, and surged: headroom for such a surge", {400000, 400000, .surge = 200000}, 641384, REASON_BELOW_TARGET},
    {"has its target, and surged", {550000, 400000, .surge = 200000}, 641384, REASON_BELOW_TARGET},
    {"touched what its sample does not explain", {550000, 400000, .hidden = 60000}, 610000, REASON_BELOW_TARGET},
    {"grows, and touched what is less than that",
     {550000, 400000, .foreseen = 60000, .hidden = 20000},
     610000,
     REASON_GROWING},
    {"grows", {550000, 400000, .foreseen = 20000}, 570000, REASON_GROWING},
    {"grows, and lacks", {500000, 400000, .foreseen = 20000}, 570000, REASON_BELOW_TARGET},
    {"grows, and lacks just the tolerance", {545000, 400000, .foreseen = 20000}, 570000, REASON_GROWING},
    {"grows within the tolerance", {550000, 400000, .foreseen = 5000}, 550000, REASON_AT_TARGET},
    {"half a step above what is spared", {625000, 400000}, 625000, REASON_PLENTY},
    {"a little more: all that is too much", {625001, 400000}, 600000, REASON_ABOVE_TARGET},
    {"a step above", {650000, 400000}, 600000, REASON_ABOVE_TARGET},
    {"little above: a step at least", {660000, 400000}, 610000, REASON_ABOVE_TARGET},
    {"above: 4/5", {1000000, 400000}, 680000, REASON_ABOVE_TARGET},
    {"far above: 4/5", {2000000, 400000}, 880000, REASON_ABOVE_TARGET},
    {"on its way further down", {2000000, 400000, .told = 700000}, 700000, REASON_ABOVE_TARGET},
    {"on its way to less than it needs by now", {1000000, 600000, .told = 700000}, 920000, REASON_ABOVE_TARGET},
    {"on its way to less than its share by now, with page cache",
     {1600000, 400000, .cache = 800000, .told = 700000},
     1440000,
     REASON_ABOVE_TARGET},
    {"on its way to less than it used of late",
     {1600000, 400000, .peak = 900000, .told = 700000},
     1160000,
     REASON_ABOVE_TARGET},
    {"only down to what the newest sample implies",
     {1600000, 400000, .implied = 1470000},
     1526000,
     REASON_ABOVE_TARGET},
    {"its sample was seen before", {1000000, 400000, .old = true}, 1000000, REASON_PLENTY},
    {"used more of late: that and its headroom stay", {1000000, 400000, .peak = 700000}, 880000, REASON_ABOVE_TARGET},
    {"surged: headroom for such a surge stays", {1000000, 400000, .surge = 300000}, 803108, REASON_ABOVE_TARGET},
    {"whether available follows is found out by a step",
     {1000000, 400000, .follow_unknown = true},
     950000,
     REASON_ABOVE_TARGET},
    {"a lead of 2 s: 4/5", {1000000, 400000, .lead_ms = 2000}, 680000, REASON_ABOVE_TARGET},
    {"a lead of 6 s: 2/5, twice the target", {1000000, 400000, .lead_ms = 6000}, 880000, REASON_ABOVE_TARGET},
    {"a lead of 12 s: 1/5, four targets", {1350000, 400000, .lead_ms = 12000}, 1280000, REASON_ABOVE_TARGET},
    {"a lead of 24 s: 1/8", {2000000, 400000, .lead_ms = 24000}, 1950000, REASON_ABOVE_TARGET},
    {"cron: 24 targets", {MAXIMUM, 400000, CRON}, MAXIMUM, REASON_PLENTY},
    {"page cache is kept", {1350000, 400000, .cache = 800000}, 1350000, REASON_AT_TARGET},
    {"and gets memory to grow", {1250000, 400000, .cache = 800000}, 1350000, REASON_PAGE_CACHE},
    {"but for less than half a step", {1321000, 400000, .cache = 800000}, 1321000, REASON_AT_TARGET},
    {"a buffer of a fifth of what it uses", {1000000, 900000}, 1080000, REASON_BELOW_TARGET},
    {"what is unused beside page cache goes", {1350000, 400000, .cache = 400000}, 1070000, REASON_ABOVE_TARGET},
    {"to the floor", {FLOOR + 100000, 100000}, FLOOR + 20000, REASON_ABOVE_TARGET},
    {"its need is the floor", {FLOOR, FLOOR - TARGET}, FLOOR, REASON_AT_TARGET},
    {"its need is just above the floor", {FLOOR + 4, FLOOR + 4 - TARGET}, FLOOR + 4, REASON_AT_TARGET},
    {"at the floor", {FLOOR, 100000}, FLOOR, REASON_AT_MIN},
    {"near the floor", {FLOOR + 25000, 100000}, FLOOR + 25000, REASON_AT_MIN},
    {"just too far", {FLOOR + 25001, 100000}, FLOOR, REASON_ABOVE_TARGET},
    {"below the floor, and enough", {FLOOR - 50000, 100000}, FLOOR - 50000, REASON_AT_MIN},
    {"below the floor, and not enough", {200000, 100000}, 250000, REASON_BELOW_TARGET},
    {"min is a need", {600000, 200000, .min = 800000}, 800000, REASON_BELOW_TARGET},
    {"min is kept", {800000, 200000, .min = 800000}, 800000, REASON_AT_MIN},
    {"down to min", {1000000, 200000, .min = 800000}, 840000, REASON_ABOVE_TARGET},
    {"at most the maximum", {1900000, 1880000}, MAXIMUM, REASON_BELOW_TARGET},
    {"its maximum is what it needs", {MAXIMUM, 1850000}, MAXIMUM, REASON_AT_TARGET},
    {"or lacks no more than the tolerance", {MAXIMUM, 1855000}, MAXIMUM, REASON_AT_TARGET},
    {"at its maximum", {MAXIMUM, 1855001}, MAXIMUM, REASON_AT_MAX},
    {"at max", {500000, 400000, .max = 500000}, 500000, REASON_AT_MAX},
    {"up to max", {450000, 400000, .max = 500000}, 500000, REASON_BELOW_TARGET},
    {"above max: that at once", {1200000, 400000, .max = 900000, CRON}, 900000, REASON_ABOVE_TARGET},
    {"above max, its sample was seen before",
     {1200000, 400000, .max = 900000, .old = true},
     900000,
     REASON_ABOVE_TARGET},
    {"above max, and far too much", {1200000, 400000, .max = 1100000}, 720000, REASON_ABOVE_TARGET},
    {"a little above max", {920000, 750000, .max = 910000, CRON}, 910000, REASON_ABOVE_TARGET},
    {"uses more than max: keeps its headroom", {900000, 400000, .max = 380000, CRON}, 550000, REASON_ABOVE_TARGET},
    {"uses more than max, and has its headroom", {550000, 400000, .max = 380000}, 550000, REASON_AT_MAX},
    {"uses more than max, and lacks: no give", {450000, 400000, .max = 380000}, 450000, REASON_AT_MAX},
    {"above what the hard limit leaves it", {1000000, 200000, .hard_limit = 962144, CRON}, 700000, REASON_ABOVE_TARGET},
    {"distress", {1000000, 400000, .left = REASON_DISTRESS}, 1050000, REASON_DISTRESS},
    {"distress at the maximum cannot be helped", {MAXIMUM, 400000, .left = REASON_DISTRESS}, MAXIMUM, REASON_AT_TARGET},
    {"distress within the tolerance of the maximum",
     {MAXIMUM - TOLERANCE, 400000, .left = REASON_DISTRESS},
     MAXIMUM - TOLERANCE,
     REASON_AT_TARGET},
    {"distress near the maximum", {MAXIMUM - 9000, 400000, .left = REASON_DISTRESS}, MAXIMUM, REASON_DISTRESS},
    {"distress, its step not in the sample yet",
     {1000000, 400000, .left = REASON_DISTRESS, .unsettled = true},
     1000000,
     REASON_DISTRESS},
    {"a sample of before the last move", {1000000, 400000, .predates_move = true}, 1000000, REASON_PLENTY},
    {"and above max", {1200000, 400000, .max = 900000, .predates_move = true}, 1200000, REASON_PLENTY},
    {"and it lacks", {500000, 400000, .predates_move = true}, 550000, REASON_BELOW_TARGET},
};

static void test_one(void **state)
{
	(void)state;
	for (size_t r = 0; r < COUNT(moves); r++) {
		struct fleet f;

		set_up(&f, (struct spec[2]){moves[r].guest}, PLENTY);
		plan(&f);
		expect(moves[r].what, f.b.shortage_kib, 0);
		expect(moves[r].what, f.b.has_level, false);
		expect(moves[r].what, f.g[0].plan.want_kib, moves[r].want);
		expect(moves[r].what, f.g[0].plan.reason, moves[r].reason);
	}
}

/* take = needed: idle memory stays as long as no guest needs it; memory above a ceiling goes. */
static void test_take_needed(void **state)
{
	static const struct {
		const char *what;
		struct spec guest;
		uint64_t want;
		enum reason reason;
	} rows[] = {
	    {"idle", {MAXIMUM, 400000}, MAXIMUM, REASON_PLENTY},
	    {"above max", {1200000, 400000, .max = 900000}, 900000, REASON_ABOVE_TARGET},
	    {"lacks", {500000, 400000}, 550000, REASON_BELOW_TARGET},
	    {"page cache grows", {1250000, 400000, .cache = 800000}, 1350000, REASON_PAGE_CACHE},
	};

	(void)state;
	for (size_t r = 0; r < COUNT(rows); r++) {
		struct fleet f;

		set_up(&f, (struct spec[2]){rows[r].guest}, PLENTY);
		f.conf.take = TAKE_NEEDED;
		plan(&f);
		expect(rows[r].what, f.g[0].plan.want_kib, rows[r].want);
		expect(rows[r].what, f.g[0].plan.reason, rows[r].reason);
	}
}

/* ---- what the host has ---- */

static const struct {
	const char *what;
	struct {
		uint64_t available, pending, ksm;
	} host;
	struct spec guest[MANY];
	struct {
		int64_t room;
		uint64_t promised, capacity, spare, demand, shortage, lent;
	} has;
} balances[] = {
    {"no guest", {1300000, 0, 0}, {{0}}, {1000000, 0, 1000000, 1000000, 0, 0}},
    {"one, all touched", {1300000, 0, 0}, {{600000, 400000}}, {1000000, 0, 1600000, 1000000, 550000, 0}},
    {"QEMU's own memory is no room",
     {1300000, 0, 0},
     {{600000, 400000, .rss = 690000}},
     {1000000, 0, 1600000, 1000000, 550000, 0}},
    {"untouched memory is promised",
     {1300000, 0, 0},
     {{600000, 400000, .rss = 450000}},
     {1000000, 150000, 1550000, 950000, 550000, 0, 100000}},
    {"what it uses it touches",
     {1300000, 0, 0},
     {{600000, 400000, .rss = 360000}},
     {1000000, 200000, 1550000, 950000, 550000, 0, 150000}},
    {"but for what it may have given back since",
     {1300000, 0, 0},
     {{600000, 400000, .rss = 360000, .fell = 30000}},
     {1000000, 230000, 1520000, 920000, 550000, 0, 150000}},
    {"QEMU's own memory is not the guest's",
     {1300000, 0, 0},
     {{600000, 400000, .rss = 510000, .qemu = 80000}},
     {1000000, 90000, 1550000, 950000, 550000, 0, 40000}},
    {"what is said to be used is believed as far as rss goes",
     {1300000, 0, 0},
     {{600000, 400000, .rss = 100000}},
     {1000000, 600000 - 100000 - QEMU_USUAL_KIB, 1250000 + QEMU_USUAL_KIB, 650000 + QEMU_USUAL_KIB, 550000, 0, 150000}},
    {"uses more than it has", {1300000, 0, 0}, {{600000, 700000}}, {1000000, 0, 1600000, 1000000, 850000, 0}},
    {"two",
     {1300000, 0, 0},
     {{600000, 400000, .rss = 500000}, {900000, 300000, .rss = 800000}},
     {1000000, 200000, 2350000, 850000, 1000000, 0, 50000}},
    {"more promised than there is room",
     {1300000, 0, 0},
     {{MAXIMUM, 400000, .rss = 900000}},
     {1000000, 1100000, 1900000, 0, 550000, 0}},
    {"starting guests", {1300000, 400000, 0}, {{600000, 400000}}, {600000, 0, 1200000, 600000, 550000, 0}},
    {"merged pages come apart", {1300000, 0, 160000}, {{600000, 400000}}, {1000000, 10000, 1600000, 990000, 550000, 0}},
    {"no room", {300000, 0, 0}, {{600000, 400000}}, {0, 0, 600000, 0, 550000, 0}},
    {"below the reserve", {250000, 0, 0}, {{600000, 400000}}, {-50000, 0, 550000, 0, 550000, 0}},
    {"far below it", {10000, 100000, 0}, {{600000, 400000}}, {-390000, 0, 210000, 0, 550000, 340000}},
    {"deeper than all has been touched", {0, 500000, 0}, {{600000, 400000}}, {-800000, 0, 0, 0, 550000, 550000}},
    {"a guest that is left alone may touch the rest",
     {1300000, 0, 0},
     {{600000, 400000}, {900000, 100000, .rss = 500000, .fixed = true}},
     {600000, 0, 1200000, 600000, 550000, 0}},
    {"a guest that is not taken from keeps what it has",
     {1300000, 0, 0},
     {{600000, 400000}, {900000, 100000, .rss = 500000, .left = REASON_STALE_STATS}},
     {1000000, 400000, 2100000, 600000, 1450000, 0}},
    {"a sample of before its last move: it can be taken from a pass later",
     {1300000, 0, 0},
     {{600000, 400000}, {900000, 100000, .rss = 500000, .predates_move = true}},
     {1000000, 400000, 2100000, 600000, 550000 + FLOOR, 0}},
    {"an NVDIMM in rss is none of its memory",
     {1300000, 0, 0},
     {{600000, 400000, .rss = 550000, .outside = 100000}},
     {1000000, 150000, 1550000, 950000, 550000, 0, 100000}},
    {"as far as it may be there",
     {1300000, 0, 0},
     {{600000, 400000, .rss = 700000, .outside = 100000}},
     {1000000, 0, 1600000, 1000000, 550000, 0}},
    {"a surge of half a target is lent",
     {1300000, 0, 0},
     {{600000, 400000, .rss = 400000, .surge = 75000}},
     {1000000, 200000, 1550000, 950000, 550000, 0, 150000}},
    {"the rest of one is not",
     {1300000, 0, 0},
     {{600000, 400000, .rss = 400000, .surge = 175000}},
     {1000000, 200000, 1450000, 850000, 550000, 0, 50000}},
    {"nor of any other",
     {1300000, 0, 0},
     {{600000, 400000, .rss = 400000, .surge = 175000}, {600000, 400000, .rss = 400000, .surge = 225000}},
     {1000000, 400000, 1850000, 650000, 1100000, 0, 50000}},
    {"memory that its kernel keeps unused is not promised",
     {1300000, 0, 0},
     {{600000, 400000, .rss = 340000, .kept = 60000}},
     {1000000, 200000, 1550000, 950000, 550000, 0, 150000}},
    {"if it is touched, it is not beside that",
     {1300000, 0, 0},
     {{600000, 400000, .rss = 390000, .kept = 60000}},
     {1000000, 200000, 1550000, 950000, 550000, 0, 150000}},
    {"old statistics do not tell",
     {1300000, 0, 0},
     {{600000, 400000, .rss = 340000, .kept = 60000, .left = REASON_STALE_STATS}},
     {1000000, 260000, 1490000, 890000, 600000, 0, 150000}},
    {"nor do several guests for more than half the reserve",
     {1300000, 0, 0},
     {{600000, 400000, .rss = 300000, .kept = 100000}, {600000, 400000, .rss = 300000, .kept = 100000}},
     {1000000, 450000, 2050000, 850000, 1100000, 0, 300000}},
    {"a guest that grows lends as well while survival fits",
     {300000, 0, 0},
     {{550000, 400000, .rss = 400000, .rise = 12000, .growth = 12000}, {550000, 400000, .rss = 400000}},
     {0, 300000, 1100000, 0, 1100000, 0, 300000}},
    {"and less by twice its growth in 5 s if it does not",
     {170000, 0, 0},
     {{550000, 400000, .rss = 400000, .rise = 12000, .growth = 12000}, {550000, 400000, .rss = 400000}},
     {-130000, 300000, 850000, 0, 1100000, 250000, 180000}},
    {"rss alone may rise by page cache",
     {170000, 0, 0},
     {{550000, 400000, .rss = 400000, .rise = 12000}, {550000, 400000, .rss = 400000}},
     {-130000, 300000, 970000, 0, 1100000, 130000, 300000}},
    {"use alone may seem to rise",
     {170000, 0, 0},
     {{550000, 400000, .rss = 400000, .growth = 12000}, {550000, 400000, .rss = 400000}},
     {-130000, 300000, 970000, 0, 1100000, 130000, 300000}},
    {"survival is no more than the basic claim",
     {300000, 0, 0},
     {{550000, 400000, .rss = 400000, .rise = 90000, .growth = 90000}, {550000, 400000, .rss = 400000}},
     {0, 300000, 1100000, 0, 1100000, 0, 300000}},
    {"of a guest that is not taken from all it has",
     {170000, 0, 0},
     {{550000, 400000, .rss = 400000, .rise = 12000, .growth = 12000},
      {900000, 400000, .rss = 900000, .left = REASON_STALE_STATS}},
     {-130000, 150000, 1200000, 0, 1450000, 250000, 30000}},
    {"no more than three of four targets are lent",
     {1300000, 0, 0},
     {{600000, 400000, .rss = 400000},
      {600000, 400000, .rss = 400000},
      {600000, 400000, .rss = 400000},
      {600000, 400000, .rss = 400000}},
     {1000000, 800000, 3050000, 650000, 2200000, 0, 450000}},
    {"what it was told to grow to is promised",
     {1300000, 0, 0},
     {{600000, 400000, .told = 800000}},
     {1000000, 200000, 1600000, 800000, 550000, 0}},
    {"and may be touched before it is seen",
     {1300000, 0, 0},
     {{600000, 400000, .rss = 700000, .told = 800000}},
     {1000000, 100000, 1700000, 900000, 550000, 0}},
    {"what it was told to shrink to is not",
     {1300000, 0, 0},
     {{600000, 400000, .rss = 500000, .told = 550000}},
     {1000000, 100000, 1550000, 950000, 550000, 0, 50000}},
    {"so may a guest that is left alone",
     {1300000, 0, 0},
     {{600000, 400000}, {900000, 100000, .rss = 500000, .fixed = true, .told = 1100000}},
     {400000, 0, 1000000, 400000, 550000, 0}},
    {"what stays above its floor is no room for others",
     {300000, 0, 0},
     {{600000, 100000}, {500000, 400000}},
     {0, 0, 1100000, 0, FLOOR + 550000, 0}},
    {"below its floor it claims no more than it has",
     {300000, 0, 0},
     {{300000, 100000}, {500000, 200000}},
     {0, 0, 800000, 0, 300000 + FLOOR, 0}},
    {"what uses more than its max keeps its headroom",
     {300000, 0, 0},
     {{600000, 400000, .max = 200000}, {500000, 400000, .max = 200000}},
     {0, 0, 1100000, 0, 1050000, 0}},
    {"exactly enough", {300000, 0, 0}, {{600000, 400000}, {500000, 400000}}, {0, 0, 1100000, 0, 1100000, 0}},
    {"not quite", {299999, 0, 0}, {{600000, 400000}, {500000, 400000}}, {-1, 0, 1099999, 0, 1100000, 1}},
};

static void test_balance(void **state)
{
	(void)state;
	for (size_t r = 0; r < COUNT(balances); r++) {
		struct fleet f;

		set_up(&f, balances[r].guest, 0);
		f.host.available_kib = balances[r].host.available;
		f.host.ksm_kib = balances[r].host.ksm;
		f.pending_kib = balances[r].host.pending;
		plan(&f);
		expect(balances[r].what, f.b.room_kib, balances[r].has.room);
		expect(balances[r].what, f.b.promised_kib, balances[r].has.promised);
		expect(balances[r].what, f.b.lent_kib, balances[r].has.lent);
		expect(balances[r].what, f.b.capacity_kib, balances[r].has.capacity);
		expect(balances[r].what, f.b.spare_kib, balances[r].has.spare);
		expect(balances[r].what, f.b.demand_kib, balances[r].has.demand);
		expect(balances[r].what, f.b.shortage_kib, balances[r].has.shortage);
	}
}

/* ---- enough for all: donors ---- */

/* Sums of shares are rounded: they are right to a KiB a guest. */
static void expect_wants(const char *what, const struct fleet *f, const uint64_t *want)
{
	for (size_t i = 0; i < f->n; i++)
		if (sat_sub(f->g[i].plan.want_kib, want[i]) > f->n || sat_sub(want[i], f->g[i].plan.want_kib) > f->n)
			fail_msg("%s: guest %d wants %llu, not %llu", what, (int)i,
			         (unsigned long long)f->g[i].plan.want_kib, (unsigned long long)want[i]);
}

static const struct {
	const char *what;
	int64_t room;
	struct spec guest[MANY];
	uint64_t want[MANY];
} donors[] = {
    {"room covers it: nothing is taken", 300000, {{1000000, 400000, CRON}, {350000, 400000}}, {1000000, 550000}},
    {"room just covers it", 200000, {{1000000, 400000, CRON}, {350000, 400000}}, {1000000, 550000}},
    {"room does not: the rest at once", 150000, {{1000000, 400000, CRON}, {350000, 400000}}, {950000, 550000}},
    {"room covers little of it", 100000, {{1000000, 400000, CRON}, {350000, 400000}}, {900000, 550000}},
    {"no room: all of it", 0, {{1000000, 400000, CRON}, {350000, 400000}}, {800000, 550000}},
    {"room is promised",
     200000,
     {{1000000, 400000, CRON}, {350000, 400000}, {900000, 400000, .rss = 600000, CRON}},
     {800000, 550000, 800000}},
    {"from the largest surplus down",
     0,
     {{1000000, 400000, CRON}, {775000, 400000, CRON}, {250000, 400000}},
     {737500, 737500, 550000}},
    {"by weight",
     0,
     {{1000000, 400000, CRON, .weight = 100}, {1000000, 400000, CRON, .weight = 300}, {250000, 400000}},
     {700000, 1000000, 550000}},
    {"weight 100 is the default",
     0,
     {{1000000, 400000, CRON}, {1000000, 400000, CRON, .weight = 300}, {250000, 400000}},
     {700000, 1000000, 550000}},
    {"a guest that has little gives no more than that",
     0,
     {{1000000, 400000, CRON, .weight = 300}, {600000, 400000, CRON, .weight = 1}, {250000, 400000}},
     {750000, 550000, 550000}},
    {"calm takes count", 0, {{1000000, 400000}, {1000000, 400000, CRON}, {100000, 400000}}, {680000, 870000, 550000}},
    {"from the larger surplus the rest, too",
     0,
     {{1000000, 400000}, {570000, 400000}, {180000, 400000}},
     {630000, 570000, 550000}},
    {"what is within the tolerance is not",
     0,
     {{554000, 400000}, {700000, 400000, CRON}, {450000, 400000}},
     {554000, 600000, 550000}},
    {"excess to the last",
     0,
     {{700000, 400000, CRON}, {600000, 400000, CRON}, {350000, 400000}},
     {550000, 550000, 550000}},
    {"a guest that is left alone gives nothing",
     0,
     {{1000000, 400000, .fixed = true}, {1000000, 400000, CRON}, {350000, 400000}},
     {1000000, 800000, 550000}},
    {"a guest that is not taken from gives nothing",
     0,
     {{1000000, 400000, .left = REASON_BOOTING}, {1000000, 400000, CRON}, {350000, 400000}},
     {1000000, 800000, 550000}},
    {"page cache goes at once, if needed", 0, {{1000000, 400000, .cache = 600000}, {250000, 400000}}, {700000, 550000}},
    {"nor below a floor",
     0,
     {{600000, 100000, CRON}, {600000, 400000, CRON}, {256496, 400000}},
     {FLOOR, 550000, 550000}},
    {"nor below used and headroom, for a max",
     0,
     {{700000, 400000, .max = 200000, CRON}, {800000, 400000, CRON}, {150000, 400000}},
     {550000, 550000, 550000}},
    {"distress is a deficit",
     0,
     {{800000, 400000, CRON, .weight = 1}, {700000, 300000, .left = REASON_DISTRESS}},
     {750000, 750000}},
    {"what is on its way is promised and no deficit any more",
     0,
     {{1000000, 400000, CRON}, {350000, 400000, .told = 550000}},
     {1000000, 550000}},
    {"but what lacks beyond that", 0, {{1000000, 400000, CRON}, {350000, 400000, .told = 450000}}, {899152, 550000}},
    {"no guest gives on a sample of before its last move",
     0,
     {{1000000, 400000, .predates_move = true}, {1000000, 400000, CRON}, {350000, 400000}},
     {1000000, 800000, 550000}},
    {"a deficit within the tolerance is none", 0, {{1000000, 400000, CRON}, {545000, 400000}}, {1000000, 545000}},
    {"what the reserve lacks goes at once, whatever it used of late",
     -10000,
     {{900000, 400000, .surge = 400000, .peak = 450000}},
     {890000}},
    {"so does learned headroom that does not fit",
     -50000,
     {{900000, 400000, .surge = 400000, .peak = 450000}},
     {850000}},
    {"a lack within the tolerance is none", -4000, {{900000, 400000, .surge = 400000, .peak = 450000}}, {900000}},
};

static void test_donors(void **state)
{
	(void)state;
	for (size_t r = 0; r < COUNT(donors); r++) {
		struct fleet f;

		set_up(&f, donors[r].guest, donors[r].room);
		plan(&f);
		expect(donors[r].what, f.b.shortage_kib, 0);
		expect_wants(donors[r].what, &f, donors[r].want);
	}
}

/* ---- not enough for all ---- */

static const struct {
	const char *what;
	int64_t room;
	struct spec guest[MANY];
	uint64_t want[MANY];
	enum reason reason[MANY];
	uint64_t level; /* headroom at weight 100 */
	bool least;     /* not even the least headroom fits */
} shortages[] = {
    {"even",
     0,
     {{500000, 400000}, {500000, 400000}},
     {500000, 500000},
     {REASON_SHARED_SHORTAGE, REASON_SHARED_SHORTAGE},
     100000},
    {"each guest that has more gives it",
     0,
     {{600000, 400000}, {400000, 400000}},
     {500000, 500000},
     {REASON_SHARED_SHORTAGE, REASON_SHARED_SHORTAGE},
     100000},
    {"headroom is shared, not size",
     0,
     {{900000, 800000}, {200000, 100000, .min = 1}, {500000, 300000}},
     {933333, 233333, 433333},
     {REASON_SHARED_SHORTAGE, REASON_SHARED_SHORTAGE, REASON_SHARED_SHORTAGE},
     133333},
    {"up to a floor the least is given first",
     0,
     {{900000, 800000}, {200000, 100000}, {500000, 300000}},
     {925000, 250000, 425000},
     {REASON_SHARED_SHORTAGE, REASON_BELOW_TARGET, REASON_SHARED_SHORTAGE},
     125000},
    {"weights: 1 to 3 of headroom",
     0,
     {{480000, 400000, .weight = 100}, {480000, 400000, .weight = 300}},
     {440000, 520000},
     {REASON_SHARED_SHORTAGE, REASON_SHARED_SHORTAGE},
     40000},
    {"weights by room there is",
     60000,
     {{450000, 400000}, {450000, 400000, .weight = 300}},
     {440000, 520000},
     {REASON_SHARED_SHORTAGE, REASON_SHARED_SHORTAGE},
     40000},
    {"the heavier one's target met, the rest is the other's",
     0,
     {{500000, 400000, .weight = 100}, {530000, 400000, .weight = 300}},
     {480000, 550000},
     {REASON_SHARED_SHORTAGE, REASON_BELOW_TARGET},
     80000},
    {"the least headroom goes before weight",
     0,
     {{480000, 400000, .weight = 1}, {480000, 400000, .weight = 100}},
     {437500, 522500},
     {REASON_SHARED_SHORTAGE, REASON_SHARED_SHORTAGE},
     122500},
    {"just the least",
     0,
     {{437500, 400000}, {437500, 400000}},
     {437500, 437500},
     {REASON_SHARED_SHORTAGE, REASON_SHARED_SHORTAGE},
     37500},
    {"less than the least: nothing is given, nothing is taken",
     0,
     {{437500, 400000}, {420000, 400000}, {437500, 400000}},
     {437500, 420000, 437500},
     {REASON_SHARED_SHORTAGE, REASON_SHARED_SHORTAGE, REASON_SHARED_SHORTAGE},
     20000},
    {"the host itself lacks: down to the least, and no further",
     -300000,
     {{500000, 400000}, {420000, 400000}, {600000, 400000}},
     {437500, 420000, 437500},
     {REASON_SHARED_SHORTAGE, REASON_SHARED_SHORTAGE, REASON_SHARED_SHORTAGE},
     0,
     true},
    {"floors are kept",
     -200000,
     {{500000, 100000}, {600000, 400000}, {600000, 400000, .min = 600000}},
     {FLOOR, 1500000 - FLOOR - 600000, 600000},
     {REASON_ABOVE_TARGET, REASON_SHARED_SHORTAGE, REASON_AT_MIN},
     1500000 - FLOOR - 600000 - 400000},
    {"a guest that uses more than its max shares like the others",
     0,
     {{500000, 400000, .max = 200000}, {500000, 400000}},
     {500000, 500000},
     {REASON_AT_MAX, REASON_SHARED_SHORTAGE},
     100000},
    {"and gives like the others",
     -100000,
     {{550000, 400000, .max = 200000}, {550000, 400000}},
     {500000, 500000},
     {REASON_SHARED_SHORTAGE, REASON_SHARED_SHORTAGE},
     100000},
    {"within the tolerance nothing moves",
     0,
     {{505000, 400000}, {495000, 400000}},
     {505000, 495000},
     {REASON_SHARED_SHORTAGE, REASON_SHARED_SHORTAGE},
     100000},
    {"beyond it all does",
     0,
     {{505001, 400000}, {494999, 400000}},
     {500000, 500000},
     {REASON_SHARED_SHORTAGE, REASON_SHARED_SHORTAGE},
     100000},
    {"excesses within the tolerance are taken if others wait for them",
     0,
     {{504000, 400000}, {504000, 400000}, {492000, 400000}},
     {500000, 500000, 500000},
     {REASON_SHARED_SHORTAGE, REASON_SHARED_SHORTAGE, REASON_SHARED_SHORTAGE},
     100000},
    {"a guest that is on its way to its share waits for none",
     0,
     {{504000, 400000}, {504000, 400000}, {492000, 400000, .told = 500000, .surge = 300000}},
     {504000, 504000, 500000},
     {REASON_SHARED_SHORTAGE, REASON_SHARED_SHORTAGE, REASON_SHARED_SHORTAGE},
     100000},
    {"a sample of before the last move: its share, but nothing is taken now",
     0,
     {{600000, 400000, .predates_move = true}, {400000, 400000}, {500000, 400000}},
     {600000, 500000, 500000},
     {REASON_AT_TARGET, REASON_SHARED_SHORTAGE, REASON_SHARED_SHORTAGE},
     100000},
    {"distress whose step is not in the sample yet asks for no more",
     0,
     {{500000, 300000, .left = REASON_DISTRESS, .unsettled = true}, {500000, 400000}},
     {500000, 500000},
     {REASON_DISTRESS, REASON_SHARED_SHORTAGE},
     100000},
    {"a guest that is left alone is no part of it",
     0,
     {{500000, 400000}, {900000, 100000, .fixed = true}, {500000, 400000}},
     {500000, 900000, 500000},
     {REASON_SHARED_SHORTAGE, REASON_EXCLUDED, REASON_SHARED_SHORTAGE},
     100000},
    {"a guest that is not taken from keeps what it has",
     0,
     {{600000, 400000}, {900000, 400000, .left = REASON_STALE_STATS}, {400000, 400000}},
     {500000, 900000, 500000},
     {REASON_SHARED_SHORTAGE, REASON_STALE_STATS, REASON_SHARED_SHORTAGE},
     100000},
    {"and may get",
     0,
     {{600000, 400000}, {400000, 400000, .left = REASON_STALE_STATS}},
     {500000, 500000},
     {REASON_SHARED_SHORTAGE, REASON_BELOW_TARGET},
     100000},
    {"a guest that needs nothing gives all its excess at once",
     0,
     {{1000000, 600000, CRON, .weight = 10000}, {700000, 700000}, {700000, 700000}},
     {750000, 825000, 825000},
     {REASON_ABOVE_TARGET, REASON_SHARED_SHORTAGE, REASON_SHARED_SHORTAGE},
     125000},
};

static void test_shortage(void **state)
{
	(void)state;
	for (size_t r = 0; r < COUNT(shortages); r++) {
		struct fleet f;

		set_up(&f, shortages[r].guest, shortages[r].room);
		plan(&f);
		expect(shortages[r].what, f.b.shortage_kib > 0, true);
		expect(shortages[r].what, f.b.has_level, true);
		expect(shortages[r].what, f.b.least, shortages[r].least);
		expect_wants(shortages[r].what, &f, shortages[r].want);
		for (size_t i = 0; i < f.n; i++)
			expect(shortages[r].what, f.g[i].plan.reason, shortages[r].reason[i]);
		expect(shortages[r].what, f.b.level_kib, shortages[r].level);
	}
}

/* By how much the host falls short. */
static void test_shortage_size(void **state)
{
	struct fleet f;

	(void)state;
	set_up(&f, (struct spec[3]){{500000, 400000}, {450000, 400000}}, 20000);
	plan(&f);
	expect("lack of headroom", f.b.shortage_kib, 130000);
	set_up(&f, (struct spec[3]){{500000, 400000}, {450000, 400000}}, -RESERVE);
	f.pending_kib = 700000;
	plan(&f);
	expect("more than all there is", f.b.shortage_kib, 1100000);
}

/* ---- what is given now ---- */

static const struct {
	const char *what;
	uint64_t budget;
	struct {
		uint64_t actual, used, want, told; /* told: to which size in the first round */
		uint64_t gets;
		bool lacks; /* and is told why */
		uint32_t weight;
		bool fixed;
		uint64_t before; /* told to which size in the pass before */
	} guest[MANY];
} grants[] = {
    {"no guest", 100000, {{0}}},
    {"nothing to give", 0, {{400000, 300000, 500000, 0, 0, true}}},
    {"all of it", 100000, {{400000, 300000, 500000, 0, 500000, false}}},
    {"more than all", 900000, {{400000, 300000, 500000, 0, 500000, false}}},
    {"a part", 60000, {{400000, 300000, 500000, 0, 460000, true}}},
    {"a share within the tolerance is kept back", 5000, {{400000, 300000, 500000, 0, 0, true}}},
    {"a little more is none", 5001, {{400000, 300000, 500000, 0, 405001, true}}},
    {"a share within the tolerance that is all it wants", 4000, {{400000, 300000, 404000, 0, 0, false}}},
    {"less than the tolerance beyond the last command",
     90000,
     {{400000, 400000, 454000, 0, 0, false, .before = 450000}}},
    {"and none of it", 0, {{400000, 400000, 454000, 0, 0, false, .before = 450000}}},
    {"even headroom", 100000, {{400000, 400000, 550000, 0, 475000, true}, {450000, 400000, 550000, 0, 475000, true}}},
    {"a guest that has less comes first",
     50000,
     {{400000, 400000, 550000, 0, 450000, true}, {500000, 400000, 550000, 0, 0, true}}},
    {"by weight",
     80000,
     {{400000, 400000, 550000, 0, 420000, true}, {400000, 400000, 550000, 0, 460000, true, .weight = 300}}},
    {"what one does not want is the other's",
     200000,
     {{400000, 400000, 420000, 0, 420000, false}, {400000, 400000, 900000, 0, 580000, true}}},
    {"a guest that shrinks gets nothing",
     100000,
     {{900000, 400000, 600000, 0, 0, false}, {400000, 400000, 550000, 0, 500000, true}}},
    {"nor to a guest that is left alone",
     100000,
     {{400000, 400000, 550000, 0, 0, false, .fixed = true}, {400000, 400000, 550000, 0, 500000, true}}},
    {"second round: what was told counts",
     50000,
     {{400000, 400000, 550000, 450000, 450000, true}, {400000, 400000, 550000, 0, 450000, true}}},
    {"what was told in the pass before counts",
     50000,
     {{400000, 400000, 550000, 0, 0, true, .before = 450000}, {400000, 400000, 550000, 0, 450000, true}}},
    {"second round: the rest", 100000, {{400000, 400000, 550000, 450000, 550000, false}}},
    {"second round: a share within the tolerance is kept back", 4000, {{400000, 400000, 550000, 450000, 450000, true}}},
    {"second round, after the first arrived", 50000, {{450000, 400000, 550000, 450000, 500000, true}}},
    {"second round: nothing is left to want", 50000, {{400000, 400000, 550000, 550000, 550000, false}}},
};

static void test_grant(void **state)
{
	(void)state;
	for (size_t r = 0; r < 2 * COUNT(grants); r++) {
		const char *what = grants[r / 2].what;
		enum reason why = r % 2 ? REASON_NONE : REASON_NO_GIVE; /* in the first round nothing is said */
		uint64_t handed = 0;
		struct fleet f;

		set_up(&f, (struct spec[1]){{0}}, 0);
		for (; grants[r / 2].guest[f.n].actual; f.n++) {
			struct guest *g = &f.g[f.n];

			*g = guest(&(struct spec){grants[r / 2].guest[f.n].actual, grants[r / 2].guest[f.n].used,
			                          .weight = grants[r / 2].guest[f.n].weight});
			g->plan.want_kib = grants[r / 2].guest[f.n].want;
			g->plan.grant_kib = grants[r / 2].guest[f.n].told;
			g->past.asked_kib = grants[r / 2].guest[f.n].before;
			g->plan.fixed = grants[r / 2].guest[f.n].fixed;
			g->plan.reason = REASON_BELOW_TARGET;
			handed += sat_sub(grants[r / 2].guest[f.n].gets, guest_told_kib(g));
		}
		expect(what, grant(&f, grants[r / 2].budget, why), handed);
		for (size_t i = 0; i < f.n; i++) {
			bool told = why && grants[r / 2].guest[i].lacks;

			expect(what, f.g[i].plan.grant_kib, grants[r / 2].guest[i].gets);
			expect(what, f.g[i].plan.reason, told ? why : REASON_BELOW_TARGET);
			expect(what, f.g[i].plan.want_kib, grants[r / 2].guest[i].want);
		}
	}
}

/* A plan forgets what was given in the pass before. */
static void test_grant_forgotten(void **state)
{
	struct fleet f;

	(void)state;
	set_up(&f, (struct spec[2]){{400000, 400000}}, PLENTY);
	f.g[0].plan.grant_kib = 550000;
	plan(&f);
	expect("given anew", grant(&f, 150000, REASON_NONE), 150000);
}

/* ---- any fleet ---- */

struct dice {
	uint32_t state;
};

static uint64_t roll(struct dice *d, uint64_t below)
{
	d->state ^= d->state << 13;
	d->state ^= d->state >> 17;
	d->state ^= d->state << 5;
	return d->state % below;
}

static struct spec random_spec(struct dice *d)
{
	static const enum reason left[] = {REASON_BOOTING, REASON_STALE_STATS, REASON_DISTRESS, REASON_STUCK,
	                                   REASON_NO_GAIN};
	struct spec s = {.actual = 100000 + roll(d, MAXIMUM - 100000)};

	s.used = roll(d, s.actual + (roll(d, 8) ? 0 : 300000));
	s.rss = 1 + s.used + roll(d, sat_sub(s.actual, s.used) + 1);
	s.cache = roll(d, 3) ? 0 : roll(d, sat_sub(s.actual, s.used) + 1);
	s.foreseen = roll(d, 4) ? 0 : roll(d, 400000);
	s.min = roll(d, 4) ? 0 : 1 + roll(d, 900000);
	s.max = roll(d, 4) ? 0 : s.min + 100000 + roll(d, 1500000);
	s.weight = roll(d, 2) ? 0 : 1 + (uint32_t)roll(d, 1000);
	s.lead_ms = roll(d, 2) ? 70000 : 2000;
	s.left = roll(d, 5) ? REASON_NONE : left[roll(d, COUNT(left))];
	s.fixed = !roll(d, 9);
	return s;
}

static void random_fleet(struct dice *d, struct fleet *f, struct spec spec[MANY + 1])
{
	size_t n = 1 + roll(d, MANY);
	int64_t room = (int64_t)roll(d, 4000000) - 1000000;

	memset(spec, 0, (MANY + 1) * sizeof(*spec));
	for (size_t i = 0; i < n; i++)
		spec[i] = random_spec(d);
	set_up(f, spec, roll(d, 3) ? room : room / 8);
	f->host.available_kib = room < 0 ? RESERVE / 2 : f->host.available_kib;
	f->pending_kib = roll(d, 4) ? 0 : roll(d, 500000);
}

static void check_plan(const char *what, const struct fleet *f)
{
	uint64_t gives = 0, takes = 0, wants = 0;
	bool bottoms = true;

	for (size_t i = 0; i < f->n; i++) {
		const struct guest *g = &f->g[i];
		uint64_t actual = g->sample.actual_kib;

		if (g->plan.fixed) {
			expect(what, g->plan.want_kib, actual);
			continue;
		}
		expect(what, g->plan.want_kib > max_u64(g->plan.ceil_kib, actual), false);
		expect(what, g->plan.want_kib < min_u64(g->plan.bottom_kib, actual), false);
		expect(what, g->plan.no_take && g->plan.want_kib < actual, false);
		expect(what, g->plan.want_kib > actual && g->plan.want_kib > g->plan.comfort_kib, false);
		expect(what, g->plan.want_kib > actual && f->b.shortage_kib && g->plan.want_kib > g->plan.basic_kib,
		       false);
		expect(what, g->plan.reason == REASON_NONE, false);
		gives += sat_sub(g->plan.want_kib, actual);
		takes += sat_sub(actual, g->plan.want_kib);
		wants += g->plan.want_kib;
		bottoms &= g->plan.want_kib <= min_u64(g->plan.bottom_kib, actual) + TOLERANCE || g->plan.no_take;
	}
	if (!f->b.shortage_kib)
		expect(what, gives > takes + f->b.spare_kib + f->n * TOLERANCE, false);
	if (f->b.shortage_kib && !bottoms)
		expect(what, wants > f->b.capacity_kib + f->n * TOLERANCE, false);
	if (f->b.least)
		expect(what, gives, 0);
}

static void test_any_fleet(void **state)
{
	struct dice d = {815};
	unsigned short_of = 0, least = 0;

	(void)state;
	for (int round = 0; round < 30000; round++) {
		char what[40];
		struct spec spec[MANY + 1];
		struct fleet f;
		uint64_t budget, handed, given = 0;

		snprintf(what, sizeof(what), "fleet %d", round);
		random_fleet(&d, &f, spec);
		plan(&f);
		check_plan(what, &f);
		short_of += f.b.shortage_kib > 0;
		least += f.b.least;

		budget = roll(&d, 2000000);
		handed = grant(&f, budget, REASON_HOST_RESERVE);
		expect(what, handed > budget, false);
		for (size_t i = 0; i < f.n; i++) {
			expect(what, f.g[i].plan.grant_kib > max_u64(f.g[i].plan.want_kib, f.g[i].sample.actual_kib),
			       false);
			given += sat_sub(f.g[i].plan.grant_kib, f.g[i].sample.actual_kib);
			if (handed + f.n * (TOLERANCE + 1) < budget && guest_grows(&f.g[i]))
				expect(what, f.g[i].plan.grant_kib, f.g[i].plan.want_kib);
		}
		expect(what, given, handed);
	}
	expect("shortage and plenty both come", short_of > 3000 && short_of < 27000 && least > 300, true);
}

static void test_order(void **state)
{
	struct dice d = {4711};

	(void)state;
	for (int round = 0; round < 10000; round++) {
		char what[40];
		struct spec spec[MANY + 1], mixed[MANY + 1] = {{0}};
		struct fleet f, m;
		size_t at[MANY];
		uint64_t budget = roll(&d, 1000000);

		snprintf(what, sizeof(what), "fleet %d", round);
		random_fleet(&d, &f, spec);
		for (size_t i = 0; i < f.n; i++) {
			at[i] = i;
			for (size_t k = roll(&d, i + 1); at[i] != at[k];) { /* swap */
				at[i] = at[k];
				at[k] = i;
				break;
			}
		}
		for (size_t i = 0; i < f.n; i++)
			mixed[at[i]] = spec[i];
		set_up(&m, mixed, 0);
		m.host = f.host;
		m.pending_kib = f.pending_kib;
		plan(&f);
		plan(&m);
		grant(&f, budget, REASON_HOST_RESERVE);
		grant(&m, budget, REASON_HOST_RESERVE);
		expect(what, memcmp(&f.b, &m.b, sizeof(f.b)), 0);
		for (size_t i = 0; i < f.n; i++) {
			expect(what, m.g[at[i]].plan.want_kib, f.g[i].plan.want_kib);
			expect(what, m.g[at[i]].plan.grant_kib, f.g[i].plan.grant_kib);
			expect(what, m.g[at[i]].plan.reason, f.g[i].plan.reason);
		}
	}
}

/* More weight never gets less. */
static void test_more_weight(void **state)
{
	struct dice d = {99};

	(void)state;
	for (int round = 0; round < 20000; round++) {
		char what[40];
		struct spec spec[MANY + 1];
		struct fleet f, m;
		size_t i;

		snprintf(what, sizeof(what), "fleet %d", round);
		random_fleet(&d, &f, spec);
		m = f;
		m.scratch = (struct policy_scratch){m.item, m.edge};
		i = roll(&d, f.n);
		m.g[i].hints.weight = (f.g[i].hints.weight ? f.g[i].hints.weight : 100) * (2 + (uint32_t)roll(&d, 9));
		plan(&f);
		plan(&m);
		if (m.g[i].plan.want_kib + 1 < f.g[i].plan.want_kib) /* rounded */
			fail_msg("%s: guest %d wants %d and with more weight %d", what, (int)i,
			         (int)f.g[i].plan.want_kib, (int)m.g[i].plan.want_kib);
	}
}

/* A guest in need gets no less because another needs nothing. */
static void test_idle_beside(void **state)
{
	struct dice d = {7};

	(void)state;
	for (int round = 0; round < 20000; round++) {
		char what[40];
		struct spec spec[MANY + 1];
		struct fleet f, m;

		snprintf(what, sizeof(what), "fleet %d", round);
		random_fleet(&d, &f, spec);
		if (f.n == MANY)
			continue;
		m = f;
		m.scratch = (struct policy_scratch){m.item, m.edge};
		m.g[m.n++] = guest(&(struct spec){600000 + roll(&d, 1000000), 300000});
		plan(&f);
		plan(&m);
		for (size_t i = 0; i < f.n; i++)
			if (f.b.layer != LAYER_LEAST &&
			    m.g[i].plan.want_kib + TOLERANCE + 1 <
			        min_u64(f.g[i].plan.want_kib, f.g[i].plan.need_kib) &&
			    f.g[i].plan.need_kib > f.g[i].sample.actual_kib)
				fail_msg("%s: guest %d wants %d and beside an idle one %d", what, (int)i,
				         (int)f.g[i].plan.want_kib, (int)m.g[i].plan.want_kib);
	}
}

/* ---- a constant load ---- */

/* Balloons arrive, taking what was not touched first; guests touch what they use, or all they have. */
static void settle(struct fleet *f, size_t i, uint64_t size_kib)
{
	struct guest *g = &f->g[i];
	uint64_t rss_kib = min_u64(sat_sub(g->sample.rss_kib, QEMU_USUAL_KIB), size_kib);

	rss_kib = QEMU_USUAL_KIB + max_u64(rss_kib, min_u64(f->touch_all ? size_kib : g->est.used_kib, size_kib));
	f->host.available_kib = f->host.available_kib + g->sample.rss_kib - rss_kib;
	g->sample.rss_kib = rss_kib;
	g->sample.actual_kib = size_kib;
	g->est.free_kib = sat_sub(size_kib, g->est.used_kib);
	g->est.cache_kib = min_u64(g->est.cache_kib, g->est.free_kib);
}

struct course { /* of one guest */
	int way;
	unsigned turns;
};

static void go(struct course *c, int way)
{
	c->turns += c->way && c->way != way;
	c->way = way;
}

/* A pass as design §4 has it: takes and what is spare, then what the host has after that. Returns the moves. */
static unsigned run_pass(struct fleet *f, struct course course[MANY], const char *what)
{
	unsigned sent = 0;
	uint64_t before_kib, arrived_kib = 0, handed_kib, budget_kib;
	int64_t room_kib;

	plan(f);
	check_plan(what, f);
	before_kib = f->host.available_kib;
	handed_kib = grant(f, f->b.spare_kib, REASON_NONE);
	for (size_t i = 0; i < f->n; i++)
		if (guest_shrinks(&f->g[i])) {
			go(&course[i], -1);
			sent++;
			arrived_kib += f->g[i].sample.actual_kib - f->g[i].plan.want_kib;
			settle(f, i, f->g[i].plan.want_kib);
		}
	room_kib = f->b.room_kib + (int64_t)f->host.available_kib - (int64_t)before_kib;
	budget_kib = room_kib < 0 ? 0 : min_u64((uint64_t)room_kib, arrived_kib + f->b.spare_kib);
	grant(f, sat_sub(budget_kib, handed_kib), REASON_HOST_RESERVE);
	for (size_t i = 0; i < f->n; i++)
		if (guest_grows(&f->g[i]) && f->g[i].plan.grant_kib > f->g[i].sample.actual_kib) {
			go(&course[i], 1);
			sent++;
			settle(f, i, f->g[i].plan.grant_kib);
		}
	return sent;
}

/*
 * Under constant load wants reach a fixed point, and then nothing moves. If guests touch all they have, the host lends
 * nothing, and no guest turns. Else what is given and not touched is lent in the next pass: a guest may turn back once.
 */
static void test_fixed_point(void **state)
{
	struct dice d = {31337};

	(void)state;
	for (int round = 0; round < 3000; round++) {
		char what[40];
		struct spec spec[MANY + 1];
		struct fleet f;
		struct course course[MANY] = {{0}};
		unsigned passes = 0;
		bool least = false; /* above it another rule holds, and a guest may turn as well */

		snprintf(what, sizeof(what), "fleet %d", round);
		random_fleet(&d, &f, spec);
		f.touch_all = round % 2 == 0;
		for (size_t i = 0; i < f.n; i++) {
			struct guest *g = &f.g[i];

			g->est.distress = false; /* would be no constant load */
			g->est.foreseen_kib = 0; /* nor this */
			g->est.used_kib = min_u64(g->est.used_kib, g->sample.actual_kib); /* nor this */
			g->sample.rss_kib = f.touch_all ? UINT64_MAX : g->sample.rss_kib;
			g->sample.rss_kib = min_u64(g->sample.rss_kib, g->sample.actual_kib + QEMU_USUAL_KIB);
		}
		while (run_pass(&f, course, what) && passes < 200) {
			least |= f.b.layer == LAYER_LEAST;
			passes++;
		}
		expect(what, passes < 200, true);
		for (int i = 0; i < 3; i++)
			expect(what, run_pass(&f, course, what), 0);
		for (size_t i = 0; i < f.n; i++)
			expect(what, course[i].turns > (f.touch_all ? 0u : 2u) + (least ? 2u : 0u), false);
	}
}

/* A loop has idle memory back within some passes, by halves and more; a slower answer leaves more. */
static void test_pace(void **state)
{
	static const struct {
		const char *what;
		uint32_t lead_ms;
		unsigned at_least, at_most;
		uint64_t left;
	} rows[] = {
	    {"loop", 3000, 3, 6, 600000},
	    {"statistics each 10 s", 12000, 5, 20, 1000000},
	    {"cron", 71000, 0, 0, MAXIMUM},
	};

	(void)state;
	for (size_t r = 0; r < COUNT(rows); r++) {
		struct course course[MANY] = {{0}};
		unsigned passes = 0;
		struct fleet f;

		set_up(&f, (struct spec[2]){{MAXIMUM, 400000, .lead_ms = rows[r].lead_ms}}, PLENTY);
		while (run_pass(&f, course, rows[r].what))
			passes++;
		expect(rows[r].what, passes >= rows[r].at_least && passes <= rows[r].at_most, true);
		expect(rows[r].what, f.g[0].sample.actual_kib >= rows[r].left, true);
		expect(rows[r].what, f.g[0].sample.actual_kib <= rows[r].left + STEP / 2, true);
	}
}

/* ---- figures beyond reason ---- */

static void test_saturates(void **state)
{
	static const uint64_t some[] = {0,         1,          4095,           KIB_PER_GIB,    2 * KIB_PER_GIB,
	                                INT64_MAX, UINT32_MAX, UINT64_MAX / 2, UINT64_MAX - 1, UINT64_MAX};
	struct dice d = {123};

	(void)state;
	for (int round = 0; round < 50000; round++) {
		char what[40];
		struct spec spec[MANY + 1];
		struct fleet f;
		uint64_t budget, handed;

		snprintf(what, sizeof(what), "fleet %d", round);
		random_fleet(&d, &f, spec);
		for (size_t i = 0; i < f.n; i++) {
			struct guest *g = &f.g[i];
			uint64_t *field[] = {&g->sample.actual_kib,     &g->sample.rss_kib,     &g->est.used_kib,
			                     &g->est.foreseen_kib,      &g->device.maximum_kib, &g->device.current_kib,
			                     &g->device.hard_limit_kib, &g->hints.min_kib,      &g->hints.max_kib,
			                     &g->est.lead_ms,           &g->target_kib,         &g->past.qemu_kib};

			for (size_t k = 0; k < COUNT(field); k++)
				if (!roll(&d, 12))
					*field[k] = some[roll(&d, COUNT(some))];
			g->est.free_kib = some[roll(&d, COUNT(some))];
			g->est.cache_kib = roll(&d, 2) ? 0 : g->est.free_kib;
			g->hints.weight = roll(&d, 2) ? 0 : 10000;
			g->past.has_qemu = roll(&d, 2);
		}
		if (!roll(&d, 4))
			f.host.available_kib = some[roll(&d, COUNT(some))];
		if (!roll(&d, 4))
			f.host.ksm_kib = some[roll(&d, COUNT(some))];
		if (!roll(&d, 4))
			f.pending_kib = some[roll(&d, COUNT(some))];
		if (!roll(&d, 4))
			f.conf.step_kib = some[roll(&d, COUNT(some))];
		if (!roll(&d, 4))
			f.conf.reserve_kib = some[roll(&d, COUNT(some))];
		plan(&f);
		for (size_t i = 0; i < f.n; i++) {
			const struct guest *g = &f.g[i];

			expect(what, g->plan.want_kib > max_u64(g->plan.ceil_kib, g->sample.actual_kib), false);
			expect(what, g->plan.want_kib < min_u64(g->plan.bottom_kib, g->sample.actual_kib), false);
			expect(what, g->plan.bottom_kib < g->est.used_kib, false);
		}
		budget = some[roll(&d, COUNT(some))];
		handed = grant(&f, budget, REASON_HOST_RESERVE);
		expect(what, handed > budget, false);
		for (size_t i = 0; i < f.n; i++)
			expect(what, f.g[i].plan.grant_kib > max_u64(f.g[i].plan.want_kib, f.g[i].sample.actual_kib),
			       false);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_floor),
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_basic),
	    cmocka_unit_test(test_left_alone),
	    cmocka_unit_test(test_calls),
	    cmocka_unit_test(test_touched_all),
	    cmocka_unit_test(test_no_take),
	    cmocka_unit_test(test_one),
	    cmocka_unit_test(test_take_needed),
	    cmocka_unit_test(test_balance),
	    cmocka_unit_test(test_donors),
	    cmocka_unit_test(test_shortage),
	    cmocka_unit_test(test_shortage_size),
	    cmocka_unit_test(test_grant),
	    cmocka_unit_test(test_grant_forgotten),
	    cmocka_unit_test(test_any_fleet),
	    cmocka_unit_test(test_order),
	    cmocka_unit_test(test_more_weight),
	    cmocka_unit_test(test_idle_beside),
	    cmocka_unit_test(test_fixed_point),
	    cmocka_unit_test(test_pace),
	    cmocka_unit_test(test_saturates),
	};

	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
