/* SPDX-License-Identifier: MIT */
/* memstat: shows the memory of guests and host, the need of each guest, and why. Changes nothing. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"
#include "base/units.h"
#include "host/complaints.h"
#include "run/loop.h"
#include "show/doctor.h"
#include "show/metrics.h"
#include "show/report.h"
#include "cli/candidate.h"
#include "cli/options.h"
#include "cli/past.h"
#include "cli/say.h"
#include "cli/terminal.h"
#include "cli/watch.h"

#define WORKERS 4
#define WATCH_MS 1000
#define WATCH_LEAST_MS 100 /* a look at 44 guests takes half of it */

static bool chosen, all_columns, no_headings, raw, pairs, as_json, bytes, human, explain, metrics;
static bool sorted, watching, check, fit, show_config, limits, quiet, unused_flag;
static const char *root = "", *file, *list, *sort, *metrics_file, *watch_time, *count, *asked_guest;
static bool history, drawing, advising, given_since, given_at;
static const char *since, *svg, *at;

static struct option_row rows[] = {
    {'c', "connect", "URI", "libvirt to ask (qemu:///system)", .key = "uri"},
    {'o', "output", "LIST", "show these columns; +LIST: beside the default ones", .flag = &chosen, .text = &list},
    {0, "output-all", NULL, "show all columns", .flag = &all_columns},
    {0, "sort", "COLUMN", "sort by this column; -COLUMN: the largest first", .flag = &sorted, .text = &sort},
    {'n', "noheadings", NULL, "leave out headings, totals, the host's table and the first line", .flag = &no_headings},
    {'r', "raw", NULL, "guests alone, with one blank between columns", .flag = &raw},
    {'P', "pairs", NULL, "print NAME=\"value\" for each column", .flag = &pairs},
    {'J', "json", NULL, "print one JSON object, sizes in bytes", .flag = &as_json},
    {'b', "bytes", NULL, "sizes in bytes in place of KiB", .flag = &bytes},
    {'H', "human", NULL, "sizes such as 1.5G in place of KiB", .flag = &human},
    {0, "prometheus", "[=FILE]", "print metrics for Prometheus, or replace FILE by them", .flag = &metrics,
     .text = &metrics_file},
    {0, "explain", NULL, "print sentences: what a pass would do now and why, and what the last pass did",
     .flag = &explain},
    {0, "history", NULL, "show the recorded history of guests and host", .flag = &history},
    {0, "since", "TIME", "with --history and --svg: from so long ago, such as 2h or 30d (24h)", .flag = &given_since,
     .text = &since},
    {0, "svg", "FILE", "draw the history of one guest, or of the host, into FILE", .flag = &drawing, .text = &svg},
    {0, "advise", NULL, "suggest min, max and weight from the history; with -P also the commands that set them",
     .flag = &advising},
    {0, "at", "TIME", "with --explain: what passes recorded and decided then, such as 03:00", .flag = &given_at,
     .text = &at},
    {'w', "watch", "[=TIME]", "look again each TIME (1s); on a terminal as bars", .flag = &watching,
     .text = &watch_time},
    {0, "count", "N", "with --watch: end after N looks", .text = &count},
    {0, "check", NULL, "check whether all is set up right: a line for each check; exit code 0, 1 or 2", .flag = &check},
    {0, "fit", "GUEST", "tell whether a guest can start now: a size, FILE.xml or a domain; exit code 0, 1 or 2",
     .flag = &fit, .text = &asked_guest},
    {0, "take", "WORD", "take idle memory always (idle), or if other guests need it (needed)", .key = "take"},
    {0, "target", "SIZE", "headroom each guest should have", .key = "target"},
    {0, "deadline", "TIME", "end a look after this time even if guests have not answered", .key = "deadline"},
    {0, "config", "FILE", "read FILE in place of /etc/memsched.conf", .text = &file},
    {0, "show-config", NULL, "print the effective settings, or those of DOMAIN, and where each comes from",
     .flag = &show_config},
    {0, "root", "DIR", "use DIR/proc, DIR/run, DIR/etc and DIR/var", .text = &root},
    {'q', "quiet", NULL, "no warnings, only errors", .flag = &quiet},
    {'h', "help", NULL, "show this help", .flag = &unused_flag},
    {'V', "version", NULL, "show the version", .flag = &unused_flag},
    {.name = NULL},
};

static void print_columns(void)
{
	printf("\nColumns for --output and --sort; * is shown by default:\n");
	for (const struct column *c = guest_columns; c->name; c++)
		printf("  %-13s %c %s\n", c->name, c->sets & COLUMN_TABLE ? '*' : ' ', c->help);
}

static struct complaints complaints;

static const struct program memstat = {
    .name = "memstat",
    .synopsis = "[options] [DOMAIN...]",
    .purpose = "Shows the memory of the running guests and of the host. DOMAIN is a name, id or UUID.",
    .rows = rows,
    .quiet = &quiet,
    .complaints = &complaints,
    .takes_operands = true,
    .help = print_columns,
};

/* ---- options ---- */

static struct column *columns;       /* of the guests, that are shown */
static const struct column *sort_by; /* NULL: they are as they come, by name */

/* At most one of each row: an option that would have no effect beside another is refused. */
static const bool *const exclusive[][6] = {
    {&raw, &pairs, &as_json, &metrics, &explain},
    {&chosen, &all_columns, &metrics, &explain, &check},
    {&bytes, &human, &as_json, &metrics, &explain},
    {&no_headings, &metrics, &explain, &check},
    {&sorted, &metrics, &check},
    {&raw, &check},
    {&pairs, &check},
    {&bytes, &check},
    {&human, &check},
    {&explain, &check},
    {&metrics, &check},
    {&watching, &check},
    {&history, &drawing, &advising, &fit, &metrics},
    {&history, &drawing, &advising, &fit, &explain},
    {&history, &drawing, &advising, &fit, &check},
    {&history, &drawing, &advising, &fit, &watching},
    {&history, &advising, &fit, &chosen, &all_columns},
    {&history, &advising, &fit, &sorted},
    {&show_config, &fit},
    {&drawing, &raw, &pairs, &as_json},
    {&given_at, &given_since, &watching},
};

static const char *option_of(const bool *flag)
{
	const struct option_row *row = rows;

	while (row->flag != flag)
		row++;
	return row->name;
}

static int refuse_exclusive(const bool *const *flags)
{
	const bool *first = NULL;

	for (; *flags; flags++) {
		if (first && **flags) {
			say_error(&memstat, "'--%s' and '--%s' exclude each other; try 'memstat --help'",
			          option_of(first), option_of(*flags));
			return EXIT_USAGE;
		}
		if (**flags)
			first = *flags;
	}
	return EXIT_DONE;
}

static int refuse_column(int error, const char *name, const char *option)
{
	struct text_nearest nearest = {.given = name};
	char escaped[256];

	text_escape(escaped, sizeof(escaped), name, text_is_utf8());
	for (const struct column *c = guest_columns; c->name; c++)
		text_nearest_try(&nearest, c->name);
	if (error == -ENOENT && nearest.word)
		say_error(&memstat, "unknown column '%s' for '--%s', did you mean '%s'?", escaped, option,
		          nearest.word);
	else if (error == -ENOENT)
		say_error(&memstat, "unknown column '%s' for '--%s'; try 'memstat --help'", escaped, option);
	else if (error == -EEXIST)
		say_error(&memstat, "column '%s' is named twice", escaped);
	else if (error == -EINVAL)
		say_error(&memstat, "'--%s' needs names of columns, with commas between; try 'memstat --help'", option);
	else
		say_error(&memstat, "%s", strerror(-error));
	return error == -ENOMEM ? EXIT_FAILED : EXIT_USAGE;
}

static int choose_columns(void)
{
	enum column_set set = all_columns ? COLUMN_ALL : as_json ? COLUMN_JSON : COLUMN_TABLE;
	char *name = NULL;
	int r = column_choose(guest_columns, set, list, &columns, &name);

	r = r ? refuse_column(r, name ? name : "", "output") : EXIT_DONE;
	free(name);
	return r;
}

static int choose_order(void)
{
	const char *name = sort ? sort + (*sort == '-') : NULL;

	sort_by = name ? column_find(guest_columns, name) : NULL;
	if (name && !sort_by)
		return refuse_column(*name ? -ENOENT : -EINVAL, name, "sort");
	return EXIT_DONE;
}

/* Checks the options against the chosen output. Returns an exit code. */
static int choose_output(void)
{
	int code = EXIT_DONE;

	for (size_t i = 0; !code && i < sizeof(exclusive) / sizeof(*exclusive); i++)
		code = refuse_exclusive(exclusive[i]);
	if (!code && metrics_file && !*metrics_file) {
		say_error(&memstat, "'--prometheus=' needs the name of a file");
		code = EXIT_USAGE;
	}
	if (!code && fit && !raw && !pairs && (bytes || human || no_headings)) {
		say_error(&memstat, "with '--fit', '--%s' needs '--raw' or '--pairs'; try 'memstat --help'",
		          option_of(bytes   ? &bytes
		                    : human ? &human
		                            : &no_headings));
		code = EXIT_USAGE;
	}
	if (!code)
		code = choose_columns();
	return code ? code : choose_order();
}

/* Bars have columns of their own. */
static bool wants_text(void)
{
	return chosen || all_columns || no_headings || raw || pairs || as_json || bytes || explain || metrics;
}

/* ---- selection of guests ---- */

static bool is_named(const struct guest *g, const char *operand)
{
	char id[32];

	snprintf(id, sizeof(id), "%lld", (long long)g->domain_id);
	return !strcmp(operand, g->name) || !strcmp(operand, id) || text_same(operand, g->uuid);
}

#define MEANT_TEXT 128

static char (
    *meant)[MEANT_TEXT]; /* for each operand the name nearest to it, safe to print; "": none; NULL: no memory */

/* While all guests are there. */
static void note_meant(const struct balance_report *rep, char **operand)
{
	for (size_t i = 0; meant && operand[i]; i++) {
		struct text_nearest nearest = {.given = operand[i]};

		for (size_t k = 0; k < rep->n; k++)
			text_nearest_try(&nearest, rep->guest[k].name);
		text_escape(meant[i], MEANT_TEXT, nearest.word ? nearest.word : "", text_is_utf8());
	}
}

/* Keeps the named guests, or all if none is named; the rest is freed. */
static void keep_named(void *arg, struct balance_report *rep)
{
	char **operand = arg;
	size_t kept = 0;

	note_meant(rep, operand);
	for (size_t i = 0; i < rep->n; i++) {
		struct guest g = rep->guest[i];
		bool wanted = !*operand;

		for (char **o = operand; *o; o++)
			wanted |= is_named(&g, *o);
		if (wanted)
			rep->guest[kept++] = g;
		else
			guest_clear(&g);
	}
	rep->n = kept;
	if (sort_by)
		column_sort(sort_by, *sort == '-', &guest_columns[0], rep->guest, rep->n, sizeof(*rep->guest));
}

static void keep_all(void *arg, struct balance_report *rep)
{
	(void)arg, (void)rep;
}

/* ---- messages ---- */

static void say_missing(const char *operand, const char *near)
{
	char escaped[256];

	text_escape(escaped, sizeof(escaped), operand, text_is_utf8());
	say_complaint(&memstat, LOG_ERR, operand, "no running domain '%s'%s%s%s", escaped,
	              *near ? ", did you mean '" : "", near, *near ? "'?" : "");
}

static int say_all_missing(const struct balance_report *rep, char **operand)
{
	int code = EXIT_DONE;

	for (char **o = operand; *o; o++) {
		bool found = false;

		for (size_t i = 0; i < rep->n; i++)
			found |= is_named(&rep->guest[i], *o);
		if (found)
			continue;
		say_missing(*o, meant ? meant[o - operand] : "");
		code = EXIT_FAILED;
	}
	return code;
}

/* ---- output ---- */

static struct table_style style_of_table(void)
{
	return (struct table_style){
	    .form = raw     ? TABLE_RAW
	            : pairs ? TABLE_PAIRS
	                    : TABLE_ALIGNED,
	    .unit = bytes   ? TABLE_BYTES
	            : human ? TABLE_HUMAN
	                    : TABLE_KIB,
	    .no_headings = no_headings,
	};
}

/* A table in a row of them has its time above it. */
static int show_table(const struct look *look)
{
	const struct table_style style = style_of_table();
	static bool again;
	time_t wall = (time_t)look->wall_s;
	char when[64] = "", line[TEXT_STATUS];
	struct tm parts;

	if (watching && style.form == TABLE_ALIGNED && !no_headings && localtime_r(&wall, &parts) &&
	    strftime(when, sizeof(when), "%F %T", &parts))
		printf("%s%s\n", again ? "\n" : "", when);
	again = true;
	if (style.form == TABLE_ALIGNED && !no_headings)
		printf("%s\n\n", text_status(line, sizeof(line), &look->status, false));
	return report_table(stdout, &look->report, columns, &style);
}

static int show_all(const struct look *look)
{
	const struct balance_report *rep = &look->report;
	const struct status *status = &look->status;

	if (metrics)
		return metrics_file ? metrics_publish(metrics_file, rep, status, NULL)
		                    : metrics_write(stdout, rep, status, NULL);
	if (as_json)
		report_stat_json(stdout, rep, status, columns);
	else if (explain)
		report_explain(stdout, rep, true);
	else
		return show_table(look);
	return 0;
}

static int say_unshown(int error)
{
	char escaped[256];

	if (metrics_file)
		say_error(&memstat, "cannot write '%s': %s",
		          text_escape(escaped, sizeof(escaped), metrics_file, text_is_utf8()), file_words(error));
	else
		say_error(&memstat, "cannot print the whole result: %s", strerror(-error));
	return EXIT_FAILED;
}

static int show_report(const struct look *look, char **operand)
{
	const struct balance_report *rep = &look->report;
	int code = say_all_missing(rep, operand), r;

	if (code && !rep->n && !as_json && !metrics) { /* a program that parses it gets the host, and no domains */
		complaints_keep_all(&complaints);
		return code;
	}
	r = show_all(look);
	if (r)
		code = say_unshown(r);
	report_complain(rep, say_complaint_as, (void *)&memstat);
	return code ? code : rep->failed ? EXIT_PARTLY : EXIT_DONE;
}

static int show_look(void *arg, const struct look *look)
{
	int code = exit_code_of(look->error);

	if (!look->error) {
		code = show_report(look, arg);
	} else { /* nothing is known of the guests */
		say_complaint(&memstat, LOG_ERR, "libvirt", "%s",
		              look->failure ? look->failure : strerror(-look->error));
		complaints_keep_all(&complaints);
	}
	say_resolved(&memstat);
	return code;
}

/* ---- --show-config DOMAIN ---- */

struct limits_asked {
	const struct conf *conf;
	char **operand;
};

static int show_limits(void *arg, const struct look *look)
{
	const struct limits_asked *asked = arg;

	if (look->error)
		return show_look(NULL, look);
	for (size_t i = 0; i < look->report.n; i++)
		options_show_limits(asked->conf, &look->report.guest[i]);
	report_complain(&look->report, say_complaint_as, (void *)&memstat);
	return say_all_missing(&look->report, asked->operand);
}

static void keep_asked(void *arg, struct balance_report *rep)
{
	keep_named(((struct limits_asked *)arg)->operand, rep);
}

/* ---- --check ---- */

/* Returns an exit code of monitoring plugins: 0, 1 for a warning, 2 for a failure. */
static int show_check(void *arg, const struct look *look)
{
	const struct conf *conf = arg;
	bool known = !look->error;
	struct setup setup;

	if (look->error == -ERANGE) { /* a wrong configuration, as any other */
		show_look(NULL, look);
		return EXIT_UNANSWERED;
	}
	setup_read(root, conf, &setup);
	return (int)doctor_report(stdout,
	                          &(struct examination){.conf = conf,
	                                                .setup = &setup,
	                                                .report = known ? &look->report : NULL,
	                                                .failure = look->failure,
	                                                .status = known ? &look->status : NULL,
	                                                .now = clock_now()},
	                          as_json);
}

static int refuse_value(const char *value, const char *option, const char *form)
{
	char escaped[256];

	say_error(&memstat, "bad value '%s' for '--%s': must be %s",
	          text_escape(escaped, sizeof(escaped), value, text_is_utf8()), option, form);
	return EXIT_USAGE;
}

static int answer_fit(const struct watch *w)
{
	const struct table_style style = style_of_table();

	return candidate_answer(&memstat, asked_guest, as_json, raw || pairs ? &style : NULL, w);
}

static int show_present(const struct conf *conf, char **operand)
{
	struct limits_asked asked = {conf, operand};
	int code;
	struct watch w = {
	    .conf = conf,
	    .root = root,
	    .workers = WORKERS,
	    .interval_ms = WATCH_MS,
	    .count = !watching,
	    .keep = keep_named,
	    .show = show_look,
	    .arg = operand,
	    .given = sort,
	    .no_guest = *operand ? "none of the named guests is running" : "no guest is running",
	};

	if (watch_time && (duration_parse(watch_time, &w.interval_ms) || w.interval_ms < WATCH_LEAST_MS))
		return refuse_value(watch_time, "watch", "a time such as 500ms, 2s or 1m, at least 100ms");
	if (count && (number_parse(count, UINT32_MAX, &w.count) || !w.count))
		return refuse_value(count, "count", "a number of at least 1");
	if (count && !watching) {
		say_error(&memstat, "'--count' needs '--watch'; try 'memstat --help'");
		return EXIT_USAGE;
	}
	if (watching && !wants_text() && terminal_is_there())
		return watch_bars(&w);
	if (check) {
		w.show = show_check;
		w.arg = (void *)(uintptr_t)conf;
		w.keep = keep_all;
	}
	if (limits) {
		w.show = show_limits;
		w.arg = &asked;
		w.keep = keep_asked;
	}
	code = fit ? answer_fit(&w) : watch_append(&w);
	if (code == EXIT_AGAIN && *loop_stop())
		say_error(&memstat, "stopped by a signal before there was anything to show");
	return code;
}

/* ---- history ---- */

static bool wants_past(void)
{
	return history || drawing || advising || given_at;
}

static int show_past(const struct conf *conf, char **operand)
{
	const struct table_style style = style_of_table();
	const struct past_asked asked = {.since = since,
	                                 .svg = svg,
	                                 .at = at,
	                                 .advise = advising,
	                                 .json = as_json,
	                                 .style = &style,
	                                 .operand = operand};

	return past_show(&memstat, conf, root, &asked);
}

/* Options that have no effect without another. */
static int refuse_alone(void)
{
	const char *alone = given_since && !history && !drawing ? "'--since' needs '--history' or '--svg'"
	                    : given_at && !explain              ? "'--at' needs '--explain'"
	                                                        : NULL;

	if (alone)
		say_error(&memstat, "%s; try 'memstat --help'", alone);
	return alone ? EXIT_USAGE : EXIT_DONE;
}

static int refuse_operand(const char *operand)
{
	if (!(check || fit) || !operand)
		return EXIT_DONE;
	say_error(&memstat, "'--%s' looks at all guests, and takes no %sname; try 'memstat --help'",
	          check ? "check" : "fit", fit ? "second " : "");
	return EXIT_USAGE;
}

/* "-w 5" means a time, as in other tools, and not the guest with that id. */
static int refuse_stray_time(const char *operand)
{
	uint32_t ms;

	if (!watching || watch_time || !operand || duration_parse(operand, &ms))
		return EXIT_DONE;
	say_error(&memstat, "'%s' is taken as a domain; write the time as '-w%s'", operand, operand);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	struct conf conf;
	int operand, code;

	program_begin();
	code = options_parse(&memstat, argc, argv, &operand);
	if (!code)
		code = choose_output();
	if (!code && show_config && argv[operand]) {
		limits = true;
		show_config = false;
	}
	if (!code)
		code = refuse_alone();
	if (!code)
		code = refuse_stray_time(argv[operand]);
	if (!code)
		code = refuse_operand(argv[operand]);
	if (!code)
		code = options_conf(&memstat, root, file, &conf);
	if (code && (check || fit))
		code = EXIT_UNANSWERED;
	if (!code) {
		if (!check) /* which has a line for it */
			options_warn(&memstat, &conf);
		loop_catch_signals();
		virt_stop_on(loop_stop());
		meant = calloc((size_t)(argc - operand) + 1, sizeof(*meant));
		code = wants_past() ? show_past(&conf, argv + operand) : show_present(&conf, argv + operand);
	}
	program_end(&memstat, code);
}
