#include "host/registry.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "base/units.h"
#include "base/uri.h"
#include "host/statedir.h"

#define RECORD_BYTES 4096
#define NAME_BYTES 1024 /* three times that, escaped, fits a record */

#define NO_GIVE_TRIES 20
#define NO_GIVE_PAUSE_NS 200000

struct registry {
	struct statedir dir;
	bool remote;     /* the guests are on another host */
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
	char host[17] = "";
	int error;

	if (!r)
		return -ENOMEM;
	*r = (struct registry){.remote = uri_is_remote(uri), .lock = -1, .no_give = -1};
	if (!uri_is_own(uri, root))
		snprintf(host, sizeof(host), "%016" PRIx64, text_hash(uri));
	error = statedir_open(root, host, create, &r->dir);
	if (error)
		free(r);
	else
		*ret_registry = r;
	return error;
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
	bool same = statedir_is_current(&r->dir);
	int error = 0;

	if (!same || !statedir_is_file(&r->dir, STATEDIR_HOST, "lock", r->lock))
		fd_close(&r->lock);
	if (!same || !statedir_is_file(&r->dir, STATEDIR_HOST, "no-give", r->no_give))
		fd_close(&r->no_give);
	if (!same)
		error = statedir_reopen(&r->dir);
	return !error && r->wants_lock ? registry_lock(r) : error;
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
	int fd = statedir_file(&r->dir, r->remote ? STATEDIR_HOST : STATEDIR_TOP, "no-give", O_RDONLY), held;

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

enum kind { KIND_BOOL, KIND_U32, KIND_U64, KIND_I64, KIND_TEXT };

struct field {
	const char *key;
	enum kind kind;
	size_t offset;
};

/* A kind of record. A key more or less is another version. */
struct form {
	enum statedir_place place;
	const char *version; /* its first line */
	const struct field *field;
	size_t n;
};

#define KIND_OF(x)                                                                                                     \
	_Generic((x), bool : KIND_BOOL, uint32_t : KIND_U32, uint64_t : KIND_U64, int64_t : KIND_I64, char * : KIND_TEXT)
#define FIELD(type, member) KIND_OF(((type *)0)->member), offsetof(type, member)
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const struct field past_fields[] = {
    {"known", FIELD(struct past, known)},
    {"domain_id", FIELD(struct past, domain_id)},
    {"seen_ms", FIELD(struct past, seen_ms)},
    {"actual_kib", FIELD(struct past, actual_kib)},
    {"still_ms", FIELD(struct past, still_ms)},
    {"asked_kib", FIELD(struct past, asked_kib)},
    {"asked_ms", FIELD(struct past, asked_ms)},
    {"asked_from_kib", FIELD(struct past, asked_from_kib)},
    {"grown_kib", FIELD(struct past, grown_kib)},
    {"maximum_kib", FIELD(struct past, maximum_kib)},
    {"outside_kib", FIELD(struct past, outside_kib)},
    {"learned", FIELD(struct past, learned)},
    {"overhead_kib", FIELD(struct past, overhead_kib)},
    {"has_used", FIELD(struct past, has_used)},
    {"used_kib", FIELD(struct past, used_kib)},
    {"last_update_s", FIELD(struct past, last_update_s)},
    {"sample_ms", FIELD(struct past, sample_ms)},
    {"growth_kibps", FIELD(struct past, growth_kibps)},
    {"rise_kibps", FIELD(struct past, rise_kibps)},
    {"swap_in_kib", FIELD(struct past, swap_in_kib)},
    {"major_faults", FIELD(struct past, major_faults)},
    {"distress_samples", FIELD(struct past, distress_samples)},
    {"distress_gives", FIELD(struct past, distress_gives)},
    {"refused", FIELD(struct past, refused)},
    {"retry_ms", FIELD(struct past, retry_ms)},
    {"pause_ms", FIELD(struct past, pause_ms)},
    {"top_kib", FIELD(struct past, top_kib)},
    {"has_rss", FIELD(struct past, has_rss)},
    {"rss_kib", FIELD(struct past, rss_kib)},
    {"rss_before_kib", FIELD(struct past, rss_before_kib)},
    {"has_qemu", FIELD(struct past, has_qemu)},
    {"qemu_kib", FIELD(struct past, qemu_kib)},
    {"no_gain", FIELD(struct past, no_gain)},
    {"booted_ms", FIELD(struct past, booted_ms)},
    {"low.since_ms", FIELD(struct past, low.since_ms)},
    {"low.now_kib", FIELD(struct past, low.now_kib)},
    {"low.before_kib", FIELD(struct past, low.before_kib)},
    {"peak.since_ms", FIELD(struct past, peak.since_ms)},
    {"peak.now_kib", FIELD(struct past, peak.now_kib)},
    {"peak.before_kib", FIELD(struct past, peak.before_kib)},
    {"surge_kib", FIELD(struct past, surge_kib)},
    {"in_use_kib", FIELD(struct past, in_use_kib)},
    {"in_use_before_kib", FIELD(struct past, in_use_before_kib)},
    {"unused_kib", FIELD(struct past, unused_kib)},
    {"touched_kib", FIELD(struct past, touched_kib)},
    {"rss_kibps", FIELD(struct past, rss_kibps)},
    {"follows", FIELD(struct past, follows)},
    {"rest_actual_kib", FIELD(struct past, rest_actual_kib)},
    {"rest_available_kib", FIELD(struct past, rest_available_kib)},
    {"last.decided_ms", FIELD(struct past, last.decided_ms)},
    {"last.from_kib", FIELD(struct past, last.from_kib)},
    {"last.want_kib", FIELD(struct past, last.want_kib)},
    {"last.asked_kib", FIELD(struct past, last.asked_kib)},
    {"last.reached_kib", FIELD(struct past, last.reached_kib)},
    {"last.reason", FIELD(struct past, last.reason)},
};
static const struct form past_form = {STATEDIR_STATE, "version=4", past_fields, COUNT(past_fields)};

static const struct field record_fields[] = {
    {"name", FIELD(struct record, name)},
    {"maximum_kib", FIELD(struct record, maximum_kib)},
    {"started_s", FIELD(struct record, started_s)},
    {"hints.present", FIELD(struct record, hints.present)},
    {"hints.opted_out", FIELD(struct record, hints.opted_out)},
    {"hints.has_min", FIELD(struct record, hints.has_min)},
    {"hints.has_max", FIELD(struct record, hints.has_max)},
    {"hints.has_weight", FIELD(struct record, hints.has_weight)},
    {"hints.has_target", FIELD(struct record, hints.has_target)},
    {"hints.has_managed", FIELD(struct record, hints.has_managed)},
    {"hints.min_kib", FIELD(struct record, hints.min_kib)},
    {"hints.max_kib", FIELD(struct record, hints.max_kib)},
    {"hints.target_kib", FIELD(struct record, hints.target_kib)},
    {"hints.weight", FIELD(struct record, hints.weight)},
};
static const struct form record_form = {STATEDIR_DOMAINS, "version=2", record_fields, COUNT(record_fields)};

struct pending {
	uint64_t need_kib, since_s;
};

static const struct field pending_fields[] = {
    {"need_kib", FIELD(struct pending, need_kib)},
    {"since_s", FIELD(struct pending, since_s)},
};
static const struct form pending_form = {STATEDIR_PENDING, "version=1", pending_fields, COUNT(pending_fields)};

/* Letters, digits and the like stay as they are, every other byte becomes %XX; to be freed. */
static char *encode(const char *text)
{
	size_t length = strnlen(text, NAME_BYTES);
	char *code = malloc(3 * length + 1), *end = code;

	if (!code)
		return NULL;
	for (size_t i = 0; i < length; i++)
		if (text[i] > ' ' && text[i] <= '~' && text[i] != '%')
			*end++ = text[i];
		else
			end += sprintf(end, "%%%02X", (unsigned char)text[i]);
	*end = '\0';
	return code;
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789ABCDEF";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* The next byte of what encode wrote; 0 where it did not write that. */
static int decode_byte(const char **code)
{
	const char *at = *code;
	int high, low;

	if (*at != '%') {
		*code += 1;
		return (unsigned char)*at;
	}
	high = hex_digit(at[1]);
	low = high < 0 ? -1 : hex_digit(at[2]);
	*code += 3;
	return low < 0 ? 0 : high << 4 | low;
}

/* To be freed; NULL where it is not what encode writes, or without memory. */
static char *decode(const char *code)
{
	char *text = malloc(strlen(code) + 1), *end = text;

	while (text && *code) {
		int byte = decode_byte(&code);

		if (byte == 0) {
			free(text);
			return NULL;
		}
		*end++ = (char)byte;
	}
	if (text)
		*end = '\0';
	return text;
}

static int print_field(const struct field *f, const void *base, char *text, size_t size)
{
	const void *value = (const char *)base + f->offset;
	char *code;
	int n = -1;

	switch (f->kind) {
	case KIND_BOOL:
		return snprintf(text, size, "%s=%d\n", f->key, *(const bool *)value);
	case KIND_U32:
		return snprintf(text, size, "%s=%" PRIu32 "\n", f->key, *(const uint32_t *)value);
	case KIND_U64:
		return snprintf(text, size, "%s=%" PRIu64 "\n", f->key, *(const uint64_t *)value);
	case KIND_I64:
		return snprintf(text, size, "%s=%" PRId64 "\n", f->key, *(const int64_t *)value);
	case KIND_TEXT:
		code = encode(*(char *const *)value ? *(char *const *)value : "");
		if (code)
			n = snprintf(text, size, "%s=%s\n", f->key, code);
		free(code);
	}
	return n;
}

/* Returns the length of the text, or -errno. */
static int print_record(const struct form *form, const void *base, char *text, size_t size)
{
	size_t used = (size_t)snprintf(text, size, "%s\n", form->version);

	for (size_t i = 0; i < form->n; i++) {
		int length = print_field(&form->field[i], base, text + used, size - used);

		if (length < 0)
			return -ENOMEM;
		used += (size_t)length;
		if (used >= size)
			return -EMSGSIZE;
	}
	return (int)used;
}

/* The file of a record: a UUID in lower case, but for "paused" and "holder". NULL: not a name. */
static const char *file_of(const struct form *form, const char *name, char uuid[UUID_TEXT])
{
	return form->place <= STATEDIR_HOST ? name : uuid_parse(name, uuid) ? uuid : NULL;
}

/* A record of a guest seldom changes: only what differs is written. */
static int save(const struct registry *r, const struct form *form, const char *name, const void *base)
{
	char text[RECORD_BYTES], before[RECORD_BYTES + 1], uuid[UUID_TEXT];
	const char *file = file_of(form, name, uuid);
	int length = print_record(form, base, text, sizeof(text));

	if (!file || length < 0)
		return file ? length : -EINVAL;
	if (form->place == STATEDIR_DOMAINS && !statedir_read(&r->dir, form->place, file, before, sizeof(before)) &&
	    strcmp(before, text) == 0)
		return 0;
	return statedir_write(&r->dir, form->place, file, text, (size_t)length);
}

static bool read_field(const struct field *f, const char *text, void *base)
{
	void *value = (char *)base + f->offset;
	bool negative = f->kind == KIND_I64 && text[0] == '-';
	const uint64_t limit[] = {
	    [KIND_BOOL] = 1, [KIND_U32] = UINT32_MAX, [KIND_U64] = UINT64_MAX, [KIND_I64] = INT64_MAX};
	uint64_t number = 0;

	if (f->kind != KIND_TEXT && number_parse(text + negative, limit[f->kind], &number) < 0)
		return false;
	switch (f->kind) {
	case KIND_BOOL:
		*(bool *)value = number;
		return true;
	case KIND_U32:
		*(uint32_t *)value = (uint32_t)number;
		return true;
	case KIND_U64:
		*(uint64_t *)value = number;
		return true;
	case KIND_I64:
		*(int64_t *)value = negative ? -(int64_t)number : (int64_t)number;
		return true;
	case KIND_TEXT:
		*(char **)value = decode(text);
		return *(char **)value;
	}
	return false;
}

/* Reads one key=value; each field's bit in *found says that it was there. */
static bool read_line(char *line, const struct form *form, void *base, uint64_t *found)
{
	const char *key = strsep(&line, "=");

	for (size_t i = 0; line && i < form->n; i++) {
		if (strcmp(form->field[i].key, key) != 0)
			continue;
		if ((*found & UINT64_C(1) << i) || !read_field(&form->field[i], line, base))
			return false;
		*found |= UINT64_C(1) << i;
	}
	return line;
}

/* base is to be cleared by the caller on failure too. */
static int load(const struct registry *r, const struct form *form, const char *name, void *base)
{
	char text[RECORD_BYTES], uuid[UUID_TEXT], *rest = text, *line;
	const char *file = file_of(form, name, uuid);
	uint64_t found = 0;
	int error = file ? statedir_read(&r->dir, form->place, file, text, sizeof(text)) : -EINVAL;

	if (error)
		return error;
	line = strsep(&rest, "\n");
	if (!rest || strncmp(line, form->version, strlen("version=")) != 0)
		return -EBADMSG;
	if (strcmp(line, form->version) != 0)
		return -ENOENT;
	while ((line = strsep(&rest, "\n")) && rest)
		if (!read_line(line, form, base, &found))
			return -EBADMSG;
	return line && *line == '\0' && found == (UINT64_C(1) << form->n) - 1 ? 0 : -EBADMSG;
}

int registry_load_past(const struct registry *r, const char *uuid, struct past *ret_past)
{
	struct past past = {0};
	int error = load(r, &past_form, uuid, &past);

	if (error == 0)
		*ret_past = past;
	return error;
}

int registry_save_past(struct registry *r, const char *uuid, const struct past *past)
{
	return save(r, &past_form, uuid, past);
}

int registry_load_record(const struct registry *r, const char *uuid, struct record *ret_record)
{
	struct record record = {0};
	int error = load(r, &record_form, uuid, &record);

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
	return save(r, &record_form, uuid, record);
}

void record_clear(struct record *record)
{
	free(record->name);
	*record = (struct record){0};
}

int registry_save_pending(struct registry *r, const char *uuid, uint64_t need_kib, uint64_t now_s)
{
	const struct pending pending = {need_kib, now_s};

	return save(r, &pending_form, uuid, &pending);
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

static const struct field holder_fields[] = {
    {"pid", FIELD(struct holder, pid)},
    {"pass_ms", FIELD(struct holder, pass_ms)},
    {"interval_ms", FIELD(struct holder, interval_ms)},
};
static const struct form holder_form = {STATEDIR_HOST, "version=1", holder_fields, COUNT(holder_fields)};

int registry_note_pass(struct registry *r, uint64_t now_ms, uint64_t interval_ms)
{
	const struct holder holder = {getpid(), now_ms, interval_ms};

	return save(r, &holder_form, "holder", &holder);
}

bool registry_is_stuck(const struct registry *r, uint64_t now_ms, int64_t *ret_pid, uint64_t *ret_idle_ms)
{
	struct holder holder = {0};
	bool known = load(r, &holder_form, "holder", &holder) == 0;
	uint64_t idle_ms = sat_sub(now_ms, holder.pass_ms);

	if (!known || idle_ms <= max_u64(STUCK_LEAST_MS, scale_u64(holder.interval_ms, 3, 1)))
		return false;
	*ret_pid = kill((pid_t)holder.pid, 0) == 0 || errno == EPERM ? holder.pid : 0;
	*ret_idle_ms = idle_ms;
	return true;
}

/* ---- the pause ---- */

struct pause {
	uint64_t since_ms, until_ms; /* a clock before since is that of another boot, should /run have outlived it */
};

static const struct field pause_fields[] = {
    {"since_ms", FIELD(struct pause, since_ms)},
    {"until_ms", FIELD(struct pause, until_ms)},
};
static const struct form pause_form = {STATEDIR_TOP, "version=1", pause_fields, COUNT(pause_fields)};

int registry_pause(struct registry *r, uint64_t now_ms, uint64_t for_ms)
{
	const struct pause pause = {now_ms, now_ms + for_ms};

	return for_ms > PAUSE_MAX_MS ? -ERANGE : save(r, &pause_form, "paused", &pause);
}

int registry_resume(struct registry *r)
{
	int error = statedir_remove(&r->dir, STATEDIR_TOP, "paused");

	return error == -EISDIR && statedir_remove_dir(&r->dir, STATEDIR_TOP, "paused") == 0 ? 0 : error;
}

int registry_paused(const struct registry *r, uint64_t now_ms, uint64_t *ret_left_ms)
{
	struct pause pause = {0};
	int error = load(r, &pause_form, "paused", &pause);

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
	int error = load(sum->registry, &pending_form, name, &pending);

	sum->unreadable |= error && error != -ENOENT && error != -EINVAL; /* not there, and no name of ours */
	if (error == 0 && is_due(pending.since_s, sum->now_s))
		sum->kib = sat_add(sum->kib, pending.need_kib);
}

uint64_t registry_pending_kib(const struct registry *r, uint64_t now_s, bool *ret_unreadable)
{
	struct sum sum = {.registry = r, .now_s = now_s};

	statedir_walk(&r->dir, STATEDIR_PENDING, add_pending, &sum);
	if (ret_unreadable)
		*ret_unreadable = sum.unreadable;
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
	size_t n, room;
};

static bool is_pending(const struct registry *r, const char *uuid, uint64_t now_s)
{
	struct pending pending = {0};

	return load(r, &pending_form, uuid, &pending) == 0 && is_due(pending.since_s, now_s);
}

static void list_one(void *arg, const char *name)
{
	struct listing *l = arg;
	struct record record = {0};
	struct guest g = {.domain_id = -1};

	if (l->n == l->room || registry_load_record(l->registry, name, &record) < 0)
		return;
	memcpy(g.uuid, name, sizeof(g.uuid));
	g.name = record.name; /* it goes on as the guest's */
	if (is_pending(l->registry, name, l->now_s))
		record_clear(&record);
	else
		l->guest[l->n++] = g;
}

static void count_one(void *arg, const char *name)
{
	size_t *n = arg;

	(void)name;
	++*n;
}

static size_t count_records(const struct registry *r)
{
	size_t n = 0;

	statedir_walk(&r->dir, STATEDIR_DOMAINS, count_one, &n);
	return n;
}

bool registry_has_guests(const struct registry *r)
{
	return count_records(r) > 0;
}

int registry_list(const struct registry *r, uint64_t now_s, struct guest **ret_guests, size_t *ret_n)
{
	struct listing l = {.registry = r, .now_s = now_s, .room = count_records(r)};

	l.guest = calloc(l.room + 1, sizeof(*l.guest));
	if (!l.guest)
		return -ENOMEM;
	statedir_walk(&r->dir, STATEDIR_DOMAINS, list_one, &l);
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
	bool temporary = name[0] == '.', young;
	char uuid[UUID_TEXT];
	uint64_t mtime_s;

	if ((!temporary && !uuid_parse(name, uuid)) || statedir_mtime(dir, p->place, name, &mtime_s))
		return;
	young = is_due(mtime_s, p->now_s);
	if (!(young && (p->keep_young || temporary)) && !(p->keep_listed && is_listed(p, name)))
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
