/*
 * tx_ring: frames in memory shared with the kernel (PACKET_TX_RING, TPACKET v1 to v3), one send()
 * per burst. packet_sendmsg -> tpacket_snd walks the ring from its own head while slots say
 * SEND_REQUEST, builds an skb whose pages are the slot's (no copy of the payload here; veth and
 * others copy later, skb_copy_ubufs), sets SENDING, dev_queue_xmit; the skb's destructor sets
 * AVAILABLE again. Without MSG_DONTWAIT the call returns only when every frame has come back.
 *
 * Protocol of a slot, with this side's memory order:
 *   AVAILABLE     ours; read with acquire before the slot is written
 *   SEND_REQUEST  the kernel's; stored with release after frame and length
 *   SENDING       in flight
 *   WRONG_FORMAT  the kernel refused the slot and stops there (PACKET_LOSS off)
 * A slot stays at SEND_REQUEST when its frame met a full sndbuf (EAGAIN) or a full qdisc
 * (ENOBUFS): the next send() begins with it, poll() cannot tell. The return value of send() does
 * not count frames; statuses do.
 */
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "core.h"

#define SPINS_PER_CLOCK 256
#define POLL_MS 1
#define STATUS_MASK (TP_STATUS_SEND_REQUEST | TP_STATUS_SENDING | TP_STATUS_WRONG_FORMAT)

_Static_assert(sizeof(struct virtio_net_hdr) == VNET_HDR_SIZE, "see api.h");
_Static_assert(TPACKET_ALIGNMENT == RING_ALIGNMENT, "see api.h");
_Static_assert(sizeof(struct sockaddr_ll) == RING_SLOT_REST, "see api.h");

struct ring {
	unsigned char *map;
	size_t length;
	unsigned char **slots;		/* in the kernel's order */
	unsigned int slot_nr;
	unsigned int version;
	unsigned int data_offset;	/* of the frame in its slot */
	unsigned int tp_len;		/* of each slot: the frame and what the kernel takes before it */
	unsigned int head;		/* the next slot to fill */
	bool shared;			/* between threads: lock guards head and the filling */
	pthread_mutex_t lock;
};

/*
 * The frame lies tp_hdrlen - sizeof(struct sockaddr_ll) into its slot (tpacket_parse_header): the
 * header of the version, aligned to TPACKET_ALIGNMENT. These are bytes, not headers.
 */
unsigned int core_ring_data_offset(unsigned int version)
{
	switch (version) {
	case 1:
		return TPACKET_ALIGN(sizeof(struct tpacket_hdr));
	case 2:
		return TPACKET_ALIGN(sizeof(struct tpacket2_hdr));
	case 3:
		return TPACKET_ALIGN(sizeof(struct tpacket3_hdr));
	default:
		return 0;
	}
}

static unsigned int slot_status(const struct ring *ring, const unsigned char *slot)
{
	unsigned long status;

	switch (ring->version) {
	case 1:
		status = __atomic_load_n(&((const struct tpacket_hdr *)slot)->tp_status,
					 __ATOMIC_ACQUIRE);
		break;
	case 2:
		status = __atomic_load_n(&((const struct tpacket2_hdr *)slot)->tp_status,
					 __ATOMIC_ACQUIRE);
		break;
	default:
		status = __atomic_load_n(&((const struct tpacket3_hdr *)slot)->tp_status,
					 __ATOMIC_ACQUIRE);
	}
	return status & STATUS_MASK;	/* the high bits tell of timestamps */
}

static void slot_publish(const struct ring *ring, unsigned char *slot)
{
	const unsigned int length = ring->tp_len;

	switch (ring->version) {
	case 1: {
		struct tpacket_hdr *header = (struct tpacket_hdr *)slot;

		header->tp_len = length;
		__atomic_store_n(&header->tp_status, TP_STATUS_SEND_REQUEST, __ATOMIC_RELEASE);
		break;
	}
	case 2: {
		struct tpacket2_hdr *header = (struct tpacket2_hdr *)slot;

		header->tp_len = length;
		__atomic_store_n(&header->tp_status, TP_STATUS_SEND_REQUEST, __ATOMIC_RELEASE);
		break;
	}
	default: {
		struct tpacket3_hdr *header = (struct tpacket3_hdr *)slot;

		header->tp_next_offset = 0;	/* anything else is refused on transmit */
		header->tp_len = length;
		__atomic_store_n(&header->tp_status, TP_STATUS_SEND_REQUEST, __ATOMIC_RELEASE);
	}
	}
}

static int ring_options(const struct tx_socket *socket, struct core_error *error)
{
	const struct tx_config *config = socket->config;
	const int version = config->ring_version == 3 ? TPACKET_V3 :
			    config->ring_version == 2 ? TPACKET_V2 : TPACKET_V1;
	const int on = 1;

	/* All are refused (EBUSY) once the ring exists. */
	if (setsockopt(socket->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) < 0)
		return error_set(error, errno, "setsockopt(PACKET_VERSION, v%u)",
				 config->ring_version);
	if (config->packet_loss &&
	    setsockopt(socket->fd, SOL_PACKET, PACKET_LOSS, &on, sizeof(on)) < 0)
		return error_set(error, errno, "setsockopt(PACKET_LOSS)");
	if (config->vnet_hdr &&
	    setsockopt(socket->fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) < 0)
		return error_set(error, errno, "setsockopt(PACKET_VNET_HDR)");
	return 0;
}

static int ring_allocate(const struct tx_socket *socket, struct ring *ring,
			 struct core_error *error)
{
	const struct tx_config *config = socket->config;
	struct tpacket_req3 request = {		/* begins with the fields of tpacket_req */
		.tp_block_size = config->ring_block_size,
		.tp_block_nr = config->ring_block_nr,
		.tp_frame_size = config->ring_frame_size,
		.tp_frame_nr = ring->slot_nr,
	};
	const socklen_t length = ring->version == 3 ? sizeof(request) : sizeof(struct tpacket_req);

	if (setsockopt(socket->fd, SOL_PACKET, PACKET_TX_RING, &request, length) < 0)
		return error_set(error, errno,
				 "setsockopt(PACKET_TX_RING, v%u, %u blocks of %u, frames of %u)",
				 ring->version, request.tp_block_nr, request.tp_block_size,
				 request.tp_frame_size);
	return 0;
}

/*
 * MAP_LOCKED beyond RLIMIT_MEMLOCK is refused with EAGAIN to whom lacks CAP_IPC_LOCK. The pages
 * are the kernel's own and never swapped, so a populated mapping serves as well; it is reported.
 */
static int ring_map(struct tx_socket *socket, struct ring *ring, struct core_error *error)
{
	const int flags = MAP_SHARED | MAP_POPULATE;
	void *map = MAP_FAILED;

	ring->length = (size_t)socket->config->ring_block_size * socket->config->ring_block_nr;
	if (socket->config->mmap_locked) {
		map = mmap(NULL, ring->length, PROT_READ | PROT_WRITE, flags | MAP_LOCKED,
			   socket->fd, 0);
		socket->mmap_unlocked = map == MAP_FAILED;
	}
	if (map == MAP_FAILED)
		map = mmap(NULL, ring->length, PROT_READ | PROT_WRITE, flags, socket->fd, 0);
	if (map == MAP_FAILED)
		return error_set(error, errno, "mmap of a ring of %zu bytes", ring->length);
	ring->map = map;
	return 0;
}

/* A block may end in a rest too small for a slot: slots never straddle two blocks. */
static int ring_slots(const struct tx_config *config, struct ring *ring, struct core_error *error)
{
	const unsigned int per_block = config->ring_block_size / config->ring_frame_size;
	unsigned int i;

	ring->slots = calloc(ring->slot_nr, sizeof(*ring->slots));
	if (!ring->slots)
		return error_set(error, ENOMEM, "table of %u ring slots", ring->slot_nr);
	for (i = 0; i < ring->slot_nr; i++)
		ring->slots[i] = ring->map + (size_t)(i / per_block) * config->ring_block_size +
				 (size_t)(i % per_block) * config->ring_frame_size;
	return 0;
}

/*
 * Every slot gets a whole frame once, numbered by slot; fill: copy then writes over it. A shared
 * ring has the first thread's address in all of them.
 *
 * With vnet_hdr a virtio_net_hdr stands before it. It asks for no offload; its hdr_len says that
 * the whole frame belongs into the skb's linear part (tpacket_fill_skb copies that much), which
 * spares devices that cannot keep foreign pages their own, dearer copy (veth: skb_copy_ubufs).
 */
static void ring_prefill(const struct tx_socket *socket, struct ring *ring)
{
	const struct tx_config *config = socket->config;
	const struct virtio_net_hdr header = { .hdr_len = (uint16_t)config->frame_size };
	unsigned int i;

	for (i = 0; i < ring->slot_nr; i++) {
		unsigned char *frame = ring->slots[i] + ring->data_offset;

		if (i < config->flows) {
			frame_build(frame, config, socket->index, i);
		} else {
			memcpy(frame, ring->slots[i - config->flows] + ring->data_offset,
			       config->frame_size);
			frame_number(frame, config, i);
		}
		if (config->vnet_hdr)
			memcpy(frame - sizeof(header), &header, sizeof(header));
	}
}

static int ring_geometry(const struct tx_config *config, struct ring *ring,
			 struct core_error *error)
{
	uint64_t slots;

	ring->version = config->ring_version;
	ring->data_offset = core_ring_data_offset(ring->version);
	if (!ring->data_offset || !config->ring_frame_size)
		return error_set(error, EINVAL, "ring version %u, frame size %u",
				 config->ring_version, config->ring_frame_size);
	ring->tp_len = config->frame_size + (config->vnet_hdr ? VNET_HDR_SIZE : 0);
	ring->data_offset += config->vnet_hdr ? VNET_HDR_SIZE : 0;
	if (ring->data_offset + config->frame_size > config->ring_frame_size)
		return error_set(error, EMSGSIZE, "frame of %u bytes in a ring slot of %u",
				 config->frame_size, config->ring_frame_size);
	slots = (uint64_t)(config->ring_block_size / config->ring_frame_size) *
		config->ring_block_nr;
	if (!slots || slots > UINT32_MAX)
		return error_set(error, EINVAL, "ring of %llu slots", (unsigned long long)slots);
	ring->slot_nr = (unsigned int)slots;
	return 0;
}

static int ring_socket_open(struct tx_socket *socket, struct core_error *error)
{
	const struct tx_config *config = socket->config;
	struct ring *ring;
	int err;

	socket->state = ring = calloc(1, sizeof(*ring));
	if (!ring)
		return error_set(error, ENOMEM, "ring");
	pthread_mutex_init(&ring->lock, NULL);
	ring->shared = config->socket_shared && config->threads > 1;
	err = ring_geometry(config, ring, error);
	if (!err)
		err = sock_open(socket, error);
	if (!err)
		err = ring_options(socket, error);
	if (!err)
		err = ring_allocate(socket, ring, error);
	if (!err)
		err = ring_map(socket, ring, error);
	if (!err)
		err = ring_slots(config, ring, error);
	if (!err)
		ring_prefill(socket, ring);
	if (!err)
		err = sock_bind(socket, error);
	return err;
}

static void ring_socket_close(struct tx_socket *socket)
{
	struct ring *ring = socket->state;

	if (!ring)
		return;
	if (ring->map)
		munmap(ring->map, ring->length);
	free(ring->slots);
	pthread_mutex_destroy(&ring->lock);
	free(ring);
}

static int ring_open(struct tx_thread *thread, struct core_error *error)
{
	return frame_buffers(thread, 0, error);
}

/* The errno of one send(), or 0: its value does not count frames. */
static int ring_send(struct tx_thread *thread, int flags, uint64_t bytes)
{
	long sent = syscall(SYS_sendto, thread->socket->fd, NULL, 0, flags, NULL, 0);

	if (unlikely(sent < 0))
		return errno;
	if (unlikely((uint64_t)sent < bytes))
		count(&thread->counts.short_counts, 1);
	return 0;
}

static int ring_refused(struct tx_thread *thread, int code)
{
	return thread_refused(thread, code, "send on the ring");
}

static int ring_kick(struct tx_thread *thread, int flags, uint64_t bytes)
{
	const int code = ring_send(thread, flags, bytes);

	count(&thread->counts.calls, 1);
	return unlikely(code) ? ring_refused(thread, code) : 0;
}

static int ring_wait_once(struct tx_thread *thread)
{
	struct pollfd pollfd = { .fd = thread->socket->fd, .events = POLLOUT };

	switch (thread->config->ring_wait) {
	case RING_WAIT_BLOCK:
		return ring_kick(thread, 0, 0);
	case RING_WAIT_POLL:
		if (poll(&pollfd, 1, POLL_MS) < 0 && errno != EINTR)
			return thread_fail(thread, errno, "poll on the ring");
		return 0;
	default:
		cpu_relax();
		return 0;
	}
}

static int ring_wrong_format(struct tx_thread *thread)
{
	return thread_fail(thread, EBADMSG, "ring slot came back with TP_STATUS_WRONG_FORMAT");
}

static unsigned char *ring_head(const struct ring *ring)
{
	return ring->slots[__atomic_load_n(&ring->head, __ATOMIC_RELAXED)];
}

/* No slot is free. What helps depends on where the oldest one is. */
static int ring_wait(struct tx_thread *thread, const struct ring *ring)
{
	unsigned int spins = 0;
	uint64_t refused;
	int err = 0;

	count(&thread->counts.full_waits, 1);
	while (!err && !thread_stopped(thread)) {
		switch (slot_status(ring, ring_head(ring))) {
		case TP_STATUS_AVAILABLE:
			return 0;
		case TP_STATUS_SEND_REQUEST:	/* left behind by EAGAIN or ENOBUFS: ask again */
			refused = thread->counts.eagain;
			err = ring_kick(thread, thread->flags, 0);
			if (!err && thread->counts.eagain != refused)
				err = ring_wait_once(thread);
			break;
		case TP_STATUS_SENDING:
			err = ring_wait_once(thread);
			break;
		default:
			return ring_wrong_format(thread);
		}
		if (++spins % SPINS_PER_CLOCK == 0 &&
		    clock_ns(CLOCK_MONOTONIC) >= thread->deadline_ns)
			return 0;
	}
	return err;
}

/* Fill and publish slots, in the kernel's order, while they are free: how many. */
static unsigned int ring_fill(struct tx_thread *thread, struct ring *ring)
{
	const struct tx_config *config = thread->config;
	unsigned int filled, head = ring->head;

	for (filled = 0; filled < config->burst; filled++) {
		unsigned char *slot = ring->slots[head];

		if (unlikely(slot_status(ring, slot) != TP_STATUS_AVAILABLE))
			break;
		if (!config->prefilled)
			frame_copy(slot + ring->data_offset, thread, thread->number++);
		slot_publish(ring, slot);
		if (unlikely(++head == ring->slot_nr))
			head = 0;
	}
	__atomic_store_n(&ring->head, head, __ATOMIC_RELEASE);	/* after the slots' statuses */
	return filled;
}

static int ring_burst(struct tx_thread *thread)
{
	struct ring *ring = thread->socket->state;
	unsigned int filled;

	if (ring->shared) {
		pthread_mutex_lock(&ring->lock);
		filled = ring_fill(thread, ring);
		pthread_mutex_unlock(&ring->lock);
	} else {
		filled = ring_fill(thread, ring);
	}
	if (unlikely(!filled))
		return ring_wait(thread, ring);
	count(&thread->counts.requested, filled);
	return ring_kick(thread, thread->flags, (uint64_t)filled * thread->config->frame_size);
}

/* Slots with one of these statuses. It reads every slot, so it is for what goes wrong only. */
static uint64_t ring_count(const struct ring *ring, unsigned int statuses)
{
	uint64_t found = 0;
	unsigned int i;

	for (i = 0; i < ring->slot_nr; i++)
		found += (slot_status(ring, ring->slots[i]) & statuses) != 0;
	return found;
}

/*
 * 0 when every slot that was filled before the call is free, 1 when one may not be, or -errno.
 *
 * A blocking send hands over what was left behind. It returns without an error only when no frame
 * is pending (tpacket_snd: tx_ring.pending), in whatever order frames came back; and as the kernel
 * takes slots in order, it took all of them if it took the newest. So two looks at one slot are
 * enough. A look at every slot would fall into the window and cost a cache miss for each.
 */
static int ring_flush(struct tx_thread *thread, const struct ring *ring)
{
	const unsigned int head = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE);
	const unsigned char *newest = ring->slots[(head ? head : ring->slot_nr) - 1];
	const bool left_behind = slot_status(ring, newest) == TP_STATUS_SEND_REQUEST;
	const struct timespec nap = { .tv_nsec = 20000 };
	const int code = ring_send(thread, 0, 0);
	int err;

	count(&thread->counts.calls, left_behind);
	if (code) {
		err = ring_refused(thread, code);
		if (code == ENOBUFS)		/* nobody wakes us when the qdisc has room */
			clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
		return err ? err : 1;
	}
	if (slot_status(ring, newest) == TP_STATUS_AVAILABLE)
		return 0;
	return ring_count(ring, TP_STATUS_WRONG_FORMAT) ? ring_wrong_format(thread) : 1;
}

/* On a shared ring every thread drains, so the last one finds it empty. */
static int64_t ring_drain(struct tx_thread *thread, uint64_t deadline_ns)
{
	struct ring *ring = thread->socket->state;
	struct tx_counts *counts = &thread->counts;
	uint64_t left = 0;
	int waiting;

	do
		waiting = ring_flush(thread, ring);
	while (waiting > 0 && clock_ns(CLOCK_MONOTONIC) < deadline_ns);
	if (waiting > 0)
		left = ring_count(ring, STATUS_MASK);
	else if (waiting < 0)
		return waiting;
	if (thread->error.code)
		return thread->error.code;
	if (ring->shared && thread->index > 0)
		left = 0;			/* counted once, by the first thread */
	left = left < counts->requested ? left : counts->requested;
	__atomic_store_n(&counts->submitted, counts->requested, __ATOMIC_RELAXED);
	__atomic_store_n(&counts->completed, counts->requested - left, __ATOMIC_RELAXED);
	return (int64_t)left;
}

static void ring_facts(const struct tx_cell *cell, struct tx_facts *facts)
{
	const struct ring *ring = cell->sockets[0].state;

	facts->ring_frames = ring->slot_nr;
	facts->mmap_unlocked = cell->sockets[0].mmap_unlocked;
	facts->memory += (uint64_t)ring->length * cell->socket_nr;
	if (cell->config.prefilled) {
		facts->number_period = ring->slot_nr;
		facts->streams = cell->socket_nr;
	}
}

static int ring_probe(struct core_error *error)
{
	struct tx_config config = {
		.threads = 1, .burst = 1, .frame_size = 64, .ring_version = 2,
		.ring_block_size = (unsigned int)sysconf(_SC_PAGESIZE), .ring_block_nr = 1,
		.ring_frame_size = 128,
	};
	struct tx_socket socket = { .config = &config, .fd = -1 };
	struct ring ring = { 0 };
	int err;

	err = ring_geometry(&config, &ring, error);
	if (!err)
		err = sock_open(&socket, error);
	if (!err)
		err = ring_options(&socket, error);
	if (!err)
		err = ring_allocate(&socket, &ring, error);
	if (socket.fd >= 0)
		close(socket.fd);
	return err;
}

const struct tx_method ring_method = {
	.info = {
		.name = "tx_ring",
		.help = "PACKET_TX_RING: frames in shared memory, one send() per burst",
		.path = "tpacket_snd: skb around the slot's pages, dev_queue_xmit",
		.knobs = KNOB_INTERFACE | KNOB_FRAME_SIZE | KNOB_THREADS | KNOB_SOCKET |
			 KNOB_BURST | KNOB_FILL | KNOB_RING | KNOB_RING_WAIT | KNOB_SNDBUF |
			 KNOB_MSG_DONTWAIT | KNOB_QDISC_BYPASS | KNOB_PACKET_LOSS |
			 KNOB_MMAP_LOCKED | KNOB_VNET_HDR | KNOB_FLOWS,
	},
	.probe = ring_probe,
	.socket_open = ring_socket_open,
	.socket_close = ring_socket_close,
	.open = ring_open,
	.burst = ring_burst,
	.drain = ring_drain,
	.facts = ring_facts,
};
