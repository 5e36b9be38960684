/*
 * Bare loops of the system calls that the core's methods make: what a sender written by hand for
 * nothing but this would reach. One thread, plain libc calls, one frame counter.
 *
 *   bare METHOD IFINDEX BURST FRAME     (FRAME in hexadecimal)
 *
 * Each line "WARMUP_NS WINDOW_NS" on stdin is one slice, answered by a line of
 * "frames of the window, frames of the slice, wall, CPU, user and system nanoseconds".
 */
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define BLOCK_SIZE 4096
#define BLOCK_NR 256
#define SLOT_SIZE 2048
#define SLOT_NR (BLOCK_SIZE / SLOT_SIZE * BLOCK_NR)
#define DATA_OFFSET TPACKET_ALIGN(sizeof(struct tpacket2_hdr))
#define MAX_BURST SLOT_NR
#define MAX_FRAME (SLOT_SIZE - DATA_OFFSET)
#define CACHE_LINE 64
#define HEADER 14

static volatile sig_atomic_t stop;
static int fd;
static unsigned int burst;
static size_t frame_size;
static unsigned char frames[MAX_BURST * SLOT_SIZE] __attribute__((aligned(CACHE_LINE)));
static struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_halen = 6 };
static unsigned char *ring;

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

static uint64_t loop_sendmmsg(void)
{
	static struct mmsghdr messages[MAX_BURST];
	static struct iovec parts[MAX_BURST];
	const size_t stride = (frame_size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
	uint64_t sent = 0;
	unsigned int i;
	int taken;

	for (i = 0; i < burst; i++) {
		parts[i] = (struct iovec) { frames + i * stride, frame_size };
		memmove(parts[i].iov_base, frames, frame_size);
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

/* Setting up. */

static void do_bind(void)
{
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		die("bind");
}

static void ring_open(void)
{
	const struct tpacket_req request = { BLOCK_SIZE, BLOCK_NR, SLOT_SIZE, SLOT_NR };
	const int version = TPACKET_V2;
	unsigned int i;

	if (setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_TX_RING, &request, sizeof(request)) < 0)
		die("setsockopt");
	ring = mmap(NULL, BLOCK_SIZE * BLOCK_NR, PROT_READ | PROT_WRITE,
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
