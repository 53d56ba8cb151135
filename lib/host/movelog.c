/* SPDX-License-Identifier: MIT */
#include "host/movelog.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/json.h"
#include "base/pool.h"
#include "base/text.h"
#include "base/units.h"

#define MESSAGE_ID "9f5a7c80c002424ab7a26376d8725097" /* of every move; see membalance(8) */
#define PRIORITY 6                                    /* LOG_INFO */
#define FACILITY 3                                    /* LOG_DAEMON */

/* ---- format ---- */

static const char *action_word(const struct movelog_move *m)
{
	return m->asked_kib < m->from_kib ? "shrink" : "grow";
}

static void print_sentence(FILE *out, const struct movelog_move *m, bool utf8)
{
	char name[4 * MOVELOG_NAME + 1];

	fprintf(out, "%s: %s from %" PRIu64 " KiB to %" PRIu64 " KiB (%s), reached ",
	        text_escape(name, sizeof(name), m->name, utf8), action_word(m), m->from_kib, m->asked_kib,
	        reason_word(m->reason));
	if (m->has_reached)
		fprintf(out, "%" PRIu64 " KiB", m->reached_kib);
	else
		fputs("not known", out);
}

void movelog_json(FILE *out, const char *program, const struct movelog_move *m)
{
	struct json j;

	json_begin(&j, out, "memsched.move/1");
	json_decimal(&j, "time_seconds", m->wall_ms, 3);
	json_string(&j, "program", program);
	json_string(&j, "name", m->name);
	json_string(&j, "uuid", m->uuid);
	json_string(&j, "action", action_word(m));
	json_bytes(&j, "from_bytes", m->from_kib);
	json_bytes(&j, "asked_bytes", m->asked_kib);
	if (m->has_reached)
		json_bytes(&j, "reached_bytes", m->reached_kib);
	else
		json_null(&j, "reached_bytes");
	json_string(&j, "reason", reason_word(m->reason));
	json_end_object(&j);
}

static void print_bytes(FILE *out, const char *field, uint64_t kib)
{
	fprintf(out, "%s=%" PRIu64 "\n", field, scale_u64(kib, 1024, 1));
}

/* Escaped values have no newline, so each fits the short form NAME=value. */
void movelog_fields(FILE *out, const char *program, const struct movelog_move *m)
{
	char name[4 * MOVELOG_NAME + 1];

	fputs("MESSAGE=", out);
	print_sentence(out, m, true);
	fprintf(out, "\nMESSAGE_ID=%s\nPRIORITY=%d\nSYSLOG_FACILITY=%d\nSYSLOG_IDENTIFIER=%s\n", MESSAGE_ID, PRIORITY,
	        FACILITY, program);
	fprintf(out, "MEMSCHED_DOMAIN=%s\n", text_escape(name, sizeof(name), m->name, true));
	fprintf(out, "MEMSCHED_DOMAIN_UUID=%s\n", m->uuid);
	fprintf(out, "MEMSCHED_TIME_SECONDS=%" PRIu64 ".%03u\n", m->wall_ms / 1000, (unsigned)(m->wall_ms % 1000));
	fprintf(out, "MEMSCHED_ACTION=%s\n", action_word(m));
	print_bytes(out, "MEMSCHED_FROM_BYTES", m->from_kib);
	print_bytes(out, "MEMSCHED_ASKED_BYTES", m->asked_kib);
	if (m->has_reached)
		print_bytes(out, "MEMSCHED_REACHED_BYTES", m->reached_kib);
	fprintf(out, "MEMSCHED_REASON=%s\n", reason_word(m->reason));
}

void movelog_syslog(FILE *out, const char *program, const struct movelog_move *m)
{
	static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
	                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	time_t asked_s = (time_t)(m->wall_ms / 1000);
	struct tm t = {0};

	localtime_r(&asked_s, &t);
	fprintf(out, "<%d>%s %2d %02d:%02d:%02d %s: ", 8 * FACILITY + PRIORITY, months[t.tm_mon], t.tm_mday, t.tm_hour,
	        t.tm_min, t.tm_sec, program);
	print_sentence(out, m, false);
}

/* ---- journal, syslog and files ---- */

/* One movelog_write. */
struct writing {
	const struct movelog *moves;
	const char *where;
	uint64_t until_ms; /* CLOCK_BOOTTIME */
};

static int connect_to(const char *root, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int n = snprintf(address.sun_path, sizeof(address.sun_path), "%s%s", root, path), fd, error;

	if (n < 0 || (size_t)n >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	error = -errno;
	close(fd);
	return error;
}

/* syslog(3) and sd_journal_send(3) would wait without end for a reader that has stopped. */
static int send_until(int fd, const char *text, size_t length, uint64_t until_ms)
{
	struct pollfd ready = {.fd = fd, .events = POLLOUT};
	uint64_t left_ms;

	while (send(fd, text, length, MSG_NOSIGNAL) < 0) {
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		left_ms = sat_sub(until_ms, clock_ms(CLOCK_BOOTTIME));
		if (!left_ms)
			return -EAGAIN;
		poll(&ready, 1, (int)left_ms);
	}
	return 0;
}

static int send_to(const struct writing *w, const char *path, const char *text, size_t length)
{
	int fd = connect_to(w->moves->root, path), error;

	if (fd < 0)
		return fd;
	error = send_until(fd, text, length, w->until_ms);
	close(fd);
	return error;
}

static int to_journal(const struct writing *w, const char *text, size_t length)
{
	return send_to(w, "/run/systemd/journal/socket", text, length);
}

static int to_syslog(const struct writing *w, const char *text, size_t length)
{
	return send_to(w, "/dev/log", text, length);
}

/* A line is there whole or not at all: if the disk is full, its part is cut off, unless more was written after it. */
static int append_text(int fd, const char *text, size_t length)
{
	ssize_t n = write(fd, text, length);
	off_t end = n < 0 ? -1 : lseek(fd, 0, SEEK_CUR);
	struct stat st;

	if (n < 0)
		return -errno;
	if ((size_t)n == length)
		return 0;
	if (end >= n && fstat(fd, &st) == 0 && st.st_size == end && ftruncate(fd, end - n) < 0)
		return -errno;
	return -ENOSPC;
}

static int to_file(const struct writing *w, const char *text, size_t length)
{
	const char *name;
	int dir = dir_open_of(w->where, &name), fd, error;

	if (dir < 0)
		return dir;
	fd = file_open_target(dir, name, O_WRONLY | O_APPEND, 0640);
	error = fd < 0 ? fd : append_text(fd, text, length);
	fd_close(&fd);
	fd_close(&dir);
	return error;
}

/* The meaning of each word of where; the last is for any other. */
static const struct way {
	const char *word;
	void (*print)(FILE *out, const char *program, const struct movelog_move *m);
	int (*write)(const struct writing *w, const char *text, size_t length);
} ways[] = {
    {"journal", movelog_fields, to_journal},
    {"syslog", movelog_syslog, to_syslog},
    {NULL, movelog_json, to_file},
};

static int write_move(const struct writing *w, const struct way *way, const struct movelog_move *m)
{
	struct memfile line;
	int error;

	if (!memfile_open(&line))
		return -ENOMEM;
	way->print(line.out, w->moves->program, m);
	error = memfile_close(&line);
	if (!error)
		error = way->write(w, line.text, line.length);
	free(line.text);
	if (way->write == to_journal && (error == -ENOENT || error == -ECONNREFUSED))
		return write_move(w, way + 1, m);
	return error;
}

int movelog_write(struct movelog *a, const char *where)
{
	const struct writing w = {a, where, clock_ms(CLOCK_BOOTTIME) + MOVELOG_WAIT_MS};
	const struct way *way = ways;
	int first = a->unkept ? -ENOBUFS : 0;

	while (way->word && strcmp(way->word, where) != 0)
		way++;
	for (size_t i = 0; i < a->n; i++) {
		int error = write_move(&w, way, &a->move[i]);

		a->lost += error != 0;
		first = first ? first : error;
	}
	if (!first)
		a->lost = 0;
	a->n = 0;
	a->unkept = false;
	return first;
}

/* ---- by a task ---- */

struct movelog_batch {
	struct movelog log;
	char *where;
};

static int write_batch(void *arg)
{
	struct movelog_batch *b = arg;

	return movelog_write(&b->log, b->where);
}

static void free_batch(void *arg)
{
	struct movelog_batch *b = arg;

	movelog_clear(&b->log);
	free(b->where);
	free(b);
}

static int set_where(struct movelog_batch *b, const char *where)
{
	free(b->where);
	b->where = strdup(where);
	return b->where ? 0 : -ENOMEM;
}

int movelog_start(struct movelog *a, const char *where, uint64_t now_ms)
{
	struct movelog_batch *b = a->batch;
	size_t room = a->room;
	int r;

	if (a->writing)
		return -EBUSY;
	if (!b)
		b = a->batch = calloc(1, sizeof(*b));
	r = b ? set_where(b, where) : -ENOMEM;
	if (r)
		return r;
	movelog_clear(&b->log);
	b->log = *a;
	r = task_start(write_batch, free_batch, b, &a->writing);
	if (r) {
		b->log.move = NULL; /* it is still a's */
		return r;
	}
	a->began_ms = now_ms;
	a->move = NULL;
	a->n = a->room = a->lost = 0;
	a->unkept = false;
	movelog_reserve(a, room); /* if it fails, the room is made when it is needed */
	return 0;
}

static void forget_writing(struct movelog *a)
{
	if (!task_free(a->writing)) /* then the batch is the task's */
		a->batch = NULL;
	a->writing = NULL;
}

int movelog_outcome(struct movelog *a, uint64_t now_ms)
{
	int r = a->writing ? task_result(a->writing) : -EINPROGRESS;

	if (r == -EINPROGRESS)
		return a->writing && now_ms - a->began_ms >= MOVELOG_PATIENCE_MS ? -ETIMEDOUT : r;
	a->lost += a->batch->log.lost;
	forget_writing(a);
	return r;
}

/* -EINPROGRESS if nothing was under way. */
static int finish_writing(struct movelog *a, uint64_t deadline_ms)
{
	if (!a->writing || task_wait(a->writing, deadline_ms) != -EINPROGRESS)
		return movelog_outcome(a, a->began_ms);
	forget_writing(a);
	return -ETIMEDOUT;
}

int movelog_end(struct movelog *a, const char *where, uint64_t deadline_ms)
{
	int r = finish_writing(a, deadline_ms);

	if (r != -ETIMEDOUT && a->n && where) {
		r = movelog_start(a, where, a->began_ms);
		r = r ? r : finish_writing(a, deadline_ms);
	}
	if (a->batch)
		free_batch(a->batch);
	a->batch = NULL;
	movelog_clear(a);
	return r == -EINPROGRESS ? 0 : r;
}

/* ---- moves in memory ---- */

int movelog_reserve(struct movelog *a, size_t n)
{
	struct movelog_move *move = n > a->room ? reallocarray(a->move, n, sizeof(*move)) : a->move;

	if (n <= a->room)
		return 0;
	if (!move)
		return -ENOMEM;
	memset(move + a->n, 0, (n - a->n) * sizeof(*move)); /* touched now, not when it is needed */
	a->move = move;
	a->room = n;
	return 0;
}

void movelog_add(struct movelog *a, const struct movelog_move *move)
{
	bool fits = !a->most || a->n < a->most;
	bool keeps = fits && (a->n < a->room || !movelog_reserve(a, 2 * a->room + 16));

	if (keeps)
		a->move[a->n++] = *move;
	a->lost += !keeps;
	a->unkept |= !keeps;
}

void movelog_reached(struct movelog *a, const char *uuid, uint64_t actual_kib, uint64_t seen_ms)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->move[i].asked_ms < seen_ms && strcmp(a->move[i].uuid, uuid) == 0) {
			a->move[i].has_reached = true;
			a->move[i].reached_kib = actual_kib;
		}
}

void movelog_clear(struct movelog *a)
{
	free(a->move);
	a->move = NULL;
	a->n = a->room = 0;
}

char *movelog_complaint(char *buffer, size_t size, const struct movelog *a, const char *where, int error)
{
	const char *why = error == -EAGAIN      ? "it has no reader"
	                  : error == -ETIMEDOUT ? "it does not answer"
	                  : error == -ENOBUFS   ? "more than could be kept"
	                                        : file_words(error);
	char escaped[256];

	snprintf(buffer, size, "cannot log to '%s': %s; moves not logged: %zu",
	         text_escape(escaped, sizeof(escaped), where, text_is_utf8()), why, a->lost);
	return buffer;
}
