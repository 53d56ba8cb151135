/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/units.h"
#include "show/metrics.h"

static const struct {
	struct metrics_label labels[3];
	uint64_t value;
	unsigned decimals;
	const char *line;
} samples[] = {
    {{{NULL, NULL}}, 0, 0, "m_x 0\n"},
    {{{NULL, NULL}}, UINT64_MAX, 0, "m_x 18446744073709551615\n"},
    {{{NULL, NULL}}, 5, 4, "m_x 0.0005\n"},
    {{{"a", "b"}, {NULL, NULL}}, 1500, 3, "m_x{a=\"b\"} 1.500\n"},
    {{{"a", ""}, {"b", "c d"}, {NULL, NULL}}, 1, 0, "m_x{a=\"\",b=\"c d\"} 1\n"},
    {{{"a", NULL}, {"b", "c"}, {NULL, NULL}}, 1, 0, "m_x{b=\"c\"} 1\n"},
    {{{"a", NULL}, {NULL, NULL}}, 1, 0, "m_x 1\n"},
    /* two names never become one */
    {{{"a", "b\nc"}, {NULL, NULL}}, 1, 0, "m_x{a=\"b\\\\x0Ac\"} 1\n"},
    {{{"a", "b\\x0Ac"}, {NULL, NULL}}, 1, 0, "m_x{a=\"b\\\\\\\\x0Ac\"} 1\n"},
    {{{"a", "\"} 2\n"}, {NULL, NULL}}, 1, 0, "m_x{a=\"\\\"} 2\\\\x0A\"} 1\n"},
    /* whatever the locale, UTF-8 stays, and what is none does not */
    {{{"a", "\xc3\xa9\xff\xc2\x9b"}, {NULL, NULL}}, 1, 0, "m_x{a=\"\xc3\xa9\\\\xFF\\\\xC2\\\\x9B\"} 1\n"},
};

static void test_samples(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(samples); i++) {
		char text[256] = "";
		FILE *out = fmemopen(text, sizeof(text), "w");

		assert_int_equal(
		    metrics_sample(out, "m_", "x", samples[i].labels, samples[i].value, samples[i].decimals), 0);
		fclose(out);
		assert_string_equal(text, samples[i].line);
	}
}

static void test_gauge(void **state)
{
	char text[256] = "";
	FILE *out = fmemopen(text, sizeof(text), "w");

	(void)state;
	metrics_gauge(out, "m_", "x", "how many");
	fclose(out);
	assert_string_equal(text, "# HELP m_x how many\n# TYPE m_x gauge\n");
}

/* ---- the file ---- */

static void contains(const char *path, const char *expected)
{
	char text[64];
	FILE *in = fopen(path, "r");
	size_t n;

	assert_non_null(in);
	n = fread(text, 1, sizeof(text) - 1, in);
	text[n] = '\0';
	fclose(in);
	assert_string_equal(text, expected);
}

static void test_publish(void **state)
{
	char dir[] = "/tmp/memsched-prom-XXXXXX";
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	umask(077);
	assert_int_equal(metrics_publish("a.prom", "one\n", 4), 0);
	assert_int_equal(stat("a.prom", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(metrics_publish("./a.prom", "two\n", 3), 0);
	contains("a.prom", "two");
	assert_int_equal(metrics_publish("a.prom", "", 0), 0);
	contains("a.prom", "");

	/* nothing but a plain file is replaced */
	assert_int_equal(symlink("a.prom", "link"), 0);
	assert_int_equal(metrics_publish("link", "x", 1), -EMEDIUMTYPE);
	assert_int_equal(mkdir("folder", 0700), 0);
	assert_int_equal(metrics_publish("folder", "x", 1), -EMEDIUMTYPE);
	assert_int_equal(metrics_publish("folder/", "x", 1), -EMEDIUMTYPE);
	assert_int_equal(link("a.prom", "second"), 0);
	assert_int_equal(metrics_publish("a.prom", "x", 1), -EPERM);
	assert_int_equal(unlink("second"), 0);
	assert_int_equal(metrics_publish("nowhere/a.prom", "x", 1), -ENOENT);
	assert_int_equal(metrics_publish("a.prom/b", "x", 1), -ENOTDIR);
	contains("a.prom", "");

	/* and nothing is left over */
	assert_int_equal(unlink("a.prom") | unlink("link") | rmdir("folder"), 0);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_samples), cmocka_unit_test(test_gauge),
	                                   cmocka_unit_test(test_publish)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
