/*
 * An engine for tests: a call goes on until a signal comes, and that of the first of two threads returns when
 * the second one is out of its own. It sends nothing.
 */
#include <stdlib.h>

#include "engine.h"

#define PATIENCE_NS (5 * NSEC_PER_SEC)

static const struct timespec look_nap = { .tv_nsec = 100000 };
static int inside[CORE_MAX_THREADS];

static bool is_inside(unsigned int thread)
{
	return __atomic_load_n(&inside[thread], __ATOMIC_ACQUIRE);
}

static void set_inside(unsigned int thread, int is)
{
	__atomic_store_n(&inside[thread], is, __ATOMIC_RELEASE);
}

static int wait_for_second(struct tx_thread *thread)
{
	const uint64_t deadline_ns = clock_ns(CLOCK_MONOTONIC) + PATIENCE_NS;

	while (is_inside(1))
		if (clock_ns(CLOCK_MONOTONIC) > deadline_ns)
			return thread_fail(thread, ETIMEDOUT, "wait for the second thread");
	return 0;
}

/* Whoever has slept is on the CPU that it is pinned to. */
static int streams_stream(struct tx_thread *thread)
{
	int err = 0;

	while (!clock_nanosleep(CLOCK_MONOTONIC, 0, &look_nap, NULL))
		set_inside(thread->index, 1);
	if (!thread->index)
		err = wait_for_second(thread);
	set_inside(thread->index, 0);
	return err;
}

static int streams_submit(struct tx_thread *thread, unsigned int frames)
{
	count(&thread->counts.requested, frames);
	count(&thread->counts.submitted, frames);
	return 0;
}

static void streams_look(struct tx_thread *thread)
{
	if (is_inside(thread->index))
		streams_submit(thread, 1);
	reap_submitted(thread);
}

static int streams_open(struct tx_thread *thread, struct core_error *error)
{
	return frame_buffers(thread, thread->config->burst, error);
}

const struct tx_method bench_method = {
	.info = {
		.name = "streams",
		.help = "sends nothing, until a signal comes",
		.path = "none",
		.knobs = KNOB_FRAME_SIZE | KNOB_THREADS | KNOB_BURST,
	},
	.memory = frame_memory_burst,
	.open = streams_open,
	.fill = burst_fill,
	.submit = streams_submit,
	.reap = reap_submitted,
	.stream = streams_stream,
	.look = streams_look,
};
