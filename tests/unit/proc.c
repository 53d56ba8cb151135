/* SPDX-License-Identifier: MIT */
/* Run from the root of the tree: reads the roots below tests/cli/roots. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "folder.h"
#include "host/proc.h"

#define PAGE_KIB ((uint64_t)sysconf(_SC_PAGESIZE) / 1024)

static const char *const paths[] = {"/proc/meminfo", "/proc/spl/kstat/zfs/arcstats", "/sys/kernel/mm/ksm/pages_sharing",
                                    "/proc/pressure/memory"};
enum { MEMINFO, ARC, KSM, PRESSURE, PATHS };

static char root[FOLDER_BYTES];

static void put(const char *path, const char *bytes, size_t length)
{
	char full[PATH_MAX];
	FILE *f;

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *slash = strchr(full + strlen(root) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(full, 0700);
		*slash = '/';
	}
	unlink(full);
	if (!bytes)
		return;
	f = fopen(full, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, length, f), length);
	fclose(f);
}

static void put_all(const char *const text[PATHS])
{
	for (int i = 0; i < PATHS; i++)
		put(paths[i], text[i], text[i] ? strlen(text[i]) : 0);
}

static int make_root(void **state)
{
	(void)state;
	return folder_make(root, "proc");
}

static int remove_root(void **state)
{
	(void)state;
	return folder_remove(root);
}

static void check(const char *what, const struct host *got, const struct host *want)
{
	const struct {
		const char *field;
		uint64_t got, want;
	} fields[] = {
	    {"total", got->total_kib, want->total_kib},
	    {"available", got->available_kib, want->available_kib},
	    {"free", got->free_kib, want->free_kib},
	    {"buffers", got->buffers_kib, want->buffers_kib},
	    {"cached", got->cached_kib, want->cached_kib},
	    {"ksm", got->ksm_kib, want->ksm_kib},
	    {"has_pressure", got->has_pressure, want->has_pressure},
	    {"pressure", got->pressure_some_avg10_centi, want->pressure_some_avg10_centi},
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		if (fields[i].got != fields[i].want)
			fail_msg("%s: %s is %llu, not %llu", what, fields[i].field, (unsigned long long)fields[i].got,
			         (unsigned long long)fields[i].want);
}

static void test_roots(void **state)
{
	static const struct {
		const char *root;
		struct host want;
		uint64_t ksm_pages;
	} rows[] = {
	    {"tests/cli/roots/host-plain",
	     {.total_kib = 16316412,
	      .available_kib = 5981204,
	      .free_kib = 2412340,
	      .buffers_kib = 214876,
	      .cached_kib = 3502188,
	      .has_pressure = true,
	      .pressure_some_avg10_centi = 27},
	     0},
	    {"tests/cli/roots/host-old", /* free + buffers + cached - shmem */
	     {.total_kib = 2048000,
	      .available_kib = 750000,
	      .free_kib = 300000,
	      .buffers_kib = 40000,
	      .cached_kib = 500000},
	     0},
	    {"tests/cli/roots/host-lost-count", /* free + buffers + cached - shmem + slab, not MemAvailable */
	     {.total_kib = 131586048,
	      .available_kib = 11488452,
	      .free_kib = 2311804,
	      .buffers_kib = 2104,
	      .cached_kib = 9360544},
	     0},
	    {"tests/cli/roots/host-zfs", /* 4 GiB and half of 14 - 2 GiB */
	     {.total_kib = 65576132,
	      .available_kib = 10485760,
	      .free_kib = 3145728,
	      .buffers_kib = 16384,
	      .cached_kib = 1572864,
	      .has_pressure = true,
	      .pressure_some_avg10_centi = 1250},
	     262144},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct host h, want = rows[i].want;

		want.ksm_kib = rows[i].ksm_pages * PAGE_KIB;
		assert_int_equal(proc_read(rows[i].root, &h), 0);
		check(rows[i].root, &h, &want);
	}
}

/* Huge pages that balloons left in pieces stand whole on the lists, and only in part among what is mapped. */
static void test_unsplit(void **state)
{
	static const struct {
		const char *lines;
		uint64_t unsplit_kib;
	} rows[] = {
	    {"Active(anon): 600 kB\nInactive(anon): 9000 kB\nAnonPages: 7000 kB\nShmem: 500 kB\nSwapCached: 100 kB\n",
	     2000},
	    {"Active(anon): 600 kB\nInactive(anon): 9000 kB\nAnonPages: 7000 kB\n", 2600},
	    {"Active(anon): 600 kB\nInactive(anon): 6000 kB\nAnonPages: 7000 kB\n",
	     0}, /* locked memory is on no list */
	    {"Active(anon): 600 kB\nInactive(anon): 9000 kB\n", 0},
	    {"AnonPages: 7000 kB\n", 0},
	    {"Inactive(anon): 95000 kB\nAnonPages: 60000 kB\nBuffers: 400 kB\nCached: 9000 kB\nSReclaimable: 600 kB\n",
	     10000}, /* no more than the other figures leave of the total */
	    {"", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const char *text[PATHS] = {NULL};
		char meminfo[512];
		struct host h;

		snprintf(meminfo, sizeof(meminfo), "MemTotal: 90000 kB\nMemFree: 10000 kB\nMemAvailable: 20000 kB\n%s",
		         rows[i].lines);
		text[MEMINFO] = meminfo;
		put_all(text);
		assert_int_equal(proc_read(root, &h), 0);
		assert_int_equal(h.unsplit_kib, rows[i].unsplit_kib);
		assert_int_equal(h.available_kib, 20000 + rows[i].unsplit_kib / 4 * 3);
	}
}

static void test_this_machine(void **state)
{
	struct host h;

	(void)state;
	assert_int_equal(proc_read("", &h), 0);
	assert_in_range(h.total_kib, (uint64_t)sysconf(_SC_PHYS_PAGES) * PAGE_KIB,
	                (uint64_t)sysconf(_SC_PHYS_PAGES) * PAGE_KIB);
	assert_in_range(h.available_kib, 1, h.total_kib);
}

#define TOTAL "MemTotal: 1000 kB\n"
#define FREE "MemFree: 300 kB\n"
#define AVAILABLE "MemAvailable: 500 kB\n"

/* available: what is read of MEMINFO where result is 0 */
static void test_meminfo(void **state)
{
	static const struct {
		const char *text;
		int result;
		uint64_t available_kib;
	} rows[] = {
	    {TOTAL FREE AVAILABLE, 0, 500},
	    {AVAILABLE FREE TOTAL, 0, 500},
	    {TOTAL FREE "MemAvailable:500 kB", 0, 500},
	    {TOTAL FREE "MemAvailable: 0 kB\n", 0, 0},
	    {TOTAL FREE "MemAvailable: 1000 kB\n", 0, 1000},
	    {"\nx\n" TOTAL "garbage\n\x01\xff\n" FREE AVAILABLE "MemAvailable", 0, 500},
	    {TOTAL FREE AVAILABLE "MemAvailable: 600 kB\n", 0, 500}, /* twice: the first */
	    {TOTAL FREE AVAILABLE "xMemTotal: 5 kB\nMemTotalx: 6 kB\n", 0, 500},
	    {TOTAL FREE, 0, 300},
	    {TOTAL FREE "Buffers: 7 kB\n", 0, 307},
	    {TOTAL FREE "Cached: 20 kB\nBuffers: 7 kB\nShmem: 11 kB\n", 0, 316},
	    {TOTAL FREE "Cached: 20 kB\nShmem: 900 kB\n", 0, 300}, /* Shmem is a part of Cached */
	    {TOTAL FREE "SwapCached: 20 kB\n", 0, 300},
	    {"MemTotal: 9007199254740991 kB\n" FREE AVAILABLE, 0, 500},
	    {"MemTotal: 9007199254740992 kB\n" FREE AVAILABLE, -EBADMSG, 0},
	    {"MemTotal: 18446744073709551615 kB\n" FREE AVAILABLE, -EBADMSG, 0},
	    {"MemTotal: 18446744073709552616 kB\n" FREE AVAILABLE, -EBADMSG, 0}, /* 1000, were it to wrap */
	    {"MemTotal: 000000000000000000001000 kB\n" FREE AVAILABLE, -EBADMSG, 0},
	    {"", -EBADMSG, 0},
	    {"\n\n", -EBADMSG, 0},
	    {FREE AVAILABLE, -EBADMSG, 0},
	    {TOTAL AVAILABLE, -EBADMSG, 0},
	    {"MemTotal: 0 kB\nMemFree: 0 kB\n", -EBADMSG, 0},
	    /* cut to what the neighbours allow */
	    {TOTAL "MemFree: 1001 kB\n" AVAILABLE, 0, 500},
	    {TOTAL FREE "MemAvailable: 1001 kB\n", 0, 1000},
	    {TOTAL FREE "Cached: 701 kB\n", 0, 1000},
	    {TOTAL FREE AVAILABLE "Cached: 150 kB\n", 0, 450},
	    {TOTAL FREE AVAILABLE "Cached: 150 kB\nBuffers: 7 kB\nShmem: 100 kB\nSReclaimable: 20 kB\n", 0, 377},
	    {TOTAL FREE AVAILABLE "Cached: 150 kB\nSReclaimable: 20 kB\nKReclaimable: 30 kB\n", 0, 480},
	    {TOTAL FREE AVAILABLE "Cached: 200 kB\n", 0, 500},
	    {TOTAL FREE AVAILABLE "Hugetlb: 550 kB\n", 0, 450},
	    {TOTAL FREE AVAILABLE "Hugetlb: 5000 kB\n", 0, 0},
	    {TOTAL FREE "MemAvailable: -5 kB\n", -EBADMSG, 0},
	    {TOTAL FREE "MemAvailable: +5 kB\n", -EBADMSG, 0},
	    {TOTAL FREE "MemAvailable: kB\n", -EBADMSG, 0},
	    {TOTAL FREE "MemAvailable:\n500 kB\n", -EBADMSG, 0},
	    {TOTAL FREE "MemAvailable: 0x10 kB\n", -EBADMSG, 0},
	    {TOTAL FREE "MemAvailable: 1.5 kB\n", -EBADMSG, 0},
	    {TOTAL FREE "MemAvailable: 500\n", -EBADMSG, 0},
	    {TOTAL FREE "MemAvailable: 500kB\n", -EBADMSG, 0},
	    {TOTAL FREE "MemAvailable: 500 MB\n", -EBADMSG, 0},
	    {TOTAL FREE "MemAvailable: 500 kBx\n", -EBADMSG, 0},
	    {TOTAL FREE "MemAvailable: 500 k", -EBADMSG, 0},
	    {TOTAL FREE "Cached: x kB\n" AVAILABLE, -EBADMSG, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct host h = {.available_kib = 4242};
		int r;

		put_all((const char *[PATHS]){rows[i].text});
		r = proc_read(root, &h);
		if (r != rows[i].result || h.available_kib != (r < 0 ? 4242 : rows[i].available_kib))
			fail_msg("'%s': %d, %llu", rows[i].text, r, (unsigned long long)h.available_kib);
	}
}

/* Of 700 kB that are not free, 200 are page cache, 420 are mapped and 30 are slab: 50 are left. */
#define ANON "Buffers: 10 kB\nCached: 190 kB\nAnonPages: 420 kB\nActive(anon): 420 kB\nSReclaimable: 30 kB\n"

/* Which figure contradicts its neighbours, and what of it counts. */
static void test_doubtful(void **state)
{
	static const struct {
		const char *text, *arc;
		const char *doubtful; /* NULL: none */
		uint64_t says_kib, allowed_kib;
	} rows[] = {
	    {TOTAL FREE AVAILABLE "Cached: 200 kB\n", NULL, NULL, 0, 0},
	    {TOTAL FREE AVAILABLE "Cached: 190 kB\n", NULL, NULL, 0, 0}, /* counters differ a little */
	    {TOTAL FREE AVAILABLE "Cached: 150 kB\n", NULL, "MemAvailable", 500, 450},
	    {TOTAL FREE "MemAvailable: 1500 kB\n", NULL, "MemAvailable", 1500, 1000},
	    {TOTAL "MemFree: 9000 kB\n" AVAILABLE, NULL, "MemFree", 9000, 1000},
	    {TOTAL FREE AVAILABLE "Cached: 900 kB\n", NULL, "Cached", 900, 700},
	    {TOTAL FREE AVAILABLE "Buffers: 900 kB\nCached: 200 kB\n", NULL, "Buffers", 900, 700}, /* the first */
	    {TOTAL FREE AVAILABLE "HugePages_Total: 900\nHugepagesize: 2048 kB\n", NULL, "Hugetlb", 1843200, 1000},
	    {TOTAL FREE AVAILABLE "HugePages_Total: 9\nHugePages_Free: 90\nHugepagesize: 2 kB\n", NULL,
	     "HugePages_Free", 180, 18},
	    {TOTAL FREE AVAILABLE "SwapTotal: 100 kB\nSwapFree: 900 kB\n", NULL, "SwapFree", 900, 100},
	    {TOTAL FREE AVAILABLE "Active(anon): 9000 kB\nAnonPages: 100 kB\n", NULL, "Inactive(anon)", 8900, 600},
	    /* 50 of 120 kB that are mapped stand on no list of anonymous memory: given up with MADV_FREE */
	    {TOTAL FREE AVAILABLE "Cached: 150 kB\nAnonPages: 120 kB\nActive(anon): 70 kB\n", NULL, NULL, 0, 0},
	    {TOTAL FREE AVAILABLE "Cached: 150 kB\nAnonPages: 120 kB\nActive(anon): 70 kB\nUnevictable: 40 kB\n", NULL,
	     "MemAvailable", 500, 460},
	    {TOTAL FREE AVAILABLE ANON "Inactive(anon): 50 kB\n", NULL, NULL, 0, 0},
	    {TOTAL FREE AVAILABLE ANON "Inactive(anon): 151 kB\n", NULL, "Inactive(anon)", 151, 50},
	    {TOTAL FREE AVAILABLE ANON "Inactive(anon): 151 kB\nKReclaimable: 40 kB\n", NULL, "Inactive(anon)", 151,
	     40},
	    {TOTAL FREE AVAILABLE, "c_min 4 0\nsize 4 1024000\n", "the size of the ARC", 1000, 700},
	    {TOTAL FREE AVAILABLE "Buffers: 10 kB\nCached: 190 kB\n", "c_min 4 0\nsize 4 614400\n",
	     "the size of the ARC", 600, 500},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct host h;

		put_all((const char *[PATHS]){[MEMINFO] = rows[i].text, [ARC] = rows[i].arc});
		assert_int_equal(proc_read(root, &h), 0);
		if (!h.doubtful != !rows[i].doubtful || (h.doubtful && strcmp(h.doubtful, rows[i].doubtful) != 0) ||
		    h.doubtful_kib != rows[i].says_kib || h.allowed_kib != rows[i].allowed_kib)
			fail_msg("'%s': %s %llu %llu", rows[i].text, h.doubtful ? h.doubtful : "none",
			         (unsigned long long)h.doubtful_kib, (unsigned long long)h.allowed_kib);
		assert_in_range(h.available_kib, 0, h.total_kib);
	}
}

/* HugePages_Free has what is reserved: promised to a process that has not touched it yet. */
static void test_huge_pages(void **state)
{
	static const struct {
		const char *text;
		uint64_t free_kib;
	} rows[] = {
	    {"", 0},
	    {"HugePages_Total: 9\nHugePages_Free: 5\n", 10},
	    {"HugePages_Total: 9\nHugePages_Free: 5\nHugePages_Rsvd: 2\n", 6},
	    {"HugePages_Total: 9\nHugePages_Free: 5\nHugePages_Rsvd: 6\n", 0},
	    {"HugePages_Total: 9\nHugePages_Free: 90\nHugePages_Rsvd: 1\n", 18}, /* no more than the pool has */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char text[256];
		struct host h;

		snprintf(text, sizeof(text), TOTAL FREE AVAILABLE "%sHugepagesize: 2 kB\n", rows[i].text);
		put_all((const char *[PATHS]){text});
		assert_int_equal(proc_read(root, &h), 0);
		assert_int_equal(h.hugetlb_free_kib, rows[i].free_kib);
	}
}

#define ARC_HEAD "13 1 0x01 98 26656 4162849911 20035443063241\nname                            type data\n"

/* What else there is: absent or wrong, it counts as nothing and never fails the whole. */
static void test_others(void **state)
{
	static const struct {
		const char *text[PATHS]; /* MEMINFO is the same for all */
		uint64_t available_kib, ksm_pages;
		int centi; /* -1: no pressure */
	} rows[] = {
	    {{0}, 500, 0, -1},
	    {{[ARC] = ARC_HEAD "c 4 9\nc_min 4 10240\nc_max 4 7\nsize 4 30720\n"}, 510, 0, -1},
	    {{[ARC] = "size 4 30720\nc_min 4 10240"}, 510, 0, -1},
	    {{[ARC] = "c_min 4 10240\nsize 4 10240\n"}, 500, 0, -1},
	    {{[ARC] = "c_min 4 10240\nsize 4 1024\n"}, 500, 0, -1},
	    {{[ARC] = "c_min 4 0\nsize 4 9007199254740991\n"}, 850, 0, -1}, /* no more than is not free */
	    {{[ARC] = "c_min 4 0\nsize 4 9007199254740992\n"}, 500, 0, -1},
	    {{[ARC] = "c_min 4 0\n"}, 500, 0, -1},
	    {{[ARC] = "size 4 30720\n"}, 500, 0, -1},
	    {{[ARC] = "c_min 4 0\nhdr_size 4 30720\n"}, 500, 0, -1},
	    {{[ARC] = "c_min 4 0\nsize 30720\nhits 40960\n"}, 500, 0, -1},
	    {{[ARC] = "c_min 4 0\nsizes 4 30720\nsize 4 10240"}, 505, 0, -1},
	    {{[ARC] = "c_min 4 0\nsize 4\n30720\n"}, 500, 0, -1},
	    {{[ARC] = "c_min 4 0\nsize 3 -30720\n"}, 500, 0, -1},
	    {{[ARC] = "c_min 4 0\nsize 4 30720 kB\n"}, 500, 0, -1},
	    {{[ARC] = "c_min 4 0\nsize"}, 500, 0, -1},
	    {{[ARC] = ""}, 500, 0, -1},
	    {{[KSM] = "7\n"}, 500, 7, -1},
	    {{[KSM] = "7"}, 500, 7, -1},
	    {{[KSM] = "-7\n"}, 500, 0, -1},
	    {{[KSM] = "7 pages\n"}, 500, 0, -1},
	    {{[KSM] = "18446744073709551616\n"}, 500, 0, -1},
	    {{[KSM] = "\n7\n"}, 500, 0, -1},
	    {{[KSM] = ""}, 500, 0, -1},
	    {{[PRESSURE] = "some avg10=0.00 avg60=0.00\n"}, 500, 0, 0},
	    {{[PRESSURE] = "full avg10=1.00\nsome avg10=12.34 avg60=0.00\n"}, 500, 0, 1234},
	    {{[PRESSURE] = "some avg10=100.00"}, 500, 0, 10000},
	    {{[PRESSURE] = "some avg10=100.01"}, 500, 0, -1},
	    {{[PRESSURE] = "some avg10=1000.00"}, 500, 0, -1},
	    {{[PRESSURE] = "some avg10=-1.00"}, 500, 0, -1},
	    {{[PRESSURE] = "some avg10=.50"}, 500, 0, -1},
	    {{[PRESSURE] = "some avg10=1.5"}, 500, 0, -1},
	    {{[PRESSURE] = "some avg10=1.500"}, 500, 0, -1},
	    {{[PRESSURE] = "some avg10=1,50"}, 500, 0, -1},
	    {{[PRESSURE] = "some avg10=1"}, 500, 0, -1},
	    {{[PRESSURE] = "some avg60=1.00"}, 500, 0, -1},
	    {{[PRESSURE] = "some avg10="}, 500, 0, -1},
	    {{[PRESSURE] = "full avg10=1.00\n"}, 500, 0, -1},
	    {{[PRESSURE] = ""}, 500, 0, -1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const char *text[PATHS] = {TOTAL FREE AVAILABLE, rows[i].text[ARC], rows[i].text[KSM],
		                           rows[i].text[PRESSURE]};
		const struct host want = {.total_kib = 1000,
		                          .available_kib = rows[i].available_kib,
		                          .free_kib = 300,
		                          .ksm_kib = rows[i].ksm_pages * PAGE_KIB,
		                          .has_pressure = rows[i].centi >= 0,
		                          .pressure_some_avg10_centi = rows[i].centi < 0 ? 0 : (uint32_t)rows[i].centi};
		char what[32];
		struct host h;

		put_all(text);
		assert_int_equal(proc_read(root, &h), 0);
		snprintf(what, sizeof(what), "row %zu", i);
		check(what, &h, &want);
	}
}

/* What a control group around the guests leaves bounds what is available. */
static void test_groups(void **state)
{
	static const struct {
		const char *what;
		const char *file[10]; /* below /sys/fs/cgroup but for one that begins with a slash: name, text, … */
		uint64_t available_kib, limit_kib;
	} rows[] = {
	    {"no limit", {"machine.slice/memory.max", "max\n", "machine.slice/memory.current", "409600\n"}, 500, 0},
	    {"a limit", {"machine.slice/memory.max", "614400\n", "machine.slice/memory.current", "409600\n"}, 200, 600},
	    {"memory.high alone",
	     {"machine.slice/memory.max", "max\n", "machine.slice/memory.high", "614400\n",
	      "machine.slice/memory.current", "409600\n"},
	     200,
	     600},
	    {"memory.high below memory.max",
	     {"machine.slice/memory.max", "716800\n", "machine.slice/memory.high", "614400\n",
	      "machine.slice/memory.current", "409600\n"},
	     200,
	     600},
	    {"memory.max below memory.high",
	     {"machine.slice/memory.max", "614400\n", "machine.slice/memory.high", "716800\n",
	      "machine.slice/memory.current", "409600\n"},
	     200,
	     600},
	    {"no memory.high",
	     {"machine.slice/memory.max", "614400\n", "machine.slice/memory.high", "max\n",
	      "machine.slice/memory.current", "409600\n"},
	     200,
	     600},
	    {"more than is available",
	     {"machine.slice/memory.max", "921600\n", "machine.slice/memory.current", "102400\n"},
	     500,
	     0},
	    {"used up", {"machine.slice/memory.max", "614400\n", "machine.slice/memory.current", "614401\n"}, 0, 600},
	    {"page cache can go",
	     {"machine.slice/memory.max", "614400\n", "machine.slice/memory.current", "614400\n",
	      "machine.slice/memory.stat", "anon 1\ninactive_file 102400\nactive_file 51200\n"},
	     150,
	     600},
	    {"without systemd", {"machine/memory.max", "614400\n", "machine/memory.current", "409600\n"}, 200, 600},
	    {"of what machine.slice is in",
	     {"machine.slice/memory.max", "max\n", "memory.max", "614400\n", "memory.current", "409600\n"},
	     200,
	     600},
	    {"libvirtd's",
	     {"system.slice/libvirtd.service/memory.max", "614400\n", "system.slice/libvirtd.service/memory.current",
	      "409600\n"},
	     200,
	     600},
	    {"virtqemud's slice",
	     {"system.slice/virtqemud.service/memory.max", "max\n", "system.slice/memory.max", "614400\n",
	      "system.slice/memory.current", "409600\n"},
	     200,
	     600},
	    {"our own",
	     {"/proc/self/cgroup", "0::/a/b\n", "a/b/memory.max", "614400\n", "a/b/memory.current", "409600\n"},
	     200,
	     600},
	    {"what ours is in",
	     {"/proc/self/cgroup", "0::/a/b\n", "a/memory.max", "614400\n", "a/memory.current", "409600\n"},
	     200,
	     600},
	    {"a container's, which sees no more",
	     {"/proc/self/cgroup", "0::/docker/x\n", "memory.max", "614400\n", "memory.current", "409600\n"},
	     200,
	     600},
	    {"ours, but guests are in machine.slice",
	     {"/proc/self/cgroup", "0::/a\n", "a/memory.max", "614400\n", "a/memory.current", "409600\n",
	      "machine.slice/memory.max", "max\n"},
	     500,
	     0},
	    {"the first version",
	     {"memory/machine.slice/memory.limit_in_bytes", "614400\n", "memory/machine.slice/memory.usage_in_bytes",
	      "512000\n", "memory/machine.slice/memory.stat",
	      "inactive_file 1\ntotal_inactive_file 51200\ntotal_active_file 51200\n"},
	     200,
	     600},
	    {"the first version, ours",
	     {"/proc/self/cgroup", "9:cpu:/\n5:memory:/a\n", "memory/a/memory.limit_in_bytes", "614400\n",
	      "memory/a/memory.usage_in_bytes", "409600\n"},
	     200,
	     600},
	    {"the first version, no limit",
	     {"memory/machine.slice/memory.limit_in_bytes", "9223372036854771712\n",
	      "memory/machine.slice/memory.usage_in_bytes", "512000\n"},
	     500,
	     0},
	    {"rubbish", {"machine.slice/memory.max", "-1\n", "machine.slice/memory.current", "409600\n"}, 500, 0},
	    {"rubbish", {"machine.slice/memory.max", "614400\n", "machine.slice/memory.current", "x\n"}, 500, 0},
	    {"rubbish", {"/proc/self/cgroup", "0::\n", "memory.max", "614400\n"}, 500, 0},
	    {"rubbish", {"/proc/self/cgroup", "0::x\n", "x/memory.max", "614400\n", "x/memory.current", "1\n"}, 500, 0},
	};

	(void)state;
	put_all((const char *[PATHS]){TOTAL FREE AVAILABLE});
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char command[2 * sizeof(root) + 64], path[128];
		struct host h;

		for (size_t j = 0; rows[i].file[j]; j += 2) {
			snprintf(path, sizeof(path), "%s%s", *rows[i].file[j] == '/' ? "" : "/sys/fs/cgroup/",
			         rows[i].file[j]);
			put(path, rows[i].file[j + 1], strlen(rows[i].file[j + 1]));
		}
		assert_int_equal(proc_read(root, &h), 0);
		if (h.available_kib != rows[i].available_kib || h.limit_kib != rows[i].limit_kib)
			fail_msg("%s: %llu, %llu", rows[i].what, (unsigned long long)h.available_kib,
			         (unsigned long long)h.limit_kib);
		snprintf(command, sizeof(command), "rm -rf %s/sys/fs %s/proc/self", root, root);
		assert_int_equal(system(command), 0);
	}
}

/* A meminfo of length bytes that is whole but for its length; filler 'x' or '\0'. */
static int read_padded(char filler, size_t length)
{
	static const char text[] = TOTAL FREE AVAILABLE;
	static char bytes[64 * 1024];
	struct host h;

	memset(bytes, filler, length);
	memcpy(bytes, text, strlen(text));
	put_all((const char *[PATHS]){0});
	put(paths[MEMINFO], bytes, length);
	return proc_read(root, &h);
}

static void test_odd_files(void **state)
{
	static const char no_end[] = TOTAL "MemFree: 300 kB\0\nMemAvailable: 2000 kB\n";
	char full[PATH_MAX], deep[PATH_MAX + 1];
	struct host h;

	(void)state;
	assert_int_equal(read_padded('x', 16383), 0);
	assert_int_equal(read_padded('x', 16384), -EFBIG);
	assert_int_equal(read_padded('x', 65536), -EFBIG);
	assert_int_equal(read_padded('\0', 100), 0);
	put(paths[MEMINFO], no_end, sizeof(no_end)); /* what stands behind a NUL is not there */
	assert_int_equal(proc_read(root, &h), 0);
	assert_int_equal(h.available_kib, 300);

	snprintf(full, sizeof(full), "%s%s", root, paths[MEMINFO]);
	unlink(full);
	assert_int_equal(proc_read(root, &h), -ENOENT);
	assert_int_equal(mkfifo(full, 0600), 0);
	assert_int_equal(proc_read(root, &h), -EBADMSG); /* and does not wait for a writer */
	unlink(full);
	assert_int_equal(mkdir(full, 0700), 0);
	assert_int_equal(proc_read(root, &h), -EISDIR);
	rmdir(full);
	assert_int_equal(proc_read("/nonexistent", &h), -ENOENT);
	memset(deep, 'x', PATH_MAX);
	deep[PATH_MAX] = '\0';
	assert_int_equal(proc_read(deep, &h), -ENAMETOOLONG);
}

static void test_leaves_nothing_open(void **state)
{
	struct host h;
	int before = open("/dev/null", O_RDONLY), after;

	(void)state;
	close(before);
	put_all((const char *[PATHS]){TOTAL FREE, ARC_HEAD, "1\n", "x"});
	assert_int_equal(proc_read(root, &h), 0);
	put_all((const char *[PATHS]){TOTAL, NULL, NULL, NULL});
	assert_int_equal(proc_read(root, &h), -EBADMSG);
	assert_int_equal(read_padded('x', 65536), -EFBIG);
	after = open("/dev/null", O_RDONLY);
	close(after);
	assert_int_equal(after, before);
}

/* A host may have no descriptor left when it is short of memory. */
static void test_without_descriptors(void **state)
{
	struct proc p = {.root = root};
	struct rlimit all, none;
	struct host before, h;
	int once, again;

	(void)state;
	put_all((const char *[PATHS]){TOTAL FREE, ARC_HEAD, "1\n", "x"});
	assert_int_equal(proc_read_again(&p, &before), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
	none = (struct rlimit){0, all.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	once = proc_read(root, &h);
	again = proc_read_again(&p, &h);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
	assert_int_equal(once, -EMFILE);
	assert_int_equal(again, 0);
	assert_int_equal(h.free_kib, before.free_kib);
	assert_int_equal(h.ksm_kib, before.ksm_kib);
	proc_close(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_roots),
	    cmocka_unit_test(test_unsplit),
	    cmocka_unit_test(test_this_machine),
	    cmocka_unit_test(test_meminfo),
	    cmocka_unit_test(test_doubtful),
	    cmocka_unit_test(test_huge_pages),
	    cmocka_unit_test(test_others),
	    cmocka_unit_test(test_groups),
	    cmocka_unit_test(test_odd_files),
	    cmocka_unit_test(test_leaves_nothing_open),
	    cmocka_unit_test(test_without_descriptors),
	};

	return cmocka_run_group_tests_name("host", tests, make_root, remove_root);
}
