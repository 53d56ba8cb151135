/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/units.h"
#include "run/loop.h"

static char folder[] = "/tmp/memsched-notify-XXXXXX";

/* A socket such as systemd's, by the name that NOTIFY_SOCKET then has. */
static int listen_at(const char *name)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	memcpy(at.sun_path, name, strlen(name));
	if (*name == '@')
		at.sun_path[0] = '\0';
	assert_int_equal(
	    bind(fd, (const struct sockaddr *)&at, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
	    0);
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

/* This and no more; "": nothing. */
static void hears(int fd, const char *text)
{
	char heard[64] = "";

	assert_int_equal(recv(fd, heard, sizeof(heard) - 1, 0), *text ? (ssize_t)strlen(text) : -1);
	assert_string_equal(heard, text);
	assert_int_equal(recv(fd, heard, sizeof(heard), 0), -1);
	assert_int_equal(errno, EAGAIN);
}

static void test_sockets(void **state)
{
	char path[128], abstract[128];
	const char *const names[] = {path, abstract};

	(void)state;
	snprintf(path, sizeof(path), "%s/notify", folder);
	snprintf(abstract, sizeof(abstract), "@memsched-notify-%d", (int)getpid());
	for (size_t i = 0; i < COUNT(names); i++) {
		int fd = listen_at(names[i]);

		loop_notify("READY=1");
		hears(fd, "READY=1");
		loop_notify("WATCHDOG=1");
		hears(fd, "WATCHDOG=1");
		close(fd);
		loop_notify("STOPPING=1"); /* without a reader nothing happens */
	}
	unlink(path);
}

/* A full socket is not waited for. */
static void test_full(void **state)
{
	char path[128];
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/full", folder);
	fd = listen_at(path);
	alarm(20);
	for (int i = 0; i < 5000; i++)
		loop_notify("WATCHDOG=1");
	alarm(0);
	close(fd);
	unlink(path);
}

static void test_garbage(void **state)
{
	static char longer[sizeof(((struct sockaddr_un *)0)->sun_path) + 2];
	const char *const names[] = {"", "/", "@", "relative", "vsock:2:1234", "unix:/x", longer, "/nowhere/at/all"};

	(void)state;
	memset(longer, 'a', sizeof(longer) - 1);
	longer[0] = '/';
	for (size_t i = 0; i < COUNT(names); i++) {
		setenv("NOTIFY_SOCKET", names[i], 1);
		loop_notify("READY=1");
	}
	unsetenv("NOTIFY_SOCKET");
	loop_notify("READY=1");
}

static void test_watchdog(void **state)
{
	const struct {
		const char *usec, *pid; /* NULL: not set; "self": ours */
		uint64_t each_ms;
	} rows[] = {
	    {NULL, NULL, 0},
	    {"30000000", NULL, 15000},
	    {"30000000", "self", 15000},
	    {"30000000", "1", 0},
	    {"30000000", "", 0},
	    {"30000000", "x", 0},
	    {"30000000", "-1", 0},
	    {"", NULL, 0},
	    {"x", NULL, 0},
	    {"30s", NULL, 0},
	    {"-5", NULL, 0},
	    {"0", NULL, 0},
	    {"99999999999999999999999", NULL, 0},
	};
	char self[16];

	(void)state;
	snprintf(self, sizeof(self), "%d", (int)getpid());
	for (size_t i = 0; i < COUNT(rows); i++) {
		unsetenv("WATCHDOG_USEC");
		unsetenv("WATCHDOG_PID");
		if (rows[i].usec)
			setenv("WATCHDOG_USEC", rows[i].usec, 1);
		if (rows[i].pid)
			setenv("WATCHDOG_PID", strcmp(rows[i].pid, "self") ? rows[i].pid : self, 1);
		if (loop_watchdog_ms() != rows[i].each_ms)
			fail_msg("row %zu: %llu ms", i, (unsigned long long)loop_watchdog_ms());
	}
}

/* A quarter of what systemd waits for lies between two, and nothing is sent by a stuck one. */
static void test_feed(void **state)
{
	const struct {
		uint64_t now_ms, stuck_ms;
		bool fed;
	} rows[] = {
	    {5000, 35000, true},   {5001, 35000, false},  {12499, 35000, false},
	    {12500, 35000, true},  {35000, 35000, true},  {42500, 42499, false},
	    {99000, 42499, false}, {99000, 98999, false}, {99000, 99000, true},
	};
	uint64_t fed_ms = 0;
	char path[128];
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/feed", folder);
	fd = listen_at(path);
	unsetenv("WATCHDOG_PID");
	unsetenv("WATCHDOG_USEC");
	loop_ping_watchdog(&fed_ms, 5000, UINT64_MAX);
	hears(fd, "");
	setenv("WATCHDOG_USEC", "30000000", 1);
	for (size_t i = 0; i < COUNT(rows); i++) {
		loop_ping_watchdog(&fed_ms, rows[i].now_ms, rows[i].stuck_ms);
		hears(fd, rows[i].fed ? "WATCHDOG=1" : "");
		if ((fed_ms == rows[i].now_ms) != rows[i].fed)
			fail_msg("row %zu", i);
	}
	close(fd);
	unlink(path);
}

/* Prints into a pipe that is full, with what loop_catch_signals does about it. */
static _Noreturn void print_into(const int full[2], int ready)
{
	bool failed;

	dup2(full[1], STDOUT_FILENO);
	dup2(full[1], STDERR_FILENO);
	loop_catch_signals();
	if (write(ready, "", 1) < 0)
		_exit(2);
	failed = printf("lost\n") < 0 || fflush(stdout);
	failed &= printf("lost too\n") < 0 || fflush(stdout);
	_exit(!failed || write(STDERR_FILENO, "lost too", 8) > 0 || !*loop_stop());
}

/* After SIGTERM nothing waits for a reader for longer than a moment. */
static void test_ends_before_a_full_pipe(void **state)
{
	int full[2], ready[2], status;
	pid_t child;

	(void)state;
	assert_int_equal(pipe(full) | pipe(ready), 0);
	fcntl(full[1], F_SETFL, O_NONBLOCK);
	while (write(full[1], "x", 1) > 0)
		;
	fcntl(full[1], F_SETFL, 0);
	child = fork();
	if (child == 0)
		print_into(full, ready[1]);
	assert_int_equal(read(ready[0], &(char){0}, 1), 1);
	assert_int_equal(kill(child, SIGTERM), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	for (int i = 0; i < 2; i++) {
		close(full[i]);
		close(ready[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sockets), cmocka_unit_test(test_full),
	    cmocka_unit_test(test_garbage), cmocka_unit_test(test_watchdog),
	    cmocka_unit_test(test_feed),    cmocka_unit_test(test_ends_before_a_full_pipe),
	};
	int failed;

	if (!mkdtemp(folder))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	return failed;
}
