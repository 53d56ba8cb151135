#include "show/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

/* ---- the format ---- */

void metrics_gauge(FILE *out, const char *prefix, const char *name, const char *help)
{
	fprintf(out, "# HELP %s%s %s\n# TYPE %s%s gauge\n", prefix, name, help, prefix, name);
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
	char number[TEXT_DECIMAL], *text = NULL;
	size_t length;
	FILE *whole = open_memstream(&text, &length);
	int r = whole ? write_labels(whole, labels) : -ENOMEM;

	if (whole && fclose(whole))
		r = -ENOMEM;
	if (!r)
		fprintf(out, "%s%s%s %s\n", prefix, name, text, text_decimal(number, sizeof(number), value, decimals));
	free(text);
	return r;
}

/* ---- the file ---- */

static int write_whole(int fd, const char *text, size_t length)
{
	while (length) {
		ssize_t n = write(fd, text, length);

		if (n < 0 && errno != EINTR)
			return -errno;
		text += n > 0 ? n : 0;
		length -= n > 0 ? (size_t)n : 0;
	}
	return fchmod(fd, 0644) ? -errno : 0; /* mkostemp's is 0600, and the collector is another user */
}

/* dir/.name.XXXXXX: the collector reads what ends in .prom. Allocated, NULL without memory. */
static char *temporary_beside(const char *path)
{
	const char *slash = strrchr(path, '/');
	int dir = slash ? (int)(slash + 1 - path) : 0;
	char *name;

	return asprintf(&name, "%.*s.%s.XXXXXX", dir, path, path + dir) < 0 ? NULL : name;
}

/* Lest `--prometheus=/dev/stdout` puts a file in its place. */
static int check_target(const char *path)
{
	struct stat st;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : -errno;
	return S_ISREG(st.st_mode) ? 0 : -EEXIST;
}

/* Not synced: after a crash of the host the next pass writes it anew. */
int metrics_publish(const char *path, const char *text, size_t length)
{
	char *name = temporary_beside(path);
	int fd, r = name ? check_target(path) : -ENOMEM;

	if (r) {
		free(name);
		return r;
	}
	fd = mkostemp(name, O_CLOEXEC);
	if (fd < 0) {
		r = -errno;
		free(name);
		return r;
	}
	r = write_whole(fd, text, length);
	if (close(fd) && !r)
		r = -errno;
	if (!r && rename(name, path))
		r = -errno;
	if (r)
		unlink(name);
	free(name);
	return r;
}
