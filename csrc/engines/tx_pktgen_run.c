/*
 * Commands of pktgen, how far it is, and runs of it: see tx_pktgen.c.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "tx_pktgen.h"

#define ANSWER_NS (5 * NSEC_PER_SEC)
#define ENOTSUPP 524			/* the kernel's, which no program should see; Linux 7 says EOPNOTSUPP */

/* files */

int pktgen_file_open(const char *name, int flags, struct core_error *error)
{
	char path[sizeof(PKTGEN_FOLDER) + PKTGEN_NAME_SIZE + 1];
	int fd;

	snprintf(path, sizeof(path), PKTGEN_FOLDER "/%s", name);
	fd = open(path, flags | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	if (errno == ENOENT)
		return error_set(error, errno, "%s: modprobe pktgen, if this kernel has it "
				 "(CONFIG_NET_PKTGEN)", path);
	return error_set(error, errno, "open of %s%s", path,
			 errno == EACCES ? " needs root" : "");
}

int pktgen_file_write(int fd, const char *command)
{
	char line[128];
	const int length = snprintf(line, sizeof(line), "%s\n", command);

	return write(fd, line, (size_t)length) < 0 ? -errno : 0;
}

static uint64_t number_behind(const char *text, const char *label)
{
	const char *at = strstr(text, label);

	return at ? strtoull(at + strlen(label), NULL, 10) : 0;
}

struct pktgen_progress pktgen_progress(const struct pktgen *pktgen)
{
	char text[4096];
	const ssize_t length = pread(pktgen->device, text, sizeof(text) - 1, 0);

	text[length > 0 ? length : 0] = '\0';
	return (struct pktgen_progress) {
		.started = number_behind(text, "started: "),
		.sent = number_behind(text, "pkts-sofar: "),
		.errors = number_behind(text, "errors: "),
		.running = strstr(text, "Result: Starting") != NULL,
		.ended = strstr(text, " usec, ") != NULL,
	};
}

int pktgen_tell(const struct pktgen *pktgen, const char *command, struct core_error *error)
{
	const int err = pktgen_file_write(pktgen->device, command);

	if (err == -ENOTSUPP || err == -EOPNOTSUPP)
		return error_set(error, EOPNOTSUPP, "pktgen: %s (the driver of %s lets nobody share "
				 "an skb)", command, pktgen->name);
	return err ? error_set(error, -err, "pktgen: %s", command) : 0;
}

/* runs */

void pktgen_nap(void)
{
	const struct timespec length = { .tv_nsec = 1000000 };

	clock_nanosleep(CLOCK_MONOTONIC, 0, &length, NULL);
}

/*
 * After a "start" has returned. It waits 125 ms for the thread and then as long as that runs, so a slow
 * thread may begin later, when nobody waits for it. A run without a count is stopped; one of a count
 * ends by itself, and is given up where its count stands still.
 */
static int run_end(struct tx_thread *thread, bool counted)
{
	struct pktgen *pktgen = thread->state;
	uint64_t moved_ns = clock_ns(CLOCK_MONOTONIC), sent = 0;
	struct pktgen_progress now = pktgen_progress(pktgen);

	while (!now.ended) {
		if (clock_ns(CLOCK_MONOTONIC) > moved_ns + ANSWER_NS)
			return thread_fail(thread, ETIMEDOUT, "pktgen's thread does not answer");
		if (now.running && !counted)
			pktgen_file_write(pktgen->control, "stop");
		pktgen_nap();
		now = pktgen_progress(pktgen);
		if (counted && now.sent != sent) {
			sent = now.sent;
			moved_ns = clock_ns(CLOCK_MONOTONIC);
		}
	}
	pktgen->sent += now.sent;
	pktgen->errors += now.errors;
	__atomic_store_n(&pktgen->started, now.started, __ATOMIC_RELEASE);
	return 0;
}

/* Of 0 frames: until a signal comes. To tell the count takes the last run's result out of the file. */
int pktgen_run(struct tx_thread *thread, uint64_t frames)
{
	struct pktgen *pktgen = thread->state;
	char command[32];
	int err;

	snprintf(command, sizeof(command), "count %llu", (unsigned long long)frames);
	err = pktgen_file_write(pktgen->device, command);
	if (err < 0)
		return thread_fail(thread, -err, "pktgen: count");
	__atomic_fetch_add(&pktgen->calls, 1, __ATOMIC_RELAXED);
	err = pktgen_file_write(pktgen->control, "start");
	if (err < 0 && err != -EINTR)
		return thread_fail(thread, -err, "pktgen: start");
	return run_end(thread, frames > 0);
}

/* A frame that the driver or the qdisc dropped is an error of pktgen's, which others are told as ENOBUFS. */
void pktgen_look(struct tx_thread *thread)
{
	const struct pktgen *pktgen = thread->state;
	const uint64_t last = __atomic_load_n(&pktgen->started, __ATOMIC_ACQUIRE);
	struct tx_counts *counts = &thread->counts;
	struct pktgen_progress now = pktgen_progress(pktgen);

	if (now.started == last)	/* what it says of the last run is among those before */
		now.sent = now.errors = 0;
	counts->submitted = counts->completed = pktgen->sent + now.sent;
	counts->enobufs = counts->refused = pktgen->errors + now.errors;
	counts->requested = counts->submitted + counts->refused;
	counts->calls = __atomic_load_n(&pktgen->calls, __ATOMIC_RELAXED);
}
