/* libFuzzer: any file as a record of each kind, as a pause and as the complaints. What is read can be written and read again. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "registry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define UUID "6f1c8a2e-0000-4000-8000-0123456789ab"
#define NOW_S 1000

static char root[] = "/dev/shm/memsched-fuzz-XXXXXX";
static struct registry *registry;

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void remove_root(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", root);
	check(system(command) == 0);
}

static void open_registry(void)
{
	char path[PATH_MAX];

	check(mkdtemp(root) != NULL);
	atexit(remove_root);
	snprintf(path, sizeof(path), "mkdir %s/run", root);
	check(system(path) == 0 && registry_open(root, true, &registry) == 0);
}

static void put(const char *name, const uint8_t *data, size_t size)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/run/memsched/%s", root, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	check(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	close(fd);
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

static void check_over(void *arg, const char *text)
{
	(void)arg;
	check(strlen(text) < 400 && !strchr(text, '\n'));
}

static void try_said(void)
{
	registry_say_begin(registry, NOW_S);
	registry_say(registry, "a", "the first");
	registry_say_end(registry, check_over, NULL);
	check(registry_say_begin(registry, NOW_S) == 0);
	check(!registry_say(registry, "a", "the first"));
	registry_say_end(registry, check_over, NULL);
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
	put("state/" UUID, data, size);
	put("domains/" UUID, data, size);
	put("pending/" UUID, data, size);
	put("said", data, size);
	put("paused", data, size);
	try_past();
	try_pause();
	try_record();
	try_said();
	registry_pending_kib(registry, NOW_S, NULL);
	registry_forget(registry, UUID);
	return 0;
}
