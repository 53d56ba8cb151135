/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <cmocka.h>

#include "folder.h"
#include "base/clock.h"
#include "host/registry.h"
#include "host/wakeup.h"

#define LONG_MS 20000 /* longer than any sleep here */
#define UUID "aaaaaaaa-0000-4000-8000-000000000001"

static volatile sig_atomic_t stop;

static void test_time(void **state)
{
	struct wakeup w = {.pressure = -1, .pending = -1};
	uint64_t began_ms = clock_ms(CLOCK_BOOTTIME);

	(void)state;
	assert_int_equal(wakeup_wait(&w, 300, &stop), WAKEUP_TIME);
	assert_true(clock_ms(CLOCK_BOOTTIME) >= began_ms + 300);
	assert_int_equal(wakeup_wait(&w, 0, &stop), WAKEUP_TIME);
}

static void set_stop(int signal)
{
	(void)signal;
	stop = 1;
}

static void test_stop(void **state)
{
	struct wakeup w = {.pressure = -1, .pending = -1};
	uint64_t began_ms = clock_ms(CLOCK_BOOTTIME);

	(void)state;
	signal(SIGALRM, set_stop);
	alarm(1);
	assert_int_equal(wakeup_wait(&w, LONG_MS, &stop), WAKEUP_STOP);
	assert_true(clock_ms(CLOCK_BOOTTIME) < began_ms + LONG_MS);
	assert_int_equal(wakeup_wait(&w, LONG_MS, &stop), WAKEUP_STOP); /* at once */
	stop = 0;
}

/* A start becomes pending and ceases to be; its directory goes. */
static void test_pending(void **state)
{
	char root[FOLDER_BYTES], path[64];
	struct registry *r;
	struct wakeup w = {.pressure = -1};

	(void)state;
	assert_int_equal(folder_make(root, "wakeup"), 0);
	snprintf(path, sizeof(path), "%s/run", root);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(registry_open(root, true, &r), 0);
	w.pending = registry_watch_pending(r);
	assert_true(w.pending >= 0);
	assert_int_equal(wakeup_wait(&w, 10, &stop), WAKEUP_TIME);
	assert_int_equal(registry_save_pending(r, UUID, 1000, 1), 0);
	assert_int_equal(wakeup_wait(&w, LONG_MS, &stop), WAKEUP_PENDING);
	assert_int_equal(wakeup_wait(&w, 10, &stop), WAKEUP_TIME); /* once */
	registry_forget_pending(r, UUID);
	assert_int_equal(wakeup_wait(&w, LONG_MS, &stop), WAKEUP_PENDING);
	assert_true(w.pending >= 0);

	registry_close(r);
	assert_int_equal(folder_remove(root), 0);
	assert_int_equal(wakeup_wait(&w, LONG_MS, &stop), WAKEUP_PENDING);
	assert_int_equal(w.pending, -1); /* to be watched anew */
	wakeup_close(&w);
}

/* Urgent data make a socket ready just as a trigger that fires does. */
static void test_pressure(void **state)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(at);
	int server = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
	struct wakeup w = {.pending = -1};

	(void)state;
	if (bind(server, (const struct sockaddr *)&at, size) < 0 || listen(server, 1) < 0 ||
	    getsockname(server, (struct sockaddr *)&at, &size) < 0 ||
	    connect(client, (const struct sockaddr *)&at, size) < 0) {
		close(server);
		close(client);
		skip();
	}
	w.pressure = accept(server, NULL, NULL);
	assert_true(w.pressure >= 0);
	assert_int_equal(wakeup_wait(&w, 10, &stop), WAKEUP_TIME);
	assert_int_equal(send(client, "x", 1, MSG_OOB), 1);
	assert_int_equal(wakeup_wait(&w, LONG_MS, &stop), WAKEUP_PRESSURE);
	assert_true(w.pressure >= 0);
	close(server);
	close(client);
	wakeup_close(&w);
	assert_int_equal(w.pressure, -1);
}

/* A descriptor that is broken is given up, and does not make the guard spin. */
static void test_broken(void **state)
{
	int unused = dup(0);
	struct wakeup w = {.pressure = unused, .pending = unused};

	(void)state;
	close(unused);
	assert_int_equal(wakeup_wait(&w, 10, &stop), WAKEUP_TIME);
	assert_int_equal(w.pressure, -1);
	assert_int_equal(w.pending, -1);
}

static void test_no_trigger(void **state)
{
	char root[FOLDER_BYTES], path[64];
	struct wakeup w;
	FILE *f;

	(void)state;
	assert_int_equal(folder_make(root, "wakeup"), 0);
	assert_int_equal(wakeup_open(root, &w), -ENOSYS);
	assert_int_equal(w.pressure, -1);
	assert_int_equal(w.pending, -1);
	snprintf(path, sizeof(path), "%s/proc", root);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/proc/pressure", root);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/proc/pressure/memory", root);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs("some avg10=0.00\n", f);
	fclose(f);
	assert_int_equal(wakeup_open(root, &w), -ENOSYS); /* nothing is written to a file that is none of /proc */
	f = fopen(path, "r");
	assert_non_null(fgets(path, sizeof(path), f));
	fclose(f);
	assert_string_equal(path, "some avg10=0.00\n");
	assert_int_equal(folder_remove(root), 0);
}

/* ---- a kernel that takes triggers, or refuses them ---- */

int __real_fstatfs64(int fd, struct statfs *fs);
int __wrap_fstatfs64(int fd, struct statfs *fs);
ssize_t __real_write(int fd, const void *bytes, size_t size);
ssize_t __wrap_write(int fd, const void *bytes, size_t size);

static const int *answers; /* to each trigger: an errno, 0: it is set; NULL: we are not that kernel */

int __wrap_fstatfs64(int fd, struct statfs *fs)
{
	int r = __real_fstatfs64(fd, fs);

	if (answers)
		fs->f_type = PROC_SUPER_MAGIC;
	return r;
}

ssize_t __wrap_write(int fd, const void *bytes, size_t size)
{
	if (!answers)
		return __real_write(fd, bytes, size);
	errno = *answers;
	return *answers++ ? -1 : (ssize_t)size;
}

/* Where the kernel refuses, the guard sleeps by time alone, and nothing is left open. */
static void test_refused(void **state)
{
	static const struct {
		int answers[2], result;
	} rows[] = {
	    {{EPERM, EPERM}, -EPERM},
	    {{EOPNOTSUPP, EOPNOTSUPP}, -ENOSYS},
	    {{EINVAL, EBUSY}, -EBUSY},
	    {{EINVAL, 0}, 0},
	};
	char root[FOLDER_BYTES], path[64];
	int unused = dup(0), again, r;

	(void)state;
	close(unused);
	assert_int_equal(folder_make(root, "wakeup"), 0);
	for (const char *const *at = (const char *const[]){"proc", "proc/pressure", "proc/pressure/memory", NULL}; *at;
	     at++) {
		snprintf(path, sizeof(path), "%s/%s", root, *at);
		assert_int_equal(at[1] ? mkdir(path, 0755) : mknod(path, S_IFREG | 0644, 0), 0);
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct wakeup w;

		answers = rows[i].answers;
		r = wakeup_open(root, &w);
		answers = NULL;
		assert_int_equal(r, rows[i].result);
		assert_int_equal(w.pressure >= 0, !rows[i].result);
		if (rows[i].result)
			assert_int_equal(wakeup_wait(&w, 10, &stop), WAKEUP_TIME);
		wakeup_close(&w);
		again = dup(0);
		close(again);
		assert_int_equal(again, unused);
	}
	assert_int_equal(folder_remove(root), 0);
}

/* The kernel's own, where it has one and lets us. */
static void test_trigger(void **state)
{
	struct wakeup w;
	int r = wakeup_open("", &w);

	(void)state;
	if (r) {
		assert_int_equal(w.pressure, -1);
		print_message("no trigger here: %s\n", strerror(-r));
		skip();
	}
	assert_true(fcntl(w.pressure, F_GETFD) & FD_CLOEXEC);
	wakeup_wait(&w, 10, &stop);
	assert_true(w.pressure >= 0); /* poll finds nothing wrong with it */
	wakeup_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_time),     cmocka_unit_test(test_stop),    cmocka_unit_test(test_pending),
	    cmocka_unit_test(test_pressure), cmocka_unit_test(test_broken),  cmocka_unit_test(test_no_trigger),
	    cmocka_unit_test(test_refused),  cmocka_unit_test(test_trigger),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
