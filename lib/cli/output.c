/* SPDX-License-Identifier: MIT */
#include "cli/output.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/pool.h"

#define END_MS 300
#define SLOW_MS 5000 /* a reader that takes a text this slowly is waited for, once */

static int lost; /* -errno of the first print that failed */
static struct task *printing;
static char *printed; /* the text of the task */
static unsigned dropped;

int output_flush(void)
{
	bool failed = ferror(stdout); /* errno is lost by now */
	int r = fflush(stdout) ? -errno : failed ? -EIO : 0;

	clearerr(stdout);
	lost = lost ? lost : r;
	return lost;
}

static int print_text(void *text)
{
	return fd_write(STDOUT_FILENO, text, strlen(text));
}

/* Of the last text. A thread is not sent SIGPIPE. */
static int take_outcome(void)
{
	int r = printing ? task_result(printing) : 0;

	if (r == -EINPROGRESS || !printing)
		return r;
	task_free(printing);
	printing = NULL;
	free(printed);
	if (r == -EPIPE)
		raise(SIGPIPE);
	return r;
}

int output_start(char *text)
{
	int before, r;

	if (printing && !dropped)
		task_wait(printing, clock_ms(CLOCK_BOOTTIME) + SLOW_MS);
	before = take_outcome();
	if (before == -EINPROGRESS) {
		free(text);
		dropped++;
		return -EAGAIN;
	}
	r = task_start(print_text, free, text, &printing);
	if (r)
		free(text);
	else
		printed = text;
	dropped = 0;
	return before ? before : r;
}

unsigned output_dropped(void)
{
	return dropped;
}

int output_end(void)
{
	int r = output_flush();

	if (!printing)
		return r;
	if (task_wait(printing, clock_ms(CLOCK_BOOTTIME) + END_MS) == -EINPROGRESS)
		return -EAGAIN;
	return take_outcome();
}
