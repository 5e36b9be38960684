/*
 * Sending through AF_XDP: see tx_af_xdp.c.
 *
 * What a call answers in copy mode:
 *   0       it took all descriptors
 *   EAGAIN  it took as many as its budget allows, or none: the send buffer or the driver is full.
 *           Older kernels (6.1, 6.12) do not tell the consumer then, so the number of calls that a
 *           budget takes is counted: EAGAIN at the last of them is a refusal.
 *   EBUSY   the last frame that it took was dropped, and is completed: no carrier, over the MTU
 */
#include <sys/socket.h>

#include "tx_af_xdp.h"

#define SPINS_PER_CLOCK 256

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
int af_xdp_room(struct tx_thread *thread)
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
unsigned int af_xdp_fill(struct tx_thread *thread)
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

int af_xdp_submit(struct tx_thread *thread, unsigned int frames)
{
	struct af_xdp *xdp = thread->socket->state;

	xdp->head += frames;
	count(&thread->counts.requested, frames);
	count(&thread->counts.submitted, frames);
	return af_xdp_hand_over(thread, xdp);
}

bool af_xdp_reap(struct tx_thread *thread)
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
uint64_t af_xdp_left_behind(const struct tx_socket *socket)
{
	struct af_xdp *xdp = socket->state;

	af_xdp_collect(xdp);
	return xdp->zero_copy ? af_xdp_owned(xdp) : af_xdp_pending(xdp);
}
