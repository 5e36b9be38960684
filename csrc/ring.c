/*
 * The generic ring: see ring.h.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "ring.h"

/* The header of the version, aligned to TPACKET_ALIGNMENT. These are bytes, not headers. */
unsigned int ring_header(unsigned int version)
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

/*
 * What packet_set_ring() would refuse (net/packet/af_packet.c), before it has to.
 *
 * Two rules are ours: every byte of a block belongs to a slot, where the kernel would leave a rest
 * unused; and less than 4 GiB, which it asks for before Linux 5.0 only.
 */
void ring_check(const struct ring_geometry *geometry, unsigned int page_size,
		struct core_problems *problems)
{
	const unsigned int block = geometry->block_size, slot = geometry->frame_size;
	const unsigned int header = ring_header(geometry->version);
	const unsigned int smallest = header + (unsigned int)sizeof(struct sockaddr_ll);
	const uint64_t bytes = ring_bytes(geometry);

	if (!header)
		problem_add(problems, "ring", "ring version %u; 1, 2 or 3", geometry->version);
	if (block % page_size)
		problem_add(problems, "ring",
			    "ring block_size %u is no multiple of the page size %u; write slots "
			    "instead of block_size and block_nr: blocks then fit any page",
			    block, page_size);
	if (slot % TPACKET_ALIGNMENT)
		problem_add(problems, "ring", "ring frame_size %u is no multiple of %u", slot,
			    TPACKET_ALIGNMENT);
	if (slot < smallest)
		problem_add(problems, "ring",
			    "ring frame_size %u is smaller than its header; at least %u", slot,
			    smallest);
	else if (block % slot)
		problem_add(problems, "ring",
			    "ring block_size %u is no multiple of its frame_size %u", block, slot);
	if (bytes > UINT32_MAX)
		problem_add(problems, "ring", "ring of %llu bytes; less than 4 GiB",
			    (unsigned long long)bytes);
}

uint64_t ring_bytes(const struct ring_geometry *geometry)
{
	return (uint64_t)geometry->block_size * geometry->block_nr;
}

uint64_t ring_slot_count(const struct ring_geometry *geometry)
{
	const unsigned int slot = geometry->frame_size;

	return slot ? (uint64_t)(geometry->block_size / slot) * geometry->block_nr : 0;
}

/* Of a geometry that ring_check() finds nothing wrong with. */
void ring_init(struct ring *ring, const struct ring_geometry *geometry)
{
	ring->version = geometry->version;
	ring->block_size = geometry->block_size;
	ring->block_nr = geometry->block_nr;
	ring->slot_size = geometry->frame_size;
	ring->slot_nr = (unsigned int)ring_slot_count(geometry);
	ring->length = (size_t)ring_bytes(geometry);
}

/* Refused (EBUSY) once the ring exists. */
int ring_version(const struct ring *ring, int fd, struct core_error *error)
{
	const int version = ring->version == 3 ? TPACKET_V3 :
			    ring->version == 2 ? TPACKET_V2 : TPACKET_V1;

	if (setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) < 0)
		return error_set(error, errno, "setsockopt(PACKET_VERSION, v%u)", ring->version);
	return 0;
}

/* The option is PACKET_TX_RING or PACKET_RX_RING. */
int ring_allocate(const struct ring *ring, int fd, int option, struct core_error *error)
{
	struct tpacket_req3 request = {		/* begins with the fields of tpacket_req */
		.tp_block_size = ring->block_size,
		.tp_block_nr = ring->block_nr,
		.tp_frame_size = ring->slot_size,
		.tp_frame_nr = ring->slot_nr,
	};
	const socklen_t length = ring->version == 3 ? sizeof(request) : sizeof(struct tpacket_req);

	if (setsockopt(fd, SOL_PACKET, option, &request, length) < 0)
		return error_set(error, errno, "setsockopt(%s, v%u, %u blocks of %u, frames of %u)",
				 option == PACKET_TX_RING ? "PACKET_TX_RING" : "PACKET_RX_RING",
				 ring->version, ring->block_nr, ring->block_size, ring->slot_size);
	return 0;
}

/*
 * MAP_LOCKED beyond RLIMIT_MEMLOCK is refused with EAGAIN to whom lacks CAP_IPC_LOCK. The pages
 * are the kernel's own and never swapped, so a populated mapping serves as well; it is reported.
 */
int ring_map(struct ring *ring, int fd, bool locked, bool *unlocked, struct core_error *error)
{
	const int flags = MAP_SHARED | MAP_POPULATE, access = PROT_READ | PROT_WRITE;
	void *map = MAP_FAILED;

	if (locked) {
		map = mmap(NULL, ring->length, access, flags | MAP_LOCKED, fd, 0);
		*unlocked = map == MAP_FAILED;
	}
	if (map == MAP_FAILED)
		map = mmap(NULL, ring->length, access, flags, fd, 0);
	if (map == MAP_FAILED)
		return error_set(error, errno, "mmap of a ring of %zu bytes", ring->length);
	ring->map = map;
	return 0;
}

int ring_slots(struct ring *ring, struct core_error *error)
{
	unsigned int i;

	ring->slots = calloc(ring->slot_nr, sizeof(*ring->slots));
	if (!ring->slots)
		return error_set(error, ENOMEM, "table of %u ring slots", ring->slot_nr);
	for (i = 0; i < ring->slot_nr; i++)
		ring->slots[i] = ring->map + (size_t)i * ring->slot_size;
	return 0;
}

void ring_close(struct ring *ring)
{
	if (ring->map)
		munmap(ring->map, ring->length);
	free(ring->slots);
}
