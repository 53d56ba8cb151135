/* SPDX-License-Identifier: MIT */
#include "run/connect.h"

#include <stddef.h>

int connect_check_sizes(const struct balance_conf *pc, struct virt *v, conf_say *say, void *arg)
{
	struct host host;

	if (balance_read_host(pc, v, pc->end_ms, &host) < 0)
		return 0;
	return conf_check_host(pc->conf, host_checkable_kib(&host), say, arg);
}

int connect_host(const struct balance_conf *pc, unsigned workers, bool read_only, conf_say *say, void *arg,
                 struct virt **virt)
{
	int r;

	if (*virt)
		return 0;
	r = virt_open(pc->conf->uri, read_only, workers, pc->end_ms, virt);
	if (r)
		return r;
	node_pool_expire(pc->pool);
	r = connect_check_sizes(pc, *virt, say, arg);
	if (r) {
		virt_close(*virt);
		*virt = NULL;
	}
	return r;
}
