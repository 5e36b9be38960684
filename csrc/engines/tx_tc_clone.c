/*
 * tc_clone: a program of type SCHED_CLS, run by BPF_PROG_RUN, hands clones of one frame to the
 * interface with bpf_clone_redirect: skb_clone, dev_queue_xmit. One call is one run of the program,
 * which loops over a burst. The receive side of lo and veth runs when the call has sent all of them,
 * as a run has bottom halves off.
 *
 * Clones share their data. fill: copy writes the whole frame with its number into the skb before
 * each is made (bpf_skb_store_bytes), for which the kernel gives it data of its own if a clone is
 * still under way (skb_ensure_writable). That is the filling: none is left for this side.
 *
 * A clone belongs to no socket, so nobody tells when it has left a queue.
 */
#include <stdlib.h>

#include "../bpf.h"

/*
 * bpf_clone_redirect returns what dev_queue_xmit does, a positive code (linux/netdevice.h): a frame
 * that was dropped, which others are told as ENOBUFS; or it is queued, and another was dropped.
 */
#define XMIT_CONGESTED 2

#define MOST_CLONES 1024
#define GROWN 2048			/* a longer frame does not fit the page of a run's skb for certain */
#define MOST_BYTES 16000		/* SKB_MAX_ALLOC with pages of 4 KiB, rounded down */

static unsigned int tc_clone_longest(unsigned int page_size)
{
	(void)page_size;
	return MOST_BYTES;
}

static struct tx_memory tc_clone_memory(const struct tx_config *config)
{
	return (struct tx_memory) { .bytes = bpf_memory(config) };
}

/* r6: skb, r8: shared. */
static void emit_store(struct bpf_code *code, const struct tx_config *config)
{
	emit(code, MOV_REG(BPF_REG_1, BPF_REG_6));
	emit(code, MOV_IMM(BPF_REG_2, 0));
	emit(code, MOV_REG(BPF_REG_3, BPF_REG_8));
	emit(code, ADD_IMM(BPF_REG_3, SHARED_FRAME));
	emit(code, MOV_IMM(BPF_REG_4, config->frame_size));
	emit(code, MOV_IMM(BPF_REG_5, 0));
	emit(code, CALL(HELPER_SKB_STORE_BYTES));
}

/* The rest of a frame that is longer than what a run takes from us. */
static void emit_grow(struct bpf_code *code, const struct tx_config *config)
{
	emit(code, MOV_REG(BPF_REG_1, BPF_REG_6));
	emit(code, MOV_IMM(BPF_REG_2, config->frame_size));
	emit(code, MOV_IMM(BPF_REG_3, 0));
	emit(code, CALL(HELPER_SKB_CHANGE_TAIL));
	emit_store(code, config);
}

/*
 * for (r7 = 0; r7 < burst; r7++) { fill; if (bpf_clone_redirect()) break; sent++; } return r7;
 */
static void tc_clone_code(struct bpf_code *code, const struct tx_config *config,
			  const struct bpf_sender *sender)
{
	int loop;

	emit(code, MOV_REG(BPF_REG_6, BPF_REG_1));
	emit(code, MOV_IMM(BPF_REG_7, 0));
	bpf_emit_shared(code, BPF_REG_8, sender);
	if (config->frame_size > GROWN)
		emit_grow(code, config);
	loop = (int)code->number;
	if (!config->prefilled) {
		bpf_emit_number(code, BPF_REG_8);
		emit_store(code, config);
	}
	emit(code, MOV_REG(BPF_REG_1, BPF_REG_6));
	emit(code, MOV_IMM(BPF_REG_2, config->ifindex));
	emit(code, MOV_IMM(BPF_REG_3, 0));
	emit(code, CALL(HELPER_CLONE_REDIRECT));
	emit(code, JUMP_EQUAL_IMM(BPF_REG_0, XMIT_CONGESTED, 1));
	emit(code, JUMP_UNEQUAL_IMM(BPF_REG_0, 0, 5));
	emit(code, LOAD_64(BPF_REG_1, BPF_REG_8, SHARED_SENT));
	emit(code, ADD_IMM(BPF_REG_1, 1));
	emit(code, STORE_64(BPF_REG_8, SHARED_SENT, BPF_REG_1));
	emit(code, ADD_IMM(BPF_REG_7, 1));
	emit(code, JUMP_LESS_IMM(BPF_REG_7, config->burst, loop - (int)code->number - 1));
	emit(code, STORE_64(BPF_REG_8, SHARED_RESULT, BPF_REG_0));
	emit(code, MOV_REG(BPF_REG_0, BPF_REG_7));
	emit(code, EXIT());
}

static int tc_clone_open(struct tx_thread *thread, struct core_error *error)
{
	const struct tx_config *config = thread->config;
	struct bpf_sender *sender = thread->state = calloc(1, sizeof(*sender));
	struct bpf_code code = { 0 };
	int err;

	if (!sender)
		return error_set(error, ENOMEM, "program of a thread");
	err = bpf_sender_open(sender, thread, 1, error);
	if (err)
		return err;
	sender->run.data_in = bpf_address(thread->buffer);
	sender->run.data_size_in = config->frame_size < GROWN ? config->frame_size : GROWN;
	sender->run.repeat = 1;
	tc_clone_code(&code, config, sender);
	return bpf_sender_load(sender, BPF_PROG_TYPE_SCHED_CLS, &code, error);
}

/* What ended a burst before its end. */
static int tc_clone_refused(struct tx_thread *thread, int64_t result)
{
	const int code = result > 0 ? ENOBUFS : (int)-result;

	count(&thread->counts.short_counts, 1);
	return thread_refused(thread, code, "bpf_clone_redirect");
}

static unsigned int tc_clone_fill(struct tx_thread *thread)
{
	return thread->config->burst;
}

static int tc_clone_submit(struct tx_thread *thread, unsigned int burst)
{
	struct bpf_sender *sender = thread->state;
	const int err = bpf_prog_run(&sender->run);

	count(&thread->counts.calls, 1);
	count(&thread->counts.requested, burst);
	if (unlikely(err < 0))
		return thread_fail(thread, -err, "bpf(BPF_PROG_RUN)");
	count(&thread->counts.submitted, sender->run.retval);
	if (unlikely(sender->run.retval < burst))
		return tc_clone_refused(thread, sender->shared->result);
	return 0;
}

static void tc_clone_close(struct tx_thread *thread)
{
	if (thread->state)
		bpf_sender_close(thread->state);
	free(thread->state);
}

static int tc_clone_probe(struct core_error *error)
{
	const int fd = bpf_probe(BPF_PROG_TYPE_SCHED_CLS, error);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

const struct tx_method tc_clone_method = {
	.info = {
		.name = "tc_clone",
		.help = "a BPF program sends clones of one frame: BPF_PROG_RUN, bpf_clone_redirect",
		.path = "skb_clone, dev_queue_xmit; a burst in one run of a SCHED_CLS program",
		.knobs = KNOB_INTERFACE | KNOB_FRAME_SIZE | KNOB_THREADS | KNOB_BURST | KNOB_FILL,
		.max_burst = MOST_CLONES,
		.untold = true,
	},
	.in_netns = true,
	.probe = tc_clone_probe,
	.longest = tc_clone_longest,
	.memory = tc_clone_memory,
	.numbering = frame_numbering,
	.open = tc_clone_open,
	.fill = tc_clone_fill,
	.submit = tc_clone_submit,
	.reap = reap_submitted,
	.close = tc_clone_close,
};
