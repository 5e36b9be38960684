"""Tonight's run against the nights before it, series by series: the cells and the shifts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from bench.analysis.calibrated import explained
from bench.analysis.environments import continues, kernel_of, same_kernel
from bench.analysis.levels import MIN_NIGHTS
from bench.analysis.nightly import Decision, Finding, Nights, decide
from bench.analysis.noise import Floats, Integers
from bench.analysis.panel import Array, Figure
from bench.analysis.series import EVERYTHING, taken_apart
from bench.analysis.verdicts import FIGURES, MIN_EFFECT, interface_of
from bench.base.values import brief_text, distinct
from bench.campaign.acknowledgements import Acknowledgement, level_of
from bench.campaign.leveled import levels_of
from bench.campaign.nights import Night
from bench.campaign.told import Change, Key, Told, path_for
from bench.model.cells import Cell
from bench.model.header import RunHeader
from bench.model.leveled import LeveledRun

MOST_NIGHTS = 90
"""Nights of the history that are read into a level, the last ones."""

QUARTER = 90
"""Nights over which the chance of a false alarm is spent."""

ALL = "all"
"""The name of the shift of all cells."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What tonight says of a series: a cell, or, where ``cell`` is None, the shift of an interface
    or of all cells. ``level`` and ``since`` as in told.Change; None is the beginning.

    ``explained`` is the part of tonight's shift (a fraction) that the calibration explains: it was
    taken off. ``doubts`` say why a second measurement in the session is no evidence: codes of
    notes, or "failed".
    """

    series: str
    cell: Cell | None
    figure: Figure
    decision: Decision
    since: datetime
    level: datetime | None
    explained: float = 0.0
    doubts: tuple[str, ...] = ()

    @property
    def key(self) -> Key:
        return self.series, self.figure

    def change(self) -> Change:
        """As it is kept for the next nights."""
        of = self.decision
        return Change(
            series=self.series,
            figure=self.figure,
            finding=of.finding.value,
            change=of.change,
            low=of.low,
            high=of.high,
            since=self.since,
            level=self.level,
            stands_out=of.stands_out,
        )


@dataclass(frozen=True)
class Before:
    """What tonight is compared with: nights of the same series, in order, and what each told.

    ``told`` maps a run's file name to it; ``known`` changes begin levels.
    """

    nights: tuple[Night, ...]
    told: Mapping[str, Told]
    known: tuple[Acknowledgement, ...] = ()

    @classmethod
    def of(
        cls,
        nights: Iterable[Night],
        tonight: RunHeader,
        told: Iterable[Told],
        known: Sequence[Acknowledgement],
    ) -> Before:
        """Of all nights those that tonight's series has."""
        own = tuple(
            night
            for night in nights
            if night.run.end == "done"
            and night.run.header.identity != tonight.identity
            and continues(night.run.header, tonight)
        )
        return cls(own, {of.run: of for of in told}, tuple(known))

    @property
    def plain(self) -> int:
        """How many of the nights no ``bench nightly`` measured."""
        return sum(not path_for(Path(night.run.path)).exists() for night in self.nights)

    def kernel_since(self, tonight: RunHeader) -> datetime | None:
        """When the present kernel's nights began, once there are enough of them for a level; until
        then, and if there was no other, tonight is compared with nights of others."""
        first = len(self.nights)
        while first and same_kernel(self.nights[first - 1].run.header, tonight):
            first -= 1
        if first == 0 or len(self.nights) - first < MIN_NIGHTS:
            return None
        return self.nights[first].started

    def level(self, key: Key, kernel: datetime | None) -> datetime | None:
        """When a series' level began: with a kernel, an acknowledgement, or an improvement."""
        better = (
            of.by_key[key].since
            for of in self.told.values()
            if key in of.by_key and of.by_key[key].finding == Finding.IMPROVED.value
        )
        known = level_of(key[0], self.known)
        return max((time for time in (kernel, known, *better) if time), default=None)

    def pending(self, key: Key, level: datetime | None) -> list[Change]:
        """What the last nights told of a series that was not of its level, the last one first."""
        found = []
        for night in reversed(self.nights):
            told = self.told.get(_name(night.run))
            change = told.by_key.get(key) if told else None
            if change is None or not change.stands_out or change.level != level:
                break
            found.append(change)
        return found


def judge(
    before: Before,
    tonight: LeveledRun,
    again: Sequence[LeveledRun] = (),
    second: LeveledRun | None = None,
    first: Sequence[Judged] = (),
) -> list[Judged]:
    """What tonight says of each cell and shift, in both figures.

    ``again`` are confirmations of it. With ``second``, a session of its own, tonight is taken for
    the night before it, and ``first`` is what it told; what ``second`` lacks stays as it was.
    """
    cells = tonight.cells
    nights = before.nights[-MOST_NIGHTS:]
    runs = [*(night.run for night in nights), tonight, *([second] if second else []), *again]
    told_first = {of.key: of for of in first}
    number = len(nights) + (second is not None)
    kernel = before.kernel_since(tonight.header)
    started = tonight.header.started
    assert started is not None
    times = [*(night.started for night in nights), started]
    cost = _calibration(runs)
    kernels = _labels([kernel_of(run.header) for run in runs])
    found: list[Judged] = []
    for figure, better in FIGURES.items():
        values = levels_of(runs, [cell.id for cell in cells], figure)
        series = taken_apart(values, len(nights), cells)
        off = explained(series.shifts, cost, kernels, len(nights))
        names = scope_names(cells, series.scopes)
        decisions = QUARTER * len(FIGURES) * (len(cells) + len(names))
        for values, taken, owners in (
            (series.cells, np.zeros(len(cells)), {cell.id: cell for cell in cells}),
            (series.shifts - off, np.expm1(off[:, number]), dict.fromkeys(names)),
        ):
            if not len(values):
                continue
            keys: list[Key] = [(name, figure) for name in owners]
            levels = [before.level(key, kernel) for key in keys]
            pending = [before.pending(key, of) for key, of in zip(keys, levels, strict=True)]
            extra = [second is not None and told_first[key].decision.stands_out for key in keys]
            decided = decide(
                Nights(
                    history=values[:, :number],
                    began=np.array([_index(times[:number], of) for of in levels]),
                    pending=np.array(
                        [_since(times[:number], p) + e for p, e in zip(pending, extra, strict=True)]
                    ),
                    tonight=values[:, number],
                    again=_mean(values[:, number + 1 :]),
                ),
                better,
                decisions,
                effect=np.array([tonight.header.thresholds.get(n, MIN_EFFECT) for n in owners]),
            )
            for key, cell, of, level, was, part in zip(
                keys, owners.values(), decided, levels, pending, taken.tolist(), strict=True
            ):
                first_of = times[number - of.lately] if of.lately else started
                since = was[-1].since if was else first_of
                is_suspect = of.finding is Finding.SUSPECT
                doubts = _doubts(again, cells, key[0], cell) if is_suspect else ()
                judged = Judged(key[0], cell, figure, of, since, level, part, doubts)
                is_missing = of.finding is Finding.UNKNOWN and second is not None
                found.append(told_first[key] if is_missing else judged)
    return found


def _calibration(runs: Sequence[LeveledRun]) -> Array:
    """The CPU time of the calibration cells in each run (logarithms); NaN where one lacks them.

    Others that had the CPU say nothing of the machine's speed, so it is of both figures.
    """
    cells = list(dict.fromkeys(cell.id for run in runs for cell in run.calibration))
    costs = levels_of(runs, cells, "ns_per_frame")
    return costs.mean(axis=1) if cells else np.full(len(runs), np.nan)


def _labels(values: Sequence[object]) -> Integers:
    """Equal numbers for equal values."""
    distinct_: list[object] = []
    for value in values:
        if value not in distinct_:
            distinct_.append(value)
    return np.array([distinct_.index(value) for value in values], dtype=np.int64)


def _doubts(
    again: Sequence[LeveledRun], cells: Sequence[Cell], series: str, cell: Cell | None
) -> tuple[str, ...]:
    """Why a second measurement of a series that is still a suspect says nothing."""
    places = _places(cells)
    ids = {cell.id} if cell else {id_ for id_ in places if series in (ALL, places[id_])}
    doubts = {code for run in again for id_ in ids for code in run.doubts.get(id_, ())}
    failed = {"failed"} if any(ids & run.failures.keys() for run in again) else set()
    return (*sorted(doubts), *failed)


def suspects(judged: Iterable[Judged]) -> list[Judged]:
    """What is to be measured again."""
    return [of for of in judged if of.decision.finding is Finding.SUSPECT]


def condensed(judged: Sequence[Judged]) -> list[Judged]:
    """Without what another entry says already: interfaces of which all shifted are `all`, and all
    is none of its own where only some interfaces shifted."""
    found = []
    for of in judged:
        places = [j for j in judged if j.cell is None and j.figure == of.figure and j.series != ALL]
        whole = [j for j in judged if j.key == (ALL, of.figure)]
        together = bool(whole) and all(_alike(place, whole[0]) for place in places)
        some = not together and any(place.decision.stands_out for place in places)
        if of.cell is None and places and (some if of.series == ALL else together):
            continue
        found.append(of)
    return found


def _alike(place: Judged, whole: Judged) -> bool:
    of, all_ = place.decision, whole.decision
    return of.stands_out == all_.stands_out and (of.change > 0) == (all_.change > 0)


def scope_names(cells: Sequence[Cell], scopes: Sequence[str]) -> list[str]:
    """The names of shifts: an interface's as briefly as tells it from others, or ALL."""
    places = _places(cells)
    names = {interface_of(cell): places[cell.id] for cell in cells}
    return [ALL if scope == EVERYTHING else names[scope] for scope in scopes]


def _places(cells: Sequence[Cell]) -> dict[str, str]:
    """The interface of each cell."""
    values = distinct(cell.values["interface"] for cell in cells)
    return {cell.id: brief_text(cell.values["interface"], values) for cell in cells}


def _index(times: Sequence[datetime], level: datetime | None) -> int:
    """Of the first night of a level."""
    return sum(time < level for time in times) if level else 0


def _since(times: Sequence[datetime], pending: Sequence[Change]) -> int:
    """How many of the last nights are pending: those since the change that the first of them told,
    which may be older than it."""
    return sum(time >= pending[-1].since for time in times) if pending else 0


def _mean(values: Floats) -> Floats:
    """Over runs, of what is known; NaN where nothing is."""
    known = np.isfinite(values)
    count = known.sum(axis=1)
    total = np.where(known, values, 0.0).sum(axis=1)
    mean: Floats = np.where(count > 0, total / np.maximum(1, count), np.nan)
    return mean


def _name(run: LeveledRun) -> str:
    return run.path.rpartition("/")[2].removesuffix(".gz")
