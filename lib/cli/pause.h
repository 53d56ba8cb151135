/* SPDX-License-Identifier: MIT */
/* membalance --pause and --resume. */
#ifndef MEMSCHED_CLI_PAUSE_H
#define MEMSCHED_CLI_PAUSE_H

#include "cli/options.h"

/*
 * Begins a pause of this time, or (for_words NULL) ends one; says until when unless the program is quiet. Returns an
 * exit code; an error has its message. Needs neither the lock, which a loop holds, nor libvirt, nor a good
 * configuration.
 */
int pause_set(const struct program *program, const char *root, const char *for_words);

#endif
