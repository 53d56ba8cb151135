/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/units.h"
#include "show/table.h"

struct row {
	const char *name;
	struct cell size, number, age, flag, last;
};

static struct cell get_name(const void *row)
{
	return (struct cell){.kind = CELL_TEXT, .text = ((const struct row *)row)->name};
}

static struct cell get_size(const void *row)
{
	return ((const struct row *)row)->size;
}

static struct cell get_number(const void *row)
{
	return ((const struct row *)row)->number;
}

static struct cell get_age(const void *row)
{
	return ((const struct row *)row)->age;
}

static struct cell get_flag(const void *row)
{
	return ((const struct row *)row)->flag;
}

static struct cell get_last(const void *row)
{
	return ((const struct row *)row)->last;
}

static const struct column columns[] = {
    {"domain", "Domain", "name", "the name", 0, get_name, ""},
    {"actual", "Actual", "actual_bytes", "the size", 0, get_size, NULL},
    {"weight", "Weight", "weight", "the weight", 0, get_number, NULL},
    {"age", "Age", "stats_age_seconds", "the age", 0, get_age, NULL},
    {"managed", "Managed", "managed", "whether", 0, get_flag, "is_managed"},
    {"last-word", "Reason", NULL, "why", 0, get_last, "reason"},
    {.name = NULL},
};

#define TEXT(value)                                                                                                    \
	{                                                                                                              \
		.kind = CELL_TEXT, .text = (value)                                                                     \
	}
#define KIB(value)                                                                                                     \
	{                                                                                                              \
		.kind = CELL_KIB, .number = (value)                                                                    \
	}
#define NUMBER(value)                                                                                                  \
	{                                                                                                              \
		.kind = CELL_NUMBER, .number = (value)                                                                 \
	}
#define MS(value)                                                                                                      \
	{                                                                                                              \
		.kind = CELL_MS, .number = (value)                                                                     \
	}
#define BOOL(value)                                                                                                    \
	{                                                                                                              \
		.kind = CELL_BOOL, .number = (value)                                                                   \
	}
#define NONE                                                                                                           \
	{                                                                                                              \
		.kind = CELL_NONE, .number = 77                                                                        \
	}

#define ROWS_MAX 4

static const struct {
	struct row rows[ROWS_MAX];
	size_t n;
	struct table_style style;
	const char *text;
} tables[] = {
    /* nothing to show */
    {.n = 0, .text = "Domain  Actual  Weight  Age  Managed  Reason\n"},
    {.n = 0, .style = {.no_headings = true}, .text = ""},
    /* headings wider than cells, cells wider than headings; text left, numbers right */
    {
	.rows = {{"a", KIB(1), NUMBER(100), MS(1000), BOOL(1), TEXT("at-target")}},
	.n = 1,
	.text = "Domain  Actual  Weight  Age  Managed  Reason\n"
		"a            1     100  1.0  yes      at-target\n",
    },
    {
	.rows = {{"firsttest", KIB(1048576), NUMBER(1), MS(0), BOOL(0), TEXT("x")},
                 {"b", KIB(UINT64_MAX), NUMBER(10000), MS(123456), BOOL(1), TEXT("at-max")}},
	.n = 2,
	.text = "Domain                   Actual  Weight    Age  Managed  Reason\n"
		"firsttest               1048576       1    0.0  no       x\n"
		"b          18446744073709551615   10000  123.5  yes      at-max\n",
    },
    {
	.rows = {{"firsttest", KIB(1048576), NUMBER(1), MS(0), BOOL(0), TEXT("x")},
                 {"b", KIB(512), NUMBER(10000), MS(9), BOOL(1), TEXT("at-max")}},
	.n = 2,
	.style = {.no_headings = true},
	.text = "firsttest  1048576      1  0.0  no   x\n"
		"b              512  10000  0.0  yes  at-max\n",
    },
    {
	.rows = {{"a", KIB(512 * 1024), NUMBER(512 * 1024), MS(1), BOOL(1), TEXT("x")},
                 {"b", KIB(1536 * 1024), NUMBER(0), MS(1), BOOL(1), TEXT("x")},
                 {"c", KIB(1023), NUMBER(0), MS(1), BOOL(1), TEXT("x")}},
	.n = 3,
	.style = {.unit = TABLE_HUMAN},
	.text = "Domain  Actual  Weight  Age  Managed  Reason\n"
		"a         512M  524288  0.0  yes      x\n"
		"b         1.5G       0  0.0  yes      x\n"
		"c        1023K       0  0.0  yes      x\n",
    },
    /* what is not known, among what is and alone */
    {
	.rows = {{"a", NONE, NONE, NONE, NONE, NONE},
                 {NULL, KIB(1234567), NONE, MS(50), BOOL(0), TEXT(NULL)},
                 {"c", NONE, NONE, NONE, NONE, TEXT("z")}},
	.n = 3,
	.text = "Domain   Actual  Weight  Age  Managed  Reason\n"
		"a             -       -    -  -        -\n"
		"-       1234567       -  0.1  no       -\n"
		"c             -       -    -  -        z\n",
    },
    /* no blanks at the end of a line */
    {
	.rows = {{"", KIB(1), NUMBER(1), MS(949), BOOL(1), TEXT("")},
                 {"b", KIB(1), NUMBER(1), MS(950), BOOL(1), TEXT("")}},
	.n = 2,
	.text = "Domain  Actual  Weight  Age  Managed  Reason\n"
		"             1       1  0.9  yes\n"
		"b            1       1  1.0  yes\n",
    },
    {
	.rows = {{"a", KIB(1), NUMBER(1), MS(UINT64_MAX), BOOL(1), TEXT("x")}},
	.n = 1,
	.style = {.no_headings = true},
	.text = "a  1  1  18446744073709551.6  yes  x\n",
    },
    {
	.rows = {{"", KIB(1), NUMBER(1), MS(0), BOOL(1), TEXT("x")}},
	.n = 1,
	.style = {.no_headings = true},
	.text = "  1  1  0.0  yes  x\n",
    },
    {
	.rows = {{"a", KIB(3), NUMBER(3), MS(0), BOOL(1), {.kind = CELL_PCT, .number = 5}},
                 {"b", KIB(UINT64_MAX / 1024), NUMBER(0), MS(0), BOOL(0), {.kind = CELL_PCT, .number = 12345}},
                 {"c", KIB(UINT64_MAX / 1024 + 1), NUMBER(0), MS(0), BOOL(0), NONE}},
	.n = 3,
	.style = {.unit = TABLE_BYTES, .no_headings = true},
	.text = "a                  3072  3  0.0  yes    0.05\n"
		"b  18446744073709550592  0  0.0  no   123.45\n"
		"c                     -  0  0.0  no        -\n",
    },
    /* raw: a line each, a word each */
    {
	.rows = {{"a b", KIB(1), NONE, MS(1000), BOOL(1), TEXT("x\\y\"$`\n")},
                 {"-", NONE, NUMBER(1), NONE, NONE, TEXT(NULL)},
                 {"", KIB(2048), NUMBER(1), NONE, NONE, TEXT("\t")}},
	.n = 3,
	.style = {.form = TABLE_RAW},
	.text = "Domain Actual Weight Age Managed Reason\n"
		"a\\x20b 1 - 1.0 yes x\\x5Cy\"$`\\x0A\n"
		"\\x2D - 1 - - -\n"
		"- 2048 1 - - \\x09\n",
    },
    {
	.rows = {{"a", KIB(2048), NONE, NONE, NONE, NONE}},
	.n = 1,
	.style = {.form = TABLE_RAW, .unit = TABLE_HUMAN, .no_headings = true},
	.text = "a 2M - - - -\n",
    },
    /* pairs: nothing that a shell heeds */
    {
	.rows = {{"a b", KIB(1), NONE, MS(1000), BOOL(1), TEXT("x\\y\"$(z)`\n'")},
                 {"-", NONE, NUMBER(1), NONE, NONE, TEXT("")}},
	.n = 2,
	.style = {.form = TABLE_PAIRS},
	.text = "DOMAIN=\"a b\" ACTUAL=\"1\" WEIGHT=\"\" AGE=\"1.0\" MANAGED=\"yes\" "
		"LAST_WORD=\"x\\x5Cy\\x22\\x24(z)\\x60\\x0A'\"\n"
		"DOMAIN=\"-\" ACTUAL=\"\" WEIGHT=\"1\" AGE=\"\" MANAGED=\"\" LAST_WORD=\"\"\n",
    },
    /* hostile names: escaped, whole, and counted as they show */
    {
	.rows = {{"x\n0 1", KIB(1), NUMBER(1), MS(0), BOOL(1), TEXT("\x1b[2J")},
                 {"\xe2\x80\xae"
                  "cba",
                  KIB(1), NUMBER(1), MS(0), BOOL(1), TEXT("a\\b")},
                 {"\xff%s%n", KIB(1), NUMBER(1), MS(0), BOOL(1), TEXT("-")}},
	.n = 3,
	.style = {.no_headings = true},
	.text = "x\\x0A0 1         1  1  0.0  yes  \\x1B[2J\n"
		"\\xE2\\x80\\xAEcba  1  1  0.0  yes  a\\\\b\n"
		"\\xFF%s%n         1  1  0.0  yes  -\n",
    },
};

static void test_write(void **state)
{
	char text[4096];

	(void)state;
	for (size_t i = 0; i < COUNT(tables); i++) {
		FILE *out = fmemopen(text, sizeof(text), "w");

		assert_non_null(out);
		text[0] = '\0';
		assert_int_equal(
		    table_write(out, columns, tables[i].rows, tables[i].n, sizeof(struct row), &tables[i].style), 0);
		assert_int_equal(fclose(out), 0);
		assert_string_equal(text, tables[i].text);
	}
}

/* Columns of the terminal count, not bytes. */
static void test_width(void **state)
{
	static const struct row rows[] = {{"caf\xc3\xa9", KIB(1), NUMBER(1), MS(0), BOOL(1), TEXT("x")},
	                                  {"\xe4\xb8\xad\xe6\x96\x87", KIB(1), NUMBER(1), MS(0), BOOL(1), TEXT("x")},
	                                  {"cafe\xcc\x81s", KIB(1), NUMBER(1), MS(0), BOOL(1), TEXT("x")}};
	static const struct table_style style = {.no_headings = true};
	char text[4096];
	FILE *out;

	(void)state;
	if (!setlocale(LC_ALL, "C.UTF-8"))
		skip();
	out = fmemopen(text, sizeof(text), "w");
	assert_int_equal(table_write(out, columns, rows, COUNT(rows), sizeof(*rows), &style), 0);
	fclose(out);
	setlocale(LC_ALL, "C");
	assert_string_equal(text, "caf\xc3\xa9   1  1  0.0  yes  x\n"
	                          "\xe4\xb8\xad\xe6\x96\x87   1  1  0.0  yes  x\n"
	                          "cafe\xcc\x81s  1  1  0.0  yes  x\n");
}

/* Names of 300 bytes and more are not cut. */
static void test_long(void **state)
{
	static const struct table_style style = {.no_headings = true};
	char name[1001], text[8192], expected[8192];
	struct row rows[] = {{name, KIB(1), NUMBER(1), MS(0), BOOL(1), TEXT("x")},
	                     {"b", KIB(1), NUMBER(1), MS(0), BOOL(1), TEXT("x")}};
	FILE *out = fmemopen(text, sizeof(text), "w");

	(void)state;
	memset(name, '\n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(table_write(out, columns, rows, COUNT(rows), sizeof(*rows), &style), 0);
	fclose(out);
	for (size_t i = 0; i < 1000; i++)
		memcpy(expected + 4 * i, "\\x0A", 4);
	snprintf(expected + 4000, sizeof(expected) - 4000, "  1  1  0.0  yes  x\nb%3999s  1  1  0.0  yes  x\n", "");
	assert_string_equal(text, expected);
}

static void test_no_columns(void **state)
{
	static const struct column none[] = {{.name = NULL}};
	static const struct table_style style = {.no_headings = false};
	char text[64] = "";
	FILE *out = fmemopen(text, sizeof(text), "w");

	(void)state;
	assert_int_equal(table_write(out, none, tables[2].rows, 1, sizeof(struct row), &style), 0);
	fclose(out);
	assert_string_equal(text, "\n\n");
}

const char *__asan_default_options(void); /* the sanitizer would end the program in place of returning NULL */
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static void test_no_memory(void **state)
{
	static const struct table_style style = {.no_headings = false};
	char text[64] = "";
	FILE *out = fmemopen(text, sizeof(text), "w");

	(void)state;
	assert_int_equal(table_write(out, columns, tables[2].rows, SIZE_MAX / 64, sizeof(struct row), &style), -ENOMEM);
	fclose(out);
	assert_string_equal(text, "");
}

/* ---- JSON: columns without a key not; numbers exact ---- */

static const struct {
	struct row row;
	const char *json;
} objects[] = {
    {
	{"a\nb", KIB(1), NUMBER(UINT64_MAX), MS(1500), BOOL(1), TEXT("x")},
	"{\"name\":\"a\\u000ab\",\"actual_bytes\":1024,\"weight\":18446744073709551615,\"stats_age_seconds\":1.500,"
	"\"managed\":true}\n",
    },
    {
	{NULL, NONE, NONE, NONE, NONE, NONE},
	"{\"name\":null,\"actual_bytes\":null,\"weight\":null,\"stats_age_seconds\":null,\"managed\":null}\n",
    },
    {
	{"", KIB(UINT64_MAX), NUMBER(0), MS(49), BOOL(0), NONE},
	"{\"name\":\"\",\"actual_bytes\":null,\"weight\":0,\"stats_age_seconds\":0.049,\"managed\":false}\n",
    },
};

static void test_json(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(objects); i++) {
		char text[4096];
		FILE *out = fmemopen(text, sizeof(text), "w");
		struct json j;

		json_init(&j, out);
		json_object(&j, NULL);
		table_write_json(&j, columns, &objects[i].row);
		json_end_object(&j);
		fclose(out);
		assert_string_equal(text, objects[i].json);
	}
}

/* ---- metrics ---- */

static void test_metrics(void **state)
{
	static const struct row rows[] = {
	    {"a", KIB(2), NUMBER(7), MS(1500), BOOL(1), TEXT("at-max")},
	    {"b\"\\\n", KIB(UINT64_MAX), NONE, NONE, BOOL(0), {.kind = CELL_PCT, .number = 5}},
	};
	char text[4096];
	FILE *out = fmemopen(text, sizeof(text), "w");

	(void)state;
	assert_int_equal(table_write_metrics(out, "x_", columns, &columns[0], rows, COUNT(rows), sizeof(*rows)), 0);
	fclose(out);
	assert_string_equal(text, "# HELP x_actual_bytes the size\n# TYPE x_actual_bytes gauge\n"
	                          "x_actual_bytes{domain=\"a\"} 2048\n"
	                          "# HELP x_weight the weight\n# TYPE x_weight gauge\n"
	                          "x_weight{domain=\"a\"} 7\n"
	                          "# HELP x_stats_age_seconds the age\n# TYPE x_stats_age_seconds gauge\n"
	                          "x_stats_age_seconds{domain=\"a\"} 1.500\n"
	                          "# HELP x_is_managed whether\n# TYPE x_is_managed gauge\n"
	                          "x_is_managed{domain=\"a\"} 1\n"
	                          "x_is_managed{domain=\"b\\\"\\\\\\\\\\\\x0A\"} 0\n"
	                          "# HELP x_reason why\n# TYPE x_reason gauge\n"
	                          "x_reason{domain=\"a\",last_word=\"at-max\"} 1\n"
	                          "x_reason{domain=\"b\\\"\\\\\\\\\\\\x0A\"} 0.0005\n");
}

static const struct column sample_columns[] = {
    {"a", "", NULL, "", 0, get_name, ""},
    {"b", "", NULL, "how many", 0, get_last, "x"},
    {.name = NULL},
};

static const struct {
	struct row row; /* name: the label */
	const char *line;
} samples[] = {
    {{.last = NUMBER(0)}, "m_x 0\n"},
    {{.last = NUMBER(UINT64_MAX)}, "m_x 18446744073709551615\n"},
    {{.last = {.kind = CELL_PCT, .number = 5}}, "m_x 0.0005\n"},
    {{"b", .last = MS(1500)}, "m_x{a=\"b\"} 1.500\n"},
    {{"", .last = TEXT("c d")}, "m_x{a=\"\",b=\"c d\"} 1\n"},
    {{.last = TEXT("c")}, "m_x{b=\"c\"} 1\n"},
    {{.last = BOOL(1)}, "m_x 1\n"},
    /* two names never become one */
    {{"b\nc", .last = BOOL(1)}, "m_x{a=\"b\\\\x0Ac\"} 1\n"},
    {{"b\\x0Ac", .last = BOOL(1)}, "m_x{a=\"b\\\\\\\\x0Ac\"} 1\n"},
    {{"\"} 2\n", .last = BOOL(1)}, "m_x{a=\"\\\"} 2\\\\x0A\"} 1\n"},
    /* UTF-8 stays in each locale; other bytes are escaped */
    {{"\xc3\xa9\xff\xc2\x9b", .last = BOOL(1)}, "m_x{a=\"\xc3\xa9\\\\xFF\\\\xC2\\\\x9B\"} 1\n"},
};

static void test_samples(void **state)
{
	static const char head[] = "# HELP m_x how many\n# TYPE m_x gauge\n";

	(void)state;
	for (size_t i = 0; i < COUNT(samples); i++) {
		char text[256] = "";
		FILE *out = fmemopen(text, sizeof(text), "w");

		assert_int_equal(table_write_metrics(out, "m_", sample_columns, &sample_columns[0], &samples[i].row, 1,
		                                     sizeof(samples[i].row)),
		                 0);
		fclose(out);
		assert_memory_equal(text, head, strlen(head));
		assert_string_equal(text + strlen(head), samples[i].line);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_write),      cmocka_unit_test(test_width),     cmocka_unit_test(test_long),
	    cmocka_unit_test(test_no_columns), cmocka_unit_test(test_no_memory), cmocka_unit_test(test_json),
	    cmocka_unit_test(test_metrics),    cmocka_unit_test(test_samples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
