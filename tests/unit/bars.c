/* SPDX-License-Identifier: MIT */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/text.h"
#include "base/units.h"
#include "cli/bars.h"

#define NOTHING SIZE_MAX
#define MIB(n) ((n)*UINT64_C(1024))

#define SIZED(called, actual, most)                                                                                    \
	.name = (char *)(uintptr_t)(called), .answered = true,                                                         \
	.sample = {.have = SAMPLE_ACTUAL, .actual_kib = MIB(actual)}, .device.maximum_kib = MIB(most)
#define USES(used, has_free) .est = {.has_used = true, .used_kib = MIB(used), .free_kib = MIB(has_free)}
#define WANTS(want, why) .plan.want_kib = MIB(want), .plan.reason = REASON_##why
#define ALONE(why) .plan.fixed = true, .plan.reason = REASON_##why

static struct guest guests[] = {
    {SIZED("alpha", 384, 768), USES(192, 192), WANTS(338, ABOVE_TARGET)},
    {SIZED("beta", 200, 2048), USES(190, 10), WANTS(340, BELOW_TARGET)},
    {SIZED("full", 1024, 1024), USES(1024, 0), WANTS(1024, AT_MAX)},
    {SIZED("mute", 512, 1024), ALONE(NO_DRIVER)},
    {.name = (char *)(uintptr_t) "hung", ALONE(UNRESPONSIVE)},
    {SIZED("-rf \xc2\x9b\x32J\n", 1, 512), USES(1, 0), WANTS(1, AT_MIN)},
    {SIZED("\xe4\xbb\xae\xe6\x83\xb3\xe8\xa8\x88\xe7\xae\x97\xe6\xa9\x9f", 512, 512), USES(500, 12),
     WANTS(512, SHARED_SHORTAGE)},
};

static const struct host host = {
    .total_kib = MIB(16384),
    .available_kib = MIB(4096),
    .free_kib = MIB(1000),
    .buffers_kib = MIB(10),
    .cached_kib = MIB(100),
    .has_pressure = true,
    .pressure_some_avg10_centi = 5,
};

static struct balance_report report_of(size_t n)
{
	return (struct balance_report){.guest = guests, .n = n, .host = host, .reserve_kib = MIB(1024)};
}

#define VIEW(r, c) .rows = (r), .columns = (c), .clock = "14:03:22", .no_guest = "no guest is running"

/* not inlined: gcc would take what open_memstream allocated for the stack's */
__attribute__((noinline)) static char *written(const struct bars_view *view, const struct balance_report *report)
{
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	bars_write(out, view, report);
	fclose(out);
	return text;
}

/* ---- whole screens ---- */

#define LONG                                                                                                           \
	"cannot ask libvirt at 'qemu:///system': Failed to connect socket to '/run/libvirt/libvirt-sock': No such "    \
	"file or directory, and so on, and so on"

static const char *const courses[] = {"▁▁▂▃▄▅▆▇█▇▆▅▄▃▂▁▁▁▂▃▄▅▆▇", "", "", "", "", "", ""};

static const struct {
	struct bars_view view;
	size_t n; /* guests; NOTHING: no report */
	const char *text;
} screens[] = {
    /* bars rounded to cells, the mark of the reserve, unknown use, no answer, escapes and dots */
    {{VIEW(14, 80)},
     6,
     "Host             ###################################========|==  12G of 16G used\n"
     "available 4G  reserve 1G  pressure 0.05%  promised 0K          by name  14:03:22\n"
     "\n"
     "6 guests         # used = free . away    Used Actual Maximum  Want  Reason\n"
     "alpha            ######=====...........  192M   384M    768M  338M  above-target\n"
     "beta             ##....................  190M   200M      2G  340M  below-target\n"
     "full             ######################    1G     1G      1G    1G  at-max\n"
     "mute             -----------...........     -   512M      1G     -  no-driver\n"
     "hung                                        -      -       -     -  unresponsive\n"
     "-rf \\xC...2J\\x0A #.....................    1M     1M    512M    1M  at-min\n"
     "\n"
     "\n"
     "\n"
     "                                        q quit  s sort  Up Down PgUp PgDn scroll\n"},
    /* the line that says it all, in the form that fits; none on a low terminal */
    {{VIEW(10, 30), .status = "2 guests: more than the terminal is wide", .brief = "2 guests: brief"},
     0,
     "2 guests: brief\n"
     "Host     ################===|=\n"
     "available 4G          14:03:22\n"
     "0 guests                Actual\n"
     "no guest is running\n"
     "\n"
     "\n"
     "\n"
     "\n"
     "                q quit  s sort\n"},
    {{VIEW(9, 30), .status = "2 guests", .brief = "2 guests"},
     0,
     "Host     ################===|=\n"
     "available 4G          14:03:22\n"
     "0 guests                Actual\n"
     "no guest is running\n"
     "\n"
     "\n"
     "\n"
     "\n"
     "                q quit  s sort\n"},
    /* a message that is wrapped, wide letters, and figures in plenty */
    {{VIEW(16, 120), .utf8 = true, .message = LONG},
     7,
     "Host               ███████████████████████████████████████████████████████████████░░░░░░░░░░░░░░░│░░░░░  12G of "
     "16G used\n"
     "available 4G  reserve 1G  pressure 0.05%  promised 0K  free 1000M  buffers 10M  cached 100M            by name  "
     "14:03:22\n"
     "cannot ask libvirt at 'qemu:///system': Failed to connect socket to '/run/libvirt/libvirt-sock': No such file "
     "or\n"
     "directory, and so on, and so on\n"
     "7 guests           █ used  ░ free  · ballooned away                     Used  Free Actual Maximum  Want  Reason\n"
     "alpha              █████████████░░░░░░░░░░░░░·························  192M  192M   384M    768M  338M  "
     "above-target\n"
     "beta               █████··············································  190M   10M   200M      2G  340M  "
     "below-target\n"
     "full               ███████████████████████████████████████████████████    1G    0K     1G      1G    1G  at-max\n"
     "mute               ──────────────────────────·························     -     -   512M      1G     -  "
     "no-driver\n"
     "hung                                                                       -     -      -       -     -  "
     "unresponsive\n"
     "-rf \\xC2\\x9B2J\\x0A █··················································    1M    0K     1M    512M    1M  "
     "at-min\n"
     "仮想計算機         ██████████████████████████████████████████████████░  500M   12M   512M    512M  512M  "
     "shared-shortage\n"
     "\n"
     "\n"
     "\n"
     "                                                                                     q quit  s sort  ↑↓ PgUp "
     "PgDn scroll\n"},
    /* with what they used, if there is room */
    {{VIEW(9, 120), .utf8 = true, .first = 5, .sparks = courses},
     7,
     "Host               ███████████████████████████████████████████████████████████████░░░░░░░░░░░░░░░│░░░░░  12G of "
     "16G used\n"
     "available 4G  reserve 1G  pressure 0.05%  promised 0K  free 1000M  buffers 10M  cached 100M            by name  "
     "14:03:22\n"
     "7 guests           █ used ░ free · away       Used in 24 h              Used  Free Actual Maximum  Want  Reason\n"
     "-rf \\xC2\\x9B2J\\x0A █························· ▁▁▂▃▄▅▆▇█▇▆▅▄▃▂▁▁▁▂▃▄▅▆▇    1M    0K     1M    512M    1M  "
     "at-min\n"
     "仮想計算機         █████████████████████████░                           500M   12M   512M    512M  512M  "
     "shared-shortage\n"
     "\n"
     "\n"
     "\n"
     "… 5 above                                                                            q quit  s sort  ↑↓ PgUp "
     "PgDn scroll\n"},
    {{VIEW(2, 119), .sparks = courses},
     1,
     "Host     ######################################################################=================|=====  12G of "
     "16G used\n"
     "alpha    ################================...............................  192M  192M   384M    768M  338M  "
     "above-target\n"},
    /* narrow and low: figures and lines go; what is cut is said, and what is above */
    {{VIEW(10, 40), .first = 1},
     7,
     "Host     ###########==|  12G of 16G used\n"
     "available 4G           by name  14:03:22\n"
     "7 guests # used = free . away     Actual\n"
     "beta     ##......................   200M\n"
     "full     ########################     1G\n"
     "mute     ------------............   512M\n"
     "hung                                   -\n"
     "-rf...0A #.......................     1M\n"
     "\\xE...9F #######################=   512M\n"
     "... 1 above               q quit  s sort\n"},
    /* bars and nothing else */
    {{VIEW(5, 20), .utf8 = true},
     7,
     "Host     ████████░░│\n"
     "alpha    ███░░░·····\n"
     "beta     █··········\n"
     "full     ███████████\n"
     "… 4 more      q quit\n"},
    /* a message is worth a line */
    {{VIEW(5, 30), .message = LONG},
     7,
     "Host     ################===|=\n"
     "cannot ask libvirt at 'qemu...\n"
     "alpha    ####===.......   384M\n"
     "beta     #.............   200M\n"
     "... 5 more      q quit  s sort\n"},
    {{VIEW(1, 10)}, 1, "alpha    #\n"},
    /* no guest, in another order */
    {{VIEW(7, 60), .order = BARS_BY_USED},
     0,
     "Host     ##########################=====|==  12G of 16G used\n"
     "available 4G  reserve 1G  pressure 0.05%   by used  14:03:22\n"
     "0 guests # used  = free  . ballooned away             Actual\n"
     "no guest is running\n"
     "\n"
     "\n"
     "\n"},
    /* nothing read yet */
    {{VIEW(4, 40), .message = "asking libvirt"},
     NOTHING,
     "asking libvirt\n"
     "\n"
     "\n"
     "\n"},
};

static void test_screens(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(screens); i++) {
		struct balance_report report = report_of(screens[i].n);
		char *text;

		if (!setlocale(LC_ALL, screens[i].view.utf8 ? "C.UTF-8" : "C"))
			skip();
		text = written(&screens[i].view, screens[i].n == NOTHING ? NULL : &report);
		if (strcmp(text, screens[i].text) != 0) {
			fputs(text, stderr); /* more than fail_msg takes */
			fail_msg("screen %zu", i);
		}
		free(text);
	}
}

/* ---- every size ---- */

static const char *const messages[] = {NULL, "short", LONG};

/* Each line stays on its own, and there are as many as the terminal has. */
static void check_size(const struct bars_view *view, const struct balance_report *report)
{
	char *text = written(view, report), *line = text;
	unsigned lines = 0;

	for (char *end; (end = strchr(line, '\n')); line = end + 1, lines++) {
		*end = '\0';
		if (text_width(line) > view->columns)
			fail_msg("%ux%u: %zu columns: %s", view->columns, view->rows, text_width(line), line);
		for (const char *c = line; *c; c++)
			if ((unsigned char)*c < 0x20 || *c == 0x7f || (!view->utf8 && *c & 0x80))
				fail_msg("%ux%u: byte %02x: %s", view->columns, view->rows, (unsigned char)*c, line);
	}
	if (*line || lines != view->rows)
		fail_msg("%ux%u: %u lines, then '%s'", view->columns, view->rows, lines, line);
	free(text);
}

static void check_sizes(bool utf8)
{
	for (unsigned rows = 1; rows <= 26; rows += rows < 8 ? 1 : 3)
		for (unsigned columns = 1; columns <= 210; columns += columns < 90 ? 1 : 7)
			for (size_t n = 0; n <= COUNT(guests); n += 7)
				for (size_t m = 0; m < COUNT(messages); m++) {
					struct balance_report report = report_of(n);
					const struct bars_view view = {VIEW(rows, columns), .utf8 = utf8,
					                               .message = messages[m],
					                               .sparks = utf8 ? courses : NULL};

					check_size(&view, &report);
					check_size(&view, NULL);
				}
}

static void test_sizes(void **state)
{
	(void)state;
	assert_non_null(setlocale(LC_ALL, "C"));
	check_sizes(false);
	if (!setlocale(LC_ALL, "C.UTF-8"))
		skip();
	check_sizes(true);
}

/* What is seen at once, and what is said of the rest, are all guests; scrolled to any place. */
static void test_scroll(void **state)
{
	struct balance_report report = report_of(COUNT(guests));

	(void)state;
	for (unsigned rows = 4; rows < 14; rows++)
		for (size_t first = 0; first <= report.n; first++) {
			const struct bars_view view = {VIEW(rows, 40), .first = first};
			size_t room = bars_room(&view, &report), most = report.n > room ? report.n - room : 0, more,
			       above = 0;
			char *text = written(&view, &report), *cut = strstr(text, "... ");

			if (first > most) {
				free(text);
				break;
			}
			more = report.n - first > room ? report.n - first - room : 0;
			cut = strrchr(text, '\n');
			*cut = '\0';
			cut = strrchr(text, '\n') + 1;
			if (more && first)
				assert_int_equal(sscanf(cut, "... %zu more, %zu above", &more, &above), 2);
			else if (more)
				assert_int_equal(sscanf(cut, "... %zu more", &more), 1);
			else if (first)
				assert_int_equal(sscanf(cut, "... %zu above", &above), 1);
			assert_int_equal(above, first);
			assert_int_equal(more, report.n - first > room ? report.n - first - room : 0);
			free(text);
		}
}

/* ---- names ---- */

#define INSTANCE "instance-0000001"
#define WIDE "\xe4\xbb\xae\xe6\x83\xb3\xe8\xa8\x88\xe7\xae\x97\xe6\xa9\x9f"

/* Two that differ in their last character alone, whatever is cut. */
static const struct {
	unsigned columns;
	bool utf8;
	const char *one, *other, *shown, *shown_other;
} pairs[] = {
    {80, true, INSTANCE "a", INSTANCE "b", "instance…000001a ", "instance…000001b "},
    {80, false, INSTANCE "a", INSTANCE "b", "instanc...00001a ", "instanc...00001b "},
    {100, false, INSTANCE "a", INSTANCE "b", INSTANCE "a ", INSTANCE "b "},
    {40, false, INSTANCE "a", INSTANCE "b", "ins...1a ", "ins...1b "},
    {40, true, INSTANCE "a", INSTANCE "b", "inst…01a ", "inst…01b "},
    {40, true, WIDE "a", WIDE "b", "仮想…機a ", "仮想…機b "},
    {40, true, "a" WIDE, "b" WIDE, "a仮…機   ", "b仮…機   "},
};

static void test_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(pairs); i++) {
		struct guest two[] = {guests[0], guests[0]};
		struct balance_report report = {.guest = two, .n = 2, .host = host};
		const struct bars_view view = {VIEW(9, pairs[i].columns), .utf8 = pairs[i].utf8};
		char *text;

		if (!setlocale(LC_ALL, view.utf8 ? "C.UTF-8" : "C"))
			skip();
		two[0].name = (char *)(uintptr_t)pairs[i].one;
		two[1].name = (char *)(uintptr_t)pairs[i].other;
		text = written(&view, &report);
		if (!strstr(text, pairs[i].shown) || !strstr(text, pairs[i].shown_other)) {
			fputs(text, stderr);
			fail_msg("names %zu", i);
		}
		free(text);
	}
}

/* Color adds its escapes and nothing else, and ends what it began before the line does. */
static void test_color(void **state)
{
	struct balance_report report = report_of(COUNT(guests));
	struct bars_view view = {VIEW(24, 80), .message = LONG};
	char *plain, *text;
	bool on = false;
	size_t n = 0;

	(void)state;
	assert_non_null(setlocale(LC_ALL, "C"));
	plain = written(&view, &report);
	assert_null(strchr(plain, '\033'));
	view.color = true;
	text = written(&view, &report);
	for (char *from = text; *from;) {
		if (*from == '\033') {
			size_t length = strcspn(from, "m") + 1;

			on = strncmp(from, "\033[0m", length) != 0;
			from += length;
			continue;
		}
		assert_false(*from == '\n' && on);
		text[n++] = *from++;
	}
	text[n] = '\0';
	assert_string_equal(text, plain);
	free(plain);
	free(text);
}

/* ---- order ---- */

static const struct {
	enum bars_order order;
	const char *word, *names; /* initials */
} orders[] = {
    {BARS_BY_NAME, "name", "-abfhm\xe4"},
    {BARS_BY_USED, "used",
     "f\xe4"
     "ab-hm"},
    {BARS_BY_FREE, "free",
     "-fb\xe4"
     "ahm"},
    {BARS_BY_WANT, "want",
     "b-f\xe4"
     "ahm"},
    {BARS_BY_REASON, "reason",
     "h\xe4"
     "ba-fm"},
};

/* Whatever stood first. */
static void check_order(enum bars_order order, const char *expected)
{
	struct guest copy[COUNT(guests)];
	struct balance_report report = {.guest = copy, .n = COUNT(guests)};

	for (size_t turn = 0; turn < COUNT(guests); turn++) {
		char names[COUNT(guests) + 1] = "";

		for (size_t g = 0; g < COUNT(guests); g++)
			copy[g] = guests[(g + turn) % COUNT(guests)];
		bars_sort(&report, order);
		for (size_t g = 0; g < COUNT(guests); g++)
			names[g] = copy[g].name[0];
		assert_string_equal(names, expected);
	}
}

static void check_word(enum bars_order order, const char *word)
{
	struct balance_report report = report_of(1);
	const struct bars_view view = {VIEW(24, 80), .order = order, .given = "-rss"};
	char *text = written(&view, &report), by[32];

	snprintf(by, sizeof(by), " by %s  14:03:22\n", word);
	assert_non_null(strstr(text, by));
	free(text);
}

static void test_orders(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(orders); i++) {
		check_order(orders[i].order, orders[i].names);
		check_word(orders[i].order, orders[i].word);
	}
	check_word(BARS_AS_GIVEN, "-rss");
}

static void test_as_given(void **state)
{
	struct guest copy[] = {guests[2], guests[0], guests[1]};
	struct balance_report report = {.guest = copy, .n = COUNT(copy)};

	(void)state;
	bars_sort(&report, BARS_AS_GIVEN);
	for (size_t i = 0; i < COUNT(copy); i++)
		assert_string_equal(copy[i].name, guests[(i + 2) % 3].name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_screens),  cmocka_unit_test(test_sizes), cmocka_unit_test(test_scroll),
	    cmocka_unit_test(test_names),    cmocka_unit_test(test_color), cmocka_unit_test(test_orders),
	    cmocka_unit_test(test_as_given),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
