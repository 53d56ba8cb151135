/* SPDX-License-Identifier: MIT */
/*
 * The setup of memsched on this host, from its files: the hook, the enabled units, and the files that the configuration
 * names for output. For memstat --check; show/doctor judges it.
 */
#ifndef MEMSCHED_HOST_SETUP_H
#define MEMSCHED_HOST_SETUP_H

#include "host/conf.h"

struct setup {
	char hook[128]; /* the path of the hook; "": it is not installed */
	bool hook_runs; /* libvirt would run it: it has a mode bit to execute */
	bool has_helper;
	uint64_t hook_changed_s;        /* wall clock: content or mode */
	uint64_t daemon_began_s;        /* libvirtd, or virtqemud; 0: not known */
	bool cron, timer, loop;         /* cron's line and the units that make passes are enabled */
	bool guard;                     /* memguard's unit is enabled */
	bool zram;                      /* a swap device is compressed memory */
	bool fills_up;                  /* khugepaged makes huge pages of pages that balloons gave back */
	int on_critical, log, textfile; /* 0: usable, or not configured; -errno */
	bool is_root;                   /* else -EACCES of them says nothing of membalance */
};

/* Reads below root but for the paths of the configuration. Whether files can be written is judged for this user. */
void setup_read(const char *root, const struct conf *conf, struct setup *ret_setup);

#endif
