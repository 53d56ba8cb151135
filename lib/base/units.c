/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"

/* libvirt's bound: a size of 2^53 KiB (2^63 bytes) is too large. */
#define SIZE_MOST_BYTES (((UINT64_C(1) << 53) - 1) * 1024)

/* 128 bits. Compilers for 32-bit hosts have no __int128. */
struct wide {
	uint64_t high, low;
};

static struct wide wide_product(uint64_t a, uint64_t b)
{
	uint64_t a_low = (uint32_t)a, a_high = a >> 32, b_low = (uint32_t)b, b_high = b >> 32;
	uint64_t middle = a_high * b_low + (a_low * b_low >> 32); /* cannot wrap: (2^32 - 1)^2 + 2^32 - 1 < 2^64 */
	uint64_t other = a_low * b_high + (uint32_t)middle;

	return (struct wide){a_high * b_high + (middle >> 32) + (other >> 32), a * b};
}

/* Long division, bit by bit. */
uint64_t scale_wide(uint64_t a, uint64_t num, uint64_t den)
{
	struct wide rest = wide_product(a, num);
	uint64_t quotient = 0;

	if (rest.high >= den)
		return UINT64_MAX;
	for (int bit = 63; bit >= 0; bit--) {
		bool carry = rest.high >> 63;

		rest.high = rest.high << 1 | (rest.low >> bit & 1);
		if (carry || rest.high >= den) {
			rest.high -= den;
			quotient |= UINT64_C(1) << bit;
		}
	}
	return quotient;
}

int compare_products(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	struct wide x = wide_product(a, b), y = wide_product(c, d);

	if (x.high != y.high)
		return x.high > y.high ? 1 : -1;
	return (x.low > y.low) - (x.low < y.low);
}

struct unit {
	const char *name; /* "": no unit given */
	uint64_t factor;
};

struct scale {
	bool any_case;
	uint64_t most; /* after scaling */
	const struct unit *units;
};

static const struct unit size_units[] = {
    {"", 1024},
    {"b", 1},
    {"byte", 1},
    {"bytes", 1},
    {"k", 1ull << 10},
    {"m", 1ull << 20},
    {"g", 1ull << 30},
    {"t", 1ull << 40},
    {"p", 1ull << 50},
    {"e", 1ull << 60},
    {"KiB", 1ull << 10},
    {"MiB", 1ull << 20},
    {"GiB", 1ull << 30},
    {"TiB", 1ull << 40},
    {"PiB", 1ull << 50},
    {"EiB", 1ull << 60},
    {"KB", 1000ull},
    {"MB", 1000000ull},
    {"GB", 1000000000ull},
    {"TB", 1000000000000ull},
    {"PB", 1000000000000000ull},
    {"EB", 1000000000000000000ull},
    {0},
};

static const struct unit duration_units[] = {
    {"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 60 * 60 * 1000}, {0},
};

static const struct unit percent_units[] = {{"%", 1}, {0}};
static const struct unit number_units[] = {{"", 1}, {0}};

static const struct scale sizes = {true, SIZE_MOST_BYTES, size_units};
static const struct scale durations = {false, INT32_MAX, duration_units};
static const struct scale percents = {false, 100, percent_units};

static size_t count_digits(const char *text)
{
	return strspn(text, "0123456789");
}

static int read_digits(const char *digits, size_t n, uint64_t *ret_value)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		if (__builtin_mul_overflow(v, UINT64_C(10), &v) ||
		    __builtin_add_overflow(v, (uint64_t)(digits[i] - '0'), &v))
			return -ERANGE;
	*ret_value = v;
	return 0;
}

static const struct unit *find_unit(const struct scale *scale, const char *given)
{
	const struct unit *u = scale->units;

	while (u->name && !(scale->any_case ? text_same(u->name, given) : strcmp(u->name, given) == 0))
		u++;
	return u->name ? u : NULL;
}

/* A wrong form is -EINVAL, however many digits it has. */
static int scaled_parse(const char *digits, const char *given, const struct scale *scale, uint64_t *ret_value)
{
	const struct unit *unit = find_unit(scale, given);
	size_t n = count_digits(digits);
	uint64_t v;

	if (n == 0 || !unit)
		return -EINVAL;
	if (read_digits(digits, n, &v) < 0 || v > scale->most / unit->factor)
		return -ERANGE;
	*ret_value = v * unit->factor;
	return 0;
}

/* Spaces may stand before a unit, and nowhere else. */
static const char *unit_of(const char *text)
{
	const char *end = text + count_digits(text);
	const char *name = end + strspn(end, " ");

	return *name ? name : end;
}

static uint64_t bytes_to_kib(uint64_t bytes)
{
	return bytes / 1024 + (bytes % 1024 != 0);
}

int size_parse_unit(const char *digits, const char *unit, uint64_t *ret_kib)
{
	uint64_t bytes;
	int r;

	r = digits[count_digits(digits)] ? -EINVAL : scaled_parse(digits, unit ? unit : "", &sizes, &bytes);
	if (r < 0)
		return r;
	*ret_kib = bytes_to_kib(bytes);
	return 0;
}

int size_parse(const char *text, uint64_t *ret_kib)
{
	uint64_t bytes;
	int r = scaled_parse(text, unit_of(text), &sizes, &bytes);

	if (r < 0)
		return r;
	*ret_kib = bytes_to_kib(bytes);
	return 0;
}

int duration_parse(const char *text, uint32_t *ret_ms)
{
	uint64_t ms;
	int r = scaled_parse(text, unit_of(text), &durations, &ms);

	if (r < 0)
		return r;
	*ret_ms = (uint32_t)ms;
	return 0;
}

int percent_parse(const char *text, uint32_t *ret_pct)
{
	uint64_t pct;
	int r = scaled_parse(text, unit_of(text), &percents, &pct);

	if (r < 0)
		return r;
	if (pct == 0)
		return -ERANGE;
	*ret_pct = (uint32_t)pct;
	return 0;
}

int number_parse(const char *text, uint64_t limit, uint64_t *ret_number)
{
	const struct scale numbers = {false, limit, number_units};

	return scaled_parse(text, text + count_digits(text), &numbers, ret_number);
}
