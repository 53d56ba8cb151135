/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/units.h"

#define UNTOUCHED 4242

struct row {
	const char *text;
	const char *unit; /* size_parse_unit only */
	int result;
	uint64_t value;
};

static void fail_row(const struct row *row, int result, uint64_t value)
{
	if (result != row->result || value != (result < 0 ? UNTOUCHED : row->value))
		fail_msg("'%s' '%s': %d, %llu", row->text, row->unit ? row->unit : "(null)", result,
		         (unsigned long long)value);
}

static const struct row sizes[] = {
    {"0", .value = 0},
    {"12", .value = 12},
    {"150000", .value = 150000},
    {"007", .value = 7},
    {"12k", .value = 12},
    {"12K", .value = 12},
    {"12KiB", .value = 12},
    {"12kib", .value = 12},
    {"12KIB", .value = 12},
    {"12 KiB", .value = 12},
    {"12   k", .value = 12},
    {"3M", .value = 3 * 1024},
    {"3mib", .value = 3 * 1024},
    {"3G", .value = 3 * KIB_PER_GIB},
    {"3GiB", .value = 3 * KIB_PER_GIB},
    {"2t", .value = UINT64_C(2) << 30},
    {"2TiB", .value = UINT64_C(2) << 30},
    {"2p", .value = UINT64_C(2) << 40},
    {"2PiB", .value = UINT64_C(2) << 40},
    {"2e", .value = UINT64_C(2) << 50},
    {"2EiB", .value = UINT64_C(2) << 50},
    /* 1000, in bytes, rounded up */
    {"1KB", .value = 1},
    {"2kb", .value = 2},
    {"1000KB", .value = 977},
    {"1MB", .value = 977},
    {"1GB", .value = 976563},
    {"1TB", .value = 976562500},
    {"1PB", .value = 976562500000},
    {"1EB", .value = 976562500000000},
    {"0b", .value = 0},
    {"1b", .value = 1},
    {"1B", .value = 1},
    {"1024 byte", .value = 1},
    {"1025 Bytes", .value = 2},
    {"1000000 bytes", .value = 977},
    /* the largest that libvirt takes */
    {"9007199254740991", .value = 9007199254740991},
    {"9223372036854774784b", .value = 9007199254740991},
    {"7EiB", .value = UINT64_C(7) << 50},
    {"9EB", .value = 8789062500000000},
    {"9007199254740992", .result = -ERANGE},
    {"9223372036854774785b", .result = -ERANGE},
    {"8EiB", .result = -ERANGE},
    {"16E", .result = -ERANGE},
    {"10EB", .result = -ERANGE},
    {"18446744073709551615", .result = -ERANGE},
    {"18446744073709551616", .result = -ERANGE},
    {"18446744073709551617b", .result = -ERANGE}, /* 1, were it to wrap */
    {"99999999999999999999", .result = -ERANGE},
    {"99999999999999999999 MiB", .result = -ERANGE},
    {"100000000000000000000000000000000000000000000000000000000000000000000", .result = -ERANGE},
    {"", .result = -EINVAL},
    {" ", .result = -EINVAL},
    {"-1", .result = -EINVAL},
    {"+5", .result = -EINVAL},
    {" 5", .result = -EINVAL},
    {"5 ", .result = -EINVAL},
    {"5k ", .result = -EINVAL},
    {"5\tk", .result = -EINVAL},
    {"5\n", .result = -EINVAL},
    {"0x10", .result = -EINVAL},
    {"1.5G", .result = -EINVAL},
    {"1,5G", .result = -EINVAL},
    {"1e3", .result = -EINVAL},
    {"1_000", .result = -EINVAL},
    {"1 000", .result = -EINVAL},
    {"k", .result = -EINVAL},
    {"KiB", .result = -EINVAL},
    {"abc", .result = -EINVAL},
    {"12x", .result = -EINVAL},
    {"12Ki", .result = -EINVAL},
    {"12KiBs", .result = -EINVAL},
    {"12KBs", .result = -EINVAL},
    {"12kk", .result = -EINVAL},
    {"12iB", .result = -EINVAL},
    {"12bb", .result = -EINVAL},
    {"12byt", .result = -EINVAL},
    {"12K B", .result = -EINVAL},
    {"12z", .result = -EINVAL},
    {"12\x0b", .result = -EINVAL},
    {"12KiB12", .result = -EINVAL},
    {"10%", .result = -EINVAL},
    {"nan", .result = -EINVAL},
    {"\xd9\xa3", .result = -EINVAL}, /* an Arabic three */
    {"99999999999999999999x", .result = -EINVAL},
};

static void test_sizes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		uint64_t v = UNTOUCHED;
		int r = size_parse(sizes[i].text, &v);

		fail_row(&sizes[i], r, v);
	}
}

static const struct row unit_sizes[] = {
    {"512", "MiB", .value = 512 * 1024},
    {"512", "mib", .value = 512 * 1024},
    {"512", NULL, .value = 512},
    {"512", "", .value = 512},
    {"513", "bytes", .value = 1},
    {"1", "GB", .value = 976563},
    {"9007199254740992", NULL, .result = -ERANGE},
    {"99999999999999999999", "b", .result = -ERANGE},
    {"512", " MiB", .result = -EINVAL},
    {"512", "MiB ", .result = -EINVAL},
    {"512", " ", .result = -EINVAL},
    {"512", "parsec", .result = -EINVAL},
    {"512", "1", .result = -EINVAL},
    {"512k", NULL, .result = -EINVAL},
    {"512k", "MiB", .result = -EINVAL},
    {"512 ", "MiB", .result = -EINVAL},
    {" 512", "MiB", .result = -EINVAL},
    {"-512", "MiB", .result = -EINVAL},
    {"", "MiB", .result = -EINVAL},
    {"", NULL, .result = -EINVAL},
};

static void test_unit_sizes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(unit_sizes) / sizeof(*unit_sizes); i++) {
		uint64_t v = UNTOUCHED;
		int r = size_parse_unit(unit_sizes[i].text, unit_sizes[i].unit, &v);

		fail_row(&unit_sizes[i], r, v);
	}
}

static const struct row durations[] = {
    {"0", .value = 0},
    {"1", .value = 1000},
    {"500ms", .value = 500},
    {"500 ms", .value = 500},
    {"5s", .value = 5000},
    {"2m", .value = 120000},
    {"1h", .value = 3600000},
    {"2147483647ms", .value = INT32_MAX},
    {"596h", .value = 2145600000},
    {"2147483648ms", .result = -ERANGE},
    {"2147484", .result = -ERANGE},
    {"597h", .result = -ERANGE},
    {"4294967297ms", .result = -ERANGE}, /* 1, were it cut to 32 bits */
    {"18446744073709551617", .result = -ERANGE},
    {"", .result = -EINVAL},
    {"s", .result = -EINVAL},
    {"-1", .result = -EINVAL},
    {"+1", .result = -EINVAL},
    {"1.5s", .result = -EINVAL},
    {"1S", .result = -EINVAL},
    {"1M", .result = -EINVAL}, /* a month elsewhere */
    {"1d", .result = -EINVAL},
    {"1sec", .result = -EINVAL},
    {"1m30s", .result = -EINVAL},
    {"1s ", .result = -EINVAL},
    {" 1s", .result = -EINVAL},
    {"0x1", .result = -EINVAL},
};

static const struct row percents[] = {
    {"1%", .value = 1},
    {"10%", .value = 10},
    {"10 %", .value = 10},
    {"100%", .value = 100},
    {"0%", .result = -ERANGE},
    {"101%", .result = -ERANGE},
    {"4294967297%", .result = -ERANGE},
    {"99999999999999999999%", .result = -ERANGE},
    {"", .result = -EINVAL},
    {"%", .result = -EINVAL},
    {"10", .result = -EINVAL},
    {"10%%", .result = -EINVAL},
    {"10% ", .result = -EINVAL},
    {"-10%", .result = -EINVAL},
    {"+10%", .result = -EINVAL},
    {"1.5%", .result = -EINVAL},
    {"10\x05", .result = -EINVAL},
    {"10k%", .result = -EINVAL},
};

static void run32(int (*parse)(const char *, uint32_t *), const struct row *row, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t v = UNTOUCHED;
		int r = parse(row[i].text, &v);

		fail_row(&row[i], r, v);
	}
}

static void test_durations(void **state)
{
	(void)state;
	run32(duration_parse, durations, sizeof(durations) / sizeof(*durations));
}

static void test_percents(void **state)
{
	(void)state;
	run32(percent_parse, percents, sizeof(percents) / sizeof(*percents));
}

static void test_numbers(void **state)
{
	static const struct {
		struct row row;
		uint64_t limit;
	} numbers[] = {
	    {{"0", .value = 0}, 0},
	    {{"10000", .value = 10000}, 10000},
	    {{"18446744073709551615", .value = UINT64_MAX}, UINT64_MAX},
	    {{"1", .result = -ERANGE}, 0},
	    {{"10001", .result = -ERANGE}, 10000},
	    {{"18446744073709551616", .result = -ERANGE}, UINT64_MAX},
	    {{"", .result = -EINVAL}, 10},
	    {{" ", .result = -EINVAL}, 10},
	    {{"-0", .result = -EINVAL}, 10},
	    {{"+1", .result = -EINVAL}, 10},
	    {{"1 ", .result = -EINVAL}, 10},
	    {{" 1", .result = -EINVAL}, 10},
	    {{"1k", .result = -EINVAL}, 10},
	    {{"0x1", .result = -EINVAL}, 10},
	    {{"1.0", .result = -EINVAL}, 10},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		uint64_t v = UNTOUCHED;
		int r = number_parse(numbers[i].row.text, numbers[i].limit, &v);

		fail_row(&numbers[i].row, r, v);
	}
}

static void test_arithmetic(void **state)
{
	const struct {
		uint64_t got, want;
	} sums[] = {
	    {min_u64(1, 2), 1},
	    {min_u64(2, 1), 1},
	    {max_u64(1, 2), 2},
	    {max_u64(2, 1), 2},
	    {clamp_u64(5, 1, 9), 5},
	    {clamp_u64(0, 1, 9), 1},
	    {clamp_u64(10, 1, 9), 9},
	    {clamp_u64(5, 9, 1), 9},
	    {sat_add(1, 2), 3},
	    {sat_add(UINT64_MAX, 0), UINT64_MAX},
	    {sat_add(UINT64_MAX, 1), UINT64_MAX},
	    {sat_add(UINT64_MAX - 1, UINT64_MAX - 1), UINT64_MAX},
	    {sat_sub(3, 2), 1},
	    {sat_sub(2, 2), 0},
	    {sat_sub(2, 3), 0},
	    {sat_sub(0, UINT64_MAX), 0},
	    {scale_u64(10, 1, 3), 3},
	    {scale_u64(10, 2, 3), 6},
	    {scale_u64(0, UINT64_MAX, 1), 0},
	    {scale_u64(UINT64_MAX, 90, 100), 16602069666338596453u},
	    {scale_u64(UINT64_MAX, UINT64_MAX, UINT64_MAX), UINT64_MAX},
	    {scale_u64(UINT64_MAX, 3, 2), UINT64_MAX},
	    {scale_u64(UINT64_MAX, UINT64_MAX, 1), UINT64_MAX},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(sums) / sizeof(*sums); i++)
		if (sums[i].got != sums[i].want)
			fail_msg("row %zu: %llu, not %llu", i, (unsigned long long)sums[i].got,
			         (unsigned long long)sums[i].want);
}

#ifdef __SIZEOF_INT128__

/* 0 to 64 bits wide, all ones now and then. */
static uint64_t random_width(void)
{
	uint64_t number = (uint64_t)mrand48() << 32 ^ (uint64_t)mrand48();
	unsigned width = (unsigned)lrand48() % 65;
	uint64_t most = width ? UINT64_MAX >> (64 - width) : 0;

	return lrand48() % 8 ? number & most : most;
}

static void test_scale_against_compiler(void **state)
{
	(void)state;
	srand48(1);
	for (int i = 0; i < 200000; i++) {
		uint64_t a = random_width(), num = random_width(), den = max_u64(random_width(), 1);
		unsigned __int128 exact = (unsigned __int128)a * num / den;
		uint64_t want = exact > UINT64_MAX ? UINT64_MAX : (uint64_t)exact;

		if (scale_u64(a, num, den) != want || scale_wide(a, num, den) != want)
			fail_msg("row %d: %llu * %llu / %llu", i, (unsigned long long)a, (unsigned long long)num,
			         (unsigned long long)den);
	}
}

/* Half of the pairs are the same, or hardly apart. */
static void test_compare_against_compiler(void **state)
{
	(void)state;
	srand48(2);
	for (int i = 0; i < 200000; i++) {
		uint64_t a = random_width(), b = random_width();
		uint64_t c = i % 2 ? b : random_width(), d = i % 2 ? a + (uint64_t)(lrand48() % 3) - 1 : random_width();
		unsigned __int128 x = (unsigned __int128)a * b, y = (unsigned __int128)c * d;
		int got = compare_products(a, b, c, d);

		if ((got > 0) != (x > y) || (got < 0) != (x < y))
			fail_msg("row %d: %llu * %llu, %llu * %llu: %d", i, (unsigned long long)a,
			         (unsigned long long)b, (unsigned long long)c, (unsigned long long)d, got);
	}
}

#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sizes),
	    cmocka_unit_test(test_unit_sizes),
	    cmocka_unit_test(test_durations),
	    cmocka_unit_test(test_percents),
	    cmocka_unit_test(test_numbers),
	    cmocka_unit_test(test_arithmetic),
#ifdef __SIZEOF_INT128__
	    cmocka_unit_test(test_scale_against_compiler),
	    cmocka_unit_test(test_compare_against_compiler),
#endif
	};

	return cmocka_run_group_tests_name("units", tests, NULL, NULL);
}
