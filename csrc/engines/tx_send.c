/*
 * send: one frame a call from one buffer, on a socket bound to its interface. The same packet_snd
 * as sendto, without the address and the look-up of the interface.
 */
#include "../engine.h"

static int send_open(struct tx_thread *thread, struct core_error *error)
{
	return frame_buffers(thread, 1, error);
}

static long send_call(struct tx_thread *thread)
{
	return syscall(SYS_sendto, thread->socket->fd, thread->next, thread->config->frame_size,
		       thread->flags, NULL, 0);
}

static int send_submit(struct tx_thread *thread, unsigned int frames)
{
	return single_submit(thread, frames, "send", send_call);
}

const struct tx_method send_method = {
	.info = {
		.name = "send",
		.help = "send() per frame on a socket bound to the interface",
		.path = "packet_snd: skb, copy, dev_queue_xmit",
		.knobs = KNOB_INTERFACE | KNOB_FRAME_SIZE | KNOB_THREADS | KNOB_SOCKET |
			 KNOB_FILL | KNOB_SNDBUF | KNOB_MSG_DONTWAIT | KNOB_QDISC_BYPASS |
			 KNOB_FLOWS | KNOB_VLAN | KNOB_PROTOCOL,
	},
	.probe = sock_probe,
	.memory = frame_memory_single,
	.numbering = frame_numbering,
	.socket_open = sock_open_bound,
	.open = send_open,
	.fill = single_fill,
	.submit = send_submit,
	.single = true,
	.reap = sock_reap,
};
