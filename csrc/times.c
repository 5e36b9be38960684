/*
 * What a thread used of its CPU, and for how long it waited for it.
 *
 * Reading the parts takes two microseconds, /proc most of all. So where a stretch of time begins the
 * CPU clock is read last, and where it ends first: the reading is outside.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "core.h"

int times_open(void)
{
	return open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
}

/* Nanoseconds runnable without running (Documentation/scheduler/sched-stats.rst); 0 if unknown. */
uint64_t run_delay_ns(int file)
{
	unsigned long long running = 0, delay = 0;
	char text[96];
	ssize_t length;

	if (file < 0)
		return 0;
	length = pread(file, text, sizeof(text) - 1, 0);
	if (length <= 0)
		return 0;
	text[length] = '\0';
	return sscanf(text, "%llu %llu", &running, &delay) == 2 ? delay : 0;
}

static uint64_t timeval_ns(struct timeval time)
{
	return (uint64_t)time.tv_sec * NSEC_PER_SEC + (uint64_t)time.tv_usec * 1000;
}

static void usage_read(struct thread_times *times)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	times->user_ns = timeval_ns(usage.ru_utime);
	times->system_ns = timeval_ns(usage.ru_stime);
	times->voluntary = (uint64_t)usage.ru_nvcsw;
	times->involuntary = (uint64_t)usage.ru_nivcsw;
}

void times_begin(int file, struct thread_times *times)
{
	times->run_delay_ns = run_delay_ns(file);
	usage_read(times);
	times->cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

void times_end(int file, struct thread_times *times)
{
	times->cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	usage_read(times);
	times->run_delay_ns = run_delay_ns(file);
}

/* The clock's id as the kernel has it (posix-timers.h: CPUCLOCK_PERTHREAD_MASK, CPUCLOCK_SCHED). */
uint64_t times_cpu_ns(int thread)
{
	return thread ? clock_ns((clockid_t)(~(unsigned int)thread << 3 | 6)) : 0;
}

struct thread_times times_between(const struct thread_times *from, const struct thread_times *to)
{
	return (struct thread_times) {
		.cpu_ns = to->cpu_ns - from->cpu_ns,
		.user_ns = to->user_ns - from->user_ns,
		.system_ns = to->system_ns - from->system_ns,
		.run_delay_ns = to->run_delay_ns - from->run_delay_ns,
		.voluntary = to->voluntary - from->voluntary,
		.involuntary = to->involuntary - from->involuntary,
	};
}
