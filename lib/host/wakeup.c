/* SPDX-License-Identifier: MIT */
#include "host/wakeup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/units.h"

#define GLANCE_MS 250 /* a signal that comes just before poll costs so much at most */

/* Microseconds within microseconds, the end included as the kernel wants it. A process without CAP_SYS_RESOURCE may
 * only have windows of whole 2 s. */
static const struct {
	const char *text;
	size_t size;
} triggers[] = {{"some 70000 1000000", 19}, {"some 70000 2000000", 19}};

static int set_trigger(int fd)
{
	int error = 0;

	for (size_t i = 0; i < sizeof(triggers) / sizeof(*triggers); i++) {
		if (write(fd, triggers[i].text, triggers[i].size) >= 0)
			return 0;
		error = errno == EOPNOTSUPP ? -ENOSYS : -errno;
	}
	return error;
}

static int open_trigger(const char *path)
{
	struct statfs fs;
	int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC), error = 0;

	if (fd < 0)
		return errno == ENOENT ? -ENOSYS : -errno;
	if (fstatfs(fd, &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC)
		error = -ENOSYS;
	else
		error = set_trigger(fd);
	if (!error)
		return fd;
	close(fd);
	return error;
}

int wakeup_open(const char *root, struct wakeup *w)
{
	char path[PATH_MAX];
	int fd = -ENAMETOOLONG;

	*w = (struct wakeup){.pressure = -1, .pending = -1};
	if ((size_t)snprintf(path, sizeof(path), "%s/proc/pressure/memory", root) < sizeof(path))
		fd = open_trigger(path);
	w->pressure = fd < 0 ? -1 : fd;
	return fd < 0 ? fd : 0;
}

void wakeup_close(struct wakeup *w)
{
	fd_close(&w->pressure);
	fd_close(&w->pending);
}

/* False if the directory is gone, and the watch with it: its last event says so. */
static bool drain_events(int fd)
{
	_Alignas(struct inotify_event) char events[4096];
	bool alive = true;
	ssize_t n;

	while ((n = read(fd, events, sizeof(events))) > 0)
		for (const char *at = events; at < events + n;) {
			const struct inotify_event *event = (const void *)at;

			alive &= !(event->mask & IN_IGNORED);
			at += sizeof(*event) + event->len;
		}
	return alive;
}

static enum wakeup_reason look_at_events(struct wakeup *w, int timeout_ms)
{
	struct pollfd fd[] = {{.fd = w->pressure, .events = POLLPRI}, {.fd = w->pending, .events = POLLIN}};

	if (poll(fd, 2, timeout_ms) <= 0)
		return WAKEUP_TIME;
	if (fd[0].revents & (POLLERR | POLLNVAL))
		fd_close(&w->pressure);
	if (fd[1].revents & (POLLERR | POLLNVAL | POLLHUP))
		fd_close(&w->pending);
	else if (fd[1].revents) {
		if (!drain_events(w->pending))
			fd_close(&w->pending);
		return WAKEUP_PENDING;
	}
	return fd[0].revents & POLLPRI ? WAKEUP_PRESSURE : WAKEUP_TIME;
}

enum wakeup_reason wakeup_wait(struct wakeup *w, uint32_t nap_ms, const volatile sig_atomic_t *stop)
{
	uint64_t until_ms = clock_ms(CLOCK_BOOTTIME) + nap_ms, now_ms;

	while ((now_ms = clock_ms(CLOCK_BOOTTIME)) < until_ms && !*stop) {
		enum wakeup_reason reason = look_at_events(w, (int)min_u64(until_ms - now_ms, GLANCE_MS));

		if (reason != WAKEUP_TIME)
			return reason;
	}
	return *stop ? WAKEUP_STOP : WAKEUP_TIME;
}
