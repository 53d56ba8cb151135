/* SPDX-License-Identifier: MIT */
#include "host/registry.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/units.h"
#include "base/uri.h"
#include "host/keyfile.h"

#define NO_GIVE_TRIES 20
#define NO_GIVE_PAUSE_NS 200000

struct registry {
	struct statedir dir;
	bool elsewhere;  /* the guests take no memory of this host */
	bool wants_lock; /* registry_lock was called, and registry_unlock was not */
	int lock;        /* -1: not held */
	int no_give;     /* -1: not opened by us */
};

int registry_open(const char *root, bool create, struct registry **ret_registry)
{
	return registry_open_uri(root, "qemu:///system", create, ret_registry);
}

int registry_open_uri(const char *root, const char *uri, bool create, struct registry **ret_registry)
{
	struct registry *r = calloc(1, sizeof(*r));
	char host[URI_FOLDER];
	int error;

	if (!r)
		return -ENOMEM;
	*r = (struct registry){.elsewhere = uri_is_remote(uri) || uri_is_test(uri, root), .lock = -1, .no_give = -1};
	error = statedir_open(root, uri_folder(host, uri, root), create, &r->dir);
	if (error)
		free(r);
	else
		*ret_registry = r;
	return error;
}

int registry_open_guard(const char *root, const char *uri, bool create, struct registry **ret_registry)
{
	return uri_is_test(uri, root) ? registry_open_uri(root, uri, create, ret_registry)
	                              : registry_open(root, create, ret_registry);
}

void registry_close(struct registry *r)
{
	if (!r)
		return;
	fd_close(&r->lock);
	fd_close(&r->no_give);
	statedir_close(&r->dir);
	free(r);
}

int registry_refresh(struct registry *r)
{
	bool same = statedir_is_current(&r->dir), lost;
	int error = 0;

	if (!same || !statedir_is_file(&r->dir, STATEDIR_HOST, "lock", r->lock))
		fd_close(&r->lock);
	lost = r->wants_lock && r->lock < 0;
	if (!same || !statedir_is_file(&r->dir, STATEDIR_HOST, "no-give", r->no_give))
		fd_close(&r->no_give);
	if (!same)
		error = statedir_reopen(&r->dir);
	if (!error && lost)
		error = registry_lock(r);
	return error ? error : lost;
}

int registry_read(const struct registry *r, const char *name, char *text, size_t size)
{
	return statedir_read(&r->dir, STATEDIR_HOST, name, text, size);
}

int registry_read_head(const struct registry *r, const char *name, char *text, size_t size)
{
	return statedir_read_head(&r->dir, STATEDIR_HOST, name, text, size);
}

int registry_write(struct registry *r, const char *name, const char *text, size_t length)
{
	return strchr(name, '/') ? -EINVAL : statedir_write(&r->dir, STATEDIR_HOST, name, text, length);
}

/* ---- locks ---- */

int registry_lock(struct registry *r)
{
	int fd;

	r->wants_lock = true;
	if (r->lock >= 0)
		return 0;
	fd = statedir_file(&r->dir, STATEDIR_HOST, "lock", O_RDWR | O_CREAT);
	if (fd == -EROFS) /* a file that is there will do for a lock */
		fd = statedir_file(&r->dir, STATEDIR_HOST, "lock", O_RDONLY);
	if (fd < 0)
		return fd;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		int error = -errno;

		close(fd);
		return error;
	}
	r->lock = fd;
	return 0;
}

void registry_unlock(struct registry *r)
{
	fd_close(&r->lock);
	r->wants_lock = false;
}

int registry_no_give(const struct registry *r)
{
	int fd = statedir_file(&r->dir, r->elsewhere ? STATEDIR_HOST : STATEDIR_TOP, "no-give", O_RDONLY), held;

	if (fd < 0)
		return fd == -ENOENT || (fd == -EACCES && geteuid() != 0) ? 0 : fd;
	held = flock(fd, LOCK_SH | LOCK_NB) == 0 ? 0 : errno == EWOULDBLOCK ? 1 : -errno;
	close(fd);
	return held;
}

int registry_prepare_no_give(struct registry *r)
{
	int fd = r->no_give;

	if (fd < 0)
		fd = statedir_file(&r->dir, STATEDIR_HOST, "no-give", O_RDWR | O_CREAT);
	if (fd < 0)
		return fd;
	r->no_give = fd;
	return 0;
}

/* A pass that looks whether it is held holds it for some microseconds. */
int registry_hold_no_give(struct registry *r)
{
	int tries = NO_GIVE_TRIES, error = registry_prepare_no_give(r);

	if (error)
		return error;
	while (flock(r->no_give, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK || --tries == 0)
			return -errno;
		nanosleep(&(struct timespec){.tv_nsec = NO_GIVE_PAUSE_NS}, NULL);
	}
	return 0;
}

void registry_release_no_give(struct registry *r)
{
	if (r->no_give >= 0)
		flock(r->no_give, LOCK_UN);
}

/* ---- records ---- */

static const struct keyfile_field past_fields[] = {
    {"known", KEYFILE_FIELD(struct past, known)},
    {"domain_id", KEYFILE_FIELD(struct past, domain_id)},
    {"seen_ms", KEYFILE_FIELD(struct past, seen_ms)},
    {"actual_kib", KEYFILE_FIELD(struct past, actual_kib)},
    {"still_ms", KEYFILE_FIELD(struct past, still_ms)},
    {"asked_kib", KEYFILE_FIELD(struct past, asked_kib)},
    {"asked_ms", KEYFILE_FIELD(struct past, asked_ms)},
    {"asked_from_kib", KEYFILE_FIELD(struct past, asked_from_kib)},
    {"grown_kib", KEYFILE_FIELD(struct past, grown_kib)},
    {"maximum_kib", KEYFILE_FIELD(struct past, maximum_kib)},
    {"outside_kib", KEYFILE_FIELD(struct past, outside_kib)},
    {"learned", KEYFILE_FIELD(struct past, learned)},
    {"overhead_kib", KEYFILE_FIELD(struct past, overhead_kib)},
    {"has_used", KEYFILE_FIELD(struct past, has_used)},
    {"used_kib", KEYFILE_FIELD(struct past, used_kib)},
    {"last_update_s", KEYFILE_FIELD(struct past, last_update_s)},
    {"sample_ms", KEYFILE_FIELD(struct past, sample_ms)},
    {"growth_kibps", KEYFILE_FIELD(struct past, growth_kibps)},
    {"rise_kibps", KEYFILE_FIELD(struct past, rise_kibps)},
    {"swap_in_kib", KEYFILE_FIELD(struct past, swap_in_kib)},
    {"major_faults", KEYFILE_FIELD(struct past, major_faults)},
    {"has_rates", KEYFILE_FIELD(struct past, has_rates)},
    {"swap_in_kibps", KEYFILE_FIELD(struct past, swap_in_kibps)},
    {"faults_ps", KEYFILE_FIELD(struct past, faults_ps)},
    {"distress_samples", KEYFILE_FIELD(struct past, distress_samples)},
    {"distress_gives", KEYFILE_FIELD(struct past, distress_gives)},
    {"refused", KEYFILE_FIELD(struct past, refused)},
    {"retry_ms", KEYFILE_FIELD(struct past, retry_ms)},
    {"pause_ms", KEYFILE_FIELD(struct past, pause_ms)},
    {"top_kib", KEYFILE_FIELD(struct past, top_kib)},
    {"has_rss", KEYFILE_FIELD(struct past, has_rss)},
    {"rss_kib", KEYFILE_FIELD(struct past, rss_kib)},
    {"rss_before_kib", KEYFILE_FIELD(struct past, rss_before_kib)},
    {"has_qemu", KEYFILE_FIELD(struct past, has_qemu)},
    {"qemu_kib", KEYFILE_FIELD(struct past, qemu_kib)},
    {"no_gain", KEYFILE_FIELD(struct past, no_gain)},
    {"booted_ms", KEYFILE_FIELD(struct past, booted_ms)},
    {"low.since_ms", KEYFILE_FIELD(struct past, low.since_ms)},
    {"low.now_kib", KEYFILE_FIELD(struct past, low.now_kib)},
    {"low.before_kib", KEYFILE_FIELD(struct past, low.before_kib)},
    {"peak.since_ms", KEYFILE_FIELD(struct past, peak.since_ms)},
    {"peak.now_kib", KEYFILE_FIELD(struct past, peak.now_kib)},
    {"peak.before_kib", KEYFILE_FIELD(struct past, peak.before_kib)},
    {"surge_kib", KEYFILE_FIELD(struct past, surge_kib)},
    {"in_use_kib", KEYFILE_FIELD(struct past, in_use_kib)},
    {"in_use_before_kib", KEYFILE_FIELD(struct past, in_use_before_kib)},
    {"unused_kib", KEYFILE_FIELD(struct past, unused_kib)},
    {"touched_kib", KEYFILE_FIELD(struct past, touched_kib)},
    {"rss_kibps", KEYFILE_FIELD(struct past, rss_kibps)},
    {"follows", KEYFILE_FIELD(struct past, follows)},
    {"rest_actual_kib", KEYFILE_FIELD(struct past, rest_actual_kib)},
    {"rest_available_kib", KEYFILE_FIELD(struct past, rest_available_kib)},
    {"last.decided_ms", KEYFILE_FIELD(struct past, last.decided_ms)},
    {"last.from_kib", KEYFILE_FIELD(struct past, last.from_kib)},
    {"last.want_kib", KEYFILE_FIELD(struct past, last.want_kib)},
    {"last.asked_kib", KEYFILE_FIELD(struct past, last.asked_kib)},
    {"last.reached_kib", KEYFILE_FIELD(struct past, last.reached_kib)},
    {"last.reason", KEYFILE_FIELD(struct past, last.reason)},
    {"told.decided_ms", KEYFILE_FIELD(struct past, told.decided_ms)},
    {"told.from_kib", KEYFILE_FIELD(struct past, told.from_kib)},
    {"told.asked_kib", KEYFILE_FIELD(struct past, told.asked_kib)},
    {"told.reason", KEYFILE_FIELD(struct past, told.reason)},
};
static const struct keyfile_form past_form = {STATEDIR_STATE, "version=5", past_fields, COUNT(past_fields)};

static const struct keyfile_field record_fields[] = {
    {"name", KEYFILE_FIELD(struct record, name)},
    {"maximum_kib", KEYFILE_FIELD(struct record, maximum_kib)},
    {"started_s", KEYFILE_FIELD(struct record, started_s)},
    {"hints.present", KEYFILE_FIELD(struct record, hints.present)},
    {"hints.opted_out", KEYFILE_FIELD(struct record, hints.opted_out)},
    {"hints.has_min", KEYFILE_FIELD(struct record, hints.has_min)},
    {"hints.has_max", KEYFILE_FIELD(struct record, hints.has_max)},
    {"hints.has_weight", KEYFILE_FIELD(struct record, hints.has_weight)},
    {"hints.has_target", KEYFILE_FIELD(struct record, hints.has_target)},
    {"hints.has_managed", KEYFILE_FIELD(struct record, hints.has_managed)},
    {"hints.min_kib", KEYFILE_FIELD(struct record, hints.min_kib)},
    {"hints.max_kib", KEYFILE_FIELD(struct record, hints.max_kib)},
    {"hints.target_kib", KEYFILE_FIELD(struct record, hints.target_kib)},
    {"hints.weight", KEYFILE_FIELD(struct record, hints.weight)},
};
static const struct keyfile_form record_form = {STATEDIR_DOMAINS, "version=2", record_fields, COUNT(record_fields)};

struct pending {
	uint64_t need_kib, since_s;
};

static const struct keyfile_field pending_fields[] = {
    {"need_kib", KEYFILE_FIELD(struct pending, need_kib)},
    {"since_s", KEYFILE_FIELD(struct pending, since_s)},
};
static const struct keyfile_form pending_form = {STATEDIR_PENDING, "version=1", pending_fields, COUNT(pending_fields)};

/* The memory of another version is not used: it is learned again. */
static int load_form(const struct registry *r, const struct keyfile_form *form, const char *name, void *base)
{
	int error = keyfile_load(&r->dir, form, name, base);

	return error == -EPROTO ? -ENOENT : error;
}

int registry_load_past(const struct registry *r, const char *uuid, struct past *ret_past)
{
	struct past past = {0};
	int error = load_form(r, &past_form, uuid, &past);

	if (error == 0)
		*ret_past = past;
	return error;
}

int registry_save_past(struct registry *r, const char *uuid, const struct past *past)
{
	return keyfile_save(&r->dir, &past_form, uuid, past);
}

int registry_load_record(const struct registry *r, const char *uuid, struct record *ret_record)
{
	struct record record = {0};
	int error = load_form(r, &record_form, uuid, &record);

	if (error == 0 && (record.hints.weight < 1 || record.hints.weight > 10000))
		error = -EBADMSG;
	if (error == 0)
		*ret_record = record;
	else
		record_clear(&record);
	return error;
}

int registry_save_record(struct registry *r, const char *uuid, const struct record *record)
{
	return keyfile_save(&r->dir, &record_form, uuid, record);
}

void record_clear(struct record *record)
{
	free(record->name);
	*record = (struct record){0};
}

int registry_save_pending(struct registry *r, const char *uuid, uint64_t need_kib, uint64_t now_s)
{
	const struct pending pending = {need_kib, now_s};

	return keyfile_save(&r->dir, &pending_form, uuid, &pending);
}

static void remove_guest(struct registry *r, enum statedir_place place, const char *uuid)
{
	char name[UUID_TEXT];

	if (uuid_parse(uuid, name))
		statedir_remove(&r->dir, place, name);
}

void registry_forget_pending(struct registry *r, const char *uuid)
{
	remove_guest(r, STATEDIR_PENDING, uuid);
}

void registry_forget(struct registry *r, const char *uuid)
{
	for (enum statedir_place i = STATEDIR_DOMAINS; i < STATEDIR_PLACES; i++)
		remove_guest(r, i, uuid);
}

/* ---- the holder of the lock ---- */

#define STUCK_LEAST_MS (5 * 60 * 1000)

struct holder {
	int64_t pid;
	uint64_t pass_ms, interval_ms;
};

static const struct keyfile_field holder_fields[] = {
    {"pid", KEYFILE_FIELD(struct holder, pid)},
    {"pass_ms", KEYFILE_FIELD(struct holder, pass_ms)},
    {"interval_ms", KEYFILE_FIELD(struct holder, interval_ms)},
};
static const struct keyfile_form holder_form = {STATEDIR_HOST, "version=1", holder_fields, COUNT(holder_fields)};

int registry_note_pass(struct registry *r, uint64_t now_ms, uint64_t interval_ms)
{
	const struct holder holder = {getpid(), now_ms, interval_ms};

	return keyfile_save(&r->dir, &holder_form, "holder", &holder);
}

bool registry_is_stuck(const struct registry *r, uint64_t now_ms, int64_t *ret_pid, uint64_t *ret_idle_ms)
{
	struct holder holder = {0};
	bool known = keyfile_load(&r->dir, &holder_form, "holder", &holder) == 0;
	uint64_t idle_ms = sat_sub(now_ms, holder.pass_ms);

	if (!known || idle_ms <= max_u64(STUCK_LEAST_MS, scale_u64(holder.interval_ms, 3, 1)))
		return false;
	*ret_pid = kill((pid_t)holder.pid, 0) == 0 || errno == EPERM ? holder.pid : 0;
	*ret_idle_ms = idle_ms;
	return true;
}

/* ---- the totals ---- */

static const struct keyfile_field totals_fields[] = {
    {"passes", KEYFILE_FIELD(struct totals, passes)},
    {"failed", KEYFILE_FIELD(struct totals, failed)},
    {"gives", KEYFILE_FIELD(struct totals, moves.gives)},
    {"takes", KEYFILE_FIELD(struct totals, moves.takes)},
    {"given_kib", KEYFILE_FIELD(struct totals, moves.given_kib)},
    {"taken_kib", KEYFILE_FIELD(struct totals, moves.taken_kib)},
};
static const struct keyfile_form totals_form = {STATEDIR_HOST, "version=1", totals_fields, COUNT(totals_fields)};

int registry_load_totals(const struct registry *r, struct totals *ret_totals)
{
	struct totals totals = {0};
	int error = load_form(r, &totals_form, "totals", &totals);

	if (!error)
		*ret_totals = totals;
	return error;
}

int registry_save_totals(struct registry *r, const struct totals *totals)
{
	return keyfile_save(&r->dir, &totals_form, "totals", totals);
}

int registry_count_pass(struct registry *r, const struct guest *g, size_t n, bool made, bool failed)
{
	struct totals t = {0};

	registry_load_totals(r, &t);
	t.passes += made;
	t.failed += failed;
	for (size_t i = 0; i < n; i++) {
		const struct moves *m = &g[i].order.moves;

		t.moves.gives += m->gives;
		t.moves.takes += m->takes;
		t.moves.given_kib = sat_add(t.moves.given_kib, m->given_kib);
		t.moves.taken_kib = sat_add(t.moves.taken_kib, m->taken_kib);
	}
	return registry_save_totals(r, &t);
}

/* ---- the pause ---- */

struct pause {
	uint64_t since_ms, until_ms; /* a clock before since is that of another boot, should /run have outlived it */
};

static const struct keyfile_field pause_fields[] = {
    {"since_ms", KEYFILE_FIELD(struct pause, since_ms)},
    {"until_ms", KEYFILE_FIELD(struct pause, until_ms)},
};
static const struct keyfile_form pause_form = {STATEDIR_TOP, "version=1", pause_fields, COUNT(pause_fields)};

int registry_pause(struct registry *r, uint64_t now_ms, uint64_t for_ms)
{
	const struct pause pause = {now_ms, now_ms + for_ms};

	return for_ms > PAUSE_MAX_MS ? -ERANGE : keyfile_save(&r->dir, &pause_form, "paused", &pause);
}

int registry_resume(struct registry *r)
{
	int error = statedir_remove(&r->dir, STATEDIR_TOP, "paused");

	return error == -EISDIR && statedir_remove_dir(&r->dir, STATEDIR_TOP, "paused") == 0 ? 0 : error;
}

int registry_paused(const struct registry *r, uint64_t now_ms, uint64_t *ret_left_ms)
{
	struct pause pause = {0};
	int error = keyfile_load(&r->dir, &pause_form, "paused", &pause);

	if (error && error != -ENOENT)
		return error;
	if (sat_sub(pause.until_ms, pause.since_ms) > PAUSE_MAX_MS)
		return -EBADMSG;
	*ret_left_ms = now_ms < pause.since_ms ? 0 : sat_sub(pause.until_ms, now_ms);
	return 0;
}

/* ---- folders ---- */

struct sum {
	const struct registry *registry;
	uint64_t now_s, kib;
	bool unreadable;
};

/* A start that lies ahead is as void as an old one: the clock was set. */
static bool is_due(uint64_t since_s, uint64_t now_s)
{
	return since_s > now_s ? since_s - now_s <= PENDING_MAX_S : now_s - since_s <= PENDING_MAX_S;
}

static void add_pending(void *arg, const char *name)
{
	struct pending pending = {0};
	struct sum *sum = arg;
	const struct statedir *dir = &sum->registry->dir;
	int error = keyfile_load(dir, &pending_form, name, &pending);
	bool unknown = error && error != -ENOENT && error != -EINVAL; /* not there, and no name of ours */

	/* a file that cannot be read is void at the same age as another */
	if (unknown) {
		int r = statedir_mtime(dir, STATEDIR_PENDING, name, &pending.since_s);

		sum->unreadable |= r ? r != -ENOENT : is_due(pending.since_s, sum->now_s);
	}
	if (error == 0 && is_due(pending.since_s, sum->now_s))
		sum->kib = sat_add(sum->kib, pending.need_kib);
}

uint64_t registry_pending_kib(const struct registry *r, uint64_t now_s, bool *ret_unreadable)
{
	struct sum sum = {.registry = r, .now_s = now_s};
	int error = statedir_walk(&r->dir, STATEDIR_PENDING, add_pending, &sum);

	if (ret_unreadable)
		*ret_unreadable = sum.unreadable || (error && error != -ENOENT);
	return sum.kib;
}

int registry_watch_pending(const struct registry *r)
{
	return statedir_watch(&r->dir, STATEDIR_PENDING);
}

struct listing {
	const struct registry *registry;
	uint64_t now_s;
	struct guest *guest;
	size_t n;
	int error; /* of a record that may be good */
};

static bool is_pending(const struct registry *r, const char *uuid, uint64_t now_s)
{
	struct pending pending = {0};

	return keyfile_load(&r->dir, &pending_form, uuid, &pending) == 0 && is_due(pending.since_s, now_s);
}

/* Takes over the name of the record. */
static int add_listed(struct listing *l, const char *uuid, struct record *record)
{
	struct guest *guest = reallocarray(l->guest, l->n + 1, sizeof(*guest));

	if (!guest)
		return -ENOMEM;
	l->guest = guest;
	guest[l->n] = (struct guest){.domain_id = -1, .name = record->name};
	memcpy(guest[l->n++].uuid, uuid, UUID_TEXT);
	record->name = NULL;
	return 0;
}

static void list_one(void *arg, const char *name)
{
	struct listing *l = arg;
	struct record record = {0};
	int error = registry_load_record(l->registry, name, &record);

	if (!error && !is_pending(l->registry, name, l->now_s))
		error = add_listed(l, name, &record);
	if (error && error != -ENOENT && error != -EINVAL && error != -EBADMSG)
		l->error = error;
	record_clear(&record);
}

static void count_one(void *arg, const char *name)
{
	size_t *n = arg;

	(void)name;
	++*n;
}

bool registry_has_guests(const struct registry *r)
{
	size_t n = 0;
	int error = statedir_walk(&r->dir, STATEDIR_DOMAINS, count_one, &n);

	return n > 0 || (error && error != -ENOENT);
}

int registry_list(const struct registry *r, uint64_t now_s, struct guest **ret_guests, size_t *ret_n)
{
	struct listing l = {.registry = r, .now_s = now_s};
	int error = statedir_walk(&r->dir, STATEDIR_DOMAINS, list_one, &l);

	if (!error || error == -ENOENT)
		error = l.error;
	if (error) {
		while (l.n)
			guest_clear(&l.guest[--l.n]);
		free(l.guest);
		return error;
	}
	*ret_guests = l.guest;
	*ret_n = l.n;
	return 0;
}

struct pruning {
	struct registry *registry;
	const struct guest *guest;
	size_t n;
	uint64_t now_s;
	enum statedir_place place;
	bool keep_listed, keep_young;
};

static bool is_listed(const struct pruning *p, const char *uuid)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->guest[i].uuid, uuid) == 0)
			return true;
	return false;
}

/* Names that are neither a UUID nor a temporary are not ours to remove. */
static void prune_one(void *arg, const char *name)
{
	const struct pruning *p = arg;
	const struct statedir *dir = &p->registry->dir;
	bool temporary = name[0] == '.';
	char uuid[UUID_TEXT];
	uint64_t mtime_s;

	if ((!temporary && !uuid_parse(name, uuid)) || (p->keep_listed && is_listed(p, name)))
		return;
	if ((p->keep_young || temporary) &&
	    (statedir_mtime(dir, p->place, name, &mtime_s) || is_due(mtime_s, p->now_s)))
		return;
	statedir_remove(dir, p->place, name);
}

/* State is only written under the lock, so a guest that is not listed is gone; a hook can write at any time. */
void registry_prune(struct registry *r, const struct guest *g, size_t n, uint64_t now_s)
{
	struct pruning rows[] = {
	    {r, g, n, now_s, STATEDIR_DOMAINS, .keep_listed = true, .keep_young = true},
	    {r, g, n, now_s, STATEDIR_PENDING, .keep_young = true},
	    {r, g, n, now_s, STATEDIR_STATE, .keep_listed = true},
	    {r, g, n, now_s, STATEDIR_HOST, .keep_young = true},
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		statedir_walk(&r->dir, rows[i].place, prune_one, &rows[i]);
}
