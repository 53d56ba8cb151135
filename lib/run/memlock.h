/* SPDX-License-Identifier: MIT */
/* A process that has to act when the host has no memory left: it stays in memory, and is not the first to be killed. */
#ifndef MEMSCHED_RUN_MEMLOCK_H
#define MEMSCHED_RUN_MEMLOCK_H

/*
 * Touches memory to spare for the stack (128 KiB) and the heap (4 MiB), which is not handed back from then on, and
 * which threads that begin later take from too. Locks memory that was and will be touched, without the code of
 * libraries that ran only until now; all of them would be 60 MiB. If the limit of locked memory could make a later
 * allocation fail, only the present memory is locked, and no stack of a later thread. 0, or -errno: it is not locked.
 */
int memlock_all(void);

/* Lowers oom_score_adj to -900, as systemd-oomd has it, if it is higher. 0 or -errno. */
int memlock_lower_oom_score(void);

#endif
