/* SPDX-License-Identifier: MIT */
/* Standard output: lost output is noticed, and no loop waits long for a reader. */
#ifndef MEMSCHED_CLI_OUTPUT_H
#define MEMSCHED_CLI_OUTPUT_H

/* Flushes stdout. 0, or -errno if something that was printed so far is lost; the next may go out again. */
int output_flush(void);

/*
 * Has a task print text, which is allocated and taken over. As long as the text before it is under way (a full pipe, a
 * stopped terminal), this one is dropped whole: -EAGAIN. Only the first to be dropped is waited for, 5 s at most. Else
 * 0, or -errno if it or the one before is lost. Raises SIGPIPE if the reader is gone.
 */
int output_start(char *text);

/* How many texts were dropped since the last one that was not. */
unsigned output_dropped(void);

/* Flushes, and waits 300 ms at most for a text under way. 0, or -errno if the last print is lost. */
int output_end(void);

#endif
