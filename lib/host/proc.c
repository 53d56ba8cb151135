/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "base/units.h"
#include "host/proc.h"

#define DIGITS "0123456789"
#define LINE_DIGITS 20
#define NUMBER_MOST ((UINT64_C(1) << 53) - 1) /* 8 EiB in KiB: a larger number is no machine's */
#define ABSENT UINT64_MAX

struct text {
	char bytes[16 * 1024];
};

/* The place of a file that is open, or that of the next. If there are too many, the last one gives way. */
static struct proc_file *find_file(struct proc *p, uint64_t path_hash)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->file[i].path_hash == path_hash)
			return &p->file[i];
	return &p->file[p->n < PROC_FILES ? p->n : PROC_FILES - 1];
}

static bool is_open(const struct proc *p, const struct proc_file *f, uint64_t path_hash)
{
	return f < p->file + p->n && f->path_hash == path_hash;
}

/* Opened anew, as a file below another root may have been replaced; without waiting, should it be a FIFO. */
static int open_file(struct proc *p, const char *path)
{
	uint64_t path_hash = text_hash(path);
	struct proc_file *f = find_file(p, path_hash);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	bool exhausted = fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM);

	if (exhausted && is_open(p, f, path_hash))
		return lseek(f->fd, 0, SEEK_SET) < 0 ? -errno : f->fd;
	if (fd < 0)
		return -errno;
	if (f < p->file + p->n)
		close(f->fd);
	else
		p->n++;
	*f = (struct proc_file){path_hash, fd};
	return fd;
}

static int text_read(struct proc *p, const char *path, struct text *ret_text)
{
	char full[PATH_MAX];
	ssize_t length;
	int fd;

	if ((size_t)snprintf(full, sizeof(full), "%s%s", p->root, path) >= sizeof(full))
		return -ENAMETOOLONG;
	fd = open_file(p, full);
	if (fd < 0)
		return fd;
	length = file_read(fd, ret_text->bytes, sizeof(ret_text->bytes));
	if (length == (ssize_t)sizeof(ret_text->bytes))
		return -EFBIG;
	if (length < 0)
		return (int)length;
	ret_text->bytes[length] = '\0';
	return 0;
}

/* The text after label in the first line that begins with it. */
static const char *text_line(const struct text *text, const char *label)
{
	const char *line = text->bytes;
	size_t n = strlen(label);

	while (strncmp(line, label, n) != 0) {
		line = strchr(line, '\n');
		if (!line)
			return NULL;
		line++;
	}
	return line + n;
}

/* The number of a line: after label, spaces, and skip other fields; before unit and the end of the line. */
static int text_number(const struct text *text, const char *label, unsigned skip, const char *unit,
                       uint64_t *ret_number)
{
	const char *p = text_line(text, label), *end;
	char digits[LINE_DIGITS + 1];
	size_t n;

	if (!p)
		return -ENOENT;
	for (p += strspn(p, " "); skip > 0; skip--) {
		p += strcspn(p, " \n");
		p += strspn(p, " ");
	}
	n = strspn(p, DIGITS);
	if (n > LINE_DIGITS || strncmp(p + n, unit, strlen(unit)) != 0)
		return -EBADMSG;
	end = p + n + strlen(unit);
	if (*end != '\n' && *end != '\0')
		return -EBADMSG;
	memcpy(digits, p, n);
	digits[n] = '\0';
	return number_parse(digits, NUMBER_MOST, ret_number) < 0 ? -EBADMSG : 0;
}

/* ---- figures that agree with each other ---- */

struct meminfo { /* fields that only this file needs */
	uint64_t shmem_kib, swap_cached_kib, active_kib, inactive_kib, mapped_kib, unevictable_kib;
	uint64_t slab_kib, kernel_kib; /* reclaimable: slab, and all of the kernel's, of which slab is a part */
	uint64_t huge_pages, huge_pages_free, huge_pages_rsvd, huge_page_kib;
};

/* Used memory, as free(1) has it: neither free nor page cache. */
static uint64_t used_kib(const struct host *h)
{
	return sat_sub(host_pageable_kib(h), h->free_kib + h->buffers_kib + h->cached_kib);
}

/* Anonymous memory that programs gave up with MADV_FREE. It stands on the lists of files, so MemAvailable counts it. */
static uint64_t lazily_freed_kib(const struct meminfo *m)
{
	if (m->mapped_kib == ABSENT)
		return 0;
	return sat_sub(m->mapped_kib + m->shmem_kib, m->active_kib + m->inactive_kib + m->unevictable_kib);
}

/*
 * MemAvailable is free memory and most of the page cache and of reclaimable slab, so it cannot be more than these. A
 * kernel that lost count of its lists (Inactive(file)) has it grow beyond MemTotal.
 */
static void bound_figures(struct host *h, struct meminfo *m)
{
	bool has_cached = h->cached_kib != ABSENT;
	uint64_t left_kib, cache_kib, allowed_kib;

	host_bound(h, "Hugetlb", h->total_kib, &h->hugetlb_kib);
	host_bound(h, "HugePages_Free", h->hugetlb_kib, &h->hugetlb_free_kib);
	host_bound(h, "SwapFree", h->swap_kib, &h->swap_free_kib);
	left_kib = host_pageable_kib(h);
	host_bound(h, "MemFree", left_kib, &h->free_kib);
	left_kib -= h->free_kib;
	host_bound(h, "Buffers", left_kib, &h->buffers_kib);
	left_kib -= h->buffers_kib;
	h->cached_kib = has_cached ? h->cached_kib : 0;
	host_bound(h, "Cached", left_kib, &h->cached_kib);
	host_bound(h, "Shmem", has_cached ? h->cached_kib : left_kib, &m->shmem_kib);
	cache_kib = h->buffers_kib + sat_sub(h->cached_kib, m->shmem_kib);
	allowed_kib = h->free_kib + cache_kib;
	if (h->available_kib == ABSENT)
		h->available_kib = allowed_kib;
	allowed_kib = sat_add(allowed_kib, max_u64(m->slab_kib, m->kernel_kib) + lazily_freed_kib(m));
	allowed_kib = min_u64(allowed_kib, host_pageable_kib(h));
	host_bound(h, "MemAvailable", has_cached ? allowed_kib : host_pageable_kib(h), &h->available_kib);
	/* Active and inactive memory still count a huge page whole; mapped memory no longer counts what balloons gave
	 * back of it. */
	h->unsplit_kib =
	    sat_sub(m->active_kib + m->inactive_kib, sat_add(m->mapped_kib, m->shmem_kib + m->swap_cached_kib));
	allowed_kib = sat_sub(used_kib(h), sat_add(m->mapped_kib, max_u64(m->slab_kib, m->kernel_kib)));
	host_bound(h, "Inactive(anon)", allowed_kib, &h->unsplit_kib);
}

static int read_meminfo(struct proc *p, struct host *h)
{
	struct meminfo m = {.mapped_kib = ABSENT};
	struct text text;
	const struct {
		const char *label, *unit;
		uint64_t *number;
		bool required;
	} rows[] = {
	    {"MemTotal:", " kB", &h->total_kib, true},          {"MemFree:", " kB", &h->free_kib, true},
	    {"MemAvailable:", " kB", &h->available_kib, false}, {"Buffers:", " kB", &h->buffers_kib, false},
	    {"Cached:", " kB", &h->cached_kib, false},          {"Shmem:", " kB", &m.shmem_kib, false},
	    {"SwapCached:", " kB", &m.swap_cached_kib, false},  {"Active(anon):", " kB", &m.active_kib, false},
	    {"Inactive(anon):", " kB", &m.inactive_kib, false}, {"AnonPages:", " kB", &m.mapped_kib, false},
	    {"SReclaimable:", " kB", &m.slab_kib, false},       {"KReclaimable:", " kB", &m.kernel_kib, false},
	    {"Hugetlb:", " kB", &h->hugetlb_kib, false},        {"HugePages_Total:", "", &m.huge_pages, false},
	    {"Hugepagesize:", " kB", &m.huge_page_kib, false},  {"HugePages_Free:", "", &m.huge_pages_free, false},
	    {"SwapTotal:", " kB", &h->swap_kib, false},         {"SwapFree:", " kB", &h->swap_free_kib, false},
	    {"HugePages_Rsvd:", "", &m.huge_pages_rsvd, false}, {"Unevictable:", " kB", &m.unevictable_kib, false},
	};
	int r = text_read(p, "/proc/meminfo", &text);

	if (r < 0)
		return r;
	h->available_kib = h->cached_kib = h->hugetlb_kib = ABSENT;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		r = text_number(&text, rows[i].label, 0, rows[i].unit, rows[i].number);
		if (r == -EBADMSG || (r < 0 && rows[i].required))
			return -EBADMSG;
	}
	if (h->total_kib == 0)
		return -EBADMSG;
	if (h->hugetlb_kib == ABSENT) /* before Linux 4.18, which counts pages of all sizes */
		h->hugetlb_kib = scale_u64(m.huge_pages, m.huge_page_kib, 1);
	h->hugetlb_free_kib = scale_u64(sat_sub(m.huge_pages_free, m.huge_pages_rsvd), m.huge_page_kib, 1);
	bound_figures(h, &m);
	return 0;
}

/* The kernel counts the ARC as used, but it shrinks when asked. A file that cannot be read counts as 0. */
static uint64_t read_arc_kib(struct proc *p, struct host *h)
{
	uint64_t size_bytes, least_bytes, size_kib;
	struct text text;

	if (text_read(p, "/proc/spl/kstat/zfs/arcstats", &text) < 0 ||
	    text_number(&text, "size ", 1, "", &size_bytes) < 0 ||
	    text_number(&text, "c_min ", 1, "", &least_bytes) < 0)
		return 0;
	size_kib = size_bytes / 1024;
	host_bound(h, "the size of the ARC", used_kib(h), &size_kib);
	return sat_sub(size_kib, least_bytes / 1024);
}

static uint64_t read_ksm_kib(struct proc *p)
{
	uint64_t pages;
	struct text text;

	if (text_read(p, "/sys/kernel/mm/ksm/pages_sharing", &text) < 0 || text_number(&text, "", 0, "", &pages) < 0)
		return 0;
	return scale_u64(pages, (uint64_t)sysconf(_SC_PAGESIZE), 1024);
}

static bool read_pressure(struct proc *p, uint32_t *ret_centi)
{
	char digits[sizeof("10000")];
	const char *whole, *part;
	uint64_t centi;
	struct text text;

	if (text_read(p, "/proc/pressure/memory", &text) < 0)
		return false;
	whole = text_line(&text, "some avg10=");
	part = whole ? whole + strspn(whole, DIGITS) : NULL;
	if (!whole || part == whole || part - whole > 3 || *part != '.' || strspn(part + 1, DIGITS) != 2)
		return false;
	snprintf(digits, sizeof(digits), "%.*s%.2s", (int)(part - whole), whole, part + 1);
	if (number_parse(digits, 10000, &centi) < 0)
		return false;
	*ret_centi = (uint32_t)centi;
	return true;
}

/* ---- control groups ---- */

static const struct hierarchy {
	const char *folder, *limit[2], *usage, *active, *inactive;
} hierarchies[] = {
    {"/sys/fs/cgroup", {"memory.max", "memory.high"}, "memory.current", "active_file ", "inactive_file "},
    {"/sys/fs/cgroup/memory",
     {"memory.limit_in_bytes"},
     "memory.usage_in_bytes",
     "total_active_file ",
     "total_inactive_file "},
};

static int read_group(struct proc *p, const struct hierarchy *in, const char *group, const char *file,
                      struct text *ret_text)
{
	char path[PATH_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s%s/%s", in->folder, group, file) >= sizeof(path))
		return -ENAMETOOLONG;
	return text_read(p, path, ret_text);
}

/* "max" is no number, and no limit. Above memory.high the kernel swaps guests out and slows them down. */
static uint64_t group_limit_bytes(struct proc *p, const struct hierarchy *in, const char *group)
{
	uint64_t least_bytes = ABSENT, bytes;
	struct text text;

	for (size_t i = 0; i < sizeof(in->limit) / sizeof(*in->limit) && in->limit[i]; i++)
		if (read_group(p, in, group, in->limit[i], &text) == 0 && text_number(&text, "", 0, "", &bytes) == 0)
			least_bytes = min_u64(least_bytes, bytes);
	return least_bytes;
}

/* The page cache in it is given up before anything fails for the limit. */
static void bound_group(struct proc *p, const struct hierarchy *in, const char *group, struct host *h)
{
	uint64_t limit_bytes = group_limit_bytes(p, in, group), usage_bytes, active_bytes = 0, inactive_bytes = 0;
	uint64_t left_kib;
	struct text text;

	if (limit_bytes / 1024 >= h->total_kib || read_group(p, in, group, in->usage, &text) < 0 ||
	    text_number(&text, "", 0, "", &usage_bytes) < 0)
		return;
	if (read_group(p, in, group, "memory.stat", &text) == 0) {
		text_number(&text, in->active, 0, "", &active_bytes);
		text_number(&text, in->inactive, 0, "", &inactive_bytes);
	}
	left_kib = sat_sub(limit_bytes, sat_sub(usage_bytes, sat_add(active_bytes, inactive_bytes))) / 1024;
	if (left_kib >= h->available_kib)
		return;
	h->available_kib = left_kib;
	h->limit_kib = limit_bytes / 1024;
}

/* A group and those it is in; the outermost has a limit if a container's root is all that is seen of the tree. */
static void bound_groups(struct proc *p, const struct hierarchy *in, const char *group, struct host *h)
{
	char path[PATH_MAX];
	size_t n;

	if ((size_t)snprintf(path, sizeof(path), "%s", group) >= sizeof(path))
		return;
	for (n = strlen(path); n > 0; n = (size_t)(strrchr(path, '/') - path)) {
		path[n] = '\0';
		if (path[n - 1] != '/')
			bound_group(p, in, path, h);
	}
	bound_group(p, in, "", h);
}

static bool has_group(struct proc *p, const struct hierarchy *in, const char *group)
{
	char path[PATH_MAX];

	return (size_t)snprintf(path, sizeof(path), "%s%s%s", p->root, in->folder, group) < sizeof(path) &&
	       access(path, F_OK) == 0;
}

/* Our own group: the text after the label in a line of /proc/self/cgroup, "" if there is none. */
static void find_own_group(struct proc *p, const char *label, char group[static PATH_MAX])
{
	const char *own = NULL;
	struct text text;

	group[0] = '\0';
	if (text_read(p, "/proc/self/cgroup", &text) == 0)
		own = strstr(text.bytes, label);
	if (own)
		snprintf(group, PATH_MAX, "%.*s", (int)strcspn(own + strlen(label), "\n"), own + strlen(label));
	if (group[0] != '/')
		group[0] = '\0';
}

/*
 * libvirt puts guests below machine.slice, or /machine without systemd. If neither is there, they are where libvirtd
 * is, or all of us share a container. A limit of our own service alone says nothing of guests that are elsewhere.
 */
static void bound_by_groups(struct proc *p, struct host *h)
{
	static const char *const guests[] = {"/machine.slice", "/machine"};
	static const char *const daemons[] = {"/system.slice/libvirtd.service", "/system.slice/virtqemud.service"};
	char own[PATH_MAX];

	for (size_t i = 0; i < sizeof(hierarchies) / sizeof(*hierarchies); i++) {
		const struct hierarchy *in = &hierarchies[i];
		bool found = false;

		for (size_t j = 0; j < sizeof(guests) / sizeof(*guests); j++)
			if (has_group(p, in, guests[j])) {
				bound_groups(p, in, guests[j], h);
				found = true;
			}
		if (found || !has_group(p, in, ""))
			continue;
		for (size_t j = 0; j < sizeof(daemons) / sizeof(*daemons); j++)
			bound_groups(p, in, daemons[j], h);
		find_own_group(p, i == 0 ? "0::" : ":memory:", own);
		bound_groups(p, in, own, h);
	}
}

int proc_read_again(struct proc *p, struct host *ret_host)
{
	struct host h = {0};
	int r = read_meminfo(p, &h);

	if (r < 0)
		return r;
	h.available_kib += read_arc_kib(p, &h) / 2 + h.unsplit_kib / 4 * 3;
	h.available_kib = min_u64(h.available_kib, host_pageable_kib(&h));
	bound_by_groups(p, &h);
	h.ksm_kib = read_ksm_kib(p);
	h.has_pressure = read_pressure(p, &h.pressure_some_avg10_centi);
	*ret_host = h;
	return 0;
}

void proc_close(struct proc *p)
{
	for (; p->n > 0; p->n--)
		close(p->file[p->n - 1].fd);
}

int proc_read(const char *root, struct host *ret_host)
{
	struct proc p = {.root = root};
	int r = proc_read_again(&p, ret_host);

	proc_close(&p);
	return r;
}
