/* SPDX-License-Identifier: MIT */
/*
 * Sentences for people that explain a decision with the numbers that decided. Pure; works on the structs alone and
 * never shows a number that is not known.
 */
#ifndef MEMSCHED_SHOW_EXPLAIN_H
#define MEMSCHED_SHOW_EXPLAIN_H

#include "plan/guest.h"
#include "plan/host.h"
#include "plan/policy.h"

#define TEXT_EXPLAIN 512 /* suffices for every sentence; a smaller buffer gets it cut at a whole character */

/*
 * One sentence, without the name and without a full stop: the decision for g, and why, with its numbers:
 * "give 121 MiB to reach 512 MiB: 366 MiB used, 25 MiB free, target 146 MiB". A guest whose command was sent is
 * described as it was before. Returns buffer.
 */
char *text_explain(char *buffer, size_t size, const struct guest *g);

/* The guest as a word of a command: its UUID if a shell or virsh would not take the name as it is. Returns word. */
#define TEXT_GUEST_WORD 128
char *text_guest_word(char word[TEXT_GUEST_WORD], const struct guest *g);

/* 1 if that is a give, -1 if it is a take, 0 if the guest keeps what it has. */
int explain_direction(const struct guest *g);

/* Its size, its maximum and its use: "it has 391 MiB of at most 1 GiB, 366 MiB used". */
char *text_explain_size(char *buffer, size_t size, const struct guest *g);

/*
 * The last pass's decision for g (g->past.last), its age (by g->past.seen_ms), and its result: "the
 * last pass, 12 s ago, asked it to go from 391 MiB to 512 MiB (below-target), and it reached 512 MiB". If it sent no
 * command: also the last one (g->past.told).
 */
char *text_explain_last(char *buffer, size_t size, const struct guest *g);

/* "balancing is paused for another 29 min": a started second counts. */
char *text_explain_pause(char *buffer, size_t size, uint64_t left_ms);

/* The same for the host: demand, capacity, promised, reserve, shortage. */
char *text_explain_host(char *buffer, size_t size, const struct host *host, uint64_t reserve_kib,
                        const struct budget *b);

#endif
