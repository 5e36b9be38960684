"""``bench methods``: transmit methods and knobs, and which this kernel offers; or one, whole."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bench.base.errors import UsageError
from bench.base.exit_codes import ExitCode
from bench.cli import options
from bench.render.document import Document, Item, Listing, Records, Table, text_column

if TYPE_CHECKING:
    from bench.model.axes import Axis
    from bench.model.vocabulary import MethodInfo

HELP = "list transmit methods and their knobs, and which this kernel offers"
EXAMPLES = (
    "bench methods",
    "bench methods tx_ring",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "method", metavar="NAME", nargs="?", help="this one alone, with all that may be set of it"
    )
    options.add_engine(parser)
    options.add_format(parser)


def execute(args: argparse.Namespace) -> int:
    from bench.engines import table
    from bench.system import privileges

    options.load_engines(args)
    options.check_output(args)
    methods = table.methods()
    named = None if args.method is None else _named(args.method, methods)
    privileges.gain()
    if named is not None:
        options.write(_whole(named, methods), args)
        return ExitCode.FINE
    lacking = {name: table.probe(name) for name in methods}
    hint = ""
    if privileges.standing() == privileges.Standing.NONE:
        hint = f"packet sockets: {privileges.remedy('CAP_NET_RAW')}"
    options.write(document_of(methods, lacking, hint), args)
    return ExitCode.FINE


def _named(name: str, methods: Mapping[str, MethodInfo]) -> MethodInfo:
    from bench.matrix.complaints import nearest

    if name not in methods:
        near = nearest(name, methods)
        hint = f", did you mean {near}?" if near else ""
        raise UsageError(f"methods {name}: unknown method{hint}; one of {', '.join(methods)}")
    return methods[name]


def _whole(named: MethodInfo, methods: Mapping[str, MethodInfo]) -> Document:
    from bench.engines import core, table
    from bench.model.vocabulary import axes_of
    from bench.render import method
    from bench.topology.kinds import INTERFACES, QDISC_KINDS

    kinds = {"interfaces": [*INTERFACES], "qdiscs": [*QDISC_KINDS]}
    lacking = table.probe(named.name)
    return method.document_of(named, lacking, axes_of(methods), kinds, core.limits())


def document_of(
    methods: Mapping[str, MethodInfo], lacking: Mapping[str, str], hint: str = ""
) -> Document:
    """``lacking`` says of each method why this kernel does not offer it, or ""."""
    from bench.model.vocabulary import axes_of

    read = {name for method in methods.values() for name in method.knobs}
    knobs = [axis for name, axis in axes_of(methods).items() if name in read]
    fields = ("method", "offered", "reason", "path", "help", "max_burst", "knobs")
    rows = [
        {
            "method": name,
            "offered": not lacking[name],
            "reason": lacking[name] or None,
            "path": method.path,
            "help": method.help,
            "max_burst": method.max_burst or None,
            "knobs": [knob.name for knob in knobs if knob.name in method.knobs],
        }
        for name, method in methods.items()
    ]
    return Document(
        records=Records("methods", {name: (name,) for name in fields}, tuple(rows)),
        blocks=(_offered(methods, lacking), _helps(methods), _knobs(methods, knobs)),
        notes=(hint,) if hint else (),
        data={"knobs": {knob.name: knob.help for knob in knobs}},
    )


def _offered(methods: Mapping[str, MethodInfo], lacking: Mapping[str, str]) -> Table:
    return Table(
        (
            text_column("method", methods),
            text_column(
                "offered here", (f"no: {r}" if (r := lacking[m]) else "yes" for m in methods)
            ),
            text_column("path through the kernel", (m.path for m in methods.values())),
        )
    )


def _knobs(methods: Mapping[str, MethodInfo], knobs: Sequence[Axis]) -> Listing:
    """A table with a column for each method would be wider than any terminal."""
    return Listing(
        "knobs: the axes that a method reads",
        tuple(
            Item((knob.name,), knob.help, (("read by", _readers(knob.name, methods)),))
            for knob in knobs
        ),
    )


def _readers(knob: str, methods: Mapping[str, MethodInfo]) -> str:
    """Who reads it; or who does not, if that is shorter to say."""
    readers = [name for name, method in methods.items() if knob in method.knobs]
    others = [name for name in methods if name not in readers]
    if not others:
        return "every method"
    if len(others) < len(readers):
        return f"every method but {', '.join(others)}"
    return ", ".join(readers)


def _helps(methods: Mapping[str, MethodInfo]) -> Listing:
    items = tuple(Item((name,), _help(method)) for name, method in methods.items())
    return Listing("methods", items)


def _help(method: MethodInfo) -> str:
    limit = f" (at most {method.max_burst} frames a call)" if method.max_burst else ""
    return method.help + limit
