#include <inttypes.h>

#include "base/json.h"
#include "base/text.h"

#define DECIMALS_MAX 19 /* as many as a uint64_t has digits behind the first */

void json_init(struct json *j, FILE *out)
{
	*j = (struct json){.out = out, .first = true};
}

/* One UTF-16 unit as \uXXXX, or two for what lies beyond them. */
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

/* What stands before a value: the comma and the key. */
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
