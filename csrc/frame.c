/*
 * The test frame: addresses, EtherType, number, pattern.
 *
 *   0  destination MAC        6  source MAC, its last byte the thread's index
 *  12  EtherType 0x88B5      14  number, 64 bits, little endian
 *  22  pattern: each byte its own offset modulo 251
 *
 * A frame shorter than 22 bytes carries only the number's low bytes.
 */
#include <stdlib.h>

#include "core.h"

void frame_build(unsigned char *frame, const struct tx_config *config, unsigned int thread)
{
	size_t offset;

	memcpy(frame, config->dst, 6);
	memcpy(frame + 6, config->src, 5);
	frame[11] = (unsigned char)thread;
	frame[12] = CORE_ETHERTYPE >> 8;
	frame[13] = CORE_ETHERTYPE & 0xff;
	for (offset = ETHERNET_HEADER; offset < config->frame_size; offset++)
		frame[offset] = (unsigned char)(offset % 251);
	frame_number(frame, config->frame_size, 0);
}

/* The constant frame of a thread, and a buffer of so many frames, numbered from 0. */
int frame_buffers(struct tx_thread *thread, unsigned int frames, struct core_error *error)
{
	const struct tx_config *config = thread->config;
	unsigned int i;
	void *memory;
	int err;

	thread->stride = (config->frame_size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
	thread->memory = thread->stride * (frames + 1);
	err = posix_memalign(&memory, CACHE_LINE, thread->memory);
	if (err)
		return error_set(error, err, "frame buffers of %zu bytes", thread->memory);
	memset(memory, 0, thread->memory);
	thread->frame = memory;
	thread->buffer = thread->frame + thread->stride;
	frame_build(thread->frame, config, thread->index);
	for (i = 0; i < frames; i++)
		frame_copy(thread->buffer + i * thread->stride, thread, i);
	return 0;
}
