/* SPDX-License-Identifier: MIT */
/*
 * On which host the guests of a libvirt URI are, before anything is connected. Pure. An alias of libvirt.conf does not
 * show it, so it is neither remote nor ours.
 */
#ifndef MEMSCHED_BASE_URI_H
#define MEMSCHED_BASE_URI_H

#include <stdbool.h>

/*
 * Whether only libvirt can read the host's memory. A transport other than the local socket may be a tunnel: taking
 * this host's memory for the guests' would be worse than knowing less of it.
 */
bool uri_is_remote(const char *uri);

/*
 * Whether its guests are those that the hook of this root registers: qemu:///system. Below a root other than "" the
 * test driver stands for it; on the host itself its guests are others.
 */
bool uri_is_own(const char *uri, const char *root);

/* Whether its guests are those of the test driver on the host itself: a try, which leaves the host's state alone. */
bool uri_is_test(const char *uri, const char *root);

#define URI_FOLDER 17 /* 16 characters and the end */

/* The name of the folder, below one called hosts, of files about guests that are not uri_is_own; "" for those that are.
 * Returns folder. */
char *uri_folder(char folder[URI_FOLDER], const char *uri, const char *root);

#endif
