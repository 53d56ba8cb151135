#include <errno.h>
#include <getopt.h>
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

#include "cli/options.h"

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

/* Calls say with stderr being f; text gets what stands there then. */
static void hear(FILE *f, void (*say)(void), char *text, size_t size)
{
	int kept = dup(fileno(stderr));

	fflush(stderr); /* test_bad has let it be buffered */
	dup2(fileno(f), fileno(stderr));
	say();
	dup2(kept, fileno(stderr));
	close(kept);
	rewind(f);
	text[fread(text, 1, size - 1, f)] = '\0';
}

static void say_three(void)
{
	say_error(&program, "one");
	say_warning(&program, "two");
	say_note(&program, "three");
}

static void say_three_to(FILE *f, const char *stream, char *text, size_t size)
{
	if (stream)
		setenv("JOURNAL_STREAM", stream, 1);
	else
		unsetenv("JOURNAL_STREAM");
	hear(f, say_three, text, size);
	unsetenv("JOURNAL_STREAM");
}

/* The journal of a service learns how bad it is; nobody else sees more than the words. */
static void test_journal(void **state)
{
	const char *plain = "prog: error: one\nprog: warning: two\nprog: three\n";
	FILE *f[] = {tmpfile(), tmpfile(), tmpfile()};
	char text[256], stream[64];
	struct stat st;

	(void)state;
	say_three_to(f[0], NULL, text, sizeof(text));
	assert_string_equal(text, plain);
	say_three_to(f[1], "1:2", text, sizeof(text));
	assert_string_equal(text, plain);
	assert_int_equal(fstat(fileno(f[2]), &st), 0);
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	say_three_to(f[2], stream, text, sizeof(text));
	assert_string_equal(text, "<3>prog: error: one\n<4>prog: warning: two\n<6>prog: three\n");
	for (size_t i = 0; i < COUNT(f); i++)
		fclose(f[i]);
}

#define E_ACUTE "\xc3\xa9"

static void say_long(void)
{
	char word[6002] = "";

	for (size_t i = 0; i < 3000; i++)
		strcat(word, E_ACUTE);
	say_error(&program, "%s", word);
	say_error(&program, "x%s", word);
	say_note(&program, "%.4088s", word); /* this fits */
}

/* What a pipe would not take whole is cut, at a character, and is one line still. */
static void test_long(void **state)
{
	FILE *f = tmpfile();
	char text[3 * 4096 + 1], *line = text;

	(void)state;
	hear(f, say_long, text, sizeof(text));
	for (int i = 0; i < 3; i++) {
		char *end = strchr(line, '\n');

		assert_non_null(end);
		assert_in_range(end + 1 - line, 4093, 4096);
		*end = '\0';
		if (i < 2)
			assert_string_equal(end - 5, E_ACUTE "...");
		else
			assert_string_equal(end - 2, E_ACUTE);
		line = end + 1;
	}
	assert_int_equal(*line, '\0');
	fclose(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_bad),
	                                   cmocka_unit_test(test_reload), cmocka_unit_test(test_journal),
	                                   cmocka_unit_test(test_long)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
