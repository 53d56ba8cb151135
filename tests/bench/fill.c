/*
 * Takes the host's memory until so much is available, and holds it until killed; the kernel's OOM killer takes it
 * first. usage: fill MIB_AVAILABLE [MIB_PER_S]
 *
 * Prints "filled MIB" when it is there. Ends with its parent.
 */
#include <err.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { MIB = 1 << 20, CHUNK_MIB = 32, THREADS = 4 };

struct part {
	char *memory;
	size_t size;
};

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

int main(int argc, char **argv)
{
	long wanted_mib = argc > 1 ? strtol(argv[1], NULL, 10) : 0, rate = argc > 2 ? strtol(argv[2], NULL, 10) : 0;
	long taken_mib = 0, spare_mib;

	if (wanted_mib <= 0 || rate < 0 || argc > 3)
		errx(2, "usage: fill MIB_AVAILABLE [MIB_PER_S]");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	die_first();
	while ((spare_mib = host_available_mib() - wanted_mib) > 0) {
		long mib = next_mib(spare_mib, rate);
		struct timespec rest = {0};

		take(mib);
		taken_mib += mib;
		if (rate) {
			double s = (double)mib / (double)rate;

			rest.tv_sec = (time_t)s;
			rest.tv_nsec = (long)((s - (double)rest.tv_sec) * 1e9);
			nanosleep(&rest, NULL);
		}
	}
	printf("filled %ld\n", taken_mib);
	fflush(stdout);
	for (;;)
		pause();
}
