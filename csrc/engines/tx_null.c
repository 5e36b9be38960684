/*
 * null: the measurement loop and the fill without any system call. Its figures are the harness's
 * own cost; it needs no privilege and no interface.
 */
#include <stdlib.h>

#include "../engine.h"

static int null_open(struct tx_thread *thread, struct core_error *error)
{
	return frame_buffers(thread, thread->config->burst, error);
}

static int null_submit(struct tx_thread *thread, unsigned int frames)
{
	thread->number += frames;
	count(&thread->counts.requested, frames);
	count(&thread->counts.submitted, frames);
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
	.fill = burst_fill,
	.submit = null_submit,
	.reap = reap_submitted,
};
