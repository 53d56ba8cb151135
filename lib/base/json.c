/* SPDX-License-Identifier: MIT */
#include "base/json.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"

#define DECIMALS_MAX 19 /* as many as a uint64_t has digits behind the first */

void json_init(struct json *j, FILE *out)
{
	*j = (struct json){.out = out, .first = true};
}

/* A code point as \uXXXX, or as a surrogate pair. */
static void write_code(FILE *out, uint32_t code)
{
	if (code > 0xffff) {
		fprintf(out, "\\u%04x", 0xd800 + ((code - 0x10000) >> 10));
		code = 0xdc00 + ((code - 0x10000) & 0x3ff);
	}
	fprintf(out, "\\u%04x", code);
}

static void write_string(FILE *out, const char *value)
{
	size_t n;

	fputc('"', out);
	for (; *value; value += n) {
		uint32_t code = 0xfffd;

		n = text_decode(value, &code);
		if (n == 0 || !text_is_plain(code))
			write_code(out, code);
		else
			fprintf(out, "%s%.*s", code == '"' || code == '\\' ? "\\" : "", (int)n, value);
		n += n == 0;
	}
	fputc('"', out);
}

/* The comma and the key before a value. */
static void value_begin(struct json *j, const char *key)
{
	if (j->depth > 0 && !j->first)
		fputc(',', j->out);
	j->first = false;
	if (key) {
		write_string(j->out, key);
		fputc(':', j->out);
	}
}

static void value_end(struct json *j)
{
	if (j->depth == 0)
		fputc('\n', j->out);
}

static void level_begin(struct json *j, const char *key, char bracket)
{
	value_begin(j, key);
	fputc(bracket, j->out);
	j->depth++;
	j->first = true;
}

static void level_end(struct json *j, char bracket)
{
	fputc(bracket, j->out);
	j->depth--;
	j->first = false;
	value_end(j);
}

void json_object(struct json *j, const char *key)
{
	level_begin(j, key, '{');
}

void json_array(struct json *j, const char *key)
{
	level_begin(j, key, '[');
}

void json_end_object(struct json *j)
{
	level_end(j, '}');
}

void json_end_array(struct json *j)
{
	level_end(j, ']');
}

void json_string(struct json *j, const char *key, const char *value)
{
	if (!value) {
		json_null(j, key);
		return;
	}
	value_begin(j, key);
	write_string(j->out, value);
	value_end(j);
}

void json_begin(struct json *j, FILE *out, const char *schema)
{
	json_init(j, out);
	json_object(j, NULL);
	json_string(j, "schema", schema);
}

void json_number(struct json *j, const char *key, uint64_t value)
{
	value_begin(j, key);
	fprintf(j->out, "%" PRIu64, value);
	value_end(j);
}

void json_bool(struct json *j, const char *key, bool value)
{
	value_begin(j, key);
	fputs(value ? "true" : "false", j->out);
	value_end(j);
}

void json_null(struct json *j, const char *key)
{
	value_begin(j, key);
	fputs("null", j->out);
	value_end(j);
}

void json_decimal(struct json *j, const char *key, uint64_t value, unsigned decimals)
{
	char number[TEXT_DECIMAL];

	value_begin(j, key);
	fputs(text_decimal(number, sizeof(number), value, decimals < DECIMALS_MAX ? decimals : DECIMALS_MAX), j->out);
	value_end(j);
}

void json_bytes(struct json *j, const char *key, uint64_t kib)
{
	if (kib > UINT64_MAX / 1024)
		json_null(j, key);
	else
		json_number(j, key, kib * 1024);
}

/* ---- reading ---- */

/* The text after "key":, NULL if there is none. */
static const char *find_member(const char *text, const char *key)
{
	size_t length = strlen(key);

	for (const char *at = strstr(text, key); at; at = strstr(at + 1, key))
		if (at > text && at[-1] == '"' && strncmp(at + length, "\":", 2) == 0)
			return at + length + 2;
	return NULL;
}

bool json_find_decimal(const char *text, const char *key, unsigned decimals, uint64_t *ret_value)
{
	static const char figures[] = "0123456789";
	const char *value = find_member(text, key);
	size_t whole = value ? strspn(value, figures) : 0, part;
	char digits[2 * TEXT_DECIMAL];

	if (!whole || whole >= TEXT_DECIMAL || decimals > DECIMALS_MAX)
		return false;
	part = value[whole] == '.' ? strspn(value + whole + 1, figures) : 0;
	part = part < decimals ? part : decimals;
	snprintf(digits, sizeof(digits), "%.*s%.*s%.*s", (int)whole, value, (int)part, value + whole + 1,
	         (int)(decimals - part), "0000000000000000000");
	return number_parse(digits, UINT64_MAX, ret_value) == 0;
}

bool json_find_true(const char *text, const char *key)
{
	const char *value = find_member(text, key);

	return value && strncmp(value, "true", 4) == 0;
}

bool json_find_string(const char *text, const char *key, char *ret_value, size_t size)
{
	const char *value = find_member(text, key);
	size_t n = value && *value == '"' ? strcspn(value + 1, "\"\\") : size;

	if (n >= size || value[n + 1] != '"')
		return false;
	snprintf(ret_value, size, "%.*s", (int)n, value + 1);
	return true;
}
