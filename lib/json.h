/*
 * A streaming JSON writer: commas and nesting are kept by the writer, strings are repaired to valid UTF-8 and
 * everything that could move a terminal (C0, DEL, C1, bidi controls, U+2028/9, BOM) is written \uXXXX, so that even cat
 * of it is safe.
 */
#ifndef MEMSCHED_JSON_H
#define MEMSCHED_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct json {
	FILE *out;
	unsigned depth;
	bool first; /* nothing written yet on this level */
};

void json_init(struct json *j, FILE *out);
/* key is NULL inside an array and at the top. */
void json_object(struct json *j, const char *key);
void json_array(struct json *j, const char *key);
void json_end_object(struct json *j);
void json_end_array(struct json *j);
void json_string(struct json *j, const char *key, const char *value); /* NULL value: null */
void json_number(struct json *j, const char *key, uint64_t value);
void json_signed(struct json *j, const char *key, int64_t value);
/* value / 10^decimals, exact. */
void json_decimal(struct json *j, const char *key, uint64_t value, unsigned decimals);
void json_bool(struct json *j, const char *key, bool value);
void json_null(struct json *j, const char *key);
/* kib as bytes; null where it would overflow. */
void json_bytes(struct json *j, const char *key, uint64_t kib);

#endif
