/* SPDX-License-Identifier: MIT */
/*
 * Takes the host's memory and holds it until killed; the kernel's OOM killer takes it first.
 *   fill MIB_AVAILABLE [MIB_PER_S]        until so much is available; prints "filled MIB"
 *   fill +MIB MIB_PER_S MIB_TIGHT SECONDS  so much, and looks at what is available until SECONDS from the beginning:
 *       prints "filled=MIB least_available=MIB tight_ms=T back_ms=T took_ms=N": the times (CLOCK_BOOTTIME) when it
 *       first fell below MIB_TIGHT (0: never did) and when others had given 1 GiB back (0: never had), and how long
 *       the taking took, which is more than MIB / MIB_PER_S where the host hands memory out slowly; then ends
 * Ends with its parent.
 */
#include <err.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { MIB = 1 << 20, CHUNK_MIB = 32, FLOOD_CHUNKS_PER_S = 100, MOST_CHUNK_MIB = 60, THREADS = 4 };

struct part {
	char *memory;
	size_t size;
};

/* What a flood saw. */
struct ebb {
	long tight_mib, least_mib, begin_mib;
	uint64_t begin_ms, tight_ms, back_ms, took_ms;
};

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static long host_available_mib(void)
{
	char line[128];
	long kib = -1;
	FILE *f = fopen("/proc/meminfo", "re");

	while (f && kib < 0 && fgets(line, sizeof line, f))
		if (sscanf(line, "MemAvailable: %ld", &kib) != 1)
			kib = -1;
	if (f)
		fclose(f);
	if (kib < 0)
		errx(1, "cannot read MemAvailable");
	return kib / 1024;
}

static void die_first(void)
{
	FILE *f = fopen("/proc/self/oom_score_adj", "we");

	if (!f || fputs("1000", f) < 0 || fclose(f) != 0)
		err(1, "cannot write '/proc/self/oom_score_adj'");
}

static void *touch(void *arg)
{
	const struct part *p = arg;

	for (size_t at = 0; at < p->size; at += 4096) /* different pages: KSM merges equal ones */
		memcpy(p->memory + at, &(char *){p->memory + at}, sizeof(char *));
	return NULL;
}

/* Side by side: where the host is itself a guest, each page may have to come from elsewhere first. */
static void take(long mib)
{
	size_t size = (size_t)mib * MIB;
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_t thread[THREADS];
	struct part part[THREADS];

	if (memory == MAP_FAILED)
		err(1, "mmap");
	for (int i = 0; i < THREADS; i++) {
		part[i] = (struct part){memory + size / THREADS * (size_t)i, size / THREADS};
		if (pthread_create(&thread[i], NULL, touch, &part[i]) != 0)
			errx(1, "cannot start a thread");
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
}

/* With a rate small steps, else large ones until it is nearly there. */
static long next_mib(long spare_mib, long rate)
{
	if (spare_mib < CHUNK_MIB)
		return spare_mib;
	return rate || spare_mib / 2 < CHUNK_MIB ? CHUNK_MIB : spare_mib / 2;
}

static void pause_until(uint64_t until_ms)
{
	struct timespec t = {(time_t)(until_ms / 1000), (long)(until_ms % 1000) * 1000000};

	clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &t, NULL);
}

static void look(struct ebb *e, long taken_mib)
{
	long mib = host_available_mib();

	if (mib < e->least_mib)
		e->least_mib = mib;
	if (!e->tight_ms && mib < e->tight_mib)
		e->tight_ms = now_ms();
	if (!e->back_ms && mib + taken_mib >= e->begin_mib + 1024)
		e->back_ms = now_ms();
}

static void flood(long mib, long rate, long tight_mib, long seconds)
{
	struct ebb e = {.tight_mib = tight_mib, .least_mib = INT32_MAX, .begin_mib = host_available_mib()};
	long chunk = rate / FLOOD_CHUNKS_PER_S < MOST_CHUNK_MIB ? rate / FLOOD_CHUNKS_PER_S + 1 : MOST_CHUNK_MIB;
	long taken = 0;

	e.begin_ms = now_ms();
	while (taken < mib) {
		pause_until(e.begin_ms + (uint64_t)(taken * 1000 / rate));
		take(chunk);
		taken += chunk;
		look(&e, taken);
	}
	e.took_ms = now_ms() - e.begin_ms;
	while (now_ms() < e.begin_ms + (uint64_t)seconds * 1000) {
		look(&e, taken);
		pause_until(now_ms() + 2);
	}
	printf("filled=%ld least_available=%ld tight_ms=%" PRIu64 " back_ms=%" PRIu64 " took_ms=%" PRIu64 "\n", mib,
	       e.least_mib, e.tight_ms, e.back_ms, e.took_ms);
}

static void fill(long wanted_mib, long rate)
{
	uint64_t begin_ms = now_ms();
	long taken_mib = 0, spare_mib;

	while ((spare_mib = host_available_mib() - wanted_mib) > 0) {
		long mib = next_mib(spare_mib, rate);

		take(mib);
		taken_mib += mib;
		if (rate)
			pause_until(begin_ms + (uint64_t)(taken_mib * 1000 / rate));
	}
	printf("filled %ld\n", taken_mib);
	fflush(stdout);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	long number[4] = {0};

	for (int i = 1; i < argc && i < 5; i++)
		number[i - 1] = strtol(argv[i], NULL, 10);
	if (number[0] <= 0 || number[1] < 0 || (*argv[1] == '+' ? argc != 5 || number[1] == 0 : argc > 3))
		errx(2, "usage: fill MIB_AVAILABLE [MIB_PER_S] | fill +MIB MIB_PER_S MIB_TIGHT SECONDS");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	die_first();
	if (*argv[1] == '+')
		flood(number[0], number[1], number[2], number[3]);
	else
		fill(number[0], number[1]);
	return 0;
}
