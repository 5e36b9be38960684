"""``bench methods``: transmit methods and knobs, and which this kernel offers."""

from __future__ import annotations

import argparse

from bench.base.exit_codes import ExitCode

HELP = "list transmit methods and their knobs, and which this kernel offers"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No arguments."""


def execute(_args: argparse.Namespace) -> int:
    from tabulate import tabulate

    from bench.engines import core
    from bench.model.axes import AXES
    from bench.system import privileges

    methods = core.methods()
    privileges.gain()
    rows = [
        (name, "no: " + reason if (reason := core.probe(name)) else "yes", method.path)
        for name, method in methods.items()
    ]
    print(tabulate(rows, headers=("method", "offered here", "path through the kernel")))
    if privileges.standing() == privileges.Standing.NONE:
        print(f"\npacket sockets: {privileges.remedy('CAP_NET_RAW')}")
    print()
    read = [[axis.name in method.knobs for method in methods.values()] for axis in AXES.values()]
    marks = [
        (axis.name, *("x" if reads else "" for reads in by_method), axis.help)
        for axis, by_method in zip(AXES.values(), read, strict=True)
        if any(by_method)
    ]
    print(tabulate(marks, headers=("knob", *methods, "meaning")))
    print()
    for name, method in methods.items():
        limit = f" (at most {method.max_burst} frames a call)" if method.max_burst else ""
        print(f"{name}: {method.help}{limit}")
    return ExitCode.FINE
