/*
 * The only measurement loop: threads, pinning, warm-up, window, drain.
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

#include "core.h"

#define WARMUP_BURSTS 2
#define WMEM_LOOKS 4			/* at sk_wmem_alloc, from outside, per window */
#define SPINS_PER_YIELD 4096

/* Between two looks at a queue that only a timer of the qdisc empties. */
static const struct timespec drain_nap = { .tv_nsec = 20000 };

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
	sem_t all_arrived;		/* posted when the last thread has arrived */
	uint64_t wmem_high[CORE_MAX_THREADS];	/* as the controlling thread saw it */
};

struct slice_thread {
	struct slice_run *run;
	struct tx_thread *thread;
	pthread_t pthread;
	bool created;
	struct tx_counts before;	/* of the slice */
	struct edge first, last;	/* of the window */
	bool undrained;			/* after the warm-up or after the window */
};

static void edge_first(const struct tx_thread *thread, struct edge *edge)
{
	edge->cpu = sched_getcpu();
	edge->counts = thread->counts;
	times_begin(&edge->times);
	edge->times.cpu_ns += times_cpu_ns(thread->helper);
	edge->wall_ns = clock_ns(CLOCK_MONOTONIC);
}

static void edge_last(const struct tx_thread *thread, struct edge *edge)
{
	edge->wall_ns = clock_ns(CLOCK_MONOTONIC);
	times_end(&edge->times);
	edge->times.cpu_ns += times_cpu_ns(thread->helper);
	edge->counts = thread->counts;
	edge->cpu = sched_getcpu();
}

struct tx_counts counts_between(const struct tx_counts *from, const struct tx_counts *to)
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
		.refused = to->refused - from->refused,
		.malformed = to->malformed - from->malformed,
	};
}

static void wmem_look(const struct tx_socket *socket, uint64_t *high)
{
	const int bytes = sock_wmem(socket->fd);

	if (bytes > 0 && (uint64_t)bytes > *high)
		*high = (uint64_t)bytes;
}

/*
 * All threads leave within a few nanoseconds of each other. The last thread to arrive starts the
 * window's clock.
 */
static void barrier_wait(struct slice_run *run)
{
	const unsigned int threads = run->cell->config.threads;
	unsigned int spins = 0;

	if (__atomic_add_fetch(&run->arrived, 1, __ATOMIC_ACQ_REL) == threads) {
		sem_post(&run->all_arrived);
		__atomic_store_n(&run->opened, 1, __ATOMIC_RELEASE);
	}
	while (!__atomic_load_n(&run->opened, __ATOMIC_ACQUIRE) && !cell_stopped(run->cell)) {
		cpu_relax();
		if (++spins % SPINS_PER_YIELD == 0)
			sched_yield();
	}
}

/* Pins a thread that has a CPU. The set is as large as its number asks: cpu_set_t ends at 1024. */
static void thread_pin(struct tx_thread *thread)
{
	const int cpu = thread->config->cpus[thread->index];
	cpu_set_t *set;
	size_t size;

	if (cpu < 0)
		return;
	size = CPU_ALLOC_SIZE(cpu + 1);
	set = CPU_ALLOC(cpu + 1);
	if (!set) {
		error_set(&thread->error, ENOMEM, "thread %u on CPU %d", thread->index, cpu);
		return;
	}
	CPU_ZERO_S(size, set);
	CPU_SET_S(cpu, size, set);
	if (sched_setaffinity(0, size, set) < 0)
		error_set(&thread->error, errno, "thread %u on CPU %d", thread->index, cpu);
	CPU_FREE(set);
}

/* What a sending thread has for itself: a timer slack, a file table, a namespace, a CPU. */
void thread_settle(struct tx_cell *cell, struct tx_thread *thread)
{
	prctl(PR_SET_TIMERSLACK, 1000ul, 0, 0, 0);	/* naps of a drain: not 50 us too long */
	/*
	 * A lone sender gets a file table of its own, as a program without threads has: in a shared
	 * one fdget() takes a reference with an atomic operation at each call (fs/file.c), some 3 %
	 * of a send. Several senders share theirs and pay, as they would anywhere.
	 */
	if (cell->config.threads == 1)
		unshare(CLONE_FILES);
	cell_enter(cell, &thread->error);
	thread_pin(thread);
}

/*
 * Nobody wakes a sender when its last frame has left, so it polls. What that costs is kept apart:
 * it is no cost of sending (a ring sleeps meanwhile, in its blocking send). begin and end are
 * swapped on purpose: the cost of reading the clocks is charged to the polling, not to the sender.
 */
static bool drain_poll(const struct tx_method *method, struct tx_thread *thread,
		       uint64_t deadline_ns)
{
	struct thread_times before, after;
	bool left;

	times_end(&before);
	do {
		clock_nanosleep(CLOCK_MONOTONIC, 0, &drain_nap, NULL);
		left = method->reap(thread);
	} while (left && clock_ns(CLOCK_MONOTONIC) < deadline_ns);
	times_begin(&after);
	thread->drain_polling = times_between(&before, &after);
	return left;
}

bool thread_drain(const struct tx_method *method, struct tx_thread *thread, uint64_t deadline_ns)
{
	if (!method->wait)
		return method->reap(thread) && drain_poll(method, thread, deadline_ns);
	do
		thread->idle = method->wait(thread);
	while (!thread->idle && !thread->error.code && clock_ns(CLOCK_MONOTONIC) < deadline_ns);
	return !thread->error.code && method->reap(thread);
}

static void slice_drain(struct slice_thread *self)
{
	const uint64_t deadline_ns = clock_ns(CLOCK_MONOTONIC) + self->run->plan->drain_ns;
	struct tx_thread *thread = self->thread;

	if (!thread->error.code && thread_drain(self->run->cell->method, thread, deadline_ns))
		self->undrained = true;
}

static void thread_warm_up(struct slice_thread *self)
{
	const struct tx_slice_plan *plan = self->run->plan;
	const struct tx_method *method = self->run->cell->method;
	struct tx_thread *thread = self->thread;
	const uint64_t end_ns = clock_ns(CLOCK_MONOTONIC) + plan->warmup_ns;
	unsigned int bursts;

	self->before = thread->counts;
	thread->deadline_ns = end_ns + plan->drain_ns;
	for (bursts = 0; bursts < WARMUP_BURSTS || clock_ns(CLOCK_MONOTONIC) < end_ns; bursts++)
		if (thread->error.code || thread_stopped(thread) || method->burst(thread) < 0)
			break;
	slice_drain(self);
	if (thread->error.code)
		cell_stop(self->run->cell, true);
}

/* From the first edge on: burst after burst, until the window is over. */
static void window_send(struct slice_thread *self)
{
	struct slice_run *run = self->run;
	const struct tx_method *method = run->cell->method;
	struct tx_thread *thread = self->thread;

	thread->drain_polling = (struct thread_times) { 0 };
	thread->deadline_ns = clock_ns(CLOCK_MONOTONIC) + run->plan->window_ns +
			      run->plan->drain_ns;
	edge_first(thread, &self->first);
	__atomic_add_fetch(&run->edges, 1, __ATOMIC_RELEASE);
	while (!thread_stopped(thread))
		if (unlikely(method->burst(thread) < 0))
			break;
}

/* The window closes at the completion of its last frame. */
static void window_close(struct slice_thread *self)
{
	struct tx_thread *thread = self->thread;

	if (thread->socket)
		wmem_look(thread->socket, &self->run->slice->thread[thread->index].wmem_high);
	slice_drain(self);
	edge_last(thread, &self->last);
	if (thread->error.code)
		cell_stop(self->run->cell, true);
}

/* Polling a queue while it drains is no cost of sending; that it slept then is a fact. */
static void sample_fill(const struct slice_thread *self)
{
	const struct tx_thread *thread = self->thread;
	const struct edge *first = &self->first, *last = &self->last;
	const struct thread_times all = times_between(&first->times, &last->times);
	const struct thread_times used = times_between(&thread->drain_polling, &all);
	const int wanted = thread->config->cpus[thread->index];
	struct tx_thread_sample *sample = &self->run->slice->thread[thread->index];

	sample->window = counts_between(&first->counts, &last->counts);
	sample->slice = counts_between(&self->before, &thread->counts);
	sample->open_ns = first->wall_ns;
	sample->close_ns = last->wall_ns;
	sample->cpu_ns = used.cpu_ns;
	sample->user_ns = used.user_ns;
	sample->system_ns = used.system_ns;
	sample->run_delay_ns = used.run_delay_ns;
	sample->voluntary = all.voluntary;	/* 0: it never slept, so it was never blocked */
	sample->involuntary = used.involuntary;
	sample->undrained = self->undrained;
	sample->cpu = last->cpu;
	sample->moved = first->cpu != last->cpu || (wanted >= 0 && last->cpu != wanted);
}

static void *thread_main(void *argument)
{
	struct slice_thread *self = argument;

	thread_settle(self->run->cell, self->thread);
	thread_warm_up(self);
	barrier_wait(self->run);
	window_send(self);
	window_close(self);
	sample_fill(self);
	return NULL;
}

static int thread_start(struct slice_thread *self, struct core_error *error)
{
	const int err = pthread_create(&self->pthread, NULL, thread_main, self);

	if (err)
		return error_set(error, err, "thread %u", self->thread->index);
	self->created = true;
	return 0;
}

void nap_until(uint64_t when_ns)
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
		if (cell_stopped(cell))
			return;
		for (i = 0; i < cell->socket_nr; i++)
			wmem_look(&cell->sockets[i], &run->wmem_high[i]);
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
		while (sem_wait(&run->all_arrived) < 0 && errno == EINTR)
			;
		window_time(run);
	}
	cell_stop(cell, true);
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

	if (cell->method->stream)
		return stream_slice(cell, plan, slice, error);
	memset(slice, 0, sizeof(*slice));
	error->code = 0;
	slice->threads = cell->config.threads;
	threads = calloc(cell->config.threads, sizeof(*threads));
	if (!threads)
		return error_set(error, ENOMEM, "threads of a slice");
	for (i = 0; i < cell->config.threads; i++)
		cell->threads[i].error.code = 0;
	cell_stop(cell, false);
	sem_init(&run.all_arrived, 0, 0);
	err = slice_run(&run, threads, error);
	sem_destroy(&run.all_arrived);
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
