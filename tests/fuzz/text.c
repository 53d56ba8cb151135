/* SPDX-License-Identifier: MIT */
/* libFuzzer: any bytes as an outside string: escaped into a buffer of any size, and as a string of JSON. */
#include <ctype.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "root.h"

/* Each character is plain, and ASCII where no more is allowed; so is the end where it was cut. */
static void check_plain(const char *text, bool utf8)
{
	uint32_t code;
	size_t n;

	for (; *text; text += n) {
		n = text_decode(text, &code);
		check(n > 0 && text_is_plain(code) && (utf8 || n == 1));
	}
}

static void check_escape(const char *outside, size_t size)
{
	for (int utf8 = 0; utf8 < 2; utf8++) {
		char *buffer = malloc(size);

		check(buffer && text_escape(buffer, size, outside, utf8) == buffer);
		check(strlen(buffer) < size);
		check_plain(buffer, utf8);
		free(buffer);
	}
}

static size_t escape_length(const char *at)
{
	if (at[1] == '"' || at[1] == '\\')
		return 2;
	check(at[1] == 'u');
	for (int i = 2; i < 6; i++)
		check(isxdigit((unsigned char)at[i]));
	return 6;
}

/* A string from its quote to the end of the line. */
static void check_string(const char *at)
{
	uint32_t code;

	check(*at++ == '"');
	while (*at != '"') {
		size_t n = *at == '\\' ? escape_length(at) : text_decode(at, &code);

		check(n > 0 && (*at == '\\' || text_is_plain(code)));
		at += n;
	}
	check(strcmp(at, "\"\n") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *outside = malloc(size + 1), *line = NULL;
	size_t length = 0;
	struct json j;
	FILE *out;

	if (!outside)
		return 0;
	if (size)
		memcpy(outside, data, size);
	outside[size] = '\0';
	check_escape(outside, 1 + (size ? data[0] : 0));
	check_escape(outside, 4 * size + 1);
	out = open_memstream(&line, &length);
	check(out != NULL);
	json_init(&j, out);
	json_string(&j, NULL, outside);
	check(fclose(out) == 0 && strlen(line) == length);
	check_string(line);
	free(line);
	free(outside);
	return 0;
}
