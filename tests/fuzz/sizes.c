/* SPDX-License-Identifier: MIT */
/* libFuzzer: any text as a size, whole and in two parts, a duration, a percentage, a number. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define UNTOUCHED UINT64_C(4242424242424242)

static void check(int holds)
{
	if (!holds)
		abort();
}

/* What was read as KiB is read again from what it says, and is no more than libvirt allows. */
static void check_size(int result, uint64_t kib)
{
	char text[32];
	uint64_t again;

	check(result == 0 ? kib < UINT64_C(1) << 53 : kib == UNTOUCHED);
	if (result < 0)
		return;
	snprintf(text, sizeof(text), "%" PRIu64 " KiB", kib);
	check(size_parse(text, &again) == 0 && again == kib);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *unit;
	uint64_t kib = UNTOUCHED, number = UNTOUCHED;
	uint32_t ms = 42, pct = 42;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	check_size(size_parse(text, &kib), kib);
	check(duration_parse(text, &ms) == 0 ? ms <= INT32_MAX : ms == 42);
	check(percent_parse(text, &pct) == 0 ? pct >= 1 && pct <= 100 : pct == 42);
	check(number_parse(text, 1000, &number) == 0 ? number <= 1000 : number == UNTOUCHED);
	unit = strchr(text, '|');
	if (unit)
		*unit++ = '\0';
	kib = UNTOUCHED;
	check_size(size_parse_unit(text, unit, &kib), kib);
	free(text);
	return 0;
}
