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
 * Nothing tells which of the threads called kpktgend_N belongs to a namespace. It is found once, with
 * frames that count nowhere and have a delay between them. Until the next frame ours goes to sleep once
 * at most, whatever else this machine does. Every other one wakes ten times a second, or works. So
 * whoever gives up its CPU twice, or works, is not ours, until one is left.
 */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <net/if.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "../engine.h"

#define FOLDER "/proc/thread-self/net/pktgen"
#define MIN_FRAME 58			/* Ethernet, IPv4, UDP, and struct pktgen_hdr of 16 bytes */
#define CHECKED_FRAMES 16
#define SPACE_NS 300000000ull		/* between frames, to find the thread: others wake twice */
#define SEARCH_NS (30 * NSEC_PER_SEC)
#define SEARCH_BURSTS 3			/* in a run; the first delay may be left out (last_ok) */
#define LONGEST_PAUSE_MS 400
#define OTHERS_WORK_NS (SPACE_NS / 2)	/* of its CPU; ours takes microseconds to go to sleep */
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

static int tell(const struct pktgen *pktgen, const char *command, struct core_error *error)
{
	const int err = file_write(pktgen->device, command);

	if (err == -ENOTSUPP || err == -EOPNOTSUPP)
		return error_set(error, EOPNOTSUPP, "pktgen: %s (the driver of %s lets nobody share "
				 "an skb)", command, pktgen->name);
	return err ? error_set(error, -err, "pktgen: %s", command) : 0;
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

struct suspect {
	int pid;			/* 0: it is not ours */
	struct thread_times noted;	/* since the last frame */
};

struct search {
	struct tx_thread *thread;
	struct suspect *suspects;
	unsigned int number, left;
	uint64_t frames;		/* of a run */
	struct progress frame;		/* the last one, as the times were noted */
	int control;			/* as pktgen's: that one's write lasts as long as the run */
	bool enough, over;
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

static void suspects_find(struct search *search, const char *name)
{
	DIR *folder = opendir("/proc");
	struct dirent *entry;

	while (folder && search->number < MOST_THREADS && (entry = readdir(folder)))
		if (isdigit((unsigned char)entry->d_name[0]) && is_called(entry->d_name, name))
			search->suspects[search->number++].pid = atoi(entry->d_name);
	if (folder)
		closedir(folder);
	search->left = search->number;
}

static bool is_noted(const struct search *search, const struct progress *now)
{
	return now->started == search->frame.started && now->sent == search->frame.sent;
}

/* Not behind the last frame: then ours waits for the end of its skb, and looks for work as the others. */
static bool is_between(const struct search *search, const struct progress *now)
{
	return now->running && now->sent && now->sent < search->frames;
}

static void suspects_note(struct search *search, const struct progress *frame)
{
	struct suspect *of;

	search->frame = *frame;
	for (of = search->suspects; of < search->suspects + search->number; of++)
		if (of->pid)
			task_times(of->pid, &of->noted);
}

/* One that has ended has no times. */
static bool is_other(const struct suspect *of)
{
	struct thread_times now;

	task_times(of->pid, &now);
	return !now.voluntary || now.voluntary > of->noted.voluntary + 1 ||
	       now.cpu_ns > of->noted.cpu_ns + OTHERS_WORK_NS;
}

/* Ours still waits after the others' times were read. */
static void suspects_drop(struct search *search)
{
	struct progress now;
	struct suspect *of;

	for (of = search->suspects; of < search->suspects + search->number; of++) {
		if (!of->pid || !is_other(of))
			continue;
		now = progress_read(search->thread->state);
		if (!is_between(search, &now) || !is_noted(search, &now))
			return;
		of->pid = 0;
		search->left--;
	}
}

/* In the pauses ours wakes as others do. Without them two searches in step would find no difference. */
static void *search_run(void *argument)
{
	struct search *search = argument;
	unsigned int naps;

	while (!run(search->thread, search->frames) &&
	       !__atomic_load_n(&search->enough, __ATOMIC_ACQUIRE))
		for (naps = clock_ns(CLOCK_MONOTONIC) % LONGEST_PAUSE_MS; naps; naps--)
			nap();
	__atomic_store_n(&search->over, true, __ATOMIC_RELEASE);
	return NULL;
}

static bool search_over(const struct search *search)
{
	return __atomic_load_n(&search->over, __ATOMIC_ACQUIRE);
}

static void search_watch(struct search *search)
{
	const uint64_t deadline_ns = clock_ns(CLOCK_MONOTONIC) + SEARCH_NS;
	struct progress now;

	while (search->left > 1 && !search_over(search) &&
	       clock_ns(CLOCK_MONOTONIC) < deadline_ns) {
		nap();
		now = progress_read(search->thread->state);
		if (!is_noted(search, &now))
			suspects_note(search, &now);
		else if (is_between(search, &now))
			suspects_drop(search);
	}
}

static void search_end(struct search *search)
{
	__atomic_store_n(&search->enough, true, __ATOMIC_RELEASE);
	while (!search_over(search)) {
		if (progress_read(search->thread->state).running)
			file_write(search->control, "stop");
		nap();
	}
}

static int search_result(const struct search *search, struct core_error *error)
{
	const struct pktgen *pktgen = search->thread->state;
	const struct suspect *of = search->suspects;

	if (search->thread->error.code) {
		*error = search->thread->error;
		return error->code;
	}
	if (search->left != 1)
		return error_set(error, ESRCH, "which of %u threads %s sends: %u are left after %llu "
				 "frames in %llu s", search->number, pktgen->cpu, search->left,
				 (unsigned long long)search->frame.sent, SEARCH_NS / NSEC_PER_SEC);
	while (!of->pid)
		of++;
	return of->pid;
}

/* The id of ours, or -errno. */
static int search_do(struct search *search, struct core_error *error)
{
	pthread_t pthread;
	int err;

	err = pthread_create(&pthread, NULL, search_run, search);
	if (err)
		return error_set(error, err, "a thread that runs pktgen");
	search_watch(search);
	search_end(search);
	pthread_join(pthread, NULL);
	return search_result(search, error);
}

static int worker_find(struct tx_thread *thread, struct core_error *error)
{
	const struct pktgen *pktgen = thread->state;
	struct search search = {
		.thread = thread,
		.frames = SEARCH_BURSTS * (uint64_t)thread->config->options[OPT_BURST].number,
	};
	int result;

	search.control = file_open("pgctrl", O_WRONLY, error);
	if (search.control < 0)
		return search.control;
	search.suspects = calloc(MOST_THREADS, sizeof(*search.suspects));
	if (search.suspects) {
		suspects_find(&search, pktgen->cpu);
		result = search_do(&search, error);
	} else {
		result = error_set(error, ENOMEM, "threads of pktgen");
	}
	free(search.suspects);
	close(search.control);
	return result;
}

/* With frames that are spaced for it. */
static int worker_open(struct tx_thread *thread, struct core_error *error)
{
	const struct pktgen *pktgen = thread->state;
	char command[32];
	int err;

	snprintf(command, sizeof(command), "delay %llu", SPACE_NS);
	err = tell(pktgen, command, error);
	if (err)
		return err;
	thread->helper = worker_find(thread, error);
	if (thread->helper < 0)
		return thread->helper;
	thread->helper_clock = task_clock_open(thread->helper, error);
	if (thread->helper_clock < 0)
		return thread->helper_clock;
	return tell(pktgen, "delay 0", error);
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
