/* SPDX-License-Identifier: MIT */
#include "show/plugin.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/units.h"
#include "host/heartbeat.h"
#include "host/proc.h"
#include "plan/guard.h"
#include "show/report.h"

enum plugin_state { PLUGIN_OK, PLUGIN_WARNING, PLUGIN_CRITICAL, PLUGIN_UNKNOWN };

int plugin_host(const struct conf *conf, const char *root, const char *root_words)
{
	static const char *const words[] = {"OK", "WARNING", "CRITICAL"};
	struct guard_conf gc = {.hold_ms = GUARD_HOLD_MS};
	struct guard guard = {.level = GUARD_CALM};
	struct guard_heartbeat beat;
	enum guard_presence presence = guard_heartbeat_read(root, conf->uri, clock_ms(CLOCK_REALTIME) / 1000, &beat);
	enum guard_level level;
	struct host host;
	char text[128];
	int r = proc_read(root, &host), state;

	if (r) {
		printf("MEMGUARD UNKNOWN - cannot read '%s/proc/meminfo': %s\n", root_words, strerror(-r));
		return PLUGIN_UNKNOWN;
	}
	gc.reserve_kib = conf_reserve_kib(conf, host_pageable_kib(&host));
	level = guard_step(&gc, &guard, host.available_kib, 0, clock_now().now_ms);
	state = level == GUARD_CRITICAL                             ? PLUGIN_CRITICAL
	        : level == GUARD_TIGHT || presence != GUARD_PRESENT ? PLUGIN_WARNING
	                                                            : PLUGIN_OK;
	printf("MEMGUARD %s - %s%s | available=%lluB;%llu:;%llu:;0;%llu reserve=%lluB\n", words[state],
	       presence == GUARD_ABSENT   ? "no memguard is running: "
	       : presence == GUARD_SILENT ? "memguard hangs: "
	                                  : "",
	       report_available(text, sizeof(text), host.available_kib, gc.reserve_kib),
	       (unsigned long long)host.available_kib * 1024, (unsigned long long)guard_tight_kib(&gc) * 1024,
	       (unsigned long long)guard_critical_kib(&gc) * 1024, (unsigned long long)host.total_kib * 1024,
	       (unsigned long long)gc.reserve_kib * 1024);
	return state;
}

/* Monitoring systems keep standard output alone, and take text after a | for figures. */
int plugin_unknown(const char *words)
{
	printf("MEMGUARD UNKNOWN - ");
	for (; *words; words++)
		putchar(*words == '|' ? '/' : *words);
	putchar('\n');
	return PLUGIN_UNKNOWN;
}
