/*
 * What the files of af_xdp share: tx_af_xdp.c opens its sockets, tx_af_xdp_send.c sends.
 */
#ifndef TX_AF_XDP_H
#define TX_AF_XDP_H

#include <pthread.h>

#include "../umem.h"

/* Its options, in the order of the table in tx_af_xdp.c. */
enum { OPT_RING, OPT_BUDGET, OPT_MODE, OPT_NEED_WAKEUP, OPT_UMEM, OPT_QUEUE };

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

/* tx_af_xdp_send.c: hooks */
unsigned int af_xdp_fill(struct tx_thread *thread);
int af_xdp_submit(struct tx_thread *thread, unsigned int frames);
int af_xdp_room(struct tx_thread *thread);
bool af_xdp_reap(struct tx_thread *thread);
uint64_t af_xdp_left_behind(const struct tx_socket *socket);

static inline struct xsk_descriptor *descriptor_at(const struct af_xdp *xdp,
						   uint64_t position)
{
	return (struct xsk_descriptor *)xdp->tx.entries + (position & (xdp->slots - 1));
}

#endif
