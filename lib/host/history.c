/* SPDX-License-Identifier: MIT */
#include "host/history.h"

#include <assert.h>
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"
#include "base/units.h"
#include "base/uri.h"

/* ---- the file: numbers are little-endian ---- */

#define UNIT_KIB 4 /* of sizes: up to 16 TiB */

struct disk_bucket {
	uint32_t number, reasons;
	struct {
		uint32_t least, mean, most;
	} figure[FIGURES];
	uint16_t n[FIGURES];
	uint64_t checksum;
};

struct disk_move {
	uint64_t wall_ms;
	uint32_t sequence; /* from 1 on; its place is the rest of a division by HISTORY_MOVES */
	uint32_t from, asked, reached;
	uint8_t reason, has_reached, by_guard, zero;
	uint32_t checksum;
};

struct disk_name {
	char name[HISTORY_NAME];
	uint64_t checksum;
};

/* Powers of two divide a page: a place never lies in two. */
static_assert(sizeof(struct disk_bucket) == 128 && sizeof(struct disk_move) == 32, "places as they are on disk");

#define NAME_AT 128
#define BUCKETS_AT 4096
#define MOVES_AT (BUCKETS_AT + BUCKET_KEPT_ALL * (off_t)sizeof(struct disk_bucket))
#define FILE_BYTES (MOVES_AT + HISTORY_MOVES * (off_t)sizeof(struct disk_move))

/* Another order of enum reason or enum figure is another version. */
static const char head[BUCKETS_AT] = "memsched history 1\n";
#define HEAD_BYTES 64

static uint32_t number_of(uint64_t value, unsigned unit)
{
	return htole32((uint32_t)min_u64(value / unit, UINT32_MAX));
}

static uint64_t value_of(uint32_t number, unsigned unit)
{
	return (uint64_t)le32toh(number) * unit;
}

static unsigned unit_of(enum figure figure)
{
	return figure == FIGURE_SWAP_IN || figure == FIGURE_FAULTS ? 1 : UNIT_KIB;
}

/* Moves have room for a half. */
static uint64_t checksum_of(const void *place, size_t n)
{
	return htole64(bytes_hash(place, n));
}

static off_t place_of(enum bucket_level level, uint32_t number)
{
	off_t place = number % BUCKET_KEPT(level);

	for (enum bucket_level i = 0; i < level; i++)
		place += BUCKET_KEPT(i);
	return BUCKETS_AT + place * (off_t)sizeof(struct disk_bucket);
}

/* Whether nothing was written there. Reading it would fill the page cache with zeros. */
static bool is_hole(int fd, size_t n, off_t at)
{
	off_t data = lseek(fd, at, SEEK_DATA);

	return data < 0 ? errno == ENXIO : data >= at + (off_t)n;
}

static int read_at(int fd, void *bytes, size_t n, off_t at)
{
	ssize_t got = is_hole(fd, n, at) ? 0 : pread(fd, bytes, n, at);

	if (got < 0)
		return -errno;
	memset((char *)bytes + got, 0, n - (size_t)got); /* a file that was cut */
	return 0;
}

static int write_at(int fd, const void *bytes, size_t n, off_t at)
{
	ssize_t put = pwrite(fd, bytes, n, at);

	if (put < 0)
		return -errno;
	return (size_t)put == n ? 0 : -ENOSPC;
}

/* ---- buckets ---- */

static struct disk_bucket encode_bucket(const struct bucket *b)
{
	struct disk_bucket d = {.number = htole32(b->number), .reasons = htole32(b->reasons)};

	for (enum figure i = 0; i < FIGURES; i++) {
		const struct bucket_figure *f = &b->figure[i];

		d.figure[i].least = number_of(f->least, unit_of(i));
		d.figure[i].mean = number_of(bucket_mean(f), unit_of(i));
		d.figure[i].most = number_of(f->most, unit_of(i));
		d.n[i] = htole16((uint16_t)min_u64(f->n, UINT16_MAX));
	}
	d.checksum = checksum_of(&d, offsetof(struct disk_bucket, checksum));
	return d;
}

static struct bucket decode_bucket(const struct disk_bucket *d, uint32_t number)
{
	struct bucket b = {.number = number, .reasons = le32toh(d->reasons)};

	if (!number || le32toh(d->number) != number ||
	    d->checksum != checksum_of(d, offsetof(struct disk_bucket, checksum)))
		return (struct bucket){.number = 0};
	for (enum figure i = 0; i < FIGURES; i++) {
		struct bucket_figure *f = &b.figure[i];

		f->n = le16toh(d->n[i]);
		f->least = value_of(d->figure[i].least, unit_of(i));
		f->sum = f->n * value_of(d->figure[i].mean, unit_of(i));
		f->most = value_of(d->figure[i].most, unit_of(i));
	}
	return b;
}

/* Those that are there, in steps that end where the ring does. */
static int load_buckets(int fd, enum bucket_level level, uint32_t first, uint32_t n, struct bucket *ret_bucket)
{
	struct disk_bucket place[BUCKET_PARTS_MOST];
	int r = 0;

	for (uint32_t step; n && !r; n -= step, first += step, ret_bucket += step) {
		step = BUCKET_KEPT(level) - first % BUCKET_KEPT(level);
		step = (uint32_t)min_u64(min_u64(step, n), BUCKET_PARTS_MOST);
		r = read_at(fd, place, step * sizeof(*place), place_of(level, first));
		for (uint32_t i = 0; i < step && !r; i++)
			ret_bucket[i] = decode_bucket(&place[i], first + i);
	}
	return r;
}

static int store_bucket(int fd, enum bucket_level level, const struct bucket *b)
{
	const struct disk_bucket d = encode_bucket(b);

	return write_at(fd, &d, sizeof(d), place_of(level, b->number));
}

/* Whether parts of a bucket can still be there at a time: its end is no longer ago than they are kept. */
static bool has_parts(enum bucket_level level, uint32_t number, uint64_t last_s)
{
	uint64_t end_s = ((uint64_t)number + 1) * BUCKET_SPAN_S(level);

	return level > BUCKET_MINUTE &&
	       sat_sub(last_s, end_s) <= (uint64_t)BUCKET_KEPT(level - 1) * BUCKET_SPAN_S(level - 1);
}

static int read_until(int fd, enum bucket_level level, uint32_t first, uint32_t n, uint64_t last_s,
                      struct bucket *ret_bucket);

/* Makes up a bucket from its parts. */
static int fold_parts(int fd, enum bucket_level level, uint32_t number, uint64_t last_s, struct bucket *ret_bucket)
{
	struct bucket part[BUCKET_PARTS_MOST];
	uint32_t n = BUCKET_PARTS(level);
	int r = read_until(fd, level - 1, number * n, n, last_s, part);

	*ret_bucket = (struct bucket){.number = 0};
	for (uint32_t i = 0; i < n && !r; i++) {
		if (!part[i].number)
			continue;
		ret_bucket->number = number;
		bucket_fold(ret_bucket, &part[i], level - 1);
	}
	return r;
}

/* The same; a quarter of which nothing was ever written costs next to nothing. */
static int make_up(int fd, enum bucket_level level, uint32_t number, uint64_t last_s, struct bucket *ret_bucket)
{
	uint32_t n = BUCKET_PARTS(level);

	*ret_bucket = (struct bucket){.number = 0};
	if (level == BUCKET_QUARTER && is_hole(fd, n * sizeof(struct disk_bucket), place_of(level - 1, number * n)))
		return 0;
	return fold_parts(fd, level, number, last_s, ret_bucket);
}

/* last_s: the time until which the caller reads, at all levels. */
static int read_until(int fd, enum bucket_level level, uint32_t first, uint32_t n, uint64_t last_s,
                      struct bucket *ret_bucket)
{
	int r = load_buckets(fd, level, first, n, ret_bucket);

	for (uint32_t i = 0; i < n && !r; i++)
		if (!ret_bucket[i].number && has_parts(level, first + i, last_s))
			r = make_up(fd, level, first + i, last_s, &ret_bucket[i]);
	return r;
}

int history_read(int fd, enum bucket_level level, uint32_t first, uint32_t n, struct bucket *ret_bucket)
{
	return read_until(fd, level, first, n, ((uint64_t)first + n) * BUCKET_SPAN_S(level), ret_bucket);
}

/* Writes the buckets before number that are not there and have parts, back to one that is there. */
static int finish_before(int fd, enum bucket_level level, uint32_t number)
{
	uint64_t last_s = (uint64_t)number * BUCKET_SPAN_S(level);
	struct bucket b;
	int r;

	while (number-- > 1 && has_parts(level, number, last_s)) {
		r = load_buckets(fd, level, number, 1, &b);
		if (r || b.number)
			return r;
		r = make_up(fd, level, number, last_s, &b);
		if (!r && b.number)
			r = store_bucket(fd, level, &b);
		if (r)
			return r;
	}
	return 0;
}

/* Whether any part of this bucket is there; 0, 1 or -errno. */
static int has_begun(int fd, enum bucket_level level, uint32_t number)
{
	struct bucket part[BUCKET_PARTS_MOST];
	uint32_t n = BUCKET_PARTS(level);
	int r = load_buckets(fd, level - 1, number * n, n, part);

	for (uint32_t i = 0; i < n && !r; i++)
		r = part[i].number != 0;
	return r;
}

/* The minute is written last: if this fails, it is the first of its quarter the next time too. */
static int finish_ended(int fd, uint32_t minute)
{
	uint32_t quarter = minute / BUCKET_PARTS(BUCKET_QUARTER), day = quarter / BUCKET_PARTS(BUCKET_DAY);
	int r = finish_before(fd, BUCKET_QUARTER, quarter), begun = r ? r : has_begun(fd, BUCKET_DAY, day);

	if (begun)
		return begun < 0 ? begun : 0;
	return finish_before(fd, BUCKET_DAY, day);
}

int history_write(int fd, const struct bucket *minute, bool *ret_begins)
{
	struct bucket before = {.number = 0}, b = *minute;
	int begun = has_begun(fd, BUCKET_QUARTER, minute->number / BUCKET_PARTS(BUCKET_QUARTER));
	int r = begun < 0 ? begun : begun ? 0 : finish_ended(fd, minute->number);

	if (!r)
		r = load_buckets(fd, BUCKET_MINUTE, minute->number, 1, &before);
	if (r)
		return r;
	bucket_merge(&b, &before);
	if (ret_begins)
		*ret_begins = !begun;
	return store_bucket(fd, BUCKET_MINUTE, &b);
}

/* ---- moves ---- */

static uint32_t checksum_of_move(const struct disk_move *d)
{
	return (uint32_t)checksum_of(d, offsetof(struct disk_move, checksum));
}

static struct disk_move encode_move(const struct history_move *m, uint32_t sequence)
{
	struct disk_move d = {.wall_ms = htole64(m->wall_ms),
	                      .sequence = htole32(sequence),
	                      .from = number_of(m->from_kib, UNIT_KIB),
	                      .asked = number_of(m->asked_kib, UNIT_KIB),
	                      .reached = number_of(m->has_reached ? m->reached_kib : 0, UNIT_KIB),
	                      .reason = (uint8_t)m->reason,
	                      .has_reached = m->has_reached,
	                      .by_guard = m->by_guard};

	d.checksum = checksum_of_move(&d);
	return d;
}

static struct history_move decode_move(const struct disk_move *d)
{
	return (struct history_move){.wall_ms = le64toh(d->wall_ms),
	                             .from_kib = value_of(d->from, UNIT_KIB),
	                             .asked_kib = value_of(d->asked, UNIT_KIB),
	                             .has_reached = d->has_reached,
	                             .reached_kib = value_of(d->reached, UNIT_KIB),
	                             .reason = d->reason,
	                             .by_guard = d->by_guard};
}

static bool is_move(const struct disk_move *d, uint32_t place)
{
	uint32_t sequence = le32toh(d->sequence);

	return sequence && sequence % HISTORY_MOVES == place && d->checksum == checksum_of_move(d) &&
	       d->reason < REASON_COUNT;
}

/* *ret_last: the sequence of the last one; 0: there is none. */
static int load_moves(int fd, struct disk_move place[HISTORY_MOVES], uint32_t *ret_last)
{
	int r = read_at(fd, place, HISTORY_MOVES * sizeof(*place), MOVES_AT);

	*ret_last = 0;
	for (uint32_t i = 0; i < HISTORY_MOVES && !r; i++)
		if (is_move(&place[i], i))
			*ret_last = (uint32_t)max_u64(*ret_last, le32toh(place[i].sequence));
	return r;
}

int history_write_moves(int fd, const struct history_move *move, size_t n)
{
	struct disk_move place[HISTORY_MOVES];
	uint32_t last;
	int r = n ? load_moves(fd, place, &last) : 0;

	for (size_t i = 0; i < n && !r; i++) {
		const struct disk_move d = encode_move(&move[i], ++last);

		r = write_at(fd, &d, sizeof(d), MOVES_AT + last % HISTORY_MOVES * (off_t)sizeof(d));
	}
	return r;
}

int history_read_moves(int fd, struct history_move ret_move[HISTORY_MOVES], size_t *ret_n)
{
	struct disk_move place[HISTORY_MOVES];
	uint32_t last;
	size_t n = 0;
	int r = load_moves(fd, place, &last);

	for (uint32_t i = 1; i <= HISTORY_MOVES && !r; i++) {
		uint32_t k = (last + i) % HISTORY_MOVES;

		if (is_move(&place[k], k))
			ret_move[n++] = decode_move(&place[k]);
	}
	if (!r)
		*ret_n = n;
	return r;
}

/* ---- files ---- */

/* Below root, what a host has in any case is made too. */
static int open_top(const char *root, bool create)
{
	static const char *const folders[] = {"/var", "/var/lib", "/var/lib/memsched"};
	char *path;
	int fd = -ENOENT;

	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		if (asprintf(&path, "%s%s", root, folders[i]) < 0)
			return -ENOMEM;
		if (i < 2 && create && *root)
			mkdir(path, 0755);
		else if (i == 2)
			fd = dir_open(AT_FDCWD, path, create);
		free(path);
	}
	return fd;
}

static int open_below(int at, const char *name, bool create)
{
	int fd = at < 0 ? at : dir_open(at, name, create);

	fd_close(&at);
	return fd;
}

int history_dir(const char *root, const char *uri, bool create)
{
	char folder[URI_FOLDER];
	int fd = open_below(open_top(root, create), "history", create);

	if (*uri_folder(folder, uri, root))
		fd = open_below(open_below(fd, "hosts", create), folder, create);
	return fd;
}

/* -EBADMSG: of another version, or damaged. */
static int check_head(int fd)
{
	char bytes[HEAD_BYTES];
	int r = read_at(fd, bytes, sizeof(bytes), 0);

	return r ? r : memcmp(bytes, head, sizeof(bytes)) == 0 ? 0 : -EBADMSG;
}

static int open_file(int dir, const char *uuid, int flags)
{
	int fd = file_open(dir, uuid, flags), r = fd < 0 ? fd : check_head(fd);

	if (r && fd >= 0)
		close(fd);
	return r ? r : fd;
}

int history_open(int dir, const char *uuid)
{
	return open_file(dir, uuid, O_RDONLY);
}

static int set_aside(int dir, const char *uuid)
{
	char aside[UUID_TEXT + sizeof(".void")];

	snprintf(aside, sizeof(aside), "%s.void", uuid);
	return renameat(dir, uuid, dir, aside) ? -errno : -ENOENT;
}

static int load_name(int fd, struct disk_name *ret_name)
{
	return read_at(fd, ret_name, sizeof(*ret_name), NAME_AT);
}

static int keep_name(int fd, const char *name)
{
	struct disk_name d = {.name = ""}, before;
	int r = load_name(fd, &before);

	memcpy(d.name, name, min_u64(strlen(name), sizeof(d.name)));
	d.checksum = checksum_of(d.name, sizeof(d.name));
	return r || memcmp(&d, &before, sizeof(d)) == 0 ? r : write_at(fd, &d, sizeof(d), NAME_AT);
}

int history_read_name(int fd, char ret_name[HISTORY_NAME + 1])
{
	struct disk_name d;
	int r = load_name(fd, &d);

	if (r)
		return r;
	memcpy(ret_name, d.name, sizeof(d.name));
	ret_name[d.checksum == checksum_of(d.name, sizeof(d.name)) ? HISTORY_NAME : 0] = '\0';
	return 0;
}

/* Places that were never written take no room on the disk. */
static int keep_size(int fd)
{
	struct stat st;

	if (fstat(fd, &st) || (st.st_size < FILE_BYTES && ftruncate(fd, FILE_BYTES)))
		return -errno;
	return 0;
}

int history_open_to_write(int dir, const char *uuid, const char *name)
{
	int fd = open_file(dir, uuid, O_RDWR), r;

	if (fd == -EBADMSG)
		fd = set_aside(dir, uuid);
	if (fd == -ENOENT) {
		r = file_write(dir, uuid, head, sizeof(head));
		fd = r ? r : open_file(dir, uuid, O_RDWR);
	}
	if (fd < 0)
		return fd;
	r = keep_size(fd);
	if (!r)
		r = keep_name(fd, name);
	if (r)
		close(fd);
	return r ? r : fd;
}

#define LOCK_POLL_MS 10

/* A process that can open the file can lock it, so only its owner may. */
int history_lock(int dir, uint64_t deadline_ms)
{
	int fd = openat(dir, ".lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600), r = fd < 0 ? -errno : 0;

	while (!r && flock(fd, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK)
			r = -errno;
		else if (clock_ms(CLOCK_BOOTTIME) >= deadline_ms)
			r = -ETIMEDOUT;
		else
			clock_sleep_ms(LOCK_POLL_MS);
	}
	if (r)
		fd_close(&fd);
	return r ? r : fd;
}

static DIR *open_entries(int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *entries = fd < 0 ? NULL : fdopendir(fd);

	if (!entries)
		fd_close(&fd);
	return entries;
}

int history_list(int dir, char (**ret_uuid)[UUID_TEXT], size_t *ret_n)
{
	char(*list)[UUID_TEXT] = NULL, uuid[UUID_TEXT];
	DIR *entries = open_entries(dir);
	const struct dirent *entry;
	size_t n = 0;
	int r;

	if (!entries)
		return -errno;
	while (errno = 0, entry = readdir(entries)) {
		void *more = uuid_parse(entry->d_name, uuid) ? reallocarray(list, n + 1, sizeof(*list)) : list;

		if (!uuid_parse(entry->d_name, uuid))
			continue;
		if (!more)
			break;
		list = more;
		memcpy(list[n++], uuid, sizeof(uuid));
	}
	r = entry ? -ENOMEM : -errno;
	closedir(entries);
	if (r) {
		free(list);
		return r;
	}
	*ret_uuid = list;
	*ret_n = n;
	return 0;
}

/* ---- guests that are gone ---- */

#define WITNESS_DAYS 7

/* On how many days something was seen of the host after a time. */
static unsigned days_after(const struct bucket *day, uint32_t n, uint64_t wall_s)
{
	unsigned seen = 0;

	for (uint32_t i = 0; i < n; i++)
		seen += day[i].number > bucket_number(BUCKET_DAY, wall_s);
	return seen;
}

/* Also a file that was set aside, and the temporary of a writer that died. */
static bool is_history(const char *name)
{
	char uuid[UUID_TEXT] = "";

	name += *name == '.';
	memcpy(uuid, name, strnlen(name, UUID_TEXT - 1));
	return uuid_parse(uuid, uuid);
}

static bool is_gone(int dir, const char *name, const struct bucket *day, uint32_t n, uint64_t now_s)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       sat_sub(now_s, (uint64_t)st.st_mtime) > HISTORY_GONE_S &&
	       days_after(day, n, (uint64_t)st.st_mtime) >= WITNESS_DAYS;
}

void history_prune(int dir, int fd, uint64_t now_s)
{
	uint32_t n = (uint32_t)(HISTORY_GONE_S / BUCKET_SPAN_S(BUCKET_DAY)), today = bucket_number(BUCKET_DAY, now_s);
	struct bucket day[HISTORY_GONE_S / 86400];
	DIR *entries = open_entries(dir);
	const struct dirent *entry;

	if (!entries || today < n || load_buckets(fd, BUCKET_DAY, today - n, n, day)) {
		if (entries)
			closedir(entries);
		return;
	}
	while ((entry = readdir(entries)))
		if (is_history(entry->d_name) && is_gone(dir, entry->d_name, day, n, now_s))
			unlinkat(dir, entry->d_name, 0);
	closedir(entries);
}
