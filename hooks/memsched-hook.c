/* SPDX-License-Identifier: MIT */
/*
 * memsched-hook NAME OPERATION SUBOPERATION EXTRA <DOMAIN-XML: runs for libvirt's qemu hook (through the stub
 * hooks/qemu) as a guest starts and ends; it writes the registry and nothing else. While it runs libvirt holds the
 * guest's lock and waits without limit, and a failure would stop the guest. So it exits 0 whatever happens, prints
 * nothing, waits for no lock, asks libvirt nothing, and ends within a second.
 * MEMSCHED_ROOT in the environment is put before /run, for tests; libvirt does not pass it on.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "host/registry.h"
#include "virt/domxml.h"

#define MEMORY_BYTES (128u << 20)
#define FILE_BYTES (64u << 10)

static void expect_guest(struct registry *r, const struct domxml *d, uint64_t now_s)
{
	registry_save_pending(r, d->uuid, device_start_kib(&d->device), now_s);
}

static void save_guest(struct registry *r, const struct domxml *d, uint64_t started_s)
{
	const struct record record = {d->name, d->device.maximum_kib, started_s, d->hints};

	registry_save_record(r, d->uuid, &record);
	registry_forget_pending(r, d->uuid);
}

static void register_guest(struct registry *r, const struct domxml *d, uint64_t now_s)
{
	save_guest(r, d, now_s);
}

/* libvirt was restarted, not the guest. */
static void reconnect_guest(struct registry *r, const struct domxml *d, uint64_t now_s)
{
	struct record old = {0};

	(void)now_s;
	registry_load_record(r, d->uuid, &old);
	save_guest(r, d, old.started_s);
	record_clear(&old);
}

static void forget_guest(struct registry *r, const struct domxml *d, uint64_t now_s)
{
	(void)now_s;
	registry_forget(r, d->uuid);
}

static const struct phase {
	const char *operation, *suboperation;
	void (*act)(struct registry *r, const struct domxml *d, uint64_t now_s);
} phases[] = {
    {"prepare", "begin", expect_guest},      {"migrate", "begin", expect_guest}, {"started", "begin", register_guest},
    {"reconnect", "begin", reconnect_guest}, {"stopped", "end", forget_guest},   {"release", "end", forget_guest},
};

static const struct phase *find_phase(const char *operation, const char *suboperation)
{
	for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++)
		if (strcmp(phases[i].operation, operation) == 0 && strcmp(phases[i].suboperation, suboperation) == 0)
			return &phases[i];
	return NULL;
}

static void give_up(int signal)
{
	(void)signal;
	_exit(0);
}

/* Bytes of address space that are in use: libraries, and much more under a sanitizer. 0: not known. */
static rlim_t mapped_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	unsigned long pages = 0;

	if (f) {
		if (fscanf(f, "%lu", &pages) != 1)
			pages = 0;
		fclose(f);
	}
	return pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

static void limit_ourselves(void)
{
	rlim_t mapped = mapped_bytes(), address_space = mapped ? mapped + MEMORY_BYTES : RLIM_INFINITY;
	const struct {
		unsigned resource;
		rlim_t most, beyond; /* at beyond, a process that uses the CPU for so long is killed without a word */
	} limits[] = {
	    {RLIMIT_CPU, 1, 2},
	    {RLIMIT_CORE, 0, 0},
	    {RLIMIT_FSIZE, FILE_BYTES, FILE_BYTES},
	    {RLIMIT_AS, address_space, address_space},
	};

	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL); /* the caller of the stub may have blocked them */
	signal(SIGALRM, give_up);
	signal(SIGXCPU, give_up);
	signal(SIGXFSZ, SIG_IGN);
	alarm(1);
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		setrlimit(limits[i].resource, &(struct rlimit){limits[i].most, limits[i].beyond});
}

/* All of stdin, to be freed; NULL if that is more than a domain may have. */
static char *read_input(size_t *ret_length)
{
	char *text = malloc(DOMXML_MAX_BYTES + 1);
	ssize_t length = text ? file_read(STDIN_FILENO, text, DOMXML_MAX_BYTES + 1) : -ENOMEM;

	if (length < 0 || length > (ssize_t)DOMXML_MAX_BYTES) {
		free(text);
		return NULL;
	}
	*ret_length = (size_t)length;
	return text;
}

static void act_on_phase(const struct phase *phase, const char *root)
{
	struct domxml d = {0};
	struct registry *r = NULL;
	size_t length;
	char *xml = read_input(&length);

	if (xml && domxml_read(xml, length, &d) == 0 && d.uuid[0] && registry_open(root, true, &r) == 0)
		phase->act(r, &d, (uint64_t)time(NULL));
	registry_close(r);
	domxml_clear(&d);
	free(xml);
}

/* Daemons of users' sessions run the same hooks; their guests are none of ours. */
int main(int argc, char **argv)
{
	int closed = fd_fill_standard();
	const char *root = secure_getenv("MEMSCHED_ROOT");
	const struct phase *phase = argc > 3 ? find_phase(argv[2], argv[3]) : NULL;

	limit_ourselves();
	if (!closed && phase && (root || geteuid() == 0))
		act_on_phase(phase, root ? root : "");
	return 0;
}
