/* SPDX-License-Identifier: MIT */
/*
 * Messages on stderr, each a line of its own: "membalance: error: ...", with "warning: ", "notice: " or nothing in
 * place of "error: ". Each is one write, cut to 4 KiB. Outside strings must be escaped before. Beside cli/ and bin/
 * nothing speaks to the user.
 */
#ifndef MEMSCHED_CLI_SAY_H
#define MEMSCHED_CLI_SAY_H

#include <syslog.h>

struct program;

void say_message(const struct program *program, int priority, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#define say_error(program, ...) say_message(program, LOG_ERR, __VA_ARGS__)
#define say_warning(program, ...) say_message(program, LOG_WARNING, __VA_ARGS__)
#define say_note(program, ...) say_message(program, LOG_INFO, __VA_ARGS__)

/*
 * Says a complaint of program->complaints if it is due: hourly while it lasts. A warning that -q holds back is new
 * later. say_complaint_as is for report_complain, as a warning; say_resolved ends a round, and reports complaints that
 * are over.
 */
void say_complaint(const struct program *program, int priority, const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void say_complaint_as(void *program, const char *key, const char *sentence);
void say_complaint_of_conf(const struct program *program,
                           const char *sentence); /* as conf_load and conf_check say it */
void say_resolved(const struct program *program);

/* The first error that was said, without the program's name; "" if there was none. */
const char *first_error(void);

/*
 * From now on a line that stderr does not take at once (a full pipe, a journal that hangs) is dropped instead of waited
 * for; the next line has their number. From then on only one thread may say something.
 */
void say_without_waiting(void);

/*
 * From now on lines are kept until say_kept, which program_end calls: a single pass does not wait for a reader while it
 * holds a lock.
 */
void say_later(void);
void say_kept(void);

#endif
