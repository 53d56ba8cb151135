/* SPDX-License-Identifier: MIT */
/* memguard: keeps the host alive: before it runs short of memory, takes memory back from guests, hard if need be. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"
#include "base/uri.h"
#include "host/complaints.h"
#include "host/heartbeat.h"
#include "host/wakeup.h"
#include "run/guardlog.h"
#include "run/loop.h"
#include "run/memlock.h"
#include "run/monitor.h"
#include "run/on_critical.h"
#include "show/report.h"
#include "show/status.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/say.h"

#define STEP_MS 100          /* between two looks of a single run */
#define REREAD_MS 500        /* between two readings of a single run */
#define HOUSEKEEPING_MS 1000 /* between two rounds of the work that can wait */
#define MINUTE_MS 60000
#define STUCK_MS 30000 /* a reading that does not hang is over within a few seconds */
#define SENTENCE 640
#define REST_MS 3000   /* without a command the host is in no hurry */
#define LOG_END_MS 300 /* the end waits for a disk; that of a single run until its deadline */

static bool once, dry_run, explain, check, quiet, verbose, show_config, unused_flag;
static const char *root = "", *file;
static char root_words[1024]; /* root, safe to print */

static struct option_row rows[] = {
    {0, "once", NULL, "look once and take memory back if the host needs it", .flag = &once},
    {'n', "dry-run", NULL, "look once and print what it would take, but change nothing", .flag = &dry_run},
    {0, "explain", NULL, "with --once or --dry-run: print a sentence for each guest", .flag = &explain},
    {0, "check", NULL, "print one line for a monitoring system, with its exit code", .flag = &check},
    {'c', "connect", "URI", "libvirt to ask (qemu:///system)", .key = "uri"},
    {0, "reserve", "SIZE", "memory that stays available on the host", .key = "reserve"},
    {0, "target", "SIZE", "headroom each guest should have", .key = "target"},
    {0, "on-critical", "COMMAND", "command to run when the host is critical", .key = "on_critical"},
    {0, "deadline", "TIME", "end a single run after this time", .key = "deadline"},
    {0, "config", "FILE", "read FILE in place of /etc/memsched.conf", .text = &file},
    {0, "show-config", NULL, "print the effective settings and the origin of each", .flag = &show_config},
    {0, "root", "DIR", "use DIR/proc, DIR/run, DIR/etc and DIR/var", .text = &root},
    {'q', "quiet", NULL, "no warnings, only errors", .flag = &quiet},
    {'v', "verbose", NULL, "report commands and foreseen shortages", .flag = &verbose},
    {'h', "help", NULL, "show this help", .flag = &unused_flag},
    {'V', "version", NULL, "show the version", .flag = &unused_flag},
    {.name = NULL},
};

static struct complaints complaints;

static const struct program memguard = {
    .name = "memguard",
    .synopsis = "[--once | --dry-run | --check] [options]",
    .purpose = "Takes memory back from guests before the host runs short.",
    .rows = rows,
    .quiet = &quiet,
    .complaints = &complaints,
    .guards_host = true,
};

/* Keys of complaints that last until the next check. */
#define CANNOT_FREE "cannot free"
#define CANNOT_BE_WOKEN "cannot be woken by a guest that starts"
#define HOST_COMPLAINTS 32 /* places that those about guests leave */

/* ---- words ---- */

static const char *host_words(const struct monitor_view *v, char *text, size_t size)
{
	return report_available(text, size, v->host.available_kib, v->reserve_kib);
}

static void say_cannot(const struct monitor_view *v, const char *refused)
{
	char text[SENTENCE + 128];

	say_error(&memguard, "%s", report_cannot_free(text, sizeof(text), v, refused));
}

static void say_of_libvirt(const struct conf *conf, int error, const char *words)
{
	char *sentence = report_failure(error, conf->uri, root, words);

	say_error(&memguard, "%s", sentence ? sentence : strerror(-error));
	free(sentence);
}

static void complain_of_figures(const struct host *h)
{
	char text[SENTENCE];

	if (h->doubtful)
		say_complaint(&memguard, LOG_WARNING, "host doubtful", "host: %s",
		              report_doubtful(text, sizeof(text), h));
}

/* If too many guests have faults, some are not said: complaints that find no place are said at each look. */
static void say_of_guest(void *program, const char *key, const char *sentence)
{
	if (complaints.n < COMPLAINTS_MAX - HOST_COMPLAINTS)
		say_complaint_as(program, key, sentence);
	else
		complaints_keep(&complaints, key);
}

/* Records of the registry that cannot be read count as absent, and void hints too, as in membalance. */
static void complain_of_guests(struct monitor *s)
{
	struct snapshot *h = monitor_snapshot(s);
	char text[SENTENCE];

	if (monitor_pending_unreadable(s))
		say_complaint(&memguard, LOG_WARNING, "pending", "%s", report_unreadable(text, sizeof(text), NULL));
	for (size_t i = 0; i < h->n; i++)
		report_complain_guest(&h->guest[i], say_of_guest, (void *)&memguard);
}

/* One complaint, even if the error changes: a libvirtd that starts is first absent and then too slow. words may come
 * from outside; NULL: those of the error. */
static void complain_of_error(const char *what, int error, const char *words)
{
	char escaped[SENTENCE];

	if (error)
		say_complaint(&memguard, LOG_ERR, what, "%s: %s", what,
		              words ? text_escape(escaped, sizeof(escaped), words, text_is_utf8()) : strerror(-error));
}

static void explain_guest(FILE *out, const struct monitor_view *v, const struct conf *conf, const struct guest *g)
{
	char name[256], actual[TEXT_SIZE], give[TEXT_SIZE], bottom[TEXT_SIZE];
	enum reason why = reclaim_refusal(v->way, conf->tolerance_kib, g);

	text_escape(name, sizeof(name), g->name, text_is_utf8());
	text_size(actual, sizeof(actual), g->sample.actual_kib);
	text_size(bottom, sizeof(bottom), reclaim_bottom_kib(g));
	if (v->reclaiming && g->plan.want_kib < g->sample.actual_kib)
		fprintf(out, "%s: gives %s of its %s; it is left at least %s\n", name,
		        text_size(give, sizeof(give), g->sample.actual_kib - g->plan.want_kib), actual, bottom);
	else if (reclaim_spares_untouched(v->way, conf->tolerance_kib, g))
		fprintf(out,
		        "%s: has %s and gives nothing: its idle memory is untouched so far, or being touched now\n",
		        name, actual);
	else if (why)
		fprintf(out, "%s: has %s and gives nothing: %s\n", name, actual, reason_word(why));
	else
		fprintf(out, "%s: has %s and need not give; it is left at least %s\n", name, actual, bottom);
}

static uint64_t wanted_kib(const struct monitor_view *v)
{
	return sat_add(v->reserve_kib, sat_add(v->pending_kib, v->starting_kib));
}

/* The part that the guests do not cover. */
static void explain_missing(FILE *out, const struct monitor_view *v)
{
	uint64_t missing_kib = sat_sub(wanted_kib(v), sat_add(v->host.available_kib, v->planned_kib));
	char missing[TEXT_SIZE];

	if (v->reclaiming && missing_kib)
		fprintf(out, "; %s still missing", text_size(missing, sizeof(missing), missing_kib));
}

static void explain_all(FILE *out, struct monitor *s, const struct monitor_view *v, const struct conf *conf)
{
	const struct snapshot *h = monitor_snapshot(s);
	char text[SENTENCE], planned[TEXT_SIZE];

	for (size_t i = 0; i < h->n && explain; i++)
		explain_guest(out, v, conf, &h->guest[i]);
	if (explain || dry_run) {
		fprintf(out, "host: %s: %s; guests give %s", guard_level_word(v->level),
		        host_words(v, text, sizeof(text)),
		        v->planned_kib ? text_size(planned, sizeof(planned), v->planned_kib) : "nothing");
		explain_missing(out, v);
		fputc('\n', out);
	}
}

/* ---- --check ---- */

/* A monitoring system must not take missing output for OK. */
static _Noreturn void end_check(int code)
{
	program_end(&memguard, output_flush() ? 3 : code);
}

/* ---- a single run ---- */

/* Repeats looks until the host has the memory it needs, or no more is on its way. */
static int reclaim_once(FILE *out, struct monitor *s, const struct conf *conf, uint64_t end_ms)
{
	uint64_t read_ms = clock_ms(CLOCK_BOOTTIME);
	char refused[SENTENCE];
	struct monitor_view v;
	bool first = true, cannot = false;
	int r;

	do {
		r = monitor_look(s, &v);
		if (r)
			return r;
		complain_of_figures(&v.host);
		if (first)
			explain_all(out, s, &v, conf);
		first = false;
		cannot = monitor_cannot(s, &v, refused, sizeof(refused));
		if (dry_run || !v.reclaiming || v.host.available_kib >= wanted_kib(&v) || !monitor_awaits(s, &v))
			break;
		if (clock_ms(CLOCK_BOOTTIME) - read_ms >= REREAD_MS) {
			monitor_read(s, min_u64(end_ms, clock_ms(CLOCK_BOOTTIME) + REREAD_MS));
			read_ms = clock_ms(CLOCK_BOOTTIME);
		}
	} while (loop_sleep_until(clock_ms(CLOCK_BOOTTIME) + STEP_MS) && clock_ms(CLOCK_BOOTTIME) < end_ms);
	if (!dry_run && v.host.available_kib < guard_tight_kib(&(struct guard_conf){.reserve_kib = v.reserve_kib})) {
		say_cannot(&v, cannot ? refused : "no guest, but this takes longer than the deadline");
		return -EBUSY;
	}
	return 0;
}

static int run_once(FILE *out, struct monitor *s, const struct conf *conf)
{
	uint64_t now_ms = clock_ms(CLOCK_BOOTTIME), end_ms = now_ms + conf->deadline_ms;
	int r = monitor_prepare(s, now_ms + conf->deadline_ms / 2), short_of;

	if (!r)
		r = monitor_read(s, now_ms + conf->deadline_ms / 2);
	if (r)
		say_of_libvirt(conf, r, monitor_words(s));
	complain_of_guests(s);
	short_of = reclaim_once(out, s, conf, end_ms);
	if (short_of && short_of != -EBUSY)
		say_of_libvirt(conf, -ENODATA, "");
	return short_of ? EXIT_FAILED : exit_code_of(r);
}

/* ---- the loop ---- */

struct daemon {
	struct conf *conf;
	struct monitor *monitor;
	struct wakeup wake;
	struct guardlog *log;
	struct guard_heartbeat heartbeat;
	uint64_t heartbeat_ms;              /* the last write; 0: never */
	bool refused;                       /* guests do not free enough in this emergency */
	bool said_start;                    /* the first message with -v or on a terminal */
	struct on_critical *command;        /* on_critical; NULL: none */
	enum guard_level level, said_level; /* now, and in the last message */
	bool takes;                         /* in the last message */
	bool reload, reconnect;
	bool tested;                                              /* the command is being tested */
	int registry;                                             /* its last error; 0: none */
	uint64_t command_ms, housekeeping_ms, pinged_ms, sent_ms; /* the last time; 0: never */
};

/* Foreseen shortages come and go with the load of guests, so they are reported only with --verbose. */
static void say_level(struct daemon *d, const struct monitor_view *v)
{
	enum guard_level level = v->foreseen && !verbose ? GUARD_CALM : v->level;
	bool takes = v->reclaiming && v->planned_kib && (level || !v->foreseen), new_level = level != d->said_level;
	char text[SENTENCE], planned[TEXT_SIZE];

	host_words(v, text, sizeof(text));
	text_size(planned, sizeof(planned), v->planned_kib);
	if (takes && (new_level || !d->takes))
		say_warning(&memguard, "%s: %s; taking back %s",
		            level ? guard_level_word(level) : "making room for a guest that starts", text, planned);
	else if (new_level)
		say_warning(&memguard, "%s: %s", guard_level_word(level), text);
	d->level = v->level;
	d->said_level = level;
	d->takes = takes;
}

static void say_commands(const struct monitor_view *v)
{
	char text[SENTENCE], when[TEXT_CLOCK];

	if (verbose && v->sent > 0)
		say_note(&memguard, "at %s: %s: %s; %d commands, %llu ms after the look",
		         text_clock(when, sizeof(when), v->at.wall_ms / 1000, v->at.wall_ms / 1000),
		         guard_level_word(v->level), host_words(v, text, sizeof(text)), v->sent,
		         (unsigned long long)(v->sent_ms - v->at.now_ms));
}

/* An administrator in the foreground sees which host and how many guests are guarded, once the guests have been read.
 */
static void say_what_is_guarded(struct daemon *d, const struct monitor_view *v)
{
	const struct snapshot *s = monitor_snapshot(d->monitor);
	const struct guard_conf gc = {.reserve_kib = v->reserve_kib};
	char text[SENTENCE], tight[TEXT_SIZE], critical[TEXT_SIZE];

	if (d->said_start || !s->began_ms)
		return;
	d->said_start = true;
	if (verbose || isatty(STDERR_FILENO))
		say_note(&memguard, "watching this host and its %zu guest%s: %s; tight below %s, critical below %s",
		         s->n, s->n == 1 ? "" : "s", host_words(v, text, sizeof(text)),
		         text_size(tight, sizeof(tight), guard_tight_kib(&gc)),
		         text_size(critical, sizeof(critical), guard_critical_kib(&gc)));
}

/* Once a minute, as its numbers change. It lasts as long as the host is short. */
static void complain_of_shortage(struct daemon *d, const struct monitor_view *v)
{
	char refused[SENTENCE], text[SENTENCE + 128];

	d->refused &= v->level > GUARD_CALM;
	if (!monitor_cannot(d->monitor, v, refused, sizeof(refused))) {
		if (v->level > GUARD_CALM)
			complaints_keep(&complaints, CANNOT_FREE);
		return;
	}
	d->heartbeat.refusals += !d->refused;
	d->refused = true;
	report_cannot_free(text, sizeof(text), v, refused);
	if (complaints_raise(&complaints, CANNOT_FREE, text, v->at.now_ms / 1000, MINUTE_MS / 1000))
		say_error(&memguard, "%s", text);
}

static void complain_of_log(const struct guardlog *a)
{
	char sentence[SENTENCE];

	if (a->conf->log && a->log_error)
		say_complaint(&memguard, LOG_ERR, "log", "%s",
		              movelog_complaint(sentence, sizeof(sentence), &a->log, a->conf->log, a->log_error));
	if (a->conf->history && a->history.error)
		say_complaint(&memguard, LOG_WARNING, "history", "%s",
		              recorder_complaint(sentence, sizeof(sentence), &a->history));
}

static void say_of_command(const struct conf *conf, int error)
{
	char command[256];

	if (error)
		say_error(&memguard, "cannot run on_critical '%s': %s",
		          text_escape(command, sizeof(command), conf->on_critical, text_is_utf8()), strerror(-error));
}

static void run_command(struct daemon *d, const struct monitor_view *v)
{
	const struct on_critical_number numbers[] = {
	    {"MEMSCHED_AVAILABLE_BYTES", v->host.available_kib * 1024},
	    {"MEMSCHED_RESERVE_BYTES", v->reserve_kib * 1024},
	    {"MEMSCHED_LACK_BYTES", v->lack_kib * 1024},
	    {"MEMSCHED_FREED_BYTES", v->freed_kib * 1024},
	    {NULL, 0},
	};

	if (v->level != GUARD_CRITICAL || !d->command || !clock_is_due(d->command_ms, v->at.now_ms, MINUTE_MS))
		return;
	d->command_ms = v->at.now_ms;
	d->heartbeat.commands_run++;
	say_of_command(d->conf, on_critical_run(d->command, numbers));
}

/* A command that cannot be executed now is kept: it may be there by the time it is needed. */
static void report_command_test(struct daemon *d)
{
	int r = d->tested ? on_critical_outcome(d->command) : -EINPROGRESS;

	if (r == -EINPROGRESS)
		return;
	d->tested = false;
	say_of_command(d->conf, r);
}

/* Without it the guard sees starts only at its next look. If there is no registry, only that is reported. */
static void watch_pending(struct daemon *d)
{
	int r = d->wake.pending >= 0 ? 0 : d->registry ? -ENOENT : monitor_watch_pending(d->monitor);
	bool limit = r == -EMFILE || r == -ENOSPC;

	if (r > 0)
		d->wake.pending = r;
	if (r == -ENOENT)
		complaints_keep(&complaints, CANNOT_BE_WOKEN);
	else if (r < 0)
		complain_of_error(
		    CANNOT_BE_WOKEN, r,
		    limit ? "inotify is at its limit: raise fs.inotify.max_user_instances or max_user_watches" : NULL);
}

/* Work that can wait until commands are sent: connections, the registry, and complaints about them. */
static void do_housekeeping(struct daemon *d, uint64_t now_ms)
{
	int r;

	if (!clock_is_due(d->housekeeping_ms, now_ms, HOUSEKEEPING_MS))
		return;
	d->housekeeping_ms = now_ms;
	r = monitor_error(d->monitor);
	if (!r)
		r = monitor_prepare(d->monitor, now_ms + MONITOR_SEND_MS);
	complain_of_error("cannot see the guests", r, monitor_words(d->monitor));
	d->registry = monitor_open_registry(d->monitor);
	complain_of_error("cannot use '/run/memsched'", d->registry, NULL);
	complain_of_guests(d->monitor);
	watch_pending(d);
	report_command_test(d);
	say_resolved(&memguard);
}

/* The watchdog needs both: the loop goes on, and readings do. */
static void ping_watchdog(struct daemon *d, uint64_t now_ms)
{
	loop_ping_watchdog(&d->pinged_ms, now_ms, monitor_alive_ms(d->monitor) + STUCK_MS);
}

/* systemctl status shows it. */
static void notify_status(const struct guard_heartbeat *b, const struct monitor_view *v)
{
	char state[SENTENCE + 64], host[SENTENCE], since[TEXT_CLOCK];

	snprintf(state, sizeof(state), "STATUS=%s since %s: %s", guard_level_word(b->level),
	         text_clock(since, sizeof(since), b->since_s, b->written_s), host_words(v, host, sizeof(host)));
	loop_notify(state);
}

/* For memstat and --check: at once if the level is new, but after the commands were sent. */
static void write_heartbeat(struct daemon *d, const struct monitor_view *v)
{
	struct guard_heartbeat *b = &d->heartbeat;
	enum guard_level before = b->level;

	guard_heartbeat_note(b, v->level, v->level ? v->lack_kib : 0, v->freed_kib, v->at);
	b->available_kib = v->host.available_kib;
	b->reserve_kib = v->reserve_kib;
	b->no_give = v->level > GUARD_CALM && !v->no_give;
	if (v->sent > 0) {
		b->commands_sent += (uint64_t)v->sent;
		b->commanded_s = v->at.wall_ms / 1000;
	}
	if (before == b->level && !clock_is_due(d->heartbeat_ms, v->at.now_ms, GUARD_HEARTBEAT_MS))
		return;
	d->heartbeat_ms = v->at.now_ms;
	if (monitor_registry(d->monitor)) /* if not, do_housekeeping complains */
		guard_heartbeat_write(b, monitor_registry(d->monitor));
	notify_status(b, v);
}

static uint32_t check_host(struct daemon *d)
{
	struct monitor_view v;
	int r = monitor_look(d->monitor, &v);

	complain_of_error("cannot read '/proc/meminfo'", r, NULL);
	if (r)
		return HOUSEKEEPING_MS;
	complain_of_figures(&v.host);
	say_what_is_guarded(d, &v);
	say_level(d, &v);
	say_commands(&v);
	if (v.sent > 0)
		d->sent_ms = v.at.now_ms;
	run_command(d, &v);
	complain_of_shortage(d, &v);
	write_heartbeat(d, &v);
	complain_of_error("cannot forbid gives", d->registry ? 0 : v.no_give, NULL);
	guardlog_keep(d->log, v.at);
	complain_of_log(d->log);
	do_housekeeping(d, v.at.now_ms);
	ping_watchdog(d, v.at.now_ms);
	return v.nap_ms;
}

static void set_command(struct daemon *d)
{
	int r = 0;

	on_critical_free(d->command);
	d->command = NULL;
	if (d->conf->on_critical)
		r = on_critical_new(d->conf->on_critical, &d->command);
	if (d->command)
		r = on_critical_test(d->command);
	d->tested = d->command && !r;
	say_of_command(d->conf, r);
}

static bool is_ours(void *arg, struct conf *fresh)
{
	struct daemon *d = arg;

	if (uri_is_remote(fresh->uri)) {
		say_error(&memguard, "the configured libvirt is another host's: run memguard there");
		return false;
	}
	if (uri_is_test(fresh->uri, root) != uri_is_test(d->conf->uri, root)) {
		say_error(&memguard, "guests of libvirt's test driver have a guard of their own: start another");
		return false;
	}
	d->reconnect = strcmp(d->conf->uri, fresh->uri) != 0;
	return true;
}

/* Not while commands are sent. A mistyped reserve keeps the host critical for ever, and a reload must correct it, so
 * the level alone does not decide. */
static bool may_reload(const struct daemon *d, uint64_t now_ms)
{
	if (monitor_is_reading(d->monitor))
		return false;
	return d->level == GUARD_CALM || clock_is_due(d->sent_ms, now_ms, REST_MS);
}

static void reload_conf(struct daemon *d)
{
	bool changed;

	d->reload = d->reconnect = false;
	changed = options_reload(&memguard, root, file, is_ours, d, d->conf);
	if (!changed)
		return;
	if (d->reconnect)
		monitor_reconnect(d->monitor);
	set_command(d);
	options_warn(&memguard, d->conf);
	if (verbose)
		say_note(&memguard, "read the configuration again");
}

static void start_daemon(struct daemon *d)
{
	int r = memlock_lower_oom_score();

	signal(SIGCHLD, SIG_IGN); /* on_critical leaves no zombie */
	signal(SIGPIPE, SIG_IGN); /* the reader of stderr may be gone */
	if (r)
		say_warning(&memguard, "cannot lower oom_score_adj: %s", strerror(-r));
	r = wakeup_open(root, &d->wake);
	if (r)
		say_warning(&memguard, "cannot watch memory pressure: %s", strerror(-r));
	set_command(d);
	r = memlock_all(); /* before threads begin, so that they use the memory that it touches */
	if (r)
		say_warning(&memguard, "cannot lock memory: %s", strerror(-r));
	guardlog_reserve(d->log);
	monitor_keep_reading(d->monitor);
	do_housekeeping(d, clock_ms(CLOCK_BOOTTIME));
	loop_notify("READY=1");
}

static int run_loop(struct monitor *s, struct conf *conf, struct guardlog *log)
{
	struct daemon d = {.conf = conf, .monitor = s, .log = log};

	start_daemon(&d);
	while (!*loop_stop()) {
		uint32_t nap_ms = check_host(&d);

		d.reload |= loop_reload();
		if (d.reload && may_reload(&d, clock_ms(CLOCK_BOOTTIME)))
			reload_conf(&d);
		nap_ms = (uint32_t)min_u64(nap_ms, monitor_keep_reading(s));
		monitor_wait(s, &d.wake, nap_ms, loop_stop());
	}
	loop_notify("STOPPING=1");
	wakeup_close(&d.wake);
	on_critical_free(d.command);
	return EXIT_DONE;
}

/* ---- before the first look ---- */

/* A single run has its deadline for the history, unless it is told to end. */
static void wait_for_records(struct guardlog *log, uint64_t end_ms)
{
	uint64_t now_ms = clock_ms(CLOCK_BOOTTIME);

	while (!*loop_stop() && now_ms < end_ms && !guardlog_write(log, min_u64(end_ms, now_ms + STEP_MS)))
		now_ms = clock_ms(CLOCK_BOOTTIME);
}

static int run_guard(FILE *out, struct monitor *s, struct conf *conf)
{
	struct guardlog log;
	bool single = once || dry_run;
	uint64_t end_ms = single ? clock_ms(CLOCK_BOOTTIME) + conf->deadline_ms : 0;
	int r = monitor_open_registry(s), code;

	if (r && !dry_run && (single || r == -EACCES)) /* the loop complains itself */
		say_error(&memguard, "cannot use '%s/run/memsched': %s%s", root_words, strerror(-r),
		          r == -EACCES ? "; only root can guard, others may add '--dry-run'" : "");
	if (r == -EACCES && !dry_run)
		return EXIT_DENIED;
	guardlog_init(&log, conf, memguard.name, root);
	monitor_record(s, &log.log);
	code = single ? run_once(out, s, conf) : run_loop(s, conf, &log);
	if (single) {
		monitor_allow_gives(s);
		wait_for_records(&log, end_ms);
	}
	guardlog_end(&log, clock_ms(CLOCK_BOOTTIME) + LOG_END_MS);
	complain_of_log(&log);
	return code;
}

static int guard_host(struct conf *conf)
{
	struct memfile output; /* a single run forbids gives until it ends, which no reader of stdout may delay */
	struct monitor *s;
	int r = memfile_open(&output) ? monitor_new(conf, root, dry_run, &s) : -ENOMEM, code;

	if (r) {
		say_error(&memguard, "%s", strerror(-r));
		return EXIT_FAILED;
	}
	if (once || dry_run)
		say_later();
	code = run_guard(output.out, s, conf);
	monitor_free(s, clock_ms(CLOCK_BOOTTIME) + MONITOR_SEND_MS);
	r = memfile_close(&output);
	if (r)
		say_error(&memguard, "cannot print the whole result: %s", strerror(-r));
	else
		fputs(output.text, stdout);
	return r && !code ? EXIT_FAILED : code;
}

static int refuse_nonsense(void)
{
	if (once + dry_run + check > 1 && !(once && dry_run && !check)) {
		say_error(&memguard, "'--once', '--dry-run' and '--check' exclude each other; try 'memguard --help'");
		return EXIT_USAGE;
	}
	if (explain && !once && !dry_run) {
		say_error(&memguard, "'--explain' needs '--once' or '--dry-run'; try 'memguard --help'");
		return EXIT_USAGE;
	}
	return EXIT_DONE;
}

int main(int argc, char **argv)
{
	struct conf conf = {0};
	int operand, code;

	program_begin();
	for (int i = 1; i < argc; i++) /* a monitoring system gets an answer even to wrong options */
		check |= !strcmp(argv[i], "--check");
	code = options_parse(&memguard, argc, argv, &operand);
	text_escape(root_words, sizeof(root_words), root, text_is_utf8());
	if (!code)
		code = refuse_nonsense();
	if (!code)
		code = options_conf(&memguard, root, file, &conf);
	if (!code && !check && uri_is_remote(conf.uri)) {
		char uri[256];

		say_error(&memguard, "'%s' is another host's libvirt: run memguard there",
		          text_escape(uri, sizeof(uri), conf.uri, text_is_utf8()));
		code = EXIT_USAGE;
	}
	if (code && check)
		end_check(status_plugin_unknown(*first_error() ? first_error() : "wrong usage or configuration"));
	if (code)
		program_end(&memguard, code);
	if (!once && !dry_run && !check)
		say_without_waiting(); /* a blocked reader of stderr must not stop the guard */
	options_warn(&memguard, &conf);
	if (check)
		end_check(status_plugin(&conf, root, root_words));
	loop_catch_signals();
	if (!once && !dry_run)
		loop_catch_reload(); /* before anyone can see that it runs */
	virt_stop_on(loop_stop());
	program_end(&memguard, guard_host(&conf));
}
