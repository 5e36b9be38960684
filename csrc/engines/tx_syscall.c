/*
 * syscall: getppid() for each frame, and no frame. The bare price of entering and leaving the
 * kernel, mitigations included: how fast this machine is at what every other method begins with.
 */
#include "../engine.h"

#define CALLS_PER_TURN 64

static unsigned int syscall_fill(struct tx_thread *thread)
{
	(void)thread;
	return CALLS_PER_TURN;
}

static int syscall_submit(struct tx_thread *thread, unsigned int frames)
{
	unsigned int calls;

	for (calls = 0; calls < frames; calls++)
		syscall(SYS_getppid);
	count(&thread->counts.requested, frames);
	count(&thread->counts.submitted, frames);
	count(&thread->counts.calls, frames);
	return 0;
}

const struct tx_method syscall_method = {
	.info = {
		.name = "syscall",
		.help = "getppid() per frame and sends nothing: the price of entering the kernel",
		.path = "none",
		.knobs = KNOB_FRAME_SIZE | KNOB_THREADS,
	},
	.fill = syscall_fill,
	.submit = syscall_submit,
	.reap = reap_submitted,
};
