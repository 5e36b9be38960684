/*
 * Bare loops of the methods that are BPF programs: what a sender written by hand for nothing but this
 * would reach. One thread, a program, one counter in memory shared with it.
 *
 *   bare_programs METHOD IFINDEX BURST FRAME     (FRAME in hexadecimal)
 *
 * Each line "WARMUP_NS WINDOW_NS" on stdin is one slice, answered as by bare.c.
 */
#include <linux/bpf.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define MAX_FRAME 2048
#define ALL (~0u)

/* Code, destination, source, offset, immediate */
#define INSN(c, d, s, o, i) { .code = c, .dst_reg = d, .src_reg = s, .off = o, .imm = (int)(i) }
#define MOVE(d, s) INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define SET(d, i) INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define ADD(d, i) INSN(BPF_ALU64 | BPF_ADD | BPF_K, d, 0, 0, i)
#define CALL(function) INSN(BPF_JMP | BPF_CALL, 0, 0, 0, function)
#define EXIT INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

static volatile sig_atomic_t stop;
static volatile uint64_t *shared;	/* frames of xdp_live */
static int array, program;
static unsigned int burst, ifindex, frame_size;
static unsigned char frame[MAX_FRAME];
static struct xdp_md context;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int bpf(int command, union bpf_attr *attributes)
{
	return (int)syscall(SYS_bpf, command, attributes, sizeof(*attributes));
}

static void load(unsigned int type, const struct bpf_insn *insns, unsigned int number)
{
	union bpf_attr attributes = {
		.prog_type = type, .insns = (uintptr_t)insns, .insn_cnt = number,
		.license = (uintptr_t)"GPL",
	};

	program = bpf(BPF_PROG_LOAD, &attributes);
	if (program < 0)
		die("bpf(BPF_PROG_LOAD)");
}

static void share(void)
{
	union bpf_attr attributes = {
		.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 8, .max_entries = 1,
		.map_flags = BPF_F_MMAPABLE,
	};

	array = bpf(BPF_MAP_CREATE, &attributes);
	if (array < 0)
		die("bpf(BPF_MAP_CREATE)");
	shared = mmap(NULL, (size_t)getpagesize(), PROT_READ, MAP_SHARED, array, 0);
	if (shared == MAP_FAILED)
		die("mmap");
}

/* while (r7 < burst && !bpf_clone_redirect()) r7++; return r7 */
static void open_tc_clone(void)
{
	const struct bpf_insn code[] = {
		MOVE(6, 1), SET(7, 0),
		MOVE(1, 6), SET(2, ifindex), SET(3, 0), CALL(BPF_FUNC_clone_redirect),
		INSN(BPF_JMP | BPF_JNE | BPF_K, 0, 0, 2, 0),
		ADD(7, 1),
		INSN(BPF_JMP | BPF_JLT | BPF_K, 7, 0, -7, burst),
		MOVE(0, 7), EXIT,
	};

	load(BPF_PROG_TYPE_SCHED_CLS, code, sizeof(code) / sizeof(code[0]));
}

/* ++*shared; return bpf_redirect() */
static void open_xdp_live(void)
{
	share();
	const struct bpf_insn code[] = {
		INSN(BPF_LD | BPF_DW | BPF_IMM, 8, BPF_PSEUDO_MAP_VALUE, 0, array),
		INSN(0, 0, 0, 0, 0),
		INSN(BPF_LDX | BPF_MEM | BPF_DW, 1, 8, 0, 0), ADD(1, 1),
		INSN(BPF_STX | BPF_MEM | BPF_DW, 8, 1, 0, 0),
		SET(1, ifindex), SET(2, 0), CALL(BPF_FUNC_redirect), EXIT,
	};

	load(BPF_PROG_TYPE_XDP, code, sizeof(code) / sizeof(code[0]));
}

static union bpf_attr run_of(void)
{
	union bpf_attr attributes = { 0 };

	attributes.test.prog_fd = (unsigned int)program;
	attributes.test.data_in = (uintptr_t)frame;
	attributes.test.data_size_in = frame_size;
	return attributes;
}

/* Measuring. */

struct taken {
	uint64_t frames, wall_ns, cpu_ns;
	struct rusage usage;
};

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

static void nap(uint64_t ns)
{
	const struct timespec length = { (time_t)(ns / 1000000000), (long)(ns % 1000000000) };

	clock_nanosleep(CLOCK_MONOTONIC, 0, &length, NULL);
}

static void tell(const struct taken *from, const struct taken *to, uint64_t slice_frames)
{
	printf("%lu %lu %lu %lu %lu %lu\n", to->frames - from->frames, slice_frames,
	       to->wall_ns - from->wall_ns, to->cpu_ns - from->cpu_ns,
	       timeval_ns(to->usage.ru_utime) - timeval_ns(from->usage.ru_utime),
	       timeval_ns(to->usage.ru_stime) - timeval_ns(from->usage.ru_stime));
	fflush(stdout);
}

static void on_signal(int signal)
{
	(void)signal;
	stop = 1;
}

static uint64_t clones_until(uint64_t ns)
{
	const struct itimerval timer = {
		.it_value = { (time_t)(ns / 1000000000), (suseconds_t)(ns % 1000000000 / 1000) },
	};
	union bpf_attr run = run_of();
	uint64_t sent = 0;

	stop = 0;
	setitimer(ITIMER_REAL, &timer, NULL);
	while (!stop) {
		if (bpf(BPF_PROG_TEST_RUN, &run) < 0)
			die("bpf(BPF_PROG_TEST_RUN)");
		sent += run.test.retval;
	}
	return sent;
}

static void slice_tc_clone(uint64_t warmup_ns, uint64_t window_ns)
{
	const uint64_t warmed = clones_until(warmup_ns);
	struct taken from = { 0 }, to;

	getrusage(RUSAGE_SELF, &from.usage);
	from.cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	from.wall_ns = clock_ns(CLOCK_MONOTONIC);
	to.frames = clones_until(window_ns);
	to.wall_ns = clock_ns(CLOCK_MONOTONIC);
	to.cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	getrusage(RUSAGE_SELF, &to.usage);
	tell(&from, &to, warmed + to.frames);
}

static void *live(void *unused)
{
	union bpf_attr run = run_of();

	context.data_end = frame_size;
	run.test.ctx_in = (uintptr_t)&context;
	run.test.ctx_size_in = sizeof(context);
	run.test.repeat = ALL;
	run.test.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
	run.test.batch_size = burst;
	while (!stop)
		bpf(BPF_PROG_TEST_RUN, &run);
	return unused;
}

/* Who looks on is not to look from the sender's CPU, if there is another. */
static void step_aside(const cpu_set_t *senders)
{
	cpu_set_t others;
	int cpu;

	CPU_ZERO(&others);
	for (cpu = 0; cpu < sysconf(_SC_NPROCESSORS_ONLN); cpu++)
		if (!CPU_ISSET(cpu, senders))
			CPU_SET(cpu, &others);
	if (CPU_COUNT(&others))
		sched_setaffinity(0, sizeof(others), &others);
}

/* When the count has just moved. */
static struct taken take(clockid_t cpu)
{
	const uint64_t before = *shared;
	struct taken taken = { 0 };

	while (*shared == before)
		;
	taken.frames = *shared;
	taken.cpu_ns = clock_ns(cpu);
	taken.wall_ns = clock_ns(CLOCK_MONOTONIC);
	return taken;
}

static void slice_xdp_live(uint64_t warmup_ns, uint64_t window_ns)
{
	const uint64_t before = *shared;
	struct taken from, to;
	cpu_set_t senders;
	pthread_t thread;
	clockid_t cpu;

	stop = 0;
	sched_getaffinity(0, sizeof(senders), &senders);
	if (pthread_create(&thread, NULL, live, NULL) || pthread_getcpuclockid(thread, &cpu))
		die("pthread_create");
	step_aside(&senders);
	while (*shared == before)
		nap(100000);
	nap(warmup_ns);
	from = take(cpu);
	nap(window_ns);
	to = take(cpu);
	stop = 1;
	while (pthread_tryjoin_np(thread, NULL)) {
		pthread_kill(thread, SIGALRM);
		nap(1000000);
	}
	sched_setaffinity(0, sizeof(senders), &senders);
	tell(&from, &to, *shared - before);
}

static const struct method {
	const char *name;
	void (*open)(void);
	void (*slice)(uint64_t warmup_ns, uint64_t window_ns);
} methods[] = {
	{ "tc_clone", open_tc_clone, slice_tc_clone },
	{ "xdp_live", open_xdp_live, slice_xdp_live },
};

int main(int argc, char **argv)
{
	const struct sigaction action = { .sa_handler = on_signal };
	const struct method *method = &methods[argc == 5 && !strcmp(argv[1], "xdp_live")];
	uint64_t warmup_ns, window_ns;
	const char *text;
	unsigned int byte;

	if (argc != 5 || strcmp(argv[1], method->name)) {
		fprintf(stderr, "usage: bare_programs tc_clone|xdp_live IFINDEX BURST FRAME\n");
		return 2;
	}
	ifindex = (unsigned int)atoi(argv[2]);
	burst = (unsigned int)atoi(argv[3]);
	for (text = argv[4]; frame_size < MAX_FRAME && sscanf(text, "%2x", &byte) == 1; text += 2)
		frame[frame_size++] = (unsigned char)byte;
	method->open();
	sigaction(SIGALRM, &action, NULL);
	while (scanf("%lu %lu", &warmup_ns, &window_ns) == 2)
		method->slice(warmup_ns, window_ns);
	return 0;
}
