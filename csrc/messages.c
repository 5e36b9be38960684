/*
 * Messages: see messages.h. The kernel loops over them (net/socket.c: __sys_sendmmsg). A refusal after
 * the first one shows as a short count only: the errno that ended the call is lost.
 */
#include <stdlib.h>
#include <sys/socket.h>

#include "messages.h"

/* With prefilled flows a burst may begin at any of them: flows - 1 messages more than a burst. */
struct messages {
	struct mmsghdr *headers;
	struct iovec *parts;
	unsigned int flows;		/* 1: every burst begins at the first message */
};

int messages_open(struct tx_thread *thread, int skip, unsigned int length,
		  struct core_error *error)
{
	const struct tx_config *config = thread->config;
	const unsigned int flows = config->prefilled ? config->flows : 1;
	const unsigned int number = burst_supers(config) + flows - 1;
	struct messages *messages;
	unsigned int i;

	thread->state = messages = calloc(1, sizeof(*messages));
	if (!messages)
		return error_set(error, ENOMEM, "sendmmsg headers");
	messages->flows = flows;
	messages->headers = calloc(number, sizeof(*messages->headers));
	messages->parts = calloc(number, sizeof(*messages->parts));
	if (!messages->headers || !messages->parts)
		return error_set(error, ENOMEM, "sendmmsg headers for %u frames", number);
	for (i = 0; i < number; i++) {
		messages->parts[i].iov_base =
			thread->buffer + (flows > 1 ? i % flows : i) * thread->stride + skip;
		messages->parts[i].iov_len = length - (unsigned int)skip;
		messages->headers[i].msg_hdr.msg_iov = &messages->parts[i];
		messages->headers[i].msg_hdr.msg_iovlen = 1;
	}
	return 0;
}

/* The errno is lost. Of a call that waits it was ENOBUFS; of another it may as well be EAGAIN. */
static void messages_short(struct tx_thread *thread)
{
	count(&thread->counts.short_counts, 1);
	if (!thread->config->msg_dontwait)
		count(&thread->counts.refused, thread->config->segments);
}

static struct mmsghdr *messages_first(const struct tx_thread *thread)
{
	const struct messages *messages = thread->state;

	if (unlikely(messages->flows > 1))
		return messages->headers + thread->number % messages->flows;
	return messages->headers;
}

/* Of "number" messages the call took so many; negative: it failed. */
static inline int messages_count(struct tx_thread *thread, unsigned int number, long taken,
				 const char *call)
{
	const unsigned int segments = thread->config->segments;
	const int code = unlikely(taken < 0) ? errno : 0;
	const uint64_t sent = code ? 0 : (uint64_t)taken * segments;

	count(&thread->counts.calls, 1);
	count(&thread->counts.requested, (uint64_t)number * segments);
	if (unlikely(code))
		return thread_refused(thread, code, call);
	thread->number += sent;
	count(&thread->counts.submitted, sent);
	if (unlikely((unsigned int)taken < number))
		messages_short(thread);
	return 0;
}

int messages_submit(struct tx_thread *thread, unsigned int frames)
{
	const unsigned int number = frames / thread->config->segments;
	const long taken = syscall(SYS_sendmmsg, thread->socket->fd, messages_first(thread), number,
				   thread->flags);

	return messages_count(thread, number, taken, "sendmmsg");
}

int messages_submit_any(struct tx_thread *thread, unsigned int frames)
{
	const struct iovec *part = ((struct messages *)thread->state)->parts;
	long sent;

	if (frames > thread->config->segments)
		return messages_submit(thread, frames);
	sent = syscall(SYS_sendto, thread->socket->fd, part->iov_base, part->iov_len, thread->flags,
		       NULL, 0);
	return messages_count(thread, 1, sent < 0 ? sent : 1, "send");
}

void messages_close(struct tx_thread *thread)
{
	struct messages *messages = thread->state;

	if (!messages)
		return;
	free(messages->headers);
	free(messages->parts);
	free(messages);
}
