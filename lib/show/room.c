/* SPDX-License-Identifier: MIT */
#include "show/room.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/text.h"
#include "base/units.h"
#include "base/uri.h"

#define NAMED_MOST 8 /* guests in a sentence */
#define NAME 96

static const char *const answers[] = {[FIT_YES] = "yes", [FIT_HEADROOM] = "headroom", [FIT_NO] = "no"};

/* ---- the answer ---- */

static struct policy_scratch make_scratch(size_t n)
{
	return (struct policy_scratch){calloc(n + 1, sizeof(struct fairshare_item)),
	                               calloc(n + 1, 2 * sizeof(struct fairshare_edge))};
}

int room_find(const struct conf *conf, const struct balance_report *rep, const struct candidate *candidate,
              bool guarded, struct room *ret_room)
{
	const struct policy_conf policy = conf_policy(conf, host_pageable_kib(&rep->host));
	struct policy_scratch scratch = make_scratch(rep->n);
	struct host host = rep->host;
	struct room r = {.candidate = candidate, .guest = calloc(rep->n + 1, sizeof(*r.guest)), .n = rep->n};
	bool good = scratch.item && scratch.edge && r.guest;

	r.guarded = guarded;
	r.pages_unknown = candidate->device.hugepages && uri_is_remote(conf->uri);
	if (r.pages_unknown)
		host.hugetlb_free_kib = UINT64_MAX;
	if (good && rep->n)
		memcpy(r.guest, rep->guest, rep->n * sizeof(*r.guest));
	if (good)
		fit_find(&policy, &host, rep->pending_kib, &candidate->device, r.guest, r.n, &scratch, &r.fit);
	free(scratch.item);
	free(scratch.edge);
	if (good)
		*ret_room = r;
	else
		room_clear(&r);
	return good ? 0 : -ENOMEM;
}

void room_clear(struct room *r)
{
	free(r->guest);
	*r = (struct room){.n = 0};
}

static uint64_t taken_kib(const struct guest *g)
{
	return sat_sub(g->sample.actual_kib, g->plan.want_kib);
}

/* ---- a sentence ---- */

static void write_size(FILE *out, const char *before, uint64_t kib, const char *behind)
{
	char size[TEXT_SIZE];

	fprintf(out, "%s%s%s", before, text_size(size, sizeof(size), kib), behind);
}

static void write_name(FILE *out, const char *before, const char *outside)
{
	char name[NAME];

	fprintf(out, "%s%s", before, text_escape(name, sizeof(name), outside, text_is_utf8()));
}

/* "4 GiB", "db (4 GiB)", "db (all of its 4 GiB at once)". */
static void write_subject(FILE *out, const struct room *r)
{
	uint64_t current_kib = r->candidate->device.current_kib, kib = sat_sub(r->fit.need_kib, QEMU_START_KIB);

	if (!r->candidate->name) {
		write_size(out, "", kib, "");
		return;
	}
	write_name(out, "", r->candidate->name);
	if (r->fit.pages_kib)
		write_size(out, " (", r->fit.pages_kib, " on huge pages)");
	else if (current_kib && kib > current_kib)
		write_size(out, " (all of its ", kib, " at once)");
	else
		write_size(out, " (", kib, ")");
}

/* "512 MiB are taken from web, 100 MiB from db and 1 GiB from 12 more". */
static void write_takes(FILE *out, const struct room *r)
{
	uint64_t rest_kib = r->fit.taken_kib;
	size_t named = 0, others = 0;

	for (size_t i = 0; i < r->n; i++) {
		uint64_t kib = taken_kib(&r->guest[i]);

		others += kib && named == NAMED_MOST;
		if (!kib || named == NAMED_MOST)
			continue;
		write_size(out, named ? ", " : "", kib, named ? " from " : " are taken from ");
		write_name(out, "", r->guest[i].name);
		rest_kib -= kib;
		named++;
	}
	if (!others)
		return;
	write_size(out, " and ", rest_kib, " from ");
	fprintf(out, "%zu more", others);
}

/* no_takes: the words if nothing is taken from other guests. */
static void write_fits(FILE *out, const struct room *r, const char *no_takes)
{
	write_subject(out, r);
	fputs(r->candidate->name ? " fits; " : " fit; ", out);
	if (r->fit.taken_kib)
		write_takes(out, r);
	else
		fputs(no_takes, out);
}

static void write_yes(FILE *out, const struct room *r)
{
	unsigned long long more = r->fit.more;

	fputs("yes: ", out);
	write_fits(out, r, "nothing is taken from other guests");
	if (more)
		fprintf(out, "; %llu more such guest%s", more, more == 1 ? " fits" : "s fit");
	else
		fputs("; no more such guest fits", out);
}

/* What fits without that; of nothing that is said too. */
static void write_largest(FILE *out, uint64_t kib, const char *how)
{
	if (kib)
		write_size(out, "; up to ", kib, " fit");
	else
		fputs("; nothing fits", out);
	fputs(how, out);
}

static void write_headroom(FILE *out, const struct room *r)
{
	fputs("only by taking headroom: ", out);
	write_fits(out, r, "guests must not touch what they were given and have not touched");
	write_largest(out, r->fit.largest_kib, " without that");
}

static void write_no(FILE *out, const struct room *r)
{
	fputs("no: ", out);
	write_subject(out, r);
	fputs(r->candidate->name ? " is " : " are ", out);
	if (r->fit.short_kib)
		write_size(out, "", r->fit.short_kib, " short");
	if (r->fit.short_kib && r->fit.pages_short_kib)
		fputs(" and ", out);
	if (r->fit.pages_short_kib)
		write_size(out, "", r->fit.pages_short_kib, " of huge pages short");
	if (!r->fit.short_kib)
		return;
	write_largest(out, r->fit.most_kib, r->fit.most_kib > r->fit.largest_kib ? " by taking headroom" : "");
}

static void write_answer(FILE *out, const struct room *r)
{
	void (*const writers[])(FILE * out, const struct room *r) = {
	    [FIT_YES] = write_yes, [FIT_HEADROOM] = write_headroom, [FIT_NO] = write_no};

	writers[r->fit.answer](out, r);
	if (r->pages_unknown)
		fputs("; whether the host has these huge pages is not known", out);
	if (r->fit.taken_kib && !r->guarded)
		fputs("; memguard is not running, so room is made only by passes", out);
}

char *text_room(char *buffer, size_t size, const struct room *r)
{
	struct memfile m;

	if (memfile_open(&m)) {
		write_answer(m.out, r);
		memfile_close(&m);
	}
	text_copy(buffer, size, m.text ? m.text : answers[r->fit.answer]);
	free(m.text);
	return buffer;
}

/* ---- columns and JSON ---- */

#define ROOM_CELL(column, expression) COLUMN_CELL(room_##column, const struct room *r, expression)
#define ROOM_KIB(field) ROOM_CELL(field, cell_of(CELL_KIB, r->fit.field##_kib))

ROOM_CELL(answer, cell_text(answers[r->fit.answer]))
ROOM_CELL(name, cell_text(r->candidate->name))
ROOM_KIB(need)
ROOM_KIB(pages)
ROOM_KIB(short)
ROOM_KIB(pages_short)
ROOM_KIB(taken)
ROOM_KIB(largest)
ROOM_KIB(most)
ROOM_CELL(more, cell_of(CELL_NUMBER, r->fit.more))

#define BOTH (COLUMN_TABLE | COLUMN_JSON)

const struct column room_columns[] = {
    {"fit", "Fit", "answer", "", BOTH, room_answer, NULL},
    {"domain", "Domain", "name", "", BOTH, room_name, NULL},
    {"need", "Need", "need_bytes", "", BOTH, room_need, NULL},
    {"huge-pages", "Huge-pages", "huge_pages_bytes", "", BOTH, room_pages, NULL},
    {"short", "Short", "short_bytes", "", BOTH, room_short, NULL},
    {"huge-pages-short", "Huge-pages-short", "huge_pages_short_bytes", "", BOTH, room_pages_short, NULL},
    {"taken", "Taken", "taken_bytes", "", BOTH, room_taken, NULL},
    {"largest", "Largest", "largest_bytes", "", BOTH, room_largest, NULL},
    {"most", "Most", "most_bytes", "", BOTH, room_most, NULL},
    {"more", "More", "more", "", BOTH, room_more, NULL},
    {.name = NULL},
};

static void take_json(struct json *j, const struct guest *g)
{
	json_object(j, NULL);
	json_string(j, "name", g->name);
	json_string(j, "uuid", g->uuid);
	json_bytes(j, "from_bytes", g->sample.actual_kib);
	json_bytes(j, "want_bytes", g->plan.want_kib);
	json_end_object(j);
}

void room_json(FILE *out, const struct room *r)
{
	char sentence[TEXT_ROOM];
	struct json j;

	json_begin(&j, out, "memsched.fit/1");
	json_string(&j, "text", text_room(sentence, sizeof(sentence), r));
	table_write_json(&j, room_columns, r);
	json_array(&j, "takes");
	for (size_t i = 0; i < r->n; i++)
		if (taken_kib(&r->guest[i]))
			take_json(&j, &r->guest[i]);
	json_end_array(&j);
	json_end_object(&j);
}
