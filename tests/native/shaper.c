/*
 * No figure says more than a shaper lets pass: the measurement loop on a simulated kernel, whose clock
 * stands still unless a sender does something. Built with the core by test_sanitizers.py, with what the
 * loop asks of the C library wrapped (ld --wrap). No socket is opened and no time measured.
 *
 * The queue is a token bucket whose timer is late by chance. CPU time is a nanosecond for each frame
 * that is sent, so looks at the queue must not show in a cost.
 */
#include <linux/sockios.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "core.h"

#define SIZE 1514
#define CHARGE 2304			/* of the send buffer */
#define SEND_NS 1000
#define REFUSED_NS 20000
#define BURST 8
#define LOOK_NS 400
#define CLOCK_READ_NS 25
#define USAGE_NS 1000			/* reading a thread's clocks, and the first time after a while */
#define COLD_USAGE_NS 20000
#define COLD_AFTER_NS 10000
#define WAKE_NS 5000
#define MOST_LATE_NS 30000		/* a timer */
#define TIMEOUT_NS 100000000		/* SO_SNDTIMEO */
#define TURN_NS 3000000			/* that a sender has its CPU, where others want it too ... */
#define OFF_NS 20000000			/* and does not have it */
#define FD 1000
#define SLICES 20
#define MOST_BIAS_NS 15000		/* of the mean over slices: half of the latest timer */

/* How a sender meets a full queue. */
enum way { BLOCKS, IS_TOLD, WAITS_FOR_ALL };

static const char *const ways[] = { "blocks", "is told", "waits for all" };

struct setting {
	double rate;			/* bytes per second */
	double burst;			/* bytes */
	unsigned int room;		/* of the send buffer, in frames */
	uint64_t window_ns;
	enum way way;
	bool busy;
	uint64_t seed;			/* of what is late by chance */
};

static struct kernel {
	struct setting is;
	double now_ns, cold_ns, tokens, tokens_at_ns, late_ns;
	unsigned int queued;
	double turn_ends_ns, delay_ns;
	uint64_t sent, sleeps, random;
} kernel;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turns = PTHREAD_COND_INITIALIZER;
static double others_wake_ns;		/* whoever does not send */
static bool are_awake = true;
static __thread bool is_sender;
static int failures;

static double chance(void)
{
	kernel.random = kernel.random * 6364136223846793005ull + 1442695040888963407ull;
	return (double)(kernel.random >> 11) / (double)(1ull << 53);
}

/* When the oldest frame leaves. */
static double next_ns(void)
{
	const double missing = SIZE - kernel.tokens;

	if (missing <= 1e-6)
		return kernel.tokens_at_ns;
	return kernel.tokens_at_ns + missing / kernel.is.rate * 1e9 + kernel.late_ns;
}

static void fill_bucket(double when_ns)
{
	kernel.tokens += kernel.is.rate * (when_ns - kernel.tokens_at_ns) / 1e9;
	kernel.tokens = fmin(kernel.tokens, kernel.is.burst);
	kernel.tokens_at_ns = when_ns;
}

static void pass_until(double when_ns)
{
	while (kernel.queued && next_ns() <= when_ns) {
		fill_bucket(next_ns());
		kernel.tokens -= SIZE;
		kernel.late_ns = chance() * MOST_LATE_NS;
		kernel.queued--;
	}
	kernel.now_ns = when_ns;
}

/* Others have the CPU, and the shaper goes on. */
static void lose_cpu(void)
{
	if (!kernel.is.busy || kernel.now_ns < kernel.turn_ends_ns)
		return;
	pass_until(kernel.now_ns + OFF_NS);
	kernel.delay_ns += OFF_NS;
	kernel.turn_ends_ns = kernel.now_ns + TURN_NS * (0.5 + chance());
}

static void enqueue(void)
{
	lose_cpu();
	if (!kernel.queued)
		fill_bucket(kernel.now_ns);
	kernel.queued++;
	kernel.sent++;
	pass_until(kernel.now_ns + SEND_NS);
}

/* False: it took too long. */
static bool sleep_until(unsigned int queued)
{
	const double deadline_ns = kernel.now_ns + TIMEOUT_NS;

	if (kernel.queued <= queued)
		return true;
	kernel.sleeps++;
	while (kernel.queued > queued && kernel.now_ns < deadline_ns)
		pass_until(fmin(fmax(next_ns(), kernel.now_ns + 1), deadline_ns));
	pass_until(kernel.now_ns + WAKE_NS);
	return kernel.queued <= queued;
}

/* Who waits for all has a ring of so many slots. */
static bool has_room(void)
{
	const unsigned int room = kernel.is.room;

	if (kernel.queued < room)
		return true;
	return kernel.is.way == BLOCKS && sleep_until(room / 2);
}

static long send_frames(unsigned int frames)
{
	unsigned int sent;

	for (sent = 0; sent < frames && has_room(); sent++)
		enqueue();
	if (kernel.is.way == WAITS_FOR_ALL)
		sleep_until(0);
	if (sent)
		return (long)sent;
	pass_until(kernel.now_ns + REFUSED_NS);
	errno = EAGAIN;
	return -1;
}

/* A sender goes on when all others sleep: nobody is late because this machine is busy. */
static void end_call(void)
{
	pthread_cond_broadcast(&turns);
	while (is_sender && (__atomic_load_n(&are_awake, __ATOMIC_ACQUIRE) || others_wake_ns <= kernel.now_ns))
		pthread_cond_wait(&turns, &lock);
	pthread_mutex_unlock(&lock);
}

static void others_sleep_until(double when_ns)
{
	others_wake_ns = when_ns;
	are_awake = false;
	pthread_cond_broadcast(&turns);
}

long __wrap_syscall(long number, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_socket(int domain, int type, int protocol);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t length);
int __wrap_bind(int fd, const struct sockaddr *address, socklen_t length);
int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_clock_gettime(clockid_t clock, struct timespec *time);
int __wrap_clock_nanosleep(clockid_t clock, int flags, const struct timespec *time,
			   struct timespec *left);
int __wrap_getrusage(int who, struct rusage *usage);
int __real_pthread_join(pthread_t thread, void **result);
int __wrap_pthread_join(pthread_t thread, void **result);
ssize_t __wrap_pread(int file, void *text, size_t size, off_t offset);

long __wrap_syscall(long number, ...)
{
	va_list arguments;
	unsigned int frames;
	long sent;

	(void)number;			/* SYS_sendmmsg */
	va_start(arguments, number);
	(void)va_arg(arguments, int);
	(void)va_arg(arguments, void *);
	frames = va_arg(arguments, unsigned int);
	va_end(arguments);
	is_sender = true;
	pthread_mutex_lock(&lock);
	sent = send_frames(frames);
	end_call();
	return sent;
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list arguments;

	(void)fd;
	va_start(arguments, request);	/* SIOCOUTQ */
	pthread_mutex_lock(&lock);
	if (is_sender)
		pass_until(kernel.now_ns + LOOK_NS);
	*va_arg(arguments, int *) = (int)(kernel.queued * CHARGE);
	end_call();
	va_end(arguments);
	return 0;
}

int __wrap_socket(int domain, int type, int protocol)
{
	(void)domain, (void)type, (void)protocol;
	return FD;
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
	(void)fd, (void)level, (void)name, (void)value, (void)length;
	return 0;
}

int __wrap_bind(int fd, const struct sockaddr *address, socklen_t length)
{
	(void)fd, (void)address, (void)length;
	return 0;
}

int __wrap_close(int fd)
{
	return fd == FD ? 0 : __real_close(fd);
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *time)
{
	uint64_t value;

	pthread_mutex_lock(&lock);
	if (is_sender)
		pass_until(kernel.now_ns + CLOCK_READ_NS);
	value = clock == CLOCK_THREAD_CPUTIME_ID ? kernel.sent : (uint64_t)kernel.now_ns;
	end_call();
	time->tv_sec = (time_t)(value / NSEC_PER_SEC);
	time->tv_nsec = (long)(value % NSEC_PER_SEC);
	return 0;
}

/*
 * Time passes by what the sender does: who does not send waits for it. Until the window has begun a look
 * now and then will do, and the sender goes on meanwhile.
 */
int __wrap_clock_nanosleep(clockid_t clock, int flags, const struct timespec *time,
			   struct timespec *left)
{
	const double length_ns = (double)time->tv_sec * NSEC_PER_SEC + (double)time->tv_nsec;

	(void)clock, (void)left;
	pthread_mutex_lock(&lock);
	if (is_sender)
		pass_until(kernel.now_ns + length_ns + WAKE_NS);
	else
		others_sleep_until(flags & TIMER_ABSTIME ? length_ns : INFINITY);
	while (!is_sender && (flags & TIMER_ABSTIME) && kernel.now_ns < others_wake_ns)
		pthread_cond_wait(&turns, &lock);
	end_call();
	if (!is_sender && !(flags & TIMER_ABSTIME)) {
		usleep(20);
		__atomic_store_n(&are_awake, true, __ATOMIC_RELEASE);
	}
	return 0;
}

/* The end of a sender is waited for: it has all the time. */
int __wrap_pthread_join(pthread_t thread, void **result)
{
	int err;

	pthread_mutex_lock(&lock);
	others_sleep_until(INFINITY);
	pthread_mutex_unlock(&lock);
	err = __real_pthread_join(thread, result);
	are_awake = true;
	return err;
}

int __wrap_getrusage(int who, struct rusage *usage)
{
	(void)who;
	pthread_mutex_lock(&lock);
	if (is_sender)
		pass_until(kernel.now_ns +
			   (kernel.now_ns > kernel.cold_ns ? COLD_USAGE_NS : USAGE_NS));
	kernel.cold_ns = kernel.now_ns + COLD_AFTER_NS;
	end_call();
	*usage = (struct rusage) { .ru_nvcsw = (long)kernel.sleeps };
	return 0;
}

/* Of schedstat. */
ssize_t __wrap_pread(int file, void *text, size_t size, off_t offset)
{
	(void)file, (void)offset;
	return snprintf(text, size, "0 %.0f 0\n", kernel.delay_ns);
}

static void check(bool ok, const char *what, double found)
{
	const struct setting *is = &kernel.is;

	if (ok)
		return;
	printf("%.0f bytes/s, bucket %.0f, room %u, window %.0f us, %s%s: %s: %.9g\n", is->rate,
	       is->burst, is->room, (double)is->window_ns / 1e3, ways[is->way],
	       is->busy ? ", busy" : "", what, found);
	failures++;
}

/* Nanoseconds that the window is longer than its frames take. No more frames than pass, and one. */
static double check_slice(const struct tx_slice *slice)
{
	const struct tx_thread_sample *thread = &slice->thread[0];
	const double completed = (double)thread->window.completed;
	const double passes = kernel.is.rate * (double)slice->wall_ns / 1e9 / SIZE;

	check(!thread->undrained, "undrained", thread->undrained);
	check(slice->wall_ns >= kernel.is.window_ns, "wall", (double)slice->wall_ns);
	check(thread->cpu_ns == thread->window.submitted, "looks are a cost of sending",
	      (double)thread->cpu_ns - (double)thread->window.submitted);
	check(completed <= passes * 1.001 + 1, "frames too many", completed - passes);
	return (passes - completed) * SIZE / kernel.is.rate * 1e9;
}

/*
 * Edges that are as late one as the other, where a pause is short beside the bucket, and beside what is
 * queued at once.
 */
static void check_mean(double excess_ns)
{
	const double frame_ns = SIZE / kernel.is.rate * 1e9;
	const double most_ns = MOST_BIAS_NS + frame_ns / 1000;
	const double pause_ns = WAKE_NS + MOST_LATE_NS + REFUSED_NS + COLD_USAGE_NS;

	if (kernel.is.busy || kernel.is.burst - SIZE < kernel.is.rate * pause_ns / 1e9 ||
	    fmin(kernel.is.room, BURST) * frame_ns < pause_ns)
		return;
	check(excess_ns > -most_ns, "window too short, in ns", excess_ns);
	check(excess_ns < most_ns, "window too long, in ns", excess_ns);
}

static void measure(const struct setting *is)
{
	const struct tx_config config = {
		.method = "sendmmsg", .frame_size = SIZE, .threads = 1, .burst = BURST, .flows = 1,
		.prefilled = 1, .cpus = { -1 },
	};
	const struct tx_slice_plan plan = {
		.warmup_ns = 300000, .window_ns = is->window_ns, .drain_ns = 600 * NSEC_PER_SEC,
		.shaper_rate = (uint64_t)is->rate, .shaper_burst = (uint64_t)is->burst,
	};
	struct core_error error = { 0 };
	struct tx_slice slice = { 0 };
	struct tx_cell *cell;
	double excess_ns = 0;
	unsigned int i;

	kernel = (struct kernel) { .is = *is, .tokens = is->burst, .random = is->seed };
	cell = tx_cell_open(&config, &error);
	for (i = 0; cell && i < SLICES && !tx_cell_slice(cell, &plan, &slice, &error); i++)
		excess_ns += check_slice(&slice);
	check_mean(excess_ns / SLICES);
	check(!error.code, error.text, error.code);
	if (cell)
		tx_cell_close(cell);
}

int main(void)
{
	static const double rates[] = { 12.5e3, 1.25e6, 25e6, 250e6 };
	static const double bursts[] = { SIZE + 86, 32768, 1 << 20 };
	static const uint64_t windows[] = { 1000000, 30000000 };
	static const unsigned int rooms[] = { 2, 9, 90 };
	unsigned int i;

	for (i = 0; i < 4 * 3 * 2 * 3 * 3; i++)
		measure(&(struct setting) {
			.rate = rates[i % 4], .burst = bursts[i / 4 % 3],
			.window_ns = windows[i / 12 % 2], .room = rooms[i / 24 % 3],
			.way = i / 72, .seed = 1,
		});
	for (i = 0; i < 4 * 3 * 3; i++)
		measure(&(struct setting) {
			.rate = rates[i % 4], .burst = bursts[i / 4 % 3], .window_ns = 1000000,
			.room = 90, .way = i / 12, .busy = true, .seed = 1,
		});
	/* Several frames leave while the clocks are read for the first time. */
	for (i = 0; i < 400; i++)
		measure(&(struct setting) {
			.rate = 500e6, .burst = 32768, .window_ns = 1000000, .room = 16,
			.way = IS_TOLD, .seed = i,
		});
	return failures > 0;
}
