/* SPDX-License-Identifier: MIT */
#include "host/keyfile.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/units.h"

#define FILE_BYTES 4096
#define NAME_BYTES 1024 /* three times that, escaped, fits a file */

/* Letters, digits and the like stay as they are, every other byte becomes %XX; to be freed. */
static char *encode_text(const char *text)
{
	size_t length = strnlen(text, NAME_BYTES);
	char *code = malloc(3 * length + 1), *end = code;

	if (!code)
		return NULL;
	for (size_t i = 0; i < length; i++)
		if (text[i] > ' ' && text[i] <= '~' && text[i] != '%')
			*end++ = text[i];
		else
			end += sprintf(end, "%%%02X", (unsigned char)text[i]);
	*end = '\0';
	return code;
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789ABCDEF";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* The next byte of a text that encode_text wrote; 0 if it is not of that form. */
static int decode_byte(const char **code)
{
	const char *at = *code;
	int high, low;

	if (*at != '%') {
		*code += 1;
		return (unsigned char)*at;
	}
	high = hex_digit(at[1]);
	low = high < 0 ? -1 : hex_digit(at[2]);
	*code += 3;
	return low < 0 ? 0 : high << 4 | low;
}

/* To be freed; NULL if encode_text does not write such a text, or without memory. */
static char *decode_text(const char *code)
{
	char *text = malloc(strlen(code) + 1), *end = text;

	while (text && *code) {
		int byte = decode_byte(&code);

		if (byte == 0) {
			free(text);
			return NULL;
		}
		*end++ = (char)byte;
	}
	if (text)
		*end = '\0';
	return text;
}

static int print_field(const struct keyfile_field *f, const void *base, char *text, size_t size)
{
	const void *value = (const char *)base + f->offset;
	char *code;
	int n = -1;

	switch (f->kind) {
	case KEYFILE_BOOL:
		return snprintf(text, size, "%s=%d\n", f->key, *(const bool *)value);
	case KEYFILE_U32:
		return snprintf(text, size, "%s=%" PRIu32 "\n", f->key, *(const uint32_t *)value);
	case KEYFILE_U64:
		return snprintf(text, size, "%s=%" PRIu64 "\n", f->key, *(const uint64_t *)value);
	case KEYFILE_I64:
		return snprintf(text, size, "%s=%" PRId64 "\n", f->key, *(const int64_t *)value);
	case KEYFILE_TEXT:
		code = encode_text(*(char *const *)value ? *(char *const *)value : "");
		if (code)
			n = snprintf(text, size, "%s=%s\n", f->key, code);
		free(code);
	}
	return n;
}

/* Returns the length of the text, or -errno. */
static int print_form(const struct keyfile_form *form, const void *base, char *text, size_t size)
{
	size_t used = (size_t)snprintf(text, size, "%s\n", form->version);

	for (size_t i = 0; i < form->n; i++) {
		int length = print_field(&form->field[i], base, text + used, size - used);

		if (length < 0)
			return -ENOMEM;
		used += (size_t)length;
		if (used >= size)
			return -EMSGSIZE;
	}
	return (int)used;
}

/* The file: a UUID in lower case, but for "paused" and "holder". NULL: not a name. */
static const char *file_of(const struct keyfile_form *form, const char *name, char uuid[UUID_TEXT])
{
	return form->place <= STATEDIR_HOST ? name : uuid_parse(name, uuid) ? uuid : NULL;
}

int keyfile_save(const struct statedir *dir, const struct keyfile_form *form, const char *name, const void *base)
{
	char text[FILE_BYTES], before[FILE_BYTES + 1], uuid[UUID_TEXT];
	const char *file = file_of(form, name, uuid);
	int length = print_form(form, base, text, sizeof(text));

	if (!file || length < 0)
		return file ? length : -EINVAL;
	if (form->place == STATEDIR_DOMAINS && !statedir_read(dir, form->place, file, before, sizeof(before)) &&
	    strcmp(before, text) == 0)
		return 0;
	return statedir_write(dir, form->place, file, text, (size_t)length);
}

static bool read_field(const struct keyfile_field *f, const char *text, void *base)
{
	void *value = (char *)base + f->offset;
	bool negative = f->kind == KEYFILE_I64 && text[0] == '-';
	const uint64_t limit[] = {
	    [KEYFILE_BOOL] = 1, [KEYFILE_U32] = UINT32_MAX, [KEYFILE_U64] = UINT64_MAX, [KEYFILE_I64] = INT64_MAX};
	uint64_t number = 0;

	if (f->kind != KEYFILE_TEXT && number_parse(text + negative, limit[f->kind], &number) < 0)
		return false;
	switch (f->kind) {
	case KEYFILE_BOOL:
		*(bool *)value = number;
		return true;
	case KEYFILE_U32:
		*(uint32_t *)value = (uint32_t)number;
		return true;
	case KEYFILE_U64:
		*(uint64_t *)value = number;
		return true;
	case KEYFILE_I64:
		*(int64_t *)value = negative ? -(int64_t)number : (int64_t)number;
		return true;
	case KEYFILE_TEXT:
		*(char **)value = decode_text(text);
		return *(char **)value;
	}
	return false;
}

/* Reads one key=value; each field's bit in *found says that it was there. */
static bool read_line(char *line, const struct keyfile_form *form, void *base, uint64_t *found)
{
	const char *key = strsep(&line, "=");

	for (size_t i = 0; line && i < form->n; i++) {
		if (strcmp(form->field[i].key, key) != 0)
			continue;
		if ((*found & UINT64_C(1) << i) || !read_field(&form->field[i], line, base))
			return false;
		*found |= UINT64_C(1) << i;
	}
	return line;
}

int keyfile_load(const struct statedir *dir, const struct keyfile_form *form, const char *name, void *base)
{
	char text[FILE_BYTES], uuid[UUID_TEXT], *rest = text, *line;
	const char *file = file_of(form, name, uuid);
	uint64_t found = 0;
	int error = file ? statedir_read(dir, form->place, file, text, sizeof(text)) : -EINVAL;

	if (error)
		return error;
	line = strsep(&rest, "\n");
	if (!rest || strncmp(line, form->version, strlen("version=")) != 0)
		return -EBADMSG;
	if (strcmp(line, form->version) != 0)
		return -EPROTO;
	while ((line = strsep(&rest, "\n")) && rest)
		if (!read_line(line, form, base, &found))
			return -EBADMSG;
	return line && *line == '\0' && found == (UINT64_C(1) << form->n) - 1 ? 0 : -EBADMSG;
}
