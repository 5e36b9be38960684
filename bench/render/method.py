"""One method whole, as a document: its way through the kernel, and every axis that it reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bench.base.units import part_text
from bench.base.values import yaml_text
from bench.model import axes
from bench.model.axes import Axis, Type
from bench.model.programs import EXEC, PLACEHOLDERS
from bench.model.vocabulary import Limits, MethodInfo
from bench.render.document import Document, Fact, Item, Listing, Records


def document_of(
    method: MethodInfo,
    lacking: str,
    known: Mapping[str, Axis],
    kinds: Mapping[str, Sequence[str]],
    limits: Limits,
) -> Document:
    """``lacking`` says why this kernel does not offer the method, or ""; ``known`` are the axes of
    all methods, and ``kinds`` the names in each table of kinds."""
    read = [axis for axis in known.values() if axis.name in method.knobs]
    own = {option.name for option in method.options}
    allowed = [allowed_text(_type(axis, method), kinds, limits) for axis in read]
    return Document(
        records=Records(
            name="options",
            fields={name: (name,) for name in ("option", "of", "allowed", "default", "help")},
            rows=tuple(
                {
                    "option": axis.name,
                    "of": "method" if axis.name in own else "matrix",
                    "allowed": text,
                    "default": axis.default,
                    "help": axis.help,
                }
                for axis, text in zip(read, allowed, strict=True)
            ),
        ),
        name=method.name,
        description=method.help,
        facts=_facts(method, lacking),
        blocks=(
            *_options("options of this method alone", read, allowed, own),
            *_options("axes that other methods read, too", read, allowed, {*method.knobs} - own),
            *([_PLACEHOLDERS] if method.name == EXEC else []),
        ),
        notes=tuple(filter(None, [_ignored(method, known)])),
    )


_PLACEHOLDERS = Listing(
    "placeholders in its command (the environment has them as BENCH_NAME, but frame and pcap)",
    tuple(Item((f"{{{name}}}",), help_) for name, help_ in PLACEHOLDERS.items()),
)


def _facts(method: MethodInfo, lacking: str) -> tuple[Fact, ...]:
    most = method.max_burst
    return (
        Fact("path through the kernel", method.path, "path", method.path),
        Fact("offered here", f"no: {lacking}" if lacking else "yes", "offered", not lacking),
        Fact("", "", "reason", lacking or None),
        Fact(
            "frames in a system call",
            f"at most {most}" if most else "",
            "max_burst",
            most or None,
        ),
    )


def _options(
    heading: str, read: Sequence[Axis], allowed: Sequence[str], names: set[str]
) -> tuple[Listing, ...]:
    items = tuple(
        Item((axis.name,), axis.help, (("allowed", text), ("default", yaml_text(axis.default))))
        for axis, text in zip(read, allowed, strict=True)
        if axis.name in names
    )
    return (Listing(heading, items),) if items else ()


def _type(axis: Axis, method: MethodInfo) -> Type:
    """What the axis takes with this method: fewer frames in a system call, or shorter ones."""
    if axis.name == "burst" and method.max_burst and isinstance(axis.type, axes.Whole):
        return replace(axis.type, high=method.max_burst)
    if axis.name == "frame_size" and method.longest and isinstance(axis.type, axes.Size):
        return replace(axis.type, high=method.longest)
    return axis.type


def allowed_text(type_: Type, kinds: Mapping[str, Sequence[str]], limits: Limits) -> str:
    """The values that an axis takes, as a matrix writes them."""
    match type_:
        case axes.Whole(low, high):
            return f"{limits.of(low)} to {limits.of(high)}"
        case axes.OfCpus(low, high):
            return f"{limits.of(low)} to {limits.of(high)}, 1% to 100% of the CPUs, all"
        case axes.Size(low, high):
            return f"{limits.of(low)} to {limits.of(high)} bytes"
        case axes.Choice(names):
            return ", ".join(names)
        case axes.Flag():
            return "true, false"
        case axes.Kind(table):
            return ", ".join(kinds[table])
        case axes.Ring():
            return "version, frame_size; slots, or block_size and block_nr"
        case axes.SendBuffer():
            return "default, or bytes and force"
        case axes.VlanTag():
            return "none, an id, or id and priority"
        case axes.Part(most_parts):
            return f"0% to {part_text(most_parts)}"
    return "a method"


def _ignored(method: MethodInfo, known: Mapping[str, Axis]) -> str:
    """Axes that make no cells of their own with this method."""
    others = [axis.name for axis in known.values() if axis.name not in method.knobs]
    unread = [name for name in others if name not in ("method", "replica")]
    return f"not read, so values of it make no further cells: {', '.join(unread)}" if unread else ""
