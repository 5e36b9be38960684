/*
 * sendmmsg: burst frames a call, each with a buffer of its own, on a bound socket. The kernel
 * loops over packet_snd (net/socket.c: __sys_sendmmsg). A refusal after the first frame shows as
 * a short count only: the errno that ended the call is lost.
 */
#include <stdlib.h>
#include <sys/socket.h>

#include "core.h"

#define SENDMMSG_MAX 1024	/* UIO_MAXIOV: a larger vlen is cut to it without a word */

struct messages {
	struct mmsghdr *headers;
	struct iovec *frames;
};

static int sendmmsg_open(struct tx_thread *thread, struct core_error *error)
{
	const unsigned int burst = thread->config->burst;
	struct messages *messages;
	unsigned int i;
	int err;

	err = frame_buffers(thread, burst, error);
	if (err)
		return err;
	thread->state = messages = calloc(1, sizeof(*messages));
	if (!messages)
		return error_set(error, ENOMEM, "sendmmsg headers");
	messages->headers = calloc(burst, sizeof(*messages->headers));
	messages->frames = calloc(burst, sizeof(*messages->frames));
	if (!messages->headers || !messages->frames)
		return error_set(error, ENOMEM, "sendmmsg headers for %u frames", burst);
	for (i = 0; i < burst; i++) {
		messages->frames[i].iov_base = thread->buffer + i * thread->stride;
		messages->frames[i].iov_len = thread->config->frame_size;
		messages->headers[i].msg_hdr.msg_iov = &messages->frames[i];
		messages->headers[i].msg_hdr.msg_iovlen = 1;
	}
	return 0;
}

static int sendmmsg_burst(struct tx_thread *thread)
{
	const unsigned int burst = thread->config->burst;
	struct messages *messages = thread->state;
	unsigned int i;
	long sent;

	if (!thread->config->prefilled)
		for (i = 0; i < burst; i++)
			frame_copy(thread->buffer + i * thread->stride, thread, thread->number + i);
	sent = syscall(SYS_sendmmsg, thread->socket->fd, messages->headers, burst, thread->flags);
	if (unlikely(sent < 0)) {
		int code = errno;

		count(&thread->counts.calls, 1);
		count(&thread->counts.requested, burst);
		return thread_refused(thread, code, "sendmmsg");
	}
	thread->number += (uint64_t)sent;
	count(&thread->counts.calls, 1);
	count(&thread->counts.requested, burst);
	count(&thread->counts.submitted, (uint64_t)sent);
	if (unlikely(sent < burst))
		count(&thread->counts.short_counts, 1);
	return 0;
}

static void sendmmsg_close(struct tx_thread *thread)
{
	struct messages *messages = thread->state;

	if (!messages)
		return;
	free(messages->headers);
	free(messages->frames);
	free(messages);
}

static void sendmmsg_facts(const struct tx_cell *cell, struct tx_facts *facts)
{
	facts->number_period = cell->config.prefilled ? cell->config.burst : 0;
}

const struct tx_method sendmmsg_method = {
	.info = {
		.name = "sendmmsg",
		.help = "sendmmsg() of a burst of frames on a socket bound to the interface",
		.path = "packet_snd per frame, one system call per burst",
		.knobs = KNOB_INTERFACE | KNOB_FRAME_SIZE | KNOB_THREADS | KNOB_SOCKET |
			 KNOB_BURST | KNOB_FILL | KNOB_SNDBUF | KNOB_MSG_DONTWAIT |
			 KNOB_QDISC_BYPASS,
		.max_burst = SENDMMSG_MAX,
	},
	.probe = sock_probe,
	.socket_open = sock_open_bound,
	.open = sendmmsg_open,
	.burst = sendmmsg_burst,
	.drain = sock_drain,
	.close = sendmmsg_close,
	.facts = sendmmsg_facts,
};
