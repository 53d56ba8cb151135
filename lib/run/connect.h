/* SPDX-License-Identifier: MIT */
/*
 * Connects for the passes of a loop or a single one. Only a connection shows which host the guests are on (an alias or
 * qemu:///session do not), so sizes that were not checked yet are checked here.
 */
#ifndef MEMSCHED_RUN_CONNECT_H
#define MEMSCHED_RUN_CONNECT_H

#include "run/balance.h"

/*
 * Connects to pc->conf->uri if *virt is NULL, and checks the sizes of pc->conf. Returns 0, the errors of virt_open, or
 * those of connect_check_sizes; *virt is NULL after an error. pc->end_ms must be set.
 */
int connect_host(const struct balance_conf *pc, unsigned workers, bool read_only, conf_say *say, void *arg,
                 struct virt **virt);

/*
 * Checks the sizes of pc->conf against the host that passes over v read. Returns 0, or -ERANGE after the sentences of
 * conf_check_host. A host that cannot be read is no error: the pass reports that.
 */
int connect_check_sizes(const struct balance_conf *pc, struct virt *v, conf_say *say, void *arg);

#endif
