/* SPDX-License-Identifier: MIT */
#include "cli/candidate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/text.h"
#include "base/units.h"
#include "show/report.h"
#include "show/room.h"
#include "virt/domxml.h"
#include "virt/virt.h"
#include "cli/output.h"
#include "cli/say.h"

#define ESCAPED 256

static int refuse_guest(const struct program *program, const char *given, const char *verb, const char *why)
{
	char escaped[ESCAPED];

	say_error(program, "'%s'%s%s", text_escape(escaped, sizeof(escaped), given, text_is_utf8()), verb, why);
	return EXIT_FAILED;
}

/* ---- a file ---- */

static bool is_file(const char *given)
{
	size_t length = strlen(given);

	return strchr(given, '/') || (length > 4 && text_same(given + length - 4, ".xml"));
}

/* All of it, to be freed, or -errno; -EMSGSIZE: more than a definition may have. */
static ssize_t read_file(const char *path, char **ret_text)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char *text = fd < 0 ? NULL : malloc(DOMXML_MAX_BYTES + 1);
	ssize_t length = fd < 0 ? -errno : text ? file_read(fd, text, DOMXML_MAX_BYTES + 1) : -ENOMEM;

	if (length > (ssize_t)DOMXML_MAX_BYTES)
		length = -EMSGSIZE;
	if (length < 0)
		free(text);
	else
		*ret_text = text;
	fd_close(&fd);
	return length;
}

static const char *words_of(ssize_t error)
{
	switch (error) {
	case -EMSGSIZE:
		return "larger than a domain definition may be, 8 MiB";
	case -EBADMSG:
		return "no domain definition: well-formed XML without a DTD that begins with <domain>";
	default:
		return strerror((int)-error);
	}
}

/* A definition that libvirt would refuse gets no answer. */
static const char *find_fault(const char *name, const struct device *d)
{
	if (!name || !*name)
		return "no <name>";
	if (!d->maximum_kib)
		return "no <memory>, or none with a valid size";
	return NULL;
}

static int read_definition(const struct program *program, const char *path, struct candidate *ret_candidate)
{
	char *text = NULL;
	ssize_t length = read_file(path, &text);
	struct domxml d;
	int r = length < 0 ? (int)length : domxml_read(text, (size_t)length, &d);

	free(text);
	if (r)
		return refuse_guest(program, path, ": ", words_of(r));
	if (find_fault(d.name, &d.device)) {
		r = refuse_guest(program, path, " has ", find_fault(d.name, &d.device));
	} else {
		*ret_candidate = (struct candidate){d.name, d.device};
		d.name = NULL;
	}
	domxml_clear(&d);
	return r;
}

/* ---- a domain ---- */

static int refuse_domain(const struct program *program, const struct conf *conf, const char *root, int error,
                         const struct virt *v, const char *given)
{
	char *failure;

	if (error == -ESRCH)
		return refuse_guest(program, given, ": ",
		                    "no such domain; a size is written as 4GiB, a file as ./FILE");
	failure = report_failure(error, conf->uri, root, virt_words(v));
	say_error(program, "%s", failure ? failure : strerror(-error));
	free(failure);
	return exit_code_of(error);
}

static int take_domain(const struct program *program, const char *given, struct guest *g,
                       struct candidate *ret_candidate)
{
	if (g->domain_id >= 0)
		return refuse_guest(program, given, " is ", "running already");
	if (find_fault(g->name, &g->device))
		return refuse_guest(program, given, " has ", find_fault(g->name, &g->device));
	*ret_candidate = (struct candidate){g->name, g->device};
	g->name = NULL;
	return 0;
}

static int read_domain(const struct program *program, const char *given, const struct conf *conf, const char *root,
                       struct candidate *ret_candidate)
{
	uint64_t end_ms = clock_ms(CLOCK_BOOTTIME) + conf->deadline_ms;
	struct virt *v = NULL;
	struct guest *g;
	int r = virt_open(conf->uri, true, 1, end_ms, &v), code;

	if (!r)
		r = virt_find(v, given, end_ms, &g);
	if (r) {
		code = refuse_domain(program, conf, root, r, v, given);
	} else {
		code = take_domain(program, given, g, ret_candidate);
		guests_free(g, 1);
	}
	virt_close(v);
	return code;
}

/* ---- any ---- */

static int read_any(const struct program *program, const char *given, const struct conf *conf, const char *root,
                    struct candidate *ret_candidate)
{
	uint64_t kib;
	int r;

	if (is_file(given))
		return read_definition(program, given, ret_candidate);
	r = size_parse(given, &kib);
	if (r == -ERANGE)
		return refuse_guest(program, given, " is ", "too large for a size");
	if (r)
		return read_domain(program, given, conf, root, ret_candidate);
	if (!kib)
		return refuse_guest(program, given, " is ", "no size of a guest");
	*ret_candidate = (struct candidate){.device = {.maximum_kib = kib, .current_kib = kib, .balloon = true}};
	return 0;
}

/* ---- the answer ---- */

struct question {
	const struct program *program;
	const struct conf *conf;
	struct candidate candidate;
	bool as_json;
	const struct table_style *style;
	bool answered;
};

static void keep_all(void *arg, struct balance_report *report)
{
	(void)arg, (void)report;
}

static int print_room(const struct question *q, const struct room *r)
{
	char sentence[TEXT_ROOM];

	if (q->style)
		return table_write(stdout, room_columns, r, 1, sizeof(*r), q->style);
	if (q->as_json)
		room_json(stdout, r);
	else
		printf("%s\n", text_room(sentence, sizeof(sentence), r));
	return 0;
}

static int show_answer(void *arg, const struct look *look)
{
	struct question *q = arg;
	bool guarded = look->status.presence == GUARD_PRESENT;
	struct room room;
	int r = look->error ? 0 : room_find(q->conf, &look->report, &q->candidate, guarded, &room),
	    answer = EXIT_FAILED;

	if (look->error) {
		say_error(q->program, "%s", look->failure ? look->failure : strerror(-look->error));
		return exit_code_of(look->error);
	}
	if (!r) {
		r = print_room(q, &room);
		answer = r ? answer : (int)room.fit.answer;
		room_clear(&room);
	}
	if (r)
		say_error(q->program, "cannot answer: %s", strerror(-r));
	report_complain(&look->report, say_complaint_as, (void *)(uintptr_t)q->program);
	q->answered = !r;
	return answer;
}

int candidate_answer(const struct program *program, const char *given, bool as_json, const struct table_style *style,
                     const struct watch *w)
{
	struct question q = {.program = program, .conf = w->conf, .as_json = as_json, .style = style};
	struct watch once = *w;
	int code = read_any(program, given, w->conf, w->root, &q.candidate);

	once.keep = keep_all;
	once.show = show_answer;
	once.arg = &q;
	if (!code)
		code = watch_append(&once);
	free(q.candidate.name);
	if (output_end() || (!q.answered && (code == EXIT_FAILED || code == EXIT_USAGE)))
		code = EXIT_UNANSWERED; /* the others are answers */
	return code;
}
