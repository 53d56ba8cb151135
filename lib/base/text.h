/* SPDX-License-Identifier: MIT */
/*
 * Words for people: escaping, decimals, sizes. Links with nothing else, so that the hook's helper can have it;
 * the sentences that explain a decision stand in explain.h.
 */
#ifndef MEMSCHED_BASE_TEXT_H
#define MEMSCHED_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Every string from outside passes this function before it reaches a terminal or a log: a character that
 * text_is_plain refuses, and each byte that is no UTF-8, becomes \xNN a byte; a backslash becomes two. With utf8 false
 * (C locale) everything beyond ASCII is escaped. Writes at most size bytes, always ended; a longer text is cut at a
 * whole character and ended with "...". Returns buffer.
 */
char *text_escape(char *buffer, size_t size, const char *outside, bool utf8);

/*
 * The same, allocated and whole; NULL without memory. Each ASCII character that stands in special, a backslash too,
 * becomes \xNN.
 */
char *text_escaped(const char *outside, bool utf8, const char *special);

/* Copies a text that is already safe to print, cut in the same way. Returns buffer. */
char *text_copy(char *buffer, size_t size, const char *safe);

/*
 * Decodes the character at the start of text (which is not at its end) as strict UTF-8, whatever the locale: no
 * overlong forms, no surrogates, nothing beyond U+10FFFF. Returns its length in bytes, 0 if there is none.
 */
size_t text_decode(const char *text, uint32_t *ret_code);

/*
 * Whether a character may be shown as it is: it does not move the cursor, reverse the line, hide, stand for nothing, or
 * look like a blank. C0, DEL, C1, bidi and zero-width controls, separators, blanks beyond ASCII, fillers, variation
 * selectors, tags and noncharacters may not.
 */
bool text_is_plain(uint32_t code);

/* Columns of a terminal that an escaped text takes. */
size_t text_width(const char *escaped);

/* How many bytes of it are its longest beginning that takes at most so many columns, and how many it takes. */
size_t text_prefix(const char *escaped, size_t columns, size_t *ret_width);

/* Its longest end that takes at most so many columns. */
const char *text_suffix(const char *escaped, size_t columns);

/*
 * toupper, strncasecmp and strcasecmp (but whether) for ASCII alone, for words of ours: those of the C library ask the
 * locale, and in a Turkish one I is no capital i.
 */
char text_capital(char c);
bool text_same_start(const char *a, const char *b, size_t n);
bool text_same(const char *a, const char *b);

/*
 * Searches for the word that was probably meant: starts as {.given = given}, sees each known word once, and word is
 * then the nearest, or NULL if none is near enough. An edit is a letter too many, too few, another one, or two
 * neighbours swapped. At most a third of the letters may need one. A word that given begins with is near too. Case does
 * not count.
 */
struct text_nearest {
	const char *given;
	const char *word;
	size_t edits; /* between the two */
};
void text_nearest_try(struct text_nearest *nearest, const char *word);

/* Whether the locale set by setlocale takes UTF-8. */
bool text_is_utf8(void);

/* FNV-1a. Files in /run have it in names and as keys, those of histories as checksums. */
uint64_t text_hash(const char *text);
uint64_t bytes_hash(const void *bytes, size_t n);

#define TEXT_DECIMAL 24 /* suffices for every decimal */

/* value / 10^decimals, exact: "1.500" for 1500 and 3. decimals: at most 19. Returns buffer. */
char *text_decimal(char *buffer, size_t size, uint64_t value, unsigned decimals);

#define TEXT_AGE 32 /* suffices for every age */

/* "90 s", "3 min", "5 h", "2 days": rounded down. Returns buffer. */
char *text_age(char *buffer, size_t size, uint64_t age_s);

#define TEXT_CLOCK 32 /* suffices for every time of day */

/* A wall clock's "14:03:22" of the day of now_s, "2026-11-28 14:03:22" of another day. Returns buffer. */
char *text_clock(char *buffer, size_t size, uint64_t wall_s, uint64_t now_s);

#define TEXT_SIZE 16 /* suffices for every size */

/* "512 MiB", "1.5 GiB", "12 KiB": rounded to the nearest, one decimal below 100 unless it is 0. Returns buffer. */
char *text_size(char *buffer, size_t size, uint64_t kib);

/* The same for tables: "512M", "1.5G", "12K". */
char *text_size_short(char *buffer, size_t size, uint64_t kib);

#endif
