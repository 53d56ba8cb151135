/* SPDX-License-Identifier: MIT */
/*
 * Loaded by LD_PRELOAD into a program of ours: it finds another host at any URI. Each call reads the host's files in
 * the folder $REMOTE again:
 *   kib        its memory
 *   free       of it; a quarter without it
 *   pages      its pool: huge pages of 2 MiB
 *   available  if libvirt reports that
 *   uri        of the connection, as libvirt has it; "test+ssh://elsewhere/default" without it
 *   guests     the URI of the test driver that has the guests, if the program connects to another
 *   away       it cannot be reached
 *   mute       it does not tell its capabilities
 *   asked      gets a byte for each call for these
 */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

static FILE *open_setting(const char *name, const char *mode)
{
	const char *folder = getenv("REMOTE");
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", folder ? folder : ".", name);
	return fopen(path, mode);
}

/* The first word of the file, or false. */
static bool setting(const char *name, char ret_word[1024])
{
	FILE *f = open_setting(name, "re");
	bool found = f && fscanf(f, "%1023s", ret_word) == 1;

	if (f)
		fclose(f);
	return found;
}

static bool figure(const char *name, unsigned long long *ret_value)
{
	char word[1024];
	bool found = setting(name, word);

	*ret_value = found ? strtoull(word, NULL, 10) : 0;
	return found;
}

static virConnectPtr open_guests(const char *function, const char *uri)
{
	virConnectPtr (*open_uri)(const char *uri) = (virConnectPtr(*)(const char *))dlsym(RTLD_NEXT, function);
	char word[1024];

	virResetLastError();
	if (setting("away", word))
		return NULL;
	return open_uri(strncmp(uri, "test:", 5) != 0 && setting("guests", word) ? word : uri);
}

virConnectPtr virConnectOpen(const char *uri)
{
	return open_guests("virConnectOpen", uri);
}

virConnectPtr virConnectOpenReadOnly(const char *uri)
{
	return open_guests("virConnectOpenReadOnly", uri);
}

char *virConnectGetURI(virConnectPtr conn)
{
	char word[1024];

	(void)conn;
	return strdup(setting("uri", word) ? word : "test+ssh://elsewhere/default");
}

static void put(virNodeMemoryStatsPtr stat, int *n, const char *field, unsigned long long kib)
{
	snprintf(stat[*n].field, sizeof(stat[*n].field), "%s", field);
	stat[(*n)++].value = kib;
}

int virNodeGetMemoryStats(virConnectPtr conn, int cell, virNodeMemoryStatsPtr stat, int *n, unsigned int flags)
{
	unsigned long long kib, free_kib, available_kib;
	bool counts = !stat;

	(void)conn, (void)cell, (void)flags;
	*n = counts ? 3 : 0;
	if (counts)
		return 0;
	figure("kib", &kib);
	put(stat, n, VIR_NODE_MEMORY_STATS_TOTAL, kib);
	put(stat, n, VIR_NODE_MEMORY_STATS_FREE, figure("free", &free_kib) ? free_kib : kib / 4);
	if (figure("available", &available_kib))
		put(stat, n, "available", available_kib);
	return 0;
}

char *virConnectGetCapabilities(virConnectPtr conn)
{
	FILE *asked = open_setting("asked", "ae");
	unsigned long long pages;
	char word[1024], *xml = NULL;

	(void)conn;
	if (asked) {
		fputc('.', asked);
		fclose(asked);
	}
	virResetLastError();
	figure("pages", &pages);
	if (setting("mute", word) ||
	    asprintf(&xml,
	             "<capabilities><host><topology><cells num='1'><cell id='0'><pages unit='KiB' size='4'>9</pages>"
	             "<pages unit='KiB' size='2048'>%llu</pages></cell></cells></topology></host></capabilities>",
	             pages) < 0)
		return NULL;
	return xml;
}
