/* SPDX-License-Identifier: MIT */
#include "run/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/units.h"

#define BACKOFF_MIN_MS 1000
#define BACKOFF_MAX_MS 30000
#define GIVE_UP_MS 400 /* the end comes within a second */

static volatile sig_atomic_t stopped, hung_up;
static bool has_terminal;

static int dead = -1; /* writing to it fails */

static void note_stop(int number)
{
	const struct itimerval again = {{0, GIVE_UP_MS * 1000}, {0, GIVE_UP_MS * 1000}};

	(void)number;
	stopped = 1;
	setitimer(ITIMER_REAL, &again, NULL);
}

/* A write that waits for a reader is interrupted, and tried again by stdio: then it fails. */
static void give_up_output(int number)
{
	int error = errno;

	(void)number;
	for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++)
		if (poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, 0) == 0)
			dup2(dead, fd);
	errno = error;
}

void loop_catch_signals(void)
{
	struct sigaction action = {.sa_handler = note_stop}; /* no SA_RESTART: sleeps end */
	struct sigaction output = {.sa_handler = give_up_output};

	dead = open("/dev/null", O_RDONLY | O_CLOEXEC);
	sigaction(SIGALRM, &output, NULL);
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
		uint64_t left_ms = sat_sub(until_ms, clock_ms(CLOCK_BOOTTIME));
		struct timespec nap = {.tv_nsec = (long)min_u64(left_ms, 250) * 1000000};

		if (!left_ms)
			return true;
		nanosleep(&nap, NULL);
	}
	return !stopped;
}

uint32_t backoff_next_ms(struct backoff *b)
{
	b->pause_ms = (uint32_t)clamp_u64(2 * (uint64_t)b->pause_ms, BACKOFF_MIN_MS, BACKOFF_MAX_MS);
	return b->pause_ms;
}

void loop_notify(const char *state)
{
	static int fd = -1; /* stays open: without a descriptor to spare, the watchdog would end a loop that goes on */
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	const char *path = getenv("NOTIFY_SOCKET");
	size_t length = path ? strlen(path) : 0;

	if (length < 2 || length >= sizeof(to.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	if (fd < 0)
		fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	memcpy(to.sun_path, path, length);
	if (path[0] == '@') /* an abstract one */
		to.sun_path[0] = '\0';
	sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&to,
	       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
}

uint64_t loop_watchdog_ms(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	uint64_t number;

	if (pid && (number_parse(pid, INT32_MAX, &number) < 0 || (pid_t)number != getpid()))
		return 0;
	return usec && number_parse(usec, UINT64_MAX, &number) == 0 ? number / 2000 : 0;
}

void loop_ping_watchdog(uint64_t *fed_ms, uint64_t now_ms, uint64_t stuck_ms)
{
	uint64_t each_ms = loop_watchdog_ms();

	if (!each_ms || now_ms > stuck_ms || !clock_is_due(*fed_ms, now_ms, each_ms / 2))
		return;
	*fed_ms = now_ms;
	loop_notify("WATCHDOG=1");
}
