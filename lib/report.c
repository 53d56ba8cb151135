#include "report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "explain.h"
#include "table.h"
#include "text.h"

#define SENTENCE 1024

/* ---- columns ---- */

static struct cell kib_if(bool known, uint64_t kib)
{
	return (struct cell){.kind = known ? CELL_KIB : CELL_NONE, .number = kib};
}

static struct cell words(const char *text)
{
	return (struct cell){.kind = CELL_TEXT, .text = text};
}

static struct cell yes_no(bool yes)
{
	return (struct cell){.kind = CELL_BOOL, .number = yes};
}

#define GUEST_CELL(column, expression)                                                                                 \
	static struct cell guest_##column(const void *row)                                                             \
	{                                                                                                              \
		const struct guest *g = row;                                                                           \
		return expression;                                                                                     \
	}

#define SAMPLED(field, bit) kib_if(g->answered && g->sample.have & (bit), g->sample.field)

GUEST_CELL(name, words(g->name))
GUEST_CELL(uuid, words(g->uuid))
GUEST_CELL(state, words(run_state_word(g->run)))
GUEST_CELL(managed, yes_no(!g->hints.opted_out && !g->excluded))
GUEST_CELL(registered, yes_no(g->registered))
GUEST_CELL(actual, SAMPLED(actual_kib, SAMPLE_ACTUAL))
GUEST_CELL(maximum, kib_if(g->device.maximum_kib, g->device.maximum_kib))
GUEST_CELL(available, SAMPLED(available_kib, SAMPLE_AVAILABLE))
GUEST_CELL(unused, SAMPLED(unused_kib, SAMPLE_UNUSED))
GUEST_CELL(usable, SAMPLED(usable_kib, SAMPLE_USABLE))
GUEST_CELL(rss, SAMPLED(rss_kib, SAMPLE_RSS))
GUEST_CELL(min, kib_if(g->hints.has_min, g->hints.min_kib))
GUEST_CELL(max, kib_if(g->hints.has_max, g->hints.max_kib))
GUEST_CELL(weight, ((struct cell){.kind = g->hints.weight ? CELL_NUMBER : CELL_NONE, .number = g->hints.weight}))
GUEST_CELL(hints, words(g->hints.n_faults ? "voided" : g->hints.present ? "yes" : NULL))
GUEST_CELL(used, kib_if(g->est.has_used, g->est.used_kib))
GUEST_CELL(want, kib_if(!g->fixed, g->want_kib))
GUEST_CELL(age, ((struct cell){.kind = g->est.has_age ? CELL_MS : CELL_NONE, .number = g->est.age_ms}))
GUEST_CELL(reason, words(reason_word(g->reason)))
GUEST_CELL(last_want, kib_if(g->past.last.want_kib, g->past.last.want_kib))
GUEST_CELL(last_reason, words(g->past.last.decided_ms ? reason_word(g->past.last.reason) : NULL))
GUEST_CELL(last_age, ((struct cell){.kind = g->past.last.decided_ms ? CELL_MS : CELL_NONE,
                                    .number = sub_kib(g->past.seen_ms, g->past.last.decided_ms)}))

static const struct column guest_columns[] = {
    {"domain", "Domain", "name", "name of the domain", true, guest_name},
    {"uuid", "UUID", "uuid", "UUID of the domain", false, guest_uuid},
    {"state", "State", "state", "state, as virsh domstate says it", false, guest_state},
    {"managed", "Managed", "managed", "whether it is balanced at all", false, guest_managed},
    {"actual", "Actual", "actual_bytes", "size left by the balloon", true, guest_actual},
    {"available", "Available", "available_bytes", "the guest's MemTotal", true, guest_available},
    {"unused", "Unused", "unused_bytes", "the guest's MemFree", true, guest_unused},
    {"usable", "Usable", "usable_bytes", "the guest's MemAvailable", true, guest_usable},
    {"maximum", "Maximum", "maximum_bytes", "size without balloon", true, guest_maximum},
    {"rss", "RSS", "rss_bytes", "what the host holds for it", false, guest_rss},
    {"min", "Min", "min_bytes", "hint: never less", true, guest_min},
    {"max", "Max", "max_bytes", "hint: never more", true, guest_max},
    {"weight", "Weight", "weight", "hint: share under shortage", true, guest_weight},
    {"hints", "Hints", NULL, "whether its metadata have hints, or one was voided", true, guest_hints},
    {"registered", "Registered", "registered", "whether the hook or a pass has registered it", true, guest_registered},
    {"used", "Used", "used_bytes", "what the guest uses, as estimated", false, guest_used},
    {"want", "Want", "want_bytes", "the size planned for it", true, guest_want},
    {"age", "Age", "stats_age_seconds", "age of its statistics", false, guest_age},
    {"reason", "Reason", "reason", "why", true, guest_reason},
    {"last-want", "Last want", NULL, "the size that the last pass planned", false, guest_last_want},
    {"last-reason", "Last reason", NULL, "why it did", false, guest_last_reason},
    {"last-age", "Last age", NULL, "how long that is ago", false, guest_last_age},
    {.name = NULL},
};

#define HOST_CELL(column, expression)                                                                                  \
	static struct cell host_##column(const void *row)                                                              \
	{                                                                                                              \
		const struct pass_report *rep = row;                                                                   \
		return expression;                                                                                     \
	}

HOST_CELL(name, (rep ? words("host") : words(NULL)))
HOST_CELL(total, kib_if(true, rep->host.total_kib))
HOST_CELL(available, kib_if(true, rep->host.available_kib))
HOST_CELL(free, kib_if(true, rep->host.free_kib))
HOST_CELL(buffers, kib_if(true, rep->host.buffers_kib))
HOST_CELL(cached, kib_if(true, rep->host.cached_kib))
HOST_CELL(reserve, kib_if(true, rep->reserve_kib))
HOST_CELL(promised, kib_if(true, rep->balance.promised_kib))

static const struct column host_columns[] = {
    {"host", "Host", NULL, "", true, host_name},
    {"total", "Total", "total_bytes", "MemTotal", true, host_total},
    {"free", "Free", "free_bytes", "MemFree", true, host_free},
    {"buffers", "Buffers", "buffers_bytes", "Buffers", true, host_buffers},
    {"cached", "Cached", "cached_bytes", "Cached", true, host_cached},
    {"available", "Available", "available_bytes", "MemAvailable", true, host_available},
    {"reserve", "Reserve", "reserve_bytes", "stays available", true, host_reserve},
    {"promised", "Promised", "promised_bytes", "what guests may still touch", true, host_promised},
    {.name = NULL},
};

/* ---- tables and sentences ---- */

void report_table(FILE *out, const struct pass_report *rep, bool human)
{
	const struct table_style style = {.human = human};
	char sentence[TEXT_EXPLAIN];

	table_write(out, guest_columns, rep->guest, rep->n, sizeof(*rep->guest), &style);
	fputc('\n', out);
	table_write(out, host_columns, rep, 1, sizeof(*rep), &style);
	if (!human)
		fputs("\nSizes in KiB.\n", out);
	if (rep->paused_ms)
		fprintf(out, "\n%s.\n", text_explain_pause(sentence, sizeof(sentence), rep->paused_ms));
}

static void print_sentence(FILE *out, const char *name, const char *sentence)
{
	char *escaped = text_escaped(name);

	fprintf(out, "%s: %s\n", escaped ? escaped : "?", sentence);
	free(escaped);
}

void report_explain(FILE *out, const struct pass_report *rep, bool whole)
{
	char sentence[TEXT_EXPLAIN];

	for (size_t i = 0; i < rep->n; i++) {
		const struct guest *g = &rep->guest[i];

		if (whole)
			print_sentence(out, g->name, text_explain_size(sentence, sizeof(sentence), g));
		print_sentence(out, g->name, text_explain(sentence, sizeof(sentence), g));
		if (whole)
			print_sentence(out, g->name, text_explain_last(sentence, sizeof(sentence), g));
	}
	print_sentence(out, "host",
	               text_explain_host(sentence, sizeof(sentence), &rep->host, rep->reserve_kib, &rep->balance));
	if (rep->paused_ms)
		print_sentence(out, "host", text_explain_pause(sentence, sizeof(sentence), rep->paused_ms));
}

static const char *action_word(const struct guest *g)
{
	if (g->fixed || g->hung || g->vanished || g->error)
		return "skip";
	if (g->want_kib == g->past.actual_kib)
		return "keep";
	return g->want_kib > g->past.actual_kib ? "grow" : "shrink";
}

/* ---- JSON ---- */

static void host_json(struct json *j, const struct pass_report *rep)
{
	json_object(j, "host");
	table_write_json(j, host_columns, rep);
	if (rep->host.has_pressure)
		json_decimal(j, "pressure_some_avg10", rep->host.pressure_some_avg10_centi, 2);
	else
		json_null(j, "pressure_some_avg10");
	json_end_object(j);
}

void report_stat_json(FILE *out, const struct pass_report *rep)
{
	struct json j;

	json_init(&j, out);
	json_object(&j, NULL);
	json_string(&j, "schema", "memsched.stat/1");
	if (rep->paused_ms)
		json_decimal(&j, "paused_seconds", rep->paused_ms, 3);
	else
		json_null(&j, "paused_seconds");
	host_json(&j, rep);
	json_array(&j, "domains");
	for (size_t i = 0; i < rep->n; i++) {
		json_object(&j, NULL);
		table_write_json(&j, guest_columns, &rep->guest[i]);
		json_end_object(&j);
	}
	json_end_array(&j);
	json_end_object(&j);
}

static void json_bytes_if(struct json *j, const char *key, bool known, uint64_t kib)
{
	if (known)
		json_bytes(j, key, kib);
	else
		json_null(j, key);
}

static void move_json(struct json *j, const struct guest *g)
{
	json_object(j, NULL);
	json_string(j, "name", g->name);
	json_string(j, "uuid", g->uuid);
	json_string(j, "action", action_word(g));
	json_bytes_if(j, "from_bytes", g->answered && g->sample.have & SAMPLE_ACTUAL, g->past.actual_kib);
	json_bytes_if(j, "want_bytes", !g->fixed, g->want_kib);
	json_bytes_if(j, "reached_bytes", pass_moved(g) && g->reread, g->sample.actual_kib);
	json_string(j, "reason", reason_word(g->reason));
	json_end_object(j);
}

static void pass_json(FILE *out, const struct pass_report *rep, uint64_t wall_ms)
{
	struct json j;

	json_init(&j, out);
	json_object(&j, NULL);
	json_string(&j, "schema", "memsched.pass/1");
	if (wall_ms)
		json_decimal(&j, "time_seconds", wall_ms, 3);
	json_bool(&j, "dry_run", rep->dry_run);
	json_string(&j, "result", rep->failed ? "partly" : "done");
	json_bytes(&j, "shortage_bytes", rep->balance.shortage_kib);
	host_json(&j, rep);
	json_array(&j, "moves");
	for (size_t i = 0; i < rep->n; i++)
		move_json(&j, &rep->guest[i]);
	json_end_array(&j);
	json_end_object(&j);
}

void report_pass_json(FILE *out, const struct pass_report *rep)
{
	pass_json(out, rep, 0);
}

int report_keep(struct registry *r, const struct pass_report *rep, uint64_t wall_ms)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	int error = -ENOMEM;

	if (!out)
		return error;
	pass_json(out, rep, wall_ms);
	if (!fclose(out))
		error = registry_write(r, "last-pass.json", text, length);
	free(text);
	return error;
}

/* ---- the audit ---- */

void report_moves(const struct pass_report *rep, struct instant at, struct audit *a)
{
	for (size_t i = 0; i < rep->n; i++) {
		const struct guest *g = &rep->guest[i];
		uint64_t ago_ms = pass_moved(g) ? sub_kib(at.now_ms, g->past.asked_ms) : 0;
		struct audit_move move = {.wall_ms = sub_kib(at.wall_ms, ago_ms),
		                          .from_kib = g->past.actual_kib,
		                          .asked_kib = g->told_kib,
		                          .has_reached = g->reread,
		                          .reached_kib = g->sample.actual_kib,
		                          .reason = g->reason};

		if (!g->told_kib)
			continue;
		snprintf(move.name, sizeof(move.name), "%s", g->name);
		snprintf(move.uuid, sizeof(move.uuid), "%s", g->uuid);
		audit_add(a, &move);
	}
}

void report_reached(const struct pass_report *rep, struct audit *a)
{
	for (size_t i = 0; i < rep->n; i++) {
		const struct guest *g = &rep->guest[i];

		if (g->answered && g->sample.have & SAMPLE_ACTUAL)
			audit_reached(a, g->uuid, g->past.actual_kib);
	}
}

/* ---- complaints ---- */

char *report_failure(int error, const char *uri, const char *root, const char *words)
{
	char sentence[SENTENCE], where[256], why[512];

	text_escape(why, sizeof(why), *words ? words : strerror(-error), text_is_utf8());
	if (error == -ENODATA)
		snprintf(sentence, sizeof(sentence), "'%s/proc/meminfo' cannot be read or makes no sense",
		         text_escape(where, sizeof(where), root, text_is_utf8()));
	else
		snprintf(sentence, sizeof(sentence), "cannot ask libvirt at '%s': %s",
		         text_escape(where, sizeof(where), uri, text_is_utf8()), why);
	return strdup(sentence);
}

void report_complain(const struct pass_report *rep, void (*say)(void *arg, const char *key, const char *sentence),
                     void *arg)
{
	char why[TEXT_EXPLAIN], sentence[SENTENCE], key[UUID_TEXT + 32];

	for (size_t i = 0; i < rep->n; i++) {
		const struct guest *g = &rep->guest[i];
		char *name = g->hung || g->error ? text_escaped(g->name) : NULL;

		if (name && !g->vanished) {
			snprintf(key, sizeof(key), "%s %s", g->uuid, reason_word(g->reason));
			snprintf(sentence, sizeof(sentence), "domain '%s': %s: %s", name, reason_word(g->reason),
			         text_explain(why, sizeof(why), g));
			say(arg, key, sentence);
		}
		free(name);
		if (g->unreadable) {
			snprintf(key, sizeof(key), "%s unreadable", g->uuid);
			snprintf(sentence, sizeof(sentence),
			         "what '/run/memsched' has of domain %s cannot be read: it counts as absent", g->uuid);
			say(arg, key, sentence);
		}
		for (unsigned k = 0; k < g->hints.n_faults; k++) {
			snprintf(key, sizeof(key), "%s hint %u", g->uuid, k);
			say(arg, key, g->hints.fault[k]);
		}
	}
	if (rep->unsaved) {
		snprintf(sentence, sizeof(sentence), "cannot write what the next pass should know: %s",
		         strerror(-rep->unsaved));
		say(arg, "state", sentence);
	}
	if (rep->pending_unreadable)
		say(arg, "pending", "something in '/run/memsched/pending' cannot be read: it counts as absent");
	if (rep->pause_unreadable)
		say(arg, "paused",
		    "'/run/memsched/paused' cannot be read: nothing is paused; 'membalance --resume' removes it");
	if (!rep->balance.least)
		return;
	snprintf(sentence, sizeof(sentence), "host: %s",
	         text_explain_host(why, sizeof(why), &rep->host, rep->reserve_kib, &rep->balance));
	say(arg, "host short", sentence);
}
