/* SPDX-License-Identifier: MIT */
/* Each test in a process of its own: what is locked or spared stays so. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "run/memlock.h"

#define SKIPPED 77
#define BLOCK (2u << 20)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_HEAP true
#else
#define OWN_HEAP (getenv("VALGRIND") != NULL)
#endif

/* ---- a limit that allows all; whether there is a permission to lock remains the kernel's to say ---- */

int __real_getrlimit64(int resource, struct rlimit *limit);
int __wrap_getrlimit64(int resource, struct rlimit *limit);

static bool unlimited;

int __wrap_getrlimit64(int resource, struct rlimit *limit)
{
	if (!unlimited || resource != RLIMIT_MEMLOCK)
		return __real_getrlimit64(resource, limit);
	*limit = (struct rlimit){RLIM_INFINITY, RLIM_INFINITY};
	return 0;
}

static void in_a_process(int (*check)(void))
{
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (!child)
		_exit(check());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == SKIPPED)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

static uint64_t locked_kib(void)
{
	unsigned long long kib = 0;
	char line[256];
	FILE *f = fopen("/proc/self/status", "re");

	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "VmLck: %llu kB", &kib);
	if (f)
		fclose(f);
	return kib;
}

static long faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt;
}

static __attribute__((noinline)) void use_stack(void)
{
	volatile char stack[64 << 10];

	for (size_t i = 0; i < sizeof(stack); i += 1024)
		stack[i] = 1;
}

/* Memory is there and locked: taking some of it, and some stack, costs no fault. */
static int check_locked(void)
{
	int r = memlock_all();
	char *volatile heap;
	long before;

	if (r == -EPERM || r == -ENOMEM)
		return SKIPPED;
	if (OWN_HEAP) /* sanitizers lock nothing */
		return r != 0;
	if (r || !locked_kib())
		return 1;
	before = faults();
	heap = malloc(BLOCK);
	if (!heap)
		return 2;
	memset(heap, 1, BLOCK);
	use_stack();
	free(heap);
	if (faults() - before > 8) /* of 512 + 16 pages */
		return 3;
	heap = malloc(BLOCK);
	if (!heap)
		return 2;
	memset(heap, 1, BLOCK);
	free(heap);
	return faults() - before > 8 ? 4 : 0; /* it was not handed back */
}

/* What comes later, as the stack of a thread does, is locked too, but not before it is touched. */
static int check_later(void)
{
	long page = sysconf(_SC_PAGESIZE);
	unsigned char resident[BLOCK / 4096];
	uint64_t before_kib;
	char *block;
	int r;

	unlimited = true;
	r = memlock_all();
	if (OWN_HEAP || r == -EPERM || r == -ENOMEM)
		return SKIPPED;
	before_kib = locked_kib();
	block = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (r || block == MAP_FAILED)
		return 1;
	if (locked_kib() < before_kib + BLOCK / 1024)
		return 2;
	*block = 1;
	if (mincore(block, BLOCK, resident) < 0 || !(resident[0] & 1))
		return 3;
	return resident[BLOCK / page - 1] & 1 ? 4 : 0;
}

/* A limit that later allocations could run into: they must not fail. */
static int check_limited(void)
{
	const struct rlimit limit = {1 << 20, 1 << 20};
	char *volatile heap;

	if (OWN_HEAP)
		return SKIPPED;
	if (setrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		return SKIPPED;
	if (geteuid() == 0 && setuid(65534) < 0)
		return SKIPPED;
	memlock_all();
	heap = malloc(256u << 20);
	if (!heap)
		return 1;
	free(heap);
	return 0;
}

/* Whether the page is mapped now, be it in the page cache or not. -1: the kernel does not say. */
static int is_mapped(const void *address)
{
	uint64_t page = (uintptr_t)address / (uintptr_t)sysconf(_SC_PAGESIZE), entry;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : pread(fd, &entry, sizeof(entry), (off_t)(page * sizeof(entry)));

	if (fd >= 0)
		close(fd);
	return n == sizeof(entry) ? (int)(entry >> 63) : -1;
}

/* The middle of libm's largest part, which nothing here calls. */
static int find_unused(struct dl_phdr_info *object, size_t size, void *ret_unused)
{
	size_t most = 0;

	(void)size;
	for (int i = 0; strstr(object->dlpi_name, "/libm.so") && i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *s = &object->dlpi_phdr[i];

		if (s->p_type != PT_LOAD || s->p_flags & PF_W || s->p_memsz <= most)
			continue;
		most = s->p_memsz;
		*(uintptr_t *)ret_unused = object->dlpi_addr + s->p_vaddr + most / 2;
	}
	return most > 0;
}

/* Pages of a library that were used before are let go, and come back if they are used. The program's own stay. */
static int check_used_before(void)
{
	static const char text[BLOCK] = {[BLOCK / 2] = 7}; /* the kernel maps some pages around each that is used */
	const volatile char *middle = &text[BLOCK / 2], *library;
	uintptr_t unused = 0;
	char before;

	if (!dlopen("libm.so.6", RTLD_NOW))
		return SKIPPED;
	dl_iterate_phdr(find_unused, &unused);
	library = (const volatile char *)unused;
	if (!unused || *middle != 7)
		return 1;
	before = *library;
	if (is_mapped(text + BLOCK / 2) < 0)
		return SKIPPED;
	if (!is_mapped(text + BLOCK / 2) || !is_mapped((const void *)unused))
		return 2;
	memlock_all();
	if (!is_mapped(text + BLOCK / 2) || is_mapped((const void *)unused))
		return 3;
	return *library == before ? 0 : 4;
}

static int check_spared(void)
{
	FILE *f;
	int score = 0, r = memlock_lower_oom_score();

	if (r == -EACCES || r == -EPERM)
		return SKIPPED;
	f = fopen("/proc/self/oom_score_adj", "re");
	if (r || !f || fscanf(f, "%d", &score) != 1 || score > -900)
		return 1;
	fclose(f);
	return memlock_lower_oom_score() ? 2 : 0; /* it stays */
}

static int check_not_permitted(void)
{
	if (geteuid() == 0 && setuid(65534) < 0)
		return SKIPPED;
	return memlock_lower_oom_score() == -EACCES ? 0 : 1;
}

static void test_locked(void **state)
{
	(void)state;
	in_a_process(check_locked);
}

static void test_later(void **state)
{
	(void)state;
	in_a_process(check_later);
}

static void test_used_before(void **state)
{
	(void)state;
	in_a_process(check_used_before);
}

static void test_limited(void **state)
{
	(void)state;
	in_a_process(check_limited);
}

static void test_spared(void **state)
{
	(void)state;
	in_a_process(check_spared);
	in_a_process(check_not_permitted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_locked),  cmocka_unit_test(test_later),  cmocka_unit_test(test_used_before),
	    cmocka_unit_test(test_limited), cmocka_unit_test(test_spared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
