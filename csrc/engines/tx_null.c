/*
 * null: the measurement loop and the fill without any system call. Its figures are the harness's
 * own cost; it needs no privilege and no interface.
 */
#include <stdlib.h>

#include "../core.h"

static int null_open(struct tx_thread *thread, struct core_error *error)
{
	return frame_buffers(thread, thread->config->burst, error);
}

static int null_burst(struct tx_thread *thread)
{
	const unsigned int burst = thread->config->burst;
	unsigned int i;

	if (!thread->config->prefilled)
		for (i = 0; i < burst; i++)
			frame_copy(thread->buffer + i * thread->stride, thread, thread->number + i);
	thread->number += burst;
	count(&thread->counts.requested, burst);
	count(&thread->counts.submitted, burst);
	return 0;
}

const struct tx_method null_method = {
	.info = {
		.name = "null",
		.help = "counts frames and calls nothing: what the harness itself costs",
		.path = "none",
		.knobs = KNOB_FRAME_SIZE | KNOB_THREADS | KNOB_BURST | KNOB_FILL,
	},
	.memory = frame_memory_burst,
	.open = null_open,
	.burst = null_burst,
	.reap = reap_submitted,
};
