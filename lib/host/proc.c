#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/units.h"
#include "host/proc.h"

#define DIGITS "0123456789"
#define LINE_DIGITS 20
#define NUMBER_MOST ((UINT64_C(1) << 53) - 1) /* 8 EiB in KiB: a larger number is no machine's */
#define ABSENT UINT64_MAX

struct text {
	char bytes[16 * 1024];
};

/* Without waiting, should it be a FIFO. */
static int text_read(const char *root, const char *path, struct text *ret_text)
{
	char full[PATH_MAX];
	ssize_t length;
	int fd;

	if ((size_t)snprintf(full, sizeof(full), "%s%s", root, path) >= sizeof(full))
		return -ENAMETOOLONG;
	fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	length = file_read(fd, ret_text->bytes, sizeof(ret_text->bytes));
	close(fd);
	if (length == (ssize_t)sizeof(ret_text->bytes))
		return -EFBIG;
	if (length < 0)
		return (int)length;
	ret_text->bytes[length] = '\0';
	return 0;
}

/* What follows label in the first line that begins with it. */
static const char *text_line(const struct text *text, const char *label)
{
	const char *line = text->bytes;
	size_t n = strlen(label);

	while (strncmp(line, label, n) != 0) {
		line = strchr(line, '\n');
		if (!line)
			return NULL;
		line++;
	}
	return line + n;
}

/* The number of a line: after label, spaces, and skip other fields; before unit and the end of the line. */
static int text_number(const struct text *text, const char *label, unsigned skip, const char *unit,
                       uint64_t *ret_number)
{
	const char *p = text_line(text, label), *end;
	char digits[LINE_DIGITS + 1];
	size_t n;

	if (!p)
		return -ENOENT;
	for (p += strspn(p, " "); skip > 0; skip--) {
		p += strcspn(p, " \n");
		p += strspn(p, " ");
	}
	n = strspn(p, DIGITS);
	if (n > LINE_DIGITS || strncmp(p + n, unit, strlen(unit)) != 0)
		return -EBADMSG;
	end = p + n + strlen(unit);
	if (*end != '\n' && *end != '\0')
		return -EBADMSG;
	memcpy(digits, p, n);
	digits[n] = '\0';
	return number_parse(digits, NUMBER_MOST, ret_number) < 0 ? -EBADMSG : 0;
}

static int read_meminfo(const char *root, struct host *h)
{
	uint64_t shmem_kib = 0, swap_cached_kib = 0, active_kib = 0, inactive_kib = 0, mapped_kib = ABSENT;
	struct text text;
	const struct {
		const char *label;
		uint64_t *number;
		bool required;
	} rows[] = {
	    {"MemTotal:", &h->total_kib, true},          {"MemFree:", &h->free_kib, true},
	    {"MemAvailable:", &h->available_kib, false}, {"Buffers:", &h->buffers_kib, false},
	    {"Cached:", &h->cached_kib, false},          {"Shmem:", &shmem_kib, false},
	    {"SwapCached:", &swap_cached_kib, false},    {"Active(anon):", &active_kib, false},
	    {"Inactive(anon):", &inactive_kib, false},   {"AnonPages:", &mapped_kib, false},
	};
	int r = text_read(root, "/proc/meminfo", &text);

	if (r < 0)
		return r;
	h->available_kib = ABSENT;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		r = text_number(&text, rows[i].label, 0, " kB", rows[i].number);
		if (r == -EBADMSG || (r < 0 && rows[i].required))
			return -EBADMSG;
	}
	if (h->available_kib == ABSENT)
		h->available_kib = sat_sub(h->free_kib + h->buffers_kib + h->cached_kib, shmem_kib);
	/* The lists have huge pages whole; what is mapped has lost what balloons gave back. */
	h->unsplit_kib = sat_sub(active_kib + inactive_kib, sat_add(mapped_kib, shmem_kib + swap_cached_kib));
	return h->total_kib == 0 || h->free_kib > h->total_kib || h->available_kib > h->total_kib ? -EBADMSG : 0;
}

/* The kernel counts the ARC as used, but it shrinks when asked. What cannot be read is taken as nothing. */
static uint64_t read_arc_kib(const char *root)
{
	uint64_t size_bytes, least_bytes;
	struct text text;

	if (text_read(root, "/proc/spl/kstat/zfs/arcstats", &text) < 0 ||
	    text_number(&text, "size ", 1, "", &size_bytes) < 0 ||
	    text_number(&text, "c_min ", 1, "", &least_bytes) < 0)
		return 0;
	return sat_sub(size_bytes / 1024, least_bytes / 1024);
}

static uint64_t read_ksm_kib(const char *root)
{
	uint64_t pages;
	struct text text;

	if (text_read(root, "/sys/kernel/mm/ksm/pages_sharing", &text) < 0 || text_number(&text, "", 0, "", &pages) < 0)
		return 0;
	return scale_u64(pages, (uint64_t)sysconf(_SC_PAGESIZE), 1024);
}

static bool read_pressure(const char *root, uint32_t *ret_centi)
{
	char digits[sizeof("10000")];
	const char *whole, *part;
	uint64_t centi;
	struct text text;

	if (text_read(root, "/proc/pressure/memory", &text) < 0)
		return false;
	whole = text_line(&text, "some avg10=");
	part = whole ? whole + strspn(whole, DIGITS) : NULL;
	if (!whole || part == whole || part - whole > 3 || *part != '.' || strspn(part + 1, DIGITS) != 2)
		return false;
	snprintf(digits, sizeof(digits), "%.*s%.2s", (int)(part - whole), whole, part + 1);
	if (number_parse(digits, 10000, &centi) < 0)
		return false;
	*ret_centi = (uint32_t)centi;
	return true;
}

int proc_read(const char *root, struct host *ret_host)
{
	struct host h = {0};
	int r = read_meminfo(root, &h);

	if (r < 0)
		return r;
	h.available_kib = min_u64(h.available_kib + read_arc_kib(root) / 2 + h.unsplit_kib / 4 * 3, h.total_kib);
	h.ksm_kib = read_ksm_kib(root);
	h.has_pressure = read_pressure(root, &h.pressure_some_avg10_centi);
	*ret_host = h;
	return 0;
}
