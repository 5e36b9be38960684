/*
 * tx_ring: frames in memory shared with the kernel (PACKET_TX_RING, TPACKET v1 to v3), one send()
 * per burst. packet_sendmsg -> tpacket_snd walks the ring from its own head while slots say
 * SEND_REQUEST, builds an skb whose pages are the slot's (no copy of the payload here; veth and
 * others copy later, skb_copy_ubufs), sets SENDING, dev_queue_xmit; the skb's destructor sets
 * AVAILABLE again. Without MSG_DONTWAIT the call returns only when every frame has come back.
 */
#include <stdlib.h>
#include <sys/socket.h>

#include "tx_ring.h"

static const struct option_info tx_ring_options[] = {
	[OPT_RING] = {
		.name = "ring",
		.help = "TPACKET version, block size and number, frame size",
		.type = OPTION_RING,
		.fallback.ring = { .version = 2, .block_size = 4096, .block_nr = 256,
				   .frame_size = 2048 },
		.after = "fill",
	},
	[OPT_WAIT] = {
		.name = "ring_wait",
		.help = "when no slot is free: block in send(), poll() or spin",
		.type = OPTION_CHOICE,
		.choices = { [WAIT_BLOCK] = "block", [WAIT_POLL] = "poll", [WAIT_SPIN] = "spin" },
		.after = "fill",
		.sending_only = true,
	},
	[OPT_LOSS] = {
		.name = "packet_loss",
		.help = "PACKET_LOSS: skip a malformed slot instead of stopping at it",
	},
	[OPT_LOCKED] = {
		.name = "mmap_locked",
		.help = "map the ring with MAP_LOCKED",
	},
	[OPT_VNET_HDR] = {
		.name = "vnet_hdr",
		.help = "PACKET_VNET_HDR: the kernel copies the frame instead of referring to its "
			"pages",
	},
	[OPT_SEGMENTS] = SEGMENTS_OPTION,
	[OPT_TYPE] = GSO_TYPE_OPTION,
};

static void tx_ring_shape(struct tx_config *config)
{
	if (config->options[OPT_SEGMENTS].number > 1)
		super_shape(config, config->options[OPT_SEGMENTS].number,
			    config->options[OPT_TYPE].number);
}

/* All are refused (EBUSY) once the ring exists. */
static int tx_ring_set(const struct tx_socket *socket, const struct tx_ring *tx,
		       struct core_error *error)
{
	const struct tx_config *config = socket->config;
	const int on = 1;
	int err;

	err = ring_version(&tx->ring, socket->fd, error);
	if (err)
		return err;
	if (config->options[OPT_LOSS].number &&
	    setsockopt(socket->fd, SOL_PACKET, PACKET_LOSS, &on, sizeof(on)) < 0)
		return error_set(error, errno, "setsockopt(PACKET_LOSS)");
	if (config->options[OPT_VNET_HDR].number &&
	    setsockopt(socket->fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) < 0)
		return error_set(error, errno, "setsockopt(PACKET_VNET_HDR)");
	return 0;
}

/*
 * Every slot gets a whole frame once, numbered by slot (those that are skipped left out); fill:
 * copy then writes over it. A shared ring has the first thread's address in all of them.
 *
 * With vnet_hdr a virtio_net_hdr stands before it. It asks for no offload but to cut super-frames;
 * its hdr_len says that the whole (super-)frame belongs into the skb's linear part (tpacket_fill_skb
 * copies that much), which spares devices that cannot keep foreign pages their own, dearer copy (veth:
 * skb_copy_ubufs). Of a super-frame nothing else would do: the slot is free as soon as it is cut, and
 * frames under way would still be in its pages.
 */
static void tx_ring_prefill(const struct tx_socket *socket, struct tx_ring *tx)
{
	const struct tx_config *config = socket->config;
	struct virtio_net_hdr header = { 0 };
	unsigned int i;

	if (config->segments > 1)
		header = super_vnet_header(config);
	header.hdr_len = (uint16_t)super_size(config);

	for (i = 0; i < tx->ring.slot_nr; i++) {
		unsigned char *frame = tx->ring.slots[i] + tx->data_offset;

		if (config->segments > 1) {
			super_build(frame, config, socket->index, (uint64_t)i * config->segments);
		} else if (skipped_slots(config)) {
			frame_build(frame, config, socket->index, i - malformed_before(config, i));
		} else if (i < config->flows) {
			frame_build(frame, config, socket->index, i);
		} else {
			memcpy(frame, tx->ring.slots[i - config->flows] + tx->data_offset,
			       config->frame_size);
			frame_number(frame, config, i);
		}
		if (config->options[OPT_VNET_HDR].number)
			memcpy(frame - sizeof(header), &header, sizeof(header));
	}
}

/* The frame lies tp_hdrlen - sizeof(struct sockaddr_ll) into its slot (tpacket_parse_header). */
static unsigned int frame_offset(const struct tx_config *config)
{
	return ring_header(config->options[OPT_RING].ring.version) + vnet_header(config);
}

/* Of frames that have room for their headers, which frame_check() looks at. */
static void tx_ring_check_supers(const struct tx_config *config, struct core_problems *problems)
{
	const unsigned int most = (UINT16_MAX - config->headers) / frame_payload(config);

	if (!vnet_header(config))
		problem_add(problems, "vnet_hdr",
			    "a ring with super-frames of %u segments and no header that says how to cut "
			    "them; vnet_hdr: true, or exclude the pair", config->segments);
	if (config->segments > most)
		problem_add(problems, "segments",
			    "%u segments of frames of %u bytes: the kernel copies 65,535 bytes of a "
			    "slot; at most %u, or exclude the pair",
			    config->segments, config->frame_size, most);
	if (config->flows > 1)
		problem_add(problems, "flows",
			    "%u flows in super-frames, which have one; 1, or exclude the pair",
			    config->flows);
	if (config->vlan_tag)
		problem_add(problems, "vlan",
			    "a VLAN tag in super-frames, whose headers have none; none, or exclude the "
			    "pair");
	if (config->malformed)
		problem_add(problems, "malformed",
			    "malformed slots among super-frames; 0%%, or exclude the pair");
}

static void tx_ring_check(const struct tx_config *config, unsigned int page_size,
			  struct core_problems *problems)
{
	const struct ring_geometry *ring = &config->options[OPT_RING].ring;
	const unsigned int offset = frame_offset(config), slot = ring->frame_size;
	const unsigned int room = slot > offset ? slot - offset : 0;
	/* else there is no payload to cut */
	const bool has_payload = config->segments <= 1 || config->frame_size > config->headers;
	struct ring_proposal write;
	unsigned long long slots, frames;

	ring_check(ring, page_size, has_payload ? offset + super_size(config) : 0, problems);
	if (!ring_header(ring->version) || !has_payload)
		return;
	if (config->segments > 1)
		tx_ring_check_supers(config, problems);
	else if (config->options[OPT_TYPE].number != GSO_UDP)
		problem_add(problems, "gso_type",
			    "gso_type: tcp of a ring with segments: 1, which cuts nothing; udp, or "
			    "exclude the pair");
	ring_proposal(ring, page_size, offset + super_size(config), &write);
	slots = ring_slot_count(&write.geometry);
	frames = slots * config->segments;
	if (super_size(config) > room)
		problem_add(problems, "frame_size",
			    "%sframe of %u bytes does not fit a ring slot of %u: v%u leaves %u bytes; "
			    "exclude the pair, or write %s in ring",
			    config->segments > 1 ? "super-" : "", super_size(config), slot,
			    ring->version, room, write.text);
	if (config->burst > frames)
		problem_add(problems, "burst",
			    "burst of %u frames in a ring of %llu slots; at most %llu",
			    config->burst, slots, frames);
	malformed_check(config, slots, problems);
	slots -= skipped_slots(config) < slots ? skipped_slots(config) : 0;
	if (config->flows > slots && config->prefilled)
		problem_add(problems, "flows",
			    "%u flows in a prefilled ring of %llu slots, each of which keeps its flow; "
			    "at most %llu, or fill: copy",
			    config->flows, slots, slots);
}

/* A thread's buffer has one super-frame, whose headers it copies into slots. */
static unsigned int buffered(const struct tx_config *config)
{
	return config->segments > 1 ? config->segments : 0;
}

static unsigned int ring_frames(const struct tx_config *config)
{
	return (unsigned int)ring_slot_count(&config->options[OPT_RING].ring) * config->segments;
}

/*
 * RLIMIT_MEMLOCK is held against each ring for itself: packet_mmap() inserts its pages one by one
 * (VM_MIXEDMAP), and such a mapping is not added to what the process has locked.
 */
static struct tx_memory tx_ring_memory(const struct tx_config *config)
{
	const uint64_t ring = ring_bytes(&config->options[OPT_RING].ring);

	return (struct tx_memory) {
		.bytes = frame_memory(config, buffered(config)) + config_sockets(config) * ring,
		.locked = config->options[OPT_LOCKED].number ? ring : 0,
		.ring_frames = ring_frames(config),
	};
}

/* A prefilled slot keeps its number, and of a shared ring all have the first thread's address. */
static struct tx_numbering tx_ring_numbering(const struct tx_config *config)
{
	if (!config->prefilled)
		return frame_numbering(config);
	return (struct tx_numbering) {
		.kind = NUMBERING_PER_SLOT,
		.period = ring_frames(config) - skipped_slots(config),
		.streams = config_sockets(config),
	};
}

/* A socket with its ring in kernel memory, not mapped yet. */
static int tx_ring_make(struct tx_socket *socket, struct tx_ring *tx, struct core_error *error)
{
	const struct tx_config *config = socket->config;
	int err;

	ring_init(&tx->ring, &config->options[OPT_RING].ring);
	tx->tp_len = super_size(config) + vnet_header(config);
	tx->burst = burst_supers(config);
	tx->data_offset = frame_offset(config);
	tx->to_refuse = malformed_at(config, 0);
	err = sock_open(socket, error);
	if (!err)
		err = tx_ring_set(socket, tx, error);
	if (!err)
		err = ring_allocate(&tx->ring, socket->fd, PACKET_TX_RING, error);
	return err;
}

static int tx_ring_socket_open(struct tx_socket *socket, struct core_error *error)
{
	const struct tx_config *config = socket->config;
	struct tx_ring *tx;
	int err;

	socket->state = tx = calloc(1, sizeof(*tx));
	if (!tx)
		return error_set(error, ENOMEM, "ring");
	pthread_mutex_init(&tx->lock, NULL);
	tx->shared = config->socket_shared && config->threads > 1;
	err = tx_ring_make(socket, tx, error);
	if (!err)
		err = ring_map(&tx->ring, socket->fd, config->options[OPT_LOCKED].number,
			       &socket->mmap_unlocked, error);
	if (!err)
		err = ring_slots(&tx->ring, error);
	if (!err)
		tx_ring_prefill(socket, tx);
	if (!err)
		err = sock_bind(socket, error);
	return err;
}

static void tx_ring_socket_close(struct tx_socket *socket)
{
	struct tx_ring *tx = socket->state;

	if (!tx)
		return;
	ring_close(&tx->ring);
	pthread_mutex_destroy(&tx->lock);
	free(tx);
}

static int tx_ring_open(struct tx_thread *thread, struct core_error *error)
{
	return frame_buffers(thread, buffered(thread->config), error);
}

static void tx_ring_facts(const struct tx_socket *first, struct tx_facts *facts)
{
	facts->mmap_unlocked = first->mmap_unlocked;
}

static int tx_ring_probe(struct core_error *error)
{
	struct tx_config config = {
		.threads = 1, .burst = 1, .frame_size = 64, .segments = 1,
		.options[OPT_RING].ring = {
			.version = 2, .block_size = (unsigned int)sysconf(_SC_PAGESIZE),
			.block_nr = 1, .frame_size = 128,
		},
	};
	struct tx_socket socket = { .config = &config, .fd = -1 };
	struct tx_ring tx = { 0 };
	const int err = tx_ring_make(&socket, &tx, error);

	if (socket.fd >= 0)
		close(socket.fd);
	return err;
}

const struct tx_method tx_ring_method = {
	.info = {
		.name = "tx_ring",
		.help = "PACKET_TX_RING: frames in shared memory, one send() per burst",
		.path = "tpacket_snd: skb around the slot's pages, dev_queue_xmit",
		.knobs = KNOB_INTERFACE | KNOB_FRAME_SIZE | KNOB_THREADS | KNOB_SOCKET |
			 KNOB_BURST | KNOB_FILL | KNOB_SNDBUF | KNOB_MSG_DONTWAIT |
			 KNOB_QDISC_BYPASS | KNOB_FLOWS | KNOB_VLAN | KNOB_PROTOCOL |
			 KNOB_MALFORMED,
		.options = tx_ring_options,
		.option_nr = ARRAY_SIZE(tx_ring_options),
	},
	.probe = tx_ring_probe,
	.shape = tx_ring_shape,
	.check = tx_ring_check,
	.memory = tx_ring_memory,
	.numbering = tx_ring_numbering,
	.socket_open = tx_ring_socket_open,
	.socket_close = tx_ring_socket_close,
	.open = tx_ring_open,
	.fill = tx_ring_fill,
	.submit = tx_ring_submit,
	.room = tx_ring_room,
	.reap = tx_ring_reap,
	.wait = tx_ring_wait,
	.left_behind = tx_ring_left_behind,
	.facts = tx_ring_facts,
};
