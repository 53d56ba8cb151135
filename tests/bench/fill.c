/*
 * Takes the host's memory until so much is available, and holds it until killed; the kernel's OOM killer takes it
 * first. usage: fill MIB_AVAILABLE [MIB_PER_S]
 *
 * Prints "filled MIB" when it is there. Ends with its parent.
 */
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { MIB = 1 << 20, CHUNK_MIB = 32 };

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

static void take(long mib)
{
	size_t size = (size_t)mib * MIB;
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		err(1, "mmap");
	for (size_t at = 0; at < size; at += 4096) /* different pages: KSM merges equal ones */
		memcpy(memory + at, &at, sizeof at);
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
		long mib = spare_mib < CHUNK_MIB ? spare_mib : CHUNK_MIB;
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
