/* SPDX-License-Identifier: MIT */
/*
 * Loaded by LD_PRELOAD into a program of ours: the call number FAULT_AT of those of FAULT_KIND fails, and with
 * FAULT_EVERY set each one after it too. Only calls that the program makes count: by itself, or through the C library
 * or libxml2. What libvirt and glib allocate does not, as they abort without memory by their own policy. FAULT_MARK
 * names a file that is made if a call failed.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FRAMES 40

enum owner { OURS, THROUGH, OTHER };

static struct range {
	uintptr_t begin, end;
	enum owner owner;
} ranges[8];
static size_t n_ranges;

static const char *kind;
static unsigned long fail_at;
static bool every;
static atomic_ulong calls;
static atomic_bool ready;
static __thread bool inside; /* backtrace may allocate */

static int note_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	bool ours = !*info->dlpi_name;
	bool through = strstr(info->dlpi_name, "/libc.so") || strstr(info->dlpi_name, "/libxml2.so");

	(void)size, (void)arg;
	for (int i = 0; (ours || through) && i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &info->dlpi_phdr[i];
		uintptr_t begin = info->dlpi_addr + part->p_vaddr;

		if (part->p_type == PT_LOAD && part->p_flags & PF_X && n_ranges < sizeof(ranges) / sizeof(*ranges))
			ranges[n_ranges++] = (struct range){begin, begin + part->p_memsz, ours ? OURS : THROUGH};
	}
	return 0;
}

static __attribute__((constructor)) void read_settings(void)
{
	const char *at = getenv("FAULT_AT");
	void *frames[1];

	kind = getenv("FAULT_KIND");
	fail_at = at ? strtoul(at, NULL, 10) : 0;
	every = getenv("FAULT_EVERY");
	unsetenv("LD_PRELOAD");
	dl_iterate_phdr(note_object, NULL);
	backtrace(frames, 1); /* loads what it needs now */
	atomic_store(&ready, kind && fail_at);
}

static enum owner owner_of(const void *address)
{
	for (size_t i = 0; i < n_ranges; i++)
		if ((uintptr_t)address >= ranges[i].begin && (uintptr_t)address < ranges[i].end)
			return ranges[i].owner;
	return OTHER;
}

/* The nearest caller beyond the libraries that may stand in between. */
static bool is_ours(const void *caller)
{
	enum owner owner = owner_of(caller);
	void *frames[FRAMES];
	int n, i = 0;

	if (owner != THROUGH)
		return owner == OURS;
	inside = true;
	n = backtrace(frames, FRAMES);
	inside = false;
	while (i < n && frames[i] != caller)
		i++;
	while (i < n && owner_of(frames[i]) == THROUGH)
		i++;
	return i < n && owner_of(frames[i]) == OURS;
}

static void leave_mark(void)
{
	const char *mark = getenv("FAULT_MARK");
	long fd = mark ? syscall(SYS_openat, AT_FDCWD, mark, O_WRONLY | O_CREAT, 0600) : -1;

	if (fd >= 0)
		syscall(SYS_close, fd);
}

static bool is_due(const char *what, const void *caller)
{
	unsigned long n;

	if (!atomic_load(&ready) || inside || strcmp(kind, what) != 0 || !is_ours(caller))
		return false;
	n = atomic_fetch_add(&calls, 1) + 1;
	if (n < fail_at || (n > fail_at && !every))
		return false;
	leave_mark();
	return true;
}

static void *find_next(const char *name)
{
	bool was = inside;
	void *symbol;

	inside = true;
	symbol = dlsym(RTLD_NEXT, name);
	inside = was;
	return symbol;
}

#define CALLER __builtin_return_address(0)
#define NEXT(name)                                                                                                     \
	static __typeof__(name) *next_##name;                                                                          \
	if (!next_##name)                                                                                              \
	*(void **)&next_##name = find_next(#name)
#define FAIL_IF_DUE(what, error, result)                                                                               \
	do                                                                                                             \
		if (is_due(what, CALLER)) {                                                                            \
			errno = error;                                                                                 \
			return result;                                                                                 \
		}                                                                                                      \
	while (0)

/* ---- memory and threads ---- */

void *malloc(size_t size)
{
	NEXT(malloc);
	FAIL_IF_DUE("memory", ENOMEM, NULL);
	return next_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	static _Alignas(max_align_t) char early[4096]; /* for dlsym itself */
	static bool asking;

	if (asking)
		return n * size <= sizeof(early) ? early : NULL;
	asking = true;
	NEXT(calloc);
	asking = false;
	FAIL_IF_DUE("memory", ENOMEM, NULL);
	return next_calloc(n, size);
}

void *realloc(void *was, size_t size)
{
	NEXT(realloc);
	FAIL_IF_DUE("memory", ENOMEM, NULL);
	return next_realloc(was, size);
}

void *reallocarray(void *was, size_t n, size_t size)
{
	NEXT(reallocarray);
	FAIL_IF_DUE("memory", ENOMEM, NULL);
	return next_reallocarray(was, n, size);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
	NEXT(pthread_create);
	if (is_due("thread", CALLER))
		return EAGAIN;
	return next_pthread_create(thread, attr, run, arg);
}

/* ---- descriptors ---- */

static mode_t mode_of(int flags, va_list args)
{
	return flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
}

#define OPEN(name, parameters, ...)                                                                                    \
	int name parameters                                                                                            \
	{                                                                                                              \
		NEXT(name);                                                                                            \
		va_list args;                                                                                          \
		mode_t mode;                                                                                           \
		va_start(args, flags);                                                                                 \
		mode = mode_of(flags, args);                                                                           \
		va_end(args);                                                                                          \
		FAIL_IF_DUE("open", EMFILE, -1);                                                                       \
		return next_##name(__VA_ARGS__, mode);                                                                 \
	}
OPEN(open, (const char *path, int flags, ...), path, flags)
OPEN(open64, (const char *path, int flags, ...), path, flags)
OPEN(openat, (int at, const char *path, int flags, ...), at, path, flags)
OPEN(openat64, (int at, const char *path, int flags, ...), at, path, flags)

int __open64_2(const char *path, int flags);
int __open64_2(const char *path, int flags)
{
	NEXT(__open64_2);
	FAIL_IF_DUE("open", EMFILE, -1);
	return next___open64_2(path, flags);
}

int __openat64_2(int at, const char *path, int flags);
int __openat64_2(int at, const char *path, int flags)
{
	NEXT(__openat64_2);
	FAIL_IF_DUE("open", EMFILE, -1);
	return next___openat64_2(at, path, flags);
}

FILE *fopen64(const char *path, const char *mode)
{
	NEXT(fopen64);
	FAIL_IF_DUE("open", EMFILE, NULL);
	return next_fopen64(path, mode);
}

int socket(int domain, int type, int protocol)
{
	NEXT(socket);
	FAIL_IF_DUE("open", EMFILE, -1);
	return next_socket(domain, type, protocol);
}

int close(int fd)
{
	NEXT(close);
	if (is_due("close", CALLER)) {
		next_close(fd); /* Linux closes it all the same */
		errno = EIO;
		return -1;
	}
	return next_close(fd);
}

/* ---- files ---- */

ssize_t read(int fd, void *bytes, size_t size)
{
	NEXT(read);
	FAIL_IF_DUE("read", EIO, -1);
	return next_read(fd, bytes, size);
}

ssize_t pread64(int fd, void *bytes, size_t size, off64_t at)
{
	NEXT(pread64);
	FAIL_IF_DUE("read", EIO, -1);
	return next_pread64(fd, bytes, size, at);
}

struct dirent64 *readdir64(DIR *entries)
{
	NEXT(readdir64);
	FAIL_IF_DUE("read", EIO, NULL);
	return next_readdir64(entries);
}

/* A folder is listed by getdents64, for which the C library has no function without opendir. */
long syscall(long number, ...)
{
	NEXT(syscall);
	va_list args;
	long arg[6];

	va_start(args, number);
	for (int i = 0; i < 6; i++)
		arg[i] = va_arg(args, long);
	va_end(args);
	if (number == SYS_getdents64)
		FAIL_IF_DUE("read", EIO, -1);
	return next_syscall(number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
}

/* Half of it is written before the disk is full. */
ssize_t write(int fd, const void *bytes, size_t size)
{
	NEXT(write);
	if (every && fd == STDERR_FILENO) /* or there is no word of all the others */
		return next_write(fd, bytes, size);
	FAIL_IF_DUE("write", ENOSPC, -1);
	if (is_due("half write", CALLER)) {
		if (size > 1)
			return next_write(fd, bytes, size / 2);
		errno = ENOSPC;
		return -1;
	}
	return next_write(fd, bytes, size);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at)
{
	NEXT(pwrite64);
	FAIL_IF_DUE("write", ENOSPC, -1);
	return next_pwrite64(fd, bytes, is_due("half write", CALLER) ? size / 2 : size, at);
}

int fchmod(int fd, mode_t mode)
{
	NEXT(fchmod);
	FAIL_IF_DUE("write", EIO, -1);
	return next_fchmod(fd, mode);
}

int mkdirat(int at, const char *path, mode_t mode)
{
	NEXT(mkdirat);
	FAIL_IF_DUE("rename", ENOSPC, -1);
	return next_mkdirat(at, path, mode);
}

int renameat(int from, const char *old, int to, const char *new)
{
	NEXT(renameat);
	FAIL_IF_DUE("rename", ENOSPC, -1);
	return next_renameat(from, old, to, new);
}
