/*
 * sendmsg: as send, with the frame in a msghdr that the kernel copies in first.
 */
#include <stdlib.h>
#include <sys/socket.h>

#include "../engine.h"

struct message {
	struct msghdr header;
	struct iovec frame;
};

static int sendmsg_open(struct tx_thread *thread, struct core_error *error)
{
	struct message *message;
	int err;

	err = frame_buffers(thread, 1, error);
	if (err)
		return err;
	message = calloc(1, sizeof(*message));
	if (!message)
		return error_set(error, ENOMEM, "sendmsg header");
	message->frame.iov_len = thread->config->frame_size;
	message->header.msg_iov = &message->frame;
	message->header.msg_iovlen = 1;
	thread->state = message;
	return 0;
}

static long sendmsg_call(struct tx_thread *thread)
{
	struct message *message = thread->state;

	/* A store just before the call delays the kernel's copy of it by some 10 ns. */
	if (message->frame.iov_base != thread->next)
		message->frame.iov_base = thread->next;
	return syscall(SYS_sendmsg, thread->socket->fd, &message->header, thread->flags);
}

static int sendmsg_submit(struct tx_thread *thread, unsigned int frames)
{
	return single_submit(thread, frames, "sendmsg", sendmsg_call);
}

static void sendmsg_close(struct tx_thread *thread)
{
	free(thread->state);
}

const struct tx_method sendmsg_method = {
	.info = {
		.name = "sendmsg",
		.help = "sendmsg() per frame on a socket bound to the interface",
		.path = "packet_snd, after copying msghdr and iovec",
		.knobs = KNOB_INTERFACE | KNOB_FRAME_SIZE | KNOB_THREADS | KNOB_SOCKET |
			 KNOB_FILL | KNOB_SNDBUF | KNOB_MSG_DONTWAIT | KNOB_QDISC_BYPASS |
			 KNOB_FLOWS | KNOB_VLAN | KNOB_PROTOCOL,
	},
	.probe = sock_probe,
	.memory = frame_memory_single,
	.numbering = frame_numbering,
	.socket_open = sock_open_bound,
	.open = sendmsg_open,
	.fill = single_fill,
	.submit = sendmsg_submit,
	.single = true,
	.reap = sock_reap,
	.close = sendmsg_close,
};
