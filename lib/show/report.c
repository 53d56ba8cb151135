/* SPDX-License-Identifier: MIT */
#include "show/report.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/text.h"
#include "base/units.h"
#include "show/explain.h"

#define SHOWN COLUMN_TABLE
#define IN_JSON COLUMN_JSON

#define GUEST_CELL(column, expression) COLUMN_CELL(guest_##column, const struct guest *g, expression)

#define HAS(bit) (g->answered && g->sample.have & (bit))
#define SAMPLED(field, bit) cell_if(HAS(bit), CELL_KIB, g->sample.field)

GUEST_CELL(name, cell_text(g->name))
GUEST_CELL(uuid, cell_text(g->uuid))
GUEST_CELL(state, cell_text(run_state_word(g->run)))
GUEST_CELL(managed, cell_of(CELL_BOOL, !g->hints.opted_out && !g->excluded))
GUEST_CELL(registered, cell_of(CELL_BOOL, g->registered))
GUEST_CELL(actual, SAMPLED(actual_kib, SAMPLE_ACTUAL))
GUEST_CELL(maximum, cell_if(g->device.maximum_kib, CELL_KIB, g->device.maximum_kib))
GUEST_CELL(available, SAMPLED(available_kib, SAMPLE_AVAILABLE))
GUEST_CELL(unused, SAMPLED(unused_kib, SAMPLE_UNUSED))
GUEST_CELL(usable, SAMPLED(usable_kib, SAMPLE_USABLE))
GUEST_CELL(rss, SAMPLED(rss_kib, SAMPLE_RSS))
GUEST_CELL(min, cell_if(g->hints.has_min, CELL_KIB, g->hints.min_kib))
GUEST_CELL(max, cell_if(g->hints.has_max, CELL_KIB, g->hints.max_kib))
GUEST_CELL(weight, cell_if(g->hints.weight, CELL_NUMBER, g->hints.weight))
GUEST_CELL(hints, cell_text(g->hints.voided ? "voided" : g->hints.present ? "yes" : NULL))
GUEST_CELL(used, cell_if(g->est.has_used, CELL_KIB, g->est.used_kib))
GUEST_CELL(want, cell_if(!g->plan.fixed, CELL_KIB, g->plan.want_kib))
GUEST_CELL(lack,
           cell_if(!g->plan.fixed && HAS(SAMPLE_ACTUAL), CELL_KIB, sat_sub(g->plan.basic_kib, g->sample.actual_kib)))
GUEST_CELL(age, cell_if(g->est.has_age, CELL_MS, g->est.age_ms))
GUEST_CELL(reason, cell_text(reason_word(g->plan.reason)))
GUEST_CELL(last_want, cell_if(g->past.last.want_kib, CELL_KIB, g->past.last.want_kib))
GUEST_CELL(last_reason, cell_text(g->past.last.decided_ms ? reason_word(g->past.last.reason) : NULL))
GUEST_CELL(last_age, cell_if(g->past.last.decided_ms, CELL_MS, sat_sub(g->past.seen_ms, g->past.last.decided_ms)))
GUEST_CELL(id, cell_of(CELL_NUMBER, (uint64_t)g->domain_id))
GUEST_CELL(floor, cell_if(!g->plan.fixed, CELL_KIB, g->plan.floor_kib))
GUEST_CELL(ceiling, cell_if(!g->plan.fixed, CELL_KIB, g->plan.ceil_kib))
GUEST_CELL(reporting, cell_of(CELL_BOOL, g->device.reporting))
GUEST_CELL(last_update,
           cell_if(HAS(SAMPLE_LAST_UPDATE) && g->sample.last_update_s, CELL_NUMBER, g->sample.last_update_s))

GUEST_CELL(cache, cell_if(HAS(SAMPLE_USABLE) && g->est.has_used, CELL_KIB, g->est.cache_kib))
#define RATED(bit) (HAS(bit) && g->past.has_rates && !g->est.stale)
GUEST_CELL(swap_in, cell_if(RATED(SAMPLE_SWAP_IN), CELL_KIB, g->past.swap_in_kibps))
GUEST_CELL(faults, cell_if(RATED(SAMPLE_MAJOR_FAULTS), CELL_NUMBER, g->past.faults_ps))
GUEST_CELL(swap_in_total, SAMPLED(swap_in_kib, SAMPLE_SWAP_IN))
GUEST_CELL(faults_total, cell_if(HAS(SAMPLE_MAJOR_FAULTS), CELL_NUMBER, g->sample.major_faults))
GUEST_CELL(swapping, cell_of(CELL_BOOL, g->est.distress))
GUEST_CELL(period, cell_if(g->device.period_s, CELL_MS, UINT64_C(1000) * g->device.period_s))
GUEST_CELL(qemu, cell_if(g->past.has_qemu, CELL_KIB, g->past.qemu_kib))
GUEST_CELL(last_move, cell_if(g->past.told.decided_ms, CELL_MS, sat_sub(g->past.seen_ms, g->past.told.decided_ms)))

#define COUNTER COLUMN_COUNTER

const struct column guest_columns[] = {
    {"domain", "Domain", "name", "name of the domain", SHOWN | IN_JSON, guest_name, ""},
    {"id", "ID", "id", "id of the domain in libvirt", 0, guest_id, ""},
    {"uuid", "UUID", "uuid", "UUID of the domain", IN_JSON, guest_uuid, "info"},
    {"state", "State", "state", "state of the domain, as virsh domstate says it", IN_JSON, guest_state, NULL},
    {"managed", "Managed", "managed", "whether the guest may be balanced", IN_JSON, guest_managed, NULL},
    {"registered", "Registered", "registered", "whether the hook or a pass has registered the guest", IN_JSON,
     guest_registered, NULL},
    {"actual", "Actual", "actual_bytes", "size that the balloon leaves the guest", SHOWN | IN_JSON, guest_actual, NULL},
    {"maximum", "Maximum", "maximum_bytes", "size of the guest with an empty balloon", SHOWN | IN_JSON, guest_maximum,
     NULL},
    {"used", "Used", "used_bytes", "memory that the guest uses, as estimated", SHOWN | IN_JSON, guest_used, NULL},
    {"usable", "Usable", "usable_bytes", "MemAvailable of the guest", SHOWN | IN_JSON, guest_usable, NULL},
    {"available", "Available", "available_bytes", "MemTotal of the guest", IN_JSON, guest_available, NULL},
    {"unused", "Unused", "unused_bytes", "MemFree of the guest", IN_JSON, guest_unused, NULL},
    {"rss", "RSS", "rss_bytes", "memory that the host holds for the guest", IN_JSON, guest_rss, NULL},
    {"want", "Want", "want_bytes", "size that a pass would plan for the guest now", SHOWN | IN_JSON, guest_want, NULL},
    {"reason", "Reason", "reason", "why that size", SHOWN | IN_JSON, guest_reason, NULL},
    {"lack", "Lack", "lack_bytes", "memory that the guest needs and does not have", 0, guest_lack, NULL},
    {"min", "Min", "min_bytes", "limit: never less", IN_JSON, guest_min, NULL},
    {"max", "Max", "max_bytes", "limit: never more", IN_JSON, guest_max, NULL},
    {"weight", "Weight", "weight", "limit: share if there is not enough for all", IN_JSON, guest_weight, NULL},
    {"hints", "Hints", "hints", "whether there are hints: yes, or voided if one is wrong", 0, guest_hints, NULL},
    {"floor", "Floor", "floor_bytes", "least that the guest is left: min, or by its maximum", 0, guest_floor, NULL},
    {"ceiling", "Ceiling", "ceiling_bytes", "most that the guest is given: max, or its maximum", 0, guest_ceiling,
     NULL},
    {"reporting", "Reporting", "free_page_reporting", "whether the guest's free pages return to the host by themselves",
     0, guest_reporting, ""},
    {"age", "Age", "stats_age_seconds", "age of the statistics of the guest", IN_JSON, guest_age, ""},
    {"last-update", "Last-update", "stats_last_update_timestamp_seconds",
     "when the statistics were taken, in seconds since 1970", 0, guest_last_update, NULL},
    {"cache", "Cache", "cache_bytes", "page cache of the guest, as estimated", 0, guest_cache, NULL},
    {"swap-in", "Swap-in", "swap_in_bytes_per_second", "memory that the guest reads from swap a second", 0,
     guest_swap_in, NULL},
    {"faults", "Faults", "major_faults_per_second", "major page faults of the guest a second", 0, guest_faults, NULL},
    {"swap-in-total", "Swap-in-total", "swap_in_bytes_total", "memory that the guest read from swap since it booted",
     COUNTER, guest_swap_in_total, NULL},
    {"faults-total", "Faults-total", "major_faults_total", "major page faults of the guest since it booted", COUNTER,
     guest_faults_total, NULL},
    {"swapping", "Swapping", "swapping", "whether it reads from swap or faults heavily now", 0, guest_swapping, NULL},
    {"period", "Period", "stats_period_seconds", "period of its statistics", 0, guest_period, NULL},
    {"qemu", "QEMU", "qemu_bytes", "memory that QEMU itself holds, as far as it is known", 0, guest_qemu, NULL},
    {"last-move", "Last-move", "last_move_age_seconds", "age of the last command of a pass to it", 0, guest_last_move,
     NULL},
    {"last-want", "Last-want", "last_want_bytes", "size that the last pass planned for the guest", 0, guest_last_want,
     ""},
    {"last-reason", "Last-reason", "last_reason", "why the last pass planned that size", 0, guest_last_reason, ""},
    {"last-age", "Last-age", "last_age_seconds", "age of the last pass's plan", 0, guest_last_age, ""},
    {.name = NULL},
};
static_assert(COUNT(guest_columns) <= COLUMNS_MAX, "as many as can be chosen");

#define HOST_CELL(column, expression) COLUMN_CELL(host_##column, const struct balance_report *rep, expression)

HOST_CELL(name, ((void)rep, cell_text("host")))
HOST_CELL(total, cell_of(CELL_KIB, rep->host.total_kib))
HOST_CELL(available, cell_of(CELL_KIB, rep->host.available_kib))
HOST_CELL(free, cell_of(CELL_KIB, rep->host.free_kib))
HOST_CELL(buffers, cell_of(CELL_KIB, rep->host.buffers_kib))
HOST_CELL(cached, cell_of(CELL_KIB, rep->host.cached_kib))
HOST_CELL(reserve, cell_of(CELL_KIB, rep->reserve_kib))
HOST_CELL(promised, cell_of(CELL_KIB, rep->budget.promised_kib))
HOST_CELL(lent, cell_of(CELL_KIB, rep->budget.lent_kib))
HOST_CELL(pressure, cell_if(rep->host.has_pressure, CELL_PCT, rep->host.pressure_some_avg10_centi))
HOST_CELL(paused, cell_if(rep->paused_ms, CELL_MS, rep->paused_ms))

const struct column host_columns[] = {
    {"host", "Host", NULL, "", SHOWN, host_name, NULL},
    {"total", "Total", "total_bytes", "MemTotal of the host", SHOWN | IN_JSON, host_total, NULL},
    {"free", "Free", "free_bytes", "MemFree of the host", SHOWN | IN_JSON, host_free, NULL},
    {"buffers", "Buffers", "buffers_bytes", "Buffers of the host", SHOWN | IN_JSON, host_buffers, NULL},
    {"cached", "Cached", "cached_bytes", "Cached of the host", SHOWN | IN_JSON, host_cached, NULL},
    {"available", "Available", "available_bytes", "MemAvailable of the host, and what comes back when it is needed",
     SHOWN | IN_JSON, host_available, NULL},
    {"reserve", "Reserve", "reserve_bytes", "what must stay available on the host", SHOWN | IN_JSON, host_reserve,
     NULL},
    {"promised", "Promised", "promised_bytes", "what guests may still touch", SHOWN | IN_JSON, host_promised, NULL},
    {"lent", "Lent", "lent_bytes", "the part of that which other guests may have", IN_JSON, host_lent, NULL},
    {"pressure", "Pressure", "pressure_some_avg10", "share of 10 s in which something waited for memory", IN_JSON,
     host_pressure, "pressure_some_avg10_ratio"},
    {"paused", "Paused", NULL, "for how much longer balancing is paused", 0, host_paused, "paused_seconds"},
    {.name = NULL},
};

#define SENTENCE 1024

/* ---- tables and sentences ---- */

/* Writes the default columns. */
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

int report_table(FILE *out, const struct balance_report *rep, const struct column *columns,
                 const struct table_style *style)
{
	static const char *const unit[] = {
	    [TABLE_KIB] = "\nSizes in KiB.\n", [TABLE_BYTES] = "\nSizes in bytes.\n", [TABLE_HUMAN] = ""};
	char sentence[TEXT_EXPLAIN];
	struct table_style guests = *style;
	int r;

	guests.totals = style->form == TABLE_ALIGNED && !style->no_headings && rep->n > 1;
	r = (columns ? table_write : write_shown)(out, columns ? columns : guest_columns, rep->guest, rep->n,
	                                          sizeof(*rep->guest), &guests);

	if (r || style->form != TABLE_ALIGNED || style->no_headings)
		return r;
	fputc('\n', out);
	r = write_shown(out, host_columns, rep, 1, sizeof(*rep), style);
	fputs(unit[style->unit], out);
	if (rep->paused_ms) {
		text_explain_pause(sentence, sizeof(sentence), rep->paused_ms);
		fprintf(out, "\n%c%s.\n", text_capital(sentence[0]), sentence + 1);
	}
	return r;
}

static void print_sentence(FILE *out, const char *name, const char *sentence)
{
	char escaped[SENTENCE];

	fprintf(out, "%s: %s\n", text_escape(escaped, sizeof(escaped), name, text_is_utf8()), sentence);
}

void report_explain(FILE *out, const struct balance_report *rep, bool whole)
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
	               text_explain_host(sentence, sizeof(sentence), &rep->host, rep->reserve_kib, &rep->budget));
	if (rep->paused_ms)
		print_sentence(out, "host", text_explain_pause(sentence, sizeof(sentence), rep->paused_ms));
}

static const char *action_word(const struct guest *g)
{
	static const char *const words[] = {"shrink", "keep", "grow"};

	if (g->plan.fixed || g->hung || g->vanished || g->order.error)
		return "skip";
	return words[explain_direction(g) + 1];
}

void report_plan(FILE *out, const struct balance_report *rep)
{
	char sentence[TEXT_EXPLAIN];
	bool moves = false;

	for (size_t i = 0; i < rep->n; i++) {
		const struct guest *g = &rep->guest[i];

		if (g->plan.fixed || !explain_direction(g))
			continue;
		print_sentence(out, g->name, text_explain(sentence, sizeof(sentence), g));
		moves = true;
	}
	if (!moves)
		fputs("no guest would be given or taken anything\n", out);
}

/* ---- JSON ---- */

static void host_json(struct json *j, const struct balance_report *rep)
{
	json_object(j, "host");
	table_write_json(j, host_columns, rep);
	json_end_object(j);
}

static void status_json(struct json *j, const struct status *s)
{
	char line[TEXT_STATUS];

	json_object(j, "status");
	json_string(j, "text", text_status(line, sizeof(line), s, false));
	table_write_json(j, status_columns, s);
	json_end_object(j);
	if (s->presence != GUARD_PRESENT) {
		json_null(j, "guard");
		return;
	}
	json_object(j, "guard");
	table_write_json(j, guard_columns, &s->guard);
	json_end_object(j);
}

void report_stat_json(FILE *out, const struct balance_report *rep, const struct status *status,
                      const struct column *columns)
{
	struct json j;

	json_begin(&j, out, "memsched.stat/1");
	if (rep->paused_ms)
		json_decimal(&j, "paused_seconds", rep->paused_ms, 3);
	else
		json_null(&j, "paused_seconds");
	status_json(&j, status);
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
	json_bytes_if(j, "want_bytes", !g->plan.fixed, g->plan.want_kib);
	json_bytes_if(j, "reached_bytes", balance_moved(g) && g->reread, g->sample.actual_kib);
	json_string(j, "reason", reason_word(g->plan.reason));
	json_end_object(j);
}

static void pass_json(FILE *out, const struct balance_report *rep, uint64_t wall_ms)
{
	struct json j;

	json_begin(&j, out, "memsched.pass/1");
	if (wall_ms)
		json_decimal(&j, "time_seconds", wall_ms, 3);
	if (wall_ms && rep->interval_ms)
		json_decimal(&j, "interval_seconds", rep->interval_ms, 3);
	json_bool(&j, "dry_run", rep->dry_run);
	json_string(&j, "result", rep->failed ? "partly" : "done");
	json_bytes(&j, "shortage_bytes", rep->budget.shortage_kib);
	host_json(&j, rep);
	json_array(&j, "moves");
	for (size_t i = 0; i < rep->n; i++)
		move_json(&j, &rep->guest[i]);
	json_end_array(&j);
	json_end_object(&j);
}

void report_pass_json(FILE *out, const struct balance_report *rep)
{
	pass_json(out, rep, 0);
}

int report_keep(struct registry *r, const struct balance_report *rep, uint64_t wall_ms)
{
	struct memfile m;
	int error;

	if (!memfile_open(&m))
		return -ENOMEM;
	pass_json(m.out, rep, wall_ms);
	error = memfile_close(&m);
	if (!error)
		error = registry_write(r, "last-pass.json", m.text, m.length);
	free(m.text);
	return error;
}

/* ---- the record of moves ---- */

void report_moves(const struct balance_report *rep, struct instant at, struct movelog *a)
{
	for (size_t i = 0; i < rep->n; i++) {
		const struct guest *g = &rep->guest[i];
		uint64_t ago_ms = balance_moved(g) ? sat_sub(at.now_ms, g->past.asked_ms) : 0;
		struct movelog_move move = {.wall_ms = sat_sub(at.wall_ms, ago_ms),
		                            .asked_ms = at.now_ms - ago_ms,
		                            .from_kib = g->past.actual_kib,
		                            .asked_kib = g->order.kib,
		                            .has_reached = g->reread,
		                            .reached_kib = g->sample.actual_kib,
		                            .reason = g->plan.reason};

		if (!g->order.kib)
			continue;
		snprintf(move.name, sizeof(move.name), "%s", g->name);
		snprintf(move.uuid, sizeof(move.uuid), "%s", g->uuid);
		movelog_add(a, &move);
	}
}

void report_reached(const struct balance_report *rep, struct movelog *a)
{
	for (size_t i = 0; i < rep->n; i++) {
		const struct guest *g = &rep->guest[i];

		if (g->answered && g->sample.have & SAMPLE_ACTUAL)
			movelog_reached(a, g->uuid, g->past.actual_kib, g->past.seen_ms);
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
		snprintf(buffer, size, "the record of domain %s in '/run/memsched' cannot be read: it counts as absent",
		         uuid);
	else
		snprintf(buffer, size, "a record in '/run/memsched/pending' cannot be read, so nothing is given");
	return buffer;
}

char *report_pause_unknown(char *buffer, size_t size, int error)
{
	if (error == -EBADMSG || error == -EPROTO)
		snprintf(buffer, size,
		         "'/run/memsched/paused' is damaged or of another version, so there is no pass: 'membalance "
		         "--resume' removes it");
	else
		snprintf(buffer, size, "cannot read '/run/memsched/paused', so there is no pass: %s", strerror(-error));
	return buffer;
}

char *report_doubtful(char *buffer, size_t size, const struct host *h)
{
	char says[TEXT_SIZE], allowed[TEXT_SIZE];

	snprintf(buffer, size, "%s is %s, but the other figures allow only %s, which is used instead", h->doubtful,
	         text_size(says, sizeof(says), h->doubtful_kib), text_size(allowed, sizeof(allowed), h->allowed_kib));
	return buffer;
}

typedef void complaint_say(void *arg, const char *key, const char *sentence);

void report_complain_guest(const struct guest *g, complaint_say *say, void *arg)
{
	char sentence[SENTENCE], key[UUID_TEXT + HINT_FAULT_TEXT + 8];

	if (g->unreadable) {
		snprintf(key, sizeof(key), "%s unreadable", g->uuid);
		say(arg, key, report_unreadable(sentence, sizeof(sentence), g->uuid));
	}
	for (unsigned k = 0; k < g->hints.n_faults; k++) { /* another fault is another complaint */
		snprintf(key, sizeof(key), "%s hint %s", g->uuid, g->hints.fault[k]);
		say(arg, key, g->hints.fault[k]);
	}
}

static void complain_of_guest(const struct guest *g, complaint_say *say, void *arg)
{
	char why[TEXT_EXPLAIN], name[256], sentence[SENTENCE], key[UUID_TEXT + 64];

	if ((g->hung || g->order.error) && !g->vanished) {
		text_escape(name, sizeof(name), g->name, text_is_utf8());
		snprintf(key, sizeof(key), "%s %s", g->uuid, reason_word(g->plan.reason));
		snprintf(sentence, sizeof(sentence), "domain '%s': %s: %s", name, reason_word(g->plan.reason),
		         text_explain(why, sizeof(why), g));
		say(arg, key, sentence);
	}
	report_complain_guest(g, say, arg);
}

static void complain_of_registry(const struct balance_report *rep, complaint_say *say, void *arg)
{
	char sentence[SENTENCE];

	if (rep->unsaved) {
		snprintf(sentence, sizeof(sentence), "cannot write the records for the next pass: %s",
		         strerror(-rep->unsaved));
		say(arg, "state", sentence);
	}
	if (rep->no_give_unknown) {
		snprintf(sentence, sizeof(sentence), "cannot read '/run/memsched/no-give', so nothing is given: %s",
		         strerror(-rep->no_give_unknown));
		say(arg, "no-give", sentence);
	}
	if (rep->pending_unreadable)
		say(arg, "pending", report_unreadable(sentence, sizeof(sentence), NULL));
	if (rep->unusable) {
		snprintf(sentence, sizeof(sentence),
		         "cannot use '/run/memsched', so nothing is known of earlier passes: %s",
		         report_unusable(rep->unusable));
		say(arg, "registry", sentence);
	}
	if (rep->pause_unknown)
		say(arg, "paused", report_pause_unknown(sentence, sizeof(sentence), rep->pause_unknown));
}

void report_complain(const struct balance_report *rep, void (*say)(void *arg, const char *key, const char *sentence),
                     void *arg)
{
	char why[TEXT_EXPLAIN], sentence[SENTENCE];

	for (size_t i = 0; i < rep->n; i++)
		complain_of_guest(&rep->guest[i], say, arg);
	if (!rep->listed)
		say(arg, "list",
		    "libvirt does not list its guests, perhaps because a hook runs: only guests known before are read");
	complain_of_registry(rep, say, arg);
	if (rep->host.doubtful) {
		snprintf(sentence, sizeof(sentence), "host: %s", report_doubtful(why, sizeof(why), &rep->host));
		say(arg, "host doubtful", sentence);
	}
	if (!rep->budget.least)
		return;
	snprintf(sentence, sizeof(sentence), "host: %s",
	         text_explain_host(why, sizeof(why), &rep->host, rep->reserve_kib, &rep->budget));
	say(arg, "host short", sentence);
}

const char *report_cannot_free(char *text, size_t size, const struct monitor_view *view, const char *refused)
{
	uint64_t lack_kib = sat_sub(view->reserve_kib, view->host.available_kib);
	char needed[TEXT_SIZE], freed[TEXT_SIZE];

	snprintf(text, size, "cannot free: needed %s, freed %s, refused: %s",
	         text_size(needed, sizeof(needed), sat_add(lack_kib, view->freed_kib)),
	         text_size(freed, sizeof(freed), view->freed_kib), refused);
	return text;
}

const char *report_available(char *text, size_t size, uint64_t available_kib, uint64_t reserve_kib)
{
	char available[TEXT_SIZE], reserve[TEXT_SIZE];

	snprintf(text, size, "%s available, reserve %s", text_size(available, sizeof(available), available_kib),
	         text_size(reserve, sizeof(reserve), reserve_kib));
	return text;
}
