"""Prometheus' text format, for the textfile collector of node_exporter: no timestamps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bench.render.export.metrics import families, sample_text

if TYPE_CHECKING:
    from bench.render.export.measured import Measured


def make(measured: Measured) -> bytes:
    """Every metric with its help and its type."""
    return ("\n".join(_lines(measured)) + "\n").encode()


def _lines(measured: Measured) -> Iterator[str]:
    for family in families(measured):
        yield f"# HELP {family.name} {family.help}"
        yield f"# TYPE {family.name} gauge"  # this format knows no info
        for labels, value in family.samples:
            yield sample_text(family.name, labels, value)
