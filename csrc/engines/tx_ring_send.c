/*
 * tx_ring's sending: slots are filled, published and handed over, waited for and counted.
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
#include <poll.h>
#include <sys/socket.h>

#include "tx_ring.h"

#define SPINS_PER_CLOCK 256
#define POLL_MS 1

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
	return super_explained(thread, thread_refused(thread, code, "send on the ring"));
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
int tx_ring_room(struct tx_thread *thread)
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
unsigned int tx_ring_fill(struct tx_thread *thread)
{
	const struct tx_config *config = thread->config;
	struct tx_ring *tx = thread->socket->state;
	unsigned int filled, head;	/* slots */

	if (tx->shared)
		pthread_mutex_lock(&tx->lock);
	head = tx->head;
	for (filled = 0; filled < tx->burst; filled++) {
		unsigned char *slot = tx->ring.slots[head];

		if (unlikely(slot_status(tx, slot) != TP_STATUS_AVAILABLE))
			break;
		if (!config->prefilled && unlikely(config->segments > 1)) {
			memcpy(slot + tx->data_offset, thread->buffer, config->headers);
			super_copy(slot + tx->data_offset, thread, thread->number);
			thread->number += config->segments;
		} else if (!config->prefilled) {
			frame_copy(slot + tx->data_offset, thread, thread->number);
			thread->number += !slot_is_skipped(config, head);
		}
		if (unlikely(++head == tx->ring.slot_nr))
			head = 0;
	}
	if (tx->shared && !filled)
		pthread_mutex_unlock(&tx->lock);
	return filled * config->segments;
}

/* So many frames that were filled, as long as they are to be: how many of them are malformed. */
static unsigned int tx_ring_publish(struct tx_ring *tx, const struct tx_config *config,
				    unsigned int frames)
{
	unsigned int i, malformed = 0, head = tx->head;

	for (i = 0; i < frames; i += config->segments) {
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

/* What send() counts of so many frames: those of a super-frame share its headers. */
static uint64_t bytes_of(const struct tx_config *config, unsigned int frames)
{
	if (unlikely(config->segments > 1))
		return (uint64_t)(frames / config->segments) * super_size(config);
	return (uint64_t)frames * config->frame_size;
}

int tx_ring_submit(struct tx_thread *thread, unsigned int filled)
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
	return tx_ring_kick(thread, thread->flags, bytes_of(config, filled));
}

/*
 * Frames in slots with one of these statuses, of those that are not skipped. It reads every slot, so
 * it is for what goes wrong only.
 */
static uint64_t tx_ring_count(const struct tx_socket *socket, unsigned int statuses)
{
	const struct tx_ring *tx = socket->state;
	uint64_t found = 0;
	unsigned int i;

	for (i = 0; i < tx->ring.slot_nr; i++)
		found += (slot_status(tx, tx->ring.slots[i]) & statuses) != 0 &&
			 !slot_is_skipped(socket->config, i);
	return found * socket->config->segments;
}

/*
 * True when every slot that was filled before the call is free.
 *
 * A blocking send hands over what was left behind. It returns without an error only when no frame
 * is pending (tpacket_snd: tx_ring.pending), in whatever order frames came back; and as the kernel
 * takes slots in order, it took all of them if it took the newest. So two looks at one slot are
 * enough. A look at every slot would fall into the window and cost a cache miss for each.
 */
bool tx_ring_wait(struct tx_thread *thread)
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
uint64_t tx_ring_left_behind(const struct tx_socket *socket)
{
	const struct tx_ring *tx = socket->state;
	unsigned int slot = __atomic_load_n(&tx->head, __ATOMIC_ACQUIRE);
	uint64_t left;

	for (left = 0; left < tx->ring.slot_nr; left++) {
		slot = (slot ? slot : tx->ring.slot_nr) - 1;
		if (slot_status(tx, tx->ring.slots[slot]) != TP_STATUS_SEND_REQUEST)
			break;
	}
	return left * socket->config->segments;
}

/* What a shared ring has left is counted once, by the first thread. */
bool tx_ring_reap(struct tx_thread *thread)
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
