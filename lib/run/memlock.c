/* SPDX-License-Identifier: MIT */
#include "run/memlock.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define HEAP_BYTES (4u << 20)
#define STACK_BYTES (128u << 10)
#define OOM_SCORE_ADJ (-900)
#define OOM_FILE "/proc/self/oom_score_adj"

/* Compilers remove a memset before free, as its result is never read. */
static void touch_pages(volatile char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i += 1024)
		bytes[i] = 0;
}

static void touch_stack(void)
{
	volatile char stack[STACK_BYTES];

	touch_pages(stack, sizeof(stack));
}

static void touch_heap(void)
{
	char *heap;

#ifdef M_ARENA_MAX /* glibc; musl has no such settings */
	/* with one arena, threads use the memory that is touched here, too */
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	mallopt(M_MMAP_THRESHOLD, 1 << 25); /* large blocks from the heap too; some glibc take no more than 32 MiB */
#endif
	heap = malloc(HEAP_BYTES);
	if (heap)
		touch_pages(heap, HEAP_BYTES);
	free(heap);
}

/* They have changed pages that are not writable now. */
static bool has_text_relocations(const struct dl_phdr_info *object, const ElfW(Phdr) * segment)
{
	const ElfW(Dyn) *d = (const void *)(object->dlpi_addr + segment->p_vaddr);

	for (; d->d_tag != DT_NULL; d++)
		if (d->d_tag == DT_TEXTREL || (d->d_tag == DT_FLAGS && d->d_un.d_val & DF_TEXTREL))
			return true;
	return false;
}

/* libvirt brings some 60 libraries. Pages that only their start needed would stay locked, so all of them are let go. A
 * page that is needed again comes back from the page cache, and is locked then. */
static int drop_text(struct dl_phdr_info *object, size_t size, void *arg)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	(void)size, (void)arg;
	if (!*object->dlpi_name) /* the program itself: its pages are for emergencies */
		return 0;
	for (int i = 0; i < object->dlpi_phnum; i++)
		if (object->dlpi_phdr[i].p_type == PT_DYNAMIC && has_text_relocations(object, &object->dlpi_phdr[i]))
			return 0;
	for (int i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *s = &object->dlpi_phdr[i];
		uintptr_t begin = (object->dlpi_addr + s->p_vaddr) / page * page;

		if (s->p_type == PT_LOAD && !(s->p_flags & PF_W))
			madvise((void *)begin, object->dlpi_addr + s->p_vaddr + s->p_memsz - begin, MADV_DONTNEED);
	}
	return 0;
}

int memlock_all(void)
{
	const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	struct rlimit limit;

	touch_stack();
	touch_heap();
	dl_iterate_phdr(drop_text, NULL);
	setrlimit(RLIMIT_MEMLOCK, &unlimited); /* without permission the limit may already suffice */
	/* MCL_FUTURE: libvirt allocates with each answer, and a worker that replaces a stuck one has a stack of its
	 * own. It counts whole mappings against a limit, of which most is never touched. */
	if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY &&
	    mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0)
		return 0;
	return mlockall(MCL_CURRENT | MCL_ONFAULT) < 0 ? -errno : 0;
}

static int oom_score_adj(int *ret_score)
{
	FILE *f = fopen(OOM_FILE, "re");
	int n;

	if (!f)
		return -errno;
	n = fscanf(f, "%d", ret_score);
	fclose(f);
	return n == 1 ? 0 : -EBADMSG;
}

int memlock_lower_oom_score(void)
{
	char text[16];
	int score, fd, length, r = oom_score_adj(&score);

	if (r < 0 || score <= OOM_SCORE_ADJ)
		return r;
	fd = open(OOM_FILE, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	length = snprintf(text, sizeof(text), "%d", OOM_SCORE_ADJ);
	r = write(fd, text, (size_t)length) == length ? 0 : -errno;
	close(fd);
	return r;
}
