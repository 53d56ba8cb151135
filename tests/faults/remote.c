/* SPDX-License-Identifier: MIT */
/*
 * Loaded by LD_PRELOAD into a program of ours: what it connects to is another host, with REMOTE_KIB of memory, of which
 * REMOTE_HUGE_PAGES pages of 2 MiB are a pool. The guests are those of the URI, such as the test driver's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <libvirt/libvirt.h>

static const char *setting(const char *name)
{
	const char *value = getenv(name);

	return value ? value : "0";
}

char *virConnectGetURI(virConnectPtr conn)
{
	(void)conn;
	return strdup("test+ssh://elsewhere/default");
}

int virNodeGetMemoryStats(virConnectPtr conn, int cell, virNodeMemoryStatsPtr stat, int *n, unsigned int flags)
{
	static const char *const fields[] = {VIR_NODE_MEMORY_STATS_TOTAL, VIR_NODE_MEMORY_STATS_FREE};

	(void)conn, (void)cell, (void)flags;
	for (int i = 0; i < 2 && i < *n; i++) {
		snprintf(stat[i].field, sizeof(stat[i].field), "%s", fields[i]);
		stat[i].value = strtoull(setting("REMOTE_KIB"), NULL, 10) / (i ? 2 : 1);
	}
	*n = 2;
	return 0;
}

char *virConnectGetCapabilities(virConnectPtr conn)
{
	char *xml = NULL;

	(void)conn;
	return asprintf(&xml,
	                "<capabilities><host><topology><cells num='1'><cell id='0'><pages unit='KiB' size='4'>9</pages>"
	                "<pages unit='KiB' size='2048'>%s</pages></cell></cells></topology></host></capabilities>",
	                setting("REMOTE_HUGE_PAGES")) < 0
	           ? NULL
	           : xml;
}
