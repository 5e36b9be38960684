/*
 * The test frame: addresses, EtherType, number, pattern.
 *
 *   0  destination MAC        6  source MAC, its last byte the thread's index
 *  12  EtherType 0x88B5      14  number, 64 bits, little endian
 *  22  pattern: each byte its own offset modulo 251
 *
 * A frame shorter than 22 bytes carries only the number's low bytes.
 *
 * With several flows it is UDP over IPv4, for whatever spreads by addresses and ports:
 *
 *   0  destination MAC, one bit of its fourth byte turned, its last two bytes by flow
 *   6  source MAC as above    12  EtherType 0x0800
 *  14  IPv4 from 198.18.0.THREAD to 198.19.0.0 by flow (RFC 2544, C.2.2), with its checksum
 *  34  UDP from port 32768 by flow to port 9 (discard), its checksum 0: none
 *  42  number                50  pattern
 *
 * Flow f adds f to the MAC, 2 f to the address and 4 f to the port, so that no hash that folds
 * them by exclusive or (drivers/net/bonding: layer2, layer2+3, layer3+4) cancels them out. The
 * turned bit makes every flow one for another host: the receive side treats all of them alike.
 *
 * With a VLAN tag (IEEE 802.1Q) four bytes stand at 12, TPID and TCI, and all else lies four bytes
 * later. The frame size has them in it.
 */
#include <stdlib.h>
#include <unistd.h>

#include "core.h"

#define IPV4_HEADER 20
#define IPV4_TTL 64
#define IPV4_UDP 17
#define ETHERTYPE_IPV4 0x0800
#define PORT_DISCARD 9
#define FIRST_PORT 32768
/* With two bytes of payload: skb_vlan_untag() throws a shorter one away as it arrives. */
#define MIN_TAGGED_FRAME (ETHERNET_HEADER + VLAN_TAG + 2)
#define MIN_FLOW_FRAME (FLOW_HEADERS + 8)	/* with the number */

static void put16(unsigned char *at, unsigned int value)
{
	at[0] = (unsigned char)(value >> 8);
	at[1] = (unsigned char)value;
}

/* RFC 1071, over a header of an even number of bytes. */
static unsigned int ipv4_checksum(const unsigned char *header)
{
	unsigned int sum = 0, i;

	for (i = 0; i < IPV4_HEADER; i += 2)
		sum += (unsigned int)header[i] << 8 | header[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

static void flow_headers(unsigned char *frame, const struct tx_config *config,
			 unsigned int thread, unsigned int flow)
{
	const unsigned int header = ETHERNET_HEADER + frame_tag(config);
	const unsigned int ip_length = config->frame_size - header;
	unsigned char *ip = frame + header, *udp = ip + IPV4_HEADER;

	frame[3] ^= 1;
	frame[4] ^= (unsigned char)(flow >> 8);
	frame[5] ^= (unsigned char)flow;
	put16(ip - 2, ETHERTYPE_IPV4);
	memset(ip, 0, FLOW_HEADERS - ETHERNET_HEADER);
	ip[0] = 0x45;
	put16(ip + 2, ip_length);
	ip[8] = IPV4_TTL;
	ip[9] = IPV4_UDP;
	ip[12] = 198, ip[13] = 18, ip[15] = (unsigned char)thread;
	ip[16] = 198, ip[17] = 19;
	put16(ip + 18, 2 * flow);
	put16(ip + 10, ipv4_checksum(ip));
	put16(udp, FIRST_PORT + 4 * flow);
	put16(udp + 2, PORT_DISCARD);
	put16(udp + 4, ip_length - IPV4_HEADER);
}

void frame_check(const struct tx_config *config, struct core_problems *problems)
{
	const unsigned int tag = frame_tag(config);

	if (config->flows > 1 && config->frame_size < MIN_FLOW_FRAME + tag)
		problem_add(problems, "frame_size",
			    "frame of %u bytes has no room for the addresses and ports of %u flows; "
			    "at least %u, or exclude the pair",
			    config->frame_size, config->flows, MIN_FLOW_FRAME + tag);
	else if (tag && config->frame_size < MIN_TAGGED_FRAME)
		problem_add(problems, "frame_size",
			    "frame of %u bytes has no room for a VLAN tag; at least %u, or exclude "
			    "the pair",
			    config->frame_size, MIN_TAGGED_FRAME);
}

void frame_build(unsigned char *frame, const struct tx_config *config, unsigned int thread,
		 uint64_t number)
{
	const size_t header = ETHERNET_HEADER + frame_tag(config);
	size_t offset;

	memcpy(frame, config->dst, 6);
	memcpy(frame + 6, config->src, 5);
	frame[11] = (unsigned char)thread;
	if (config->vlan_tag) {
		put16(frame + 12, config->vlan_tag >> 16);
		put16(frame + 14, config->vlan_tag);
	}
	put16(frame + header - 2, CORE_ETHERTYPE);
	for (offset = header; offset < config->frame_size; offset++)
		frame[offset] = (unsigned char)(offset % 251);
	if (config->flows > 1)
		flow_headers(frame, config, thread, (unsigned int)(number % config->flows));
	frame_number(frame, config, number);
}

/* Of the engines that take frames from frame_copy() or frame_next(). */
struct tx_numbering frame_numbering(const struct tx_config *config)
{
	return (struct tx_numbering) {
		.kind = NUMBERING_CONTINUES,
		.period = config->prefilled ? config->flows : 0,
		.streams = config->threads,
	};
}

/*
 * Of those that send a burst from the buffer's beginning each time: a prefilled one is the same frames.
 * With flows it begins where the last one ended.
 */
struct tx_numbering frame_numbering_burst(const struct tx_config *config)
{
	struct tx_numbering numbering = frame_numbering(config);

	if (config->prefilled && config->flows == 1) {
		numbering.kind = NUMBERING_PER_BURST;
		numbering.period = config->burst;
	}
	return numbering;
}

static size_t frame_stride(const struct tx_config *config)
{
	return (config->frame_size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
}

/*
 * Frames of the buffer that the kernel is given. copy: one per frame of a burst. prefilled: one per
 * flow, sent again and again. burst is 0 where frames go into a ring's slots.
 */
static unsigned int buffer_frames(const struct tx_config *config, unsigned int burst)
{
	return config->flows > 1 && config->prefilled && burst ? config->flows : burst;
}

/* Of one thread: a frame of each flow to copy from, and the buffer. */
static size_t buffer_bytes(const struct tx_config *config, unsigned int burst)
{
	return frame_stride(config) * (config->flows + buffer_frames(config, burst));
}

uint64_t frame_memory(const struct tx_config *config, unsigned int burst)
{
	return (uint64_t)config->threads * buffer_bytes(config, burst);
}

struct tx_memory frame_memory_single(const struct tx_config *config)
{
	return (struct tx_memory) { .bytes = frame_memory(config, 1) };
}

struct tx_memory frame_memory_burst(const struct tx_config *config)
{
	return (struct tx_memory) { .bytes = frame_memory(config, config->burst) };
}

int frame_buffers(struct tx_thread *thread, unsigned int burst, struct core_error *error)
{
	const struct tx_config *config = thread->config;
	const unsigned int flows = config->flows, frames = buffer_frames(config, burst);
	const size_t bytes = buffer_bytes(config, burst);
	unsigned int i;
	void *memory;
	int err;

	/*
	 * On a page of its own: a frame lies alike in every opening, wherever the heap's others
	 * are, and where it fits it is on one page.
	 */
	err = posix_memalign(&memory, (size_t)sysconf(_SC_PAGESIZE), bytes);
	if (err)
		return error_set(error, err, "frame buffers of %zu bytes", bytes);
	memset(memory, 0, bytes);
	thread->stride = frame_stride(config);
	thread->frame = memory;
	thread->buffer = thread->next = thread->frame + flows * thread->stride;
	for (i = 0; i < flows; i++)
		frame_build(thread->frame + i * thread->stride, config, thread->index, i);
	for (i = 0; i < frames; i++)
		frame_copy(thread->buffer + i * thread->stride, thread, i);
	return 0;
}
