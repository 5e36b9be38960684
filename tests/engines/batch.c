/*
 * batch: sendmmsg(2), as somebody writes it who follows docs/adding.md: from the template of `bench init
 * --engine`, with a call that takes a burst.
 */
#include <stdlib.h>
#include <sys/socket.h>

#include "engine.h"

#define MOST 1024

static int own_open(struct tx_thread *thread, struct core_error *error)
{
	const unsigned int burst = thread->config->burst;
	struct mmsghdr *headers = thread->state = calloc(burst, sizeof(*headers) + sizeof(struct iovec));
	struct iovec *frames = (struct iovec *)(headers + burst);
	unsigned int i;
	int err;

	if (!headers)
		return error_set(error, ENOMEM, "headers");
	err = frame_buffers(thread, burst, error);
	if (err)
		return err;
	for (i = 0; i < burst; i++) {
		frames[i].iov_base = thread->buffer + i * thread->stride;
		frames[i].iov_len = thread->config->frame_size;
		headers[i].msg_hdr.msg_iov = &frames[i];
		headers[i].msg_hdr.msg_iovlen = 1;
	}
	return 0;
}

static void own_close(struct tx_thread *thread)
{
	free(thread->state);
}

static int own_submit(struct tx_thread *thread, unsigned int frames)
{
	const long sent = syscall(SYS_sendmmsg, thread->socket->fd, thread->state, frames, 0);

	count(&thread->counts.calls, 1);
	count(&thread->counts.requested, frames);
	if (sent < 0)
		return thread_refused(thread, errno, "sendmmsg");
	thread->number += (uint64_t)sent;
	count(&thread->counts.submitted, (uint64_t)sent);
	return 0;
}

const struct tx_method bench_method = {
	.info = {
		.name = "batch",
		.help = "sendmmsg() of a burst on a socket bound to the interface",
		.path = "packet_snd per frame: skb, copy, dev_queue_xmit",
		/* The axes of bench that it reads; of others it has one cell. */
		.knobs = KNOB_INTERFACE | KNOB_FRAME_SIZE | KNOB_THREADS | KNOB_SOCKET |
			 KNOB_FILL | KNOB_BURST,
		.max_burst = MOST,
	},
	.probe = sock_probe,			/* may packet sockets be opened here? */
	.memory = frame_memory_burst,	/* what own_open() takes */
	.numbering = frame_numbering_burst,
	.socket_open = sock_open_bound,
	.open = own_open,
	.fill = burst_fill,
	.submit = own_submit,
	.close = own_close,
	.reap = sock_reap,			/* the kernel has given back what is in no send buffer */
};
