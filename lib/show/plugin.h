/* SPDX-License-Identifier: MIT */
/*
 * memguard --check: a line on standard output for Icinga, Nagios and the like, with their exit codes: 0 OK, 1 WARNING,
 * 2 CRITICAL, 3 UNKNOWN (Monitoring Plugins Development Guidelines).
 */
#ifndef MEMSCHED_SHOW_PLUGIN_H
#define MEMSCHED_SHOW_PLUGIN_H

#include "host/conf.h"

/* How the host is, and whether a guard runs. root_words: root, safe to print. Returns the exit code. */
int plugin_host(const struct conf *conf, const char *root, const char *root_words);

/* words: why nothing is known. Returns 3. */
int plugin_unknown(const char *words);

#endif
