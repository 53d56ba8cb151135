/* SPDX-License-Identifier: MIT */
#include "run/on_critical.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/pool.h"

#define BLANKS " \t"
#define NUMBERS 16
#define NUMBER_BYTES 64

extern char **environ;

struct on_critical {
	char *line; /* cut into words */
	char **argv;
	struct task *test; /* NULL: none was begun */
};

static void release_command(void *arg)
{
	struct on_critical *c = arg;

	free(c->argv);
	free(c->line);
	free(c);
}

int on_critical_new(const char *line, struct on_critical **ret_command)
{
	struct on_critical *c = calloc(1, sizeof(*c));
	size_t n = 0;

	if (c)
		c->line = strdup(line);
	if (c && c->line)
		c->argv = calloc(strlen(line) / 2 + 2, sizeof(*c->argv));
	if (!c || !c->line || !c->argv) {
		if (c)
			release_command(c);
		return -ENOMEM;
	}
	for (char *rest = c->line, *word; (word = strsep(&rest, BLANKS));)
		if (*word)
			c->argv[n++] = word;
	if (!n) {
		release_command(c);
		return -EINVAL;
	}
	*ret_command = c;
	return 0;
}

void on_critical_free(struct on_critical *c)
{
	if (c && task_free(c->test))
		release_command(c);
}

static int find_executable(void *arg)
{
	const struct on_critical *c = arg;
	struct stat st;

	if (stat(c->argv[0], &st) < 0 || access(c->argv[0], X_OK) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? 0 : -EACCES;
}

int on_critical_test(struct on_critical *c)
{
	return c->test ? -EBUSY : task_start(find_executable, release_command, c, &c->test);
}

int on_critical_outcome(const struct on_critical *c)
{
	return c->test ? task_result(c->test) : 0;
}

/* Only calls that are allowed between fork and exec in a process with threads. */
static _Noreturn void become(const struct on_critical *c, char **env)
{
	sigset_t none;
	int fd;

	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, "0", 1) < 0)
		close(fd);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		dup2(fd, STDIN_FILENO);
	execve(c->argv[0], c->argv, env);
	_exit(127);
}

/* Whether a variable of ours has the name of one of the numbers. */
static bool is_number(const char *variable, const struct on_critical_number *numbers)
{
	for (; numbers->name; numbers++) {
		size_t length = strlen(numbers->name);

		if (!strncmp(variable, numbers->name, length) && variable[length] == '=')
			return true;
	}
	return false;
}

int on_critical_run(const struct on_critical *c, const struct on_critical_number *numbers)
{
	char text[NUMBERS][NUMBER_BYTES];
	size_t n = 0, m = 0;
	char **env;
	pid_t child;

	while (environ[n])
		n++;
	env = calloc(n + NUMBERS + 1, sizeof(*env));
	if (!env)
		return -ENOMEM;
	for (; m < NUMBERS && numbers[m].name; m++) {
		snprintf(text[m], NUMBER_BYTES, "%s=%" PRIu64, numbers[m].name, numbers[m].number);
		env[m] = text[m];
	}
	for (char **variable = environ; *variable; variable++)
		if (!is_number(*variable, numbers))
			env[m++] = *variable;
	child = fork();
	if (child == 0)
		become(c, env);
	free(env);
	return child < 0 ? -errno : 0;
}
