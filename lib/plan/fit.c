/* SPDX-License-Identifier: MIT */
#include "plan/fit.h"

#include "plan/claims.h"
#include "plan/reclaim.h"

/* The memory that host and guests have for a start, and earlier claims to it. */
struct account {
	uint64_t have_kib, owed_kib;
};

/* have_kib: of the guests; owed_kib: what they keep of it, and what else there must be. */
static struct account account_of(int64_t room_kib, uint64_t have_kib, uint64_t owed_kib)
{
	struct account a = {have_kib, owed_kib};

	if (room_kib > 0)
		a.have_kib = sat_add(have_kib, (uint64_t)room_kib);
	else
		a.owed_kib = sat_add(owed_kib, -(uint64_t)room_kib);
	return a;
}

/* The covered memory of guests above their bottoms: a promise does not exclude a guest. */
static uint64_t above_bottom_kib(const struct guest *g, size_t n)
{
	uint64_t sum_kib = 0;

	for (size_t i = 0; i < n; i++)
		if (!g[i].plan.fixed)
			sum_kib = sat_add(sum_kib, sat_sub(claim_covered_kib(&g[i]), claim_bottom_kib(&g[i])));
	return sum_kib;
}

static uint64_t left_kib(const struct account *a)
{
	return sat_sub(a->have_kib, a->owed_kib);
}

/* As memguard does when the hook registers the start. */
static void take_idle(const struct policy_conf *conf, const struct budget *b, uint64_t need_kib, struct guest *g,
                      size_t n, struct policy_scratch *scratch)
{
	struct account a = account_of(b->room_kib, 0, need_kib);
	uint64_t lack_kib = sat_sub(a.owed_kib, a.have_kib);

	if (lack_kib)
		reclaim_plan(RECLAIM_ROOM, lack_kib, conf->tolerance_kib, g, n, scratch);
}

/* To the shares at which the passes arrive. */
static void take_headroom(const struct policy_conf *conf, const struct host *host, uint64_t pending_kib,
                          struct guest *g, size_t n, struct policy_scratch *scratch)
{
	struct budget b;

	policy_plan(conf, host, pending_kib, g, n, scratch, &b);
	for (size_t i = 0; i < n; i++) {
		uint64_t actual_kib = g[i].sample.actual_kib;

		g[i].plan.want_kib = actual_kib;
		if (!g[i].plan.fixed && !claim_keeps_all(&g[i]))
			g[i].plan.want_kib = min_u64(g[i].plan.share_kib, actual_kib);
	}
}

static void find_takes(const struct policy_conf *conf, const struct host *host, uint64_t pending_kib,
                       const struct budget *b, struct fit *f, struct guest *g, size_t n, struct policy_scratch *scratch)
{
	if (f->answer == FIT_YES)
		take_idle(conf, b, f->need_kib, g, n, scratch);
	else if (f->answer == FIT_HEADROOM)
		take_headroom(conf, host, sat_add(pending_kib, f->need_kib), g, n, scratch);
	for (size_t i = 0; i < n; i++)
		f->taken_kib = sat_add(f->taken_kib, sat_sub(g[i].sample.actual_kib, g[i].plan.want_kib));
}

static uint64_t guest_part_kib(uint64_t start_kib)
{
	return sat_sub(start_kib, QEMU_START_KIB);
}

uint64_t fit_largest_kib(const struct budget *b)
{
	return guest_part_kib(sat_sub(b->capacity_kib, sat_add(b->need_kib, b->merged_kib)));
}

/* How many beside the first. */
static uint64_t count_more(const struct fit *f, uint64_t room_kib, uint64_t pages_free_kib)
{
	uint64_t n = room_kib / max_u64(f->need_kib, 1);

	if (f->pages_kib)
		n = min_u64(n, pages_free_kib / f->pages_kib);
	return f->answer == FIT_YES ? n - 1 : 0;
}

void fit_find(const struct policy_conf *conf, const struct host *host, uint64_t pending_kib, const struct device *d,
              struct guest *g, size_t n, struct policy_scratch *scratch, struct fit *ret_fit)
{
	struct fit f = {.need_kib = device_start_kib(d), .pages_kib = d->hugepages ? d->maximum_kib : 0};
	struct account need, bottom;
	uint64_t largest_kib;
	struct budget b;

	for (size_t i = 0; i < n; i++) {
		policy_judge(conf, &g[i]);
		g[i].est.predates_move = false; /* a guest on the move can be taken from a pass later */
	}
	policy_budget(conf, host, pending_kib, g, n, &b);
	need = account_of(b.room_kib, sat_add(b.covered_kib, b.lent_kib), sat_add(b.need_kib, b.merged_kib));
	bottom = account_of(b.room_kib, above_bottom_kib(g, n), b.merged_kib);
	largest_kib = min_u64(left_kib(&need), left_kib(&bottom));

	f.short_kib = sat_sub(sat_add(f.need_kib, bottom.owed_kib), bottom.have_kib);
	f.pages_short_kib = sat_sub(f.pages_kib, host->hugetlb_free_kib);
	f.largest_kib = guest_part_kib(largest_kib);
	f.most_kib = guest_part_kib(left_kib(&bottom));
	if (f.short_kib || f.pages_short_kib)
		f.answer = FIT_NO;
	else
		f.answer = f.need_kib > largest_kib ? FIT_HEADROOM : FIT_YES;
	f.more = count_more(&f, largest_kib, host->hugetlb_free_kib);
	find_takes(conf, host, pending_kib, &b, &f, g, n, scratch);
	*ret_fit = f;
}
