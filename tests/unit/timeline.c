/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <libxml/parser.h>
#include <libxml/xpath.h>

#include "base/io.h"
#include "base/units.h"
#include "cli/past.h"
#include "folder.h"
#include "show/advice.h"
#include "show/picture.h"

#define UUID "11111111-0000-4000-8000-000000000001"
#define NOW_S UINT64_C(1764338400) /* 2025-11-28 14:00 UTC */
#define NAME "<web> & \"\x1b[31m\xc3\xa9"

static char root[FOLDER_BYTES];
static int dir, file;
static struct timeline t;
static struct memfile m;

/* Two hours in minutes, with a gap of ten: used rises from 1 to 2 GiB. */
static int set_up(void **state)
{
	const struct history_move move[] = {
	    {.wall_ms = (NOW_S - 86400) * 1000, .from_kib = KIB_PER_GIB, .asked_kib = 2 * KIB_PER_GIB, .reason = 1},
	    {.wall_ms = (NOW_S - 1800) * 1000,
	     .from_kib = 2 * KIB_PER_GIB,
	     .asked_kib = 3 * KIB_PER_GIB,
	     .has_reached = true,
	     .reached_kib = 5 * KIB_PER_GIB / 2,
	     .reason = REASON_GROWING},
	    {.wall_ms = (NOW_S - 2400) * 1000, /* written later, as another program did */
	     .from_kib = 3 * KIB_PER_GIB,
	     .asked_kib = 2 * KIB_PER_GIB,
	     .reason = REASON_HOST_RESERVE,
	     .by_guard = true},
	};

	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	if (folder_make(root, "timeline"))
		return -1;
	dir = history_dir(root, "qemu:///system", true);
	file = history_open_to_write(dir, UUID, NAME);
	for (uint32_t i = 0; i < 120; i++) {
		struct bucket b = {.number = bucket_number(BUCKET_MINUTE, NOW_S) - 119 + i};

		b.reasons = 1u << (i == 60 ? REASON_DISTRESS : REASON_AT_TARGET);
		bucket_add(&b, FIGURE_USED, KIB_PER_GIB + i * KIB_PER_GIB / 120);
		bucket_add(&b, FIGURE_ACTUAL, 4 * KIB_PER_GIB);
		bucket_add(&b, FIGURE_FAULTS, i);
		if ((i < 30 || i >= 40) && history_write(file, &b, NULL))
			return -1;
	}
	return file < 0 || history_write_moves(file, move, COUNT(move)) || timeline_read(dir, UUID, 7200, NOW_S, &t) ||
	       !memfile_open(&m);
}

static int tear_down(void **state)
{
	(void)state;
	timeline_clear(&t);
	free(m.text);
	m.text = NULL;
	close(file);
	close(dir);
	return folder_remove(root);
}

static const char *written(void)
{
	assert_int_equal(memfile_close(&m), 0);
	return m.text;
}

static void test_levels(void **state)
{
	static const struct {
		uint64_t since_s;
		enum bucket_level level;
		uint32_t n;
	} rows[] = {
	    {60, BUCKET_MINUTE, 1},
	    {86400, BUCKET_MINUTE, 1440},
	    {86401, BUCKET_QUARTER, 97},
	    {UINT64_C(31) * 86400, BUCKET_QUARTER, 2976},
	    {UINT64_C(32) * 86400, BUCKET_DAY, 32},
	    {UINT64_C(800) * 86400, BUCKET_DAY, 731},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		timeline_clear(&t);
		assert_int_equal(timeline_read(dir, UUID, rows[i].since_s, NOW_S, &t), 0);
		assert_int_equal(t.level, rows[i].level);
		assert_int_equal(t.n, rows[i].n);
		assert_int_equal(timeline_begin_s(&t, t.n) / BUCKET_SPAN_S(t.level),
		                 NOW_S / BUCKET_SPAN_S(t.level) + 1);
	}
	assert_int_equal(timeline_read(dir, HISTORY_HOST, 60, NOW_S, &t), -ENOENT);
	fclose(m.out);
}

static void test_sparkline(void **state)
{
	char spark[3 * 48 + 1];

	(void)state;
	assert_string_equal(timeline_spark(spark, 48, &t, FIGURE_USED, false),
	                    "------------    --------========================");
	assert_string_equal(timeline_spark(spark, 48, &t, FIGURE_FAULTS, false),
	                    "______......    --======++++++******######@@@@@@");
	assert_string_equal(timeline_spark(spark, 6, &t, FIGURE_USED, true), "▃▃▃▄▄▄");
	fclose(m.out);
}

static void test_table(void **state)
{
	const struct table_style style = {.unit = TABLE_HUMAN};
	const char *text;

	(void)state;
	assert_int_equal(timeline_table(m.out, &t, 1, &style), 0);
	text = written();
	assert_non_null(strstr(text, "2025-11-28 12:01 to 2025-11-28 14:01; a column is 2 min\n\n"));
	assert_non_null(strstr(text, "<web> & \"\\x1B[31m\\xC3\\xA9  actual     4G    4G    4G    4G  @@"));
	assert_non_null(strstr(text, "  used       1G  1.5G    2G    2G  "));
	assert_non_null(strstr(text, "  faults      0    62   119   119  _"));
	assert_null(strstr(text, "swap-in")); /* is not known */
}

static void test_lines_for_scripts(void **state)
{
	const struct table_style style = {.form = TABLE_RAW};
	const char *text;
	size_t lines = 0;

	(void)state;
	assert_int_equal(timeline_table(m.out, &t, 1, &style), 0);
	text = written();
	for (const char *p = text; (p = strchr(p, '\n')); p++)
		lines++;
	assert_int_equal(lines, 1 + 110);
	assert_non_null(strstr(text, " 1764331260 - 4194304 1048576 - - - - 0\n"));
}

static void test_json(void **state)
{
	const char *text;

	(void)state;
	timeline_json(m.out, &t, 1, NOW_S);
	text = written();
	assert_non_null(strstr(text,
	                       "{\"schema\":\"memsched.history/1\",\"until_seconds\":1764338400,\"bucket_seconds\":60,"
	                       "\"domains\":[{\"name\":\"<web> & \\\"\\u001b[31m\xc3\xa9\",\"uuid\":\"" UUID "\","));
	assert_non_null(strstr(text, "\"major_faults_per_second\":{\"least\":60,\"mean\":60,\"most\":60},"
	                             "\"reasons\":[\"distress\"]}"));
	/* that of yesterday is not of this time */
	assert_non_null(strstr(text,
	                       "\"moves\":[{\"time_seconds\":1764336000.000,\"program\":\"memguard\","
	                       "\"from_bytes\":3221225472,\"asked_bytes\":2147483648,\"reached_bytes\":null,"
	                       "\"reason\":\"host-reserve\"},"
	                       "{\"time_seconds\":1764336600.000,\"program\":\"membalance\",\"from_bytes\":2147483648,"
	                       "\"asked_bytes\":3221225472,\"reached_bytes\":2684354560,\"reason\":\"growing\"}]"));
}

static void test_explain(void **state)
{
	(void)state;
	timeline_explain(m.out, &t, NOW_S - 1000);
	timeline_explain(m.out, &t, NOW_S - 2000);
	timeline_explain(m.out, &t, NOW_S - 86000);
	assert_string_equal(written(),
	                    "in the minute that began at 2025-11-28 13:43: actual 4 GiB, used 1.8 GiB, faults 102/s; "
	                    "reasons: at-target\n"
	                    "at 13:30:00 a pass asked it to go from 2 GiB to 3 GiB (growing), and it reached 2.5 GiB\n"
	                    "in the minute that began at 2025-11-28 13:26: actual 4 GiB, used 1.7 GiB, faults 85/s; "
	                    "reasons: at-target\n"
	                    "at 13:20:00 memguard asked it to go from 3 GiB to 2 GiB (host-reserve)\n"
	                    "at 13:30:00 a pass asked it to go from 2 GiB to 3 GiB (growing), and it reached 2.5 GiB\n"
	                    "there is no record of that time\n"
	                    "at 14:00:00 a pass asked it to go from 1 GiB to 2 GiB (below-target)\n"
	                    "at 2025-11-28 13:20:00 memguard asked it to go from 3 GiB to 2 GiB (host-reserve)\n");
}

/* The host is sent no commands. */
static void test_explain_without_moves(void **state)
{
	(void)state;
	t.n_moves = 0;
	timeline_explain(m.out, &t, NOW_S - 86000);
	*t.uuid = '\0';
	timeline_explain(m.out, &t, NOW_S - 86000);
	assert_string_equal(written(), "there is no record of that time\nno earlier command to it is known\n"
	                               "there is no record of that time\n");
}

static void test_advice(void **state)
{
	const struct table_style table = {.unit = TABLE_HUMAN}, pairs = {.form = TABLE_PAIRS};
	struct timeline two[2];
	const char *text;

	(void)state;
	assert_int_equal(timeline_read(dir, UUID, ADVICE_SINCE_S, NOW_S, &two[0]), 0);
	assert_int_equal(timeline_read(dir, UUID, 1800, NOW_S, &two[1]), 0);
	snprintf(two[0].name, sizeof(two[0].name), "web");
	snprintf(two[1].name, sizeof(two[1].name), "young");
	assert_int_equal(advice_report(m.out, two, 2, NOW_S, &table, false), 0);
	assert_int_equal(advice_report(m.out, two, 1, NOW_S, &pairs, false), 0);
	assert_int_equal(advice_report(m.out, two, 2, NOW_S, &table, true), 0);
	text = written();
	/* the quarter with distress counts for 120 % of what was used in it */
	assert_non_null(strstr(text, "mostly uses 1.8 GiB to 2.1 GiB, seen for 110 min, in distress for 15 min\n"));
	assert_non_null(strstr(text, "  -  seen for 30 min: no advice before 1 h\n"));
	assert_non_null(strstr(text, " COMMAND=\"virsh metadata " UUID " urn:memsched:domain:1.0 --key memsched --live "
	                             "--config --set '<memory><min>"));
	assert_non_null(strstr(text, "</max><weight>100</weight></memory>'\"\n"));
	assert_non_null(strstr(text, "{\"schema\":\"memsched.advice/1\",\"domains\":[{\"name\":\"web\""));
	assert_non_null(strstr(text, "\"p98_bytes\":null,\"seen_seconds\":1800.000,\"reason\":"));
	timeline_clear(&two[0]);
	timeline_clear(&two[1]);
}

/* ---- the picture ---- */

static double number_at(xmlXPathContext *xpath, const char *expression)
{
	xmlXPathObject *object = xmlXPathEval((const xmlChar *)expression, xpath);
	double number = xmlXPathCastToNumber(object);

	xmlXPathFreeObject(object);
	return number;
}

static void test_picture(void **state)
{
	static const struct {
		const char *expression;
		double number;
	} rows[] = {
	    {"count(//*[local-name()='script'])", 0},
	    {"count(//@*[contains(., 'http')])", 0}, /* the namespace is no attribute */
	    {"count(//*[@class='actual'])", 2},      /* the area, and its key */
	    {"count(//*[@class='used'])", 2},
	    {"count(//*[@class='want'])", 0}, /* is not known */
	    {"count(//*[@class='move'])", 2},
	    {"count(//*[@class='alarm'])", 1},
	    {"string-length(//*[@class='actual']/@d) - string-length(translate(//*[@class='actual']/@d, 'M', ''))", 2},
	};
	xmlXPathContext *xpath;
	const char *text;
	xmlChar *title;
	xmlDoc *doc;

	(void)state;
	assert_int_equal(picture_write(m.out, &t), 0);
	text = written();
	doc = xmlReadMemory(text, (int)m.length, NULL, NULL, XML_PARSE_NONET);
	assert_non_null(doc);
	xpath = xmlXPathNewContext(doc);
	for (size_t i = 0; i < COUNT(rows); i++)
		if (number_at(xpath, rows[i].expression) != rows[i].number)
			fail_msg("%s: %f", rows[i].expression, number_at(xpath, rows[i].expression));
	title = xmlXPathCastNodeToString(xmlDocGetRootElement(doc)->children->next->next->next->next->next);
	assert_non_null(strstr((const char *)title, "web"));
	xmlFree(title);
	xmlXPathFreeContext(xpath);
	xmlFreeDoc(doc);
	assert_non_null(strstr(text, "<title>\\x3Cweb\\x3E \\x26 \\x22\\x1B[31m\xc3\xa9</title>"));
	assert_non_null(strstr(text, "prefers-color-scheme:dark"));
	assert_non_null(strstr(text, "<title>2 GiB to 3 GiB (growing)</title>"));
	assert_non_null(strstr(text, "<title>memguard: 3 GiB to 2 GiB (host-reserve)</title>"));
	assert_non_null(strstr(text, "<title>distress</title>"));
}

/* ---- times ---- */

static void test_since(void **state)
{
	static const struct {
		const char *text;
		int result;
		uint64_t since_s;
	} rows[] = {
	    {"30m", 0, 1800},
	    {"2h", 0, 7200},
	    {"3d", 0, 259200},
	    {"2w", 0, 1209600},
	    {"2y", 0, UINT64_C(730) * 86400},
	    {"731d", 0, UINT64_C(731) * 86400},
	    {"732d", -ERANGE, 0},
	    {"0h", -ERANGE, 0},
	    {"", -EINVAL, 0},
	    {"h", -EINVAL, 0},
	    {"2", -EINVAL, 0},
	    {"2 h", -EINVAL, 0},
	    {"-2h", -EINVAL, 0},
	    {"2H", -EINVAL, 0},
	    {"99999999999999999999h", -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t since_s = 0;

		if (past_since_parse(rows[i].text, &since_s) != rows[i].result || since_s != rows[i].since_s)
			fail_msg("'%s': %llu", rows[i].text, (unsigned long long)since_s);
	}
}

static void test_at(void **state)
{
	static const struct {
		const char *text;
		int result;
		uint64_t at_s;
	} rows[] = {
	    {"13:59", 0, NOW_S - 60},
	    {"14:00:00", 0, NOW_S},
	    {"14:01", 0, NOW_S + 60 - 86400}, /* yesterday's */
	    {"2025-11-27 03:00", 0, NOW_S - 86400 - 11 * 3600},
	    {"2025-11-27 03:00:01", 0, NOW_S - 86400 - 11 * 3600 + 1},
	    {"2025-11-28T13:00", 0, NOW_S - 3600},
	    {"3", -EINVAL, 0},
	    {"03:00 x", -EINVAL, 0},
	    {"25:00", -EINVAL, 0},
	    {"", -EINVAL, 0},
	};

	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t at_s = 0;

		if (past_at_parse(rows[i].text, NOW_S, &at_s) != rows[i].result || at_s != rows[i].at_s)
			fail_msg("'%s': %llu", rows[i].text, (unsigned long long)at_s);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_levels),
	    TEST(test_sparkline),
	    TEST(test_table),
	    TEST(test_lines_for_scripts),
	    TEST(test_json),
	    TEST(test_explain),
	    TEST(test_explain_without_moves),
	    TEST(test_advice),
	    TEST(test_picture),
	    cmocka_unit_test(test_since),
	    cmocka_unit_test(test_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
