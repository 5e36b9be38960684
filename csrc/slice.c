/*
 * A slice: threads, pinning, the time of the window, what was measured. What a thread does between
 * its start and the closing edge is window.c's; then it drains. It takes some 0.2 ms until a thread
 * stands ready, and longer until it is warm, so the caller may do something else meanwhile.
 */
#include <sched.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "slice.h"

#define WMEM_LOOKS 4			/* at sk_wmem_alloc, from outside, per window */

static const struct timespec drain_nap = { .tv_nsec = 20000 }, start_nap = { .tv_nsec = 50000 };

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

/* Of a thread of this process: the kernel makes the number of its clock of its id (times.c). */
static int thread_id(pthread_t pthread, pid_t *id)
{
	clockid_t clock;
	const int err = pthread_getcpuclockid(pthread, &clock);

	*id = ~(clock >> 3);
	return err;
}

/*
 * By whoever started it: a thread that has not run yet moves at once, and does its part while its
 * starter goes on. The set is as large as its number asks: cpu_set_t ends at 1024.
 */
int thread_pin(pthread_t pthread, const struct tx_thread *thread, struct core_error *error)
{
	const int cpu = thread->config->cpus[thread->index];
	cpu_set_t *set;
	size_t size;
	pid_t id;
	int err;

	if (cpu < 0)
		return 0;
	size = CPU_ALLOC_SIZE(cpu + 1);
	set = CPU_ALLOC(cpu + 1);
	if (!set)
		return error_set(error, ENOMEM, "thread %u on CPU %d", thread->index, cpu);
	CPU_ZERO_S(size, set);
	CPU_SET_S(cpu, size, set);
	err = thread_id(pthread, &id);
	if (!err && sched_setaffinity(id, size, set) < 0)
		err = errno;
	CPU_FREE(set);
	return err ? error_set(error, err, "thread %u on CPU %d", thread->index, cpu) : 0;
}

/*
 * A sender does not sleep. At the same real-time priority (chrt) it would keep off its CPU who has to
 * end its window, so it has one less, and of the lowest none.
 */
static void thread_give_way(void)
{
	struct sched_param param;
	int policy;

	if (pthread_getschedparam(pthread_self(), &policy, &param))
		return;
	if (policy != SCHED_FIFO && policy != SCHED_RR)
		return;
	if (--param.sched_priority < sched_get_priority_min(policy)) {
		policy = SCHED_OTHER;
		param.sched_priority = 0;
	}
	pthread_setschedparam(pthread_self(), policy, &param);
}

/* What a sending thread has for itself: a priority, a timer slack, a file table, a namespace. */
void thread_settle(struct tx_cell *cell, struct tx_thread *thread)
{
	thread_give_way();
	prctl(PR_SET_TIMERSLACK, 1000ul, 0, 0, 0);	/* naps of a drain: not 50 us too long */
	/*
	 * A lone sender gets a file table of its own, as a program without threads has: in a shared
	 * one fdget() takes a reference with an atomic operation at each call (fs/file.c), some 3 %
	 * of a send. Several senders share theirs and pay, as they would anywhere.
	 */
	if (cell->config.threads == 1)
		unshare(CLONE_FILES);
	cell_enter(cell, &thread->error);
}

/* Nobody wakes a sender when its last frame has left, so it polls. */
static bool drain_poll(const struct tx_method *method, struct tx_thread *thread,
		       uint64_t deadline_ns)
{
	bool left;

	do {
		clock_nanosleep(CLOCK_MONOTONIC, 0, &drain_nap, NULL);
		left = method->reap(thread);
	} while (left && clock_ns(CLOCK_MONOTONIC) < deadline_ns);
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

static bool slice_drain(const struct slice_thread *self)
{
	const uint64_t deadline_ns = clock_ns(CLOCK_MONOTONIC) + self->run->plan->drain_ns;
	struct tx_thread *thread = self->thread;

	return !thread->error.code && thread_drain(self->run->cell->method, thread, deadline_ns);
}

void sample_fill(struct tx_thread_sample *sample, const struct tx_thread *thread,
		 const struct tx_counts *before, const struct edge *first, const struct edge *last)
{
	const struct thread_times used = times_between(&first->times, &last->times);
	const int wanted = thread->config->cpus[thread->index];

	sample->window = counts_between(&first->counts, &last->counts);
	sample->slice = counts_between(before, &thread->counts);
	sample->open_ns = first->wall_ns;
	sample->close_ns = last->wall_ns;
	sample->cpu_ns = used.cpu_ns;
	sample->user_ns = used.user_ns;
	sample->system_ns = used.system_ns;
	sample->run_delay_ns = used.run_delay_ns;
	sample->voluntary = used.voluntary;	/* 0: it never slept, so it was never blocked */
	sample->involuntary = used.involuntary;
	sample->cpu = last->cpu;
	sample->moved = first->cpu != last->cpu || (wanted >= 0 && last->cpu != wanted);
}

static void slice_sample(const struct slice_thread *self, bool undrained)
{
	const struct slice_run *run = self->run;
	struct tx_thread_sample *sample = &run->slice->thread[self->thread->index];

	sample_fill(sample, self->thread, &self->before, &self->first, &self->last);
	sample->window.completed = sample->window.submitted +
				   (uint64_t)window_carried(run, self->thread->index);
	sample->undrained = undrained || run->undrained;
}

static void thread_slice(struct slice_thread *self)
{
	window_warm_up(self);
	window_open(self);
	window_send(self);
	window_close(self);
	slice_sample(self, slice_drain(self));
}

static void *thread_main(void *argument)
{
	struct slice_thread *self = argument;
	struct slice_run *run = self->run;

	thread_settle(run->cell, self->thread);
	self->times_file = times_open();
	while (sem_wait(&run->go) < 0)
		;	/* a signal */
	if (!flag_up(&run->abandoned))
		thread_slice(self);
	if (self->times_file >= 0)
		close(self->times_file);
	return NULL;
}

static int thread_start(struct slice_thread *self, struct core_error *error)
{
	const int err = pthread_create(&self->pthread, NULL, thread_main, self);

	if (err)
		return error_set(error, err, "thread %u", self->thread->index);
	self->created = true;
	return thread_pin(self->pthread, self->thread, error);
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

/* When the last thread began: none sends for a shorter time than planned. */
static uint64_t window_begin(const struct slice_run *run)
{
	uint64_t last_ns = 0;
	unsigned int i;

	while (!all_came(&run->begun, run))
		clock_nanosleep(CLOCK_MONOTONIC, 0, &start_nap, NULL);
	for (i = 0; i < run->cell->config.threads; i++)
		if (run->threads[i].first.wall_ns > last_ns)
			last_ns = run->threads[i].first.wall_ns;
	return last_ns;
}

/* The controlling thread sleeps, and looks at the send buffers now and then. */
static void window_time(struct slice_run *run, uint64_t start_ns)
{
	const uint64_t step_ns = run->plan->window_ns / WMEM_LOOKS;
	const struct tx_cell *cell = run->cell;
	unsigned int look, i;

	for (look = 1; look < WMEM_LOOKS; look++) {
		nap_until(start_ns + look * step_ns);
		if (cell_stopped(cell))
			return;
		for (i = 0; i < cell->socket_nr; i++)
			wmem_look(&cell->sockets[i], &run->wmem_high[i]);
	}
	nap_until(start_ns + run->plan->window_ns);
}

static void threads_join(struct slice_run *run)
{
	unsigned int i;

	for (i = 0; i < run->cell->config.threads; i++)
		if (run->threads[i].created)
			pthread_join(run->threads[i].pthread, NULL);
}

static void threads_go(struct slice_run *run)
{
	unsigned int i;

	for (i = 0; i < run->cell->config.threads; i++)
		sem_post(&run->go);
}

static void slice_free(struct slice_run *run)
{
	sem_destroy(&run->go);
	free(run);
}

static struct slice_run *slice_ready(struct tx_cell *cell)
{
	const size_t threads = cell->config.threads;
	struct slice_run *run = calloc(1, sizeof(*run) + threads * sizeof(run->threads[0]));
	unsigned int i;

	if (!run)
		return NULL;
	run->cell = cell;
	sem_init(&run->go, 0, 0);
	cell_stop(cell, false);
	for (i = 0; i < threads && !run->error.code; i++) {
		cell->threads[i].error.code = 0;
		run->threads[i].run = run;
		run->threads[i].thread = &cell->threads[i];
		thread_start(&run->threads[i], &run->error);
	}
	return run;
}

void tx_cell_ready(struct tx_cell *cell)
{
	if (!cell->ready && !cell->method->stream)
		cell->ready = slice_ready(cell);
}

void tx_cell_unready(struct tx_cell *cell)
{
	struct slice_run *run = cell->ready;

	if (!run)
		return;
	cell->ready = NULL;
	if (run->gone) {
		cell_stop(cell, true);
	} else {
		flag_raise(&run->abandoned);
		threads_go(run);
	}
	threads_join(run);
	slice_free(run);
}

void tx_cell_go(struct tx_cell *cell, const struct tx_slice_plan *plan, struct tx_slice *slice)
{
	struct slice_run *run = cell->ready;

	if (!run || run->error.code)
		return;
	memset(slice, 0, sizeof(*slice));
	slice->threads = cell->config.threads;
	run->plan = plan;
	run->slice = slice;
	run->gone = true;
	threads_go(run);
}

static void slice_run(struct slice_run *run)
{
	window_time(run, window_begin(run));
	cell_stop(run->cell, true);
	threads_join(run);
}

static void slice_fill(const struct slice_run *run)
{
	struct tx_slice *slice = run->slice;
	uint64_t completed = 0;
	unsigned int i;

	for (i = 0; i < slice->threads; i++) {
		if (run->wmem_high[i] > slice->thread[i].wmem_high)
			slice->thread[i].wmem_high = run->wmem_high[i];
		completed += slice->thread[i].window.completed;
	}
	slice->wall_ns = window_ns(run, completed);
}

int tx_cell_slice(struct tx_cell *cell, const struct tx_slice_plan *plan,
		  struct tx_slice *slice, struct core_error *error)
{
	struct slice_run *run;
	unsigned int i;

	if (cell->method->stream)
		return stream_slice(cell, plan, slice, error);
	error->code = 0;
	tx_cell_ready(cell);
	run = cell->ready;
	if (!run)
		return error_set(error, ENOMEM, "threads of a slice");
	if (run->error.code) {
		*error = run->error;
		tx_cell_unready(cell);
		return error->code;
	}
	if (!run->gone)
		tx_cell_go(cell, plan, slice);
	cell->ready = NULL;
	slice_run(run);
	slice_fill(run);
	slice_free(run);
	for (i = 0; i < slice->threads && !error->code; i++)
		*error = cell->threads[i].error;
	return error->code;
}
