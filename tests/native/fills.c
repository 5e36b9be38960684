/*
 * The bytes that a fill writes. Built with the core by test_sanitizers.py.
 */
#include <stdio.h>

#include "core.h"

static int failures;

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

int main(void)
{
	fills();
	return failures > 0;
}
