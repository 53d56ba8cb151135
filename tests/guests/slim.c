/* SPDX-License-Identifier: MIT */
/*
 * Copies a guest that libvirt has saved from stdin to stdout, without the pages that are zero.
 * usage: slim <SAVED >SLIM
 *
 * QEMU reads a page before it clears it, so each page of the stream is allocated, and a guest of 768 MiB that uses 80 MiB fills
 * 768 MiB of its host. New memory is zero, so what the stream leaves out is zero after a restore as well. Only the guest's
 * main memory is treated so: the others, and its first MiB, may hold firmware before the stream is read.
 *
 * The stream is as docs/devel/migration of QEMU and its migration/ram.c describe it. Exits 1 if it is not: then use SAVED.
 */
#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 4096, HEAD_MOST = 1 << 17, LOW = 1 << 20 };
enum { SECTION_START = 1, SECTION_PART, SECTION_END, SECTION_FOOTER = 0x7e };
enum { ZERO = 0x02, MEM_SIZE = 0x04, WHOLE = 0x08, EOS = 0x10, CONTINUE = 0x20 };

/* A name as the stream has it: its length, then its bytes. */
struct name {
	unsigned char text[256];
};

static void give_up(const char *why)
{
	fprintf(stderr, "slim: error: %s\n", why);
	exit(1);
}

static void take(void *to, size_t size)
{
	if (fread(to, 1, size, stdin) != size)
		give_up("the stream ends too early");
}

static void put(const void *from, size_t size)
{
	if (fwrite(from, 1, size, stdout) != size)
		give_up("cannot write");
}

static void copy(size_t size)
{
	unsigned char bytes[PAGE];

	take(bytes, size);
	put(bytes, size);
}

static uint64_t take_u64(void)
{
	uint64_t value;

	take(&value, sizeof value);
	return be64toh(value);
}

static void put_u64(uint64_t value)
{
	value = htobe64(value);
	put(&value, sizeof value);
}

static void take_name(struct name *name)
{
	take(name->text, 1);
	take(name->text + 1, name->text[0]);
}

static void put_name(const struct name *name)
{
	put(name->text, (size_t)name->text[0] + 1);
}

static bool is_same(const struct name *a, const struct name *b)
{
	return memcmp(a->text, b->text, (size_t)a->text[0] + 1) == 0;
}

/* The names and sizes of all blocks, which add up to the total. */
static void copy_sizes(uint64_t total)
{
	struct name name;

	for (uint64_t size; total > 0; total -= size) {
		take_name(&name);
		put_name(&name);
		size = take_u64();
		put_u64(size);
		if (size == 0 || size > total)
			give_up("the sizes of the blocks do not add up");
	}
}

/* A page of the block, if it is needed; written is the block of the last page that was. */
static void copy_page(const struct name *block, struct name *written, uint64_t address, unsigned flags)
{
	static const struct name main_memory = {"\6pc.ram"};
	bool same = is_same(block, written);
	unsigned char bytes[PAGE];
	size_t size = flags & ZERO ? 1 : PAGE;

	take(bytes, size);
	if (flags & ZERO && bytes[0] == 0 && address >= LOW && is_same(block, &main_memory))
		return;
	put_u64(address | (flags & (ZERO | WHOLE)) | (same ? CONTINUE : 0));
	if (!same)
		put_name(block);
	put(bytes, size);
	*written = *block;
}

/* What one section has of the memory: QEMU starts anew with a block's name in each. */
static void copy_memory(struct name *block)
{
	struct name written = {0};

	for (;;) {
		uint64_t word = take_u64(), address = word & ~(uint64_t)(PAGE - 1);
		unsigned flags = word & (PAGE - 1);

		if (flags == EOS || flags == MEM_SIZE) {
			put_u64(word);
			if (flags == EOS)
				return;
			copy_sizes(address);
		} else if ((flags | CONTINUE) == (ZERO | CONTINUE) || (flags | CONTINUE) == (WHOLE | CONTINUE)) {
			if (!(flags & CONTINUE))
				take_name(block);
			copy_page(block, &written, address, flags);
		} else {
			give_up("an unknown record");
		}
	}
}

/* Copies up to where the section of the memory has told its version. */
static void copy_head(void)
{
	static const char section[] = "\3ram\0\0\0\0\0\0\0\4"; /* its name, instance 0, version 4 */
	enum { SIZE = sizeof section - 1 };
	char head[HEAD_MOST];
	size_t length = 0;

	while (length < SIZE || memcmp(head + length - SIZE, section, SIZE) != 0) {
		if (length == HEAD_MOST)
			give_up("no memory in it");
		take(head + length++, 1);
	}
	put(head, length);
}

static void copy_rest(void)
{
	char bytes[1 << 16];

	for (size_t n; (n = fread(bytes, 1, sizeof bytes, stdin)) > 0;)
		put(bytes, n);
	if (ferror(stdin) || fflush(stdout) != 0)
		give_up("cannot read or write");
}

int main(void)
{
	struct name block = {0};
	int type;

	copy_head();
	do {
		copy_memory(&block);
		copy(5); /* the footer */
		type = getchar();
		if (putchar(type) == EOF)
			give_up("the stream ends too early");
		if (type == SECTION_PART || type == SECTION_END)
			copy(4); /* the section's number */
	} while (type == SECTION_PART || type == SECTION_END);
	copy_rest();
	return 0;
}
