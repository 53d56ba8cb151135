/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/units.h"
#include "cli/terminal.h"

static const struct {
	const char *input;
	size_t taken;
	int key;
} keys[] = {
    {"", 0, KEY_NONE},
    {"q", 1, 'q'},
    {"qs", 1, 'q'},
    {" ", 1, ' '},
    {"\t", 1, KEY_NONE},
    {"\x7f", 1, KEY_NONE},
    {"\xc3\xa9", 1, KEY_NONE},
    /* sequences, of terminals in application mode too */
    {"\033[A", 3, KEY_UP},
    {"\033[B", 3, KEY_DOWN},
    {"\033OA", 3, KEY_UP},
    {"\033OB", 3, KEY_DOWN},
    {"\033[5~", 4, KEY_PAGE_UP},
    {"\033[6~", 4, KEY_PAGE_DOWN},
    {"\033[H", 3, KEY_HOME},
    {"\033[1~", 4, KEY_HOME},
    {"\033OF", 3, KEY_END},
    {"\033[4~", 4, KEY_END},
    {"\033[Aq", 3, KEY_UP},
    /* none of ours, but whole: what follows is not taken for a part of it */
    {"\033[3~q", 4, KEY_NONE},
    {"\033[1;5Aq", 6, KEY_NONE},
    {"\033[15~", 5, KEY_NONE},
    {"\033Oqs", 3, KEY_NONE},
    {"\033[<0;1;1M", 9, KEY_NONE},
    {"\033[5\033[A", 3, KEY_NONE},
    /* not whole yet */
    {"\033", 0, KEY_NONE},
    {"\033[", 0, KEY_NONE},
    {"\033[1", 0, KEY_NONE},
    {"\033[1;5", 0, KEY_NONE},
    {"\033O", 0, KEY_NONE},
    /* a lone ESC does not disturb other keys */
    {"\033q", 1, KEY_NONE},
    {"\033\033[A", 1, KEY_NONE},
};

static void test_keys(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(keys); i++) {
		int key = -1;
		size_t taken = terminal_key(keys[i].input, strlen(keys[i].input), &key);

		if (taken != keys[i].taken || key != keys[i].key)
			fail_msg("row %zu: %zu bytes, key %#x", i, taken, (unsigned)key);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
