/*
 * syscall: getppid() for each frame, and no frame. The bare price of entering and leaving the
 * kernel, mitigations included: how fast this machine is at what every other method begins with.
 */
#include "../core.h"

#define CALLS_PER_TURN 64

static int syscall_burst(struct tx_thread *thread)
{
	unsigned int calls;

	for (calls = 0; calls < CALLS_PER_TURN; calls++)
		syscall(SYS_getppid);
	count(&thread->counts.requested, CALLS_PER_TURN);
	count(&thread->counts.submitted, CALLS_PER_TURN);
	count(&thread->counts.calls, CALLS_PER_TURN);
	return 0;
}

const struct tx_method syscall_method = {
	.info = {
		.name = "syscall",
		.help = "getppid() per frame and sends nothing: the price of entering the kernel",
		.path = "none",
		.knobs = KNOB_FRAME_SIZE | KNOB_THREADS,
	},
	.burst = syscall_burst,
	.reap = reap_submitted,
};
