/*
 * pktgen: the kernel's own generator (net/core/pktgen.c), a module that is driven through files under
 * /proc/net/pktgen, which each network namespace has. A kernel thread of each CPU, kpktgend_N, builds
 * skbs and hands them to the driver (xmit_mode start_xmit: netdev_start_xmit, past the qdisc) or to
 * dev_queue_xmit. There is no socket and no system call per frame: it is the ceiling of the stack.
 *
 * Writing "start" begins and does not return before the generator has stopped, or a signal came; a
 * thread of it looks for work ten times a second. So one call sends through a whole slice. Its counts
 * start at 0 in each run.
 *
 * Its frames are its own: UDP over IPv4, from and to port 9, with a header of pktgen's behind it that
 * has a number, from 1 in each run, and the time.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "tx_pktgen.h"

#define MIN_FRAME 58			/* Ethernet, IPv4, UDP, and struct pktgen_hdr of 16 bytes */
#define CHECKED_FRAMES 16

enum { OPT_XMIT, OPT_CLONE, OPT_BURST };

enum { XMIT_START, XMIT_QUEUE };

static const struct option_info pktgen_options[] = {
	[OPT_XMIT] = {
		.name = "pktgen_xmit",
		.help = "start_xmit: straight to the driver; queue_xmit: through the qdisc",
		.type = OPTION_CHOICE,
		.choices = { [XMIT_START] = "start_xmit", [XMIT_QUEUE] = "queue_xmit" },
	},
	[OPT_CLONE] = {
		.name = "clone_skb",
		.help = "times that an skb is sent again; more than 0 where a driver lets it be shared "
			"(dummy, most NICs)",
		.type = OPTION_WHOLE,
		.high = 1000000,
	},
	[OPT_BURST] = {
		.name = "pktgen_burst",
		.help = "times that the driver is given an skb before it has to begin (xmit_more); more "
			"than 1 where it lets an skb be shared",
		.type = OPTION_WHOLE,
		.low = 1,
		.high = 4096,
		.fallback.number = 1,
	},
};

static int worker_open(struct tx_thread *thread, struct core_error *error)
{
	const unsigned int burst = (unsigned int)thread->config->options[OPT_BURST].number;

	thread->helper = pktgen_thread_find(thread, burst, error);
	if (thread->helper < 0)
		return thread->helper;
	thread->helper_clock = task_clock_open(thread->helper, error);
	return thread->helper_clock < 0 ? thread->helper_clock : 0;
}

/* Of a namespace whose generator somebody uses: "start" would start that, too. */
static int others_check(struct core_error *error)
{
	DIR *folder = opendir(PKTGEN_FOLDER);
	struct dirent *entry;
	int err = 0;

	if (!folder)
		return error_set(error, errno, "%s", PKTGEN_FOLDER);
	while (!err && (entry = readdir(folder)))
		if (strchr(entry->d_name, '@'))
			err = error_set(error, EBUSY, "pktgen has %s already", entry->d_name);
	closedir(folder);
	return err;
}

static void mac_command(char *command, size_t size, const char *name, const unsigned char *mac)
{
	snprintf(command, size, "%s %02x:%02x:%02x:%02x:%02x:%02x", name, mac[0], mac[1], mac[2],
		 mac[3], mac[4], mac[5]);
}

static int configure(const struct tx_thread *thread, struct core_error *error)
{
	const struct tx_config *config = thread->config;
	const struct pktgen *pktgen = thread->state;
	unsigned char source[6];
	char lines[8][64] = { "src_min 198.18.0.0", "dst 198.19.0.0" };
	unsigned int line = 2, i;
	int err = 0;

	memcpy(source, config->src, 5);
	source[5] = (unsigned char)thread->index;
	mac_command(lines[line++], sizeof(lines[0]), "dst_mac", config->dst);
	mac_command(lines[line++], sizeof(lines[0]), "src_mac", source);
	snprintf(lines[line++], sizeof(lines[0]), "pkt_size %u", config->frame_size);
	if (config->options[OPT_XMIT].number == XMIT_QUEUE)
		snprintf(lines[line++], sizeof(lines[0]), "xmit_mode queue_xmit");
	for (i = 0; i < line && !err; i++)
		err = pktgen_tell(pktgen, lines[i], error);
	if (!err && config->options[OPT_CLONE].number) {
		snprintf(lines[0], sizeof(lines[0]), "clone_skb %u",
			 (unsigned int)config->options[OPT_CLONE].number);
		err = pktgen_tell(pktgen, lines[0], error);
	}
	if (!err && config->options[OPT_BURST].number > 1) {
		snprintf(lines[0], sizeof(lines[0]), "burst %u",
			 (unsigned int)config->options[OPT_BURST].number);
		err = pktgen_tell(pktgen, lines[0], error);
	}
	return err;
}

static int device_add(struct pktgen *pktgen, const struct tx_config *config,
		      struct core_error *error)
{
	const int cpu = config->cpus[0] >= 0 ? config->cpus[0] : 0;
	char interface[IF_NAMESIZE], command[PKTGEN_NAME_SIZE + 16];
	int err;

	if (!if_indextoname(config->ifindex, interface))
		return error_set(error, errno, "interface %u", config->ifindex);
	snprintf(pktgen->cpu, sizeof(pktgen->cpu), "kpktgend_%d", cpu);
	snprintf(pktgen->name, sizeof(pktgen->name), "%s@%d", interface, cpu);
	pktgen->control = pktgen_file_open("pgctrl", O_WRONLY, error);
	if (pktgen->control < 0)
		return pktgen->control;
	pktgen->worker = pktgen_file_open(pktgen->cpu, O_WRONLY, error);
	if (pktgen->worker < 0)
		return pktgen->worker;
	snprintf(command, sizeof(command), "add_device %s", pktgen->name);
	err = pktgen_file_write(pktgen->worker, command);
	if (err < 0)
		return error_set(error, -err, "pktgen: %s", command);
	pktgen->device = pktgen_file_open(pktgen->name, O_RDWR, error);
	return pktgen->device < 0 ? pktgen->device : 0;
}

static int pktgen_open(struct tx_thread *thread, struct core_error *error)
{
	struct pktgen *pktgen = thread->state = calloc(1, sizeof(*pktgen));
	int err;

	if (!pktgen)
		return error_set(error, ENOMEM, "state of a thread");
	pktgen->control = pktgen->worker = pktgen->device = -1;
	err = others_check(error);
	if (!err)
		err = device_add(pktgen, thread->config, error);
	if (!err)
		err = configure(thread, error);
	if (!err)
		err = worker_open(thread, error);
	if (!err)
		pktgen_look(thread);	/* what it has sent so far is no slice's */
	return err;
}

static void pktgen_close(struct tx_thread *thread)
{
	struct pktgen *pktgen = thread->state;

	if (!pktgen)
		return;
	if (thread->helper > 0 && thread->helper_clock >= 0)
		close(thread->helper_clock);
	if (pktgen->device >= 0) {
		close(pktgen->device);
		pktgen_file_write(pktgen->worker, "rem_device_all");
	}
	if (pktgen->worker >= 0)
		close(pktgen->worker);
	if (pktgen->control >= 0)
		close(pktgen->control);
	free(pktgen);
}

static int pktgen_stream(struct tx_thread *thread)
{
	return pktgen_run(thread, 0);
}

/* Not a slice's: what is looked at frame by frame. */
static unsigned int pktgen_fill(struct tx_thread *thread)
{
	(void)thread;
	return CHECKED_FRAMES;
}

static int pktgen_submit(struct tx_thread *thread, unsigned int frames)
{
	const int err = pktgen_run(thread, frames);

	pktgen_look(thread);
	return err;
}

static void pktgen_check(const struct tx_config *config, unsigned int page_size,
			 struct core_problems *problems)
{
	(void)page_size;
	if (config->threads > 1)
		problem_add(problems, "threads",
			    "%u threads of pktgen, which one call starts all of; at most 1, or "
			    "exclude the pair", config->threads);
	if (config->frame_size < MIN_FRAME)
		problem_add(problems, "frame_size",
			    "frame of %u bytes has no room for the headers of pktgen; at least %u, or "
			    "exclude the pair", config->frame_size, MIN_FRAME);
	if (config->options[OPT_XMIT].number == XMIT_QUEUE && config->options[OPT_BURST].number > 1)
		problem_add(problems, "pktgen_burst",
			    "pktgen_burst of %u with pktgen_xmit: queue_xmit; at most 1, or exclude "
			    "the pair", (unsigned int)config->options[OPT_BURST].number);
}

static struct tx_numbering pktgen_numbering(const struct tx_config *config)
{
	return (struct tx_numbering) {
		.kind = NUMBERING_PER_BURST,
		.streams = config->threads,
		.form = FORM_PKTGEN,
	};
}

/* A command that there is not is the second thing that it looks at, after the privilege. */
static int pktgen_probe(struct core_error *error)
{
	const int fd = pktgen_file_open("pgctrl", O_WRONLY, error);
	int err;

	if (fd < 0)
		return fd;
	err = pktgen_file_write(fd, "nothing");
	close(fd);
	return err == -EPERM ? error_set(error, EPERM, "pktgen needs root (CAP_NET_ADMIN outside of "
					 "a user namespace)") : 0;
}

const struct tx_method pktgen_method = {
	.info = {
		.name = "pktgen",
		.help = "the kernel's own generator, a thread of the kernel: the ceiling of the stack",
		.path = "netdev_start_xmit, or dev_queue_xmit: no socket, no system call per frame",
		.knobs = KNOB_INTERFACE | KNOB_FRAME_SIZE | KNOB_THREADS,
		.alone = true,
		.untold = true,
		.call_ns = 150000000,
		.options = pktgen_options,
		.option_nr = ARRAY_SIZE(pktgen_options),
	},
	.in_netns = true,
	.probe = pktgen_probe,
	.check = pktgen_check,
	.numbering = pktgen_numbering,
	.open = pktgen_open,
	.fill = pktgen_fill,
	.submit = pktgen_submit,
	.reap = reap_submitted,
	.stream = pktgen_stream,
	.look = pktgen_look,
	.close = pktgen_close,
};
