/* SPDX-License-Identifier: MIT */
/*
 * A streaming JSON writer: commas and nesting are kept by the writer, each value at the top is one line. Strings are
 * repaired to valid UTF-8 (U+FFFD for each byte that is none), and every character that text_is_plain refuses is
 * written \uXXXX, so that even cat of it is safe. Errors stay in the stream: the caller looks at ferror.
 */
#ifndef MEMSCHED_BASE_JSON_H
#define MEMSCHED_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct json {
	FILE *out;
	unsigned depth;
	bool first; /* nothing written yet on this level */
};

void json_init(struct json *j, FILE *out);
/* Begins an object of this schema at the top, which the caller ends. */
void json_begin(struct json *j, FILE *out, const char *schema);

/* key is NULL inside an array and at the top. */
void json_object(struct json *j, const char *key);
void json_array(struct json *j, const char *key);
void json_end_object(struct json *j);
void json_end_array(struct json *j);

void json_string(struct json *j, const char *key, const char *value); /* NULL value: null */
void json_number(struct json *j, const char *key, uint64_t value);    /* every digit, also above 2^53 */
void json_bool(struct json *j, const char *key, bool value);
void json_null(struct json *j, const char *key);

/* value / 10^decimals, exact: "1.500" for 1500 and 3. decimals: at most 19. */
void json_decimal(struct json *j, const char *key, uint64_t value, unsigned decimals);

/* kib as bytes; null if it would overflow. */
void json_bytes(struct json *j, const char *key, uint64_t kib);

/*
 * Reads the first member of this key in a text that this writer wrote: a number, true, or a string without escapes of
 * less than size bytes. False, and the result stays: there is none. No string in the text can be taken for a member,
 * for the quotes in strings are escaped. A number is read as json_decimal writes it, further decimals are cut.
 */
bool json_find_decimal(const char *text, const char *key, unsigned decimals, uint64_t *ret_value);
bool json_find_true(const char *text, const char *key);
bool json_find_string(const char *text, const char *key, char *ret_value, size_t size);

#endif
