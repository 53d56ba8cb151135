/* SPDX-License-Identifier: MIT */
/*
 * Files of lines "key=value" in a state directory, from and to the members of a struct: a form says which. What is
 * damaged, or of another version, is no such file.
 */
#ifndef MEMSCHED_HOST_KEYFILE_H
#define MEMSCHED_HOST_KEYFILE_H

#include <stddef.h>

#include "host/statedir.h"

enum keyfile_kind { KEYFILE_BOOL, KEYFILE_U32, KEYFILE_U64, KEYFILE_I64, KEYFILE_TEXT };

struct keyfile_field {
	const char *key;
	enum keyfile_kind kind;
	size_t offset;
};

/* A kind of file. Its version changes with its keys. */
struct keyfile_form {
	enum statedir_place place;
	const char *version; /* its first line */
	const struct keyfile_field *field;
	size_t n; /* at most 63 */
};

#define KEYFILE_KIND(x)                                                                                                \
	_Generic((x), bool : KEYFILE_BOOL, uint32_t : KEYFILE_U32, uint64_t : KEYFILE_U64, int64_t : KEYFILE_I64, char * : KEYFILE_TEXT)
#define KEYFILE_FIELD(type, member) KEYFILE_KIND(((type *)0)->member), offsetof(type, member)

/*
 * Writes the members of base in the form, whole or not at all; of STATEDIR_DOMAINS, which seldom changes, only if it
 * differs. name: a UUID, but a file name in STATEDIR_TOP and STATEDIR_HOST. -EINVAL: not a name; else as
 * statedir_write.
 */
int keyfile_save(const struct statedir *dir, const struct keyfile_form *form, const char *name, const void *base);

/*
 * 0; -EINVAL: not a name; -EPROTO: another version; -EBADMSG: damaged, or a key is missing (an unknown one is ignored);
 * else as statedir_read. The caller clears base before the call. After it, on failure too, the caller frees the texts.
 */
int keyfile_load(const struct statedir *dir, const struct keyfile_form *form, const char *name, void *base);

#endif
