/*
 * What the core claims of costs, counted and not timed: the bytes that a fill writes, and the looks
 * at a queue that a sender's CPU time leaves out. Built with the core by test_sanitizers.py, with
 * ioctl(), times_begin() and times_end() wrapped (ld --wrap): every queue takes LOOKS looks until it
 * is empty, and a look is the only thing that takes CPU time, a nanosecond of it.
 */
#include <linux/sockios.h>
#include <stdarg.h>

#include "core.h"
#include "common.h"

#define LOOKS 30

static __thread unsigned int looks;
static int failures;

int __real_ioctl(int fd, unsigned long request, void *argument);
int __wrap_ioctl(int fd, unsigned long request, ...);
void __wrap_times_begin(struct thread_times *times);
void __wrap_times_end(struct thread_times *times);

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list arguments;
	void *argument;

	va_start(arguments, request);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	if (request != SIOCOUTQ)
		return __real_ioctl(fd, request, argument);
	*(int *)argument = ++looks % LOOKS ? 1000 : 0;
	return 0;
}

void __wrap_times_begin(struct thread_times *times)
{
	*times = (struct thread_times) { .cpu_ns = looks };
}

void __wrap_times_end(struct thread_times *times)
{
	__wrap_times_begin(times);
}

static void check(int ok, const char *what)
{
	if (!ok) {
		printf("%s\n", what);
		failures++;
	}
}

/* Bytes of the buffer of a burst that one burst writes. */
static unsigned int written_by_a_burst(const struct tx_config *config)
{
	const unsigned int length = config->burst * config->frame_size;
	struct core_error error = { 0 };
	struct tx_cell *cell = tx_cell_open(config, &error);
	unsigned int i, written = 0;

	if (!cell)
		return UINT32_MAX;
	memset(cell->threads[0].buffer, 0xff, length);
	tx_cell_burst(cell, 0, NSEC_PER_SEC, &error);
	for (i = 0; i < length; i++)
		written += cell->threads[0].buffer[i] != 0xff;
	tx_cell_close(cell);
	return written;
}

static void fills(void)
{
	struct tx_config config = {
		.method = "null", .frame_size = 64 * 140, .threads = 1, .burst = 8, .flows = 1,
	};

	check(written_by_a_burst(&config) == config.burst * config.frame_size,
	      "copy does not write every byte of every frame");
	config.prefilled = 1;
	check(written_by_a_burst(&config) == 0, "prefilled writes");
}

/* Of a window: one look at its end for the send buffer's high mark, and the drain's first. */
static void looking(void)
{
	const struct tx_config config = {
		.method = "send", .ifindex = 1, .frame_size = 64, .threads = 1, .burst = 1, .flows = 1,
		.prefilled = 1, .cpus = { -1 },
	};
	const struct tx_slice_plan plan = {
		.window_ns = 1000000, .drain_ns = 600 * NSEC_PER_SEC,
	};
	struct core_error error = { 0 };
	struct tx_slice slice = { 0 };
	struct tx_cell *cell = tx_cell_open(&config, &error);

	if (cell && !tx_cell_slice(cell, &plan, &slice, &error)) {
		check(slice.thread[0].window.completed > 0, "no frame in the window");
		check(slice.thread[0].cpu_ns == 2, "looking at a queue is a cost of sending");
		check(!slice.thread[0].undrained, "frames left");
	}
	check(!error.code, error.text);
	if (cell)
		tx_cell_close(cell);
}

int main(void)
{
	int err = enter_namespace();

	if (err) {
		printf("network namespace: %s\n", strerror(-err));
		return SKIPPED;
	}
	fills();
	looking();
	return failures > 0;
}
