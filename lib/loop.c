#include "loop.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "units.h"

#define BACKOFF_MIN_MS 1000
#define BACKOFF_MAX_MS 30000

static volatile sig_atomic_t stopped, hung_up;
static bool has_terminal;

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

static void hang_up(int number)
{
	(void)number;
	hung_up = 1;
}

static bool reach_terminal(void)
{
	int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

void loop_catch_reload(void)
{
	struct sigaction action = {.sa_handler = hang_up}, before;

	sigaction(SIGHUP, &action, &before);
	has_terminal = before.sa_handler != SIG_IGN && reach_terminal();
}

bool loop_reload(void)
{
	bool asked = hung_up;

	hung_up = 0;
	if (asked && has_terminal && !reach_terminal())
		stopped = 1;
	return asked && !stopped;
}

const volatile sig_atomic_t *loop_stop(void)
{
	return &stopped;
}

/* Short naps: a signal that comes between the check and the sleep costs a nap, not the interval. */
bool loop_sleep_until(uint64_t until_ms)
{
	while (!stopped && !hung_up) {
		uint64_t left_ms = sub_kib(until_ms, clock_ms(CLOCK_BOOTTIME));
		struct timespec nap = {.tv_nsec = (long)min_kib(left_ms, 250) * 1000000};

		if (!left_ms)
			return true;
		nanosleep(&nap, NULL);
	}
	return !stopped;
}

uint32_t backoff_next_ms(struct backoff *b)
{
	b->pause_ms = (uint32_t)clamp_kib(2 * (uint64_t)b->pause_ms, BACKOFF_MIN_MS, BACKOFF_MAX_MS);
	return b->pause_ms;
}
