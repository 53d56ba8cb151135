/*
 * Rows of figures in words, by their columns: as a table, raw, as pairs, as members of a JSON object, as metrics.
 */
#ifndef MEMSCHED_TABLE_H
#define MEMSCHED_TABLE_H

#include <stdio.h>

#include "column.h"
#include "json.h"

enum table_form {
	TABLE_ALIGNED, /* text left, numbers right, two blanks between, none at the end of a line; nothing is cut */
	TABLE_RAW,     /* one blank between; one in a text is \x20, and a text that is "-" is \x2D */
	TABLE_PAIRS,   /* NAME="text", for eval: what a shell heeds between double quotes is \xNN; not known is "" */
};

enum table_unit { TABLE_KIB, TABLE_BYTES, TABLE_HUMAN }; /* human: 1.5G */

struct table_style {
	enum table_form form;
	enum table_unit unit;
	bool no_headings; /* pairs have none in any case */
};

/*
 * Writes rows (n of them, size bytes apart) under the headings of columns, each in one line, whatever stands in it. MS
 * is written as seconds with one decimal, PCT with two, BOOL as yes or no, what is not known as "-". Returns 0, or
 * -ENOMEM with nothing written; errors of writing stay in the stream.
 */
int table_write(FILE *out, const struct column *columns, const void *rows, size_t n, size_t size,
                const struct table_style *style);

/* Writes one row as the members of an object that the caller has opened. */
void table_write_json(struct json *j, const struct column *columns, const void *row);

/*
 * Writes each column that is a metric, as a gauge under prefix: bytes, seconds, 0 to 1 for PCT, 0 or 1 for BOOL; a
 * text is 1 with a label of the column's name. Where label is given, each sample bears the text of that column under
 * its name. What is not known has no sample. 0 or -ENOMEM.
 */
int table_write_metrics(FILE *out, const char *prefix, const struct column *columns, const struct column *label,
                        const void *rows, size_t n, size_t size);

#endif
