/*
 * sendmmsg: burst frames a call, each with a buffer of its own, on a bound socket (messages.c). The
 * kernel loops over packet_snd.
 */
#include "../messages.h"

static int sendmmsg_open(struct tx_thread *thread, struct core_error *error)
{
	const struct tx_config *config = thread->config;
	const int err = frame_buffers(thread, config->burst, error);

	return err ? err : messages_open(thread, 0, config->frame_size, error);
}

const struct tx_method sendmmsg_method = {
	.info = {
		.name = "sendmmsg",
		.help = "sendmmsg() of a burst of frames on a socket bound to the interface",
		.path = "packet_snd per frame, one system call per burst",
		.knobs = KNOB_INTERFACE | KNOB_FRAME_SIZE | KNOB_THREADS | KNOB_SOCKET |
			 KNOB_BURST | KNOB_FILL | KNOB_SNDBUF | KNOB_MSG_DONTWAIT |
			 KNOB_QDISC_BYPASS | KNOB_FLOWS | KNOB_VLAN | KNOB_PROTOCOL,
		.max_burst = MESSAGES_MOST,
	},
	.probe = sock_probe,
	.memory = frame_memory_burst,
	.numbering = frame_numbering_burst,
	.socket_open = sock_open_bound,
	.open = sendmmsg_open,
	.fill = burst_fill,
	.submit = messages_submit,
	.reap = sock_reap,
	.close = messages_close,
};
