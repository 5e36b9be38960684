/*
 * sendto: one frame a call from one buffer, the address with each call, on an unbound socket.
 * packet_sendmsg -> packet_snd: looks up the interface by index, allocates an skb (waits for room
 * in sndbuf), copies the frame into it, dev_queue_xmit or, with bypass, the driver directly.
 */
#include <linux/if_packet.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "../engine.h"

static int sendto_open(struct tx_thread *thread, struct core_error *error)
{
	struct sockaddr_ll *address;
	int err;

	err = frame_buffers(thread, 1, error);
	if (err)
		return err;
	address = calloc(1, sizeof(*address));
	if (!address)
		return error_set(error, ENOMEM, "sendto address");
	address->sll_family = AF_PACKET;
	address->sll_ifindex = (int)thread->config->ifindex;
	address->sll_halen = 6;
	memcpy(address->sll_addr, thread->config->dst, 6);
	thread->state = address;
	return 0;
}

static long sendto_call(struct tx_thread *thread)
{
	return syscall(SYS_sendto, thread->socket->fd, thread->next, thread->config->frame_size,
		       thread->flags, thread->state, sizeof(struct sockaddr_ll));
}

static int sendto_submit(struct tx_thread *thread, unsigned int frames)
{
	return single_submit(thread, frames, "sendto", sendto_call);
}

static void sendto_close(struct tx_thread *thread)
{
	free(thread->state);
}

const struct tx_method sendto_method = {
	.info = {
		.name = "sendto",
		.help = "sendto() per frame, with the address, on an unbound socket",
		.path = "packet_snd: device look-up, skb, copy, dev_queue_xmit",
		.knobs = KNOB_INTERFACE | KNOB_FRAME_SIZE | KNOB_THREADS | KNOB_SOCKET |
			 KNOB_FILL | KNOB_SNDBUF | KNOB_MSG_DONTWAIT | KNOB_QDISC_BYPASS |
			 KNOB_FLOWS | KNOB_VLAN | KNOB_PROTOCOL,
	},
	.probe = sock_probe,
	.memory = frame_memory_single,
	.numbering = frame_numbering,
	.socket_open = sock_open,
	.open = sendto_open,
	.fill = single_fill,
	.submit = sendto_submit,
	.single = true,
	.reap = sock_reap,
	.close = sendto_close,
};
