/* SPDX-License-Identifier: MIT */
/*
 * A terminal taken over for a while: keys without Enter, the alternate screen, one frame after the other; and given
 * back as it was on every way out, a deadly signal included. There is one a process: standard output is the terminal,
 * keys come from standard input if that is one too. Nothing here depends on the content.
 */
#ifndef MEMSCHED_CLI_TERMINAL_H
#define MEMSCHED_CLI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A printable key is its character. */
enum key {
	KEY_NONE = 0, /* none of ours */
	KEY_UP = 0x100,
	KEY_DOWN,
	KEY_PAGE_UP,
	KEY_PAGE_DOWN,
	KEY_HOME,
	KEY_END,
};

enum terminal_event {
	TERMINAL_TIME,   /* until_ms has come */
	TERMINAL_NEWS,   /* the descriptor can be read */
	TERMINAL_KEY,    /* *ret_key has a key */
	TERMINAL_REDRAW, /* another size, or back after Ctrl-Z */
	TERMINAL_END,    /* SIGINT, SIGTERM, SIGHUP, or the terminal is gone */
};

/* Whether standard output is a terminal that can move its cursor: TERM is set, and not "dumb". */
bool terminal_is_there(void);

/*
 * Takes the terminal. From now on SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGCONT and SIGWINCH come as events (a signal that
 * is ignored stays so), and only while this thread waits or draws: other threads must block them. Returns 0 or
 * -errno.
 */
int terminal_open(void);

/* Gives it back; does nothing if it was not taken. */
void terminal_close(void);

/* Its size now; 24 by 80 if it is not known. */
void terminal_size(unsigned *ret_rows, unsigned *ret_columns);

/*
 * Replaces the screen by lines, separated by newlines, by one write: no more than fit, and a line that is
 * too long is cut by the terminal. Returns 0, or -errno: -EINTR: a signal ends the program; -EIO: the terminal is gone.
 */
int terminal_draw(const char *lines);

/* Waits for a key, for fd (-1: none) or until CLOCK_BOOTTIME reaches until_ms. A stop by Ctrl-Z happens in here. */
enum terminal_event terminal_wait(int fd, uint64_t until_ms, int *ret_key);

/*
 * The key that n bytes of input begin with, KEY_NONE if it is none. Returns how many bytes it took; 0: it is not
 * whole yet.
 */
size_t terminal_key(const char *input, size_t n, int *ret_key);

#endif
