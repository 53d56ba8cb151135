/* SPDX-License-Identifier: MIT */
/*
 * Measures how well the running guests are served: samples them and the host four times a second, and integrates.
 * usage: meter SECONDS [TRACE.csv]
 *
 * Prints two sums in MiB·s. shortfall: the unused memory that guests had less than target - tolerance. idle: the unused
 * memory beyond target + tolerance, as long as a guest has a shortfall. Then the least MemAvailable of the host in MiB,
 * without and with what the kernel frees only when it needs it: huge pages in pieces (lib/plan/host.h). Shortfall and
 * the least unused are also given for each guest.
 * The trace has a row a guest and sample, in KiB. SIGTERM ends it early, with what was measured until then.
 */
#include <err.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { TARGET_KIB = 150000, TOLERANCE_KIB = 5000, SAMPLE_MS = 250, MOST_GUESTS = 256 };

struct guest {
	char name[256];
	double shortfall_kib_s;
	long long least_kib; /* unused */
};

static struct guest guests[MOST_GUESTS];
static int guest_count;
static double idle_kib_s; /* of all, while a guest lacked memory */
static volatile sig_atomic_t ended;

static void end(int signal)
{
	(void)signal;
	ended = 1;
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct guest *guest_named(const char *name)
{
	for (int i = 0; i < guest_count; i++)
		if (strcmp(guests[i].name, name) == 0)
			return &guests[i];
	if (guest_count == MOST_GUESTS)
		errx(1, "more than %d guests", MOST_GUESTS);
	struct guest *g = &guests[guest_count++];
	snprintf(g->name, sizeof g->name, "%s", name);
	g->least_kib = LLONG_MAX;
	return g;
}

struct host {
	long long available_kib; /* MemAvailable */
	long long with_kib;      /* and what balloons gave back of huge pages that are not split yet */
};

static struct host proc_read(void)
{
	long long available = 0, active = 0, inactive = 0, mapped = 0, shared = 0, swap_cached = 0, unsplit;
	const struct {
		const char *label;
		long long *kib;
	} rows[] = {{"MemAvailable:", &available}, {"Active(anon):", &active}, {"Inactive(anon):", &inactive},
	            {"AnonPages:", &mapped},       {"Shmem:", &shared},        {"SwapCached:", &swap_cached}};
	char line[128];
	FILE *f = fopen("/proc/meminfo", "re");

	while (f && fgets(line, sizeof line, f))
		for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
			if (strncmp(line, rows[i].label, strlen(rows[i].label)) == 0)
				*rows[i].kib = strtoll(line + strlen(rows[i].label), NULL, 10);
	if (f)
		fclose(f);
	unsplit = active + inactive - mapped - shared - swap_cached;
	return (struct host){available, available + (unsplit > 0 ? unsplit : 0)};
}

/* -1 where the guest does not say. */
static long long stat_of(const virDomainStatsRecord *record, const char *field)
{
	unsigned long long value;

	return virTypedParamsGetULLong(record->params, record->nparams, field, &value) == 1 ? (long long)value : -1;
}

/* Memory beyond the target at one moment, and whether a guest lacked it. */
struct moment {
	long long idle_kib;
	bool lacking;
};

static void account(const virDomainStatsRecord *record, double t_s, double dt_s, FILE *trace, struct moment *m)
{
	struct guest *g = guest_named(virDomainGetName(record->dom));
	long long unused = stat_of(record, "balloon.unused");

	if (trace)
		fprintf(trace, "%.2f,%s,%lld,%lld,%lld,%lld,%lld\n", t_s, g->name, stat_of(record, "balloon.current"),
		        unused, stat_of(record, "balloon.usable"), stat_of(record, "balloon.available"),
		        stat_of(record, "balloon.rss"));
	if (unused < 0)
		return;
	if (unused < TARGET_KIB - TOLERANCE_KIB) {
		g->shortfall_kib_s += (double)(TARGET_KIB - TOLERANCE_KIB - unused) * dt_s;
		m->lacking = true;
	}
	if (unused > TARGET_KIB + TOLERANCE_KIB)
		m->idle_kib += unused - TARGET_KIB - TOLERANCE_KIB;
	if (unused < g->least_kib)
		g->least_kib = unused;
}

static void sample(virConnectPtr conn, double t_s, double dt_s, FILE *trace)
{
	virDomainStatsRecordPtr *records;
	struct moment m = {.lacking = false};
	unsigned flags = VIR_CONNECT_GET_ALL_DOMAINS_STATS_RUNNING | VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT;

	if (virConnectGetAllDomainStats(conn, VIR_DOMAIN_STATS_BALLOON, &records, flags) < 0)
		errx(1, "%s", virGetLastErrorMessage());
	for (virDomainStatsRecordPtr *r = records; *r; r++)
		account(*r, t_s, dt_s, trace, &m);
	virDomainStatsRecordListFree(records);
	if (m.lacking)
		idle_kib_s += (double)m.idle_kib * dt_s;
}

static void print(const struct host *least)
{
	double shortfall = 0;

	for (int i = 0; i < guest_count; i++) {
		const struct guest *g = &guests[i];

		printf("shortfall.%s=%.0f\nleast_unused.%s=%lld\n", g->name, g->shortfall_kib_s / 1024, g->name,
		       g->least_kib == LLONG_MAX ? -1 : g->least_kib / 1024);
		shortfall += g->shortfall_kib_s;
	}
	printf("shortfall=%.0f\nidle=%.0f\nleast_available=%lld least_with_unsplit=%lld\n", shortfall / 1024,
	       idle_kib_s / 1024, least->available_kib / 1024, least->with_kib / 1024);
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? strtod(argv[1], NULL) : 0;
	FILE *trace = argc > 2 ? fopen(argv[2], "we") : NULL;
	struct host least = {LLONG_MAX, LLONG_MAX};

	if (seconds <= 0 || argc > 3)
		errx(2, "usage: meter SECONDS [TRACE.csv]");
	if (argc > 2 && !trace)
		err(1, "cannot open '%s'", argv[2]);
	signal(SIGTERM, end);
	signal(SIGINT, end);
	mlockall(MCL_CURRENT | MCL_FUTURE); /* goes on sampling while the host starves */
	virConnectPtr conn = virConnectOpenReadOnly(NULL);
	if (!conn)
		errx(1, "%s", virGetLastErrorMessage());
	if (trace)
		fprintf(trace, "t_s,name,actual,unused,usable,available,rss\n");

	double begin_s = now_s(), last_s = begin_s;
	for (int i = 1; !ended && now_s() - begin_s < seconds; i++) {
		double wait_s = begin_s + i * SAMPLE_MS / 1e3 - now_s();
		struct timespec pause = {.tv_sec = 0, .tv_nsec = (long)(wait_s * 1e9)};

		if (wait_s > 0)
			nanosleep(&pause, NULL);
		double t_s = now_s();
		struct host now = proc_read();
		sample(conn, t_s - begin_s, t_s - last_s, trace);
		last_s = t_s;
		if (now.available_kib < least.available_kib)
			least.available_kib = now.available_kib;
		if (now.with_kib < least.with_kib)
			least.with_kib = now.with_kib;
	}
	print(&least);
	if (trace && fclose(trace) != 0)
		err(1, "cannot write '%s'", argv[2]);
	virConnectClose(conn);
	return 0;
}
