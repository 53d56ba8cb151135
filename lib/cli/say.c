#include "cli/say.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "cli/options.h"

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

__attribute__((format(printf, 5, 0))) static size_t compose(char *line, const struct program *program, int priority,
                                                            const char *kind, const char *format, va_list args)
{
	char whole[2 * LINE_MOST];
	int n = is_journal() ? snprintf(whole, sizeof(whole), "<%d>", priority) : 0;

	n += snprintf(whole + n, sizeof(whole) - (size_t)n, "%s: %s", program->name, kind);
	vsnprintf(whole + n, sizeof(whole) - (size_t)n, format, args);
	text_copy(line, LINE_MOST - 1, whole);
	n = (int)strlen(line);
	line[n] = '\n';
	return (size_t)n + 1;
}

/* How many lines are lost is said with the next, and as that: it comes also where warnings are not asked for. */
__attribute__((format(printf, 4, 5))) static bool say_unsaid(const struct program *program, int priority,
                                                             const char *kind, const char *format, ...)
{
	char line[LINE_MOST];
	va_list args;
	bool done;

	va_start(args, format);
	done = !fd_write(STDERR_FILENO, line, compose(line, program, priority, kind, format, args));
	va_end(args);
	return done;
}

__attribute__((format(printf, 4, 0))) static void say(const struct program *program, int priority, const char *kind,
                                                      const char *format, va_list args)
{
	char line[LINE_MOST];

	if (unsaid && is_taken() &&
	    say_unsaid(program, priority, kind, "%u lines before this are lost: nobody took them", unsaid))
		unsaid = 0;
	if (!is_taken() || fd_write(STDERR_FILENO, line, compose(line, program, priority, kind, format, args)))
		unsaid++;
}

static char first[512];

const char *first_error(void)
{
	return first;
}

void say_error(const struct program *program, const char *format, ...)
{
	va_list args;

	if (!*first) {
		va_start(args, format);
		vsnprintf(first, sizeof(first), format, args);
		va_end(args);
	}
	va_start(args, format);
	say(program, LOG_ERR, "error: ", format, args);
	va_end(args);
}

void say_warning(const struct program *program, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(program, LOG_WARNING, "warning: ", format, args);
	va_end(args);
}

void say_note(const struct program *program, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(program, LOG_INFO, "", format, args);
	va_end(args);
}
