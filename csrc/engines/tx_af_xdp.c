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
 */
#include <stdlib.h>
#include <sys/socket.h>

#include "tx_af_xdp.h"

#define KERNELS_BUDGET 32		/* net/xdp/xsk.c, TX_BATCH_SIZE */
#define MOST_SLOTS (1u << 20)

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
