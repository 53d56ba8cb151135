/* SPDX-License-Identifier: MIT */
/*
 * The original program's rule, written anew as the yardstick of the scenarios.
 * usage: original SECONDS
 *
 * Each SECONDS, guest by guest in libvirt's order: a guest with less than the target unused gets two steps, up to its
 * maximum and while the host keeps its reserve free; one with more than the target gives one step back; within the
 * tolerance nothing moves. Prints "move NAME FROM TO" (KiB) for each balloon command, until it is killed.
 */
#include <err.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TARGET_KIB = 150000, STEP_KIB = 50000, TOLERANCE_KIB = 5000, RESERVE_KIB = 2 * TARGET_KIB };

static long long host_free_kib(virConnectPtr conn)
{
	virNodeMemoryStats stats[16];
	int n = 0;

	/* The number has to be exact, hence two calls. */
	if (virNodeGetMemoryStats(conn, VIR_NODE_MEMORY_STATS_ALL_CELLS, NULL, &n, 0) < 0 || n > 16 ||
	    virNodeGetMemoryStats(conn, VIR_NODE_MEMORY_STATS_ALL_CELLS, stats, &n, 0) < 0)
		errx(1, "%s", virGetLastErrorMessage());
	for (int i = 0; i < n; i++)
		if (strcmp(stats[i].field, VIR_NODE_MEMORY_STATS_FREE) == 0)
			return (long long)stats[i].value;
	return 0;
}

/* Returns what the guest got of free_kib, negative where it gave. */
static long long balance(virDomainPtr domain, long long free_kib)
{
	virDomainMemoryStatStruct stats[VIR_DOMAIN_MEMORY_STAT_NR];
	long long unused = -1, actual = -1, want;
	int n = virDomainMemoryStats(domain, stats, VIR_DOMAIN_MEMORY_STAT_NR, 0);

	for (int i = 0; i < n; i++) {
		if (stats[i].tag == VIR_DOMAIN_MEMORY_STAT_UNUSED)
			unused = (long long)stats[i].val;
		if (stats[i].tag == VIR_DOMAIN_MEMORY_STAT_ACTUAL_BALLOON)
			actual = (long long)stats[i].val;
	}
	if (unused < 0 || actual < 0)
		return 0;

	long long maximum = (long long)virDomainGetMaxMemory(domain);

	want = actual;
	if (unused < TARGET_KIB - TOLERANCE_KIB)
		want = actual + 2 * STEP_KIB < maximum ? actual + 2 * STEP_KIB : maximum;
	else if (unused > TARGET_KIB + TOLERANCE_KIB)
		want = actual - (unused - TARGET_KIB < STEP_KIB ? unused - TARGET_KIB : STEP_KIB);
	if (want == actual || (want > actual && free_kib - (want - actual) < RESERVE_KIB))
		return 0;
	if (virDomainSetMemory(domain, (unsigned long)want) < 0)
		return 0;
	printf("move %s %lld %lld\n", virDomainGetName(domain), actual, want);
	fflush(stdout);
	return want - actual;
}

static void pass(virConnectPtr conn)
{
	virDomainPtr *domains;
	int n = virConnectListAllDomains(conn, &domains, VIR_CONNECT_LIST_DOMAINS_RUNNING);
	long long free_kib = host_free_kib(conn);

	for (int i = 0; i < n; i++) {
		free_kib -= balance(domains[i], free_kib);
		virDomainFree(domains[i]);
	}
	if (n >= 0)
		free(domains);
}

static void silent(void *data, virErrorPtr error)
{
	(void)data;
	(void)error;
}

int main(int argc, char **argv)
{
	unsigned seconds = argc == 2 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;

	if (seconds == 0)
		errx(2, "usage: original SECONDS");
	virSetErrorFunc(NULL, silent);
	virConnectPtr conn = virConnectOpen(NULL);
	if (!conn)
		errx(1, "%s", virGetLastErrorMessage());
	for (;; sleep(seconds))
		pass(conn);
}
