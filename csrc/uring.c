/*
 * io_uring: setting one up, registering, entering the kernel.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

#include "uring.h"

#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup 425		/* on every CPU */
#define SYS_io_uring_enter 426
#define SYS_io_uring_register 427
#endif

#define ENTER_GETEVENTS 0x1
#define ENTER_SQ_WAKEUP 0x2
#define ENTER_EXT_ARG 0x8
#define FEAT_SINGLE_MMAP 0x1
#define FEAT_EXT_ARG 0x100		/* Linux 5.11 */
#define REGISTER_FILES 2
#define SUBMISSIONS_AT 0x10000000ul
#define POLLER_IDLE_MS 1
#define START_NS (10 * NSEC_PER_SEC)
#define WAIT_NS 100000000		/* as a packet socket's SO_SNDTIMEO */

struct offsets {
	uint32_t head, tail, mask, entries, flags_or_overflow, dropped_or_cqes, array_or_flags,
		 reserved;
	uint64_t address;
};

struct setup {
	uint32_t entries, done_entries, flags, poller_cpu, poller_idle_ms, features, wq_fd,
		 reserved[3];
	struct offsets submission, completion;
};

struct wait_argument {
	uint64_t signals;
	uint32_t signals_size, reserved;
	uint64_t timeout;		/* points to a time of 64 bits */
};

/* Why a kernel that has io_uring refuses it: 1, to who is not in kernel.io_uring_group; 2, to all. */
static const char *refusal(int code)
{
	static const char *const told[] = {
		"", " (kernel.io_uring_disabled is 1)", " (kernel.io_uring_disabled is 2)",
	};
	char text = '0';
	int fd;

	if (code == ENOSYS)
		return ": this kernel is without CONFIG_IO_URING";
	if (code != EPERM)
		return "";
	fd = open("/proc/sys/kernel/io_uring_disabled", O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && read(fd, &text, 1) != 1)
		text = '0';
	if (fd >= 0)
		close(fd);
	return text == '1' || text == '2' ? told[text - '0'] : "";
}

static int uring_map(struct uring *uring, const struct setup *setup, struct core_error *error)
{
	const struct offsets *in = &setup->submission, *out = &setup->completion;
	const size_t in_end = in->array_or_flags + setup->entries * sizeof(uint32_t);
	const size_t out_end = out->dropped_or_cqes +
			       setup->done_entries * sizeof(struct uring_completion);
	const int access = PROT_READ | PROT_WRITE, how = MAP_SHARED | MAP_POPULATE;
	unsigned char *rings;
	void *submissions;

	uring->rings_length = in_end > out_end ? in_end : out_end;
	rings = mmap(NULL, uring->rings_length, access, how, uring->fd, 0);
	if (rings == MAP_FAILED)
		return error_set(error, errno, "mmap of an io_uring's rings");
	uring->rings = rings;
	uring->head = (uint32_t *)(rings + in->head);
	uring->tail = (uint32_t *)(rings + in->tail);
	uring->flags = (uint32_t *)(rings + in->flags_or_overflow);
	uring->indices = (uint32_t *)(rings + in->array_or_flags);
	uring->done_head = (uint32_t *)(rings + out->head);
	uring->done_tail = (uint32_t *)(rings + out->tail);
	uring->done_mask = *(uint32_t *)(rings + out->mask);
	uring->completions = (struct uring_completion *)(rings + out->dropped_or_cqes);
	uring->submissions_length = setup->entries * sizeof(*uring->submissions);
	submissions = mmap(NULL, uring->submissions_length, access, how, uring->fd,
			   (off_t)SUBMISSIONS_AT);
	if (submissions == MAP_FAILED)
		return error_set(error, errno, "mmap of an io_uring's submissions");
	uring->submissions = submissions;
	return 0;
}

int uring_open(struct uring *uring, unsigned int entries, int poller_cpu,
	       struct core_error *error)
{
	struct setup setup = { 0 };
	int err;

	uring->fd = -1;
	if (poller_cpu >= 0) {
		setup.flags = URING_SETUP_SQPOLL | URING_SETUP_SQ_AFF;
		setup.poller_cpu = (uint32_t)poller_cpu;
		setup.poller_idle_ms = POLLER_IDLE_MS;
	}
	uring->fd = (int)syscall(SYS_io_uring_setup, entries, &setup);
	if (uring->fd < 0) {
		err = errno;
		return error_set(error, err, "io_uring_setup(%u)%s", entries, refusal(err));
	}
	uring->entries = setup.entries;
	if (~setup.features & (FEAT_SINGLE_MMAP | FEAT_EXT_ARG))
		return error_set(error, EOPNOTSUPP, "io_uring of a kernel before 5.11");
	return uring_map(uring, &setup, error);
}

int uring_register_file(const struct uring *uring, int fd, struct core_error *error)
{
	if (syscall(SYS_io_uring_register, uring->fd, REGISTER_FILES, &fd, 1) < 0)
		return error_set(error, errno, "io_uring_register(a file)");
	return 0;
}

static int enter(const struct uring *uring, unsigned int submit, unsigned int complete,
		 unsigned int flags, const void *argument, size_t size)
{
	return syscall(SYS_io_uring_enter, uring->fd, submit, complete, flags, argument,
		       size) < 0 ? -errno : 0;
}

int uring_enter(const struct uring *uring)
{
	const uint32_t left = *uring->tail - __atomic_load_n(uring->head, __ATOMIC_ACQUIRE);

	return enter(uring, left, 0, 0, NULL, 0);
}

int uring_wait(const struct uring *uring)
{
	const struct { int64_t seconds, ns; } timeout = { 0, WAIT_NS };
	const struct wait_argument argument = { .timeout = (uintptr_t)&timeout };
	const uint32_t left = *uring->tail - __atomic_load_n(uring->head, __ATOMIC_ACQUIRE);
	const int err = enter(uring, left, 1, ENTER_GETEVENTS | ENTER_EXT_ARG, &argument,
			      sizeof(argument));

	return err == -ETIME ? 0 : err;
}

int uring_wake(const struct uring *uring)
{
	return enter(uring, 0, 0, ENTER_SQ_WAKEUP, NULL, 0);
}

/*
 * /proc/self/fdinfo has it: "SqThread:\t123". Until the thread has run for the first time some
 * kernels have the id of the caller there (io_sq_offload_create: task_pid), others -1.
 */
static int poller_told(const struct uring *uring)
{
	char line[128];
	int thread = 0;
	FILE *file;

	snprintf(line, sizeof(line), "/proc/self/fdinfo/%d", uring->fd);
	file = fopen(line, "re");
	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "SqThread: %d", &thread) == 1)
			break;
	fclose(file);
	return thread > 0 && thread != syscall(SYS_gettid) ? thread : 0;
}

int uring_poller(const struct uring *uring, struct core_error *error)
{
	const uint64_t deadline_ns = clock_ns(CLOCK_MONOTONIC) + START_NS;
	const struct timespec nap = { .tv_nsec = 100000 };
	int thread;

	while (!(thread = poller_told(uring))) {
		if (clock_ns(CLOCK_MONOTONIC) >= deadline_ns)
			return error_set(error, ETIMEDOUT, "start of io_uring's SQPOLL thread");
		clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
	}
	return thread;
}

void uring_close(struct uring *uring)
{
	if (uring->submissions)
		munmap(uring->submissions, uring->submissions_length);
	if (uring->rings)
		munmap(uring->rings, uring->rings_length);
	if (uring->fd >= 0)
		close(uring->fd);
}
