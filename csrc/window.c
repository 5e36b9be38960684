/*
 * The window of a slice, as its threads see it: warm-up, opening edge, bursts, closing edge.
 *
 * A token bucket fills while nothing is sent, and lets as many frames pass later: a queue that runs
 * empty before the window gives it frames that its time does not pay for. So
 *  - the warm-up goes on until the senders have spent what a full bucket and its income allow;
 *  - an edge is the completion of a frame while more of them are queued: the opening edge when the
 *    kernel owns half of what the warm-up left with it, the closing edge when it owns as much again;
 *  - with as much under way at both edges, as many frames are completed between them as are sent.
 *    What the closing edge finds above or below that is counted.
 * A call that returns when all of its frames have left (a blocking ring's) leaves nothing queued: then
 * the window begins at its return, as it ends at one. Where a sender slept or waited for its CPU the
 * bucket may have some credit all the same: for the frames which that paid for, the window begins while
 * it was earned.
 * Without a shaper an edge is where the kernel owns nothing.
 *
 * Other cells have had the caches since the last slice. The slots of a ring come back to them in one
 * pass, so the warm-up goes on for a pass, but for no longer than the window lasts.
 */
#include <sched.h>

#include "slice.h"

#define WARMUP_BURSTS 2
#define LOOK_EVERY_NS 50000ull		/* for credit that is left */
#define LONGEST_LOOK_NS 5000
#define LOOKS_PER_YIELD 64
#define SPIN_NS 200000ull		/* the last stretch of the way to an edge */
#define NAP_PART 1000			/* of a frame's time, where the next may leave at any time */
#define LONGEST_NAP_NS 10000000ull
#define SHORTEST_NAP_NS 20000ull

static void nap(uint64_t length_ns)
{
	const struct timespec length = { .tv_nsec = (long)length_ns };

	clock_nanosleep(CLOCK_MONOTONIC, 0, &length, NULL);
}

/* Bytes of frames, with their skbs, that the kernel owns. Without what a ring left behind. */
static uint64_t cell_stock(const struct tx_cell *cell)
{
	uint64_t stock = 0;
	unsigned int i;

	for (i = 0; i < cell->socket_nr; i++) {
		const int bytes = sock_wmem(cell->sockets[i].fd);

		stock += bytes > 0 ? (uint64_t)bytes : 0;
	}
	return stock;
}

static bool any_failed(const struct tx_cell *cell)
{
	unsigned int i;

	for (i = 0; i < cell->config.threads; i++)
		if (cell->threads[i].error.code)
			return true;
	return false;
}

/* Where fill finds no room there is nothing to submit. */
static inline int thread_send(const struct tx_method *method, struct tx_thread *thread, bool single)
{
	const unsigned int frames = method->fill(thread);

	if (likely(frames))
		return method->submit(thread, single ? FRAMES_PER_TURN : frames);
	return method->room ? method->room(thread) : 0;
}

int thread_burst(const struct tx_method *method, struct tx_thread *thread)
{
	return thread_send(method, thread, false);
}

static bool thread_is_warm(const struct slice_thread *self, unsigned int bursts, uint64_t now_ns)
{
	const struct tx_slice_plan *plan = self->run->plan;
	const uint64_t sent = self->thread->counts.submitted - self->before.submitted;

	if (bursts < WARMUP_BURSTS || now_ns < self->start_ns + plan->warmup_ns)
		return false;
	return sent >= self->run->cell->pass || now_ns >= self->start_ns + plan->window_ns ||
	       plan->shaper_rate || !plan->warmup_ns;
}

/*
 * All threads are warm, and no shaper has credit left. To look for that after each burst would slow
 * down a sender that is only just ahead of its shaper.
 */
static bool cell_is_warm(struct slice_thread *self, unsigned int bursts)
{
	struct slice_run *run = self->run;
	const uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);

	if (!self->warm && thread_is_warm(self, bursts, now_ns)) {
		self->warm = true;
		__atomic_add_fetch(&run->warm, 1, __ATOMIC_RELAXED);
	}
	if (!all_came(&run->warm, run))
		return false;
	if (!run->plan->shaper_rate || flag_up(&run->spent))
		return true;
	if (now_ns < self->account.looked_ns + LOOK_EVERY_NS)
		return false;
	if (shaper_is_spent(self, now_ns))
		flag_raise(&run->spent);
	return flag_up(&run->spent);
}

/* The last burst follows the last check: nothing of ours is between it and the edge. */
void window_warm_up(struct slice_thread *self)
{
	const struct tx_slice_plan *plan = self->run->plan;
	const struct tx_method *method = self->run->cell->method;
	struct tx_thread *thread = self->thread;
	unsigned int bursts = 0;
	bool is_last;

	self->before = thread->counts;
	self->start_ns = clock_ns(CLOCK_MONOTONIC);
	shaper_begin(self);
	thread->deadline_ns = self->start_ns + plan->warmup_ns + plan->window_ns +
			      2 * plan->drain_ns;
	do {
		is_last = cell_is_warm(self, bursts++);
		if (thread->error.code || thread_send(method, thread, method->single) < 0)
			cell_stop(self->run->cell, true);
	} while (!is_last && !thread_stopped(thread));
}

/* The way of the stock down to a level. One thread sees it, and nobody sends meanwhile. */
struct descent {
	struct slice_run *run;
	uint64_t level;
	uint64_t start_ns, start_stock;
	uint64_t before_ns;		/* when it was last seen above the level */
	uint64_t stock, looked_ns;	/* as last seen, and no later */
	uint64_t step_ns;		/* when it was last seen higher; 0: it has not sunk yet */
};

/*
 * Frames of a cell have the same charge, and most leave one by one: the smallest step seen is one of
 * them.
 */
static void descent_look(struct descent *descent)
{
	struct tx_cell *cell = descent->run->cell;
	uint64_t stock, step;

	descent->looked_ns = clock_ns(CLOCK_MONOTONIC);
	stock = cell_stock(cell);
	step = descent->stock > stock ? descent->stock - stock : 0;
	if (step)
		descent->step_ns = descent->before_ns;
	if (step && (!cell->charge || step < cell->charge))
		cell->charge = step;
	descent->stock = stock;
}

/* What the shaper certainly needs, but for the last stretch; then as little as a frame's time allows. */
static uint64_t descent_nap_ns(const struct descent *descent)
{
	const uint64_t each_ns = shaper_frame_ns(descent->run), charge = descent->run->cell->charge;
	const uint64_t to_go = charge ? (descent->stock - descent->level + charge - 1) / charge : 1;
	const uint64_t waited_ns = descent->before_ns - descent->step_ns;
	uint64_t sure_ns = (to_go - 1) * each_ns;

	if (descent->step_ns && waited_ns < each_ns)
		sure_ns += each_ns - waited_ns;
	if (sure_ns > LONGEST_NAP_NS)
		return LONGEST_NAP_NS;
	if (sure_ns > SPIN_NS)
		return sure_ns - SPIN_NS;
	return each_ns / NAP_PART > SHORTEST_NAP_NS ? each_ns / NAP_PART : 0;
}

/* False: there is nothing to wait for, or it took too long. */
static bool descent_goes_on(struct descent *descent)
{
	struct slice_run *run = descent->run;
	uint64_t nap_ns;

	if (descent->stock <= descent->level || any_failed(run->cell))
		return false;
	descent->before_ns = clock_ns(CLOCK_MONOTONIC);
	if (descent->before_ns - descent->start_ns >= run->plan->drain_ns) {
		run->undrained = true;
		return false;
	}
	nap_ns = descent_nap_ns(descent);
	if (nap_ns)
		nap(nap_ns);
	return true;
}

static struct descent descent_begin(struct slice_run *run)
{
	struct descent descent = { .run = run };

	descent.start_ns = descent.before_ns = clock_ns(CLOCK_MONOTONIC);
	descent.start_stock = descent.stock = cell_stock(run->cell);
	return descent;
}

/* Of each socket, and of all. Nobody sends, so it does not change until an edge is taken. */
static uint64_t look_behind(const struct tx_cell *cell, uint64_t *behind)
{
	uint64_t frames = 0;
	unsigned int i;

	for (i = 0; i < cell->socket_nr && cell->method->left_behind; i++) {
		behind[i] = cell->method->left_behind(&cell->sockets[i]);
		frames += behind[i];
	}
	return frames;
}

static void clocks_begin(struct slice_thread *self)
{
	times_begin(self->times_file, &self->first.times);
	self->first.times.cpu_ns += times_cpu_ns(self->thread->helper);
}

static void clocks_end(struct slice_thread *self)
{
	times_end(self->times_file, &self->last.times);
	self->last.times.cpu_ns += times_cpu_ns(self->thread->helper);
}

/* Calls that are under way at an edge belong to what was sent before it. */
static void settle(struct slice_thread *self)
{
	if (self->run->cell->method->settle)
		self->run->cell->method->settle(self->thread);
}

/*
 * Where nothing is queued the window begins at the last call's return. If the thread lost its CPU in a
 * look, more frames may have left since.
 */
static uint64_t opening_ns(const struct descent *descent, uint64_t now_ns)
{
	if (!descent->start_stock)
		return descent->start_ns;
	return now_ns - descent->looked_ns > LONGEST_LOOK_NS ? descent->looked_ns : now_ns;
}

/*
 * Of the bucket at the opening edge, at the most: what its account has, or what it earned since the
 * frame was last seen to wait.
 */
static uint64_t opening_credit_ns(struct slice_thread *self, const struct descent *descent,
				  uint64_t behind)
{
	const struct slice_run *run = self->run;
	const uint64_t account_ns = shaper_credit_ns(self, run->first.wall_ns, behind);
	const uint64_t unseen_ns = run->first.wall_ns - descent->before_ns;

	return account_ns > unseen_ns ? account_ns : unseen_ns;
}

/*
 * By the last thread to arrive. The clocks are read before each look, so that nothing is between it
 * and the edge. The first reading takes long: where frames leave meanwhile, it is made before.
 */
static void cell_open(struct slice_thread *self)
{
	struct slice_run *run = self->run;
	struct descent descent = descent_begin(run);
	const uint64_t behind = look_behind(run->cell, run->first.behind);

	if (run->plan->shaper_rate && descent.stock) {
		clocks_begin(self);
		descent = descent_begin(run);
	}
	descent.level = run->plan->shaper_rate ? descent.stock / 2 : 0;
	do {
		clocks_begin(self);
		descent_look(&descent);
	} while (descent_goes_on(&descent));
	run->first.stock = descent.stock;
	run->first.wall_ns = clock_ns(CLOCK_MONOTONIC);
	if (run->plan->shaper_rate) {
		run->first.wall_ns = opening_ns(&descent, run->first.wall_ns);
		run->credit_ns = opening_credit_ns(self, &descent, behind);
	}
	self->first.wall_ns = run->first.wall_ns;
	flag_raise(&run->opened);
}

/* A thread that waits reads its clocks until it may go on: what it does meanwhile is no sending. */
static void wait_for_opening(struct slice_thread *self)
{
	unsigned int looks = 0;

	do {
		if (++looks % LOOKS_PER_YIELD == 0)
			sched_yield();
		clocks_begin(self);
	} while (!flag_up(&self->run->opened));
	self->first.wall_ns = clock_ns(CLOCK_MONOTONIC);
}

void window_open(struct slice_thread *self)
{
	struct slice_run *run = self->run;

	settle(self);
	self->first.counts = self->thread->counts;
	if (last_to(&run->arrived, run))
		cell_open(self);
	else
		wait_for_opening(self);
	self->first.cpu = sched_getcpu();
	self->thread->deadline_ns = clock_ns(CLOCK_MONOTONIC) + run->plan->window_ns +
				    run->plan->drain_ns;
	__atomic_add_fetch(&run->begun, 1, __ATOMIC_RELEASE);
}

void window_send(struct slice_thread *self)
{
	const struct tx_method *method = self->run->cell->method;
	struct tx_thread *thread = self->thread;

	while (!thread_stopped(thread))
		if (unlikely(thread_send(method, thread, method->single) < 0)) {
			cell_stop(self->run->cell, true);
			break;
		}
}

/* By the last thread to stop. Where nothing is under way, its first look has seen the edge. */
static void cell_close(struct slice_run *run, uint64_t stopped_ns, struct descent *descent)
{
	const uint64_t next = descent->stock ? descent->stock - 1 : 0;

	look_behind(run->cell, run->last.behind);
	run->last.wall_ns = stopped_ns;
	descent->level = next < run->first.stock ? next : run->first.stock;
	while (descent_goes_on(descent)) {
		descent_look(descent);
		run->last.wall_ns = clock_ns(CLOCK_MONOTONIC);
	}
	run->last.stock = descent->stock;
	flag_raise(&run->closed);
}

void window_close(struct slice_thread *self)
{
	struct slice_run *run = self->run;
	struct descent descent = { 0 };
	bool is_last;

	settle(self);
	is_last = last_to(&run->stopped, run);
	self->last.wall_ns = clock_ns(CLOCK_MONOTONIC);
	if (is_last)
		descent = descent_begin(run);
	clocks_end(self);
	self->last.counts = self->thread->counts;
	self->last.cpu = sched_getcpu();
	if (is_last)
		cell_close(run, self->last.wall_ns, &descent);
	while (!flag_up(&run->closed))
		nap(SHORTEST_NAP_NS);
}

/*
 * What was under way or left behind at the opening edge and is not at the closing edge was completed
 * beyond what was sent; of a socket that threads share it is the first thread's.
 */
int64_t window_carried(const struct slice_run *run, unsigned int thread)
{
	const struct tx_cell *cell = run->cell;
	int64_t frames = 0;

	if (thread < cell->socket_nr)
		frames += (int64_t)(run->first.behind[thread] - run->last.behind[thread]);
	if (thread == 0 && cell->charge)
		frames += (int64_t)(run->first.stock - run->last.stock) / (int64_t)cell->charge *
			  cell->config.segments;
	return frames;
}

uint64_t window_ns(const struct slice_run *run, uint64_t completed)
{
	const uint64_t wall_ns = run->last.wall_ns - run->first.wall_ns;
	const uint64_t needed_ns = completed * shaper_frame_ns(run);

	if (needed_ns <= wall_ns)
		return wall_ns;
	return needed_ns < wall_ns + run->credit_ns ? needed_ns : wall_ns + run->credit_ns;
}
