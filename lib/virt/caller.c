/* SPDX-License-Identifier: MIT */
#include "virt/caller.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "virt/libvirt.h"

#define ALL_STUCK "too many calls are stuck: end or continue the guests that 'virsh domcontrol' finds occupied"

/* What workers need to connect; theirs, for they may outlive their caller. */
struct connector {
	char *uri;
	bool read_only;
	pthread_mutex_t lock;
	int error; /* why a worker could not connect last */
	char words[CALLER_WORDS];
};

static const volatile sig_atomic_t *stop_flag;

void caller_stop_on(const volatile sig_atomic_t *stop)
{
	stop_flag = stop;
}

/* ---- connections of the workers ---- */

static int connector_open(void *arg, void **ret_context)
{
	struct connector *connector = arg;
	struct libvirt *l;
	char *words = NULL;
	int rc = libvirt_open(connector->uri, connector->read_only, &l, &words);

	if (rc < 0) {
		pthread_mutex_lock(&connector->lock);
		connector->error = rc;
		snprintf(connector->words, sizeof(connector->words), "%s", words ? words : strerror(-rc));
		pthread_mutex_unlock(&connector->lock);
		free(words);
		return rc;
	}
	*ret_context = l;
	return 0;
}

static void connector_close(void *context)
{
	libvirt_close(context);
}

static void connector_release(void *arg)
{
	struct connector *connector = arg;

	pthread_mutex_destroy(&connector->lock);
	free(connector->uri);
	free(connector);
}

static struct connector *connector_new(const char *uri, bool read_only)
{
	struct connector *connector = calloc(1, sizeof(*connector));

	if (!connector)
		return NULL;
	pthread_mutex_init(&connector->lock, NULL);
	connector->read_only = read_only;
	connector->uri = strdup(uri);
	if (!connector->uri) {
		connector_release(connector);
		return NULL;
	}
	return connector;
}

static const struct pool_kind connector_kind = {connector_open, connector_close, connector_release};

/* ---- calls ---- */

static int call_run(struct job *job, void *context)
{
	struct call *c = (struct call *)job;
	struct libvirt *l = context;
	int rc = c->function(l, c);

	if (rc < 0)
		c->words = strdup(libvirt_words(l));
	return rc;
}

void call_init(struct call *c, call_function *function)
{
	*c = (struct call){.job = {.run = call_run, .free = call_free}, .function = function};
}

void call_reset(struct call *c)
{
	while (c->n_readings)
		free(c->reading[--c->n_readings].words);
	free(c->reading);
	c->reading = NULL;
	guests_free(c->found, c->n_found);
	c->found = NULL;
	c->n_found = 0;
	free(c->words);
	c->words = NULL;
}

void call_free(struct job *job)
{
	struct call *c = (struct call *)job;

	call_reset(c);
	free(c->key);
	free(c);
}

/* ---- workers ---- */

/* The worlds of the test driver live and die with their connection: there is but one worker then. */
int caller_init(struct caller *c, const char *uri, bool read_only, unsigned workers)
{
	*c = (struct caller){.size = !workers || !strncmp(uri, "test:", 5) ? 1 : workers};
	c->connector = connector_new(uri, read_only);
	if (!c->connector)
		return caller_fail(c, -ENOMEM, NULL);
	return pool_new(&connector_kind, c->connector, c->size, &c->workers);
}

void caller_clear(struct caller *c, uint64_t deadline_ms)
{
	pool_free(c->workers, deadline_ms);
}

int caller_fail(struct caller *c, int error, const char *words)
{
	snprintf(c->words, sizeof(c->words), "%s", words ? words : strerror(-error));
	return error;
}

/* Words for an error of pool_run: of the job that saw the connection die, or of the worker that got none. */
static int explain_run(struct caller *c, struct job **job, size_t n, int error)
{
	if (error == -EBUSY)
		return caller_fail(c, -ETIMEDOUT, ALL_STUCK);
	for (size_t i = 0; i < n; i++)
		if (job[i] && job[i]->result == error && ((struct call *)job[i])->words)
			return caller_fail(c, error, ((struct call *)job[i])->words);
	pthread_mutex_lock(&c->connector->lock);
	caller_fail(c, error, c->connector->error == error ? c->connector->words : NULL);
	pthread_mutex_unlock(&c->connector->lock);
	return error;
}

int caller_run(struct caller *c, struct job **job, size_t n, uint64_t deadline_ms)
{
	int rc = pool_run(c->workers, job, n, deadline_ms, stop_flag);

	return rc < 0 ? explain_run(c, job, n, rc) : 0;
}

int caller_run_one(struct caller *c, call_function *function, const char *key, uint64_t deadline_ms,
                   struct call **ret_call)
{
	struct call *call = malloc(sizeof(*call));
	struct job *job = &call->job;
	int rc;

	if (!call)
		return caller_fail(c, -ENOMEM, NULL);
	call_init(call, function);
	call->job.key = call->key = key ? strdup(key) : NULL;
	rc = caller_run(c, &job, 1, deadline_ms);
	if (!rc && (!job || job->result == -EAGAIN || job->result == -EBUSY))
		rc = caller_fail(c, -ETIMEDOUT, CALLER_NO_ANSWER);
	else if (!rc && job->result < 0)
		rc = caller_fail(c, job->result, call->words);
	if (!rc)
		*ret_call = call;
	else if (job)
		call_free(job);
	return rc;
}
