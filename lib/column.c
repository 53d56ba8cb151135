#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "column.h"

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
		if (!strcasecmp(columns->name, name))
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

struct order {
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
	const struct order *o = arg;
	int order = compare_cells(o->by, o->descending, a, b);

	return order ? order : compare_cells(o->tie, false, a, b);
}

void column_sort(const struct column *by, bool descending, const struct column *tie, void *rows, size_t n, size_t size)
{
	struct order order = {.by = by, .tie = tie, .descending = descending};

	if (n)
		qsort_r(rows, n, size, compare_rows, &order);
}
