/* SPDX-License-Identifier: MIT */
/* libFuzzer: any document, as a domain and as capabilities. Its facts and hints are within bounds and safe to print. */
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "virt/domxml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_hints(const struct hints *h, uint64_t maximum_kib)
{
	check(h->weight >= 1 && h->weight <= 10000 && h->n_faults <= HINT_FAULTS);
	check((h->has_min || !h->min_kib) && (h->has_max || !h->max_kib));
	check(!h->has_min || !h->has_max || h->min_kib <= h->max_kib);
	check(!maximum_kib || (h->min_kib <= maximum_kib && h->max_kib <= maximum_kib));
	for (unsigned i = 0; i < h->n_faults; i++)
		for (const char *c = h->fault[i]; *c; c++)
			check(*c >= ' ' && *c <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *xml = (const char *)data;
	struct domxml d = {0};
	uint64_t hugetlb_kib;

	domxml_read_hugetlb(xml, size, &hugetlb_kib);
	if (domxml_read(xml, size, &d) == 0) {
		char uuid[UUID_TEXT];

		check(!d.uuid[0] || (uuid_parse(d.uuid, uuid) && strcmp(uuid, d.uuid) == 0));
		check(d.domain_id >= -1 && (!d.name || strlen(d.name) <= DOMXML_NAME_BYTES));
		check_hints(&d.hints, d.device.maximum_kib);
	}
	domxml_clear(&d);
	return 0;
}
