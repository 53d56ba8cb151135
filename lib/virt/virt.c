#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/pool.h"
#include "base/uri.h"
#include "virt/libvirt.h"
#include "virt/virt.h"

#define WORDS_BYTES 512
#define GOODBYE_MS 100 /* libvirtd complains in its log of a client that goes without a word */

#define NO_ANSWER "no answer from libvirt in time"
#define ALL_STUCK "too many calls are stuck: end or continue the guests that 'virsh domcontrol' finds occupied"

/* What workers need to connect; theirs, for they may outlive their virt. */
struct door {
	char *uri;
	bool read_only;
	pthread_mutex_t lock;
	int error; /* why a worker could not connect last */
	char words[WORDS_BYTES];
};

struct errand;

/* What a round over the guests needs, made beforehand (virt_prepare) and kept from round to round. */
struct stock {
	size_t room, n; /* for so many guests; of the round under way */
	struct job **job;
	struct guest **home; /* whose errand each job is */
	size_t n_errands;
	struct errand **errand;
};

struct virt {
	struct pool *workers;
	struct door *door;
	unsigned strength; /* workers */
	bool remote;
	struct stock stock;
	char words[WORDS_BYTES];
};

typedef int errand_call(struct libvirt *l, struct errand *e);

/* One call to be made by a worker. It owns all that it needs and all that it brings. */
struct errand {
	struct job job; /* the first member: a job is its errand */
	errand_call *call;
	char *words;
	struct guest guest; /* a copy, without name and words; what the call changed goes home with it */
	uint32_t period_s;
	struct guest *found;
	size_t n_found;
	struct host host;
	bool remote;
};

static const volatile sig_atomic_t *stop_flag;
static _Thread_local char open_words[WORDS_BYTES]; /* the guard and its keeper may fail side by side */

void virt_stop_on(const volatile sig_atomic_t *stop)
{
	stop_flag = stop;
}

/* ---- connections of the workers ---- */

static int door_open(void *arg, void **ret_context)
{
	struct door *door = arg;
	struct libvirt *l;
	char *words = NULL;
	int rc = libvirt_open(door->uri, door->read_only, &l, &words);

	if (rc < 0) {
		pthread_mutex_lock(&door->lock);
		door->error = rc;
		snprintf(door->words, sizeof(door->words), "%s", words ? words : strerror(-rc));
		pthread_mutex_unlock(&door->lock);
		free(words);
		return rc;
	}
	*ret_context = l;
	return 0;
}

static void door_close(void *context)
{
	libvirt_close(context);
}

static void door_release(void *arg)
{
	struct door *door = arg;

	pthread_mutex_destroy(&door->lock);
	free(door->uri);
	free(door);
}

static struct door *door_new(const char *uri, bool read_only)
{
	struct door *door = calloc(1, sizeof(*door));

	if (!door)
		return NULL;
	pthread_mutex_init(&door->lock, NULL);
	door->read_only = read_only;
	door->uri = strdup(uri);
	if (!door->uri) {
		door_release(door);
		return NULL;
	}
	return door;
}

static const struct pool_kind door_kind = {door_open, door_close, door_release};

/* ---- errands ---- */

static int errand_run(struct job *job, void *context)
{
	struct errand *e = (struct errand *)job;
	struct libvirt *l = context;
	int rc = e->call(l, e);

	if (rc < 0)
		e->words = strdup(libvirt_words(l));
	return rc;
}

static void errand_free(struct job *job)
{
	struct errand *e = (struct errand *)job;

	free(e->words);
	guests_free(e->found, e->n_found);
	free(e);
}

static struct errand *errand_new(struct stock *stock, errand_call *call)
{
	struct errand *e = stock->n_errands ? stock->errand[--stock->n_errands] : malloc(sizeof(*e));

	if (e)
		*e = (struct errand){.job = {.run = errand_run, .free = errand_free}, .call = call};
	return e;
}

/* Takes it back into the stock, or frees it. */
static void errand_return(struct stock *stock, struct errand *e)
{
	if (stock->n_errands >= stock->room) {
		errand_free(&e->job);
		return;
	}
	free(e->words);
	e->words = NULL;
	stock->errand[stock->n_errands++] = e;
}

static int virt_fail(struct virt *v, int error, const char *words)
{
	snprintf(v->words, sizeof(v->words), "%s", words ? words : strerror(-error));
	return error;
}

/* Words for an error of pool_run: of the job that saw the connection die, or of the worker that got none. */
static int explain_run(struct virt *v, struct job **job, size_t n, int error)
{
	if (error == -EBUSY)
		return virt_fail(v, -ETIMEDOUT, ALL_STUCK);
	for (size_t i = 0; i < n; i++)
		if (job[i] && job[i]->result == error && ((struct errand *)job[i])->words)
			return virt_fail(v, error, ((struct errand *)job[i])->words);
	pthread_mutex_lock(&v->door->lock);
	virt_fail(v, error, v->door->error == error ? v->door->words : NULL);
	pthread_mutex_unlock(&v->door->lock);
	return error;
}

static int run(struct virt *v, struct job **job, size_t n, uint64_t deadline_ms)
{
	int rc = pool_run(v->workers, job, n, deadline_ms, stop_flag);

	return rc < 0 ? explain_run(v, job, n, rc) : 0;
}

/* For calls that are about no guest. On success *ret_errand is to be freed. */
static int run_one(struct virt *v, errand_call *call, const char *key, uint64_t deadline_ms, struct errand **ret_errand)
{
	struct errand *e = errand_new(&v->stock, call);
	struct job *job = &e->job;
	int rc;

	if (!e)
		return virt_fail(v, -ENOMEM, NULL);
	e->job.key = key;
	rc = run(v, &job, 1, deadline_ms);
	if (!rc && (!job || job->result == -EAGAIN || job->result == -EBUSY))
		rc = virt_fail(v, -ETIMEDOUT, NO_ANSWER);
	else if (!rc && job->result < 0)
		rc = virt_fail(v, job->result, e->words);
	if (!rc)
		*ret_errand = e;
	else if (job)
		errand_free(job);
	return rc;
}

/* ---- the stock ---- */

static void stock_clear(struct stock *stock)
{
	while (stock->n_errands)
		errand_free(&stock->errand[--stock->n_errands]->job);
	free(stock->job);
	free(stock->home);
	free(stock->errand);
}

static int stock_grow(struct stock *stock, size_t room)
{
	struct job **job = reallocarray(stock->job, room, sizeof(*job));
	struct guest **home = reallocarray(stock->home, room, sizeof(*home));
	struct errand **errand = reallocarray(stock->errand, room, sizeof(*errand));

	stock->job = job ? job : stock->job;
	stock->home = home ? home : stock->home;
	stock->errand = errand ? errand : stock->errand;
	if (!job || !home || !errand)
		return -ENOMEM;
	stock->room = room;
	return 0;
}

/* Errands that were abandoned are gone with their workers. */
static int stock_fill(struct stock *stock, size_t n)
{
	while (stock->n_errands < n) {
		struct errand *e = malloc(sizeof(*e));

		if (!e)
			return -ENOMEM;
		memset(e, 0, sizeof(*e)); /* touched now, not when it is needed */
		stock->errand[stock->n_errands++] = e;
	}
	return 0;
}

/* ---- connection ---- */

static int call_hello(struct libvirt *l, struct errand *e)
{
	char *uri = libvirt_uri(l);

	e->remote = uri && uri_is_remote(uri);
	free(uri);
	return 0;
}

/* The worlds of the test driver live and die with their connection: there is but one worker then. */
static int connect_workers(struct virt *v, const char *uri, bool read_only, unsigned workers)
{
	v->strength = !workers || !strncmp(uri, "test:", 5) ? 1 : workers;
	v->door = door_new(uri, read_only);
	if (!v->door)
		return virt_fail(v, -ENOMEM, NULL);
	return pool_new(&door_kind, v->door, v->strength, &v->workers);
}

int virt_open(const char *uri, bool read_only, unsigned workers, uint64_t deadline_ms, struct virt **ret_virt)
{
	struct virt *v = calloc(1, sizeof(*v));
	struct errand *hello;
	int rc;

	if (!v)
		return -ENOMEM;
	rc = connect_workers(v, uri, read_only, workers);
	if (!rc)
		rc = run_one(v, call_hello, NULL, deadline_ms, &hello);
	if (rc < 0) {
		memcpy(open_words, v->words, sizeof(open_words));
		pool_free(v->workers, 0);
		free(v);
		return rc;
	}
	v->remote = hello->remote;
	errand_free(&hello->job);
	*ret_virt = v;
	return 0;
}

void virt_close(struct virt *v)
{
	if (!v)
		return;
	pool_free(v->workers, clock_ms(CLOCK_BOOTTIME) + GOODBYE_MS);
	stock_clear(&v->stock);
	free(v);
}

const char *virt_words(const struct virt *v)
{
	return v ? v->words : open_words;
}

bool virt_is_remote(const struct virt *v)
{
	return v->remote;
}

/* ---- list ---- */

static int call_list(struct libvirt *l, struct errand *e)
{
	return libvirt_list(l, &e->found, &e->n_found);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct guest *)a)->name, ((const struct guest *)b)->name);
}

/* While a hook runs, every list waits: one that is stuck is enough, and leaves libvirtd its workers. */
int virt_list(struct virt *v, uint64_t deadline_ms, struct guest **ret_guests, size_t *ret_n)
{
	struct errand *e;
	int rc = run_one(v, call_list, "list", deadline_ms, &e);

	if (rc < 0)
		return rc;
	qsort(e->found, e->n_found, sizeof(*e->found), by_name);
	*ret_guests = e->found;
	*ret_n = e->n_found;
	e->found = NULL;
	e->n_found = 0;
	errand_free(&e->job);
	return 0;
}

void guests_free(struct guest *g, size_t n)
{
	for (size_t i = 0; i < n; i++)
		guest_clear(&g[i]);
	free(g);
}

/* ---- many guests ---- */

static void round_clear(struct stock *stock)
{
	for (size_t i = 0; i < stock->n; i++)
		if (stock->job[i])
			errand_return(stock, (struct errand *)stock->job[i]);
	stock->n = 0;
}

static int round_add(struct stock *stock, struct guest *g, errand_call *call, uint32_t period_s)
{
	struct errand *e = errand_new(stock, call);

	if (!e)
		return -ENOMEM;
	e->guest = *g;
	e->guest.name = e->guest.order.words = NULL;
	e->job.key = e->guest.uuid;
	e->period_s = period_s;
	stock->home[stock->n] = g;
	stock->job[stock->n++] = &e->job;
	return 0;
}

static void guest_fail(struct guest *g, int error, const char *words)
{
	free(g->order.words);
	g->order.words = strdup(words);
	g->order.error = error;
}

static void guest_forgive(struct guest *g)
{
	free(g->order.words);
	g->order.words = NULL;
	g->order.error = 0;
}

/* Brings home what the errand (NULL: abandoned) to g made of its copy, or what became of it; nothing where it was not
 * begun in time. */
static void guest_home(struct guest *g, struct errand *e)
{
	int result = e ? e->job.result : -ETIMEDOUT;

	if (!result) {
		e->guest.name = g->name;
		e->guest.order.words = g->order.words;
		*g = e->guest;
	} else if (result == -ESRCH) {
		g->vanished = true;
	} else if (result == -ETIMEDOUT || result == -EBUSY) {
		g->hung = true;
	} else if (result != -EAGAIN) {
		guest_fail(g, result, e->words ? e->words : strerror(-result));
	}
}

/* Where libvirt itself is gone, guests are not to blame: only what went well comes home. */
static int round_run(struct virt *v, uint64_t deadline_ms)
{
	struct stock *stock = &v->stock;
	int done = 0, rc = run(v, stock->job, stock->n, deadline_ms);

	for (size_t i = 0; i < stock->n; i++) {
		bool well = stock->job[i] && stock->job[i]->result == 0;

		if (well || !rc)
			guest_home(stock->home[i], (struct errand *)stock->job[i]);
		done += well;
	}
	return rc < 0 ? rc : done;
}

/* Runs call for each guest that is wanted; returns for how many it went well. */
static int for_guests(struct virt *v, struct guest *g, size_t n, bool (*want)(const struct guest *g), errand_call *call,
                      uint32_t period_s, uint64_t deadline_ms)
{
	int rc = n > v->stock.room ? stock_grow(&v->stock, n + n / 2) : 0;

	for (size_t i = 0; i < n && !rc; i++)
		if (want(&g[i]))
			rc = round_add(&v->stock, &g[i], call, period_s);
	rc = rc < 0 ? virt_fail(v, rc, NULL) : round_run(v, deadline_ms);
	round_clear(&v->stock);
	return rc;
}

static bool is_there(const struct guest *g)
{
	return !g->hung && !g->vanished;
}

/* ---- read ---- */

static int call_read(struct libvirt *l, struct errand *e)
{
	int rc = libvirt_read(l, &e->guest);

	e->guest.answered = !rc;
	return rc;
}

int virt_read(struct virt *v, struct guest *g, size_t n, uint64_t deadline_ms)
{
	int rc;

	for (size_t i = 0; i < n; i++) {
		g[i].answered = g[i].hung = g[i].vanished = g[i].migrating = false;
		g[i].sample = (struct sample){.have = 0};
		guest_forgive(&g[i]);
	}
	rc = for_guests(v, g, n, is_there, call_read, 0, deadline_ms);
	for (size_t i = 0; i < n && rc >= 0; i++)
		g[i].hung = !g[i].answered && !g[i].vanished && !g[i].order.error;
	return rc < 0 ? rc : 0;
}

static int call_sample(struct libvirt *l, struct errand *e)
{
	int rc = libvirt_sample(l, &e->guest);

	e->guest.reread |= !rc;
	return rc;
}

int virt_sample(struct virt *v, struct guest *g, size_t n, bool (*want)(const struct guest *g), uint64_t deadline_ms)
{
	int rc = for_guests(v, g, n, want, call_sample, 0, deadline_ms);

	return rc < 0 ? rc : 0;
}

/* ---- set ---- */

static int call_set(struct libvirt *l, struct errand *e)
{
	int rc = libvirt_set(l, &e->guest);

	e->guest.order.sent = !rc;
	return rc;
}

static bool has_ask(const struct guest *g)
{
	return g->plan.ask_kib && is_there(g);
}

int virt_set(struct virt *v, struct guest *g, size_t n, uint64_t deadline_ms)
{
	int rc;

	for (size_t i = 0; i < n; i++)
		if (g[i].plan.ask_kib) {
			g[i].order.sent = false;
			guest_forgive(&g[i]);
		}
	rc = for_guests(v, g, n, has_ask, call_set, 0, deadline_ms);
	for (size_t i = 0; i < n; i++)
		if (rc >= 0 && g[i].plan.ask_kib && !g[i].order.sent && !g[i].vanished && !g[i].order.error)
			guest_fail(&g[i], -ETIMEDOUT, NO_ANSWER);
	return rc < 0 ? rc : 0;
}

static int call_set_period(struct libvirt *l, struct errand *e)
{
	return libvirt_set_period(l, &e->guest, e->period_s);
}

static bool lacks_period(const struct guest *g)
{
	return g->answered && is_there(g) && g->run == RUN_RUNNING && g->device.balloon && !g->device.period_s;
}

int virt_set_period(struct virt *v, struct guest *g, size_t n, uint32_t period_s, uint64_t deadline_ms)
{
	return for_guests(v, g, n, lacks_period, call_set_period, period_s, deadline_ms);
}

/* A greeting for each worker, so that each is started and connects. */
static int greet(struct virt *v, uint64_t deadline_ms)
{
	struct guest *nobody = calloc(v->strength, sizeof(*nobody));
	int rc = nobody ? for_guests(v, nobody, v->strength, is_there, call_hello, 0, deadline_ms) : -ENOMEM;

	guests_free(nobody, nobody ? v->strength : 0);
	return rc;
}

int virt_prepare(struct virt *v, size_t n, uint64_t deadline_ms)
{
	int rc = n > v->stock.room ? stock_grow(&v->stock, n + n / 2) : 0;

	if (!rc)
		rc = stock_fill(&v->stock, n);
	if (!rc)
		rc = greet(v, deadline_ms);
	if (rc == -ENOMEM)
		return virt_fail(v, rc, NULL);
	return rc < 0 ? rc : 0;
}

/* ---- host ---- */

static int call_host(struct libvirt *l, struct errand *e)
{
	return libvirt_host(l, &e->host);
}

int virt_host(struct virt *v, uint64_t deadline_ms, struct host *ret_host)
{
	struct errand *e;
	int rc = run_one(v, call_host, NULL, deadline_ms, &e);

	if (rc < 0)
		return rc;
	*ret_host = e->host;
	errand_free(&e->job);
	return 0;
}
