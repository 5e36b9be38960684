/*
 * What sockets of AF_XDP share with the kernel: memory of frames (umem), and rings that carry
 * descriptors to the kernel (TX, fill) or back (completion, RX). A ring's producer and consumer
 * count on without end; the entry of a count is its remainder by the size, a power of two.
 *
 * The kernel's declarations are include/uapi/linux/if_xdp.h of Linux 6.18, under names of our own:
 * headers of older kernels lack some, or the whole file.
 */
#ifndef UMEM_H
#define UMEM_H

#include "engine.h"

#define XSK_FAMILY 44			/* AF_XDP */
#define XSK_LEVEL 283			/* SOL_XDP */

enum { XSK_MMAP_OFFSETS = 1, XSK_TX_RING = 3, XSK_UMEM_REG = 4, XSK_FILL_RING = 5,
       XSK_COMPLETION_RING = 6, XSK_OPTIONS = 8, XSK_TX_BUDGET = 9 };

#define XSK_PGOFF_TX 0x80000000ull
#define XSK_PGOFF_COMPLETION 0x180000000ull

#define XSK_SHARED_UMEM 0x1		/* of sockaddr_xdp */
#define XSK_COPY 0x2
#define XSK_ZEROCOPY 0x4
#define XSK_USE_NEED_WAKEUP 0x8
#define XSK_NEED_WAKEUP 0x1		/* of a ring's flags */
#define XSK_IS_ZEROCOPY 0x1		/* of XSK_OPTIONS */

struct xsk_address {
	uint16_t family;
	uint16_t flags;
	uint32_t ifindex;
	uint32_t queue;
	uint32_t shared_fd;		/* a socket whose umem is shared */
};

struct xsk_descriptor {
	uint64_t address;		/* in the umem */
	uint32_t length;
	uint32_t options;
};

struct xsk_ring {
	uint32_t *producer, *consumer, *flags;
	void *entries;
	unsigned int size;
	void *map;
	size_t length;			/* bytes of map */
};

struct umem {
	unsigned char *area;
	size_t length;
	unsigned int chunk;		/* bytes, each for a frame */
};

/* umem.c; closing accepts what is half open */
unsigned int umem_chunk(unsigned int frame_size);
int umem_allocate(struct umem *umem, unsigned int frame_size, unsigned int frames,
		  struct core_error *error);
int umem_register(const struct umem *umem, int fd, struct core_error *error);
void umem_free(struct umem *umem);
int xsk_socket(struct core_error *error);
/* A ring is allocated (its option is XSK_TX_RING ...), then mapped. */
int xsk_ring_allocate(int fd, int option, unsigned int size, struct core_error *error);
int xsk_tx_map(struct xsk_ring *ring, int fd, unsigned int size, struct core_error *error);
int xsk_completion_map(struct xsk_ring *ring, int fd, unsigned int size,
		       struct core_error *error);
void xsk_ring_unmap(struct xsk_ring *ring);
int xsk_bind(int fd, const struct xsk_address *address, struct core_error *error);
bool xsk_is_zero_copy(int fd);

#endif
