#include "run/monitor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "host/proc.h"
#include "virt/virt.h"

#define WORKERS 4
#define AGAIN_MS 3000
#define OLD_MS 8000 /* a reading takes 2 s at most, and begins a second after the last */

struct monitor {
	const struct conf *conf;
	const char *root;
	bool dry_run;
	struct guard guard;
	struct keeper *keeper;
	struct registry *registry; /* NULL: not there */
	struct virt *virt;         /* for sending only; NULL: not connected */
	size_t ready;              /* for so many guests */
	uint64_t again_ms;         /* no new connection before: libvirtd was there and did not answer */
	unsigned connection;       /* of the keeper when virt was as new; 0: not known */
	uint64_t pending_kib;
	bool pending_unreadable;
	struct movelog *audit; /* NULL: nobody asks for moves */
};

int monitor_new(const struct conf *conf, const char *root, bool dry_run, struct monitor **ret_sentry)
{
	struct monitor *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	*s = (struct monitor){.conf = conf, .root = root, .dry_run = dry_run};
	r = keeper_new(conf, root, dry_run, &s->keeper);
	if (r)
		free(s);
	else
		*ret_sentry = s;
	return r;
}

void monitor_free(struct monitor *s, uint64_t deadline_ms)
{
	if (!s)
		return;
	registry_close(s->registry);
	virt_close(s->virt);
	keeper_free(s->keeper, deadline_ms);
	free(s);
}

void monitor_hold(struct monitor *s)
{
	keeper_hold(s->keeper);
}

static void disconnect(struct monitor *s)
{
	virt_close(s->virt);
	s->virt = NULL;
	s->ready = 0;
	s->connection = 0;
}

void monitor_resume(struct monitor *s, bool reconnect)
{
	if (reconnect)
		disconnect(s);
	keeper_resume(s->keeper, reconnect);
}

struct keeper *monitor_keeper(struct monitor *s)
{
	return s->keeper;
}

/* ---- in calm times ---- */

int monitor_open_registry(struct monitor *s)
{
	int r = 0;

	if (!s->registry)
		r = registry_open(s->root, !s->dry_run, &s->registry);
	else if (!s->dry_run)
		r = registry_refresh(s->registry);
	if (!r)
		monitor_count_pending(s);
	return r;
}

int monitor_prepare(struct monitor *s, uint64_t deadline_ms)
{
	const struct herd *h = keeper_herd(s->keeper);
	unsigned connection = h->connection;
	size_t n = h->n;
	int r = 0;

	keeper_done(s->keeper);
	if (s->connection && s->connection != connection) /* then ours is dead too, which only its use would tell */
		disconnect(s);
	s->connection = connection;
	if (s->dry_run || (s->virt && s->ready >= n && s->ready))
		return 0;
	if (!s->virt)
		r = virt_open(s->conf->uri, false, WORKERS, deadline_ms, &s->virt);
	if (!r)
		r = virt_prepare(s->virt, n + WORKERS, deadline_ms);
	if (!r)
		s->ready = n + WORKERS;
	return r;
}

const char *monitor_words(const struct monitor *s)
{
	return virt_words(s->virt);
}

int monitor_watch_pending(const struct monitor *s)
{
	return s->registry ? registry_watch_pending(s->registry) : -ENOENT;
}

void monitor_count_pending(struct monitor *s)
{
	s->pending_kib = 0;
	s->pending_unreadable = false;
	if (s->registry)
		s->pending_kib = registry_pending_kib(s->registry, clock_now().wall_ms / 1000, &s->pending_unreadable);
}

bool monitor_pending_unreadable(const struct monitor *s)
{
	return s->pending_unreadable;
}

void monitor_wait(struct monitor *s, struct wakeup *w, uint32_t nap_ms, const volatile sig_atomic_t *stop)
{
	if (wakeup_wait(w, nap_ms, stop) == WAKEUP_PENDING)
		monitor_count_pending(s);
}

/* ---- the record of moves ---- */

#define LAG_MS 1000 /* of actual behind the balloon */

void monitor_record(struct monitor *s, struct movelog *a)
{
	s->audit = a;
}

static void record_move(struct movelog *a, const struct guest *g, struct instant at)
{
	struct movelog_move move = {.wall_ms = at.wall_ms,
	                            .asked_ms = at.now_ms,
	                            .from_kib = g->past.asked_from_kib,
	                            .asked_kib = g->past.asked_kib,
	                            .reason = REASON_HOST_RESERVE};

	snprintf(move.name, sizeof(move.name), "%s", g->name);
	snprintf(move.uuid, sizeof(move.uuid), "%s", g->uuid);
	movelog_add(a, &move);
}

static void record(struct monitor *s, const struct herd *h, const struct sight *v)
{
	for (size_t i = 0; i < h->n; i++) {
		const struct guest *g = &h->guest[i];

		if (g->answered && g->sample.have & SAMPLE_ACTUAL)
			movelog_reached(s->audit, g->uuid, g->sample.actual_kib, sat_sub(g->past.seen_ms, LAG_MS));
		if (v->sent > 0 && g->past.asked_kib && g->past.asked_ms == v->at.now_ms)
			record_move(s->audit, g, v->at);
	}
}

/* ---- a look ---- */

/* A level is held for some seconds, in which the host is not short any more. */
static enum reclaim_way way_of(const struct sight *v)
{
	if (v->level == GUARD_CALM)
		return RECLAIM_ROOM;
	if (v->foreseen || v->host.available_kib >= v->reserve_kib)
		return RECLAIM_HELD;
	return v->level == GUARD_CRITICAL ? RECLAIM_HARD : RECLAIM_IDLE;
}

/* Whether and how guests are to give; a host that is not short gives room only to guests that start. */
static void decide(struct monitor *s, const struct guard_conf *gc, struct sight *v)
{
	uint64_t coming_kib = sat_add(v->pending_kib, v->starting_kib);

	v->lack_kib = guard_lack_kib(gc, &s->guard, sat_sub(v->host.available_kib, coming_kib));
	if (v->level == GUARD_CALM) /* a fall that does not lead below is no lack */
		v->lack_kib = sat_sub(sat_add(v->reserve_kib, coming_kib), v->host.available_kib);
	v->way = way_of(v);
	v->squeezing = v->level > GUARD_CALM || (coming_kib && v->lack_kib);
}

static void forbid_gives(struct monitor *s, struct sight *v)
{
	if (!s->registry || s->dry_run)
		v->no_give = s->dry_run ? 0 : -ENOENT;
	else if (v->level > GUARD_CALM)
		v->no_give = registry_hold_no_give(s->registry);
	else
		registry_release_no_give(s->registry);
}

static void note_before(struct herd *h)
{
	for (size_t i = 0; i < h->n; i++)
		if (h->guest[i].order.ask_kib && !h->before_kib[i])
			h->before_kib[i] = guest_rss_kib(&h->guest[i]);
}

static uint64_t freed_kib(const struct herd *h)
{
	uint64_t sum_kib = 0;

	for (size_t i = 0; i < h->n; i++)
		sum_kib = sat_add(sum_kib, sat_sub(h->before_kib[i], guest_rss_kib(&h->guest[i])));
	return sum_kib;
}

/* While libvirt was gone guests went on: what they used then is no bottom any more. */
static bool is_old(const struct herd *h)
{
	return sat_sub(clock_ms(CLOCK_BOOTTIME), h->read_ms) > OLD_MS;
}

/* What guests are touching now is left to them only as long as the host can bear it. */
static void plan(struct monitor *s, struct herd *h, struct sight *v)
{
	const struct guard_conf gc = {.reserve_kib = v->reserve_kib};
	uint64_t tolerance_kib = s->conf->tolerance_kib, bearable_kib;

	v->planned_kib = reclaim_plan(v->way, v->lack_kib, tolerance_kib, h->guest, h->n, &h->scratch);
	bearable_kib = sat_add(sat_sub(v->host.available_kib, guard_critical_kib(&gc)), v->planned_kib);
	if (v->way != RECLAIM_HELD || reclaim_growing_kib(h->guest, h->n) <= bearable_kib)
		return;
	v->way = RECLAIM_IDLE;
	v->planned_kib = reclaim_plan(v->way, v->lack_kib, tolerance_kib, h->guest, h->n, &h->scratch);
}

/* Sends what was planned, and remembers it. Returns the number of commands, or -errno of virt_set. */
static int send_plan(struct virt *v, struct guest *g, size_t n, uint64_t deadline_ms, struct instant at)
{
	int r = virt_set(v, g, n, deadline_ms), sent = 0;

	for (size_t i = 0; i < n; i++) {
		if (g[i].order.error == -ETIMEDOUT && !g[i].hung) /* it was not its turn in time: the next look's */
			g[i].order.error = 0;
		if (!g[i].order.sent || g[i].order.error)
			continue;
		estimate_asked(&g[i], g[i].plan.want_kib, at);
		g[i].order.sent = false;
		sent++;
	}
	return r < 0 && !sent ? r : sent;
}

static void squeeze(struct monitor *s, struct herd *h, struct sight *v)
{
	if (is_old(h)) {
		v->sent = s->virt || s->dry_run ? 0 : -ENOTCONN;
		return;
	}
	plan(s, h, v);
	if (s->dry_run)
		return;
	note_before(h);
	v->sent =
	    s->virt ? send_plan(s->virt, h->guest, h->n, clock_ms(CLOCK_BOOTTIME) + MONITOR_SEND_MS, v->at) : -ENOTCONN;
	s->ready = 0; /* who hangs has kept what was prepared for him */
	if (v->sent > 0)
		v->sent_ms = clock_ms(CLOCK_BOOTTIME);
}

/* The connection died with libvirtd: another is needed now, not in calm times. */
static void send_again(struct monitor *s, struct herd *h, struct sight *v)
{
	int r;

	if (v->at.now_ms < s->again_ms)
		return;
	disconnect(s);
	r = virt_open(s->conf->uri, false, WORKERS, v->at.now_ms + 2 * MONITOR_SEND_MS, &s->virt);
	if (r)
		s->virt = NULL;
	if (r == -ETIMEDOUT) /* each attempt leaves a thread that waits, and keeps us from looking */
		s->again_ms = clock_ms(CLOCK_BOOTTIME) + AGAIN_MS;
	if (s->virt)
		squeeze(s, h, v);
}

static void act(struct monitor *s, struct herd *h, struct sight *v)
{
	if (v->squeezing)
		squeeze(s, h, v);
	if (v->squeezing && v->sent == -ENOTCONN)
		send_again(s, h, v);
	v->freed_kib = freed_kib(h);
	if (!v->squeezing && h->n)
		memset(h->before_kib, 0, h->n * sizeof(*h->before_kib));
}

int monitor_look(struct monitor *s, struct sight *ret_sight)
{
	struct sight v = {.at = clock_now()};
	struct guard_conf gc = {.hold_ms = GUARD_HOLD_MS};
	struct herd *h;
	int r = proc_read(s->root, &v.host);

	if (r < 0)
		return r;
	gc.reserve_kib = v.reserve_kib = conf_reserve_kib(s->conf, v.host.total_kib);
	h = keeper_herd(s->keeper);
	v.level = guard_step(&gc, &s->guard, v.host.available_kib, is_old(h) ? 0 : reclaim_promised_kib(h->guest, h->n),
	                     v.at.now_ms);
	v.foreseen = v.level == GUARD_TIGHT && !s->guard.was_low;
	v.pending_kib = s->pending_kib;
	forbid_gives(s, &v);
	v.starting_kib = reclaim_starting_kib(h->guest, h->n);
	decide(s, &gc, &v);
	act(s, h, &v);
	if (s->audit && s->conf->log)
		record(s, h, &v);
	keeper_done(s->keeper);
	v.nap_ms = guard_nap_ms(&gc, &s->guard, v.host.available_kib);
	*ret_sight = v;
	return 0;
}

/* ---- what could not be done ---- */

static size_t add_refusal(char *text, size_t size, size_t used, const struct guest *g, enum reason why)
{
	char name[128];
	int n;

	text_escape(name, sizeof(name), g->name, text_is_utf8());
	n = snprintf(text + used, size - used, "%s%s (%s)", used ? ", " : "", name, reason_word(why));
	return n > 0 && used + (size_t)n < size ? used + (size_t)n : 0;
}

static void list_refusals(struct monitor *s, enum reclaim_way way, const struct herd *h, char *text, size_t size)
{
	size_t used = 0, left = 0;

	text[0] = '\0';
	for (size_t i = 0; i < h->n; i++) {
		enum reason why = reclaim_refusal(way, s->conf->tolerance_kib, &h->guest[i]);
		size_t longer = why && !left ? add_refusal(text, size - 32, used, &h->guest[i], why) : 0;

		if (longer)
			used = longer;
		else
			left += why != REASON_NONE;
	}
	if (left)
		snprintf(text + used, size - used, "%s%zu more", used ? " and " : "", left);
	if (!used && !left)
		snprintf(text, size, "%s", h->n ? "nobody, it is within the tolerance" : "nobody");
}

/* Whose turn it was not in time is told at the next look. */
static bool awaits(const struct herd *h, const struct sight *sight)
{
	return sight->sent > 0 || (sight->sent == 0 && sight->planned_kib) ||
	       (!is_old(h) && reclaim_coming_kib(h->guest, h->n));
}

bool monitor_awaits(struct monitor *s, const struct sight *sight)
{
	bool is = awaits(keeper_herd(s->keeper), sight);

	keeper_done(s->keeper);
	return is;
}

bool monitor_cannot(struct monitor *s, const struct sight *sight, char *refused, size_t size)
{
	const struct guard_conf gc = {.reserve_kib = sight->reserve_kib};
	bool unseen = sight->sent == -ENOTCONN || keeper_state(s->keeper, NULL, 0) != 0;
	struct herd *h = keeper_herd(s->keeper);
	bool cannot = sight->level > GUARD_CALM && sight->host.available_kib < guard_tight_kib(&gc) &&
	              !awaits(h, sight) && (unseen || h->number);

	if (cannot && unseen)
		snprintf(refused, size, "all (libvirt does not answer)");
	else if (cannot)
		list_refusals(s, sight->way, h, refused, size);
	keeper_done(s->keeper);
	return cannot;
}

char *monitor_complaint(char *buffer, size_t size, const struct sight *sight, const char *refused)
{
	uint64_t lack_kib = sat_sub(sight->reserve_kib, sight->host.available_kib);
	char needed[TEXT_SIZE], freed[TEXT_SIZE];

	snprintf(buffer, size, "cannot free: needed %s, freed %s, refused: %s",
	         text_size(needed, sizeof(needed), sat_add(lack_kib, sight->freed_kib)),
	         text_size(freed, sizeof(freed), sight->freed_kib), refused);
	return buffer;
}
