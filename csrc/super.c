/*
 * Super-frames: see super.h.
 */
#include "super.h"

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5	/* Linux 6.2 */
#endif
#define PORTS_AT 34		/* UDP's or TCP's header */
#define MOST_IPV4 65535		/* bytes of a datagram, header included */

static unsigned int most_segments(const struct tx_config *config)
{
	const unsigned int room = MOST_IPV4 + ETHERNET_HEADER - config->headers;
	const unsigned int fit = room / frame_payload(config);

	return fit < CORE_MAX_SEGMENTS ? fit : CORE_MAX_SEGMENTS;
}

/* Nobody cuts what goes straight to a driver: dev_direct_xmit() drops what has to be cut. */
void super_check(const struct tx_config *config, struct core_problems *problems)
{
	const unsigned int most = most_segments(config);

	if (config->segments > most)
		problem_add(problems, "segments",
			    "%u segments of frames of %u bytes: a datagram has 65,535 bytes; at most "
			    "%u, or exclude the pair",
			    config->segments, config->frame_size, most);
	if (config->burst % config->segments)
		problem_add(problems, "burst",
			    "burst of %u frames in super-frames of %u; a multiple of %u, or exclude "
			    "the pair",
			    config->burst, config->segments, config->segments);
	if (config->qdisc_bypass)
		problem_add(problems, "qdisc_bypass",
			    "qdisc_bypass with super-frames of %u segments, which nobody cuts there; "
			    "false, or exclude the pair",
			    config->segments);
}

/* Numbered from number on. */
void super_build(unsigned char *super, const struct tx_config *config, unsigned int thread,
		 uint64_t number)
{
	const unsigned int payload = frame_payload(config);
	unsigned char *to = super;
	unsigned int i;

	frame_build(super, config, thread, number);
	if (config->segments == 1)
		return;
	for (i = 1; i < config->segments; i++) {
		memcpy(to + config->headers + payload, to + config->headers, payload);
		to += payload;
		frame_number(to, config, number + i);
	}
	frame_headers(super, config, thread, 0, super_size(config));
}

struct virtio_net_hdr super_vnet_header(const struct tx_config *config)
{
	const bool is_tcp = config->headers == HEADERS_TCP;
	struct virtio_net_hdr header = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.hdr_len = (uint16_t)config->headers,
		.csum_start = PORTS_AT,
		.csum_offset = is_tcp ? 16 : 6,		/* of the checksum in its header */
	};

	if (config->segments > 1) {
		header.gso_type = is_tcp ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_UDP_L4;
		header.gso_size = (uint16_t)frame_payload(config);
	}
	return header;
}

int super_explained(struct tx_thread *thread, int err)
{
	if (unlikely(err == -EINVAL) && thread->config->segments > 1 &&
	    thread->config->headers == HEADERS_UDP)
		return error_set(&thread->error, EINVAL,
				 "super-frame of UDP, which packet sockets take from Linux 6.2 on (of "
				 "more than 64 segments from 6.9 on); use gso_type: tcp");
	return err;
}
