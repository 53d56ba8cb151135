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

#include "folder.h"
#include "host/complaints.h"

static char root[FOLDER_BYTES];
static char said_path[sizeof(root) + 32];
static struct registry *registry;
static struct complaints complaints;

static int set_up(void **state)
{
	(void)state;
	if (folder_make_root(root, "complaints"))
		return -1;
	snprintf(said_path, sizeof(said_path), "%s/run/memsched/said", root);
	return registry_open(root, true, &registry) || complaints_load(&complaints, registry);
}

static int tear_down(void **state)
{
	(void)state;
	complaints_clear(&complaints);
	registry_close(registry);
	return folder_remove(root);
}

/* As a process that starts now. */
static int load(void)
{
	return complaints_load(&complaints, registry);
}

static void put(const char *text)
{
	FILE *f = fopen(said_path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static bool raise_one(const char *key, uint64_t now_s)
{
	char text[32];

	snprintf(text, sizeof(text), "the sentence %s", key);
	return complaints_raise(&complaints, key, text, now_s, COMPLAINTS_HOURLY_S);
}

/* "a5": the complaint a is resolved after 5 s. */
static void note_resolved(const void *arg, const char *text, uint64_t lasted_s)
{
	assert_int_equal(strncmp(text, "the sentence ", 13), 0);
	sprintf((char *)arg + strlen(arg), "%s%u", text + 13, (unsigned)lasted_s);
}

static void count_resolved(const void *arg, const char *text, uint64_t lasted_s)
{
	(void)text, (void)lasted_s;
	++*(unsigned *)arg;
}

static const struct {
	uint64_t now_s;
	const char *keys; /* a letter each, in this pass */
	const char *said, *resolved;
} rows[] = {
    {1000, "a", "a", ""},         {1001, "a", "", ""},   {1002, "ab", "b", ""},
    {1003, "b", "", "a3"},        {1004, "ab", "a", ""}, {4601, "ab", "", ""},
    {4602, "ab", "b", ""},        {4603, "aba", "", ""}, {4604, "ab", "a", ""},
    {4605, "", "", "b3603a3601"}, {4606, "", "", ""},    {4607, "a", "a", ""},
    {10, "a", "a", ""},           {11, "a", "", ""},     {4608, "", "", "a1"},
};

/* Each row as a process of its own, and again all as passes of one loop. */
static void test_say(void **state)
{
	for (int loop = 0; loop < 2; loop++) {
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			char said[8] = "", resolved[64] = "";

			for (const char *k = rows[i].keys; *k; k++) {
				char key[2] = {*k};

				if (raise_one(key, rows[i].now_s))
					strcat(said, key);
			}
			complaints_end(&complaints, rows[i].now_s, note_resolved, resolved);
			if (strcmp(said, rows[i].said) != 0 || strcmp(resolved, rows[i].resolved) != 0)
				fail_msg("row %zu: said '%s' resolved '%s'", i, said, resolved);
			if (!loop)
				assert_int_equal(load(), 0);
		}
		assert_int_equal(tear_down(state) + set_up(state), 0);
	}
}

/* memstat and memguard: they say a thing once too, and leave nothing behind. */
static void test_say_without_registry(void **state)
{
	char resolved[64] = "";

	(void)state;
	assert_int_equal(complaints_load(&complaints, NULL), 0);
	assert_true(raise_one("a", 1));
	assert_false(raise_one("a", 1));
	complaints_end(&complaints, 1, note_resolved, resolved);
	complaints_end(&complaints, 2, note_resolved, resolved);
	assert_string_equal(resolved, "a1");
	assert_int_equal(access(said_path, F_OK), -1);
}

/* memguard repeats that it cannot free memory each minute. */
static void test_once_a_minute(void **state)
{
	const struct {
		uint64_t at_s;
		bool due;
	} at[] = {{5, true}, {6, false}, {64, false}, {65, true}, {66, false}, {124, false}, {900, true}};

	(void)state;
	for (size_t i = 0; i < sizeof(at) / sizeof(*at); i++)
		assert_int_equal(complaints_raise(&complaints, "a", "the sentence a", at[i].at_s, 60), at[i].due);
}

static const char *const said_files[] = {
    "",           "\n",         "x\n",         "1 2\n",       "1 2",
    "x 2 text\n", "1 x text\n", "5 5 twice\n", "-1 2 text\n", "99999999999999999999 2 text\n",
    " \n  \n",
};

/* What does not parse is forgotten, and what parses is kept. */
static void test_said_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(said_files) / sizeof(said_files[0]); i++) {
		unsigned resolved = 0;
		char text[256];

		snprintf(text, sizeof(text), "%s5 6 kept\n", said_files[i]);
		put(strcmp(said_files[i], "1 2") == 0 ? said_files[i] : text);
		assert_int_equal(load(), 0);
		complaints_end(&complaints, 1000, count_resolved, &resolved);
		if (resolved != (strcmp(said_files[i], "1 2") != 0))
			fail_msg("row %zu: %u", i, resolved);
	}
}

static void test_said_shapes(void **state)
{
	char resolved[64] = "";

	(void)state;
	assert_int_equal(mkfifo(said_path, 0644), 0);
	assert_int_equal(load(), -EBADMSG);
	assert_true(complaints_raise(&complaints, "a", "the sentence a\nb", 1000, COMPLAINTS_HOURLY_S));
	complaints_end(&complaints, 1000, note_resolved, resolved);
	assert_int_equal(load(), 0);
	complaints_end(&complaints, 1001, note_resolved, resolved);
	assert_string_equal(resolved, "a b1");
	assert_int_equal(truncate(said_path, 1 << 20), 0);
	assert_int_equal(load(), -EBADMSG);
	assert_true(raise_one("a", 1002));
}

/* Where all stays as it was nothing is written. */
static void test_said_is_kept(void **state)
{
	struct stat st;

	(void)state;
	for (int pass = 0; pass < 2; pass++) {
		assert_int_equal(load(), 0);
		assert_int_equal(raise_one("a", 1000), pass == 0);
		assert_int_equal(chmod(said_path, 0600), pass == 0 ? -1 : 0);
		complaints_end(&complaints, 1000, count_resolved, NULL);
		assert_int_equal(stat(said_path, &st), 0);
		assert_int_equal(st.st_mode & 07777, pass == 0 ? 0644 : 0600);
	}
}

/* A pass that learned nothing of what was complained of before does not call it resolved. */
static void test_said_stands(void **state)
{
	char resolved[64] = "";

	(void)state;
	assert_true(raise_one("a", 1000));
	complaints_end(&complaints, 1000, note_resolved, resolved);
	assert_true(raise_one("b", 1001));
	complaints_keep_all(&complaints);
	complaints_end(&complaints, 1001, note_resolved, resolved);
	assert_false(raise_one("a", 1002));
	complaints_end(&complaints, 1002, note_resolved, resolved);
	assert_string_equal(resolved, "b1");
	complaints_keep(&complaints, "a");
	complaints_keep(&complaints, "never said");
	complaints_end(&complaints, 1003, note_resolved, resolved);
	assert_string_equal(resolved, "b1");
	complaints_end(&complaints, 1004, note_resolved, resolved);
	assert_string_equal(resolved, "b1a4");
}

/* A loop does not repeat itself each pass if the file cannot be written, and writes it once it can. */
static void test_said_unwritten(void **state)
{
	char resolved[64] = "";

	(void)state;
	assert_int_equal(mkdir(said_path, 0755), 0);
	for (uint64_t now_s = 1000; now_s < 1003; now_s++) {
		assert_int_equal(raise_one("a", now_s), now_s == 1000);
		complaints_end(&complaints, now_s, note_resolved, resolved);
	}
	assert_int_equal(rmdir(said_path), 0);
	assert_false(raise_one("a", 1003));
	complaints_end(&complaints, 1003, note_resolved, resolved);
	assert_int_equal(load(), 0);
	complaints_end(&complaints, 1004, note_resolved, resolved);
	assert_string_equal(resolved, "a4");
}

/* More complaints than can be kept are all said, each time. */
static void test_said_is_capped(void **state)
{
	struct stat st;
	char text[2001];
	unsigned resolved = 0;

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	for (int pass = 0; pass < 3; pass++) { /* an hour later too, when the file has each of them twice */
		uint64_t now_s = UINT64_MAX - 10000 + (pass == 2 ? 3600 : 0);
		unsigned said = 0;

		assert_int_equal(load(), 0);
		for (int i = 0; i < 1000; i++) {
			char key[16];

			snprintf(key, sizeof(key), "%d", i);
			said += complaints_raise(&complaints, key, text, now_s, COMPLAINTS_HOURLY_S);
		}
		complaints_end(&complaints, now_s, count_resolved, &resolved);
		assert_int_equal(said, pass == 1 ? 1000 - 256 : 1000);
		assert_int_equal(stat(said_path, &st), 0);
		assert_in_range(st.st_size, (pass == 2 ? 2 : 1) * 256 * 300, (pass == 2 ? 2 : 1) * 100000);
	}
	assert_int_equal(resolved, 0);
	assert_int_equal(load(), 0);
	complaints_end(&complaints, UINT64_MAX, count_resolved, &resolved);
	assert_int_equal(resolved, 256);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_say),          TEST(test_say_without_registry), TEST(test_once_a_minute),
	    TEST(test_said_refused), TEST(test_said_shapes),          TEST(test_said_is_kept),
	    TEST(test_said_stands),  TEST(test_said_unwritten),       TEST(test_said_is_capped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
