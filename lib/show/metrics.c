/* SPDX-License-Identifier: MIT */
#include "show/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/text.h"

/* ---- the format ---- */

static void write_head(FILE *out, const char *prefix, const char *name, const char *help, const char *type)
{
	fprintf(out, "# HELP %s%s %s\n# TYPE %s%s %s\n", prefix, name, help, prefix, name, type);
}

void metrics_gauge(FILE *out, const char *prefix, const char *name, const char *help)
{
	write_head(out, prefix, name, help, "gauge");
}

void metrics_counter(FILE *out, const char *prefix, const char *name, const char *help)
{
	write_head(out, prefix, name, help, "counter");
}

/* The value is plain by now: quotes and backslashes are left to escape. */
static void write_label(FILE *out, const char *name, const char *value, const char *before)
{
	fputs(before, out);
	for (; *name; name++)
		fputc(*name == '-' ? '_' : *name, out);
	fputs("=\"", out);
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			fputc('\\', out);
		fputc(*value, out);
	}
	fputc('"', out);
}

static int write_labels(FILE *out, const struct metrics_label *labels)
{
	const char *before = "{";

	for (; labels->name; labels++) {
		char *plain = labels->value ? text_escaped_for(labels->value, true, "") : NULL;

		if (labels->value && !plain)
			return -ENOMEM;
		if (plain) {
			write_label(out, labels->name, plain, before);
			before = ",";
		}
		free(plain);
	}
	if (*before == ',')
		fputc('}', out);
	return 0;
}

int metrics_sample(FILE *out, const char *prefix, const char *name, const struct metrics_label *labels, uint64_t value,
                   unsigned decimals)
{
	char number[TEXT_DECIMAL];
	struct memfile whole;
	int r = memfile_open(&whole) ? write_labels(whole.out, labels) : -ENOMEM;

	if (whole.out && memfile_close(&whole))
		r = -ENOMEM;
	if (!r)
		fprintf(out, "%s%s%s %s\n", prefix, name, whole.text,
		        text_decimal(number, sizeof(number), value, decimals));
	free(whole.text);
	return r;
}

/* ---- the file ---- */

/* Lest `--prometheus=/dev/stdout` puts a file in its place, or root replaces one of another user. */
static int check_target(int at, const char *name)
{
	struct stat st;

	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : -errno;
	return file_check_target(&st);
}

int metrics_publish(const char *path, const char *text, size_t length)
{
	const char *name;
	int dir = dir_open_of(path, &name);
	int error = dir < 0 ? dir : *name ? check_target(dir, name) : -EMEDIUMTYPE;

	if (!error)
		error = file_publish(dir, name, text, length);
	fd_close(&dir);
	return error;
}
