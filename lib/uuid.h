/*
 * UUIDs as libvirt writes them, the only names that files of the registry bear. Pure.
 */
#ifndef MEMSCHED_UUID_H
#define MEMSCHED_UUID_H

#include "guest.h"

/* Whether text is a UUID and nothing else; ret_uuid (may be text itself) gets it in lower case, else stays. */
static inline bool uuid_parse(const char *text, char ret_uuid[UUID_TEXT])
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	char uuid[UUID_TEXT] = "";

	for (size_t i = 0; i < UUID_TEXT; i++) {
		char c = text[i] >= 'A' && text[i] <= 'F' ? (char)(text[i] + 'a' - 'A') : text[i];
		bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');

		if (form[i] == 'x' ? !hex : c != form[i])
			return false;
		uuid[i] = c;
	}
	for (size_t i = 0; i < UUID_TEXT; i++)
		ret_uuid[i] = uuid[i];
	return true;
}

#endif
