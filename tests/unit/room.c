/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/units.h"
#include "show/room.h"

#define MIB KIB_PER_MIB
#define GIB KIB_PER_GIB
#define MANY 12

#pragma GCC diagnostic ignored "-Wmissing-field-initializers" /* rows say what is not usual */

static const struct {
	const char *text, *name;
	struct device device;
	struct fit fit;
	uint64_t taken_mib[MANY]; /* of guests a, b and so on */
	bool pages_unknown, unguarded;
} rows[] = {
    {"yes: 4 GiB fit; nothing is taken from other guests; no more such guest fits", .fit = {.need_kib = 4160 * MIB}},
    {"yes: 4 GiB fit; nothing is taken from other guests; 1 more such guest fits",
     .fit = {.need_kib = 4160 * MIB, .more = 1}},
    {"yes: db (4 GiB) fits; 512 MiB are taken from a, 100 MiB from c; 12 more such guests fit",
     "db",
     {.current_kib = 4 * GIB},
     {.need_kib = 4160 * MIB, .more = 12},
     {512, 0, 100}},
    {"yes: db (4 GiB) fits; 1 MiB are taken from a, 1 MiB from b, 1 MiB from c, 1 MiB from d, 1 MiB from e, 1 MiB from "
     "f, "
     "1 MiB from g, 1 MiB from h and 5 MiB from 2 more; no more such guest fits",
     "db",
     {.current_kib = 4 * GIB},
     {.need_kib = 4160 * MIB},
     {1, 1, 1, 1, 1, 1, 1, 1, 2, 3}},
    {"yes: db (all of its 8 GiB at once) fits; nothing is taken from other guests; no more such guest fits",
     "db",
     {.current_kib = 4 * GIB},
     {.need_kib = 8256 * MIB}},
    {"yes: db (8 GiB on huge pages) fits; nothing is taken from other guests; no more such guest fits; whether the "
     "host "
     "has these huge pages is not known",
     "db",
     {.current_kib = 4 * GIB},
     {.need_kib = 64 * MIB, .pages_kib = 8 * GIB},
     .pages_unknown = true},
    {"yes: a\\x1Bb (4 GiB) fits; 1 GiB are taken from a; no more such guest fits; memguard is not running, so room is "
     "made "
     "only by passes",
     "a\033b",
     {.current_kib = 4 * GIB},
     {.need_kib = 4160 * MIB},
     {1024},
     .unguarded = true},
    {"only by taking headroom: 4 GiB fit; 512 MiB are taken from a; up to 3 GiB fit without that",
     .fit = {.answer = FIT_HEADROOM, .need_kib = 4160 * MIB, .largest_kib = 3 * GIB, .most_kib = 5 * GIB},
     .taken_mib = {512}},
    {"only by taking headroom: 4 GiB fit; guests must not touch what they were given and have not touched; nothing "
     "fits "
     "without that",
     .fit = {.answer = FIT_HEADROOM, .need_kib = 4160 * MIB, .most_kib = 5 * GIB}},
    {"no: 4 GiB are 812 MiB short; nothing fits",
     .fit = {.answer = FIT_NO, .need_kib = 4160 * MIB, .short_kib = 812 * MIB}},
    {"no: db (4 GiB) is 812 MiB short; up to 3 GiB fit by taking headroom",
     "db",
     {.current_kib = 4 * GIB},
     {.answer = FIT_NO, .need_kib = 4160 * MIB, .short_kib = 812 * MIB, .largest_kib = 2 * GIB, .most_kib = 3 * GIB}},
    {"no: db (4 GiB) is 812 MiB short; up to 3 GiB fit",
     "db",
     {.current_kib = 4 * GIB},
     {.answer = FIT_NO, .need_kib = 4160 * MIB, .short_kib = 812 * MIB, .largest_kib = 3 * GIB, .most_kib = 3 * GIB}},
    {"no: db (8 GiB on huge pages) is 1 GiB of huge pages short",
     "db",
     {.current_kib = 4 * GIB},
     {.answer = FIT_NO, .need_kib = 64 * MIB, .pages_kib = 8 * GIB, .pages_short_kib = GIB}},
    {"no: db (8 GiB on huge pages) is 64 MiB short and 1 GiB of huge pages short; nothing fits",
     "db",
     {.current_kib = 4 * GIB},
     {.answer = FIT_NO, .need_kib = 64 * MIB, .short_kib = 64 * MIB, .pages_kib = 8 * GIB, .pages_short_kib = GIB}},
};

static void test_sentences(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct candidate candidate = {(char *)rows[i].name, rows[i].device};
		char names[MANY][2], sentence[TEXT_ROOM];
		struct guest guest[MANY] = {{.name = NULL}};
		struct room r = {.candidate = &candidate,
		                 .fit = rows[i].fit,
		                 .guest = guest,
		                 .n = MANY,
		                 .pages_unknown = rows[i].pages_unknown,
		                 .guarded = !rows[i].unguarded};

		for (size_t k = 0; k < MANY; k++) {
			memcpy(names[k], (char[2]){(char)('a' + (char)k)}, 2);
			guest[k].name = names[k];
			guest[k].sample.actual_kib = 9 * GIB;
			guest[k].plan.want_kib = 9 * GIB - rows[i].taken_mib[k] * MIB;
			r.fit.taken_kib += rows[i].taken_mib[k] * MIB;
		}
		assert_string_equal(text_room(sentence, sizeof(sentence), &r), rows[i].text);
	}
}

/* Names as long as they may be do not make it too long. */
static void test_long_names(void **state)
{
	char name[4096], sentence[TEXT_ROOM];
	struct candidate candidate = {name, {.current_kib = GIB}};
	struct guest guest[MANY] = {{.name = NULL}};
	struct room r = {.candidate = &candidate, .fit = {.need_kib = GIB}, .guest = guest, .n = MANY};

	(void)state;
	memset(name, '\033', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	for (size_t k = 0; k < MANY; k++) {
		guest[k].name = name;
		guest[k].sample.actual_kib = GIB;
		r.fit.taken_kib += GIB;
	}
	text_room(sentence, sizeof(sentence), &r);
	assert_string_equal(strrchr(sentence, ';'), "; memguard is not running, so room is made only by passes");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_sentences), cmocka_unit_test(test_long_names)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
