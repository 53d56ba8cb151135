/* SPDX-License-Identifier: MIT */
/*
 * The peers' own test vectors, as facts/peers.md §8 has them, on our renderings of their rules.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/units.h"
#include "peers.h"

#define MB INT64_C(1000000)
#define GB INT64_C(1000000000)
#define MIB INT64_C(1048576)

/* ---- the original ---- */

static void test_original(void **state)
{
	static const struct {
		uint64_t unused_kib;
		int64_t change_kib;
	} rows[] = {{0, 100000},     {144999, 100000}, {145000, 0},      {150000, 0},     {155000, 0},
	            {155001, -5001}, {200000, -50000}, {200001, -50000}, {900000, -50000}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(original_change_kib(rows[i].unused_kib), rows[i].change_kib);
}

/* ---- MoM ---- */

static void test_mom(void **state)
{
	static const struct {
		double host_free_part, cur_kib, used_kib, max_kib;
		uint64_t target_kib;
	} rows[] = {
	    {0.30, 1000000, 500000, 2000000, 1050000}, /* grows by 5 % whatever it uses, */
	    {0.30, 1000000, 950000, 2000000, 1150000}, /* or to 20 % free, */
	    {0.30, 1990000, 500000, 2000000, 2000000}, /* to its maximum; */
	    {0.30, 1999000, 500000, 2000000, 0},       /* not for less than a quarter percent */
	    {0.10, 1000000, 500000, 2000000, 950000},  /* shrinks by 5 %, */
	    {0.10, 1000000, 880000, 2000000, 980000},  /* but leaves 20 % times the pressure, */
	    {0.10, 1000000, 950000, 2000000, 0},       /* and never grows meanwhile */
	    {0.02, 1000000, 1000000, 2000000, 970000}, /* critical: 3 % of it into the guest's swap */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct mom_guest g = {
		    .cur_kib = rows[i].cur_kib, .mean_used_kib = rows[i].used_kib, .max_kib = rows[i].max_kib};
		uint64_t target = mom_target_kib(&g, rows[i].host_free_part);

		if (target > rows[i].target_kib + 1 || target + 1 < rows[i].target_kib)
			fail_msg("row %zu: %lu", i, (unsigned long)target);
	}
}

/* ---- Proxmox: balloontest.pl; a balloon of 0 in the result is a machine that does not change ---- */

static const struct proxmox_vm status1[] = {
    {.max = 2 * GB, .shares = 2000, .balloon = GB, .min = GB},
    {.max = 2 * GB, .shares = 1000, .balloon = GB, .min = GB},
};
static const struct proxmox_vm status2[] = {
    {.max = 2 * GB, .shares = 2000, .balloon = 2 * GB, .min = 2 * GB},
    {.max = 2 * GB, .shares = 1000, .balloon = GB, .min = GB},
};
static const struct proxmox_vm status3[] = {
    {.max = 2 * GB, .shares = 2000, .balloon = 2 * GB, .min = 2 * GB},
    {.max = 2 * GB, .shares = 1000, .balloon = GB + 7 * MB, .min = GB},
    {.max = 2 * GB, .shares = 1000, .balloon = GB, .min = GB, .free = 512 * MB},
};

static void expect_balloons(const struct proxmox_vm *vm, const struct proxmox_vm *before, size_t n,
                            const int64_t *expected_mb, int64_t goal)
{
	for (size_t i = 0; i < n; i++) {
		int64_t expected = expected_mb[i] ? expected_mb[i] * MB : before[i].balloon;

		if (vm[i].new != expected)
			fail_msg("goal %ld: machine %zu to %ld instead of %ld", (long)goal, i, (long)vm[i].new,
			         (long)expected);
	}
}

static void test_proxmox_pass(void **state)
{
	static const struct {
		const struct proxmox_vm *status;
		size_t n;
		int64_t goal_mb, expected_mb[3];
	} rows[] = {
	    {status1, 2, 0, {0}},
	    {status1, 2, 90, {1060, 1030}},
	    {status1, 2, 150, {1100, 1050}},
	    {status1, 2, 270, {1100, 1090}},
	    {status2, 2, 0, {0}},
	    {status2, 2, 18, {0, 1018}},
	    {status2, 2, 500, {0, 1100}},
	    {status3, 3, 0, {0}},
	    {status3, 3, 11, {0, 1018}},
	    {status3, 3, 80, {0, 1087}},
	    {status3, 3, 200, {0, 1107}},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct proxmox_vm vm[3];

		memcpy(vm, rows[i].status, rows[i].n * sizeof(*vm));
		proxmox_plan(vm, rows[i].n, rows[i].goal_mb * MB, 100 * MB);
		expect_balloons(vm, rows[i].status, rows[i].n, rows[i].expected_mb, rows[i].goal_mb);
	}
}

/* Passes until nothing changes; what a guest gets is free in it. */
static void proxmox_settle(struct proxmox_vm *vm, size_t n, int64_t goal)
{
	bool changed = true;

	while (changed) {
		changed = false;
		proxmox_plan(vm, n, goal, 100 * MB);
		for (size_t i = 0; i < n; i++) {
			int64_t by = vm[i].new - vm[i].balloon;

			changed |= by != 0;
			goal -= by;
			vm[i].free = vm[i].free + by > 0 ? vm[i].free + by : 0;
			vm[i].balloon = vm[i].new;
		}
	}
}

static void test_proxmox_until_stable(void **state)
{
	static const struct {
		int64_t goal_mb, expected_mb[2];
	} rows[] = {{180, {1120, 1060}}, {270, {1180, 1090}}, {600, {1300, 1300}}, {900, {1600, 1300}}};
	static const struct {
		int64_t goal_mb, expected_mb[3];
	} down[] = {{-200, {2000, 1200, 1200}}, {-400, {2000, 1200, 1000}}, {-593, {2000, 1007, 1000}}};
	struct proxmox_vm high[3];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct proxmox_vm vm[2];

		memcpy(vm, status1, sizeof(vm));
		proxmox_settle(vm, 2, rows[i].goal_mb * MB);
		expect_balloons(vm, vm, 2, rows[i].expected_mb, rows[i].goal_mb);
	}
	memcpy(high, status3, sizeof(high));
	proxmox_settle(high, 3, 593 * MB);
	expect_balloons(high, high, 3, (int64_t[]){2000, 1300, 1300}, 593);
	for (size_t i = 0; i < COUNT(down); i++) {
		struct proxmox_vm vm[3];

		memcpy(vm, high, sizeof(vm));
		proxmox_settle(vm, 3, down[i].goal_mb * MB);
		expect_balloons(vm, vm, 3, down[i].expected_mb, down[i].goal_mb);
	}
}

/* 32 GB, 16 used: 9 to share; the database's machine gets half of it (qm.adoc). */
static void test_proxmox_documentation(void **state)
{
	struct proxmox_vm vm[] = {
	    {.max = 32 * GB, .shares = 3000, .balloon = GB, .min = GB},
	    {.max = 32 * GB, .shares = 1000, .balloon = GB, .min = GB},
	    {.max = 32 * GB, .shares = 1000, .balloon = GB, .min = GB},
	    {.max = 32 * GB, .shares = 1000, .balloon = GB, .min = GB},
	};

	(void)state;
	proxmox_plan(vm, 4, 9 * GB, 100 * GB);
	assert_int_equal(vm[0].new - vm[0].min, 9 * GB / 2);
	assert_int_equal(vm[3].new - vm[3].min, 3 * GB / 2);
}

/* ---- squeezed: squeeze_test.ml ---- */

struct driver { /* how a domain's balloon moves */
	int64_t rate_kibps;
	int64_t lowest_kib, highest_kib; /* 0: no limit */
	double works_s;                  /* in turns it works and is stuck for so long; 0: always works */
};

struct scenario {
	const char *id;
	int64_t free_kib, required_kib;
	bool succeeds, one_phase, exact;
	struct squeezed_domain domain[2];
	struct driver driver[2];
};

#define DOMAIN(min, target, max, inaccuracy)                                                                           \
	{                                                                                                              \
		.min_kib = min, .target_kib = target, .max_kib = max, .actual_kib = target,                            \
		.inaccuracy_kib = inaccuracy, .can_balloon = true                                                      \
	}

#define SCENARIO_A                                                                                                     \
	.free_kib = 0, .required_kib = 1000, .domain = {DOMAIN(1000, 1500, 2000, 4), DOMAIN(2500, 3500, 4500, 4)},     \
	.driver = {{.rate_kibps = 100, .lowest_kib = 1250}, {.rate_kibps = 500, .works_s = 0.25}}
#define SCENARIO_E                                                                                                     \
	.free_kib = 0, .required_kib = 1000, .domain = {DOMAIN(5000, 7000, 7000, 0), DOMAIN(5000, 6000, 11000, 0)},    \
	.driver = {{0}, {.rate_kibps = 100}}

static const struct scenario scenarios[] = {
    {"a", SCENARIO_A, .succeeds = true},
    {"b", .required_kib = 1000, .succeeds = true, .domain = {DOMAIN(500, 3500, 4500, 4), DOMAIN(500, 1500, 2500, 4)},
     .driver = {{.rate_kibps = 100, .works_s = 3}, {.rate_kibps = 100, .works_s = 1.5}}},
    {"c", .required_kib = 1500, .domain = {DOMAIN(1000, 1500, 2000, 0), DOMAIN(2000, 2500, 3000, 0)},
     .driver = {{.rate_kibps = 100}, {.rate_kibps = 100}}},
    {"d", .required_kib = 1000, .domain = {DOMAIN(1000, 1500, 2000, 0), DOMAIN(2000, 2500, 3000, 0)},
     .driver = {{.rate_kibps = 100}, {.rate_kibps = 100, .lowest_kib = 2250}}},
    {"e", SCENARIO_E, .succeeds = true},
    {"f", SCENARIO_E, .one_phase = true},
    {"g", SCENARIO_A, .exact = true},
    {"h", .free_kib = 1000, .succeeds = true, .domain = {DOMAIN(1000, 1500, 2000, 4), DOMAIN(1000, 1500, 2000, 4)},
     .driver = {{.rate_kibps = 100, .highest_kib = 1500}, {.rate_kibps = 100}}},
};

#define STEP_S 0.1

static bool works(const struct driver *m, double now_s)
{
	return m->works_s <= 0 || (int)(now_s / m->works_s) % 2 == 0;
}

static int64_t moved_kib(const struct squeezed_domain *d, const struct driver *m, double now_s)
{
	int64_t way = d->target_kib - d->actual_kib, left = (way < 0 ? -way : way) - d->inaccuracy_kib;
	int64_t most = (int64_t)(STEP_S * (double)m->rate_kibps), by;

	if (left <= 0 || !works(m, now_s) || !works(m, now_s + STEP_S))
		return 0;
	by = left < most ? left : most;
	by = way < 0 ? -by : by;
	if (m->lowest_kib && by < 0 && d->actual_kib + by < m->lowest_kib)
		return m->lowest_kib - d->actual_kib;
	if (m->highest_kib && d->actual_kib + by > m->highest_kib)
		return m->highest_kib - d->actual_kib;
	return by;
}

/* False where a domain would take more than there is. */
static bool drivers_move(struct squeezed_domain *d, const struct driver *m, double now_s, int64_t *free_kib)
{
	for (size_t i = 0; i < 2; i++) {
		int64_t by = moved_kib(&d[i], &m[i], now_s);

		if (by > *free_kib)
			return false;
		d[i].actual_kib += by;
		*free_kib -= by;
	}
	return true;
}

static bool has_freed(int64_t free_kib, int64_t host_target_kib)
{
	return free_kib >= host_target_kib;
}

static bool has_given_back(int64_t free_kib, int64_t host_target_kib)
{
	return free_kib <= host_target_kib + 32;
}

/* Even were every domain to take all that its target allows, this much is free. */
static bool is_guaranteed(const struct squeezed_domain *d, int64_t free_kib, int64_t required_kib)
{
	for (size_t i = 0; i < 2; i++)
		free_kib -= d[i].target_kib + d[i].inaccuracy_kib - d[i].actual_kib;
	return free_kib >= required_kib;
}

static bool squeeze(const struct squeezed_run *run, struct squeezed_domain *d, const struct driver *m, double *now_s,
                    int64_t *free_kib)
{
	for (size_t i = 0; i < 2; i++)
		d[i].watched = d[i].stuck = false;
	for (;;) {
		enum squeezed_result r = squeezed_round(run, d, 2, *free_kib, (uint64_t)(*now_s * 1000 + 0.5));

		if (r != SQUEEZED_ADJUST)
			return r == SQUEEZED_SUCCESS;
		for (size_t i = 0; i < 2; i++)
			d[i].target_kib = d[i].new_kib;
		if (!drivers_move(d, m, *now_s, free_kib))
			return false;
		*now_s += STEP_S;
	}
}

/* Frees what is required, uses half a megabyte of it, gives the rest back. */
static bool play(const struct scenario *s)
{
	struct squeezed_run run = {
	    .host_target_kib = s->required_kib, .succeeded = has_freed, .one_phase = s->one_phase, .exact = s->exact};
	struct squeezed_domain d[2] = {s->domain[0], s->domain[1]};
	int64_t free_kib = s->free_kib;
	double now_s = 0;

	if (!squeeze(&run, d, s->driver, &now_s, &free_kib) || !is_guaranteed(d, free_kib, s->required_kib))
		return false;
	free_kib -= 500;
	run.host_target_kib = 0;
	run.succeeded = has_given_back;
	return squeeze(&run, d, s->driver, &now_s, &free_kib) && is_guaranteed(d, free_kib, 0);
}

static void test_squeezed(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(scenarios); i++)
		if (play(&scenarios[i]) != scenarios[i].succeeds)
			fail_msg("scenario %s was to %s", scenarios[i].id, scenarios[i].succeeds ? "succeed" : "fail");
}

/* ---- qmemman: qubes/tests/qmemman.py ---- */

static void test_qmemman_parse(void **state)
{
	static const char *const refused[] = {
	    "", "a4096", "4096a", "4096 1024", "4096\n1024", "-1", "99999999999999999"};
	int64_t bytes = 0;

	(void)state;
	assert_int_equal(qmemman_parse("4096", &bytes), 0);
	assert_int_equal(bytes, 4194304);
	for (size_t i = 0; i < COUNT(refused); i++)
		assert_int_equal(qmemman_parse(refused[i], &bytes), -EINVAL);
}

#define QUBE(used_mib, max_mib, actual_mib)                                                                            \
	{                                                                                                              \
		.has_used = true, .used = used_mib * MIB, .max = max_mib * MIB, .actual = actual_mib * MIB             \
	}
#define DOM0(used_mib, max_mib, actual_mib)                                                                            \
	{                                                                                                              \
		.has_used = true, .used = used_mib * MIB, .max = max_mib * MIB, .actual = actual_mib * MIB,            \
		.host = true                                                                                           \
	}
#define MUTE                                                                                                           \
	{                                                                                                              \
		.max = 4096 * MIB, .actual = 4096 * MIB                                                                \
	}

static int64_t tenths_mib(int64_t tenths)
{
	return (int64_t)((double)tenths / 10 * (double)MIB);
}

static void test_qmemman_preference(void **state)
{
	struct qmemman_domain dom0 = DOM0(1024, 4096, 0), d = QUBE(1024, 4096, 1024);

	(void)state;
	assert_int_equal(qmemman_pref(&dom0), tenths_mib(16812));
	assert_int_equal(qmemman_pref(&d), tenths_mib(13312));
	assert_int_equal(qmemman_need(&d), tenths_mib(3072));
	d.actual = 2024 * MIB;
	assert_int_equal(qmemman_need(&d), (int64_t)(-692.800001 * (double)MIB));
	d.used = dom0.used = 5000 * MIB;
	assert_int_equal(qmemman_pref(&d), 4096 * MIB);
	assert_int_equal(qmemman_pref(&dom0), 4096 * MIB);
}

static void expect_requests(const struct qmemman_request *r, size_t n, const struct qmemman_request *expected,
                            size_t n_expected)
{
	assert_int_equal(n, n_expected);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(r[i].domain, expected[i].domain);
		assert_int_equal(r[i].target, expected[i].target);
	}
}

static void test_qmemman_make_room(void **state)
{
	static const struct qmemman_request expected[] = {{0, 1794242737}, {1, 1196296014}};
	struct qmemman_domain d[] = {DOM0(1024, 4096, 1736), QUBE(1024, 4096, 1536), QUBE(4096, 4096, 4096), MUTE};
	struct qmemman_request r[COUNT(d)];

	(void)state;
	assert_int_equal(qmemman_make_room(d, COUNT(d), 400 * MIB, r), 0);
	d[1].used = 512 * MIB;
	expect_requests(r, qmemman_make_room(d, COUNT(d), 400 * MIB, r), expected, COUNT(expected));
}

static void test_qmemman_enough(void **state)
{
	static const struct qmemman_request expected[] = {
	    {0, 3068708976}, {1, 2548378128}, {2, 4294967296}, {4, 3537898734}, {5, 1073741824}};
	struct qmemman_domain d[] = {DOM0(1024, 4096, 1736), QUBE(1024, 4096, 1536), QUBE(4096, 4096, 4096), MUTE,
	                             QUBE(1536, 4096, 1536), QUBE(512, 1024, 768)};
	struct qmemman_request r[COUNT(d)];

	(void)state;
	expect_requests(r, qmemman_share(d, COUNT(d), 4096 * MIB, r), expected, COUNT(expected));
}

/* Those in need get nothing although donors are about to give 250 MiB: the sign quirk. */
static void test_qmemman_low(void **state)
{
	static const struct qmemman_request expected[] = {{1, 1395864371}, {5, 697932185}};
	struct qmemman_domain d[] = {DOM0(1024, 4096, 768),  QUBE(1024, 4096, 1536), QUBE(4096, 4096, 4096), MUTE,
	                             QUBE(1536, 4096, 1536), QUBE(512, 1024, 768)};
	struct qmemman_request r[COUNT(d)];

	(void)state;
	expect_requests(r, qmemman_balance(d, COUNT(d), 50 * MIB, r), expected, COUNT(expected));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_original),
	    cmocka_unit_test(test_mom),
	    cmocka_unit_test(test_proxmox_pass),
	    cmocka_unit_test(test_proxmox_until_stable),
	    cmocka_unit_test(test_proxmox_documentation),
	    cmocka_unit_test(test_squeezed),
	    cmocka_unit_test(test_qmemman_parse),
	    cmocka_unit_test(test_qmemman_preference),
	    cmocka_unit_test(test_qmemman_make_room),
	    cmocka_unit_test(test_qmemman_enough),
	    cmocka_unit_test(test_qmemman_low),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
