"""The devices that runs borrow: who has one, and how it was found.

A lock says who has it: an abstract Unix socket in the device's network namespace, gone with its
process, however that ends. A file says how the device was found; it is on the disk before
anything is changed. A run that finds the file but no lock puts the device back.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from bench.base.errors import BenchError, NotAllowed
from bench.base.units import show
from bench.system import host
from bench.system.netns import entered
from bench.topology import Port
from bench.topology.borrowed_qdisc import U32, RootQdisc

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

FOLDER = Path("/run")
"""The same in every environment, and emptied by the next boot, which undoes the changes too."""
_VARIABLE = "BENCH_STATE"
_PREFIX, _UNFINISHED = "bench-", ".new"

_SO_NETNS_COOKIE = 71
"""include/uapi/asm-generic/socket.h, since Linux 5.14: no cookie is reused before the next boot."""
_COOKIE = struct.Struct("=Q")
_UCRED = struct.Struct("=iII")


@dataclass(frozen=True, slots=True)
class Entry:
    """A device as it was found, and a run's changes.

    ``mtu_set`` is the MTU in bytes and ``qdisc_set`` the kind of root qdisc that the run set;
    None where the device kept its own.
    """

    name: str
    mtu: U32
    qdisc: RootQdisc
    mtu_set: U32 | None
    qdisc_set: str | None


# The lock


@contextmanager
def locked(port: Port) -> Iterator[None]:
    """Be the only user of a device. Raises NotAllowed if another run has it."""
    address = f"\0bench-device-{port.ifindex}"
    with _socket_in(port) as lock:
        try:
            lock.bind(address)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise BenchError(f"device {port.ifname}: no lock: {error.strerror}") from error
            raise NotAllowed(
                f"device {port.ifname}: another run{_holder(port, address)} uses it; "
                "wait for its end"
            ) from None
        lock.listen(socket.SOMAXCONN)  # a connection tells whose it is; none is ever accepted
        yield


def _socket_in(port: Port) -> socket.socket:
    with entered(port.netns_fd):
        return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)


def _holder(port: Port, address: str) -> str:
    with _socket_in(port) as asking, suppress(OSError):
        asking.setblocking(False)
        asking.connect(address)
        answer = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        return f" (process {_UCRED.unpack(answer)[0]})"
    return ""


# The files


def write(port: Port, entry: Entry) -> None:
    """Put an entry on the disk. Raises BenchError if that fails."""
    path = path_of(port)
    temporary = path.with_suffix(_UNFINISHED)
    record = {"boot": host.boot_id(), "pid": os.getpid(), **asdict(entry)}
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(record, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync(path.parent)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise BenchError(
            f"device {entry.name}: cannot note in {path.parent} how it was found: "
            f"{error.strerror}; name another folder with {_VARIABLE}"
        ) from error


def read(port: Port) -> Entry | None:
    """A device's entry, None if this user wrote none since boot. Raises BenchError."""
    path = path_of(port)
    try:
        if path.stat().st_uid != os.geteuid():
            return None
        text = path.read_text(encoding="utf-8")
        if json.loads(text)["boot"] != host.boot_id():
            return None
        return TypeAdapter(Entry).validate_json(text, strict=True)
    except FileNotFoundError:
        return None
    except ValidationError as error:
        reason = _oddity(error.errors()[0])
    except OSError as error:
        reason = str(error.strerror)
    except (ValueError, LookupError, TypeError):
        reason = "no JSON object with the id of a boot"
    raise BenchError(f"{path}: not what bench wrote ({reason}); remove it")


def _oddity(detail: ErrorDetails) -> str:
    field = ".".join(map(str, detail["loc"]))
    return f"{field} is {'missing' if detail['type'] == 'missing' else show(detail['input'])}"


def remove(port: Port) -> None:
    path = path_of(port)
    path.unlink(missing_ok=True)
    path.with_suffix(_UNFINISHED).unlink(missing_ok=True)  # of a run that was killed right then


def devices(netns_fd: int) -> list[Port]:
    """The devices of a namespace that have a file; their names are not known."""
    known = []
    with suppress(OSError):
        prefix = f"{_PREFIX}{_netns_id(netns_fd)}-"
        for path in sorted(_folder().iterdir()):
            ifindex = path.stem.removeprefix(prefix)
            if path.suffix == ".json" and ifindex.isdecimal():
                known.append(Port(netns_fd, int(ifindex), ""))
    return known


def path_of(port: Port) -> Path:
    """The path of a device's file, which need not exist."""
    return _folder() / f"{_PREFIX}{_netns_id(port.netns_fd)}-{port.ifindex}.json"


def _folder() -> Path:
    return Path(os.environ.get(_VARIABLE) or FOLDER)


def _netns_id(netns_fd: int) -> int:
    """A number that no other network namespace has until the next boot.

    Before Linux 5.14 it is the inode, which the kernel may reuse.
    """
    with entered(netns_fd):
        probe = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    with probe:
        try:
            cookie = probe.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, _COOKIE.size)
        except OSError:
            return os.stat(netns_fd).st_ino
        return int(_COOKIE.unpack(cookie)[0])


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
