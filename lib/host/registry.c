#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/units.h"
#include "base/uri.h"
#include "host/registry.h"

#define RECORD_BYTES 4096
#define NAME_BYTES 1024   /* three times that, escaped, fits a record */
#define MAX_ENTRIES 16384 /* of a folder that are looked at */
#define ENTRIES_BYTES 4096

#define NO_GIVE_TRIES 20
#define NO_GIVE_PAUSE_NS 200000

#define SAID_MAX 256
#define SAID_TEXT 320
#define SAID_BYTES (SAID_MAX * (SAID_TEXT + 48))
#define SAID_AGAIN_S 3600

enum folder { DOMAINS, PENDING, STATE, FOLDERS };
static const char *const folder_names[FOLDERS] = {"domains", "pending", "state"};

struct complaint {
	uint64_t key; /* hash */
	uint64_t said_s;
	bool seen; /* in this pass */
	char text[SAID_TEXT];
};

struct said {
	uint64_t now_s;
	bool changed, unwritten;
	size_t n;
	struct complaint list[SAID_MAX];
};

struct registry {
	char *path;          /* of top */
	int top;             /* run/memsched */
	char host[24];       /* below it: hosts/HASH; "": none */
	int dir;             /* of this libvirt's guests: host's, or top's */
	bool remote;         /* they are on another host */
	int folder[FOLDERS]; /* -1: not there */
	int lock;            /* -1: not held */
	bool wants_lock;     /* registry_lock was called, and registry_unlock was not */
	int no_give;         /* -1: not opened by us */
	struct said *said;   /* between say_begin and say_end; longer where it could not be written */
};

/* ---- directories ---- */

static bool is_ours(const struct stat *st)
{
	return st->st_uid == 0 || st->st_uid == geteuid();
}

/* Opens a directory below at, made first where create says so. The umask of whoever comes first shall not matter. */
static int open_dir(int at, const char *name, bool create)
{
	bool made = create && mkdirat(at, name, 0755) == 0;
	int r = create && !made && errno != EEXIST ? -errno : 0;
	int fd = r < 0 ? r : openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (r < 0)
		return r;
	if (fd < 0)
		return -errno;
	if ((made && fchmod(fd, 0755) < 0) || fstat(fd, &st) < 0)
		r = -errno;
	else if (!is_ours(&st) || (st.st_mode & 022))
		r = -EPERM;
	if (r < 0)
		close(fd);
	return r < 0 ? r : fd;
}

static int open_folders(struct registry *r, bool create)
{
	for (size_t i = 0; i < FOLDERS; i++) {
		int fd = open_dir(r->dir, folder_names[i], create);

		if (fd < 0 && fd != -ENOENT)
			return fd;
		r->folder[i] = fd < 0 ? -1 : fd;
	}
	return 0;
}

static uint64_t hash(const char *key)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

	for (; *key; key++)
		h = (h ^ (unsigned char)*key) * UINT64_C(0x100000001b3);
	return h;
}

/* The directory of the guests: of another host's below that of all. */
static int open_host(struct registry *r, bool create)
{
	int hosts;

	if (!*r->host)
		return r->top;
	hosts = open_dir(r->top, "hosts", create);
	if (hosts < 0)
		return hosts;
	close(hosts);
	return open_dir(r->top, r->host, create);
}

static void shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void close_dirs(struct registry *r)
{
	for (size_t i = 0; i < FOLDERS; i++)
		shut(&r->folder[i]);
	if (r->dir == r->top)
		r->dir = -1;
	shut(&r->dir);
	shut(&r->top);
}

static int open_dirs(struct registry *r, bool create)
{
	int error;

	r->top = open_dir(AT_FDCWD, r->path, create);
	r->dir = r->top < 0 ? r->top : open_host(r, create);
	error = r->dir < 0 ? r->dir : open_folders(r, create);
	if (error < 0)
		close_dirs(r);
	return error;
}

int registry_open(const char *root, bool create, struct registry **ret_registry)
{
	return registry_open_uri(root, "qemu:///system", create, ret_registry);
}

int registry_open_uri(const char *root, const char *uri, bool create, struct registry **ret_registry)
{
	struct registry *r = calloc(1, sizeof(*r));
	int error;

	if (!r)
		return -ENOMEM;
	*r = (struct registry){.top = -1, .dir = -1, .folder = {-1, -1, -1}, .lock = -1, .no_give = -1};
	r->remote = uri_is_remote(uri);
	if (!uri_is_own(uri))
		snprintf(r->host, sizeof(r->host), "hosts/%016" PRIx64, hash(uri));
	if (asprintf(&r->path, "%s/run/memsched", root) < 0)
		r->path = NULL;
	error = r->path ? open_dirs(r, create) : -ENOMEM;
	if (error < 0) {
		registry_close(r);
		return error;
	}
	*ret_registry = r;
	return 0;
}

void registry_close(struct registry *r)
{
	if (!r)
		return;
	registry_unlock(r);
	shut(&r->no_give);
	close_dirs(r);
	free(r->said);
	free(r->path);
	free(r);
}

/* Whether that is still what fd has open. */
static bool is_same(int fd, int at, const char *name)
{
	struct stat open, now;

	return fd >= 0 && fstat(fd, &open) == 0 && fstatat(at, name, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
	       open.st_dev == now.st_dev && open.st_ino == now.st_ino;
}

int registry_refresh(struct registry *r)
{
	bool same = is_same(r->top, AT_FDCWD, r->path) && (!*r->host || is_same(r->dir, r->top, r->host));
	int error = 0;

	for (size_t i = 0; i < FOLDERS; i++)
		same = same && is_same(r->folder[i], r->dir, folder_names[i]);
	if (!same || !is_same(r->lock, r->dir, "lock"))
		shut(&r->lock);
	if (!same || !is_same(r->no_give, r->dir, "no-give"))
		shut(&r->no_give);
	if (!same) {
		close_dirs(r);
		error = open_dirs(r, true);
	}
	return !error && r->wants_lock ? registry_lock(r) : error;
}

/* ---- files ---- */

/* Opens a plain file of root's or ours. -EBADMSG where something else bears the name. */
static int open_file(int at, const char *name, int flags, struct stat *st)
{
	int fd = openat(at, name, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);

	if (fd < 0)
		return errno == ELOOP || errno == ENXIO || errno == EISDIR ? -EBADMSG : -errno;
	if (fstat(fd, st) < 0 || !S_ISREG(st->st_mode) || !is_ours(st)) {
		close(fd);
		return -EBADMSG;
	}
	return fd;
}

/* Reads a text of less than size bytes at once and ends it; what is larger does not have the size that was read. */
static int read_file(int at, const char *name, char *text, size_t size)
{
	struct stat st;
	ssize_t n;
	int fd = at < 0 ? -ENOENT : open_file(at, name, O_RDONLY, &st);

	if (fd < 0)
		return fd;
	n = read(fd, text, size - 1);
	close(fd);
	if (n < 0 || n != st.st_size || memchr(text, '\0', (size_t)n))
		return -EBADMSG;
	text[n] = '\0';
	return 0;
}

static int write_all(int fd, const char *text, size_t length)
{
	while (length > 0) {
		ssize_t n = write(fd, text, length);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			text += n;
			length -= (size_t)n;
		}
	}
	return 0;
}

/* A temporary of this name can only be what an earlier process of our number left when it died. */
static int open_temporary(int at, const char *name)
{
	int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(at, name, flags, 0600);

	if (fd < 0 && errno == EEXIST && unlinkat(at, name, 0) == 0)
		fd = openat(at, name, flags, 0600);
	return fd < 0 ? -errno : fd;
}

static int write_file(int at, const char *name, const char *text, size_t length)
{
	char temporary[64];
	int fd, r;

	if (at < 0)
		return -ENOENT;
	if (snprintf(temporary, sizeof(temporary), ".%s.tmp.%d", name, (int)getpid()) >= (int)sizeof(temporary))
		return -ENAMETOOLONG;
	fd = open_temporary(at, temporary);
	if (fd < 0)
		return fd;
	r = write_all(fd, text, length);
	if (r == 0 && fchmod(fd, 0644) < 0)
		r = -errno;
	if (close(fd) < 0 && r == 0)
		r = -errno;
	if (r == 0 && renameat(at, temporary, at, name) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(at, temporary, 0);
	return r;
}

int registry_write(struct registry *r, const char *name, const char *text, size_t length)
{
	return strchr(name, '/') ? -EINVAL : write_file(r->dir, name, text, length);
}

/* ---- locks ---- */

int registry_lock(struct registry *r)
{
	struct stat st;
	int fd;

	r->wants_lock = true;
	if (r->lock >= 0)
		return 0;
	fd = open_file(r->dir, "lock", O_RDWR | O_CREAT, &st);
	if (fd == -EROFS && faccessat(r->dir, "lock", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		fd = open_file(r->dir, "lock", O_RDONLY, &st); /* will do for a lock */
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
	if (r->lock >= 0)
		close(r->lock);
	r->lock = -1;
	r->wants_lock = false;
}

bool registry_no_give(const struct registry *r)
{
	struct stat st;
	int fd = open_file(r->remote ? r->dir : r->top, "no-give", O_RDONLY, &st);
	bool held;

	if (fd < 0)
		return false;
	held = flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
	close(fd);
	return held;
}

/* A pass that is just looking holds it for some microseconds. */
int registry_hold_no_give(struct registry *r)
{
	struct stat st;
	int fd = r->no_give, tries = NO_GIVE_TRIES;

	if (fd < 0)
		fd = open_file(r->dir, "no-give", O_RDWR | O_CREAT, &st);
	if (fd < 0)
		return fd;
	r->no_give = fd;
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
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
    {"taken_ms", FIELD(struct past, taken_ms)},
    {"hold_ms", FIELD(struct past, hold_ms)},
    {"hold_until_ms", FIELD(struct past, hold_until_ms)},
    {"last.decided_ms", FIELD(struct past, last.decided_ms)},
    {"last.from_kib", FIELD(struct past, last.from_kib)},
    {"last.want_kib", FIELD(struct past, last.want_kib)},
    {"last.asked_kib", FIELD(struct past, last.asked_kib)},
    {"last.reached_kib", FIELD(struct past, last.reached_kib)},
    {"last.reason", FIELD(struct past, last.reason)},
};
static const struct form past_form = {"version=2", past_fields, COUNT(past_fields)};

static const struct field record_fields[] = {
    {"name", FIELD(struct record, name)},
    {"maximum_kib", FIELD(struct record, maximum_kib)},
    {"started_s", FIELD(struct record, started_s)},
    {"hints.present", FIELD(struct record, hints.present)},
    {"hints.opted_out", FIELD(struct record, hints.opted_out)},
    {"hints.has_min", FIELD(struct record, hints.has_min)},
    {"hints.has_max", FIELD(struct record, hints.has_max)},
    {"hints.min_kib", FIELD(struct record, hints.min_kib)},
    {"hints.max_kib", FIELD(struct record, hints.max_kib)},
    {"hints.weight", FIELD(struct record, hints.weight)},
};
static const struct form record_form = {"version=1", record_fields, COUNT(record_fields)};

struct pending {
	uint64_t need_kib, since_s;
};

static const struct field pending_fields[] = {
    {"need_kib", FIELD(struct pending, need_kib)},
    {"since_s", FIELD(struct pending, since_s)},
};
static const struct form pending_form = {"version=1", pending_fields, COUNT(pending_fields)};

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

static int save(int at, const char *name, const struct form *form, const void *base)
{
	char text[RECORD_BYTES];
	int length = print_record(form, base, text, sizeof(text));

	return length < 0 ? length : write_file(at, name, text, (size_t)length);
}

static int save_guest(int at, const char *uuid, const struct form *form, const void *base)
{
	char name[UUID_TEXT];

	return uuid_parse(uuid, name) ? save(at, name, form, base) : -EINVAL;
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
static int load(int at, const char *name, const struct form *form, void *base)
{
	char text[RECORD_BYTES], *rest = text, *line;
	uint64_t found = 0;
	int r = read_file(at, name, text, sizeof(text));

	if (r < 0)
		return r;
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

static int load_guest(int at, const char *uuid, const struct form *form, void *base)
{
	char name[UUID_TEXT];

	return uuid_parse(uuid, name) ? load(at, name, form, base) : -EINVAL;
}

int registry_load_past(const struct registry *r, const char *uuid, struct past *ret_past)
{
	struct past past = {0};
	int error = load_guest(r->folder[STATE], uuid, &past_form, &past);

	if (error == 0)
		*ret_past = past;
	return error;
}

int registry_save_past(struct registry *r, const char *uuid, const struct past *past)
{
	return save_guest(r->folder[STATE], uuid, &past_form, past);
}

int registry_load_record(const struct registry *r, const char *uuid, struct record *ret_record)
{
	struct record record = {0};
	int error = load_guest(r->folder[DOMAINS], uuid, &record_form, &record);

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
	char text[RECORD_BYTES], before[RECORD_BYTES + 1], name[UUID_TEXT];
	int length = print_record(&record_form, record, text, sizeof(text));

	if (!uuid_parse(uuid, name))
		return -EINVAL;
	if (length < 0)
		return length;
	if (!read_file(r->folder[DOMAINS], name, before, sizeof(before)) && strcmp(before, text) == 0)
		return 0;
	return write_file(r->folder[DOMAINS], name, text, (size_t)length);
}

void record_clear(struct record *record)
{
	free(record->name);
	*record = (struct record){0};
}

int registry_save_pending(struct registry *r, const char *uuid, uint64_t need_kib, uint64_t now_s)
{
	const struct pending pending = {need_kib, now_s};

	return save_guest(r->folder[PENDING], uuid, &pending_form, &pending);
}

static void remove_guest(struct registry *r, enum folder folder, const char *uuid)
{
	char name[UUID_TEXT];

	if (r->folder[folder] >= 0 && uuid_parse(uuid, name))
		unlinkat(r->folder[folder], name, 0);
}

void registry_forget_pending(struct registry *r, const char *uuid)
{
	remove_guest(r, PENDING, uuid);
}

void registry_forget(struct registry *r, const char *uuid)
{
	for (enum folder i = 0; i < FOLDERS; i++)
		remove_guest(r, i, uuid);
}

/* ---- the pause ---- */

struct pause {
	uint64_t since_ms, until_ms; /* a clock before since is that of another boot, should /run have outlived it */
};

static const struct field pause_fields[] = {
    {"since_ms", FIELD(struct pause, since_ms)},
    {"until_ms", FIELD(struct pause, until_ms)},
};
static const struct form pause_form = {"version=1", pause_fields, COUNT(pause_fields)};

int registry_pause(struct registry *r, uint64_t now_ms, uint64_t for_ms)
{
	const struct pause pause = {now_ms, now_ms + for_ms};

	return for_ms > PAUSE_MAX_MS ? -ERANGE : save(r->top, "paused", &pause_form, &pause);
}

int registry_resume(struct registry *r)
{
	int error = unlinkat(r->top, "paused", 0) == 0 || errno == ENOENT ? 0 : -errno;

	return error == -EISDIR && unlinkat(r->top, "paused", AT_REMOVEDIR) == 0 ? 0 : error;
}

int registry_paused(const struct registry *r, uint64_t now_ms, uint64_t *ret_left_ms)
{
	struct pause pause = {0};
	int error = load(r->top, "paused", &pause_form, &pause);

	if (error && error != -ENOENT)
		return error;
	if (sat_sub(pause.until_ms, pause.since_ms) > PAUSE_MAX_MS)
		return -EBADMSG;
	*ret_left_ms = now_ms < pause.since_ms ? 0 : sat_sub(pause.until_ms, now_ms);
	return 0;
}

/* ---- folders ---- */

static_assert(sizeof((struct dirent){0}.d_ino) == 8, "struct dirent as the kernel writes it: -D_FILE_OFFSET_BITS=64");

static bool is_entry(const char *name)
{
	return strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* Calls see for each name in a folder but . and .., for no more than MAX_ENTRIES. opendir would allocate, and the guard
 * looks what is pending before its first command. */
static void walk(int folder, void (*see)(int folder, const char *name, void *arg), void *arg)
{
	int fd = folder < 0 ? -1 : openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_Alignas(struct dirent) char entries[ENTRIES_BYTES];
	size_t seen = 0;
	ssize_t n;

	while (fd >= 0 && (n = syscall(SYS_getdents64, fd, entries, sizeof(entries))) > 0 && seen < MAX_ENTRIES)
		for (ssize_t at = 0; at < n && seen < MAX_ENTRIES; seen++) {
			const struct dirent *entry = (const void *)(entries + at);

			if (is_entry(entry->d_name))
				see(folder, entry->d_name, arg);
			at += entry->d_reclen;
		}
	if (fd >= 0)
		close(fd);
}

struct sum {
	uint64_t now_s, kib;
	bool unreadable;
};

/* A start that lies ahead is as void as an old one: the clock was set. */
static bool is_due(uint64_t since_s, uint64_t now_s)
{
	return since_s > now_s ? since_s - now_s <= PENDING_MAX_S : now_s - since_s <= PENDING_MAX_S;
}

static void add_pending(int folder, const char *name, void *arg)
{
	struct pending pending = {0};
	struct sum *sum = arg;
	int error = load_guest(folder, name, &pending_form, &pending);

	sum->unreadable |= error == -EBADMSG;
	if (error == 0 && is_due(pending.since_s, sum->now_s))
		sum->kib = sat_add(sum->kib, pending.need_kib);
}

uint64_t registry_pending_kib(const struct registry *r, uint64_t now_s, bool *ret_unreadable)
{
	struct sum sum = {.now_s = now_s};

	walk(r->folder[PENDING], add_pending, &sum);
	if (ret_unreadable)
		*ret_unreadable = sum.unreadable;
	return sum.kib;
}

int registry_watch_pending(const struct registry *r)
{
	char path[sizeof("/proc/self/fd/") + 11];
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), error;

	if (fd < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", r->folder[PENDING]);
	if (inotify_add_watch(fd, path, IN_MOVED_TO | IN_DELETE | IN_ONLYDIR) >= 0)
		return fd;
	error = -errno;
	close(fd);
	return error;
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

	return load_guest(r->folder[PENDING], uuid, &pending_form, &pending) == 0 && is_due(pending.since_s, now_s);
}

static void list_one(int folder, const char *name, void *arg)
{
	struct listing *l = arg;
	struct record record = {0};
	struct guest g = {.domain_id = -1};

	(void)folder;
	if (l->n == l->room || registry_load_record(l->registry, name, &record) < 0)
		return;
	memcpy(g.uuid, name, sizeof(g.uuid));
	g.name = record.name; /* it goes on as the guest's */
	if (is_pending(l->registry, name, l->now_s))
		record_clear(&record);
	else
		l->guest[l->n++] = g;
}

static void count_one(int folder, const char *name, void *arg)
{
	size_t *n = arg;

	(void)folder;
	(void)name;
	++*n;
}

int registry_list(const struct registry *r, uint64_t now_s, struct guest **ret_guests, size_t *ret_n)
{
	struct listing l = {.registry = r, .now_s = now_s};

	walk(r->folder[DOMAINS], count_one, &l.room);
	l.guest = calloc(l.room + 1, sizeof(*l.guest));
	if (!l.guest)
		return -ENOMEM;
	walk(r->folder[DOMAINS], list_one, &l);
	*ret_guests = l.guest;
	*ret_n = l.n;
	return 0;
}

struct pruning {
	const struct guest *guest;
	size_t n;
	uint64_t now_s;
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
static void prune_one(int folder, const char *name, void *arg)
{
	const struct pruning *p = arg;
	bool temporary = name[0] == '.', young;
	char uuid[UUID_TEXT];
	struct stat st;

	if ((!temporary && !uuid_parse(name, uuid)) || fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	young = is_due((uint64_t)st.st_mtime, p->now_s);
	if (!(young && (p->keep_young || temporary)) && !(p->keep_listed && is_listed(p, name)))
		unlinkat(folder, name, 0);
}

/* State is only written by who holds the lock, so what is not listed is gone; a hook may write at any time. */
void registry_prune(struct registry *r, const struct guest *g, size_t n, uint64_t now_s)
{
	walk(r->folder[DOMAINS], prune_one, &(struct pruning){g, n, now_s, .keep_listed = true, .keep_young = true});
	walk(r->folder[PENDING], prune_one, &(struct pruning){g, n, now_s, .keep_young = true});
	walk(r->folder[STATE], prune_one, &(struct pruning){g, n, now_s, .keep_listed = true});
	walk(r->dir, prune_one, &(struct pruning){g, n, now_s, .keep_young = true});
}

/* ---- complaints ---- */

static struct complaint *find_complaint(struct said *said, uint64_t key)
{
	for (size_t i = 0; i < said->n; i++)
		if (said->list[i].key == key)
			return &said->list[i];
	return NULL;
}

static struct complaint *add_complaint(struct said *said, uint64_t key, uint64_t said_s, const char *text)
{
	struct complaint *c = said->n < SAID_MAX ? &said->list[said->n++] : NULL;

	if (!c)
		return NULL;
	*c = (struct complaint){.key = key, .said_s = said_s};
	snprintf(c->text, sizeof(c->text), "%s", text);
	for (char *newline = c->text; (newline = strchr(newline, '\n'));)
		*newline = ' ';
	return c;
}

/* A line that does not parse is forgotten: its complaint is said again. */
static void read_said(struct said *said, char *text)
{
	char *line;

	while ((line = strsep(&text, "\n")) && text) {
		const char *key_text = strsep(&line, " ");
		const char *said_text = line ? strsep(&line, " ") : NULL;
		uint64_t key, said_s;

		if (line && number_parse(key_text, UINT64_MAX, &key) == 0 &&
		    number_parse(said_text, UINT64_MAX, &said_s) == 0 && !find_complaint(said, key))
			add_complaint(said, key, said_s, line);
	}
}

int registry_say_begin(struct registry *r, uint64_t now_s)
{
	struct said *said;
	char *text;
	int error;

	if (!r)
		return 0;
	if (r->said && r->said->unwritten) {
		r->said->now_s = now_s;
		for (size_t i = 0; i < r->said->n; i++)
			r->said->list[i].seen = false;
		return 0;
	}
	said = calloc(1, sizeof(*said));
	text = malloc(SAID_BYTES);
	free(r->said);
	r->said = NULL;
	if (!said || !text) {
		free(said);
		free(text);
		return -ENOMEM;
	}
	said->now_s = now_s;
	error = read_file(r->dir, "said", text, SAID_BYTES);
	if (error == 0)
		read_said(said, text);
	free(text);
	r->said = said;
	return error == -ENOENT ? 0 : error;
}

bool registry_say(struct registry *r, const char *key, const char *text)
{
	uint64_t h = hash(key);
	struct complaint *c = r && r->said ? find_complaint(r->said, h) : NULL;
	bool again = c && r->said->now_s - c->said_s >= SAID_AGAIN_S; /* also where the clock was set back */

	if (!r || !r->said)
		return true;
	if (c && !again) {
		c->seen = true;
		return false;
	}
	r->said->changed = true;
	if (!c)
		c = add_complaint(r->said, h, r->said->now_s, text);
	if (c) {
		c->said_s = r->said->now_s;
		c->seen = true;
	}
	return true;
}

void registry_say_still(struct registry *r, const char *key)
{
	struct complaint *c = r && r->said ? find_complaint(r->said, hash(key)) : NULL;

	if (c)
		c->seen = true;
}

static int write_said(struct registry *r)
{
	char *text = malloc(SAID_BYTES);
	size_t used = 0;
	int error = -ENOMEM;

	for (size_t i = 0; text && i < r->said->n; i++) {
		const struct complaint *c = &r->said->list[i];

		used += (size_t)snprintf(text + used, SAID_BYTES - used, "%" PRIu64 " %" PRIu64 " %s\n", c->key,
		                         c->said_s, c->text);
	}
	if (text)
		error = registry_write(r, "said", text, used);
	free(text);
	return error;
}

void registry_say_end(struct registry *r, void (*over)(void *arg, const char *text), void *arg)
{
	struct said *said = r ? r->said : NULL;
	size_t kept = 0;

	if (!said)
		return;
	for (size_t i = 0; i < said->n; i++)
		if (said->list[i].seen || !over)
			said->list[kept++] = said->list[i];
		else
			over(arg, said->list[i].text);
	said->changed |= kept < said->n;
	said->n = kept;
	said->unwritten = said->changed && write_said(r) < 0;
	if (said->unwritten)
		return;
	free(said);
	r->said = NULL;
}
