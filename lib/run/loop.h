/* SPDX-License-Identifier: MIT */
/*
 * Signals, sleeping and sd_notify(3), for commands that run in a loop.
 */
#ifndef MEMSCHED_RUN_LOOP_H
#define MEMSCHED_RUN_LOOP_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * SIGTERM and SIGINT set *loop_stop() from now on. Standard output and error that take nothing after that are replaced
 * by a descriptor on which writes fail, so that none waits for a reader. SIGPIPE and the rest stay as they are.
 */
void loop_catch_signals(void);
const volatile sig_atomic_t *loop_stop(void);

/*
 * From now on SIGHUP makes loop_reload true, once, and ends a sleep. If it comes because the terminal is gone, it
 * stops the loop, unless it was ignored before (nohup).
 */
void loop_catch_reload(void);
bool loop_reload(void);

/* Sleeps until CLOCK_BOOTTIME reaches until_ms. Returns false, at once, when told to stop; true early when told to
 * reload. */
bool loop_sleep_until(uint64_t until_ms);

/* Pauses between attempts to reconnect: 1 s, doubled each time, at most 30 s. */
struct backoff {
	uint32_t pause_ms;
};
uint32_t backoff_next_ms(struct backoff *b);

/* sd_notify(3) without systemd's library; does nothing without NOTIFY_SOCKET. */

/* "READY=1", "WATCHDOG=1", "STOPPING=1" …; never waits. */
void loop_notify(const char *state);

/* The interval for WATCHDOG=1: half of systemd's timeout; 0: no watchdog. */
uint64_t loop_watchdog_ms(void);

/*
 * Sends WATCHDOG=1 when it is time to; *fed_ms, when it was sent last (0: never), is then now_ms. From stuck_ms
 * on the work beside the loop counts as stuck, and it sends nothing.
 */
void loop_ping_watchdog(uint64_t *fed_ms, uint64_t now_ms, uint64_t stuck_ms);

#endif
