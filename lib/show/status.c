/* SPDX-License-Identifier: MIT */
#include "show/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"
#include "base/uri.h"
#include "host/proc.h"
#include "plan/guard.h"
#include "show/report.h"

#define IN_JSON COLUMN_JSON

static void sum_guests(const struct balance_report *rep, struct status *s)
{
	s->guests = rep->n;
	for (size_t i = 0; i < rep->n; i++) {
		const struct guest *g = &rep->guest[i];
		bool known = g->answered && g->sample.have & SAMPLE_ACTUAL;

		s->maximum_kib = sat_add(s->maximum_kib, g->device.maximum_kib);
		if (known) {
			s->actual_kib = sat_add(s->actual_kib, g->sample.actual_kib);
			s->given_back_kib =
			    sat_add(s->given_back_kib, sat_sub(g->device.maximum_kib, g->sample.actual_kib));
		}
		s->swapping += g->est.distress;
		if (g->est.has_used)
			s->used_kib = sat_add(s->used_kib, g->est.used_kib);
	}
}

void status_read(const struct balance_report *rep, const char *root, const char *uri, const struct registry *registry,
                 struct status *ret_status)
{
	struct status s = {.now_s = clock_ms(CLOCK_REALTIME) / 1000,
	                   .shortage_kib = rep->budget.shortage_kib,
	                   .paused_ms = rep->paused_ms,
	                   .remote = uri_is_remote(uri)};

	sum_guests(rep, &s);
	s.has_pass = registry && pass_heartbeat_read(registry, &s.pass) == 0;
	s.has_totals = registry && registry_load_totals(registry, &s.totals) == 0;
	if (!s.remote)
		s.presence = guard_heartbeat_read(root, uri, s.now_s, &s.guard);
	*ret_status = s;
}

/* ---- the line ---- */

struct line {
	char *text;
	size_t size, used;
};

static void __attribute__((format(printf, 2, 3))) add(struct line *l, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(l->text + l->used, l->size - l->used, format, args);
	va_end(args);
	l->used = n > 0 ? min_u64(l->used + (size_t)n, l->size - 1) : l->used;
}

#define SHORT(kib) text_size_short((char[TEXT_SIZE]){0}, TEXT_SIZE, kib)
#define AGE(age_s) text_age((char[TEXT_AGE]){0}, TEXT_AGE, age_s)

static void add_guests(struct line *l, const struct status *s, bool brief)
{
	if (!s->guests)
		add(l, "no running guests");
	else if (brief)
		add(l, "%zu guest%s: %s of %s", s->guests, s->guests == 1 ? "" : "s", SHORT(s->actual_kib),
		    SHORT(s->maximum_kib));
	else
		add(l, "%zu guest%s: %s maximum, %s now, %s used, %s given back", s->guests, s->guests == 1 ? "" : "s",
		    SHORT(s->maximum_kib), SHORT(s->actual_kib), SHORT(s->used_kib), SHORT(s->given_back_kib));
}

static void add_interval(struct line *l, const struct pass_heartbeat *pass)
{
	char seconds[TEXT_DECIMAL];

	if (!pass->interval_ms)
		add(l, " (single)");
	else if (pass->interval_ms % 1000)
		add(l, " (loop %s s)", text_decimal(seconds, sizeof(seconds), pass->interval_ms / 100, 1));
	else
		add(l, " (loop %s)", AGE(pass->interval_ms / 1000));
}

static void add_pass(struct line *l, const struct status *s)
{
	const char *age = AGE(sat_sub(s->now_s, s->pass.ended_s));

	if (s->paused_ms)
		add(l, "; paused for another %s", AGE((s->paused_ms + 999) / 1000));
	else if (!s->has_pass)
		add(l, "; no pass yet");
	else if (pass_heartbeat_is_overdue(&s->pass, s->now_s))
		add(l, "; NO PASS for %s", age);
	else
		add(l, "; last pass %s ago", age);
	if (s->has_pass && !s->paused_ms)
		add_interval(l, &s->pass);
}

const char *status_guard_word(const struct status *s)
{
	if (s->remote)
		return NULL;
	if (s->presence == GUARD_PRESENT)
		return guard_level_word(s->guard.level);
	return s->presence == GUARD_SILENT ? "silent" : "not running";
}

static void add_guard(struct line *l, const struct status *s, bool brief)
{
	const struct guard_heartbeat *g = &s->guard;

	if (s->remote)
		return;
	add(l, "; guard: %s", status_guard_word(s));
	if (s->presence == GUARD_SILENT)
		add(l, " for %s", AGE(sat_sub(s->now_s, g->written_s)));
	if (s->presence != GUARD_PRESENT || g->level == GUARD_CALM)
		return;
	add(l, " for %s", AGE(sat_sub(s->now_s, g->since_s)));
	if (!brief)
		add(l, ", lacks %s, freed %s", SHORT(g->lack_kib), SHORT(g->freed_kib));
}

char *text_status(char *buffer, size_t size, const struct status *s, bool brief)
{
	struct line l = {.text = buffer, .size = size};

	add_guests(&l, s, brief);
	if (s->shortage_kib)
		add(&l, "; SHORT of %s", SHORT(s->shortage_kib));
	if (s->swapping)
		add(&l, "; %zu SWAPPING", s->swapping);
	add_pass(&l, s);
	add_guard(&l, s, brief);
	return buffer;
}

/* ---- a line for Icinga, Nagios and the like ---- */

enum plugin_state { PLUGIN_OK, PLUGIN_WARNING, PLUGIN_CRITICAL, PLUGIN_UNKNOWN };

int status_plugin(const struct conf *conf, const char *root, const char *root_words)
{
	static const char *const words[] = {"OK", "WARNING", "CRITICAL"};
	struct guard_conf gc = {.hold_ms = GUARD_HOLD_MS};
	struct guard guard = {.level = GUARD_CALM};
	struct guard_heartbeat beat;
	enum guard_presence presence = guard_heartbeat_read(root, conf->uri, clock_ms(CLOCK_REALTIME) / 1000, &beat);
	enum guard_level level;
	struct host host;
	char text[128];
	int r = proc_read(root, &host), state;

	if (r) {
		printf("MEMGUARD UNKNOWN - cannot read '%s/proc/meminfo': %s\n", root_words, strerror(-r));
		return PLUGIN_UNKNOWN;
	}
	gc.reserve_kib = conf_reserve_kib(conf, host_pageable_kib(&host));
	level = guard_step(&gc, &guard, host.available_kib, 0, clock_now().now_ms);
	state = level == GUARD_CRITICAL                             ? PLUGIN_CRITICAL
	        : level == GUARD_TIGHT || presence != GUARD_PRESENT ? PLUGIN_WARNING
	                                                            : PLUGIN_OK;
	printf("MEMGUARD %s - %s%s%s%s%s | available=%lluB;%llu:;%llu:;0;%llu reserve=%lluB\n", words[state],
	       presence == GUARD_ABSENT   ? "no memguard is running: "
	       : presence == GUARD_SILENT ? "memguard hangs: "
	                                  : "",
	       report_available(text, sizeof(text), host.available_kib, gc.reserve_kib), host.doubtful ? ", " : "",
	       host.doubtful ? host.doubtful : "", host.doubtful ? " doubtful" : "",
	       (unsigned long long)host.available_kib * 1024, (unsigned long long)guard_tight_kib(&gc) * 1024,
	       (unsigned long long)guard_critical_kib(&gc) * 1024, (unsigned long long)host.total_kib * 1024,
	       (unsigned long long)gc.reserve_kib * 1024);
	return state;
}

/* Monitoring systems keep standard output alone, and take text after a | for figures. */
int status_plugin_unknown(const char *words)
{
	printf("MEMGUARD UNKNOWN - ");
	for (; *words; words++)
		putchar(*words == '|' ? '/' : *words);
	putchar('\n');
	return PLUGIN_UNKNOWN;
}

/* ---- JSON and metrics ---- */

#define CELL(type, column, expression) COLUMN_CELL(column, const struct type *s, expression)

CELL(status, guests, cell_of(CELL_NUMBER, s->guests))
CELL(status, maximum, cell_of(CELL_KIB, s->maximum_kib))
CELL(status, actual, cell_of(CELL_KIB, s->actual_kib))
CELL(status, used, cell_of(CELL_KIB, s->used_kib))
CELL(status, given_back, cell_of(CELL_KIB, s->given_back_kib))
CELL(status, shortage, cell_of(CELL_KIB, s->shortage_kib))
CELL(status, swapping, cell_of(CELL_NUMBER, s->swapping))
CELL(status, last_pass, cell_if(s->has_pass, CELL_NUMBER, s->pass.ended_s))
CELL(status, interval, cell_if(s->has_pass && s->pass.interval_ms, CELL_MS, s->pass.interval_ms))
CELL(status, overdue, cell_if(s->has_pass, CELL_BOOL, pass_heartbeat_is_overdue(&s->pass, s->now_s) && !s->paused_ms))
CELL(status, guard, cell_text(status_guard_word(s)))

const struct column status_columns[] = {
    {"guests", "", "guests", "running guests", IN_JSON, guests, NULL},
    {"maximum", "", "maximum_bytes", "sizes of the guests with empty balloons", IN_JSON, maximum, NULL},
    {"actual", "", "actual_bytes", "what the balloons leave the guests", IN_JSON, actual, NULL},
    {"used", "", "used_bytes", "what the guests use, as estimated", IN_JSON, used, NULL},
    {"given-back", "", "given_back_bytes", "what the balloons of the guests hold", IN_JSON, given_back, NULL},
    {"shortage", "", "shortage_bytes", "what the host lacks for all needs", IN_JSON, shortage, NULL},
    {"swapping", "", "swapping", "guests that read from swap or fault heavily", IN_JSON, swapping, NULL},
    {"last-pass", "", "last_pass_timestamp_seconds", "when the last pass ended", IN_JSON, last_pass, NULL},
    {"interval", "", "interval_seconds", "interval of the loop that made the last pass", IN_JSON, interval, NULL},
    {"overdue", "", "overdue", "whether the next pass should have been made", IN_JSON, overdue, NULL},
    {"guard", "", "guard", "level of memguard", IN_JSON, guard, NULL},
    {.name = NULL},
};

CELL(guard_heartbeat, since, cell_of(CELL_NUMBER, s->since_s))
CELL(guard_heartbeat, lack, cell_of(CELL_KIB, s->lack_kib))
CELL(guard_heartbeat, freed, cell_of(CELL_KIB, s->freed_kib))
CELL(guard_heartbeat, no_give, cell_of(CELL_BOOL, s->no_give))
CELL(guard_heartbeat, heartbeat, cell_of(CELL_NUMBER, s->written_s))
CELL(guard_heartbeat, began, cell_of(CELL_NUMBER, s->began_s))
CELL(guard_heartbeat, calm, cell_of(CELL_MS, s->level_ms[GUARD_CALM]))
CELL(guard_heartbeat, tight, cell_of(CELL_MS, s->level_ms[GUARD_TIGHT]))
CELL(guard_heartbeat, critical, cell_of(CELL_MS, s->level_ms[GUARD_CRITICAL]))
CELL(guard_heartbeat, freed_total, cell_of(CELL_KIB, s->freed_total_kib))
CELL(guard_heartbeat, refusals, cell_of(CELL_NUMBER, s->refusals))
CELL(guard_heartbeat, commands, cell_of(CELL_NUMBER, s->commands_sent))
CELL(guard_heartbeat, on_critical, cell_of(CELL_NUMBER, s->commands_run))

#define COUNTER (COLUMN_JSON | COLUMN_COUNTER)

const struct column guard_columns[] = {
    {"since", "", "since_timestamp_seconds", "when the guard came to its level", IN_JSON, since, NULL},
    {"lack", "", "lack_bytes", "what must come back to the host", IN_JSON, lack, NULL},
    {"freed", "", "freed_bytes", "what came back in this emergency", IN_JSON, freed, NULL},
    {"no-give", "", "no_give", "whether the guard forbids gives", IN_JSON, no_give, NULL},
    {"heartbeat", "", "heartbeat_timestamp_seconds", "when the guard wrote this", IN_JSON, heartbeat, NULL},
    {"began", "", "start_timestamp_seconds", "when the guard was started", IN_JSON, began, NULL},
    {"calm", "", "calm_seconds_total", "time at this level", COUNTER, calm, NULL},
    {"tight", "", "tight_seconds_total", "time at this level", COUNTER, tight, NULL},
    {"critical", "", "critical_seconds_total", "time at this level", COUNTER, critical, NULL},
    {"freed-total", "", "freed_bytes_total", "what came back to the host", COUNTER, freed_total, NULL},
    {"refusals", "", "refusals_total", "emergencies in which guests did not free enough", COUNTER, refusals, NULL},
    {"commands", "", "commands_total", "balloon commands sent", COUNTER, commands, NULL},
    {"on-critical", "", "on_critical_total", "runs of the administrator's command", COUNTER, on_critical, NULL},
    {.name = NULL},
};

CELL(totals, passes, cell_of(CELL_NUMBER, s->passes))
CELL(totals, passes_failed, cell_of(CELL_NUMBER, s->failed))
CELL(totals, gives, cell_of(CELL_NUMBER, s->moves.gives))
CELL(totals, takes, cell_of(CELL_NUMBER, s->moves.takes))
CELL(totals, given, cell_of(CELL_KIB, s->moves.given_kib))
CELL(totals, taken, cell_of(CELL_KIB, s->moves.taken_kib))

const struct column totals_columns[] = {
    {"passes", "", "passes_total", "passes of membalance", COUNTER, passes, NULL},
    {"failed", "", "passes_failed_total", "passes that failed, as without libvirt", COUNTER, passes_failed, NULL},
    {"gives", "", "gives_total", "balloon commands of passes that gave memory", COUNTER, gives, NULL},
    {"takes", "", "takes_total", "balloon commands of passes that took memory", COUNTER, takes, NULL},
    {"given", "", "given_bytes_total", "memory that passes gave to guests", COUNTER, given, NULL},
    {"taken", "", "taken_bytes_total", "memory that passes took from guests", COUNTER, taken, NULL},
    {.name = NULL},
};
