/* SPDX-License-Identifier: MIT */
#include <errno.h>
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
#include "show/explain.h"

#define MIB(n) ((n)*UINT64_C(1024))
#define GUEST(why, ...)                                                                                                \
	{                                                                                                              \
		.plan.reason = REASON_##why, __VA_ARGS__                                                               \
	}
#define ACTUAL(mib) .sample = {.have = SAMPLE_ACTUAL, .actual_kib = MIB(mib)}
#define USED(mib) .est = {.has_used = true, .used_kib = MIB(mib)}
#define GROWS(mib, by) .est = {.has_used = true, .used_kib = MIB(mib), .foreseen_kib = 1}, .past.growth_kibps = MIB(by)
#define MAXIMUM(mib) .device = {.maximum_kib = MIB(mib)}, .plan.ceil_kib = MIB(mib)
#define WISHED .target_kib = 150000
/* Of a guest in a shortage; then the shared level, and the bottom: least headroom above 366 MiB used, or a floor. */
#define SHORT(mib) ACTUAL(mib), WISHED, MAXIMUM(1024)
#define LEVEL(mib) .plan.level_kib = MIB(mib), .plan.floor_kib = MIB(232), .plan.bottom_kib = MIB(403)
#define FLOOR(mib, level) .plan.level_kib = MIB(level), .plan.floor_kib = MIB(mib), .plan.bottom_kib = MIB(mib)

static const struct {
	struct guest g;
	const char *text;
} sentences[] = {
    {GUEST(NONE, ACTUAL(512)), "nothing was decided"},
    {GUEST(COUNT, ACTUAL(512)), "nothing was decided"},

    /* moves */
    {GUEST(BELOW_TARGET, ACTUAL(391), USED(366), WISHED, .plan.want_kib = MIB(512), MAXIMUM(1024)),
     "give 121 MiB to reach 512 MiB: 366 MiB used, 25 MiB free, target 146 MiB"},
    {GUEST(BELOW_TARGET, ACTUAL(391), GROWS(366, 20), WISHED, .plan.want_kib = MIB(560), MAXIMUM(1024)),
     "give 169 MiB to reach 560 MiB: 366 MiB used, 25 MiB free, target 146 MiB, use grows by 20 MiB/s"},
    {GUEST(BELOW_TARGET, ACTUAL(300), USED(366), WISHED, .plan.want_kib = MIB(512), MAXIMUM(1024)),
     "give 212 MiB to reach 512 MiB: 366 MiB used, 0 KiB free, target 146 MiB"},
    {GUEST(BELOW_TARGET, ACTUAL(391), WISHED, .plan.want_kib = MIB(512), MAXIMUM(1024)),
     "give 121 MiB to reach 512 MiB: its use is not known, target 146 MiB"},
    {GUEST(BELOW_TARGET, .sample.actual_kib = MIB(391), USED(366), WISHED, .plan.want_kib = MIB(512), MAXIMUM(1024)),
     "size not known: its use is not known, target 146 MiB"},
    {GUEST(BELOW_TARGET, ACTUAL(391), USED(366), WISHED, .plan.want_kib = MIB(450), MAXIMUM(450)),
     "give 59 MiB to reach 450 MiB: 366 MiB used, 25 MiB free, target 146 MiB, but its maximum is 450 MiB"},
    {GUEST(BELOW_TARGET, ACTUAL(200), USED(40), WISHED, .plan.want_kib = MIB(300), MAXIMUM(1024),
           .plan.floor_kib = MIB(300), .hints = {.has_min = true, .min_kib = MIB(300)}),
     "give 100 MiB to reach 300 MiB: 40 MiB used, 160 MiB free, target 146 MiB, but its min hint is 300 MiB"},
    {GUEST(BELOW_TARGET, ACTUAL(391), USED(366), WISHED, .plan.want_kib = MIB(512), .plan.grant_kib = MIB(441),
           MAXIMUM(1024)),
     "give 50 MiB to reach 441 MiB: 366 MiB used, 25 MiB free, target 146 MiB"},
    {GUEST(BELOW_TARGET, ACTUAL(391), USED(366), WISHED, .past.growth_kibps = MIB(20), .plan.want_kib = MIB(512),
           MAXIMUM(1024)),
     "give 121 MiB to reach 512 MiB: 366 MiB used, 25 MiB free, target 146 MiB"},
    {GUEST(GROWING, ACTUAL(512), GROWS(366, 20), WISHED, .plan.want_kib = MIB(552), MAXIMUM(1024)),
     "give 40 MiB to reach 552 MiB: 366 MiB used, 146 MiB free, target 146 MiB, use grows by 20 MiB/s"},
    {GUEST(GROWING, ACTUAL(512), .est = {.has_used = true, .used_kib = MIB(366)}, WISHED, .plan.want_kib = MIB(552),
           MAXIMUM(1024)),
     "give 40 MiB to reach 552 MiB: 366 MiB used, 146 MiB free, target 146 MiB"},
    {GUEST(ABOVE_TARGET, ACTUAL(580), USED(366), WISHED, .plan.want_kib = MIB(532), MAXIMUM(1024)),
     "take 48 MiB to reach 532 MiB: 366 MiB used, 214 MiB free, target 146 MiB"},
    {GUEST(ABOVE_TARGET, ACTUAL(580), GROWS(366, 1), WISHED, .plan.want_kib = MIB(532), MAXIMUM(1024)),
     "take 48 MiB to reach 532 MiB: 366 MiB used, 214 MiB free, target 146 MiB"},
    /* looked at again after the command; not looked at again, with what another pass saw */
    {GUEST(ABOVE_TARGET, ACTUAL(532), USED(366), WISHED, .plan.want_kib = MIB(532), MAXIMUM(1024), .reread = true,
           .past.actual_kib = MIB(580)),
     "take 48 MiB to reach 532 MiB: 366 MiB used, 214 MiB free, target 146 MiB"},
    {GUEST(BELOW_TARGET, ACTUAL(512), USED(366), WISHED, .plan.want_kib = MIB(512), .plan.grant_kib = MIB(512),
           MAXIMUM(1024), .reread = true, .past.actual_kib = MIB(391)),
     "give 121 MiB to reach 512 MiB: 366 MiB used, 25 MiB free, target 146 MiB"},
    {GUEST(ABOVE_TARGET, ACTUAL(580), USED(366), WISHED, .plan.want_kib = MIB(532), MAXIMUM(1024),
           .past.actual_kib = MIB(900)),
     "take 48 MiB to reach 532 MiB: 366 MiB used, 214 MiB free, target 146 MiB"},

    /* at rest */
    {GUEST(AT_TARGET, ACTUAL(512), USED(366), WISHED, .plan.want_kib = MIB(512), MAXIMUM(1024)),
     "stays at 512 MiB: 366 MiB used, 146 MiB free, target 146 MiB"},
    {GUEST(AT_TARGET, ACTUAL(508), USED(366), WISHED, .plan.want_kib = MIB(508), MAXIMUM(1024)),
     "stays at 508 MiB: 366 MiB used, 142 MiB free, target 146 MiB"},
    {GUEST(AT_TARGET, ACTUAL(530), USED(366), WISHED, .plan.want_kib = MIB(530), MAXIMUM(1024)),
     "stays at 530 MiB: 366 MiB used, 164 MiB free, target 146 MiB"},
    {GUEST(AT_TARGET, ACTUAL(530), WISHED, .plan.want_kib = MIB(530), MAXIMUM(1024)),
     "stays at 530 MiB: its use is not known, target 146 MiB"},

    {GUEST(AT_TARGET, .sample.actual_kib = MIB(530), USED(100), WISHED, .plan.want_kib = MIB(530), MAXIMUM(1024)),
     "size not known: its use is not known, target 146 MiB"},
    {GUEST(AT_TARGET, ACTUAL(310), USED(150), WISHED, .plan.want_kib = MIB(310), MAXIMUM(1024),
           .plan.floor_kib = MIB(310), .hints = {.has_min = true, .min_kib = MIB(310)}),
     "stays at 310 MiB: 150 MiB used, 160 MiB free, target 146 MiB, but its min hint is 310 MiB"},

    /* with plenty, and what is claimed */
    {GUEST(PLENTY, ACTUAL(900), USED(366), WISHED, .plan.want_kib = MIB(900), MAXIMUM(1024)),
     "stays at 900 MiB: 366 MiB used, 534 MiB free, target 146 MiB, and no guest needs the rest"},
    /* its balloon still moves, by an earlier command */
    {GUEST(PLENTY, ACTUAL(900), USED(366), WISHED, .plan.want_kib = MIB(900), MAXIMUM(1024),
           .past.asked_kib = MIB(700)),
     "on its way from 900 MiB to 700 MiB: 366 MiB used, 534 MiB free, target 146 MiB"},
    {GUEST(AT_TARGET, ACTUAL(512), USED(366), WISHED, .plan.want_kib = MIB(512), MAXIMUM(1024),
           .past.asked_kib = MIB(500)),
     "on its way from 512 MiB to 500 MiB: 366 MiB used, 146 MiB free, target 146 MiB"},
    {GUEST(PAGE_CACHE, ACTUAL(812), .est = {.has_used = true, .used_kib = MIB(366), .cache_kib = MIB(400)}, WISHED,
           .plan.want_kib = MIB(912), MAXIMUM(1024)),
     "give 100 MiB to reach 912 MiB: the host has plenty for its page cache: 366 MiB used, 400 MiB page cache"},
    {GUEST(AT_TARGET, ACTUAL(512), USED(366), WISHED, .plan.want_kib = MIB(512), MAXIMUM(1024),
           .plan.basic_kib = MIB(512), .plan.need_kib = MIB(512), .plan.comfort_kib = MIB(512)),
     "stays at 512 MiB: 366 MiB used, 146 MiB free, target 146 MiB; it needs 512 MiB"},
    {GUEST(BELOW_TARGET, ACTUAL(391), USED(366), WISHED, .plan.want_kib = MIB(550), MAXIMUM(1024),
           .plan.basic_kib = MIB(512), .plan.need_kib = MIB(600), .plan.comfort_kib = MIB(900),
           .plan.level_kib = MIB(38), .plan.layer = LAYER_NEED),
     "give 159 MiB to reach 550 MiB: 366 MiB used, 25 MiB free, target 146 MiB; it needs 512 MiB, 600 MiB with its "
     "surges, 900 MiB with page cache; memory for surges is shared"},

    /* bounds, by where they come from */
    {GUEST(AT_MIN, ACTUAL(300), USED(100), WISHED, .plan.want_kib = MIB(300), MAXIMUM(1024), .plan.floor_kib = MIB(300),
           .hints = {.has_min = true, .min_kib = MIB(300)}),
     "stays at 300 MiB: 100 MiB used, 200 MiB free, target 146 MiB, but its min hint is 300 MiB"},
    {GUEST(AT_MIN, ACTUAL(360), USED(100), WISHED, .plan.want_kib = MIB(360), MAXIMUM(2048),
           .plan.floor_kib = MIB(360)),
     "stays at 360 MiB: 100 MiB used, 260 MiB free, target 146 MiB, but the floor for its maximum of 2 GiB is 360 MiB"},
    {GUEST(AT_MIN, ACTUAL(400), USED(100), WISHED, .plan.want_kib = MIB(400), .device.maximum_kib = MIB(1024),
           .plan.ceil_kib = MIB(400), .plan.floor_kib = MIB(400),
           .hints = {.has_min = true, .min_kib = MIB(500), .has_max = true, .max_kib = MIB(400)}),
     "stays at 400 MiB: 100 MiB used, 300 MiB free, target 146 MiB, but its max hint is 400 MiB"},
    {GUEST(ABOVE_TARGET, ACTUAL(400), USED(100), WISHED, .plan.want_kib = MIB(300), MAXIMUM(1024),
           .plan.floor_kib = MIB(300), .hints = {.has_min = true, .min_kib = MIB(300)}),
     "take 100 MiB to reach 300 MiB: 100 MiB used, 300 MiB free, target 146 MiB, but its min hint is 300 MiB"},
    {GUEST(AT_MAX, ACTUAL(400), USED(390), WISHED, .plan.want_kib = MIB(400), .device.maximum_kib = MIB(1024),
           .plan.ceil_kib = MIB(400), .hints = {.has_max = true, .max_kib = MIB(400)}),
     "stays at 400 MiB: 390 MiB used, 10 MiB free, target 146 MiB, but its max hint is 400 MiB"},
    {GUEST(AT_MAX, ACTUAL(512), USED(390), WISHED, .plan.want_kib = MIB(512), MAXIMUM(512)),
     "stays at 512 MiB: 390 MiB used, 122 MiB free, target 146 MiB, but its maximum is 512 MiB"},
    {GUEST(AT_MAX, ACTUAL(512), USED(390), WISHED, .plan.want_kib = MIB(512), MAXIMUM(512),
           .hints = {.has_max = true, .max_kib = MIB(512)}),
     "stays at 512 MiB: 390 MiB used, 122 MiB free, target 146 MiB, but its maximum is 512 MiB"},
    {GUEST(AT_MAX, ACTUAL(448), USED(390), WISHED, .plan.want_kib = MIB(448), .plan.ceil_kib = MIB(448),
           .device = {.maximum_kib = MIB(1024), .hard_limit_kib = MIB(704)}),
     "stays at 448 MiB: 390 MiB used, 58 MiB free, target 146 MiB, but its hard limit of 704 MiB leaves it 448 MiB at "
     "most"},
    {GUEST(AT_MAX, ACTUAL(500), USED(390), WISHED, .plan.want_kib = MIB(500), .device.maximum_kib = MIB(1024),
           .plan.ceil_kib = MIB(400), .hints = {.has_max = true, .max_kib = MIB(400)}),
     "stays at 500 MiB: 390 MiB used, 110 MiB free, target 146 MiB, but its max hint is 400 MiB"},

    {GUEST(AT_MAX, ACTUAL(448), USED(390), WISHED, .plan.want_kib = MIB(448), .plan.ceil_kib = MIB(448),
           .device = {.maximum_kib = MIB(1024), .hard_limit_kib = MIB(704)},
           .hints = {.has_max = true, .max_kib = MIB(600)}),
     "stays at 448 MiB: 390 MiB used, 58 MiB free, target 146 MiB, but its hard limit of 704 MiB leaves it 448 MiB at "
     "most"},
    {GUEST(AT_MAX, ACTUAL(512), GROWS(390, 20), WISHED, .plan.want_kib = MIB(512), MAXIMUM(512)),
     "stays at 512 MiB: 390 MiB used, 122 MiB free, target 146 MiB, but its maximum is 512 MiB"},
    /* bounds that did not decide */
    {GUEST(BELOW_TARGET, ACTUAL(391), USED(366), .target_kib = MIB(146), .plan.want_kib = MIB(512), MAXIMUM(512)),
     "give 121 MiB to reach 512 MiB: 366 MiB used, 25 MiB free, target 146 MiB"},
    {GUEST(ABOVE_TARGET, ACTUAL(600), USED(366), .target_kib = MIB(146), .plan.want_kib = MIB(512), MAXIMUM(1024),
           .plan.floor_kib = MIB(512)),
     "take 88 MiB to reach 512 MiB: 366 MiB used, 234 MiB free, target 146 MiB"},

    /* given to, not taken from */
    {GUEST(DISTRESS, ACTUAL(512), USED(302), WISHED, .plan.want_kib = MIB(561), MAXIMUM(1024)),
     "give 49 MiB to reach 561 MiB: it swaps in or faults heavily; 302 MiB used, 210 MiB free, target 146 MiB"},
    {GUEST(DISTRESS, ACTUAL(512), USED(302), WISHED, .plan.want_kib = MIB(512), MAXIMUM(512)),
     "stays at 512 MiB: it swaps in or faults heavily; 302 MiB used, 210 MiB free, target 146 MiB, but its maximum is "
     "512 MiB"},
    {GUEST(BOOTING, ACTUAL(512), USED(100), .plan.want_kib = MIB(512)),
     "stays at 512 MiB: it is booting, nothing is taken yet"},
    {GUEST(BOOTING, ACTUAL(512), .plan.want_kib = MIB(512), .plan.fixed = true),
     "left alone: it is booting and has not reported yet"},
    {GUEST(BOOTING, ACTUAL(512), .plan.want_kib = MIB(512), .plan.fixed = true, .est.rebooted = true),
     "left alone: it has rebooted and has not reported yet"},
    {GUEST(STALE_STATS, ACTUAL(512), .plan.want_kib = MIB(512),
           .est = {.has_used = true, .has_age = true, .age_ms = 45999}),
     "stays at 512 MiB: its statistics are 45 s old, so nothing is taken"},
    {GUEST(STALE_STATS, .plan.fixed = true, .est = {.has_age = true, .age_ms = 119999}),
     "left alone: its statistics are 119 s old"},
    {GUEST(STALE_STATS, .plan.fixed = true, .est = {.has_age = true, .age_ms = 120000}),
     "left alone: its statistics are 2 min old"},
    {GUEST(STALE_STATS, .plan.fixed = true, .est = {.has_age = true, .age_ms = 7200000}),
     "left alone: its statistics are 2 h old"},
    {GUEST(STALE_STATS, .plan.fixed = true, .est = {.has_age = true, .age_ms = 172800000}),
     "left alone: its statistics are 2 days old"},
    {GUEST(STALE_STATS, .plan.fixed = true, .est = {.has_age = true, .age_ms = UINT64_MAX}),
     "left alone: its statistics are 213503982334 days old"},
    {GUEST(STALE_STATS, .plan.fixed = true, .est.age_ms = 5000), "left alone: its statistics are too old"},

    /* left alone */
    {GUEST(NO_STATS, .plan.fixed = true, .est.absurd = true), "left alone: its statistics contradict each other"},
    {GUEST(NO_STATS, .plan.fixed = true, .device.period_s = 5), "left alone: it does not report what it uses"},
    {GUEST(NO_STATS, .plan.fixed = true, .device.period_s = 5, .est.predates_move = true),
     "left alone: its statistics report more free memory than it has: they are older than its last move"},
    {GUEST(NO_STATS, .plan.fixed = true, .name = "vm.1"),
     "left alone: it does not report what it uses; run 'virsh dommemstat vm.1 --period 1 --live'"},
    {GUEST(NO_STATS, .plan.fixed = true, .name = "a b", .uuid = "0b"),
     "left alone: it does not report what it uses; run 'virsh dommemstat 0b --period 1 --live'"},
    {GUEST(NO_BALLOON, .plan.fixed = true), "left alone: it has no balloon device"},
    {GUEST(NO_DRIVER, .plan.fixed = true),
     "left alone: its balloon driver has never reported; load virtio_balloon in the guest"},
    {GUEST(STUCK, .plan.fixed = true, ACTUAL(512), .past = {.asked_kib = MIB(600), .refused = 3}),
     "left alone: asked for 600 MiB, it stays at 512 MiB for 3 passes"},
    {GUEST(STUCK, ACTUAL(512), .plan.want_kib = MIB(512), .past = {.asked_kib = MIB(400), .refused = 1}),
     "stays at 512 MiB: asked for 400 MiB, it stays at 512 MiB"},
    {GUEST(STUCK, .plan.fixed = true, .sample.actual_kib = MIB(512)), "left alone: it does not move"},
    {GUEST(NO_GAIN, .plan.want_kib = MIB(512),
           .sample = {.have = SAMPLE_ACTUAL | SAMPLE_RSS, .actual_kib = MIB(512), .rss_kib = MIB(900)}),
     "stays at 512 MiB: its balloon frees nothing on the host, which still holds 900 MiB for it"},
    {GUEST(NO_GAIN, .plan.want_kib = MIB(512), .sample = {.have = SAMPLE_ACTUAL, .actual_kib = MIB(512), .rss_kib = 5}),
     "stays at 512 MiB: its balloon frees nothing on the host"},
    {GUEST(UNRESPONSIVE, .plan.fixed = true, .name = "--all", .uuid = "0b"),
     "left alone: it did not answer in time; 'virsh domcontrol 0b' may show why"},
    {GUEST(PAUSED, .plan.fixed = true, .run = RUN_PAUSED), "left alone: its state is 'paused'"},
    {GUEST(PAUSED, .plan.fixed = true, .run = RUN_PMSUSPENDED), "left alone: its state is 'pmsuspended'"},
    {GUEST(MIGRATING, .plan.fixed = true), "left alone: it is being started, migrated, saved or dumped"},
    {GUEST(PINNED, .plan.fixed = true, .device.locked = true),
     "left alone: its memory is locked, the host would get nothing back"},
    {GUEST(PINNED, .plan.fixed = true, .device = {.locked = true, .virtio_mem = true}),
     "left alone: its memory is locked, the host would get nothing back"},
    {GUEST(PINNED, .plan.fixed = true, .device.virtio_mem = true), "left alone: its size is set by virtio-mem"},
    {GUEST(PINNED, .plan.fixed = true, .device.unknown = true),
     "left alone: its definition cannot be read, so its devices and hints are not known"},
    {GUEST(HUGEPAGES, .plan.fixed = true), "left alone: its memory is huge pages, the host would get nothing back"},
    {GUEST(PASSTHROUGH, .plan.fixed = true), "left alone: a passed-through device or encryption pins its memory"},
    {GUEST(OPTED_OUT, .plan.fixed = true), "left alone: its metadata says managed=\"no\""},
    {GUEST(EXCLUDED, .plan.fixed = true), "left alone: the configuration excludes it"},
    {GUEST(VANISHED, .plan.fixed = true), "it ended after it was listed"},

    /* not enough */
    {GUEST(HOST_RESERVE, ACTUAL(391), USED(366), WISHED, .plan.want_kib = MIB(512), MAXIMUM(1024)),
     "stays at 391 MiB: 121 MiB more are needed (366 MiB used, 25 MiB free, target 146 MiB), but the host cannot spare "
     "them without touching its reserve"},
    {GUEST(HOST_RESERVE, ACTUAL(391), GROWS(366, 20), WISHED, .plan.want_kib = MIB(552), .plan.grant_kib = MIB(441),
           MAXIMUM(1024)),
     "give 50 MiB to reach 441 MiB: 111 MiB more are needed (366 MiB used, 25 MiB free, target 146 MiB, use grows by "
     "20 MiB/s), but the host cannot spare them without touching its reserve"},
    {GUEST(NO_GIVE, ACTUAL(391), USED(366), WISHED, .plan.want_kib = MIB(512), MAXIMUM(1024)),
     "stays at 391 MiB: 121 MiB more are needed (366 MiB used, 25 MiB free, target 146 MiB), but memguard forbids "
     "gives: the host is short, or that is not known"},
    {GUEST(SHARED_SHORTAGE, SHORT(391), USED(366), .plan.want_kib = MIB(418), .plan.basic_kib = MIB(512), LEVEL(52)),
     "stays at 391 MiB: memory is short: 366 MiB used, it gets 25 MiB of its target of 146 MiB, weight 100 alone would "
     "get 52 MiB; it needs 512 MiB, 121 MiB more, 27 MiB of it once others have given"},
    {GUEST(SHARED_SHORTAGE, SHORT(391), USED(366), .plan.want_kib = MIB(418), .plan.grant_kib = MIB(400),
           .plan.basic_kib = MIB(512), LEVEL(52)),
     "give 9 MiB to reach 400 MiB: memory is short: 366 MiB used, it gets 34 MiB of its target of 146 MiB, weight 100 "
     "alone would get 52 MiB; it needs 512 MiB, 112 MiB more, 18 MiB of it once others have given"},
    {GUEST(SHARED_SHORTAGE, SHORT(391), USED(366), .plan.want_kib = MIB(418), .plan.grant_kib = MIB(418),
           .plan.basic_kib = MIB(512), LEVEL(52)),
     "give 27 MiB to reach 418 MiB: memory is short: 366 MiB used, weight 100 gets 52 MiB of its target of 146 MiB; it "
     "needs 512 MiB, 94 MiB more"},
    {GUEST(SHARED_SHORTAGE, SHORT(500), GROWS(366, 20), .plan.want_kib = MIB(426), .plan.basic_kib = MIB(552),
           LEVEL(20), .hints.weight = 300),
     "take 74 MiB to reach 426 MiB: memory is short: 366 MiB used, weight 300 gets 60 MiB of its target of 146 MiB; it "
     "needs 552 MiB, 126 MiB more, use grows by 20 MiB/s"},
    {GUEST(SHARED_SHORTAGE, SHORT(391), .plan.want_kib = MIB(391), .plan.basic_kib = MIB(512)),
     "stays at 391 MiB: memory is short; it needs 512 MiB, 121 MiB more"},

    /* its bottom decides, not the level: the least headroom, the floor, a hint; and what it has where that is less */
    {GUEST(SHARED_SHORTAGE, SHORT(500), USED(366), .plan.want_kib = MIB(403), .plan.basic_kib = MIB(512), LEVEL(20)),
     "take 97 MiB to reach 403 MiB: memory is short: it is kept at its least headroom of 37 MiB above 366 MiB used, "
     "weight 100 alone would get 20 MiB; it needs 512 MiB, 109 MiB more"},
    {GUEST(SHARED_SHORTAGE, SHORT(403), USED(366), .plan.want_kib = MIB(403), .plan.basic_kib = MIB(512), LEVEL(20),
           .hints.weight = 50),
     "stays at 403 MiB: memory is short: it is kept at its least headroom of 37 MiB above 366 MiB used, weight 50 "
     "alone would get 10 MiB; it needs 512 MiB, 109 MiB more"},
    {GUEST(SHARED_SHORTAGE, SHORT(405), USED(366), .plan.want_kib = MIB(405), .plan.basic_kib = MIB(512), LEVEL(20),
           .hints.weight = 200),
     "stays at 405 MiB: memory is short: 366 MiB used, it gets 39 MiB of its target of 146 MiB, weight 200 alone would "
     "get 40 MiB; it needs 512 MiB, 107 MiB more"},
    {GUEST(SHARED_SHORTAGE, SHORT(500), USED(366), .plan.want_kib = MIB(403), .plan.basic_kib = MIB(512), LEVEL(0)),
     "take 97 MiB to reach 403 MiB: memory is short: it is kept at its least headroom of 37 MiB above 366 MiB used; it "
     "needs 512 MiB, 109 MiB more"},
    {GUEST(SHARED_SHORTAGE, SHORT(386), USED(366), .plan.want_kib = MIB(386), .plan.basic_kib = MIB(512), LEVEL(10)),
     "stays at 386 MiB: memory is short: it is kept below its least headroom of 37 MiB with 20 MiB above 366 MiB used, "
     "weight 100 alone would get 10 MiB; it needs 512 MiB, 126 MiB more"},
    {GUEST(SHARED_SHORTAGE, SHORT(386), USED(366), .plan.want_kib = MIB(396), .plan.grant_kib = MIB(396),
           .plan.basic_kib = MIB(512), LEVEL(30)),
     "give 10 MiB to reach 396 MiB: memory is short: 366 MiB used, weight 100 gets 30 MiB of its target of 146 MiB; it "
     "needs 512 MiB, 116 MiB more"},
    {GUEST(SHARED_SHORTAGE, SHORT(360), USED(366), .plan.want_kib = MIB(360), .plan.basic_kib = MIB(512), LEVEL(0)),
     "stays at 360 MiB: memory is short: it is kept below its least headroom of 37 MiB with 0 KiB above 366 MiB used; "
     "it needs 512 MiB, 152 MiB more"},
    {GUEST(SHARED_SHORTAGE, SHORT(500), USED(300), .plan.want_kib = MIB(360), .plan.basic_kib = MIB(446),
           FLOOR(360, 20)),
     "take 140 MiB to reach 360 MiB: memory is short: it is kept at its floor of 360 MiB with 60 MiB above 300 MiB "
     "used, weight 100 alone would get 20 MiB; it needs 446 MiB, 86 MiB more"},
    {GUEST(SHARED_SHORTAGE, SHORT(360), USED(300), .plan.want_kib = MIB(360), .plan.basic_kib = MIB(446),
           FLOOR(360, 20), .hints = {.has_min = true, .min_kib = MIB(360)}),
     "stays at 360 MiB: memory is short: it is kept at its min hint of 360 MiB with 60 MiB above 300 MiB used, weight "
     "100 alone would get 20 MiB; it needs 446 MiB, 86 MiB more"},
    {GUEST(SHARED_SHORTAGE, SHORT(350), USED(300), .plan.want_kib = MIB(350), .plan.basic_kib = MIB(446),
           FLOOR(360, 20)),
     "stays at 350 MiB: memory is short: it is kept below its floor of 360 MiB with 50 MiB above 300 MiB used, weight "
     "100 alone would get 20 MiB; it needs 446 MiB, 96 MiB more"},
    {GUEST(SHARED_SHORTAGE, SHORT(500), USED(366), .plan.want_kib = MIB(500), .plan.basic_kib = MIB(512), LEVEL(20),
           .est.predates_move = true),
     "stays at 500 MiB: memory is short: 366 MiB used, it gets 134 MiB of its target of 146 MiB, weight 100 alone "
     "would get 20 MiB; nothing more is taken, as its statistics are older than its last move; it needs 512 MiB, 12 "
     "MiB more"},
    /* looked at again after the command */
    {GUEST(SHARED_SHORTAGE, SHORT(402), USED(366), .plan.want_kib = MIB(403), .plan.basic_kib = MIB(512), LEVEL(20),
           .reread = true, .past.actual_kib = MIB(500)),
     "take 97 MiB to reach 403 MiB: memory is short: it is kept at its least headroom of 37 MiB above 366 MiB used, "
     "weight 100 alone would get 20 MiB; it needs 512 MiB, 109 MiB more"},

    /* failed, in libvirt's words or ours */
    {GUEST(FAILED, ACTUAL(391), .plan.want_kib = MIB(512), .order.error = -EIO,
           .order.words = "internal error: \x1b[2J\nno"),
     "give 121 MiB to reach 512 MiB: failed: internal error: \\x1B[2J\\x0Ano"},
    {GUEST(FAILED, ACTUAL(391), .plan.want_kib = MIB(391), .order.error = -EACCES),
     "stays at 391 MiB: failed: Permission denied"},
    {GUEST(FAILED, .plan.fixed = true), "left alone: failed: unknown reason"},
};

static void test_sentences(void **state)
{
	static const char *const verbs[] = {"take", "stays", "give"};
	char text[TEXT_EXPLAIN];

	(void)state;
	for (size_t i = 0; i < COUNT(sentences); i++) {
		const char *verb = verbs[explain_direction(&sentences[i].g) + 1];

		assert_ptr_equal(text_explain(text, sizeof(text), &sentences[i].g), text);
		assert_string_equal(text, sentences[i].text);
		if (strstr("give take stays", strtok(text, " ")))
			assert_string_equal(text, verb);
	}
}

/* What the policy makes of two guests of 450 MiB on a host that has no room: one is so light that its bottom decides.
 */
static void test_of_a_plan(void **state)
{
	static const struct policy_conf conf = {.step_kib = MIB(50), .reserve_kib = MIB(300), .tolerance_kib = 5000};
	static const char *const says[] = {
	    "take 23.4 MiB to reach 427 MiB: memory is short: it is kept at its least headroom of 36.6 MiB above 390 "
	    "MiB used, weight 1 alone would get 853 KiB; it needs 536 MiB, 110 MiB more",
	    "give 23.4 MiB to reach 473 MiB: memory is short: 390 MiB used, weight 100 gets 83.4 MiB of its target of "
	    "146 MiB; it needs 536 MiB, 63.1 MiB more"};
	struct host host = {.available_kib = conf.reserve_kib};
	struct fairshare_item item[2];
	struct fairshare_edge edge[4];
	struct policy_scratch scratch = {item, edge};
	struct budget budget;
	struct guest g[2];

	(void)state;
	for (size_t i = 0; i < 2; i++)
		g[i] = (struct guest){
		    .run = RUN_RUNNING,
		    .answered = true,
		    USED(390),
		    WISHED,
		    .device = {.balloon = true, .maximum_kib = MIB(1024)},
		    .sample = {.have = SAMPLE_ACTUAL | SAMPLE_RSS, .actual_kib = MIB(450), .rss_kib = MIB(498)},
		    .hints.weight = i ? 100 : 1};
	policy_plan(&conf, &host, 0, g, 2, &scratch, &budget);
	policy_grant(&conf, MIB(50), REASON_NONE, g, 2, &scratch);
	for (size_t i = 0; i < 2; i++) {
		char text[TEXT_EXPLAIN];

		assert_string_equal(text_explain(text, sizeof(text), &g[i]), says[i]);
	}
}

static void test_every_reason(void **state)
{
	(void)state;
	for (unsigned r = 0; r < REASON_COUNT; r++) {
		size_t i = 0;

		while (i < COUNT(sentences) && sentences[i].g.plan.reason != r)
			i++;
		if (i == COUNT(sentences))
			fail_msg("no row for '%s'", reason_word((enum reason)r));
	}
}

/*
 * Every reason, fixed or not, with figures that give themselves away but of which nothing is said to be known: they are
 * never shown. And the largest figures that can be are whole in TEXT_EXPLAIN.
 */
#define LIE MIB(7777)

static void test_unknown(void **state)
{
	char text[TEXT_EXPLAIN];

	(void)state;
	for (unsigned r = 0; r < 2 * REASON_COUNT; r++) {
		struct guest g = {
		    .plan.reason = (enum reason)(r / 2),
		    .plan.fixed = r % 2,
		    .sample = {.actual_kib = LIE, .rss_kib = LIE, .usable_kib = LIE, .unused_kib = LIE},
		    .est = {.used_kib = LIE, .free_kib = LIE, .age_ms = 7600 * 1000},
		    .plan.want_kib = LIE,
		};

		text_explain(text, sizeof(text), &g);
		if (strstr(text, "7.6") || strstr(text, "2 h") || !*text)
			fail_msg("'%s': %s", reason_word(g.plan.reason), text);
	}
}

static void test_large(void **state)
{
	char text[2 * TEXT_EXPLAIN], words[2000];

	(void)state;
	memset(words, '\n', sizeof(words) - 1);
	words[sizeof(words) - 1] = '\0';
	for (unsigned r = 0; r < REASON_COUNT; r++) {
		struct guest g = {
		    .plan.reason = (enum reason)r,
		    .sample = {.have = ~0u, .rss_kib = UINT64_MAX},
		    .est = {.has_used = true, .has_age = true, .foreseen_kib = 1, .age_ms = UINT64_MAX},
		    .past = {.growth_kibps = UINT64_MAX, .asked_kib = UINT64_MAX, .refused = UINT32_MAX},
		    .hints.weight = UINT32_MAX,
		    .target_kib = UINT64_MAX,
		    .plan.basic_kib = UINT64_MAX,
		    .plan.level_kib = UINT64_MAX,
		    .plan.want_kib = UINT64_MAX,
		    .plan.ceil_kib = UINT64_MAX,
		    .device.hard_limit_kib = UINT64_MAX,
		    .order.error = -EIO,
		    .order.words = words,
		};

		text_explain(text, sizeof(text), &g);
		if (strlen(text) >= TEXT_EXPLAIN - 1)
			fail_msg("'%s': %s", reason_word(g.plan.reason), text);
	}
}

static void test_cut(void **state)
{
	static const struct guest g = {.plan.reason = REASON_FAILED,
	                               ACTUAL(391),
	                               .plan.want_kib = MIB(391),
	                               .order.error = -EIO,
	                               .order.words = "refus\xc3\xa9!!!!"};
	char text[37];

	(void)state;
	text_explain(text, 16, &g);
	assert_string_equal(text, "stays at 391...");
	if (!setlocale(LC_ALL, "C.UTF-8"))
		skip();
	text_explain(text, 37, &g);
	setlocale(LC_ALL, "C");
	assert_string_equal(text, "stays at 391 MiB: failed: refus\xc3\xa9...");
}

/* ---- the host ---- */

static const struct {
	uint64_t available_kib, reserve_kib;
	struct budget budget;
	const char *text;
} hosts[] = {
    {MIB(1400),
     300000,
     {.room_kib = (int64_t)MIB(1400) - 300000, .capacity_kib = MIB(2458), .demand_kib = MIB(1946)},
     "guests need 1.9 GiB; 2.4 GiB can be provided (1.4 GiB available, 1.1 GiB room above a reserve of 293 MiB)"},
    {MIB(1400),
     MIB(300),
     {.room_kib = (int64_t)MIB(1000), .capacity_kib = MIB(2458), .demand_kib = MIB(1946), .promised_kib = MIB(120)},
     "guests need 1.9 GiB; 2.4 GiB can be provided (1.4 GiB available, 1000 MiB room above a reserve of 300 MiB and "
     "100 MiB for guests that start or are left alone); 120 MiB are promised but untouched"},
    {MIB(260),
     MIB(300),
     {.room_kib = -(int64_t)MIB(40),
      .capacity_kib = MIB(900),
      .demand_kib = MIB(1200),
      .shortage_kib = MIB(300),
      .has_level = true,
      .level_kib = MIB(52)},
     "guests need 1.2 GiB; 900 MiB can be provided (260 MiB available, 40 MiB too little for a reserve of 300 MiB); "
     "short by 300 MiB: a guest of weight 100 gets 52 MiB headroom"},
    {MIB(260),
     MIB(300),
     {.room_kib = -(int64_t)MIB(140),
      .capacity_kib = MIB(900),
      .demand_kib = MIB(1200),
      .shortage_kib = MIB(300),
      .least = true,
      .has_level = true},
     "guests need 1.2 GiB; 900 MiB can be provided (260 MiB available, 140 MiB too little for a reserve of 300 MiB and "
     "100 MiB for guests that start or are left alone); short by 300 MiB: not even the least headroom fits, nothing is "
     "given"},
    {MIB(1400),
     300000,
     {.room_kib = (int64_t)MIB(1400) - 300000,
      .capacity_kib = MIB(2458),
      .demand_kib = MIB(1946),
      .need_kib = MIB(2046),
      .comfort_kib = MIB(4096),
      .layer = LAYER_COMFORT,
      .has_level = true,
      .level_kib = MIB(52)},
     "guests need 1.9 GiB, 2 GiB with surges, 4 GiB with page cache; 2.4 GiB can be provided (1.4 GiB available, 1.1 "
     "GiB room above a reserve of 293 MiB); memory for page cache is shared, 52 MiB for weight 100"},
    {0,
     0,
     {.room_kib = 0},
     "guests need 0 KiB; 0 KiB can be provided (0 KiB available, 0 KiB room above a reserve of 0 KiB)"},
    {UINT64_MAX,
     UINT64_MAX,
     {.room_kib = INT64_MIN,
      .capacity_kib = UINT64_MAX,
      .demand_kib = UINT64_MAX,
      .promised_kib = UINT64_MAX,
      .shortage_kib = UINT64_MAX,
      .has_level = true,
      .level_kib = UINT64_MAX},
     "guests need 16 ZiB; 16 ZiB can be provided (16 ZiB available, 8 ZiB too little for a reserve of 16 ZiB); 16 ZiB "
     "are promised but untouched; short by 16 ZiB: a guest of weight 100 gets 16 ZiB headroom"},
};

#define LAST(...) .past = {.seen_ms = 1000000, .last = {__VA_ARGS__}}
#define AGO(s) .decided_ms = 1000000 - (s)*UINT64_C(1000)

/* What the last pass did; some rows with what the guest has now. */
static const struct {
	struct guest g;
	const char *text;
} lasts[] = {
    {GUEST(AT_TARGET, ACTUAL(512)), "no pass has decided anything for it yet"},
    {GUEST(NONE, LAST(AGO(0), .from_kib = MIB(384), .want_kib = MIB(384), .reason = REASON_AT_TARGET)),
     "the last pass, 0 s ago, kept it at 384 MiB (at-target)"},
    {GUEST(NONE, LAST(AGO(119), .from_kib = MIB(384), .reason = REASON_PAUSED)),
     "the last pass, 119 s ago, left it alone (paused)"},
    {GUEST(NONE, LAST(AGO(60 * 15), .from_kib = MIB(384), .want_kib = MIB(512), .reason = REASON_HOST_RESERVE)),
     "the last pass, 15 min ago, planned to move it from 384 MiB to 512 MiB, but sent no command (host-reserve)"},
    {GUEST(NONE, ACTUAL(100),
           LAST(AGO(12), .from_kib = MIB(391), .want_kib = MIB(512), .asked_kib = MIB(512), .reached_kib = MIB(500),
                .reason = REASON_BELOW_TARGET)),
     "the last pass, 12 s ago, asked it to go from 391 MiB to 512 MiB (below-target), and it reached 500 MiB"},
    {GUEST(NONE, ACTUAL(440),
           LAST(AGO(1), .from_kib = MIB(391), .want_kib = MIB(512), .asked_kib = MIB(441), .reason = REASON_NO_GIVE)),
     "the last pass, 1 s ago, asked it to go from 391 MiB to 441 MiB (no-give), and it has 440 MiB by now"},
    {GUEST(NONE, LAST(AGO(1), .from_kib = MIB(391), .want_kib = MIB(300), .asked_kib = MIB(300),
                      .reason = REASON_UNRESPONSIVE)),
     "the last pass, 1 s ago, asked it to go from 391 MiB to 300 MiB (unresponsive)"},
    {GUEST(NONE,
           .past = {.seen_ms = 1000000,
                    .last = {AGO(2), .from_kib = MIB(274), .want_kib = MIB(274), .reason = REASON_AT_TARGET},
                    .told = {AGO(130), .from_kib = MIB(384), .asked_kib = MIB(274), .reason = REASON_ABOVE_TARGET}}),
     "the last pass, 2 s ago, kept it at 274 MiB (at-target); the last command to it was 2 min ago, from 384 MiB to "
     "274 "
     "MiB (above-target)"},
    {GUEST(NONE, LAST(.decided_ms = 2000000, .want_kib = 1, .from_kib = 1, .reason = UINT32_MAX)),
     "the last pass, 0 s ago, kept it at 1 KiB (none)"},
};

static void test_lasts(void **state)
{
	char text[TEXT_EXPLAIN];

	(void)state;
	for (size_t i = 0; i < COUNT(lasts); i++)
		assert_string_equal(text_explain_last(text, sizeof(text), &lasts[i].g), lasts[i].text);
	assert_string_equal(text_explain_last(text, 9, &lasts[0].g), "no pa...");
}

static void test_pause(void **state)
{
	char text[TEXT_EXPLAIN];

	(void)state;
	assert_string_equal(text_explain_pause(text, sizeof(text), 1), "balancing is paused for another 1 s");
	assert_string_equal(text_explain_pause(text, sizeof(text), 1799001), "balancing is paused for another 30 min");
	assert_string_equal(text_explain_pause(text, sizeof(text), 1799000), "balancing is paused for another 29 min");
	assert_string_equal(text_explain_pause(text, sizeof(text), 604800000),
	                    "balancing is paused for another 7 days");
}

static const struct {
	struct guest g;
	const char *text;
} sizes[] = {
    {GUEST(NONE, MAXIMUM(1024)), "what it has is not known"},
    {GUEST(NONE, ACTUAL(391), USED(366), MAXIMUM(1024)), "it has 391 MiB of at most 1 GiB, 366 MiB used"},
    {GUEST(NONE, .sample = {.have = SAMPLE_ACTUAL | SAMPLE_RSS, .actual_kib = MIB(391), .rss_kib = MIB(402)}),
     "it has 391 MiB, and the host holds 402 MiB for it"},
    {GUEST(NONE, ACTUAL(391), USED(366), .est.distress = true, .past = {.swap_in_kibps = MIB(3), .faults_ps = 40}),
     "it has 391 MiB, 366 MiB used; it is SWAPPING: 3 MiB/s read from swap, 40 major faults/s"},
};

static void test_sizes(void **state)
{
	char text[TEXT_EXPLAIN];

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++)
		assert_string_equal(text_explain_size(text, sizeof(text), &sizes[i].g), sizes[i].text);
}

static void test_hosts(void **state)
{
	char text[TEXT_EXPLAIN];

	(void)state;
	for (size_t i = 0; i < COUNT(hosts); i++) {
		struct host host = {.available_kib = hosts[i].available_kib};

		assert_ptr_equal(text_explain_host(text, sizeof(text), &host, hosts[i].reserve_kib, &hosts[i].budget),
		                 text);
		assert_string_equal(text, hosts[i].text);
	}
	assert_string_equal(text_explain_host(text, 10, &(struct host){0}, 0, &hosts[0].budget), "guests...");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sentences), cmocka_unit_test(test_of_a_plan), cmocka_unit_test(test_every_reason),
	    cmocka_unit_test(test_unknown),   cmocka_unit_test(test_large),     cmocka_unit_test(test_cut),
	    cmocka_unit_test(test_hosts),     cmocka_unit_test(test_lasts),     cmocka_unit_test(test_sizes),
	    cmocka_unit_test(test_pause),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
