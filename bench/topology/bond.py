"""A bond over veth pairs: several links under the bonding driver, each with its own qdisc.

drivers/net/bonding/bond_main.c: ``bond_start_xmit`` chooses a slave for each frame, by the mode,
and hands it to that slave's qdisc (``bond_dev_queue_xmit``). The bond itself has none: the
matrix's qdisc goes on every slave, and PACKET_QDISC_BYPASS goes around one that is not there.

The slaves' peers are in a second namespace, where arrivals are counted peer by peer; for 802.3ad
they are the slaves of a bond of their own, so that LACP finds a partner. A frame that no slave
takes counts as tx_dropped of the bond, as do those that a slave's peer refuses (``bond_get_stats``
adds up the slaves' counters). A slave without a carrier is one whose peer is down: the bond sends
by the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, PlainValidator, model_validator

from bench.base.errors import BenchError
from bench.base.units import show
from bench.model.vocabulary import KindInfo
from bench.system import netns
from bench.topology import Delivery, Port, link, veth

if TYPE_CHECKING:
    from pyroute2 import IPRoute

MODES = {
    "balance-rr": 0,
    "active-backup": 1,
    "balance-xor": 2,
    "broadcast": 3,
    "802.3ad": 4,
    "balance-tlb": 5,
    "balance-alb": 6,
}
"""include/uapi/linux/if_bonding.h"""
HASH_POLICIES = {
    "layer2": 0,
    "layer3+4": 1,
    "layer2+3": 2,
    "encap2+3": 3,
    "encap3+4": 4,
    "vlan+srcmac": 5,
}
MOST_SLAVES = 32
READY_TIMEOUT_S = 20.0
"""The ports of an aggregator distribute after two seconds at the least (AD_AGGREGATE_WAIT_TIME)."""
RARELY_S = 0x7FFFFFFF // 10
"""Seconds between the learning packets of balance-tlb and balance-alb: the longest interval whose
ticks of 100 ms (BOND_ALB_LP_TICKS) fit an int."""
_LINK_UP, _LINK_DOWN = 0, 2
"""BOND_LINK_UP, BOND_LINK_DOWN: include/net/bonding.h"""
_ACTIVE = 0


_CARRIERS = ("up", "down")


def _carrier(value: object) -> str:
    """``up``, ``down``, or one of them for each slave: a list, or its canonical text (up,down)."""
    words = value if isinstance(value, list) else str(value).split(",")
    if not words or not all(word in _CARRIERS for word in words):
        raise ValueError(f"{show(value)} is not allowed; write up, down or a list ([up, down])")
    return ",".join(words)


_ONE_CARRIER = Literal["up", "down"]


class BondOptions(link.Options):
    """Options of a bond; the defaults are the driver's, except for two slaves."""

    mode: Literal[
        "balance-rr",
        "active-backup",
        "balance-xor",
        "broadcast",
        "802.3ad",
        "balance-tlb",
        "balance-alb",
    ] = "balance-rr"
    """How a slave is chosen for a frame."""
    slaves: Annotated[int, Field(strict=True, ge=1, le=MOST_SLAVES)] = 2
    """veth pairs below the bond."""
    xmit_hash_policy: Literal[
        "layer2", "layer3+4", "layer2+3", "encap2+3", "encap3+4", "vlan+srcmac"
    ] = "layer2"
    """The fields of a frame that choose its slave, in modes that hash."""
    miimon: Annotated[int, Field(strict=True, ge=1, le=60_000)] = 100
    """Milliseconds between two checks of the slaves' carriers."""
    carrier: Annotated[
        str,
        PlainValidator(
            _carrier,
            json_schema_input_type=_ONE_CARRIER
            | Annotated[list[_ONE_CARRIER], Field(min_length=1, max_length=MOST_SLAVES)],
        ),
    ] = "up"
    """Of all slaves, or a list with one for each: up or down."""

    @model_validator(mode="after")
    def _one_for_each_slave(self) -> Self:
        words = self.carrier.split(",")
        if len(words) not in (1, self.slaves):
            raise ValueError(
                f"carrier has {len(words)} values for {self.slaves} slaves; write one for each"
            )
        if len({*words}) == 1:  # another spelling of the same: cells of both have one id
            object.__setattr__(self, "carrier", words[0])
        return self

    def has_carrier(self, number: int) -> bool:
        words = self.carrier.split(",")
        return words[number if len(words) > 1 else 0] == "up"

    @property
    def with_carrier(self) -> tuple[int, ...]:
        """The numbers of the slaves by which frames can leave."""
        return tuple(filter(self.has_carrier, range(self.slaves)))


@contextmanager
def create(options: BondOptions, mtu: int) -> Iterator[link.Link]:
    with netns.private_netns() as near, netns.private_netns() as far:
        mtu = max(mtu, link.ETHERNET_MTU)
        if not options.with_carrier:
            raise BenchError("bond: no slave has a carrier, so that no frame can leave it")
        for number in range(options.slaves):
            veth.add_pair(near, far, _slave(number), _peer(number), mtu)
        peers = _peers(far, options, mtu)
        every = range(options.slaves)
        slaves = _bonded(near, options, mtu, veth.End(link.TX_NAME, link.TX_MAC), _slave, every)
        tx = link.set_up(near, link.TX_NAME)
        _wait_for_slaves(tx, slaves, options)
        link.wait_until_up(tx)
        yield link.Link(
            tx=tx,
            rx=tuple(peers[number] for number in options.with_carrier),
            sinks=peers,
            queues=slaves,
            src_mac=link.TX_MAC,
            dst_mac=link.RX_MAC,
            delivery=Delivery(
                copies=len(options.with_carrier) if options.mode == "broadcast" else 1
            ),
            # bond_do_alb_xmit() writes the chosen slave's own address into the frame.
            rewrites_source=options.mode in ("balance-tlb", "balance-alb"),
            may_reorder=options.slaves > 1,
        )


def _slave(number: int) -> veth.End:
    return veth.End(f"slave{number}", link.TX_MAC[:4] + bytes([1, number]))


def _peer(number: int) -> veth.End:
    return veth.End(f"peer{number}", link.TX_MAC[:4] + bytes([2, number]))


def _peers(far: int, options: BondOptions, mtu: int) -> tuple[Port, ...]:
    """The slaves' peers; those that give a carrier are up.

    For 802.3ad these are in a bond of their own, as LACP's partner.
    """
    if options.mode == "802.3ad":
        end = veth.End(link.RX_NAME, link.RX_MAC)
        _bonded(far, options, mtu, end, _peer, options.with_carrier)
        link.set_up(far, link.RX_NAME)
    else:
        for number in options.with_carrier:
            link.set_up(far, _peer(number).ifname)
    return tuple(link.port_of(far, _peer(number).ifname) for number in range(options.slaves))


def _bonded(
    netns_fd: int,
    options: BondOptions,
    mtu: int,
    end: veth.End,
    slave: Callable[[int], veth.End],
    numbers: Iterable[int],
) -> tuple[Port, ...]:
    """Make a bond, put the slaves of these numbers in, and return their ports.

    The driver sets each slave up as it takes it, and gives it the bond's MTU.
    """
    with link.rtnl(netns_fd) as ip:
        with link.refusals(f"bond, mode {options.mode}", link.needs_config("CONFIG_BONDING")):
            ip.link(
                "add",
                kind="bond",
                ifname=end.ifname,
                address=end.mac.hex(":"),
                mtu=mtu,
                bond_mode=MODES[options.mode],
                bond_miimon=options.miimon,
                bond_xmit_hash_policy=HASH_POLICIES[options.xmit_hash_policy],
                bond_lp_interval=RARELY_S,
            )
        bond = link.port_of(netns_fd, end.ifname)
        ports = [link.port_of(netns_fd, slave(number).ifname) for number in numbers]
        for port in ports:
            with link.refusals(f"bond, mode {options.mode}: cannot take slave {port.ifname}"):
                ip.link("set", index=port.ifindex, master=bond.ifindex)
    return tuple(ports)


def _wait_for_slaves(tx: Port, slaves: Sequence[Port], options: BondOptions) -> None:
    """Wait until miimon has seen every slave as it is, and for 802.3ad until all distribute.

    Raises BenchError after READY_TIMEOUT_S.
    """
    deadline, nap_s = time.monotonic() + READY_TIMEOUT_S, 0.005
    with link.rtnl(tx.netns_fd) as ip, link.refusals(f"interface {tx.ifname}"):
        while idle := [
            slave.ifname
            for number, slave in enumerate(slaves)
            if not _is_ready(ip, slave, options, options.has_carrier(number))
        ]:
            if time.monotonic() > deadline:
                raise BenchError(
                    f"bond, mode {options.mode}: {', '.join(idle)} not ready after "
                    f"{READY_TIMEOUT_S:g} s"
                )
            time.sleep(nap_s)
            nap_s = min(2 * nap_s, 0.08)


def _is_ready(ip: IPRoute, slave: Port, options: BondOptions, has_carrier: bool) -> bool:
    message = ip.link("get", index=slave.ifindex)[0]
    data = message.get_nested("IFLA_LINKINFO", "IFLA_INFO_SLAVE_DATA")
    if data is None:
        return False
    status = data.get_attr("IFLA_BOND_SLAVE_MII_STATUS")
    if not has_carrier:
        return bool(status == _LINK_DOWN)
    if status != _LINK_UP:
        return False
    # With LACP, only a port that distributes is active: bond_3ad.c, __enable_port().
    return options.mode != "802.3ad" or data.get_attr("IFLA_BOND_SLAVE_STATE") == _ACTIVE


def ways(options: BondOptions, flows: int) -> int:
    """Slaves that share the frames of so many flows, at the most."""
    if options.mode in ("active-backup", "broadcast"):
        return 1
    return options.slaves if options.mode == "balance-rr" else min(options.slaves, flows)


KIND = link.Kind(
    info=KindInfo(
        name="bond",
        help="a bond over veth pairs; the qdisc is that of each slave",
        options=BondOptions,
        refuses_xdp=lambda _options: "a bond over veth pairs takes none; name another interface",
    ),
    create=create,
    module=("bonding", "max_bonds=0"),
    ways=ways,
)
