/*
 * The table of transmit methods, and which axes of bench a knob stands for. A new method is one
 * file in engines/ and one row.
 */
#include "core.h"

extern const struct tx_method null_method;
extern const struct tx_method syscall_method;
extern const struct tx_method sendto_method;
extern const struct tx_method send_method;
extern const struct tx_method sendmsg_method;
extern const struct tx_method sendmmsg_method;
extern const struct tx_method tx_ring_method;
extern const struct tx_method dgram_method;
extern const struct tx_method tc_clone_method;
extern const struct tx_method xdp_live_method;
extern const struct tx_method af_xdp_method;
extern const struct tx_method io_uring_method;
extern const struct tx_method udp_method;
extern const struct tx_method gso_method;
extern const struct tx_method pktgen_method;
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
	&dgram_method,
	&tc_clone_method,
	&xdp_live_method,
	&af_xdp_method,
	&io_uring_method,
	&udp_method,
	&gso_method,
	&pktgen_method,
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
	{ "interface", KNOB_INTERFACE },
	{ "qdisc", KNOB_INTERFACE },
	{ "frame_size", KNOB_FRAME_SIZE },
	{ "threads", KNOB_THREADS },
	{ "affinity", KNOB_THREADS },
	{ "socket", KNOB_SOCKET },
	{ "burst", KNOB_BURST },
	{ "fill", KNOB_FILL },
	{ "sndbuf", KNOB_SNDBUF },
	{ "msg_dontwait", KNOB_MSG_DONTWAIT },
	{ "qdisc_bypass", KNOB_QDISC_BYPASS },
	{ "flows", KNOB_FLOWS },
	{ "vlan", KNOB_VLAN },
	{ "protocol", KNOB_PROTOCOL },
	{ "malformed", KNOB_MALFORMED },
};

/* The user's own follow. */
static const struct tx_method *method_at(unsigned int index)
{
	return index < ARRAY_SIZE(methods) ? methods[index] :
					     own_method(index - (unsigned int)ARRAY_SIZE(methods));
}

const struct tx_method *method_find(const char *name)
{
	const struct tx_method *method;
	unsigned int i;

	for (i = 0; (method = method_at(i)); i++)
		if (name && !strcmp(method->info.name, name))
			return method;
	return NULL;
}

int core_method_count(void)
{
	int number = 0;

	while (method_at((unsigned int)number))
		number++;
	return number;
}

const struct method_info *core_method(int index)
{
	const struct tx_method *method = index >= 0 ? method_at((unsigned int)index) : NULL;

	return method ? &method->info : NULL;
}

const char *method_lacks(const struct tx_method *method)
{
	const bool sends = method->info.knobs & KNOB_INTERFACE;

	if (!method->fill)
		return "fill";
	if (!method->submit)
		return "submit";
	if (!method->reap)
		return "reap";
	if (sends && !method->numbering)
		return "numbering";
	if (sends && !method->socket_open && !method->open)
		return "socket_open or open";
	return method->stream && !method->look ? "look" : NULL;
}

/* A method without its required hooks is refused here, before anything is opened with it. */
int core_method_probe(int index, struct core_error *error)
{
	const struct tx_method *method;

	error->code = 0;
	if (!core_method(index))
		return error_set(error, EINVAL, "method number %d", index);
	method = method_at((unsigned int)index);
	if (method_lacks(method))
		return error_set(error, ENOSYS, "method %s lacks %s", method->info.name,
				 method_lacks(method));
	if (!method->probe)
		return 0;
	return own_has(method) ? own_probe(method, error) : method->probe(error);
}

static unsigned int method_longest(const struct tx_method *method, unsigned int page_size)
{
	return method->longest ? method->longest(page_size) : CORE_MAX_FRAME;
}

unsigned int core_method_longest(int index, unsigned int page_size)
{
	return core_method(index) ? method_longest(method_at((unsigned int)index), page_size) : 0;
}

static void longest_check(const struct tx_method *method, const struct tx_config *config,
			  unsigned int page_size, struct core_problems *problems)
{
	const unsigned int longest = method_longest(method, page_size);

	if (config->frame_size > longest)
		problem_add(problems, "frame_size",
			    "frame of %u bytes with method %s; at most %u, or exclude the pair",
			    config->frame_size, method->info.name, longest);
}

void core_check(const struct tx_config *config, unsigned int page_size,
		struct core_problems *problems)
{
	const struct tx_method *method = method_find(config->method);
	struct tx_config shaped = *config;

	problems->number = 0;
	if (!method)
		return;
	if (own_has(method) && !own_check(method, config, page_size, problems))
		return;
	frame_shape(method, &shaped);
	if (method->info.max_burst && config->burst > method->info.max_burst)
		problem_add(problems, "burst", "%u frames in one %s call; at most %u",
			    config->burst, method->info.name, method->info.max_burst);
	frame_check(&shaped, problems);
	longest_check(method, config, page_size, problems);
	if (method->check && !own_has(method))
		method->check(&shaped, page_size, problems);
}

void core_memory(const struct tx_config *config, struct tx_memory *memory)
{
	const struct tx_method *method = method_find(config->method);
	struct tx_config shaped = *config;

	*memory = (struct tx_memory) { 0 };
	if (!method || !method->memory)
		return;
	if (own_has(method)) {
		*memory = own_memory(method, config);
		return;
	}
	frame_shape(method, &shaped);
	*memory = method->memory(&shaped);
}

void core_numbering(const struct tx_config *config, struct tx_numbering *numbering)
{
	const struct tx_method *method = method_find(config->method);
	struct tx_config shaped = *config;

	*numbering = (struct tx_numbering) { 0 };
	if (!method || !method->numbering)
		return;
	if (own_has(method)) {
		*numbering = own_numbering(method, config);
		return;
	}
	frame_shape(method, &shaped);
	*numbering = method->numbering(&shaped);
	numbering->headers = shaped.headers;
	numbering->segments = shaped.segments;
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

const char *core_flags(void)
{
	return CORE_FLAGS;
}

const char *core_compiler(void)
{
#ifdef __clang__
	return "clang " __clang_version__ " " CORE_FLAGS;
#else
	return "gcc " __VERSION__ " " CORE_FLAGS;
#endif
}
