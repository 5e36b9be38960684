/*
 * What the threads of one slice share: slice.c starts them and times the window, window.c is what
 * they do in it, shaper.c what a shaper allows them.
 */
#ifndef SLICE_H
#define SLICE_H

#include <semaphore.h>

#include "core.h"

/* An edge of the cell, which the last thread to arrive there takes for all. */
struct cell_edge {
	uint64_t wall_ns;
	uint64_t stock;				/* bytes that the kernel owns (cell_stock) */
	uint64_t behind[CORE_MAX_THREADS];	/* of each socket: frames that are left behind */
};

struct shaper_stretch {
	uint64_t start_ns;
	uint64_t submitted;		/* frames of the cell, at its start */
	uint64_t delay_ns;		/* run_delay_ns() of the thread, at its start */
};

/* Of a shaper's bucket, as last looked at. */
struct shaper_account {
	uint64_t looked_ns;
	uint64_t submitted;		/* frames of the cell */
	struct shaper_stretch stretch;
	int64_t balance_ns;		/* at the most; negative: frames are queued */
};

struct slice_thread {
	struct slice_run *run;
	struct tx_thread *thread;
	pthread_t pthread;
	bool created;
	bool warm;
	int times_file;			/* times_open() */
	uint64_t start_ns;
	struct shaper_account account;
	struct tx_counts before;	/* the slice */
	struct edge first, last;	/* of what the thread sends in the window */
	bool undrained;			/* after the window */
};

struct slice_run {
	struct tx_cell *cell;
	const struct tx_slice_plan *plan;
	struct tx_slice *slice;
	unsigned int warm;		/* threads that have warmed up ... */
	unsigned int arrived;		/* have stopped for the opening edge ... */
	unsigned int begun;		/* have begun with the window ... */
	unsigned int stopped;		/* have stopped for the closing edge */
	bool spent;			/* no shaper has credit left */
	bool opened, closed;		/* the edge has been taken */
	bool gone;			/* the threads were told to go: tx_cell_go() */
	bool abandoned;			/* there will be no slice */
	bool undrained;			/* an edge was not reached before its deadline */
	struct cell_edge first, last;
	uint64_t credit_ns;		/* of the shaper at the opening edge, at the most */
	uint64_t wmem_high[CORE_MAX_THREADS];	/* as the controlling thread saw it */
	sem_t go;			/* once for each thread; then plan and slice are set */
	struct core_error error;	/* of a thread that could not be started */
	struct slice_thread threads[];
};

/* window.c, in this order */
void window_warm_up(struct slice_thread *self);
void window_open(struct slice_thread *self);
void window_send(struct slice_thread *self);
void window_close(struct slice_thread *self);
/* Frames of a thread that were completed between the cell's edges, beyond those it sent. */
int64_t window_carried(const struct slice_run *run, unsigned int thread);
/* From edge to edge. For frames that a credit paid for, it begins while that was earned. */
uint64_t window_ns(const struct slice_run *run, uint64_t completed);

/* shaper.c */
/* The time in which a frame passes; 0: there is no shaper. */
uint64_t shaper_frame_ns(const struct slice_run *run);
/* From start_ns on, with a full bucket. */
void shaper_begin(struct slice_thread *self);
/*
 * The credit of the bucket at a time, at the most, with so many frames left behind. No earlier time is
 * asked for later.
 */
uint64_t shaper_credit_ns(struct slice_thread *self, uint64_t now_ns, uint64_t behind);
/* The next burst of each thread takes what is left, or more bursts would take no more. */
bool shaper_is_spent(struct slice_thread *self, uint64_t now_ns);

/* Whoever sees a flag up, or a count at its end, sees what was written before. */
static inline bool flag_up(const bool *flag)
{
	return __atomic_load_n(flag, __ATOMIC_ACQUIRE);
}

static inline void flag_raise(bool *flag)
{
	__atomic_store_n(flag, true, __ATOMIC_RELEASE);
}

/* True: all threads have come by now, this one last. */
static inline bool last_to(unsigned int *count, const struct slice_run *run)
{
	return __atomic_add_fetch(count, 1, __ATOMIC_ACQ_REL) == run->cell->config.threads;
}

static inline bool all_came(const unsigned int *count, const struct slice_run *run)
{
	return __atomic_load_n(count, __ATOMIC_ACQUIRE) == run->cell->config.threads;
}

#endif
