/*
 * tx_ring's malformed slots: some say that their frame is shorter than an Ethernet header, which the
 * kernel refuses (dev_validate_header; a frame that is too long would fill the kernel's log). With
 * PACKET_LOSS it skips such a slot. Without, send() ends there with EINVAL, and the sender has to mend
 * the slot and to call again: it is then sent.
 */
#include <limits.h>

#include "tx_ring.h"

static unsigned int malformed_slots(const struct tx_config *config)
{
	return malformed_before(config, ring_slot_count(&config->options[OPT_RING].ring));
}

unsigned int skipped_slots(const struct tx_config *config)
{
	return config->options[OPT_LOSS].number ? malformed_slots(config) : 0;
}

struct malformed malformed_at(const struct tx_config *config, uint64_t nth)
{
	const uint64_t parts = config->malformed, in_turn = malformed_slots(config);

	if (!in_turn)
		return (struct malformed) { .slot = UINT_MAX };
	return (struct malformed) {
		.nth = nth,
		.slot = (unsigned int)(((nth % in_turn + 1) * PARTS + parts - 1) / parts - 1),
	};
}

void malformed_check(const struct tx_config *config, unsigned long long slots,
		     struct core_problems *problems)
{
	if (!config->malformed)
		return;
	if (slots == 1)			/* more than half cannot be */
		problem_add(problems, "malformed",
			    "%g%% of a ring of a single slot is none; 0%%, or more slots",
			    config->malformed / 1e4);
	else if (slots && slots * config->malformed < PARTS)
		problem_add(problems, "malformed",
			    "%g%% of a ring of %llu slots is none; at least %g%%, or more slots",
			    config->malformed / 1e4, slots,
			    (double)((PARTS + slots - 1) / slots) / 1e4);
	/* tpacket_snd() waits for what it freed, if it was the last of a call. */
	if (config->burst == 1 && config->options[OPT_LOSS].number && !config->msg_dontwait)
		problem_add(problems, "burst",
			    "a blocking call with packet_loss and nothing but a malformed slot waits "
			    "for a frame that never leaves; at least 2, or msg_dontwait: true");
}

bool tx_ring_mend(struct tx_thread *thread, struct tx_ring *tx, uint64_t before)
{
	struct malformed next;
	unsigned char *slot;
	bool wrong;

	if (!thread->config->malformed)
		return false;
	if (tx->shared)
		pthread_mutex_lock(&tx->lock);
	slot = tx->ring.slots[tx->to_refuse.slot];
	wrong = slot_status(tx, slot) == TP_STATUS_WRONG_FORMAT;
	if (wrong) {
		next = malformed_at(thread->config, tx->to_refuse.nth + 1);
		tx->to_refuse.slot = next.slot;
		__atomic_store_n(&tx->to_refuse.nth, next.nth, __ATOMIC_RELAXED);
		slot_publish(tx, slot, tx->tp_len);
		count(&thread->counts.requested, 1);
		count(&thread->counts.malformed, 1);
	} else {
		wrong = tx->to_refuse.nth != before;
	}
	if (tx->shared)
		pthread_mutex_unlock(&tx->lock);
	if (wrong)
		count(&thread->counts.calls, 1);
	return wrong;
}
