/* SPDX-License-Identifier: MIT */
/* memstat --fit: what gets no answer has no exit code of one. */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "folder.h"
#include "virt/virt.h"
#include "cli/candidate.h"

#define TIME "30s" /* a busy machine has longer */

static char root[FOLDER_BYTES];
static struct conf conf;

static void put(const char *name, const char *text)
{
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static int set_up(void **state)
{
	char path[PATH_MAX];

	(void)state;
	assert_int_equal(folder_make_root(root, "candidate"), 0);
	snprintf(path, sizeof(path), "%s/proc", root);
	assert_int_equal(mkdir(path, 0755), 0);
	put("proc/meminfo", "MemTotal: 16777216 kB\nMemFree: 16000000 kB\nMemAvailable: 16000000 kB\n");
	assert_int_equal(conf_init(&conf), 0);
	assert_int_equal(conf_set(&conf, "uri", "test:///default"), 0);
	assert_int_equal(conf_set(&conf, "deadline", TIME), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	conf_clear(&conf);
	return folder_remove(root);
}

/* ---- a table for which memory may lack ---- */

int __real_table_write(FILE *out, const struct column *columns, const void *rows, size_t n, size_t size,
                       const struct table_style *style);
int __wrap_table_write(FILE *out, const struct column *columns, const void *rows, size_t n, size_t size,
                       const struct table_style *style);

static bool lacks_memory;

int __wrap_table_write(FILE *out, const struct column *columns, const void *rows, size_t n, size_t size,
                       const struct table_style *style)
{
	return lacks_memory ? -ENOMEM : __real_table_write(out, columns, rows, n, size, style);
}

/* ---- a connection, which memstat leaves open when it ends ---- */

int __real_virt_open(const char *where, bool read_only, unsigned workers, uint64_t deadline_ms, struct virt **ret_virt);
int __wrap_virt_open(const char *where, bool read_only, unsigned workers, uint64_t deadline_ms, struct virt **ret_virt);
void __real_virt_close(struct virt *v);
void __wrap_virt_close(struct virt *v);

static struct virt *opened;

int __wrap_virt_open(const char *where, bool read_only, unsigned workers, uint64_t deadline_ms, struct virt **ret_virt)
{
	int r = __real_virt_open(where, read_only, workers, deadline_ms, ret_virt);

	opened = r ? NULL : *ret_virt;
	return r;
}

void __wrap_virt_close(struct virt *v)
{
	opened = NULL;
	__real_virt_close(v);
}

static int answer(const char *given)
{
	static const struct program program = {.name = "prog", .synopsis = "", .purpose = ""};
	static const struct table_style style = {.form = TABLE_RAW};
	const struct watch w = {.conf = &conf, .root = root, .workers = 1, .count = 1};
	int code = candidate_answer(&program, given, false, &style, &w);

	virt_close(opened);
	return code;
}

/* What could not be printed is no answer. */
static void test_no_memory(void **state)
{
	int code;

	(void)state;
	assert_int_equal(answer("16MiB"), EXIT_DONE);
	lacks_memory = true;
	code = answer("16MiB");
	lacks_memory = false;
	assert_int_equal(code, EXIT_UNANSWERED);
}

#define MEMORY "<memory unit='MiB'>16</memory>"

/* What libvirt would not define is asked about by mistake. */
static void test_definitions(void **state)
{
	static const struct {
		const char *text;
		int code;
	} rows[] = {
	    {"<domain><name>new</name>" MEMORY "</domain>", EXIT_DONE},
	    {"<domain>" MEMORY "</domain>", EXIT_UNANSWERED},
	    {"<domain><name/>" MEMORY "</domain>", EXIT_UNANSWERED},
	    {"<domain><name></name>" MEMORY "</domain>", EXIT_UNANSWERED},
	    {"<domain><name>new</name></domain>", EXIT_UNANSWERED},
	};
	char path[PATH_MAX];

	(void)state;
	snprintf(path, sizeof(path), "%s/new.xml", root);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		int code;

		put("new.xml", rows[i].text);
		code = answer(path);
		if (code != rows[i].code)
			fail_msg("'%s': %d", rows[i].text, code);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_memory), cmocka_unit_test(test_definitions)};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
