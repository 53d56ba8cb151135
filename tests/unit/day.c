/* SPDX-License-Identifier: MIT */
/*
 * Two days of passes by a clock of the test's own: the histories, the advice and the picture that come of them, beside
 * what the test computes from the loads themselves, by other means.
 */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/units.h"
#include "folder.h"
#include "host/recorder.h"
#include "show/advice.h"
#include "show/picture.h"

#define OWN "qemu:///system"
#define UUID "11111111-0000-4000-8000-00000000000"
#define DAY_S UINT64_C(86400)
#define END_S (UINT64_C(20420) * DAY_S) /* a midnight, in UTC */
#define MINUTES 2880
#define BEGIN_S (END_S - MINUTES * UINT64_C(60))
#define QUARTERS (MINUTES / 15)
#define PATIENT_MS 60000 /* for a machine that is slow */

static char root[FOLDER_BYTES];

/* ---- loads: what a guest uses in a minute, in whole pages ---- */

static uint64_t steady(uint32_t minute)
{
	return KIB_PER_GIB + 4 * (minute % 15); /* by no more than a bucket */
}

static uint64_t day_and_night(uint32_t minute)
{
	return minute / 720 % 2 ? 2 * KIB_PER_GIB : KIB_PER_GIB / 2;
}

static uint64_t leak(uint32_t minute)
{
	return KIB_PER_GIB / 4 + 600 * (uint64_t)minute;
}

static uint64_t distressed(uint32_t minute)
{
	return KIB_PER_GIB / 4 + 4 * (minute % 720);
}

static const struct load {
	const char *name;
	uint64_t (*used_kib)(uint32_t minute);
	uint32_t distress_minutes; /* the last */
} loads[] = {{"steady", steady, 0}, {"day-and-night", day_and_night, 0}, {"leak", leak, 0}, {"worse", distressed, 90}};

#define GUESTS (sizeof(loads) / sizeof(*loads))
#define ACTUAL_KIB (4 * KIB_PER_GIB)

static struct guest guest_at(size_t i, uint32_t minute)
{
	bool distress = minute >= MINUTES - loads[i].distress_minutes;
	struct guest g = {
	    .name = (char *)(uintptr_t)loads[i].name,
	    .answered = true,
	    .sample = {.have = SAMPLE_ACTUAL, .actual_kib = ACTUAL_KIB},
	    .est = {.has_used = true, .used_kib = loads[i].used_kib(minute)},
	    .plan = {.want_kib = ACTUAL_KIB, .reason = distress ? REASON_DISTRESS : REASON_AT_TARGET},
	};

	snprintf(g.uuid, sizeof(g.uuid), UUID "%zu", i);
	return g;
}

/* Each minute is on the disk before the next begins, which this clock would not wait for. */
static int pass_for_two_days(void **state)
{
	struct recorder recorder = {.root = root};
	struct host host = {.total_kib = 64 * KIB_PER_GIB, .available_kib = 16 * KIB_PER_GIB};
	struct guest guest[GUESTS];
	int error = 0;

	(void)state;
	if (folder_make(root, "day"))
		return -1;
	for (uint32_t minute = 0; minute < MINUTES && !error; minute++) {
		uint64_t ms = minute * UINT64_C(60000);

		for (size_t i = 0; i < GUESTS; i++)
			guest[i] = guest_at(i, minute);
		recorder_add(&recorder, OWN, &host, guest, GUESTS,
		             (struct instant){.now_ms = 1 + ms, .wall_ms = BEGIN_S * 1000 + ms});
		recorder_end(&recorder, clock_ms(CLOCK_BOOTTIME) + PATIENT_MS);
		error = recorder.error;
	}
	return error;
}

static int remove_all(void **state)
{
	(void)state;
	return folder_remove(root);
}

/* Until the last second of the days. */
static struct timeline read_timeline(size_t i, uint64_t since_s)
{
	int dir = history_dir(root, OWN, false);
	struct timeline t = {.n = 0};
	char uuid[UUID_TEXT];

	snprintf(uuid, sizeof(uuid), UUID "%zu", i);
	assert_int_equal(timeline_read(dir, uuid, since_s, END_S - 1, &t), 0);
	close(dir);
	return t;
}

/* ---- the histories ---- */

static void assert_bucket(const struct load *load, const struct bucket *b, uint32_t first, uint32_t n)
{
	const struct bucket_figure *f = &b->figure[FIGURE_USED];
	uint64_t least = UINT64_MAX, most = 0;
	double sum = 0;

	for (uint32_t minute = first; minute < first + n; minute++) {
		uint64_t kib = load->used_kib(minute);

		least = kib < least ? kib : least;
		most = kib > most ? kib : most;
		sum += (double)kib;
	}
	assert_int_equal(f->n, n);
	assert_int_equal(f->least, least);
	assert_int_equal(f->most, most);
	assert_true(fabs((double)bucket_mean(f) - sum / n) <= 12); /* rounded to pages at three levels */
}

static void test_histories(void **state)
{
	(void)state;
	for (size_t i = 0; i < GUESTS; i++) {
		struct timeline day = read_timeline(i, DAY_S), two_days = read_timeline(i, 2 * DAY_S),
				month = read_timeline(i, 32 * DAY_S);

		assert_int_equal(day.n, 1440);
		for (uint32_t k = 0; k < 1440; k++)
			assert_bucket(&loads[i], &day.bucket[k], 1440 + k, 1);
		assert_int_equal(two_days.n, QUARTERS);
		for (uint32_t k = 0; k < QUARTERS; k++)
			assert_bucket(&loads[i], &two_days.bucket[k], 15 * k, 15);
		assert_bucket(&loads[i], &month.bucket[month.n - 1], 1440, 1440);
		assert_bucket(&loads[i], &month.bucket[month.n - 2], 0, 1440);
		assert_int_equal(month.bucket[month.n - 3].number, 0);
		timeline_clear(&day);
		timeline_clear(&two_days);
		timeline_clear(&month);
	}
}

/* ---- the advice: the autoscaler's arithmetic on a sorted list of peaks, without a histogram ---- */

struct peak {
	double end, weight; /* of the bucket that it falls in, in bytes */
};

/* start(k) = 1e7 × (1.05^k − 1) / 0.05 is start(k) = 1.05 × start(k − 1) + 1e7. */
static double end_of_bucket(double bytes)
{
	double end = 1e7;

	while (end <= bytes)
		end = 1.05 * end + 1e7;
	return end;
}

static struct peak peak_of(const struct load *load, uint32_t quarter)
{
	double bytes = 0, age_s = (double)(QUARTERS - quarter) * 900 - 1;

	for (uint32_t i = 0; i < 15; i++)
		bytes = fmax(bytes, (double)load->used_kib(15 * quarter + i) * 1024);
	if (15 * quarter >= MINUTES - load->distress_minutes)
		bytes = fmax(1.2 * bytes, bytes + 100 * 1048576.);
	return (struct peak){.end = end_of_bucket(bytes), .weight = 15 * pow(0.5, age_s / 86400)};
}

static int order_of_peaks(const void *a, const void *b)
{
	double one = ((const struct peak *)a)->end, other = ((const struct peak *)b)->end;

	return (one > other) - (one < other);
}

static double percentile(const struct peak *peak, double share)
{
	double total = 0, sum = 0;
	size_t i = 0;

	for (size_t k = 0; k < QUARTERS; k++)
		total += peak[k].weight;
	while (i < QUARTERS - 1 && sum + peak[i].weight < share * total)
		sum += peak[i++].weight;
	return peak[i].end;
}

struct limits {
	double p50, p90, p98, min, max; /* bytes */
};

static struct limits limits_of(const struct load *load)
{
	const double days = (MINUTES * 60. - 1) / 86400; /* the last second is still to come */
	struct peak peak[QUARTERS];
	struct limits l;

	for (uint32_t k = 0; k < QUARTERS; k++)
		peak[k] = peak_of(load, k);
	qsort(peak, QUARTERS, sizeof(*peak), order_of_peaks);
	l = (struct limits){percentile(peak, 0.5), percentile(peak, 0.9), percentile(peak, 0.98), 0, 0};
	l.min = l.p50 * 1.15 / ((1 + 0.001 / days) * (1 + 0.001 / days));
	l.max = l.p98 * 1.15 * (1 + 1 / days);
	return l;
}

/* The number of a key in the object of a guest. */
static double advised(const char *json, const char *name, const char *key)
{
	char object[64], member[32];
	const char *at;

	snprintf(object, sizeof(object), "{\"name\":\"%s\"", name);
	snprintf(member, sizeof(member), "\"%s\":", key);
	at = strstr(json, object);
	assert_non_null(at);
	at = strstr(at, member);
	assert_non_null(at);
	return strtod(at + strlen(member), NULL);
}

static void assert_near(const char *json, const char *name, const char *key, double bytes, double rounding)
{
	double told = advised(json, name, key);

	if (told < bytes - 1024 || told > bytes + rounding)
		fail_msg("%s: %s: %.0f, not %.0f", name, key, told, bytes);
}

static void test_advice(void **state)
{
	const struct table_style style = {.unit = TABLE_KIB};
	struct timeline t[GUESTS];
	double swing[GUESTS], sum = 0;
	struct memfile m;

	(void)state;
	assert_true(memfile_open(&m));
	for (size_t i = 0; i < GUESTS; i++)
		t[i] = read_timeline(i, ADVICE_SINCE_S);
	assert_int_equal(advice_report(m.out, t, GUESTS, END_S - 1, &style, true), 0);
	assert_int_equal(memfile_close(&m), 0);
	for (size_t i = 0; i < GUESTS; i++) {
		const struct limits l = limits_of(&loads[i]);

		assert_near(m.text, loads[i].name, "p50_bytes", l.p50, 0);
		assert_near(m.text, loads[i].name, "p90_bytes", l.p90, 0);
		assert_near(m.text, loads[i].name, "p98_bytes", l.p98, 0);
		assert_near(m.text, loads[i].name, "min_bytes", l.min, 1048576);
		assert_near(m.text, loads[i].name, "max_bytes", l.max, 1048576);
		sum += swing[i] = l.p98 - l.p50;
	}
	for (size_t i = 0; i < GUESTS; i++)
		assert_int_equal(advised(m.text, loads[i].name, "weight"),
		                 10 * fmax(1, round(10 * swing[i] / (sum / GUESTS))));
	for (size_t i = 0; i < GUESTS; i++)
		timeline_clear(&t[i]);
	free(m.text);
}

/* ---- the picture ---- */

/* Reads a letter and numbers of a path. */
static void read_step(const char **path, char letter, size_t n, double *ret_number)
{
	assert_int_equal(**path, letter);
	for (++*path; n; n--, ret_number++) {
		char *end;

		*ret_number = strtod(*path, &end);
		assert_ptr_not_equal(end, *path);
		*path = end;
	}
}

/* The area is from 800 to 9400 and from 3000, for nothing, up to 500, for the largest size. */
static void assert_area(const char *svg, const char *figure, uint64_t (*kib)(uint32_t minute))
{
	char begin[64];
	const char *path;
	double at[2], right;

	snprintf(begin, sizeof(begin), "<path class=\"%s\" d=\"", figure);
	path = strstr(svg, begin);
	assert_non_null(path);
	path += strlen(begin);
	read_step(&path, 'M', 2, at);
	assert_true(at[0] == 800 && at[1] == 3000);
	for (uint32_t i = 0; i < 1440; i++) {
		read_step(&path, 'L', 2, at);
		read_step(&path, 'H', 1, &right);
		assert_true(fabs(at[0] - (800 + 8600. * i / 1440)) <= 1);
		assert_true(fabs(right - (800 + 8600. * (i + 1) / 1440)) <= 1);
		assert_true(fabs(at[1] - (3000 - 2500. * (double)kib(1440 + i) / ACTUAL_KIB)) <= 1);
	}
	assert_memory_equal(path, "V3000z\"", 7);
}

static uint64_t actual(uint32_t minute)
{
	(void)minute;
	return ACTUAL_KIB;
}

static void test_pictures(void **state)
{
	(void)state;
	for (size_t i = 0; i < GUESTS; i++) {
		struct timeline t = read_timeline(i, DAY_S);
		unsigned alarms = 0;
		struct memfile m;

		assert_true(memfile_open(&m));
		assert_int_equal(picture_write(m.out, &t), 0);
		assert_int_equal(memfile_close(&m), 0);
		assert_area(m.text, "used", loads[i].used_kib);
		assert_area(m.text, "actual", actual);
		for (const char *p = m.text; (p = strstr(p, "<title>distress</title>")); p++)
			alarms++;
		assert_int_equal(alarms, loads[i].distress_minutes);
		timeline_clear(&t);
		free(m.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_histories),
	    cmocka_unit_test(test_advice),
	    cmocka_unit_test(test_pictures),
	};

	return cmocka_run_group_tests(tests, pass_for_two_days, remove_all);
}
