/* SPDX-License-Identifier: MIT */
/* The limits of a guest and the origin of each: memstat --show-config DOMAIN. */
#ifndef MEMSCHED_SHOW_LIMITS_H
#define MEMSCHED_SHOW_LIMITS_H

#include <stdio.h>

#include "host/conf.h"

/* As a section of memsched.conf. g must have been planned. */
void limits_report(FILE *out, const struct conf *conf, const struct guest *g);

#endif
