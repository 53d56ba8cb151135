/* SPDX-License-Identifier: MIT */
/*
 * KiB arithmetic that saturates instead of wrapping, and sizes, durations and percentages as text.
 * Pure: no I/O, no clock, no allocation. Parsers return 0, -EINVAL (not of the form) or -ERANGE (too large, or
 * not among the numbers named); on failure the result is untouched. Digits are 0-9 without a sign; spaces may stand
 * between digits and unit, and nowhere else.
 */
#ifndef MEMSCHED_BASE_UNITS_H
#define MEMSCHED_BASE_UNITS_H

#include <stdint.h>

#define KIB_PER_MIB UINT64_C(1024)
#define KIB_PER_GIB (1024 * KIB_PER_MIB)

/* How many elements an array has. */
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static inline uint64_t distance_u64(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

/* lo if the bounds cross. */
static inline uint64_t clamp_u64(uint64_t v, uint64_t lo, uint64_t hi)
{
	return max_u64(min_u64(v, hi), lo);
}

static inline uint64_t sat_add(uint64_t a, uint64_t b)
{
	uint64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

/* 0 if b exceeds a. */
static inline uint64_t sat_sub(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* scale_u64 for products that need more than 64 bits. */
uint64_t scale_wide(uint64_t a, uint64_t num, uint64_t den);

/* a * num / den, rounded down; den > 0. Saturates. */
static inline uint64_t scale_u64(uint64_t a, uint64_t num, uint64_t den)
{
	uint64_t product;

	return __builtin_mul_overflow(a, num, &product) ? scale_wide(a, num, den) : product / den;
}

/* Compares a * b with c * d, exactly: less than 0, 0, or greater than 0. */
int compare_products(uint64_t a, uint64_t b, uint64_t c, uint64_t d);

/*
 * A size as libvirt's virScaleInteger and virDomainParseMemory take it: digits, then an optional unit: b, byte, bytes;
 * k m g t p e alone or with iB (1024); KB MB GB … (1000); case is ignored; without a unit KiB. Integers only; bytes are
 * rounded up to whole KiB; less than 2^53 KiB. "12" "12k" "12 KiB" "1GB".
 */
int size_parse(const char *text, uint64_t *ret_kib);

/* The same with the unit apart, as <min unit="MiB">512</min> has it, and no space at all; unit NULL or "" is KiB. */
int size_parse_unit(const char *digits, const char *unit, uint64_t *ret_kib);

/* A duration: digits and an optional unit ms, s, m or h, in lower case; without one, seconds. At most INT32_MAX ms. */
int duration_parse(const char *text, uint32_t *ret_ms);

/* "N%" with N 1-100. */
int percent_parse(const char *text, uint32_t *ret_pct);

/* Digits only, at most limit. */
int number_parse(const char *text, uint64_t limit, uint64_t *ret_number);

#endif
