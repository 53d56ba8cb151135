/* SPDX-License-Identifier: MIT */
#include "cli/pause.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "base/units.h"
#include "host/registry.h"
#include "show/report.h"
#include "cli/say.h"

static const char *why_not_paused(int error, bool resumes)
{
	if (error == -EACCES)
		return resumes ? "Permission denied; only root can resume" : "Permission denied; only root can pause";
	return report_unusable(error);
}

static bool has_unit(const char *duration)
{
	size_t length = strlen(duration);

	return length && (duration[length - 1] < '0' || duration[length - 1] > '9');
}

static void print_pause(uint32_t for_ms)
{
	uint64_t now_ms = clock_ms(CLOCK_REALTIME);
	char until[TEXT_CLOCK];

	printf("no passes until %s; 'membalance --resume' ends the pause\n",
	       text_clock(until, sizeof(until), (now_ms + for_ms) / 1000, now_ms / 1000));
}

static int refuse_time(const struct program *program, const char *for_words)
{
	char word[256];

	say_error(program, "bad value '%s' for '--pause': must be a time with its unit, such as 30m (1ms to 168h)",
	          text_escape(word, sizeof(word), for_words, text_is_utf8()));
	return EXIT_USAGE;
}

int pause_set(const struct program *program, const char *root, const char *for_words)
{
	struct registry *registry = NULL;
	bool resumes = !for_words;
	char root_words[1024];
	uint32_t for_ms = 0;
	int r;

	/* 30 for 30m would be over before anyone looks */
	if (!resumes &&
	    (!has_unit(for_words) || duration_parse(for_words, &for_ms) || !for_ms || for_ms > PAUSE_MAX_MS))
		return refuse_time(program, for_words);
	r = registry_open(root, !resumes, &registry);
	if (r == -ENOENT && resumes)
		return EXIT_DONE;
	if (!r && resumes)
		r = registry_resume(registry);
	else if (!r)
		r = registry_pause(registry, clock_ms(CLOCK_BOOTTIME), for_ms);
	registry_close(registry);
	if (r)
		say_error(program, "cannot write '%s/run/memsched/paused': %s",
		          text_escape(root_words, sizeof(root_words), root, text_is_utf8()),
		          why_not_paused(r, resumes));
	else if (!resumes && !*program->quiet)
		print_pause(for_ms);
	return r ? exit_code_of(r) : EXIT_DONE;
}
