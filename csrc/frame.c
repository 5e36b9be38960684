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
 * Frames of UDP or TCP whatever the flows have the same addresses and ports, of flow 0; of TCP the number
 * stands at 54, and the pattern at 62. A checksum is the pseudo-header's, for whoever completes it. A
 * super-frame has one set of headers, and behind it the payloads of its frames: whoever cuts it
 * gives each frame headers of its own.
 *
 * With a VLAN tag (IEEE 802.1Q) four bytes stand at 12, TPID and TCI, and all else lies four bytes
 * later. The frame size has them in it.
 */
#include <stdlib.h>
#include <unistd.h>

#include "core.h"

#define IPV4_HEADER 20
#define IPV4_TTL 64
#define IPV4_TCP 6
#define IPV4_UDP 17
#define TCP_ACK 0x10
#define ETHERTYPE_IPV4 0x0800
#define PORT_DISCARD 9
#define FIRST_PORT 32768
/* With two bytes of payload: skb_vlan_untag() throws a shorter one away as it arrives. */
#define MIN_TAGGED_FRAME (ETHERNET_HEADER + VLAN_TAG + 2)
#define NUMBER 8

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

static uint16_t get16(const unsigned char *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

/*
 * The checksum of UDP or TCP as a device or the kernel wants to find it that completes it: of the
 * pseudo-header alone (CHECKSUM_PARTIAL).
 */
static unsigned int pseudo_checksum(const unsigned char *ip, unsigned int length)
{
	unsigned int sum = ip[9] + length, i;

	for (i = 12; i < IPV4_HEADER; i += 2)
		sum += get16(ip + i);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void udp_header(unsigned char *udp, unsigned int length, unsigned int checksum)
{
	put16(udp + 4, length);
	put16(udp + 6, checksum);
}

static void tcp_header(unsigned char *tcp, unsigned int checksum)
{
	tcp[12] = (HEADERS_TCP - ETHERNET_HEADER - IPV4_HEADER) / 4 << 4;
	tcp[13] = TCP_ACK;
	put16(tcp + 14, UINT16_MAX);
	put16(tcp + 16, checksum);
}

/* Of a frame, or a super-frame, of so many bytes. */
void frame_headers(unsigned char *frame, const struct tx_config *config, unsigned int thread,
		   unsigned int flow, unsigned int size)
{
	const unsigned int header = ETHERNET_HEADER + frame_tag(config);
	const unsigned int ip_length = size - header, length = ip_length - IPV4_HEADER;
	unsigned char *ip = frame + header, *ports = ip + IPV4_HEADER;
	const bool is_tcp = config->headers == HEADERS_TCP;

	memcpy(frame, config->dst, 6);
	frame[3] ^= 1;
	frame[4] ^= (unsigned char)(flow >> 8);
	frame[5] ^= (unsigned char)flow;
	put16(ip - 2, ETHERTYPE_IPV4);
	memset(ip, 0, config->headers - ETHERNET_HEADER);
	ip[0] = 0x45;
	put16(ip + 2, ip_length);
	ip[8] = IPV4_TTL;
	ip[9] = is_tcp ? IPV4_TCP : IPV4_UDP;
	ip[12] = 198, ip[13] = 18, ip[15] = (unsigned char)thread;
	ip[16] = 198, ip[17] = 19;
	put16(ip + 18, 2 * flow);
	put16(ip + 10, ipv4_checksum(ip));
	put16(ports, FIRST_PORT + 4 * flow);
	put16(ports + 2, PORT_DISCARD);
	if (is_tcp)
		tcp_header(ports, pseudo_checksum(ip, length));
	else
		udp_header(ports, length, config->flows > 1 ? 0 : pseudo_checksum(ip, length));
}

/* Before a method is asked anything of a cell. */
void frame_shape(const struct tx_method *method, struct tx_config *config)
{
	if (!(method->info.knobs & KNOB_FLOWS))
		config->flows = 1;
	if (!(method->info.knobs & KNOB_VLAN))
		config->vlan_tag = 0;
	config->headers = config->flows > 1 ? HEADERS_UDP : ETHERNET_HEADER;
	config->segments = 1;
	config->before = 0;
	if (method->shape)
		method->shape(config);
}

void frame_check(const struct tx_config *config, struct core_problems *problems)
{
	const unsigned int tag = frame_tag(config), least = config->headers + NUMBER + tag;

	if (config->flows > 1 && config->frame_size < least)
		problem_add(problems, "frame_size",
			    "frame of %u bytes has no room for the addresses and ports of %u flows; "
			    "at least %u, or exclude the pair",
			    config->frame_size, config->flows, least);
	else if (config->headers > ETHERNET_HEADER && config->frame_size < least)
		problem_add(problems, "frame_size",
			    "frame of %u bytes has no room for its %u bytes of headers and its "
			    "number; at least %u, or exclude the pair",
			    config->frame_size, config->headers, least);
	else if (config->segments > 1)
		super_check(config, problems);
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
	frame[SOURCE_THREAD] = (unsigned char)thread;
	if (config->vlan_tag) {
		put16(frame + 12, config->vlan_tag >> 16);
		put16(frame + 14, config->vlan_tag);
	}
	put16(frame + header - 2, CORE_ETHERTYPE);
	for (offset = header; offset < config->frame_size; offset++)
		frame[offset] = (unsigned char)(offset % 251);
	if (config->headers > ETHERNET_HEADER)
		frame_headers(frame, config, thread, (unsigned int)(number % config->flows),
			      config->frame_size);
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

static size_t whole_lines(size_t bytes)
{
	return (bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
}

static size_t frame_stride(const struct tx_config *config)
{
	return whole_lines(config->before + super_size(config));
}

/*
 * (Super-)frames of the buffer that the kernel is given. copy: those of a burst. prefilled: one per
 * flow, sent again and again. burst is 0 where frames go into a ring's slots.
 */
static unsigned int buffer_frames(const struct tx_config *config, unsigned int burst)
{
	return config->flows > 1 && config->prefilled && burst ? config->flows
							       : burst / config->segments;
}

/* Of one thread: a frame of each flow to copy from, and the buffer. */
static size_t buffer_bytes(const struct tx_config *config, unsigned int burst)
{
	return frame_stride(config) * (config->flows + buffer_frames(config, burst)) +
	       whole_lines(config->before);
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
	thread->buffer = thread->next = thread->frame + flows * thread->stride +
					whole_lines(config->before);
	for (i = 0; i < flows; i++)
		frame_build(thread->frame + i * thread->stride, config, thread->index, i);
	for (i = 0; i < frames; i++)
		if (config->segments > 1)
			super_build(thread->buffer + i * thread->stride, config, thread->index,
				    (uint64_t)i * config->segments);
		else
			frame_copy(thread->buffer + i * thread->stride, thread, i);
	return 0;
}
