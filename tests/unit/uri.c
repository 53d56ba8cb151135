/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/uri.h"

static void test_uris(void **state)
{
	static const struct {
		const char *uri;
		bool remote, own;
	} rows[] = {
	    {"qemu:///system", false, true},
	    {"qemu:///session", false, false},
	    {"test:///default", false, false},
	    {"test:///tmp/a+b@c:1/x.xml", false, false},
	    {"xen:///", false, false},
	    {"qemu+unix:///system", false, true},
	    {"qemu+unix:///system?socket=/run/a@b:c", false, true},
	    {"QEMU+UNIX:///system", false, true},
	    {"qemu://localhost/system", false, true},
	    {"qemu://LocalHost:16514/system", false, true},
	    {"qemu://user@localhost/system", false, true},
	    {"qemu://127.0.0.1/system", false, true},
	    {"qemu://[::1]:16514/system", false, true},
	    {"qemu:///system?host=there", false, true},
	    {"", false, false},
	    {"qemu", false, false},
	    {"://", false, false},
	    {"qemu://there/system", true, false},
	    {"qemu://there", true, false},
	    {"qemu://there?x=/", true, false},
	    {"qemu://user@there:1/system", true, false},
	    {"qemu://localhost@there/system", true, false},
	    {"qemu://localhost.there/system", true, false},
	    {"qemu://[fe80::1]/system", true, false},
	    {"qemu://[fe80::1/system", true, false},
	    {"qemu+ssh://there/system", true, false},
	    {"qemu+ssh://root@there:22/system?keyfile=/k", true, false},
	    {"qemu+ssh://localhost/system", true, false}, /* may be a tunnel */
	    {"qemu+tls:///system", true, false},
	    {"qemu+tcp:///system", true, false},
	    {"qemu+libssh2://there/system", true, false},
	    {"qemu+ext:///system?command=/bin/x", true, false},
	    {"qemu:///system/", false, false},
	    {"qemu:///systemd", false, false},
	    {"qemu:///SYSTEM", false, false},
	    {"qemu:////system", false, false},
	    {"qemu:///", false, false},
	    {"qemu:///embed?root=/system", false, false},
	    {"qemux:///system", false, false},
	    {"xqemu:///system", false, false},
	    {"lxc:///system", false, false},
	    {"system", false, false},
	    {"?x=://", false, false},
	    {"test+tcp:///default", true, false},
	    {"test://there/default", true, false},
	    {"test", false, false},
	    {"qemu:///system#x", false, true},
	    {"TEST:///default", false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (uri_is_remote(rows[i].uri) != rows[i].remote || uri_is_own(rows[i].uri, "") != rows[i].own)
			fail_msg("%s: %d %d", rows[i].uri, uri_is_remote(rows[i].uri), uri_is_own(rows[i].uri, ""));
	assert_true(uri_is_own("test:///default", "/tmp/root"));
	assert_false(uri_is_own("qemu:///session", "/tmp/root"));
	assert_true(uri_is_test("test:///default", "") && uri_is_test("TEST:///default", ""));
	assert_false(uri_is_test("test:///default", "/tmp/root") || uri_is_test("test+tcp:///default", ""));
	assert_false(uri_is_test("qemu:///system", "") || uri_is_test("qemu:///session", ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_uris),
	};

	return cmocka_run_group_tests_name("uri", tests, NULL, NULL);
}
