/* memstat: shows guests and host: who has what, who needs what, and why. Changes nothing. */
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "loop.h"
#include "options.h"
#include "pass.h"
#include "report.h"
#include "text.h"

#define WORKERS 4

static bool human, as_json, explain, show_config, quiet, unused_flag;
static const char *root = "", *file;

static struct option_row rows[] = {
    {'c', "connect", "URI", "libvirt to ask (qemu:///system)", .key = "uri"},
    {0, "human", NULL, "sizes such as 1.5G in place of KiB", .flag = &human},
    {'J', "json", NULL, "one JSON object, sizes in bytes", .flag = &as_json},
    {0, "explain", NULL, "sentences in place of the table: what, why, and what the last pass did", .flag = &explain},
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

/* Keeps the guests that are named, all where none is; the rest is freed. Returns an exit code. */
static int keep_named(struct pass_report *rep, char **operand)
{
	size_t kept = 0;
	int code = EXIT_DONE;

	for (char **o = operand; *o; o++) {
		char escaped[256];
		bool found = false;

		for (size_t i = 0; i < rep->n; i++)
			found |= is_named(&rep->guest[i], *o);
		if (found)
			continue;
		say_error(&memstat, "no running domain '%s'",
		          text_escape(escaped, sizeof(escaped), *o, text_is_utf8()));
		code = EXIT_FAILED;
	}
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
	return code;
}

static void warn(void *arg, const char *key, const char *sentence)
{
	(void)arg;
	(void)key;
	if (!quiet)
		say_warning(&memstat, "%s", sentence);
}

static int show(struct pass_report *rep, char **operand)
{
	int code = keep_named(rep, operand);

	if (code && !rep->n)
		return code;
	if (as_json)
		report_stat_json(stdout, rep);
	else if (explain)
		report_explain(stdout, rep, true);
	else
		report_table(stdout, rep, human);
	report_complain(rep, warn, NULL);
	return code ? code : rep->failed ? EXIT_PARTLY : EXIT_DONE;
}

static int look(const struct conf *conf, char **operand)
{
	const struct pass_conf pc = {
	    .conf = conf, .root = root, .end_ms = clock_ms(CLOCK_BOOTTIME) + conf->deadline_ms, .stop = loop_stop()};
	struct pass_report rep;
	struct registry *registry = NULL;
	struct virt *virt = NULL;
	int r;

	registry_open_uri(root, conf->uri, false,
	                  &registry); /* without it nothing is remembered, which is no reason not to show */
	r = virt_open(conf->uri, true, WORKERS, pc.end_ms, &virt);
	if (!r)
		r = pass_look(&pc, virt, registry, &rep);
	if (r) {
		char *sentence = report_failure(r, conf->uri, root, virt_words(virt));

		say_error(&memstat, "%s", sentence ? sentence : strerror(-r));
		return exit_code_of(r);
	}
	if (registry)
		rep.pause_unreadable = registry_paused(registry, clock_ms(CLOCK_BOOTTIME), &rep.paused_ms) < 0;
	return show(&rep, operand);
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
