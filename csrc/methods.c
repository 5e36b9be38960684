/*
 * The table of transmit methods and the table of knobs. A new method is one file in engines/ and
 * one row.
 */
#include "core.h"

extern const struct tx_method null_method;
extern const struct tx_method syscall_method;
extern const struct tx_method sendto_method;
extern const struct tx_method send_method;
extern const struct tx_method sendmsg_method;
extern const struct tx_method sendmmsg_method;
extern const struct tx_method tx_ring_method;
#ifdef CORE_TEST_METHODS
extern const struct tx_method test_slow_method;
extern const struct tx_method test_crash_method;
extern const struct tx_method test_zeros_method;
extern const struct tx_method test_liar_method;
extern const struct tx_method test_fail_method;
extern const struct tx_method test_same_method;
#endif

static const struct tx_method *const methods[] = {
	&null_method,
	&syscall_method,
	&sendto_method,
	&send_method,
	&sendmsg_method,
	&sendmmsg_method,
	&tx_ring_method,
#ifdef CORE_TEST_METHODS
	&test_slow_method,
	&test_crash_method,
	&test_zeros_method,
	&test_liar_method,
	&test_fail_method,
	&test_same_method,
#endif
};

static const struct knob_info knobs[] = {
	{ "interface", "what the frames go out by, in a network namespace of its own",
	  KNOB_INTERFACE },
	{ "qdisc", "the interface's root queueing discipline", KNOB_INTERFACE },
	{ "frame_size", "bytes from destination MAC to end of payload, without FCS",
	  KNOB_FRAME_SIZE },
	{ "threads", "sending threads, each with a CPU of its own", KNOB_THREADS },
	{ "affinity", "pinned: thread i to CPU i of cpus; free: the scheduler's choice among them",
	  KNOB_THREADS },
	{ "socket", "own: a socket (and ring) per thread; shared: all threads on one", KNOB_SOCKET },
	{ "burst", "frames handed over by one system call", KNOB_BURST },
	{ "fill", "copy: each frame before each send; prefilled: once at the start", KNOB_FILL },
	{ "ring", "TPACKET version, block size and number, frame size", KNOB_RING },
	{ "ring_wait", "when no slot is free: block in send(), poll() or spin", KNOB_RING_WAIT },
	{ "sndbuf", "SO_SNDBUF, or SO_SNDBUFFORCE with force", KNOB_SNDBUF },
	{ "msg_dontwait", "MSG_DONTWAIT on every send", KNOB_MSG_DONTWAIT },
	{ "qdisc_bypass", "PACKET_QDISC_BYPASS: straight to the driver", KNOB_QDISC_BYPASS },
	{ "packet_loss", "PACKET_LOSS: skip a malformed slot instead of stopping at it",
	  KNOB_PACKET_LOSS },
	{ "mmap_locked", "map the ring with MAP_LOCKED", KNOB_MMAP_LOCKED },
	{ "vnet_hdr", "PACKET_VNET_HDR: the kernel copies the frame instead of referring to its pages",
	  KNOB_VNET_HDR },
	{ "flows", "UDP flows with addresses and ports of their own; 1: one flow of no protocol",
	  KNOB_FLOWS },
};

const struct tx_method *method_find(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(methods); i++)
		if (name && !strcmp(methods[i]->info.name, name))
			return methods[i];
	return NULL;
}

int core_method_count(void)
{
	return ARRAY_SIZE(methods);
}

const struct method_info *core_method(int index)
{
	return index >= 0 && index < core_method_count() ? &methods[index]->info : NULL;
}

/* A method without its required hooks is refused here, before anything is opened with it. */
int core_method_probe(int index, struct core_error *error)
{
	const struct tx_method *method;

	error->code = 0;
	if (!core_method(index))
		return error_set(error, EINVAL, "method number %d", index);
	method = methods[index];
	if (!method->burst || !method->drain ||
	    ((method->info.knobs & KNOB_INTERFACE) && !method->socket_open))
		return error_set(error, ENOSYS, "method %s lacks a required hook",
				 method->info.name);
	return method->probe ? method->probe(error) : 0;
}

int core_knob_count(void)
{
	return ARRAY_SIZE(knobs);
}

const struct knob_info *core_knob(int index)
{
	return index >= 0 && index < core_knob_count() ? &knobs[index] : NULL;
}

const char *core_hash(void)
{
	return CORE_HASH;
}

const char *core_compiler(void)
{
#ifdef __clang__
	return "clang " __clang_version__ " " CORE_FLAGS;
#else
	return "gcc " __VERSION__ " " CORE_FLAGS;
#endif
}
