/*
 * The two steps of a burst, of every method over lo, in a network namespace of its own: after fill
 * nothing has gone to the kernel, whatever calls it makes; after submit the frames go. Built with the
 * core by test_sanitizers.py.
 */
#include "common.h"

static int failures;

static void check(int ok, const char *method, const char *what)
{
	if (!ok) {
		printf("%s: %s\n", method, what);
		failures++;
	}
}

/* Frames that lo has been given. */
static uint64_t lo_sent(void)
{
	FILE *file = fopen("/proc/thread-self/net/dev", "r");
	unsigned long long sent = 0;
	char line[512];

	while (file && fgets(line, sizeof(line), file))
		sscanf(line, " lo: %*u %*u %*u %*u %*u %*u %*u %*u %*u %llu", &sent);
	if (file)
		fclose(file);
	return sent;
}

/* Give the kernel a chance to send, as a drain does. True: it owns frames. */
static bool look(const struct tx_method *method, struct tx_thread *thread)
{
	if (method->wait)
		thread->idle = method->wait(thread);
	return method->reap(thread);
}

static void steps(const struct tx_method *method, struct tx_thread *thread)
{
	const char *name = method->info.name;
	const uint64_t before = lo_sent();
	const unsigned int frames = method->fill(thread);

	check(frames > 0 && frames <= thread->config->burst, name, "fill made no burst");
	check(!look(method, thread), name, "the kernel owns frames that were filled only");
	check(lo_sent() == before, name, "frames left with fill");
	check(!thread->counts.requested && !thread->counts.submitted, name, "fill counted frames");
	thread->deadline_ns = clock_ns(CLOCK_MONOTONIC) + NSEC_PER_SEC;
	check(!method->submit(thread, frames), name, thread->error.text);
	check(!thread_drain(method, thread, thread->deadline_ns), name, "frames are left");
	check(thread->counts.requested == frames, name, "requested is not what was filled");
	if (!method->info.sends_xdp)		/* lo takes none */
		check(lo_sent() == before + thread->counts.completed, name, "lo counts others");
}

static void method_steps(const struct tx_config *config)
{
	struct core_error error = { 0 };
	struct tx_cell *cell = tx_cell_open(config, &error);

	check(cell != NULL, config->method, error.text);
	if (!cell)
		return;
	steps(cell->method, &cell->threads[0]);
	tx_cell_close(cell);
}

int main(void)
{
	const struct ring_geometry ring = {
		.version = 2, .block_size = (unsigned int)sysconf(_SC_PAGESIZE), .block_nr = 32,
		.frame_size = 2048,
	};
	struct tx_config config = {
		.ifindex = 1, .frame_size = 64, .threads = 1, .burst = 8, .flows = 1, .cpus = { -1 },
	};
	const int err = enter_namespace();
	int i;

	if (err) {
		printf("network namespace: %s\n", strerror(-err));
		return SKIPPED;
	}
	for (i = 0; i < core_method_count(); i++) {
		choose(&config, i, &ring);
		if (!is_driven(i) || !(core_method(i)->knobs & KNOB_INTERFACE))
			continue;
		for (config.prefilled = 0; config.prefilled < 2; config.prefilled++)
			method_steps(&config);
		config.prefilled = 0;
	}
	return failures > 0;
}
