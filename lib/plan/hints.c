/* SPDX-License-Identifier: MIT */
#include "plan/hints.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"
#include "base/units.h"
#include "plan/policy.h"

#define SMALL_KIB (16 * KIB_PER_MIB) /* no Linux guest lives with less */

void hints_fault(struct hints *h, const struct hint_context *in, const char *format, ...)
{
	char domain[96], text[2 * HINT_FAULT_TEXT];
	va_list args;
	int n;

	if (h->n_faults == HINT_FAULTS)
		return;
	text_escape(domain, sizeof(domain), in->domain ? in->domain : "", text_is_utf8());
	n = snprintf(text, sizeof(text), "domain '%s': ", domain);
	va_start(args, format);
	vsnprintf(text + n, sizeof(text) - (size_t)n, format, args);
	va_end(args);
	text_copy(h->fault[h->n_faults++], HINT_FAULT_TEXT, text);
}

void hints_void(struct hints *h, const struct hint_context *in, const char *hint, const char *value, const char *why)
{
	char name[64], given[64];

	h->voided = true;
	hints_fault(h, in, "hint %s '%s' is ignored: %s", text_escape(name, sizeof(name), hint, text_is_utf8()),
	            text_escape(given, sizeof(given), value, text_is_utf8()), why);
}

static void void_max(struct hints *h, const struct hint_context *in, const char *what, uint64_t least_kib)
{
	char value[32], least[32], why[80];

	snprintf(why, sizeof(why), "below %s (%s)", what, text_size(least, sizeof(least), least_kib));
	hints_void(h, in, "max", text_size(value, sizeof(value), h->max_kib), why);
	h->has_max = false;
	h->max_kib = 0;
}

/* So small a value mostly lacks its unit. It is valid all the same, as in libvirt. */
static bool note_small(struct hints *h, const struct hint_context *in, const char *hint, uint64_t kib)
{
	char size[TEXT_SIZE];

	if (kib >= SMALL_KIB)
		return false;
	hints_fault(h, in, "hint %s is only %s: a number without a unit is KiB", hint,
	            text_size(size, sizeof(size), kib));
	return true;
}

static void note_low(struct hints *h, const struct hint_context *in, uint64_t floor_kib)
{
	char size[TEXT_SIZE], floor[TEXT_SIZE];

	if (h->min_kib < floor_kib)
		hints_fault(h, in, "hint min is %s, less than a guest of this size keeps without it (%s)",
		            text_size(size, sizeof(size), h->min_kib), text_size(floor, sizeof(floor), floor_kib));
}

void hints_judge(const struct hint_context *in, struct hints *h)
{
	uint64_t floor_kib = policy_floor_kib(in->maximum_kib);

	if (h->has_max && h->max_kib < floor_kib)
		void_max(h, in, "the least a guest of this size keeps", floor_kib);
	if (h->has_max && h->has_min && h->min_kib > h->max_kib)
		void_max(h, in, "min", h->min_kib);
	if (h->has_min && !note_small(h, in, "min", h->min_kib))
		note_low(h, in, floor_kib);
	if (h->has_max)
		note_small(h, in, "max", h->max_kib);
	if (h->has_target)
		note_small(h, in, "target", h->target_kib);
	if (in->maximum_kib) {
		h->min_kib = min_u64(h->min_kib, in->maximum_kib);
		h->max_kib = min_u64(h->max_kib, in->maximum_kib);
		h->target_kib = min_u64(h->target_kib, in->maximum_kib);
	}
}
