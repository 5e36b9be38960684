"""Runs whose every spread is known: of a shift of all cells, of an interface, of a single cell."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass

from bench.model.cells import Cell
from bench.model.results import Estimate
from bench.model.summaries import CellSummary, OpeningFigures, RunSummary
from tests.builders import a_cell, a_header


@dataclass(frozen=True)
class Spread:
    """Standard deviations of logarithms; those of a run, of an opening, and of pps besides.

    The defaults were measured: 30 runs of a nightly matrix on a shared virtual machine.
    """

    shift: float = 0.009
    interface: float = 0.002
    cell: float = 0.001
    opening_shift: float = 0.009
    opening_interface: float = 0.004
    opening_cell: float = 0.0059
    of_pps: float = 0.003


CALM = Spread()


def cells_of(interfaces: int = 2, each: int = 12) -> tuple[Cell, ...]:
    return tuple(
        a_cell(f"c{i}.{k}", interface={"kind": f"if{i}"})
        for i in range(interfaces)
        for k in range(each)
    )


def a_run_summary(
    generator: random.Random,
    cells: tuple[Cell, ...] | None = None,
    factors: Mapping[str, float] | None = None,
    spread: Spread = CALM,
    openings: int = 5,
    rounds: int = 24,
    all_by: float = 1.0,
    notes: Mapping[str, Mapping[str, int]] | None = None,
    calibration: tuple[Cell, ...] = (),
    **header: object,
) -> RunSummary:
    """Every cell costs 1000 ns a frame, but for noise, and ``factors`` of single cells."""
    cells = cells_of() if cells is None else cells

    def noise(sd: float) -> float:
        return generator.gauss(0, sd)

    places = {str(cell.values["interface"]): noise(spread.interface) for cell in cells}
    own = {cell.id: noise(spread.cell) for cell in cells}
    shift = noise(spread.shift) + math.log(all_by)
    found: dict[str, list[OpeningFigures]] = {cell.id: [] for cell in (*cells, *calibration)}
    for opening in range(openings):
        at = {place: noise(spread.opening_interface) for place in places}
        now = noise(spread.opening_shift)
        for cell in (*cells, *calibration):
            place = str(cell.values["interface"])
            moved = shift + now + places.get(place, 0.0) + at.get(place, 0.0)
            moved += own.get(cell.id, 0.0) + noise(spread.opening_cell)
            cost = 1000 * (factors or {}).get(cell.id, 1.0) * math.exp(moved)
            pps = 1e9 / cost * math.exp(noise(spread.of_pps))
            found[cell.id].append(OpeningFigures(opening, rounds, pps, cost, ratio=pps / 1e6))
    return RunSummary(
        path="r.jsonl",
        header=a_header(**header),
        cells=cells,
        calibration=calibration,
        summaries={
            cell: CellSummary(
                cell,
                tuple(of),
                ns_per_frame=Estimate(
                    sum(o.ns_per_frame for o in of) / len(of), None, None, rounds * openings
                ),
                notes=(notes or {}).get(cell, {}),
            )
            for cell, of in found.items()
            if of
        },
        failures={},
        end="done",
    )
