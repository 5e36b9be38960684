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
 */
#include <stdlib.h>

#include "core.h"

#define IPV4_HEADER 20
#define IPV4_TTL 64
#define IPV4_UDP 17
#define ETHERTYPE_IPV4 0x0800
#define PORT_DISCARD 9
#define FIRST_PORT 32768

_Static_assert(CORE_MIN_FLOW_FRAME == CORE_FLOW_HEADERS + sizeof(uint64_t), "see api.h");

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
	const unsigned int ip_length = config->frame_size - ETHERNET_HEADER;
	unsigned char *ip = frame + ETHERNET_HEADER, *udp = ip + IPV4_HEADER;

	frame[3] ^= 1;
	frame[4] ^= (unsigned char)(flow >> 8);
	frame[5] ^= (unsigned char)flow;
	put16(frame + 12, ETHERTYPE_IPV4);
	memset(ip, 0, CORE_FLOW_HEADERS - ETHERNET_HEADER);
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

int frame_check(const struct tx_config *config, struct core_error *error)
{
	if (config->frame_size < CORE_MIN_FRAME || config->frame_size > CORE_MAX_FRAME)
		return error_set(error, EINVAL, "frame size %u", config->frame_size);
	if (!config->flows || config->flows > CORE_MAX_FLOWS)
		return error_set(error, EINVAL, "%u flows", config->flows);
	if (config->flows > 1 && config->frame_size < CORE_MIN_FLOW_FRAME)
		return error_set(error, EINVAL, "%u flows in frames of %u bytes, not of %u",
				 config->flows, config->frame_size, CORE_MIN_FLOW_FRAME);
	return 0;
}

void frame_build(unsigned char *frame, const struct tx_config *config, unsigned int thread,
		 uint64_t number)
{
	size_t offset;

	memcpy(frame, config->dst, 6);
	memcpy(frame + 6, config->src, 5);
	frame[11] = (unsigned char)thread;
	put16(frame + 12, CORE_ETHERTYPE);
	for (offset = ETHERNET_HEADER; offset < config->frame_size; offset++)
		frame[offset] = (unsigned char)(offset % 251);
	if (config->flows > 1)
		flow_headers(frame, config, thread, (unsigned int)(number % config->flows));
	frame_number(frame, config, number);
}

/*
 * What a thread copies from, and what the kernel is given: of each burst its own frames, but those
 * that are sent as they were filled once need only be as many as there are flows.
 */
int frame_buffers(struct tx_thread *thread, unsigned int burst, struct core_error *error)
{
	const struct tx_config *config = thread->config;
	const unsigned int flows = config->flows;
	const unsigned int frames = flows > 1 && config->prefilled && burst ? flows : burst;
	unsigned int i;
	void *memory;
	int err;

	thread->stride = (config->frame_size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
	thread->memory = thread->stride * (frames + flows);
	err = posix_memalign(&memory, CACHE_LINE, thread->memory);
	if (err)
		return error_set(error, err, "frame buffers of %zu bytes", thread->memory);
	memset(memory, 0, thread->memory);
	thread->frame = memory;
	thread->buffer = thread->next = thread->frame + flows * thread->stride;
	for (i = 0; i < flows; i++)
		frame_build(thread->frame + i * thread->stride, config, thread->index, i);
	for (i = 0; i < frames; i++)
		frame_copy(thread->buffer + i * thread->stride, thread, i);
	return 0;
}
