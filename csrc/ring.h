/*
 * A ring of slots in memory shared with the kernel (PACKET_TX_RING, PACKET_RX_RING; TPACKET v1 to
 * v3): its geometry, its mapping and the status of a slot. A slot's status says whose it is: load
 * it with acquire before the slot is touched, store it with release after.
 */
#ifndef RING_H
#define RING_H

#include <linux/if_packet.h>

#include "engine.h"

struct ring {
	unsigned int version;		/* TPACKET version: 1, 2, 3 */
	unsigned int block_size;
	unsigned int block_nr;
	unsigned int slot_size;
	unsigned int block_slots;	/* in each block */
	unsigned int slot_nr;
	unsigned char *map;
	size_t length;			/* bytes of map */
	unsigned char **slots;		/* in the kernel's order */
};

/* The nearest geometry that the kernel takes, and its differences as a matrix has them. */
struct ring_proposal {
	struct ring_geometry geometry;
	char text[80];
};

/* ring.c; ring_close accepts a half-open ring */
/* What it proposes has room for at least so many bytes in each slot. */
void ring_check(const struct ring_geometry *geometry, unsigned int page_size, unsigned int room,
		struct core_problems *problems);
/* With at least so many bytes in each slot; of a version that there is. */
void ring_proposal(const struct ring_geometry *wrong, unsigned int page_size, unsigned int room,
		   struct ring_proposal *proposal);
unsigned int ring_header(unsigned int version);		/* bytes; 0: no such version */
uint64_t ring_bytes(const struct ring_geometry *geometry);
uint64_t ring_slot_count(const struct ring_geometry *geometry);
void ring_init(struct ring *ring, const struct ring_geometry *geometry);
int ring_version(const struct ring *ring, int fd, struct core_error *error);
int ring_allocate(const struct ring *ring, int fd, int option, struct core_error *error);
int ring_map(struct ring *ring, int fd, bool locked, bool *unlocked, struct core_error *error);
int ring_slots(struct ring *ring, struct core_error *error);
void ring_close(struct ring *ring);

/* v1 has it in an unsigned long, of which the kernel uses 32 bits. */
static inline unsigned int ring_slot_status(const struct ring *ring, const unsigned char *slot)
{
	switch (ring->version) {
	case 1:
		return (unsigned int)__atomic_load_n(
			&((const struct tpacket_hdr *)slot)->tp_status, __ATOMIC_ACQUIRE);
	case 2:
		return __atomic_load_n(&((const struct tpacket2_hdr *)slot)->tp_status,
				       __ATOMIC_ACQUIRE);
	default:
		return __atomic_load_n(&((const struct tpacket3_hdr *)slot)->tp_status,
				       __ATOMIC_ACQUIRE);
	}
}

#endif
