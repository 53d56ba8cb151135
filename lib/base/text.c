/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <langinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#include "base/text.h"
#include "base/units.h"

size_t text_decode(const char *text, uint32_t *ret_code)
{
	static const struct {
		uint8_t mask, lead;
		uint32_t least; /* anything below has a shorter form */
	} form[] = {
	    {0x80, 0x00, 0x0},
	    {0xe0, 0xc0, 0x80},
	    {0xf0, 0xe0, 0x800},
	    {0xf8, 0xf0, 0x10000},
	};
	const uint8_t *byte = (const uint8_t *)text;
	size_t more = 0;
	uint32_t code;

	while (more < COUNT(form) && (byte[0] & form[more].mask) != form[more].lead)
		more++;
	if (more == COUNT(form))
		return 0;
	code = byte[0] & (uint8_t)~form[more].mask;
	for (size_t i = 1; i <= more; i++) {
		if ((byte[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (byte[i] & 0x3f);
	}
	if (code < form[more].least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	*ret_code = code;
	return more + 1;
}

/* All of Default_Ignorable_Code_Point of Unicode 15, and more. */
bool text_is_plain(uint32_t code)
{
	static const struct {
		uint32_t first, last;
	} hidden[] = {
	    {0x0000, 0x001f},   /* C0 */
	    {0x007f, 0x00a0},   /* DEL, C1, blank */
	    {0x00ad, 0x00ad},   /* soft hyphen */
	    {0x034f, 0x034f},   /* joiner */
	    {0x061c, 0x061c},   /* bidi */
	    {0x115f, 0x1160},   /* Hangul fillers */
	    {0x1680, 0x1680},   /* blank */
	    {0x17b4, 0x17b5},   /* vowels that are not seen */
	    {0x180b, 0x180f},   /* variants, zero width */
	    {0x2000, 0x200f},   /* blanks, zero width, bidi */
	    {0x2028, 0x202f},   /* separators, bidi, blank */
	    {0x205f, 0x206f},   /* blank, zero width, bidi, deprecated controls */
	    {0x2800, 0x2800},   /* Braille without a dot */
	    {0x3000, 0x3000},   /* blank */
	    {0x3164, 0x3164},   /* Hangul filler */
	    {0xfdd0, 0xfdef},   /* noncharacters */
	    {0xfe00, 0xfe0f},   /* variants */
	    {0xfeff, 0xfeff},   /* BOM */
	    {0xffa0, 0xffa0},   /* Hangul filler */
	    {0xfff0, 0xfffb},   /* ignorable, annotations */
	    {0x13430, 0x1343f}, /* hieroglyph format */
	    {0x16fe4, 0x16fe4}, /* Khitan filler */
	    {0x1bca0, 0x1bca3}, /* shorthand format */
	    {0x1d159, 0x1d159}, /* musical note that is not seen */
	    {0x1d173, 0x1d17a}, /* musical format */
	    {0xe0000, 0xe0fff}, /* tags, variants, ignorable */
	};

	for (size_t i = 0; i < COUNT(hidden); i++)
		if (code >= hidden[i].first && code <= hidden[i].last)
			return false;
	return (code & 0xfffe) != 0xfffe; /* the last two of each plane are noncharacters */
}

/* A text that is written piece by piece into a buffer that may be too small. */
struct cut {
	char *buffer;
	size_t size, used;
	size_t dots; /* the last place at which "..." fits */
};

static struct cut cut_init(char *buffer, size_t size)
{
	if (size > 0)
		buffer[0] = '\0';
	return (struct cut){.buffer = buffer, .size = size};
}

/* false: it did not fit, and the text has got its end. */
static bool cut_put(struct cut *c, const char *piece, size_t length)
{
	static const char dots[] = "...";

	if (length >= c->size - c->used) {
		snprintf(c->buffer + c->dots, c->size - c->dots, "%s", dots);
		return false;
	}
	memcpy(c->buffer + c->used, piece, length);
	c->used += length;
	c->buffer[c->used] = '\0';
	if (c->size - c->used >= sizeof(dots))
		c->dots = c->used;
	return true;
}

#define PIECE_MAX (4 * 4 + 1) /* four bytes as \xNN */

/* Escapes the character at the start of text. Returns its length in bytes. */
static size_t escape_one(const char *text, bool utf8, const char *special, char piece[PIECE_MAX])
{
	uint32_t code = 0;
	size_t n = text_decode(text, &code);

	if (n == 0 || !text_is_plain(code) || (n > 1 && !utf8) || (n == 1 && strchr(special, *text))) {
		n += n == 0;
		for (size_t i = 0; i < n; i++)
			snprintf(piece + 4 * i, PIECE_MAX - 4 * i, "\\x%02X", (unsigned)(uint8_t)text[i]);
	} else {
		snprintf(piece, PIECE_MAX, "%s%.*s", code == '\\' ? "\\" : "", (int)n, text);
	}
	return n;
}

static char *escape_special(char *buffer, size_t size, const char *outside, bool utf8, const char *special)
{
	struct cut c = cut_init(buffer, size);
	char piece[PIECE_MAX];

	while (*outside) {
		outside += escape_one(outside, utf8, special, piece);
		if (!cut_put(&c, piece, strlen(piece)))
			break;
	}
	return buffer;
}

char *text_escape(char *buffer, size_t size, const char *outside, bool utf8)
{
	return escape_special(buffer, size, outside, utf8, "");
}

char *text_escaped(const char *outside, bool utf8, const char *special)
{
	size_t length = strlen(outside);
	char *buffer = calloc(length + 1, 4); /* \xNN for each byte */

	return buffer ? escape_special(buffer, 4 * length + 1, outside, utf8, special) : NULL;
}

char *text_copy(char *buffer, size_t size, const char *safe)
{
	struct cut c = cut_init(buffer, size);
	uint32_t code;
	size_t n;

	for (; *safe; safe += n) {
		n = text_decode(safe, &code);
		n += n == 0;
		if (!cut_put(&c, safe, n))
			break;
	}
	return buffer;
}

size_t text_prefix(const char *escaped, size_t columns, size_t *ret_width)
{
	const char *at = escaped;
	size_t width = 0, n;

	for (; *at; at += n) {
		uint32_t code = 0;

		n = text_decode(at, &code);
		n += n == 0;
		int columns_of = wcwidth((wchar_t)code); /* the C locale knows ASCII only: -1 for the rest */
		size_t more = columns_of < 0 || code == 0 ? 1 : (size_t)columns_of;

		if (more > columns - width)
			break;
		width += more;
	}
	*ret_width = width;
	return (size_t)(at - escaped);
}

size_t text_width(const char *escaped)
{
	size_t width;

	text_prefix(escaped, SIZE_MAX, &width);
	return width;
}

const char *text_suffix(const char *escaped, size_t columns)
{
	uint32_t code;

	while (text_width(escaped) > columns) {
		size_t n = text_decode(escaped, &code);

		escaped += n + (n == 0);
	}
	return escaped;
}

/* ---- letters ---- */

static char small_letter(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

char text_capital(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c & ~0x20) : c;
}

bool text_same_start(const char *a, const char *b, size_t n)
{
	for (; n > 0 && small_letter(*a) == small_letter(*b); a++, b++, n--)
		if (!*a)
			return true;
	return n == 0;
}

bool text_same(const char *a, const char *b)
{
	return text_same_start(a, b, SIZE_MAX);
}

/* ---- the nearest word ---- */

#define NEAR_MOST 32u  /* letters; names of ours are shorter */
#define BEGIN_LEAST 3u /* letters that begin another word */

static size_t least_of(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* The optimal string alignment distance, in rows of which two precede the current one. */
static size_t count_edits(const char *a, size_t a_length, const char *b, size_t b_length)
{
	size_t row[3][NEAR_MOST + 1];

	for (size_t j = 0; j <= b_length; j++)
		row[0][j] = j;
	for (size_t i = 1; i <= a_length; i++) {
		size_t *now = row[i % 3], *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];

		now[0] = i;
		for (size_t j = 1; j <= b_length; j++) {
			bool same = small_letter(a[i - 1]) == small_letter(b[j - 1]);

			now[j] = least_of(least_of(last[j], now[j - 1]) + 1, last[j - 1] + !same);
			if (i > 1 && j > 1 && small_letter(a[i - 1]) == small_letter(b[j - 2]) &&
			    small_letter(a[i - 2]) == small_letter(b[j - 1]))
				now[j] = least_of(now[j], before[j - 2] + 1);
		}
	}
	return row[a_length % 3][b_length];
}

void text_nearest_try(struct text_nearest *nearest, const char *word)
{
	size_t given = strnlen(nearest->given, NEAR_MOST + 1), length = strnlen(word, NEAR_MOST + 1), edits;
	size_t longer = given > length ? given : length;
	bool begins;

	if (!given || longer > NEAR_MOST)
		return;
	edits = count_edits(nearest->given, given, word, length);
	begins = length >= BEGIN_LEAST && given > length && count_edits(nearest->given, length, word, length) == 0;
	if ((edits > (longer + 1) / 3 && !begins) || (nearest->word && edits >= nearest->edits))
		return;
	nearest->word = word;
	nearest->edits = edits;
}

bool text_is_utf8(void)
{
	return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

char *text_decimal(char *buffer, size_t size, uint64_t value, unsigned decimals)
{
	char digits[TEXT_DECIMAL];
	int places = (int)decimals;
	int whole = snprintf(digits, sizeof(digits), "%0*" PRIu64, places + 1, value) - places;

	snprintf(buffer, size, "%.*s%s%s", whole, digits, places ? "." : "", digits + whole);
	return buffer;
}

/* kib times factor, at most 10, in units of 2^shift KiB, at most 2^60, to the nearest. The part below a
 * unit is scaled apart: it has room for the factor, as have the whole units if less than 1024 of them are scaled. */
static uint64_t size_in(uint64_t kib, unsigned factor, unsigned shift)
{
	uint64_t unit = UINT64_C(1) << shift;

	return (kib >> shift) * factor + (((kib & (unit - 1)) * factor + unit / 2) >> shift);
}

static char *size_write(char *buffer, size_t size, uint64_t kib, const char *blank, const char *suffix)
{
	static const char letters[] = "KMGTPEZ"; /* 2^64 KiB are 16 ZiB */
	unsigned shift = 0;

	/* the unit is chosen after rounding: 1023.6 MiB are 1 GiB */
	while (shift < 60 && size_in(kib, 1, shift) >= 1024)
		shift += 10;

	uint64_t tenths = size_in(kib, 10, shift);
	char unit = letters[shift / 10];

	if (tenths < 1000 && tenths % 10)
		snprintf(buffer, size, "%" PRIu64 ".%" PRIu64 "%s%c%s", tenths / 10, tenths % 10, blank, unit, suffix);
	else
		snprintf(buffer, size, "%" PRIu64 "%s%c%s", size_in(kib, 1, shift), blank, unit, suffix);
	return buffer;
}

char *text_size(char *buffer, size_t size, uint64_t kib)
{
	return size_write(buffer, size, kib, " ", "iB");
}

char *text_size_short(char *buffer, size_t size, uint64_t kib)
{
	return size_write(buffer, size, kib, "", "");
}

char *text_age(char *buffer, size_t size, uint64_t age_s)
{
	static const struct {
		uint64_t below_s, per_s;
		const char *unit;
	} rows[] = {{120, 1, "s"}, {7200, 60, "min"}, {172800, 3600, "h"}, {UINT64_MAX, 86400, "days"}};
	size_t i = 0;

	while (age_s >= rows[i].below_s && i + 1 < COUNT(rows))
		i++;
	snprintf(buffer, size, "%" PRIu64 " %s", age_s / rows[i].per_s, rows[i].unit);
	return buffer;
}

char *text_clock(char *buffer, size_t size, uint64_t wall_s, uint64_t now_s)
{
	time_t wall = (time_t)wall_s, now = (time_t)now_s;
	struct tm then, today;
	bool same_day;

	if (!localtime_r(&wall, &then) || !localtime_r(&now, &today)) {
		snprintf(buffer, size, "%" PRIu64, wall_s);
		return buffer;
	}
	same_day = then.tm_year == today.tm_year && then.tm_yday == today.tm_yday;
	if (!strftime(buffer, size, same_day ? "%H:%M:%S" : "%F %T", &then))
		buffer[0] = '\0';
	return buffer;
}

uint64_t bytes_hash(const void *bytes, size_t n)
{
	const unsigned char *byte = bytes;
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ byte[i]) * UINT64_C(0x100000001b3);
	return hash;
}

uint64_t text_hash(const char *text)
{
	return bytes_hash(text, strlen(text));
}
