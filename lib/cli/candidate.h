/* SPDX-License-Identifier: MIT */
/* The guest that memstat --fit asks about: a size, a file with its definition, or a domain that is not running. */
#ifndef MEMSCHED_CLI_CANDIDATE_H
#define MEMSCHED_CLI_CANDIDATE_H

#include "cli/options.h"
#include "cli/watch.h"
#include "show/table.h"

/*
 * Answers whether that guest fits, by one look of w: as JSON, as a row of this style, or (style NULL) as a sentence.
 * given: a text with a slash or that ends in .xml is a file, a valid size is a size, and all else names a domain by its
 * name or UUID. Returns enum fit_answer, which is an exit code, or EXIT_UNANSWERED, EXIT_DENIED or EXIT_AGAIN after a
 * message.
 */
int candidate_answer(const struct program *program, const char *given, bool as_json, const struct table_style *style,
                     const struct watch *w);

#endif
