/*
 * Messages on stderr, each a line of its own: "membalance: error: ...", with "warning: ", "notice: " or nothing in
 * place of "error: ". Each is one write, cut to 4 KiB. Outside strings must be escaped before. Beside cli/ and bin/
 * nothing speaks to the user.
 */
#ifndef MEMSCHED_CLI_SAY_H
#define MEMSCHED_CLI_SAY_H

#include <stdint.h>
#include <syslog.h>

struct program;

void say_message(const struct program *program, int priority, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#define say_error(program, ...) say_message(program, LOG_ERR, __VA_ARGS__)
#define say_warning(program, ...) say_message(program, LOG_WARNING, __VA_ARGS__)
#define say_note(program, ...) say_message(program, LOG_INFO, __VA_ARGS__)

/* A complaint that is no more; for complaints_end, with the struct program. */
void say_resolved(const void *program, const char *text, uint64_t lasted_s);

/* The first error that was said, without the program's name; "" if there was none. */
const char *first_error(void);

/*
 * From now on a line that stderr does not take at once (a full pipe, a journal that hangs) is dropped instead of waited
 * for; the next line tells how many were. From then on only one thread may say something.
 */
void say_without_waiting(void);

#endif
