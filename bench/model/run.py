"""A stored run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.model.cells import Cell
from bench.model.header import RunHeader
from bench.model.samples import Sample


@dataclass(frozen=True)
class Run:
    """A stored run: its header, and what was measured so far.

    ``failures`` maps a cell to why it has no figures (or no more of them); ``facts`` to what was
    really set up. ``calibration`` are cells that measure the machine itself. ``end`` is "" for a
    run that never said it ended (killed, or still running).
    """

    path: str
    header: RunHeader
    cells: tuple[Cell, ...]
    facts: Mapping[str, Mapping[str, Any]]
    failures: Mapping[str, str]
    samples: tuple[Sample, ...]
    end: str
    warnings: tuple[str, ...] = ()
    calibration: tuple[Cell, ...] = ()
    calibration_samples: tuple[Sample, ...] = ()

    @property
    def baselines(self) -> Mapping[str, str]:
        """Each cell's baseline."""
        return self.header.baselines
