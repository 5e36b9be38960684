/*
 * gso: super-frames on a packet socket. A virtio_net_hdr before each (PACKET_VNET_HDR) says how it is to
 * be cut; packet_snd makes one skb of it (packet_snd_vnet_gso), and one way through egress hook and qdisc
 * is enough. dev_queue_xmit cuts it before the driver (validate_xmit_skb, skb_gso_segment): an skb per
 * frame, with headers and checksums of its own. A burst of several super-frames is a sendmmsg().
 *
 * With one segment a header asks for a checksum and for no cutting: what the option itself costs.
 */
#include <linux/if_packet.h>
#include <sys/socket.h>

#include "../messages.h"

enum { OPT_SEGMENTS, OPT_TYPE };

static const struct option_info gso_options[] = {
	[OPT_SEGMENTS] = SEGMENTS_OPTION,
	[OPT_TYPE] = GSO_TYPE_OPTION,
};

static void gso_shape(struct tx_config *config)
{
	super_shape(config, config->options[OPT_SEGMENTS].number, config->options[OPT_TYPE].number);
	config->before = sizeof(struct virtio_net_hdr);
}

static int gso_socket_open(struct tx_socket *socket, struct core_error *error)
{
	const int on = 1;
	const int err = sock_open_bound(socket, error);

	if (!err && setsockopt(socket->fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) < 0)
		return error_set(error, errno, "setsockopt(PACKET_VNET_HDR)");
	return err;
}

static int gso_open(struct tx_thread *thread, struct core_error *error)
{
	const struct tx_config *config = thread->config;
	const struct virtio_net_hdr header = super_vnet_header(config);
	const int err = frame_buffers(thread, config->burst, error);
	unsigned int i;

	if (err)
		return err;
	for (i = 0; i < burst_supers(config); i++)
		memcpy(thread->buffer + i * thread->stride - sizeof(header), &header, sizeof(header));
	return messages_open(thread, -(int)sizeof(header), super_size(config), error);
}

static int gso_submit(struct tx_thread *thread, unsigned int frames)
{
	return super_explained(thread, messages_submit_any(thread, frames));
}

const struct tx_method gso_method = {
	.info = {
		.name = "gso",
		.help = "super-frames that the kernel cuts: PACKET_VNET_HDR, sendmmsg() of a burst",
		.path = "packet_snd per super-frame: skb, copy, dev_queue_xmit, skb_gso_segment",
		.knobs = KNOB_INTERFACE | KNOB_FRAME_SIZE | KNOB_THREADS | KNOB_SOCKET |
			 KNOB_BURST | KNOB_FILL | KNOB_SNDBUF | KNOB_MSG_DONTWAIT |
			 KNOB_QDISC_BYPASS | KNOB_PROTOCOL,
		.max_burst = MESSAGES_MOST,
		.options = gso_options,
		.option_nr = ARRAY_SIZE(gso_options),
	},
	.probe = sock_probe,
	.shape = gso_shape,
	.memory = frame_memory_burst,
	.numbering = frame_numbering_burst,
	.socket_open = gso_socket_open,
	.open = gso_open,
	.fill = super_fill,
	.submit = gso_submit,
	.reap = sock_reap,
	.close = messages_close,
};
