/*
 * Which CPUs the kernel is asked for where threads are pinned to numbers around and beyond 1024, at
 * which a cpu_set_t ends. No such CPU need be there: sched_setaffinity(2) is wrapped (ld --wrap). Built
 * with the core by test_sanitizers.py, so a bit beyond the end of a set is told too.
 */
#include <sched.h>
#include <stdio.h>

#include "core.h"

#define THREADS 4

static const int cpus[THREADS] = { 1023, 1024, 5000, 8191 };
static unsigned int asked[THREADS];	/* how often for this CPU and for no other */

int __wrap_sched_setaffinity(pid_t thread, size_t size, const cpu_set_t *set);

int __wrap_sched_setaffinity(pid_t thread, size_t size, const cpu_set_t *set)
{
	unsigned int i;

	for (i = 0; i < THREADS; i++)
		if (thread && CPU_COUNT_S(size, set) == 1 && CPU_ISSET_S(cpus[i], size, set))
			__atomic_add_fetch(&asked[i], 1, __ATOMIC_RELAXED);
	return 0;
}

int main(void)
{
	const struct tx_slice_plan plan = { .window_ns = 1000000, .drain_ns = 1000000000 };
	struct tx_config config = {
		.method = "null", .frame_size = 64, .threads = THREADS, .burst = 1, .flows = 1,
	};
	struct core_error error = { 0 };
	struct tx_slice slice;
	struct tx_cell *cell;
	int failures = 0;
	unsigned int i;

	memcpy(config.cpus, cpus, sizeof(cpus));
	cell = tx_cell_open(&config, &error);
	if (!cell || tx_cell_slice(cell, &plan, &slice, &error)) {
		printf("%s\n", error.text);
		failures++;
	}
	if (cell)
		tx_cell_close(cell);
	for (i = 0; i < THREADS; i++)
		if (asked[i] != 1) {
			printf("CPU %d, alone: asked for %u times\n", cpus[i], asked[i]);
			failures++;
		}
	return failures > 0;
}
