/*
 * What an engine is made of, one of bench's or of a user's own C file: its hooks (struct tx_method) and
 * what they are given, sockets and frames, and what several engines do alike. ring.h, umem.h, uring.h and
 * bpf.h have more.
 */
#ifndef ENGINE_H
#define ENGINE_H

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "api.h"
#include "arch.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define CACHE_LINE 64
#define NSEC_PER_SEC 1000000000ull
#define ETHERNET_HEADER HEADERS_ETHERNET
#define SOURCE_THREAD 11	/* of a frame's bytes that which is its thread's index */
#define VLAN_TAG 4		/* TPID and TCI, between the addresses and the EtherType */

/* A packet socket and what a method keeps beside it; one per thread, or one for all of them. */
struct tx_socket {
	const struct tx_config *config;
	unsigned int index;		/* of its thread; 0 of one that all share */
	int fd;
	bool mmap_unlocked;
	void *state;			/* the method's */
};

/* A sending thread. counts has cache lines of its own: only the thread writes them. */
struct tx_thread {
	struct tx_counts counts __attribute__((aligned(CACHE_LINE)));
	uint64_t number __attribute__((aligned(CACHE_LINE)));	/* of the next frame */
	const struct tx_config *config;
	struct tx_socket *socket;
	const int *stop;		/* the cell's: non-zero when the window is over */
	uint64_t deadline_ns;		/* waits end here even if nobody stops them */
	int flags;			/* of each system call: MSG_DONTWAIT or 0 */
	unsigned int index;
	unsigned char *frame;		/* a frame of each flow, copied from when fill is copy */
	unsigned char *buffer;		/* what the kernel is given: (super-)frames, stride apart */
	unsigned char *next;		/* the one that a method of single frames sends */
	size_t stride;
	void *state;			/* the method's */
	int helper;			/* id of a kernel's thread that sends for it; 0: none */
	int helper_clock;		/* task_clock_open(), of a helper that is not of this process */
	bool idle;			/* the engine's wait said that the kernel owns no frame */
	struct core_error error;	/* the first failure of a burst */
};

/*
 * A transmit method. Hooks return 0 or -errno. The required ones are fill, submit, reap, and for
 * a method that sends through an interface also numbering, and socket_open or open.
 */
struct tx_method {
	struct method_info info;
	bool in_netns;	/* calls act in the calling thread's namespace: it enters the cell's */
	int (*probe)(struct core_error *error);
	/* Optional: set headers, segments and before of frames that are not as all others. */
	void (*shape)(struct tx_config *config);
	/*
	 * Optional, and callable without opening anything. longest: bytes of the longest frame that
	 * it takes, CORE_MAX_FRAME if nothing else is said. check: what it refuses beside what all do.
	 * memory: what its rings and buffers take. numbering: which number a frame has.
	 */
	unsigned int (*longest)(unsigned int page_size);
	void (*check)(const struct tx_config *config, unsigned int page_size,
		      struct core_problems *problems);
	struct tx_memory (*memory)(const struct tx_config *config);
	struct tx_numbering (*numbering)(const struct tx_config *config);
	int (*socket_open)(struct tx_socket *socket, struct core_error *error);
	void (*socket_close)(struct tx_socket *socket);		/* may be half open */
	int (*open)(struct tx_thread *thread, struct core_error *error);
	/*
	 * A burst, in two steps. fill makes frames ready, as many of a burst as there is room for, and
	 * hands nothing to the kernel; it returns how many. submit follows, and hands them over.
	 * Refusals (EAGAIN, ENOBUFS) are counted and are no failure.
	 */
	unsigned int (*fill)(struct tx_thread *thread);
	int (*submit)(struct tx_thread *thread, unsigned int frames);
	/* A call takes one frame, and so does fill. Of several, submit fills the others by itself. */
	bool single;
	/*
	 * Optional: fill found no room. Wait for some, but no longer than until the thread is to stop
	 * or its deadline. Without this hook the core asks fill again.
	 */
	int (*room)(struct tx_thread *thread);
	/*
	 * Set counts.completed to what the kernel has given back. True: it still owns frames. What
	 * fails goes into thread->error.
	 */
	bool (*reap)(struct tx_thread *thread);
	/*
	 * Optional: sleep in the kernel for a while, until it gives frames back. True: it says that
	 * it owns none, which reap finds in thread->idle. Without this hook the core polls reap.
	 */
	bool (*wait)(struct tx_thread *thread);
	/*
	 * Optional: let calls under way come to their end, before the deadline, as a blocking call
	 * would. Then counts.submitted is whole.
	 */
	void (*settle)(struct tx_thread *thread);
	/*
	 * Optional: frames handed over that the kernel has not begun with, or that its send buffers
	 * do not show. They wait for the next burst. Nobody sends on the socket meanwhile.
	 */
	uint64_t (*left_behind)(const struct tx_socket *socket);
	/*
	 * Optional, for a call that is dear to begin and goes on until a signal ends it. In a slice
	 * the thread then calls stream instead of the two steps. It returns when a signal came, which is no
	 * failure. look brings the counts up to date meanwhile, in another thread.
	 */
	int (*stream)(struct tx_thread *thread);
	void (*look)(struct tx_thread *thread);
	void (*close)(struct tx_thread *thread);		/* may be half open */
	void (*facts)(const struct tx_socket *first, struct tx_facts *facts);	/* of the cell's sockets */
};

/* error.c: error_set and thread_fail record which call failed and return -code */
int error_set(struct core_error *error, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int thread_fail(struct tx_thread *thread, int code, const char *call);
void problem_add(struct core_problems *problems, const char *option, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* sock.c */
int sock_open(struct tx_socket *socket, struct core_error *error);
int sock_open_as(struct tx_socket *socket, int type, struct core_error *error);	/* SOCK_* */
int sock_sndbuf(const struct tx_socket *socket, struct core_error *error);
int sock_limits(const struct tx_socket *socket, struct core_error *error);	/* and a timeout */
int sock_bind(const struct tx_socket *socket, struct core_error *error);
int sock_open_bound(struct tx_socket *socket, struct core_error *error);
int sock_probe(struct core_error *error);
int sock_wmem(int fd);
bool sock_reap(struct tx_thread *thread);

/* frame.c: burst is that of the buffer, 1 for single frames, 0 where a ring's slots are it */
void frame_shape(const struct tx_method *method, struct tx_config *config);
void frame_check(const struct tx_config *config, struct core_problems *problems);
void frame_build(unsigned char *frame, const struct tx_config *config, unsigned int thread,
		 uint64_t number);
void frame_headers(unsigned char *frame, const struct tx_config *config, unsigned int thread,
		   unsigned int flow, unsigned int size);
int frame_buffers(struct tx_thread *thread, unsigned int burst, struct core_error *error);
uint64_t frame_memory(const struct tx_config *config, unsigned int burst);
struct tx_memory frame_memory_single(const struct tx_config *config);
struct tx_memory frame_memory_burst(const struct tx_config *config);
struct tx_numbering frame_numbering(const struct tx_config *config);
struct tx_numbering frame_numbering_burst(const struct tx_config *config);

/* super.c, which super.h says more of */
void super_check(const struct tx_config *config, struct core_problems *problems);
void super_build(unsigned char *super, const struct tx_config *config, unsigned int thread,
		 uint64_t number);

static inline unsigned int frame_payload(const struct tx_config *config)
{
	return config->frame_size - config->headers;
}

/* Bytes of a super-frame: one set of headers, and the payload of each frame. */
static inline unsigned int super_size(const struct tx_config *config)
{
	return config->headers + config->segments * frame_payload(config);
}

static inline unsigned int config_sockets(const struct tx_config *config)
{
	return config->socket_shared ? 1 : config->threads;
}

/* What a thread has had of its CPU, and how often it gave it up. */
struct thread_times {
	uint64_t cpu_ns;		/* CLOCK_THREAD_CPUTIME_ID */
	uint64_t user_ns;		/* these as getrusage(2) has them */
	uint64_t system_ns;
	uint64_t voluntary;
	uint64_t involuntary;
	uint64_t run_delay_ns;		/* runnable but not running */
};

/* task.c: of another thread of this process, or of any other, also of the kernel. All 0: it has ended. */
void task_times(pid_t tid, struct thread_times *times);
int task_clock_open(pid_t tid, struct core_error *error);	/* a file; needs CAP_PERFMON */
uint64_t task_clock_ns(int clock);

static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

/* Counters are read while they run: one writer, relaxed stores, no locked instruction. */
static inline void count(uint64_t *counter, uint64_t frames)
{
	__atomic_store_n(counter, *counter + frames, __ATOMIC_RELAXED);
}

/* reap of what the kernel gives back at once: all that was submitted is completed. */
static inline bool reap_submitted(struct tx_thread *thread)
{
	__atomic_store_n(&thread->counts.completed, thread->counts.submitted, __ATOMIC_RELAXED);
	return false;
}

static inline bool thread_stopped(const struct tx_thread *thread)
{
	return __atomic_load_n(thread->stop, __ATOMIC_RELAXED);
}

/* The tag's bytes: all that follows lies so much later in the frame. */
static inline unsigned int frame_tag(const struct tx_config *config)
{
	return unlikely(config->vlan_tag) ? VLAN_TAG : 0;
}

static inline void frame_number(unsigned char *frame, const struct tx_config *config,
				uint64_t number)
{
	const size_t at = config->headers + frame_tag(config);

	number = htole64(number);
	if (likely(config->frame_size >= at + sizeof(number)))
		memcpy(frame + at, &number, sizeof(number));
	else
		memcpy(frame + at, &number, config->frame_size - at);
}

/* fill: copy. One memcpy of the whole frame, then its number. */
static inline void frame_copy(unsigned char *to, const struct tx_thread *thread, uint64_t number)
{
	const struct tx_config *config = thread->config;
	const unsigned char *from = thread->frame;

	if (unlikely(config->flows > 1))
		from += number % config->flows * thread->stride;
	memcpy(to, from, config->frame_size);
	frame_number(to, config, number);
}

/* fill of the methods that have a buffer for each frame of a burst. */
static inline unsigned int burst_fill(struct tx_thread *thread)
{
	const unsigned int burst = thread->config->burst;
	unsigned int i;

	if (!thread->config->prefilled)
		for (i = 0; i < burst; i++)
			frame_copy(thread->buffer + i * thread->stride, thread, thread->number + i);
	return burst;
}

/* For the methods of single frames: another one than the last, copied or the next flow's. */
static inline void frame_next(struct tx_thread *thread, uint64_t number)
{
	if (!thread->config->prefilled)
		frame_copy(thread->next, thread, number);
	else
		thread->next = thread->buffer + number % thread->config->flows * thread->stride;
}

/*
 * A refused frame stays with the sender. Each refusal is counted; any other errno is a failure of
 * the cell. ETIMEDOUT is what a blocking send on a ring answers after SO_SNDTIMEO.
 */
static inline int thread_refused(struct tx_thread *thread, int code, const char *call)
{
	switch (code) {
	case EAGAIN:
	case ETIMEDOUT:
		count(&thread->counts.eagain, 1);
		return 0;
	case ENOBUFS:
		count(&thread->counts.enobufs, 1);
		count(&thread->counts.refused, thread->config->segments);
		return 0;
	case EINTR:
		return 0;
	default:
		return thread_fail(thread, code, call);
	}
}

/*
 * The hooks of the methods that send one frame with one system call. A turn of several frames
 * keeps the counters and the indirect calls out of the way of the single frame; the stop flag is
 * looked at before each, as each may block.
 *
 * System calls go through syscall(2): the C library's wrappers are cancellation points, which
 * costs two atomic operations a call as soon as a process has threads.
 */
#define FRAMES_PER_TURN 16

static inline bool single_is_fresh(const struct tx_thread *thread)
{
	return !thread->config->prefilled || thread->config->flows > 1;
}

static inline unsigned int single_fill(struct tx_thread *thread)
{
	if (single_is_fresh(thread))
		frame_next(thread, thread->number);
	return 1;
}

static inline __attribute__((always_inline))
int single_submit(struct tx_thread *thread, unsigned int frames, const char *name,
		  long (*call)(struct tx_thread *))
{
	const bool fresh = single_is_fresh(thread);
	unsigned int sent = 0;
	int code = 0;

	for (;;) {
		if (unlikely(call(thread) < 0)) {
			code = errno;
			break;
		}
		if (++sent == frames || thread_stopped(thread))
			break;
		if (fresh)
			frame_next(thread, thread->number + sent);
	}
	thread->number += sent;
	count(&thread->counts.requested, sent + !!code);
	count(&thread->counts.submitted, sent);
	count(&thread->counts.calls, sent + !!code);
	return unlikely(code) ? thread_refused(thread, code, name) : 0;
}

#endif
