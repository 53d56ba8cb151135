/* SPDX-License-Identifier: MIT */
#include "show/doctor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/json.h"
#include "base/text.h"
#include "base/units.h"
#include "show/explain.h"
#include "show/report.h"

#define SIZE(kib) text_size((char[TEXT_SIZE]){0}, TEXT_SIZE, kib)
#define AGE(age_s) text_age((char[TEXT_AGE]){0}, TEXT_AGE, age_s)

#define NAMES_MOST 5       /* of guests that have a fault */
#define PERIOD_MOST_S 10   /* older statistics are of another load */
#define RESERVE_PART 128   /* less of the host than this is no reserve: the default's share */
#define UNUSED_PART 16     /* of the host, in huge pages that nothing uses */
#define MOVE_OURS_S 30     /* a balloon of ours that moves is there by then */
#define MOVE_RECENT_S 3600 /* of older moves nothing can be learned */

/* One doctor_examine. */
struct round {
	const struct examination *e;
	void (*say)(void *arg, const struct finding *f);
	void *arg;
};

static void __attribute__((format(printf, 5, 6)))
find(const struct round *r, const char *group, const char *check, enum verdict verdict, const char *format, ...)
{
	struct finding f = {.group = group, .check = check, .verdict = verdict};
	va_list args;

	va_start(args, format);
	vsnprintf(f.text, sizeof(f.text), format, args);
	va_end(args);
	r->say(r->arg, &f);
}

/* ---- the hook ---- */

static bool hook_saw_a_start(const struct balance_report *rep)
{
	for (size_t i = 0; rep && i < rep->n; i++)
		if (rep->guest[i].started_s)
			return true;
	return false;
}

static void examine_hook(const struct round *r)
{
	const struct setup *s = r->e->setup;

	if (!*s->hook) {
		find(r, "hook", "installed", VERDICT_WARN,
		     "it is not in /etc/libvirt/hooks, so guests that start are only found by passes: 'make install', "
		     "or install the package again");
		return;
	}
	find(r, "hook", "installed", VERDICT_PASS, "%s", s->hook);
	if (!s->hook_runs)
		find(r, "hook", "executable", VERDICT_WARN,
		     "libvirt does not run it: 'chmod 755 %s', unless SELinux enforces; see memsched-hints(7)",
		     s->hook);
	else if (!s->has_helper)
		find(r, "hook", "executable", VERDICT_WARN, "its helper memsched-hook is missing: install again");
	else
		find(r, "hook", "executable", VERDICT_PASS, "it and its helper");
	if (hook_saw_a_start(r->e->report))
		find(r, "hook", "seen by libvirt", VERDICT_PASS, "it registered a guest that runs");
	else if (s->daemon_began_s > s->hook_changed_s)
		find(r, "hook", "seen by libvirt", VERDICT_PASS, "it was there when libvirt's daemon was started");
	else
		find(r, "hook", "seen by libvirt", VERDICT_WARN,
		     "no running guest was started through it: 'systemctl reload libvirtd' (or virtqemud), if that was "
		     "not done since it was installed");
}

/* ---- guests ---- */

#define GUEST_HAS(fault, expression)                                                                                   \
	static bool fault(const struct round *r, const struct guest *g)                                                \
	{                                                                                                              \
		(void)r;                                                                                               \
		return expression;                                                                                     \
	}

GUEST_HAS(has_no_balloon, g->answered && !g->device.balloon && !g->device.unknown)
GUEST_HAS(has_no_driver, g->plan.reason == REASON_NO_DRIVER)
GUEST_HAS(has_no_statistics, g->plan.reason == REASON_NO_STATS || g->plan.reason == REASON_STALE_STATS)
GUEST_HAS(has_no_period,
          g->answered && g->device.balloon && (!g->device.period_s || g->device.period_s > PERIOD_MOST_S))
GUEST_HAS(is_autodeflated, g->device.autodeflate)
GUEST_HAS(has_no_reporting, g->answered && g->device.balloon && !g->device.reporting)
GUEST_HAS(has_bad_hints, g->hints.voided || g->hints.n_faults)
GUEST_HAS(is_pinned, g->device.locked || g->device.hugepages || g->device.passthrough || g->device.virtio_mem)
GUEST_HAS(is_bound, g->device.numa_bound)
GUEST_HAS(is_silent, g->hung || g->order.error)
GUEST_HAS(does_not_move, g->plan.reason == REASON_STUCK || g->plan.reason == REASON_NO_GAIN)

/* Actual has changed long after our last order, and the guard has sent none since. A reboot, or a balloon that deflates
 * by itself, moves it too. */
static bool is_moved_by_another(const struct round *r, const struct guest *g)
{
	const struct past *p = &g->past;
	uint64_t now_ms = r->e->now.now_ms, slow_ms = MOVE_OURS_S * 1000;
	uint64_t asked_s = sat_sub(r->e->now.wall_ms, sat_sub(now_ms, p->asked_ms)) / 1000;

	if (!r->e->status->pass.interval_ms)
		slow_ms += 2 * PASS_SINGLE_MS; /* the next pass sees the result of the last one */
	return p->known && p->still_ms && p->asked_ms && !p->asked_kib && !p->refused && !g->device.autodeflate &&
	       p->still_ms > p->asked_ms + slow_ms && sat_sub(now_ms, p->still_ms) < MOVE_RECENT_S * 1000 &&
	       sat_sub(p->still_ms, p->booted_ms) > slow_ms && r->e->status->guard.commanded_s < asked_s;
}

static const struct guest_check {
	const char *check, *good;
	bool (*has_fault)(const struct round *r, const struct guest *g);
	enum verdict verdict;
	const char *fault;  /* stands behind "2 of 30 (vm1, vm2) " */
	const char *behind; /* the end of a command, before which the name of the first stands; NULL: there is none */
} guest_checks[] = {
    {"answer", "all", is_silent, VERDICT_FAIL,
     "did not answer, or refused a command; look at their logs in /var/log/libvirt/qemu, and at 'virsh domcontrol ",
     "'"},
    {"balloon device", "all", has_no_balloon, VERDICT_WARN,
     "have none, and stay as they are: give them <memballoon model='virtio'/>", NULL},
    {"balloon driver", "in all that have the device", has_no_driver, VERDICT_WARN,
     "have never reported: load virtio_balloon in the guest; Windows needs virtio-win's Balloon driver and its service "
     "BLNSVR",
     NULL},
    {"statistics", "fresh in all", has_no_statistics, VERDICT_WARN,
     "have none with their free memory now; look at the driver in the guest, and at 'virsh dommemstat ", "'"},
    {"period", "at most 10 s in all", has_no_period, VERDICT_WARN,
     "have no statistics period, or one of more than 10 s; a pass sets it in running guests: 'virsh "
     "dommemstat ",
     " --period 1 --live --config'"},
    {"balloon moves", "in all", does_not_move, VERDICT_WARN,
     "do not obey, or the host gets nothing back: 'memstat --explain ", "'"},
    {"other movers", "none", is_moved_by_another, VERDICT_WARN,
     "have moved without being asked by membalance or memguard: does another program ('virsh setmem', MOM, vdsm) move "
     "balloons?",
     NULL},
    {"autodeflate", "none", is_autodeflated, VERDICT_WARN,
     "take memory back by themselves when they are short, whatever the host has: set autodeflate='off' in "
     "<memballoon>",
     NULL},
    {"free page reporting", "in all", has_no_reporting, VERDICT_WARN,
     "keep what they leave free until the balloon takes it: set freePageReporting='on' in <memballoon>", NULL},
    {"hints", "none is void", has_bad_hints, VERDICT_WARN,
     "have hints that are void or unknown, see memsched-hints(7): 'memstat ", "' says which"},
    {"pinned memory", "none", is_pinned, VERDICT_WARN,
     "have locked memory, huge pages, host devices or virtio-mem, so the host gets nothing back: they are left alone",
     NULL},
    {"NUMA binding", "none is bound", is_bound, VERDICT_WARN,
     "take memory from some nodes alone, which may be full while the host is not: mode='preferred' in <numatune>",
     NULL},
};

/* "vm1, vm2 and 3 more" */
static void add_name(char *names, size_t size, size_t n, const char *name)
{
	size_t used = strlen(names);
	char escaped[64];

	if (n < NAMES_MOST)
		snprintf(names + used, size - used, "%s%s", used ? ", " : "",
		         text_escape(escaped, sizeof(escaped), name, text_is_utf8()));
}

static void examine_guests_for(const struct round *r, const struct guest_check *c)
{
	const struct balance_report *rep = r->e->report;
	char names[64 * NAMES_MOST] = "", more[32] = "", first[TEXT_GUEST_WORD] = "";
	size_t n = 0;

	for (size_t i = 0; i < rep->n; i++)
		if (c->has_fault(r, &rep->guest[i])) {
			add_name(names, sizeof(names), n++, rep->guest[i].name);
			if (n == 1)
				text_guest_word(first, &rep->guest[i]);
		}
	if (n > NAMES_MOST)
		snprintf(more, sizeof(more), " and %zu more", n - NAMES_MOST);
	if (n)
		find(r, "guests", c->check, c->verdict, "%zu of %zu (%s%s) %s%s%s", n, rep->n, names, more, c->fault,
		     c->behind ? first : "", c->behind ? c->behind : "");
	else
		find(r, "guests", c->check, VERDICT_PASS, "%s", c->good);
}

static void examine_guests(const struct round *r)
{
	if (!r->e->report) {
		find(r, "guests", "libvirt", VERDICT_FAIL, "%s", r->e->failure ? r->e->failure : "no answer");
		return;
	}
	find(r, "guests", "libvirt", VERDICT_PASS, "%zu running", r->e->report->n);
	for (size_t i = 0; i < COUNT(guest_checks); i++)
		examine_guests_for(r, &guest_checks[i]);
}

/* ---- the host ---- */

static void examine_figures(const struct round *r)
{
	const struct host *h = &r->e->report->host;
	char text[256];

	if (h->doubtful)
		find(r, "host", "figures", VERDICT_WARN,
		     "%s: the kernel or ZFS lost count (update it), or a container shows figures of its host",
		     report_doubtful(text, sizeof(text), h));
	else
		find(r, "host", "figures", VERDICT_PASS, "none contradicts the others");
}

static void examine_reserve(const struct round *r)
{
	const struct host *h = &r->e->report->host;
	uint64_t reserve_kib = r->e->report->reserve_kib, host_kib = host_pageable_kib(h);

	if (h->available_kib < reserve_kib)
		find(r, "host", "available memory", VERDICT_FAIL,
		     "%s, less than the reserve of %s: 'membalance --dry-run --explain' and 'memguard --dry-run "
		     "--explain' say why",
		     SIZE(h->available_kib), SIZE(reserve_kib));
	else
		find(r, "host", "available memory", VERDICT_PASS, "%s", SIZE(h->available_kib));
	if (reserve_kib < host_kib / RESERVE_PART)
		find(r, "host", "reserve", VERDICT_WARN, "%s is less than 1/128 of %s: raise 'reserve' or remove it",
		     SIZE(reserve_kib), SIZE(host_kib));
	else if (reserve_kib > host_kib / 2)
		find(r, "host", "reserve", VERDICT_WARN, "%s is more than half of %s: guests cannot have it",
		     SIZE(reserve_kib), SIZE(host_kib));
	else
		find(r, "host", "reserve", VERDICT_PASS, "%s of %s", SIZE(reserve_kib), SIZE(host_kib));
}

static void examine_plenty(const struct round *r)
{
	uint64_t plenty_kib = r->e->report->budget.plenty_kib, host_kib = host_pageable_kib(&r->e->report->host);

	if (plenty_kib > host_kib / 2)
		find(r, "host", "plenty", VERDICT_WARN,
		     "%s is more than half of %s: page cache of guests gets nothing: lower 'plenty' or remove it",
		     SIZE(plenty_kib), SIZE(host_kib));
	else
		find(r, "host", "plenty", VERDICT_PASS, "%s of %s", SIZE(plenty_kib), SIZE(host_kib));
}

static void examine_swap(const struct round *r)
{
	const struct host *h = &r->e->report->host;
	const char *zram = r->e->setup->zram ? ", compressed in memory (zram)" : "";

	if (!h->swap_kib)
		find(r, "host", "swap", VERDICT_WARN,
		     "none: what memguard cannot take back in time ends with the kernel killing a QEMU; a little swap "
		     "gives it time");
	else if (h->swap_free_kib < h->swap_kib / 2)
		find(r, "host", "swap", VERDICT_WARN,
		     "%s of %s are in use%s: the host swaps guests out; lower their sizes",
		     SIZE(h->swap_kib - h->swap_free_kib), SIZE(h->swap_kib), zram);
	else
		find(r, "host", "swap", VERDICT_PASS, "%s%s", SIZE(h->swap_kib), zram);
}

static void examine_kernel(const struct round *r)
{
	const struct host *h = &r->e->report->host;
	uint64_t room_kib = sat_sub(h->available_kib, r->e->report->reserve_kib);

	if (h->has_pressure)
		find(r, "host", "pressure", VERDICT_PASS, "/proc/pressure/memory");
	else
		find(r, "host", "pressure", VERDICT_WARN,
		     "the kernel does not report memory pressure, so memguard is not woken by it: boot with psi=1");
	if (h->ksm_kib > room_kib)
		find(
		    r, "host", "KSM", VERDICT_WARN,
		    "%s are merged and come apart if guests write to them, but only %s are available above the reserve",
		    SIZE(h->ksm_kib), SIZE(room_kib));
	else
		find(r, "host", "KSM", VERDICT_PASS, "%s merged", h->ksm_kib ? SIZE(h->ksm_kib) : "nothing");
	if (h->hugetlb_free_kib > h->total_kib / UNUSED_PART)
		find(r, "host", "huge pages", VERDICT_WARN,
		     "%s of %s are set aside and not used: lower vm.nr_hugepages", SIZE(h->hugetlb_free_kib),
		     SIZE(h->hugetlb_kib));
	else
		find(r, "host", "huge pages", VERDICT_PASS, "%s", h->hugetlb_kib ? SIZE(h->hugetlb_kib) : "none");
	if (r->e->setup->fills_up)
		find(r, "host", "khugepaged", VERDICT_WARN,
		     "it fills up what balloons gave back: 'echo 0 "
		     ">/sys/kernel/mm/transparent_hugepage/khugepaged/max_ptes_none' at each boot");
	else
		find(r, "host", "khugepaged", VERDICT_PASS, "it leaves alone what balloons gave back");
	if (h->limit_kib)
		find(r, "host", "control groups", VERDICT_WARN,
		     "a limit of %s around the guests bounds what is available: raise MemoryMax or MemoryHigh of "
		     "machine.slice",
		     SIZE(h->limit_kib));
	else
		find(r, "host", "control groups", VERDICT_PASS, "no limit");
}

/* ---- the service ---- */

static void examine_passes(const struct round *r)
{
	const struct setup *s = r->e->setup;
	const struct status *st = r->e->status;
	int n = s->cron + s->timer + s->loop, pause_unknown = r->e->report ? r->e->report->pause_unknown : 0;
	char enabled[96] = "", text[256];

	snprintf(enabled, sizeof(enabled), "%s%s%s%s%s", s->cron ? "cron's line" : "", s->cron && n > 1 ? ", " : "",
	         s->timer ? "membalance-once.timer" : "", s->timer && s->loop ? ", " : "",
	         s->loop ? "membalance.service" : "");
	if (n > 1)
		find(r, "service", "membalance", VERDICT_WARN, "%s: enable one alone", enabled);
	else if (n)
		find(r, "service", "membalance", VERDICT_PASS, "%s", enabled);
	else
		find(r, "service", "membalance", VERDICT_WARN,
		     "not enabled: 'systemctl enable --now membalance.service', the timer, or cron's line");
	if (!st)
		return;
	if (pause_unknown)
		find(r, "service", "last pass", VERDICT_FAIL, "%s",
		     report_pause_unknown(text, sizeof(text), pause_unknown));
	else if (st->paused_ms)
		find(r, "service", "last pass", VERDICT_WARN, "paused for another %s: 'membalance --resume' ends it",
		     AGE((st->paused_ms + 999) / 1000));
	else if (!st->has_pass)
		find(r, "service", "last pass", VERDICT_WARN,
		     "none since the host was started: 'membalance --once -v'");
	else if (pass_heartbeat_is_overdue(&st->pass, st->now_s))
		find(r, "service", "last pass", n ? VERDICT_FAIL : VERDICT_WARN,
		     "%s ago: 'membalance --once -v' says why; look at 'systemctl status membalance.service'",
		     AGE(sat_sub(st->now_s, st->pass.ended_s)));
	else
		find(r, "service", "last pass", VERDICT_PASS, "%s ago", AGE(sat_sub(st->now_s, st->pass.ended_s)));
}

static void examine_guard(const struct round *r)
{
	const struct status *st = r->e->status;

	if (!st)
		return;
	if (st->presence == GUARD_SILENT)
		find(r, "service", "memguard", VERDICT_FAIL,
		     "has not been heard of for %s: 'systemctl restart memguard'",
		     AGE(sat_sub(st->now_s, st->guard.written_s)));
	else if (st->presence == GUARD_ABSENT)
		find(r, "service", "memguard", VERDICT_WARN, "does not run%s: 'systemctl %s memguard.service'",
		     r->e->setup->guard ? " though it is enabled" : "", r->e->setup->guard ? "status" : "enable --now");
	else
		find(r, "service", "memguard",
		     st->guard.level == GUARD_CALM    ? VERDICT_PASS
		     : st->guard.level == GUARD_TIGHT ? VERDICT_WARN
		                                      : VERDICT_FAIL,
		     "%s for %s", guard_level_word(st->guard.level), AGE(sat_sub(st->now_s, st->guard.since_s)));
}

/* error: of struct setup. Only root can check whether root can write. */
static void examine_file(const struct round *r, const char *key, const char *value, int error, const char *advice)
{
	char escaped[256];

	if (!value)
		find(r, "service", key, VERDICT_PASS, "not configured");
	else if (error && (error != -EACCES || r->e->setup->is_root))
		find(r, "service", key, VERDICT_FAIL, "'%s': %s: %s",
		     text_escape(escaped, sizeof(escaped), value, text_is_utf8()), file_words(error), advice);
	else
		find(r, "service", key, VERDICT_PASS, "'%s'%s",
		     text_escape(escaped, sizeof(escaped), value, text_is_utf8()),
		     error ? " (only root can check)" : "");
}

static void examine_service(const struct round *r)
{
	const struct conf *c = r->e->conf;
	const struct setup *s = r->e->setup;
	const struct balance_report *rep = r->e->report;

	if (c->n_warnings)
		find(r, "service", "configuration", VERDICT_WARN, "%s%s", c->warning[0],
		     c->n_warnings > 1 ? ", and more: 'membalance --show-config'" : "");
	else
		find(r, "service", "configuration", VERDICT_PASS, "good");
	if (rep && rep->unusable)
		find(r, "service", "/run/memsched", VERDICT_FAIL, "cannot be used: %s: root must own it, with mode 755",
		     strerror(-rep->unusable));
	else
		find(r, "service", "/run/memsched", VERDICT_PASS, "usable");
	examine_passes(r);
	examine_guard(r);
	examine_file(r, "on_critical", c->on_critical, s->on_critical, "it must be there, and executable");
	examine_file(r, "log", c->log, s->log, "make its directory, and writable for membalance");
	examine_file(r, "textfile", c->textfile, s->textfile, "make its directory, and writable for membalance");
}

void doctor_examine(const struct examination *e, void (*say)(void *arg, const struct finding *f), void *arg)
{
	const struct round r = {e, say, arg};
	bool here = !e->status || !e->status->remote;

	if (here)
		examine_hook(&r);
	examine_guests(&r);
	if (e->report && here) {
		examine_figures(&r);
		examine_reserve(&r);
		examine_plenty(&r);
		examine_swap(&r);
		examine_kernel(&r);
	}
	if (here)
		examine_service(&r);
}

/* ---- output ---- */

static const char *const words[][2] = {
    [VERDICT_PASS] = {"PASS", "pass"}, [VERDICT_WARN] = {"WARN", "warn"}, [VERDICT_FAIL] = {"FAIL", "fail"}};

struct sheet {
	FILE *out;
	struct json json;
	enum verdict worst;
};

static void write_line(void *arg, const struct finding *f)
{
	struct sheet *s = arg;

	fprintf(s->out, "%-8s %-20s %s  %s\n", f->group, f->check, words[f->verdict][0], f->text);
	s->worst = f->verdict > s->worst ? f->verdict : s->worst;
}

static void write_object(void *arg, const struct finding *f)
{
	struct sheet *s = arg;

	json_object(&s->json, NULL);
	json_string(&s->json, "group", f->group);
	json_string(&s->json, "check", f->check);
	json_string(&s->json, "result", words[f->verdict][1]);
	json_string(&s->json, "text", f->text);
	json_end_object(&s->json);
	s->worst = f->verdict > s->worst ? f->verdict : s->worst;
}

enum verdict doctor_report(FILE *out, const struct examination *e, bool json)
{
	struct sheet s = {.out = out};

	if (!json) {
		doctor_examine(e, write_line, &s);
		return s.worst;
	}
	json_begin(&s.json, out, "memsched.check/1");
	json_array(&s.json, "checks");
	doctor_examine(e, write_object, &s);
	json_end_array(&s.json);
	json_string(&s.json, "result", words[s.worst][1]);
	json_end_object(&s.json);
	return s.worst;
}
