/*
 * A slice of a method whose call sends until a signal ends it, because it is dear to begin: one call
 * lasts as long as the slice, and the window is a part of its midst.
 *
 * The sending thread is in the kernel all the while, so the controlling thread takes its edges: the
 * counts, which the kernel's side keeps in memory that both see, the sender's CPU clock, the wall
 * clock. An edge is taken when the count has just moved: then the sender has its CPU, whose times are
 * complete, and is as far in a batch at both. As many frames are under way at both, too, so none has to
 * be waited for.
 *
 * The signal does nothing but interrupt. It is sent again and again until every thread has left its
 * call, as the first one may come before the call begins. The disposition that it had is put back.
 */
#include <signal.h>
#include <stdlib.h>

#include "core.h"

#define EDGE_TRIES 16
#define EDGE_NS 5000			/* what reading an edge takes, unless the reader lost its CPU */
#define STEPS 4				/* in a window, after each of which a failure is seen */
#define LOOKS_PER_NAP 64		/* some 10 us of looking, for who shares the sender's CPU */

static const struct timespec signal_nap = { .tv_nsec = 1000000 };
static const struct timespec look_nap = { .tv_nsec = 20000 };

struct stream {
	struct tx_cell *cell;
	struct tx_thread *thread;
	pthread_t pthread;
	pid_t tid;			/* 0: the thread has not begun yet */
	bool created;
	bool ended;			/* it is out of its last call */
	struct tx_counts before;	/* of the slice */
	struct edge first, last;	/* of the window */
};

static int stream_signal(void)
{
	return SIGRTMAX;
}

static void on_signal(int number)
{
	(void)number;
}

static void *stream_main(void *argument)
{
	struct stream *self = argument;
	struct tx_thread *thread = self->thread;
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, stream_signal());
	pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
	thread_settle(self->cell, thread);
	__atomic_store_n(&self->tid, (pid_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
	/* Again and again: another signal than ours ends a call, too (SIGSTOP). */
	while (!thread->error.code && !thread_stopped(thread))
		if (self->cell->method->stream(thread) < 0)
			break;
	__atomic_store_n(&self->ended, true, __ATOMIC_RELEASE);
	return NULL;
}

static bool stream_ended(const struct stream *self)
{
	return __atomic_load_n(&self->ended, __ATOMIC_ACQUIRE);
}

static pid_t stream_tid(const struct stream *self)
{
	return __atomic_load_n(&self->tid, __ATOMIC_ACQUIRE);
}

/* Who uses the CPU: the thread, or one of the kernel that sends for it. */
static pid_t sender_tid(const struct stream *self)
{
	return self->thread->helper ? self->thread->helper : stream_tid(self);
}

static uint64_t sender_cpu_ns(const struct stream *self)
{
	return self->thread->helper ? task_clock_ns(self->thread->helper_clock)
				    : times_cpu_ns(stream_tid(self));
}

static bool any_ended(const struct stream *streams, unsigned int threads)
{
	unsigned int i;

	for (i = 0; i < threads; i++)
		if (stream_ended(&streams[i]))
			return true;
	return false;
}

static int stream_start(struct stream *self, struct tx_cell *cell, unsigned int index,
			struct core_error *error)
{
	int err;

	self->cell = cell;
	self->thread = &cell->threads[index];
	self->thread->error.code = 0;
	self->before = self->thread->counts;
	err = pthread_create(&self->pthread, NULL, stream_main, self);
	if (err)
		return error_set(error, err, "thread %u", index);
	self->created = true;
	return thread_pin(self->pthread, self->thread, error);
}

/* Until it sends, or sends on. Nothing: it failed, or sent nothing for too long. */
static void await_frame(struct stream *self, uint64_t deadline_ns)
{
	uint64_t before, looks = 0;

	self->cell->method->look(self->thread);
	before = self->thread->counts.submitted;
	do {
		if (stream_ended(self) || clock_ns(CLOCK_MONOTONIC) >= deadline_ns)
			return;
		if (++looks % LOOKS_PER_NAP == 0)
			clock_nanosleep(CLOCK_MONOTONIC, 0, &look_nap, NULL);
		else
			cpu_relax();
		self->cell->method->look(self->thread);
	} while (self->thread->counts.submitted == before);
}

/* Counts and clocks of one moment: read again where the reader was held up between them. */
static void edge_read(struct stream *self, struct edge *edge)
{
	unsigned int tries;
	uint64_t start_ns;

	for (tries = 0; tries < EDGE_TRIES; tries++) {
		start_ns = clock_ns(CLOCK_MONOTONIC);
		self->cell->method->look(self->thread);
		edge->times.cpu_ns = sender_cpu_ns(self);
		edge->wall_ns = clock_ns(CLOCK_MONOTONIC);
		edge->counts = self->thread->counts;
		if (edge->wall_ns - start_ns < EDGE_NS)
			break;
	}
	edge->times.system_ns = edge->times.cpu_ns;	/* it is in the kernel all the while */
}

static void edge_first(struct stream *self, uint64_t deadline_ns)
{
	await_frame(self, deadline_ns);
	task_times(sender_tid(self), &self->first.times);
	self->first.cpu = task_cpu(sender_tid(self));
	await_frame(self, deadline_ns);
	edge_read(self, &self->first);
}

static void edge_last(struct stream *self, uint64_t deadline_ns)
{
	struct thread_times times;

	await_frame(self, deadline_ns);
	edge_read(self, &self->last);
	self->last.cpu = task_cpu(sender_tid(self));
	task_times(sender_tid(self), &times);
	self->last.times.run_delay_ns = times.run_delay_ns;
	self->last.times.voluntary = times.voluntary;
	self->last.times.involuntary = times.involuntary;
}

static void window_sleep(const struct stream *streams, const struct tx_cell *cell, uint64_t window_ns)
{
	const uint64_t start_ns = clock_ns(CLOCK_MONOTONIC);
	unsigned int step;

	for (step = 1; step <= STEPS && !any_ended(streams, cell->config.threads); step++)
		nap_until(start_ns + window_ns * step / STEPS);
}

static bool all_sent(const struct stream *streams, unsigned int threads)
{
	unsigned int i;

	for (i = 0; i < threads; i++)
		if (streams[i].last.counts.submitted == streams[i].first.counts.submitted)
			return false;
	return true;
}

static void window_take(struct stream *streams, const struct tx_cell *cell,
			const struct tx_slice_plan *plan)
{
	const unsigned int threads = cell->config.threads;
	uint64_t deadline_ns = clock_ns(CLOCK_MONOTONIC) + plan->drain_ns;
	unsigned int i;

	for (i = 0; i < threads; i++)
		await_frame(&streams[i], deadline_ns);
	nap_until(clock_ns(CLOCK_MONOTONIC) + plan->warmup_ns);
	for (i = 0; i < threads; i++)
		edge_first(&streams[i], deadline_ns);
	window_sleep(streams, cell, plan->window_ns);
	deadline_ns = clock_ns(CLOCK_MONOTONIC) + plan->drain_ns;
	for (i = 0; i < threads; i++)
		edge_last(&streams[i], deadline_ns);
}

static bool streams_interrupt(struct stream *streams, unsigned int threads)
{
	bool left = false;
	unsigned int i;

	for (i = 0; i < threads; i++)
		if (streams[i].created && !stream_ended(&streams[i])) {
			pthread_kill(streams[i].pthread, stream_signal());
			left = true;
		}
	return left;
}

/*
 * A thread cannot be left behind, so there is no deadline: a signal ends its call for certain. But not
 * at once: at its end it may have to wait in the kernel until the others are out of theirs.
 */
static void streams_end(struct stream *streams, unsigned int threads)
{
	unsigned int i;

	while (streams_interrupt(streams, threads))
		clock_nanosleep(CLOCK_MONOTONIC, 0, &signal_nap, NULL);
	for (i = 0; i < threads; i++)
		if (streams[i].created) {
			pthread_join(streams[i].pthread, NULL);
			streams[i].cell->method->look(streams[i].thread);
		}
}

static int streams_run(struct stream *streams, struct tx_cell *cell,
		       const struct tx_slice_plan *plan, struct core_error *error)
{
	const unsigned int threads = cell->config.threads;
	unsigned int i;
	int err = 0;

	for (i = 0; i < threads && !err; i++)
		err = stream_start(&streams[i], cell, i, error);
	if (!err)
		window_take(streams, cell, plan);
	cell_stop(cell, true);
	streams_end(streams, threads);
	for (i = 0; i < threads && !err; i++)
		if (cell->threads[i].error.code) {
			*error = cell->threads[i].error;
			err = error->code;
		}
	if (!err && !all_sent(streams, threads))
		return error_set(error, ETIMEDOUT, "a stream sent no frame in %llu ms",
				 (unsigned long long)plan->drain_ns / 1000000);
	return err;
}

static void slice_fill(const struct stream *streams, struct tx_slice *slice)
{
	uint64_t first_ns = UINT64_MAX, last_ns = 0;
	unsigned int i;

	for (i = 0; i < slice->threads; i++) {
		sample_fill(&slice->thread[i], streams[i].thread, &streams[i].before, &streams[i].first,
			    &streams[i].last);
		first_ns = streams[i].first.wall_ns < first_ns ? streams[i].first.wall_ns : first_ns;
		last_ns = streams[i].last.wall_ns > last_ns ? streams[i].last.wall_ns : last_ns;
	}
	slice->wall_ns = last_ns - first_ns;
}

int stream_slice(struct tx_cell *cell, const struct tx_slice_plan *plan, struct tx_slice *slice,
		 struct core_error *error)
{
	const struct sigaction ours = { .sa_handler = on_signal };
	struct sigaction theirs;
	struct stream *streams;
	int err;

	memset(slice, 0, sizeof(*slice));
	error->code = 0;
	slice->threads = cell->config.threads;
	streams = calloc(cell->config.threads, sizeof(*streams));
	if (!streams)
		return error_set(error, ENOMEM, "threads of a slice");
	cell_stop(cell, false);
	sigaction(stream_signal(), &ours, &theirs);
	err = streams_run(streams, cell, plan, error);
	sigaction(stream_signal(), &theirs, NULL);
	if (!err)
		slice_fill(streams, slice);
	free(streams);
	return err;
}
