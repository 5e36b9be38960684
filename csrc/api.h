/*
 * The boundary of the core: plain declarations, read verbatim by cffi (no guards, no includes).
 *
 * Functions return 0, a count or -errno; where they take a struct core_error they also say there
 * which call failed. The core never prints or exits, and touches no signal but the one that ends a
 * stream (stream.c). Times are nanoseconds, sizes are bytes, a frame size runs from the destination
 * MAC to the end of the payload.
 */

#define CORE_MAX_THREADS 64
#define CORE_ERROR_TEXT 192
#define CORE_ETHERTYPE 0x88b5	/* IEEE 802 local experimental EtherType 1 */

/* The axes of bench (bench/model/axes.py) that a method may read, beside options of its own. */
#define KNOB_INTERFACE 0x0001	/* sends through a real interface: interface and qdisc apply */
#define KNOB_FRAME_SIZE 0x0002
#define KNOB_THREADS 0x0004
#define KNOB_SOCKET 0x0008
#define KNOB_BURST 0x0010
#define KNOB_FILL 0x0020
#define KNOB_SNDBUF 0x0100
#define KNOB_MSG_DONTWAIT 0x0200
#define KNOB_QDISC_BYPASS 0x0400
#define KNOB_FLOWS 0x8000
#define KNOB_VLAN 0x10000
#define KNOB_PROTOCOL 0x20000
#define KNOB_MALFORMED 0x40000

#define CORE_MIN_FRAME 14	/* an Ethernet header */
#define CORE_MAX_FRAME 65535
#define CORE_MAX_FLOWS 4096

/* The types of an option's value. */
#define OPTION_FLAG 0		/* 0 or 1 */
#define OPTION_WHOLE 1		/* a whole number from low to high */
#define OPTION_SIZE 2		/* bytes, from low to high */
#define OPTION_CHOICE 3		/* the index of one of the choices */
#define OPTION_RING 4		/* a ring's geometry */

#define CORE_MAX_OPTIONS 16
#define CORE_MAX_CHOICES 8

/* Bytes before a frame's number, without a VLAN tag. */
#define HEADERS_ETHERNET 14
#define HEADERS_UDP 42		/* of UDP over IPv4 */
#define HEADERS_TCP 54		/* of TCP over IPv4 */

#define CORE_MAX_SEGMENTS 128	/* UDP_MAX_SEGMENTS; 64 before Linux 6.9 */

/* How an engine numbers its frames. */
#define NUMBERING_CONTINUES 0	/* from burst to burst, each thread for itself */
#define NUMBERING_PER_BURST 1	/* from 0 in each burst */
#define NUMBERING_PER_SLOT 2	/* a ring's slot keeps its number, whichever thread sends it */

/* What its frames are. */
#define FORM_OURS 0		/* csrc/frame.c */
#define FORM_PKTGEN 1		/* the kernel's generator's: UDP over IPv4, a header of its own */

#define CORE_MAX_PROBLEMS 8
#define CORE_MAX_OWN 16		/* methods of the user's own C files */

struct core_error {
	int code;			/* -errno, 0: none */
	char text[CORE_ERROR_TEXT];	/* which call failed, with what */
};

/* What cannot work; the option is the axis that a user changes to mend it. */
struct core_problems {
	unsigned int number;
	struct core_problem {
		const char *option;
		char text[CORE_ERROR_TEXT];	/* what is wrong; what is allowed */
	} list[CORE_MAX_PROBLEMS];
};

struct knob_info {
	const char *name;		/* of the axis that sets it */
	unsigned int bits;
};

struct ring_geometry {
	unsigned int version;		/* TPACKET version: 1, 2, 3 */
	unsigned int block_size;
	unsigned int block_nr;
	unsigned int frame_size;	/* of a slot */
};

union option_value {
	uint64_t number;		/* of every type but OPTION_RING */
	struct ring_geometry ring;
};

/*
 * An option of an engine's own: an axis of the matrix, which only the engines that declare it read.
 * Those that declare the same name have to declare the same option.
 */
struct option_info {
	const char *name;
	const char *help;		/* what it does, with the unit of a whole number */
	unsigned int type;		/* OPTION_* */
	uint64_t low;
	uint64_t high;
	const char *choices[CORE_MAX_CHOICES];
	union option_value fallback;	/* the value where a matrix does not name the option */
	const char *after;		/* the axis of bench that it follows in tables; NULL: the last */
	bool sending_only;		/* opening a cell does not depend on it */
};

struct method_info {
	const char *name;
	const char *help;
	const char *path;		/* the way through the kernel */
	unsigned int knobs;		/* KNOB_* */
	unsigned int max_burst;		/* frames that one system call takes at most; 0: any */
	bool alone;			/* two cells of it cannot be open on one interface */
	const struct option_info *options;
	unsigned int option_nr;		/* at most CORE_MAX_OPTIONS */
	bool sends_xdp;			/* XDP frames, past the qdisc: only some drivers take them */
	bool untold;			/* nobody is told when a frame has left a queue */
	bool by_route;			/* IPv4 of the kernel's: it needs a way that topology makes */
	uint64_t call_ns;		/* about what a call waits beside its frames; 0: for nothing */
};

struct tx_config {
	const char *method;
	unsigned int ifindex;		/* in the network namespace of the thread that opens */
	unsigned int frame_size;
	unsigned int threads;
	unsigned int socket_shared;	/* all threads on one socket (and ring) */
	unsigned int burst;
	unsigned int prefilled;		/* 0: copy each frame before each send */
	unsigned int sndbuf_force;	/* SO_SNDBUFFORCE instead of SO_SNDBUF */
	unsigned int sndbuf_bytes;	/* as given to setsockopt; 0: leave the default */
	unsigned int msg_dontwait;
	unsigned int qdisc_bypass;
	unsigned int flows;		/* more than 1: UDP over IPv4, frame i belongs to flow i modulo flows */
	uint32_t vlan_tag;		/* TPID and TCI as they stand in the frame; 0: no tag */
	unsigned int protocol;		/* that sockets are opened with: 0, or ETH_P_ALL to receive too */
	uint32_t malformed;		/* of a million slots: those that the kernel must refuse */
	unsigned char dst[6];
	unsigned char src[6];		/* the last byte is replaced by the thread's index */
	int cpus[CORE_MAX_THREADS];	/* thread i is pinned to cpus[i]; -1: runs where the caller may */
	union option_value options[CORE_MAX_OPTIONS];	/* the method's, in the order of its table */
	/* What follows from the rest; the core fills it in. */
	unsigned int headers;		/* HEADERS_* */
	unsigned int segments;		/* frames of a super-frame; 1: each frame has an skb */
	unsigned int before;		/* bytes that the kernel wants before a frame */
};

/* What was really set up, read back from the kernel. */
struct tx_facts {
	unsigned int sndbuf;		/* sk_sndbuf: twice what was asked for (socket(7)) */
	unsigned int mmap_unlocked;	/* MAP_LOCKED was refused, the ring is populated only */
	unsigned int zero_copy;		/* the driver takes frames from our memory (AF_XDP) */
	unsigned int ring_frames;	/* this and memory: as core_memory() has them */
	uint64_t memory;
};

/* What a cell takes, known before it is opened. */
struct tx_memory {
	uint64_t bytes;			/* rings and buffers of all threads */
	uint64_t locked;		/* the largest mapping that is to be locked */
	unsigned int ring_frames;	/* that a ring holds */
};

struct tx_numbering {
	unsigned int kind;		/* NUMBERING_* */
	unsigned int period;		/* frames after which the numbers repeat; 0: never */
	unsigned int streams;		/* source addresses, each of which has numbers of its own */
	unsigned int form;		/* FORM_* */
	bool kernel_headers;		/* the kernel writes all headers: the MAC is the interface's */
	unsigned int headers;		/* this and segments: the core fills them in */
	unsigned int segments;
};

/*
 * Counters of one thread. requested: frames handed over, each time they were; submitted: accepted
 * by the call (ring: given to the kernel by their status); completed: given back by the kernel.
 * A malformed frame that is sent again, mended, is requested twice; one that the kernel skips is
 * neither submitted nor completed.
 */
struct tx_counts {
	uint64_t requested;
	uint64_t submitted;
	uint64_t completed;
	uint64_t calls;			/* system calls that hand over frames */
	uint64_t short_counts;		/* calls that took only part of what was handed over */
	uint64_t eagain;
	uint64_t enobufs;
	uint64_t full_waits;		/* times that no ring slot was free */
	uint64_t refused;		/* frames known to have been dropped: ENOBUFS */
	uint64_t malformed;		/* frames refused as malformed, which they were on purpose */
};

struct tx_slice_plan {
	uint64_t warmup_ns;
	uint64_t window_ns;
	uint64_t drain_ns;		/* the longest wait for frames that the kernel owns */
	/* A shaper on the way, token buckets of all ways together. 0: none. */
	uint64_t shaper_rate;		/* bytes per second */
	uint64_t shaper_burst;		/* bytes */
};

struct tx_thread_sample {
	struct tx_counts window;	/* of what the thread sent between the edges */
	struct tx_counts slice;		/* warm-up and drain included */
	uint64_t open_ns;		/* CLOCK_MONOTONIC when it began to send, and when it stopped */
	uint64_t close_ns;
	uint64_t cpu_ns;		/* CLOCK_THREAD_CPUTIME_ID */
	uint64_t user_ns;		/* getrusage(RUSAGE_THREAD): sampled by ticks on most kernels */
	uint64_t system_ns;
	uint64_t run_delay_ns;		/* runnable but not running (/proc/thread-self/schedstat) */
	uint64_t voluntary;		/* context switches */
	uint64_t involuntary;
	uint64_t wmem_high;		/* highest sk_wmem_alloc seen */
	bool undrained;			/* the kernel still owned frames at a deadline */
	int cpu;			/* sched_getcpu() at the closing edge */
	int moved;			/* at an edge not on its cpu; not pinned: on two at the two */
};

struct tx_slice {
	uint64_t wall_ns;		/* opening to closing edge, at which as much is under way */
	unsigned int threads;
	struct tx_thread_sample thread[CORE_MAX_THREADS];
};

struct tx_cell;

const char *core_hash(void);		/* SHA-256 of the sources, hexadecimal */
const char *core_flags(void);		/* that it was compiled with */
const char *core_compiler(void);	/* its version, and the flags */

/*
 * Load a user's engine, compiled and linked with this core: the index of its method, or -errno with
 * what is wrong with it.
 */
int core_own_load(const char *path, struct core_error *error);

int core_method_count(void);
const struct method_info *core_method(int index);
int core_method_probe(int index, struct core_error *error);	/* 0: this kernel offers it */
unsigned int core_method_longest(int index, unsigned int page_size);	/* frame, in bytes */
int core_knob_count(void);
const struct knob_info *core_knob(int index);

/* What an engine says of a cell that is not opened. Of no method: nothing. */
void core_check(const struct tx_config *config, unsigned int page_size,
		struct core_problems *problems);
void core_memory(const struct tx_config *config, struct tx_memory *memory);
void core_numbering(const struct tx_config *config, struct tx_numbering *numbering);

struct tx_cell *tx_cell_open(const struct tx_config *config, struct core_error *error);
void tx_cell_facts(const struct tx_cell *cell, struct tx_facts *facts);
/* Start the threads of the next slice, which begin with it. What fails then tx_cell_slice() says. */
void tx_cell_ready(struct tx_cell *cell);
void tx_cell_unready(struct tx_cell *cell);	/* there is no next slice */
/*
 * Have threads that are ready warm up and send, until tx_cell_slice() ends their window, which is told
 * the same. Without threads (a stream) nothing happens before that.
 */
void tx_cell_go(struct tx_cell *cell, const struct tx_slice_plan *plan, struct tx_slice *slice);
int tx_cell_slice(struct tx_cell *cell, const struct tx_slice_plan *plan,
		  struct tx_slice *slice, struct core_error *error);
/* One burst of one thread, drained: the number of frames completed, or -errno. */
int64_t tx_cell_burst(struct tx_cell *cell, unsigned int thread, uint64_t deadline_ns,
		      struct core_error *error);
void tx_cell_close(struct tx_cell *cell);
