/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "folder.h"
#include "host/setup.h"

#define HOOK "/etc/libvirt/hooks/qemu.d/memsched"
#define HELPER "/usr/sbin/memsched-hook"
#define HOOK_TEXT "#!/bin/sh\nhelper=" HELPER "\n[ -x \"$helper\" ] && \"$helper\"\nexit 0\n"

static char root[FOLDER_BYTES];

static int set_up(void **state)
{
	(void)state;
	return folder_make(root, "setup");
}

static int tear_down(void **state)
{
	(void)state;
	return folder_remove(root);
}

static const char *below(const char *path)
{
	static char full[256];

	snprintf(full, sizeof(full), "%s%s", root, path);
	return full;
}

/* With the directories that it is in. */
static void put(const char *path, const char *text, mode_t mode)
{
	char folder[256];
	FILE *f;

	snprintf(folder, sizeof(folder), "%s", below(path));
	for (char *slash = strchr(folder + strlen(root) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(folder, 0755);
		*slash = '/';
	}
	f = fopen(below(path), "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(below(path), mode), 0);
}

static struct setup read_with(const struct conf *conf)
{
	struct setup s;

	setup_read(root, conf, &s);
	return s;
}

static struct setup read_now(void)
{
	return read_with(&(struct conf){.interval_ms = 1});
}

static void test_nothing_is_there(void **state)
{
	struct setup s = read_now();

	(void)state;
	assert_string_equal(s.hook, "");
	assert_false(s.hook_runs || s.has_helper || s.cron || s.timer || s.loop || s.guard || s.zram || s.fills_up);
	assert_int_equal(s.daemon_began_s, 0);
	assert_int_equal(s.on_critical | s.log | s.textfile, 0);
}

static void test_hook(void **state)
{
	struct setup s;

	(void)state;
	put("/etc/libvirt/hooks/qemu", "#!/bin/sh\nsome other hook\n", 0755);
	assert_string_equal(read_now().hook, "");
	put("/etc/libvirt/hooks/qemu", HOOK_TEXT, 0755);
	assert_string_equal(read_now().hook, "/etc/libvirt/hooks/qemu");
	put(HOOK, HOOK_TEXT, 0644);
	s = read_now();
	assert_string_equal(s.hook, HOOK);
	assert_false(s.hook_runs || s.has_helper);
	put(HOOK, HOOK_TEXT, 0755);
	put(HELPER, "", 0644);
	s = read_now();
	assert_true(s.hook_runs && !s.has_helper && s.hook_changed_s > 0);
	put(HELPER, "", 0755);
	assert_true(read_now().has_helper);
	put("/run/virtqemud.pid", "1\n", 0644);
	assert_true(read_now().daemon_began_s > 0);
}

static void test_what_is_enabled(void **state)
{
	(void)state;
	put("/etc/cron.d/memsched", "# membalance\n#* * * * * root membalance\n", 0644);
	assert_false(read_now().cron);
	put("/etc/cron.d/memsched", "# membalance\n* * * * * root /usr/sbin/membalance --once\n", 0644);
	assert_true(read_now().cron);
	put("/etc/systemd/system/timers.target.wants/x", "", 0644);
	assert_int_equal(symlink("/nowhere", below("/etc/systemd/system/timers.target.wants/membalance-once.timer")),
	                 0);
	assert_true(read_now().timer);
	put("/etc/systemd/system/multi-user.target.wants/membalance.service", "", 0644);
	put("/etc/systemd/system/multi-user.target.wants/memguard.service", "", 0644);
	assert_true(read_now().loop && read_now().guard);
	put("/proc/swaps", "Filename Type Size Used Priority\n/dev/zram0 partition 8 0 100\n", 0444);
	assert_true(read_now().zram);
}

static void test_khugepaged(void **state)
{
	(void)state;
	put("/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n", 0644);
	assert_false(read_now().fills_up);
	put("/sys/kernel/mm/transparent_hugepage/khugepaged/max_ptes_none", "511\n", 0644);
	assert_true(read_now().fills_up);
	put("/sys/kernel/mm/transparent_hugepage/khugepaged/max_ptes_none", "0\n", 0644);
	assert_false(read_now().fills_up);
	put("/sys/kernel/mm/transparent_hugepage/khugepaged/max_ptes_none", "1\n", 0644);
	assert_true(read_now().fills_up);
	put("/sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n", 0644);
	assert_false(read_now().fills_up);
}

static void test_what_the_configuration_names(void **state)
{
	char command[300], log[300], textfile[300];
	const struct conf conf = {.on_critical = command, .log = log, .textfile = textfile};

	(void)state;
	snprintf(command, sizeof(command), "%s with words", below("/alarm"));
	snprintf(log, sizeof(log), "%s", below("/logs/moves"));
	snprintf(textfile, sizeof(textfile), "%s", below("/prom/m.prom"));
	assert_int_equal(read_with(&conf).on_critical, -ENOENT);
	assert_int_equal(read_with(&conf).log, -ENOENT);
	assert_int_equal(read_with(&conf).textfile, -ENOENT);
	put("/alarm", "#!/bin/sh\n", 0644);
	assert_int_equal(read_with(&conf).on_critical, -EACCES);
	put("/alarm", "#!/bin/sh\n", 0755);
	put("/logs/x", "", 0644);
	put("/prom/x", "", 0644);
	assert_int_equal(read_with(&conf).on_critical, 0);
	assert_int_equal(read_with(&conf).log, 0);
	assert_int_equal(read_with(&conf).textfile, 0);
	assert_int_equal(mkdir(log, 0755), 0);
	assert_int_equal(read_with(&conf).log, -EMEDIUMTYPE);
	snprintf(log, sizeof(log), "journal");
	assert_int_equal(read_with(&conf).log, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_nothing_is_there, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_hook, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_what_is_enabled, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_khugepaged, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_what_the_configuration_names, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
