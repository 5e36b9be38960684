/*
 * io_uring: a burst of IORING_OP_SEND or SENDMSG on a packet socket, handed over by one
 * io_uring_enter(). The kernel tries each at once (io_send -> packet_snd, as send() does); one that
 * finds no room in sndbuf waits for it in the ring (io_arm_poll_handler) while later ones are tried.
 * With SQPOLL a kernel thread takes submissions from the ring, and no call is made while it is awake.
 *
 * Submissions are in two halves of a burst each: one may be under way while the other is filled. A
 * half's frames are not touched before all of its completions have come. Whether the kernel still
 * has frames that were sent is the socket's to say, as with send().
 */
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "../uring.h"

#define HALVES 2
#define MOST_CPUS 8192
#define SPINS_PER_CLOCK 256

/* Its options, in the order of the table below. */
enum { OPT_OPERATION, OPT_REGISTERED, OPT_SQPOLL };

enum { OPERATION_SEND, OPERATION_SENDMSG };

static const struct option_info io_uring_options[] = {
	[OPT_OPERATION] = {
		.name = "uring_op",
		.help = "operation of a frame: send or sendmsg",
		.type = OPTION_CHOICE,
		.choices = { [OPERATION_SEND] = "send", [OPERATION_SENDMSG] = "sendmsg" },
	},
	[OPT_REGISTERED] = {
		.name = "registered_file",
		.help = "the socket is registered with the ring: no look-up for each frame",
	},
	[OPT_SQPOLL] = {
		.name = "sqpoll",
		.help = "IORING_SETUP_SQPOLL: a kernel thread on a CPU of its own submits; its CPU "
			"time counts as the sender's",
	},
};

struct uring_sender {
	struct uring uring;
	bool polled;			/* by a thread of the kernel */
	unsigned int half;		/* the next to fill */
	unsigned int left[HALVES];	/* completions that are still to come */
	struct msghdr *headers;		/* of each submission, for sendmsg */
	struct iovec *frames;
};

/* A prefilled frame of several flows is at any submission. */
static bool frames_move(const struct tx_config *config)
{
	return config->prefilled && config->flows > 1;
}

static struct tx_memory io_uring_memory(const struct tx_config *config)
{
	const uint64_t submissions = (uint64_t)HALVES * config->burst;
	const size_t each = sizeof(struct uring_submission) + sizeof(struct msghdr) +
			    sizeof(struct iovec) + 2 * sizeof(struct uring_completion);

	return (struct tx_memory) {
		.bytes = frame_memory(config, (unsigned int)submissions) +
			 config->threads * submissions * each,
	};
}

/* The halves have prefilled frames of their own. */
static struct tx_numbering io_uring_numbering(const struct tx_config *config)
{
	struct tx_numbering numbering = frame_numbering(config);

	if (config->prefilled && config->flows == 1)
		numbering.period = HALVES * config->burst;
	return numbering;
}

/* The CPU of the index-th poller: one that the opening thread may use, and no sender has. -1: none. */
static int poller_cpu(const struct tx_config *config, unsigned int index)
{
	cpu_set_t allowed[MOST_CPUS / CPU_SETSIZE];
	unsigned int i, found = 0;
	int cpu;

	memset(allowed, 0, sizeof(allowed));
	if (sched_getaffinity(0, sizeof(allowed), allowed) < 0)
		return -1;
	for (cpu = 0; cpu < MOST_CPUS; cpu++) {
		for (i = 0; i < config->threads && config->cpus[i] != cpu; i++)
			;
		if (i == config->threads && CPU_ISSET_S(cpu, sizeof(allowed), allowed) &&
		    found++ == index)
			return cpu;
	}
	return -1;
}

static int io_uring_messages(struct tx_thread *thread, struct uring_sender *sender,
			     struct core_error *error)
{
	const unsigned int submissions = HALVES * thread->config->burst;
	unsigned int i;

	sender->headers = calloc(submissions, sizeof(*sender->headers));
	sender->frames = calloc(submissions, sizeof(*sender->frames));
	if (!sender->headers || !sender->frames)
		return error_set(error, ENOMEM, "headers of %u messages", submissions);
	for (i = 0; i < submissions; i++) {
		sender->headers[i].msg_iov = &sender->frames[i];
		sender->headers[i].msg_iovlen = 1;
		sender->frames[i].iov_len = thread->config->frame_size;
	}
	return 0;
}

static void submission_point(struct uring_sender *sender, unsigned int index, void *frame)
{
	if (sender->headers)
		sender->frames[index].iov_base = frame;
	else
		sender->uring.submissions[index].address = (uintptr_t)frame;
}

static void io_uring_prepare(struct tx_thread *thread, struct uring_sender *sender)
{
	const struct tx_config *config = thread->config;
	const bool registered = config->options[OPT_REGISTERED].number;
	unsigned int i;

	for (i = 0; i < HALVES * config->burst; i++) {
		struct uring_submission *submission = &sender->uring.submissions[i];

		*submission = (struct uring_submission) {
			.opcode = sender->headers ? URING_OP_SENDMSG : URING_OP_SEND,
			.flags = registered ? URING_FIXED_FILE : 0,
			.fd = registered ? 0 : thread->socket->fd,
			.address = (uintptr_t)(sender->headers ? &sender->headers[i] : NULL),
			.length = sender->headers ? 1 : config->frame_size,
			.message_flags = (uint32_t)thread->flags,
			.user_data = i / config->burst,
		};
		if (!frames_move(config))
			submission_point(sender, i, thread->buffer + i * thread->stride);
	}
}

static int io_uring_open(struct tx_thread *thread, struct core_error *error)
{
	const struct tx_config *config = thread->config;
	struct uring_sender *sender = calloc(1, sizeof(*sender));
	int cpu = -1, err;

	thread->state = sender;
	if (!sender)
		return error_set(error, ENOMEM, "io_uring");
	sender->uring.fd = -1;
	sender->polled = config->options[OPT_SQPOLL].number;
	if (sender->polled) {
		cpu = poller_cpu(config, thread->index);
		if (cpu < 0)
			return error_set(error, EOPNOTSUPP,
					 "sqpoll without a CPU beside those of the senders");
	}
	err = frame_buffers(thread, HALVES * config->burst, error);
	if (!err)
		err = uring_open(&sender->uring, HALVES * config->burst, cpu, error);
	if (!err && config->options[OPT_OPERATION].number == OPERATION_SENDMSG)
		err = io_uring_messages(thread, sender, error);
	if (!err && config->options[OPT_REGISTERED].number)
		err = uring_register_file(&sender->uring, thread->socket->fd, error);
	if (!err)
		io_uring_prepare(thread, sender);
	if (err || !sender->polled)
		return err;
	thread->helper = uring_poller(&sender->uring, error);
	return thread->helper < 0 ? thread->helper : 0;
}

static void io_uring_close(struct tx_thread *thread)
{
	struct uring_sender *sender = thread->state;

	if (!sender)
		return;
	uring_close(&sender->uring);
	free(sender->headers);
	free(sender->frames);
	free(sender);
}

/* A thread that ends takes its waiting submissions with it: ECANCELED, a refusal like another. */
static int io_uring_refused(struct tx_thread *thread, int code)
{
	return thread_refused(thread, code == ECANCELED ? EAGAIN : code, "send through io_uring");
}

/* Take completions off the ring. */
static int io_uring_collect(struct tx_thread *thread, struct uring_sender *sender)
{
	const struct uring *uring = &sender->uring;
	const uint32_t end = __atomic_load_n(uring->done_tail, __ATOMIC_ACQUIRE);
	uint32_t at = *uring->done_head;
	uint64_t sent = 0;
	int err = 0;

	for (; at != end; at++) {
		const struct uring_completion *done = &uring->completions[at & uring->done_mask];

		sender->left[done->user_data]--;
		if (likely(done->result >= 0))
			sent++;
		else if (io_uring_refused(thread, -done->result) < 0)
			err = thread->error.code;
	}
	__atomic_store_n(uring->done_head, at, __ATOMIC_RELEASE);
	count(&thread->counts.submitted, sent);
	return err;
}

/* The flag must not be read before the tail is there: else both sides go to sleep. */
static int io_uring_hand_over(struct tx_thread *thread, struct uring_sender *sender,
			      unsigned int frames)
{
	struct uring *uring = &sender->uring;
	int err = 0;

	__atomic_store_n(uring->tail, *uring->tail + frames, __ATOMIC_SEQ_CST);
	if (!sender->polled) {
		count(&thread->counts.calls, 1);
		err = uring_enter(uring);
	} else if (__atomic_load_n(uring->flags, __ATOMIC_SEQ_CST) & URING_NEED_WAKEUP) {
		count(&thread->counts.calls, 1);
		err = uring_wake(uring);
	}
	return err < 0 && err != -EINTR ? thread_fail(thread, -err, "io_uring_enter") : 0;
}

/* The next half of the submissions, if its completions have all come. */
static unsigned int io_uring_fill(struct tx_thread *thread)
{
	const struct tx_config *config = thread->config;
	struct uring_sender *sender = thread->state;
	const struct uring *uring = &sender->uring;
	const unsigned int first = sender->half * config->burst;
	unsigned int i;

	if (unlikely(sender->left[sender->half]))
		return 0;
	for (i = 0; i < config->burst; i++) {
		const unsigned int index = first + i;
		const uint64_t number = thread->number + i;

		if (!config->prefilled)
			frame_copy(thread->buffer + index * thread->stride, thread, number);
		else if (unlikely(config->flows > 1))
			submission_point(sender, index, thread->buffer +
					 number % config->flows * thread->stride);
		uring->indices[(*uring->tail + i) & (uring->entries - 1)] = index;
	}
	return config->burst;
}

static int io_uring_submit(struct tx_thread *thread, unsigned int frames)
{
	struct uring_sender *sender = thread->state;
	int err;

	thread->number += frames;
	sender->left[sender->half] = frames;
	sender->half = (sender->half + 1) % HALVES;
	count(&thread->counts.requested, frames);
	err = io_uring_hand_over(thread, sender, frames);
	return err ? err : io_uring_collect(thread, sender);
}

/* What is waited for is room in sndbuf, or the poller. */
static int io_uring_wait_half(struct tx_thread *thread, struct uring_sender *sender)
{
	unsigned int spins = 0;
	int err = 0;

	if (!sender->polled) {
		err = uring_wait(&sender->uring);
		return err < 0 && err != -EINTR ? thread_fail(thread, -err, "io_uring_enter") :
						  io_uring_collect(thread, sender);
	}
	while (!err && sender->left[sender->half] && !thread_stopped(thread)) {
		err = io_uring_collect(thread, sender);
		cpu_relax();
		if (++spins % SPINS_PER_CLOCK == 0 &&
		    clock_ns(CLOCK_MONOTONIC) >= thread->deadline_ns)
			break;
	}
	return err;
}

static int io_uring_room(struct tx_thread *thread)
{
	struct uring_sender *sender = thread->state;

	count(&thread->counts.full_waits, !sender->polled);
	return io_uring_wait_half(thread, sender);
}

/* The thread has been told to stop by now, so io_uring_wait_half() would not wait for a poller. */
static void io_uring_settle(struct tx_thread *thread)
{
	struct uring_sender *sender = thread->state;

	while (sender->left[0] + sender->left[1] && !thread->error.code &&
	       clock_ns(CLOCK_MONOTONIC) < thread->deadline_ns) {
		if (!sender->polled)
			io_uring_wait_half(thread, sender);
		else
			io_uring_collect(thread, sender);
	}
}

static bool io_uring_reap(struct tx_thread *thread)
{
	struct uring_sender *sender = thread->state;

	io_uring_collect(thread, sender);
	return sender->left[0] + sender->left[1] > 0 || sock_reap(thread);
}

static int io_uring_probe(struct core_error *error)
{
	struct uring uring = { 0 };
	int err = sock_probe(error);

	if (err)
		return err;
	err = uring_open(&uring, 1, -1, error);
	uring_close(&uring);
	return err;
}

const struct tx_method io_uring_method = {
	.info = {
		.name = "io_uring",
		.help = "io_uring: a burst of sends on a packet socket, one io_uring_enter() per burst",
		.path = "io_send or io_sendmsg, then packet_snd per frame",
		.knobs = KNOB_INTERFACE | KNOB_FRAME_SIZE | KNOB_THREADS | KNOB_SOCKET |
			 KNOB_BURST | KNOB_FILL | KNOB_SNDBUF | KNOB_MSG_DONTWAIT |
			 KNOB_QDISC_BYPASS | KNOB_FLOWS | KNOB_VLAN | KNOB_PROTOCOL,
		.max_burst = URING_MOST_ENTRIES / HALVES,
		.options = io_uring_options,
		.option_nr = ARRAY_SIZE(io_uring_options),
	},
	.probe = io_uring_probe,
	.memory = io_uring_memory,
	.numbering = io_uring_numbering,
	.socket_open = sock_open_bound,
	.open = io_uring_open,
	.fill = io_uring_fill,
	.submit = io_uring_submit,
	.room = io_uring_room,
	.reap = io_uring_reap,
	.settle = io_uring_settle,
	.close = io_uring_close,
};
