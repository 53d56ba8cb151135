/* memstat: shows guests and host: who has what, who needs what, and why. Changes nothing. */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "loop.h"
#include "options.h"
#include "report.h"
#include "screen.h"
#include "text.h"
#include "units.h"
#include "watch.h"

#define WORKERS 4
#define WATCH_MS 1000
#define WATCH_LEAST_MS 100 /* a look at 44 guests takes half of it */

static bool human, as_json, explain, watching, show_config, quiet, unused_flag;
static const char *root = "", *file, *watch_time, *count;

static struct option_row rows[] = {
    {'c', "connect", "URI", "libvirt to ask (qemu:///system)", .key = "uri"},
    {0, "human", NULL, "sizes such as 1.5G in place of KiB", .flag = &human},
    {'J', "json", NULL, "one JSON object, sizes in bytes", .flag = &as_json},
    {0, "explain", NULL, "sentences in place of the table: what, why, and what the last pass did", .flag = &explain},
    {'w', "watch", "[=TIME]", "again each TIME (1s); on a terminal as bars", .flag = &watching, .text = &watch_time},
    {0, "count", "N", "with --watch: end after N times", .text = &count},
    {0, "signal", "WORD", "what counts as free: usable or unused", .key = "signal"},
    {0, "target", "SIZE", "headroom each guest should have", .key = "target"},
    {0, "deadline", "TIME", "ends waiting for guests that do not answer", .key = "deadline"},
    {0, "config", "FILE", "read FILE in place of /etc/memsched.conf", .text = &file},
    {0, "show-config", NULL, "print the settings that hold and where they stand", .flag = &show_config},
    {0, "root", "DIR", "use DIR/proc, DIR/run and DIR/etc", .text = &root},
    {'q', "quiet", NULL, "say nothing of guests that did not answer", .flag = &quiet},
    {'h', "help", NULL, "show this help", .flag = &unused_flag},
    {'V', "version", NULL, "show the version", .flag = &unused_flag},
    {.name = NULL},
};

static const struct program memstat = {
    .name = "memstat",
    .synopsis = "[options] [DOMAIN...]",
    .purpose = "Shows the memory of the running guests and of the host. DOMAIN is a name, id or UUID.",
    .rows = rows,
    .takes_operands = true,
};

static bool is_named(const struct guest *g, const char *operand)
{
	char id[32];

	snprintf(id, sizeof(id), "%lld", (long long)g->domain_id);
	return !strcmp(operand, g->name) || !strcmp(operand, id) || !strcasecmp(operand, g->uuid);
}

/* Keeps the guests that are named, all where none is; the rest is freed. */
static void keep_named(void *arg, struct pass_report *rep)
{
	char **operand = arg;
	size_t kept = 0;

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
}

/* ---- what is said: not again while it lasts ---- */

struct talk {
	char *before, *now; /* keys of what held at the last look, and of what holds, each in a line of its own */
};

static bool is_new(struct talk *t, const char *key)
{
	char *line = NULL, *now = NULL;
	bool known = false;

	if (asprintf(&line, "\n%s\n", key) >= 0 && asprintf(&now, "%s%s", t->now ? t->now : "", line) >= 0) {
		known = t->before && strstr(t->before, line);
		free(t->now);
		t->now = now;
	}
	free(line);
	return !known;
}

static void warn(void *arg, const char *key, const char *sentence)
{
	if (is_new(arg, key) && !quiet)
		say_warning(&memstat, "%s", sentence);
}

static void say_missing(struct talk *t, const char *operand)
{
	char *escaped = text_escaped(operand);

	if (is_new(t, escaped ? escaped : "?"))
		say_error(&memstat, "no running domain '%s'", escaped ? escaped : "?");
	free(escaped);
}

static int say_all_missing(struct talk *t, const struct pass_report *rep, char **operand)
{
	int code = EXIT_DONE;

	for (char **o = operand; *o; o++) {
		bool found = false;

		for (size_t i = 0; i < rep->n; i++)
			found |= is_named(&rep->guest[i], *o);
		if (found)
			continue;
		say_missing(t, *o);
		code = EXIT_FAILED;
	}
	return code;
}

/* ---- what is shown ---- */

/* A table in a row of them has its time above it. */
static void show_table(const struct pass_report *rep, uint64_t wall_s)
{
	static bool again;
	time_t wall = (time_t)wall_s;
	char when[64] = "";
	struct tm parts;

	if (watching && localtime_r(&wall, &parts) && strftime(when, sizeof(when), "%F %T", &parts))
		printf("%s%s\n", again ? "\n" : "", when);
	again = true;
	report_table(stdout, rep, human);
}

static int show_report(struct talk *t, const struct look *look, char **operand)
{
	const struct pass_report *rep = &look->report;
	int code = say_all_missing(t, rep, operand);

	if (code && !rep->n)
		return code;
	if (as_json)
		report_stat_json(stdout, rep);
	else if (explain)
		report_explain(stdout, rep, true);
	else
		show_table(rep, look->wall_s);
	report_complain(rep, warn, t);
	return code ? code : rep->failed ? EXIT_PARTLY : EXIT_DONE;
}

static int show(void *arg, const struct look *look)
{
	static struct talk talk;
	int code = exit_code_of(look->error);

	free(talk.before);
	talk = (struct talk){.before = talk.now};
	if (!look->error)
		code = show_report(&talk, look, arg);
	else if (is_new(&talk, "libvirt"))
		say_error(&memstat, "%s", look->failure ? look->failure : strerror(-look->error));
	return code;
}

static int refuse(const char *value, const char *option, const char *form)
{
	char escaped[256];

	say_error(&memstat, "bad value '%s' for '--%s': must be %s",
	          text_escape(escaped, sizeof(escaped), value, text_is_utf8()), option, form);
	return EXIT_USAGE;
}

static int look(const struct conf *conf, char **operand)
{
	struct watch w = {
	    .feed = {.conf = conf, .root = root, .workers = WORKERS, .interval_ms = WATCH_MS},
	    .count = !watching,
	    .keep = keep_named,
	    .show = show,
	    .arg = operand,
	    .nobody = *operand ? "none of the named guests is running" : "no guest is running",
	};

	if (watch_time && (duration_parse(watch_time, &w.feed.interval_ms) || w.feed.interval_ms < WATCH_LEAST_MS))
		return refuse(watch_time, "watch", "a time such as 500ms, 2s or 1m, at least 100ms");
	if (count && (number_parse(count, UINT32_MAX, &w.count) || !w.count))
		return refuse(count, "count", "a number of at least 1");
	if (count && !watching) {
		say_error(&memstat, "'--count' goes with '--watch'; try 'memstat --help'");
		return EXIT_USAGE;
	}
	return watching && !as_json && !explain && screen_is_there() ? watch_bars(&w) : watch_append(&w);
}

int main(int argc, char **argv)
{
	struct conf conf;
	int operand, code;

	setlocale(LC_ALL, "");
	code = options_parse(&memstat, argc, argv, &operand);
	if (!code)
		code = options_conf(&memstat, root, file, &conf);
	if (!code) {
		if (!quiet)
			options_warn(&memstat, &conf);
		loop_catch_signals();
		virt_stop_on(loop_stop());
		code = look(&conf, argv + operand);
	}
	program_end(&memstat, code);
}
