#include <errno.h>
#include <getopt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "options.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define WORDS 6

static bool json, metrics, watch;
static const char *file, *output, *delay;

static struct option_row rows[] = {
    {'J', "json", NULL, "", .flag = &json},
    {'o', "output", "LIST", "", .text = &output},
    {0, "prometheus", "[=FILE]", "", .flag = &metrics, .text = &file},
    {'w', "watch", "[=TIME]", "", .flag = &watch, .text = &delay},
    {.name = NULL},
};

static const struct program program = {
    .name = "prog", .synopsis = "", .purpose = "", .rows = rows, .takes_operands = true};

static const struct {
	const char *argv[WORDS];
	bool json, metrics, watch;
	const char *file, *output, *delay;
	int operands;
} good[] = {
    {{"-J"}, .json = true},
    {{"-o", "a,b"}, .output = "a,b"},
    {{"-oa"}, .output = "a"},
    {{"--output", ""}, .output = ""},
    {{"--output=a", "--output", "b"}, .output = "b"},
    /* the argument may be left out, and what follows is no argument */
    {{"--prometheus"}, .metrics = true},
    {{"--prometheus", "x"}, .metrics = true, .operands = 1},
    {{"--prometheus=x"}, .metrics = true, .file = "x"},
    {{"--prometheus="}, .metrics = true, .file = ""},
    {{"--prometheus=x", "--prometheus"}, .metrics = true},
    {{"-w"}, .watch = true},
    {{"-w", "5"}, .watch = true, .operands = 1},
    {{"-w5"}, .watch = true, .delay = "5"},
    {{"-Jw5", "vm"}, .json = true, .watch = true, .delay = "5", .operands = 1},
    {{"-wJ"}, .watch = true, .delay = "J"},
    {{"--watch=5", "--json"}, .json = true, .watch = true, .delay = "5"},
    {{"--", "-w"}, .operands = 1},
};

static const char *const bad[][WORDS] = {{"--json=3"}, {"-o"}, {"--output"}, {"--pro=x", "-q"}, {"-x"}, {"--nope"}};

static int parse(const char *const words[WORDS], int *ret_argc, int *ret_operand)
{
	char *argv[WORDS + 2] = {(char[]){"prog"}};
	int argc = 1;

	json = metrics = watch = false;
	file = output = delay = NULL;
	optind = 0; /* glibc: from the start, whatever was parsed before */
	while (words[argc - 1]) {
		argv[argc] = (char *)(uintptr_t)words[argc - 1];
		argc++;
	}
	*ret_argc = argc;
	return options_parse(&program, argc, argv, ret_operand);
}

static void same(const char *got, const char *expected)
{
	assert_true(!got == !expected);
	if (got)
		assert_string_equal(got, expected);
}

static void test_good(void **state)
{
	int argc, operand;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		assert_int_equal(parse(good[i].argv, &argc, &operand), 0);
		assert_int_equal(json, good[i].json);
		assert_int_equal(metrics, good[i].metrics);
		assert_int_equal(watch, good[i].watch);
		same(file, good[i].file);
		same(output, good[i].output);
		same(delay, good[i].delay);
		assert_int_equal(argc - operand, good[i].operands);
	}
}

static void test_bad(void **state)
{
	int argc, operand;

	(void)state;
	assert_non_null(freopen("/dev/null", "w", stderr));
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(parse(bad[i], &argc, &operand), EXIT_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_bad)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
