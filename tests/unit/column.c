/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/units.h"
#include "show/table.h"

struct row {
	const char *name, *word; /* NULL: not known */
	uint64_t number;         /* 0: not known */
};

static struct cell get_name(const void *row)
{
	return (struct cell){.kind = CELL_TEXT, .text = ((const struct row *)row)->name};
}

static struct cell get_word(const void *row)
{
	return (struct cell){.kind = CELL_TEXT, .text = ((const struct row *)row)->word};
}

static struct cell get_number(const void *row)
{
	uint64_t number = ((const struct row *)row)->number;

	return (struct cell){.kind = number ? CELL_NUMBER : CELL_NONE, .number = number};
}

static const struct column columns[] = {
    {"name", "Name", "name", "", COLUMN_TABLE | COLUMN_JSON, get_name, NULL},
    {"number", "Number", "number", "", COLUMN_TABLE, get_number, NULL},
    {"word", "Word", "word", "", COLUMN_JSON, get_word, NULL},
    {"last-age", "Last-age", NULL, "", 0, get_number, NULL},
    {.name = NULL},
};

/* ---- choosing ---- */

static const struct {
	enum column_set set;
	const char *list, *chosen;
} good[] = {
    {COLUMN_TABLE, NULL, "name number "},
    {COLUMN_JSON, NULL, "name word "},
    {COLUMN_ALL, NULL, "name number word last-age "},
    {COLUMN_TABLE, "word", "word "},
    {COLUMN_TABLE, "word,name", "word name "},
    {COLUMN_TABLE, "LAST-AGE,Name", "last-age name "},
    {COLUMN_TABLE, "+word", "name number word "},
    {COLUMN_JSON, "+last-age,number", "name word last-age number "},
    /* what the set has is no mistake: sets may grow */
    {COLUMN_TABLE, "+name,word", "name number word "},
    {COLUMN_ALL, "+name", "name number word last-age "},
};

static const struct {
	const char *list;
	int error;
	const char *name;
} bad[] = {
    {"", -EINVAL, ""},
    {"+", -EINVAL, ""},
    {",", -EINVAL, ""},
    {"name,", -EINVAL, ""},
    {",name", -EINVAL, ""},
    {"name,,word", -EINVAL, ""},
    {"++word", -ENOENT, "+word"},
    {"nope", -ENOENT, "nope"},
    {"name,nam", -ENOENT, "nam"},
    {"name ", -ENOENT, "name "},
    {"name,NAME", -EEXIST, "NAME"},
    {"+word,word", -EEXIST, "word"},
    {"+name,name", -EEXIST, "name"},
    {"-name", -ENOENT, "-name"},
};

static void test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		struct column *chosen = NULL;
		char *name = NULL, names[128] = "";

		assert_int_equal(column_choose(columns, good[i].set, good[i].list, &chosen, &name), 0);
		for (const struct column *c = chosen; c->name; c++)
			snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s ", c->name);
		assert_string_equal(names, good[i].chosen);
		assert_null(name);
		free(chosen);
	}
}

static void test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct column *chosen = NULL;
		char *name = NULL;

		assert_int_equal(column_choose(columns, COLUMN_TABLE, bad[i].list, &chosen, &name), bad[i].error);
		assert_null(chosen);
		assert_string_equal(name, bad[i].name);
		free(name);
	}
}

/* ---- sorting ---- */

static const struct {
	const char *by;
	bool descending;
	const char *names;
} orders[] = {
    {"name", false, "abcde"},   {"name", true, "edcba"},
    {"number", false, "bdcae"}, {"number", true, "acbde"}, /* the largest beyond 2^63; b and d are equal */
    {"word", false, "eabcd"},   {"word", true, "abced"},
};

static void test_sort(void **state)
{
	static const struct row rows[] = {
	    {"d", NULL, 1}, {"c", "x", 2}, {"a", "x", UINT64_MAX}, {"e", "w", 0}, {"b", "x", 1}};

	(void)state;
	for (size_t i = 0; i < COUNT(orders); i++) {
		struct row sorted[COUNT(rows)];
		char names[COUNT(rows) + 1] = "";

		memcpy(sorted, rows, sizeof(rows));
		column_sort(column_find(columns, orders[i].by), orders[i].descending, &columns[0], sorted, COUNT(rows),
		            sizeof(*rows));
		for (size_t k = 0; k < COUNT(rows); k++)
			names[k] = *sorted[k].name;
		assert_string_equal(names, orders[i].names);
	}
	column_sort(&columns[0], false, &columns[0], NULL, 0, sizeof(*rows));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_bad),
	                                   cmocka_unit_test(test_sort)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
