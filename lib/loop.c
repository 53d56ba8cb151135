#include "loop.h"

#include <time.h>

#include "clock.h"
#include "units.h"

#define BACKOFF_MIN_MS 1000
#define BACKOFF_MAX_MS 30000

static volatile sig_atomic_t stopped;

static void stop(int number)
{
	(void)number;
	stopped = 1;
}

void loop_catch_signals(void)
{
	struct sigaction action = {.sa_handler = stop}; /* no SA_RESTART: sleeps end */

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
}

const volatile sig_atomic_t *loop_stop(void)
{
	return &stopped;
}

/* Short naps: a signal that comes between the check and the sleep costs a nap, not the interval. */
bool loop_sleep_until(uint64_t until_ms)
{
	while (!stopped) {
		uint64_t left_ms = sub_kib(until_ms, clock_ms(CLOCK_BOOTTIME));
		struct timespec nap = {.tv_nsec = (long)min_kib(left_ms, 250) * 1000000};

		if (!left_ms)
			return true;
		nanosleep(&nap, NULL);
	}
	return false;
}

uint32_t backoff_next_ms(struct backoff *b)
{
	b->pause_ms = (uint32_t)clamp_kib(2 * (uint64_t)b->pause_ms, BACKOFF_MIN_MS, BACKOFF_MAX_MS);
	return b->pause_ms;
}
