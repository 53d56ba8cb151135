#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/text.h"
#include "base/units.h"
#include "host/section.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define STRING_OF(x) #x
#define STRING(x) STRING_OF(x)

#define TARGET_KIB 150000
#define VALUE_MOST 4095u
#define LINE_MOST 4096u
#define FILE_MOST (1u << 20)
#define BLANK " \t\r\v\f"
#define BETWEEN_PATTERNS BLANK ","

int conf_set_amount(const struct conf_key *key, const char *value, void *slot)
{
	struct amount amount = {0};
	uint64_t least_kib = 0;
	uint32_t most_pct = 100;
	int r = 0;

	if (*value || *key->value)
		r = strchr(value, '%') ? percent_parse(value, &amount.pct) : size_parse(value, &amount.kib);
	if (r < 0)
		return r;
	size_parse(key->least, &least_kib);
	percent_parse(key->most, &most_pct);
	if (*value && (amount.pct ? amount.pct > most_pct : amount.kib < least_kib))
		return -ERANGE;
	*(struct amount *)slot = amount;
	return 0;
}

static int size_set(const struct conf_key *key, const char *value, void *slot)
{
	uint64_t kib, least_kib = 0;
	int r = size_parse(value, &kib);

	if (r < 0)
		return r;
	if (key->least)
		size_parse(key->least, &least_kib);
	if (kib < least_kib)
		return -ERANGE;
	*(uint64_t *)slot = kib;
	return 0;
}

static int duration_set(const struct conf_key *key, const char *value, void *slot)
{
	uint32_t ms, least_ms = 0, most_ms = 0;
	int r = duration_parse(value, &ms);

	if (r < 0)
		return r;
	duration_parse(key->least, &least_ms);
	duration_parse(key->most, &most_ms);
	if (ms < least_ms || ms > most_ms)
		return -ERANGE;
	*(uint32_t *)slot = ms;
	return 0;
}

/* libvirt counts the period of statistics in whole seconds. */
static int period_set(const struct conf_key *key, const char *value, void *slot)
{
	uint32_t ms = 0;
	int r = *value ? duration_set(key, value, &ms) : 0;

	if (r < 0)
		return r;
	if (ms % 1000 != 0)
		return -EINVAL;
	*(uint32_t *)slot = ms / 1000;
	return 0;
}

static int percent_set(const struct conf_key *key, const char *value, void *slot)
{
	(void)key;
	return percent_parse(value, slot);
}

static int take_set(const struct conf_key *key, const char *value, void *slot)
{
	static const char *const words[] = {[TAKE_IDLE] = "idle", [TAKE_NEEDED] = "needed"};

	(void)key;
	for (unsigned i = 0; i < COUNT(words); i++)
		if (strcmp(value, words[i]) == 0) {
			*(enum take *)slot = i;
			return 0;
		}
	return -EINVAL;
}

static bool is_file(const char *value)
{
	return value[0] == '/' && value[strlen(value) - 1] != '/';
}

/* The first word is what will be executed. */
static bool is_command(const char *value)
{
	size_t n = strcspn(value, BLANK);

	return value[0] == '/' && value[n - 1] != '/';
}

static bool is_log(const char *value)
{
	return strcmp(value, "journal") == 0 || strcmp(value, "syslog") == 0 || is_file(value);
}

/* Whether a line of a file can have it as a value, and a terminal show it. */
static bool is_plain(const char *value)
{
	const char *p = value;
	uint32_t code;
	size_t n;

	for (; *p; p += n) {
		n = text_decode(p, &code);
		if (n == 0 || (!text_is_plain(code) && code != '\t') ||
		    (*p == '#' && (p == value || strchr(BLANK, p[-1]))))
			return false;
	}
	return p == value || (!strchr(BLANK, *value) && !strchr(BLANK, p[-1]));
}

static int text_set(const struct conf_key *key, const char *value, void *slot)
{
	char *copy = NULL;

	if (!*value && *key->value)
		return -EINVAL;
	if (strlen(value) > VALUE_MOST)
		return -ERANGE;
	if (!is_plain(value) || (*value && key->fits && !key->fits(value)))
		return -EINVAL;
	if (*value && !(copy = strdup(value)))
		return -ENOMEM;
	free(*(char **)slot);
	*(char **)slot = copy;
	return 0;
}

/* The rest of a row: form, check, bounds or what fits. The words and the check of a bound are one text. */
#define AMOUNT(least, most)                                                                                            \
	"a size such as 150000KiB, or a percentage such as 10% (at least " least ", at most " most ")",                \
	    conf_set_amount, least, most, NULL
#define SIZE(least) "a size such as 50000KiB (at least " least ")", size_set, least, NULL, NULL
#define ANY_SIZE "a size such as 5000KiB", size_set, NULL, NULL, NULL
#define DURATION(least, most)                                                                                          \
	"a duration such as 500ms, 2s or 1m (" least " to " most ")", duration_set, least, most, NULL
#define PERIOD(most) "a duration in whole seconds (1s to " most "), or 0 for the default", period_set, "0s", most, NULL
#define PERCENT "a percentage such as 20% (1% to 100%)", percent_set, NULL, NULL, NULL
#define TAKE "idle or needed", take_set, NULL, NULL, NULL
#define TEXT(form, fits) form, text_set, NULL, NULL, fits

static const struct conf_key keys[] = {
    {"target", STRING(TARGET_KIB) "KiB", "headroom each guest should have; N% of its maximum", AMOUNT("1MiB", "90%"),
     offsetof(struct conf, target)},
    {"step", "50000KiB", "least that is taken from a guest at once", SIZE("1MiB"), offsetof(struct conf, step_kib)},
    {"reserve", "", "memory the host keeps; N% of all but huge pages", AMOUNT("1MiB", "90%"),
     offsetof(struct conf, reserve)},
    {"tolerance", "5000KiB", "a smaller deficit moves nothing", ANY_SIZE, offsetof(struct conf, tolerance_kib)},
    {"plenty", "10%", "memory that no page cache gets; N% of what guests and host can share", AMOUNT("1MiB", "90%"),
     offsetof(struct conf, plenty)},
    {"buffer", "20%", "headroom if the host has plenty; N% of what a guest uses", PERCENT,
     offsetof(struct conf, buffer_pct)},
    {"take", "idle", "when idle memory is taken: always, or if others need it", TAKE, offsetof(struct conf, take)},
    {"interval", "1s", "time between two passes of a loop", DURATION("100ms", "1h"),
     offsetof(struct conf, interval_ms)},
    {"deadline", "5s", "longest time a pass may take", DURATION("200ms", "1h"), offsetof(struct conf, deadline_ms)},
    {"settle", "2s", "longest wait for memory that was taken to arrive", DURATION("0s", "1h"),
     offsetof(struct conf, settle_ms)},
    {"boot_grace", "15s", "how long nothing is taken from a guest that started", DURATION("0s", "1h"),
     offsetof(struct conf, boot_grace_ms)},
    {"stats_period", "", "period of statistics for guests that have none", PERIOD("1h"),
     offsetof(struct conf, stats_period_s)},
    {"exclude", "", "guests that are left alone", TEXT("shell patterns of names, with spaces or commas between", NULL),
     offsetof(struct conf, exclude)},
    {"uri", "qemu:///system", "the libvirt host", TEXT("a libvirt URI such as qemu:///system", NULL),
     offsetof(struct conf, uri)},
    {"on_critical", "", "what is run when the host is critically short",
     TEXT("a command and its arguments, beginning with an absolute path", is_command),
     offsetof(struct conf, on_critical)},
    {"textfile", "", "where metrics are written", TEXT("the absolute path of a file", is_file),
     offsetof(struct conf, textfile)},
    {"log", "", "where each move is recorded", TEXT("journal, syslog or the absolute path of a file", is_log),
     offsetof(struct conf, log)},
    {0},
};
_Static_assert(COUNT(keys) == CONF_KEYS + 1, "each key has an origin");

const struct conf_key *conf_keys(void)
{
	return keys;
}

static const struct conf_key *find_key(const struct conf_key *key, const char *name)
{
	while (key->name && strcmp(key->name, name) != 0)
		key++;
	return key->name ? key : NULL;
}

/* base: struct conf or struct conf_section. */
static void *slot_of(const struct conf_key *key, void *base)
{
	return (char *)base + key->slot;
}

void conf_origin_clear(struct conf_origin *origin)
{
	free(origin->value);
	free(origin->where);
	*origin = (struct conf_origin){0};
}

static int origin_init(struct conf_origin *ret_origin, const char *value, const char *where)
{
	struct conf_origin origin = {.value = strdup(value), .where = where ? strdup(where) : NULL};

	if (!origin.value || (where && !origin.where)) {
		conf_origin_clear(&origin);
		return -ENOMEM;
	}
	*ret_origin = origin;
	return 0;
}

static int set_value(void *base, struct conf_origin *ret_origin, const struct conf_key *key, const char *value,
                     const char *where)
{
	struct conf_origin origin;
	int r = origin_init(&origin, value, where);

	if (r < 0)
		return r;
	r = key->set(key, value, slot_of(key, base));
	if (r < 0) {
		conf_origin_clear(&origin);
		return r;
	}
	conf_origin_clear(ret_origin);
	*ret_origin = origin;
	return 0;
}

int conf_set(struct conf *conf, const char *name, const char *value)
{
	const struct conf_key *key = find_key(keys, name);

	return key ? set_value(conf, &conf->origin[key - keys], key, value, NULL) : -ENOENT;
}

const char *conf_form(const char *name)
{
	const struct conf_key *key = find_key(keys, name);

	return key ? key->form : NULL;
}

void conf_clear(struct conf *conf)
{
	for (const struct conf_key *key = keys; key->name; key++) {
		if (key->set == text_set)
			free(*(char **)slot_of(key, conf));
		conf_origin_clear(&conf->origin[key - keys]);
	}
	for (size_t i = 0; i < conf->n_warnings; i++)
		free(conf->warning[i]);
	free(conf->warning);
	section_free(conf->section);
	*conf = (struct conf){0};
}

int conf_init(struct conf *ret_conf)
{
	struct conf conf = {0};
	int r = 0;

	for (const struct conf_key *key = keys; key->name && r == 0; key++)
		r = key->set(key, key->value, slot_of(key, &conf));
	if (r < 0) {
		conf_clear(&conf);
		return r;
	}
	*ret_conf = conf;
	return 0;
}

static int copy_text(char **text)
{
	return *text && !(*text = strdup(*text)) ? -ENOMEM : 0;
}

/* All but the warnings and sections. */
static int conf_copy(const struct conf *conf, struct conf *ret_copy)
{
	struct conf copy = *conf;
	int r = 0;

	copy.warning = NULL;
	copy.n_warnings = 0;
	copy.section = NULL;
	for (const struct conf_key *key = keys; key->name; key++) {
		if (key->set == text_set)
			r |= copy_text(slot_of(key, &copy));
		r |= copy_text(&copy.origin[key - keys].value);
		r |= copy_text(&copy.origin[key - keys].where);
	}
	if (r < 0) {
		conf_clear(&copy);
		return r;
	}
	*ret_copy = copy;
	return 0;
}

struct reader {
	struct conf *conf;
	conf_say *say;
	void *arg;
	char path[512]; /* safe to print */
	unsigned line;
	const struct conf_key *keys; /* of this part of the file; NULL: its section is unknown */
	unsigned seen[COUNT(keys)];  /* the line of this part that last gave each key */
	int error;                   /* the first */
};

static int keep_warning(struct conf *conf, const char *sentence)
{
	char **list = reallocarray(conf->warning, conf->n_warnings + 1, sizeof(*list));

	if (!list)
		return -ENOMEM;
	conf->warning = list;
	list[conf->n_warnings] = strdup(sentence);
	if (!list[conf->n_warnings])
		return -ENOMEM;
	conf->n_warnings++;
	return 0;
}

static int out_of_memory(conf_say *say, void *arg)
{
	say(arg, strerror(ENOMEM));
	return -ENOMEM;
}

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
	else if (keep_warning(r->conf, sentence))
		error = out_of_memory(r->say, r->arg);
	if (r->error == 0)
		r->error = error;
}

static void complain_file(struct reader *r, int error)
{
	r->line = 0;
	complain(r, error, "cannot read '%s': %s", r->path,
	         error == -EMEDIUMTYPE ? "not a regular file"
	         : error == -EPERM     ? "another user can change it or its directory: chown root and chmod go-w both"
	                               : strerror(-error));
}

/* A key of another part has surely lost its place: a reserve that does not hold may cost the host. */
static void complain_of_key(struct reader *r, const char *name)
{
	bool general = r->keys == keys, elsewhere = find_key(general ? section_keys : keys, name);
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

	if (r->keys == keys)
		return set_value(r->conf, &r->conf->origin[key - keys], key, value, where);
	return set_value(section, &section->origin[key - section_keys], key, value, where);
}

static void take_value(struct reader *r, const char *name, const char *value)
{
	const struct conf_key *key = find_key(r->keys, name);
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
		if (p == line || strchr(BLANK, p[-1])) {
			*p = '\0';
			return;
		}
}

static char *trim(char *text)
{
	size_t n;

	text += strspn(text, BLANK);
	n = strlen(text);
	while (n > 0 && strchr(BLANK, text[n - 1]))
		n--;
	text[n] = '\0';
	return text;
}

static void take_setting(struct reader *r, char *line)
{
	char *equals = strchr(line, '='), words[256];

	if (equals && equals != line) {
		*equals = '\0';
		take_value(r, trim(line), trim(equals + 1));
	} else {
		complain(r, -EINVAL, "not 'key = value': '%s'",
		         text_escape(words, sizeof(words), line, text_is_utf8()));
	}
}

/* "guest PATTERN", without the brackets. */
static void begin_section(struct reader *r, char *title)
{
	size_t n = strcspn(title, BLANK);
	const char *patterns = title + n + strspn(title + n, BLANK ",");
	struct conf_section *section;
	char words[256];

	memset(r->seen, 0, sizeof(r->seen));
	r->keys = NULL;
	if (strncmp(title, "guest", n) != 0 || n != strlen("guest")) {
		complain(r, 0, "unknown section '[%s]': its lines are ignored",
		         text_escape(words, sizeof(words), title, text_is_utf8()));
	} else if (!*patterns || !is_plain(patterns)) {
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
		begin_section(r, trim(line + 1));
	} else if (r->keys) {
		take_setting(r, line);
	}
}

/* False where this is no configuration file at all, so that its other lines are not complained of one by one. */
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
	line = trim(line);
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

/* Without waiting, should it be a FIFO. Root obeys no file that another user can change, as with cron and sudo. */
static int open_regular(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), error;
	struct stat st;

	if (fd < 0)
		return -errno;
	error = fstat(fd, &st) < 0 ? -errno : !S_ISREG(st.st_mode) ? -EMEDIUMTYPE : file_is_safe(&st) ? 0 : -EPERM;
	if (error == 0)
		return fd;
	close(fd);
	return error;
}

static int open_file(const char *path)
{
	const char *name;
	int dir = dir_open_of(path, &name), fd;
	struct stat st;

	if (dir < 0)
		return dir;
	if (fstat(dir, &st) < 0)
		fd = -errno;
	else /* of a sticky directory each file is its owner's */
		fd =
		    file_is_safe(&st) || (file_is_ours(&st) && st.st_mode & S_ISVTX) ? open_regular(dir, name) : -EPERM;
	close(dir);
	return fd;
}

/* A whole file and a NUL behind it, to be freed; its length or -errno. */
static ssize_t read_whole(const char *path, char **ret_bytes)
{
	int fd = open_file(path);
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
	r->keys = keys;
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

static bool join(struct reader *r, char path[static PATH_MAX], const char *directory, const char *name)
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
		if (join(r, path, directory, entries[i]->d_name))
			take_file(r, path, false);
		free(entries[i]);
	}
	free(entries);
}

static void take_all(struct reader *r, const char *root)
{
	char path[PATH_MAX];

	if (join(r, path, root, "etc/memsched.conf"))
		take_file(r, path, false);
	if (join(r, path, root, "etc/memsched.conf.d"))
		take_drop_ins(r, path);
}

int conf_load(struct conf *conf, const char *root, const char *file, conf_say *say, void *arg)
{
	struct conf copy;
	struct reader r = {.conf = &copy, .say = say, .arg = arg};

	if (conf_copy(conf, &copy) < 0)
		return out_of_memory(say, arg);
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

#define HOST_MOST_PCT 90
#define SMALL_KIB (16 * KIB_PER_MIB) /* who writes less has mostly forgotten the unit */

bool conf_is_size(const struct conf_key *key)
{
	return key->set == size_set || key->set == conf_set_amount;
}

/* The size that was set; 0 if none was, or a percentage. */
static uint64_t size_of(const struct conf_key *key, const struct conf_origin *origin, void *base)
{
	const struct amount *amount = slot_of(key, base);

	if (!conf_is_size(key) || !origin->value)
		return 0;
	return key->set == size_set ? *(const uint64_t *)slot_of(key, base) : amount->pct ? 0 : amount->kib;
}

/* "FILE:LINE: bad value 'VALUE' for 'KEY'", or that of an option. */
static void name_value(const struct conf_origin *origin, const char *what, const char *name, char *text, size_t size)
{
	char value[64];

	text_escape(value, sizeof(value), origin->value, text_is_utf8());
	snprintf(text, size, "%s%s%s '%s' for '%s%s'", origin->where ? origin->where : "", origin->where ? ": " : "",
	         what, value, origin->where ? "" : "--", name);
}

/* base and origin: of one part of conf. */
static int check_sizes(struct conf *conf, const struct conf_key *table, const struct conf_origin *origin, void *base,
                       uint64_t host_kib, conf_say *say, void *arg)
{
	char named[768], sentence[1024], size[TEXT_SIZE];
	int r = 0;

	for (const struct conf_key *key = table; key->name; key++, origin++) {
		uint64_t kib = size_of(key, origin, base);

		if (kib > scale_u64(host_kib, HOST_MOST_PCT, 100)) {
			name_value(origin, "bad value", key->name, named, sizeof(named));
			snprintf(sentence, sizeof(sentence), "%s: more than %d%% of the host's %s", named,
			         HOST_MOST_PCT, text_size(size, sizeof(size), host_kib));
			say(arg, sentence);
			r = -ERANGE;
		} else if (kib && kib < SMALL_KIB && key->least) {
			name_value(origin, "value", key->name, named, sizeof(named));
			snprintf(sentence, sizeof(sentence), "%s is only %s: a number without a unit is KiB", named,
			         text_size(size, sizeof(size), kib));
			if (keep_warning(conf, sentence))
				r = out_of_memory(say, arg);
		}
	}
	return r;
}

int conf_check(struct conf *conf, uint64_t host_kib, conf_say *say, void *arg)
{
	int r = check_sizes(conf, keys, conf->origin, conf, host_kib, say, arg), error;

	for (struct conf_section *s = conf->section; s; s = s->before) {
		error = check_sizes(conf, section_keys, s->origin, s, host_kib, say, arg);
		r = r ? r : error;
	}
	return r;
}

uint64_t conf_target_kib(const struct conf *conf, uint64_t maximum_kib)
{
	if (conf->target.pct == 0)
		return conf->target.kib;
	return max_u64(scale_u64(maximum_kib, conf->target.pct, 100), KIB_PER_MIB);
}

uint64_t conf_reserve_kib(const struct conf *conf, uint64_t host_kib)
{
	uint64_t target_kib = conf->target.pct ? TARGET_KIB : conf->target.kib;

	if (conf->reserve.pct)
		return scale_u64(host_kib, conf->reserve.pct, 100);
	if (conf->reserve.kib)
		return conf->reserve.kib;
	return max_u64(sat_add(target_kib, target_kib), host_kib / 128);
}

struct policy_conf conf_policy(const struct conf *conf, uint64_t host_kib)
{
	return (struct policy_conf){
	    .step_kib = conf->step_kib,
	    .reserve_kib = conf_reserve_kib(conf, host_kib),
	    .tolerance_kib = conf->tolerance_kib,
	    .plenty_kib = conf->plenty.kib,
	    .plenty_pct = conf->plenty.pct,
	    .buffer_pct = conf->buffer_pct,
	    .take = conf->take,
	};
}

bool conf_matches(const char *patterns, const char *name)
{
	const char *p = patterns ? patterns : "";
	char pattern[VALUE_MOST + 1];

	for (p += strspn(p, BETWEEN_PATTERNS); *p; p += strspn(p, BETWEEN_PATTERNS)) {
		int n = (int)strcspn(p, BETWEEN_PATTERNS);

		snprintf(pattern, sizeof(pattern), "%.*s", n, p);
		if (fnmatch(pattern, name, 0) == 0)
			return true;
		p += n;
	}
	return false;
}

bool conf_excludes(const struct conf *conf, const char *name)
{
	return conf_matches(conf->exclude, name);
}
