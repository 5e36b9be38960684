/*
 * Sockets: opening, options, and what the kernel still owns of their frames.
 */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "core.h"

#define MEMINFO_VARS 32			/* more than any kernel has (SK_MEMINFO_VARS) */

/* No send blocks longer: a thread then looks at its stop flag (EAGAIN, on a ring ETIMEDOUT). */
static const struct timeval send_timeout = { .tv_usec = 100000 };

static int sock_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? errno : 0;
}

int sock_sndbuf(const struct tx_socket *socket, struct core_error *error)
{
	const struct tx_config *config = socket->config;
	const bool force = config->sndbuf_force;
	int err;

	if (!config->sndbuf_bytes)
		return 0;
	err = sock_option(socket->fd, SOL_SOCKET, force ? SO_SNDBUFFORCE : SO_SNDBUF,
			  (int)config->sndbuf_bytes);
	return err ? error_set(error, err, "setsockopt(%s, %u)%s",
			       force ? "SO_SNDBUFFORCE" : "SO_SNDBUF", config->sndbuf_bytes,
			       err == EPERM ? " needs root (CAP_NET_ADMIN)" : "") : 0;
}

/*
 * Protocol 0: the socket receives nothing (packet_create() registers its hook only for another
 * one). With ETH_P_ALL it is handed what others send and what arrives, on lo its own frames.
 */
static int sock_packet(int type, unsigned int protocol, struct core_error *error)
{
	int fd = socket(AF_PACKET, type | SOCK_CLOEXEC, htons((uint16_t)protocol)), err = errno;

	return fd >= 0 ? fd : error_set(error, err, "socket(AF_PACKET, %s)%s",
					type == SOCK_RAW ? "SOCK_RAW" : "SOCK_DGRAM",
					err == EPERM ? " needs CAP_NET_RAW" : "");
}

int sock_limits(const struct tx_socket *socket, struct core_error *error)
{
	if (setsockopt(socket->fd, SOL_SOCKET, SO_SNDTIMEO, &send_timeout, sizeof(send_timeout)) < 0)
		return error_set(error, errno, "setsockopt(SO_SNDTIMEO)");
	return sock_sndbuf(socket, error);
}

int sock_open_as(struct tx_socket *sock, int type, struct core_error *error)
{
	int err;

	sock->fd = sock_packet(type, sock->config->protocol, error);
	if (sock->fd < 0)
		return sock->fd;
	if (sock->config->qdisc_bypass) {
		err = sock_option(sock->fd, SOL_PACKET, PACKET_QDISC_BYPASS, 1);
		if (err)
			return error_set(error, err, "setsockopt(PACKET_QDISC_BYPASS)");
	}
	return sock_limits(sock, error);
}

int sock_open(struct tx_socket *socket, struct core_error *error)
{
	return sock_open_as(socket, SOCK_RAW, error);
}

int sock_bind(const struct tx_socket *socket, struct core_error *error)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_ifindex = (int)socket->config->ifindex,
	};

	if (bind(socket->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return error_set(error, errno, "bind to interface %u", socket->config->ifindex);
	return 0;
}

int sock_open_bound(struct tx_socket *socket, struct core_error *error)
{
	int err = sock_open(socket, error);

	return err ? err : sock_bind(socket, error);
}

int sock_probe(struct core_error *error)
{
	int fd = sock_packet(SOCK_RAW, 0, error);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

/* sk_wmem_alloc: bytes of frames, with their skbs, that the kernel still owns. */
int sock_wmem(int fd)
{
	uint32_t memory[MEMINFO_VARS] = { 0 };
	socklen_t length = sizeof(memory);
	int bytes = 0;

	if (!ioctl(fd, SIOCOUTQ, &bytes))
		return bytes;
	if (errno == ENOTTY &&		/* AF_XDP has no ioctls */
	    !getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &length))
		return (int)memory[SK_MEMINFO_WMEM_ALLOC];
	return -errno;
}

/*
 * Without a ring the kernel tells only bytes, so frames are completed when none are left. Where
 * transmit is synchronous (lo, veth, ifb without a queue) the first look finds 0.
 */
bool sock_reap(struct tx_thread *thread)
{
	const int bytes = sock_wmem(thread->socket->fd);

	if (bytes > 0)
		return true;
	if (bytes < 0) {
		thread_fail(thread, -bytes, "ioctl(SIOCOUTQ)");
		return false;
	}
	return reap_submitted(thread);
}
