/*
 * An io_uring by its system calls: a ring of submissions, a ring of completions. The kernel's
 * declarations are include/uapi/linux/io_uring.h of Linux 6.18, under names of our own: headers of
 * older kernels lack some, or the whole file.
 */
#ifndef URING_H
#define URING_H

#include "engine.h"

#define URING_MOST_ENTRIES 32768	/* io_uring/io_uring.h, IORING_MAX_ENTRIES */

enum { URING_OP_SENDMSG = 9, URING_OP_SEND = 26 };

#define URING_FIXED_FILE 0x1		/* of a submission's flags */
#define URING_SETUP_SQPOLL 0x2
#define URING_SETUP_SQ_AFF 0x4
#define URING_NEED_WAKEUP 0x1		/* of the submission ring's flags */

struct uring_submission {
	uint8_t opcode;
	uint8_t flags;
	uint16_t priority;
	int32_t fd;			/* or the index of a registered file */
	uint64_t offset;
	uint64_t address;
	uint32_t length;
	uint32_t message_flags;
	uint64_t user_data;
	uint64_t rest[3];
};

struct uring_completion {
	uint64_t user_data;
	int32_t result;			/* bytes, or -errno */
	uint32_t flags;
};

struct uring {
	int fd;
	unsigned int entries;		/* of the submission ring; a power of two */
	uint32_t *head, *tail, *flags, *indices;
	struct uring_submission *submissions;
	uint32_t *done_head, *done_tail, done_mask;
	struct uring_completion *completions;
	void *rings;			/* both rings in one mapping */
	size_t rings_length, submissions_length;
};

/* uring.c; closing accepts what is half open */
int uring_open(struct uring *uring, unsigned int entries, int poller_cpu,
	       struct core_error *error);	/* poller_cpu: of a kernel thread that submits; -1: none */
int uring_register_file(const struct uring *uring, int fd, struct core_error *error);
/* Hand over what is in the ring; or wait for a completion, but not for ever. Returns -errno. */
int uring_enter(const struct uring *uring);
int uring_wait(const struct uring *uring);
int uring_wake(const struct uring *uring);
int uring_poller(const struct uring *uring, struct core_error *error);	/* the thread's id */
void uring_close(struct uring *uring);

#endif
