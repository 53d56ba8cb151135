#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "table.h"
#include "text.h"

#define GAP 2          /* blanks between columns */
#define NUMBER_TEXT 24 /* suffices for every number */

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

static struct cell column_cell(const struct column *column, const void *row)
{
	struct cell cell = column->get(row);

	if (cell.kind == CELL_TEXT && !cell.text)
		cell.kind = CELL_NONE;
	return cell;
}

/* What a cell that is no text shows. Returns buffer or a constant. */
static const char *cell_plain(const struct cell *cell, bool human, char buffer[NUMBER_TEXT])
{
	uint64_t tenths = cell->number / 100 + (cell->number % 100 >= 50);

	switch (cell->kind) {
	case CELL_BOOL:
		return cell->number ? "yes" : "no";
	case CELL_MS:
		snprintf(buffer, NUMBER_TEXT, "%" PRIu64 ".%u", tenths / 10, (unsigned)(tenths % 10));
		return buffer;
	case CELL_KIB:
	case CELL_NUMBER:
		if (human && cell->kind == CELL_KIB)
			return text_size_short(buffer, NUMBER_TEXT, cell->number);
		snprintf(buffer, NUMBER_TEXT, "%" PRIu64, cell->number);
		return buffer;
	case CELL_NONE:
	case CELL_TEXT:
		break;
	}
	return "-";
}

/* Allocated; NULL without memory. */
static char *cell_text(const struct cell *cell, bool human)
{
	char number[NUMBER_TEXT];

	return cell->kind == CELL_TEXT ? text_escaped(cell->text) : strdup(cell_plain(cell, human, number));
}

static void grid_clear(struct grid *grid, size_t n)
{
	for (size_t i = 0; grid->field && i < n * grid->n_lanes; i++)
		free(grid->field[i].text);
	free(grid->field);
	free(grid->lane);
}

static int grid_init(struct grid *grid, const struct column *columns, size_t n, bool no_headings)
{
	size_t n_columns = 0;

	while (columns[n_columns].name)
		n_columns++;
	grid->lane = calloc(n_columns + 1, sizeof(*grid->lane));
	if (!grid->lane)
		return -ENOMEM;
	for (size_t i = 0; i < n_columns; i++)
		if (columns[i].shown)
			grid->lane[grid->n_lanes++] = (struct lane){
			    .column = &columns[i],
			    .width = no_headings ? 0 : text_width(columns[i].heading),
			};
	grid->field = calloc(n + 1, (grid->n_lanes + 1) * sizeof(*grid->field));
	return grid->field ? 0 : -ENOMEM;
}

static int grid_fill_row(struct grid *grid, struct field *field, const void *row, bool human)
{
	for (size_t i = 0; i < grid->n_lanes; i++) {
		struct lane *lane = &grid->lane[i];
		struct cell cell = column_cell(lane->column, row);

		field[i].text = cell_text(&cell, human);
		if (!field[i].text)
			return -ENOMEM;
		field[i].width = text_width(field[i].text);
		if (field[i].width > lane->width)
			lane->width = field[i].width;
		lane->left |= cell.kind == CELL_TEXT || cell.kind == CELL_BOOL;
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

static void grid_write(FILE *out, const struct grid *grid, size_t n, bool no_headings)
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

int table_write(FILE *out, const struct column *columns, const void *rows, size_t n, size_t size,
                const struct table_style *style)
{
	struct grid grid = {0};
	int r = grid_init(&grid, columns, n, style->no_headings);

	for (size_t i = 0; r == 0 && i < n; i++)
		r = grid_fill_row(&grid, grid.field + i * grid.n_lanes, (const char *)rows + i * size, style->human);
	if (r == 0)
		grid_write(out, &grid, n, style->no_headings);
	grid_clear(&grid, n);
	return r;
}

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
		case CELL_BOOL:
			json_bool(j, columns->json, cell.number != 0);
			break;
		}
	}
}
