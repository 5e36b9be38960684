/*
 * What a shaper on the way has to give: the account of its token bucket, as a thread keeps it for the
 * cell.
 */
#include "slice.h"

#define STRETCH_NS 200000		/* in which a sender gets ahead of a shaper, or does not */
#define LATE_NS 10000			/* a timer, a wake-up */

static uint64_t cell_submitted(const struct tx_cell *cell)
{
	uint64_t frames = 0;
	unsigned int i;

	for (i = 0; i < cell->config.threads; i++)
		frames += __atomic_load_n(&cell->threads[i].counts.submitted, __ATOMIC_RELAXED);
	return frames;
}

uint64_t shaper_frame_ns(const struct slice_run *run)
{
	const uint64_t rate = run->plan->shaper_rate;

	return rate ? run->cell->config.frame_size * NSEC_PER_SEC / rate : 0;
}

static int64_t bucket_ns(const struct slice_run *run)
{
	const struct tx_slice_plan *plan = run->plan;

	return plan->shaper_rate ?
	       (int64_t)((double)plan->shaper_burst * NSEC_PER_SEC / (double)plan->shaper_rate) : 0;
}

void shaper_begin(struct slice_thread *self)
{
	const uint64_t frames = cell_submitted(self->run->cell);

	self->account = (struct shaper_account) {
		.looked_ns = self->start_ns,
		.submitted = frames,
		.balance_ns = bucket_ns(self->run),
		.stretch = {
			.start_ns = self->start_ns,
			.submitted = frames,
			.delay_ns = run_delay_ns(self->times_file),
		},
	};
}

/*
 * The account of a bucket: full before the slice; it earns time, and a frame costs its own. The bucket
 * never has more, whatever a thread waited for meanwhile. What stands in the queue is a debt.
 */
static int64_t account_balance(struct slice_thread *self, uint64_t now_ns)
{
	const struct slice_run *run = self->run;
	struct shaper_account *account = &self->account;
	const uint64_t frames = cell_submitted(run->cell);

	account->balance_ns += (int64_t)(now_ns - account->looked_ns);
	account->balance_ns -= (int64_t)((frames - account->submitted) * shaper_frame_ns(run));
	if (account->balance_ns > bucket_ns(run))
		account->balance_ns = bucket_ns(run);
	account->looked_ns = now_ns;
	account->submitted = frames;
	return account->balance_ns;
}

uint64_t shaper_credit_ns(struct slice_thread *self, uint64_t now_ns, uint64_t behind)
{
	const int64_t undone_ns = (int64_t)(behind * shaper_frame_ns(self->run));
	const int64_t credit_ns = account_balance(self, now_ns) + undone_ns;

	if (credit_ns > bucket_ns(self->run))
		return (uint64_t)bucket_ns(self->run);
	return credit_ns > 0 ? (uint64_t)credit_ns : 0;
}

/* The last burst takes the rest, but for what a timer or a wake-up is late. */
static int64_t rest_ns(const struct slice_run *run)
{
	const struct tx_config *config = &run->cell->config;

	return LATE_NS + (int64_t)(config->burst * config->threads * shaper_frame_ns(run));
}

/*
 * False: of late the senders have sent no more than the shaper passes. Either it holds them up, or they
 * are too slow ever to empty its bucket. What counts is the time in which it has its CPU, because it may have
 * it all through the window.
 */
static bool is_ahead(struct slice_thread *self, uint64_t now_ns)
{
	struct shaper_account *account = &self->account;
	const struct shaper_stretch last = account->stretch;
	uint64_t sent_ns, delay_ns;

	if (now_ns < last.start_ns + STRETCH_NS)
		return true;
	account->stretch = (struct shaper_stretch) {
		.start_ns = now_ns,
		.submitted = account->submitted,
		.delay_ns = run_delay_ns(self->times_file),
	};
	sent_ns = (account->submitted - last.submitted) * shaper_frame_ns(self->run);
	delay_ns = account->stretch.delay_ns - last.delay_ns;
	return last.start_ns + sent_ns + delay_ns > now_ns;
}

bool shaper_is_spent(struct slice_thread *self, uint64_t now_ns)
{
	return account_balance(self, now_ns) <= rest_ns(self->run) || !is_ahead(self, now_ns) ||
	       now_ns > self->start_ns + self->run->plan->drain_ns;
}
