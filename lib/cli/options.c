/* SPDX-License-Identifier: MIT */
#include "cli/options.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "base/uri.h"
#include "host/conffile.h"
#include "host/proc.h"
#include "host/section.h"
#include "cli/output.h"
#include "cli/say.h"

#define MAX_OPTIONS 40

static bool may_lack_arg(const struct option_row *row)
{
	return row->arg && row->arg[0] == '[';
}

static void print_help(const struct program *program)
{
	printf("Usage: %s %s\n%s\n\n", program->name, program->synopsis, program->purpose);
	for (const struct option_row *row = program->rows; row->name; row++) {
		char words[64];

		snprintf(words, sizeof(words), "%c%c%s --%s%s%s", row->letter ? '-' : ' ',
		         row->letter ? row->letter : ' ', row->letter ? "," : " ", row->name,
		         row->arg && !may_lack_arg(row) ? " " : "", row->arg ? row->arg : "");
		printf("  %-28s %s\n", words, row->help);
	}
	if (program->help)
		program->help();
	printf("\nSee %s(8), memsched.conf(5).\n", program->name);
}

static void build_table(const struct option_row *rows, struct option *option, char *letters)
{
	*letters++ = ':';
	for (size_t i = 0; rows[i].name; i++) {
		option[i] = (struct option){.name = rows[i].name,
		                            .has_arg = may_lack_arg(&rows[i]) ? optional_argument
		                                       : rows[i].arg          ? required_argument
		                                                              : no_argument,
		                            .val = 256 + (int)i};
		if (!rows[i].letter)
			continue;
		*letters++ = rows[i].letter;
		if (rows[i].arg)
			*letters++ = ':';
		if (may_lack_arg(&rows[i]))
			*letters++ = ':';
	}
	*letters = '\0';
}

static struct option_row *find_row(struct option_row *rows, int found)
{
	for (size_t i = 0; rows[i].name; i++)
		if (found && (found == 256 + (int)i || found == rows[i].letter))
			return &rows[i];
	return NULL;
}

static int take_option(const struct program *program, struct option_row *row, const char *arg)
{
	if (!strcmp(row->name, "help")) {
		print_help(program);
		program_end(program, EXIT_DONE);
	}
	if (!strcmp(row->name, "version")) {
		printf("%s (memsched) %s\n", program->name, MEMSCHED_VERSION);
		program_end(program, EXIT_DONE);
	}
	if (row->flag)
		*row->flag = true;
	if (row->text)
		*row->text = arg;
	row->value = arg;
	return 0;
}

static int refuse_word(const struct program *program, const char *what, const char *word)
{
	char escaped[256];

	say_error(program, "%s '%s'; try '%s --help'", what,
	          text_escape(escaped, sizeof(escaped), word, text_is_utf8()), program->name);
	return EXIT_USAGE;
}

/* word: "--name" or "--name=value". */
static int refuse_option(const struct program *program, const char *word)
{
	struct text_nearest nearest = {.given = word + strspn(word, "-")};
	char escaped[256], name[64];

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(nearest.given, "="), nearest.given);
	nearest.given = name;
	for (const struct option_row *row = program->rows; row->name && word[1] == '-'; row++)
		text_nearest_try(&nearest, row->name);
	if (!nearest.word)
		return refuse_word(program, "bad option", word);
	say_error(program, "bad option '%s', did you mean '--%s'?",
	          text_escape(escaped, sizeof(escaped), word, text_is_utf8()), nearest.word);
	return EXIT_USAGE;
}

/* An option that getopt_long refuses: unknown, or (lacks_arg) without its argument. */
static int refuse_found(const struct program *program, bool lacks_arg, const char *given)
{
	char letter[3] = {'-', (char)optopt, '\0'};
	const char *word = optopt && optopt < 256 ? letter : given;

	return lacks_arg ? refuse_word(program, "no argument for", word) : refuse_option(program, word);
}

static void set_flag(const struct option_row *row)
{
	if (row && row->flag)
		*row->flag = true;
}

int options_parse(const struct program *program, int argc, char **argv, int *ret_operand)
{
	struct option option[MAX_OPTIONS] = {{0}};
	char letters[3 * MAX_OPTIONS + 2];
	int found, code = 0;

	build_table(program->rows, option, letters);
	opterr = 0;
	while ((found = getopt_long(argc, argv, letters, option, NULL)) != -1) {
		struct option_row *row = find_row(program->rows, found == '?' || found == ':' ? 0 : found);

		if (row && !code)
			take_option(program, row, optarg);
		else
			set_flag(row ? row : found == ':' ? find_row(program->rows, optopt) : NULL);
		if (!row && !code)
			code = refuse_found(program, found == ':', argv[optind - 1]);
	}
	if (!code && optind < argc && !program->takes_operands)
		code = refuse_word(program, "unexpected argument", argv[optind]);
	if (!code)
		*ret_operand = optind;
	return code;
}

static bool is_given(const struct option_row *row)
{
	return row->arg ? row->value != NULL : *row->flag;
}

int options_alone(const struct program *program, const char *name, const char *const *others)
{
	for (const struct option_row *row = program->rows; row->name; row++) {
		const char *const *other = others;

		while (*other && strcmp(*other, row->name) != 0)
			other++;
		if (*other || !strcmp(row->name, name) || !is_given(row))
			continue;
		say_error(program, "'--%s' and '--%s' exclude each other; try '%s --help'", name, row->name,
		          program->name);
		return EXIT_USAGE;
	}
	return 0;
}

/* ---- --show-config ---- */

#define SOURCE_COLUMN 30
#define TEXT_LIMIT 32
#define TEXT_SOURCE 320

static const char *source_of(const struct conf_origin *origin)
{
	return !origin->value ? "default" : origin->where ? origin->where : "option";
}

static void show_value(const char *name, const char *value, const char *unit, const char *source)
{
	int width = printf("%s =%s%s%s", name, *value ? " " : "", value, unit);

	printf("%*s # from %s", width < SOURCE_COLUMN ? SOURCE_COLUMN - width : 0, "", source);
}

static void show_key(const struct conf_key *key, const struct conf_origin *origin)
{
	const char *value = origin->value ? origin->value : key->value;
	bool bare = conf_is_size(key) && *value && !value[strspn(value, "0123456789")];

	show_value(key->name, value, bare ? "KiB" : "", source_of(origin));
}

/* Reads the host that program looks at, if that is sure to be this one. Returns whether it was read. */
static bool read_own_host(const struct program *program, const struct conf *conf, const char *root,
                          struct host *ret_host)
{
	return (program->guards_host || uri_is_own(conf->uri, root)) && proc_read(root, ret_host) == 0;
}

/* The size of an empty or relative reserve, if that is known without asking another host. */
static void show_reserve(const struct program *program, const struct conf *conf, const char *root)
{
	struct host host;

	if (!conf->reserve.kib && read_own_host(program, conf, root, &host))
		printf(": %" PRIu64 "KiB on this host", conf_reserve_kib(conf, host_pageable_kib(&host)));
}

static void show_sections(const struct conf_section *section)
{
	if (!section)
		return;
	show_sections(section->before);
	printf("[guest %s]\n", section->patterns);
	for (size_t i = 0; i < HINT_COUNT; i++)
		if (section->origin[i].value) {
			show_key(&section_keys[i], &section->origin[i]);
			putchar('\n');
		}
}

/* As a configuration file that says the same. */
static void show_conf(const struct program *program, const struct conf *conf, const char *root)
{
	for (size_t i = 0; i < CONF_KEYS; i++) {
		show_key(&conf_keys()[i], &conf->origin[i]);
		if (!strcmp(conf_keys()[i].name, "reserve"))
			show_reserve(program, conf, root);
		putchar('\n');
	}
	show_sections(conf->section);
}

/* In the largest unit that leaves a whole number. */
static const char *exact_size(char text[TEXT_LIMIT], uint64_t kib)
{
	static const char *const units[] = {"KiB", "MiB", "GiB"};
	size_t unit = 0;

	for (; kib && kib % 1024 == 0 && unit < 2; unit++)
		kib /= 1024;
	snprintf(text, TEXT_LIMIT, "%" PRIu64 "%s", kib, units[unit]);
	return text;
}

static const char *general_source(const struct conf *conf, const char *name)
{
	return source_of(&conf->origin[conf_key_find(conf_keys(), name) - conf_keys()]);
}

/* Of a value that metadata or a section gives; NULL: neither does. */
static const char *own_source(const struct conf *conf, const struct guest *g, enum hint hint, bool given)
{
	if (g->hints.configured & 1U << hint)
		return section_of(conf, g->name, hint)->origin[hint].where;
	return given ? "metadata" : NULL;
}

static const char *min_source(const struct conf *conf, const struct guest *g, char text[TEXT_SOURCE])
{
	const char *own = own_source(conf, g, HINT_MIN, g->hints.has_min);
	char maximum[TEXT_SIZE];

	if (own)
		return own;
	snprintf(text, TEXT_SOURCE, "default for its maximum of %s",
	         text_size(maximum, sizeof(maximum), g->device.maximum_kib));
	return text;
}

static const char *max_source(const struct conf *conf, const struct guest *g)
{
	const char *own = own_source(conf, g, HINT_MAX, g->hints.has_max);

	if (own && g->plan.ceil_kib == g->hints.max_kib)
		return own;
	return g->plan.ceil_kib < g->device.maximum_kib ? "its hard limit" : "its maximum";
}

static const char *managed_source(const struct conf *conf, const struct guest *g)
{
	const struct conf_section *section = section_of(conf, g->name, HINT_MANAGED);

	if (conf_excludes(conf, g->name))
		return general_source(conf, "exclude");
	if (g->hints.has_managed)
		return "metadata";
	return section ? section->origin[HINT_MANAGED].where : "default";
}

static void show_limit(enum hint hint, const char *value, const char *source)
{
	show_value(section_keys[hint].name, value, "", source);
	putchar('\n');
}

static void show_size(enum hint hint, uint64_t kib, const char *source)
{
	char value[TEXT_LIMIT];

	show_limit(hint, exact_size(value, kib), source);
}

void options_show_limits(const struct conf *conf, const struct guest *g)
{
	const char *weight = own_source(conf, g, HINT_WEIGHT, g->hints.has_weight);
	const char *target = own_source(conf, g, HINT_TARGET, g->hints.has_target);
	bool managed = !g->excluded && !g->hints.opted_out;
	char text[TEXT_SOURCE], number[TEXT_DECIMAL];

	printf("[guest %s]\n", text_escape(text, sizeof(text), g->name, text_is_utf8()));
	show_size(HINT_MIN, g->plan.floor_kib, min_source(conf, g, text));
	show_size(HINT_MAX, g->plan.ceil_kib, max_source(conf, g));
	show_limit(HINT_WEIGHT, text_decimal(number, sizeof(number), weight_of(g), 0), weight ? weight : "default");
	show_size(HINT_TARGET, g->target_kib, target ? target : general_source(conf, "target"));
	show_limit(HINT_MANAGED, managed ? "yes" : "no", managed_source(conf, g));
}

/* ---- the configuration ---- */

static void say_conf(void *arg, const char *sentence)
{
	const struct program *program = arg;

	if (program->complain)
		program->complain(sentence);
	else
		say_error(program, "%s", sentence);
}

/* Returns -errno. */
static int override_keys(const struct program *program, struct conf *conf)
{
	char escaped[256];

	for (const struct option_row *row = program->rows; row->name; row++) {
		int r = row->key && row->value ? conf_set(conf, row->key, row->value) : 0;

		if (r == -ENOMEM)
			say_error(program, "%s", strerror(-r));
		else if (r)
			say_error(program, "bad value '%s' for '--%s': must be %s",
			          text_escape(escaped, sizeof(escaped), row->value, text_is_utf8()), row->name,
			          conf_form(row->key));
		if (r)
			return r;
	}
	return 0;
}

void options_warn(const struct program *program, const struct conf *conf)
{
	for (size_t i = 0; i < conf->n_warnings; i++)
		say_warning(program, "%s", conf->warning[i]);
}

static bool is_asked(const struct program *program, const char *name)
{
	const struct option_row *row = program->rows;

	while (row->name && strcmp(row->name, name) != 0)
		row++;
	return row->name && *row->flag;
}

/* A size may be valid and still not fit the host. For guests of other URIs each pass checks that. Returns -errno. */
static int check_conf(const struct program *program, const char *root, struct conf *conf)
{
	struct host host;
	bool known = read_own_host(program, conf, root, &host);

	return conf_check(conf, known ? host_checkable_kib(&host) : CONF_HOST_UNKNOWN, say_conf,
	                  (void *)(uintptr_t)program);
}

/* EXIT_USAGE is for faults that the administrator must correct: a service is not restarted after it. */
static int code_of_conf(int error)
{
	static const int lasting[] = {EINVAL, ERANGE, EFBIG, EMEDIUMTYPE, ENOENT,
	                              EACCES, EPERM,  ELOOP, ENOTDIR,     ENAMETOOLONG};

	for (size_t i = 0; i < sizeof(lasting) / sizeof(*lasting); i++)
		if (error == -lasting[i])
			return EXIT_USAGE;
	return exit_code_of(error);
}

/*
 * A try writes no records of the host, and runs no command for it, unless an option says so: in place of what files
 * say, the default holds, which is empty. Returns -errno.
 */
static int spare_host(const struct program *program, const char *root, struct conf *conf)
{
	static const char *const keys[] = {"log", "textfile", "on_critical"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys) && uri_is_test(conf->uri, root); i++) {
		struct conf_origin *origin = &conf->origin[conf_key_find(conf_keys(), keys[i]) - conf_keys()];
		int r;

		if (!origin->where)
			continue;
		r = conf_set(conf, keys[i], "");
		if (r) {
			say_error(program, "%s", strerror(-r));
			return r;
		}
		conf_origin_clear(origin);
	}
	return 0;
}

int options_conf(const struct program *program, const char *root, const char *file, struct conf *ret_conf)
{
	struct conf conf = {0};
	int r = conf_init(&conf);

	if (r)
		say_error(program, "%s", strerror(-r));
	if (!r)
		r = conf_load(&conf, root, file, say_conf, (void *)(uintptr_t)program);
	if (!r)
		r = override_keys(program, &conf);
	if (!r)
		r = check_conf(program, root, &conf);
	if (!r)
		r = spare_host(program, root, &conf);
	if (r) {
		conf_clear(&conf);
		return code_of_conf(r);
	}
	if (is_asked(program, "show-config")) {
		options_warn(program, &conf);
		show_conf(program, &conf, root);
		program_end(program, EXIT_DONE);
	}
	*ret_conf = conf;
	return 0;
}

bool options_reload(const struct program *program, const char *root, const char *file,
                    bool (*suits)(void *arg, struct conf *fresh), void *arg, struct conf *conf)
{
	struct conf fresh = {.n_warnings = 0};

	if (options_conf(program, root, file, &fresh) || (suits && !suits(arg, &fresh))) {
		conf_clear(&fresh);
		say_error(program, "the configuration stays as it was");
		return false;
	}
	conf_clear(conf);
	*conf = fresh;
	return true;
}

int exit_code_of(int error)
{
	switch (error) {
	case 0:
		return EXIT_DONE;
	case -EACCES:
	case -EPERM:
		return EXIT_DENIED;
	case -EINVAL:
	case -ERANGE:
		return EXIT_USAGE;
	case -ENOTCONN:
	case -ETIMEDOUT:
	case -EINTR:
	case -EWOULDBLOCK:
		return EXIT_AGAIN;
	default:
		return EXIT_FAILED;
	}
}

void program_begin(void)
{
	if (fd_fill_standard())
		_exit(EXIT_FAILED);
	setlocale(LC_ALL, "");
	signal(SIGXFSZ, SIG_IGN);
}

/* Not through stdio's lock of stderr: a library may hold it, and wait for a reader. */
void program_end(const struct program *program, int code)
{
	int r;

	say_kept();
	r = output_end();
	if (r) {
		say_error(program, "cannot write: %s", strerror(-r));
		code = code ? code : EXIT_FAILED;
	}
	_exit(code);
}
