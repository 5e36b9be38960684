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
 *
 * Nothing tells which of the threads called kpktgend_N belongs to a namespace. The one that works is
 * found by its CPU time, once, with frames that count nowhere.
 */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>

#include "../engine.h"

#define FOLDER "/proc/thread-self/net/pktgen"
#define MIN_FRAME 58			/* Ethernet, IPv4, UDP, and struct pktgen_hdr of 16 bytes */
#define CHECKED_FRAMES 16
#define LEAST_TRIED 4000		/* frames, in the first try to find the thread */
#define MOST_TRIED 64000		/* each further try has four times as many, up to these */
#define TRIES 10
#define LEAST_WORK_NS 1000000		/* of the one that works, and so many times that of any other */
#define LEAST_LEAD 4
#define WATCHED_MS 20
#define MOST_THREADS 4096		/* kernel threads of one CPU: one a namespace */
#define ANSWER_NS (5 * NSEC_PER_SEC)
#define NAME_SIZE (IF_NAMESIZE + 16)
#define ENOTSUPP 524			/* the kernel's, which no program should see; Linux 7 says EOPNOTSUPP */

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

struct pktgen {
	int control;			/* pgctrl */
	int worker;			/* kpktgend_N */
	int device;			/* the file of ours, which the thread got with add_device */
	char name[NAME_SIZE];		/* of that file */
	char cpu[24];			/* the thread's name */
	uint64_t started;		/* of the last run, as the device's file has it */
	uint64_t sent, errors;		/* in all runs before */
	uint64_t calls;
};

struct progress {
	uint64_t started;		/* us; another one in each run */
	uint64_t sent, errors;		/* of this run */
	bool running, ended;		/* neither: it has not begun */
};

/* files */

static int file_open(const char *name, int flags, struct core_error *error)
{
	char path[sizeof(FOLDER) + NAME_SIZE + 1];
	int fd;

	snprintf(path, sizeof(path), FOLDER "/%s", name);
	fd = open(path, flags | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	if (errno == ENOENT)
		return error_set(error, errno, "%s: modprobe pktgen, if this kernel has it "
				 "(CONFIG_NET_PKTGEN)", path);
	return error_set(error, errno, "open of %s%s", path,
			 errno == EACCES ? " needs root" : "");
}

/* A command is a line. */
static int file_write(int fd, const char *command)
{
	char line[128];
	const int length = snprintf(line, sizeof(line), "%s\n", command);

	return write(fd, line, (size_t)length) < 0 ? -errno : 0;
}

static uint64_t number_behind(const char *text, const char *label)
{
	const char *at = strstr(text, label);

	return at ? strtoull(at + strlen(label), NULL, 10) : 0;
}

static struct progress progress_read(const struct pktgen *pktgen)
{
	char text[4096];
	const ssize_t length = pread(pktgen->device, text, sizeof(text) - 1, 0);

	text[length > 0 ? length : 0] = '\0';
	return (struct progress) {
		.started = number_behind(text, "started: "),
		.sent = number_behind(text, "pkts-sofar: "),
		.errors = number_behind(text, "errors: "),
		.running = strstr(text, "Result: Starting") != NULL,
		.ended = strstr(text, " usec, ") != NULL,
	};
}

/* runs */

static void nap(void)
{
	const struct timespec length = { .tv_nsec = 1000000 };

	clock_nanosleep(CLOCK_MONOTONIC, 0, &length, NULL);
}

/*
 * After a "start" has returned. It waits 125 ms for the thread and then as long as that runs, so a slow
 * thread may begin later, when nobody waits for it. A run without a count is stopped; one of a count
 * ends by itself, and is given up where its count stands still.
 */
static int run_end(struct tx_thread *thread, bool counted)
{
	struct pktgen *pktgen = thread->state;
	uint64_t moved_ns = clock_ns(CLOCK_MONOTONIC), sent = 0;
	struct progress now = progress_read(pktgen);

	while (!now.ended) {
		if (clock_ns(CLOCK_MONOTONIC) > moved_ns + ANSWER_NS)
			return thread_fail(thread, ETIMEDOUT, "pktgen's thread does not answer");
		if (now.running && !counted)
			file_write(pktgen->control, "stop");
		nap();
		now = progress_read(pktgen);
		if (counted && now.sent != sent) {
			sent = now.sent;
			moved_ns = clock_ns(CLOCK_MONOTONIC);
		}
	}
	pktgen->sent += now.sent;
	pktgen->errors += now.errors;
	__atomic_store_n(&pktgen->started, now.started, __ATOMIC_RELEASE);
	return 0;
}

/* Of 0 frames: until a signal comes. To tell the count takes the last run's result out of the file. */
static int run(struct tx_thread *thread, uint64_t frames)
{
	struct pktgen *pktgen = thread->state;
	char command[32];
	int err;

	snprintf(command, sizeof(command), "count %llu", (unsigned long long)frames);
	err = file_write(pktgen->device, command);
	if (err < 0)
		return thread_fail(thread, -err, "pktgen: count");
	__atomic_fetch_add(&pktgen->calls, 1, __ATOMIC_RELAXED);
	err = file_write(pktgen->control, "start");
	if (err < 0 && err != -EINTR)
		return thread_fail(thread, -err, "pktgen: start");
	return run_end(thread, frames > 0);
}

/* A frame that the driver or the qdisc dropped is an error of pktgen's, which others are told as ENOBUFS. */
static void pktgen_look(struct tx_thread *thread)
{
	const struct pktgen *pktgen = thread->state;
	const uint64_t last = __atomic_load_n(&pktgen->started, __ATOMIC_ACQUIRE);
	struct tx_counts *counts = &thread->counts;
	struct progress now = progress_read(pktgen);

	if (now.started == last)	/* what it says of the last run is among those before */
		now.sent = now.errors = 0;
	counts->submitted = counts->completed = pktgen->sent + now.sent;
	counts->enobufs = counts->refused = pktgen->errors + now.errors;
	counts->requested = counts->submitted + counts->refused;
	counts->calls = __atomic_load_n(&pktgen->calls, __ATOMIC_RELAXED);
}

/* the kernel's thread */

struct candidate {
	int pid;
	uint64_t cpu_ns;
	bool busy;			/* with what is not ours: a generator of another namespace */
};

static bool is_called(const char *pid, const char *name)
{
	char path[64], text[32];
	ssize_t length = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%.16s/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		length = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	text[length > 0 ? length - 1 : 0] = '\0';
	return !strcmp(text, name);
}

static unsigned int candidates_find(const char *name, struct candidate *found)
{
	DIR *folder = opendir("/proc");
	unsigned int number = 0;
	struct dirent *entry;

	while (folder && number < MOST_THREADS && (entry = readdir(folder)))
		if (isdigit((unsigned char)entry->d_name[0]) && is_called(entry->d_name, name))
			found[number++].pid = atoi(entry->d_name);
	if (folder)
		closedir(folder);
	return number;
}

/* Since its CPU time was noted; none of one that has ended meanwhile, with its namespace. */
static uint64_t worked(const struct candidate *of)
{
	const uint64_t now = times_process_ns(of->pid);

	return now > of->cpu_ns ? now - of->cpu_ns : 0;
}

static void candidates_note(struct candidate *found, unsigned int number)
{
	unsigned int i;

	for (i = 0; i < number; i++)
		found[i].cpu_ns = times_process_ns(found[i].pid);
}

/* Who works though we send nothing is none of ours. */
static void candidates_watch(struct candidate *found, unsigned int number)
{
	unsigned int i;

	candidates_note(found, number);
	for (i = 0; i < WATCHED_MS; i++)
		nap();
	for (i = 0; i < number; i++)
		found[i].busy = worked(&found[i]) > LEAST_WORK_NS;
}

/* Whose CPU time rose most, and far more than that of any other; 0: that cannot be told. */
static int leader(const struct candidate *found, unsigned int number, uint64_t *next)
{
	uint64_t most = 0, second = 0, work;
	unsigned int i;
	int pid = 0;

	for (i = 0; i < number; i++) {
		if (found[i].busy)
			continue;
		work = worked(&found[i]);
		if (work > most) {
			second = most;
			most = work;
			pid = found[i].pid;
		} else if (work > second) {
			second = work;
		}
	}
	*next = second;
	return most > LEAST_WORK_NS && most > LEAST_LEAD * second ? pid : 0;
}

static int worker_find(struct tx_thread *thread, struct core_error *error)
{
	const struct pktgen *pktgen = thread->state;
	struct candidate *found = calloc(MOST_THREADS, sizeof(*found));
	uint64_t frames = LEAST_TRIED, next = 0;
	unsigned int try, number;
	int err = 0;

	if (!found)
		return error_set(error, ENOMEM, "threads of pktgen");
	number = candidates_find(pktgen->cpu, found);
	for (try = 0; try < TRIES && number && !thread->helper && !err; try++) {
		candidates_watch(found, number);
		candidates_note(found, number);
		err = run(thread, frames);
		thread->helper = leader(found, number, &next);
		frames = frames < MOST_TRIED ? 4 * frames : MOST_TRIED;
	}
	free(found);
	if (err)
		*error = thread->error;
	else if (!thread->helper)
		err = error_set(error, ESRCH, "which of %u kernel threads %s sends: another one worked "
				"%llu us meanwhile", number, pktgen->cpu,
				(unsigned long long)next / 1000);
	return err;
}

/* life */

/* Of a namespace whose generator somebody uses: "start" would start that, too. */
static int others_check(struct core_error *error)
{
	DIR *folder = opendir(FOLDER);
	struct dirent *entry;
	int err = 0;

	if (!folder)
		return error_set(error, errno, "%s", FOLDER);
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

static int tell(const struct pktgen *pktgen, const char *command, struct core_error *error)
{
	const int err = file_write(pktgen->device, command);

	if (err == -ENOTSUPP || err == -EOPNOTSUPP)
		return error_set(error, EOPNOTSUPP, "pktgen: %s (the driver of %s lets nobody share "
				 "an skb)", command, pktgen->name);
	return err ? error_set(error, -err, "pktgen: %s", command) : 0;
}

static int configure(const struct tx_thread *thread, struct core_error *error)
{
	const struct tx_config *config = thread->config;
	const struct pktgen *pktgen = thread->state;
	unsigned char source[6];
	char lines[8][64] = { "delay 0", "src_min 198.18.0.0", "dst 198.19.0.0" };
	unsigned int line = 3, i;
	int err = 0;

	memcpy(source, config->src, 5);
	source[5] = (unsigned char)thread->index;
	mac_command(lines[line++], sizeof(lines[0]), "dst_mac", config->dst);
	mac_command(lines[line++], sizeof(lines[0]), "src_mac", source);
	snprintf(lines[line++], sizeof(lines[0]), "pkt_size %u", config->frame_size);
	if (config->options[OPT_XMIT].number == XMIT_QUEUE)
		snprintf(lines[line++], sizeof(lines[0]), "xmit_mode queue_xmit");
	for (i = 0; i < line && !err; i++)
		err = tell(pktgen, lines[i], error);
	if (!err && config->options[OPT_CLONE].number) {
		snprintf(lines[0], sizeof(lines[0]), "clone_skb %u",
			 (unsigned int)config->options[OPT_CLONE].number);
		err = tell(pktgen, lines[0], error);
	}
	if (!err && config->options[OPT_BURST].number > 1) {
		snprintf(lines[0], sizeof(lines[0]), "burst %u",
			 (unsigned int)config->options[OPT_BURST].number);
		err = tell(pktgen, lines[0], error);
	}
	return err;
}

static int device_add(struct pktgen *pktgen, const struct tx_config *config,
		      struct core_error *error)
{
	const int cpu = config->cpus[0] >= 0 ? config->cpus[0] : 0;
	char interface[IF_NAMESIZE], command[NAME_SIZE + 16];
	int err;

	if (!if_indextoname(config->ifindex, interface))
		return error_set(error, errno, "interface %u", config->ifindex);
	snprintf(pktgen->cpu, sizeof(pktgen->cpu), "kpktgend_%d", cpu);
	snprintf(pktgen->name, sizeof(pktgen->name), "%s@%d", interface, cpu);
	pktgen->control = file_open("pgctrl", O_WRONLY, error);
	if (pktgen->control < 0)
		return pktgen->control;
	pktgen->worker = file_open(pktgen->cpu, O_WRONLY, error);
	if (pktgen->worker < 0)
		return pktgen->worker;
	snprintf(command, sizeof(command), "add_device %s", pktgen->name);
	err = file_write(pktgen->worker, command);
	if (err < 0)
		return error_set(error, -err, "pktgen: %s", command);
	pktgen->device = file_open(pktgen->name, O_RDWR, error);
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
		err = worker_find(thread, error);
	if (!err)
		pktgen_look(thread);	/* what it has sent so far is no slice's */
	return err;
}

static void pktgen_close(struct tx_thread *thread)
{
	struct pktgen *pktgen = thread->state;

	if (!pktgen)
		return;
	if (pktgen->device >= 0) {
		close(pktgen->device);
		file_write(pktgen->worker, "rem_device_all");
	}
	if (pktgen->worker >= 0)
		close(pktgen->worker);
	if (pktgen->control >= 0)
		close(pktgen->control);
	free(pktgen);
}

static int pktgen_stream(struct tx_thread *thread)
{
	return run(thread, 0);
}

/* Not a slice's: what is looked at frame by frame. */
static unsigned int pktgen_fill(struct tx_thread *thread)
{
	(void)thread;
	return CHECKED_FRAMES;
}

static int pktgen_submit(struct tx_thread *thread, unsigned int frames)
{
	const int err = run(thread, frames);

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
	const int fd = file_open("pgctrl", O_WRONLY, error);
	int err;

	if (fd < 0)
		return fd;
	err = file_write(fd, "nothing");
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
