/* SPDX-License-Identifier: MIT */
#include "plan/fairshare.h"

#include "base/units.h"

static int compare_edges(const struct fairshare_edge *x, const struct fairshare_edge *y)
{
	return compare_products(x->num, y->den, y->num, x->den);
}

/* Lets edge[i] sink to its place in the heap of n, the greatest on top. */
static void sink_edge(struct fairshare_edge *edge, size_t i, size_t n)
{
	struct fairshare_edge e = edge[i];

	for (size_t child; (child = 2 * i + 1) < n; i = child) {
		if (child + 1 < n && compare_edges(&edge[child], &edge[child + 1]) < 0)
			child++;
		if (compare_edges(&e, &edge[child]) >= 0)
			break;
		edge[i] = edge[child];
	}
	edge[i] = e;
}

/* In place: qsort of glibc may allocate, and the guard must not. */
static void sort_edges(struct fairshare_edge *edge, size_t n)
{
	for (size_t i = n / 2; i > 0; i--)
		sink_edge(edge, i - 1, n);
	for (size_t end = n; end > 1; end--) {
		struct fairshare_edge last = edge[end - 1];

		edge[end - 1] = edge[0];
		edge[0] = last;
		sink_edge(edge, 0, end - 1);
	}
}

static size_t edges_sorted(const struct fairshare_item *item, size_t n, struct fairshare_edge *edge)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++) {
		const struct fairshare_item *it = &item[i];

		if (it->hi_kib <= it->lo_kib)
			continue;
		edge[count++] = (struct fairshare_edge){
		    .num = it->lo_kib - it->base_kib,
		    .den = it->weight,
		    .base_kib = it->base_kib,
		    .end_kib = it->lo_kib,
		    .weight = it->weight,
		    .starts = true,
		};
		edge[count] = edge[count - 1];
		edge[count].num = it->hi_kib - it->base_kib;
		edge[count].end_kib = it->hi_kib;
		edge[count++].starts = false;
	}
	sort_edges(edge, count);
	return count;
}

bool fairshare_find(const struct fairshare_item *item, size_t n, uint64_t capacity_kib, struct fairshare_edge *edge,
                    struct fairshare *ret_level)
{
	/* of the items outside their growing range, and within it; still + base never exceeds the capacity */
	uint64_t still = 0, base = 0, weight = 0;
	size_t count = edges_sorted(item, n, edge);

	*ret_level = (struct fairshare){.num = 0, .den = 1, .bounded = true};
	for (size_t i = 0; i < n; i++) {
		if (item[i].lo_kib > capacity_kib - still)
			return false;
		still += item[i].lo_kib;
	}

	for (size_t i = 0; i < count; i++) {
		const struct fairshare_edge *e = &edge[i];
		uint64_t left = capacity_kib - still - base;

		if (compare_products(weight, e->num, left, e->den) > 0) {
			ret_level->num = left;
			ret_level->den = weight;
			return true;
		}
		still = e->starts ? still - e->end_kib : still + e->end_kib;
		base = e->starts ? base + e->base_kib : base - e->base_kib;
		weight = e->starts ? weight + e->weight : weight - e->weight;
	}
	ret_level->bounded = false;
	return true;
}

uint64_t fairshare_share_kib(const struct fairshare *level, const struct fairshare_item *item)
{
	uint64_t share;

	if (!level->bounded)
		return item->hi_kib;
	share = sat_add(item->base_kib, scale_u64(level->num, item->weight, level->den));
	return clamp_u64(share, item->lo_kib, item->hi_kib);
}
