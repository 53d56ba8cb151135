/* SPDX-License-Identifier: MIT */
/*
 * hook [CALLS]: how long libvirt waits for the hook. Each round starts /bin/true, the stub and the helper alone, one
 * after another, as libvirt does: three pipes, the XML of a real domain on stdin, and waiting for the end of both
 * outputs and of the process. Prints median, 99th percentile and maximum of each over CALLS (200) rounds, in ms.
 * Of what the helper takes beyond /bin/true (1.2 ms), 0.9 ms are the loader's, for libxml2 and all that it needs in
 * turn; binding lazily gains nothing, and our own part is 0.3 ms.
 * Run it from the top of the tree; what is registered goes below a temporary directory.
 */
#include <err.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define XML "tests/bench/domain.xml"
#define HELPER "hooks/memsched-hook"
#define MAX_CALLS 100000

static char directory[] = "/tmp/memsched-bench-XXXXXX";
static char xml[1 << 20];
static size_t xml_length;

static struct contender {
	const char *name;
	const char *argv[6];
	double *ms;
} contenders[] = {
    {"/bin/true", {"/bin/true"}, NULL},
    {"stub, a phase that is ours", {NULL, "web01", "started", "begin", "-"}, NULL},
    {"stub, a phase that is not", {NULL, "web01", "start", "begin", "-"}, NULL},
    {"helper alone", {HELPER, "web01", "started", "begin", "-"}, NULL},
    {"/bin/true again", {"/bin/true"}, NULL},
};
#define CONTENDERS (sizeof(contenders) / sizeof(contenders[0]))

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void run(const char *command)
{
	if (system(command) != 0)
		errx(1, "error: '%s' failed", command);
}

/* The stub as it is, but with the helper of this tree. */
static void set_up(void)
{
	static char stub[64], command[PATH_MAX + 256];
	char here[PATH_MAX];
	FILE *f = fopen(XML, "re");

	if (!f || access(HELPER, X_OK) < 0 || !getcwd(here, sizeof(here)))
		err(1, "error: cannot read '" XML "' or run '" HELPER "': run from the top of the tree after make");
	xml_length = fread(xml, 1, sizeof(xml), f);
	fclose(f);
	if (!mkdtemp(directory))
		err(1, "error: cannot make '%s'", directory);
	snprintf(stub, sizeof(stub), "%s/stub", directory);
	snprintf(command, sizeof(command),
	         "mkdir %s/run && sed \"s|^helper=.*|helper='%s/" HELPER "'|\" hooks/qemu >%s && chmod 755 %s",
	         directory, here, stub, stub);
	run(command);
	setenv("MEMSCHED_ROOT", directory, 1);
	for (size_t i = 0; i < CONTENDERS; i++)
		if (!contenders[i].argv[0])
			contenders[i].argv[0] = stub;
}

/* Feeds in (which the other end need not read) and waits until both outputs end. */
static void serve(int in, int out, int error)
{
	struct pollfd fd[] = {{out, POLLIN, 0}, {error, POLLIN, 0}, {in, POLLOUT, 0}};
	char bytes[4096];
	size_t sent = 0;

	while (fd[0].fd >= 0 || fd[1].fd >= 0) {
		poll(fd, 3, -1);
		for (size_t i = 0; i < 2; i++)
			if (fd[i].revents && read(fd[i].fd, bytes, sizeof(bytes)) <= 0)
				fd[i].fd = -1;
		if (fd[2].revents) {
			ssize_t n = write(in, xml + sent, xml_length - sent);

			sent += n > 0 ? (size_t)n : 0;
			if (n < 0 || sent == xml_length) {
				close(in);
				fd[2].fd = -1;
			}
		}
	}
	if (fd[2].fd >= 0)
		close(in);
	close(out);
	close(error);
}

static double call(const struct contender *c)
{
	int in[2], out[2], error[2], status;
	posix_spawn_file_actions_t actions;
	double started = now_ms();
	pid_t pid;

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(error, O_CLOEXEC))
		err(1, "error: cannot make pipes");
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, error[1], STDERR_FILENO);
	if (posix_spawn(&pid, c->argv[0], &actions, NULL, (char *const *)c->argv, environ) != 0)
		errx(1, "error: cannot run '%s'", c->argv[0]);
	posix_spawn_file_actions_destroy(&actions);
	close(in[0]);
	close(out[1]);
	close(error[1]);
	serve(in[1], out[0], error[0]);
	if (waitpid(pid, &status, 0) != pid || status != 0)
		errx(1, "error: '%s' failed", c->argv[0]);
	return now_ms() - started;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void report(struct contender *c, size_t calls)
{
	qsort(c->ms, calls, sizeof(*c->ms), by_size);
	printf("%-28s %8.2f %8.2f %8.2f\n", c->name, c->ms[calls / 2], c->ms[(calls - 1) * 99 / 100], c->ms[calls - 1]);
	free(c->ms);
}

int main(int argc, char **argv)
{
	size_t calls = argc > 1 ? strtoul(argv[1], NULL, 10) : 200;
	char command[128];

	if (calls < 1 || calls > MAX_CALLS)
		errx(2, "usage: hook [CALLS]");
	signal(SIGPIPE, SIG_IGN);
	set_up();
	for (size_t i = 0; i < CONTENDERS; i++)
		if (!(contenders[i].ms = calloc(calls, sizeof(double))))
			err(1, "error");
	for (size_t n = 0; n < calls; n++)
		for (size_t i = 0; i < CONTENDERS; i++)
			contenders[i].ms[n] = call(&contenders[i]);
	snprintf(command, sizeof(command), "test -s %s/run/memsched/domains/*", directory);
	run(command);
	printf("%-28s %8s %8s %8s   (ms, %zu calls, %zu bytes of XML)\n", "hook latency", "median", "p99", "max", calls,
	       xml_length);
	for (size_t i = 0; i < CONTENDERS; i++)
		report(&contenders[i], calls);
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	run(command);
	return 0;
}
