/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/units.h"
#include "show/status.h"

#define GIB(n) ((n)*UINT64_C(1048576))
#define NOW_S UINT64_C(1764338400)

#define SUMS                                                                                                           \
	.now_s = NOW_S, .guests = 30, .maximum_kib = GIB(214), .actual_kib = GIB(132), .used_kib = GIB(96),            \
	.given_back_kib = GIB(82)
#define PASS(age_s, ms) .has_pass = true, .pass = {.ended_s = NOW_S - (age_s), .interval_ms = (ms)}
#define GUARD(at, for_s)                                                                                               \
	.presence = GUARD_PRESENT, .guard = {.level = GUARD_##at,                                                      \
	                                     .since_s = NOW_S - (for_s),                                               \
	                                     .lack_kib = GIB(2),                                                       \
	                                     .freed_kib = GIB(1),                                                      \
	                                     .written_s = NOW_S}
#define LONG "30 guests: 214G maximum, 132G now, 96G used, 82G given back; "
#define BRIEF "30 guests: 132G of 214G; "

static const struct {
	struct status status;
	const char *text, *brief;
} rows[] = {
    {{SUMS, PASS(12, 5000), GUARD(CALM, 9)},
     LONG "last pass 12 s ago (loop 5 s); guard: calm",
     BRIEF "last pass 12 s ago (loop 5 s); guard: calm"},
    {{SUMS, PASS(12, 5000), GUARD(CALM, 9), .swapping = 2},
     "30 guests: 214G maximum, 132G now, 96G used, 82G given back; 2 SWAPPING; last pass 12 s ago (loop 5 s); guard: "
     "calm",
     BRIEF "2 SWAPPING; last pass 12 s ago (loop 5 s); guard: calm"},
    {{SUMS, PASS(12, 5000), GUARD(CALM, 9), .shortage_kib = GIB(3)},
     LONG "SHORT of 3G; last pass 12 s ago (loop 5 s); guard: calm",
     BRIEF "SHORT of 3G; last pass 12 s ago (loop 5 s); guard: calm"},
    {{SUMS, PASS(60, 0), GUARD(TIGHT, 9)},
     LONG "last pass 60 s ago (single); guard: tight for 9 s, lacks 2G, freed 1G",
     BRIEF "last pass 60 s ago (single); guard: tight for 9 s"},
    {{SUMS, PASS(1000, 500), GUARD(CRITICAL, 130)},
     LONG "NO PASS for 16 min (loop 0.5 s); guard: critical for 2 min, lacks 2G, freed 1G",
     BRIEF "NO PASS for 16 min (loop 0.5 s); guard: critical for 2 min"},
    {{SUMS}, LONG "no pass yet; guard: not running", BRIEF "no pass yet; guard: not running"},
    {{SUMS, PASS(1000, 1000), .paused_ms = 1790001, .presence = GUARD_SILENT, .guard.written_s = NOW_S - 90},
     LONG "paused for another 29 min; guard: silent for 90 s",
     BRIEF "paused for another 29 min; guard: silent for 90 s"},
    {{SUMS, PASS(1, 60000), .remote = true},
     LONG "last pass 1 s ago (loop 60 s)",
     BRIEF "last pass 1 s ago (loop 60 s)"},
    {{.now_s = NOW_S},
     "no running guests; no pass yet; guard: not running",
     "no running guests; no pass yet; guard: not running"},
    {{.now_s = NOW_S, .guests = 1, .maximum_kib = GIB(2), .actual_kib = GIB(2), .remote = true},
     "1 guest: 2G maximum, 2G now, 0K used, 0K given back; no pass yet",
     "1 guest: 2G of 2G; no pass yet"},
};

static void test_line(void **state)
{
	char text[TEXT_STATUS];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_string_equal(text_status(text, sizeof(text), &rows[i].status, false), rows[i].text);
		assert_string_equal(text_status(text, sizeof(text), &rows[i].status, true), rows[i].brief);
		assert_string_equal(text_status(text, 8, &rows[i].status, false), rows[i].status.guests == 1 ? "1 guest"
		                                                                  : rows[i].status.guests    ? "30 gues"
		                                                                                          : "no runn");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_line)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
