/* SPDX-License-Identifier: MIT */
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
#include "host/complaints.h"
#include "cli/options.h"
#include "cli/say.h"

static bool quiet;
static struct complaints complaints;
static const struct program program = {.name = "prog", .quiet = &quiet, .complaints = &complaints};

/* Calls say with stderr being f; text gets what stands there then. */
static void hear(FILE *f, void (*say)(void), char *text, size_t size)
{
	int kept = dup(fileno(stderr));

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

/* The journal of a service learns how bad it is; other readers see the words alone. */
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

static void say_later_three(void)
{
	say_later();
	say_later();
	say_three();
}

/* What is kept goes out as it came, each line by itself, and then all goes out at once again. */
static void test_later(void **state)
{
	FILE *f[] = {tmpfile(), tmpfile(), tmpfile(), tmpfile()};
	const char *three = "prog: error: one\nprog: warning: two\nprog: three\n";
	char text[256];

	(void)state;
	hear(f[0], say_later_three, text, sizeof(text));
	assert_string_equal(text, "");
	hear(f[1], say_kept, text, sizeof(text));
	assert_string_equal(text, three);
	hear(f[2], say_kept, text, sizeof(text));
	assert_string_equal(text, "");
	hear(f[3], say_three, text, sizeof(text));
	assert_string_equal(text, three);
	for (size_t i = 0; i < COUNT(f); i++)
		fclose(f[i]);
}

static void say_of_complaint(void)
{
	say_complaint(&program, LOG_WARNING, "rain", "it %s", "rains");
	say_complaint_as((void *)&program, "rain", "it rains more");
	say_resolved(&program);
	quiet = true;
	say_complaint(&program, LOG_WARNING, "rain", "it rains");
	say_complaint(&program, LOG_WARNING, "snow", "it snows");
	say_resolved(&program);
	say_complaint(&program, LOG_ERR, "flood", "it pours");
	quiet = false;
	say_complaint(&program, LOG_WARNING, "snow", "it snows");
	say_resolved(&program);
	complaints_clear(&complaints);
}

/* A complaint is said once and when it is resolved. With -q there are errors alone, and the rest is new later. */
static void test_resolved(void **state)
{
	const char *said = "prog: warning: it rains\nprog: error: it pours\nprog: warning: it snows\n"
			   "prog: notice: resolved after ";
	FILE *f = tmpfile();
	char text[256];

	(void)state;
	hear(f, say_of_complaint, text, sizeof(text));
	assert_int_equal(strncmp(text, said, strlen(said)), 0);
	assert_string_equal(strchr(text + strlen(said), ' '), " s: it rains\n");
	fclose(f);
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
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_journal), cmocka_unit_test(test_later),
	                                   cmocka_unit_test(test_resolved), cmocka_unit_test(test_long)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
