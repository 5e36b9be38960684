"""pydantic's errors about a value in our words: the error, and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Collection, Container, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

from bench.base.units import show

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


def choice(value: object, allowed: Sequence[str]) -> str:
    """The allowed names, and the one that may have been meant."""
    if not allowed:
        return "leave it out"
    if value is None and "null" in allowed:
        return f"write {_listed(allowed, 'or')} (the name null needs quotes)"
    return f"write {_listed(allowed, 'or')}{_meant(value, allowed)}"


def keys(key: object, known: Sequence[str], taken: Container[str]) -> str:
    """The keys of a mapping, and of those that are not ``taken`` the one that may have been
    meant."""
    if not known:
        return "leave it out"
    are = "the only one is" if len(known) == 1 else "there are"
    return f"{are} {_listed(known, 'and')}{_meant(key, [n for n in known if n not in taken])}"


ALIKE = 0.7
"""Of difflib: burts is meant as burst (0.8), malformed is not meant as mmap_locked (0.6)."""


ALSO_CALLED = {
    **dict.fromkeys(("packet_size", "packet_len", "packet_length", "pkt_size"), "frame_size"),
    **dict.fromkeys(("frame_len", "frame_length", "size", "length"), "frame_size"),
    **dict.fromkeys(("batch", "batch_size", "burst_size"), "burst"),
    **dict.fromkeys(("iface", "device", "dev", "nic"), "interface"),
    **dict.fromkeys(("mmap", "packet_mmap", "tpacket", "ring"), "tx_ring"),
    **dict.fromkeys(("xdp", "xsk"), "af_xdp"),
    "streams": "flows",
}
"""What others call it."""

OTHERS = frozenset(
    (
        *("ipvlan", "macvtap", "vxlan", "wlan"),
        *("codel", "fq_pie", "mqprio", "sfq", "taprio"),
        *("packet_drop", "sendzc", "send_zc"),
    )
)
"""Things of their own, however much like one of ours they are called."""


def _meant(value: object, names: Sequence[str]) -> str:
    near = nearest(value, names)
    return f" (did you mean {near}?)" if near else ""


def nearest(value: object, names: Collection[str]) -> str:
    """The name that may have been meant; "" if none.

    All names are in small letters. One with other digits is no slip: eth0 is not veth.
    """
    text = value.lower() if isinstance(value, str) else ""
    called = ALSO_CALLED.get(text.replace("-", "_"), "")
    if called in names:
        return called
    alike = [name for name in names if _digits(name) == _digits(text) and text not in OTHERS]
    return next(iter(get_close_matches(text, alike, n=1, cutoff=ALIKE)), "")


def _digits(text: str) -> list[str]:
    return [letter for letter in text if letter.isdigit()]


def _listed(names: Sequence[str], last_by: str) -> str:
    *most, last = names
    return f"{', '.join(most)} {last_by} {last}" if most else last


_WANTED = {
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "finite_number": "a number",
    "float_type": "a number",
    "int_type": "a whole number",
    "list_type": "a list",
    "model_type": "a mapping",
    "string_type": "text",
}


_BOUNDS = {
    "greater_than": "is too small; write more than {gt}",
    "greater_than_equal": "is too small; write {ge} or more",
    "less_than": "is too large; write less than {lt}",
    "less_than_equal": "is too large; write {le} or less",
    "string_pattern_mismatch": "is not allowed; write text that matches {pattern}",
    "string_too_long": "is too long; the most is {max_length} characters",
    "string_too_short": "is too short; the least is {min_length} characters",
    "too_long": "has too many values; the most is {max_length}",
    "too_short": "has too few values; the least is {min_length}",
}


def complaint(detail: ErrorDetails) -> str:
    """The error of a value, and what is allowed."""
    value, context = detail["input"], detail.get("ctx", {})
    match detail["type"]:
        case "value_error":
            return str(context["error"])
        case "literal_error":
            allowed = [name.strip("'") for name in re.split(", | or ", context["expected"])]
            return f"{show(value)} is unknown; {choice(value, allowed)}"
        case kind if kind in _WANTED:
            return f"{show(value)} is {_kind_of(value)}; write {_WANTED[kind]}"
        case kind if kind in _BOUNDS:
            return f"{show(value)} {_BOUNDS[kind].format(**context)}"
        case _:  # an error that only the options of some interface kind or qdisc make
            return f"{show(value)} is not allowed; `bench schema` has what is"


def _kind_of(value: object) -> str:
    match value:
        case None:
            return "no value"
        case bool():
            return "a boolean"
        case float():
            return "a number with a point"
        case int():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case _:
            return "a mapping"
