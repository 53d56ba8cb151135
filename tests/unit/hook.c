/* SPDX-License-Identifier: MIT */
/* The parts of the hook's helper; what it does as a process is in tests/cli/hook.bats. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "base/units.h"
#include "folder.h"
#define main helper_main
#include "../../hooks/memsched-hook.c"
#undef main

#define MIB KIB_PER_MIB
#define UUID "6f1c8a2e-0000-4000-8000-0123456789ab"
#define OTHER "6f1c8a2e-0000-4000-8000-0123456789ac"

/* ---- phases ---- */

static char root[FOLDER_BYTES];

static int set_up(void **state)
{
	(void)state;
	return folder_make_root(root, "hook");
}

static int tear_down(void **state)
{
	(void)state;
	return folder_remove(root);
}

/* Makes length bytes of text stdin. */
static void give_input(const char *text, size_t length)
{
	char path[] = "/tmp/memsched-hook-input-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(write(fd, text, length), length);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(dup2(fd, STDIN_FILENO), STDIN_FILENO);
	if (fd != STDIN_FILENO)
		close(fd);
}

#define DOMAIN(uuid)                                                                                                   \
	"<domain id='7'><name>a\nb</name><uuid>" uuid "</uuid><memory unit='GiB'>4</memory>"                           \
	"<currentMemory unit='GiB'>1</currentMemory><metadata><m:memory xmlns:m='" DOMXML_NAMESPACE "'>"               \
	"<m:min unit='GiB'>1</m:min><m:max>nonsense</m:max><m:weight>7</m:weight></m:memory></metadata></domain>"

static void run_phase(const char *operation, const char *suboperation, const char *xml)
{
	const struct phase *phase = find_phase(operation, suboperation);

	give_input(xml, strlen(xml));
	if (phase)
		act_on_phase(phase, root);
}

/* What the registry knows of a guest, as letters: d(omain) p(ending) s(tate). */
static const char *known(const char *uuid, char letters[4])
{
	static const char *const folders[] = {"domains", "pending", "state"};
	size_t n = 0;

	for (size_t i = 0; i < 3; i++) {
		char path[256];

		snprintf(path, sizeof(path), "%s/run/memsched/%s/%s", root, folders[i], uuid);
		if (access(path, F_OK) == 0)
			letters[n++] = folders[i][0];
	}
	letters[n] = '\0';
	return letters;
}

static const struct {
	const char *operation, *suboperation;
	const char *fresh, *full; /* what is known after it where nothing was known, and where all was */
} phase_rows[] = {
    {"prepare", "begin", "p", "dps"},  {"migrate", "begin", "p", "dps"},    {"started", "begin", "d", "ds"},
    {"reconnect", "begin", "d", "ds"}, {"stopped", "end", "", ""},          {"release", "end", "", ""},
    {"start", "begin", "", "dps"},     {"restore", "begin", "", "dps"},     {"attach", "begin", "", "dps"},
    {"prepare", "end", "", "dps"},     {"started", "end", "", "dps"},       {"release", "begin", "", "dps"},
    {"stopped", "begin", "", "dps"},   {"PREPARE", "begin", "", "dps"},     {"", "", "", "dps"},
    {"shutdown", "begin", "", "dps"},  {"prepare", "beginning", "", "dps"},
};

static void remember_all(void)
{
	struct registry *r = NULL;

	assert_int_equal(registry_open(root, true, &r), 0);
	assert_int_equal(registry_save_record(r, UUID, &(struct record){.started_s = 5, .hints.weight = 1}), 0);
	assert_int_equal(registry_save_pending(r, UUID, 1, (uint64_t)time(NULL)), 0);
	assert_int_equal(registry_save_past(r, UUID, &(struct past){0}), 0);
	registry_close(r);
}

static void test_phases(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(phase_rows) / sizeof(phase_rows[0]); i++) {
		char letters[4];

		run_phase(phase_rows[i].operation, phase_rows[i].suboperation, DOMAIN(UUID));
		if (strcmp(known(UUID, letters), phase_rows[i].fresh) != 0)
			fail_msg("%s %s: '%s'", phase_rows[i].operation, phase_rows[i].suboperation, letters);
		remember_all();
		run_phase(phase_rows[i].operation, phase_rows[i].suboperation, DOMAIN(OTHER));
		assert_string_equal(known(UUID, letters), "dps");
		run_phase(phase_rows[i].operation, phase_rows[i].suboperation, DOMAIN(UUID));
		if (strcmp(known(UUID, letters), phase_rows[i].full) != 0)
			fail_msg("%s %s: '%s'", phase_rows[i].operation, phase_rows[i].suboperation, letters);
		assert_int_equal(tear_down(state) + set_up(state), 0);
	}
}

static uint64_t started_s(void)
{
	struct registry *r = NULL;
	struct record record = {0};
	uint64_t s;

	assert_int_equal(registry_open(root, false, &r), 0);
	assert_int_equal(registry_load_record(r, UUID, &record), 0);
	s = record.started_s;
	assert_string_equal(record.name, "a\nb");
	assert_int_equal(record.maximum_kib, 4096 * MIB);
	assert_true(record.hints.present && record.hints.has_min && !record.hints.has_max);
	assert_int_equal(record.hints.min_kib, 1024 * MIB);
	assert_int_equal(record.hints.weight, 7);
	record_clear(&record);
	registry_close(r);
	return s;
}

/* A guest that was there before the hook has no start; one that was restarted has a new one. */
static void test_started_at(void **state)
{
	uint64_t now_s = (uint64_t)time(NULL);

	(void)state;
	run_phase("reconnect", "begin", DOMAIN(UUID));
	assert_int_equal(started_s(), 0);
	remember_all();
	run_phase("reconnect", "begin", DOMAIN(UUID));
	assert_int_equal(started_s(), 5);
	run_phase("started", "begin", DOMAIN(UUID));
	assert_in_range(started_s(), now_s, now_s + 60);
}

static void test_pending(void **state)
{
	struct registry *r = NULL;
	uint64_t now_s = (uint64_t)time(NULL);

	(void)state;
	run_phase("prepare", "begin", DOMAIN(UUID));
	assert_int_equal(registry_open(root, false, &r), 0);
	assert_int_equal(registry_pending_kib(r, now_s, NULL), 1088 * MIB);
	assert_int_equal(registry_pending_kib(r, now_s + 120, NULL), 0);
	registry_close(r);
}

static const char *const refused[] = {
    "",
    "<domain/>",
    "<domain><name>x</name><uuid/></domain>",
    "<domain><name>x</name><uuid>../../../etc/passwd</uuid></domain>",
    "<network><uuid>" UUID "</uuid></network>",
    "<domain><uuid>" UUID "</uuid>",
    "<!DOCTYPE domain>" DOMAIN(UUID),
};

static void test_refused(void **state)
{
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "%s/run/memsched", root);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		run_phase("started", "begin", refused[i]);
		if (access(path, F_OK) == 0)
			fail_msg("%s", refused[i]);
	}
}

/* ---- input ---- */

static void test_input(void **state)
{
	static const struct {
		size_t length;
		bool good;
	} rows[] = {{0, true}, {1, true}, {100000, true}, {DOMXML_MAX_BYTES, true}, {DOMXML_MAX_BYTES + 1, false}};
	char *much = calloc(1, DOMXML_MAX_BYTES + 1);

	(void)state;
	assert_non_null(much);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t length = 4242;
		char *text;

		give_input(much, rows[i].length);
		text = read_input(&length);
		assert_int_equal(text != NULL, rows[i].good);
		assert_int_equal(length, rows[i].good ? rows[i].length : 4242);
		free(text);
	}
	free(much);
}

/* In small pieces, as through a pipe, and without any stdin. */
static void test_input_in_pieces(void **state)
{
	int fd[2];
	pid_t child;
	size_t length;
	char *text;

	(void)state;
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	child = fork();
	if (child == 0) {
		for (int i = 0; i < 100; i++)
			if (write(fd[1], "0123456789", 10) != 10)
				_exit(1);
		_exit(0);
	}
	close(fd[1]);
	assert_int_equal(dup2(fd[0], STDIN_FILENO), STDIN_FILENO);
	close(fd[0]);
	text = read_input(&length);
	assert_non_null(text);
	assert_int_equal(length, 1000);
	assert_memory_equal(text + 990, "0123456789", 10);
	free(text);
	waitpid(child, NULL, 0);
	close(STDIN_FILENO);
	assert_null(read_input(&length));
}

/* ---- limits ---- */

static void test_limits(void **state)
{
	static const struct {
		unsigned resource;
		rlim_t least, most;
	} rows[] = {
	    {RLIMIT_CPU, 2, 2}, /* the soft one is lower: at the hard one it would be killed */
	    {RLIMIT_CORE, 0, 0},
	    {RLIMIT_FSIZE, 4096, 1 << 20},
	};
	pid_t child = fork();
	int status;

	(void)state;
	if (child == 0) {
		struct rlimit is;

		limit_ourselves();
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
			if (getrlimit(rows[i].resource, &is) < 0 || is.rlim_max < rows[i].least ||
			    is.rlim_max > rows[i].most)
				_exit(10 + (int)i);
		if (getrlimit(RLIMIT_CPU, &is) < 0 || is.rlim_cur >= is.rlim_max)
			_exit(19);
		_exit(getrlimit(RLIMIT_AS, &is) < 0 || is.rlim_max == RLIM_INFINITY || alarm(0) != 1 ? 20 : 0);
	}
	waitpid(child, &status, 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* Standard descriptors that are closed are filled before anything is opened. */
static void test_closed(void **state)
{
	char *args[] = {(char[]){"memsched-hook"}, NULL};
	int status;
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		bool good = true;
		char path[32], target[32];

		for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
			close(fd);
		helper_main(1, args);
		for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
			ssize_t n;

			snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
			n = readlink(path, target, sizeof(target));
			good &= n == (ssize_t)strlen("/dev/null") && !memcmp(target, "/dev/null", (size_t)n);
		}
		_exit(!good);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_phases),
	    TEST(test_started_at),
	    TEST(test_pending),
	    TEST(test_refused),
	    cmocka_unit_test(test_input),
	    cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_closed),
	    cmocka_unit_test(test_input_in_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
