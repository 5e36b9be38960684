/*
 * What the programs of the tests share: the methods that they drive, and where they do.
 */
#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "core.h"

#define SKIPPED 77		/* exit status: there is no network namespace to be had */

/* A method, its options at their defaults but for the geometry of a ring. */
static inline const struct method_info *choose(struct tx_config *config, int method,
						      const struct ring_geometry *ring)
{
	const struct method_info *info = core_method(method);
	unsigned int i;

	config->method = info->name;
	for (i = 0; i < info->option_nr; i++) {
		config->options[i] = info->options[i].fallback;
		if (info->options[i].type == OPTION_RING)
			config->options[i].ring = *ring;
	}
	return info;
}

/* What works on purpose, and here: a container's root may lack CAP_BPF. */
static inline int is_driven(int method)
{
	struct core_error error;

	return strncmp(core_method(method)->name, "test_", 5) &&
	       !core_method_probe(method, &error);
}

/* A route over lo to an IPv4 network. */
static int add_route(unsigned char type, unsigned char table, unsigned char bits, uint32_t network)
{
	struct {
		struct nlmsghdr header;
		struct rtmsg route;
		struct rtattr to_header;
		uint32_t to;
		struct rtattr out_header;
		uint32_t out;
	} request = {
		.header = {
			.nlmsg_len = sizeof(request), .nlmsg_type = RTM_NEWROUTE,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE,
		},
		.route = {
			.rtm_family = AF_INET, .rtm_dst_len = bits, .rtm_table = table,
			.rtm_protocol = RTPROT_STATIC, .rtm_type = type,
			.rtm_scope = type == RTN_LOCAL ? RT_SCOPE_HOST : RT_SCOPE_LINK,
		},
		.to_header = { RTA_LENGTH(sizeof(uint32_t)), RTA_DST }, .to = htonl(network),
		.out_header = { RTA_LENGTH(sizeof(uint32_t)), RTA_OIF }, .out = 1,
	};
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
		char rest[256];
	} answer = { .error.error = -EIO };
	const int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);

	if (send(fd, &request, sizeof(request), 0) > 0)
		recv(fd, &answer, sizeof(answer), 0);
	close(fd);
	return answer.error.error;
}

/* Move into a network namespace whose lo is up, with the way for UDP that bench makes (ipv4.py). */
static int enter_namespace(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd, err;

	if (unshare(CLONE_NEWNET) < 0)
		return -errno;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	err = ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? -errno : 0;
	close(fd);
	if (!err)
		err = add_route(RTN_LOCAL, RT_TABLE_LOCAL, 24, 0xc6120000);
	return err ? err : add_route(RTN_UNICAST, RT_TABLE_MAIN, 16, 0xc6130000);
}
