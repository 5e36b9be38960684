/*
 * Bare loops of the system calls that the core's methods make: what a sender written by hand for
 * nothing but this would reach. One thread, plain libc calls, one frame counter.
 *
 *   bare METHOD IFINDEX BURST FRAME     (FRAME in hexadecimal)
 *
 * Each line "WARMUP_NS WINDOW_NS" on stdin is one slice, answered by a line of
 * "frames of the window, frames of the slice, wall, CPU, user and system nanoseconds".
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/if_xdp.h>
#include <linux/io_uring.h>
#include <linux/sockios.h>
#include <linux/virtio_net.h>
#include <netinet/udp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define RING_BLOCK 4096
#define RING_BLOCKS 256
#define SLOT_SIZE 2048
#define SLOT_NR (RING_BLOCK / SLOT_SIZE * RING_BLOCKS)
#define DATA_OFFSET TPACKET_ALIGN(sizeof(struct tpacket2_hdr))
#define MAX_BURST SLOT_NR
#define MAX_FRAME (SLOT_SIZE - DATA_OFFSET)
#define CACHE_LINE 64
#define HEADER 14
#define UDP_HEADERS 42
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

static volatile sig_atomic_t stop;
static int fd;
static unsigned int burst;
static size_t frame_size;
static unsigned char frames[MAX_BURST * SLOT_SIZE] __attribute__((aligned(CACHE_LINE)));
static struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_halen = 6 };
static unsigned char super_frame[65536];
static unsigned char *ring;
static struct {
	uint32_t *produced, *completed, *seen;
} xdp;
static struct {
	int fd;
	uint32_t *tail, *done_head, *done_tail, done_mask;
	struct io_uring_cqe *completions;
} uring;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* The loops: each sends until it is told to stop, and says how many frames. */

static uint64_t loop_sendto(void)
{
	uint64_t sent = 0;

	for (; !stop; sent++)
		if (sendto(fd, frames, frame_size, 0, (struct sockaddr *)&address,
			   sizeof(address)) < 0)
			die("sendto");
	return sent;
}

static uint64_t loop_dgram(void)
{
	uint64_t sent = 0;

	for (; !stop; sent++)
		if (sendto(fd, frames + HEADER, frame_size - HEADER, 0,
			   (struct sockaddr *)&address, sizeof(address)) < 0)
			die("sendto");
	return sent;
}

static uint64_t loop_send(void)
{
	uint64_t sent = 0;

	for (; !stop; sent++)
		if (send(fd, frames, frame_size, 0) < 0)
			die("send");
	return sent;
}

static uint64_t loop_sendmsg(void)
{
	struct iovec part = { .iov_base = frames, .iov_len = frame_size };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	uint64_t sent = 0;

	for (; !stop; sent++)
		if (sendmsg(fd, &message, 0) < 0)
			die("sendmsg");
	return sent;
}

static uint64_t messages(size_t skip)
{
	static struct mmsghdr messages[MAX_BURST];
	static struct iovec parts[MAX_BURST];
	const size_t stride = (frame_size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
	uint64_t sent = 0;
	unsigned int i;
	int taken;

	for (i = 0; i < burst; i++) {
		memmove(frames + i * stride, frames, frame_size);
		parts[i] = (struct iovec) { frames + i * stride + skip, frame_size - skip };
		messages[i].msg_hdr.msg_iov = &parts[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	while (!stop) {
		taken = sendmmsg(fd, messages, burst, 0);
		if (taken < 0)
			die("sendmmsg");
		sent += (unsigned int)taken;
	}
	return sent;
}

static uint64_t loop_sendmmsg(void)
{
	return messages(0);
}

static uint64_t loop_udp(void)
{
	return messages(UDP_HEADERS);
}

static uint64_t send_super(const void *from, size_t length)
{
	uint64_t sent = 0;

	for (; !stop; sent += burst)
		if (send(fd, from, length, 0) < 0)
			die("send");
	return sent;
}

static uint64_t loop_udp_segment(void)
{
	return send_super(super_frame, burst * (frame_size - UDP_HEADERS));
}

static uint64_t loop_gso(void)
{
	return send_super(super_frame, sizeof(struct virtio_net_hdr) + UDP_HEADERS +
				       burst * (frame_size - UDP_HEADERS));
}

/* A send that blocks returns when every slot has come back: no status has to be read. */
static uint64_t loop_ring(void)
{
	static unsigned int head;
	uint64_t sent = 0;
	unsigned int i;

	for (; !stop; sent += burst) {
		for (i = 0; i < burst; i++) {
			struct tpacket2_hdr *slot = (void *)(ring + (size_t)head * SLOT_SIZE);

			__atomic_store_n(&slot->tp_status, TP_STATUS_SEND_REQUEST,
					 __ATOMIC_RELEASE);
			head = head + 1 == SLOT_NR ? 0 : head + 1;
		}
		if (send(fd, NULL, 0, 0) < 0)
			die("send on the ring");
	}
	return sent;
}

/* Descriptors keep their frames. A call takes 32 and says EAGAIN, until it has taken all. */
static uint64_t loop_xdp(void)
{
	uint32_t head = *xdp.produced;
	uint64_t sent = 0;

	while (!stop) {
		const uint32_t completed = __atomic_load_n(xdp.completed, __ATOMIC_ACQUIRE);

		__atomic_store_n(xdp.seen, completed, __ATOMIC_RELEASE);
		if (head - completed + burst > SLOT_NR)
			continue;
		head += burst;
		__atomic_store_n(xdp.produced, head, __ATOMIC_RELEASE);
		while (sendto(fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0)
			if (errno != EAGAIN)
				die("sendto");
		sent += burst;
	}
	return sent;
}

/* A send is tried at once, so its completion is there when the call returns. */
static uint64_t loop_uring(void)
{
	uint32_t tail = *uring.tail, done;
	uint64_t sent = 0;

	for (; !stop; sent += burst) {
		tail += burst;
		__atomic_store_n(uring.tail, tail, __ATOMIC_RELEASE);
		if (syscall(SYS_io_uring_enter, uring.fd, burst, 0, 0, NULL, 0) < 0)
			die("io_uring_enter");
		done = __atomic_load_n(uring.done_tail, __ATOMIC_ACQUIRE);
		if (done != tail)
			die("a send that waits");
		for (uint32_t at = done - burst; at != done; at++)
			if (uring.completions[at & uring.done_mask].res < 0)
				die("a send");
		__atomic_store_n(uring.done_head, done, __ATOMIC_RELEASE);
	}
	return sent;
}

/* Setting up. */

static void do_bind(void)
{
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		die("bind");
}

static void ring_open(void)
{
	const struct tpacket_req request = { RING_BLOCK, RING_BLOCKS, SLOT_SIZE, SLOT_NR };
	const int version = TPACKET_V2;
	unsigned int i;

	if (setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_TX_RING, &request, sizeof(request)) < 0)
		die("setsockopt");
	ring = mmap(NULL, RING_BLOCK * RING_BLOCKS, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_POPULATE, fd, 0);
	if (ring == MAP_FAILED)
		die("mmap");
	for (i = 0; i < SLOT_NR; i++) {
		unsigned char *slot = ring + (size_t)i * SLOT_SIZE;

		((struct tpacket2_hdr *)slot)->tp_len = (unsigned int)frame_size;
		memcpy(slot + DATA_OFFSET, frames, frame_size);
	}
	do_bind();
}

static void dgram_open(void)
{
	close(fd);
	fd = socket(AF_PACKET, SOCK_DGRAM, 0);
	if (fd < 0)
		die("socket");
	memcpy(&address.sll_protocol, frames + HEADER - 2, 2);
}

static void udp_open(void)
{
	const struct sockaddr_in from = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc6120000), .sin_port = htons(32768),
	}, to = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc6130000), .sin_port = htons(9),
	};
	const int on = 1;

	close(fd);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, (const struct sockaddr *)&from, sizeof(from)) < 0 ||
	    connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0)
		die("a UDP socket");
}

/* A burst of payloads, behind what comes before them. */
static void super_fill(unsigned char *to)
{
	const size_t payload = frame_size - UDP_HEADERS;
	unsigned int i;

	for (i = 0; i < burst; i++)
		memcpy(to + i * payload, frames + UDP_HEADERS, payload);
}

static void udp_segment_open(void)
{
	const int payload = (int)frame_size - UDP_HEADERS;

	udp_open();
	if (setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &payload, sizeof(payload)) < 0)
		die("setsockopt(UDP_SEGMENT)");
	super_fill(super_frame);
}

/* Whoever cuts it writes lengths and checksums anew. */
static void gso_open(void)
{
	const struct virtio_net_hdr header = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .gso_type = VIRTIO_NET_HDR_GSO_UDP_L4,
		.hdr_len = UDP_HEADERS, .gso_size = (uint16_t)(frame_size - UDP_HEADERS),
		.csum_start = 34, .csum_offset = 6,
	};
	const int on = 1;

	do_bind();
	if (setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) < 0)
		die("setsockopt(PACKET_VNET_HDR)");
	memcpy(super_frame, &header, sizeof(header));
	memcpy(super_frame + sizeof(header), frames, UDP_HEADERS);
	super_fill(super_frame + sizeof(header) + UDP_HEADERS);
}

static unsigned char *xdp_map(const struct xdp_ring_offset *offset, size_t entries, uint64_t at)
{
	unsigned char *map = mmap(NULL, offset->desc + entries, PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_POPULATE, fd, (off_t)at);

	if (map == MAP_FAILED)
		die("mmap");
	return map;
}

static void xdp_rings(void)
{
	const int options[] = { XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING, XDP_TX_RING };
	struct xdp_mmap_offsets offsets;
	socklen_t length = sizeof(offsets);
	const int size = SLOT_NR;
	struct xdp_desc *descriptors;
	unsigned char *map;
	unsigned int i;

	for (i = 0; i < 3; i++)
		if (setsockopt(fd, SOL_XDP, options[i], &size, sizeof(size)) < 0)
			die("setsockopt");
	if (getsockopt(fd, SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &length) < 0)
		die("getsockopt");
	map = xdp_map(&offsets.tx, SLOT_NR * sizeof(*descriptors), XDP_PGOFF_TX_RING);
	xdp.produced = (void *)(map + offsets.tx.producer);
	descriptors = (void *)(map + offsets.tx.desc);
	for (i = 0; i < SLOT_NR; i++)
		descriptors[i] = (struct xdp_desc) { i * SLOT_SIZE, (uint32_t)frame_size, 0 };
	map = xdp_map(&offsets.cr, SLOT_NR * sizeof(uint64_t), XDP_UMEM_PGOFF_COMPLETION_RING);
	xdp.completed = (void *)(map + offsets.cr.producer);
	xdp.seen = (void *)(map + offsets.cr.consumer);
}

static void xdp_open(void)
{
	const size_t length = SLOT_NR * SLOT_SIZE;
	unsigned char *area = mmap(NULL, length, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	const struct xdp_umem_reg umem = {
		.addr = (uintptr_t)area, .len = length, .chunk_size = SLOT_SIZE,
	};
	const struct sockaddr_xdp queue = {
		.sxdp_family = AF_XDP, .sxdp_flags = XDP_USE_NEED_WAKEUP,
		.sxdp_ifindex = (uint32_t)address.sll_ifindex,
	};
	unsigned int i;

	if (area == MAP_FAILED)
		die("mmap");
	for (i = 0; i < SLOT_NR; i++)
		memcpy(area + (size_t)i * SLOT_SIZE, frames, frame_size);
	close(fd);
	fd = socket(AF_XDP, SOCK_RAW, 0);
	if (fd < 0)
		die("socket");
	if (setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &umem, sizeof(umem)) < 0)
		die("setsockopt");
	xdp_rings();
	if (bind(fd, (const struct sockaddr *)&queue, sizeof(queue)) < 0)
		die("bind");
}

static void *uring_map(size_t length, off_t at)
{
	void *map = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
			 uring.fd, at);

	if (map == MAP_FAILED)
		die("mmap");
	return map;
}

static void uring_open(void)
{
	const size_t stride = (frame_size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
	struct io_uring_params setup = { 0 };
	struct io_uring_sqe *submissions;
	unsigned char *rings;
	uint32_t *indices;
	unsigned int i;

	do_bind();
	uring.fd = (int)syscall(SYS_io_uring_setup, MAX_BURST, &setup);
	if (uring.fd < 0)
		die("io_uring_setup");
	rings = uring_map(setup.cq_off.cqes + setup.cq_entries * sizeof(*uring.completions) +
			  setup.sq_entries * sizeof(uint32_t), IORING_OFF_SQ_RING);
	submissions = uring_map(setup.sq_entries * sizeof(*submissions), IORING_OFF_SQES);
	indices = (void *)(rings + setup.sq_off.array);
	for (i = 0; i < MAX_BURST; i++) {
		unsigned char *frame = frames + i % burst * stride;

		memmove(frame, frames, frame_size);
		indices[i] = i;
		submissions[i] = (struct io_uring_sqe) {
			.opcode = IORING_OP_SEND, .fd = fd, .addr = (uintptr_t)frame,
			.len = (uint32_t)frame_size,
		};
	}
	uring.tail = (void *)(rings + setup.sq_off.tail);
	uring.done_head = (void *)(rings + setup.cq_off.head);
	uring.done_tail = (void *)(rings + setup.cq_off.tail);
	uring.done_mask = *(uint32_t *)(rings + setup.cq_off.ring_mask);
	uring.completions = (void *)(rings + setup.cq_off.cqes);
}

static void nothing(void)
{
}

static const struct method {
	const char *name;
	void (*open)(void);
	uint64_t (*loop)(void);
} methods[] = {
	{ "sendto", nothing, loop_sendto },
	{ "send", do_bind, loop_send },
	{ "sendmsg", do_bind, loop_sendmsg },
	{ "sendmmsg", do_bind, loop_sendmmsg },
	{ "tx_ring", ring_open, loop_ring },
	{ "dgram", dgram_open, loop_dgram },
	{ "af_xdp", xdp_open, loop_xdp },
	{ "io_uring", uring_open, loop_uring },
	{ "udp", udp_open, loop_udp },
	{ "udp_segment", udp_segment_open, loop_udp_segment },
	{ "gso", gso_open, loop_gso },
};

static const struct method *method_find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (!strcmp(methods[i].name, name))
			return &methods[i];
	fprintf(stderr, "no method %s\n", name);
	exit(1);
}

static void frame_parse(const char *text)
{
	unsigned int byte;

	for (; frame_size < MAX_FRAME && sscanf(text, "%2x", &byte) == 1; text += 2)
		frames[frame_size++] = (unsigned char)byte;
}

/* Measuring. */

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static uint64_t timeval_ns(struct timeval time)
{
	return (uint64_t)time.tv_sec * 1000000000ull + (uint64_t)time.tv_usec * 1000;
}

static void on_alarm(int signal)
{
	(void)signal;
	stop = 1;
}

static void stop_after(uint64_t ns)
{
	const struct itimerval timer = {
		.it_value = { (time_t)(ns / 1000000000), (suseconds_t)(ns % 1000000000 / 1000) },
	};

	stop = 0;
	setitimer(ITIMER_REAL, &timer, NULL);
}

static void drain(void)
{
	int bytes;

	while (xdp.produced && __atomic_load_n(xdp.completed, __ATOMIC_ACQUIRE) != *xdp.produced)
		;
	if (xdp.produced)
		return;
	do {
		if (ioctl(fd, SIOCOUTQ, &bytes) < 0)
			die("ioctl(SIOCOUTQ)");
	} while (bytes > 0);
}

static void slice(const struct method *method, uint64_t warmup_ns, uint64_t window_ns)
{
	struct rusage before, after;
	uint64_t warmed, sent, wall_ns, cpu_ns;

	stop_after(warmup_ns);
	warmed = method->loop();
	drain();

	stop_after(window_ns);
	getrusage(RUSAGE_SELF, &before);
	cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	wall_ns = clock_ns(CLOCK_MONOTONIC);
	sent = method->loop();
	drain();
	wall_ns = clock_ns(CLOCK_MONOTONIC) - wall_ns;
	cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_ns;
	getrusage(RUSAGE_SELF, &after);

	printf("%lu %lu %lu %lu %lu %lu\n", sent, warmed + sent, wall_ns, cpu_ns,
	       timeval_ns(after.ru_utime) - timeval_ns(before.ru_utime),
	       timeval_ns(after.ru_stime) - timeval_ns(before.ru_stime));
	fflush(stdout);
}

int main(int argc, char **argv)
{
	const struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	const struct method *method;
	uint64_t warmup_ns, window_ns;

	if (argc != 5) {
		fprintf(stderr, "usage: bare METHOD IFINDEX BURST FRAME\n");
		return 2;
	}
	method = method_find(argv[1]);
	address.sll_ifindex = atoi(argv[2]);
	burst = (unsigned int)atoi(argv[3]);
	frame_parse(argv[4]);
	if (!burst || burst > MAX_BURST || frame_size < 14 || strlen(argv[4]) != 2 * frame_size) {
		fprintf(stderr, "burst of %u, frame %s\n", burst, argv[4]);
		return 2;
	}
	memcpy(address.sll_addr, frames, 6);
	fd = socket(AF_PACKET, SOCK_RAW, 0);
	if (fd < 0)
		die("socket");
	method->open();
	sigaction(SIGALRM, &action, NULL);
	while (scanf("%lu %lu", &warmup_ns, &window_ns) == 2)
		slice(method, warmup_ns, window_ns);
	return 0;
}
