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
 *
 * malformed: some slots say that their frame is shorter than an Ethernet header, which the kernel
 * refuses (dev_validate_header; a frame that is too long would fill the kernel's log). With
 * PACKET_LOSS it skips such a slot. Without, send() ends there with EINVAL, and the sender has to
 * mend the slot and to call again: it is then sent.
 */
#include <limits.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "../ring.h"

#define SPINS_PER_CLOCK 256
#define POLL_MS 1
#define PARTS 1000000		/* of which config->malformed are */
#define MALFORMED_LENGTH (ETHERNET_HEADER - 1)
#define STATUS_MASK (TP_STATUS_SEND_REQUEST | TP_STATUS_SENDING | TP_STATUS_WRONG_FORMAT)

/* Its options, in the order of the table below. */
enum { OPT_RING, OPT_WAIT, OPT_LOSS, OPT_LOCKED, OPT_VNET_HDR };

/* ring_wait */
enum { WAIT_BLOCK, WAIT_POLL, WAIT_SPIN };

static const struct option_info tx_ring_options[] = {
	[OPT_RING] = {
		.name = "ring",
		.help = "TPACKET version, block size and number, frame size",
		.type = OPTION_RING,
		.fallback.ring = { .version = 2, .block_size = 4096, .block_nr = 256,
				   .frame_size = 2048 },
		.after = "fill",
	},
	[OPT_WAIT] = {
		.name = "ring_wait",
		.help = "when no slot is free: block in send(), poll() or spin",
		.type = OPTION_CHOICE,
		.choices = { [WAIT_BLOCK] = "block", [WAIT_POLL] = "poll", [WAIT_SPIN] = "spin" },
		.after = "fill",
		.sending_only = true,
	},
	[OPT_LOSS] = {
		.name = "packet_loss",
		.help = "PACKET_LOSS: skip a malformed slot instead of stopping at it",
	},
	[OPT_LOCKED] = {
		.name = "mmap_locked",
		.help = "map the ring with MAP_LOCKED",
	},
	[OPT_VNET_HDR] = {
		.name = "vnet_hdr",
		.help = "PACKET_VNET_HDR: the kernel copies the frame instead of referring to its "
			"pages",
	},
};

/* One of the slots that are malformed, which are the same ones in each turn of the ring. */
struct malformed {
	uint64_t nth;			/* counted over all turns */
	unsigned int slot;		/* UINT_MAX: no slot is */
};

struct tx_ring {
	struct ring ring;
	unsigned int data_offset;	/* of the frame in its slot */
	unsigned int tp_len;		/* of each slot: the frame and what the kernel takes before it */
	unsigned int head;		/* the next slot to fill */
	struct malformed to_refuse;	/* the next one that the kernel meets, without PACKET_LOSS */
	bool shared;			/* between threads: one has the lock from fill to submit */
	pthread_mutex_t lock;
};

/* The high bits of a status tell of timestamps. */
static unsigned int slot_status(const struct tx_ring *tx, const unsigned char *slot)
{
	return ring_slot_status(&tx->ring, slot) & STATUS_MASK;
}

static void slot_publish(const struct tx_ring *tx, unsigned char *slot, unsigned int length)
{
	switch (tx->ring.version) {
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

/* Malformed slots among the first so many, spread evenly. */
static unsigned int malformed_before(const struct tx_config *config, uint64_t slots)
{
	return (unsigned int)(slots * config->malformed / PARTS);
}

static unsigned int malformed_slots(const struct tx_config *config)
{
	return malformed_before(config, ring_slot_count(&config->options[OPT_RING].ring));
}

/* Slots that the kernel skips, so that nothing is sent of them. */
static unsigned int skipped_slots(const struct tx_config *config)
{
	return config->options[OPT_LOSS].number ? malformed_slots(config) : 0;
}

static bool slot_is_malformed(const struct tx_config *config, unsigned int slot)
{
	return unlikely(config->malformed) &&
	       malformed_before(config, slot + 1ull) != malformed_before(config, slot);
}

static bool slot_is_skipped(const struct tx_config *config, unsigned int slot)
{
	return slot_is_malformed(config, slot) && config->options[OPT_LOSS].number;
}

/* The inverse of malformed_before(): behind this slot there is one more. */
static struct malformed malformed_at(const struct tx_config *config, uint64_t nth)
{
	const uint64_t parts = config->malformed, in_turn = malformed_slots(config);

	if (!in_turn)
		return (struct malformed) { .slot = UINT_MAX };
	return (struct malformed) {
		.nth = nth,
		.slot = (unsigned int)(((nth % in_turn + 1) * PARTS + parts - 1) / parts - 1),
	};
}

/* All are refused (EBUSY) once the ring exists. */
static int tx_ring_set(const struct tx_socket *socket, const struct tx_ring *tx,
		       struct core_error *error)
{
	const struct tx_config *config = socket->config;
	const int on = 1;
	int err;

	err = ring_version(&tx->ring, socket->fd, error);
	if (err)
		return err;
	if (config->options[OPT_LOSS].number &&
	    setsockopt(socket->fd, SOL_PACKET, PACKET_LOSS, &on, sizeof(on)) < 0)
		return error_set(error, errno, "setsockopt(PACKET_LOSS)");
	if (config->options[OPT_VNET_HDR].number &&
	    setsockopt(socket->fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) < 0)
		return error_set(error, errno, "setsockopt(PACKET_VNET_HDR)");
	return 0;
}

/*
 * Every slot gets a whole frame once, numbered by slot (those that are skipped left out); fill:
 * copy then writes over it. A shared ring has the first thread's address in all of them.
 *
 * With vnet_hdr a virtio_net_hdr stands before it. It asks for no offload; its hdr_len says that
 * the whole frame belongs into the skb's linear part (tpacket_fill_skb copies that much), which
 * spares devices that cannot keep foreign pages their own, dearer copy (veth: skb_copy_ubufs).
 */
static void tx_ring_prefill(const struct tx_socket *socket, struct tx_ring *tx)
{
	const struct tx_config *config = socket->config;
	const struct virtio_net_hdr header = { .hdr_len = (uint16_t)config->frame_size };
	unsigned int i;

	for (i = 0; i < tx->ring.slot_nr; i++) {
		unsigned char *frame = tx->ring.slots[i] + tx->data_offset;

		if (skipped_slots(config)) {
			frame_build(frame, config, socket->index, i - malformed_before(config, i));
		} else if (i < config->flows) {
			frame_build(frame, config, socket->index, i);
		} else {
			memcpy(frame, tx->ring.slots[i - config->flows] + tx->data_offset,
			       config->frame_size);
			frame_number(frame, config, i);
		}
		if (config->options[OPT_VNET_HDR].number)
			memcpy(frame - sizeof(header), &header, sizeof(header));
	}
}

/* What the kernel takes before the frame beside the slot's header. */
static unsigned int vnet_header(const struct tx_config *config)
{
	return config->options[OPT_VNET_HDR].number ? sizeof(struct virtio_net_hdr) : 0;
}

/* The frame lies tp_hdrlen - sizeof(struct sockaddr_ll) into its slot (tpacket_parse_header). */
static unsigned int frame_offset(const struct tx_config *config)
{
	return ring_header(config->options[OPT_RING].ring.version) + vnet_header(config);
}

static void malformed_check(const struct tx_config *config, unsigned long long slots,
			    struct core_problems *problems)
{
	if (!config->malformed)
		return;
	if (slots && slots * config->malformed < PARTS)
		problem_add(problems, "malformed",
			    "%g%% of a ring of %llu slots is none; at least %g%%, or more slots",
			    config->malformed / 1e4, slots,
			    (double)((PARTS + slots - 1) / slots) / 1e4);
	/* tpacket_snd() waits for what it freed, if it was the last of a call. */
	if (config->burst == 1 && config->options[OPT_LOSS].number && !config->msg_dontwait)
		problem_add(problems, "burst",
			    "a blocking call with packet_loss and nothing but a malformed slot waits "
			    "for a frame that never leaves; at least 2, or msg_dontwait: true");
}

static void tx_ring_check(const struct tx_config *config, unsigned int page_size,
			  struct core_problems *problems)
{
	const struct ring_geometry *ring = &config->options[OPT_RING].ring;
	const unsigned int offset = frame_offset(config), slot = ring->frame_size;
	const unsigned int room = slot > offset ? slot - offset : 0;
	struct ring_proposal write;
	unsigned long long slots;

	ring_check(ring, page_size, problems);
	if (!ring_header(ring->version))
		return;
	ring_proposal(ring, page_size, offset + config->frame_size, &write);
	slots = ring_slot_count(&write.geometry);
	if (config->frame_size > room)
		problem_add(problems, "frame_size",
			    "frame of %u bytes does not fit a ring slot of %u: v%u leaves %u bytes; "
			    "exclude the pair, or write %s in ring",
			    config->frame_size, slot, ring->version, room, write.text);
	if (config->burst > slots)
		problem_add(problems, "burst",
			    "burst of %u frames in a ring of %llu slots; at most %llu",
			    config->burst, slots, slots);
	malformed_check(config, slots, problems);
	slots -= skipped_slots(config) < slots ? skipped_slots(config) : 0;
	if (config->flows > slots && config->prefilled)
		problem_add(problems, "flows",
			    "%u flows in a prefilled ring of %llu slots, each of which keeps its flow; "
			    "at most %llu, or fill: copy",
			    config->flows, slots, slots);
}

/*
 * RLIMIT_MEMLOCK is held against each ring for itself: packet_mmap() inserts its pages one by one
 * (VM_MIXEDMAP), and such a mapping is not added to what the process has locked.
 */
static struct tx_memory tx_ring_memory(const struct tx_config *config)
{
	const uint64_t ring = ring_bytes(&config->options[OPT_RING].ring);

	return (struct tx_memory) {
		.bytes = frame_memory(config, 0) + config_sockets(config) * ring,
		.locked = config->options[OPT_LOCKED].number ? ring : 0,
		.ring_frames = (unsigned int)ring_slot_count(&config->options[OPT_RING].ring),
	};
}

/* A prefilled slot keeps its number, and of a shared ring all have the first thread's address. */
static struct tx_numbering tx_ring_numbering(const struct tx_config *config)
{
	if (!config->prefilled)
		return frame_numbering(config);
	return (struct tx_numbering) {
		.kind = NUMBERING_PER_SLOT,
		.period = (unsigned int)ring_slot_count(&config->options[OPT_RING].ring) -
			  skipped_slots(config),
		.streams = config_sockets(config),
	};
}

/* A socket with its ring in kernel memory, not mapped yet. */
static int tx_ring_make(struct tx_socket *socket, struct tx_ring *tx, struct core_error *error)
{
	const struct tx_config *config = socket->config;
	int err;

	ring_init(&tx->ring, &config->options[OPT_RING].ring);
	tx->tp_len = config->frame_size + vnet_header(config);
	tx->data_offset = frame_offset(config);
	tx->to_refuse = malformed_at(config, 0);
	err = sock_open(socket, error);
	if (!err)
		err = tx_ring_set(socket, tx, error);
	if (!err)
		err = ring_allocate(&tx->ring, socket->fd, PACKET_TX_RING, error);
	return err;
}

static int tx_ring_socket_open(struct tx_socket *socket, struct core_error *error)
{
	const struct tx_config *config = socket->config;
	struct tx_ring *tx;
	int err;

	socket->state = tx = calloc(1, sizeof(*tx));
	if (!tx)
		return error_set(error, ENOMEM, "ring");
	pthread_mutex_init(&tx->lock, NULL);
	tx->shared = config->socket_shared && config->threads > 1;
	err = tx_ring_make(socket, tx, error);
	if (!err)
		err = ring_map(&tx->ring, socket->fd, config->options[OPT_LOCKED].number,
			       &socket->mmap_unlocked, error);
	if (!err)
		err = ring_slots(&tx->ring, error);
	if (!err)
		tx_ring_prefill(socket, tx);
	if (!err)
		err = sock_bind(socket, error);
	return err;
}

static void tx_ring_socket_close(struct tx_socket *socket)
{
	struct tx_ring *tx = socket->state;

	if (!tx)
		return;
	ring_close(&tx->ring);
	pthread_mutex_destroy(&tx->lock);
	free(tx);
}

static int tx_ring_open(struct tx_thread *thread, struct core_error *error)
{
	return frame_buffers(thread, 0, error);
}

static uint64_t tx_ring_to_refuse(const struct tx_ring *tx)
{
	return __atomic_load_n(&tx->to_refuse.nth, __ATOMIC_RELAXED);
}

/*
 * Make a frame of the malformed slot at which the kernel stopped. False: it stopped at another one.
 * "before" is what tx_ring_to_refuse() was when the kernel may not have stopped yet: another thread
 * may have mended the slot meanwhile.
 */
static bool tx_ring_mend(struct tx_thread *thread, struct tx_ring *tx, uint64_t before)
{
	struct malformed next;
	unsigned char *slot;
	bool wrong;

	if (!thread->config->malformed)
		return false;
	if (tx->shared)
		pthread_mutex_lock(&tx->lock);
	slot = tx->ring.slots[tx->to_refuse.slot];
	wrong = slot_status(tx, slot) == TP_STATUS_WRONG_FORMAT;
	if (wrong) {
		next = malformed_at(thread->config, tx->to_refuse.nth + 1);
		tx->to_refuse.slot = next.slot;
		__atomic_store_n(&tx->to_refuse.nth, next.nth, __ATOMIC_RELAXED);
		slot_publish(tx, slot, tx->tp_len);
		count(&thread->counts.requested, 1);
		count(&thread->counts.malformed, 1);
	} else {
		wrong = tx->to_refuse.nth != before;
	}
	if (tx->shared)
		pthread_mutex_unlock(&tx->lock);
	if (wrong)
		count(&thread->counts.calls, 1);
	return wrong;
}

/* The errno of one send(), or 0: its value does not count frames. */
static int tx_ring_send(struct tx_thread *thread, int flags, uint64_t bytes)
{
	struct tx_ring *tx = thread->socket->state;
	uint64_t before;
	long sent;

	do {
		before = tx_ring_to_refuse(tx);
		sent = syscall(SYS_sendto, thread->socket->fd, NULL, 0, flags, NULL, 0);
	} while (unlikely(sent < 0 && errno == EINVAL) && tx_ring_mend(thread, tx, before));
	if (unlikely(sent < 0))
		return errno;
	if (unlikely((uint64_t)sent < bytes))
		count(&thread->counts.short_counts, 1);
	return 0;
}

static int tx_ring_refused(struct tx_thread *thread, int code)
{
	return thread_refused(thread, code, "send on the ring");
}

static int tx_ring_kick(struct tx_thread *thread, int flags, uint64_t bytes)
{
	const int code = tx_ring_send(thread, flags, bytes);

	count(&thread->counts.calls, 1);
	return unlikely(code) ? tx_ring_refused(thread, code) : 0;
}

static int tx_ring_wait_once(struct tx_thread *thread)
{
	struct pollfd pollfd = { .fd = thread->socket->fd, .events = POLLOUT };

	switch (thread->config->options[OPT_WAIT].number) {
	case WAIT_BLOCK:
		return tx_ring_kick(thread, 0, 0);
	case WAIT_POLL:
		if (poll(&pollfd, 1, POLL_MS) < 0 && errno != EINTR)
			return thread_fail(thread, errno, "poll on the ring");
		return 0;
	default:
		cpu_relax();
		return 0;
	}
}

static int tx_ring_wrong_format(struct tx_thread *thread)
{
	return thread_fail(thread, EBADMSG, "ring slot came back with TP_STATUS_WRONG_FORMAT");
}

static unsigned char *tx_ring_head(const struct tx_ring *tx)
{
	return tx->ring.slots[__atomic_load_n(&tx->head, __ATOMIC_RELAXED)];
}

/* No slot is free. What helps depends on where the oldest one is. */
static int tx_ring_room(struct tx_thread *thread)
{
	struct tx_ring *tx = thread->socket->state;
	unsigned int spins = 0;
	uint64_t refused, before;
	int err = 0;

	count(&thread->counts.full_waits, 1);
	while (!err && !thread_stopped(thread)) {
		before = tx_ring_to_refuse(tx);
		switch (slot_status(tx, tx_ring_head(tx))) {
		case TP_STATUS_AVAILABLE:
			return 0;
		case TP_STATUS_SEND_REQUEST:	/* left behind by EAGAIN or ENOBUFS: ask again */
			refused = thread->counts.eagain;
			err = tx_ring_kick(thread, thread->flags, 0);
			if (!err && thread->counts.eagain != refused)
				err = tx_ring_wait_once(thread);
			break;
		case TP_STATUS_SENDING:
			err = tx_ring_wait_once(thread);
			break;
		default:
			if (!tx_ring_mend(thread, tx, before))
				return tx_ring_wrong_format(thread);
			err = tx_ring_kick(thread, thread->flags, 0);
		}
		if (++spins % SPINS_PER_CLOCK == 0 &&
		    clock_ns(CLOCK_MONOTONIC) >= thread->deadline_ns)
			return 0;
	}
	return err;
}

/*
 * Frames in slots, in the kernel's order, while they are free. Of a shared ring no other thread may
 * fill the next ones before these are published, as the kernel stops at one that is not.
 */
static unsigned int tx_ring_fill(struct tx_thread *thread)
{
	const struct tx_config *config = thread->config;
	struct tx_ring *tx = thread->socket->state;
	unsigned int filled, head;

	if (tx->shared)
		pthread_mutex_lock(&tx->lock);
	head = tx->head;
	for (filled = 0; filled < config->burst; filled++) {
		unsigned char *slot = tx->ring.slots[head];

		if (unlikely(slot_status(tx, slot) != TP_STATUS_AVAILABLE))
			break;
		if (!config->prefilled) {
			frame_copy(slot + tx->data_offset, thread, thread->number);
			thread->number += !slot_is_skipped(config, head);
		}
		if (unlikely(++head == tx->ring.slot_nr))
			head = 0;
	}
	if (tx->shared && !filled)
		pthread_mutex_unlock(&tx->lock);
	return filled;
}

/* The slots that were filled, as long as they are to be: how many of them are malformed. */
static unsigned int tx_ring_publish(struct tx_ring *tx, const struct tx_config *config,
				    unsigned int filled)
{
	unsigned int i, malformed = 0, head = tx->head;

	for (i = 0; i < filled; i++) {
		unsigned char *slot = tx->ring.slots[head];

		if (slot_is_malformed(config, head)) {
			slot_publish(tx, slot, MALFORMED_LENGTH + vnet_header(config));
			malformed++;
		} else {
			slot_publish(tx, slot, tx->tp_len);
		}
		if (unlikely(++head == tx->ring.slot_nr))
			head = 0;
	}
	__atomic_store_n(&tx->head, head, __ATOMIC_RELEASE);	/* after the slots' statuses */
	return malformed;
}

static int tx_ring_submit(struct tx_thread *thread, unsigned int filled)
{
	const struct tx_config *config = thread->config;
	struct tx_ring *tx = thread->socket->state;
	const unsigned int malformed = tx_ring_publish(tx, config, filled);

	if (tx->shared)
		pthread_mutex_unlock(&tx->lock);
	count(&thread->counts.requested, filled);
	if (unlikely(malformed) && config->options[OPT_LOSS].number) {
		count(&thread->counts.malformed, malformed);
		count(&thread->counts.submitted, filled - malformed);
	} else {
		count(&thread->counts.submitted, filled);
	}
	return tx_ring_kick(thread, thread->flags, (uint64_t)filled * config->frame_size);
}

/*
 * Slots with one of these statuses, of those that are not skipped. It reads every slot, so it is
 * for what goes wrong only.
 */
static uint64_t tx_ring_count(const struct tx_socket *socket, unsigned int statuses)
{
	const struct tx_ring *tx = socket->state;
	uint64_t found = 0;
	unsigned int i;

	for (i = 0; i < tx->ring.slot_nr; i++)
		found += (slot_status(tx, tx->ring.slots[i]) & statuses) != 0 &&
			 !slot_is_skipped(socket->config, i);
	return found;
}

/*
 * True when every slot that was filled before the call is free.
 *
 * A blocking send hands over what was left behind. It returns without an error only when no frame
 * is pending (tpacket_snd: tx_ring.pending), in whatever order frames came back; and as the kernel
 * takes slots in order, it took all of them if it took the newest. So two looks at one slot are
 * enough. A look at every slot would fall into the window and cost a cache miss for each.
 */
static bool tx_ring_wait(struct tx_thread *thread)
{
	struct tx_ring *tx = thread->socket->state;
	const unsigned int head = __atomic_load_n(&tx->head, __ATOMIC_ACQUIRE);
	const uint64_t before = tx_ring_to_refuse(tx);
	const unsigned char *newest = tx->ring.slots[(head ? head : tx->ring.slot_nr) - 1];
	const bool left_behind = slot_status(tx, newest) == TP_STATUS_SEND_REQUEST;
	const struct timespec nap = { .tv_nsec = 20000 };
	const int code = tx_ring_send(thread, 0, 0);

	count(&thread->counts.calls, left_behind);
	if (code) {
		tx_ring_refused(thread, code);
		if (code == ENOBUFS)		/* nobody wakes us when the qdisc has room */
			clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
		return false;
	}
	if (slot_status(tx, newest) == TP_STATUS_AVAILABLE)
		return true;
	if (tx_ring_count(thread->socket, TP_STATUS_WRONG_FORMAT) &&
	    !tx_ring_mend(thread, tx, before))
		tx_ring_wrong_format(thread);
	return false;
}

/* The newest slots, as the kernel takes them in order: what met a full sndbuf or a full qdisc. */
static uint64_t tx_ring_left_behind(const struct tx_socket *socket)
{
	const struct tx_ring *tx = socket->state;
	unsigned int slot = __atomic_load_n(&tx->head, __ATOMIC_ACQUIRE);
	uint64_t left;

	for (left = 0; left < tx->ring.slot_nr; left++) {
		slot = (slot ? slot : tx->ring.slot_nr) - 1;
		if (slot_status(tx, tx->ring.slots[slot]) != TP_STATUS_SEND_REQUEST)
			break;
	}
	return left;
}

/* What a shared ring has left is counted once, by the first thread. */
static bool tx_ring_reap(struct tx_thread *thread)
{
	const struct tx_ring *tx = thread->socket->state;
	struct tx_counts *counts = &thread->counts;
	uint64_t left = 0;

	if (!thread->idle && !(tx->shared && thread->index > 0))
		left = tx_ring_count(thread->socket, STATUS_MASK);
	left = left < counts->submitted ? left : counts->submitted;
	__atomic_store_n(&counts->completed, counts->submitted - left, __ATOMIC_RELAXED);
	return left > 0;
}

static void tx_ring_facts(const struct tx_cell *cell, struct tx_facts *facts)
{
	facts->mmap_unlocked = cell->sockets[0].mmap_unlocked;
}

static int tx_ring_probe(struct core_error *error)
{
	struct tx_config config = {
		.threads = 1, .burst = 1, .frame_size = 64,
		.options[OPT_RING].ring = {
			.version = 2, .block_size = (unsigned int)sysconf(_SC_PAGESIZE),
			.block_nr = 1, .frame_size = 128,
		},
	};
	struct tx_socket socket = { .config = &config, .fd = -1 };
	struct tx_ring tx = { 0 };
	const int err = tx_ring_make(&socket, &tx, error);

	if (socket.fd >= 0)
		close(socket.fd);
	return err;
}

const struct tx_method tx_ring_method = {
	.info = {
		.name = "tx_ring",
		.help = "PACKET_TX_RING: frames in shared memory, one send() per burst",
		.path = "tpacket_snd: skb around the slot's pages, dev_queue_xmit",
		.knobs = KNOB_INTERFACE | KNOB_FRAME_SIZE | KNOB_THREADS | KNOB_SOCKET |
			 KNOB_BURST | KNOB_FILL | KNOB_SNDBUF | KNOB_MSG_DONTWAIT |
			 KNOB_QDISC_BYPASS | KNOB_FLOWS | KNOB_VLAN | KNOB_PROTOCOL |
			 KNOB_MALFORMED,
		.options = tx_ring_options,
		.option_nr = ARRAY_SIZE(tx_ring_options),
	},
	.probe = tx_ring_probe,
	.check = tx_ring_check,
	.memory = tx_ring_memory,
	.numbering = tx_ring_numbering,
	.socket_open = tx_ring_socket_open,
	.socket_close = tx_ring_socket_close,
	.open = tx_ring_open,
	.fill = tx_ring_fill,
	.submit = tx_ring_submit,
	.room = tx_ring_room,
	.reap = tx_ring_reap,
	.wait = tx_ring_wait,
	.left_behind = tx_ring_left_behind,
	.facts = tx_ring_facts,
};
