/*
 * Sockets of AF_XDP: memory of frames, rings, binding to a queue of an interface.
 */
#define _FILE_OFFSET_BITS 64		/* a ring is mapped at an offset beyond 4 GiB */

#include <sys/mman.h>
#include <sys/socket.h>

#include "umem.h"

#define SMALLEST_CHUNK 2048		/* net/xdp/xdp_umem.c, XDP_UMEM_MIN_CHUNK_SIZE */
#define REBIND_NS NSEC_PER_SEC

struct xsk_umem_reg {
	uint64_t area;
	uint64_t length;
	uint32_t chunk;
	uint32_t headroom;
};					/* as the first version was: flags come behind */

struct xsk_ring_offset {
	uint64_t producer, consumer, entries, flags;
};

struct xsk_offsets {
	struct xsk_ring_offset rx, tx, fill, completion;
};

static const struct timespec rebind_nap = { .tv_nsec = 1000000 };

/* A power of two that holds a frame; the kernel takes none above its page size. */
unsigned int umem_chunk(unsigned int frame_size)
{
	unsigned int chunk = SMALLEST_CHUNK;

	while (chunk < frame_size)
		chunk *= 2;
	return chunk;
}

int umem_allocate(struct umem *umem, unsigned int frame_size, unsigned int frames,
		  struct core_error *error)
{
	void *area;

	umem->chunk = umem_chunk(frame_size);
	umem->length = (size_t)umem->chunk * frames;
	area = mmap(NULL, umem->length, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (area == MAP_FAILED)
		return error_set(error, errno, "umem of %zu bytes", umem->length);
	umem->area = area;
	return 0;
}

/*
 * The kernel pins the pages, and holds those of all umems of a user against RLIMIT_MEMLOCK for whom
 * lacks CAP_IPC_LOCK (xdp_umem_account_pages).
 */
int umem_register(const struct umem *umem, int fd, struct core_error *error)
{
	const struct xsk_umem_reg request = {
		.area = (uintptr_t)umem->area, .length = umem->length, .chunk = umem->chunk,
	};

	if (setsockopt(fd, XSK_LEVEL, XSK_UMEM_REG, &request, sizeof(request)) < 0)
		return error_set(error, errno, "setsockopt(XDP_UMEM_REG, %zu bytes)%s",
				 umem->length, errno == ENOBUFS ?
				 " needs a higher RLIMIT_MEMLOCK (ulimit -l), a smaller xdp_ring or "
				 "CAP_IPC_LOCK" : "");
	return 0;
}

void umem_free(struct umem *umem)
{
	if (umem->area)
		munmap(umem->area, umem->length);
}

int xsk_socket(struct core_error *error)
{
	const int fd = socket(XSK_FAMILY, SOCK_RAW | SOCK_CLOEXEC, 0), err = errno;

	return fd >= 0 ? fd : error_set(error, err, "socket(AF_XDP)%s",
		err == EPERM ? " needs CAP_NET_RAW" :
		err == EAFNOSUPPORT ? ": this kernel is without CONFIG_XDP_SOCKETS" : "");
}

static const char *option_name(int option)
{
	switch (option) {
	case XSK_TX_RING:
		return "XDP_TX_RING";
	case XSK_FILL_RING:
		return "XDP_UMEM_FILL_RING";
	default:
		return "XDP_UMEM_COMPLETION_RING";
	}
}

int xsk_ring_allocate(int fd, int option, unsigned int size, struct core_error *error)
{
	if (setsockopt(fd, XSK_LEVEL, option, &size, sizeof(size)) < 0)
		return error_set(error, errno, "setsockopt(%s, %u)", option_name(option), size);
	return 0;
}

/* Before Linux 5.4 the offsets have no flags, and are shorter. */
static int offsets_get(int fd, struct xsk_offsets *offsets, struct core_error *error)
{
	socklen_t length = sizeof(*offsets);

	if (getsockopt(fd, XSK_LEVEL, XSK_MMAP_OFFSETS, offsets, &length) < 0)
		return error_set(error, errno, "getsockopt(XDP_MMAP_OFFSETS)");
	if (length != sizeof(*offsets))
		return error_set(error, EOPNOTSUPP, "AF_XDP of a kernel before 5.4");
	return 0;
}

static int ring_map_at(struct xsk_ring *ring, int fd, const struct xsk_ring_offset *offset,
		       uint64_t pgoff, size_t entries, struct core_error *error)
{
	const size_t length = (size_t)offset->entries + entries;
	unsigned char *map = mmap(NULL, length, PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_POPULATE, fd, (off_t)pgoff);

	if (map == MAP_FAILED)
		return error_set(error, errno, "mmap of an AF_XDP ring of %zu bytes", length);
	ring->map = map;
	ring->length = length;
	ring->producer = (uint32_t *)(map + offset->producer);
	ring->consumer = (uint32_t *)(map + offset->consumer);
	ring->flags = (uint32_t *)(map + offset->flags);
	ring->entries = map + offset->entries;
	return 0;
}

int xsk_tx_map(struct xsk_ring *ring, int fd, unsigned int size, struct core_error *error)
{
	struct xsk_offsets offsets;
	const int err = offsets_get(fd, &offsets, error);

	ring->size = size;
	return err ? err : ring_map_at(ring, fd, &offsets.tx, XSK_PGOFF_TX,
				       size * sizeof(struct xsk_descriptor), error);
}

int xsk_completion_map(struct xsk_ring *ring, int fd, unsigned int size,
		       struct core_error *error)
{
	struct xsk_offsets offsets;
	const int err = offsets_get(fd, &offsets, error);

	ring->size = size;
	return err ? err : ring_map_at(ring, fd, &offsets.completion, XSK_PGOFF_COMPLETION,
				       size * sizeof(uint64_t), error);
}

/* A mapping keeps the socket, and with it its queue, when the descriptor is closed. */
void xsk_ring_unmap(struct xsk_ring *ring)
{
	if (ring->map)
		munmap(ring->map, ring->length);
}

static const char *bind_reason(int code, unsigned int flags)
{
	switch (code) {
	case EBUSY:
		return ", which another AF_XDP socket has";
	case EINVAL:
		return ", which may have fewer queues";
	case EOPNOTSUPP:
		return flags & XSK_ZEROCOPY ? ", whose driver has no zero-copy mode" : "";
	default:
		return "";
	}
}

/*
 * A queue has one pool of sockets, and a closed socket gives it back only after an RCU grace period
 * and in a work item (xp_release_deferred): some 20 to 50 ms.
 */
int xsk_bind(int fd, const struct xsk_address *address, struct core_error *error)
{
	const uint64_t deadline_ns = clock_ns(CLOCK_MONOTONIC) + REBIND_NS;
	int err;

	while (bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0) {
		err = errno;
		if (err == EBUSY && clock_ns(CLOCK_MONOTONIC) < deadline_ns) {
			clock_nanosleep(CLOCK_MONOTONIC, 0, &rebind_nap, NULL);
			continue;
		}
		return error_set(error, err, "bind to queue %u of interface %u%s", address->queue,
				 address->ifindex, bind_reason(err, address->flags));
	}
	return 0;
}

bool xsk_is_zero_copy(int fd)
{
	uint32_t flags = 0;
	socklen_t length = sizeof(flags);

	return !getsockopt(fd, XSK_LEVEL, XSK_OPTIONS, &flags, &length) &&
	       (flags & XSK_IS_ZEROCOPY);
}
