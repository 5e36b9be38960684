"""OpenMetrics 1.0: as Prometheus' text format, with types of its own and an end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bench.render.export.metrics import families, sample_text

if TYPE_CHECKING:
    from bench.render.export.measured import Measured


def make(measured: Measured) -> bytes:
    """Every metric with its type and its help."""
    return ("\n".join(_lines(measured)) + "\n").encode()


def _lines(measured: Measured) -> Iterator[str]:
    for family in families(measured):
        name = family.name.removesuffix("_info") if family.kind == "info" else family.name
        yield f"# TYPE {name} {family.kind}"
        yield f"# HELP {name} {family.help}"
        for labels, value in family.samples:
            yield sample_text(family.name, labels, value)
    yield "# EOF"
