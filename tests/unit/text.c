/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/text.h"
#include "base/units.h"

/* ---- decoding ---- */

static const struct {
	const char *text;
	size_t length;
	uint32_t code;
} decodings[] = {
    {"a", 1, 'a'},
    {"\x7f", 1, 0x7f},
    {"\xc2\x80", 2, 0x80},
    {"\xdf\xbf", 2, 0x7ff},
    {"\xe0\xa0\x80", 3, 0x800},
    {"\xed\x9f\xbf", 3, 0xd7ff},
    {"\xee\x80\x80", 3, 0xe000},
    {"\xef\xbf\xbf", 3, 0xffff},
    {"\xf0\x90\x80\x80", 4, 0x10000},
    {"\xf4\x8f\xbf\xbf", 4, 0x10ffff},
    {"\xc3\xa9tail", 2, 0xe9},
    /* continuation without a start */
    {"\x80", 0, 0},
    {"\xbf", 0, 0},
    /* overlong */
    {"\xc0\x80", 0, 0},
    {"\xc1\xbf", 0, 0},
    {"\xe0\x80\xaf", 0, 0},
    {"\xe0\x9f\xbf", 0, 0},
    {"\xf0\x80\x80\xaf", 0, 0},
    {"\xf0\x8f\xbf\xbf", 0, 0},
    /* surrogates */
    {"\xed\xa0\x80", 0, 0},
    {"\xed\xbf\xbf", 0, 0},
    /* beyond U+10FFFF, and forms of five and six */
    {"\xf4\x90\x80\x80", 0, 0},
    {"\xf7\xbf\xbf\xbf", 0, 0},
    {"\xf8\x88\x80\x80\x80", 0, 0},
    {"\xfc\x84\x80\x80\x80\x80", 0, 0},
    {"\xfe", 0, 0},
    {"\xff", 0, 0},
    /* cut short, by the end and by another character */
    {"\xc3", 0, 0},
    {"\xe2\x82", 0, 0},
    {"\xf0\x9f\x98", 0, 0},
    {"\xc3(", 0, 0},
    {"\xe2(\xa1", 0, 0},
    {"\xe2\x82(", 0, 0},
    {"\xf0\x9f\x98(", 0, 0},
    {"\xc3\xc3\xa9", 0, 0},
};

static void test_decode(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(decodings); i++) {
		uint32_t code = 0;
		size_t length = text_decode(decodings[i].text, &code);

		if (length != decodings[i].length || code != decodings[i].code)
			fail_msg("row %zu: length %zu, U+%04X", i, length, code);
	}
}

/* Every number as it would be written with n bytes, right or wrong. */
static void encode(uint32_t code, size_t n, char text[5])
{
	static const uint8_t lead[] = {0, 0x00, 0xc0, 0xe0, 0xf0};

	text[n] = '\0';
	for (size_t i = n; i-- > 1; code >>= 6)
		text[i] = (char)(0x80 | (code & 0x3f));
	text[0] = (char)(lead[n] | code);
}

static void test_decode_all(void **state)
{
	static const uint32_t end[] = {0, 0x80, 0x800, 0x10000, 0x200000};

	(void)state;
	for (size_t n = 1; n <= 4; n++) {
		for (uint32_t code = 0; code < end[n]; code++) {
			bool good = code >= end[n - 1] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
			char text[5];
			uint32_t got = code;

			encode(code, n, text);
			if (text_decode(text, &got) != (good ? n : 0) || got != code)
				fail_msg("U+%04X in %zu bytes: U+%04X", code, n, got);
		}
	}
}

static const struct {
	uint32_t first, last;
	bool plain;
} plains[] = {
    {0x00, 0x1f, false},      {0x20, 0x7e, true},        {0x7f, 0xa0, false},        {0xa1, 0xac, true},
    {0xad, 0xad, false},      {0xae, 0x34e, true},       {0x34f, 0x34f, false},      {0x350, 0x61b, true},
    {0x61c, 0x61c, false},    {0x61d, 0x115e, true},     {0x115f, 0x1160, false},    {0x1161, 0x167f, true},
    {0x1680, 0x1680, false},  {0x1681, 0x17b3, true},    {0x17b4, 0x17b5, false},    {0x17b6, 0x180a, true},
    {0x180b, 0x180f, false},  {0x1810, 0x1fff, true},    {0x2000, 0x200f, false},    {0x2010, 0x2027, true},
    {0x2028, 0x202f, false},  {0x2030, 0x205e, true},    {0x205f, 0x206f, false},    {0x2070, 0x27ff, true},
    {0x2800, 0x2800, false},  {0x2801, 0x2fff, true},    {0x3000, 0x3000, false},    {0x3001, 0x3163, true},
    {0x3164, 0x3164, false},  {0x3165, 0xd7ff, true},    {0xe000, 0xfdcf, true},     {0xfdd0, 0xfdef, false},
    {0xfdf0, 0xfdff, true},   {0xfe00, 0xfe0f, false},   {0xfe10, 0xfefe, true},     {0xfeff, 0xfeff, false},
    {0xff00, 0xff9f, true},   {0xffa0, 0xffa0, false},   {0xffa1, 0xffef, true},     {0xfff0, 0xfffb, false},
    {0xfffc, 0xfffd, true},   {0xfffe, 0xffff, false},   {0x10000, 0x1342f, true},   {0x13430, 0x1343f, false},
    {0x13440, 0x16fe3, true}, {0x16fe4, 0x16fe4, false}, {0x16fe5, 0x1bc9f, true},   {0x1bca0, 0x1bca3, false},
    {0x1bca4, 0x1d158, true}, {0x1d159, 0x1d159, false}, {0x1d15a, 0x1d172, true},   {0x1d173, 0x1d17a, false},
    {0x1d17b, 0x1fffd, true}, {0x1fffe, 0x1ffff, false}, {0xdfffe, 0xdffff, false},  {0xe0000, 0xe0fff, false},
    {0xe1000, 0xefffd, true}, {0xefffe, 0xeffff, false}, {0x100000, 0x10fffd, true}, {0x10fffe, 0x10ffff, false},
};

static void test_plain(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(plains); i++)
		for (uint32_t code = plains[i].first; code <= plains[i].last; code++)
			if (text_is_plain(code) != plains[i].plain)
				fail_msg("U+%04X", code);
}

/* ---- escaping ---- */

#define WHOLE 100
#define ANY 2 /* utf8 or not, it makes no difference */

static const struct {
	const char *outside;
	int utf8;
	size_t size;
	const char *escaped;
} escapes[] = {
    {"", ANY, WHOLE, ""},
    {"firsttest", ANY, WHOLE, "firsttest"},
    {"two words", ANY, WHOLE, "two words"},
    {"-rf", ANY, WHOLE, "-rf"},
    {"..", ANY, WHOLE, ".."},
    {"%s%n", ANY, WHOLE, "%s%n"},
    {"a\\b", ANY, WHOLE, "a\\\\b"},
    {"\\x1b", ANY, WHOLE, "\\\\x1b"},
    {"a\nb\r\t", ANY, WHOLE, "a\\x0Ab\\x0D\\x09"},
    {"\x1b[31mred", ANY, WHOLE, "\\x1B[31mred"},
    {"\x1b]0;title\x07", ANY, WHOLE, "\\x1B]0;title\\x07"},
    {"\x7f", ANY, WHOLE, "\\x7F"},
    {"\xc2\x9b"
     "31m",
     ANY, WHOLE, "\\xC2\\x9B31m"}, /* the CSI of eight bits */
    {"\xc2\x85", ANY, WHOLE, "\\xC2\\x85"},
    {"\xe2\x80\xae"
     "evil",
     ANY, WHOLE, "\\xE2\\x80\\xAEevil"},
    {"\xe2\x81\xa7", ANY, WHOLE, "\\xE2\\x81\\xA7"},
    {"\xd8\x9c", ANY, WHOLE, "\\xD8\\x9C"},
    {"a\xe2\x80\xa8"
     "b",
     ANY, WHOLE, "a\\xE2\\x80\\xA8b"},
    {"vm\xe2\x80\x8b", ANY, WHOLE, "vm\\xE2\\x80\\x8B"},
    {"vm\xc2\xa0\xe3\x80\x80", ANY, WHOLE, "vm\\xC2\\xA0\\xE3\\x80\\x80"},
    {"\xef\xbb\xbf"
     "bom",
     ANY, WHOLE,
     "\\xEF\\xBB\\xBF"
     "bom"},
    {"\xf3\xa0\x81\xa1", ANY, WHOLE, "\\xF3\\xA0\\x81\\xA1"}, /* a tag */
    {"\xef\xbf\xbf", ANY, WHOLE, "\\xEF\\xBF\\xBF"},
    {"\xff\xfe", ANY, WHOLE, "\\xFF\\xFE"},
    {"\xc3", ANY, WHOLE, "\\xC3"},
    {"\xc3(", ANY, WHOLE, "\\xC3("},
    {"\xe2\x82(", ANY, WHOLE, "\\xE2\\x82("},
    {"\xc0\x8a", ANY, WHOLE, "\\xC0\\x8A"}, /* a newline in disguise */
    {"\xed\xa0\x80", ANY, WHOLE, "\\xED\\xA0\\x80"},
    {"caf\xc3\xa9", true, WHOLE, "caf\xc3\xa9"},
    {"caf\xc3\xa9", false, WHOLE, "caf\\xC3\\xA9"},
    {"\xe4\xb8\xad", true, WHOLE, "\xe4\xb8\xad"},
    {"\xf0\x9f\x98\x80", true, WHOLE, "\xf0\x9f\x98\x80"},
    {"\xf0\x9f\x98\x80", false, WHOLE, "\\xF0\\x9F\\x98\\x80"},
    /* cut */
    {"abcdef", ANY, 7, "abcdef"},
    {"abcdef", ANY, 6, "ab..."},
    {"abcdef", ANY, 5, "a..."},
    {"abcdef", ANY, 4, "..."},
    {"abcdef", ANY, 3, ".."},
    {"abcdef", ANY, 2, "."},
    {"abcdef", ANY, 1, ""},
    {"ab\nc", ANY, 6, "ab..."}, /* what would fit after the cut is not put there */
    {"", ANY, 1, ""},
    {"a", ANY, 2, "a"},
    {"a\\b", ANY, 5, "a\\\\b"},
    {"a\\bc", ANY, 5, "a..."},
    {"\n\n", ANY, 9, "\\x0A\\x0A"},
    {"\n\n", ANY, 8, "\\x0A..."},
    {"\n\n", ANY, 7, "..."},
    {"\xc2\x9b"
     "abcd",
     ANY, 11, "..."},
    {"\xc2\x9b"
     "abcd",
     ANY, 12, "\\xC2\\x9B..."},
    {"\xc3\xa9\xc3\xa9\xc3\xa9", true, 7, "\xc3\xa9\xc3\xa9\xc3\xa9"},
    {"\xc3\xa9\xc3\xa9\xc3\xa9", true, 6, "\xc3\xa9..."},
    {"\xc3\xa9\xc3\xa9\xc3\xa9", true, 5, "..."},
    {"abc\xf0\x9f\x98\x80", true, 7, "abc..."},
};

/* In memory of exactly that size, so that the sanitizers see a byte too much. */
static void check_escape(size_t i, bool utf8)
{
	char *buffer = malloc(escapes[i].size);

	if (text_escape(buffer, escapes[i].size, escapes[i].outside, utf8) != buffer ||
	    strcmp(buffer, escapes[i].escaped) != 0)
		fail_msg("row %zu, utf8 %d: '%s'", i, utf8, buffer);
	free(buffer);
}

static void test_escape(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(escapes); i++)
		for (int utf8 = 0; utf8 < 2; utf8++)
			if (escapes[i].utf8 == ANY || escapes[i].utf8 == utf8)
				check_escape(i, utf8);
}

static void test_escape_no_room(void **state)
{
	char untouched[] = "untouched";

	(void)state;
	assert_ptr_equal(text_escape(untouched, 0, "abc", true), untouched);
	assert_string_equal(untouched, "untouched");
}

/* Whatever a byte is, what comes out is plain, and tells it from every other byte. */
static void test_escape_bytes(void **state)
{
	char seen[256][8];

	(void)state;
	for (unsigned byte = 1; byte < 256; byte++) {
		char outside[] = {(char)byte, '\0'};

		text_escape(seen[byte], sizeof(seen[byte]), outside, true);
		for (const char *c = seen[byte]; *c; c++)
			assert_in_range(*c, 0x20, 0x7e);
		for (unsigned other = 1; other < byte; other++)
			assert_string_not_equal(seen[byte], seen[other]);
	}
}

static void test_escape_long(void **state)
{
	char name[301], buffer[64], whole[301 * 4];

	(void)state;
	memset(name, 'x', 300);
	name[300] = '\0';
	text_escape(buffer, sizeof(buffer), name, true);
	assert_int_equal(strlen(buffer), sizeof(buffer) - 1);
	assert_string_equal(buffer + sizeof(buffer) - 4, "...");
	memset(name, '\n', 300);
	text_escape(whole, sizeof(whole), name, true);
	assert_int_equal(strlen(whole), 1200);
}

static void check_escaped(const char *outside, const char *expected)
{
	char *escaped = text_escaped(outside, text_is_utf8(), "");

	assert_string_equal(escaped, expected);
	free(escaped);
}

static void test_escaped_locale(void **state)
{
	(void)state;
	assert_non_null(setlocale(LC_ALL, "C"));
	assert_false(text_is_utf8());
	check_escaped("caf\xc3\xa9\\\n", "caf\\xC3\\xA9\\\\\\x0A");
	check_escaped("", "");
	check_escaped("\xff\xff\xff", "\\xFF\\xFF\\xFF");
	if (!setlocale(LC_ALL, "C.UTF-8"))
		skip();
	assert_true(text_is_utf8());
	check_escaped("caf\xc3\xa9\\\n", "caf\xc3\xa9\\\\\\x0A");
	check_escaped("\xff\xff\xff", "\\xFF\\xFF\\xFF");
}

static const struct {
	const char *safe;
	size_t size;
	const char *copy;
} copies[] = {
    {"", 1, ""},
    {"a\\\\b", WHOLE, "a\\\\b"}, /* not escaped again */
    {"abc", 4, "abc"},
    {"abcd", 4, "..."},
    {"ab\xc3\xa9"
     "c",
     4, "..."},
    {"caf\xc3\xa9s", 7, "caf\xc3\xa9s"},
    {"caf\xc3\xa9s and", 9, "caf\xc3\xa9..."},
    {"caf\xc3\xa9s and", 8, "caf..."},
    {"\xff", WHOLE, "\xff"},
};

static void test_copy(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(copies); i++) {
		char *buffer = malloc(copies[i].size);

		assert_ptr_equal(text_copy(buffer, copies[i].size, copies[i].safe), buffer);
		assert_string_equal(buffer, copies[i].copy);
		free(buffer);
	}
}

/* ---- width ---- */

static const struct {
	const char *text;
	size_t utf8, plain; /* columns in a UTF-8 locale, and in C */
} widths[] = {
    {"", 0, 0},
    {"abc", 3, 3},
    {"\\xC2\\x9B", 8, 8},
    {"caf\xc3\xa9", 4, 4},
    {"cafe\xcc\x81", 4, 5},             /* a combining accent */
    {"\xe4\xb8\xad\xe6\x96\x87", 4, 2}, /* CJK */
    {"\xf0\x9f\x98\x80", 2, 1},
    {"\xff\xc3", 2, 2},
};

static void check_widths(bool utf8)
{
	for (size_t i = 0; i < COUNT(widths); i++)
		if (text_width(widths[i].text) != (utf8 ? widths[i].utf8 : widths[i].plain))
			fail_msg("row %zu, utf8 %d: %zu", i, utf8, text_width(widths[i].text));
}

static void test_width(void **state)
{
	(void)state;
	assert_non_null(setlocale(LC_ALL, "C"));
	check_widths(false);
	if (!setlocale(LC_ALL, "C.UTF-8"))
		skip();
	check_widths(true);
}

static const struct {
	const char *text;
	size_t columns, bytes, width;
} prefixes[] = {
    {"", 0, 0, 0},
    {"", 5, 0, 0},
    {"abc", 0, 0, 0},
    {"abc", 2, 2, 2},
    {"abc", 3, 3, 3},
    {"abc", SIZE_MAX, 3, 3},
    {"caf\xc3\xa9s", 4, 5, 4},
    {"cafe\xcc\x81s", 4, 6, 4},            /* what combines stays with its letter */
    {"\xe4\xb8\xad\xe6\x96\x87", 3, 3, 2}, /* half a letter does not fit */
    {"\xe4\xb8\xad", 1, 0, 0},
    {"\xff\xff", 1, 1, 1},
};

static void test_prefix(void **state)
{
	(void)state;
	if (!setlocale(LC_ALL, "C.UTF-8"))
		skip();
	for (size_t i = 0; i < COUNT(prefixes); i++) {
		size_t width = 77, bytes = text_prefix(prefixes[i].text, prefixes[i].columns, &width);

		if (bytes != prefixes[i].bytes || width != prefixes[i].width)
			fail_msg("row %zu: %zu bytes, %zu columns", i, bytes, width);
	}
}

/* ---- sizes ---- */

#define MIB UINT64_C(1024)
#define GIB (1024 * MIB)

static const struct {
	uint64_t kib;
	const char *text, *brief;
} sizes[] = {
    {0, "0 KiB", "0K"},
    {1, "1 KiB", "1K"},
    {12, "12 KiB", "12K"},
    {1023, "1023 KiB", "1023K"},
    {MIB, "1 MiB", "1M"},
    {MIB + 51, "1 MiB", "1M"},
    {MIB + 52, "1.1 MiB", "1.1M"},
    {5000, "4.9 MiB", "4.9M"},
    {50000, "48.8 MiB", "48.8M"},
    {99 * MIB + 972, "99.9 MiB", "99.9M"},
    {99 * MIB + 973, "100 MiB", "100M"},
    {100 * MIB + 461, "100 MiB", "100M"}, /* 100.45: rounded once, not by way of 100.5 */
    {100 * MIB + 511, "100 MiB", "100M"},
    {100 * MIB + 512, "101 MiB", "101M"},
    {150000, "146 MiB", "146M"},
    {512 * MIB, "512 MiB", "512M"},
    {1023 * MIB + 511, "1023 MiB", "1023M"},
    {1023 * MIB + 512, "1 GiB", "1G"},
    {GIB, "1 GiB", "1G"},
    {GIB + GIB / 2, "1.5 GiB", "1.5G"},
    {12 * GIB + 300 * MIB, "12.3 GiB", "12.3G"},
    {1023 * GIB, "1023 GiB", "1023G"},
    {1024 * GIB, "1 TiB", "1T"},
    {1024 * 1024 * GIB, "1 PiB", "1P"},
    {1024 * 1024 * 1024 * GIB, "1 EiB", "1E"},
    {UINT64_C(1) << 60, "1 ZiB", "1Z"},
    {UINT64_MAX, "16 ZiB", "16Z"},
};

static void test_sizes(void **state)
{
	char text[TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		assert_string_equal(text_size(text, sizeof(text), sizes[i].kib), sizes[i].text);
		assert_string_equal(text_size_short(text, sizeof(text), sizes[i].kib), sizes[i].brief);
	}
}

static const struct {
	uint64_t age_s;
	const char *text;
} ages[] = {
    {0, "0 s"},    {119, "119 s"},   {120, "2 min"},     {7199, "119 min"},
    {7200, "2 h"}, {172799, "47 h"}, {172800, "2 days"}, {UINT64_MAX, "213503982334601 days"},
};

static void test_ages(void **state)
{
	char text[TEXT_AGE];

	(void)state;
	for (size_t i = 0; i < COUNT(ages); i++)
		assert_string_equal(text_age(text, sizeof(text), ages[i].age_s), ages[i].text);
}

/* What is written with it is found again by later versions. */
static void test_hash(void **state)
{
	(void)state;
	assert_int_equal(text_hash(""), 0xcbf29ce484222325);
	assert_int_equal(text_hash("a"), 0xaf63dc4c8601ec8c);
}

static const struct {
	const char *given, *word; /* NULL: none is near */
} nearest_rows[] = {
    {"min", "min"},
    {"Min", "min"},
    {"MIN", "min"},
    {"mni", "min"},
    {"mn", "min"},
    {"minn", "min"},
    {"mib", "min"},
    {"minimum", "min"},
    {"maximum", "max"},
    {"mix", "min"}, /* of two that are as near the first */
    {"wieght", "weight"},
    {"weigth", "weight"},
    {"weights", "weight"},
    {"wght", "weight"},
    {"wgt", NULL},
    {"manage", "managed"},
    {"targte", "target"},
    {"on-critical", "on_critical"},
    {"", NULL},
    {"m", NULL},
    {"x", NULL},
    {"ceiling", NULL},
    {"xmin", "min"},
    {"xxxxmin", NULL},
    {"minimumminimumminimumminimumminimum", NULL},
    {"\xc3\xbcmin", "min"},
    {"\xff\xfe", NULL},
};

static void test_nearest(void **state)
{
	static const char *const words[] = {"min", "max", "weight", "managed", "target", "on_critical"};

	(void)state;
	for (size_t i = 0; i < COUNT(nearest_rows); i++) {
		struct text_nearest nearest = {.given = nearest_rows[i].given};

		for (size_t j = 0; j < COUNT(words); j++)
			text_nearest_try(&nearest, words[j]);
		if (!nearest.word != !nearest_rows[i].word ||
		    (nearest.word && strcmp(nearest.word, nearest_rows[i].word) != 0))
			fail_msg("'%s': %s", nearest.given, nearest.word ? nearest.word : "none");
	}
}

static void test_same(void **state)
{
	(void)state;
	assert_true(text_same("DOMAIN-id", "domain-ID"));
	assert_true(text_same("", ""));
	assert_false(text_same("min", "minn"));
	assert_false(text_same("minn", "min"));
	assert_false(text_same("@", "`"));
	assert_false(text_same("\xc3\x9c", "\xc3\xbc"));
	assert_true(text_same_start("+UNIX:///", "+unix:", 6));
	assert_false(text_same_start("+un", "+unix:", 6));
	assert_true(text_same_start("a", "b", 0));
	for (int c = 0; c < 256; c++)
		assert_int_equal(text_capital((char)c), c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : (char)c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_same),           cmocka_unit_test(test_decode),
	    cmocka_unit_test(test_decode_all),     cmocka_unit_test(test_plain),
	    cmocka_unit_test(test_escape),         cmocka_unit_test(test_escape_no_room),
	    cmocka_unit_test(test_escape_bytes),   cmocka_unit_test(test_escape_long),
	    cmocka_unit_test(test_escaped_locale), cmocka_unit_test(test_copy),
	    cmocka_unit_test(test_width),          cmocka_unit_test(test_prefix),
	    cmocka_unit_test(test_sizes),          cmocka_unit_test(test_ages),
	    cmocka_unit_test(test_hash),           cmocka_unit_test(test_nearest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
