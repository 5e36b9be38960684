/*
 * A burst of messages, handed over by one sendmmsg(): what the engines share that make one.
 */
#ifndef MESSAGES_H
#define MESSAGES_H

#include "super.h"

#define MESSAGES_MOST 1024	/* UIO_MAXIOV: a larger vlen is cut to it without a word */

/*
 * Messages of thread->buffer, one for each (super-)frame of a burst, as thread->state. Of each "skip"
 * bytes at its beginning are not sent; it is "length" bytes long in all. A negative skip: as many
 * bytes before it are.
 */
int messages_open(struct tx_thread *thread, int skip, unsigned int length,
		  struct core_error *error);
/* So many frames of the next burst, by sendmmsg(); or where they are one message by send(). */
int messages_submit(struct tx_thread *thread, unsigned int frames);
int messages_submit_any(struct tx_thread *thread, unsigned int frames);
void messages_close(struct tx_thread *thread);

#endif
