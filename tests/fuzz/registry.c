/* SPDX-License-Identifier: MIT */
/* libFuzzer: any file as a record of each kind, as a pause and as the complaints. What is read can be written and read
 * again. */
#include <string.h>

#include "host/complaints.h"
#include "root.h"

#define UUID "6f1c8a2e-0000-4000-8000-0123456789ab"
#define MEMSCHED "run/memsched/"
#define NOW_S 1000

static struct registry *registry;

static void open_registry(void)
{
	make_root("run");
	check(registry_open(root, true, &registry) == 0);
}

static void try_past(void)
{
	struct past a, b;

	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	if (registry_load_past(registry, UUID, &a) < 0)
		return;
	check(registry_save_past(registry, UUID, &a) == 0 && registry_load_past(registry, UUID, &b) == 0);
	check(a.seen_ms == b.seen_ms && a.domain_id == b.domain_id && a.used_kib == b.used_kib);
}

static void try_record(void)
{
	struct record a = {0}, b = {0};

	if (registry_load_record(registry, UUID, &a) == 0) {
		check(a.hints.weight >= 1 && a.hints.weight <= 10000);
		check(registry_save_record(registry, UUID, &a) == 0 && registry_load_record(registry, UUID, &b) == 0);
		check(strncmp(a.name, b.name, 1024) == 0 && a.maximum_kib == b.maximum_kib);
	}
	record_clear(&a);
	record_clear(&b);
}

static void check_resolved(const void *arg, const char *text, uint64_t lasted_s)
{
	(void)arg, (void)lasted_s;
	check(strlen(text) < 400 && !strchr(text, '\n'));
}

static void try_said(void)
{
	static struct complaints complaints;

	complaints_load(&complaints, registry);
	complaints_raise(&complaints, "a", "the first", NOW_S, COMPLAINTS_HOURLY_S);
	complaints_end(&complaints, NOW_S, check_resolved, NULL);
	check(complaints_load(&complaints, registry) == 0);
	check(!complaints_raise(&complaints, "a", "the first", NOW_S, COMPLAINTS_HOURLY_S));
	complaints_end(&complaints, NOW_S, check_resolved, NULL);
}

static void try_pause(void)
{
	uint64_t left_ms = 1;

	if (registry_paused(registry, NOW_S, &left_ms) == 0)
		check(left_ms <= PAUSE_MAX_MS);
	check(registry_pause(registry, NOW_S, 5) == 0 && registry_paused(registry, NOW_S + 1, &left_ms) == 0);
	check(left_ms == 4 && registry_resume(registry) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!registry)
		open_registry();
	put(MEMSCHED "state/" UUID, data, size);
	put(MEMSCHED "domains/" UUID, data, size);
	put(MEMSCHED "pending/" UUID, data, size);
	put(MEMSCHED "said", data, size);
	put(MEMSCHED "paused", data, size);
	try_past();
	try_pause();
	try_record();
	try_said();
	registry_pending_kib(registry, NOW_S, NULL);
	registry_forget(registry, UUID);
	return 0;
}
