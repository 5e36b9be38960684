/*
 * The generic ring: see ring.h.
 */
#include <limits.h>
#include <stdio.h>
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

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t rounded_up(uint64_t number, uint64_t unit)
{
	return (number + unit - 1) / unit * unit;
}

/* tp_hdrlen: what the kernel wants of each slot, though a sent frame begins before its end. */
static unsigned int smallest_slot(unsigned int version)
{
	return ring_header(version) + (unsigned int)sizeof(struct sockaddr_ll);
}

/*
 * The kernel's table of blocks, a pointer each, is one allocation (alloc_pg_vec): at most
 * KMALLOC_MAX_SIZE, which is 1024 pages where nobody configured another MAX_PAGE_ORDER.
 */
static unsigned int most_blocks(unsigned int page_size)
{
	return (unsigned int)(((uint64_t)page_size << 10) / sizeof(void *));
}

/*
 * The geometry nearest to a wrong one that the kernel takes, with as many slots and room for what
 * is at least so many bytes in each; a right one as it is. So whoever follows what a problem
 * proposes meets no further one.
 */
static struct ring_geometry ring_mended(const struct ring_geometry *wrong, unsigned int page_size,
					unsigned int room)
{
	const uint64_t largest = INT_MAX / page_size * page_size;	/* the kernel's int */
	const uint64_t least = larger(smallest_slot(wrong->version), room);
	const uint64_t slot = smaller(rounded_up(larger(wrong->frame_size, least),
						 TPACKET_ALIGNMENT), largest);
	const uint64_t in_block = wrong->frame_size ? wrong->block_size / wrong->frame_size : 0;
	uint64_t block = rounded_up(larger(wrong->block_size, larger(in_block, 1) * slot), page_size);
	uint64_t blocks = larger(wrong->block_nr, 1);
	const uint64_t joined = rounded_up(blocks, most_blocks(page_size)) / most_blocks(page_size);

	block = smaller(block * joined, largest);
	blocks = smaller(rounded_up(blocks, joined) / joined, UINT_MAX / (block / slot));
	return (struct ring_geometry) {
		.version = wrong->version,
		.block_size = (unsigned int)block,
		.block_nr = (unsigned int)blocks,
		.frame_size = (unsigned int)slot,
	};
}

void ring_proposal(const struct ring_geometry *wrong, unsigned int page_size, unsigned int room,
		   struct ring_proposal *proposal)
{
	const struct ring_geometry mended = ring_mended(wrong, page_size, room);
	const struct {
		const char *name;
		unsigned int was, is;
	} fields[] = {
		{ "frame_size", wrong->frame_size, mended.frame_size },
		{ "block_size", wrong->block_size, mended.block_size },
		{ "block_nr", wrong->block_nr, mended.block_nr },
	};
	size_t used = 0, i;

	proposal->geometry = mended;
	proposal->text[0] = '\0';
	for (i = 0; i < ARRAY_SIZE(fields); i++)
		if (fields[i].was != fields[i].is)
			used += (size_t)snprintf(proposal->text + used, sizeof(proposal->text) - used,
						 "%s%s: %u", used ? ", " : "", fields[i].name,
						 fields[i].is);
}

/* What packet_set_ring() would refuse (net/packet/af_packet.c), before it has to. */
void ring_check(const struct ring_geometry *geometry, unsigned int page_size, unsigned int room,
		struct core_problems *problems)
{
	const unsigned int block = geometry->block_size, slot = geometry->frame_size;
	const unsigned int blocks = geometry->block_nr, most = most_blocks(page_size);
	struct ring_proposal write;

	if (!ring_header(geometry->version)) {
		problem_add(problems, "ring", "ring version %u; 1, 2 or 3", geometry->version);
		return;
	}
	ring_proposal(geometry, page_size, room, &write);
	if (block % page_size)
		problem_add(problems, "ring",
			    "ring block_size %u is no multiple of the page size %u; write %s, or "
			    "slots instead, which fit any page",
			    block, page_size, write.text);
	if (slot % TPACKET_ALIGNMENT)
		problem_add(problems, "ring", "ring frame_size %u is no multiple of %u; write %s",
			    slot, TPACKET_ALIGNMENT, write.text);
	if (slot < smallest_slot(geometry->version))
		problem_add(problems, "ring",
			    "ring frame_size %u is smaller than its header; write %s", slot,
			    write.text);
	if (block < slot)
		problem_add(problems, "ring",
			    "ring frame_size %u is larger than its block_size %u; write %s", slot,
			    block, write.text);
	if (blocks > most)
		problem_add(problems, "ring",
			    "ring of %u blocks: the kernel's table has at most %u; use larger "
			    "blocks, such as %s", blocks, most, write.text);
	else if (ring_slot_count(geometry) > UINT_MAX)
		problem_add(problems, "ring", "ring of %llu slots; at most %u: write %s",
			    (unsigned long long)ring_slot_count(geometry), UINT_MAX, write.text);
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
	ring->block_slots = geometry->block_size / geometry->frame_size;
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

/* A block begins with a slot; what its slots leave at its end stays unused (packet_lookup_frame). */
int ring_slots(struct ring *ring, struct core_error *error)
{
	unsigned int block, i, slot = 0;

	ring->slots = calloc(ring->slot_nr, sizeof(*ring->slots));
	if (!ring->slots)
		return error_set(error, ENOMEM, "table of %u ring slots", ring->slot_nr);
	for (block = 0; block < ring->block_nr; block++)
		for (i = 0; i < ring->block_slots; i++)
			ring->slots[slot++] = ring->map + (size_t)block * ring->block_size +
					      (size_t)i * ring->slot_size;
	return 0;
}

void ring_close(struct ring *ring)
{
	if (ring->map)
		munmap(ring->map, ring->length);
	free(ring->slots);
}
