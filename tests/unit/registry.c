/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "folder.h"
#include "host/registry.h"

#define A "aaaaaaaa-0000-4000-8000-000000000001"
#define B "bbbbbbbb-0000-4000-8000-000000000002"
#define C "cccccccc-0000-4000-8000-000000000003"
#define NOBODY 65534

/* ---- a root of our own ---- */

static char root[FOLDER_BYTES];

static void path_of(char *path, size_t size, const char *name)
{
	snprintf(path, size, "%s/%s", root, name);
}

static int set_up(void **state)
{
	(void)state;
	return folder_make_root(root, "registry");
}

static int tear_down(void **state)
{
	(void)state;
	return folder_remove(root);
}

static struct registry *open_registry(void)
{
	struct registry *r = NULL;

	assert_int_equal(registry_open(root, true, &r), 0);
	return r;
}

static void put(const char *name, const char *text)
{
	char path[PATH_MAX];
	FILE *f;

	path_of(path, sizeof(path), name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static bool is_there(const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	path_of(path, sizeof(path), name);
	return lstat(path, &st) == 0;
}

static unsigned mode_of(const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	path_of(path, sizeof(path), name);
	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static off_t size_of(const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	path_of(path, sizeof(path), name);
	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

static size_t count_entries(const char *name)
{
	char path[PATH_MAX];
	size_t n = 0;
	DIR *dir;

	path_of(path, sizeof(path), name);
	dir = opendir(path);
	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;
}

/* ---- opening ---- */

static void test_open(void **state)
{
	struct registry *r = NULL;

	(void)state;
	assert_int_equal(registry_open(root, false, &r), -ENOENT);
	assert_null(r);
	assert_false(is_there("run/memsched"));
	umask(077);
	assert_int_equal(registry_open(root, true, &r), 0);
	umask(022);
	assert_int_equal(mode_of("run/memsched"), 0755);
	assert_int_equal(mode_of("run/memsched/domains"), 0755);
	assert_int_equal(mode_of("run/memsched/pending"), 0755);
	assert_int_equal(mode_of("run/memsched/state"), 0755);
	registry_close(r);
	assert_int_equal(registry_open(root, false, &r), 0);
	registry_close(r);
	registry_close(NULL);
}

/* Guests of another host are remembered, locked, forgotten and complained of apart; one pause is for all. */
static void test_hosts(void **state)
{
	const char *const uris[] = {"test:///default", "qemu+ssh://a/system", "qemu+ssh://b/system", "qemu:///session"};
	struct registry *r[4], *again;
	uint64_t left_ms = 0;
	struct past past;

	(void)state;
	assert_int_equal(registry_open_uri(root, uris[0], true, &r[0]), 0);
	assert_false(is_there("run/memsched/hosts"));
	assert_int_equal(registry_open_uri(root, uris[1], false, &r[1]), -ENOENT);
	assert_int_equal(registry_save_past(r[0], A, &(struct past){.known = true}), 0);
	for (size_t i = 1; i < 4; i++) {
		assert_int_equal(registry_open_uri(root, uris[i], true, &r[i]), 0);
		assert_int_equal(registry_load_past(r[i], A, &past), -ENOENT);
		assert_int_equal(registry_save_past(r[i], A, &(struct past){.known = true}), 0);
	}
	assert_int_equal(count_entries("run/memsched/hosts"), 3);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(registry_lock(r[i]), 0);
	assert_int_equal(registry_open_uri(root, uris[1], false, &again), 0);
	assert_int_equal(registry_lock(again), -EWOULDBLOCK);
	registry_close(again);

	registry_prune(r[1], NULL, 0, 0);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(registry_load_past(r[i], A, &past), i == 1 ? -ENOENT : 0);
	registry_prune(r[0], NULL, 0, (uint64_t)time(NULL) + 2 * PENDING_MAX_S);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(registry_load_past(r[i], A, &past), i < 2 ? -ENOENT : 0);

	assert_int_equal(registry_pause(r[2], 1000, 500), 0);
	assert_int_equal(registry_paused(r[0], 1000, &left_ms), 0);
	assert_int_equal(left_ms, 500);
	for (size_t i = 0; i < 4; i++)
		registry_close(r[i]);
}

/* A directory without folders can be read without permission to make them. */
static void test_open_without_folders(void **state)
{
	char path[PATH_MAX];
	struct registry *r;
	struct past past;

	(void)state;
	path_of(path, sizeof(path), "run/memsched");
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(registry_open(root, false, &r), 0);
	assert_int_equal(registry_load_past(r, A, &past), -ENOENT);
	assert_int_equal(registry_save_past(r, A, &(struct past){0}), -ENOENT);
	assert_int_equal(registry_pending_kib(r, 0, NULL), 0);
	registry_prune(r, NULL, 0, 0);
	registry_forget(r, A);
	registry_close(r);
}

enum shape { SHAPE_SYMLINK, SHAPE_FILE, SHAPE_FIFO, SHAPE_DIR };

static void make(const char *name, enum shape shape, mode_t mode, uid_t uid)
{
	char path[PATH_MAX], elsewhere[PATH_MAX];

	path_of(path, sizeof(path), name);
	path_of(elsewhere, sizeof(elsewhere), "elsewhere");
	mkdir(elsewhere, 0755);
	if (shape == SHAPE_SYMLINK)
		assert_int_equal(symlink(elsewhere, path), 0);
	if (shape == SHAPE_FILE)
		put(name, "");
	if (shape == SHAPE_FIFO)
		assert_int_equal(mkfifo(path, 0644), 0);
	if (shape == SHAPE_DIR)
		assert_int_equal(mkdir(path, 0755), 0);
	if (mode)
		assert_int_equal(chmod(path, mode), 0);
	if (uid)
		assert_int_equal(chown(path, uid, uid), 0);
}

static const struct {
	const char *name;
	enum shape shape;
	mode_t mode;
	uid_t uid;
	int result;
} open_rows[] = {
    {"run/memsched", SHAPE_SYMLINK, 0, 0, -ENOTDIR},       {"run/memsched", SHAPE_FILE, 0, 0, -ENOTDIR},
    {"run/memsched", SHAPE_FIFO, 0, 0, -ENOTDIR},          {"run/memsched", SHAPE_DIR, 0775, 0, -EPERM},
    {"run/memsched", SHAPE_DIR, 0757, 0, -EPERM},          {"run/memsched", SHAPE_DIR, 01777, 0, -EPERM},
    {"run/memsched", SHAPE_DIR, 0, NOBODY, -EPERM},        {"run/memsched", SHAPE_DIR, 0700, 0, 0},
    {"run/memsched/state", SHAPE_SYMLINK, 0, 0, -ENOTDIR}, {"run/memsched/state", SHAPE_FILE, 0, 0, -ENOTDIR},
    {"run/memsched/domains", SHAPE_DIR, 0777, 0, -EPERM},  {"run/memsched/pending", SHAPE_DIR, 0, NOBODY, -EPERM},
};

static void test_open_refused(void **state)
{
	for (size_t i = 0; i < sizeof(open_rows) / sizeof(open_rows[0]); i++) {
		struct registry *r = NULL;
		char path[PATH_MAX];
		int result;

		if (open_rows[i].uid && geteuid() != 0)
			continue;
		path_of(path, sizeof(path), "run/memsched");
		if (strcmp(open_rows[i].name, "run/memsched") != 0)
			assert_int_equal(mkdir(path, 0755), 0);
		make(open_rows[i].name, open_rows[i].shape, open_rows[i].mode, open_rows[i].uid);
		result = registry_open(root, true, &r);
		if (result != open_rows[i].result || (result < 0 && r))
			fail_msg("row %zu: %d", i, result);
		registry_close(r);
		assert_int_equal(count_entries("elsewhere"), 0);
		assert_int_equal(tear_down(state) + set_up(state), 0);
	}
}

static void test_open_without_run(void **state)
{
	struct registry *r = NULL;
	char path[PATH_MAX];

	(void)state;
	path_of(path, sizeof(path), "run");
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(registry_open(root, true, &r), -ENOENT);
	assert_int_equal(count_entries(""), 0);
}

/* ---- what is remembered ---- */

static const struct past example = {
    .known = true,
    .domain_id = 2147483647,
    .seen_ms = 1,
    .actual_kib = 2,
    .still_ms = 3,
    .asked_kib = 4,
    .asked_ms = 5,
    .asked_from_kib = 6,
    .learned = true,
    .overhead_kib = 7,
    .has_used = true,
    .used_kib = UINT64_MAX,
    .last_update_s = 8,
    .sample_ms = 9,
    .growth_kibps = 10,
    .rise_kibps = 11,
    .swap_in_kib = 12,
    .major_faults = 13,
    .has_rates = true,
    .swap_in_kibps = 40,
    .faults_ps = 41,
    .distress_samples = UINT32_MAX,
    .distress_gives = 14,
    .refused = 15,
    .retry_ms = 16,
    .pause_ms = 17,
    .has_rss = true,
    .rss_kib = 18,
    .has_qemu = true,
    .qemu_kib = 19,
    .no_gain = 20,
    .booted_ms = 21,
    .last = {.decided_ms = 22, .from_kib = 23, .want_kib = 24, .asked_kib = 25, .reached_kib = 26, .reason = 27},
    .told = {.decided_ms = 42, .from_kib = 43, .asked_kib = 44, .reason = 45},
};

static void test_past(void **state)
{
	struct registry *r = open_registry();
	struct past past;

	(void)state;
	memset(&past, 0, sizeof(past));
	assert_int_equal(registry_load_past(r, A, &past), -ENOENT);
	assert_int_equal(registry_save_past(r, A, &example), 0);
	assert_int_equal(registry_load_past(r, A, &past), 0);
	assert_memory_equal(&past, &example, sizeof(past));
	assert_int_equal(registry_load_past(r, B, &past), -ENOENT);
	assert_int_equal(registry_save_past(r, A, &(struct past){.domain_id = -1}), 0);
	assert_int_equal(registry_load_past(r, A, &past), 0);
	assert_int_equal(past.domain_id, -1);
	assert_int_equal(mode_of("run/memsched/state/" A), 0644);
	assert_int_equal(count_entries("run/memsched/state"), 1);
	registry_close(r);
}

/*
 * Every field survives: with all bytes 1 (a valid bool too), what comes back as 0 is padding, and that is never 8 bytes
 * together. A field that the table forgets makes such a hole with the padding around it, save for a bool beside a bool.
 */
static void test_past_has_all_fields(void **state)
{
	struct registry *r = open_registry();
	unsigned char bytes[sizeof(struct past)];
	struct past past;
	size_t hole = 0;

	(void)state;
	memset(&past, 1, sizeof(past));
	assert_int_equal(registry_save_past(r, A, &past), 0);
	memset(&past, 0, sizeof(past));
	assert_int_equal(registry_load_past(r, A, &past), 0);
	memcpy(bytes, &past, sizeof(past));
	for (size_t i = 0; i < sizeof(bytes); i++) {
		hole = bytes[i] ? 0 : hole + 1;
		if (hole == 8)
			fail_msg("a field at byte %zu of struct past is not kept", i - 7);
	}
	registry_close(r);
}

#define PENDING "run/memsched/pending/"
#define GOOD "version=1\nneed_kib=5\nsince_s=100\n"

/* Records as files, read as pending starts, the smallest of them: 5 KiB where the record counts. */
static const struct {
	const char *text;
	uint64_t kib;
} text_rows[] = {
    {GOOD, 5},
    {"version=1\nsince_s=100\nneed_kib=5\n", 5},
    {"version=1\nneed_kib=5\nsince_s=100\nlater=x=y\n", 5},
    {"", 0},
    {"\n", 0},
    {"version=1", 0},
    {"version=1\n", 0},
    {"version=1\nneed_kib=5\n", 0},
    {"version=1\nneed_kib=5\nsince_s=100", 0},
    {"version=1\nneed_kib=5\nsince_s=10", 0},
    {"version=1\nneed_kib=5\nsince_s=100\n\n", 0},
    {"version=1\nneed_kib=5\nsince_s=100\nx", 0},
    {"version=1\nneed_kib=5\nsince_s=100\nx\n", 0},
    {"version=1\nneed_kib=5\nneed_kib=5\nsince_s=100\n", 0},
    {"version=1\nneed_kib=\nsince_s=100\n", 0},
    {"version=1\nneed_kib=-5\nsince_s=100\n", 0},
    {"version=1\nneed_kib=+5\nsince_s=100\n", 0},
    {"version=1\nneed_kib=5x\nsince_s=100\n", 0},
    {"version=1\nneed_kib= 5\nsince_s=100\n", 0},
    {"version=1\nneed_kib=5 \nsince_s=100\n", 0},
    {"version=1\nneed_kib=0x5\nsince_s=100\n", 0},
    {"version=1\nneed_kib=18446744073709551616\nsince_s=100\n", 0},
    {"version=1\nneed_kib=5\r\nsince_s=100\r\n", 0},
    {"version=1\nNEED_KIB=5\nsince_s=100\n", 0},
    {"version=2\nneed_kib=5\nsince_s=100\n", 0},
    {"need_kib=5\nsince_s=100\n", 0},
    {"need_kib=5\nsince_s=100\nversion=1\n", 0},
    {"\x7f"
     "ELF\2\1\1\n",
     0},
};

static void test_texts(void **state)
{
	struct registry *r = open_registry();

	(void)state;
	for (size_t i = 0; i < sizeof(text_rows) / sizeof(text_rows[0]); i++) {
		put(PENDING A, text_rows[i].text);
		if (registry_pending_kib(r, 100, NULL) != text_rows[i].kib)
			fail_msg("row %zu: %s", i, text_rows[i].text);
	}
	registry_close(r);
}

/* A NUL ends no record early. */
static void test_nul(void **state)
{
	struct registry *r = open_registry();
	char path[PATH_MAX];
	int fd;

	(void)state;
	path_of(path, sizeof(path), PENDING A);
	fd = open(path, O_WRONLY | O_CREAT, 0644);
	assert_int_equal(write(fd, GOOD "\0rest", sizeof(GOOD) + 4), sizeof(GOOD) + 4);
	close(fd);
	assert_int_equal(registry_pending_kib(r, 100, NULL), 0);
	registry_close(r);
}

/* A record as large as is read, and one larger by a byte. */
static void test_size_cap(void **state)
{
	struct registry *r = open_registry();
	char text[5000] = GOOD;

	(void)state;
	memset(text + strlen(GOOD), '=', sizeof(text) - strlen(GOOD));
	for (size_t length = 4094; length < 4097; length++) {
		memcpy(text + length - 1, "\n", 2);
		put(PENDING A, text);
		assert_int_equal(registry_pending_kib(r, 100, NULL), length < 4096 ? 5 : 0);
		text[length - 1] = '=', text[length] = '=';
	}
	memcpy(text + 4094, "\n=\n", 4); /* what is read of it would do */
	put(PENDING A, text);
	assert_int_equal(registry_pending_kib(r, 100, NULL), 0);
	registry_close(r);
}

static const struct {
	const char *text;
	int result;
} past_rows[] = {
    {"", -EBADMSG},
    {"version=5\n", -EBADMSG},
    {"version=4\nanything else\n", -ENOENT},
    {"version=6\nanything else\n", -ENOENT},
    {"version=5\nknown=1\ndomain_id=7\n", -EBADMSG},
    {"known=1\n", -EBADMSG},
};

static void test_past_refused(void **state)
{
	struct registry *r = open_registry();

	(void)state;
	for (size_t i = 0; i < sizeof(past_rows) / sizeof(past_rows[0]); i++) {
		struct past past = {.seen_ms = 4242};

		put("run/memsched/state/" A, past_rows[i].text);
		if (registry_load_past(r, A, &past) != past_rows[i].result || past.seen_ms != 4242)
			fail_msg("row %zu", i);
	}
	registry_close(r);
}

/* ---- the pause ---- */

#define WEEK "604800000"

/* A file and what is left of it at 5000 ms; 4242: nothing was written to the result. */
static const struct {
	const char *text;
	int result;
	uint64_t left_ms;
} pauses[] = {
    {"version=1\nsince_ms=1000\nuntil_ms=5001\n", 0, 1},
    {"version=1\nsince_ms=1000\nuntil_ms=5000\n", 0, 0},
    {"version=1\nsince_ms=1000\nuntil_ms=2000\n", 0, 0},
    {"version=1\nsince_ms=5000\nuntil_ms=6000\n", 0, 1000},
    {"version=1\nsince_ms=5001\nuntil_ms=6000\n", 0, 0}, /* of another boot */
    {"version=1\nsince_ms=6000\nuntil_ms=1000\n", 0, 0},
    {"version=1\nsince_ms=0\nuntil_ms=" WEEK "\n", 0, 604795000},
    {"version=1\nsince_ms=0\nuntil_ms=604800001\n", -EBADMSG, 4242},
    {"version=1\nsince_ms=0\nuntil_ms=18446744073709551615\n", -EBADMSG, 4242},
    {"version=1\nuntil_ms=6000\n", -EBADMSG, 4242},
    {"version=1\nsince_ms=x\nuntil_ms=6000\n", -EBADMSG, 4242},
    {"version=9\n", -EPROTO, 4242},
    {"", -EBADMSG, 4242},
    {"30m\n", -EBADMSG, 4242},
};

static void test_pause_as_file(void **state)
{
	struct registry *r = open_registry();

	(void)state;
	for (size_t i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++) {
		uint64_t left_ms = 4242;

		put("run/memsched/paused", pauses[i].text);
		if (registry_paused(r, 5000, &left_ms) != pauses[i].result || left_ms != pauses[i].left_ms)
			fail_msg("row %zu: %d", i, (int)left_ms);
	}
	assert_int_equal(registry_resume(r), 0);
	registry_close(r);
}

static void test_pause(void **state)
{
	struct registry *r = open_registry();
	uint64_t left_ms = 4242;

	(void)state;
	assert_int_equal(registry_paused(r, 1000, &left_ms), 0);
	assert_int_equal(left_ms, 0);
	assert_int_equal(registry_resume(r), 0);
	assert_int_equal(registry_pause(r, 1000, PAUSE_MAX_MS + 1), -ERANGE);
	assert_int_equal(registry_paused(r, 1000, &left_ms), 0);
	assert_int_equal(left_ms, 0);
	assert_int_equal(registry_pause(r, 1000, PAUSE_MAX_MS), 0);
	assert_int_equal(mode_of("run/memsched/paused"), 0644);
	assert_int_equal(registry_paused(r, 1000, &left_ms), 0);
	assert_int_equal(left_ms, PAUSE_MAX_MS);
	assert_int_equal(registry_pause(r, 2000, 500), 0);
	assert_int_equal(registry_paused(r, 2499, &left_ms), 0);
	assert_int_equal(left_ms, 1);
	registry_prune(r, NULL, 0, 1000);
	assert_int_equal(registry_paused(r, 2499, &left_ms), 0);
	assert_int_equal(left_ms, 1);
	assert_int_equal(registry_paused(r, 2500, &left_ms), 0);
	assert_int_equal(left_ms, 0);
	assert_int_equal(registry_pause(r, 2000, 500), 0);
	assert_int_equal(registry_resume(r), 0);
	assert_int_equal(registry_paused(r, 2100, &left_ms), 0);
	assert_int_equal(left_ms, 0);
	registry_close(r);
}

/* Cut anywhere, a record counts as absent. */
static void test_half_written(void **state)
{
	struct registry *r = open_registry();
	char path[PATH_MAX];
	struct past past;
	struct stat st;

	(void)state;
	assert_int_equal(registry_save_past(r, A, &example), 0);
	path_of(path, sizeof(path), "run/memsched/state/" A);
	assert_int_equal(stat(path, &st), 0);
	for (off_t size = st.st_size - 1; size >= 0; size--) {
		assert_int_equal(truncate(path, size), 0);
		assert_int_equal(registry_load_past(r, A, &past), -EBADMSG);
	}
	registry_close(r);
}

static void make_socket(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", root, name);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
}

/* What is no plain file of ours is not read, and not waited for. */
static void test_shapes(void **state)
{
	struct registry *r = open_registry();
	const char *name = "run/memsched/state/" A;
	char path[PATH_MAX], other[PATH_MAX];
	struct past past;

	(void)state;
	path_of(path, sizeof(path), name);
	path_of(other, sizeof(other), "run/memsched/state/" B);
	assert_int_equal(registry_save_past(r, B, &example), 0);
	assert_int_equal(symlink(other, path), 0);
	assert_int_equal(registry_load_past(r, A, &past), -EBADMSG);
	assert_int_equal(remove(path), 0);
	make(name, SHAPE_FIFO, 0, 0);
	assert_int_equal(registry_load_past(r, A, &past), -EBADMSG);
	assert_int_equal(remove(path), 0);
	make(name, SHAPE_DIR, 0, 0);
	assert_int_equal(registry_load_past(r, A, &past), -EBADMSG);
	assert_int_equal(registry_save_past(r, A, &example), -EISDIR);
	assert_int_equal(count_entries("run/memsched/state"), 2);
	assert_int_equal(remove(path), 0);
	make_socket(name);
	assert_int_equal(registry_load_past(r, A, &past), -EBADMSG);
	assert_int_equal(remove(path), 0);
	assert_int_equal(rename(other, path), 0);
	assert_int_equal(registry_load_past(r, A, &past), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(path, NOBODY, NOBODY), 0);
		assert_int_equal(registry_load_past(r, A, &past), -EBADMSG);
	}
	assert_int_equal(truncate(path, 1 << 20), 0);
	assert_int_equal(registry_load_past(r, A, &past), -EBADMSG);
	assert_int_equal(registry_save_past(r, A, &example), 0);
	assert_int_equal(registry_load_past(r, A, &past), 0);
	registry_close(r);
}

/* A write replaces what stands there, never what it points to. */
static void test_write_through_symlink(void **state)
{
	struct registry *r = open_registry();
	char path[PATH_MAX], other[PATH_MAX];
	struct past past;

	(void)state;
	put("elsewhere", "precious");
	path_of(other, sizeof(other), "elsewhere");
	path_of(path, sizeof(path), "run/memsched/state/" A);
	assert_int_equal(symlink(other, path), 0);
	assert_int_equal(registry_save_past(r, A, &example), 0);
	assert_int_equal(registry_load_past(r, A, &past), 0);
	assert_int_equal(size_of("elsewhere"), strlen("precious"));
	assert_int_equal(count_entries("run/memsched/state"), 1);
	registry_close(r);
}

static const char *const wrong_uuids[] = {
    "",
    "x",
    "../../../etc/passwd",
    "aaaaaaaa-0000-4000-8000-00000000000",
    "aaaaaaaa-0000-4000-8000-0000000000010",
    "aaaaaaaa-0000-4000-8000/000000000001",
    "aaaaaaaag0000-4000-8000-000000000001",
    "gaaaaaaa-0000-4000-8000-000000000001",
    "aaaaaaaa00000400008000000000000001",
};

static void test_uuids(void **state)
{
	struct registry *r = open_registry();
	struct past past;
	struct record record;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong_uuids) / sizeof(wrong_uuids[0]); i++) {
		assert_int_equal(registry_save_past(r, wrong_uuids[i], &example), -EINVAL);
		assert_int_equal(registry_load_past(r, wrong_uuids[i], &past), -EINVAL);
		assert_int_equal(registry_load_record(r, wrong_uuids[i], &record), -EINVAL);
		assert_int_equal(registry_save_pending(r, wrong_uuids[i], 1, 1), -EINVAL);
		registry_forget(r, wrong_uuids[i]);
	}
	assert_int_equal(registry_save_past(r, "AAAAAAAA-0000-4000-8000-000000000001", &example), 0);
	assert_int_equal(registry_load_past(r, A, &past), 0);
	registry_close(r);
}

/* ---- registered guests ---- */

static const char *const names[] = {
    "vm1",          "",        " ",        "%",
    "%41",          "a=b",     "--help",   "..",
    "a\nversion=1", "\x1b[2J", "\xc2\x9b", "\xe2\x80\xaegnp.exe",
    "\xff\xfe",
};

static void test_records(void **state)
{
	struct registry *r = open_registry();
	char name[16];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct record got = {0}, record = {.name = name, .maximum_kib = 1, .started_s = 2};

		snprintf(name, sizeof(name), "%s", names[i]);
		record.hints = (struct hints){.present = true,
		                              .opted_out = true,
		                              .has_min = true,
		                              .has_max = true,
		                              .has_weight = true,
		                              .has_target = true,
		                              .has_managed = true,
		                              .min_kib = 3,
		                              .max_kib = 4,
		                              .target_kib = 6,
		                              .weight = 5};
		assert_int_equal(registry_save_record(r, A, &record), 0);
		assert_int_equal(registry_load_record(r, A, &got), 0);
		assert_string_equal(got.name, name);
		assert_true(got.maximum_kib == 1 && got.started_s == 2);
		assert_memory_equal(&got.hints, &record.hints, sizeof(got.hints));
		record.hints.n_faults = 1; /* sentences are not kept */
		assert_int_equal(registry_save_record(r, A, &record), 0);
		record_clear(&got);
		assert_int_equal(registry_load_record(r, A, &got), 0);
		assert_int_equal(got.hints.n_faults, 0);
		record_clear(&got);
		assert_null(got.name);
	}
	registry_close(r);
}

static void test_record_without_name(void **state)
{
	struct registry *r = open_registry();
	struct record got = {0};

	(void)state;
	assert_int_equal(registry_save_record(r, A, &(struct record){.hints.weight = 1}), 0);
	assert_int_equal(registry_load_record(r, A, &got), 0);
	assert_string_equal(got.name, "");
	record_clear(&got);
	registry_close(r);
}

/* The longest of names, all of it escaped, fits. */
static void test_long_name(void **state)
{
	struct registry *r = open_registry();
	char name[5001];
	struct record got = {0}, record = {name, UINT64_MAX, UINT64_MAX, .hints.weight = 10000};

	(void)state;
	record.hints.min_kib = record.hints.max_kib = UINT64_MAX;
	memset(name, '\n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(registry_save_record(r, A, &record), 0);
	assert_int_equal(registry_load_record(r, A, &got), 0);
	assert_int_equal(strlen(got.name), 1024);
	record_clear(&got);
	registry_close(r);
}

#define REST                                                                                                           \
	"maximum_kib=1\nstarted_s=2\nhints.present=1\nhints.opted_out=0\nhints.has_min=0\nhints.has_max=0\n"           \
	"hints.has_weight=0\nhints.has_target=0\nhints.has_managed=0\nhints.target_kib=0\nhints.min_kib=0\nhints.max_" \
	"kib=0\n"

static const struct {
	const char *text;
	int result;
} record_rows[] = {
    {"version=2\nname=a\n" REST "hints.weight=1\n", 0},
    {"version=1\nname=a\n" REST "hints.weight=1\n", -ENOENT}, /* of another version, which said less */
    {"version=2\nname=%61%0A\n" REST "hints.weight=10000\n", 0},
    {"version=2\nname=a\n" REST "hints.weight=0\n", -EBADMSG},
    {"version=2\nname=a\n" REST "hints.weight=10001\n", -EBADMSG},
    {"version=2\nname=a\n" REST "hints.weight=-1\n", -EBADMSG},
    {"version=2\nname=a\n" REST "hints.weight=4294967297\n", -EBADMSG},
    {"version=2\nname=%\n" REST "hints.weight=1\n", -EBADMSG},
    {"version=2\nname=%4\n" REST "hints.weight=1\n", -EBADMSG},
    {"version=2\nname=%4g\n" REST "hints.weight=1\n", -EBADMSG},
    {"version=2\nname=%00\n" REST "hints.weight=1\n", -EBADMSG},
    {"version=2\nname=%0a\n" REST "hints.weight=1\n", -EBADMSG},
    {"version=2\nname=a\nname=b\n" REST "hints.weight=1\n", -EBADMSG},
    {"version=2\n" REST "hints.weight=1\n", -EBADMSG},
    {"version=2\nname=a\nhints.present=2\n" REST "hints.weight=1\n", -EBADMSG},
};

static void test_records_refused(void **state)
{
	struct registry *r = open_registry();

	(void)state;
	for (size_t i = 0; i < sizeof(record_rows) / sizeof(record_rows[0]); i++) {
		struct record record = {0};

		put("run/memsched/domains/" A, record_rows[i].text);
		if (registry_load_record(r, A, &record) != record_rows[i].result)
			fail_msg("row %zu", i);
		record_clear(&record);
	}
	registry_close(r);
}

/* ---- faults while writing ---- */

static void set_mtime(const char *name, time_t time_s)
{
	const struct timespec times[] = {{.tv_sec = time_s}, {.tv_sec = time_s}};
	char path[PATH_MAX];

	path_of(path, sizeof(path), name);
	assert_int_equal(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), 0);
}

/* A folder that cannot be listed is not an empty one. */
static void test_walk_without_descriptors(void **state)
{
	struct registry *r = open_registry();
	struct guest *guests = NULL;
	struct rlimit all, none;
	bool unreadable = false;
	size_t n = 0;
	int listed;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
	none = (struct rlimit){0, all.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	registry_pending_kib(r, 1000, &unreadable);
	listed = registry_list(r, 1000, &guests, &n);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
	assert_true(unreadable);
	assert_int_equal(listed, -EMFILE);
	assert_null(guests);
	registry_close(r);
}

/* All that may lie in pending/ is passed over, and nothing is waited for. */
static void test_pending_shapes(void **state)
{
	struct registry *r = open_registry();
	char path[PATH_MAX], name[128];
	bool unreadable = true;

	(void)state;
	assert_int_equal(registry_save_pending(r, A, 7, 1000), 0);
	put(PENDING "rubbish", "rubbish");
	assert_int_equal(registry_pending_kib(r, 1000, &unreadable), 7);
	assert_false(unreadable);
	put("twice", GOOD "need_kib=1\n");
	path_of(path, sizeof(path), "twice");
	for (int i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "%s/" PENDING "%08x-0000-4000-8000-000000000001", root, i);
		assert_int_equal(link(path, name), 0);
	}
	make(PENDING B, SHAPE_FIFO, 0, 0);
	make(PENDING C, SHAPE_DIR, 0, 0);
	set_mtime(PENDING C, 1000);
	path_of(path, sizeof(path), PENDING "dddddddd-0000-4000-8000-000000000004");
	path_of(name, sizeof(name), PENDING A);
	assert_int_equal(symlink(name, path), 0);
	make_socket(PENDING "eeeeeeee-0000-4000-8000-000000000005");
	assert_int_equal(registry_pending_kib(r, 1000, &unreadable), 7);
	assert_true(unreadable);
	assert_int_equal(registry_pending_kib(r, 1000 + PENDING_MAX_S + 1, &unreadable), 0);
	assert_false(unreadable); /* void as any start is by then */
	registry_prune(r, NULL, 0, (uint64_t)time(NULL) + PENDING_MAX_S + 60);
	assert_int_equal(count_entries("run/memsched/pending"), 2); /* the directory, and what bears no name of ours */
	registry_close(r);
}

static int fstatat_error; /* 0: none */

int __real_fstatat64(int folder, const char *name, struct stat *st, int flags);
int __wrap_fstatat64(int folder, const char *name, struct stat *st, int flags);

int __wrap_fstatat64(int folder, const char *name, struct stat *st, int flags)
{
	errno = fstatat_error;
	return fstatat_error ? -1 : __real_fstatat64(folder, name, st, flags);
}

/* As on a host with too little memory: what may be a start is not taken for none. */
static void test_pending_of_unknown_age(void **state)
{
	static const struct {
		int error;
		bool unreadable;
	} rows[] = {{0, true}, {ENOENT, false}, {ENOMEM, true}, {EIO, true}};
	struct registry *r = open_registry();

	(void)state;
	make(PENDING B, SHAPE_FIFO, 0, 0);
	set_mtime(PENDING B, 1000);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		bool unreadable = !rows[i].unreadable;

		fstatat_error = rows[i].error;
		registry_pending_kib(r, 1000, &unreadable);
		fstatat_error = 0;
		assert_int_equal(unreadable, rows[i].unreadable);
	}
	registry_close(r);
}

static void test_no_space(void **state)
{
	struct registry *r = open_registry();
	struct rlimit old, small = {100, 0};
	struct past past;

	(void)state;
	assert_int_equal(registry_save_past(r, A, &example), 0);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	small.rlim_max = old.rlim_max;
	setrlimit(RLIMIT_FSIZE, &small);
	assert_int_equal(registry_save_past(r, A, &(struct past){0}), -EFBIG);
	assert_int_equal(registry_save_past(r, B, &example), -EFBIG);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(registry_load_past(r, A, &past), 0);
	assert_int_equal(past.seen_ms, example.seen_ms);
	assert_int_equal(count_entries("run/memsched/state"), 1);
	registry_close(r);
}

/* A reader sees the old record or the new one, whole. */
static void test_read_while_written(void **state)
{
	struct registry *r = open_registry();
	pid_t writer;
	struct past past;

	(void)state;
	assert_int_equal(registry_save_past(r, A, &example), 0);
	writer = fork();
	if (writer == 0)
		for (uint64_t i = alarm(20);; i++)
			registry_save_past(r, A, &(struct past){.seen_ms = i, .used_kib = i % 2 ? UINT64_MAX : 0});
	for (int i = 0; i < 3000; i++)
		if (registry_load_past(r, A, &past) != 0)
			fail_msg("pass %d", i);
	kill(writer, SIGKILL);
	waitpid(writer, NULL, 0);
	registry_close(r);
}

/* ---- locks ---- */

static void test_lock(void **state)
{
	struct registry *a = open_registry(), *b = open_registry();
	pid_t child;

	(void)state;
	assert_int_equal(registry_lock(a), 0);
	assert_int_equal(registry_lock(a), 0);
	assert_int_equal(registry_lock(b), -EWOULDBLOCK);
	assert_int_equal(mode_of("run/memsched/lock"), 0600);
	registry_unlock(a);
	registry_unlock(a);
	assert_int_equal(registry_lock(b), 0);
	assert_int_equal(registry_lock(a), -EWOULDBLOCK);
	registry_close(b);
	assert_int_equal(registry_lock(a), 0);
	registry_unlock(a);
	child = fork();
	if (child == 0)
		_exit(registry_lock(a) != 0);
	waitpid(child, NULL, 0);
	assert_int_equal(registry_lock(a), 0);
	assert_true(is_there("run/memsched/lock"));
	registry_close(a);
}

/* The holder of the lock is stuck if it begins no pass for three of its intervals and 5 min. */
static void test_stuck(void **state)
{
	static const struct {
		uint64_t interval_ms, idle_ms;
		bool stuck;
	} rows[] = {
	    {0, 1, false},         {0, 300000, false},       {0, 300001, true},
	    {1000, 300000, false}, {3600000, 300001, false}, {3600000, 10800001, true},
	};
	struct registry *r = open_registry();
	uint64_t idle_ms = 0;
	int64_t pid = -1;
	int status;
	pid_t child;

	(void)state;
	assert_false(registry_is_stuck(r, 1 << 30, &pid, &idle_ms));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(registry_note_pass(r, 1000, rows[i].interval_ms), 0);
		assert_int_equal(registry_is_stuck(r, 1000 + rows[i].idle_ms, &pid, &idle_ms), rows[i].stuck);
	}
	assert_int_equal(idle_ms, 10800001);
	assert_int_equal(pid, getpid());
	child = fork();
	if (child == 0)
		_exit(registry_note_pass(r, 1000, 0) != 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_true(registry_is_stuck(r, 1 << 30, &pid, &idle_ms));
	assert_int_equal(pid, 0); /* another program holds it */
	registry_close(r);
}

/* They outlive the pass, and begin anew if they cannot be read. */
static void test_totals(void **state)
{
	const struct totals totals = {1, 2, {3, 4, 5, UINT64_MAX}};
	struct registry *r = open_registry(), *other = NULL;
	struct totals read = {0};

	(void)state;
	assert_int_equal(registry_load_totals(r, &read), -ENOENT);
	assert_int_equal(registry_save_totals(r, &totals), 0);
	registry_close(r);
	r = open_registry();
	assert_int_equal(registry_load_totals(r, &read), 0);
	assert_memory_equal(&read, &totals, sizeof(read));
	assert_int_equal(mode_of("run/memsched/totals"), 0644);
	assert_int_equal(registry_open_uri(root, "qemu+ssh://there/system", true, &other), 0);
	assert_int_equal(registry_load_totals(other, &read), -ENOENT);
	put("run/memsched/totals", "version=1\npasses=1\n");
	assert_int_equal(registry_load_totals(r, &read), -EBADMSG);
	assert_int_equal(read.passes, 1);
	registry_close(other);
	registry_close(r);
}

static void test_lock_is_a_symlink(void **state)
{
	struct registry *r = open_registry();

	(void)state;
	make("run/memsched/lock", SHAPE_SYMLINK, 0, 0);
	assert_int_equal(registry_lock(r), -EBADMSG);
	registry_close(r);
}

/* What may become of the directory under a loop; "MEMSCHED" stands for it. 1: the lock was lost, too. */
static const struct {
	const char *command;
	int result;
} refresh_rows[] = {
    {"true", 0},
    {"rm -r MEMSCHED", 1},
    {"mv MEMSCHED MEMSCHED.old", 1},
    {"mv MEMSCHED MEMSCHED.old && mkdir MEMSCHED", 1},
    {"rm -r MEMSCHED/state", 1},
    {"mv MEMSCHED/state MEMSCHED/old && mkdir MEMSCHED/state", 1},
    {"rm MEMSCHED/lock", 1},
    {"mv MEMSCHED/lock MEMSCHED/old && touch MEMSCHED/lock", 1},
    {"rm -r MEMSCHED && touch MEMSCHED", -ENOTDIR},
    {"mv MEMSCHED MEMSCHED.old && ln -s MEMSCHED.old MEMSCHED", -ENOTDIR},
    {"chmod 777 MEMSCHED && mv MEMSCHED/state MEMSCHED/old", -EPERM},
    {"rm -r MEMSCHED/lock && mkdir MEMSCHED/lock", -EBADMSG},
};

static void run_on_memsched(const char *command)
{
	char line[PATH_MAX + 256];

	snprintf(line, sizeof(line), "cd '%s/run' && m=memsched && %s", root, command);
	for (char *at; (at = strstr(line, "MEMSCHED"));) {
		memmove(at + 2, at + 8, strlen(at + 8) + 1);
		memcpy(at, "$m", 2);
	}
	assert_int_equal(system(line), 0);
}

static void test_refresh(void **state)
{
	for (size_t i = 0; i < sizeof(refresh_rows) / sizeof(refresh_rows[0]); i++) {
		struct registry *r = open_registry(), *other = NULL;

		assert_int_equal(registry_lock(r), 0);
		run_on_memsched(refresh_rows[i].command);
		if (registry_refresh(r) != refresh_rows[i].result)
			fail_msg("%s: %d", refresh_rows[i].command, registry_refresh(r));
		if (refresh_rows[i].result >= 0) {
			assert_int_equal(registry_save_past(r, A, &example), 0);
			assert_true(is_there("run/memsched/state/" A));
			assert_int_equal(registry_open(root, false, &other), 0);
			assert_int_equal(registry_lock(other), -EWOULDBLOCK);
			registry_close(other);
		}
		run_on_memsched("rm -rf MEMSCHED");
		assert_int_equal(registry_refresh(r), 1); /* whatever it was, it is over */
		registry_close(r);
		assert_int_equal(tear_down(state) + set_up(state), 0);
	}
}

static void test_refresh_finds_another_pass(void **state)
{
	struct registry *r = open_registry(), *other;

	(void)state;
	assert_int_equal(registry_lock(r), 0);
	run_on_memsched("rm -r MEMSCHED");
	other = open_registry();
	assert_int_equal(registry_lock(other), 0);
	assert_int_equal(registry_refresh(r), -EWOULDBLOCK);
	assert_int_equal(registry_refresh(r), -EWOULDBLOCK);
	registry_close(other);
	assert_int_equal(registry_refresh(r), 1);
	assert_int_equal(registry_refresh(r), 0);
	registry_unlock(r);
	assert_int_equal(registry_refresh(r), 0); /* without a lock it gets none */
	other = open_registry();
	assert_int_equal(registry_lock(other), 0);
	registry_close(other);
	registry_close(r);
}

/* What is no plain file of ours forbids nothing, even if it is locked, and is not waited for. */
static void test_no_give_shapes(void **state)
{
	static const enum shape shapes[] = {SHAPE_SYMLINK, SHAPE_FIFO, SHAPE_DIR};
	struct registry *r = open_registry();
	char path[PATH_MAX];

	(void)state;
	path_of(path, sizeof(path), "run/memsched/no-give");
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		int fd;

		make("run/memsched/no-give", shapes[i], 0, 0);
		fd = open(path, O_RDONLY | O_NONBLOCK);
		assert_true(fd >= 0);
		assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
		assert_int_equal(registry_no_give(r), -EBADMSG);
		assert_true(registry_hold_no_give(r) < 0);
		close(fd);
		assert_int_equal(remove(path), 0);
	}
	registry_close(r);
}

static void test_no_give(void **state)
{
	struct registry *r = open_registry();
	struct rlimit all, none;
	char path[PATH_MAX];
	int fd, unknown;

	(void)state;
	assert_false(registry_no_give(r));
	put("run/memsched/no-give", "");
	assert_false(registry_no_give(r));
	path_of(path, sizeof(path), "run/memsched/no-give");
	fd = open(path, O_RDWR);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	assert_int_equal(registry_no_give(r), 1);
	assert_int_equal(flock(fd, LOCK_UN), 0);
	assert_int_equal(registry_no_give(r), 0);
	close(fd);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
	none = (struct rlimit){0, all.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	unknown = registry_no_give(r);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
	assert_int_equal(unknown, -EMFILE);
	registry_close(r);
}

/* Says on a pipe what registry_no_give and registry_hold_no_give are in a process of its own. */
struct other {
	pid_t pid;
	int to, from;
};

static void answer(int commands, int answers)
{
	struct registry *r;
	char command, code = 1;

	if (registry_open(root, true, &r))
		_exit(1);
	while (read(commands, &command, 1) == 1) {
		if (command == 'h')
			code = (char)-registry_hold_no_give(r);
		else if (command == 'r')
			registry_release_no_give(r);
		else
			code = (char)(registry_no_give(r) != 0);
		if (write(answers, &code, 1) != 1)
			break;
	}
	_exit(0);
}

static struct other other_process(void)
{
	int to[2], from[2];
	struct other o;

	assert_int_equal(pipe2(to, O_CLOEXEC), 0);
	assert_int_equal(pipe2(from, O_CLOEXEC), 0);
	o = (struct other){.pid = fork(), .to = to[1], .from = from[0]};
	assert_true(o.pid >= 0);
	if (!o.pid) {
		close(to[1]);
		answer(to[0], from[1]);
	}
	close(to[0]);
	close(from[1]);
	return o;
}

static int ask(const struct other *o, char command)
{
	char code;

	assert_int_equal(write(o->to, &command, 1), 1);
	assert_int_equal(read(o->from, &code, 1), 1);
	return code;
}

static void end(struct other *o, int signal)
{
	kill(o->pid, signal);
	assert_int_equal(waitpid(o->pid, NULL, 0), o->pid);
	close(o->to);
	close(o->from);
}

/* The guard holds it, a pass reads it, another guard is refused; it ends with the process. */
static void test_hold_no_give(void **state)
{
	struct registry *r = open_registry();
	struct other guard = other_process();
	struct stat st;
	char path[PATH_MAX];

	(void)state;
	assert_false(registry_no_give(r));
	assert_int_equal(ask(&guard, 'h'), 0);
	assert_true(registry_no_give(r));
	assert_int_equal(ask(&guard, 'h'), 0); /* again is fine */
	assert_int_equal(registry_hold_no_give(r), -EWOULDBLOCK);
	path_of(path, sizeof(path), "run/memsched/no-give");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	ask(&guard, 'r');
	assert_false(registry_no_give(r));
	assert_int_equal(access(path, F_OK), 0);
	ask(&guard, 'r'); /* likewise */
	assert_int_equal(ask(&guard, 'h'), 0);
	assert_true(registry_no_give(r));
	end(&guard, SIGKILL);
	assert_false(registry_no_give(r));
	assert_int_equal(registry_hold_no_give(r), 0);
	registry_close(r);
}

/* A pass that looks, and has looked when the guard pauses. */
static int looking = -1;

int __real_nanosleep(const struct timespec *time, struct timespec *left);
int __wrap_nanosleep(const struct timespec *time, struct timespec *left);

int __wrap_nanosleep(const struct timespec *time, struct timespec *left)
{
	if (looking >= 0)
		close(looking);
	looking = -1;
	return __real_nanosleep(time, left);
}

static void test_hold_is_retried(void **state)
{
	struct registry *r = open_registry();
	char path[PATH_MAX];

	(void)state;
	put("run/memsched/no-give", "");
	path_of(path, sizeof(path), "run/memsched/no-give");
	looking = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(looking, LOCK_SH), 0);
	assert_int_equal(registry_hold_no_give(r), 0);
	assert_int_equal(looking, -1);
	registry_close(r);
}

/* A host that is short is short for the guests of each driver; another host is not. */
static void test_no_give_of_host(void **state)
{
	struct registry *r = open_registry(), *session, *remote;

	(void)state;
	assert_int_equal(registry_open_uri(root, "qemu:///session", true, &session), 0);
	assert_int_equal(registry_open_uri(root, "qemu+ssh://host/system", true, &remote), 0);
	assert_int_equal(registry_hold_no_give(r), 0);
	assert_true(registry_no_give(session));
	assert_false(registry_no_give(remote));
	registry_close(r);
	assert_false(registry_no_give(session));
	registry_close(session);
	registry_close(remote);
}

static void test_hold_refused(void **state)
{
	static const enum shape shapes[] = {SHAPE_SYMLINK, SHAPE_FIFO, SHAPE_DIR};

	(void)state;
	for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++) {
		struct registry *r = open_registry();
		char path[PATH_MAX];

		make("run/memsched/no-give", shapes[i], 0, 0);
		assert_true(registry_hold_no_give(r) < 0);
		assert_true(registry_hold_no_give(r) < 0);
		registry_release_no_give(r);
		registry_close(r);
		path_of(path, sizeof(path), "run/memsched/no-give");
		assert_int_equal(remove(path), 0);
	}
}

/* ---- pending starts ---- */

/* The registered without those that are being started, and without what is no record. */
static void test_list(void **state)
{
	struct registry *r = open_registry();
	struct record record = {.name = (char *)"a \033 name", .maximum_kib = 1000, .hints = {.weight = 100}};
	struct guest *g;
	size_t n;

	(void)state;
	assert_int_equal(registry_list(r, 1000, &g, &n), 0);
	assert_int_equal(n, 0);
	free(g);
	assert_int_equal(registry_save_record(r, A, &record), 0);
	assert_int_equal(registry_save_record(r, B, &record), 0);
	assert_int_equal(registry_save_pending(r, B, 500, 1000), 0);
	put("run/memsched/domains/" C, "garbage");
	put("run/memsched/domains/no-uuid", "version=1\n");
	assert_int_equal(registry_list(r, 1000, &g, &n), 0);
	assert_int_equal(n, 1);
	assert_string_equal(g[0].uuid, A);
	assert_string_equal(g[0].name, "a \033 name");
	guest_clear(&g[0]);
	free(g);
	assert_int_equal(registry_list(r, 1000 + PENDING_MAX_S + 1, &g, &n), 0); /* a start that came to nothing */
	assert_int_equal(n, 2);
	for (size_t i = 0; i < n; i++)
		guest_clear(&g[i]);
	free(g);
	registry_close(r);
}

static void test_pending(void **state)
{
	struct registry *r = open_registry();

	(void)state;
	assert_int_equal(registry_pending_kib(r, 1000, NULL), 0);
	assert_int_equal(registry_save_pending(r, A, 7, 1000), 0);
	assert_int_equal(registry_save_pending(r, B, 20, 1030), 0);
	assert_int_equal(registry_pending_kib(r, 1030, NULL), 27);
	assert_int_equal(registry_pending_kib(r, 1060, NULL), 27);
	assert_int_equal(registry_pending_kib(r, 1061, NULL), 20);
	assert_int_equal(registry_pending_kib(r, 1091, NULL), 0);
	assert_int_equal(registry_pending_kib(r, 970, NULL), 27);
	assert_int_equal(registry_pending_kib(r, 939, NULL), 0);
	put(PENDING "rubbish", GOOD);
	put(PENDING "." C ".tmp.1", GOOD);
	assert_int_equal(registry_pending_kib(r, 1030, NULL), 27);
	assert_int_equal(registry_save_pending(r, C, UINT64_MAX, 1030), 0);
	assert_int_equal(registry_pending_kib(r, 1030, NULL), UINT64_MAX);
	registry_forget_pending(r, C);
	registry_forget_pending(r, C);
	assert_int_equal(registry_pending_kib(r, 1030, NULL), 27);
	registry_close(r);
}

/* ---- forgetting ---- */

static void fill(struct registry *r, const char *uuid)
{
	assert_int_equal(registry_save_past(r, uuid, &example), 0);
	assert_int_equal(registry_save_record(r, uuid, &(struct record){.hints.weight = 1}), 0);
	assert_int_equal(registry_save_pending(r, uuid, 1, (uint64_t)time(NULL)), 0);
}

static void test_forget(void **state)
{
	struct registry *r = open_registry();

	(void)state;
	fill(r, A);
	fill(r, B);
	registry_forget(r, A);
	registry_forget(r, C);
	for (const char *const *folder = (const char *const[]){"domains", "pending", "state", NULL}; *folder;
	     folder++) {
		char name[64];

		snprintf(name, sizeof(name), "run/memsched/%s", *folder);
		assert_int_equal(count_entries(name), 1);
		snprintf(name, sizeof(name), "run/memsched/%s/%s", *folder, B);
		assert_true(is_there(name));
	}
	registry_close(r);
}

static const struct {
	const char *name;
	bool young, old; /* what is left where it was written just now, and a minute ago */
} prune_rows[] = {
    {"domains/" A, true, true},
    {"domains/" B, true, false},
    {"domains/." B ".tmp.1", true, false},
    {"pending/" A, true, false},
    {"pending/" B, true, false},
    {"state/" A, true, true},
    {"state/" B, false, false},
    {"state/rubbish", true, true},
    {"state/." B ".tmp.1", true, false},
    {".last-pass.json.tmp.1", true, false},
    {"said", true, true},
    {"paused", true, true},
};

static void test_prune(void **state)
{
	const struct guest guest[] = {{.uuid = C}, {.uuid = A}};
	struct registry *r = open_registry();
	uint64_t now_s = (uint64_t)time(NULL);

	(void)state;
	for (int old = 0; old < 2; old++)
		for (size_t i = 0; i < sizeof(prune_rows) / sizeof(prune_rows[0]); i++) {
			char name[128];

			snprintf(name, sizeof(name), "run/memsched/%s", prune_rows[i].name);
			put(name, "x");
			registry_prune(r, guest, 2, old ? now_s + PENDING_MAX_S + 60 : now_s);
			if (is_there(name) != (old ? prune_rows[i].old : prune_rows[i].young))
				fail_msg("%s: %d", name, old);
		}
	registry_close(r);
}

/* ---- others ---- */

static void test_write(void **state)
{
	struct registry *r = open_registry();

	(void)state;
	assert_int_equal(registry_write(r, "last-pass.json", "{}\n", 3), 0);
	assert_int_equal(registry_write(r, "last-pass.json", "{ }\n", 4), 0);
	assert_int_equal(size_of("run/memsched/last-pass.json"), 4);
	assert_int_equal(mode_of("run/memsched/last-pass.json"), 0644);
	assert_int_equal(registry_write(r, "../x", "{}\n", 3), -EINVAL);
	assert_int_equal(count_entries("run"), 1);
	registry_close(r);
}

/* Everybody can read files of root, and only root can change them. */
static void test_as_user(void **state)
{
	struct registry *r = open_registry();
	int status;
	pid_t child;

	(void)state;
	assert_int_equal(chmod(root, 0755), 0);
	fill(r, A);
	assert_int_equal(registry_lock(r), 0);
	assert_int_equal(registry_prepare_no_give(r), 0);
	registry_close(r);
	child = geteuid() == 0 ? fork() : -1;
	if (child == 0) {
		struct past past;
		bool good = setuid(NOBODY) == 0 && registry_open(root, true, &r) == 0 &&
		            registry_load_past(r, A, &past) == 0 &&
		            registry_pending_kib(r, (uint64_t)time(NULL), NULL) == 1 &&
		            registry_save_past(r, A, &example) == -EACCES && registry_lock(r) == -EACCES &&
		            registry_no_give(r) == 0;

		_exit(!good);
	}
	if (child > 0) {
		waitpid(child, &status, 0);
		assert_int_equal(status, 0);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_open),
	    TEST(test_hosts),
	    TEST(test_open_without_folders),
	    TEST(test_open_refused),
	    TEST(test_open_without_run),
	    TEST(test_past),
	    TEST(test_past_has_all_fields),
	    TEST(test_texts),
	    TEST(test_nul),
	    TEST(test_size_cap),
	    TEST(test_past_refused),
	    TEST(test_pause),
	    TEST(test_pause_as_file),
	    TEST(test_half_written),
	    TEST(test_shapes),
	    TEST(test_write_through_symlink),
	    TEST(test_uuids),
	    TEST(test_records),
	    TEST(test_record_without_name),
	    TEST(test_long_name),
	    TEST(test_records_refused),
	    TEST(test_pending_shapes),
	    TEST(test_pending_of_unknown_age),
	    TEST(test_walk_without_descriptors),
	    TEST(test_no_space),
	    TEST(test_read_while_written),
	    TEST(test_lock),
	    TEST(test_stuck),
	    TEST(test_totals),
	    TEST(test_lock_is_a_symlink),
	    TEST(test_refresh),
	    TEST(test_refresh_finds_another_pass),
	    TEST(test_no_give),
	    TEST(test_no_give_shapes),
	    TEST(test_hold_no_give),
	    TEST(test_hold_is_retried),
	    TEST(test_hold_refused),
	    TEST(test_no_give_of_host),
	    TEST(test_list),
	    TEST(test_pending),
	    TEST(test_forget),
	    TEST(test_prune),
	    TEST(test_write),
	    TEST(test_as_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
