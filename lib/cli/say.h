/*
 * Messages on stderr, each a line of its own. Outside bin/ and cli/ nothing speaks to the user.
 */
#ifndef MEMSCHED_CLI_SAY_H
#define MEMSCHED_CLI_SAY_H

struct program;

/* "membalance: error: …", "membalance: warning: …" and "membalance: …" on stderr, each in one write, cut to 4 KiB.
 * Outside strings have to be escaped before. */
void say_error(const struct program *program, const char *format, ...) __attribute__((format(printf, 2, 3)));
void say_warning(const struct program *program, const char *format, ...) __attribute__((format(printf, 2, 3)));
void say_note(const struct program *program, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The first error that was said, without the program's name; "" where there was none. */
const char *first_error(void);

/*
 * From now on a line that stderr does not take at once (a full pipe, a journal that hangs) is dropped instead of waited
 * for; how many were is said with the next. From then on only one thread may say something.
 */
void say_without_waiting(void);

#endif
