/* SPDX-License-Identifier: MIT */
/*
 * A timeline as a picture: SVG, without scripts and without anything outside of it, light or dark as the reader's
 * system is. Actual and used are areas, want and rss are lines; of the host, what is available is a line too. Marks are
 * commands to the guest and reasons that want attention, each with its words as a title.
 */
#ifndef MEMSCHED_SHOW_PICTURE_H
#define MEMSCHED_SHOW_PICTURE_H

#include <stdio.h>

#include "show/timeline.h"

/* Errors of writing stay in the stream. 0 or -ENOMEM. */
int picture_write(FILE *out, const struct timeline *t);

#endif
