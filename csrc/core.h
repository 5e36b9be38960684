/*
 * Internal to the core: what its files share beside engine.h. The boundary to Python is api.h.
 */
#ifndef CORE_H
#define CORE_H

#include <pthread.h>

#include "engine.h"

/* An edge of a thread's window. */
struct edge {
	struct tx_counts counts;
	struct thread_times times;
	uint64_t wall_ns;
	int cpu;
};

struct tx_cell {
	int stop __attribute__((aligned(CACHE_LINE)));
	int netns;			/* of whoever opened it, where the method needs it; else -1 */
	uint64_t charge;		/* bytes of sk_wmem_alloc per frame, as far as seen; 0: not yet */
	struct tx_config config __attribute__((aligned(CACHE_LINE)));
	const struct tx_method *method;
	struct tx_socket *sockets;
	struct tx_thread *threads;
	struct slice_run *ready;	/* its threads wait for the next slice; NULL: there are none */
	unsigned int socket_nr;
	struct tx_memory memory;	/* core_memory() of the config */
	uint64_t pass;			/* frames of a thread that are one pass through its ring */
};

/* methods.c */
const struct tx_method *method_find(const char *name);
const char *method_lacks(const struct tx_method *method);	/* a required hook; NULL: none */

/*
 * own.c: methods of the user's own C files. What such a method is asked before it is opened it is
 * asked in a child of this process, whose death is a reason or a problem like another.
 */
const struct tx_method *own_method(unsigned int index);		/* NULL: there are fewer */
bool own_has(const struct tx_method *method);
int own_probe(const struct tx_method *method, struct core_error *error);
bool own_check(const struct tx_method *method, const struct tx_config *config,
	       unsigned int page_size, struct core_problems *problems);	/* false: it gave no answer */
struct tx_memory own_memory(const struct tx_method *method, const struct tx_config *config);
struct tx_numbering own_numbering(const struct tx_method *method, const struct tx_config *config);

/* times.c. The file is the calling thread's own (/proc/thread-self/schedstat); -1: it has none. */
int times_open(void);
uint64_t run_delay_ns(int file);
void times_begin(int file, struct thread_times *times);
void times_end(int file, struct thread_times *times);
uint64_t times_cpu_ns(int thread);	/* by its id, of this process; of 0: 0 */
struct thread_times times_between(const struct thread_times *from, const struct thread_times *to);

/* task.c */
int task_cpu(pid_t tid);		/* on which it runs, or ran last; -1: unknown */

/* window.c: one burst, filled and submitted; of a method of single frames one frame */
int thread_burst(const struct tx_method *method, struct tx_thread *thread);

/* slice.c: send nothing, until the kernel owns no frame or the deadline. True: it owns some. */
bool thread_drain(const struct tx_method *method, struct tx_thread *thread, uint64_t deadline_ns);
void thread_settle(struct tx_cell *cell, struct tx_thread *thread);	/* what it has for itself */
int thread_pin(pthread_t pthread, const struct tx_thread *thread, struct core_error *error);
/* What a thread did between two edges, and in a slice that began with these counts. */
void sample_fill(struct tx_thread_sample *sample, const struct tx_thread *thread,
		 const struct tx_counts *before, const struct edge *first, const struct edge *last);
void nap_until(uint64_t when_ns);

/* stream.c: a slice of a method with a stream */
int stream_slice(struct tx_cell *cell, const struct tx_slice_plan *plan, struct tx_slice *slice,
		 struct core_error *error);

/* cell.c: the calling thread moves into the namespace of the cell, if its method needs that */
int cell_enter(const struct tx_cell *cell, struct core_error *error);

static inline void cell_stop(struct tx_cell *cell, bool stop)
{
	__atomic_store_n(&cell->stop, stop, __ATOMIC_RELAXED);
}

static inline bool cell_stopped(const struct tx_cell *cell)
{
	return __atomic_load_n(&cell->stop, __ATOMIC_RELAXED);
}

#endif
