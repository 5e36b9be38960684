/*
 * What the files of tx_ring share: tx_ring.c opens it, tx_ring_send.c sends, tx_ring_malformed.c is of
 * slots that the kernel must refuse.
 */
#ifndef TX_RING_H
#define TX_RING_H

#include <pthread.h>

#include "../ring.h"
#include "../super.h"

#define PARTS 1000000		/* of which config->malformed are */
#define MALFORMED_LENGTH (ETHERNET_HEADER - 1)
#define STATUS_MASK (TP_STATUS_SEND_REQUEST | TP_STATUS_SENDING | TP_STATUS_WRONG_FORMAT)

/* Its options, in the order of the table in tx_ring.c. */
enum { OPT_RING, OPT_WAIT, OPT_LOSS, OPT_LOCKED, OPT_VNET_HDR, OPT_SEGMENTS, OPT_TYPE };

/* ring_wait */
enum { WAIT_BLOCK, WAIT_POLL, WAIT_SPIN };

/* One of the slots that are malformed, which are the same ones in each turn of the ring. */
struct malformed {
	uint64_t nth;			/* counted over all turns */
	unsigned int slot;		/* UINT_MAX: no slot is */
};

struct tx_ring {
	struct ring ring;
	unsigned int data_offset;	/* of the (super-)frame in its slot */
	unsigned int tp_len;		/* of each slot: that and what the kernel takes before it */
	unsigned int burst;		/* slots of one */
	unsigned int head;		/* the next slot to fill */
	struct malformed to_refuse;	/* the next one that the kernel meets, without PACKET_LOSS */
	bool shared;			/* between threads: one has the lock from fill to submit */
	pthread_mutex_t lock;
};

/* tx_ring_send.c: hooks */
unsigned int tx_ring_fill(struct tx_thread *thread);
int tx_ring_submit(struct tx_thread *thread, unsigned int filled);
int tx_ring_room(struct tx_thread *thread);
bool tx_ring_wait(struct tx_thread *thread);
uint64_t tx_ring_left_behind(const struct tx_socket *socket);
bool tx_ring_reap(struct tx_thread *thread);

/* tx_ring_malformed.c */
void malformed_check(const struct tx_config *config, unsigned long long slots,
		     struct core_problems *problems);
/* Slots that the kernel skips, so that nothing is sent of them. */
unsigned int skipped_slots(const struct tx_config *config);
/* The inverse of malformed_before(): behind this slot there is one more. */
struct malformed malformed_at(const struct tx_config *config, uint64_t nth);
/*
 * Make a frame of the malformed slot at which the kernel stopped. False: it stopped at another one.
 * "before" is what tx_ring_to_refuse() was when the kernel may not have stopped yet: another thread
 * may have mended the slot meanwhile.
 */
bool tx_ring_mend(struct tx_thread *thread, struct tx_ring *tx, uint64_t before);

/* The high bits of a status tell of timestamps. */
static inline unsigned int slot_status(const struct tx_ring *tx, const unsigned char *slot)
{
	return ring_slot_status(&tx->ring, slot) & STATUS_MASK;
}

static inline void slot_publish(const struct tx_ring *tx, unsigned char *slot, unsigned int length)
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

/* What the kernel takes before the frame beside the slot's header. */
static inline unsigned int vnet_header(const struct tx_config *config)
{
	return config->options[OPT_VNET_HDR].number ? sizeof(struct virtio_net_hdr) : 0;
}

/* Malformed slots among the first so many, spread evenly. */
static inline unsigned int malformed_before(const struct tx_config *config, uint64_t slots)
{
	return (unsigned int)(slots * config->malformed / PARTS);
}

static inline bool slot_is_malformed(const struct tx_config *config, unsigned int slot)
{
	return unlikely(config->malformed) &&
	       malformed_before(config, slot + 1ull) != malformed_before(config, slot);
}

static inline bool slot_is_skipped(const struct tx_config *config, unsigned int slot)
{
	return slot_is_malformed(config, slot) && config->options[OPT_LOSS].number;
}

static inline uint64_t tx_ring_to_refuse(const struct tx_ring *tx)
{
	return __atomic_load_n(&tx->to_refuse.nth, __ATOMIC_RELAXED);
}

#endif
