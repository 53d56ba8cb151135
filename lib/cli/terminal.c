/* SPDX-License-Identifier: MIT */
#include "cli/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/units.h"

#define SIZE_MOST 1000 /* no terminal has more lines or columns; a frame is bounded by it */

/* Without automatic margins, so that a character wider than we think shifts its own line and no other. */
static const char enter_bytes[] = "\033[?1049h\033[?25l\033[?7l\033[2J";

/* The linux console knows no alternate screen: there the frame stays, and the shell goes on below it. */
static const char leave_bytes[] = "\033[0m\033[?7h\033[?25h\033[999;1H\r\n\033[?1049l";

static struct {
	volatile sig_atomic_t taken;
	bool has_keys;
	int errors; /* the earlier standard error */
	struct termios before;
	sigset_t events; /* blocked but in waits and writes */
	char input[64];
	size_t n_input;
} screen = {.errors = -1};

static volatile sig_atomic_t told_to_end, told_to_stop, went_on, resized;

/* ---- signals ---- */

static void note_signal(int number)
{
	switch (number) {
	case SIGTSTP:
		told_to_stop = 1;
		break;
	case SIGCONT:
		went_on = 1;
		break;
	case SIGWINCH:
		resized = 1;
		break;
	default:
		told_to_end = 1;
	}
}

static bool take_note(volatile sig_atomic_t *flag)
{
	bool was = *flag;

	*flag = 0;
	return was;
}

static void leave_screen(void);

/* By SA_RESETHAND the second one kills. */
static void die_by_signal(int number)
{
	leave_screen();
	raise(number);
}

static void catch (int number, void (*handler)(int), int flags)
{
	struct sigaction was, action = {.sa_handler = handler, .sa_flags = flags};

	sigfillset(&action.sa_mask);
	if (!sigaction(number, NULL, &was) && was.sa_handler != SIG_IGN &&
	    (handler == note_signal || was.sa_handler == SIG_DFL))
		sigaction(number, &action, NULL);
}

static void catch_signals(void)
{
	static const int events[] = {SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGCONT, SIGWINCH};
	static const int deadly[] = {SIGQUIT, SIGILL,  SIGTRAP, SIGABRT, SIGBUS,  SIGFPE,    SIGUSR1, SIGSEGV, SIGUSR2,
	                             SIGPIPE, SIGALRM, SIGXCPU, SIGXFSZ, SIGPROF, SIGVTALRM, SIGSYS,  SIGPWR,  SIGIO};

	sigemptyset(&screen.events);
	for (size_t i = 0; i < COUNT(events); i++) {
		sigaddset(&screen.events, events[i]);
		catch (events[i], note_signal, 0);
	}
	for (size_t i = 0; i < COUNT(deadly); i++)
		catch (deadly[i], die_by_signal, (int)SA_RESETHAND);
	pthread_sigmask(SIG_BLOCK, &screen.events, NULL);
}

/* ---- taking and giving back ---- */

static int set_modes(const struct termios *modes)
{
	int r;

	do
		r = tcsetattr(STDOUT_FILENO, TCSANOW, modes); /* in the background this stops us, as it should */
	while (r < 0 && errno == EINTR && !told_to_end);
	return r < 0 ? -errno : 0;
}

/* An interrupted write goes on, unless a signal ends the program: a terminal may take nothing for ever. */
static int put_bytes(const char *bytes, size_t n)
{
	int r = 0;

	pthread_sigmask(SIG_UNBLOCK, &screen.events, NULL);
	while (n > 0 && !r) {
		ssize_t done = told_to_end ? -1 : write(STDOUT_FILENO, bytes, n);

		if (done >= 0) {
			bytes += done;
			n -= (size_t)done;
		} else if (told_to_end || errno != EINTR) {
			r = told_to_end ? -EINTR : -errno;
		}
	}
	pthread_sigmask(SIG_BLOCK, &screen.events, NULL);
	return r;
}

static int enter_screen(void)
{
	struct termios raw = screen.before;
	int r;

	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_iflag &= ~(tcflag_t)IXON; /* Ctrl-S would freeze us */
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	r = set_modes(&raw);
	screen.taken = 1;
	return r ? r : put_bytes(enter_bytes, strlen(enter_bytes));
}

/* In signal handlers too. Pending output is discarded, so that this does not wait for it. */
static void leave_screen(void)
{
	if (!screen.taken)
		return;
	screen.taken = 0;
	tcflush(STDOUT_FILENO, TCOFLUSH);
	if (write(STDOUT_FILENO, leave_bytes, strlen(leave_bytes)) < 0 && errno == EIO)
		return; /* the terminal is gone */
	tcsetattr(STDOUT_FILENO, TCSANOW, &screen.before);
}

static void suspend_self(void)
{
	struct sigaction was, action = {.sa_handler = SIG_DFL};
	sigset_t stop;

	leave_screen();
	sigemptyset(&stop);
	sigaddset(&stop, SIGTSTP);
	sigaction(SIGTSTP, &action, &was);
	raise(SIGTSTP);
	pthread_sigmask(SIG_UNBLOCK, &stop, NULL); /* here we stop */
	pthread_sigmask(SIG_BLOCK, &stop, NULL);
	sigaction(SIGTSTP, &was, NULL);
	enter_screen();
}

/* Libraries write there as they like, libxml2 in libvirt for one, and would tear the frame. */
static void hush_errors(void)
{
	int null = isatty(STDERR_FILENO) ? open("/dev/null", O_WRONLY | O_CLOEXEC) : -1;

	if (null < 0)
		return;
	screen.errors = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	if (screen.errors >= 0)
		dup2(null, STDERR_FILENO);
	close(null);
}

static void unhush_errors(void)
{
	if (screen.errors < 0)
		return;
	dup2(screen.errors, STDERR_FILENO);
	close(screen.errors);
	screen.errors = -1;
}

bool terminal_is_there(void)
{
	const char *term = getenv("TERM");

	return term && *term && strcmp(term, "dumb") != 0 && isatty(STDOUT_FILENO);
}

int terminal_open(void)
{
	int r;

	if (tcgetattr(STDOUT_FILENO, &screen.before) < 0)
		return -errno;
	screen.has_keys = isatty(STDIN_FILENO);
	catch_signals();
	hush_errors();
	r = enter_screen();
	if (r)
		terminal_close();
	return r;
}

void terminal_close(void)
{
	leave_screen();
	unhush_errors();
}

/* ---- frames ---- */

void terminal_size(unsigned *ret_rows, unsigned *ret_columns)
{
	struct winsize size = {0};

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || !size.ws_row || !size.ws_col)
		size = (struct winsize){.ws_row = 24, .ws_col = 80};
	*ret_rows = size.ws_row < SIZE_MOST ? size.ws_row : SIZE_MOST;
	*ret_columns = size.ws_col < SIZE_MOST ? size.ws_col : SIZE_MOST;
}

/* Each line is emptied before it is written: at the right margin, emptying the rest would take the last character. */
static void compose_screen(FILE *out, const char *lines)
{
	unsigned rows, columns;

	terminal_size(&rows, &columns);
	fputs("\033[H", out);
	for (unsigned row = 1; row <= rows; row++) {
		size_t n = strcspn(lines, "\n");

		fprintf(out, "\033[K%.*s%s", (int)n, lines, row < rows ? "\r\n" : "");
		lines += n + (lines[n] == '\n');
	}
}

int terminal_draw(const char *lines)
{
	struct memfile m;
	int r;

	if (!memfile_open(&m))
		return -ENOMEM;
	compose_screen(m.out, lines);
	r = memfile_close(&m);
	if (!r)
		r = put_bytes(m.text, m.length);
	free(m.text);
	return r;
}

/* ---- keys ---- */

/* "ESC [ 5 ~", "ESC [ A", "ESC O A": the part after ESC, without digits of modifiers. */
static const struct {
	const char *sequence;
	int key; /* enum key */
} sequences[] = {
    {"[A", KEY_UP},    {"[B", KEY_DOWN},  {"[5~", KEY_PAGE_UP}, {"[6~", KEY_PAGE_DOWN}, {"[H", KEY_HOME},
    {"[1~", KEY_HOME}, {"[7~", KEY_HOME}, {"[F", KEY_END},      {"[4~", KEY_END},       {"[8~", KEY_END},
    {"OA", KEY_UP},    {"OB", KEY_DOWN},  {"OH", KEY_HOME},     {"OF", KEY_END},
};

/* The length of the sequence after ESC, 0 if it is not whole: CSI has an end of its own, SS3 is three characters, and
 * before all else ESC is but itself. */
static size_t sequence_length(const char *input, size_t n)
{
	size_t i = 2;

	if (n < 2)
		return 0;
	if (input[1] == 'O')
		return n < 3 ? 0 : 3;
	if (input[1] != '[')
		return 1;
	while (i < n && input[i] >= 0x20 && input[i] < 0x40)
		i++;
	if (i == n)
		return 0;
	return input[i] >= 0x40 && input[i] < 0x7f ? i + 1 : i;
}

size_t terminal_key(const char *input, size_t n, int *ret_key)
{
	size_t length;

	*ret_key = KEY_NONE;
	if (!n)
		return 0;
	if (input[0] != '\033') {
		if (input[0] >= 0x20 && input[0] < 0x7f)
			*ret_key = (unsigned char)input[0];
		return 1;
	}
	length = sequence_length(input, n);
	for (size_t i = 0; i < COUNT(sequences) && length > 1; i++)
		if (strlen(sequences[i].sequence) == length - 1 &&
		    !memcmp(sequences[i].sequence, input + 1, length - 1))
			*ret_key = sequences[i].key;
	return length;
}

/* The next key of those that have come in. A sequence without an end that fills the buffer is dropped. */
static bool next_key(int *ret_key)
{
	size_t length;

	*ret_key = KEY_NONE;
	do {
		length = terminal_key(screen.input, screen.n_input, ret_key);
		if (!length && screen.n_input == sizeof(screen.input))
			length = screen.n_input;
		screen.n_input -= length;
		memmove(screen.input, screen.input + length, screen.n_input);
	} while (length && *ret_key == KEY_NONE);
	return *ret_key != KEY_NONE;
}

/* ---- waiting ---- */

/* Whether the caller must know of a signal. Stopping and continuing are handled here. */
static bool heed_signals(enum terminal_event *ret_event)
{
	bool stopped = take_note(&told_to_stop), back = take_note(&went_on);

	*ret_event = told_to_end ? TERMINAL_END : TERMINAL_REDRAW;
	if (told_to_end)
		return true;
	if (stopped)
		suspend_self();
	else if (back)
		enter_screen(); /* stopped by others, when the shell has set the terminal as it likes it */
	return take_note(&resized) || stopped || back;
}

/* false: the terminal is gone */
static bool read_keys(void)
{
	size_t room = sat_sub(sizeof(screen.input), screen.n_input);
	ssize_t n = read(STDIN_FILENO, screen.input + screen.n_input, room);

	if (n > 0)
		screen.n_input += (size_t)n;
	return n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN));
}

static int wait_for(struct pollfd poll[2], uint64_t left_ms)
{
	struct timespec t = {.tv_sec = (time_t)(left_ms / 1000), .tv_nsec = (long)(left_ms % 1000) * 1000000};
	sigset_t open;

	pthread_sigmask(SIG_BLOCK, NULL, &open);
	for (int number = 1; number < NSIG; number++)
		if (sigismember(&screen.events, number) == 1)
			sigdelset(&open, number);
	return ppoll(poll, 2, &t, &open);
}

enum terminal_event terminal_wait(int fd, uint64_t until_ms, int *ret_key)
{
	enum terminal_event event;

	for (;;) {
		struct pollfd poll[] = {{.fd = fd, .events = POLLIN},
		                        {.fd = screen.has_keys ? STDIN_FILENO : -1, .events = POLLIN}};
		uint64_t left_ms = sat_sub(until_ms, clock_ms(CLOCK_BOOTTIME));

		if (heed_signals(&event))
			return event;
		if (next_key(ret_key))
			return TERMINAL_KEY;
		if (!left_ms)
			return TERMINAL_TIME;
		if (wait_for(poll, left_ms) <= 0)
			continue;
		if (poll[1].revents && !read_keys())
			return TERMINAL_END;
		if (poll[0].revents)
			return TERMINAL_NEWS;
	}
}
