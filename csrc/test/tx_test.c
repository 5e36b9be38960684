/*
 * Methods that are slow, wrong or crash on purpose: the tests and benchmarks of the harness itself.
 * They are compiled only into the test variant of the core (BENCH_CORE=test).
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "../engine.h"

#define TEST_KNOBS (KNOB_INTERFACE | KNOB_FRAME_SIZE | KNOB_THREADS | KNOB_FILL)
#define SLOW_NS 25			/* what test_slow adds to each frame */
#define TURNS_BEFORE_CRASH 4

static int test_open(struct tx_thread *thread, struct core_error *error)
{
	return frame_buffers(thread, 1, error);
}

static long test_send(struct tx_thread *thread)
{
	return syscall(SYS_sendto, thread->socket->fd, thread->buffer, thread->config->frame_size,
		       thread->flags, NULL, 0);
}

static void spin(unsigned long rounds)
{
	while (rounds--)
		__asm__ volatile("" ::: "memory");
}

/* Rounds of spin() that take SLOW_NS: the fastest of a few tries, as a machine only slows down. */
static unsigned long spin_calibrate(void)
{
	const unsigned long rounds = 1000000;
	uint64_t best = UINT64_MAX;
	int i;

	for (i = 0; i < 10; i++) {
		uint64_t start = clock_ns(CLOCK_THREAD_CPUTIME_ID);

		spin(rounds);
		start = clock_ns(CLOCK_THREAD_CPUTIME_ID) - start;
		best = start < best ? start : best;
	}
	return rounds * SLOW_NS / (best ? best : 1);
}

static int slow_open(struct tx_thread *thread, struct core_error *error)
{
	thread->state = (void *)(uintptr_t)spin_calibrate();
	return test_open(thread, error);
}

static long slow_call(struct tx_thread *thread)
{
	spin((uintptr_t)thread->state);
	return test_send(thread);
}

static int slow_submit(struct tx_thread *thread, unsigned int frames)
{
	return single_submit(thread, frames, "test_slow", slow_call);
}

const struct tx_method test_slow_method = {
	.info = {
		.name = "test_slow",
		.help = "send with 25 ns more per frame",
		.path = "packet_snd",
		.knobs = TEST_KNOBS,
	},
	.probe = sock_probe,
	.memory = frame_memory_single,
	.numbering = frame_numbering,
	.socket_open = sock_open_bound,
	.open = slow_open,
	.fill = single_fill,
	.submit = slow_submit,
	.single = true,
	.reap = sock_reap,
};

static int crash_submit(struct tx_thread *thread, unsigned int frames)
{
	if (thread->counts.calls > TURNS_BEFORE_CRASH * FRAMES_PER_TURN)
		raise(SIGSEGV);
	return single_submit(thread, frames, "test_crash", test_send);
}

const struct tx_method test_crash_method = {
	.info = {
		.name = "test_crash",
		.help = "send until a segmentation fault",
		.path = "packet_snd",
		.knobs = TEST_KNOBS,
	},
	.probe = sock_probe,
	.memory = frame_memory_single,
	.numbering = frame_numbering,
	.socket_open = sock_open_bound,
	.open = test_open,
	.fill = single_fill,
	.submit = crash_submit,
	.single = true,
	.reap = sock_reap,
};

static int zeros_open(struct tx_thread *thread, struct core_error *error)
{
	int err = test_open(thread, error);

	if (!err)
		memset(thread->buffer, 0, thread->config->frame_size);
	return err;
}

static int zeros_submit(struct tx_thread *thread, unsigned int frames)
{
	return single_submit(thread, frames, "test_zeros", test_send);
}

const struct tx_method test_zeros_method = {
	.info = {
		.name = "test_zeros",
		.help = "send frames of zeros when prefilled",
		.path = "packet_snd",
		.knobs = TEST_KNOBS,
	},
	.probe = sock_probe,
	.memory = frame_memory_single,
	.numbering = frame_numbering,
	.socket_open = sock_open_bound,
	.open = zeros_open,
	.fill = single_fill,
	.submit = zeros_submit,
	.single = true,
	.reap = sock_reap,
};

static long liar_call(struct tx_thread *thread)
{
	return thread->number > 100 && thread->number % 2 ? 0 : test_send(thread);
}

static int liar_submit(struct tx_thread *thread, unsigned int frames)
{
	int err = single_submit(thread, frames, "test_liar", liar_call);

	thread->number++;
	return err;
}

const struct tx_method test_liar_method = {
	.info = {
		.name = "test_liar",
		.help = "claims frames that it never sent",
		.path = "none",
		.knobs = TEST_KNOBS,
	},
	.probe = sock_probe,
	.memory = frame_memory_single,
	.numbering = frame_numbering,
	.socket_open = sock_open_bound,
	.open = test_open,
	.fill = single_fill,
	.submit = liar_submit,
	.single = true,
	.reap = sock_reap,
};

static long fail_call(struct tx_thread *thread)
{
	if (thread->counts.calls < TURNS_BEFORE_CRASH * FRAMES_PER_TURN)
		return test_send(thread);
	errno = EIO;
	return -1;
}

static int fail_submit(struct tx_thread *thread, unsigned int frames)
{
	return single_submit(thread, frames, "test_fail", fail_call);
}

const struct tx_method test_fail_method = {
	.info = {
		.name = "test_fail",
		.help = "sends, then fails with EIO",
		.path = "packet_snd",
		.knobs = TEST_KNOBS,
	},
	.probe = sock_probe,
	.memory = frame_memory_single,
	.numbering = frame_numbering,
	.socket_open = sock_open_bound,
	.open = test_open,
	.fill = single_fill,
	.submit = fail_submit,
	.single = true,
	.reap = sock_reap,
};

static int same_open(struct tx_thread *thread, struct core_error *error)
{
	return frame_buffers(thread, thread->config->burst, error);
}

static int same_submit(struct tx_thread *thread, unsigned int burst)
{
	unsigned int i;

	for (i = 0; i < burst; i++)
		if (test_send(thread) < 0)
			return thread_fail(thread, errno, "test_same");
	count(&thread->counts.requested, burst);
	count(&thread->counts.submitted, burst);
	count(&thread->counts.calls, burst);
	return 0;
}

static struct tx_numbering same_numbering(const struct tx_config *config)
{
	struct tx_numbering numbering = frame_numbering(config);

	numbering.kind = NUMBERING_PER_BURST;
	numbering.period = config->burst;
	return numbering;
}

const struct tx_method test_same_method = {
	.info = {
		.name = "test_same",
		.help = "sends the first frame of a burst only, again and again",
		.path = "packet_snd",
		.knobs = (TEST_KNOBS | KNOB_BURST) & ~KNOB_FILL,
	},
	.probe = sock_probe,
	.memory = frame_memory_burst,
	.numbering = same_numbering,
	.socket_open = sock_open_bound,
	.open = same_open,
	.fill = burst_fill,
	.submit = same_submit,
	.reap = sock_reap,
};
