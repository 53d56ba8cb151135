/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/json.h"
#include "base/units.h"

static char text[4096]; /* what the last document was */

static void written(void (*write)(struct json *j, size_t row), size_t row)
{
	FILE *out = fmemopen(text, sizeof(text), "w");
	struct json j;

	assert_non_null(out);
	json_init(&j, out);
	write(&j, row);
	assert_int_equal(j.depth, 0);
	assert_int_equal(fclose(out), 0);
}

/* ---- strings ---- */

static const struct {
	const char *value, *json;
	const char *points; /* code points that a parser must find */
} strings[] = {
    {"", "\"\"", "[]"},
    {"abc", "\"abc\"", "[97,98,99]"},
    {"a/b", "\"a/b\"", "[97,47,98]"},
    {"\"", "\"\\\"\"", "[34]"},
    {"\\", "\"\\\\\"", "[92]"},
    {"\\n", "\"\\\\n\"", "[92,110]"},
    {"\\\"", "\"\\\\\\\"\"", "[92,34]"},
    {"%s%n", "\"%s%n\"", "[37,115,37,110]"},
    {"caf\xc3\xa9", "\"caf\xc3\xa9\"", "[99,97,102,233]"},
    {"\xf0\x9f\x98\x80", "\"\xf0\x9f\x98\x80\"", "[128512]"},
    {"a\nb\r\t", "\"a\\u000ab\\u000d\\u0009\"", "[97,10,98,13,9]"},
    {"\x01\x1b[31m", "\"\\u0001\\u001b[31m\"", "[1,27,91,51,49,109]"},
    {"\x7f", "\"\\u007f\"", "[127]"},
    {"\xc2\x80\xc2\x9b", "\"\\u0080\\u009b\"", "[128,155]"},
    {"\xe2\x80\xae", "\"\\u202e\"", "[8238]"},
    {"\xe2\x80\xa8\xe2\x80\xa9", "\"\\u2028\\u2029\"", "[8232,8233]"},
    {"\xef\xbb\xbf", "\"\\ufeff\"", "[65279]"},
    {"\xf3\xa0\x81\xa1", "\"\\udb40\\udc61\"", "[917601]"},
    {"\xf4\x8f\xbf\xbf", "\"\\udbff\\udfff\"", "[1114111]"},
    {"\xef\xbf\xbf", "\"\\uffff\"", "[65535]"},
    {"\xf0\x9f\xbf\xbe", "\"\\ud83f\\udffe\"", "[131070]"},
    /* repaired */
    {"\xff", "\"\\ufffd\"", "[65533]"},
    {"a\xc3", "\"a\\ufffd\"", "[97,65533]"},
    {"\xc3(", "\"\\ufffd(\"", "[65533,40]"},
    {"\xc3\"", "\"\\ufffd\\\"\"", "[65533,34]"},
    {"\xe2\x82\\", "\"\\ufffd\\ufffd\\\\\"", "[65533,65533,92]"},
    {"\xc0\x8a", "\"\\ufffd\\ufffd\"", "[65533,65533]"},
    {"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"", "[65533,65533,65533]"},
    {"\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"", "[65533,65533,65533,65533]"},
    {"\xef\xbf\xbd", "\"\xef\xbf\xbd\"", "[65533]"}, /* the sign itself is a character like others */
};

static void write_string_row(struct json *j, size_t row)
{
	json_string(j, NULL, strings[row].value);
}

/* The locale makes no difference. */
static void test_strings(void **state)
{
	static const char *const locales[] = {"C", "C.UTF-8"};

	(void)state;
	for (size_t l = 0; l < COUNT(locales); l++) {
		if (!setlocale(LC_ALL, locales[l]))
			continue;
		for (size_t i = 0; i < COUNT(strings); i++) {
			written(write_string_row, i);
			if (strncmp(text, strings[i].json, strlen(strings[i].json)) != 0 ||
			    strcmp(text + strlen(strings[i].json), "\n") != 0)
				fail_msg("row %zu: %s", i, text);
		}
	}
}

/* Every byte alone, and every byte before and after another, gives one line of printable ASCII or UTF-8. */
static void write_bytes(struct json *j, size_t row)
{
	char value[] = {(char)(row & 0xff), (char)(row >> 8 & 0xff), '\0'};

	json_string(j, NULL, value);
}

static void test_bytes(void **state)
{
	(void)state;
	for (size_t row = 1; row < 65536; row++) {
		size_t length;

		written(write_bytes, row);
		length = strlen(text);
		for (size_t i = 0; i < length - 1; i++)
			if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
				fail_msg("%04zx: control in '%s'", row, text);
		assert_true(text[0] == '"' && text[length - 2] == '"' && text[length - 1] == '\n');
	}
}

/* ---- numbers and the rest ---- */

static void write_numbers(struct json *j, size_t row)
{
	(void)row;
	json_array(j, NULL);
	json_number(j, NULL, 0);
	json_number(j, NULL, UINT64_C(9007199254740993)); /* 2^53 + 1: a double has no such number */
	json_number(j, NULL, UINT64_MAX);
	json_bool(j, NULL, true);
	json_bool(j, NULL, false);
	json_null(j, NULL);
	json_string(j, NULL, NULL);
	json_end_array(j);
}

static void test_numbers(void **state)
{
	(void)state;
	written(write_numbers, 0);
	assert_string_equal(text, "[0,9007199254740993,18446744073709551615,true,false,null,null]\n");
}

static const struct {
	uint64_t value;
	unsigned decimals;
	const char *json;
} decimals[] = {
    {0, 0, "0\n"},
    {7, 0, "7\n"},
    {0, 1, "0.0\n"},
    {5, 1, "0.5\n"},
    {0, 3, "0.000\n"},
    {7, 3, "0.007\n"},
    {999, 3, "0.999\n"},
    {1000, 3, "1.000\n"},
    {1500, 3, "1.500\n"},
    {123456, 2, "1234.56\n"},
    {UINT64_MAX, 0, "18446744073709551615\n"},
    {UINT64_MAX, 3, "18446744073709551.615\n"},
    {UINT64_MAX, 19, "1.8446744073709551615\n"},
    {1, 19, "0.0000000000000000001\n"},
    {1, 20, "0.0000000000000000001\n"}, /* as if 19 */
};

static void write_decimal_row(struct json *j, size_t row)
{
	json_decimal(j, NULL, decimals[row].value, decimals[row].decimals);
}

static void test_decimals(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(decimals); i++) {
		written(write_decimal_row, i);
		assert_string_equal(text, decimals[i].json);
	}
}

static const struct {
	uint64_t kib;
	const char *json;
} bytes[] = {
    {0, "0\n"},
    {1, "1024\n"},
    {150000, "153600000\n"},
    {UINT64_MAX / 1024, "18446744073709550592\n"},
    {UINT64_MAX / 1024 + 1, "null\n"},
    {UINT64_MAX, "null\n"},
};

static void write_bytes_row(struct json *j, size_t row)
{
	json_bytes(j, NULL, bytes[row].kib);
}

static void test_sizes(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bytes); i++) {
		written(write_bytes_row, i);
		assert_string_equal(text, bytes[i].json);
	}
}

/* ---- nesting ---- */

static void write_nested(struct json *j, size_t row)
{
	(void)row;
	json_object(j, NULL);
	json_string(j, "schema", "memsched.stat/1");
	json_object(j, "host");
	json_bytes(j, "total_bytes", 4);
	json_decimal(j, "age_seconds", 1500, 3);
	json_end_object(j);
	json_array(j, "domains");
	json_object(j, NULL);
	json_string(j, "name", "a\nb");
	json_array(j, "none");
	json_end_array(j);
	json_bool(j, "managed", true);
	json_end_object(j);
	json_object(j, NULL);
	json_end_object(j);
	json_array(j, NULL);
	json_array(j, NULL);
	json_end_array(j);
	json_number(j, NULL, 1);
	json_end_array(j);
	json_end_array(j);
	json_number(j, "last", 5);
	json_null(j, "a \"key\"\n");
	json_end_object(j);
}

#define NESTED                                                                                                         \
	"{\"schema\":\"memsched.stat/"                                                                                 \
	"1\",\"host\":{\"total_bytes\":4096,\"age_seconds\":1.500},\"domains\":[{\"name\":"                            \
	"\"a\\u000ab\",\"none\":[],\"managed\":true},{},[[],1]],\"last\":5,\"a \\\"key\\\"\\u000a\":null}\n"

static void test_nested(void **state)
{
	(void)state;
	written(write_nested, 0);
	assert_string_equal(text, NESTED);
}

/* Several values at the top are as many lines, and none puts a comma before the next. */
static void write_lines(struct json *j, size_t row)
{
	(void)row;
	json_object(j, NULL);
	json_number(j, "a", 1);
	json_end_object(j);
	json_object(j, NULL);
	json_end_object(j);
	json_number(j, NULL, 3);
	json_bool(j, NULL, true);
	json_null(j, NULL);
	json_array(j, NULL);
	json_end_array(j);
}

static void test_lines(void **state)
{
	(void)state;
	written(write_lines, 0);
	assert_string_equal(text, "{\"a\":1}\n{}\n3\ntrue\nnull\n[]\n");
}

/* ---- a parser that is not ours ---- */

static void jq_says(const char *filter, const char *expected)
{
	char path[] = "/tmp/memsched-json-XXXXXX", command[256], got[256] = "";
	int fd = mkstemp(path);
	FILE *pipe;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	snprintf(command, sizeof(command), "jq -c '%s' <%s 2>&1", filter, path);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	if (!fgets(got, sizeof(got), pipe))
		got[0] = '\0';
	got[strcspn(got, "\n")] = '\0';
	pclose(pipe);
	unlink(path);
	assert_string_equal(got, expected);
}

static void test_parser(void **state)
{
	(void)state;
	if (system("command -v jq >/dev/null") != 0)
		skip();
	for (size_t i = 0; i < COUNT(strings); i++) {
		written(write_string_row, i);
		jq_says("explode", strings[i].points);
	}
	written(write_nested, 0);
	/* the double of 1.500: jq 1.7 shows a number as it was written, but for what it calculates */
	jq_says("[.schema,.host.total_bytes,.host.age_seconds*2,(.domains|length),.domains[0].name,.last]",
	        "[\"memsched.stat/1\",4096,3,3,\"a\\nb\",5]");
	written(write_numbers, 0);
	jq_says("length", "7");
}

static void test_members_are_found(void **state)
{
	static const char members[] =
	    "{\"a\":12,\"half\":0.5,\"big\":99999999999999999999,\"name\":\"x\\\"a\\\":7\",\"word\":\"calm\","
	    "\"yes\":true,\"no\":false,\"null\":null,\"xa\":3}\n";
	uint64_t value = 1;
	char word[8] = "old";

	(void)state;
	assert_true(json_find_decimal(members, "a", 0, &value) && value == 12);
	assert_true(json_find_decimal(members, "half", 3, &value) && value == 500);
	assert_true(json_find_decimal(members, "half", 0, &value) && value == 0);
	assert_true(json_find_decimal(members, "a", 3, &value) && value == 12000);
	for (size_t i = 0; i < 5; i++)
		assert_false(
		    json_find_decimal(members, (const char *[]){"big", "name", "none", "null", "x"}[i], 0, &value));
	assert_int_equal(value, 12000);
	assert_true(json_find_string(members, "word", word, sizeof(word)));
	assert_string_equal(word, "calm");
	assert_false(json_find_string(members, "name", word, sizeof(word))); /* escaped */
	assert_false(json_find_string(members, "word", word, 4));
	assert_false(json_find_string(members, "a", word, sizeof(word)));
	assert_true(json_find_true(members, "yes"));
	assert_false(json_find_true(members, "no") || json_find_true(members, "none"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_strings),  cmocka_unit_test(test_bytes),  cmocka_unit_test(test_numbers),
	    cmocka_unit_test(test_decimals), cmocka_unit_test(test_sizes),  cmocka_unit_test(test_nested),
	    cmocka_unit_test(test_lines),    cmocka_unit_test(test_parser), cmocka_unit_test(test_members_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
