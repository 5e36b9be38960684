/*
 * Which of the kernel's threads is the one that sends for us.
 *
 * Nothing tells which of the threads called kpktgend_N belongs to a namespace. It is found once, with
 * frames that count nowhere and have a delay between them. Until the next frame ours goes to sleep once
 * at most, whatever else this machine does. Every other one wakes ten times a second, or works. So
 * whoever gives up its CPU twice, or works, is not ours, until one is left.
 */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "tx_pktgen.h"

#define SPACE_NS 300000000ull		/* between frames, to find the thread: others wake twice */
#define SEARCH_NS (30 * NSEC_PER_SEC)
#define SEARCH_BURSTS 3			/* in a run; the first delay may be left out (last_ok) */
#define LONGEST_PAUSE_MS 400
#define OTHERS_WORK_NS (SPACE_NS / 2)	/* of its CPU; ours takes microseconds to go to sleep */
#define MOST_THREADS 4096		/* kernel threads of one CPU: one a namespace */

struct suspect {
	int pid;			/* 0: it is not ours */
	struct thread_times noted;	/* since the last frame */
};

struct search {
	struct tx_thread *thread;
	struct suspect *suspects;
	unsigned int number, left;
	uint64_t frames;		/* of a run */
	struct pktgen_progress frame;	/* the last one, as the times were noted */
	int control;			/* as pktgen's: that one's write lasts as long as the run */
	bool enough, over;
};

static bool is_called(const char *pid, const char *name)
{
	char path[64], text[32];
	ssize_t length = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%.16s/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		length = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	text[length > 0 ? length - 1 : 0] = '\0';
	return !strcmp(text, name);
}

static void suspects_find(struct search *search, const char *name)
{
	DIR *folder = opendir("/proc");
	struct dirent *entry;

	while (folder && search->number < MOST_THREADS && (entry = readdir(folder)))
		if (isdigit((unsigned char)entry->d_name[0]) && is_called(entry->d_name, name))
			search->suspects[search->number++].pid = atoi(entry->d_name);
	if (folder)
		closedir(folder);
	search->left = search->number;
}

static bool is_noted(const struct search *search, const struct pktgen_progress *now)
{
	return now->started == search->frame.started && now->sent == search->frame.sent;
}

/* Not behind the last frame: then ours waits for the end of its skb, and looks for work as the others. */
static bool is_between(const struct search *search, const struct pktgen_progress *now)
{
	return now->running && now->sent && now->sent < search->frames;
}

static void suspects_note(struct search *search, const struct pktgen_progress *frame)
{
	struct suspect *of;

	search->frame = *frame;
	for (of = search->suspects; of < search->suspects + search->number; of++)
		if (of->pid)
			task_times(of->pid, &of->noted);
}

/* One that has ended has no times. */
static bool is_other(const struct suspect *of)
{
	struct thread_times now;

	task_times(of->pid, &now);
	return !now.voluntary || now.voluntary > of->noted.voluntary + 1 ||
	       now.cpu_ns > of->noted.cpu_ns + OTHERS_WORK_NS;
}

/* Ours still waits after the others' times were read. */
static void suspects_drop(struct search *search)
{
	struct pktgen_progress now;
	struct suspect *of;

	for (of = search->suspects; of < search->suspects + search->number; of++) {
		if (!of->pid || !is_other(of))
			continue;
		now = pktgen_progress(search->thread->state);
		if (!is_between(search, &now) || !is_noted(search, &now))
			return;
		of->pid = 0;
		search->left--;
	}
}

/* In the pauses ours wakes as others do. Without them two searches in step would find no difference. */
static void *search_run(void *argument)
{
	struct search *search = argument;
	unsigned int naps;

	while (!pktgen_run(search->thread, search->frames) &&
	       !__atomic_load_n(&search->enough, __ATOMIC_ACQUIRE))
		for (naps = clock_ns(CLOCK_MONOTONIC) % LONGEST_PAUSE_MS; naps; naps--)
			pktgen_nap();
	__atomic_store_n(&search->over, true, __ATOMIC_RELEASE);
	return NULL;
}

static bool search_over(const struct search *search)
{
	return __atomic_load_n(&search->over, __ATOMIC_ACQUIRE);
}

static void search_watch(struct search *search)
{
	const uint64_t deadline_ns = clock_ns(CLOCK_MONOTONIC) + SEARCH_NS;
	struct pktgen_progress now;

	while (search->left > 1 && !search_over(search) &&
	       clock_ns(CLOCK_MONOTONIC) < deadline_ns) {
		pktgen_nap();
		now = pktgen_progress(search->thread->state);
		if (!is_noted(search, &now))
			suspects_note(search, &now);
		else if (is_between(search, &now))
			suspects_drop(search);
	}
}

static void search_end(struct search *search)
{
	__atomic_store_n(&search->enough, true, __ATOMIC_RELEASE);
	while (!search_over(search)) {
		if (pktgen_progress(search->thread->state).running)
			pktgen_file_write(search->control, "stop");
		pktgen_nap();
	}
}

static int search_result(const struct search *search, struct core_error *error)
{
	const struct pktgen *pktgen = search->thread->state;
	const struct suspect *of = search->suspects;

	if (search->thread->error.code) {
		*error = search->thread->error;
		return error->code;
	}
	if (search->left != 1)
		return error_set(error, ESRCH, "which of %u threads %s sends: %u are left after %llu "
				 "frames in %llu s", search->number, pktgen->cpu, search->left,
				 (unsigned long long)search->frame.sent, SEARCH_NS / NSEC_PER_SEC);
	while (!of->pid)
		of++;
	return of->pid;
}

/* The id of ours, or -errno. */
static int search_do(struct search *search, struct core_error *error)
{
	pthread_t pthread;
	int err;

	err = pthread_create(&pthread, NULL, search_run, search);
	if (err)
		return error_set(error, err, "a thread that runs pktgen");
	search_watch(search);
	search_end(search);
	pthread_join(pthread, NULL);
	return search_result(search, error);
}

static int thread_search(struct tx_thread *thread, unsigned int burst, struct core_error *error)
{
	const struct pktgen *pktgen = thread->state;
	struct search search = {
		.thread = thread,
		.frames = SEARCH_BURSTS * (uint64_t)burst,
	};
	int result;

	search.control = pktgen_file_open("pgctrl", O_WRONLY, error);
	if (search.control < 0)
		return search.control;
	search.suspects = calloc(MOST_THREADS, sizeof(*search.suspects));
	if (search.suspects) {
		suspects_find(&search, pktgen->cpu);
		result = search_do(&search, error);
	} else {
		result = error_set(error, ENOMEM, "threads of pktgen");
	}
	free(search.suspects);
	close(search.control);
	return result;
}

int pktgen_thread_find(struct tx_thread *thread, unsigned int burst, struct core_error *error)
{
	const struct pktgen *pktgen = thread->state;
	char command[32];
	int err, found;

	snprintf(command, sizeof(command), "delay %llu", SPACE_NS);
	err = pktgen_tell(pktgen, command, error);
	if (err)
		return err;
	found = thread_search(thread, burst, error);
	if (found < 0)
		return found;
	err = pktgen_tell(pktgen, "delay 0", error);
	return err ? err : found;
}
