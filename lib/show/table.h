/* SPDX-License-Identifier: MIT */
/*
 * Columns: the figures of one row. An array of them drives headings, tables, raw, pairs, JSON keys, metrics and the
 * list in --help, so that they cannot differ. Pure.
 */
#ifndef MEMSCHED_SHOW_TABLE_H
#define MEMSCHED_SHOW_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/json.h"

/* NONE: not known */
enum cell_kind { CELL_NONE, CELL_TEXT, CELL_KIB, CELL_NUMBER, CELL_MS, CELL_PCT, CELL_BOOL };

struct cell {
	enum cell_kind kind;
	const char *text; /* CELL_TEXT: from outside or not, it is escaped when written; NULL is as CELL_NONE */
	uint64_t number;  /* KiB, count, ms, hundredths of a percent, or 0/1 */
};

static inline struct cell cell_of(enum cell_kind kind, uint64_t number)
{
	return (struct cell){.kind = kind, .number = number};
}

static inline struct cell cell_if(bool known, enum cell_kind kind, uint64_t number)
{
	return cell_of(known ? kind : CELL_NONE, number);
}

static inline struct cell cell_text(const char *text)
{
	return (struct cell){.kind = CELL_TEXT, .text = text};
}

enum column_set {
	COLUMN_TABLE = 1,   /* shown if none is chosen */
	COLUMN_JSON = 2,    /* in JSON if none is chosen */
	COLUMN_ALL = 4,     /* every column is in it */
	COLUMN_COUNTER = 8, /* no set: as a metric it is a counter, not a gauge */
};

/* An array of columns is ended by a NULL name, and has at most COLUMNS_MAX. */
struct column {
	const char *name;    /* for -o: lower case, dashes between words */
	const char *heading; /* "Actual"; one word */
	const char *json;    /* "actual_bytes": KIB is written as bytes, MS as seconds; NULL: never in JSON */
	const char *help;    /* one line */
	unsigned sets;       /* enum column_set */
	struct cell (*get)(const void *row);
	const char *metric; /* its name behind the prefix; NULL: as json; "": it is none */
};

#define COLUMNS_MAX 64

/* Defines a function for column.get: row declares the row, of which expression makes the cell. */
#define COLUMN_CELL(function, row, expression)                                                                         \
	static struct cell function(const void *arg)                                                                   \
	{                                                                                                              \
		row = arg;                                                                                             \
		return expression;                                                                                     \
	}

/* The row's cell; a NULL text is CELL_NONE. */
struct cell column_cell(const struct column *column, const void *row);

/* By its name, case is ignored. NULL: there is none. */
const struct column *column_find(const struct column *columns, const char *name);

/*
 * The columns of a set, in the order of all; or by a list of names: "a,b" is a and b in this order, "+a,b" the set
 * and behind it those of a and b that are not in it. list NULL: the set alone. *ret_columns is to be freed. -EINVAL:
 * the list or a name in it is empty; -ENOENT: no such column; -EEXIST: named twice; then *ret_name is the name, to be
 * freed, NULL without memory. -ENOMEM.
 */
int column_choose(const struct column *all, enum column_set set, const char *list, struct column **ret_columns,
                  char **ret_name);

/*
 * Sorts rows (n of them, size bytes apart) by a column: numbers by value, text by its bytes; descending: the other way
 * round. Unknown cells come last either way; equals are in the order of the cells of the column tie.
 */
void column_sort(const struct column *by, bool descending, const struct column *tie, void *rows, size_t n, size_t size);

enum table_form {
	TABLE_ALIGNED, /* text left, numbers right, two blanks between, none at the end of a line; nothing is cut */
	TABLE_RAW,     /* one blank between; one in a text is \x20, and a text that is "-" is \x2D */
	TABLE_PAIRS,   /* NAME="text", for eval: characters special between double quotes are \xNN; not known is "" */
};

enum table_unit { TABLE_KIB, TABLE_BYTES, TABLE_HUMAN }; /* human: 1.5G */

struct table_style {
	enum table_form form;
	enum table_unit unit;
	bool no_headings; /* pairs have none in any case */
	bool totals;      /* aligned, a last line has the sum of each column of KiB */
};

/*
 * Writes rows (n of them, size bytes apart) under the headings of columns, each in one line, whatever stands in it. MS
 * is written as seconds with one decimal, PCT with two, BOOL as yes or no, an unknown cell as "-". Returns 0, or
 * -ENOMEM with nothing written; errors of writing stay in the stream.
 */
int table_write(FILE *out, const struct column *columns, const void *rows, size_t n, size_t size,
                const struct table_style *style);

/* Writes one row as the members of an object that the caller has opened. */
void table_write_json(struct json *j, const struct column *columns, const void *row);

/*
 * Writes each column that is a metric, as a gauge or counter under prefix: bytes, seconds, 0 to 1 for PCT, 0 or 1 for
 * BOOL; a text is 1 with a label of the column's name. If label is given, each sample bears the text of that column
 * under its name. An unknown cell has no sample. 0 or -ENOMEM.
 */
int table_write_metrics(FILE *out, const char *prefix, const struct column *columns, const struct column *label,
                        const void *rows, size_t n, size_t size);

#endif
