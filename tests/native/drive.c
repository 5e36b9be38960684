/*
 * Drives every method of the core through its whole life over lo, in a network namespace of its
 * own: built with sanitizers by test_sanitizers.py. Says what failed and exits 1.
 */
#include "common.h"

#define MOST_TRIES 50
#define LONGEST_HEADERS 128

static int failures;
static int options_vary;	/* a value may be one that lo refuses, or that goes with no default */

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
	unsigned int i, tries = 0;

	if (!cell && error.code == -EOPNOTSUPP && options_vary)	/* lo has no zero-copy mode */
		return;
	check(cell != NULL, "open", method, error.text);
	if (!cell)
		return;
	tx_cell_facts(cell, &facts);
	for (i = 0; i < config->threads; i++)
		check(tx_cell_burst(cell, i, 1000000000, &error) > 0, "burst", method, error.text);
	tx_cell_ready(cell);
	tx_cell_unready(cell);
	tx_cell_ready(cell);
	tx_cell_go(cell, &plan, &slice);
	tx_cell_unready(cell);
	tx_cell_ready(cell);
	tx_cell_go(cell, &plan, &slice);
	/* On a busy machine a thread may wait for its CPU until the window is over. */
	do
		check(!tx_cell_slice(cell, &plan, &slice, &error), "slice", method, error.text);
	while (!all_sent(&slice) && ++tries < MOST_TRIES);
	for (i = 0; i < slice.threads; i++) {
		const struct tx_counts *window = &slice.thread[i].window;

		check(window->completed > 0, "completed", method, "no frame in the window");
		check(window->completed == window->submitted, "drained", method, "frames left");
		check(window->submitted <= window->requested, "requested", method, "too few");
		check(!slice.thread[i].undrained, "undrained", method, "frames left");
		check(!slice.thread[i].moved, "pinned", method, "thread on another CPU");
	}
	tx_cell_ready(cell);
	tx_cell_close(cell);
}

/* With frames as long as its headers want, if those asked for are shorter. */
static void drive_fitting(struct tx_config config)
{
	struct core_problems problems;

	do
		core_check(&config, (unsigned int)sysconf(_SC_PAGESIZE), &problems);
	while (problems.number && !strcmp(problems.list[0].option, "frame_size") &&
	       config.frame_size++ < LONGEST_HEADERS);
	if (!problems.number || !options_vary)
		drive(&config);
}

static void drive_all(struct tx_config config, const struct ring_geometry *ring)
{
	int i;

	for (i = 0; i < core_method_count(); i++) {
		choose(&config, i, ring);
		if (is_driven(i))
			drive_fitting(config);
	}
}

/* Whether an engine has an option, which is set then. */
static int set_option(struct tx_config *config, const struct method_info *info, const char *name,
		      uint64_t value)
{
	unsigned int option;

	for (option = 0; option < info->option_nr; option++)
		if (!strcmp(info->options[option].name, name)) {
			config->options[option].number = value;
			return 1;
		}
	return 0;
}

/* Of each engine that has super-frames of several segments; a ring says how to cut them. */
static void drive_supers(struct tx_config config, const struct ring_geometry *ring)
{
	int i;

	for (i = 0; i < core_method_count(); i++) {
		const struct method_info *info = choose(&config, i, ring);

		set_option(&config, info, "vnet_hdr", 1);
		if (set_option(&config, info, "segments", config.burst / 2))
			drive(&config);
	}
}

static uint64_t values_of(const struct option_info *option)
{
	unsigned int choices = 0;

	if (option->type == OPTION_FLAG)
		return 2;
	while (option->type == OPTION_CHOICE && choices < CORE_MAX_CHOICES &&
	       option->choices[choices])
		choices++;
	return choices;
}

/* Each flag and each choice of each option, the others at their default. */
static void drive_options(struct tx_config config, const struct ring_geometry *ring)
{
	unsigned int option;
	uint64_t value;
	int i;

	options_vary = 1;
	for (i = 0; i < core_method_count(); i++) {
		const struct method_info *info = choose(&config, i, ring);

		if (!is_driven(i))
			continue;
		for (option = 0; option < info->option_nr; option++) {
			for (value = 0; value < values_of(&info->options[option]); value++) {
				config.options[option].number = value;
				drive_fitting(config);
			}
			choose(&config, i, ring);
		}
	}
	options_vary = 0;
}

int main(void)
{
	struct tx_config config = {
		.ifindex = 1, .frame_size = 1514, .threads = 1, .burst = 32, .flows = 1,
		.cpus = { 0, 1 },
	};
	struct ring_geometry ring = {
		.version = 2, .block_size = (unsigned int)sysconf(_SC_PAGESIZE), .block_nr = 32,
		.frame_size = 2048,
	};
	struct core_error error;
	int i, err = enter_namespace();

	if (err) {
		printf("network namespace: %s\n", strerror(-err));
		return SKIPPED;
	}
	drive_all(config, &ring);
	config.frame_size = CACHE_LINE;		/* ends where its buffer does */
	drive_all(config, &ring);
	drive_supers(config, &ring);
	config.prefilled = 1;
	drive_supers(config, &ring);
	config.msg_dontwait = 1;
	config.qdisc_bypass = 1;
	config.frame_size = 14;
	drive_all(config, &ring);
	for (ring.version = 1; ring.version < 3; ring.version++)
		drive_options(config, &ring);
	drive_options(config, &ring);
	ring.block_size *= 3;			/* a block of several pages, slots that are no power of two */
	ring.frame_size = 1536;
	drive_options(config, &ring);
	config.threads = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 2 : 1;
	drive_all(config, &ring);
	config.socket_shared = 1;
	config.prefilled = 0;
	drive_all(config, &ring);

	config.flows = 3;
	config.frame_size = 50;
	drive_all(config, &ring);
	config.prefilled = 1;
	drive_all(config, &ring);

	ring.frame_size = 100;			/* half-open cells are closed too */
	for (i = 0; strcmp(choose(&config, i, &ring)->name, "tx_ring"); i++)
		;
	check(!tx_cell_open(&config, &error), "open", "tx_ring", "a slot that is too small");
	config.method = "no such method";
	check(!tx_cell_open(&config, &error), "open", config.method, "accepted");
	config.method = "send";
	config.ifindex = 999;
	check(!tx_cell_open(&config, &error), "open", "send", "interface 999");
	return failures > 0;
}
