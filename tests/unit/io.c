/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/io.h"

/* ---- files ---- */

static char dir[] = "/tmp/memsched-io-XXXXXX";

static int set_up(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/memsched-io-XXXXXX");
	return !mkdtemp(dir) || chdir(dir);
}

/* Fails if a temporary is left. */
static int tear_down(void **state)
{
	(void)state;
	unlink("a");
	return chdir("/") || rmdir(dir);
}

static void has_content(const char *path, const char *expected)
{
	char text[64];
	int fd = open(path, O_RDONLY);
	ssize_t n = file_read(fd, text, sizeof(text) - 1);

	assert_in_range(n, 0, sizeof(text) - 1);
	text[n] = '\0';
	fd_close(&fd);
	assert_string_equal(text, expected);
}

static void test_write(void **state)
{
	char long_name[300];
	struct stat st;
	int fd = open(".", O_RDONLY | O_DIRECTORY);

	(void)state;
	umask(077);
	assert_int_equal(file_write(AT_FDCWD, "a", "one\n", 4), 0);
	umask(022);
	assert_int_equal(stat("a", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(file_write(fd, "a", "two\n", 3), 0);
	has_content("a", "two");
	assert_int_equal(file_write(fd, "a", "", 0), 0);
	has_content("a", "");
	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	assert_int_equal(file_write(fd, long_name, "x", 1), -ENAMETOOLONG);
	fd_close(&fd);
	assert_int_equal(fd, -1);
	fd_close(&fd);
}

static void put(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(fd_write(fd, text, strlen(text)), 0);
	fd_close(&fd);
}

static long fixed_ns = -1;

int __real_clock_gettime(clockid_t id, struct timespec *t);
int __wrap_clock_gettime(clockid_t id, struct timespec *t);

int __wrap_clock_gettime(clockid_t id, struct timespec *t)
{
	int r = __real_clock_gettime(id, t);

	if (fixed_ns >= 0)
		t->tv_nsec = fixed_ns;
	return r;
}

/* The temporary of another writer with this number, in another container, is not taken over. */
static void test_temporary_of_another(void **state)
{
	char name[64];

	(void)state;
	fixed_ns = 4242;
	snprintf(name, sizeof(name), ".a.tmp.%d.%09ld", (int)getpid(), fixed_ns);
	put(name, "theirs");
	assert_int_equal(file_write(AT_FDCWD, "a", "one", 3), -EEXIST);
	has_content(name, "theirs");
	fixed_ns = 4243;
	assert_int_equal(file_write(AT_FDCWD, "a", "one", 3), 0);
	has_content("a", "one");
	fixed_ns = -1;
	assert_int_equal(unlink(name), 0);
}

/* A temporary that was left over is taken over, but not from a writer that lives, and not through a link. */
static void test_publish(void **state)
{
	int fd;

	(void)state;
	put(".a.tmp", "left over");
	assert_int_equal(file_publish("a", "one", 3), 0);
	has_content("a", "one");
	put(".a.tmp", "half");
	fd = open(".a.tmp", O_WRONLY);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(file_publish("a", "two", 3), -EBUSY);
	has_content(".a.tmp", "half");
	fd_close(&fd);
	put("b", "precious");
	assert_int_equal(unlink(".a.tmp") | symlink("b", ".a.tmp"), 0);
	assert_int_equal(file_publish("a", "two", 3), -EMEDIUMTYPE);
	assert_int_equal(unlink(".a.tmp") | link("b", ".a.tmp"), 0);
	assert_int_equal(file_publish("a", "two", 3), -EPERM);
	assert_int_equal(unlink(".a.tmp") | mkfifo(".a.tmp", 0600), 0);
	assert_int_equal(file_publish("a", "two", 3), -EMEDIUMTYPE);
	has_content("b", "precious");
	has_content("a", "one");
	assert_int_equal(unlink(".a.tmp") | unlink("b"), 0);
}

/* Nothing but a plain file of ours is replaced. */
static void test_publish_target(void **state)
{
	struct stat st;

	(void)state;
	umask(077);
	assert_int_equal(file_publish("a", "one\n", 4), 0);
	umask(022);
	assert_int_equal(stat("a", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(file_publish("./a", "two\n", 3), 0);
	has_content("a", "two");
	assert_int_equal(file_publish("a", "", 0), 0);
	has_content("a", "");
	assert_int_equal(symlink("a", "link"), 0);
	assert_int_equal(file_publish("link", "x", 1), -EMEDIUMTYPE);
	assert_int_equal(mkdir("folder", 0700), 0);
	assert_int_equal(file_publish("folder", "x", 1), -EMEDIUMTYPE);
	assert_int_equal(file_publish("folder/", "x", 1), -EMEDIUMTYPE);
	assert_int_equal(link("a", "second"), 0);
	assert_int_equal(file_publish("a", "x", 1), -EPERM);
	assert_int_equal(unlink("second"), 0);
	assert_int_equal(file_publish("nowhere/a", "x", 1), -ENOENT);
	assert_int_equal(file_publish("a/b", "x", 1), -ENOTDIR);
	has_content("a", "");
	assert_int_equal(unlink("link") | rmdir("folder"), 0);
}

#define WRITERS 4
#define TIMES 50

static pid_t publish_often(char letter)
{
	pid_t child = fork();
	char text[9000];

	if (child)
		return child;
	memset(text, letter, sizeof(text));
	for (int i = 0; i < TIMES; i++) {
		int error = file_publish("a", text, sizeof(text));

		if (error && error != -EBUSY)
			_exit(1);
	}
	_exit(0);
}

static void is_whole(void)
{
	char text[9001];
	int fd = open("a", O_RDONLY);

	assert_int_equal(file_read(fd, text, sizeof(text)), 9000);
	fd_close(&fd);
	for (size_t i = 1; i < 9000; i++)
		assert_int_equal(text[i], text[0]);
}

/* What is published is the whole text of one of several writers at a time. */
static void test_publish_at_once(void **state)
{
	int ended = 0, status;

	(void)state;
	assert_int_equal(waitpid(publish_often('x'), &status, 0) > 0 && status == 0, 1);
	for (char letter = 'a'; letter < 'a' + WRITERS; letter++)
		assert_true(publish_often(letter) > 0);
	while (ended < WRITERS) {
		is_whole();
		if (waitpid(-1, &status, WNOHANG) <= 0)
			continue;
		assert_int_equal(status, 0);
		ended++;
	}
	is_whole();
}

/* ---- other users ---- */

#define OTHER 65534

static int open_dir_of(const char *path, const char *expected_name)
{
	const char *name;
	int fd = dir_open_of(path, &name);

	assert_string_equal(name, expected_name);
	return fd;
}

static void has_entry(const char *path, const char *name)
{
	int fd = open_dir_of(path, name);

	assert_true(fd >= 0);
	assert_int_equal(faccessat(fd, name, F_OK, AT_SYMLINK_NOFOLLOW), 0);
	fd_close(&fd);
}

/* Links of ours lead on, but not if another user may have put one there. */
static void test_dir_open_of(void **state)
{
	char path[64];

	(void)state;
	assert_int_equal(mkdir("d", 0755) | mkdir("d/e", 0755) | symlink("e", "d/link"), 0);
	assert_int_equal(file_write(AT_FDCWD, "a", "", 0), 0);
	assert_int_equal(rename("a", "d/e/a"), 0);
	has_entry("d/e/a", "a");
	has_entry(".//d/../d/link//a", "a");
	snprintf(path, sizeof(path), "%s/d/e/a", dir);
	has_entry(path, "a");
	has_entry("d", "d");
	assert_int_equal(open_dir_of("d/nowhere/a", "a"), -ENOENT);
	assert_int_equal(open_dir_of("d/e/a/b", "b"), -ENOTDIR);
	assert_int_equal(symlink("round", "round") | symlink("./d/../d/link", "through"), 0);
	assert_int_equal(open_dir_of("round/a", "a"), -ELOOP);
	has_entry("through/a", "a");
	assert_int_equal(chmod("d", 0777), 0);
	assert_int_equal(open_dir_of("d/link/a", "a"), -EPERM);
	assert_int_equal(open_dir_of("through/a", "a"), -EPERM);
	has_entry("d/e/a", "a");
	assert_int_equal(chmod("d", 01777), 0);
	has_entry("d/link/a", "a");
	if (geteuid() == 0) {
		assert_int_equal(lchown("d/link", OTHER, OTHER), 0);
		assert_int_equal(open_dir_of("d/link/a", "a"), -EPERM);
		assert_int_equal(lchown("d/link", 0, 0) | chmod("d", 0755) | chown("d", OTHER, OTHER), 0);
		assert_int_equal(open_dir_of("d/link/a", "a"), -EPERM);
	}
	assert_int_equal(unlink("round") | unlink("through"), 0);
	assert_int_equal(unlink("d/link") | unlink("d/e/a") | rmdir("d/e") | rmdir("d"), 0);
}

static int check_target(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return file_check_target(&st);
}

static void test_check_target(void **state)
{
	(void)state;
	assert_int_equal(file_write(AT_FDCWD, "a", "", 0), 0);
	assert_int_equal(check_target("a"), 0);
	assert_int_equal(check_target("."), -EMEDIUMTYPE);
	assert_int_equal(link("a", "b"), 0);
	assert_int_equal(check_target("a"), -EPERM);
	assert_int_equal(unlink("b"), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown("a", OTHER, OTHER), 0);
		assert_int_equal(check_target("a"), -EPERM);
	}
}

/* No file gets the number of a standard descriptor that was closed, and what is printed there is lost with an error. */
static void test_fill_standard(void **state)
{
	int status;
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		bool good;

		close(STDIN_FILENO);
		close(STDOUT_FILENO);
		close(STDERR_FILENO);
		good = fd_fill_standard() == 0 && open("a", O_RDWR | O_CREAT, 0600) > STDERR_FILENO;
		good &= fd_write(STDOUT_FILENO, "x", 1) == -EBADF && fd_write(STDERR_FILENO, "x", 1) == -EBADF;
		good &= read(STDIN_FILENO, &(char){0}, 1) < 0;
		_exit(!good);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* Of a text that does not fit, nothing is seen. */
static void test_write_without_room(void **state)
{
	struct rlimit all, some;
	int error;

	(void)state;
	assert_int_equal(file_write(AT_FDCWD, "a", "one", 3), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &all), 0);
	signal(SIGXFSZ, SIG_IGN);
	some = (struct rlimit){4, all.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &some), 0);
	error = file_write(AT_FDCWD, "a", "two three", 9);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &all), 0);
	assert_int_equal(error, -EFBIG);
	has_content("a", "one");
}

/* ---- a stream in memory ---- */

static bool no_memory;

void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *__wrap_realloc(void *old, size_t size)
{
	return no_memory ? NULL : __real_realloc(old, size);
}

static void write_lines(FILE *out, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		fprintf(out, "line %08u\n", i);
}

static void test_memfile(void **state)
{
	struct memfile m;

	(void)state;
	assert_non_null(memfile_open(&m));
	assert_int_equal(memfile_close(&m), 0);
	assert_string_equal(m.text, "");
	free(m.text);

	assert_non_null(memfile_open(&m));
	write_lines(m.out, 100000);
	assert_int_equal(memfile_close(&m), 0);
	assert_int_equal(m.length, 1400000);
	assert_int_equal(strlen(m.text), m.length);
	assert_string_equal(m.text + m.length - 14, "line 00099999\n");
	free(m.text);
}

/* What has no memory is an error, also if there is memory again for what follows. */
static void test_memfile_without_memory(void **state)
{
	(void)state;
	for (int again = 0; again < 2; again++) {
		struct memfile m;

		assert_non_null(memfile_open(&m));
		no_memory = true;
		write_lines(m.out, 10000);
		no_memory = !again;
		write_lines(m.out, 10000);
		assert_int_equal(memfile_close(&m), -ENOMEM);
		no_memory = false;
		free(m.text);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_write),
	    TEST(test_temporary_of_another),
	    TEST(test_publish),
	    TEST(test_publish_target),
	    TEST(test_publish_at_once),
	    TEST(test_dir_open_of),
	    TEST(test_check_target),
	    TEST(test_write_without_room),
	    TEST(test_fill_standard),
	    cmocka_unit_test(test_memfile),
	    cmocka_unit_test(test_memfile_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
