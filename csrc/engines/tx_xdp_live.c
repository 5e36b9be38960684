/*
 * xdp_live: BPF_PROG_RUN of an XDP program with BPF_F_TEST_XDP_LIVE_FRAMES. The kernel runs the program
 * on frames of a page pool, a batch after the other, and does what it says: bpf_redirect to the
 * interface, xdp_do_flush, ndo_xdp_xmit of its driver. There is no skb, no qdisc and no socket.
 * (XDP_TX is made a redirect to the frame's own interface: net/bpf/test_run.c.)
 *
 * A call that runs a program more than once takes some 30 ms before its first frame and after its
 * last: the program goes into the XDP dispatcher and out of it (bpf_prog_change_xdp), which waits for
 * RCU grace periods. So one call sends through a whole slice, until a signal ends it.
 *
 * A call succeeds whatever becomes of its frames. An interface that takes none (lo, ifb, a veth whose
 * peer has neither GRO nor XDP) drops them, on newer kernels without a counter (6.18; 6.1 counts a
 * veth's): only the interface's counters and the frame check tell. What the program counts is what it redirected.
 *
 * fill: copy writes the whole frame with its number (bpf_xdp_store_bytes); otherwise a page has the
 * frame from when the pool got it.
 */
#include <stdlib.h>

#include "../bpf.h"

/* Of a page: XDP_PACKET_HEADROOM, skb_shared_info, and struct xdp_page_head, longest in Linux 6.1. */
#define PAGE_TAKEN (256 + 320 + 152)

/* So many have room in a veth's queue (VETH_RING_SIZE) whatever is left of the batch before. */
#define MOST_QUEUED 64

struct live {
	struct bpf_sender sender;
	struct xdp_md context;		/* of each frame */
	uint64_t calls;
};

static unsigned int xdp_live_longest(unsigned int page_size)
{
	return page_size - PAGE_TAKEN;
}

static struct tx_memory xdp_live_memory(const struct tx_config *config)
{
	return (struct tx_memory) { .bytes = bpf_memory(config) };
}

/*
 * r8 = what a frame's thread shares, by the thread's index in its source MAC. r6: xdp_md. A frame with another
 * one, which has been written to on its way, is dropped.
 */
static void emit_shared_of_thread(struct bpf_code *code, const struct tx_config *config,
				  const struct bpf_sender *sender)
{
	bpf_emit_shared(code, BPF_REG_8, sender);
	if (config->threads == 1)
		return;
	emit(code, LOAD_32(BPF_REG_1, BPF_REG_6, offsetof(struct xdp_md, data)));
	emit(code, LOAD_32(BPF_REG_2, BPF_REG_6, offsetof(struct xdp_md, data_end)));
	emit(code, MOV_REG(BPF_REG_3, BPF_REG_1));
	emit(code, ADD_IMM(BPF_REG_3, SOURCE_THREAD + 1));
	emit(code, JUMP_GREATER(BPF_REG_3, BPF_REG_2, 2));
	emit(code, LOAD_8(BPF_REG_7, BPF_REG_1, SOURCE_THREAD));
	emit(code, JUMP_LESS_IMM(BPF_REG_7, config->threads, 2));
	emit(code, MOV_IMM(BPF_REG_0, XDP_DROP));
	emit(code, EXIT());
	emit(code, MUL_IMM(BPF_REG_7, sender->length));
	emit(code, ADD_REG(BPF_REG_8, BPF_REG_7));
}

/* r6: xdp_md, r8: shared. { fill; sent++; return bpf_redirect(); } */
static void xdp_live_code(struct bpf_code *code, const struct tx_config *config,
			  const struct bpf_sender *sender)
{
	emit(code, MOV_REG(BPF_REG_6, BPF_REG_1));
	emit_shared_of_thread(code, config, sender);
	if (!config->prefilled) {
		bpf_emit_number(code, BPF_REG_8);
		emit(code, MOV_REG(BPF_REG_1, BPF_REG_6));
		emit(code, MOV_IMM(BPF_REG_2, 0));
		emit(code, MOV_REG(BPF_REG_3, BPF_REG_8));
		emit(code, ADD_IMM(BPF_REG_3, SHARED_FRAME));
		emit(code, MOV_IMM(BPF_REG_4, config->frame_size));
		emit(code, CALL(HELPER_XDP_STORE_BYTES));
	}
	emit(code, LOAD_64(BPF_REG_1, BPF_REG_8, SHARED_SENT));
	emit(code, ADD_IMM(BPF_REG_1, 1));
	emit(code, STORE_64(BPF_REG_8, SHARED_SENT, BPF_REG_1));
	emit(code, MOV_IMM(BPF_REG_1, config->ifindex));
	emit(code, MOV_IMM(BPF_REG_2, 0));
	emit(code, CALL(HELPER_REDIRECT));
	emit(code, EXIT());
}

static int xdp_live_load(struct tx_thread *thread, struct bpf_sender *sender,
			 struct core_error *error)
{
	const int err = bpf_sender_open(sender, thread, thread->config->threads, error);
	struct bpf_code code = { 0 };

	if (err)
		return err;
	xdp_live_code(&code, thread->config, sender);
	return bpf_sender_load(sender, BPF_PROG_TYPE_XDP, &code, error);
}

static int xdp_live_join(struct tx_thread *thread, struct bpf_sender *sender,
			 struct core_error *error)
{
	const struct live *first = (thread - thread->index)->state;

	return bpf_sender_join(sender, thread, &first->sender, error);
}

static int xdp_live_open(struct tx_thread *thread, struct core_error *error)
{
	const struct tx_config *config = thread->config;
	struct live *live = thread->state = calloc(1, sizeof(*live));
	int err;

	if (!live)
		return error_set(error, ENOMEM, "program of a thread");
	err = thread->index ? xdp_live_join(thread, &live->sender, error)
			    : xdp_live_load(thread, &live->sender, error);
	if (err)
		return err;
	live->context.data_end = config->frame_size;
	live->sender.run = (struct bpf_run) {
		.program = live->sender.run.program,
		.data_in = bpf_address(thread->buffer),
		.data_size_in = config->frame_size,
		.ctx_in = bpf_address(&live->context),
		.ctx_size_in = sizeof(live->context),
		.flags = RUN_LIVE_FRAMES,
		.batch_size = config->burst,
	};
	return 0;
}

static void xdp_live_close(struct tx_thread *thread)
{
	struct live *live = thread->state;

	if (live)
		bpf_sender_close(&live->sender);
	free(live);
}

/* A signal ends a call; whoever called looks at the stop flag. */
static int xdp_live_run(struct tx_thread *thread, uint32_t frames)
{
	struct live *live = thread->state;
	int err;

	__atomic_fetch_add(&live->calls, 1, __ATOMIC_RELAXED);
	live->sender.run.repeat = frames;
	err = bpf_prog_run(&live->sender.run);
	return err < 0 && err != -EINTR ? thread_fail(thread, -err, "bpf(BPF_PROG_RUN)") : 0;
}

static void xdp_live_look(struct tx_thread *thread)
{
	const struct live *live = thread->state;
	const uint64_t sent = __atomic_load_n(&live->sender.shared->sent, __ATOMIC_RELAXED);

	thread->counts.requested = thread->counts.submitted = thread->counts.completed = sent;
	thread->counts.calls = __atomic_load_n(&live->calls, __ATOMIC_RELAXED);
}

static int xdp_live_stream(struct tx_thread *thread)
{
	return xdp_live_run(thread, UINT32_MAX);
}

/* Not a slice's: what is looked at frame by frame. */
static unsigned int xdp_live_fill(struct tx_thread *thread)
{
	const unsigned int burst = thread->config->burst;

	return burst < MOST_QUEUED ? burst : MOST_QUEUED;
}

static int xdp_live_submit(struct tx_thread *thread, unsigned int frames)
{
	const int err = xdp_live_run(thread, frames);

	xdp_live_look(thread);
	return err;
}

/* The batch that no kernel takes is the first thing that it looks at of live frames. */
static int xdp_live_probe(struct core_error *error)
{
	unsigned char frame[CACHE_LINE] = { 0 };
	const int fd = bpf_probe(BPF_PROG_TYPE_XDP, error);
	struct bpf_run run = {
		.program = (uint32_t)fd,
		.data_in = bpf_address(frame),
		.data_size_in = sizeof(frame),
		.repeat = 1,
		.flags = RUN_LIVE_FRAMES,
		.batch_size = RUN_MAX_BATCH + 1,
	};
	int err;

	if (fd < 0)
		return fd;
	err = bpf_prog_run(&run);
	close(fd);
	return err == -E2BIG ? 0 : error_set(error, -err, "bpf(BPF_PROG_RUN, BPF_F_TEST_XDP_LIVE_FRAMES), "
					     "which Linux 5.18 has");
}

const struct tx_method xdp_live_method = {
	.info = {
		.name = "xdp_live",
		.help = "an XDP program redirects frames of its own: BPF_PROG_RUN with live frames",
		.path = "xdp_do_redirect, ndo_xdp_xmit: no skb, no qdisc; burst is the batch",
		.knobs = KNOB_INTERFACE | KNOB_FRAME_SIZE | KNOB_THREADS | KNOB_BURST | KNOB_FILL,
		.max_burst = RUN_MAX_BATCH,
		.sends_xdp = true,
		.call_ns = 30000000,
	},
	.in_netns = true,
	.probe = xdp_live_probe,
	.longest = xdp_live_longest,
	.memory = xdp_live_memory,
	.numbering = frame_numbering,
	.open = xdp_live_open,
	.fill = xdp_live_fill,
	.submit = xdp_live_submit,
	.reap = reap_submitted,
	.stream = xdp_live_stream,
	.look = xdp_live_look,
	.close = xdp_live_close,
};
