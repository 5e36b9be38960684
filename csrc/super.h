/*
 * Super-frames, for the engines that send them: headers as of one long frame, and the payload of each
 * frame that is cut from it. A super-frame of one segment is a frame.
 */
#ifndef SUPER_H
#define SUPER_H

#include <linux/virtio_net.h>

#include "engine.h"

/* The options that engines share, which so are one axis each. */
#define SEGMENTS_OPTION							\
	{								\
		.name = "segments",					\
		.help = "frames of one skb, which the kernel cuts (GSO); 1: it cuts none",	\
		.type = OPTION_WHOLE,					\
		.low = 1,						\
		.high = CORE_MAX_SEGMENTS,				\
		.fallback.number = 1,					\
		.after = "burst",					\
	}
#define GSO_TYPE_OPTION							\
	{								\
		.name = "gso_type",					\
		.help = "frames that are cut: of UDP (Linux 6.2) or of TCP",	\
		.type = OPTION_CHOICE,					\
		.choices = { [GSO_UDP] = "udp", [GSO_TCP] = "tcp" },	\
		.after = "burst",					\
	}
enum { GSO_UDP, GSO_TCP };

/* shape, of engines whose frames are always of UDP or TCP, or only where they are cut. */
static inline void super_shape(struct tx_config *config, uint64_t segments, uint64_t gso_type)
{
	config->segments = (unsigned int)segments;
	config->headers = gso_type == GSO_TCP ? HEADERS_TCP : HEADERS_UDP;
}

/* Of config->headers: how the kernel is to cut, and to complete checksums. */
struct virtio_net_hdr super_vnet_header(const struct tx_config *config);

/*
 * Of a system call. Whether a kernel cuts UDP it says only when it is asked to (virtio_net_hdr_to_skb):
 * then the error says so.
 */
int super_explained(struct tx_thread *thread, int err);

static inline unsigned int burst_supers(const struct tx_config *config)
{
	return config->burst / config->segments;
}

/* Payloads with their numbers, of which number is the first; the headers stay as they are. */
static inline void super_copy(unsigned char *to, const struct tx_thread *thread, uint64_t number)
{
	const struct tx_config *config = thread->config;
	const unsigned int payload = frame_payload(config);
	unsigned int i;

	for (i = 0; i < config->segments; i++) {
		memcpy(to + config->headers, thread->frame + config->headers, payload);
		frame_number(to, config, number + i);
		to += payload;
	}
}

/* fill of a buffer of super-frames. */
static inline unsigned int super_fill(struct tx_thread *thread)
{
	const struct tx_config *config = thread->config;
	unsigned int i;

	if (!config->prefilled)
		for (i = 0; i < burst_supers(config); i++)
			super_copy(thread->buffer + i * thread->stride, thread,
				   thread->number + i * config->segments);
	return config->burst;
}

#endif
