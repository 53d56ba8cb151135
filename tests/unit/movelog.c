/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/units.h"
#include "folder.h"
#include "base/clock.h"
#include "host/movelog.h"

#define UUID "11111111-0000-4000-8000-000000000001"
#define OTHER "11111111-0000-4000-8000-000000000002"
#define JOURNAL "run/systemd/journal/socket"
#define SYSLOG "dev/log"

static const struct movelog_move give = {
    .name = "vm1",
    .uuid = UUID,
    .wall_ms = 1795487653123,
    .from_kib = 400,
    .asked_kib = 512,
    .has_reached = true,
    .reached_kib = 500,
    .reason = REASON_BELOW_TARGET,
};

/* What a terminal, a log or a parser could be hurt by. */
static const struct movelog_move hostile = {
    .name = "-rf\n<0>MESSAGE=x\xc2\x9b\"\\\xff\xe2\x80\xae",
    .uuid = UUID,
    .from_kib = 512,
    .asked_kib = 400,
    .reason = REASON_UNRESPONSIVE,
};

/* ---- what it looks like ---- */

typedef void printer(FILE *out, const char *program, const struct movelog_move *move);

static const struct {
	printer *print;
	const struct movelog_move *move;
	const char *text;
} looks[] = {
    {movelog_json, &give,
     "{\"schema\":\"memsched.move/1\",\"time_seconds\":1795487653.123,\"program\":\"membalance\",\"name\":\"vm1\","
     "\"uuid\":\"" UUID "\",\"action\":\"grow\",\"from_bytes\":409600,\"asked_bytes\":524288,\"reached_bytes\":512000,"
     "\"reason\":\"below-target\"}\n"},
    {movelog_json, &hostile,
     "{\"schema\":\"memsched.move/1\",\"time_seconds\":0.000,\"program\":\"membalance\","
     "\"name\":\"-rf\\u000a<0>MESSAGE=x\\u009b\\\"\\\\\\ufffd\\u202e\",\"uuid\":\"" UUID "\",\"action\":\"shrink\","
     "\"from_bytes\":524288,\"asked_bytes\":409600,\"reached_bytes\":null,\"reason\":\"unresponsive\"}\n"},
    {movelog_fields, &give,
     "MESSAGE=vm1: grow from 400 KiB to 512 KiB (below-target), reached 500 KiB\n"
     "MESSAGE_ID=9f5a7c80c002424ab7a26376d8725097\nPRIORITY=6\nSYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=membalance\n"
     "MEMSCHED_DOMAIN=vm1\nMEMSCHED_DOMAIN_UUID=" UUID "\nMEMSCHED_TIME_SECONDS=1795487653.123\n"
     "MEMSCHED_ACTION=grow\nMEMSCHED_FROM_BYTES=409600\nMEMSCHED_ASKED_BYTES=524288\nMEMSCHED_REACHED_BYTES=512000\n"
     "MEMSCHED_REASON=below-target\n"},
    {movelog_fields, &hostile,
     "MESSAGE=-rf\\x0A<0>MESSAGE=x\\xC2\\x9B\"\\\\\\xFF\\xE2\\x80\\xAE: shrink from 512 KiB to 400 KiB (unresponsive), "
     "reached not known\n"
     "MESSAGE_ID=9f5a7c80c002424ab7a26376d8725097\nPRIORITY=6\nSYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=membalance\n"
     "MEMSCHED_DOMAIN=-rf\\x0A<0>MESSAGE=x\\xC2\\x9B\"\\\\\\xFF\\xE2\\x80\\xAE\nMEMSCHED_DOMAIN_UUID=" UUID "\n"
     "MEMSCHED_TIME_SECONDS=0.000\nMEMSCHED_ACTION=shrink\nMEMSCHED_FROM_BYTES=524288\nMEMSCHED_ASKED_BYTES=409600\n"
     "MEMSCHED_REASON=unresponsive\n"},
    {movelog_syslog, &give,
     "<30>Nov 24 02:34:13 membalance: vm1: grow from 400 KiB to 512 KiB (below-target), reached 500 KiB"},
    {movelog_syslog, &hostile,
     "<30>Jan  1 00:00:00 membalance: -rf\\x0A<0>MESSAGE=x\\xC2\\x9B\"\\\\\\xFF\\xE2\\x80\\xAE: shrink from 512 KiB to "
     "400 KiB (unresponsive), reached not known"},
};

static char *looks_like(printer *print, const struct movelog_move *move)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	assert_non_null(out);
	print(out, "membalance", move);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void test_looks(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(looks); i++) {
		char *text = looks_like(looks[i].print, looks[i].move);

		assert_string_equal(text, looks[i].text);
		free(text);
	}
}

/* The longest name that is kept, each byte of it escaped, is whole, and a line fits a pipe at once. */
static void test_long_name(void **state)
{
	static const char end[] = "(below-target), reached 500 KiB";
	struct movelog_move move = give;
	char *json, *line;

	(void)state;
	memset(move.name, 1, MOVELOG_NAME);
	json = looks_like(movelog_json, &move);
	line = looks_like(movelog_syslog, &move);
	assert_true(strlen(json) > 6 * MOVELOG_NAME && strlen(json) < PIPE_BUF);
	assert_true(strlen(line) > 4 * MOVELOG_NAME);
	assert_string_equal(line + strlen(line) - strlen(end), end);
	free(json);
	free(line);
}

/* ---- where it goes ---- */

static char root[FOLDER_BYTES];

static const char *path_of(const char *name)
{
	static char path[sizeof(((struct sockaddr_un *)0)->sun_path)];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	return path;
}

static int set_up(void **state)
{
	(void)state;
	return folder_make(root, "movelog");
}

static int tear_down(void **state)
{
	(void)state;
	return folder_remove(root);
}

static char *contents(const char *name)
{
	static char text[65536];
	FILE *f = fopen(path_of(name), "r");
	size_t n;

	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

static size_t lines(const char *name)
{
	size_t n = 0;

	for (const char *text = contents(name); (text = strchr(text, '\n')); text++)
		n++;
	return n;
}

static struct movelog moved_of(size_t n)
{
	struct movelog a = {.program = "membalance", .root = root};

	for (size_t i = 0; i < n; i++)
		movelog_add(&a, &give);
	return a;
}

static int write_moves(size_t n, const char *where)
{
	struct movelog a = moved_of(n);
	int error = movelog_write(&a, where);

	assert_int_equal(a.n, 0);
	assert_int_equal(a.lost, error ? n : 0);
	movelog_clear(&a);
	return error;
}

static int write_file(size_t n, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s", path_of(name));
	return write_moves(n, path);
}

static void test_file(void **state)
{
	struct stat st;

	(void)state;
	umask(022);
	assert_int_equal(write_file(2, "log"), 0);
	assert_string_equal(contents("log") + strlen(looks[0].text), looks[0].text);
	assert_int_equal(write_file(1, "log"), 0);
	assert_int_equal(lines("log"), 3);
	assert_int_equal(stat(path_of("log"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(write_file(0, "none"), 0);
	assert_int_equal(access(path_of("none"), F_OK), -1);
}

/* logrotate renames the file, and its mode is its own. */
static void test_rotated(void **state)
{
	struct movelog a = moved_of(1);
	char path[PATH_MAX], old[PATH_MAX];
	struct stat st;

	(void)state;
	snprintf(path, sizeof(path), "%s", path_of("log"));
	snprintf(old, sizeof(old), "%s", path_of("log.1"));
	assert_int_equal(movelog_write(&a, path), 0);
	assert_int_equal(rename(path, old), 0);
	movelog_add(&a, &give);
	movelog_add(&a, &give);
	assert_int_equal(movelog_write(&a, path), 0);
	assert_int_equal(lines("log.1"), 1);
	assert_int_equal(lines("log"), 2);
	assert_int_equal(chmod(path, 0600), 0);
	movelog_add(&a, &give);
	assert_int_equal(movelog_write(&a, path), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	movelog_clear(&a);
}

/* Nothing but a plain file is written to, and nothing is waited for. */
static void test_no_plain_file(void **state)
{
	char victim[PATH_MAX];
	int reader;

	(void)state;
	assert_int_equal(mkdir(path_of("directory"), 0755), 0);
	assert_int_equal(write_file(2, "directory"), -EMEDIUMTYPE);
	assert_int_equal(mkfifo(path_of("fifo"), 0644), 0);
	assert_int_equal(write_file(2, "fifo"), -EMEDIUMTYPE);
	reader = open(path_of("fifo"), O_RDONLY | O_NONBLOCK);
	assert_true(reader >= 0);
	assert_int_equal(write_file(2, "fifo"), -EMEDIUMTYPE);
	close(reader);
	assert_int_equal(write_file(1, "victim"), 0);
	assert_int_equal(symlink("victim", path_of("link")), 0);
	assert_int_equal(write_file(2, "link"), -EMEDIUMTYPE);
	assert_int_equal(unlink(path_of("link")), 0);
	snprintf(victim, sizeof(victim), "%s", path_of("victim"));
	assert_int_equal(link(victim, path_of("link")), 0);
	assert_int_equal(write_file(2, "link"), -EPERM);
	assert_int_equal(lines("victim"), 1);
	assert_int_equal(write_moves(2, "/dev/null"), -EMEDIUMTYPE);
	assert_int_equal(write_file(2, "nowhere/log"), -ENOENT);
}

/* The limit of a file's size stands for the end of a disk: what is written short is taken back. */
static void test_full(void **state)
{
	struct rlimit before, limit;
	size_t line = strlen(looks[0].text);
	struct movelog a = moved_of(4);
	char path[PATH_MAX];

	(void)state;
	snprintf(path, sizeof(path), "%s", path_of("log"));
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = 2 * line + line / 2;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(movelog_write(&a, path), -ENOSPC);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(a.lost, 2);
	assert_int_equal(strlen(contents("log")), 2 * line);
	movelog_add(&a, &give);
	assert_int_equal(movelog_write(&a, path), 0);
	assert_int_equal(a.lost, 0);
	assert_int_equal(lines("log"), 3);
	movelog_clear(&a);
}

static int listen_at(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char command[PATH_MAX];
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(command, sizeof(command), "mkdir -p '%s/run/systemd/journal' '%s/dev'", root, root);
	assert_int_equal(system(command), 0);
	memcpy(address.sun_path, path_of(name), sizeof(address.sun_path));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void assert_receives(int fd, const char *text)
{
	char got[8192];
	ssize_t n = recv(fd, got, sizeof(got) - 1, 0);

	assert_true(n > 0);
	got[n] = '\0';
	assert_string_equal(got, text);
}

static void assert_receives_nothing(int fd)
{
	char got;

	assert_int_equal(recv(fd, &got, 1, 0), -1);
	assert_int_equal(errno, EAGAIN);
}

static void test_journal(void **state)
{
	int journal = listen_at(JOURNAL), syslog = listen_at(SYSLOG);

	(void)state;
	assert_int_equal(write_moves(2, "journal"), 0);
	assert_receives(journal, looks[2].text);
	assert_receives(journal, looks[2].text);
	assert_receives_nothing(syslog);
	assert_int_equal(write_moves(1, "syslog"), 0);
	assert_receives(syslog, looks[4].text);
	assert_receives_nothing(journal);
	close(journal); /* it has no reader any more */
	assert_int_equal(write_moves(1, "journal"), 0);
	assert_receives(syslog, looks[4].text);
	assert_int_equal(unlink(path_of(JOURNAL)), 0);
	assert_int_equal(write_moves(1, "journal"), 0);
	assert_receives(syslog, looks[4].text);
	close(syslog);
	assert_int_equal(write_moves(3, "journal"), -ECONNREFUSED);
	assert_int_equal(unlink(path_of(SYSLOG)), 0);
	assert_int_equal(write_moves(3, "syslog"), -ENOENT);
}

/* However many moves are lost on a journal that hangs, the wait is one. */
static void test_hung_journal(void **state)
{
	int journal = listen_at(JOURNAL);
	uint64_t start_ms = clock_ms(CLOCK_BOOTTIME);
	struct movelog a = moved_of(5000);

	(void)state;
	assert_int_equal(movelog_write(&a, "journal"), -EAGAIN);
	assert_true(clock_ms(CLOCK_BOOTTIME) - start_ms < 1000 * MOVELOG_WAIT_MS);
	assert_in_range(a.lost, 1, 4999);
	movelog_clear(&a);
	close(journal);
}

static void test_reached(void **state)
{
	struct movelog a = {.program = "membalance", .root = root};
	struct movelog_move move = hostile;
	char path[PATH_MAX];

	(void)state;
	snprintf(path, sizeof(path), "%s", path_of("log"));
	assert_int_equal(movelog_reserve(&a, 2), 0);
	assert_int_equal(movelog_reserve(&a, 1), 0);
	assert_int_equal(a.room, 2);
	movelog_add(&a, &move);
	snprintf(move.uuid, sizeof(move.uuid), OTHER);
	movelog_add(&a, &move);
	move.asked_ms = 5000;
	movelog_add(&a, &move);
	movelog_reached(&a, OTHER, 440, 5000);
	movelog_reached(&a, "nobody", 7, UINT64_MAX);
	assert_true(a.move[1].has_reached);
	assert_false(a.move[2].has_reached);
	assert_false(a.move[0].has_reached);
	assert_int_equal(movelog_write(&a, path), 0);
	assert_non_null(strstr(contents("log"), "\"reached_bytes\":null"));
	assert_non_null(strstr(contents("log"), "\"reached_bytes\":450560"));
	movelog_clear(&a);
	movelog_clear(&a);
}

static const struct {
	const char *where;
	int error;
	const char *text;
} complaints[] = {
    {"/var/log/x", -ENOSPC, "cannot log to '/var/log/x': No space left on device; moves not logged: 3"},
    {"/a\nb", -EMEDIUMTYPE, "cannot log to '/a\\x0Ab': not a plain file; moves not logged: 3"},
    {"journal", -EAGAIN, "cannot log to 'journal': it has no reader; moves not logged: 3"},
    {"/x", -ETIMEDOUT, "cannot log to '/x': it does not answer; moves not logged: 3"},
    {"/x", -ENOBUFS, "cannot log to '/x': more than could be kept; moves not logged: 3"},
};

static void test_complaints(void **state)
{
	const struct movelog a = {.lost = 3};
	char text[256];

	(void)state;
	for (size_t i = 0; i < COUNT(complaints); i++)
		assert_string_equal(movelog_complaint(text, sizeof(text), &a, complaints[i].where, complaints[i].error),
		                    complaints[i].text);
}

/* ---- by a task; a disk that hangs, or that is full, which write(2) stands for here ---- */

#define WAIT_MS 10000

static atomic_bool hangs;
static atomic_int refusal; /* errno of write */

ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);

ssize_t __wrap_write(int fd, const void *data, size_t size)
{
	while (hangs)
		poll(NULL, 0, 5);
	errno = refusal;
	return refusal ? -1 : __real_write(fd, data, size);
}

static struct movelog log_of(size_t n)
{
	struct movelog a = {.program = "memguard", .root = "", .most = 8};

	for (size_t i = 0; i < n; i++)
		movelog_add(&a, &give);
	return a;
}

static uint64_t in_time(void)
{
	return clock_ms(CLOCK_BOOTTIME) + WAIT_MS;
}

/* What came of it, once it is known. */
static int outcome(struct movelog *a)
{
	int r = -EINPROGRESS;

	for (int i = 0; i < WAIT_MS / 5 && (r = movelog_outcome(a, 1000)) == -EINPROGRESS; i++)
		poll(NULL, 0, 5);
	return r;
}

static size_t lines_in(const char *file)
{
	FILE *f = fopen(file, "r");
	size_t n = 0;

	for (int c = f ? getc(f) : EOF; c != EOF; c = getc(f))
		n += c == '\n';
	if (f)
		fclose(f);
	return n;
}

static void test_writes(void **state)
{
	struct movelog a = log_of(3);
	size_t room = a.room;

	(void)state;
	assert_int_equal(movelog_outcome(&a, 0), -EINPROGRESS);
	for (size_t i = 1; i <= 2; i++) {
		assert_int_equal(movelog_start(&a, path_of("log"), 0), 0);
		assert_int_equal(a.n, 0);
		assert_int_equal(a.room, room);
		assert_int_equal(outcome(&a), 0);
		assert_int_equal(lines_in(path_of("log")), 3 * i);
		assert_int_equal(movelog_outcome(&a, 0), -EINPROGRESS);
		for (int k = 0; k < 3; k++)
			movelog_add(&a, &give);
	}
	assert_int_equal(movelog_end(&a, path_of("log"), in_time()), 0);
	assert_int_equal(lines_in(path_of("log")), 9);
}

/* The caller does not wait; what comes meanwhile is kept up to a bound, and the rest counted. */
static void test_hangs(void **state)
{
	struct movelog a = log_of(3);
	uint64_t late_ms = in_time();

	(void)state;
	hangs = true;
	assert_int_equal(movelog_start(&a, path_of("log"), 1000), 0);
	assert_int_equal(movelog_outcome(&a, 1000 + MOVELOG_PATIENCE_MS - 1), -EINPROGRESS);
	assert_int_equal(movelog_outcome(&a, 1000 + MOVELOG_PATIENCE_MS), -ETIMEDOUT);
	for (int i = 0; i < 10; i++)
		movelog_add(&a, &give);
	assert_int_equal(movelog_start(&a, path_of("log"), 2000), -EBUSY);
	assert_true(clock_ms(CLOCK_BOOTTIME) < late_ms);
	assert_int_equal(a.n, 8);
	assert_int_equal(a.lost, 2);
	assert_true(a.unkept);
	hangs = false;
	assert_int_equal(outcome(&a), 0);
	assert_int_equal(a.lost, 2);
	assert_int_equal(movelog_end(&a, path_of("log"), in_time()), -ENOBUFS);
	assert_int_equal(lines_in(path_of("log")), 11);
}

static void test_fails(void **state)
{
	struct movelog a = log_of(3);

	(void)state;
	refusal = ENOSPC;
	assert_int_equal(movelog_start(&a, path_of("log"), 0), 0);
	assert_int_equal(outcome(&a), -ENOSPC);
	assert_int_equal(a.lost, 3);
	movelog_add(&a, &give);
	assert_int_equal(movelog_end(&a, path_of("log"), in_time()), -ENOSPC);
	assert_int_equal(a.lost, 4);
	refusal = 0;
}

/* What hangs is not waited for beyond the deadline, and keeps what it has. */
static void test_end(void **state)
{
	struct movelog a = log_of(0);
	uint64_t late_ms = in_time();

	(void)state;
	assert_int_equal(movelog_end(&a, NULL, 0), 0);
	hangs = true;
	movelog_add(&a, &give);
	assert_int_equal(movelog_end(&a, path_of("log"), clock_ms(CLOCK_BOOTTIME) + 50), -ETIMEDOUT);
	assert_true(clock_ms(CLOCK_BOOTTIME) < late_ms);
	hangs = false;
	for (int i = 0; i < WAIT_MS / 5 && !lines_in(path_of("log")); i++)
		poll(NULL, 0, 5);
	assert_int_equal(lines_in(path_of("log")), 1);
	poll(NULL, 0, 50); /* the thread is beyond our reach for a moment */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_looks),         TEST(test_long_name),  TEST(test_file),    TEST(test_rotated),
	    TEST(test_no_plain_file), TEST(test_full),       TEST(test_journal), TEST(test_hung_journal),
	    TEST(test_reached),       TEST(test_complaints), TEST(test_writes),  TEST(test_hangs),
	    TEST(test_fails),         TEST(test_end),
	};

	setenv("TZ", "UTC", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
