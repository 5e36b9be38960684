/*
 * The life of a cell: checked, its sockets and threads opened, one burst of it, closed. The
 * measurement loop is slice.c's.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "core.h"

static int config_check(const struct tx_config *config, struct core_error *error)
{
	struct core_problems problems;

	if (!method_find(config->method))
		return error_set(error, EINVAL, "method %s", config->method);
	if (!config->threads || config->threads > CORE_MAX_THREADS)
		return error_set(error, EINVAL, "%u threads", config->threads);
	if (!config->burst)
		return error_set(error, EINVAL, "burst of 0 frames");
	if (config->frame_size < CORE_MIN_FRAME || config->frame_size > CORE_MAX_FRAME)
		return error_set(error, EINVAL, "frame size %u", config->frame_size);
	if (!config->flows || config->flows > CORE_MAX_FLOWS)
		return error_set(error, EINVAL, "%u flows", config->flows);
	core_check(config, (unsigned int)sysconf(_SC_PAGESIZE), &problems);
	return problems.number ? error_set(error, EINVAL, "%s", problems.list[0].text) : 0;
}

static int cell_sockets(struct tx_cell *cell, struct core_error *error)
{
	const unsigned int sockets = config_sockets(&cell->config);
	unsigned int i;
	int err = 0;

	if (!cell->method->socket_open)
		return 0;
	cell->sockets = calloc(sockets, sizeof(*cell->sockets));
	if (!cell->sockets)
		return error_set(error, ENOMEM, "%u sockets", sockets);
	cell->socket_nr = sockets;
	for (i = 0; i < sockets; i++) {
		cell->sockets[i].config = &cell->config;
		cell->sockets[i].index = i;
		cell->sockets[i].fd = -1;
	}
	for (i = 0; i < cell->socket_nr && !err; i++)
		err = cell->method->socket_open(&cell->sockets[i], error);
	return err;
}

static int cell_threads(struct tx_cell *cell, struct core_error *error)
{
	const size_t size = cell->config.threads * sizeof(*cell->threads);
	unsigned int i;
	int err = 0;

	cell->threads = aligned_alloc(CACHE_LINE, size);
	if (!cell->threads)
		return error_set(error, ENOMEM, "%u threads", cell->config.threads);
	memset(cell->threads, 0, size);
	for (i = 0; i < cell->config.threads && !err; i++) {
		struct tx_thread *thread = &cell->threads[i];

		thread->config = &cell->config;
		thread->stop = &cell->stop;
		thread->index = i;
		thread->flags = cell->config.msg_dontwait ? MSG_DONTWAIT : 0;
		if (cell->sockets)
			thread->socket = &cell->sockets[cell->socket_nr == 1 ? 0 : i];
		if (cell->method->open)
			err = cell->method->open(thread, error);
	}
	return err;
}

static int netns_own(struct core_error *error)
{
	const int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	return fd >= 0 ? fd : error_set(error, errno, "open of a network namespace");
}

static int netns_enter(int netns, struct core_error *error)
{
	return setns(netns, CLONE_NEWNET) < 0 ? error_set(error, errno, "setns") : 0;
}

int cell_enter(const struct tx_cell *cell, struct core_error *error)
{
	return cell->netns >= 0 ? netns_enter(cell->netns, error) : 0;
}

struct tx_cell *tx_cell_open(const struct tx_config *config, struct core_error *error)
{
	struct tx_cell *cell;

	error->code = 0;
	if (config_check(config, error))
		return NULL;
	cell = aligned_alloc(CACHE_LINE, sizeof(*cell));
	if (!cell) {
		error_set(error, ENOMEM, "cell");
		return NULL;
	}
	memset(cell, 0, sizeof(*cell));
	cell->config = *config;
	cell->method = method_find(config->method);
	cell->config.method = cell->method->info.name;
	frame_shape(cell->method, &cell->config);
	if (!(cell->method->info.knobs & KNOB_SOCKET))
		cell->config.socket_shared = 0;
	cell->netns = cell->method->in_netns ? netns_own(error) : -1;
	if (error->code || cell_sockets(cell, error) || cell_threads(cell, error)) {
		tx_cell_close(cell);
		return NULL;
	}
	core_memory(&cell->config, &cell->memory);
	/* Threads that share a ring go through it together. */
	cell->pass = (uint64_t)cell->memory.ring_frames * cell->socket_nr / cell->config.threads;
	return cell;
}

static int64_t cell_burst(struct tx_cell *cell, unsigned int index, uint64_t deadline_ns,
			  struct core_error *error)
{
	struct tx_thread *thread;
	uint64_t before;
	bool left = false;

	if (index >= cell->config.threads)
		return error_set(error, EINVAL, "thread %u of %u", index, cell->config.threads);
	thread = &cell->threads[index];
	before = thread->counts.completed;
	thread->error.code = 0;
	thread->deadline_ns = clock_ns(CLOCK_MONOTONIC) + deadline_ns;
	cell_stop(cell, false);
	if (thread_burst(cell->method, thread) >= 0)
		left = thread_drain(cell->method, thread, thread->deadline_ns);
	if (thread->error.code) {
		*error = thread->error;
		return error->code;
	}
	if (left)
		return error_set(error, ETIMEDOUT, "frames of a burst still queued");
	return (int64_t)(thread->counts.completed - before);
}

int64_t tx_cell_burst(struct tx_cell *cell, unsigned int index, uint64_t deadline_ns,
		      struct core_error *error)
{
	struct core_error way_back;
	int64_t sent;
	int home;

	error->code = 0;
	if (cell->netns < 0)
		return cell_burst(cell, index, deadline_ns, error);
	home = netns_own(error);
	if (home < 0)
		return home;
	sent = cell_enter(cell, error);
	if (!sent) {
		sent = cell_burst(cell, index, deadline_ns, error);
		if (netns_enter(home, &way_back)) {
			*error = way_back;
			sent = error->code;
		}
	}
	close(home);
	return sent;
}

/* Closes a half-open cell too. */
void tx_cell_close(struct tx_cell *cell)
{
	unsigned int i;

	tx_cell_unready(cell);
	for (i = 0; cell->threads && i < cell->config.threads; i++) {
		if (cell->method->close)
			cell->method->close(&cell->threads[i]);
		free(cell->threads[i].frame);
	}
	free(cell->threads);
	for (i = 0; i < cell->socket_nr; i++) {
		if (cell->method->socket_close)
			cell->method->socket_close(&cell->sockets[i]);
		if (cell->sockets[i].fd >= 0)
			close(cell->sockets[i].fd);
	}
	free(cell->sockets);
	if (cell->netns >= 0)
		close(cell->netns);
	free(cell);
}

void tx_cell_facts(const struct tx_cell *cell, struct tx_facts *facts)
{
	socklen_t length = sizeof(facts->sndbuf);

	memset(facts, 0, sizeof(*facts));
	facts->memory = cell->memory.bytes;
	facts->ring_frames = cell->memory.ring_frames;
	if (cell->socket_nr)
		getsockopt(cell->sockets[0].fd, SOL_SOCKET, SO_SNDBUF, &facts->sndbuf, &length);
	if (cell->method->facts)
		cell->method->facts(cell->sockets, facts);
}
