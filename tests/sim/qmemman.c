/* SPDX-License-Identifier: MIT */
#include "controller.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "base/units.h"
#include "peers.h"

#define MIB INT64_C(1048576)
#define CACHE_MARGIN 1.3
#define LEAST_PREF (200 * MIB)
#define HOST_BOOST (350 * MIB)
#define SAFETY_NET 1.05
#define NOT_QUITE 0.999
#define LEAST_DONATION (10 * MIB)
#define HOST_KEEPS (50 * MIB)
#define SIGNIFICANT (150 * MIB)
#define SIGNIFICANT_NEED (15 * MIB)
#define OBEYED (25 * MIB)
#define WAIT_MS 100
#define WAITS 5

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int qmemman_parse(const char *text, int64_t *ret_bytes)
{
	int64_t kib = 0;

	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		if (!isdigit((unsigned char)*text) || kib > INT64_MAX / 20480)
			return -EINVAL;
		kib = 10 * kib + (*text - '0');
	}
	*ret_bytes = kib * 1024;
	return 0;
}

int64_t qmemman_pref(const struct qmemman_domain *d)
{
	double used = (double)d->used * CACHE_MARGIN + (d->host ? (double)HOST_BOOST : 0);
	int64_t pref = (int64_t)(used < (double)d->max ? used : (double)d->max);

	return d->host || pref > LEAST_PREF ? pref : LEAST_PREF;
}

int64_t qmemman_need(const struct qmemman_domain *d)
{
	return qmemman_pref(d) - d->actual;
}

static bool counts(const struct qmemman_domain *d)
{
	return d->has_used && !d->no_progress;
}

size_t qmemman_make_room(const struct qmemman_domain *d, size_t n, int64_t bytes, struct qmemman_request *request)
{
	int64_t available = 0;
	size_t made = 0;

	for (size_t i = 0; i < n; i++)
		if (counts(&d[i]) && qmemman_need(&d[i]) < 0)
			available -= qmemman_need(&d[i]);
	if (available < bytes)
		return 0;
	for (size_t i = 0; i < n; i++) {
		double scale = (double)bytes / (double)available;

		if (!counts(&d[i]) || qmemman_need(&d[i]) >= 0)
			continue;
		request[made].domain = i;
		request[made++].target =
		    (int64_t)((double)d[i].actual - (double)-qmemman_need(&d[i]) * scale * SAFETY_NET);
	}
	return made;
}

/* What does not fit below the maxima goes to the others in equal parts. */
static void redistribute(struct qmemman_domain *d, size_t n, int64_t left, size_t takers)
{
	while (left > 0 && takers > 0) {
		int64_t bonus = (int64_t)(NOT_QUITE * ((double)left / (double)takers));

		left = 0;
		for (size_t i = 0; i < n; i++) {
			if (!counts(&d[i]) || d[i].target >= d[i].max)
				continue;
			d[i].target += bonus;
			if (d[i].target < d[i].max)
				continue;
			left += d[i].target - d[i].max;
			d[i].target = d[i].max;
			takers--;
		}
	}
}

static size_t list_requests(const struct qmemman_domain *d, size_t n, bool donors, struct qmemman_request *request)
{
	size_t made = 0;

	for (size_t i = 0; i < n; i++)
		if (counts(&d[i]) && donors == (d[i].target < d[i].actual))
			request[made++] = (struct qmemman_request){.domain = i, .target = d[i].target};
	return made;
}

size_t qmemman_share(struct qmemman_domain *d, size_t n, int64_t available, struct qmemman_request *request)
{
	int64_t prefs = 0, left = 0;
	size_t takers = 0, made;

	for (size_t i = 0; i < n; i++)
		prefs += counts(&d[i]) ? qmemman_pref(&d[i]) : 0;
	for (size_t i = 0; i < n; i++) {
		double pref = counts(&d[i]) ? (double)qmemman_pref(&d[i]) : 0;

		if (!counts(&d[i]))
			continue;
		d[i].target = (int64_t)(NOT_QUITE * (pref + pref / (double)prefs * (double)available));
		takers += d[i].target <= d[i].max;
		left += d[i].target > d[i].max ? d[i].target - d[i].max : 0;
		d[i].target = least(d[i].target, d[i].max);
	}
	redistribute(d, n, left, takers);
	made = list_requests(d, n, true, request);
	return made + list_requests(d, n, false, request + made);
}

/*
 * Donors go to what they prefer. The original's sign: what they are about to give is taken from what is free, not added
 * to it, so that those in need get only what is free beyond it, and the rest in later passes.
 */
static size_t share_short(const struct qmemman_domain *d, size_t n, int64_t free, struct qmemman_request *request)
{
	int64_t squeezed_bytes = free, prefs = 0;
	size_t made = 0;

	for (size_t i = 0; i < n; i++) {
		bool donor = qmemman_need(&d[i]) < 0 || d[i].actual >= d[i].max;

		if (counts(&d[i]) && !donor)
			prefs += qmemman_pref(&d[i]);
		if (!counts(&d[i]) || !donor || -qmemman_need(&d[i]) < LEAST_DONATION)
			continue;
		squeezed_bytes += qmemman_need(&d[i]);
		request[made++] = (struct qmemman_request){.domain = i, .target = qmemman_pref(&d[i])};
	}
	for (size_t i = 0; squeezed_bytes >= 0 && i < n; i++) {
		double part = (double)qmemman_pref(&d[i]) / (double)prefs * (double)squeezed_bytes;

		if (!counts(&d[i]) || qmemman_need(&d[i]) < 0 || d[i].actual >= d[i].max)
			continue;
		request[made].domain = i;
		request[made++].target = least((int64_t)(NOT_QUITE * ((double)d[i].actual + part)), d[i].max);
	}
	return made;
}

size_t qmemman_balance(struct qmemman_domain *d, size_t n, int64_t free, struct qmemman_request *request)
{
	int64_t available = free;

	for (size_t i = 0; i < n; i++)
		available -= counts(&d[i]) ? qmemman_need(&d[i]) : 0;
	if (available > 0)
		return qmemman_share(d, n, available, request);
	return share_short(d, n, free, request);
}

/* ---- at work ---- */

struct memory {
	struct qmemman_domain *domain;
	struct qmemman_request *request;
	int64_t *last_target; /* bytes; 0: none */
};

static void qmemman_close(void *memory)
{
	struct memory *m = memory;

	free(m->domain);
	free(m->request);
	free(m->last_target);
	free(m);
}

static void *qmemman_open(struct world *w)
{
	struct memory *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->domain = calloc(w->n, sizeof(*m->domain));
	m->request = calloc(w->n, sizeof(*m->request));
	m->last_target = calloc(w->n, sizeof(*m->last_target));
	if (m->domain && m->request && m->last_target)
		return m;
	qmemman_close(m);
	return NULL;
}

static int64_t free_bytes(const struct world *w)
{
	return world_unpromised_kib(w) * 1024;
}

/* Markers are cleared where the guest obeyed or is below its preference. */
static void look(struct memory *m, const struct world *w)
{
	for (size_t i = 0; i < w->n; i++) {
		struct sample s = world_sample(w, &w->vm[i]);
		struct qmemman_domain *d = &m->domain[i];
		int64_t current = (int64_t)s.actual_kib * 1024;

		d->has_used = sample_speaks(&s);
		d->used =
		    (int64_t)sat_sub(s.available_kib, s.have & SAMPLE_USABLE ? s.usable_kib : s.unused_kib) * 1024;
		d->max = (int64_t)w->vm[i].is.max_kib * 1024;
		d->actual = current > m->last_target[i] ? current : m->last_target[i];
		if (d->no_progress)
			d->no_progress = current > m->last_target[i] + OBEYED && d->actual >= qmemman_pref(d);
	}
}

static int64_t unfulfilled_bytes(const struct memory *m, const struct world *w)
{
	int64_t sum = 0;

	for (size_t i = 0; i < w->n; i++) {
		int64_t current = (int64_t)world_sample(w, &w->vm[i]).actual_kib * 1024;

		sum += m->last_target[i] > current ? m->last_target[i] - current : 0;
	}
	return sum;
}

static bool is_significant(const struct memory *m, size_t requests, int64_t free)
{
	int64_t sum = llabs(free);

	if (free < -SIGNIFICANT_NEED)
		return true;
	for (size_t i = 0; i < requests; i++) {
		const struct qmemman_domain *d = &m->domain[m->request[i].domain];
		int64_t by = m->request[i].target - d->actual;

		if (qmemman_need(d) > 0 && by > SIGNIFICANT_NEED)
			return true;
		sum += llabs(by);
	}
	return sum > SIGNIFICANT;
}

static void mark_idlers(struct memory *m, const struct world *w, size_t requests)
{
	for (size_t i = 0; i < requests; i++) {
		size_t k = m->request[i].domain;

		if ((int64_t)world_sample(w, &w->vm[k]).actual_kib * 1024 > m->last_target[k] + OBEYED)
			m->domain[k].no_progress = true;
	}
}

/* Before each give it waits a little for the donors; what has not come by then is not given. */
static void set(struct memory *m, struct world *w, size_t at)
{
	struct vm *v = &w->vm[m->request[at].domain];
	int64_t target = m->request[at].target, current = (int64_t)vm_actual_kib(v) * 1024, free = free_bytes(w);

	for (unsigned waits = 0; waits < WAITS && target > current && free - (target - current) < HOST_KEEPS * 9 / 10;
	     waits++) {
		world_run(w, WAIT_MS);
		free = free_bytes(w);
	}
	if (target > current && free - (target - current) < HOST_KEEPS * 9 / 10) {
		mark_idlers(m, w, at);
		target = current + (free > HOST_KEEPS ? free - HOST_KEEPS : 0);
	}
	if (target / 1024 == current / 1024)
		return;
	m->last_target[m->request[at].domain] = target;
	world_set(w, v, (uint64_t)least(target / 1024, (int64_t)v->is.max_kib));
}

static void qmemman_step(void *memory, struct world *w)
{
	struct memory *m = memory;
	int64_t free = free_bytes(w) - unfulfilled_bytes(m, w) - HOST_KEEPS;
	size_t requests;

	look(m, w);
	requests = qmemman_balance(m->domain, w->n, free, m->request);
	if (!is_significant(m, requests, free))
		return;
	for (size_t i = 0; i < requests; i++)
		set(m, w, i);
}

const struct controller qmemman = {
    .name = "qmemman",
    .what = "Qubes qmemman: on each new statistics sample, each second",
    .interval_ms = 1000,
    .period_s = 1,
    .open = qmemman_open,
    .step = qmemman_step,
    .close = qmemman_close,
};
