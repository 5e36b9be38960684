"""A driver's facts about its device, and switches of it, by ethtool(8)'s first ioctls.

Every kernel answers them, for every driver that has an answer; they need one socket and no
privilege. (pyroute2's Ethtool names no driver, and fails on a link mode newer than itself.)
"""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct
from collections.abc import Collection
from typing import Any

SIOCETHTOOL = 0x8946
_GSET, _GDRVINFO, _GCOALESCE, _GRINGPARAM = 0x1, 0x3, 0xE, 0x10
_GSTRINGS, _GSSET_INFO, _GCHANNELS = 0x1B, 0x37, 0x3C
_GFEATURES, _SFEATURES = 0x3A, 0x3B
_SGRO = 0x2C
_SS_FEATURES = 4
_STRING = 32
"""ETH_GSTRING_LEN"""

_IFREQ = struct.Struct("@16sP16x")
_CMD = struct.Struct("=I")
_VALUE = struct.Struct("=II")
_DRVINFO = struct.Struct("=I32s32s32s32s32s12s5I")
_LINK = struct.Struct("=IIIHBBBBBBIIHBBI8x")
_RINGS = struct.Struct("=9I")
_CHANNELS = struct.Struct("=9I")
_COALESCE = struct.Struct("=23I")
_SSET_INFO = struct.Struct("=IIQI")
_COUNTED = struct.Struct("=II")
_SET_OF = struct.Struct("=III")
_FEATURES_A_BLOCK = 32
_FEATURE_BLOCK = struct.Struct("=IIII")
"""available, requested, active, never_changed"""
_SWITCHED_BLOCK = struct.Struct("=II")
"""struct ethtool_set_features_block: valid, requested"""

_UNKNOWN_SPEED = (0, 0xFFFF, 0xFFFFFFFF)
_DUPLEX = {0: "half", 1: "full"}


def read(ifname: str) -> dict[str, Any]:
    """Driver, link, rings, channels, coalescing and features of an interface.

    It is in the calling thread's namespace. Facts that a driver does not answer are left out.
    Speed in Mb/s; ``features`` are the names of the active ones, as in ``ethtool -k``.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        device = _Device(asking, ifname)
        facts = {
            **_driver(device),
            **_link(device),
            "rings": _named(device, _GRINGPARAM, _RINGS, {"rx": 5, "tx": 8, "tx_max": 4}),
            "channels": _named(device, _GCHANNELS, _CHANNELS, {"rx": 5, "tx": 6, "combined": 8}),
            "coalesce": _named(
                device, _GCOALESCE, _COALESCE, {"rx_usecs": 1, "tx_usecs": 5, "tx_frames": 6}
            ),
            "features": _features(device),
        }
    return {name: fact for name, fact in facts.items() if fact}


def switch_gro_on(ifname: str) -> None:
    """Generic receive offload, of an interface in the calling thread's namespace; or OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        _Device(asking, ifname).tell(_VALUE.pack(_SGRO, 1))


def switch_off(ifname: str, features: Collection[str]) -> None:
    """Features by their names, as in ``ethtool -K``, of an interface in the calling thread's
    namespace; one that it does not know is off. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        device = _Device(asking, ifname)
        names = _feature_names(device)
        bits = sum(1 << names.index(name) for name in features if name in names)
        blocks = -(-len(names) // _FEATURES_A_BLOCK)
        masks = (bits >> _FEATURES_A_BLOCK * block & 0xFFFFFFFF for block in range(blocks))
        wanted = b"".join(_SWITCHED_BLOCK.pack(mask, 0) for mask in masks)
        device.tell(_COUNTED.pack(_SFEATURES, blocks) + wanted)


class _Device:
    def __init__(self, asking: socket.socket, ifname: str) -> None:
        self._asking = asking
        self._ifname = ifname.encode()

    def ask(self, request: bytes) -> bytes:
        """The answer to a command, as long as its request; empty where there is none."""
        try:
            return self.tell(request)
        except OSError:
            return b""

    def tell(self, request: bytes) -> bytes:
        """The same. Raises OSError where there is none."""
        buffer = ctypes.create_string_buffer(request, len(request))
        ifreq = _IFREQ.pack(self._ifname, ctypes.addressof(buffer))
        fcntl.ioctl(self._asking, SIOCETHTOOL, ifreq)
        return buffer.raw


def _struct(device: _Device, command: int, form: struct.Struct) -> tuple[Any, ...] | None:
    answer = device.ask(_CMD.pack(command).ljust(form.size, b"\0"))
    return form.unpack(answer) if answer else None


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode(errors="replace").strip()


def _driver(device: _Device) -> dict[str, str]:
    if (answer := _struct(device, _GDRVINFO, _DRVINFO)) is None:
        return {}
    names = ("driver", "version", "firmware", "bus")
    return dict(zip(names, map(_text, answer[1:5]), strict=True))


def _link(device: _Device) -> dict[str, Any]:
    """struct ethtool_cmd: the upper half of the speed came later, and stands apart."""
    if (answer := _struct(device, _GSET, _LINK)) is None:
        return {}
    speed = answer[12] << 16 | answer[3]
    return {
        "speed_mbit": None if speed in _UNKNOWN_SPEED else speed,
        "duplex": _DUPLEX.get(answer[4]),
    }


def _named(
    device: _Device, command: int, form: struct.Struct, fields: dict[str, int]
) -> dict[str, int]:
    answer = _struct(device, command, form)
    return {} if answer is None else {name: answer[index] for name, index in fields.items()}


def _feature_names(device: _Device) -> list[str]:
    """In the order of their bits."""
    request = _SSET_INFO.pack(_GSSET_INFO, 0, 1 << _SS_FEATURES, 0)
    answer = device.ask(request)
    if not answer or not _SSET_INFO.unpack(answer)[2]:
        return []
    count = _SSET_INFO.unpack(answer)[3]
    strings = device.ask(_SET_OF.pack(_GSTRINGS, _SS_FEATURES, count) + bytes(count * _STRING))[
        _SET_OF.size :
    ]
    return [_text(strings[at : at + _STRING]) for at in range(0, len(strings), _STRING)]


def _features(device: _Device) -> tuple[str, ...]:
    names = _feature_names(device)
    blocks = -(-len(names) // _FEATURES_A_BLOCK)
    states = device.ask(_COUNTED.pack(_GFEATURES, blocks) + bytes(blocks * _FEATURE_BLOCK.size))[
        _COUNTED.size :
    ]
    if not states:
        return ()
    active = [block[2] for block in _FEATURE_BLOCK.iter_unpack(states)]
    blocks_of = (
        (active[i // _FEATURES_A_BLOCK] >> i % _FEATURES_A_BLOCK) for i in range(len(names))
    )
    return tuple(sorted(name for name, bits in zip(names, blocks_of, strict=True) if bits & 1))
