"""A stored run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.model.cells import Cell
from bench.model.samples import Sample


@dataclass(frozen=True)
class Run:
    """A stored run: its header as written, and what was measured so far.

    ``failures`` maps a cell to why it has no figures (or no more of them); ``facts`` to what was
    really set up. ``calibration`` are cells that measure the machine itself. ``end`` is "" for a
    run that never said it ended (killed, or still running).
    """

    path: str
    header: Mapping[str, Any]
    cells: tuple[Cell, ...]
    baselines: Mapping[str, str]
    facts: Mapping[str, Mapping[str, Any]]
    failures: Mapping[str, str]
    samples: tuple[Sample, ...]
    end: str
    warnings: tuple[str, ...] = ()
    calibration: tuple[Cell, ...] = ()
    calibration_samples: tuple[Sample, ...] = ()


@dataclasses.dataclass(frozen=True)
class Rates:
    """A run without its counters: per cell, in round order, the figures of its valid samples."""

    path: str
    header: Mapping[str, Any]
    cells: tuple[Cell, ...]
    calibration: tuple[Cell, ...]
    pps: Mapping[str, list[float]]
    ns_per_frame: Mapping[str, list[float]]
    warnings: tuple[str, ...]

    @property
    def identity(self) -> tuple[object, ...]:
        """What only copies of one run have in common, wherever they are and however far it got.

        Runs of older versions have no id: they are told apart by when and where they began.
        """
        if id_ := self.header.get("id"):
            return (id_,)
        matrix, host, measure = (self.header.get(key, {}) for key in ("matrix", "host", "measure"))
        at = self.header.get("started"), host.get("hostname"), measure.get("seed")
        return (*map(str, at), matrix["name"])
