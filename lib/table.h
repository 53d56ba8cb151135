/*
 * Tables from one array of columns: the array drives heading, text table, JSON keys and lists of columns, so they
 * cannot differ.
 */
#ifndef MEMSCHED_TABLE_H
#define MEMSCHED_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "json.h"

enum cell_kind { CELL_NONE, CELL_TEXT, CELL_KIB, CELL_NUMBER, CELL_MS, CELL_BOOL }; /* NONE is shown as "-" and null */

struct cell {
	enum cell_kind kind;
	const char *text; /* CELL_TEXT: from outside or not, it is escaped by the table; NULL is as CELL_NONE */
	uint64_t number;  /* KiB, count, ms, or 0/1 */
};

/* An array of columns is ended by a NULL name. */
struct column {
	const char *name;    /* for -o: lower case */
	const char *heading; /* "Actual" */
	const char *json;    /* "actual_bytes": KIB is written as bytes, MS as seconds; NULL: not in JSON */
	const char *help;    /* one line */
	bool shown;          /* in the table by default */
	struct cell (*get)(const void *row);
};

struct table_style {
	bool human; /* 1.5G in place of KiB */
	bool no_headings;
};

/*
 * Writes rows (n of them, size bytes apart) under the columns that are shown, aligned: text left, numbers right, two
 * spaces between, none at the end of a line; nothing is cut. MS is written as seconds with one decimal, BOOL as yes or
 * no. Returns 0, or -ENOMEM with nothing written; errors of writing stay in the stream.
 */
int table_write(FILE *out, const struct column *columns, const void *rows, size_t n, size_t size,
                const struct table_style *style);

/* Writes one row as the members of an object that the caller has opened. */
void table_write_json(struct json *j, const struct column *columns, const void *row);

#endif
