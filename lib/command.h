/*
 * A command of the administrator's, run without a shell and not waited for: its line is split at blanks beforehand.
 */
#ifndef MEMSCHED_COMMAND_H
#define MEMSCHED_COMMAND_H

#include <stdint.h>

struct command;

/* A number for its environment; ended by a NULL name. */
struct command_number {
	const char *name;
	uint64_t number;
};

/* line: an absolute path and arguments. 0, -ENOMEM, or -EINVAL for an empty one. */
int command_new(const char *line, struct command **ret_command);
void command_free(struct command *c); /* NULL is fine */

/*
 * Begins to look whether it could be executed now: by a thread, for a file system may hang. 0 or -errno. The outcome is
 * 0, -errno, or -EINPROGRESS until it is known, maybe for ever; c may be freed before.
 */
int command_test(struct command *c);
int command_outcome(const struct command *c);

/*
 * Starts it in a session of its own with the environment, the numbers, stdin from /dev/null, signals as usual, and an
 * oom_score_adj of 0. Its end is of no interest: the caller ignores SIGCHLD. 0, -ENOMEM or -errno of fork; what cannot
 * be executed ends with 127, and nobody hears of it. numbers: at most 16.
 */
int command_run(const struct command *c, const struct command_number *numbers);

#endif
