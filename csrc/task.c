/*
 * What another thread of this process, or another process, has had of its CPU: it cannot say so itself
 * while it is in a system call. /proc knows, as of its last tick or change of threads. Of this process
 * a CPU clock tells the time of now (times_cpu_ns); of others only perf does, which asks the CPU on which
 * the thread runs.
 */
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>

#include "core.h"

static void task_read(pid_t tid, const char *file, char *text, size_t size)
{
	ssize_t length = 0;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/%s", (int)tid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		snprintf(path, sizeof(path), "/proc/%d/%s", (int)tid, file);
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	if (fd >= 0) {
		length = read(fd, text, size - 1);
		close(fd);
	}
	text[length > 0 ? length : 0] = '\0';
}

static uint64_t number_after(const char *text, const char *label)
{
	const char *at = strstr(text, label);

	return at ? strtoull(at + strlen(label), NULL, 10) : 0;
}

/* schedstat has nanoseconds running and runnable (sched-stats.rst). What is unknown is 0. */
void task_times(pid_t tid, struct thread_times *times)
{
	char text[4096];

	*times = (struct thread_times) { 0 };
	task_read(tid, "schedstat", text, sizeof(text));
	times->cpu_ns = strtoull(text, NULL, 10);
	times->run_delay_ns = number_after(text, " ");
	task_read(tid, "status", text, sizeof(text));
	times->voluntary = number_after(text, "\nvoluntary_ctxt_switches:");
	times->involuntary = number_after(text, "\nnonvoluntary_ctxt_switches:");
}

/* Field 39 of proc_pid_stat(5). Field 2 is a name in brackets, which may have any character. */
int task_cpu(pid_t tid)
{
	char text[1024];
	const char *at;
	int field;

	task_read(tid, "stat", text, sizeof(text));
	at = strrchr(text, ')');
	for (field = 2; at && field < 39; field++)
		at = strchr(at + 1, ' ');
	return at ? atoi(at) : -1;
}

int task_clock_open(pid_t tid, struct core_error *error)
{
	struct perf_event_attr wanted = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(wanted),
		.config = PERF_COUNT_SW_TASK_CLOCK,
	};
	const int clock = (int)syscall(SYS_perf_event_open, &wanted, tid, -1, -1,
				       PERF_FLAG_FD_CLOEXEC);

	return clock < 0 ? error_set(error, errno, "perf_event_open of thread %d", (int)tid) : clock;
}

uint64_t task_clock_ns(int clock)
{
	uint64_t spent_ns;

	return read(clock, &spent_ns, sizeof(spent_ns)) == sizeof(spent_ns) ? spent_ns : 0;
}
