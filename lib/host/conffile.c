/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "host/conffile.h"
#include "host/section.h"

#define LINE_MOST 4096u
#define FILE_MOST (1u << 20)

struct reader {
	struct conf *conf;
	conf_say *say;
	void *arg;
	char path[512]; /* safe to print */
	unsigned line;
	const struct conf_key *keys; /* of this part of the file; NULL: its section is unknown */
	unsigned seen[CONF_KEYS];    /* the line of this part that last gave each key */
	int error;                   /* the first */
};

/* error 0 is a warning. Words from outside come escaped. */
static void __attribute__((format(printf, 3, 4))) complain(struct reader *r, int error, const char *format, ...)
{
	char sentence[1536];
	int n = 0;
	va_list ap;

	if (r->line)
		n = snprintf(sentence, sizeof(sentence), "%s:%u: ", r->path, r->line);
	va_start(ap, format);
	vsnprintf(sentence + n, sizeof(sentence) - (size_t)n, format, ap);
	va_end(ap);
	if (error)
		r->say(r->arg, sentence);
	else
		error = conf_warn(r->conf, sentence, r->say, r->arg);
	if (r->error == 0)
		r->error = error;
}

static void complain_file(struct reader *r, int error)
{
	r->line = 0;
	complain(r, error, "cannot read '%s': %s", r->path,
	         error == -EMEDIUMTYPE ? "not a regular file"
	         : error == -EPERM
	             ? "another user can change it or a directory that leads to it: chown root and chmod go-w"
	             : strerror(-error));
}

/* A key of another part has surely lost its place: a reserve that does not hold may cost the host. */
static void complain_of_key(struct reader *r, const char *name)
{
	bool general = r->keys == conf_keys();
	bool elsewhere = conf_key_find(general ? section_keys : conf_keys(), name);
	struct text_nearest nearest = {.given = name};
	char words[256];

	text_escape(words, sizeof(words), name, text_is_utf8());
	for (const struct conf_key *key = r->keys; key->name; key++)
		text_nearest_try(&nearest, key->name);
	if (elsewhere)
		complain(r, -EINVAL, "'%s' must stand %s", words,
		         general ? "in a section [guest PATTERN]" : "before the first section");
	else if (nearest.word)
		complain(r, 0, "unknown key '%s', did you mean '%s'?", words, nearest.word);
	else
		complain(r, 0, "unknown key '%s'", words);
}

static int set_here(struct reader *r, const struct conf_key *key, const char *value, const char *where)
{
	struct conf_section *section = r->conf->section;

	if (r->keys == conf_keys())
		return conf_key_set(r->conf, &r->conf->origin[key - conf_keys()], key, value, where);
	return conf_key_set(section, &section->origin[key - section_keys], key, value, where);
}

static void take_value(struct reader *r, const char *name, const char *value)
{
	const struct conf_key *key = conf_key_find(r->keys, name);
	char words[256], where[sizeof(r->path) + 16];
	unsigned *seen;
	int error;

	if (!key && strcmp(name, "signal") == 0) {
		complain(r, 0, "'signal' is gone: both usable and unused memory decide; remove this line");
		return;
	}
	if (!key) {
		complain_of_key(r, name);
		return;
	}
	seen = &r->seen[key - r->keys];
	if (*seen)
		complain(r, 0, "'%s' again: this value holds, not that of line %u", name, *seen);
	*seen = r->line;
	snprintf(where, sizeof(where), "%s:%u", r->path, r->line);
	error = set_here(r, key, value, where);
	if (error == -ENOMEM)
		complain(r, error, "%s", strerror(ENOMEM));
	else if (error < 0)
		complain(r, -EINVAL, "bad value '%s' for '%s': must be %s",
		         text_escape(words, sizeof(words), value, text_is_utf8()), name, key->form);
}

static void cut_comment(char *line)
{
	for (char *p = strchr(line, '#'); p; p = strchr(p + 1, '#'))
		if (p == line || strchr(CONF_BLANK, p[-1])) {
			*p = '\0';
			return;
		}
}

static char *trim_spaces(char *text)
{
	size_t n;

	text += strspn(text, CONF_BLANK);
	n = strlen(text);
	while (n > 0 && strchr(CONF_BLANK, text[n - 1]))
		n--;
	text[n] = '\0';
	return text;
}

static void take_setting(struct reader *r, char *line)
{
	char *equals = strchr(line, '='), words[256];

	if (equals && equals != line) {
		*equals = '\0';
		take_value(r, trim_spaces(line), trim_spaces(equals + 1));
	} else {
		complain(r, -EINVAL, "not 'key = value': '%s'",
		         text_escape(words, sizeof(words), line, text_is_utf8()));
	}
}

/* "guest PATTERN", without the brackets. */
static void begin_section(struct reader *r, char *title)
{
	size_t n = strcspn(title, CONF_BLANK);
	const char *patterns = title + n + strspn(title + n, CONF_BLANK ",");
	struct conf_section *section;
	char words[256];

	memset(r->seen, 0, sizeof(r->seen));
	r->keys = NULL;
	if (strncmp(title, "guest", n) != 0 || n != strlen("guest")) {
		complain(r, 0, "unknown section '[%s]': its lines are ignored, only '[guest PATTERN]' is known",
		         text_escape(words, sizeof(words), title, text_is_utf8()));
	} else if (!*patterns || !conf_is_plain(patterns)) {
		complain(r, -EINVAL, "'[guest]' needs a shell pattern of names: [guest PATTERN]");
	} else if (!(section = section_new(patterns, r->conf->section))) {
		complain(r, -ENOMEM, "%s", strerror(ENOMEM));
	} else {
		r->conf->section = section;
		r->keys = section_keys;
	}
}

static void take_trimmed(struct reader *r, char *line)
{
	size_t n = strlen(line);

	if (*line == '[' && line[n - 1] == ']') {
		line[n - 1] = '\0';
		begin_section(r, trim_spaces(line + 1));
	} else if (r->keys) {
		take_setting(r, line);
	}
}

/* False if this is no configuration file at all, so that its other lines are not complained of one by one. */
static bool take_line(struct reader *r, char *line, size_t length)
{
	if (length > LINE_MOST) {
		complain(r, -EINVAL, "line longer than %u bytes", LINE_MOST);
		return false;
	}
	if (strlen(line) != length) {
		complain(r, -EINVAL, "NUL byte");
		return false;
	}
	cut_comment(line);
	line = trim_spaces(line);
	if (*line)
		take_trimmed(r, line);
	return true;
}

static void take_lines(struct reader *r, char *bytes, size_t length)
{
	static const char mark[] = "\xef\xbb\xbf";
	char *line = bytes, *stop, *end = bytes + length;
	bool more = true;

	if (strncmp(line, mark, strlen(mark)) == 0)
		line += strlen(mark);
	for (; more && line < end; line = stop + 1) {
		stop = memchr(line, '\n', (size_t)(end - line));
		if (!stop)
			stop = end;
		*stop = '\0';
		r->line++;
		more = take_line(r, line, (size_t)(stop - line));
	}
}

/* A whole file and a NUL behind it, to be freed; its length or -errno. Root obeys no file that another user can change,
 * as with cron and sudo. */
static ssize_t read_whole(const char *path, char **ret_bytes)
{
	int fd = file_open_safe(path);
	char *bytes;
	ssize_t length;

	if (fd < 0)
		return fd;
	bytes = malloc(FILE_MOST + 1);
	length = bytes ? file_read(fd, bytes, FILE_MOST + 1) : -ENOMEM;
	close(fd);
	if (length > (ssize_t)FILE_MOST)
		length = -EFBIG;
	if (length < 0) {
		free(bytes);
		return length;
	}
	bytes[length] = '\0';
	*ret_bytes = bytes;
	return length;
}

/* Starts another file. */
static void name_file(struct reader *r, const char *path)
{
	text_escape(r->path, sizeof(r->path), path, text_is_utf8());
	r->line = 0;
	r->keys = conf_keys();
	memset(r->seen, 0, sizeof(r->seen));
}

static bool is_link(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}

static void take_file(struct reader *r, const char *path, bool named)
{
	char *bytes = NULL;
	ssize_t length = read_whole(path, &bytes);

	name_file(r, path);
	if (length >= 0)
		take_lines(r, bytes, (size_t)length);
	else if (named || length != -ENOENT)
		complain_file(r, (int)length);
	else if (is_link(path))
		complain(r, 0, "'%s' is a link to nowhere; ignored", r->path);
	free(bytes);
}

static bool join_path(struct reader *r, char path[static PATH_MAX], const char *directory, const char *name)
{
	if (snprintf(path, PATH_MAX, "%s/%s", directory, name) < PATH_MAX)
		return true;
	name_file(r, path);
	complain_file(r, -ENAMETOOLONG);
	return false;
}

static int is_drop_in(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return entry->d_name[0] != '.' && dot && strcmp(dot, ".conf") == 0;
}

/* Not alphasort: it asks the locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void take_drop_ins(struct reader *r, const char *directory)
{
	struct dirent **entries;
	char path[PATH_MAX];
	struct stat st;
	bool unsafe = stat(directory, &st) == 0 && !file_is_safe(&st);
	int n = unsafe ? -1 : scandir(directory, &entries, is_drop_in, by_name);
	int error = unsafe ? -EPERM : n < 0 ? -errno : 0;

	if (error < 0 && error != -ENOENT) {
		name_file(r, directory);
		complain_file(r, error);
	}
	if (error < 0)
		return;
	for (int i = 0; i < n; i++) {
		if (join_path(r, path, directory, entries[i]->d_name))
			take_file(r, path, false);
		free(entries[i]);
	}
	free(entries);
}

static void take_all(struct reader *r, const char *root)
{
	char path[PATH_MAX];

	if (join_path(r, path, root, "etc/memsched.conf"))
		take_file(r, path, false);
	if (join_path(r, path, root, "etc/memsched.conf.d"))
		take_drop_ins(r, path);
}

int conf_load(struct conf *conf, const char *root, const char *file, conf_say *say, void *arg)
{
	struct conf copy;
	struct reader r = {.conf = &copy, .say = say, .arg = arg};

	if (conf_copy(conf, &copy) < 0) {
		say(arg, strerror(ENOMEM));
		return -ENOMEM;
	}
	if (file)
		take_file(&r, file, true);
	else
		take_all(&r, root);
	if (r.error < 0) {
		conf_clear(&copy);
		return r.error;
	}
	conf_clear(conf);
	*conf = copy;
	return 0;
}
