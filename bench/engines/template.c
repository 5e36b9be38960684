/*
 * NAME: write(2) of one frame on a packet socket that is bound to the interface.
 *
 *   bench methods NAME --engine FILE     what it declares, and whether this kernel offers it
 *   bench run MATRIX --engine FILE       with `method: [sendto, NAME]` in the matrix
 *
 * engine.h has what an engine is made of: struct tx_method says what each hook must do, and the
 * functions below it are for sockets, frames and counters. This file uses most of what one needs.
 */
#include <linux/if_packet.h>
#include <sys/socket.h>

#include "engine.h"

/* An option of its own is an axis of the matrix: `verify: [false, true]`. Delete it, or add others. */
enum { OPT_VERIFY };

static const struct option_info options[] = {
	[OPT_VERIFY] = {
		.name = "verify",
		.help = "look at the first byte of each frame before it is sent",
	},
};

/*
 * Once for each thread. Its socket is open and bound by now, and this gives it frames: thread->next is
 * the one to send. Keep what is yours in thread->state, and free it in .close.
 */
static int own_open(struct tx_thread *thread, struct core_error *error)
{
	return frame_buffers(thread, 1, error);
}

/* One frame with one system call: a value below 0 with errno, or anything else where it was sent. */
static long own_call(struct tx_thread *thread)
{
	const struct tx_config *config = thread->config;

	if (config->options[OPT_VERIFY].number && thread->next[0] != config->dst[0]) {
		errno = EBADMSG;
		return -1;
	}
	return syscall(SYS_write, thread->socket->fd, thread->next, config->frame_size);
}

/*
 * Hand over what fill has made ready. single_submit() calls own_call() for each frame and counts:
 * EAGAIN and ENOBUFS are refusals, any other errno ends the cell.
 *
 * A call that takes many frames has no .single. Its .fill is burst_fill, its .memory frame_memory_burst,
 * its .numbering frame_numbering_burst; KNOB_BURST is among the knobs and KNOB_FLOWS is not, and .open
 * has frame_buffers(thread, thread->config->burst, error). Its submit hands over `frames` frames from
 * thread->buffer on, thread->stride bytes apart, adds those that the kernel took to thread->number, and
 * counts them:
 *
 *	count(&thread->counts.calls, 1);
 *	count(&thread->counts.requested, frames);
 *	count(&thread->counts.submitted, sent);
 *
 * or returns thread_refused(thread, errno, "mycall") where the kernel took none.
 */
static int own_submit(struct tx_thread *thread, unsigned int frames)
{
	return single_submit(thread, frames, "write", own_call);
}

const struct tx_method bench_method = {
	.info = {
		.name = "NAME",
		.help = "write() per frame on a socket bound to the interface",
		.path = "sock_write_iter, packet_snd: skb, copy, dev_queue_xmit",
		/* The axes of bench that it reads; of others it has one cell. */
		.knobs = KNOB_INTERFACE | KNOB_FRAME_SIZE | KNOB_THREADS | KNOB_SOCKET |
			 KNOB_FILL | KNOB_SNDBUF | KNOB_QDISC_BYPASS | KNOB_FLOWS | KNOB_VLAN |
			 KNOB_PROTOCOL,
		.options = options,
		.option_nr = ARRAY_SIZE(options),
	},
	.probe = sock_probe,			/* may packet sockets be opened here? */
	.memory = frame_memory_single,		/* what own_open() takes */
	.numbering = frame_numbering,		/* frames are numbered as fill has it */
	.socket_open = sock_open_bound,
	.open = own_open,
	.fill = single_fill,
	.submit = own_submit,
	.single = true,
	.reap = sock_reap,			/* the kernel has given back what is in no send buffer */
};
