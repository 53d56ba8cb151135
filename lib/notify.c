#include "notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"
#include "units.h"

void notify_send(const char *state)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	const char *path = getenv("NOTIFY_SOCKET");
	size_t length = path ? strlen(path) : 0;
	int fd;

	if (length < 2 || length >= sizeof(to.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	memcpy(to.sun_path, path, length);
	if (path[0] == '@') /* an abstract one */
		to.sun_path[0] = '\0';
	sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&to,
	       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
	close(fd);
}

uint64_t notify_watchdog_ms(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	uint64_t number;

	if (pid && (number_parse(pid, INT32_MAX, &number) < 0 || (pid_t)number != getpid()))
		return 0;
	return usec && number_parse(usec, UINT64_MAX, &number) == 0 ? number / 2000 : 0;
}

void notify_feed(uint64_t *fed_ms, uint64_t now_ms, uint64_t stuck_ms)
{
	uint64_t each_ms = notify_watchdog_ms();

	if (!each_ms || now_ms > stuck_ms || !clock_is_due(*fed_ms, now_ms, each_ms / 2))
		return;
	*fed_ms = now_ms;
	notify_send("WATCHDOG=1");
}
