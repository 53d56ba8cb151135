/* SPDX-License-Identifier: MIT */
/*
 * Inside the test guest: holds as much memory as it is told to, so that the host can drive the guest's need.
 * usage: load NUMBER [hot]   NUMBER counts the starts since boot, hot touches what is held once a second (for swap).
 *
 * One order a line on stdin:
 *   MIB [MIB_PER_S]  hold that much touched anonymous memory: grow at the rate (0: at once), shrink at once
 *   keep MIB         have the kernel keep that much free, out of the balloon's reach; 0: as at the start
 *   cache MIB        read that much of /dev/vda into the page cache; 0 drops all of it
 *   reboot | quit    reset | switch off
 * Answers go to /dev/kmsg, one whole line each whatever else is printed there:
 *   "load: ready NUMBER pid PID" at the start, "load: ok ORDER" once the order is fulfilled, "load: bad ORDER".
 */
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, MIB = 1 << 20, TICK_MS = 10, MOST_MIB = 1 << 16 };

struct load {
	char *memory;
	size_t held, wanted; /* bytes */
	size_t per_tick;     /* bytes; 0: at once */
	char order[256];     /* not answered yet, or empty */
};

static int kmsg;

static void say(const char *format, ...)
{
	char line[320];
	va_list words;

	va_start(words, format);
	int n = vsnprintf(line, sizeof line - 1, format, words);
	va_end(words);
	line[n++] = '\n'; /* without it, the kernel keeps the line back until the next one */
	if (write(kmsg, line, (size_t)n) < 0)
		_exit(1);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Different in each page, so that neither KSM nor zram gets them for nothing. */
static void touch(char *at, size_t size)
{
	for (size_t done = 0; done < size; done += PAGE)
		for (size_t i = 0; i < PAGE; i += PAGE / 4)
			*(volatile uint64_t *)(at + done + i) = (uintptr_t)(at + done + i) * 0x9e3779b97f4a7c15u;
}

static void touch_again(const struct load *l)
{
	for (size_t done = 0; done < l->held; done += PAGE)
		(void)*(volatile const char *)(l->memory + done);
}

static void answer(struct load *l)
{
	if (l->order[0])
		say("<3>load: ok %s", l->order);
	l->order[0] = 0;
}

static void step(struct load *l)
{
	if (l->held > l->wanted) {
		madvise(l->memory + l->wanted, l->held - l->wanted, MADV_DONTNEED);
		l->held = l->wanted;
	} else if (l->held < l->wanted) {
		size_t size = l->wanted - l->held;

		if (l->per_tick && l->per_tick < size)
			size = l->per_tick;
		touch(l->memory + l->held, size);
		l->held += size;
	}
	if (l->held == l->wanted)
		answer(l);
}

static int cache(size_t mib)
{
	static char buffer[MIB];
	int fd = open(mib ? "/dev/vda" : "/proc/sys/vm/drop_caches", mib ? O_RDONLY : O_WRONLY);
	int ret = fd < 0 ? -1 : 0;

	if (mib == 0 && ret == 0 && write(fd, "1", 1) != 1)
		ret = -1;
	while (mib-- && ret == 0)
		if (read(fd, buffer, MIB) != MIB)
			ret = -1;
	close(fd);
	return ret;
}

/* Below vm.min_free_kbytes nothing is handed out, and a balloon stays as it is. */
static int keep(size_t mib)
{
	static int usual_kib;
	FILE *f = fopen("/proc/sys/vm/min_free_kbytes", "r+");
	int ret = !f || (!usual_kib && fscanf(f, "%d", &usual_kib) != 1) ? -1 : 0;

	if (!ret)
		rewind(f);
	if (!ret && fprintf(f, "%zu\n", mib ? mib * 1024 : (size_t)usual_kib) < 0)
		ret = -1;
	return f && fclose(f) == 0 ? ret : -1;
}

static void obey(struct load *l, const char *order)
{
	unsigned mib, rate = 0;

	snprintf(l->order, sizeof l->order, "%s", order);
	if (sscanf(order, "%u %u", &mib, &rate) >= 1 && mib <= MOST_MIB) {
		l->wanted = (size_t)mib * MIB;
		l->per_tick = (size_t)rate * MIB * TICK_MS / 1000 / PAGE * PAGE;
		return;
	}
	if (strcmp(order, "reboot") == 0)
		reboot(RB_AUTOBOOT);
	if (strcmp(order, "quit") == 0)
		reboot(RB_POWER_OFF);
	if (sscanf(order, "cache %u", &mib) == 1 && cache(mib) == 0)
		return;
	if (sscanf(order, "keep %u", &mib) == 1 && keep(mib) == 0)
		return;
	say("<3>load: bad %s", order);
	l->order[0] = 0;
}

/* Obeys what has come in, waiting up to wait_ms for it; ends with the line. */
static void listen(struct load *l, int wait_ms)
{
	static char text[256];
	static size_t length;
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};

	if (poll(&in, 1, wait_ms) <= 0)
		return;
	ssize_t n = read(STDIN_FILENO, text + length, sizeof text - 1 - length);
	if (n <= 0)
		exit(1);
	length += (size_t)n;
	text[length] = 0;
	for (char *end; (end = strpbrk(text, "\r\n")) || length == sizeof text - 1;) {
		size_t size = end ? (size_t)(end - text) + 1 : length;

		text[size - 1] = 0;
		if (text[0])
			obey(l, text);
		length -= size;
		memmove(text, text + size, length + 1);
	}
}

int main(int argc, char **argv)
{
	struct load l = {0};
	bool hot = argc > 2 && strcmp(argv[2], "hot") == 0;
	int64_t next_ms = now_ms(), touched_ms = next_ms;

	kmsg = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	l.memory = mmap(NULL, (size_t)MOST_MIB * MIB, PROT_READ | PROT_WRITE,
	                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (kmsg < 0 || l.memory == MAP_FAILED)
		return 1;
	madvise(l.memory, (size_t)MOST_MIB * MIB, MADV_NOHUGEPAGE);
	say("<3>load: ready %s pid %d", argc > 1 ? argv[1] : "1", (int)getpid());

	for (;;) {
		bool growing = l.held != l.wanted;
		int64_t now = now_ms();

		if (hot && now - touched_ms >= 1000) {
			touch_again(&l);
			touched_ms = now;
		}
		listen(&l, growing ? (int)(next_ms > now ? next_ms - now : 0) : hot ? 1000 : -1);
		now = now_ms();
		if (!growing)
			next_ms = now;
		if (now < next_ms)
			continue;
		step(&l);
		next_ms += TICK_MS;
	}
}
