#include "figures.h"

#include <assert.h>

#include "text.h"
#include "units.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SHOWN COLUMN_TABLE
#define IN_JSON COLUMN_JSON

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

#define HAS(bit) (g->answered && g->sample.have & (bit))
#define SAMPLED(field, bit) kib_if(HAS(bit), g->sample.field)

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
GUEST_CELL(id, ((struct cell){.kind = CELL_NUMBER, .number = (uint64_t)g->domain_id}))
GUEST_CELL(floor, kib_if(!g->fixed, g->floor_kib))
GUEST_CELL(ceiling, kib_if(!g->fixed, g->ceil_kib))
GUEST_CELL(last_update,
           ((struct cell){.kind = HAS(SAMPLE_LAST_UPDATE) && g->sample.last_update_s ? CELL_NUMBER : CELL_NONE,
                          .number = g->sample.last_update_s}))

const struct column guest_columns[] = {
    {"domain", "Domain", "name", "name of the domain", SHOWN | IN_JSON, guest_name, ""},
    {"id", "ID", "id", "id of the domain in libvirt", 0, guest_id, ""},
    {"uuid", "UUID", "uuid", "UUID of the domain", IN_JSON, guest_uuid, "info"},
    {"state", "State", "state", "state of the domain, as virsh domstate says it", IN_JSON, guest_state, NULL},
    {"managed", "Managed", "managed", "whether the guest may be balanced", IN_JSON, guest_managed, NULL},
    {"registered", "Registered", "registered", "whether the hook or a pass knows the guest", IN_JSON, guest_registered,
     NULL},
    {"actual", "Actual", "actual_bytes", "size that the balloon leaves the guest", SHOWN | IN_JSON, guest_actual, NULL},
    {"maximum", "Maximum", "maximum_bytes", "size of the guest with an empty balloon", SHOWN | IN_JSON, guest_maximum,
     NULL},
    {"used", "Used", "used_bytes", "what the guest uses, as estimated", SHOWN | IN_JSON, guest_used, NULL},
    {"usable", "Usable", "usable_bytes", "MemAvailable of the guest", SHOWN | IN_JSON, guest_usable, NULL},
    {"available", "Available", "available_bytes", "MemTotal of the guest", IN_JSON, guest_available, NULL},
    {"unused", "Unused", "unused_bytes", "MemFree of the guest", IN_JSON, guest_unused, NULL},
    {"rss", "RSS", "rss_bytes", "what the host holds for the guest", IN_JSON, guest_rss, NULL},
    {"want", "Want", "want_bytes", "size that a pass would plan for the guest now", SHOWN | IN_JSON, guest_want, NULL},
    {"reason", "Reason", "reason", "why that size", SHOWN | IN_JSON, guest_reason, NULL},
    {"min", "Min", "min_bytes", "hint: never less", IN_JSON, guest_min, NULL},
    {"max", "Max", "max_bytes", "hint: never more", IN_JSON, guest_max, NULL},
    {"weight", "Weight", "weight", "hint: share under shortage", IN_JSON, guest_weight, NULL},
    {"hints", "Hints", "hints", "whether there are hints: yes, or voided where one is wrong", 0, guest_hints, NULL},
    {"floor", "Floor", "floor_bytes", "least that the guest is left: min, or by its maximum", 0, guest_floor, NULL},
    {"ceiling", "Ceiling", "ceiling_bytes", "most that the guest is given: max, or its maximum", 0, guest_ceiling,
     NULL},
    {"age", "Age", "stats_age_seconds", "age of the statistics of the guest", IN_JSON, guest_age, ""},
    {"last-update", "Last-update", "stats_last_update_timestamp_seconds",
     "when the statistics were taken, in seconds since 1970", 0, guest_last_update, NULL},
    {"last-want", "Last-want", "last_want_bytes", "size that the last pass planned", 0, guest_last_want, ""},
    {"last-reason", "Last-reason", "last_reason", "why the last pass planned that", 0, guest_last_reason, ""},
    {"last-age", "Last-age", "last_age_seconds", "how long ago the last pass planned", 0, guest_last_age, ""},
    {.name = NULL},
};
static_assert(COUNT(guest_columns) <= COLUMNS_MAX, "as many as can be chosen");

#define HOST_CELL(column, expression)                                                                                  \
	static struct cell host_##column(const void *row)                                                              \
	{                                                                                                              \
		const struct pass_report *rep = row;                                                                   \
		return expression;                                                                                     \
	}

HOST_CELL(name, ((void)rep, words("host")))
HOST_CELL(total, kib_if(true, rep->host.total_kib))
HOST_CELL(available, kib_if(true, rep->host.available_kib))
HOST_CELL(free, kib_if(true, rep->host.free_kib))
HOST_CELL(buffers, kib_if(true, rep->host.buffers_kib))
HOST_CELL(cached, kib_if(true, rep->host.cached_kib))
HOST_CELL(reserve, kib_if(true, rep->reserve_kib))
HOST_CELL(promised, kib_if(true, rep->balance.promised_kib))
HOST_CELL(pressure, ((struct cell){.kind = rep->host.has_pressure ? CELL_PCT : CELL_NONE,
                                   .number = rep->host.pressure_some_avg10_centi}))
HOST_CELL(paused, ((struct cell){.kind = rep->paused_ms ? CELL_MS : CELL_NONE, .number = rep->paused_ms}))

const struct column host_columns[] = {
    {"host", "Host", NULL, "", SHOWN, host_name, NULL},
    {"total", "Total", "total_bytes", "MemTotal of the host", SHOWN | IN_JSON, host_total, NULL},
    {"free", "Free", "free_bytes", "MemFree of the host", SHOWN | IN_JSON, host_free, NULL},
    {"buffers", "Buffers", "buffers_bytes", "Buffers of the host", SHOWN | IN_JSON, host_buffers, NULL},
    {"cached", "Cached", "cached_bytes", "Cached of the host", SHOWN | IN_JSON, host_cached, NULL},
    {"available", "Available", "available_bytes", "MemAvailable of the host, and what comes back when it is needed",
     SHOWN | IN_JSON, host_available, NULL},
    {"reserve", "Reserve", "reserve_bytes", "what is to stay available on the host", SHOWN | IN_JSON, host_reserve,
     NULL},
    {"promised", "Promised", "promised_bytes", "what guests may still touch", SHOWN | IN_JSON, host_promised, NULL},
    {"pressure", "Pressure", "pressure_some_avg10", "share of 10 s in which something waited for memory", IN_JSON,
     host_pressure, "pressure_some_avg10_ratio"},
    {"paused", "Paused", NULL, "for how much longer balancing is paused", 0, host_paused, "paused_seconds"},
    {.name = NULL},
};

#define OUTCOME_CELL(column, expression)                                                                               \
	static struct cell outcome_##column(const void *row)                                                           \
	{                                                                                                              \
		const struct outcome *o = row;                                                                         \
		return expression;                                                                                     \
	}

OUTCOME_CELL(success, yes_no(o->report != NULL))
OUTCOME_CELL(duration, ((struct cell){.kind = CELL_MS, .number = o->took_ms}))
OUTCOME_CELL(timestamp, ((struct cell){.kind = CELL_NUMBER, .number = o->ended_s}))
OUTCOME_CELL(failed,
             ((struct cell){.kind = o->report ? CELL_NUMBER : CELL_NONE, .number = o->report ? o->report->failed : 0}))
OUTCOME_CELL(commands, ((struct cell){.kind = o->report ? CELL_NUMBER : CELL_NONE,
                                      .number = o->report ? o->report->commands : 0}))
OUTCOME_CELL(shortage, kib_if(o->report, o->report ? o->report->balance.shortage_kib : 0))

const struct column outcome_columns[] = {
    {"success", "", NULL, "whether the last pass was made: libvirt could be asked", 0, outcome_success, "success"},
    {"duration", "", NULL, "how long the last pass took", 0, outcome_duration, "duration_seconds"},
    {"timestamp", "", NULL, "when the last pass ended", 0, outcome_timestamp, "timestamp_seconds"},
    {"failed", "", NULL, "guests that did not answer the last pass or whose command failed", 0, outcome_failed,
     "failed_domains"},
    {"commands", "", NULL, "balloon commands that the last pass sent", 0, outcome_commands, "commands"},
    {"shortage", "", NULL, "what the host lacks for all needs", 0, outcome_shortage, "shortage_bytes"},
    {.name = NULL},
};
