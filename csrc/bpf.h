/*
 * Programs in the kernel that send: loaded by the bpf(2) system call itself, run by BPF_PROG_RUN, with
 * a page or more of memory that they share with us. All of it is gone when the process is.
 *
 * The kernel's part of the boundary stands here in numbers of our own where headers of Linux 5.10
 * lack it (include/uapi/linux/bpf.h).
 */
#ifndef BPF_H
#define BPF_H

#include <linux/bpf.h>

#include "engine.h"

/* Helpers, BPF_FUNC_* */
enum {
	HELPER_SKB_STORE_BYTES = 9,
	HELPER_CLONE_REDIRECT = 13,
	HELPER_REDIRECT = 23,
	HELPER_SKB_CHANGE_TAIL = 38,
	HELPER_XDP_STORE_BYTES = 190,
};

#define RUN_LIVE_FRAMES (1u << 1)	/* BPF_F_TEST_XDP_LIVE_FRAMES */
#define RUN_MAX_BATCH 256		/* TEST_XDP_MAX_BATCH, net/bpf/test_run.c */

/* Instructions */
#define INSN(c, d, s, o, i) \
	((struct bpf_insn) { .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) })
#define MOV_IMM(d, i) INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, (int)(i))
#define MOV_REG(d, s) INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define ADD_IMM(d, i) INSN(BPF_ALU64 | BPF_ADD | BPF_K, d, 0, 0, (int)(i))
#define ADD_REG(d, s) INSN(BPF_ALU64 | BPF_ADD | BPF_X, d, s, 0, 0)
#define MUL_IMM(d, i) INSN(BPF_ALU64 | BPF_MUL | BPF_K, d, 0, 0, (int)(i))
#define LITTLE_ENDIAN_64(d) INSN(BPF_ALU | BPF_END | BPF_TO_LE, d, 0, 0, 64)
#define LOAD_8(d, s, o) INSN(BPF_LDX | BPF_MEM | BPF_B, d, s, o, 0)
#define LOAD_32(d, s, o) INSN(BPF_LDX | BPF_MEM | BPF_W, d, s, o, 0)
#define LOAD_64(d, s, o) INSN(BPF_LDX | BPF_MEM | BPF_DW, d, s, o, 0)
#define STORE_64(d, o, s) INSN(BPF_STX | BPF_MEM | BPF_DW, d, s, o, 0)
#define JUMP_EQUAL_IMM(d, i, o) INSN(BPF_JMP | BPF_JEQ | BPF_K, d, 0, o, (int)(i))
#define JUMP_UNEQUAL_IMM(d, i, o) INSN(BPF_JMP | BPF_JNE | BPF_K, d, 0, o, (int)(i))
#define JUMP_GREATER(d, s, o) INSN(BPF_JMP | BPF_JGT | BPF_X, d, s, o, 0)
#define JUMP_LESS_IMM(d, i, o) INSN(BPF_JMP | 0xa0 | BPF_K, d, 0, o, (int)(i))
#define CALL(helper) INSN(BPF_JMP | BPF_CALL, 0, 0, 0, helper)
#define EXIT() INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

/* What a program and this side share. */
struct bpf_shared {
	uint64_t sent;			/* frames; the program's */
	int64_t result;			/* of the helper that ended a burst */
	unsigned char reserved[CACHE_LINE - 16];
	unsigned char pad[2];		/* the frame's number (frame.c) is at a multiple of 8 */
	unsigned char frame[];		/* which a program copies that fills */
};

/* From the beginning of what is shared. */
#define SHARED_SENT ((int)offsetof(struct bpf_shared, sent))
#define SHARED_RESULT ((int)offsetof(struct bpf_shared, result))
#define SHARED_FRAME ((int)offsetof(struct bpf_shared, frame))
#define SHARED_NUMBER (SHARED_FRAME + ETHERNET_HEADER)

/* A program under construction. One with more instructions than have room is refused. */
struct bpf_code {
	struct bpf_insn list[64];
	unsigned int number;
};

/* union bpf_attr as BPF_PROG_RUN has it since 5.18 */
struct bpf_run {
	uint32_t program;
	uint32_t retval;
	uint32_t data_size_in;
	uint32_t data_size_out;
	uint64_t data_in;
	uint64_t data_out;
	uint32_t repeat;
	uint32_t duration;
	uint32_t ctx_size_in;
	uint32_t ctx_size_out;
	uint64_t ctx_in;
	uint64_t ctx_out;
	uint32_t flags;
	uint32_t cpu;
	uint32_t batch_size;
	uint32_t end;			/* to a multiple of 8 */
};

/* A thread's program, its own or the first thread's. All zero before it is opened. */
struct bpf_sender {
	bool opened;
	int array;			/* this and program: -1 of one that uses another's */
	int program;
	struct bpf_shared *shared;
	size_t length;			/* bytes of shared */
	struct bpf_run run;
};

static inline void emit(struct bpf_code *code, struct bpf_insn insn)
{
	if (code->number < ARRAY_SIZE(code->list))
		code->list[code->number] = insn;
	code->number++;
}

/*
 * bpf.c; bpf_sender_close accepts a half-open sender. Either each thread opens a sender of its own, or the
 * first opens one for all threads, which the others join: what thread i shares is i lengths behind what
 * the first one does.
 */
int bpf_sender_open(struct bpf_sender *sender, struct tx_thread *thread, unsigned int threads,
		    struct core_error *error);
int bpf_sender_join(struct bpf_sender *sender, struct tx_thread *thread,
		    const struct bpf_sender *first, struct core_error *error);
void bpf_sender_close(struct bpf_sender *sender);
/* register = the address of what is shared, of the first thread: two instructions */
void bpf_emit_shared(struct bpf_code *code, unsigned int reg, const struct bpf_sender *sender);
/* The number of the next frame (sent) into the frame that is copied; r1 is lost. */
void bpf_emit_number(struct bpf_code *code, unsigned int shared);
int bpf_sender_load(struct bpf_sender *sender, unsigned int type, const struct bpf_code *code,
		    struct core_error *error);
int bpf_prog_run(struct bpf_run *run);	/* -errno */
uint64_t bpf_memory(const struct tx_config *config);
int bpf_probe(unsigned int type, struct core_error *error);	/* a descriptor of a program */

static inline uint64_t bpf_address(const void *pointer)
{
	return (uint64_t)(uintptr_t)pointer;
}

#endif
