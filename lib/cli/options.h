/* SPDX-License-Identifier: MIT */
/*
 * The command line of all commands: one table of options drives parsing, --help and the override of configuration keys.
 * --show-config, exit codes, and the end of the process.
 */
#ifndef MEMSCHED_CLI_OPTIONS_H
#define MEMSCHED_CLI_OPTIONS_H

#include <stdbool.h>

#include "host/conf.h"

enum exit_code { /* EXIT STATUS in membalance(8) */
	         EXIT_DONE = 0,
	         EXIT_FAILED = 1,
	         EXIT_USAGE = 2,
	         EXIT_PARTLY = 3,
	         EXIT_UNANSWERED = 3, /* if the code is an answer, as of memstat --check and --fit: there is none */
	         EXIT_DENIED = 4,
	         EXIT_AGAIN = 75,
};

/*
 * An option; the table is ended by a NULL name. flag, text and key are its destinations; each that is set gets it.
 * An argument that may be left out is written as "[=FILE]": --name, --name=FILE, -nFILE and -n alone are good, and
 * "--name FILE" is the option alone and an operand.
 */
struct option_row {
	char letter; /* 0: none */
	const char *name;
	const char *arg;   /* the name of its argument, NULL: it takes none */
	const char *help;  /* one line */
	bool *flag;        /* set to true */
	const char **text; /* set to the argument, NULL if it was left out */
	const char *key;   /* configuration key that it overrides; value, or the argument, is kept for options_conf */
	const char *value; /* the argument as given; NULL: none was */
};

struct program {
	const char *name;     /* "membalance" */
	const char *synopsis; /* "[options] [DOMAIN…]" */
	const char *purpose;  /* one sentence */
	struct option_row *rows;
	const bool *quiet; /* no warnings and no notices; NULL: never */
	struct complaints *complaints;
	bool takes_operands;
	bool guards_host;                       /* it reads the host that it runs on, whatever the URI */
	void (*help)(void);                     /* prints more at the end of --help; NULL: there is no more */
	void (*complain)(const char *sentence); /* gets faults of configuration files; NULL: they are printed at once */
};

/*
 * The start of each command: closed standard descriptors, the locale, and SIGXFSZ, without which a file that grows
 * too large is an error like any other. Ends the process if it fails.
 */
void program_begin(void);

/*
 * Parses argv by the table; --help and --version print to stdout and exit. Returns 0 and the index of the first operand
 * in *ret_operand, or EXIT_USAGE after one line that names the wrong word. Flags are set also after an error, of
 * options behind it, too: some of them have exit codes of their own.
 */
int options_parse(const struct program *program, int argc, char **argv, int *ret_operand);

/*
 * Returns EXIT_USAGE after a message if an option was given beside the one called name that is not one of others
 * (names, ended by NULL), else 0.
 */
int options_alone(const struct program *program, const char *name, const char *const *others);

/*
 * The configuration: defaults, then file (or the files below root), then the options that are keys. Returns 0 or an
 * exit code after a message; a value that is only odd is left in conf->warning. The caller must clear conf on success.
 * If the row "show-config" has its flag set, the configuration is printed, and the process ends.
 */
int options_conf(const struct program *program, const char *root, const char *file, struct conf *ret_conf);

/* The limits of a guest and the origin of each, as a section of memsched.conf. g must have been planned. */
void options_show_limits(const struct conf *conf, const struct guest *g);

/*
 * Reads it all again. Valid settings replace *conf, if suits (NULL: anything does) has no objection; what
 * it objects to, it has said. Else that is said, and *conf stays as it is. Returns whether it changed.
 */
bool options_reload(const struct program *program, const char *root, const char *file,
                    bool (*suits)(void *arg, struct conf *fresh), void *arg, struct conf *conf);

/* Says the warnings of the configuration at once. */
void options_warn(const struct program *program, const struct conf *conf);

/* The exit code for a -errno of the library. */
int exit_code_of(int error);

/*
 * Flushes stdout and ends the process at once, without waiting for workers. If the last print is lost, a message
 * says so, and the code is EXIT_FAILED instead of EXIT_DONE.
 */
_Noreturn void program_end(const struct program *program, int code);

#endif
