"""A real interface of the machine, borrowed: used as it is found, and given back that way.

It stays in the network namespace in which bench was started, and is never set up or down. Nobody
here sees its other end: its own tx counters say how much it has sent.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field

from bench.base import signals
from bench.base.errors import BenchError, NotAllowed, UsageError
from bench.model.header import DeviceFacts
from bench.model.vocabulary import DEVICE, KindInfo
from bench.system import netns, privileges
from bench.system.netlink import codec
from bench.system.privileges import Standing
from bench.topology import Delivery, Port, borrowed_qdisc, ethtool, journal, link
from bench.topology.link import Allowed

if TYPE_CHECKING:
    from pyroute2 import IPRoute

LATE_COUNTERS_S = 2.0
"""Some hardware hands its counters to the driver once a second."""
DELIVERY = Delivery(
    direction="tx",
    late_s=LATE_COUNTERS_S,
    others_send=True,
    may_pad=True,
    tolerates_foreign=True,
)
MTU_TIMEOUT_S = 15.0
"""Many drivers reset the device for a new MTU, and its link is negotiated again."""

_IFF_UP, _IFF_LOOPBACK, _IFF_LOWER_UP = 0x1, 0x8, 0x10000
_ARPHRD_ETHER = 1
_SCOPE_LINK = 253
_RTM_GETROUTE, _RTA_OIF, _RTN_UNICAST = 26, 4, 1
_RTMSG = struct.Struct("=8BI")
_IFNAMSIZ = 16


# The options


def _device_name(value: str) -> str:
    """net/core/dev.c, ``dev_valid_name``"""
    size = len(value.encode())
    if size >= _IFNAMSIZ:
        raise ValueError(f"{value} has {size} bytes; the name of an interface has at most 15")
    if not value or value in (".", "..") or re.search(r"[\s/:]", value):
        raise ValueError(f"{value!r} is no name of an interface; write one such as eth1")
    return value


def _mac(value: str) -> str:
    if not re.fullmatch("(?:[0-9a-f]{2}:){5}[0-9a-f]{2}", value.lower()):
        raise ValueError(f"{value!r} is no MAC address; write one such as {link.RX_MAC.hex(':')}")
    if int(value[:2], 16) & 1:
        raise ValueError(f"{value} is a group address, which floods; write that of one station")
    return value.lower()


class DeviceOptions(link.Options):
    """Which device, and which station it sends to."""

    name: Annotated[
        str,
        AfterValidator(_device_name),
        Field(examples=["eth1"], json_schema_extra={"maxLength": _IFNAMSIZ - 1}),
    ]
    """Its name, as ip link shows it; bench run needs --allow-device with the same name."""
    dst: Annotated[str, AfterValidator(_mac)] = Field(default=link.RX_MAC.hex(":"))
    """Destination MAC address of the frames."""


# Borrowing


@contextmanager
def borrow(options: DeviceOptions, mtu: int, qdisc: str | None, allowed: Allowed) -> Iterator[None]:
    """Lock a device, and give it back with the MTU and the qdisc that it had.

    ``mtu`` is the least MTU wanted, in bytes; ``qdisc`` is the kind that will be set (None: the
    device keeps its own). Raises NotAllowed if the user did not name it or another run has it,
    UsageError if nothing can be sent on it; nothing has been changed then.
    """
    check_allowed([options.name], allowed)
    with _home() as netns_fd:
        port = _find(netns_fd, options.name)
        with _own(port):
            entry = _examined(port, mtu, qdisc, allowed)
            if entry.mtu_set is None and entry.qdisc_set is None:
                yield
                return
            journal.write(port, entry)
            try:
                yield
            finally:
                with signals.held():
                    _restore(port)


@contextmanager
def _own(port: Port) -> Iterator[str]:
    """Lock the device and undo what a killed run left. Yields what was undone.

    Raises NotAllowed if another run has it.
    """
    with journal.locked(port):
        with signals.held():
            done = _restore(port)
        yield done


def check_allowed(names: Sequence[str], allowed: Allowed) -> None:
    """Raises NotAllowed, a line for each device that the command line does not name."""
    missing = [name for name in names if name not in allowed.devices]
    if missing:
        raise NotAllowed(
            "\n".join(
                f"device {name}: is a real interface, on which frames leave this machine; "
                f"allow it with --allow-device {name}"
                for name in missing
            )
        )


def restore_all() -> list[str]:
    """Give back the devices that killed runs had borrowed here. Returns a line for each.

    A device of a run that still goes on is left alone.
    """
    try:
        with _home() as netns_fd:
            return [line for port in journal.devices(netns_fd) if (line := _restored(port))]
    except BenchError:  # no right to come back into this namespace, hence none to change it
        return []


def _restored(port: Port) -> str:
    try:
        with _own(port) as done:
            return f"after a run that was killed: {done}" if done else ""
    except NotAllowed:
        return ""
    except BenchError as error:
        return str(error)


@contextmanager
def create(options: DeviceOptions, mtu: int) -> Iterator[link.Link]:
    """The device as a link; borrow it first."""
    with _home() as netns_fd:
        port = _find(netns_fd, options.name)
        with link.rtnl(netns_fd) as ip:
            is_larger = mtu > int(_link(ip, port).get("mtu"))
            if is_larger:
                with link.refusals(f"device {port.ifname} with MTU {mtu}"):
                    ip.link("set", index=port.ifindex, mtu=mtu)
        if is_larger:
            link.wait_until_up(port, MTU_TIMEOUT_S)
        yield link.Link(
            tx=port,
            rx=(),
            sinks=(port,),
            src_mac=link.TX_MAC,
            dst_mac=bytes.fromhex(options.dst.replace(":", "")),
            delivery=DELIVERY,
        )


# Finding and examining it


@contextmanager
def _home() -> Iterator[int]:
    """A descriptor of our own namespace."""
    netns_fd = netns.own_netns()
    try:
        yield netns_fd
    finally:
        os.close(netns_fd)


def _find(netns_fd: int, name: str) -> Port:
    try:
        with link.rtnl(netns_fd) as ip:
            return Port(netns_fd, int(ip.link("get", ifname=name)[0]["index"]), name)
    except link.pyroute().NetlinkError as error:
        if error.code != errno.ENODEV:
            raise BenchError(f"device {name}: {error.args[1]}") from error
        raise UsageError(f"device {name}: {_nowhere(name)}") from None
    except BenchError as error:
        raise UsageError(f"device {name}: a real interface needs root: {error}") from error


def _nowhere(name: str) -> str:
    there = ", ".join(other for _, other in socket.if_nameindex() if other != "lo") or "none"
    if privileges.standing() == Standing.USER_NAMESPACE:
        return f"not in this user namespace ({there}); the host's own devices need root"
    return f"does not exist in this network namespace; there are {there}"


def _link(ip: IPRoute, port: Port) -> Any:
    with link.refusals(f"device {port.ifname}"):
        return ip.link("get", index=port.ifindex)[0]


def _examined(port: Port, mtu: int, qdisc: str | None, allowed: Allowed) -> journal.Entry:
    """The changes that a run will make to a device. Raises UsageError if it may not be used."""
    with link.rtnl(port.netns_fd) as ip:
        found = _link(ip, port)
        if reason := _unfit(ip, found):
            raise UsageError(f"device {port.ifname}: {reason}")
        uses = _uses(port, ip, found)
    if uses and not allowed.in_use:
        raise NotAllowed(
            f"device {port.ifname}: is in use: {'; '.join(uses)}; take another one, or say "
            "--allow-device-in-use"
        )
    root = borrowed_qdisc.read(port)
    if qdisc is not None:
        queues = int(found.get("num_tx_queues") or 1)
        if reason := borrowed_qdisc.why_not_restorable(port, root, queues):
            raise UsageError(
                f"device {port.ifname}: its qdisc {root} could not be put back as it was: "
                f"{reason}; remove it, or name no qdisc in the matrix"
            )
    present = int(found.get("mtu"))
    return journal.Entry(
        name=port.ifname,
        mtu=present,
        qdisc=root,
        mtu_set=mtu if mtu > present else None,
        qdisc_set=qdisc,
    )


def _unfit(ip: IPRoute, found: Any) -> str:
    """Why nothing can or should be sent on a link; empty if it can."""
    flags, name = found["flags"], found.get("ifname")
    if flags & _IFF_LOOPBACK:
        return "is the loopback; name the interface kind lo"
    if found["ifi_type"] != _ARPHRD_ETHER:
        return f"is no Ethernet interface (its type is {found['ifi_type']})"
    if master := found.get("master"):
        info = found.get("linkinfo")
        kind = (info.get("slave_kind") if info else None) or "another interface"
        over = ip.link("get", index=master)[0].get("ifname")
        return f"is a port of {over} ({kind}); take it out: ip link set {name} nomaster"
    if not flags & _IFF_UP:
        return f"is down; bench sets no device up: ip link set {name} up"
    if not flags & _IFF_LOWER_UP:
        return "has no carrier; plug a cable in, or set its peer up"
    return ""


def _uses(port: Port, ip: IPRoute, found: Any) -> list[str]:
    """How others use a link: its addresses, default routes and the interfaces on top of it."""
    addresses = [
        f"address {each.get('local') or each.get('address')}/{each['prefixlen']}"
        for each in ip.get_addr(index=port.ifindex)
        if (each["family"], each["scope"]) != (socket.AF_INET6, _SCOPE_LINK)
    ]
    upper = [
        f"{other.get('ifname')} is on top of it"
        for other in ip.get_links()
        # IFLA_LINK names a veth's peer and a tunnel's device as well as a VLAN's device.
        if other.get("link") == port.ifindex
        and other.get("link_netnsid") is None
        and other["index"] != found.get("link")
    ]
    return [*addresses, *_default_routes(port), *upper]


def _default_routes(port: Port) -> list[str]:
    """In any table, also as one hop of several."""
    return [
        f"default route ({version})"
        for family, version in ((socket.AF_INET, "IPv4"), (socket.AF_INET6, "IPv6"))
        if any(length == 0 and kind == _RTN_UNICAST for length, kind in _routes(port, family))
    ]


def _routes(port: Port, family: int) -> Iterator[tuple[int, int]]:
    """Prefix length and type of each route by a port.

    The kernel filters them: a router's table has a million others. (pyroute2 would filter again,
    and drop routes with several hops.)
    """
    by_port = codec.attribute(_RTA_OIF, port.ifindex.to_bytes(4, sys.byteorder))
    body = _RTMSG.pack(family, 0, 0, 0, 0, 0, 0, 0, 0) + by_port
    with codec.opened(port.netns_fd, strict=True) as asking:
        for message in codec.ask(asking, _RTM_GETROUTE, codec.DUMP, body):
            _, length, _, _, _, _, _, kind, _ = _RTMSG.unpack_from(message)
            yield length, kind


# Giving it back


def _restore(port: Port) -> str:
    """Undo a device's changes by its journal, and remove that. Returns what was undone, or "".

    A value that is neither as found nor as the run set it was changed by somebody since: it is
    left alone. Raises BenchError, and keeps the journal, if something cannot be put back.
    """
    entry = journal.read(port)
    if entry is None:
        return ""
    port = Port(port.netns_fd, port.ifindex, entry.name)
    done: list[str] = []
    failed: list[str] = []
    for restore in (_restore_mtu, _restore_qdisc):
        try:
            done += restore(port, entry)
        except BenchError as error:
            failed.append(str(error))
    if failed and _is_there(port):
        found = f"MTU {entry.mtu}, qdisc {entry.qdisc}"
        raise BenchError(
            f"device {entry.name}: cannot be given back as it was found ({found}): "
            f"{'; '.join(failed)}; put that right, then remove {journal.path_of(port)}"
        )
    if failed:
        done = ["is gone"]
    journal.remove(port)
    return f"device {entry.name}: {', '.join(done)}" if done else ""


def _restore_mtu(port: Port, entry: journal.Entry) -> list[str]:
    with link.rtnl(port.netns_fd) as ip:
        present = int(_link(ip, port).get("mtu"))
        if entry.mtu_set is None or present == entry.mtu:
            return []
        if present != entry.mtu_set:
            return [f"MTU {present} left alone, which is not bench's"]
        with link.refusals(f"MTU {entry.mtu}"):
            ip.link("set", index=port.ifindex, mtu=entry.mtu)
    return [f"MTU put back to {entry.mtu}"]


def _restore_qdisc(port: Port, entry: journal.Entry) -> list[str]:
    if entry.qdisc_set is None:
        return []
    present = borrowed_qdisc.read(port)
    if present == entry.qdisc:
        return []
    if present.handle == entry.qdisc.handle == 0:
        return [f"qdisc {present}, which is the kernel's choice as {entry.qdisc} was"]
    if present.handle and present.kind != entry.qdisc_set:
        return [f"qdisc {present} left alone, which is not bench's"]
    borrowed_qdisc.put_back(port, entry.qdisc)
    return [f"qdisc put back to {entry.qdisc}"]


def _is_there(port: Port) -> bool:
    try:
        with link.rtnl(port.netns_fd) as ip:
            _link(ip, port)
    except BenchError:
        return False
    return True


# Describing it


def describe(names: Sequence[str]) -> dict[str, DeviceFacts]:
    """The facts that figures depend on, for each device that exists.

    MTU and qdisc are those that a run will find. Raises NotAllowed while another run has the
    device, because that one has set its own. Unknown facts are left out, and so are addresses:
    results are shown to others.
    """
    with _home() as netns_fd:
        found = {}
        for name in names:
            try:
                port = _find(netns_fd, name)
                with _own(port):
                    found[name] = _described(port)
            except NotAllowed:
                raise
            except BenchError:
                continue  # its cells say why they fail
        return found


def _described(port: Port) -> DeviceFacts:
    with link.rtnl(port.netns_fd) as ip:
        found = _link(ip, port)
        uses = _uses(port, ip, found)
    info = found.get("linkinfo")
    facts = {
        "state": found.get("operstate"),
        "kind": info.get("kind") if info else None,
        "mtu": found.get("mtu"),
        "txqueuelen": found.get("txqlen"),
        "tx_queues": found.get("num_tx_queues"),
        "qdisc": str(borrowed_qdisc.read(port)),
        **ethtool.read(port.ifname),
        "in_use": bool(uses),
    }
    return DeviceFacts(**{name: fact for name, fact in facts.items() if fact is not None})


KIND = link.Kind(
    info=KindInfo(
        name=DEVICE,
        help="a real interface, by its name; needs --allow-device",
        options=DeviceOptions,
        keeps_qdisc=True,
        is_borrowed=True,
    ),
    create=create,
    borrow=borrow,
)
