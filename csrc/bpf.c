/*
 * bpf(2): loading a program, memory shared with it, running it.
 *
 * A bare array map with BPF_F_MMAPABLE is shared by mmap and needs no BTF: the program has the address
 * of its one value as a constant (BPF_PSEUDO_MAP_VALUE).
 */
#include <sys/mman.h>

#include "bpf.h"

#define MAP_MMAPABLE (1u << 10)		/* BPF_F_MMAPABLE, from 5.5 on */
#define PSEUDO_MAP_VALUE 2		/* BPF_PSEUDO_MAP_VALUE, from 5.2 on */

static const char licence[] = "GPL";	/* bpf_clone_redirect and others ask for it */

static int bpf_call(int command, void *attributes, size_t size)
{
	const long result = syscall(SYS_bpf, command, attributes, size);

	return result < 0 ? -errno : (int)result;
}

static int bpf_failed(int result, const char *what, struct core_error *error)
{
	return error_set(error, -result, "%s%s", what,
			 result == -EPERM ? " needs root (CAP_BPF and CAP_NET_ADMIN)" : "");
}

static size_t shared_length(const struct tx_config *config)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	const size_t bytes = sizeof(struct bpf_shared) + config->frame_size + sizeof(uint64_t);

	return (bytes + page - 1) / page * page;
}

uint64_t bpf_memory(const struct tx_config *config)
{
	return frame_memory(config, 1) + (uint64_t)config->threads * shared_length(config);
}

static int array_create(size_t length, struct core_error *error)
{
	union bpf_attr attributes = {
		.map_type = BPF_MAP_TYPE_ARRAY,
		.key_size = sizeof(uint32_t),
		.value_size = (uint32_t)length,
		.max_entries = 1,
		.map_flags = MAP_MMAPABLE,
	};
	const int fd = bpf_call(BPF_MAP_CREATE, &attributes, sizeof(attributes));

	return fd >= 0 ? fd : bpf_failed(fd, "bpf(BPF_MAP_CREATE, BPF_F_MMAPABLE)", error);
}

static int program_load(unsigned int type, const struct bpf_insn *list, unsigned int number,
			struct core_error *error)
{
	union bpf_attr attributes = {
		.prog_type = type,
		.insn_cnt = number,
		.insns = bpf_address(list),
		.license = bpf_address(licence),
	};
	const int fd = bpf_call(BPF_PROG_LOAD, &attributes, sizeof(attributes));

	return fd >= 0 ? fd : bpf_failed(fd, "bpf(BPF_PROG_LOAD)", error);
}

int bpf_prog_run(struct bpf_run *run)
{
	return bpf_call(BPF_PROG_TEST_RUN, run, sizeof(*run));
}

/* Its frame, and the part of an array that it shares with the program. */
static int sender_map(struct bpf_sender *sender, struct tx_thread *thread, int array,
		      unsigned int place, struct core_error *error)
{
	const off_t offset = (off_t)(place * sender->length);
	void *map;

	map = mmap(NULL, sender->length, PROT_READ | PROT_WRITE, MAP_SHARED, array, offset);
	if (map == MAP_FAILED)
		return error_set(error, errno, "mmap of a BPF array of %zu bytes", sender->length);
	sender->shared = map;
	memcpy(sender->shared->frame, thread->frame, thread->config->frame_size);
	return 0;
}

static int sender_begin(struct bpf_sender *sender, struct tx_thread *thread, struct core_error *error)
{
	const int err = frame_buffers(thread, 1, error);

	if (err)
		return err;
	sender->opened = true;
	sender->array = sender->program = -1;
	sender->length = shared_length(thread->config);
	return 0;
}

int bpf_sender_open(struct bpf_sender *sender, struct tx_thread *thread, unsigned int threads,
		    struct core_error *error)
{
	const int err = sender_begin(sender, thread, error);

	if (err)
		return err;
	sender->array = array_create(threads * sender->length, error);
	if (sender->array < 0)
		return sender->array;
	return sender_map(sender, thread, sender->array, 0, error);
}

int bpf_sender_join(struct bpf_sender *sender, struct tx_thread *thread,
		    const struct bpf_sender *first, struct core_error *error)
{
	const int err = sender_begin(sender, thread, error);

	if (err)
		return err;
	sender->run.program = (uint32_t)first->program;
	return sender_map(sender, thread, first->array, thread->index, error);
}

void bpf_sender_close(struct bpf_sender *sender)
{
	if (!sender->opened)
		return;
	if (sender->shared)
		munmap(sender->shared, sender->length);
	if (sender->program >= 0)
		close(sender->program);
	if (sender->array >= 0)
		close(sender->array);
}

void bpf_emit_shared(struct bpf_code *code, unsigned int reg, const struct bpf_sender *sender)
{
	emit(code, INSN(BPF_LD | BPF_DW | BPF_IMM, reg, PSEUDO_MAP_VALUE, 0, sender->array));
	emit(code, INSN(0, 0, 0, 0, 0));
}

void bpf_emit_number(struct bpf_code *code, unsigned int shared)
{
	emit(code, LOAD_64(BPF_REG_1, shared, SHARED_SENT));
	emit(code, LITTLE_ENDIAN_64(BPF_REG_1));
	emit(code, STORE_64(shared, SHARED_NUMBER, BPF_REG_1));
}

int bpf_sender_load(struct bpf_sender *sender, unsigned int type, const struct bpf_code *code,
		    struct core_error *error)
{
	if (code->number > ARRAY_SIZE(code->list))
		return error_set(error, E2BIG, "program of %u instructions", code->number);
	sender->program = program_load(type, code->list, code->number, error);
	if (sender->program < 0)
		return sender->program;
	sender->run.program = (uint32_t)sender->program;
	return 0;
}

int bpf_probe(unsigned int type, struct core_error *error)
{
	const struct bpf_insn program[] = { MOV_IMM(BPF_REG_0, 1), EXIT() };

	return program_load(type, program, ARRAY_SIZE(program), error);
}
