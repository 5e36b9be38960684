/*
 * udp: a connected UDP socket, as most programs have one. udp_sendmsg takes the route that it keeps,
 * makes an skb of the payload (ip_make_skb) and writes UDP's and IPv4's headers (udp_send_skb,
 * ip_send_skb); the neighbour's entry has Ethernet's (neigh_hh_output); then dev_queue_xmit as of any
 * other socket. A burst of one frame is a send(), a longer one a sendmmsg().
 *
 * segments: one send of as many payloads, which UDP_SEGMENT has the kernel cut into datagrams as late as
 * it can, which is in dev_queue_xmit here (udp_gso_segment): all above is done once.
 *
 * A frame that a qdisc drops is no error to a UDP socket (udp_send_skb turns ENOBUFS into success): it
 * counts as completed, and shows as lost.
 */
#include <arpa/inet.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include "../messages.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103		/* Linux 4.18 */
#endif
#define SENDERS 0xc6120000	/* 198.18.0.0, and the thread: local by a route (topology/ipv4.py) */
#define TARGET 0xc6130000	/* 198.19.0.0 */
#define PORT 32768
#define PORT_DISCARD 9

enum { OPT_SEGMENTS };

static const struct option_info udp_options[] = {
	[OPT_SEGMENTS] = SEGMENTS_OPTION,
};

static void udp_shape(struct tx_config *config)
{
	super_shape(config, config->options[OPT_SEGMENTS].number, GSO_UDP);
}

static struct sockaddr_in udp_address(uint32_t address, uint16_t port)
{
	return (struct sockaddr_in) {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(address),
		.sin_port = htons(port),
	};
}

static int udp_connect(const struct tx_socket *socket, struct core_error *error)
{
	const struct sockaddr_in from = udp_address(SENDERS + socket->index, PORT);
	const struct sockaddr_in to = udp_address(TARGET, PORT_DISCARD);
	const int on = 1;	/* cells side by side have the same addresses; nothing is received */

	if (setsockopt(socket->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return error_set(error, errno, "setsockopt(SO_REUSEADDR)");
	if (bind(socket->fd, (const struct sockaddr *)&from, sizeof(from)) < 0)
		return error_set(error, errno, "bind of a UDP socket");
	if (connect(socket->fd, (const struct sockaddr *)&to, sizeof(to)) < 0)
		return error_set(error, errno, "connect of a UDP socket");
	return 0;
}

/* Cut off what is longer than one payload. */
static int udp_segment(const struct tx_socket *socket, struct core_error *error)
{
	const struct tx_config *config = socket->config;
	const int payload = (int)frame_payload(config);

	if (config->segments > 1 &&
	    setsockopt(socket->fd, IPPROTO_UDP, UDP_SEGMENT, &payload, sizeof(payload)) < 0)
		return error_set(error, errno, "setsockopt(UDP_SEGMENT)");
	return 0;
}

static int udp_socket(struct core_error *error)
{
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd >= 0 ? fd : error_set(error, errno, "socket(AF_INET, SOCK_DGRAM)");
}

static int udp_socket_open(struct tx_socket *socket, struct core_error *error)
{
	int err;

	socket->fd = udp_socket(error);
	if (socket->fd < 0)
		return socket->fd;
	err = sock_limits(socket, error);
	if (!err)
		err = udp_connect(socket, error);
	return err ? err : udp_segment(socket, error);
}

/* The kernel is given payloads alone. */
static int udp_open(struct tx_thread *thread, struct core_error *error)
{
	const struct tx_config *config = thread->config;
	const int err = frame_buffers(thread, config->burst, error);

	return err ? err : messages_open(thread, HEADERS_UDP, super_size(config), error);
}

static struct tx_numbering udp_numbering(const struct tx_config *config)
{
	struct tx_numbering numbering = frame_numbering_burst(config);

	numbering.streams = config_sockets(config);
	numbering.kernel_headers = true;
	return numbering;
}

static int udp_probe(struct core_error *error)
{
	const int fd = udp_socket(error);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

const struct tx_method udp_method = {
	.info = {
		.name = "udp",
		.help = "a connected UDP socket: send(), sendmmsg() of a burst, UDP_SEGMENT",
		.path = "udp_sendmsg: route, skb, copy, UDP's and IPv4's headers, dev_queue_xmit",
		.knobs = KNOB_INTERFACE | KNOB_FRAME_SIZE | KNOB_THREADS | KNOB_SOCKET |
			 KNOB_BURST | KNOB_FILL | KNOB_SNDBUF | KNOB_MSG_DONTWAIT,
		.max_burst = MESSAGES_MOST,
		.options = udp_options,
		.option_nr = ARRAY_SIZE(udp_options),
		.by_route = true,
	},
	.probe = udp_probe,
	.shape = udp_shape,
	.memory = frame_memory_burst,
	.numbering = udp_numbering,
	.socket_open = udp_socket_open,
	.open = udp_open,
	.fill = super_fill,
	.submit = messages_submit_any,
	.reap = sock_reap,
	.close = messages_close,
};
