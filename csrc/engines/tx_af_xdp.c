/*
 * af_xdp: frames in memory of ours that the kernel knows (umem), descriptors in a ring, sendto() to
 * have it look at the ring. Copy mode: xsk_sendmsg -> xsk_generic_xmit builds an skb of each frame
 * (xsk_build_skb copies it), and __dev_direct_xmit hands that to the driver: no qdisc, no egress
 * hook, as with PACKET_QDISC_BYPASS. Zero-copy mode: the driver takes frames from the umem, and the
 * call only wakes it (ndo_xsk_wakeup).
 *
 * A frame's way, with this side's memory order:
 *   free        ours
 *   TX ring     the kernel's, as soon as the producer is stored with release
 *   completion  its address is in the completion ring: read the producer with acquire. Its skb is
 *               gone then, delivered or not.
 *
 * What a call answers in copy mode:
 *   0       it took all descriptors
 *   EAGAIN  it took as many as its budget allows, or none: the send buffer or the driver is full.
 *           Older kernels (6.1, 6.12) do not tell the consumer then, so the number of calls that a
 *           budget takes is counted: EAGAIN at the last of them is a refusal.
 *   EBUSY   the last frame that it took was dropped, and is completed: no carrier, over the MTU
 */
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "../umem.h"

#define KERNELS_BUDGET 32		/* net/xdp/xsk.c, TX_BATCH_SIZE */
#define SPINS_PER_CLOCK 256
#define MOST_SLOTS (1u << 20)

/* Its options, in the order of the table below. */
enum { OPT_RING, OPT_BUDGET, OPT_MODE, OPT_NEED_WAKEUP, OPT_UMEM, OPT_QUEUE };

/* xdp_mode */
enum { MODE_AUTO, MODE_COPY, MODE_ZERO_COPY };

/* umem */
enum { UMEM_ONE_QUEUE, UMEM_SHARED, UMEM_OWN };

static const struct option_info af_xdp_options[] = {
	[OPT_RING] = {
		.name = "xdp_ring",
		.help = "descriptors in the TX ring and in the completion ring, and frames in the umem",
		.type = OPTION_WHOLE,
		.low = 1,
		.high = MOST_SLOTS,
		.fallback.number = 512,
		.after = "fill",
	},
	[OPT_BUDGET] = {
		.name = "tx_budget",
		.help = "descriptors that one call takes in copy mode: XDP_MAX_TX_SKB_BUDGET; 32 is any "
			"kernel's own",
		.type = OPTION_WHOLE,
		.low = KERNELS_BUDGET,
		.high = MOST_SLOTS,
		.fallback.number = KERNELS_BUDGET,
	},
	[OPT_MODE] = {
		.name = "xdp_mode",
		.help = "auto: zero-copy where the driver has it; copy or zero_copy: that or nothing",
		.type = OPTION_CHOICE,
		.choices = { [MODE_AUTO] = "auto", [MODE_COPY] = "copy",
			     [MODE_ZERO_COPY] = "zero_copy" },
	},
	[OPT_NEED_WAKEUP] = {
		.name = "need_wakeup",
		.help = "XDP_USE_NEED_WAKEUP: a zero-copy driver says when it wants a call; copy mode "
			"always does",
		.fallback.number = 1,
	},
	[OPT_UMEM] = {
		.name = "umem",
		.help = "sockets of several threads: one_queue (one memory, one queue, one completion "
			"ring), shared (one memory, a queue each) or own (memory and queue each)",
		.type = OPTION_CHOICE,
		.choices = { [UMEM_ONE_QUEUE] = "one_queue", [UMEM_SHARED] = "shared",
			     [UMEM_OWN] = "own" },
	},
	[OPT_QUEUE] = {
		.name = "xdp_queue",
		.help = "transmit queue of the first thread's socket; the others have the next ones",
		.type = OPTION_WHOLE,
		.high = UINT16_MAX,
	},
};

/* head, freed and taken count frames since the socket was opened. */
struct af_xdp {
	struct xsk_ring tx;
	struct umem umem;		/* empty where it is the first socket's */
	unsigned char *area;		/* of the umem that it uses */
	struct tx_socket *completing;	/* the socket whose completion ring it uses */
	struct xsk_ring completion;	/* that of itself */
	bool shared;			/* its completion ring, between threads: lock guards it */
	pthread_mutex_t lock;
	unsigned int slots;		/* frames of its own, and descriptors in the TX ring */
	uint64_t base;			/* address of the first of them */
	uint64_t *free;			/* addresses in the order of use; NULL: a slot keeps its frame */
	uint64_t head;			/* filled */
	uint64_t freed;			/* completed: written by whoever holds the completion ring */
	uint64_t taken;			/* the kernel took these, if it did not say more */
	uint64_t dropped;		/* of the freed ones: known not to have been sent */
	bool zero_copy;
};

static unsigned int slots_of(const struct tx_config *config)
{
	return (unsigned int)config->options[OPT_RING].number;
}

/* Threads whose frames are in one umem. */
static unsigned int umem_users(const struct tx_config *config)
{
	return config->options[OPT_UMEM].number == UMEM_OWN ? 1 : config->threads;
}

/* A chunk of a umem is at most a page. */
static unsigned int af_xdp_longest(unsigned int page_size)
{
	return page_size;
}

static void af_xdp_check(const struct tx_config *config, unsigned int page_size,
			 struct core_problems *problems)
{
	const unsigned int slots = slots_of(config);
	const uint64_t budget = config->options[OPT_BUDGET].number;

	(void)page_size;
	if (slots & (slots - 1))
		problem_add(problems, "xdp_ring", "xdp_ring of %u descriptors; a power of two",
			    slots);
	if (budget > KERNELS_BUDGET && budget > slots)
		problem_add(problems, "tx_budget",
			    "tx_budget of %llu descriptors with an xdp_ring of %u; at most that",
			    (unsigned long long)budget, slots);
	if (config->burst > slots)
		problem_add(problems, "burst",
			    "burst of %u frames with an xdp_ring of %u descriptors; at most %u",
			    config->burst, slots, slots);
	if (config->flows > slots && config->prefilled)
		problem_add(problems, "flows",
			    "%u flows in a prefilled xdp_ring of %u frames, each of which keeps its "
			    "flow; at most %u, or fill: copy", config->flows, slots, slots);
}

static struct tx_memory af_xdp_memory(const struct tx_config *config)
{
	const uint64_t slots = slots_of(config);
	const uint64_t frames = slots * umem_chunk(config->frame_size);
	const uint64_t rings = slots * (sizeof(struct xsk_descriptor) + 3 * sizeof(uint64_t));

	return (struct tx_memory) {
		.bytes = frame_memory(config, 0) + config->threads * (frames + rings),
		.ring_frames = (unsigned int)slots,
	};
}

/* A prefilled slot keeps its frame, and with it the number. */
static struct tx_numbering af_xdp_numbering(const struct tx_config *config)
{
	if (!config->prefilled)
		return frame_numbering(config);
	return (struct tx_numbering) {
		.kind = NUMBERING_PER_SLOT,
		.period = slots_of(config),
		.streams = config->threads,
	};
}

static struct xsk_descriptor *descriptor_at(const struct af_xdp *xdp, uint64_t position)
{
	return (struct xsk_descriptor *)xdp->tx.entries + (position & (xdp->slots - 1));
}

/* Each frame is whole from the beginning; fill: copy then writes over it. */
static int af_xdp_prefill(const struct tx_socket *socket, struct af_xdp *xdp,
			  struct core_error *error)
{
	const struct tx_config *config = socket->config;
	const unsigned int chunk = umem_chunk(config->frame_size);
	unsigned int i;

	if (!config->prefilled) {
		xdp->free = calloc(xdp->slots, sizeof(*xdp->free));
		if (!xdp->free)
			return error_set(error, ENOMEM, "addresses of %u frames", xdp->slots);
	}
	for (i = 0; i < xdp->slots; i++) {
		const uint64_t address = xdp->base + (uint64_t)i * chunk;

		frame_build(xdp->area + address, config, socket->index, i);
		*descriptor_at(xdp, i) = (struct xsk_descriptor) {
			.address = address, .length = config->frame_size,
		};
		if (xdp->free)
			xdp->free[i] = address;
	}
	return 0;
}

/* The first socket has the umem, or each its own. */
static int af_xdp_umem(struct tx_socket *socket, struct af_xdp *xdp, struct core_error *error)
{
	const struct tx_config *config = socket->config;
	const struct tx_socket *first = socket - socket->index;
	const unsigned int users = umem_users(config);
	int err;

	if (socket->index && users > 1) {
		xdp->area = ((const struct af_xdp *)first->state)->area;
		xdp->base = (uint64_t)socket->index * xdp->slots * umem_chunk(config->frame_size);
		return 0;
	}
	err = umem_allocate(&xdp->umem, config->frame_size, xdp->slots * users, error);
	xdp->area = xdp->umem.area;
	return err ? err : umem_register(&xdp->umem, socket->fd, error);
}

/* As many as all frames whose addresses may come back in it. */
static unsigned int completion_slots(const struct af_xdp *xdp, const struct tx_config *config)
{
	const unsigned int frames = xdp->slots * (xdp->shared ? config->threads : 1);
	unsigned int size = xdp->slots;

	while (size < frames)
		size *= 2;
	return size;
}

/* The kernel wants a fill ring, too, which nothing is put into: it is for receiving. */
static int af_xdp_rings(struct tx_socket *socket, struct af_xdp *xdp, struct core_error *error)
{
	const unsigned int completions = completion_slots(xdp, socket->config);
	const int fd = socket->fd;
	int err = xsk_ring_allocate(fd, XSK_TX_RING, xdp->slots, error);

	if (!err)
		err = xsk_tx_map(&xdp->tx, fd, xdp->slots, error);
	if (err || xdp->completing != socket)
		return err;
	err = xsk_ring_allocate(fd, XSK_FILL_RING, xdp->slots, error);
	if (!err)
		err = xsk_ring_allocate(fd, XSK_COMPLETION_RING, completions, error);
	if (!err)
		err = xsk_completion_map(&xdp->completion, fd, completions, error);
	return err;
}

/* From Linux 6.17 on; nothing is asked of others that they do by themselves. */
static int af_xdp_budget(const struct tx_socket *socket, struct core_error *error)
{
	const uint32_t budget = (uint32_t)socket->config->options[OPT_BUDGET].number;

	if (budget != KERNELS_BUDGET &&
	    setsockopt(socket->fd, XSK_LEVEL, XSK_TX_BUDGET, &budget, sizeof(budget)) < 0)
		return error_set(error, errno, "setsockopt(XDP_MAX_TX_SKB_BUDGET, %u)%s", budget,
				 errno == ENOPROTOOPT ? ": this kernel has 32 only" : "");
	return 0;
}

/* Flags are refused with XDP_SHARED_UMEM: those of the first socket hold. */
static int af_xdp_bind(const struct tx_socket *socket, const struct af_xdp *xdp,
		       struct core_error *error)
{
	static const uint16_t modes[] = {
		[MODE_COPY] = XSK_COPY, [MODE_ZERO_COPY] = XSK_ZEROCOPY,
	};
	const struct tx_config *config = socket->config;
	const union option_value *options = config->options;
	struct xsk_address address = {
		.family = XSK_FAMILY,
		.ifindex = config->ifindex,
		.queue = (uint32_t)options[OPT_QUEUE].number,
		.flags = modes[options[OPT_MODE].number],
	};

	if (options[OPT_NEED_WAKEUP].number)
		address.flags |= XSK_USE_NEED_WAKEUP;
	if (xdp->completing == socket)
		address.queue += socket->index;
	if (!xdp->umem.area) {
		address.flags = XSK_SHARED_UMEM;
		address.shared_fd = (uint32_t)(socket - socket->index)->fd;
	}
	return xsk_bind(socket->fd, &address, error);
}

static struct af_xdp *af_xdp_state(struct tx_socket *socket)
{
	const struct tx_config *config = socket->config;
	const bool one_queue = config->options[OPT_UMEM].number == UMEM_ONE_QUEUE;
	struct af_xdp *xdp = calloc(1, sizeof(*xdp));

	if (!xdp)
		return NULL;
	pthread_mutex_init(&xdp->lock, NULL);
	xdp->slots = slots_of(config);
	xdp->completing = one_queue ? socket - socket->index : socket;
	xdp->shared = one_queue && config->threads > 1;
	return xdp;
}

static int af_xdp_socket_open(struct tx_socket *socket, struct core_error *error)
{
	struct af_xdp *xdp = af_xdp_state(socket);
	int err;

	socket->state = xdp;
	if (!xdp)
		return error_set(error, ENOMEM, "AF_XDP socket");
	socket->fd = xsk_socket(error);
	if (socket->fd < 0)
		return socket->fd;
	err = sock_sndbuf(socket, error);
	if (!err)
		err = af_xdp_umem(socket, xdp, error);
	if (!err)
		err = af_xdp_rings(socket, xdp, error);
	if (!err)
		err = af_xdp_budget(socket, error);
	if (!err)
		err = af_xdp_prefill(socket, xdp, error);
	if (!err)
		err = af_xdp_bind(socket, xdp, error);
	xdp->zero_copy = !err && xsk_is_zero_copy(socket->fd);
	return err;
}

static void af_xdp_socket_close(struct tx_socket *socket)
{
	struct af_xdp *xdp = socket->state;

	if (!xdp)
		return;
	xsk_ring_unmap(&xdp->tx);
	xsk_ring_unmap(&xdp->completion);
	umem_free(&xdp->umem);
	pthread_mutex_destroy(&xdp->lock);
	free(xdp->free);
	free(xdp);
}

static int af_xdp_open(struct tx_thread *thread, struct core_error *error)
{
	return frame_buffers(thread, 0, error);
}

/* Frames that the kernel has, or has given back without our having looked. */
static uint64_t af_xdp_owned(const struct af_xdp *xdp)
{
	return xdp->head - __atomic_load_n(&xdp->freed, __ATOMIC_ACQUIRE);
}

/* Descriptors that the kernel may not have taken yet. */
static uint64_t af_xdp_pending(const struct af_xdp *xdp)
{
	const uint64_t owned = af_xdp_owned(xdp), left = xdp->head - xdp->taken;
	const uint64_t told = (uint32_t)xdp->head -
			      __atomic_load_n(xdp->tx.consumer, __ATOMIC_ACQUIRE);
	const uint64_t fewer = owned < left ? owned : left;

	return told < fewer ? told : fewer;
}

/* Addresses of the completion ring go back to the socket that they are of. */
static void af_xdp_give_back(struct af_xdp *of_ring, uint32_t from, uint32_t number)
{
	const struct xsk_ring *ring = &of_ring->completion;
	const uint64_t *addresses = ring->entries;
	uint32_t i;

	if (!of_ring->shared && !of_ring->free) {	/* nobody asks which they are */
		__atomic_store_n(&of_ring->freed, of_ring->freed + number, __ATOMIC_RELEASE);
		return;
	}
	for (i = 0; i < number; i++) {
		const uint64_t address = addresses[(from + i) & (ring->size - 1)];
		struct af_xdp *owner = of_ring;

		if (of_ring->shared) {
			const uint64_t each = (uint64_t)of_ring->slots * of_ring->umem.chunk;

			owner = of_ring->completing[address / each].state;
		}
		if (owner->free)	/* relaxed: the kernel orders it after the frame's use */
			__atomic_store_n(&owner->free[owner->freed & (owner->slots - 1)], address,
					 __ATOMIC_RELAXED);
		__atomic_store_n(&owner->freed, owner->freed + 1, __ATOMIC_RELEASE);
	}
}

static void af_xdp_collect(struct af_xdp *xdp)
{
	struct af_xdp *of_ring = xdp->completing->state;
	struct xsk_ring *ring = &of_ring->completion;
	uint32_t from, number;

	if (of_ring->shared)
		pthread_mutex_lock(&of_ring->lock);
	from = *ring->consumer;
	number = __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE) - from;
	if (number) {
		af_xdp_give_back(of_ring, from, number);
		__atomic_store_n(ring->consumer, from + number, __ATOMIC_RELEASE);
	}
	if (of_ring->shared)
		pthread_mutex_unlock(&of_ring->lock);
}

/* The frame that ended a call was taken, dropped and completed. */
static void af_xdp_dropped(struct tx_thread *thread, struct af_xdp *xdp)
{
	xdp->dropped++;
	count(&thread->counts.refused, 1);
	count(&thread->counts.submitted, (uint64_t)-1);
}

static bool wants_no_call(const struct af_xdp *xdp, const struct tx_config *config)
{
	return config->options[OPT_NEED_WAKEUP].number &&
	       !(__atomic_load_n(xdp->tx.flags, __ATOMIC_RELAXED) & XSK_NEED_WAKEUP);
}

/* Hand over what was filled, and what an earlier call left behind. */
static int af_xdp_hand_over(struct tx_thread *thread, struct af_xdp *xdp)
{
	const uint64_t budget = thread->config->options[OPT_BUDGET].number;
	uint64_t calls;

	__atomic_store_n(xdp->tx.producer, (uint32_t)xdp->head, __ATOMIC_RELEASE);
	calls = xdp->zero_copy ? 1 : (af_xdp_pending(xdp) + budget - 1) / budget;
	while (calls && !wants_no_call(xdp, thread->config)) {
		const long sent = syscall(SYS_sendto, thread->socket->fd, NULL, 0, MSG_DONTWAIT,
					  NULL, 0);
		const int code = sent < 0 ? errno : 0;

		count(&thread->counts.calls, 1);
		switch (code) {
		case 0:
			if (!xdp->zero_copy)
				xdp->taken = xdp->head;
			return 0;
		case EAGAIN:
			if (!--calls)
				count(&thread->counts.eagain, 1);
			break;
		case EBUSY:
			af_xdp_dropped(thread, xdp);
			break;
		case ENOBUFS:		/* no memory for an skb: the frame was not taken */
			count(&thread->counts.enobufs, 1);
			return 0;
		default:
			return thread_refused(thread, code, "sendto on the AF_XDP socket");
		}
	}
	return 0;
}

/* No frame is free. A zero-copy driver may want a call to complete what it has. */
static int af_xdp_room(struct tx_thread *thread)
{
	struct af_xdp *xdp = thread->socket->state;
	unsigned int spins = 0;
	int err = 0;

	count(&thread->counts.full_waits, 1);
	while (!err && !thread_stopped(thread) && af_xdp_owned(xdp) == xdp->slots) {
		if (xdp->zero_copy || af_xdp_pending(xdp))
			err = af_xdp_hand_over(thread, xdp);
		af_xdp_collect(xdp);
		cpu_relax();
		if (++spins % SPINS_PER_CLOCK == 0 &&
		    clock_ns(CLOCK_MONOTONIC) >= thread->deadline_ns)
			break;
	}
	return err;
}

/* Descriptors, while frames are free. */
static unsigned int af_xdp_fill(struct tx_thread *thread)
{
	const unsigned int burst = thread->config->burst;
	struct af_xdp *xdp = thread->socket->state;
	unsigned int frames, i;
	uint64_t room;

	af_xdp_collect(xdp);
	room = xdp->slots - af_xdp_owned(xdp);
	frames = burst < room ? burst : (unsigned int)room;
	for (i = 0; xdp->free && i < frames; i++) {
		const uint64_t position = xdp->head + i;
		const uint64_t address = __atomic_load_n(&xdp->free[position & (xdp->slots - 1)],
							 __ATOMIC_RELAXED);

		frame_copy(xdp->area + address, thread, thread->number++);
		descriptor_at(xdp, position)->address = address;
	}
	return frames;
}

static int af_xdp_submit(struct tx_thread *thread, unsigned int frames)
{
	struct af_xdp *xdp = thread->socket->state;

	xdp->head += frames;
	count(&thread->counts.requested, frames);
	count(&thread->counts.submitted, frames);
	return af_xdp_hand_over(thread, xdp);
}

static bool af_xdp_reap(struct tx_thread *thread)
{
	struct af_xdp *xdp = thread->socket->state;
	uint64_t owned;

	if (af_xdp_pending(xdp))
		af_xdp_hand_over(thread, xdp);
	af_xdp_collect(xdp);
	owned = af_xdp_owned(xdp);
	__atomic_store_n(&thread->counts.completed, xdp->head - owned - xdp->dropped,
			 __ATOMIC_RELAXED);
	return owned > 0;
}

/* In copy mode the rest has skbs, which the send buffer shows. */
static uint64_t af_xdp_left_behind(const struct tx_socket *socket)
{
	struct af_xdp *xdp = socket->state;

	af_xdp_collect(xdp);
	return xdp->zero_copy ? af_xdp_owned(xdp) : af_xdp_pending(xdp);
}

static void af_xdp_facts(const struct tx_socket *first, struct tx_facts *facts)
{
	facts->zero_copy = ((const struct af_xdp *)first->state)->zero_copy;
}

static int af_xdp_probe(struct core_error *error)
{
	const int fd = xsk_socket(error);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

const struct tx_method af_xdp_method = {
	.info = {
		.name = "af_xdp",
		.help = "AF_XDP: frames in a umem, one or more sendto() per burst, past the qdisc",
		.path = "xsk_generic_xmit: skb, copy, __dev_direct_xmit; zero-copy: the driver's",
		.knobs = KNOB_INTERFACE | KNOB_FRAME_SIZE | KNOB_THREADS | KNOB_BURST |
			 KNOB_FILL | KNOB_SNDBUF | KNOB_FLOWS | KNOB_VLAN,
		.alone = true,		/* a queue has one pool of sockets */
		.options = af_xdp_options,
		.option_nr = ARRAY_SIZE(af_xdp_options),
	},
	.probe = af_xdp_probe,
	.longest = af_xdp_longest,
	.check = af_xdp_check,
	.memory = af_xdp_memory,
	.numbering = af_xdp_numbering,
	.socket_open = af_xdp_socket_open,
	.socket_close = af_xdp_socket_close,
	.open = af_xdp_open,
	.fill = af_xdp_fill,
	.submit = af_xdp_submit,
	.room = af_xdp_room,
	.reap = af_xdp_reap,
	.left_behind = af_xdp_left_behind,
	.facts = af_xdp_facts,
};
