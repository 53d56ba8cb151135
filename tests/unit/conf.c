/* SPDX-License-Identifier: MIT */
/* Run from the root of the tree, or with SRCDIR set to it: reads man/memsched.conf and its page. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/units.h"
#include "folder.h"
#include "host/conffile.h"
#include "host/section.h"

#define DEFAULTS                                                                                                       \
	"target=150000+0% step=50000 reserve=0+0% tolerance=5000 plenty=0+10% buffer=20 "                              \
	"take=0 interval=1000 deadline=5000 settle=2000 "                                                              \
	"grace=15000 period=0 exclude=(none) uri=qemu:///system critical=(none) textfile=(none) "                      \
	"log=(none) history=1"

static char root[FOLDER_BYTES];

/* All of a conf in one line, so that a row can name what it expects and everything else is compared with it. */
static const char *show(const struct conf *c)
{
	static char line[16384];

	snprintf(line, sizeof(line),
	         "target=%llu+%u%% step=%llu reserve=%llu+%u%% tolerance=%llu plenty=%llu+%u%% buffer=%u take=%d "
	         "interval=%u deadline=%u "
	         "settle=%u grace=%u period=%u exclude=%s uri=%s critical=%s textfile=%s log=%s history=%d",
	         (unsigned long long)c->target.kib, c->target.pct, (unsigned long long)c->step_kib,
	         (unsigned long long)c->reserve.kib, c->reserve.pct, (unsigned long long)c->tolerance_kib,
	         (unsigned long long)c->plenty.kib, c->plenty.pct, c->buffer_pct, c->take, c->interval_ms,
	         c->deadline_ms, c->settle_ms, c->boot_grace_ms, c->stats_period_s, c->exclude ? c->exclude : "(none)",
	         c->uri, c->on_critical ? c->on_critical : "(none)", c->textfile ? c->textfile : "(none)",
	         c->log ? c->log : "(none)", c->history);
	return line;
}

/* What was said, a line for each sentence, with the root taken out. */
static char said[65536];

static void note(const char *kind, const char *sentence)
{
	size_t n = strlen(said);
	const char *at;

	n += (size_t)snprintf(said + n, sizeof(said) - n, "%s ", kind);
	for (; (at = strstr(sentence, root)); sentence = at + strlen(root))
		n += (size_t)snprintf(said + n, sizeof(said) - n, "%.*s", (int)(at - sentence), sentence);
	snprintf(said + n, sizeof(said) - n, "%s\n", sentence);
}

static void hear(void *arg, const char *sentence)
{
	assert_ptr_equal(arg, said);
	note("error", sentence);
}

static int load(struct conf *c, const char *file)
{
	int r;

	said[0] = '\0';
	r = conf_load(c, root, file, hear, said);
	for (size_t i = 0; r == 0 && i < c->n_warnings; i++)
		note("warning", c->warning[i]);
	return r;
}

static char *in_root(const char *path)
{
	static char full[PATH_MAX];

	snprintf(full, sizeof(full), "%s/%s", root, path);
	return full;
}

static void put_bytes(const char *path, const char *bytes, size_t length)
{
	FILE *f = fopen(in_root(path), "w");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, length, f), length);
	fclose(f);
}

static void put(const char *path, const char *text)
{
	put_bytes(path, text, strlen(text));
}

static void load_text(struct conf *c, const char *text, int result, const char *sentences)
{
	int r;

	put("etc/memsched.conf", text);
	assert_int_equal(conf_init(c), 0);
	r = load(c, NULL);
	if (r != result || strcmp(said, sentences) != 0)
		fail_msg("'%s': %d: %s", text, r, said);
}

static int make_root(void **state)
{
	(void)state;
	if (folder_make(root, "conf") || mkdir(in_root("etc"), 0700) < 0)
		return -1;
	return 0;
}

static int empty_root(void **state)
{
	char command[sizeof(root) + 32];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s/etc/*", root);
	return system(command);
}

static int remove_root(void **state)
{
	(void)state;
	return folder_remove(root);
}

static void test_defaults(void **state)
{
	struct conf c;

	(void)state;
	assert_int_equal(conf_init(&c), 0);
	assert_string_equal(show(&c), DEFAULTS);
	conf_clear(&c);
	assert_null(c.uri);
	conf_clear(&c);
}

static void test_set(void **state)
{
	static const struct {
		const char *key, *value;
		int result;
		const char *shown; /* stands in what show says, where result is 0 */
	} rows[] = {
	    {"target", "300MiB", 0, "target=307200+0% "},
	    {"target", "10%", 0, "target=0+10% "},
	    {"target", "1%", 0, "target=0+1% "},
	    {"target", "90%", 0, "target=0+90% "},
	    {"target", "1MiB", 0, "target=1024+0% "},
	    {"target", "9007199254740991", 0, "target=9007199254740991+0% "},
	    {"target", "1023", -ERANGE, NULL},
	    {"target", "0", -ERANGE, NULL},
	    {"target", "0%", -ERANGE, NULL},
	    {"target", "91%", -ERANGE, NULL},
	    {"target", "100%", -ERANGE, NULL},
	    {"target", "101%", -ERANGE, NULL},
	    {"target", "99999999999999999999", -ERANGE, NULL},
	    {"target", "", -EINVAL, NULL},
	    {"target", " ", -EINVAL, NULL},
	    {"target", "abc", -EINVAL, NULL},
	    {"target", "-1", -EINVAL, NULL},
	    {"target", "+5", -EINVAL, NULL},
	    {"target", "-10%", -EINVAL, NULL},
	    {"target", "10%%", -EINVAL, NULL},
	    {"target", "10MiB%", -EINVAL, NULL},
	    {"target", "1.5G", -EINVAL, NULL},
	    {"target", "150000KiB x", -EINVAL, NULL},
	    {"reserve", "2GiB", 0, "reserve=2097152+0% "},
	    {"reserve", "5%", 0, "reserve=0+5% "},
	    {"reserve", "1MiB", 0, "reserve=1024+0% "},
	    {"reserve", "", 0, "reserve=0+0% "},
	    {"reserve", "0", -ERANGE, NULL},
	    {"reserve", "1023", -ERANGE, NULL},
	    {"reserve", "91%", -ERANGE, NULL},
	    {"reserve", "auto", -EINVAL, NULL},
	    {"step", "1MiB", 0, "step=1024 "},
	    {"step", "100000", 0, "step=100000 "},
	    {"step", "1023KiB", -ERANGE, NULL},
	    {"step", "0", -ERANGE, NULL},
	    {"step", "10%", -EINVAL, NULL},
	    {"step", "", -EINVAL, NULL},
	    {"tolerance", "0", 0, "tolerance=0 "},
	    {"tolerance", "1MiB", 0, "tolerance=1024 "},
	    {"tolerance", "8EiB", -ERANGE, NULL},
	    {"tolerance", "", -EINVAL, NULL},
	    {"tolerance", "x", -EINVAL, NULL},
	    {"plenty", "1GiB", 0, "plenty=1048576+0% "},
	    {"plenty", "25%", 0, "plenty=0+25% "},
	    {"plenty", "91%", -ERANGE, NULL},
	    {"plenty", "1", -ERANGE, NULL},
	    {"plenty", "", -EINVAL, NULL},
	    {"buffer", "1%", 0, "buffer=1 "},
	    {"buffer", "100%", 0, "buffer=100 "},
	    {"buffer", "0%", -ERANGE, NULL},
	    {"buffer", "101%", -ERANGE, NULL},
	    {"buffer", "20", -EINVAL, NULL},
	    {"buffer", "", -EINVAL, NULL},
	    {"take", "needed", 0, "take=1 "},
	    {"take", "idle", 0, "take=0 "},
	    {"take", "Idle", -EINVAL, NULL},
	    {"take", "never", -EINVAL, NULL},
	    {"take", "", -EINVAL, NULL},
	    {"take", "idle ", -EINVAL, NULL},
	    {"signal", "usable", -ENOENT, NULL},
	    {"interval", "100ms", 0, "interval=100 "},
	    {"interval", "60", 0, "interval=60000 "},
	    {"interval", "1h", 0, "interval=3600000 "},
	    {"interval", "99ms", -ERANGE, NULL},
	    {"interval", "0", -ERANGE, NULL},
	    {"interval", "3601", -ERANGE, NULL},
	    {"interval", "9999h", -ERANGE, NULL},
	    {"interval", "-1", -EINVAL, NULL},
	    {"interval", "1d", -EINVAL, NULL},
	    {"interval", "", -EINVAL, NULL},
	    {"deadline", "200ms", 0, "deadline=200 "},
	    {"deadline", "1h", 0, "deadline=3600000 "},
	    {"deadline", "199ms", -ERANGE, NULL},
	    {"deadline", "0", -ERANGE, NULL},
	    {"deadline", "2h", -ERANGE, NULL},
	    {"settle", "0", 0, "settle=0 "},
	    {"settle", "1h", 0, "settle=3600000 "},
	    {"settle", "2h", -ERANGE, NULL},
	    {"settle", "", -EINVAL, NULL},
	    {"boot_grace", "0", 0, "grace=0 "},
	    {"boot_grace", "2m", 0, "grace=120000 "},
	    {"boot_grace", "2h", -ERANGE, NULL},
	    {"stats_period", "5", 0, "period=5 "},
	    {"stats_period", "2000ms", 0, "period=2 "},
	    {"stats_period", "1h", 0, "period=3600 "},
	    {"stats_period", "0", 0, "period=0 "},
	    {"stats_period", "", 0, "period=0 "},
	    {"stats_period", "1500ms", -EINVAL, NULL},
	    {"stats_period", "1ms", -EINVAL, NULL},
	    {"stats_period", "2h", -ERANGE, NULL},
	    {"stats_period", "x", -EINVAL, NULL},
	    {"exclude", "db* win-?", 0, "exclude=db* win-? "},
	    {"exclude", "", 0, "exclude=(none) "},
	    {"uri", "test:///default", 0, "uri=test:///default"},
	    {"uri", "", -EINVAL, NULL},
	    /* what a line of a file could not say, or a terminal not show */
	    {"exclude", "B\xc3\xbcro* a\tb#c", 0, "exclude=B\xc3\xbcro* a\tb#c uri"},
	    {"exclude", "B\xfcro*", -EINVAL, NULL},
	    {"exclude", "a\xc2\x9b", -EINVAL, NULL},
	    {"exclude", "a\xe2\x80\xae", -EINVAL, NULL},
	    {"exclude", "a\nb", -EINVAL, NULL},
	    {"exclude", " a", -EINVAL, NULL},
	    {"exclude", "a ", -EINVAL, NULL},
	    {"exclude", "#a", -EINVAL, NULL},
	    {"exclude", "a #b", -EINVAL, NULL},
	    {"uri", "qemu:///system\x1b[2J", -EINVAL, NULL},
	    {"tagret", "1MiB", -ENOENT, NULL},
	    {"Target", "1MiB", -ENOENT, NULL},
	    {"target ", "1MiB", -ENOENT, NULL},
	    {"", "1MiB", -ENOENT, NULL},
	    {"on_critical", "/bin/x a  b", 0, "critical=/bin/x a  b "},
	    {"on_critical", "/x", 0, "critical=/x "},
	    {"on_critical", "", 0, "critical=(none) "},
	    {"on_critical", "x", -EINVAL, NULL},
	    {"on_critical", "bin/x", -EINVAL, NULL},
	    {"on_critical", "~/x", -EINVAL, NULL},
	    {"on_critical", "\"/bin/x\"", -EINVAL, NULL},
	    {"on_critical", "/ x", -EINVAL, NULL},
	    {"on_critical", "/bin/ x", -EINVAL, NULL},
	    {"on_critical", " ", -EINVAL, NULL},
	    {"textfile", "/x/y.prom", 0, "textfile=/x/y.prom "},
	    {"textfile", "", 0, "textfile=(none) "},
	    {"textfile", "y.prom", -EINVAL, NULL},
	    {"textfile", "./y.prom", -EINVAL, NULL},
	    {"textfile", "/", -EINVAL, NULL},
	    {"textfile", "/x/", -EINVAL, NULL},
	    {"log", "journal", 0, "log=journal"},
	    {"log", "syslog", 0, "log=syslog"},
	    {"log", "/var/log/x", 0, "log=/var/log/x"},
	    {"log", "", 0, "log=(none)"},
	    {"log", "Journal", -EINVAL, NULL},
	    {"log", "journal ", -EINVAL, NULL},
	    {"log", "stderr", -EINVAL, NULL},
	    {"log", "x/y", -EINVAL, NULL},
	    {"history", "no", 0, "history=0"},
	    {"history", "off", -EINVAL, NULL},
	    {"history", "", -EINVAL, NULL},
	    {"log", "/var/log/", -EINVAL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct conf c;
		int r;

		assert_int_equal(conf_init(&c), 0);
		r = conf_set(&c, rows[i].key, rows[i].value);
		if (r != rows[i].result)
			fail_msg("%s = '%s': %d", rows[i].key, rows[i].value, r);
		if (rows[i].result == 0 ? !strstr(show(&c), rows[i].shown) : strcmp(show(&c), DEFAULTS) != 0)
			fail_msg("%s = '%s': %s", rows[i].key, rows[i].value, show(&c));
		conf_clear(&c);
	}
}

static void test_long_values(void **state)
{
	static char value[8192];
	struct conf c;

	(void)state;
	memset(value, 'a', 4096);
	assert_int_equal(conf_init(&c), 0);
	assert_int_equal(conf_set(&c, "exclude", value), -ERANGE);
	assert_int_equal(conf_set(&c, "uri", value), -ERANGE);
	assert_int_equal(conf_set(&c, "target", value), -EINVAL);
	assert_string_equal(show(&c), DEFAULTS);
	value[4095] = '\0';
	assert_int_equal(conf_set(&c, "exclude", value), 0);
	assert_true(conf_excludes(&c, value));
	assert_int_equal(conf_set(&c, "exclude", "other"), 0);
	assert_string_equal(c.exclude, "other");
	conf_clear(&c);
}

static void test_forms(void **state)
{
	struct conf c;

	(void)state;
	assert_string_equal(conf_form("target"),
	                    "a size such as 150000KiB, or a percentage such as 10% (at least 1MiB, at most 90%)");
	assert_string_equal(conf_form("interval"), "a duration such as 500ms, 2s or 1m (100ms to 1h)");
	assert_string_equal(conf_form("take"), "idle or needed");
	assert_null(conf_form("tagret"));
	assert_int_equal(conf_init(&c), 0);
	for (const struct conf_key *key = conf_keys(); key->name; key++) {
		assert_non_null(conf_form(key->name));
		assert_true(*key->help && !strchr(key->help, '\n'));
		/* a bound is a value like any other, and is good itself */
		assert_int_equal(key->least ? conf_set(&c, key->name, key->least) : 0, 0);
		assert_int_equal(key->most ? conf_set(&c, key->name, key->most) : 0, 0);
	}
	conf_clear(&c);
}

#define BAD_TARGET "must be a size such as 150000KiB, or a percentage such as 10% (at least 1MiB, at most 90%)\n"
#define IN "/etc/memsched.conf"

static void test_files(void **state)
{
	static const struct {
		const char *text;
		int result;
		const char *said, *shown;
	} rows[] = {
	    {"", 0, "", "uri=qemu:///system"},
	    {"\n\n# comment\n   # comment\n#target = 5\n \t\n", 0, "", "target=150000+0% "},
	    {"target = 1GiB\n", 0, "", "target=1048576+0% "},
	    {"target=1GiB", 0, "", "target=1048576+0% "},
	    {" \t target\t=   1 GiB \t\n", 0, "", "target=1048576+0% "},
	    {"target = 1GiB # as agreed\n", 0, "", "target=1048576+0% "},
	    {"target = 1GiB\t#as agreed\n", 0, "", "target=1048576+0% "},
	    {"target = 1GiB\r\nstep = 2MiB\r\n", 0, "", "target=1048576+0% step=2048 "},
	    {"\xef\xbb\xbftarget = 1GiB\n", 0, "", "target=1048576+0% "},
	    {"uri = qemu+ssh://host/system#x\n", 0, "", "uri=qemu+ssh://host/system#x"},
	    {"uri = qemu:///system?a=b\n", 0, "", "uri=qemu:///system?a=b"},
	    {"reserve =\n", 0, "", "reserve=0+0% "},
	    {"reserve = # the default\n", 0, "", "reserve=0+0% "},
	    {"exclude = a,b  c # d\n", 0, "", "exclude=a,b  c uri"},
	    /* unknown and twice: warnings */
	    {"\n\ntagret = 1\nstep = 2MiB\n", 0, "warning " IN ":3: unknown key 'tagret', did you mean 'target'?\n",
	     "step=2048 "},
	    {"step = 2MiB\nsettle = 1\nstep = 3MiB\n", 0,
	     "warning " IN ":3: 'step' again: this value holds, not that of line 1\n", "step=3072 "},
	    {"a b = 1\n", 0, "warning " IN ":1: unknown key 'a b'\n", "uri"},
	    {"\x1b[2J = 1\n", 0, "warning " IN ":1: unknown key '\\x1B[2J'\n", "uri"},
	    {"\xe2\x80\xae = 1\n", 0, "warning " IN ":1: unknown key '\\xE2\\x80\\xAE'\n", "uri"},
	    {"x\xef\xbb\xbf = 1\n", 0, "warning " IN ":1: unknown key 'x\\xEF\\xBB\\xBF'\n", "uri"},
	    /* errors: nothing of the file holds */
	    {"step = 2MiB\ntarget = abc\n", -EINVAL, "error " IN ":2: bad value 'abc' for 'target': " BAD_TARGET, NULL},
	    {"target = 91%\n", -EINVAL, "error " IN ":1: bad value '91%' for 'target': " BAD_TARGET, NULL},
	    {"target = 99999999999999999999", -EINVAL,
	     "error " IN ":1: bad value '99999999999999999999' for 'target': " BAD_TARGET, NULL},
	    {"target =\n", -EINVAL, "error " IN ":1: bad value '' for 'target': " BAD_TARGET, NULL},
	    {"target = # 1GiB\n", -EINVAL, "error " IN ":1: bad value '' for 'target': " BAD_TARGET, NULL},
	    {"target = \"1GiB\"\n", -EINVAL, "error " IN ":1: bad value '\"1GiB\"' for 'target': " BAD_TARGET, NULL},
	    {"target = 1GiB#x\n", -EINVAL, "error " IN ":1: bad value '1GiB#x' for 'target': " BAD_TARGET, NULL},
	    {"target == 1GiB\n", -EINVAL, "error " IN ":1: bad value '= 1GiB' for 'target': " BAD_TARGET, NULL},
	    {"target = \x1b[31m\xc2\x9b\n", -EINVAL,
	     "error " IN ":1: bad value '\\x1B[31m\\xC2\\x9B' for 'target': " BAD_TARGET, NULL},
	    {"target = 1MiB\rstep = 2MiB\n", -EINVAL,
	     "error " IN ":1: bad value '1MiB\\x0Dstep = 2MiB' for 'target': " BAD_TARGET, NULL},
	    {"target = 1GiB\ntarget = x\ntarget = 2GiB\n", -EINVAL,
	     "error " IN ":2: bad value 'x' for 'target': " BAD_TARGET, NULL},
	    {"signal = usable\nstep = 2MiB\n", 0,
	     "warning " IN ":1: 'signal' is gone: both usable and unused memory decide; remove this line\n",
	     "step=2048 "},
	    {"take = free\nuri =\n[x\ntagret = 1\n", -EINVAL,
	     "error " IN ":1: bad value 'free' for 'take': must be idle or needed\nerror " IN
	     ":2: bad value '' for 'uri': must be a libvirt URI such as qemu:///system\nerror " IN
	     ":3: not 'key = value': '[x'\n",
	     NULL},
	    {"on_critical = x\ntextfile = x\nlog = x # y\n", -EINVAL,
	     "error " IN ":1: bad value 'x' for 'on_critical': must be a command and its arguments, beginning with an "
	     "absolute path\nerror " IN
	     ":2: bad value 'x' for 'textfile': must be the absolute path of a file\nerror " IN
	     ":3: bad value 'x' for 'log': must be journal, syslog or the absolute path of a file\n",
	     NULL},
	    {"target\n", -EINVAL, "error " IN ":1: not 'key = value': 'target'\n", NULL},
	    {"= 1GiB\n", -EINVAL, "error " IN ":1: not 'key = value': '= 1GiB'\n", NULL},
	    {"target: 1GiB\n", -EINVAL, "error " IN ":1: not 'key = value': 'target: 1GiB'\n", NULL},
	    {"target # = 1GiB\n", -EINVAL, "error " IN ":1: not 'key = value': 'target'\n", NULL},
	    {"\x7f"
	     "ELF\x01\n",
	     -EINVAL, "error " IN ":1: not 'key = value': '\\x7FELF\\x01'\n", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct conf c;

		load_text(&c, rows[i].text, rows[i].result, rows[i].said);
		if (rows[i].result == 0 ? !strstr(show(&c), rows[i].shown) : strcmp(show(&c), DEFAULTS) != 0)
			fail_msg("'%s': %s", rows[i].text, show(&c));
		conf_clear(&c);
	}
}

#define TITLE "[guest db* web?]\n"
#define BAD_SIZE                                                                                                       \
	"must be a size such as 512MiB, or a percentage of the guest's maximum such as 10% (at least 1MiB, at most "

/* Each row is a file; what it says beside sections stays as it was. */
static void test_section_files(void **state)
{
	static const struct {
		const char *text;
		int result;
		const char *said;
	} rows[] = {
	    {TITLE "min = 1GiB\nmax = 100%\nweight = 10000\ntarget = 90%\nmanaged = no\n", 0, ""},
	    {"[ guest\tdb* ] # comment\n", 0, ""},
	    {TITLE "min =\nmax =\ntarget =\n", 0, ""},
	    {TITLE TITLE "min = 1GiB\n" TITLE "min = 2GiB\n", 0, ""},
	    {TITLE "min = 1GiB\nmin = 2GiB\n", 0,
	     "warning " IN ":3: 'min' again: this value holds, not that of line 2\n"},
	    {TITLE "mni = 1GiB\n", 0, "warning " IN ":2: unknown key 'mni', did you mean 'min'?\n"},
	    {"[network x]\nmin = y\nreserve = z\n" TITLE "min = 1GiB\n", 0,
	     "warning " IN
	     ":1: unknown section '[network x]': its lines are ignored, only '[guest PATTERN]' is known\n"},
	    {"[guests x]\n", 0,
	     "warning " IN
	     ":1: unknown section '[guests x]': its lines are ignored, only '[guest PATTERN]' is known\n"},
	    {"[]\n", 0,
	     "warning " IN ":1: unknown section '[]': its lines are ignored, only '[guest PATTERN]' is known\n"},
	    {"[guest]\n", -EINVAL, "error " IN ":1: '[guest]' needs a shell pattern of names: [guest PATTERN]\n"},
	    {"min = 1GiB\n", -EINVAL, "error " IN ":1: 'min' must stand in a section [guest PATTERN]\n"},
	    {TITLE "reserve = 1GiB\n", -EINVAL, "error " IN ":2: 'reserve' must stand before the first section\n"},
	    {TITLE "min = 101%\n", -EINVAL, "error " IN ":2: bad value '101%' for 'min': " BAD_SIZE "100%)\n"},
	    {TITLE "max = 1023\n", -EINVAL, "error " IN ":2: bad value '1023' for 'max': " BAD_SIZE "100%)\n"},
	    {TITLE "target = 91%\n", -EINVAL, "error " IN ":2: bad value '91%' for 'target': " BAD_SIZE "90%)\n"},
	    {TITLE "weight = 0\n", -EINVAL,
	     "error " IN ":2: bad value '0' for 'weight': must be a whole number from 1 to 10000\n"},
	    {TITLE "weight =\n", -EINVAL,
	     "error " IN ":2: bad value '' for 'weight': must be a whole number from 1 to 10000\n"},
	    {TITLE "managed = maybe\n", -EINVAL,
	     "error " IN ":2: bad value 'maybe' for 'managed': must be yes or no\n"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct conf c;

		load_text(&c, rows[i].text, rows[i].result, rows[i].said);
		assert_string_equal(show(&c), DEFAULTS);
		conf_clear(&c);
	}
}

static struct guest guest_of(const char *name, uint64_t maximum_mib)
{
	return (struct guest){
	    .name = (char *)(uintptr_t)name, .device.maximum_kib = maximum_mib * 1024, .hints.weight = WEIGHT_DEFAULT};
}

/* In MiB, as "min 512, max 1024 for weight 7, 146 target": what is not there is 0. */
static const char *limits(const struct conf *c, struct guest *g)
{
	static char line[128];

	sections_apply(c, g);
	snprintf(line, sizeof(line), "min %llu max %llu weight %u target %llu%s",
	         (unsigned long long)g->hints.min_kib / 1024, (unsigned long long)g->hints.max_kib / 1024,
	         g->hints.weight, (unsigned long long)g->target_kib / 1024, g->excluded ? " excluded" : "");
	return line;
}

/* The same for each pass: what is applied again changes nothing, and what is undone is gone. */
static void check_limits(const struct conf *c, struct guest g, const char *expected, const char *fault)
{
	struct hints given = g.hints;
	unsigned faults;

	assert_string_equal(limits(c, &g), expected);
	faults = g.hints.n_faults;
	assert_string_equal(limits(c, &g), expected);
	assert_int_equal(g.hints.n_faults, faults);
	said[0] = '\0';
	for (unsigned i = given.n_faults; i < faults; i++)
		note("fault", g.hints.fault[i]);
	assert_string_equal(said, fault);
	g.hints.n_faults = given.n_faults;
	memset(g.hints.fault, 0, sizeof(g.hints.fault));
	sections_undo(&g.hints);
	assert_memory_equal(&g.hints, &given, sizeof(given));
}

static void test_sections(void **state)
{
	struct guest g;
	struct conf c;

	(void)state;
	assert_int_equal(conf_init(&c), 0);
	assert_int_equal(mkdir(in_root("etc/memsched.conf.d"), 0700), 0);
	put("etc/memsched.conf", "target = 128MiB\nexclude = old\n[guest *]\nweight = 50\nmin = 25%\nmax = 50%\n"
	                         "[guest db* web]\nmin = 3GiB\ntarget = 10%\n");
	put("etc/memsched.conf.d/a.conf", "step = 2MiB\n[guest db2]\nmin =\nmanaged = no\nweight = 7\n[guest low*]\n"
	                                  "max = 64MiB\n");
	assert_int_equal(load(&c, NULL), 0);
	assert_int_equal(c.step_kib, 2048);

	check_limits(&c, guest_of("app", 4096), "min 1024 max 2048 weight 50 target 128", "");
	check_limits(&c, guest_of("old", 4096), "min 1024 max 2048 weight 50 target 128 excluded", "");
	/* a later section wins, also by taking back */
	check_limits(&c, guest_of("db1", 8192), "min 3072 max 4096 weight 50 target 819", "");
	check_limits(&c, guest_of("db2", 8192), "min 0 max 4096 weight 7 target 819 excluded", "");
	/* a max that does not fit is ignored; a min above the maximum is cut */
	check_limits(&c, guest_of("web", 4096), "min 3072 max 0 weight 50 target 409",
	             "fault domain 'web': max 2 GiB is ignored: below its min (3 GiB): /etc/memsched.conf:6\n");
	check_limits(&c, guest_of("web", 2048), "min 2048 max 0 weight 50 target 204",
	             "fault domain 'web': max 1 GiB is ignored: below its min (2 GiB): /etc/memsched.conf:6\n");
	check_limits(
	    &c, guest_of("low\n", 128), "min 32 max 0 weight 50 target 128",
	    "fault domain 'low\\x0A': min is 32 MiB, less than a guest of this size keeps without it (72 MiB): "
	    "/etc/memsched.conf:5\n"
	    "fault domain 'low\\x0A': max 64 MiB is ignored: below the least a guest of this size keeps (72 MiB): "
	    "/etc/memsched.conf.d/a.conf:7\n");

	/* metadata wins, each value alone */
	g = guest_of("db2", 8192);
	g.hints.has_managed = g.hints.has_weight = g.hints.has_min = true;
	g.hints.min_kib = 512 * 1024;
	check_limits(&c, g, "min 512 max 4096 weight 100 target 819", "");
	g = guest_of("old", 8192);
	g.hints.has_managed = g.hints.has_target = g.hints.has_max = true;
	g.hints.max_kib = g.hints.target_kib = 6144 * 1024;
	check_limits(&c, g, "min 2048 max 6144 weight 50 target 6144 excluded", "");

	/* of a guest whose maximum is not known, sizes hold */
	check_limits(&c, guest_of("db1", 0), "min 3072 max 0 weight 50 target 128", "");

	said[0] = '\0';
	assert_int_equal(conf_check(&c, 3 * 1048576, hear, said), -ERANGE);
	assert_non_null(
	    strstr(said, "/etc/memsched.conf:8: bad value '3GiB' for 'min': more than 90% of the host's 3 GiB"));
	said[0] = '\0';
	assert_int_equal(conf_check_host(&c, 3 * 1048576, hear, said), -ERANGE);
	assert_non_null(strstr(said, "bad value '3GiB' for 'min'"));
	conf_clear(&c);
}

/* A complaint that lasts is the same one while the host's memory changes. */
static void test_what_names_a_complaint(void **state)
{
	static const char
	    size[] = "/etc/memsched.conf:2: bad value '200G' for 'reserve': more than 90% of the host's 8 GiB",
	    other[] = "/etc/memsched.conf:2: bad value '200G' for 'reserve': more than 90% of the host's 9.5 GiB",
	    key[] = "/etc/memsched.conf:3: bad value 'here' for 'log': must be a path";

	(void)state;
	assert_int_equal(conf_key_length(size), conf_key_length(other));
	assert_memory_equal(size, other, conf_key_length(size));
	assert_string_equal(size + conf_key_length(size), ": more than 90% of the host's 8 GiB");
	assert_int_equal(conf_key_length(key), strlen(key));
	assert_int_equal(conf_key_length(""), 0);
}

static void check_load(const char *file, int result, const char *sentences, const char *shown)
{
	struct conf c;

	assert_int_equal(conf_init(&c), 0);
	assert_int_equal(load(&c, file), result);
	assert_string_equal(said, sentences);
	if (!strstr(show(&c), shown))
		fail_msg("%s", show(&c));
	conf_clear(&c);
}

/* "key = value" of length bytes behind two lines, closed by a third. */
static void put_line(const char *start, char filler, size_t length)
{
	static char bytes[16384];
	char *line = stpcpy(bytes, "\nstep = 2MiB\n");

	memset(line, filler, length);
	memcpy(line, start, strlen(start));
	strcpy(line + length, "\nsettle = 5\n");
	put("etc/memsched.conf", bytes);
}

static void test_sizes(void **state)
{
	static const char nul[] = "step = 2MiB\ntarget = 1GiB\0x\nbad\n";
	static char bytes[(1 << 20) + 1];
	struct conf c;

	(void)state;
	put_line("uri = ", 'u', 4096);
	check_load(NULL, 0, "",
	           "step=2048 reserve=0+0% tolerance=5000 plenty=0+10% buffer=20 take=0 interval=1000 "
	           "deadline=5000 settle=5000 ");
	put_line("#", '#', 4096);
	check_load(NULL, 0, "", "settle=5000 ");
	put_line("#", '#', 4097);
	check_load(NULL, -EINVAL, "error " IN ":3: line longer than 4096 bytes\n", DEFAULTS);
	put_line("target = ", 'x', 3000); /* said, but not all of it */
	assert_int_equal(conf_init(&c), 0);
	assert_int_equal(load(&c, NULL), -EINVAL);
	assert_non_null(strstr(said, "xxx...' for 'target': must be"));
	assert_in_range(strlen(said), 300, 500);
	conf_clear(&c);
	put_bytes("etc/memsched.conf", nul, sizeof(nul) - 1);
	check_load(NULL, -EINVAL, "error " IN ":2: NUL byte\n", DEFAULTS);

	memset(bytes, '\n', sizeof(bytes));
	memcpy(bytes + sizeof(bytes) - 13, "\nstep = 2MiB", 12);
	put_bytes("etc/memsched.conf", bytes, sizeof(bytes) - 1);
	check_load(NULL, 0, "", "step=2048 ");
	put_bytes("etc/memsched.conf", bytes, sizeof(bytes));
	check_load(NULL, -EFBIG, "error cannot read '" IN "': File too large\n", DEFAULTS);
}

static void test_drop_ins(void **state)
{
	(void)state;
	check_load(NULL, 0, "", DEFAULTS); /* nothing there at all */
	put("etc/memsched.conf", "step = 2MiB\ntolerance = 1MiB\n");
	assert_int_equal(mkdir(in_root("etc/memsched.conf.d"), 0700), 0);
	check_load(NULL, 0, "", "step=2048 ");
	put("etc/memsched.conf.d/20.conf", "step = 20MiB\nsettle = 20\n");
	put("etc/memsched.conf.d/100.conf", "step = 100MiB\nsettle = 100\n");
	put("etc/memsched.conf.d/B.conf", "settle = 7\n");
	put("etc/memsched.conf.d/a.conf", "boot_grace = 1\n");
	put("etc/memsched.conf.d/C.conf", "boot_grace = 3\n");
	put("etc/memsched.conf.d/.z.conf", "bad\n");
	put("etc/memsched.conf.d/.conf", "bad\n");
	put("etc/memsched.conf.d/z", "bad\n");
	put("etc/memsched.conf.d/z.conf~", "bad\n");
	put("etc/memsched.conf.d/z.conf.dpkg-new", "bad\n");
	put("etc/memsched.conf.d/zconf", "bad\n");
	assert_int_equal(symlink("nowhere", in_root("etc/memsched.conf.d/gone.conf")), 0);
	/* 100, 20, B, C, a */
	check_load(NULL, 0, "warning '/etc/memsched.conf.d/gone.conf' is a link to nowhere; ignored\n",
	           "step=20480 reserve=0+0% tolerance=1024 ");
	assert_int_equal(unlink(in_root("etc/memsched.conf.d/gone.conf")), 0);
	check_load(NULL, 0, "", "settle=7000 grace=1000 ");
	assert_int_equal(unlink(in_root("etc/memsched.conf")), 0);
	check_load(NULL, 0, "", "step=20480 reserve=0+0% tolerance=5000 ");

	put("etc/one.conf", "take = needed\n");
	assert_int_equal(symlink("../one.conf", in_root("etc/memsched.conf.d/0.conf")), 0);
	check_load(NULL, 0, "", "take=1 ");
	put("etc/memsched.conf.d/20.conf", "\ntagret = 1\nstep = x\n");
	put("etc/memsched.conf.d/B.conf", "settle = x\nfoo\n");
	check_load(
	    NULL, -EINVAL,
	    "error /etc/memsched.conf.d/20.conf:3: bad value 'x' for 'step': must be a size such as 50000KiB (at "
	    "least 1MiB)\n"
	    "error /etc/memsched.conf.d/B.conf:1: bad value 'x' for 'settle': must be a duration such as 500ms, "
	    "2s or 1m (0s to 1h)\n"
	    "error /etc/memsched.conf.d/B.conf:2: not 'key = value': 'foo'\n",
	    DEFAULTS);
}

static void test_odd_files(void **state)
{
	static char deep[PATH_MAX + 1];
	char file[PATH_MAX];
	struct conf c;

	(void)state;
	assert_int_equal(mkfifo(in_root("etc/memsched.conf"), 0600), 0);
	check_load(NULL, -EMEDIUMTYPE, "error cannot read '" IN "': not a regular file\n", DEFAULTS);
	unlink(in_root("etc/memsched.conf"));
	assert_int_equal(mkdir(in_root("etc/memsched.conf"), 0700), 0);
	check_load(NULL, -EMEDIUMTYPE, "error cannot read '" IN "': not a regular file\n", DEFAULTS);
	rmdir(in_root("etc/memsched.conf"));
	check_load("/dev/zero", -EMEDIUMTYPE, "error cannot read '/dev/zero': not a regular file\n", DEFAULTS);

	put("etc/memsched.conf.d", "x");
	check_load(NULL, -ENOTDIR, "error cannot read '/etc/memsched.conf.d': Not a directory\n", DEFAULTS);
	unlink(in_root("etc/memsched.conf.d"));
	assert_int_equal(mkdir(in_root("etc/memsched.conf.d"), 0700), 0);
	assert_int_equal(mkdir(in_root("etc/memsched.conf.d/a.conf"), 0700), 0);
	put("etc/memsched.conf.d/b\x1b\n.conf", "x\n"); /* the first error is the one returned */
	check_load(NULL, -EMEDIUMTYPE,
	           "error cannot read '/etc/memsched.conf.d/a.conf': not a regular file\n"
	           "error /etc/memsched.conf.d/b\\x1B\\x0A.conf:1: not 'key = value': 'x'\n",
	           DEFAULTS);

	/* a file that is named has to be there, and stands for all others */
	put("etc/other", "step = 3MiB\n");
	put("etc/memsched.conf", "bad\n");
	strcpy(file, in_root("etc/other"));
	check_load(file, 0, "", "step=3072 ");
	check_load("/nonexistent/x", -ENOENT, "error cannot read '/nonexistent/x': No such file or directory\n",
	           DEFAULTS);
	check_load("", -ENOENT, "error cannot read '': No such file or directory\n", DEFAULTS);

	memset(deep, 'x', PATH_MAX);
	assert_int_equal(conf_init(&c), 0);
	said[0] = '\0';
	assert_int_equal(conf_load(&c, deep, NULL, hear, said), -ENAMETOOLONG);
	assert_non_null(strstr(said, "...': File name too long\n"));
	conf_clear(&c);
}

#define CHANGED "': another user can change it or a directory that leads to it: chown root and chmod go-w\n"

/* Neither a file nor a directory of files that another user can change is obeyed. */
static void test_others(void **state)
{
	static const struct {
		const char *path, *named; /* what is changed, what the complaint names */
		mode_t mode;              /* 0: another owner */
		mode_t good;
	} rows[] = {
	    {"etc/memsched.conf", "/etc/memsched.conf", 0664, 0644},
	    {"etc/memsched.conf", "/etc/memsched.conf", 0646, 0644},
	    {"etc/memsched.conf", "/etc/memsched.conf", 0, 0},
	    {"etc/memsched.conf.d/a.conf", "/etc/memsched.conf.d/a.conf", 0666, 0644},
	    {"etc/memsched.conf.d/a.conf", "/etc/memsched.conf.d/a.conf", 0, 0},
	    {"etc/memsched.conf.d", "/etc/memsched.conf.d", 01777, 0755},
	    {"etc/memsched.conf.d", "/etc/memsched.conf.d", 0, 0},
	    {"etc", "/etc/memsched.conf", 0777, 0755},
	    /* a link's target is as good as the way to it */
	    {"srv/conf", "/etc/memsched.conf.d/b.conf", 0777, 0755},
	    {"srv", "/etc/memsched.conf.d/b.conf", 0775, 0755},
	    {"srv", "/etc/memsched.conf.d/b.conf", 0, 0},
	};
	char target[FOLDER_BYTES + 20];

	(void)state;
	assert_int_equal(mkdir(in_root("etc/memsched.conf.d"), 0755), 0);
	put("etc/memsched.conf", "step = 3MiB\n");
	put("etc/memsched.conf.d/a.conf", "tolerance = 1MiB\n");
	assert_int_equal(mkdir(in_root("srv"), 0755) | mkdir(in_root("srv/conf"), 0755), 0);
	put("srv/conf/b.conf", "buffer = 30%\n");
	snprintf(target, sizeof(target), "%s/srv/conf/b.conf", root);
	assert_int_equal(symlink(target, in_root("etc/memsched.conf.d/b.conf")), 0);
	for (size_t i = 0; i < COUNT(rows); i++) {
		char expected[256];

		if (!rows[i].mode && geteuid() != 0)
			continue;
		snprintf(expected, sizeof(expected), "error cannot read '%s" CHANGED, rows[i].named);
		assert_int_equal(rows[i].mode ? chmod(in_root(rows[i].path), rows[i].mode)
		                              : lchown(in_root(rows[i].path), 65534, 65534),
		                 0);
		check_load(NULL, -EPERM, expected, DEFAULTS);
		assert_int_equal(
		    rows[i].mode ? chmod(in_root(rows[i].path), rows[i].good) : lchown(in_root(rows[i].path), 0, 0), 0);
	}
	check_load(NULL, 0, "", "step=3072 reserve=0+0% tolerance=1024 plenty=0+10% buffer=30 ");
}

/* Over what was set before, and again and again. */
static void test_reload(void **state)
{
	struct conf c;

	(void)state;
	assert_int_equal(conf_init(&c), 0);
	assert_int_equal(conf_set(&c, "exclude", "x"), 0);
	put("etc/memsched.conf", "uri = test:///default\nexclude = a b\nlog = journal\n");
	assert_int_equal(load(&c, NULL), 0);
	assert_int_equal(load(&c, NULL), 0);
	assert_string_equal(c.uri, "test:///default");
	assert_string_equal(c.exclude, "a b");
	assert_string_equal(c.log, "journal");
	put("etc/memsched.conf", "uri = other\nexclude =\nstep = 0\n");
	assert_int_equal(load(&c, NULL), -EINVAL);
	assert_string_equal(c.uri, "test:///default");
	assert_string_equal(c.exclude, "a b");
	put("etc/memsched.conf", "exclude =\n");
	assert_int_equal(load(&c, NULL), 0);
	assert_string_equal(c.uri, "test:///default");
	assert_null(c.exclude);
	conf_clear(&c);
}

/* How each key got its value, one a line; keys that have their defaults are left out. */
static const char *origins(const struct conf *c)
{
	static char text[4096];
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < CONF_KEYS; i++) {
		const char *where = c->origin[i].where;

		if (where && strncmp(where, root, strlen(root)) == 0)
			where += strlen(root);
		if (c->origin[i].value)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s=%s %s\n", conf_keys()[i].name,
			                      c->origin[i].value, where ? where : "option");
		else
			assert_null(where);
	}
	return text;
}

static void test_origins(void **state)
{
	struct conf c;

	(void)state;
	assert_int_equal(conf_init(&c), 0);
	assert_string_equal(origins(&c), "");
	put("etc/memsched.conf", "tagret = 1\nstep = 1 MiB\nexclude = a  b # c\nreserve =\n");
	assert_int_equal(mkdir(in_root("etc/memsched.conf.d"), 0700), 0);
	put("etc/memsched.conf.d/a\x1b.conf", "\nsettle = 5\n");
	assert_int_equal(load(&c, NULL), 0);
	assert_int_equal(conf_set(&c, "step", "2MiB"), 0);
	assert_int_equal(conf_set(&c, "exclude", "\n"), -EINVAL); /* stays as it was */
	assert_string_equal(origins(&c),
	                    "step=2MiB option\nreserve= " IN ":4\nsettle=5 /etc/memsched.conf.d/a\\x1B.conf:2\n"
	                    "exclude=a  b " IN ":3\n");
	/* warnings are of the last good load, origins last as long as their values */
	assert_int_equal(c.n_warnings, 1);
	put("etc/memsched.conf", "step = x\n");
	assert_int_equal(load(&c, NULL), -EINVAL);
	assert_int_equal(c.n_warnings, 1);
	put("etc/memsched.conf", "step = 3MiB\n");
	assert_int_equal(load(&c, NULL), 0);
	assert_int_equal(c.n_warnings, 0);
	assert_non_null(strstr(origins(&c), "step=3MiB " IN ":1\nreserve= " IN ":4\n"));
	conf_clear(&c);
}

static void test_amounts(void **state)
{
	static const struct {
		const char *target, *reserve;
		uint64_t maximum_kib, total_kib;
		uint64_t target_kib, reserve_kib;
	} rows[] = {
	    {"150000KiB", "", 1048576, 16777216, 150000, 300000},
	    {"150000KiB", "", 1048576, 38400000, 150000, 300000},
	    {"150000KiB", "", 1048576, 38400128, 150000, 300001},
	    {"150000KiB", "", 1048576, 134217728, 150000, 1048576},
	    {"1GiB", "", 1048576, 16777216, 1048576, 2097152},
	    {"10%", "", 1048576, 16777216, 104857, 300000},
	    {"10%", "", UINT64_MAX, UINT64_MAX, UINT64_MAX / 10, UINT64_MAX / 128},
	    {"1%", "", 10240, 0, 1024, 300000},
	    {"10%", "", 0, 0, 1024, 300000},
	    {"150000KiB", "1GiB", 0, 16777216, 150000, 1048576},
	    {"150000KiB", "5%", 0, 16777216, 150000, 838860},
	    {"1GiB", "90%", 0, UINT64_MAX, 1048576, 16602069666338596453u},
	    {"9007199254740991", "", 0, 0, 9007199254740991, 18014398509481982},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct conf c;

		assert_int_equal(conf_init(&c), 0);
		assert_int_equal(conf_set(&c, "target", rows[i].target), 0);
		assert_int_equal(conf_set(&c, "reserve", rows[i].reserve), 0);
		assert_int_equal(conf_target_kib(&c, rows[i].maximum_kib), rows[i].target_kib);
		assert_int_equal(conf_reserve_kib(&c, rows[i].total_kib), rows[i].reserve_kib);
		conf_clear(&c);
	}
}

/* What is set is checked against the host; what is a share of something, or a default, is not. */
static void test_check(void **state)
{
	static const struct {
		const char *key, *value;
		uint64_t host_kib;
		const char *error, *warning; /* NULL: none */
	} rows[] = {
	    {"reserve", "", 1024, NULL, NULL},
	    {"reserve", "90%", 1024, NULL, NULL},
	    {"reserve", "200G", 25165824, "bad value '200G' for '--reserve': more than 90% of the host's 24 GiB", NULL},
	    {"reserve", "943718", 1048576, NULL, NULL},
	    {"reserve", "943719", 1048576, "bad value '943719' for '--reserve': more than 90% of the host's 1 GiB",
	     NULL},
	    {"step", "1GiB", 1048576, "bad value '1GiB' for '--step': more than 90% of the host's 1 GiB", NULL},
	    {"tolerance", "1GiB", 1048576, "bad value '1GiB' for '--tolerance': more than 90% of the host's 1 GiB",
	     NULL},
	    {"target", "8192", 1048576, NULL,
	     "value '8192' for '--target' is only 8 MiB: a number without a unit is KiB"},
	    {"reserve", "16383", 1048576, NULL, "value '16383' for '--reserve' is only 16 MiB: a number"},
	    {"reserve", "16384", 1048576, NULL, NULL},
	    {"tolerance", "5000", 1048576, NULL, NULL}, /* which is small */
	    {"interval", "1s", 1, NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct conf c;
		int r;

		assert_int_equal(conf_init(&c), 0);
		assert_int_equal(conf_set(&c, rows[i].key, rows[i].value), 0);
		said[0] = '\0';
		r = conf_check(&c, rows[i].host_kib, hear, said);
		assert_int_equal(r, rows[i].error ? -ERANGE : 0);
		said[strcspn(said, "\n")] = '\0';
		assert_string_equal(*said ? said + strlen("error ") : said, rows[i].error ? rows[i].error : "");
		assert_int_equal(c.n_warnings, rows[i].warning ? 1 : 0);
		if (rows[i].warning)
			assert_non_null(strstr(c.warning[0], rows[i].warning));
		said[0] = '\0';
		assert_int_equal(conf_check_host(&c, rows[i].host_kib, hear, said), rows[i].error ? -ERANGE : 0);
		assert_int_equal(*said != '\0', rows[i].error != NULL);
		said[0] = '\0';
		assert_int_equal(conf_check(&c, CONF_HOST_UNKNOWN, hear, said), 0);
		assert_string_equal(said, "");
		assert_int_equal(c.n_warnings, rows[i].warning ? 2 : 0);
		conf_clear(&c);
	}
}

static void test_excludes(void **state)
{
	static const struct {
		const char *patterns, *name;
		bool excluded;
	} rows[] = {
	    {"", "vm1", false},           {"", "", false},
	    {", ,", "", false},           {"vm1", "vm1", true},
	    {"vm1", "vm11", false},       {"vm1", "VM1", false},
	    {"vm1", "", false},           {"vm*", "vm11", true},
	    {"vm*", "svm", false},        {"vm?", "vm1", true},
	    {"vm?", "vm11", false},       {"vm[12]", "vm2", true},
	    {"vm[12]", "vm3", false},     {"vm\\[12\\]", "vm[12]", true},
	    {"vm[12", "vm[12", true},     {"a b,c ,\td", "a", true},
	    {"a b,c ,\td", "b", true},    {"a b,c ,\td", "c", true},
	    {"a b,c ,\td", "d", true},    {"a b,c ,\td", "e", false},
	    {"a b,c ,\td", "a b", false}, {"a?b", "a b", true},
	    {"*", "anything", true},      {"*", ".hidden", true},
	    {"*", "a/b", true},           {"*", "", true},
	    {"*x", "new\nline x", true},  {"*x", "\xff\xfe\x9bx", true},
	    {"-rf", "-rf", true},         {"..", "..", true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct conf c;

		assert_int_equal(conf_init(&c), 0);
		assert_int_equal(conf_set(&c, "exclude", rows[i].patterns), 0);
		if (conf_excludes(&c, rows[i].name) != rows[i].excluded)
			fail_msg("'%s' '%s'", rows[i].patterns, rows[i].name);
		conf_clear(&c);
	}
}

/* ---- the table, the default file and the manual say the same ---- */

static char *read_source(const char *path, char *text, size_t size)
{
	const char *directory = getenv("SRCDIR");
	char full[PATH_MAX];
	size_t n;
	FILE *f;

	snprintf(full, sizeof(full), "%s/%s", directory ? directory : ".", path);
	f = fopen(full, "r");
	if (!f)
		fail_msg("cannot read %s", full);
	n = fread(text, 1, size - 1, f);
	fclose(f);
	text[n] = '\0';
	return text;
}

/* "#key = default" at the start of a line; nothing behind the = where the default is empty. */
static void setting(char *line, size_t size, const struct conf_key *key)
{
	snprintf(line, size, "\n#%s =%s%s\n", key->name, *key->value ? " " : "", key->value);
}

static void test_default_file(void **state)
{
	static char text[65536];
	size_t keys = 0, settings = 0;

	(void)state;
	read_source("man/memsched.conf", text, sizeof(text));
	for (const struct conf_key *key = conf_keys(); key->name; key++, keys++) {
		char line[128];

		setting(line, sizeof(line), key);
		if (!strstr(text, line))
			fail_msg("man/memsched.conf has no line '%s'", line + 1);
	}
	for (char *line = text; *line; line += strcspn(line, "\n") + 1) {
		if (*line != '#' && *line != '\n')
			fail_msg("man/memsched.conf sets something: %.40s", line);
		if (*line == '#' && line[1] != ' ' && line[1] != '\n') {
			*line = ' ';
			settings++;
		}
	}
	assert_int_equal(settings, keys);
	put("etc/memsched.conf", text);
	check_load(NULL, 0, "", DEFAULTS);
}

static void check_entry(const struct conf_key *key, const char *entry)
{
	const char *end = strstr(entry + 1, "\n.It ");
	const char *const words[] = {key->value, key->least, key->most};
	char text[4096];

	snprintf(text, sizeof(text), "%.*s", end ? (int)(end - entry) : 4000, entry);
	for (size_t i = 0; i < COUNT(words); i++)
		if (words[i] && !strstr(text, words[i]))
			fail_msg("memsched.conf.5: %s: no word of '%s'", key->name, words[i]);
}

static void check_key(const struct conf_key *key, const char *text)
{
	char item[64];
	const char *entry;

	snprintf(item, sizeof(item), "\n.It Cm %s No = ", key->name);
	entry = strstr(text, item);
	if (!entry)
		fail_msg("memsched.conf.5 has no entry of '%s'", key->name);
	else
		check_entry(key, entry);
}

static void test_manual(void **state)
{
	static char text[65536];

	(void)state;
	read_source("man/memsched.conf.5", text, sizeof(text));
	for (const struct conf_key *key = conf_keys(); key->name; key++)
		check_key(key, text);
	for (const struct conf_key *key = section_keys; key->name; key++)
		check_key(key, strstr(text, ".Ss Sections for guests"));
	for (const char *at = text; (at = strstr(at, "\n.It Cm ")); at++) {
		char name[64] = "";
		bool known;

		sscanf(at, "\n.It Cm %63s No =", name);
		known = conf_form(name);
		for (size_t i = 0; i < HINT_COUNT; i++)
			known |= !strcmp(section_keys[i].name, name);
		if (!known)
			fail_msg("memsched.conf.5: there is no key '%s'", name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_defaults),
	    cmocka_unit_test(test_set),
	    cmocka_unit_test(test_long_values),
	    cmocka_unit_test(test_forms),
	    cmocka_unit_test_teardown(test_files, empty_root),
	    cmocka_unit_test_teardown(test_section_files, empty_root),
	    cmocka_unit_test_teardown(test_sections, empty_root),
	    cmocka_unit_test_teardown(test_sizes, empty_root),
	    cmocka_unit_test_teardown(test_drop_ins, empty_root),
	    cmocka_unit_test_teardown(test_odd_files, empty_root),
	    cmocka_unit_test_teardown(test_others, empty_root),
	    cmocka_unit_test_teardown(test_reload, empty_root),
	    cmocka_unit_test_teardown(test_origins, empty_root),
	    cmocka_unit_test(test_amounts),
	    cmocka_unit_test(test_check),
	    cmocka_unit_test(test_excludes),
	    cmocka_unit_test(test_what_names_a_complaint),
	    cmocka_unit_test_teardown(test_default_file, empty_root),
	    cmocka_unit_test(test_manual),
	};

	umask(022);
	return cmocka_run_group_tests_name("conf", tests, make_root, remove_root);
}
