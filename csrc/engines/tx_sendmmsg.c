/*
 * sendmmsg: burst frames a call, each with a buffer of its own, on a bound socket. The kernel
 * loops over packet_snd (net/socket.c: __sys_sendmmsg). A refusal after the first frame shows as
 * a short count only: the errno that ended the call is lost.
 */
#include <stdlib.h>
#include <sys/socket.h>

#include "../engine.h"

#define SENDMMSG_MAX 1024	/* UIO_MAXIOV: a larger vlen is cut to it without a word */

/* With prefilled flows a burst may begin at any of them: flows - 1 messages more than a burst. */
struct messages {
	struct mmsghdr *headers;
	struct iovec *frames;
	unsigned int flows;		/* 1: every burst begins at the first message */
};

static int sendmmsg_open(struct tx_thread *thread, struct core_error *error)
{
	const struct tx_config *config = thread->config;
	const unsigned int flows = config->prefilled ? config->flows : 1;
	const unsigned int number = config->burst + flows - 1;
	struct messages *messages;
	unsigned int i;
	int err;

	err = frame_buffers(thread, config->burst, error);
	if (err)
		return err;
	thread->state = messages = calloc(1, sizeof(*messages));
	if (!messages)
		return error_set(error, ENOMEM, "sendmmsg headers");
	messages->flows = flows;
	messages->headers = calloc(number, sizeof(*messages->headers));
	messages->frames = calloc(number, sizeof(*messages->frames));
	if (!messages->headers || !messages->frames)
		return error_set(error, ENOMEM, "sendmmsg headers for %u frames", number);
	for (i = 0; i < number; i++) {
		messages->frames[i].iov_base =
			thread->buffer + (flows > 1 ? i % flows : i) * thread->stride;
		messages->frames[i].iov_len = config->frame_size;
		messages->headers[i].msg_hdr.msg_iov = &messages->frames[i];
		messages->headers[i].msg_hdr.msg_iovlen = 1;
	}
	return 0;
}

/* The errno is lost. Of a call that waits it was ENOBUFS; of another it may as well be EAGAIN. */
static void sendmmsg_short(struct tx_thread *thread)
{
	count(&thread->counts.short_counts, 1);
	if (!thread->config->msg_dontwait)
		count(&thread->counts.refused, 1);
}

static int sendmmsg_submit(struct tx_thread *thread, unsigned int burst)
{
	struct messages *messages = thread->state;
	struct mmsghdr *first = messages->headers;
	long sent;

	if (unlikely(messages->flows > 1))
		first += thread->number % messages->flows;
	sent = syscall(SYS_sendmmsg, thread->socket->fd, first, burst, thread->flags);
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
	if (unlikely((unsigned int)sent < burst))
		sendmmsg_short(thread);
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

const struct tx_method sendmmsg_method = {
	.info = {
		.name = "sendmmsg",
		.help = "sendmmsg() of a burst of frames on a socket bound to the interface",
		.path = "packet_snd per frame, one system call per burst",
		.knobs = KNOB_INTERFACE | KNOB_FRAME_SIZE | KNOB_THREADS | KNOB_SOCKET |
			 KNOB_BURST | KNOB_FILL | KNOB_SNDBUF | KNOB_MSG_DONTWAIT |
			 KNOB_QDISC_BYPASS | KNOB_FLOWS | KNOB_VLAN | KNOB_PROTOCOL,
		.max_burst = SENDMMSG_MAX,
	},
	.probe = sock_probe,
	.memory = frame_memory_burst,
	.numbering = frame_numbering_burst,
	.socket_open = sock_open_bound,
	.open = sendmmsg_open,
	.fill = burst_fill,
	.submit = sendmmsg_submit,
	.reap = sock_reap,
	.close = sendmmsg_close,
};
