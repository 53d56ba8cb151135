/* SPDX-License-Identifier: MIT */
#include "base/uri.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

static bool is_this_host(const char *host, size_t length)
{
	static const char *const names[] = {"", "localhost", "127.0.0.1", "[::1]"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strlen(names[i]) == length && text_same_start(host, names[i], length))
			return true;
	return false;
}

bool uri_is_remote(const char *uri)
{
	size_t scheme = strcspn(uri, ":"), transport = strcspn(uri, "+:"), length;
	const char *host = uri + scheme, *at;

	if (transport < scheme && !text_same_start(uri + transport, "+unix:", 6))
		return true;
	if (strncmp(host, "://", 3))
		return false;
	host += 3;
	length = strcspn(host, "/?#");
	at = memrchr(host, '@', length);
	if (at) {
		length -= (size_t)(at + 1 - host);
		host = at + 1;
	}
	if (*host != '[')
		length = strcspn(host, ":/?#");
	else if (memchr(host, ']', length))
		length = (size_t)((const char *)memchr(host, ']', length) + 1 - host);
	return !is_this_host(host, length);
}

static bool is_test_driver(const char *uri)
{
	return text_same_start(uri, "test:", 5) && !uri_is_remote(uri);
}

bool uri_is_test(const char *uri, const char *root)
{
	return is_test_driver(uri) && !*root;
}

bool uri_is_own(const char *uri, const char *root)
{
	const char *path = strstr(uri, "://");

	if (!path || uri_is_remote(uri))
		return false;
	if (is_test_driver(uri))
		return *root;
	path += 3;
	path += strcspn(path, "/?#");
	return text_same_start(uri, "qemu", 4) && strchr("+:", uri[4]) && strcspn(path, "?#") == strlen("/system") &&
	       !strncmp(path, "/system", strlen("/system"));
}

char *uri_folder(char folder[URI_FOLDER], const char *uri, const char *root)
{
	if (uri_is_own(uri, root))
		*folder = '\0';
	else
		snprintf(folder, URI_FOLDER, "%016" PRIx64, text_hash(uri));
	return folder;
}
