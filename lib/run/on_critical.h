/* SPDX-License-Identifier: MIT */
/*
 * A command of the administrator's, run without a shell and not waited for: its line is split at blanks beforehand.
 */
#ifndef MEMSCHED_RUN_ON_CRITICAL_H
#define MEMSCHED_RUN_ON_CRITICAL_H

#include <stdint.h>

struct on_critical;

/* A number for its environment; ended by a NULL name. */
struct on_critical_number {
	const char *name;
	uint64_t number;
};

/* line: an absolute path and arguments. 0, -ENOMEM, or -EINVAL for an empty one. */
int on_critical_new(const char *line, struct on_critical **ret_command);
void on_critical_free(struct on_critical *c); /* NULL is fine */

/*
 * Begins to look whether it could be executed now: by a task, for a file system may hang. Once. 0 or -errno. The
 * outcome is 0, -errno, or -EINPROGRESS until it is known, maybe for ever; c may be freed before.
 */
int on_critical_test(struct on_critical *c);
int on_critical_outcome(const struct on_critical *c);

/*
 * Starts it in a session of its own with the environment, the numbers, stdin from /dev/null, signals as usual, and an
 * oom_score_adj of 0. Its end is of no interest: the caller ignores SIGCHLD. 0, -ENOMEM or -errno of fork; a command
 * that cannot be executed ends with 127, unreported. numbers: at most 16.
 */
int on_critical_run(const struct on_critical *c, const struct on_critical_number *numbers);

#endif
