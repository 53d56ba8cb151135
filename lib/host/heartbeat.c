/* SPDX-License-Identifier: MIT */
#include "host/heartbeat.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "base/units.h"

#define GUARD_BYTES 4096
#define PASS_HEAD 1024 /* the members that are read stand before the guests */
#define OVERDUE_LEAST_S 15

/* ---- memguard ---- */

/* The numbers of guard.json. */
static const struct member {
	const char *key;
	enum { MEMBER_NUMBER, MEMBER_KIB, MEMBER_MS } kind;
	size_t offset;
} members[] = {
    {"time_seconds", MEMBER_NUMBER, offsetof(struct guard_heartbeat, written_s)},
    {"pid", MEMBER_NUMBER, offsetof(struct guard_heartbeat, pid)},
    {"since_seconds", MEMBER_NUMBER, offsetof(struct guard_heartbeat, since_s)},
    {"available_bytes", MEMBER_KIB, offsetof(struct guard_heartbeat, available_kib)},
    {"reserve_bytes", MEMBER_KIB, offsetof(struct guard_heartbeat, reserve_kib)},
    {"lack_bytes", MEMBER_KIB, offsetof(struct guard_heartbeat, lack_kib)},
    {"freed_bytes", MEMBER_KIB, offsetof(struct guard_heartbeat, freed_kib)},
    {"began_seconds", MEMBER_NUMBER, offsetof(struct guard_heartbeat, began_s)},
    {"calm_seconds", MEMBER_MS, offsetof(struct guard_heartbeat, level_ms[GUARD_CALM])},
    {"tight_seconds", MEMBER_MS, offsetof(struct guard_heartbeat, level_ms[GUARD_TIGHT])},
    {"critical_seconds", MEMBER_MS, offsetof(struct guard_heartbeat, level_ms[GUARD_CRITICAL])},
    {"freed_total_bytes", MEMBER_KIB, offsetof(struct guard_heartbeat, freed_total_kib)},
    {"refusals_total", MEMBER_NUMBER, offsetof(struct guard_heartbeat, refusals)},
    {"on_critical_total", MEMBER_NUMBER, offsetof(struct guard_heartbeat, commands_run)},
    {"commands_total", MEMBER_NUMBER, offsetof(struct guard_heartbeat, commands_sent)},
    {"last_command_seconds", MEMBER_NUMBER, offsetof(struct guard_heartbeat, commanded_s)},
};
#define N_MEMBERS (sizeof(members) / sizeof(*members))

void guard_heartbeat_note(struct guard_heartbeat *b, enum guard_level level, uint64_t lack_kib, uint64_t freed_kib,
                          struct instant at)
{
	if (!b->began_s) {
		b->pid = (uint64_t)getpid();
		b->began_s = b->since_s = at.wall_ms / 1000;
		b->seen_ms = at.now_ms;
	}
	b->level_ms[b->level] += sat_sub(at.now_ms, b->seen_ms);
	b->seen_ms = at.now_ms;
	if (level != b->level)
		b->since_s = at.wall_ms / 1000;
	b->level = level;
	b->lack_kib = lack_kib;
	b->freed_total_kib = sat_add(b->freed_total_kib, sat_sub(freed_kib, b->freed_kib));
	b->freed_kib = freed_kib;
	b->written_s = at.wall_ms / 1000;
}

static void write_members(struct json *j, const struct guard_heartbeat *b)
{
	for (size_t i = 0; i < N_MEMBERS; i++) {
		uint64_t value = *(const uint64_t *)((const char *)b + members[i].offset);

		if (members[i].kind == MEMBER_KIB)
			json_bytes(j, members[i].key, value);
		else
			json_decimal(j, members[i].key, value, members[i].kind == MEMBER_MS ? 3 : 0);
	}
}

int guard_heartbeat_write(const struct guard_heartbeat *b, struct registry *r)
{
	struct memfile m;
	struct json j;
	int error;

	if (!memfile_open(&m))
		return -ENOMEM;
	json_begin(&j, m.out, "memsched.guard/1");
	json_string(&j, "level", guard_level_word(b->level));
	json_bool(&j, "no_give", b->no_give);
	write_members(&j, b);
	json_end_object(&j);
	error = memfile_close(&m);
	if (!error)
		error = registry_write(r, "guard.json", m.text, m.length);
	free(m.text);
	return error;
}

/* False: it is not whole. */
static bool parse_guard(const char *text, struct guard_heartbeat *ret_heartbeat)
{
	struct guard_heartbeat b = {.level = GUARD_CALM};
	char word[16];

	if (!json_find_string(text, "level", word, sizeof(word)))
		return false;
	while (b.level < GUARD_LEVELS && strcmp(word, guard_level_word(b.level)) != 0)
		b.level++;
	b.no_give = json_find_true(text, "no_give");
	for (size_t i = 0; i < N_MEMBERS; i++) {
		uint64_t *value = (uint64_t *)((char *)&b + members[i].offset);

		if (!json_find_decimal(text, members[i].key, members[i].kind == MEMBER_MS ? 3 : 0, value))
			return false;
		if (members[i].kind == MEMBER_KIB)
			*value /= 1024;
	}
	if (b.level == GUARD_LEVELS || b.pid < 1 || b.pid > INT32_MAX)
		return false;
	*ret_heartbeat = b;
	return true;
}

/* Not permitted means that it is there. */
static bool is_alive(uint64_t pid)
{
	return kill((pid_t)pid, 0) == 0 || errno == EPERM;
}

enum guard_presence guard_heartbeat_read(const char *root, const char *uri, uint64_t now_s,
                                         struct guard_heartbeat *ret_heartbeat)
{
	struct registry *r = NULL;
	char text[GUARD_BYTES];
	bool good;

	*ret_heartbeat = (struct guard_heartbeat){.written_s = 0};
	good = registry_open_guard(root, uri, false, &r) == 0 &&
	       registry_read(r, "guard.json", text, sizeof(text)) == 0 && parse_guard(text, ret_heartbeat);
	registry_close(r);
	if (!good || !is_alive(ret_heartbeat->pid))
		return GUARD_ABSENT;
	return sat_sub(now_s, ret_heartbeat->written_s) > GUARD_SILENT_S ? GUARD_SILENT : GUARD_PRESENT;
}

/* ---- membalance ---- */

int pass_heartbeat_read(const struct registry *r, struct pass_heartbeat *ret_heartbeat)
{
	struct pass_heartbeat b = {.ended_s = 0};
	char text[PASS_HEAD];
	int error = registry_read_head(r, "last-pass.json", text, sizeof(text));

	if (error)
		return error;
	if (!json_find_decimal(text, "time_seconds", 0, &b.ended_s))
		return -EBADMSG;
	json_find_decimal(text, "interval_seconds", 3, &b.interval_ms);
	*ret_heartbeat = b;
	return 0;
}

bool pass_heartbeat_is_overdue(const struct pass_heartbeat *b, uint64_t now_s)
{
	uint64_t interval_ms = b->interval_ms ? b->interval_ms : PASS_SINGLE_MS;

	return sat_sub(now_s, b->ended_s) > max_u64(3 * interval_ms / 1000, OVERDUE_LEAST_S);
}
