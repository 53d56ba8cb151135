/* SPDX-License-Identifier: MIT */
#include "cli/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/pool.h"
#include "base/text.h"
#include "base/units.h"
#include "run/loop.h"
#include "show/explain.h"
#include "show/report.h"
#include "cli/bars.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/sparks.h"
#include "cli/terminal.h"

#define SECOND_MS 1000
#define PATIENCE_MS 2000 /* beyond the interval; then it is said that there is no answer */
#define MESSAGE_BYTES 1024

/* ---- a look ---- */

/* Looks one after the other, over a connection that is opened again when it breaks. */
struct looker {
	const struct conf *conf;
	const char *root;
	unsigned workers;
	uint32_t interval_ms;
	struct virt *virt; /* NULL: not connected */
	struct node_pool pool;
	struct backoff backoff;
	struct look look; /* the last one */
};

static struct looker looker_of(const struct watch *w)
{
	return (struct looker){.conf = w->conf, .root = w->root, .workers = w->workers, .interval_ms = w->interval_ms};
}

/* Keeps the first. */
static void note_refusal(void *arg, const char *sentence)
{
	struct look *look = arg;

	if (!look->failure)
		look->failure = strdup(sentence);
}

static int connect_libvirt(struct looker *l, const struct balance_conf *pc)
{
	if (l->virt)
		return 0;
	node_pool_expire(&l->pool);
	return virt_open(pc->conf->uri, true, l->workers, pc->end_ms, &l->virt);
}

/* The registry is opened each time: it may come, and go, with a membalance. */
static int plan_pass(struct looker *l, const struct balance_conf *pc)
{
	struct balance_report *report = &l->look.report;
	struct registry *registry = NULL;
	int r = connect_libvirt(l, pc), unusable;

	if (r)
		return r;
	unusable = registry_open_uri(pc->root, pc->conf->uri, false, &registry);
	r = balance_decide(pc, l->virt, registry, report);
	if (!r)
		report->unusable = unusable == -ENOENT ? 0 : unusable;
	if (!r && registry)
		report->pause_unknown = registry_paused(registry, clock_ms(CLOCK_BOOTTIME), &report->paused_ms);
	if (!r)
		status_read(report, pc->root, pc->conf->uri, registry, &l->look.status);
	registry_close(registry);
	return r;
}

/* Until the configured deadline at most. */
static int take_look(void *arg)
{
	struct looker *l = arg;
	uint64_t now_ms = clock_ms(CLOCK_BOOTTIME);
	const struct balance_conf pc = {
	    .conf = l->conf,
	    .root = l->root,
	    .end_ms = now_ms + l->conf->deadline_ms,
	    .stop = loop_stop(),
	    .pool = &l->pool,
	    .say = note_refusal,
	    .say_arg = &l->look,
	};

	l->look = (struct look){.next_ms = now_ms + l->interval_ms};
	l->look.error = plan_pass(l, &pc);
	if (l->look.error) {
		if (l->look.error != -ERANGE)
			l->look.failure = report_failure(l->look.error, l->conf->uri, l->root, virt_words(l->virt));
		virt_close(l->virt);
		l->virt = NULL;
		l->look.next_ms = clock_ms(CLOCK_BOOTTIME) + backoff_next_ms(&l->backoff);
	} else {
		l->backoff = (struct backoff){0};
	}
	l->look.wall_s = clock_ms(CLOCK_REALTIME) / 1000;
	return 0;
}

static void look_clear(struct look *look)
{
	balance_clear(&look->report);
	free(look->failure);
	*look = (struct look){.error = 0};
}

static int code_of(const struct look *look)
{
	if (look->error)
		return exit_code_of(look->error);
	return look->report.failed ? EXIT_PARTLY : EXIT_DONE;
}

/* Trying again would not help where nothing was ever seen. */
static bool is_hopeless(const struct look *look, uint64_t n_seen)
{
	return !n_seen && look->error && code_of(look) != EXIT_AGAIN && code_of(look) != EXIT_FAILED;
}

/* ---- one after the other ---- */

int watch_append(const struct watch *w)
{
	struct looker looker = looker_of(w);
	const struct look *look = &looker.look;
	uint64_t n = 0, n_seen = 0, next_ms;
	bool over;
	int code = EXIT_AGAIN;

	do {
		take_look(&looker);
		if (*loop_stop()) /* told to end with nothing shown is no success */
			return n_seen ? EXIT_DONE : code;
		if (!look->error)
			w->keep(w->arg, &looker.look.report);
		code = w->show(w->arg, look);
		n_seen += !look->error;
		over = ++n == w->count || is_hopeless(look, n_seen) || output_flush() != 0;
		next_ms = look->next_ms;
		look_clear(&looker.look);
	} while (!over && loop_sleep_until(next_ms));
	return over || !n_seen ? code : EXIT_DONE;
}

/* ---- bars ---- */

struct session {
	const struct watch *watch;
	struct looker *looker; /* the task's while it looks */
	struct task *task;     /* a look under way; NULL: none */
	struct look shown;     /* the last one that went well */
	struct look failed;    /* the last one, if it did not */
	uint64_t n, n_seen;    /* looks, and those that went well */
	uint64_t asked_ms, next_ms;
	enum bars_order order;
	size_t first, room; /* the guest at the top, and how many fit */
	struct sparks sparks;
	bool color;
	int code; /* of the last look */
};

struct complaints {
	char *text;
	size_t size, n;
};

static void add_complaint(void *arg, const char *key, const char *sentence)
{
	struct complaints *c = arg;

	(void)key;
	if (!c->n++)
		snprintf(c->text, c->size, "%s", sentence);
}

/* The first, and how many there are beside it. */
static void write_complaints(char *text, size_t size, const struct balance_report *report)
{
	struct complaints c = {.text = text, .size = size};
	char pause[TEXT_EXPLAIN];
	size_t length;

	if (report->paused_ms)
		add_complaint(&c, "", text_explain_pause(pause, sizeof(pause), report->paused_ms));
	report_complain(report, add_complaint, &c);
	length = strlen(text);
	if (c.n > 1)
		snprintf(text + length, size - length, "; and %zu more", c.n - 1);
}

/* What has to be said above the guests: "" where all is well. */
static void write_message(const struct session *s, uint64_t now_ms, char *text, size_t size)
{
	uint64_t waited_ms = s->task ? sat_sub(now_ms, s->asked_ms) : 0;
	const char *failure = s->failed.failure ? s->failed.failure : strerror(-s->failed.error);

	*text = '\0';
	if (s->failed.error && s->task)
		snprintf(text, size, "trying again: %s", failure);
	else if (s->failed.error)
		snprintf(text, size, "trying again in %llu s: %s",
		         (unsigned long long)(sat_sub(s->next_ms, now_ms) + SECOND_MS - 1) / SECOND_MS, failure);
	else if (s->task && waited_ms > s->watch->interval_ms + PATIENCE_MS)
		snprintf(text, size, "no answer for %llu s", (unsigned long long)waited_ms / SECOND_MS);
	else if (!s->n_seen)
		snprintf(text, size, "asking libvirt");
	else
		write_complaints(text, size, &s->shown.report);
}

/* The words of a view. */
struct words {
	char clock[32], status[TEXT_STATUS], brief[TEXT_STATUS], message[MESSAGE_BYTES];
};

static struct bars_view view_of(const struct session *s, struct words *words)
{
	struct bars_view view = {
	    .utf8 = text_is_utf8(),
	    .color = s->color,
	    .order = s->order,
	    .given = s->watch->given,
	    .first = s->first,
	    .clock = words->clock,
	    .status = text_status(words->status, sizeof(words->status), &s->shown.status, false),
	    .brief = text_status(words->brief, sizeof(words->brief), &s->shown.status, true),
	    .message = *words->message ? words->message : NULL,
	    .no_guest = s->watch->no_guest,
	};
	time_t wall = (time_t)s->shown.wall_s;
	struct tm parts;

	if (!localtime_r(&wall, &parts) || !strftime(words->clock, sizeof(words->clock), "%H:%M:%S", &parts))
		words->clock[0] = '\0';
	terminal_size(&view.rows, &view.columns);
	return view;
}

/* What can be scrolled to depends on the terminal's size, so this is where it is bounded. */
static int draw_view(struct session *s, uint64_t now_ms)
{
	const struct balance_report *report = s->n_seen ? &s->shown.report : NULL;
	struct words words = {.clock = ""};
	struct memfile m;
	int r;

	if (!memfile_open(&m))
		return -ENOMEM;
	write_message(s, now_ms, words.message, sizeof(words.message));

	struct bars_view view = view_of(s, &words);

	s->room = bars_room(&view, report);
	s->first = min_u64(s->first, report ? sat_sub(report->n, s->room) : 0);
	view.first = s->first;
	if (report && view.columns >= BARS_SPARKS_FROM)
		view.sparks =
		    sparks_show(&s->sparks, report->guest + s->first, min_u64(s->room, report->n - s->first), now_ms);
	bars_write(m.out, &view, report);
	r = memfile_close(&m);
	if (!r)
		r = terminal_draw(m.text);
	free(m.text);
	return r;
}

static void begin_look(struct session *s, uint64_t now_ms)
{
	int r = task_start(take_look, free, s->looker, &s->task);

	s->asked_ms = now_ms;
	if (!r)
		return;
	s->failed.error = r;
	s->next_ms = now_ms + SECOND_MS;
}

static void end_look(struct session *s)
{
	struct look look = s->looker->look;

	task_free(s->task);
	s->task = NULL;
	s->next_ms = look.next_ms;
	s->code = code_of(&look);
	s->n++;
	look_clear(&s->failed);
	if (look.error) {
		s->failed = look;
		return;
	}
	s->n_seen++;
	look_clear(&s->shown);
	s->watch->keep(s->watch->arg, &look.report);
	bars_sort(&look.report, s->order);
	s->shown = look;
}

static void sort_by_next(struct session *s)
{
	const struct watch *w = s->watch;

	s->order = (s->order + 1) % (w->given ? BARS_ORDERS : BARS_AS_GIVEN);
	s->first = 0;
	w->keep(w->arg, &s->shown.report);
	bars_sort(&s->shown.report, s->order);
}

/* false: quit. Scrolling beyond the end is bounded where it is drawn. */
static bool heed_key(struct session *s, int key)
{
	static const struct {
		int key, letter;
		bool back, page;
	} moves[] = {
	    {KEY_UP, 'k', true, false},
	    {KEY_DOWN, 'j', false, false},
	    {KEY_PAGE_UP, 'b', true, true},
	    {KEY_PAGE_DOWN, ' ', false, true},
	};

	for (size_t i = 0; i < sizeof(moves) / sizeof(*moves); i++) {
		size_t by = moves[i].page ? s->room : 1;

		if (key == moves[i].key || key == moves[i].letter)
			s->first = moves[i].back ? sat_sub(s->first, by) : s->first + by;
	}
	if (key == KEY_HOME || key == 'g')
		s->first = 0;
	if (key == KEY_END || key == 'G')
		s->first = s->shown.report.n;
	if (key == 's')
		sort_by_next(s);
	return key != 'q';
}

/* While something is waited for, the seconds are counted on the screen. */
static uint64_t wake_ms(const struct session *s, uint64_t now_ms)
{
	uint64_t tick_ms = min_u64(now_ms + SECOND_MS, sparks_wake_ms(&s->sparks, now_ms));

	if (s->task)
		return tick_ms;
	return s->failed.error || s->sparks.task ? min_u64(s->next_ms, tick_ms) : s->next_ms;
}

/* Asked of the task, as it may have no descriptor. */
static bool has_ended(const struct session *s)
{
	return s->task && task_result(s->task) != -EINPROGRESS;
}

/* Returns an exit code. */
static int run_session(struct session *s)
{
	enum terminal_event event;
	int key = KEY_NONE, r;

	do {
		uint64_t now_ms = clock_ms(CLOCK_BOOTTIME);

		if (!s->task && now_ms >= s->next_ms)
			begin_look(s, now_ms);
		r = draw_view(s, now_ms);
		if (r && r != -EINTR && r != -ENOMEM)
			return EXIT_FAILED; /* the terminal is gone */
		event = terminal_wait(s->task ? task_fd(s->task) : -1, wake_ms(s, now_ms), &key);
		if (has_ended(s)) {
			end_look(s);
			if (s->n == s->watch->count || is_hopeless(&s->failed, s->n_seen))
				return s->code;
		}
	} while (event != TERMINAL_END && !*loop_stop() && (event != TERMINAL_KEY || heed_key(s, key)));
	return s->n_seen ? EXIT_DONE : s->code;
}

int watch_bars(const struct watch *w)
{
	const char *no_color = getenv("NO_COLOR");
	struct session s = {.watch = w,
	                    .code = EXIT_AGAIN,
	                    .sparks = {.root = w->root, .uri = w->conf->uri},
	                    .order = w->given ? BARS_AS_GIVEN : BARS_BY_NAME,
	                    .color = !no_color || !*no_color};
	int r = EXIT_FAILED;

	s.looker = malloc(sizeof(*s.looker));
	if (!s.looker)
		return r;
	*s.looker = looker_of(w);
	if (!terminal_open())
		r = run_session(&s);
	terminal_close();
	sparks_end(&s.sparks);
	if (!s.task || task_free(s.task))
		free(s.looker);
	if (is_hopeless(&s.failed, s.n_seen) && r != EXIT_DONE)
		return w->show(w->arg, &s.failed);
	return r;
}
