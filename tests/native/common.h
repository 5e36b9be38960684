/*
 * What the programs of the tests share: the methods that they drive, and where they do.
 */
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

/* Move into a network namespace whose lo is up. */
static int enter_namespace(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd, err;

	if (unshare(CLONE_NEWNET) < 0)
		return -errno;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	err = ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? -errno : 0;
	close(fd);
	return err;
}
