/*
 * The only measurement loop: cells, threads, pinning, warm-up, window, drain.
 *
 * A thread warms up, drains, meets the others at a barrier, takes its opening edge, sends until
 * the controlling thread raises the stop flag, drains again and takes its closing edge: the
 * window closes at the completion of its last frame. The loop itself reads no clock.
 */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "core.h"

#define WARMUP_BURSTS 2
#define WMEM_LOOKS 4			/* at sk_wmem_alloc, from outside, per window */
#define SPINS_PER_YIELD 4096

struct edge {
	struct tx_counts counts;
	struct thread_times times;
	uint64_t wall_ns;
	int cpu;
};

/* What the threads of one slice share. */
struct slice_run {
	struct tx_cell *cell;
	const struct tx_slice_plan *plan;
	struct tx_slice *slice;
	unsigned int arrived;
	unsigned int opened;
	unsigned int edges;		/* threads whose window is open */
	sem_t open;			/* posted when the last thread has arrived */
	uint64_t wmem_high[CORE_MAX_THREADS];	/* as the controlling thread saw it */
};

struct slice_thread {
	struct slice_run *run;
	struct tx_thread *thread;
	pthread_t pthread;
	int created;
};

static void edge_open(const struct tx_thread *thread, struct edge *edge)
{
	edge->cpu = sched_getcpu();
	edge->counts = thread->counts;
	times_begin(&edge->times);
	edge->wall_ns = clock_ns(CLOCK_MONOTONIC);
}

static void edge_close(const struct tx_thread *thread, struct edge *edge)
{
	edge->wall_ns = clock_ns(CLOCK_MONOTONIC);
	times_end(&edge->times);
	edge->counts = thread->counts;
	edge->cpu = sched_getcpu();
}

static struct tx_counts counts_between(const struct tx_counts *from, const struct tx_counts *to)
{
	return (struct tx_counts) {
		.requested = to->requested - from->requested,
		.submitted = to->submitted - from->submitted,
		.completed = to->completed - from->completed,
		.calls = to->calls - from->calls,
		.short_counts = to->short_counts - from->short_counts,
		.eagain = to->eagain - from->eagain,
		.enobufs = to->enobufs - from->enobufs,
		.full_waits = to->full_waits - from->full_waits,
	};
}

static void sample_fill(struct tx_thread_sample *sample, const struct tx_thread *thread,
			const struct edge *open, const struct edge *close)
{
	const struct thread_times all = times_between(&open->times, &close->times);
	const struct thread_times used = times_between(&thread->looking, &all);
	const int wanted = thread->config->cpus[thread->index];

	sample->window = counts_between(&open->counts, &close->counts);
	sample->open_ns = open->wall_ns;
	sample->close_ns = close->wall_ns;
	sample->cpu_ns = used.cpu_ns;
	sample->user_ns = used.user_ns;
	sample->system_ns = used.system_ns;
	sample->run_delay_ns = used.run_delay_ns;
	sample->voluntary = all.voluntary;
	sample->involuntary = used.involuntary;
	sample->cpu = close->cpu;
	sample->moved = open->cpu != close->cpu || (wanted >= 0 && close->cpu != wanted);
}

static void stop_set(struct tx_cell *cell, int stop)
{
	__atomic_store_n(&cell->stop, stop, __ATOMIC_RELAXED);
}

static void wmem_look(const struct tx_thread *thread, uint64_t *high)
{
	int bytes = thread->socket ? sock_wmem(thread->socket->fd) : 0;

	if (bytes > 0 && (uint64_t)bytes > *high)
		*high = (uint64_t)bytes;
}

/* All threads leave within a few nanoseconds of each other; whoever comes last wakes the clock. */
static void barrier_wait(struct slice_run *run)
{
	const unsigned int threads = run->cell->config.threads;
	unsigned int spins = 0;

	if (__atomic_add_fetch(&run->arrived, 1, __ATOMIC_ACQ_REL) == threads) {
		sem_post(&run->open);
		__atomic_store_n(&run->opened, 1, __ATOMIC_RELEASE);
	}
	while (!__atomic_load_n(&run->opened, __ATOMIC_ACQUIRE) &&
	       !thread_stopped(&run->cell->threads[0])) {
		cpu_relax();
		if (++spins % SPINS_PER_YIELD == 0)
			sched_yield();
	}
}

/* To its CPU, if it has one; of any number: a cpu_set_t ends at 1024. */
static int thread_pin(struct tx_thread *thread)
{
	const int cpu = thread->config->cpus[thread->index];
	cpu_set_t *set;
	size_t size;
	int err = 0;

	if (cpu < 0)
		return 0;
	size = CPU_ALLOC_SIZE(cpu + 1);
	set = CPU_ALLOC(cpu + 1);
	if (!set)
		return error_set(&thread->error, ENOMEM, "thread %u on CPU %d", thread->index, cpu);
	CPU_ZERO_S(size, set);
	CPU_SET_S(cpu, size, set);
	if (sched_setaffinity(0, size, set) < 0)
		err = error_set(&thread->error, errno, "thread %u on CPU %d", thread->index, cpu);
	CPU_FREE(set);
	return err;
}

/* What is left of it in the kernel (frames, or bytes), which is nothing; or -errno. */
static int64_t thread_warm_up(const struct tx_method *method, struct tx_thread *thread,
			      const struct tx_slice_plan *plan)
{
	const uint64_t end_ns = clock_ns(CLOCK_MONOTONIC) + plan->warmup_ns;
	unsigned int bursts;

	thread->deadline_ns = end_ns + plan->drain_ns;
	for (bursts = 0; bursts < WARMUP_BURSTS || clock_ns(CLOCK_MONOTONIC) < end_ns; bursts++)
		if (thread_stopped(thread) || method->burst(thread) < 0)
			break;
	if (thread->error.code)
		return thread->error.code;
	return method->drain(thread, clock_ns(CLOCK_MONOTONIC) + plan->drain_ns);
}

static void *thread_main(void *argument)
{
	struct slice_thread *self = argument;
	struct slice_run *run = self->run;
	struct tx_thread *thread = self->thread;
	const struct tx_method *method = run->cell->method;
	struct tx_thread_sample *sample = &run->slice->thread[thread->index];
	const struct tx_counts before = thread->counts;
	struct edge open, close;
	int64_t early, left = 0;

	prctl(PR_SET_TIMERSLACK, 1000ul, 0, 0, 0);	/* naps of a drain: not 50 us too long */
	/*
	 * A lone sender gets a file table of its own, as a program without threads has: in a shared
	 * one fdget() takes a reference with an atomic operation at each call (fs/file.c), some 3 %
	 * of a send. Several senders share theirs and pay, as they would anywhere.
	 */
	if (run->cell->config.threads == 1)
		unshare(CLONE_FILES);
	early = thread_pin(thread);
	if (!early)
		early = thread_warm_up(method, thread, run->plan);
	if (early < 0)
		stop_set(run->cell, 1);
	barrier_wait(run);

	thread->looking = (struct thread_times) { 0 };
	thread->deadline_ns = clock_ns(CLOCK_MONOTONIC) + run->plan->window_ns +
			      run->plan->drain_ns;
	edge_open(thread, &open);
	__atomic_add_fetch(&run->edges, 1, __ATOMIC_RELEASE);
	while (!thread_stopped(thread))
		if (unlikely(method->burst(thread) < 0))
			break;
	wmem_look(thread, &sample->wmem_high);
	if (!thread->error.code)
		left = method->drain(thread, clock_ns(CLOCK_MONOTONIC) + run->plan->drain_ns);
	edge_close(thread, &close);

	if (thread->error.code)
		stop_set(run->cell, 1);
	sample_fill(sample, thread, &open, &close);
	sample->slice = counts_between(&before, &thread->counts);
	sample->refused = sample->slice.enobufs;
	/* Of calls that do not wait, a short count may as well hide EAGAIN: those tell nothing. */
	if (method->short_hides_enobufs && !run->cell->config.msg_dontwait)
		sample->refused += sample->slice.short_counts;
	sample->undrained = early > 0 ? (uint64_t)early : left > 0 ? (uint64_t)left : 0;
	return NULL;
}

static int thread_start(struct slice_thread *self, struct core_error *error)
{
	const int err = pthread_create(&self->pthread, NULL, thread_main, self);

	if (err)
		return error_set(error, err, "thread %u", self->thread->index);
	self->created = 1;
	return 0;
}

static void nap_until(uint64_t when_ns)
{
	const struct timespec when = {
		.tv_sec = (time_t)(when_ns / NSEC_PER_SEC),
		.tv_nsec = (long)(when_ns % NSEC_PER_SEC),
	};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) == EINTR)
		;
}

/*
 * The window as the controlling thread sees it: sleep, and look at the send buffers now and then.
 * It begins when all threads have taken their opening edges, so none is shorter than planned.
 */
static void window_time(struct slice_run *run)
{
	const uint64_t step_ns = run->plan->window_ns / WMEM_LOOKS;
	const struct tx_cell *cell = run->cell;
	unsigned int look, i;
	uint64_t start_ns;

	while (__atomic_load_n(&run->edges, __ATOMIC_ACQUIRE) < cell->config.threads)
		sched_yield();
	start_ns = clock_ns(CLOCK_MONOTONIC);
	for (look = 1; look < WMEM_LOOKS; look++) {
		nap_until(start_ns + look * step_ns);
		if (thread_stopped(&cell->threads[0]))
			return;
		for (i = 0; i < cell->socket_nr; i++)
			wmem_look(&cell->threads[i], &run->wmem_high[i]);
	}
	nap_until(start_ns + run->plan->window_ns);
}

static int slice_run(struct slice_run *run, struct slice_thread *threads,
		     struct core_error *error)
{
	struct tx_cell *cell = run->cell;
	unsigned int i;
	int err = 0;

	for (i = 0; i < cell->config.threads && !err; i++) {
		threads[i].run = run;
		threads[i].thread = &cell->threads[i];
		err = thread_start(&threads[i], error);
	}
	if (!err) {
		while (sem_wait(&run->open) < 0 && errno == EINTR)
			;
		window_time(run);
	}
	stop_set(cell, 1);
	for (i = 0; i < cell->config.threads; i++)
		if (threads[i].created)
			pthread_join(threads[i].pthread, NULL);
	return err;
}

static void slice_wmem(const struct slice_run *run)
{
	unsigned int i;

	for (i = 0; i < run->slice->threads; i++)
		if (run->wmem_high[i] > run->slice->thread[i].wmem_high)
			run->slice->thread[i].wmem_high = run->wmem_high[i];
}

static void slice_edges(struct tx_slice *slice)
{
	uint64_t open_ns = UINT64_MAX, close_ns = 0;
	unsigned int i;

	for (i = 0; i < slice->threads; i++) {
		if (slice->thread[i].open_ns < open_ns)
			open_ns = slice->thread[i].open_ns;
		if (slice->thread[i].close_ns > close_ns)
			close_ns = slice->thread[i].close_ns;
	}
	slice->wall_ns = close_ns - open_ns;
}

int tx_cell_slice(struct tx_cell *cell, const struct tx_slice_plan *plan,
		  struct tx_slice *slice, struct core_error *error)
{
	struct slice_run run = { .cell = cell, .plan = plan, .slice = slice };
	struct slice_thread *threads;
	unsigned int i;
	int err;

	memset(slice, 0, sizeof(*slice));
	error->code = 0;
	slice->threads = cell->config.threads;
	threads = calloc(cell->config.threads, sizeof(*threads));
	if (!threads)
		return error_set(error, ENOMEM, "threads of a slice");
	for (i = 0; i < cell->config.threads; i++)
		cell->threads[i].error.code = 0;
	stop_set(cell, 0);
	sem_init(&run.open, 0, 0);
	err = slice_run(&run, threads, error);
	sem_destroy(&run.open);
	slice_wmem(&run);
	free(threads);
	for (i = 0; i < cell->config.threads && !err; i++)
		if (cell->threads[i].error.code) {
			*error = cell->threads[i].error;
			err = error->code;
		}
	if (!err)
		slice_edges(slice);
	return err;
}

int64_t tx_cell_burst(struct tx_cell *cell, unsigned int index, uint64_t deadline_ns,
		      struct core_error *error)
{
	struct tx_thread *thread;
	uint64_t before;
	int64_t left;

	error->code = 0;
	if (index >= cell->config.threads)
		return error_set(error, EINVAL, "thread %u of %u", index, cell->config.threads);
	thread = &cell->threads[index];
	before = thread->counts.completed;
	thread->error.code = 0;
	thread->deadline_ns = clock_ns(CLOCK_MONOTONIC) + deadline_ns;
	stop_set(cell, 0);
	left = cell->method->burst(thread);
	if (left >= 0)
		left = cell->method->drain(thread, thread->deadline_ns);
	if (left < 0) {
		*error = thread->error;
		return left;
	}
	if (left > 0)
		return error_set(error, ETIMEDOUT, "%lld frames or bytes of a burst still queued",
				 (long long)left);
	return (int64_t)(thread->counts.completed - before);
}

static int config_check(const struct tx_config *config, struct core_error *error)
{
	if (!method_find(config->method))
		return error_set(error, EINVAL, "method %s", config->method);
	if (!config->threads || config->threads > CORE_MAX_THREADS)
		return error_set(error, EINVAL, "%u threads", config->threads);
	if (!config->burst)
		return error_set(error, EINVAL, "burst of 0 frames");
	return frame_check(config, error);
}

static int cell_sockets(struct tx_cell *cell, struct core_error *error)
{
	const unsigned int sockets = cell->config.socket_shared ? 1 : cell->config.threads;
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
	if (cell_sockets(cell, error) || cell_threads(cell, error)) {
		tx_cell_close(cell);
		return NULL;
	}
	return cell;
}

/* Closes a half-open cell too. */
void tx_cell_close(struct tx_cell *cell)
{
	unsigned int i;

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
	free(cell);
}

void tx_cell_facts(const struct tx_cell *cell, struct tx_facts *facts)
{
	socklen_t length = sizeof(facts->sndbuf);
	unsigned int i;

	memset(facts, 0, sizeof(*facts));
	facts->streams = cell->config.threads;
	facts->number_period = cell->config.prefilled ? cell->config.flows : 0;
	for (i = 0; i < cell->config.threads; i++)
		facts->memory += cell->threads[i].memory;
	if (cell->socket_nr)
		getsockopt(cell->sockets[0].fd, SOL_SOCKET, SO_SNDBUF, &facts->sndbuf, &length);
	if (cell->method->facts)
		cell->method->facts(cell, facts);
}
