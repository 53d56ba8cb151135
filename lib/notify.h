/* What a service tells systemd (sd_notify(3)), without its library. Without NOTIFY_SOCKET nothing is said. */
#ifndef MEMSCHED_NOTIFY_H
#define MEMSCHED_NOTIFY_H

#include <stdint.h>

/* "READY=1", "WATCHDOG=1", "STOPPING=1" …; never waits. */
void notify_send(const char *state);

/* How often WATCHDOG=1 is to be sent: half of what systemd waits for; 0: it does not watch us. */
uint64_t notify_watchdog_ms(void);

/*
 * Sends WATCHDOG=1 when it is time to; *fed_ms, when it was sent last (0: never), is then now_ms. Called by a loop that
 * goes on, and in vain after stuck_ms, from when on what works beside it counts as stuck.
 */
void notify_feed(uint64_t *fed_ms, uint64_t now_ms, uint64_t stuck_ms);

#endif
