/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/units.h"
#include "show/doctor.h"

#define GIB(n) ((n)*UINT64_C(1048576))
#define NOW_S UINT64_C(1764338400)
#define NOW_MS UINT64_C(10000000)
#define N_GUESTS 7

/* A host on which all is well; each test plants its faults. */
static struct conf conf;
#define UUID "11111111-0000-4000-8000-000000000001"

static struct setup setup;
static struct guest guests[N_GUESTS];
static struct balance_report report;
static struct status status;
static struct examination examination;

static int set_up(void **state)
{
	static const char *const names[N_GUESTS] = {"db1", "db2", "db3", "db4", "db5", "db6", "web\n"};

	(void)state;
	conf = (struct conf){.interval_ms = 1000};
	setup = (struct setup){.hook = "/etc/libvirt/hooks/qemu.d/memsched",
	                       .hook_runs = true,
	                       .has_helper = true,
	                       .hook_changed_s = NOW_S - 100,
	                       .daemon_began_s = NOW_S - 50,
	                       .loop = true,
	                       .guard = true,
	                       .is_root = true};
	for (size_t i = 0; i < N_GUESTS; i++)
		guests[i] = (struct guest){.name = (char *)(uintptr_t)names[i],
		                           .uuid = UUID,
		                           .answered = true,
		                           .device = {.balloon = true, .period_s = 1, .reporting = true},
		                           .past = {.known = true, .still_ms = 1, .asked_ms = 1},
		                           .plan.reason = REASON_AT_TARGET};
	report = (struct balance_report){
	    .guest = guests,
	    .n = N_GUESTS,
	    .host = {.total_kib = GIB(64),
	             .available_kib = GIB(8),
	             .swap_kib = GIB(4),
	             .swap_free_kib = GIB(4),
	             .has_pressure = true},
	    .reserve_kib = GIB(1),
	};
	status = (struct status){.now_s = NOW_S,
	                         .has_pass = true,
	                         .pass = {.ended_s = NOW_S - 1, .interval_ms = 1000},
	                         .presence = GUARD_PRESENT,
	                         .guard = {.written_s = NOW_S, .since_s = NOW_S - 60}};
	examination = (struct examination){.conf = &conf,
	                                   .setup = &setup,
	                                   .report = &report,
	                                   .status = &status,
	                                   .now = {.now_ms = NOW_MS, .wall_ms = NOW_S * 1000}};
	return 0;
}

/* The findings that are no PASS. */
static struct finding faults[32];
static size_t n_faults, n_findings;

static void collect(void *arg, const struct finding *f)
{
	(void)arg;
	n_findings++;
	if (f->verdict != VERDICT_PASS && n_faults < COUNT(faults))
		faults[n_faults++] = *f;
}

static void examine(void)
{
	n_faults = n_findings = 0;
	doctor_examine(&examination, collect, NULL);
}

static void no_hook(void)
{
	setup.hook[0] = '\0';
}
static void hook_does_not_run(void)
{
	setup.hook_runs = false;
}
static void no_helper(void)
{
	setup.has_helper = false;
}
static void hook_after_daemon(void)
{
	setup.daemon_began_s = NOW_S - 100;
}
static void no_daemon_known(void)
{
	setup.daemon_began_s = 0;
}
static void odd_name(void)
{
	guests[6].plan.reason = REASON_STUCK;
}
static void libvirt_is_away(void)
{
	examination.report = NULL;
	examination.status = NULL;
	examination.failure = "cannot ask libvirt at 'qemu:///system': gone";
}
static void hangs(void)
{
	guests[1].hung = true;
}
static void no_balloon(void)
{
	guests[0].device.balloon = false;
}
static void no_driver(void)
{
	guests[0].plan.reason = guests[3].plan.reason = REASON_NO_DRIVER;
}
static void stale(void)
{
	guests[0].plan.reason = REASON_STALE_STATS;
}
static void no_period(void)
{
	guests[6].device.period_s = 0;
	guests[2].device.period_s = 11;
}
static void stuck(void)
{
	guests[0].plan.reason = REASON_STUCK;
}
static void moved(void)
{
	guests[0].past.asked_ms = NOW_MS - 100000;
	guests[0].past.still_ms = NOW_MS - 5000;
}
static void deflates(void)
{
	guests[0].device.autodeflate = true;
}
static void none_reports(void)
{
	for (size_t i = 0; i < N_GUESTS; i++)
		guests[i].device.reporting = false;
}
static void void_hint(void)
{
	guests[5].hints.voided = true;
}
static void pinned(void)
{
	guests[0].device.passthrough = true;
}
static void strict(void)
{
	guests[0].device.numa_bound = true;
}
static void lost_count(void)
{
	report.host.doubtful = "MemAvailable";
	report.host.doubtful_kib = GIB(166);
	report.host.allowed_kib = GIB(8);
}
static void short_host(void)
{
	report.host.available_kib = GIB(1) / 2;
}
static void small_reserve(void)
{
	report.reserve_kib = GIB(64) / 128 - 1;
}
static void large_reserve(void)
{
	report.reserve_kib = GIB(33);
	report.host.available_kib = GIB(40);
}
static void large_plenty(void)
{
	report.budget.plenty_kib = GIB(33);
}
static void no_swap(void)
{
	report.host.swap_kib = report.host.swap_free_kib = 0;
}
static void full_swap(void)
{
	report.host.swap_free_kib = GIB(1);
	setup.zram = true;
}
static void no_pressure(void)
{
	report.host.has_pressure = false;
}
static void much_merged(void)
{
	report.host.ksm_kib = GIB(9);
}
static void unused_huge_pages(void)
{
	report.host.hugetlb_kib = GIB(16);
	report.host.hugetlb_free_kib = GIB(5);
}
static void filled_up(void)
{
	setup.fills_up = true;
}
static void limited(void)
{
	report.host.limit_kib = GIB(32);
}
static void odd_conf(void)
{
	static char *warnings[] = {(char *)(uintptr_t) "/etc/memsched.conf:3: unknown key 'tagret'"};

	conf.warning = warnings;
	conf.n_warnings = 1;
}
static void foreign_state(void)
{
	report.unusable = -EPERM;
}
static void nothing_enabled(void)
{
	setup.loop = false;
}
static void three_enabled(void)
{
	setup.cron = setup.timer = true;
}
static void paused(void)
{
	status.paused_ms = 60000;
}
static void no_pass(void)
{
	status.has_pass = false;
}
static void old_pass(void)
{
	status.pass.ended_s = NOW_S - 3600;
}
static void guard_is_silent(void)
{
	status.presence = GUARD_SILENT;
}
static void no_guard(void)
{
	status.presence = GUARD_ABSENT;
	setup.guard = false;
}
static void dead_guard(void)
{
	status.presence = GUARD_ABSENT;
}
static void guard_is_tight(void)
{
	status.guard.level = GUARD_TIGHT;
}
static void no_command(void)
{
	conf.on_critical = (char *)(uintptr_t) "/usr/local/bin/alarm now";
	setup.on_critical = -ENOENT;
}
static void no_log(void)
{
	conf.log = (char *)(uintptr_t) "/var/log/memsched/moves";
	setup.log = -EACCES;
}
static void no_textfile(void)
{
	conf.textfile = (char *)(uintptr_t) "/var/lib/x/m.prom";
	setup.textfile = -ENOENT;
}

static const struct {
	void (*plant)(void);
	const char *group, *check;
	enum verdict verdict;
	const char *words; /* of the finding */
} rows[] = {
    {no_hook, "hook", "installed", VERDICT_WARN, "make install"},
    {hook_does_not_run, "hook", "executable", VERDICT_WARN, "'chmod 755 /etc/libvirt/hooks/qemu.d/memsched'"},
    {no_helper, "hook", "executable", VERDICT_WARN, "memsched-hook is missing"},
    {hook_after_daemon, "hook", "seen by libvirt", VERDICT_WARN, "'systemctl reload libvirtd'"},
    {no_daemon_known, "hook", "seen by libvirt", VERDICT_WARN, "'systemctl reload libvirtd'"},
    {libvirt_is_away, "guests", "libvirt", VERDICT_FAIL, "cannot ask libvirt at 'qemu:///system': gone"},
    {hangs, "guests", "answer", VERDICT_FAIL, "1 of 7 (db2) did not answer, "},
    {no_balloon, "guests", "balloon device", VERDICT_WARN, "1 of 7 (db1) have none"},
    {no_driver, "guests", "balloon driver", VERDICT_WARN, "2 of 7 (db1, db4) have never reported"},
    {stale, "guests", "statistics", VERDICT_WARN, "'virsh dommemstat db1'"},
    {no_period, "guests", "period", VERDICT_WARN, "2 of 7 (db3, web\\x0A) have no statistics period"},
    {no_period, "guests", "period", VERDICT_WARN, "'virsh dommemstat db3 --period 1 --live --config'"},
    {stuck, "guests", "balloon moves", VERDICT_WARN, "'memstat --explain db1'"},
    {odd_name, "guests", "balloon moves", VERDICT_WARN,
     "1 of 7 (web\\x0A) do not obey, or the host gets nothing back: 'memstat --explain " UUID "'"},
    {moved, "guests", "other movers", VERDICT_WARN, "1 of 7 (db1) have moved without being asked"},
    {deflates, "guests", "autodeflate", VERDICT_WARN, "autodeflate='off'"},
    {none_reports, "guests", "free page reporting", VERDICT_WARN, "7 of 7 (db1, db2, db3, db4, db5 and 2 more) keep"},
    {void_hint, "guests", "hints", VERDICT_WARN, "'memstat db6' says which"},
    {pinned, "guests", "pinned memory", VERDICT_WARN, "1 of 7 (db1)"},
    {strict, "guests", "NUMA binding", VERDICT_WARN, "1 of 7 (db1)"},
    {lost_count, "host", "figures", VERDICT_WARN,
     "MemAvailable is 166 GiB, but the other figures allow only 8 GiB, which is used instead: "},
    {short_host, "host", "available memory", VERDICT_FAIL, "512 MiB, less than the reserve of 1 GiB"},
    {small_reserve, "host", "reserve", VERDICT_WARN, "512 MiB is less than 1/128 of 64 GiB"},
    {large_reserve, "host", "reserve", VERDICT_WARN, "33 GiB is more than half of 64 GiB"},
    {large_plenty, "host", "plenty", VERDICT_WARN, "33 GiB is more than half of 64 GiB"},
    {no_swap, "host", "swap", VERDICT_WARN, "none: "},
    {full_swap, "host", "swap", VERDICT_WARN, "3 GiB of 4 GiB are in use, compressed in memory (zram)"},
    {no_pressure, "host", "pressure", VERDICT_WARN, "psi=1"},
    {much_merged, "host", "KSM", VERDICT_WARN, "9 GiB are merged"},
    {unused_huge_pages, "host", "huge pages", VERDICT_WARN, "5 GiB of 16 GiB"},
    {filled_up, "host", "khugepaged", VERDICT_WARN, "max_ptes_none' at each boot"},
    {limited, "host", "control groups", VERDICT_WARN, "32 GiB"},
    {odd_conf, "service", "configuration", VERDICT_WARN, "unknown key 'tagret'"},
    {foreign_state, "service", "/run/memsched", VERDICT_FAIL, "Operation not permitted"},
    {nothing_enabled, "service", "membalance", VERDICT_WARN, "'systemctl enable --now membalance.service'"},
    {three_enabled, "service", "membalance", VERDICT_WARN,
     "cron's line, membalance-once.timer, membalance.service: enable one alone"},
    {paused, "service", "last pass", VERDICT_WARN, "paused for another 60 s: 'membalance --resume' ends it"},
    {no_pass, "service", "last pass", VERDICT_WARN, "'membalance --once -v'"},
    {old_pass, "service", "last pass", VERDICT_FAIL, "60 min ago"},
    {guard_is_silent, "service", "memguard", VERDICT_FAIL, "'systemctl restart memguard'"},
    {no_guard, "service", "memguard", VERDICT_WARN, "does not run: 'systemctl enable --now memguard.service'"},
    {dead_guard, "service", "memguard", VERDICT_WARN, "though it is enabled: 'systemctl status memguard.service'"},
    {guard_is_tight, "service", "memguard", VERDICT_WARN, "tight for 60 s"},
    {no_command, "service", "on_critical", VERDICT_FAIL, "'/usr/local/bin/alarm now': No such file"},
    {no_log, "service", "log", VERDICT_FAIL, "'/var/log/memsched/moves': Permission denied"},
    {no_textfile, "service", "textfile", VERDICT_FAIL, "'/var/lib/x/m.prom': No such file"},
};

static void test_a_good_host_passes(void **state)
{
	(void)state;
	examine();
	assert_int_equal(n_faults, 0);
	assert_true(n_findings > 25);
}

static void test_each_fault_is_found_alone(void **state)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		set_up(state);
		rows[i].plant();
		examine();
		if (n_faults != 1 || strcmp(faults[0].group, rows[i].group) || strcmp(faults[0].check, rows[i].check) ||
		    faults[0].verdict != rows[i].verdict || !strstr(faults[0].text, rows[i].words)) {
			for (size_t k = 0; k < n_faults; k++)
				print_error("%s %s: %s\n", faults[k].group, faults[k].check, faults[k].text);
			fail_msg("row %zu: %s %s, %zu faults", i, rows[i].group, rows[i].check, n_faults);
		}
	}
}

static void test_what_is_no_fault(void **state)
{
	static void (*const harmless[])(void) = {moved, no_log, no_daemon_known};

	for (size_t i = 0; i < COUNT(harmless); i++) {
		set_up(state);
		harmless[i]();
		guests[0].started_s = NOW_S - 1000;    /* the hook saw a guest that runs */
		setup.is_root = false;                 /* only root can check whether root can write */
		status.guard.commanded_s = NOW_S - 50; /* the guard moved it */
		examine();
		assert_int_equal(n_faults, 0);
	}
	set_up(state);
	moved();
	guests[0].past.booted_ms = NOW_MS - 6000; /* which empties its balloon */
	examine();
	assert_int_equal(n_faults, 0);
}

static void test_of_another_host_only_guests_are_known(void **state)
{
	(void)state;
	no_hook();
	no_swap();
	no_guard();
	nothing_enabled();
	hangs();
	status.remote = true;
	examine();
	assert_int_equal(n_faults, 1);
	assert_string_equal(faults[0].check, "answer");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_a_good_host_passes, set_up),
	    cmocka_unit_test(test_each_fault_is_found_alone),
	    cmocka_unit_test(test_what_is_no_fault),
	    cmocka_unit_test_setup(test_of_another_host_only_guests_are_known, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
