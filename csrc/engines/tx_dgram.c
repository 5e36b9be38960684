/*
 * dgram: sendto() of a frame's payload on a packet socket of type SOCK_DGRAM. packet_snd as sendto's,
 * but the kernel writes the Ethernet header (dev_hard_header): addresses and EtherType come with each
 * call, the source address is the interface's own. (Without an address it has no destination: send()
 * and a bound socket are refused, connect() is no operation of a packet socket.)
 */
#include <linux/if_packet.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "../engine.h"

#define ETHERTYPE 12			/* its place in a frame */

static int dgram_socket_open(struct tx_socket *socket, struct core_error *error)
{
	return sock_open_as(socket, SOCK_DGRAM, error);
}

static int dgram_open(struct tx_thread *thread, struct core_error *error)
{
	struct sockaddr_ll *address;
	const int err = frame_buffers(thread, 1, error);

	if (err)
		return err;
	thread->state = address = calloc(1, sizeof(*address));
	if (!address)
		return error_set(error, ENOMEM, "dgram address");
	address->sll_family = AF_PACKET;
	address->sll_ifindex = (int)thread->config->ifindex;
	address->sll_halen = 6;
	memcpy(address->sll_addr, thread->frame, 6);
	memcpy(&address->sll_protocol, thread->frame + ETHERTYPE, sizeof(address->sll_protocol));
	return 0;
}

static long dgram_call(struct tx_thread *thread)
{
	return syscall(SYS_sendto, thread->socket->fd, thread->next + ETHERNET_HEADER,
		       thread->config->frame_size - ETHERNET_HEADER, thread->flags, thread->state,
		       sizeof(struct sockaddr_ll));
}

static int dgram_submit(struct tx_thread *thread, unsigned int frames)
{
	return single_submit(thread, frames, "sendto", dgram_call);
}

static void dgram_close(struct tx_thread *thread)
{
	free(thread->state);
}

/* All threads have the interface's address. */
static struct tx_numbering dgram_numbering(const struct tx_config *config)
{
	struct tx_numbering numbering = frame_numbering(config);

	numbering.streams = 1;
	return numbering;
}

const struct tx_method dgram_method = {
	.info = {
		.name = "dgram",
		.help = "sendto() of the payload; the kernel writes the Ethernet header",
		.path = "packet_snd: device look-up, skb, dev_hard_header, copy, dev_queue_xmit",
		.knobs = KNOB_INTERFACE | KNOB_FRAME_SIZE | KNOB_THREADS | KNOB_SOCKET |
			 KNOB_FILL | KNOB_SNDBUF | KNOB_MSG_DONTWAIT | KNOB_QDISC_BYPASS |
			 KNOB_PROTOCOL,
	},
	.probe = sock_probe,
	.memory = frame_memory_single,
	.numbering = dgram_numbering,
	.socket_open = dgram_socket_open,
	.open = dgram_open,
	.fill = single_fill,
	.submit = dgram_submit,
	.single = true,
	.reap = sock_reap,
	.close = dgram_close,
};
