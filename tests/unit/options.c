/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <getopt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/io.h"
#include "base/units.h"
#include "cli/options.h"

#define WORDS 6

static bool json, metrics, watch, dry_run;
static const char *file, *output, *delay;

static struct option_row rows[] = {
    {'J', "json", NULL, "", .flag = &json},
    {'o', "output", "LIST", "", .text = &output},
    {0, "prometheus", "[=FILE]", "", .flag = &metrics, .text = &file},
    {'w', "watch", "[=TIME]", "", .flag = &watch, .text = &delay},
    {'n', "dry-run", NULL, "", .flag = &dry_run},
    {0, "step", "SIZE", "", .key = "step"},
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

	json = metrics = watch = dry_run = false;
	file = output = delay = NULL;
	for (struct option_row *row = rows; row->name; row++)
		row->value = NULL;
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

/* Whatever else is given beside --json is refused, apart from --watch. */
static void test_alone(void **state)
{
	static const struct {
		const char *argv[WORDS];
		int code;
	} given[] = {
	    {{"-J"}, 0},
	    {{"-w5", "-J"}, 0},
	    {{"-J", "vm"}, 0},
	    {{"-J", "-n"}, EXIT_USAGE},
	    {{"--dry-run", "-w", "-J"}, EXIT_USAGE},
	    {{"-J", "--output="}, EXIT_USAGE},
	    {{"-oa", "-J"}, EXIT_USAGE},
	    {{"-J", "--prometheus=x"}, EXIT_USAGE},
	    {{"--step", "5", "-J"}, EXIT_USAGE},
	};
	int argc, operand;

	(void)state;
	for (size_t i = 0; i < COUNT(given); i++) {
		assert_int_equal(parse(given[i].argv, &argc, &operand), 0);
		assert_int_equal(options_alone(&program, "json", (const char *const[]){"watch", NULL}), given[i].code);
	}
}

/* ---- the configuration, read again ---- */

static struct option_row conf_rows[] = {{0, "step", "SIZE", "", .key = "step"}, {.name = NULL}};
static const struct program loop = {.name = "prog", .synopsis = "", .purpose = "", .rows = conf_rows};

static bool likes(void *arg, struct conf *fresh)
{
	++*(int *)arg;
	return strcmp(fresh->uri, "disliked") != 0;
}

/* Under valgrind and the sanitizers this tells of leaks. */
static void test_reload(void **state)
{
	static const struct {
		const char *text;
		bool changes;
		int asked;
		const char *uri; /* from then on */
	} reloads[] = {
	    {"uri = a\nexclude = x\n", true, 1, "a"},     {"uri = b\nbad = 1\n", true, 1, "b"},
	    {"uri = c\nsettle = x\n", false, 0, "b"},     {"uri = disliked\nlog = journal\n", false, 1, "b"},
	    {"step = 5MiB\n", true, 1, "qemu:///system"},
	};
	char path[] = "/tmp/memsched-options.XXXXXX";
	int fd = mkstemp(path);
	struct conf conf;

	(void)state;
	assert_true(fd >= 0);
	conf_rows[0].value = "2MiB";
	assert_int_equal(options_conf(&loop, "", path, &conf), 0);
	for (size_t i = 0; i < COUNT(reloads); i++) {
		int asked = 0;

		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(pwrite(fd, reloads[i].text, strlen(reloads[i].text), 0), strlen(reloads[i].text));
		assert_int_equal(options_reload(&loop, "", path, likes, &asked, &conf), reloads[i].changes);
		assert_int_equal(asked, reloads[i].asked);
		assert_string_equal(conf.uri, reloads[i].uri);
		assert_int_equal(conf.step_kib, 2048); /* options still override */
	}
	assert_true(options_reload(&loop, "", path, NULL, NULL, &conf));
	conf_clear(&conf);
	close(fd);
	unlink(path);
}

/* A descriptor that cannot be had now may be had later: a service has to be restarted. Other failures last. */
static void test_passing_failure(void **state)
{
	char path[] = "/tmp/memsched-options.XXXXXX";
	int fd = mkstemp(path);
	struct rlimit all, none;
	struct conf conf;
	int code;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
	none = (struct rlimit){0, all.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	code = options_conf(&loop, "", path, &conf);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
	assert_int_equal(code, EXIT_FAILED);
	assert_int_equal(options_conf(&loop, "", "/tmp", &conf), EXIT_USAGE);
	close(fd);
	unlink(path);
	assert_int_equal(options_conf(&loop, "", path, &conf), EXIT_USAGE);
}

static bool asked;
static struct option_row show_rows[] = {{0, "show-config", NULL, "", .flag = &asked}, {.name = NULL}};
static const struct program shows = {.name = "prog", .synopsis = "", .purpose = "", .rows = show_rows};

/* What a try leaves alone of the host's configuration is not shown as if it held. */
static void test_shown_for_a_try(void **state)
{
	static const char text[] =
	    "uri = test:///default\nlog = /l\ntextfile = /t.prom\non_critical = /c\nstep = 2MiB\n";
	char path[] = "/tmp/memsched-options.XXXXXX", shown[4096] = "";
	int fd = mkstemp(path), out[2], status;
	struct conf conf;
	pid_t pid;

	(void)state;
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(pipe(out), 0);
	pid = fork();
	if (!pid) {
		asked = true;
		dup2(out[1], STDOUT_FILENO);
		options_conf(&shows, "", path, &conf);
		_exit(EXIT_FAILED);
	}
	close(out[1]);
	assert_true(file_read(out[0], shown, sizeof(shown) - 1) > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_non_null(strstr(shown, "\nlog =                          # from default\n"));
	assert_non_null(strstr(shown, "\ntextfile =                     # from default\n"));
	assert_non_null(strstr(shown, "\non_critical =                  # from default\n"));
	assert_non_null(strstr(shown, "\nstep = 2MiB "));
	close(out[0]);
	close(fd);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_good),
	                                   cmocka_unit_test(test_bad),
	                                   cmocka_unit_test(test_alone),
	                                   cmocka_unit_test(test_reload),
	                                   cmocka_unit_test(test_passing_failure),
	                                   cmocka_unit_test(test_shown_for_a_try)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
