#include "report.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "explain.h"
#include "prom.h"
#include "text.h"

#define SENTENCE 1024

/* ---- tables and sentences ---- */

/* Writes the columns that are shown where none was chosen. */
static int write_shown(FILE *out, const struct column *all, const void *rows, size_t n, size_t size,
                       const struct table_style *style)
{
	struct column *columns;
	int r = column_choose(all, COLUMN_TABLE, NULL, &columns, NULL);

	if (r)
		return r;
	r = table_write(out, columns, rows, n, size, style);
	free(columns);
	return r;
}

int report_table(FILE *out, const struct pass_report *rep, const struct column *columns,
                 const struct table_style *style)
{
	static const char *const unit[] = {
	    [TABLE_KIB] = "\nSizes in KiB.\n", [TABLE_BYTES] = "\nSizes in bytes.\n", [TABLE_HUMAN] = ""};
	char sentence[TEXT_EXPLAIN];
	int r = (columns ? table_write : write_shown)(out, columns ? columns : guest_columns, rep->guest, rep->n,
	                                              sizeof(*rep->guest), style);

	if (r || style->form != TABLE_ALIGNED || style->no_headings)
		return r;
	fputc('\n', out);
	r = write_shown(out, host_columns, rep, 1, sizeof(*rep), style);
	fputs(unit[style->unit], out);
	if (rep->paused_ms) {
		text_explain_pause(sentence, sizeof(sentence), rep->paused_ms);
		fprintf(out, "\n%c%s.\n", toupper(sentence[0]), sentence + 1);
	}
	return r;
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
	json_end_object(j);
}

void report_stat_json(FILE *out, const struct pass_report *rep, const struct column *columns)
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
		table_write_json(&j, columns, &rep->guest[i]);
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

/* ---- metrics ---- */

/* Of the host nothing but the pause is known. */
static int write_pause(FILE *out, uint64_t paused_ms)
{
	const struct pass_report rep = {.paused_ms = paused_ms};
	struct column *columns;
	int r = column_choose(host_columns, COLUMN_ALL, "paused", &columns, NULL);

	if (r)
		return r;
	r = table_write_metrics(out, "memsched_host_", columns, NULL, &rep, 1, sizeof(rep));
	free(columns);
	return r;
}

int report_metrics(FILE *out, const struct pass_report *rep, const struct outcome *outcome)
{
	const struct prom_label version[] = {{"version", MEMSCHED_VERSION}, {NULL, NULL}};
	int r;

	prom_gauge(out, "memsched_", "build_info", "version of memsched");
	r = prom_sample(out, "memsched_", "build_info", version, 1, 0);
	if (!r && outcome && outcome->paused_ms)
		return write_pause(out, outcome->paused_ms);
	if (!r && outcome)
		r = table_write_metrics(out, "memsched_pass_", outcome_columns, NULL, outcome, 1, sizeof(*outcome));
	if (r || !rep)
		return r;
	r = table_write_metrics(out, "memsched_host_", host_columns, NULL, rep, 1, sizeof(*rep));
	if (!r)
		r = table_write_metrics(out, "memsched_domain_", guest_columns, &guest_columns[0], rep->guest, rep->n,
		                        sizeof(*rep->guest));
	return r;
}

int report_metrics_file(const char *path, const struct pass_report *rep, const struct outcome *outcome)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	int r = out ? report_metrics(out, rep, outcome) : -ENOMEM;

	if (out && fclose(out))
		r = -ENOMEM;
	if (!r)
		r = prom_publish(path, text, length);
	free(text);
	return r;
}

/* ---- the audit ---- */

void report_moves(const struct pass_report *rep, struct instant at, struct audit *a)
{
	for (size_t i = 0; i < rep->n; i++) {
		const struct guest *g = &rep->guest[i];
		uint64_t ago_ms = pass_moved(g) ? sub_kib(at.now_ms, g->past.asked_ms) : 0;
		struct audit_move move = {.wall_ms = sub_kib(at.wall_ms, ago_ms),
		                          .asked_ms = at.now_ms - ago_ms,
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
			audit_reached(a, g->uuid, g->past.actual_kib, g->past.seen_ms);
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

const char *report_unusable(int error)
{
	switch (error) {
	case -EPERM:
		return "another user owns it or may write to it";
	case -EBADMSG:
		return "its file 'lock' is not a plain file of root's";
	case -ENOTDIR:
		return "it is not a directory";
	default:
		return strerror(-error);
	}
}

char *report_unreadable(char *buffer, size_t size, const char *uuid)
{
	if (uuid)
		snprintf(buffer, size, "what '/run/memsched' has of domain %s cannot be read: it counts as absent",
		         uuid);
	else
		snprintf(buffer, size, "something in '/run/memsched/pending' cannot be read: it counts as absent");
	return buffer;
}

typedef void complaint_say(void *arg, const char *key, const char *sentence);

static void complain_of_guest(const struct guest *g, complaint_say *say, void *arg)
{
	char why[TEXT_EXPLAIN], sentence[SENTENCE], key[UUID_TEXT + HINT_FAULT_TEXT + 8];
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
		say(arg, key, report_unreadable(sentence, sizeof(sentence), g->uuid));
	}
	for (unsigned k = 0; k < g->hints.n_faults; k++) { /* another fault is another complaint */
		snprintf(key, sizeof(key), "%s hint %s", g->uuid, g->hints.fault[k]);
		say(arg, key, g->hints.fault[k]);
	}
}

static void complain_of_registry(const struct pass_report *rep, complaint_say *say, void *arg)
{
	char sentence[SENTENCE];

	if (rep->unsaved) {
		snprintf(sentence, sizeof(sentence), "cannot write what the next pass should know: %s",
		         strerror(-rep->unsaved));
		say(arg, "state", sentence);
	}
	if (rep->pending_unreadable)
		say(arg, "pending", report_unreadable(sentence, sizeof(sentence), NULL));
	if (rep->unusable) {
		snprintf(sentence, sizeof(sentence),
		         "cannot use '/run/memsched', so nothing is known of earlier passes: %s",
		         report_unusable(rep->unusable));
		say(arg, "registry", sentence);
	}
	if (rep->pause_unreadable)
		say(arg, "paused",
		    "'/run/memsched/paused' cannot be read: nothing is paused; 'membalance --resume' removes it");
}

void report_complain(const struct pass_report *rep, void (*say)(void *arg, const char *key, const char *sentence),
                     void *arg)
{
	char why[TEXT_EXPLAIN], sentence[SENTENCE];

	for (size_t i = 0; i < rep->n; i++)
		complain_of_guest(&rep->guest[i], say, arg);
	complain_of_registry(rep, say, arg);
	if (!rep->balance.least)
		return;
	snprintf(sentence, sizeof(sentence), "host: %s",
	         text_explain_host(why, sizeof(why), &rep->host, rep->reserve_kib, &rep->balance));
	say(arg, "host short", sentence);
}
