/* SPDX-License-Identifier: MIT */
#include "show/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/text.h"
#include "base/units.h"

struct cell column_cell(const struct column *column, const void *row)
{
	struct cell cell = column->get(row);

	if (cell.kind == CELL_TEXT && !cell.text)
		cell.kind = CELL_NONE;
	return cell;
}

const struct column *column_find(const struct column *columns, const char *name)
{
	for (; columns->name; columns++)
		if (text_same(columns->name, name))
			return columns;
	return NULL;
}

/* ---- choosing ---- */

/* Columns being chosen; the sets of bits are by their place in all. */
struct choice {
	const struct column *all;
	struct column *column;
	size_t n;
	uint64_t chosen, named;
};

static void choose_one(struct choice *c, size_t place)
{
	if (!(c->chosen >> place & 1))
		c->column[c->n++] = c->all[place];
	c->chosen |= UINT64_C(1) << place;
}

static int choose_name(struct choice *c, const char *name)
{
	const struct column *column = column_find(c->all, name);
	size_t place = column ? (size_t)(column - c->all) : 0;

	if (!column)
		return *name ? -ENOENT : -EINVAL;
	if (c->named >> place & 1)
		return -EEXIST;
	c->named |= UINT64_C(1) << place;
	choose_one(c, place);
	return 0;
}

static void choose_set(struct choice *c, enum column_set set)
{
	for (size_t i = 0; c->all[i].name; i++)
		if (set == COLUMN_ALL || c->all[i].sets & (unsigned)set)
			choose_one(c, i);
}

/* Returns as column_choose; *ret_name is the name that was no good. */
static int choose_list(struct choice *c, const char *list, char **ret_name)
{
	for (;;) {
		size_t length = strcspn(list, ",");
		char *name = strndup(list, length);
		int r = name ? choose_name(c, name) : -ENOMEM;

		if (r) {
			*ret_name = name;
			return r;
		}
		free(name);
		if (!list[length])
			return 0;
		list += length + 1;
	}
}

int column_choose(const struct column *all, enum column_set set, const char *list, struct column **ret_columns,
                  char **ret_name)
{
	struct choice c = {.all = all, .column = calloc(COLUMNS_MAX + 1, sizeof(*c.column))};
	bool adds = list && *list == '+';
	int r = 0;

	if (!c.column)
		return -ENOMEM;
	if (!list || adds)
		choose_set(&c, set);
	if (list)
		r = choose_list(&c, list + adds, ret_name);
	if (r)
		free(c.column);
	else
		*ret_columns = c.column;
	return r;
}

/* ---- sorting ---- */

struct sort_by {
	const struct column *by, *tie;
	bool descending;
};

static int compare_numbers(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int compare_cells(const struct column *by, bool descending, const void *a, const void *b)
{
	struct cell one = column_cell(by, a), other = column_cell(by, b);
	int order;

	if (one.kind == CELL_NONE || other.kind == CELL_NONE)
		return (one.kind == CELL_NONE) - (other.kind == CELL_NONE);
	if (one.kind == CELL_TEXT && other.kind == CELL_TEXT)
		order = strcmp(one.text, other.text);
	else
		order = compare_numbers(one.number, other.number);
	return descending ? -order : order;
}

static int compare_rows(const void *a, const void *b, void *arg)
{
	const struct sort_by *o = arg;
	int order = compare_cells(o->by, o->descending, a, b);

	return order ? order : compare_cells(o->tie, false, a, b);
}

void column_sort(const struct column *by, bool descending, const struct column *tie, void *rows, size_t n, size_t size)
{
	struct sort_by order = {.by = by, .tie = tie, .descending = descending};

	if (n)
		qsort_r(rows, n, size, compare_rows, &order);
}

#define GAP 2 /* blanks between columns */

/* A cell as it will be shown: escaped once, measured once. */
struct field {
	char *text; /* owned */
	size_t width;
};

/* A column that is shown. */
struct lane {
	const struct column *column;
	size_t width;
	bool left; /* it has a cell that is no number */
};

struct grid {
	struct lane *lane;
	size_t n_lanes;
	struct field *field; /* row by row */
};

/* ---- a cell in words ---- */

/* The text of a cell of another kind. Returns buffer or a constant. */
static const char *cell_plain(const struct cell *cell, enum table_unit unit, char buffer[TEXT_DECIMAL])
{
	uint64_t number = cell->number;

	switch (cell->kind) {
	case CELL_BOOL:
		return number ? "yes" : "no";
	case CELL_MS:
		return text_decimal(buffer, TEXT_DECIMAL, number / 100 + (number % 100 >= 50), 1);
	case CELL_PCT:
		return text_decimal(buffer, TEXT_DECIMAL, number, 2);
	case CELL_NUMBER:
		return text_decimal(buffer, TEXT_DECIMAL, number, 0);
	case CELL_KIB:
		if (unit == TABLE_HUMAN)
			return text_size_short(buffer, TEXT_DECIMAL, number);
		if (unit == TABLE_BYTES && number > UINT64_MAX / 1024)
			break;
		return text_decimal(buffer, TEXT_DECIMAL, unit == TABLE_BYTES ? number * 1024 : number, 0);
	case CELL_NONE:
	case CELL_TEXT:
		break;
	}
	return "-";
}

/* Allocated; NULL without memory. */
static char *cell_words(const struct cell *cell, const struct table_style *style)
{
	static const char *const special[] = {[TABLE_ALIGNED] = "", [TABLE_RAW] = " \\", [TABLE_PAIRS] = "\"\\`$"};
	char number[TEXT_DECIMAL];

	if (cell->kind == CELL_NONE && style->form == TABLE_PAIRS)
		return strdup("");
	if (cell->kind != CELL_TEXT || (style->form == TABLE_RAW && !*cell->text))
		return strdup(cell_plain(cell, style->unit, number));
	if (style->form == TABLE_RAW && !strcmp(cell->text, "-"))
		return strdup("\\x2D");
	return text_escaped(cell->text, text_is_utf8(), special[style->form]);
}

/* ---- the table ---- */

static void grid_clear(struct grid *grid, size_t n)
{
	for (size_t i = 0; grid->field && i < n * grid->n_lanes; i++)
		free(grid->field[i].text);
	free(grid->field);
	free(grid->lane);
}

static int grid_init(struct grid *grid, const struct column *columns, size_t n, bool no_headings)
{
	grid->lane = calloc(COLUMNS_MAX + 1, sizeof(*grid->lane));
	if (!grid->lane)
		return -ENOMEM;
	for (; columns->name; columns++)
		grid->lane[grid->n_lanes++] = (struct lane){
		    .column = columns,
		    .width = no_headings ? 0 : text_width(columns->heading),
		};
	grid->field = calloc(n + 1, (grid->n_lanes + 1) * sizeof(*grid->field));
	return grid->field ? 0 : -ENOMEM;
}

static int grid_fill_row(struct grid *grid, struct field *field, const void *row, const struct table_style *style)
{
	for (size_t i = 0; i < grid->n_lanes; i++) {
		struct lane *lane = &grid->lane[i];
		struct cell cell = column_cell(lane->column, row);

		field[i].text = cell_words(&cell, style);
		if (!field[i].text)
			return -ENOMEM;
		field[i].width = text_width(field[i].text);
		if (field[i].width > lane->width)
			lane->width = field[i].width;
		lane->left |= cell.kind == CELL_TEXT || cell.kind == CELL_BOOL;
	}
	return 0;
}

/* One more row: the sums of the columns in KiB, and nothing else. */
static int grid_fill_totals(struct grid *grid, const void *rows, size_t n, size_t size, const struct table_style *style)
{
	struct field *field = grid->field + n * grid->n_lanes;

	for (size_t i = 0; i < grid->n_lanes; i++) {
		struct lane *lane = &grid->lane[i];
		struct cell sum = {.kind = CELL_NONE};

		for (size_t row = 0; row < n; row++) {
			struct cell cell = column_cell(lane->column, (const char *)rows + row * size);

			if (cell.kind == CELL_KIB)
				sum = (struct cell){.kind = CELL_KIB, .number = sat_add(sum.number, cell.number)};
		}
		field[i].text = sum.kind ? cell_words(&sum, style) : strdup(i ? "" : "total");
		if (!field[i].text)
			return -ENOMEM;
		field[i].width = strlen(field[i].text);
		if (field[i].width > lane->width)
			lane->width = field[i].width;
	}
	return 0;
}

/* Writes text in its lane; blanks are held back until something follows them. */
static void write_field(FILE *out, const struct lane *lane, const char *text, size_t width, size_t *blanks)
{
	size_t pad = lane->width - width;

	if (!lane->left)
		*blanks += pad;
	if (*text) {
		fprintf(out, "%*s%s", (int)*blanks, "", text);
		*blanks = 0;
	}
	*blanks += GAP + (lane->left ? pad : 0);
}

static void grid_write_aligned(FILE *out, const struct grid *grid, size_t n, bool no_headings)
{
	size_t blanks = 0;

	for (size_t i = 0; !no_headings && i < grid->n_lanes; i++) {
		const char *heading = grid->lane[i].column->heading;

		write_field(out, &grid->lane[i], heading, text_width(heading), &blanks);
	}
	if (!no_headings)
		fputc('\n', out);
	for (const struct field *f = grid->field; n > 0; n--) {
		blanks = 0;
		for (size_t i = 0; i < grid->n_lanes; i++, f++)
			write_field(out, &grid->lane[i], f->text, f->width, &blanks);
		fputc('\n', out);
	}
}

/* Behind the last of a line comes its end. */
static const char *gap_after(size_t i, size_t n)
{
	return i + 1 < n ? " " : "\n";
}

static void grid_write_raw(FILE *out, const struct grid *grid, size_t n, bool no_headings)
{
	for (size_t i = 0; !no_headings && i < grid->n_lanes; i++)
		fprintf(out, "%s%s", grid->lane[i].column->heading, gap_after(i, grid->n_lanes));
	for (const struct field *f = grid->field; n > 0; n--)
		for (size_t i = 0; i < grid->n_lanes; i++, f++)
			fprintf(out, "%s%s", f->text, gap_after(i, grid->n_lanes));
}

/* In upper case, so that a shell can have it as a variable. */
static void write_variable(FILE *out, const char *name)
{
	for (; *name; name++)
		fputc(*name == '-' ? '_' : text_capital(*name), out);
}

static void grid_write_pairs(FILE *out, const struct grid *grid, size_t n)
{
	for (const struct field *f = grid->field; n > 0; n--)
		for (size_t i = 0; i < grid->n_lanes; i++, f++) {
			write_variable(out, grid->lane[i].column->name);
			fprintf(out, "=\"%s\"%s", f->text, gap_after(i, grid->n_lanes));
		}
}

static void grid_write(FILE *out, const struct grid *grid, size_t n, const struct table_style *style)
{
	if (style->form == TABLE_RAW)
		grid_write_raw(out, grid, n, style->no_headings);
	else if (style->form == TABLE_PAIRS)
		grid_write_pairs(out, grid, n);
	else
		grid_write_aligned(out, grid, n, style->no_headings);
}

int table_write(FILE *out, const struct column *columns, const void *rows, size_t n, size_t size,
                const struct table_style *style)
{
	struct grid grid = {0};
	int r = grid_init(&grid, columns, n, style->no_headings);

	for (size_t i = 0; r == 0 && i < n; i++)
		r = grid_fill_row(&grid, grid.field + i * grid.n_lanes, (const char *)rows + i * size, style);
	if (r == 0 && style->totals)
		r = grid_fill_totals(&grid, rows, n, size, style);
	n += style->totals;
	if (r == 0)
		grid_write(out, &grid, n, style);
	grid_clear(&grid, n);
	return r;
}

/* ---- JSON ---- */

void table_write_json(struct json *j, const struct column *columns, const void *row)
{
	for (; columns->name; columns++) {
		if (!columns->json)
			continue;

		struct cell cell = column_cell(columns, row);

		switch (cell.kind) {
		case CELL_NONE:
			json_null(j, columns->json);
			break;
		case CELL_TEXT:
			json_string(j, columns->json, cell.text);
			break;
		case CELL_KIB:
			json_bytes(j, columns->json, cell.number);
			break;
		case CELL_NUMBER:
			json_number(j, columns->json, cell.number);
			break;
		case CELL_MS:
			json_decimal(j, columns->json, cell.number, 3);
			break;
		case CELL_PCT:
			json_decimal(j, columns->json, cell.number, 2);
			break;
		case CELL_BOOL:
			json_bool(j, columns->json, cell.number != 0);
			break;
		}
	}
}

/* ---- metrics: the text format of Prometheus ---- */

static void write_head(FILE *out, const char *prefix, const char *name, const char *help, const char *type)
{
	fprintf(out, "# HELP %s%s %s\n# TYPE %s%s %s\n", prefix, name, help, prefix, name, type);
}

/* Nothing for a NULL value. before: what stands before it, and then before the next one. */
static int write_label(FILE *out, const char *name, const char *value, const char **before)
{
	char *plain = value ? text_escaped(value, true, "") : NULL;

	if (!plain)
		return value ? -ENOMEM : 0;
	fputs(*before, out);
	*before = ",";
	for (; *name; name++)
		fputc(*name == '-' ? '_' : *name, out);
	fputs("=\"", out);
	for (const char *c = plain; *c; c++) {
		if (*c == '"' || *c == '\\')
			fputc('\\', out);
		fputc(*c, out);
	}
	fputc('"', out);
	free(plain);
	return 0;
}

static const char *metric_of(const struct column *column)
{
	const char *name = column->metric ? column->metric : column->json;

	return name && *name ? name : NULL;
}

/* False if it is not known, or more than a number holds. */
static bool measure_cell(const struct cell *cell, uint64_t *ret_value, unsigned *ret_decimals)
{
	uint64_t value = cell->kind == CELL_TEXT ? 1 : cell->number;

	if (cell->kind == CELL_NONE || (cell->kind == CELL_KIB && value > UINT64_MAX / 1024))
		return false;
	*ret_value = cell->kind == CELL_KIB ? value * 1024 : value;
	*ret_decimals = cell->kind == CELL_MS ? 3 : cell->kind == CELL_PCT ? 4 : 0;
	return true;
}

static int write_labels(FILE *out, const struct column *column, const struct column *label, const void *row)
{
	struct cell cell = column_cell(column, row);
	const char *before = "{";
	int r = label ? write_label(out, label->name, column_cell(label, row).text, &before) : 0;

	if (!r && cell.kind == CELL_TEXT)
		r = write_label(out, column->name, cell.text, &before);
	if (*before == ',')
		fputc('}', out);
	return r;
}

static int write_sample(FILE *out, const char *prefix, const struct column *column, const struct column *label,
                        const void *row)
{
	struct cell cell = column_cell(column, row);
	char number[TEXT_DECIMAL];
	struct memfile labels; /* without memory nothing is written */
	unsigned decimals;
	uint64_t value;
	int r;

	if (!measure_cell(&cell, &value, &decimals))
		return 0;
	r = memfile_open(&labels) ? write_labels(labels.out, column, label, row) : -ENOMEM;
	if (labels.out && memfile_close(&labels))
		r = -ENOMEM;
	if (!r)
		fprintf(out, "%s%s%s %s\n", prefix, metric_of(column), labels.text,
		        text_decimal(number, sizeof(number), value, decimals));
	free(labels.text);
	return r;
}

int table_write_metrics(FILE *out, const char *prefix, const struct column *columns, const struct column *label,
                        const void *rows, size_t n, size_t size)
{
	int r = 0;

	for (; columns->name; columns++) {
		if (!metric_of(columns))
			continue;
		write_head(out, prefix, metric_of(columns), columns->help,
		           columns->sets & COLUMN_COUNTER ? "counter" : "gauge");
		for (size_t i = 0; !r && i < n; i++)
			r = write_sample(out, prefix, columns, label, (const char *)rows + i * size);
	}
	return r;
}
