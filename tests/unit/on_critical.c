/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/units.h"
#include "run/on_critical.h"

#define WAIT_MS 10000

static char folder[] = "/tmp/memsched-command-XXXXXX";
static const struct on_critical_number none[] = {{NULL, 0}};

static void path_of(char *path, size_t size, const char *name)
{
	snprintf(path, size, "%s/%s", folder, name);
}

/* A script that writes what its body prints to "out", whole. */
static void write_script(const char *body)
{
	char path[128];
	FILE *f;

	path_of(path, sizeof(path), "script");
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "#!/bin/sh\n{ %s\n} >%s/part\nmv %s/part %s/out\n", body, folder, folder, folder);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0755), 0);
}

/* What a run wrote; fails where it does not in time. */
static const char *output(void)
{
	static char text[8192];
	char path[128];
	FILE *f = NULL;
	size_t n;

	path_of(path, sizeof(path), "out");
	for (int i = 0; i < WAIT_MS / 10 && !(f = fopen(path, "r")); i++)
		poll(NULL, 0, 10);
	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	unlink(path);
	return text;
}

/* stat that does not come back while hangs is set, as on a disk that is gone. */
static atomic_bool hangs;
int __real_stat64(const char *path, struct stat *st);
int __wrap_stat64(const char *path, struct stat *st)
{
	while (atomic_load(&hangs))
		poll(NULL, 0, 10);
	return __real_stat64(path, st);
}

static int awaited_outcome(const struct on_critical *c)
{
	for (int i = 0; i < WAIT_MS / 10 && on_critical_outcome(c) == -EINPROGRESS; i++)
		poll(NULL, 0, 10);
	return on_critical_outcome(c);
}

static int outcome(struct on_critical *c)
{
	assert_int_equal(on_critical_test(c), 0);
	return awaited_outcome(c);
}

/* Runs folder/script with the rest of a line. */
static void run(const char *rest, const struct on_critical_number *numbers)
{
	char line[512];
	struct on_critical *c;

	snprintf(line, sizeof(line), "%s/script%s", folder, rest);
	assert_int_equal(on_critical_new(line, &c), 0);
	assert_int_equal(outcome(c), 0);
	assert_int_equal(on_critical_run(c, numbers), 0);
	on_critical_free(c);
}

static void test_words(void **state)
{
	const struct {
		const char *rest, *words;
	} rows[] = {
	    {"", ""},
	    {" a b", "[a][b]"},
	    {" \t a\t\t b  ", "[a][b]"},
	    {" a;touch $HOME `id` >x *", "[a;touch][$HOME][`id`][>x][*]"},
	    {" 'a b' \"c\" \\ d", "['a][b'][\"c\"][\\][d]"},
	    {" -rf --", "[-rf][--]"},
	};

	(void)state;
	write_script("for word; do printf '[%s]' \"$word\"; done");
	for (size_t i = 0; i < COUNT(rows); i++) {
		run(rows[i].rest, none);
		assert_string_equal(output(), rows[i].words);
	}
}

static void test_empty(void **state)
{
	static const char *const lines[] = {"", " ", " \t "};
	struct on_critical *c = (struct on_critical *)folder;

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++)
		assert_int_equal(on_critical_new(lines[i], &c), -EINVAL);
	assert_ptr_equal(c, folder);
	on_critical_free(NULL);
}

static void test_environment(void **state)
{
	const struct on_critical_number numbers[] = {{"MEMSCHED_A", 0}, {"MEMSCHED_B", UINT64_MAX}, {NULL, 0}};

	(void)state;
	setenv("MEMSCHED_OURS", "kept as it was", 1);
	setenv("MEMSCHED_A", "of before", 1);
	write_script("echo \"$MEMSCHED_A,$MEMSCHED_B,$MEMSCHED_OURS\"");
	run("", numbers);
	assert_string_equal(output(), "0,18446744073709551615,kept as it was\n");
	unsetenv("MEMSCHED_A");
	unsetenv("MEMSCHED_OURS");
}

/* Nothing of the guard's is handed on: stdin, signals, its place before the OOM killer, its session, descriptors. */
static void test_surroundings(void **state)
{
	sigset_t all, was;
	static const char expected[] = "/dev/null\n0\nSigBlk:0000000000000000\nSigIgn:0000000000000000\n";
	const char *text;
	int session = 0, descriptors = 0, score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	(void)state;
	if (score >= 0 && write(score, "500", 3) < 0)
		print_message("oom_score_adj: %s\n", strerror(errno));
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &was);
	signal(SIGPIPE, SIG_IGN);
	write_script("readlink /proc/self/fd/0; cat /proc/self/oom_score_adj; "
	             /* Read by the shell itself: while it forks, the C library blocks all signals. 32 and 33 are the
	              * library's own: as the parent of the test left them. */
	             "while read -r name mask; do case $name$mask in SigIgn:0000000[01][08]*) "
	             "mask=000000000${mask#?????????};; esac; "
	             "case $name in SigBlk: | SigIgn:) echo $name$mask;; esac; done </proc/$$/status; "
	             "ps -o sid= -p $$ | tr -d ' '; ls /proc/self/fd | wc -l");
	run("", none);
	sigprocmask(SIG_SETMASK, &was, NULL);
	signal(SIGPIPE, SIG_DFL);
	text = output();
	if (strncmp(text, expected, strlen(expected)) != 0 ||
	    sscanf(text + strlen(expected), "%d %d", &session, &descriptors) != 2)
		fail_msg("%s", text);
	assert_int_not_equal(session, getsid(0));
	assert_int_equal(descriptors, 4); /* of ls, which itself opens one; the shell's own are not handed on */
	if (score >= 0)
		close(score);
}

static void test_not_waited_for(void **state)
{
	char path[128];
	int fd;

	(void)state;
	write_script("until [ -e \"${0%/*}/go\" ]; do sleep 0.05; done; echo done");
	run("", none); /* it ends only after that has */
	path_of(path, sizeof(path), "go");
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_string_equal(output(), "done\n");
	unlink(path);
}

/* It is the child that fails; no zombie stays. */
static void test_not_executable(void **state)
{
	static const struct {
		const char *line;
		int error;
	} rows[] = {
	    {"/nowhere/at/all", -ENOENT}, {"/", -EACCES}, {"/etc/passwd x", -EACCES}, {"relative", -ENOENT},
	    {"/etc/passwd/x", -ENOTDIR},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct on_critical *c;

		assert_int_equal(on_critical_new(rows[i].line, &c), 0);
		assert_int_equal(outcome(c), rows[i].error);
		assert_int_equal(on_critical_run(c, none), 0);
		on_critical_free(c);
	}
	for (int i = 0; i < WAIT_MS / 10 && (waitpid(-1, NULL, WNOHANG) >= 0 || errno != ECHILD); i++)
		poll(NULL, 0, 10);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static bool is_alone(void)
{
	DIR *tasks = opendir("/proc/self/task");
	size_t n = 0;

	assert_non_null(tasks);
	while (readdir(tasks))
		n++;
	closedir(tasks);
	return n == 3; /* with . and .. */
}

/* Who asks is not held up, and may let go of it. */
static void test_hangs(void **state)
{
	struct on_critical *c[2];

	(void)state;
	atomic_store(&hangs, true);
	for (size_t i = 0; i < COUNT(c); i++) {
		assert_int_equal(on_critical_new("/nowhere/at/all", &c[i]), 0);
		assert_int_equal(on_critical_test(c[i]), 0);
		assert_int_equal(on_critical_outcome(c[i]), -EINPROGRESS);
	}
	on_critical_free(c[0]);
	atomic_store(&hangs, false);
	assert_int_equal(awaited_outcome(c[1]), -ENOENT);
	on_critical_free(c[1]);
	for (unsigned i = 0; i < 1000 && !is_alone(); i++) /* valgrind takes the stack of one that lives for lost */
		poll(NULL, 0, 10);
	assert_true(is_alone());
}

static int tear_down(void **state)
{
	char path[128];

	(void)state;
	path_of(path, sizeof(path), "script");
	unlink(path);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_words),          cmocka_unit_test(test_empty),
	    cmocka_unit_test(test_environment),    cmocka_unit_test(test_surroundings),
	    cmocka_unit_test(test_not_waited_for), cmocka_unit_test(test_not_executable),
	    cmocka_unit_test(test_hangs),
	};

	if (!mkdtemp(folder))
		return 1;
	for (int fd = 3; fd < 256; fd++) /* from the parent of the test */
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	signal(SIGCHLD, SIG_IGN); /* as the guard does */
	return cmocka_run_group_tests(tests, NULL, tear_down);
}
