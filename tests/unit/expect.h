/* SPDX-License-Identifier: MIT */
/* An assertion for rows of numbers: what names the row, and the failing line also shows the figure. */
#ifndef MEMSCHED_TESTS_EXPECT_H
#define MEMSCHED_TESTS_EXPECT_H

#define expect(what, got, wanted)                                                                                      \
	do {                                                                                                           \
		long long has = (long long)(got), should = (long long)(wanted);                                        \
                                                                                                                       \
		if (has != should)                                                                                     \
			fail_msg("%s: " #got " is %lld, not %lld", what, has, should);                                 \
	} while (0)
#endif
