/*
 * Columns: what one row of figures has to show. An array of them drives heading, text table, raw, pairs, JSON keys,
 * metrics and the list in --help, so that they cannot differ. Pure.
 */
#ifndef MEMSCHED_COLUMN_H
#define MEMSCHED_COLUMN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* NONE: not known */
enum cell_kind { CELL_NONE, CELL_TEXT, CELL_KIB, CELL_NUMBER, CELL_MS, CELL_PCT, CELL_BOOL };

struct cell {
	enum cell_kind kind;
	const char *text; /* CELL_TEXT: from outside or not, it is escaped by who writes it; NULL is as CELL_NONE */
	uint64_t number;  /* KiB, count, ms, hundredths of a percent, or 0/1 */
};

enum column_set {
	COLUMN_TABLE = 1, /* shown where none is chosen */
	COLUMN_JSON = 2,  /* in JSON where none is chosen */
	COLUMN_ALL = 4,   /* every column is in it */
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

/* What the row has there; a NULL text is CELL_NONE. */
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
 * round. What is not known comes last either way; equals are in the order of the cells of the column tie.
 */
void column_sort(const struct column *by, bool descending, const struct column *tie, void *rows, size_t n, size_t size);

#endif
