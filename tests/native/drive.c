/*
 * Drives every method of the core through its whole life over lo, in a network namespace of its
 * own: built with sanitizers by test_sanitizers.py. Says what failed and exits 1.
 */
#include "core.h"
#include "common.h"

#define MOST_TRIES 50

static int failures;

static void check(int ok, const char *what, const char *method, const char *detail)
{
	if (!ok) {
		printf("%s: %s: %s\n", method, what, detail);
		failures++;
	}
}

/* Whether every thread completed a frame in the window. */
static int all_sent(const struct tx_slice *slice)
{
	unsigned int i;

	for (i = 0; i < slice->threads; i++)
		if (!slice->thread[i].window.completed)
			return 0;
	return slice->threads > 0;
}

static void drive(const struct tx_config *config)
{
	const struct tx_slice_plan plan = {
		.warmup_ns = 1000000, .window_ns = 20000000, .drain_ns = 1000000000,
	};
	const char *method = config->method;
	struct core_error error = { 0 };
	struct tx_facts facts;
	struct tx_slice slice = { 0 };
	struct tx_cell *cell = tx_cell_open(config, &error);
	unsigned int i, tries;

	check(cell != NULL, "open", method, error.text);
	if (!cell)
		return;
	tx_cell_facts(cell, &facts);
	for (i = 0; i < config->threads; i++)
		check(tx_cell_burst(cell, i, 1000000000, &error) > 0, "burst", method, error.text);
	/* On a busy machine a thread may wait for its CPU until the window is over. */
	for (tries = 0; tries < MOST_TRIES && !all_sent(&slice); tries++)
		check(!tx_cell_slice(cell, &plan, &slice, &error), "slice", method, error.text);
	for (i = 0; i < slice.threads; i++) {
		const struct tx_counts *window = &slice.thread[i].window;

		check(window->completed > 0, "completed", method, "no frame in the window");
		check(window->completed == window->submitted, "drained", method, "frames left");
		check(window->submitted <= window->requested, "requested", method, "too few");
		check(!slice.thread[i].undrained, "undrained", method, "frames left");
		check(!slice.thread[i].moved, "pinned", method, "thread on another CPU");
	}
	tx_cell_close(cell);
}

static void drive_all(struct tx_config config)
{
	int i;

	for (i = 0; i < core_method_count(); i++) {
		if (!strncmp(core_method(i)->name, "test_", 5))
			continue;
		config.method = core_method(i)->name;
		drive(&config);
	}
}

int main(void)
{
	struct tx_config config = {
		.ifindex = 1, .frame_size = 1514, .threads = 1, .burst = 32, .flows = 1,
		.ring_version = 2, .ring_block_size = (unsigned int)sysconf(_SC_PAGESIZE),
		.ring_block_nr = 32,
		.ring_frame_size = 2048, .cpus = { 0, 1 },
	};
	struct core_error error;
	unsigned int version, wait;
	int err = enter_namespace();

	if (err) {
		printf("network namespace: %s\n", strerror(-err));
		return SKIPPED;
	}
	drive_all(config);
	config.frame_size = CACHE_LINE;		/* ends where its buffer does */
	drive_all(config);
	config.prefilled = 1;
	config.msg_dontwait = 1;
	config.qdisc_bypass = 1;
	config.frame_size = 14;
	drive_all(config);
	config.method = "tx_ring";
	for (version = 1; version <= 3; version++)
		for (wait = RING_WAIT_BLOCK; wait <= RING_WAIT_SPIN; wait++) {
			config.ring_version = version;
			config.ring_wait = wait;
			drive(&config);
		}
	config.ring_block_size *= 3;		/* a block of several pages, slots that are no power of two */
	config.ring_frame_size = 1536;
	config.mmap_locked = 1;
	config.vnet_hdr = 1;
	config.packet_loss = 1;
	drive(&config);
	config.threads = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 2 : 1;
	drive_all(config);
	config.socket_shared = 1;
	config.prefilled = 0;
	drive_all(config);

	config.flows = 3;
	config.frame_size = 50;
	drive_all(config);
	config.prefilled = 1;
	drive_all(config);

	config.ring_frame_size = 100;		/* half-open cells are closed too */
	check(!tx_cell_open(&config, &error), "open", "tx_ring", "a slot that is too small");
	config.method = "no such method";
	check(!tx_cell_open(&config, &error), "open", config.method, "accepted");
	config.method = "send";
	config.ifindex = 999;
	check(!tx_cell_open(&config, &error), "open", "send", "interface 999");
	return failures > 0;
}
