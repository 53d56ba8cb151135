/* SPDX-License-Identifier: MIT */
/* The files of the configuration: /etc/memsched.conf and its drop-ins. */
#ifndef MEMSCHED_HOST_CONFFILE_H
#define MEMSCHED_HOST_CONFFILE_H

#include "host/conf.h"

/*
 * Reads file, or (file NULL) root/etc/memsched.conf and root/etc/memsched.conf.d/<x>.conf in the order of their names
 * (strcmp). A dot file is not read. A file that is absent is skipped unless it was named; a link to nowhere gets a
 * warning. Regular files of at most 1 MiB with lines of at most 4096 bytes. An unknown key is a warning and skipped, a
 * key given twice in one file is a warning and the later holds: good files replace the warnings and sections that were
 * there. Anything worse is said and makes it fail, after everything was read, with the first error: -EINVAL for a bad
 * value or line, else -errno of the file. Whenever it fails something was said, and conf is untouched.
 */
int conf_load(struct conf *conf, const char *root, const char *file, conf_say *say, void *arg);

#endif
