/* SPDX-License-Identifier: MIT */
#include "cli/say.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"
#include "host/complaints.h"
#include "host/conf.h"
#include "cli/options.h"
#include "cli/output.h"

#define LINE_MOST 4096 /* PIPE_BUF: pipe(7) takes so much whole, or nothing of it */

/* sd-daemon(3): a service's stderr that is the journal takes a line's priority from its beginning. */
static bool is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char ours[64];
	struct stat st;

	if (!stream || fstat(fileno(stderr), &st) < 0)
		return false;
	snprintf(ours, sizeof(ours), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return !strcmp(stream, ours);
}

static bool patient = true;
static unsigned unsaid; /* lines that stderr did not take */

void say_without_waiting(void)
{
	patient = false;
}

/* Room for a line: a pipe then takes all of it, and the journal's socket is three quarters empty. */
static bool is_taken(void)
{
	struct pollfd fd = {.fd = STDERR_FILENO, .events = POLLOUT};

	return patient || (poll(&fd, 1, 0) == 1 && fd.revents & POLLOUT);
}

static struct memfile kept; /* lines for say_kept; out NULL: there are none */

void say_later(void)
{
	if (!kept.out)
		memfile_open(&kept); /* without memory they go out at once */
}

static bool keep_line(const char *line, size_t length)
{
	return kept.out && !kept.failed && fwrite(line, 1, length, kept.out) == length && fflush(kept.out) == 0 &&
	       !kept.failed;
}

void say_kept(void)
{
	char *line = kept.text, *end;

	if (!kept.out)
		return;
	memfile_close(&kept);
	for (; (end = strchr(line, '\n')); line = end + 1)
		fd_write(STDERR_FILENO, line, (size_t)(end + 1 - line));
	free(kept.text);
}

/* False: it did not go out. */
static bool put_line(const struct program *program, int priority, const char *text)
{
	static const char *const kinds[] = {
	    [LOG_ERR] = "error: ", [LOG_WARNING] = "warning: ", [LOG_NOTICE] = "notice: ", [LOG_INFO] = ""};
	char whole[LINE_MOST + 64], line[LINE_MOST];
	int n = is_journal() ? snprintf(whole, sizeof(whole), "<%d>", priority) : 0;

	snprintf(whole + n, sizeof(whole) - (size_t)n, "%s: %s%s", program->name, kinds[priority], text);
	n = (int)strlen(text_copy(line, LINE_MOST - 1, whole));
	line[n++] = '\n';
	if (keep_line(line, (size_t)n))
		return true;
	if (patient) /* stdio holds back the end of a text, and stderr may be the same file */
		output_flush();
	return is_taken() && fd_write(STDERR_FILENO, line, (size_t)n) == 0;
}

static char first[512];

const char *first_error(void)
{
	return first;
}

static bool is_quiet(const struct program *program, int priority)
{
	return program->quiet && *program->quiet && (priority == LOG_WARNING || priority == LOG_NOTICE);
}

/* The next line has the number of lost ones, at its own priority: a reader may ask for that alone. */
void say_message(const struct program *program, int priority, const char *format, ...)
{
	char text[LINE_MOST], lost[64];
	va_list args;

	if (is_quiet(program, priority))
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (priority == LOG_ERR && !*first)
		text_copy(first, sizeof(first), text);
	snprintf(lost, sizeof(lost), "%u earlier lines are lost: standard error was not read", unsaid);
	if (unsaid && put_line(program, priority, lost))
		unsaid = 0;
	unsaid += !put_line(program, priority, text);
}

/* ---- complaints ---- */

/* The file of complaints has the wall clock; else a clock that is set does no harm. */
static uint64_t now_s(const struct program *program)
{
	return clock_ms(program->complaints->registry ? CLOCK_REALTIME : CLOCK_BOOTTIME) / 1000;
}

void say_complaint(const struct program *program, int priority, const char *key, const char *format, ...)
{
	char text[LINE_MOST];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (is_quiet(program, priority))
		complaints_keep(program->complaints, key);
	else if (complaints_raise(program->complaints, key, text, now_s(program), COMPLAINTS_HOURLY_S))
		say_message(program, priority, "%s", text);
}

void say_complaint_of_conf(const struct program *program, const char *sentence)
{
	char *key = strndup(sentence, conf_key_length(sentence));

	say_complaint(program, LOG_ERR, key ? key : sentence, "%s", sentence);
	free(key);
}

void say_complaint_as(void *program, const char *key, const char *sentence)
{
	say_complaint(program, LOG_WARNING, key, "%s", sentence);
}

static void say_one_resolved(const void *program, const char *text, uint64_t lasted_s)
{
	char age[TEXT_AGE];

	say_message(program, LOG_NOTICE, "resolved after %s: %s", text_age(age, sizeof(age), lasted_s), text);
}

void say_resolved(const struct program *program)
{
	complaints_end(program->complaints, now_s(program), say_one_resolved, program);
}
