/* SPDX-License-Identifier: MIT */
/* membalance: takes memory from idle guests and gives it to needy ones; one pass, or a loop. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"
#include "base/units.h"
#include "base/uri.h"
#include "host/complaints.h"
#include "host/recorder.h"
#include "run/balance.h"
#include "run/loop.h"
#include "run/snapshot.h"
#include "show/explain.h"
#include "show/metrics.h"
#include "show/report.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/pause.h"
#include "cli/say.h"

#define WORKERS 4
#define SENTENCE 512
#define LAST_MS 300 /* of the second in which a loop ends */

static bool once, loop, dry_run, explain, as_json, quiet, verbose, show_config, unused_flag;
static bool resume, to_log;
static const char *root = "", *file, *pause_for;
static char root_words[1024]; /* root, safe to print */

enum { ROW_INTERVAL, ROW_LOG };

static struct option_row rows[] = {
    [ROW_INTERVAL] = {'i', "interval", "TIME", "loop: make a pass each TIME", .flag = &loop, .key = "interval"},
    [ROW_LOG] = {0, "log", "[=WHERE]", "record moves in the journal, syslog or a FILE", .flag = &to_log, .key = "log"},
    {0, "once", NULL, "make one pass (the default)", .flag = &once},
    {0, "loop", NULL, "loop with the configured interval", .flag = &loop},
    {'n', "dry-run", NULL, "decide, but change and write nothing", .flag = &dry_run},
    {0, "explain", NULL, "print a sentence for each guest, with the numbers that decide", .flag = &explain},
    {0, "pause", "TIME", "make no pass for TIME, such as 30m", .text = &pause_for},
    {0, "resume", NULL, "end a pause", .flag = &resume},
    {'c', "connect", "URI", "libvirt to ask (qemu:///system)", .key = "uri"},
    {0, "target", "SIZE", "headroom each guest should have", .key = "target"},
    {0, "step", "SIZE", "smallest amount to take from a guest with one command", .key = "step"},
    {0, "reserve", "SIZE", "memory that stays available on the host", .key = "reserve"},
    {0, "tolerance", "SIZE", "ignore shortfalls up to this size", .key = "tolerance"},
    {0, "plenty", "SIZE", "memory of the host that guests do not get for page cache", .key = "plenty"},
    {0, "buffer", "PERCENT", "headroom if the host has plenty: this part of what the guest uses", .key = "buffer"},
    {0, "take", "WORD", "take idle memory always (idle), or if other guests need it (needed)", .key = "take"},
    {0, "deadline", "TIME", "end a pass after this time even if guests have not answered", .key = "deadline"},
    {0, "settle", "TIME", "longest wait until taken memory is free on the host", .key = "settle"},
    {0, "config", "FILE", "read FILE in place of /etc/memsched.conf", .text = &file},
    {0, "show-config", NULL, "print the effective settings and the origin of each", .flag = &show_config},
    {0, "root", "DIR", "use DIR/proc, DIR/run, DIR/etc and DIR/var", .text = &root},
    {'J', "json", NULL, "print one JSON object for each pass, sizes in bytes", .flag = &as_json},
    {'q', "quiet", NULL, "no warnings, only errors", .flag = &quiet},
    {'v', "verbose", NULL, "print the table of memstat after each pass", .flag = &verbose},
    {'h', "help", NULL, "show this help", .flag = &unused_flag},
    {'V', "version", NULL, "show the version", .flag = &unused_flag},
    {.name = NULL},
};

static struct complaints complaints;

static void complain_of_conf(const char *sentence);

static const struct program membalance = {
    .name = "membalance",
    .synopsis = "[--once | --interval TIME | --loop | --pause TIME | --resume] [options]",
    .purpose = "Moves host memory from idle guests to those that need it.",
    .rows = rows,
    .quiet = &quiet,
    .complaints = &complaints,
    .complain = complain_of_conf,
};

struct balancer {
	struct conf *conf;
	struct registry *registry; /* NULL: nothing is remembered */
	struct virt *virt;         /* NULL: not connected */
	struct node_pool pool;     /* of the host of virt, or of the last one */
	struct backoff backoff;
	struct snapshot before; /* a loop's guests after its last pass */
	uint64_t paused_ms;     /* left of a pause; 0: there is none */
	int unusable;           /* -errno of the registry; a dry run goes on without it */
	struct movelog moves;
	int log_error; /* of the last time that there was something to log */
	bool logged;   /* there was, in this pass */
	struct recorder recorder;
	int textfile_error, output_error;
	char *printed; /* of a single pass: goes out without the lock */
	bool begun;    /* a loop after its first pass: a size that does not fit is then no reason to end */
	int notified;  /* the last outcome sent to systemd, at notified_ms: PASS_…, or -errno of a pass that failed */
	uint64_t notified_ms;
};

/* ---- complaints: when they appear, hourly while they last, and when they end ---- */

/* A loop says it each time, in contrast to cron. */
static bool is_watched(void)
{
	return dry_run || (!loop && (verbose || explain || isatty(STDERR_FILENO)));
}

/* Before there is a balancer. The registry limits this complaint too, so that cron does not mail each one. */
static void complain_of_conf(const char *sentence)
{
	struct registry *r = NULL;

	if (!loop)
		say_later();
	if (!loop && !show_config && !is_watched() && !registry_open(root, false, &r) && !registry_lock(r)) {
		complaints_load(&complaints, r);
		say_complaint_of_conf(&membalance, sentence);
		complaints_keep_all(&complaints);
		say_resolved(&membalance);
	} else {
		say_error(&membalance, "%s", sentence);
	}
	registry_close(r);
}

/* The configuration's come first. */
static void complain_of_warnings(const struct balancer *b)
{
	for (size_t i = 0; i < b->conf->n_warnings; i++)
		say_complaint(&membalance, LOG_WARNING, b->conf->warning[i], "%s", b->conf->warning[i]);
}

/* Nothing was learned of the guests: earlier complaints about them stand. */
static void end_without_pass(void)
{
	complaints_keep_all(&complaints);
	say_resolved(&membalance);
}

/* ---- metrics ---- */

static void count_pass(struct balancer *b, int r, struct balance_report *rep)
{
	int error = registry_count_pass(b->registry, rep->guest, rep->n, !r, r && !*loop_stop());

	if (!rep->unsaved)
		rep->unsaved = error;
}

/* rep: NULL if the pass failed or is paused; then the metrics say so and have no guests. */
static void write_metrics(struct balancer *b, const struct balance_report *rep, uint64_t began_ms)
{
	const struct outcome outcome = {
	    .report = rep,
	    .took_ms = sat_sub(clock_ms(CLOCK_BOOTTIME), began_ms),
	    .ended_s = clock_ms(CLOCK_REALTIME) / 1000,
	    .paused_ms = b->paused_ms,
	};

	struct status status = {.guests = 0};

	b->textfile_error = 0;
	if (!b->conf->textfile || dry_run)
		return;
	if (rep)
		status_read(rep, root, b->conf->uri, b->registry, &status);
	else
		status.has_totals = registry_load_totals(b->registry, &status.totals) == 0;
	status.has_pass = true; /* this one; last-pass.json has it later */
	status.pass = (struct pass_heartbeat){.ended_s = outcome.ended_s, .interval_ms = rep ? rep->interval_ms : 0};
	b->textfile_error = metrics_publish(b->conf->textfile, rep, &status, &outcome);
}

static void complain_of_metrics(const struct balancer *b)
{
	char path[256];

	if (b->textfile_error)
		say_complaint(&membalance, LOG_WARNING, "textfile", "cannot write metrics to '%s': %s",
		              text_escape(path, sizeof(path), b->conf->textfile, text_is_utf8()),
		              file_words(b->textfile_error));
}

static void complain_of_failure(const struct balancer *b, int r)
{
	char *sentence = report_failure(r, b->conf->uri, root, virt_words(b->virt));

	complain_of_warnings(b);
	if (r != -ERANGE) /* say_size has said it */
		say_complaint(&membalance, LOG_ERR, "libvirt", "%s", sentence ? sentence : strerror(-r));
	complain_of_metrics(b);
	end_without_pass();
	free(sentence);
}

/* ---- the log of moves ---- */

static void write_log(struct balancer *b)
{
	if (b->moves.n && b->conf->log) {
		b->log_error = movelog_write(&b->moves, b->conf->log);
		b->logged = true;
	}
}

/* A loop sees in its next pass how far guests came; a single pass must log the sizes it knows. */
static void log_moves(struct balancer *b, const struct balance_report *rep, bool last)
{
	b->logged = false;
	if (dry_run || !b->conf->log)
		return;
	report_reached(rep, &b->moves);
	if (!last)
		write_log(b);
	report_moves(rep, clock_now(), &b->moves);
	if (last)
		write_log(b);
}

/* Only a write shows whether the log works: without one, the earlier complaint stays. */
static void complain_of_log(struct balancer *b)
{
	char sentence[TEXT_EXPLAIN];

	if (!b->conf->log)
		return;
	if (b->log_error)
		say_complaint(&membalance, LOG_WARNING, "log", "%s",
		              movelog_complaint(sentence, sizeof(sentence), &b->moves, b->conf->log, b->log_error));
	else if (!b->logged)
		complaints_keep(&complaints, "log");
}

/* ---- the history ---- */

#define HISTORY_MS 2000 /* for a single pass that took all of its deadline */

static void record_pass(struct balancer *b, const struct balance_report *rep, uint64_t end_ms)
{
	struct instant at = clock_now();

	if (dry_run || !b->conf->history || !(rep->n || rep->host.total_kib))
		return;
	recorder_add(&b->recorder, b->conf->uri, &rep->host, rep->guest, rep->n, at);
	if (!loop)
		recorder_finish(&b->recorder, max_u64(end_ms, at.now_ms + HISTORY_MS), loop_stop());
	else if (b->conf->interval_ms >= 1000 * BUCKET_SPAN_S(BUCKET_MINUTE))
		recorder_start(&b->recorder, at.now_ms);
}

static void complain_of_history(const struct balancer *b)
{
	char sentence[TEXT_EXPLAIN];

	if (b->conf->history && b->recorder.error)
		say_complaint(&membalance, LOG_WARNING, "history", "%s",
		              recorder_complaint(sentence, sizeof(sentence), &b->recorder));
}

/* A single pass says it when it ends. */
static void complain_of_output(struct balancer *b)
{
	if (loop && b->output_error == -EAGAIN)
		say_complaint(&membalance, LOG_WARNING, "output", "standard output is not read; passes not printed: %u",
		              output_dropped());
	else if (loop && b->output_error)
		say_complaint(&membalance, LOG_WARNING, "output", "cannot write to standard output: %s",
		              strerror(-b->output_error));
}

/* ---- a pass ---- */

/* Leaves the pass in last-pass.json; that it cannot is a complaint only. */
static void keep_report(const struct balancer *b, const struct balance_report *rep)
{
	int r = b->registry && !dry_run ? report_keep(b->registry, rep, clock_now().wall_ms) : 0;

	if (r)
		say_complaint(&membalance, LOG_WARNING, "last-pass", "cannot write 'last-pass.json': %s", strerror(-r));
}

static int print_pass(FILE *out, const struct balance_report *rep)
{
	static const struct table_style style = {.unit = TABLE_KIB};

	if (as_json)
		report_pass_json(out, rep);
	if (explain)
		report_explain(out, rep, false);
	else if (dry_run && !as_json && !verbose)
		report_plan(out, rep);
	return verbose && !as_json ? report_table(out, rep, NULL, &style) : 0;
}

/* A loop goes on if a reader does not, and a single pass holds no lock for it. */
static int start_printing(struct balancer *b, const struct balance_report *rep)
{
	struct memfile m;
	int r = memfile_open(&m) ? print_pass(m.out, rep) : -ENOMEM;

	if (m.out && memfile_close(&m))
		r = -ENOMEM;
	if (!r && m.length && loop)
		return output_start(m.text);
	if (!r && !loop)
		b->printed = m.text;
	else
		free(m.text);
	return r;
}

static void show_pass(struct balancer *b, const struct balance_report *rep)
{
	b->output_error = start_printing(b, rep);
	if (b->output_error && !loop)
		say_error(&membalance, "cannot print the whole result: %s", strerror(-b->output_error));
	complain_of_warnings(b);
	report_complain(rep, say_complaint_as, (void *)&membalance);
	keep_report(b, rep);
	complain_of_log(b);
	complain_of_history(b);
	complain_of_metrics(b);
	complain_of_output(b);
	say_resolved(&membalance);
}

/* ---- systemd ---- */

#define NOTIFY_MS 10000 /* the manager passes each change on to all that listen */
enum { PASS_NONE, PASS_MADE, PASS_PAUSED };

/* systemctl status shows it. what: PASS_MADE, PASS_PAUSED or -errno. */
static void notify_pass(struct balancer *b, int what, const struct balance_report *rep)
{
	uint64_t now_ms = clock_ms(CLOCK_BOOTTIME), wall_s = clock_ms(CLOCK_REALTIME) / 1000;
	char state[SENTENCE + 64], when[TEXT_CLOCK], words[SENTENCE];

	if (!loop || (what == b->notified && !clock_is_due(b->notified_ms, now_ms, NOTIFY_MS)))
		return;
	text_clock(when, sizeof(when), wall_s, wall_s);
	if (what == PASS_MADE)
		snprintf(state, sizeof(state), "STATUS=pass at %s: %zu guests, %u commands, %u failed", when, rep->n,
		         rep->commands, rep->failed);
	else if (what == PASS_PAUSED)
		snprintf(state, sizeof(state), "STATUS=%s", text_explain_pause(words, sizeof(words), b->paused_ms));
	else
		snprintf(state, sizeof(state), "STATUS=no pass at %s: %s", when,
		         what == -ERANGE ? "a size does not fit the host" : strerror(-what));
	loop_notify(state);
	b->notified = what;
	b->notified_ms = now_ms;
}

/* A dry run is for looking, paused or not. 0 or -errno: whether there is a pause is not known. */
static int read_pause(struct balancer *b)
{
	bool was_paused = b->paused_ms > 0;
	char sentence[TEXT_EXPLAIN];
	int r;

	if (dry_run)
		return 0;
	b->paused_ms = 0;
	r = registry_paused(b->registry, clock_ms(CLOCK_BOOTTIME), &b->paused_ms);
	if (b->paused_ms && !was_paused && (verbose || explain))
		say_warning(&membalance, "%s", text_explain_pause(sentence, sizeof(sentence), b->paused_ms));
	return r;
}

static int refuse_unknown_pause(struct balancer *b, int error, uint64_t began_ms)
{
	char sentence[SENTENCE];

	write_metrics(b, NULL, began_ms);
	notify_pass(b, error, NULL);
	say_complaint(&membalance, LOG_ERR, "paused", "%s", report_pause_unknown(sentence, sizeof(sentence), error));
	complain_of_metrics(b);
	end_without_pass();
	return EXIT_AGAIN;
}

static int code_of_pass(const struct balancer *b, int error, const struct balance_report *rep)
{
	if (error == -ERANGE && b->begun)
		return EXIT_AGAIN;
	if (error)
		return exit_code_of(error);
	if (rep->failed)
		return EXIT_PARTLY;
	return b->output_error && !loop ? EXIT_FAILED : EXIT_DONE;
}

/* A complaint, which is said hourly, if arg is set. */
static void say_size(void *arg, const char *sentence)
{
	if (arg)
		say_complaint_of_conf(&membalance, sentence);
	else
		say_error(&membalance, "%s", sentence);
}

static int connect_libvirt(struct balancer *b, uint64_t end_ms)
{
	if (b->virt)
		return 0;
	node_pool_expire(&b->pool);
	return virt_open(b->conf->uri, dry_run, WORKERS, end_ms, &b->virt);
}

static int make_pass(struct balancer *b)
{
	const struct balance_conf pc = {
	    .conf = b->conf,
	    .root = root,
	    .interval_ms = loop ? b->conf->interval_ms : 0,
	    .end_ms = clock_ms(CLOCK_BOOTTIME) + b->conf->deadline_ms,
	    .stop = loop_stop(),
	    .before = loop && !dry_run ? &b->before : NULL,
	    .pool = &b->pool,
	    .say = say_size,
	    .say_arg = loop && !b->begun ? NULL : b,
	};
	struct balance_report rep = {.guest = NULL};
	uint64_t began_ms = clock_ms(CLOCK_BOOTTIME);
	int r = 0;

	if (!dry_run)
		registry_note_pass(b->registry, clock_ms(CLOCK_MONOTONIC), pc.interval_ms);
	r = read_pause(b);
	if (r)
		return refuse_unknown_pause(b, r, began_ms);
	if (b->paused_ms) {
		write_log(b);
		write_metrics(b, NULL, began_ms);
		notify_pass(b, PASS_PAUSED, NULL);
		virt_close(b->virt); /* libvirtd may well be restarted meanwhile */
		b->virt = NULL;
		return EXIT_DONE;
	}
	r = connect_libvirt(b, pc.end_ms);
	if (!r)
		r = (dry_run ? balance_decide : balance_run)(&pc, b->virt, b->registry, &rep);
	log_moves(b, &rep, r || !loop || *loop_stop());
	record_pass(b, &rep, pc.end_ms);
	rep.unusable = b->unusable;
	if (!dry_run)
		count_pass(b, r, &rep);
	if (!r || !*loop_stop())
		write_metrics(b, r ? NULL : &rep, began_ms);
	if (!r)
		show_pass(b, &rep);
	else if (!*loop_stop())
		complain_of_failure(b, r);
	notify_pass(b, r ? r : PASS_MADE, &rep);
	r = code_of_pass(b, r, &rep);
	balance_clear(&rep);
	return r;
}

/* ---- the registry ---- */

static const char *why_unusable(int error)
{
	if (error == -EACCES)
		return "Permission denied; only root can balance, others may add '--dry-run'";
	return report_unusable(error);
}

/* A pass that does not end: cron's would say nothing for ever. */
static void complain_of_holder(struct balancer *b, int64_t pid, uint64_t idle_ms)
{
	char age[TEXT_AGE], holder[64] = "another program";

	if (pid)
		snprintf(holder, sizeof(holder), "process %lld", (long long)pid);
	if (complaints.registry != b->registry)
		complaints_load(&complaints, b->registry);
	say_complaint(&membalance, LOG_ERR, "lock", "no pass for %s: %s holds the lock in '%s/run/memsched'",
	              text_age(age, sizeof(age), idle_ms / 1000), holder, root_words);
	end_without_pass();
}

static int yield_to_other(struct balancer *b, bool aloud)
{
	uint64_t idle_ms;
	int64_t pid;

	if (registry_is_stuck(b->registry, clock_ms(CLOCK_MONOTONIC), &pid, &idle_ms))
		complain_of_holder(b, pid, idle_ms);
	else if (aloud)
		say_warning(&membalance, "another pass holds the lock in '%s/run/memsched'; '--dry-run' needs none",
		            root_words);
	return EXIT_AGAIN;
}

static int open_registry(struct balancer *b)
{
	int r = registry_open_uri(root, b->conf->uri, !dry_run, &b->registry);

	if (dry_run) {
		b->unusable = r == -ENOENT ? 0 : r;
		return EXIT_DONE;
	}
	if (!r)
		r = registry_lock(b->registry);
	if (r == -EWOULDBLOCK)
		return yield_to_other(b, verbose || explain || loop);
	if (r)
		say_error(&membalance, "cannot use '%s/run/memsched': %s", root_words, why_unusable(r));
	return r ? exit_code_of(r) : EXIT_DONE;
}

/* Before each pass of a loop: the registry may have been removed or replaced under it, and then the lock is another. */
static int keep_registry(struct balancer *b)
{
	int r = dry_run ? 0 : registry_refresh(b->registry);

	if (r) /* another pass may have written newer files */
		snapshot_clear(&b->before);
	if (r >= 0)
		return EXIT_DONE;
	if (r == -EWOULDBLOCK)
		return yield_to_other(b, verbose);
	complain_of_warnings(b);
	say_complaint(&membalance, LOG_ERR, "registry", "cannot use '%s/run/memsched': %s", root_words,
	              why_unusable(r));
	end_without_pass();
	return EXIT_AGAIN;
}

/* ---- the loop ---- */

/* Whether the sizes of fresh fit the host. While b is not connected that is not known: then the next pass checks it. */
static bool fits_host(struct balancer *b, const struct conf *fresh, uint64_t end_ms)
{
	const struct balance_conf pc = {
	    .conf = fresh, .root = root, .end_ms = end_ms, .pool = &b->pool, .say = say_size};

	if (!b->virt || uri_is_own(fresh->uri, root)) /* options_reload has checked it */
		return true;
	node_pool_expire(&b->pool);
	return !balance_check_sizes(&pc, b->virt);
}

/* False if libvirt will never be usable, or a size does not fit its host; a libvirtd that is only away comes back. */
static bool can_connect(struct balancer *b)
{
	uint64_t end_ms = clock_ms(CLOCK_BOOTTIME) + b->conf->deadline_ms;
	int r = connect_libvirt(b, end_ms);
	bool usable = r != -EINVAL && r != -EACCES;
	char *sentence = usable ? NULL : report_failure(r, b->conf->uri, root, virt_words(NULL));

	if (sentence)
		say_error(&membalance, "%s", sentence);
	free(sentence);
	if (usable && fits_host(b, b->conf, end_ms))
		return true;
	virt_close(b->virt);
	return false;
}

/* Changes to another URI; one registry cannot be locked twice. Moves whose result will not be seen are logged now. */
static bool move_to_uri(void *arg, struct conf *fresh)
{
	struct balancer *b = arg, next = {.conf = fresh};
	bool shared = uri_is_own(fresh->uri, root) && uri_is_own(b->conf->uri, root), good;
	bool stays = !strcmp(b->conf->uri, fresh->uri);

	if (stays && !fits_host(b, fresh, clock_ms(CLOCK_BOOTTIME) + fresh->deadline_ms))
		return false;
	if (!stays || !fresh->log)
		write_log(b);
	if (stays)
		return true;
	if (shared)
		next.registry = b->registry;
	good = (shared || open_registry(&next) == EXIT_DONE) && can_connect(&next);
	if (good && !shared)
		complaints_load(&complaints, next.registry);
	if (!shared)
		registry_close(good ? b->registry : next.registry);
	if (!good)
		return false;
	virt_close(b->virt);
	b->virt = next.virt;
	b->pool = next.pool;
	b->registry = next.registry;
	b->backoff = next.backoff;
	snapshot_clear(&b->before);
	return true;
}

static void reload_conf(struct balancer *b)
{
	if (options_reload(&membalance, root, file, move_to_uri, b, b->conf) && verbose)
		say_note(&membalance, "read the configuration again");
}

static int run_loop(struct balancer *b)
{
	uint64_t next_ms = clock_ms(CLOCK_BOOTTIME);
	int code;

	loop_catch_reload();
	do {
		if (loop_reload()) {
			reload_conf(b);
			next_ms = clock_ms(CLOCK_BOOTTIME);
		}
		code = keep_registry(b);
		if (!code)
			code = make_pass(b);
		b->begun = true;
		if (code == EXIT_USAGE || code == EXIT_DENIED)
			return code;
		next_ms = max_u64(next_ms + b->conf->interval_ms, clock_ms(CLOCK_BOOTTIME));
		if (code == EXIT_AGAIN || code == EXIT_FAILED) {
			virt_close(b->virt);
			b->virt = NULL;
			next_ms = clock_ms(CLOCK_BOOTTIME) + backoff_next_ms(&b->backoff);
		} else {
			b->backoff = (struct backoff){0};
		}
	} while (loop_sleep_until(next_ms));
	snapshot_clear(&b->before);
	write_log(b);
	recorder_end(&b->recorder, clock_ms(CLOCK_BOOTTIME) + LAST_MS);
	return EXIT_DONE;
}

/* ---- before the first pass ---- */

static int refuse_nonsense(void)
{
	/* --pause and --resume make no pass: options of a pass have no effect beside them */
	if (resume || pause_for)
		return options_alone(&membalance, pause_for ? "pause" : "resume",
		                     (const char *const[]){"root", "quiet", "verbose", NULL});
	if (once && loop) {
		say_error(&membalance, "'--once' and a loop exclude each other; try 'membalance --help'");
		return EXIT_USAGE;
	}
	if (as_json && explain) {
		say_error(&membalance, "'--json' and '--explain' exclude each other; try 'membalance --help'");
		return EXIT_USAGE;
	}
	return EXIT_DONE;
}

static int balance_guests(struct conf *conf)
{
	struct balancer b = {.conf = conf, .moves = {.program = membalance.name, .root = root}, .recorder.root = root};
	int code;

	complaints.each_time = is_watched();
	code = open_registry(&b);
	if (code)
		return code;
	complaints_load(&complaints, dry_run ? NULL : b.registry);
	if (loop) {
		say_without_waiting();
		return run_loop(&b);
	}
	say_later();
	code = make_pass(&b);
	registry_close(b.registry);
	say_kept(); /* before the text: stdio holds back the end of one, and stderr may be the same file */
	if (b.printed)
		fputs(b.printed, stdout);
	free(b.printed);
	return code;
}

int main(int argc, char **argv)
{
	struct conf conf;
	int operand, code;

	program_begin();
	code = options_parse(&membalance, argc, argv, &operand);
	text_escape(root_words, sizeof(root_words), root, text_is_utf8());
	if (to_log && !rows[ROW_LOG].value)
		rows[ROW_LOG].value = "journal";
	if (!code)
		code = refuse_nonsense();
	if (!code && (resume || pause_for))
		program_end(&membalance, pause_set(&membalance, root, pause_for));
	if (!code)
		code = options_conf(&membalance, root, file, &conf);
	if (!code) {
		loop_catch_signals();
		virt_stop_on(loop_stop());
		code = balance_guests(&conf);
	}
	program_end(&membalance, code);
}
