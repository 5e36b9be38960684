"""The run in time: the speed of machine and cells in each round, and what was disturbed."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from itertools import pairwise

from bench.analysis import calibration
from bench.analysis.figures import is_disturbed, is_usable, pps, usable_by_cell
from bench.model.run import Run
from bench.model.samples import Sample
from bench.render.pictures import layout, theme
from bench.render.pictures.picture import Choice, Kind, NotDrawn, Picture, Row, Spec, Subject

MACHINE, CELLS = "calibration cells: the machine", "all cells: median, middle half"
DISTURBED, INVALID = "disturbed", "invalid"


def pictures(subject: Subject, _choice: Choice) -> list[Picture]:
    run = subject.run
    speeds, odd, openings = _speeds(run), _odd(run), _openings(run)
    if len({row["round"] for row in speeds}) < 2:
        raise NotDrawn("the run has fewer than two rounds")
    data = {"speeds": speeds, "odd": odd, "openings": openings}
    last = max(row["round"] for row in speeds)
    slices = len(run.samples)
    counts = [
        (what, sum(row["count"] for row in odd if row["series"] == what))
        for what in (DISTURBED, INVALID)
    ]
    told = " and ".join(f"{count} {what}" for what, count in counts if count) or "none disturbed"
    return [
        Picture(
            title="The run in time",
            variant="",
            caption="pps in each round, in per cent of its median over the run: lines that go "
            "together are drift of the machine, which ratios within rounds leave out. "
            f"{slices} slices, {told}." + (" Dotted lines begin an opening." if openings else ""),
            data=data,
            draw=lambda width: _spec(odd, openings, last, width),
        )
    ]


def _speeds(run: Run) -> list[Row]:
    """Of each round: the machine's speed, and quartiles over cells of their speed."""
    rows: list[Row] = [
        _speed(round_, MACHINE, speed, speed, speed)
        for round_, speed in calibration.speed_by_round(run).items()
    ]
    by_round: dict[int, list[float]] = {}
    for samples in usable_by_cell(run).values():
        middle = statistics.median(map(pps, samples)) if samples else 1.0
        for sample in samples:
            by_round.setdefault(sample.round, []).append(pps(sample) / middle)
    for round_, values in sorted(by_round.items()):
        quartiles = statistics.quantiles(values, n=4) if len(values) > 1 else values * 3
        rows.append(_speed(round_, CELLS, quartiles[1], quartiles[0], quartiles[2]))
    return rows


def _speed(round_: int, series: str, value: float, low: float, high: float) -> Row:
    tip = f"round {round_}: {value:.1%} of the median"
    return {
        "round": round_,
        "series": series,
        "value": value,
        "low": low,
        "high": high,
        "tip": tip,
    }


def _odd(run: Run) -> list[Row]:
    """How many slices of a round were disturbed or invalid."""
    counts: dict[tuple[int, str], int] = {}
    for sample in run.samples:
        if what := _oddity(sample):
            counts[sample.round, what] = counts.get((sample.round, what), 0) + 1
    return [
        {
            "round": round_,
            "series": what,
            "count": count,
            "tip": f"round {round_}: {count} slice{'s' * (count > 1)} {what}",
        }
        for (round_, what), count in sorted(counts.items())
    ]


def _oddity(sample: Sample) -> str:
    if not is_usable(sample):
        return INVALID
    return DISTURBED if is_disturbed(sample) else ""


def _openings(run: Run) -> list[Row]:
    """Where each begins, but for the first."""
    openings = sorted({(sample.round, sample.opening) for sample in run.samples})
    return [
        {"round": b[0] - 0.5, "tip": f"opening {b[1] + 1} begins with round {b[0]}"}
        for a, b in pairwise(openings)
        if a[1] != b[1]
    ]


def _spec(odd: Sequence[Row], openings: Sequence[Row], last: int, width: int) -> Spec:
    x = {
        "type": "quantitative",
        "scale": {"domain": [-0.5, last + 0.5], "nice": False, "zero": False},
    }
    axis = {"axis": {"title": "round", "format": "d", "tickMinStep": 1, "grid": False}}
    inner = width - 66
    speeds = {
        "data": {"name": "speeds"},
        "width": inner,
        "height": 200,
        "layer": [*_lines({**x, **axis}, width), *([_begun({**x, **axis})] if openings else [])],
    }
    rows = [speeds]
    if odd:
        rows.append(_counts({**x, **axis}, inner, odd, openings, width))
    return {
        "$schema": layout.SCHEMA,
        "vconcat": rows,
        "spacing": layout.GAP,
        "resolve": {"scale": {"color": "independent"}},
    }


def _lines(x: Spec, width: int) -> list[Spec]:
    names = [MACHINE, CELLS]
    color = theme.series(names, names, width)["color"]
    color["legend"] |= {"columns": 1, "symbolType": "stroke"}
    y = {
        "type": "quantitative",
        "scale": {"zero": False},
        "axis": {"title": "pps, % of median", "format": ".0%", "tickCount": 6},
    }
    at = {"x": {**x, "field": "round"}, "color": color}
    tip = {"tooltip": {"field": "tip", "type": "nominal"}}
    return [
        {
            "mark": {"type": "area", "opacity": 0.2},
            "encoding": {**at, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
        },
        {
            "mark": {"type": "line"},
            "encoding": {
                **at,
                "y": {**y, "field": "value"},
                "strokeDash": {
                    "field": "series",
                    "type": "nominal",
                    "scale": {"domain": names, "range": [[5, 3], [1, 0]]},
                    "legend": None,
                },
            },
        },
        {
            "mark": {"type": "point", "filled": True, "size": 12, "opacity": 0.9},
            "encoding": {**at, "y": {**y, "field": "value"}, **tip},
        },
    ]


def _begun(x: Spec) -> Spec:
    return {
        "data": {"name": "openings"},
        "mark": {"type": "rule", "style": "mark", "strokeWidth": 1.5},
        "encoding": {
            "x": {**x, "field": "round"},
            "tooltip": {"field": "tip", "type": "nominal"},
        },
    }


def _counts(x: Spec, inner: int, odd: Sequence[Row], openings: Sequence[Row], width: int) -> Spec:
    names = [DISTURBED, INVALID]
    color = theme.series(names, {row["series"] for row in odd}, width)["color"]
    color["legend"] |= {"symbolType": "square"}
    y = {
        "field": "count",
        "type": "quantitative",
        "stack": "zero",
        "axis": {"title": "slices", "tickCount": 2, "tickMinStep": 1, "format": "d"},
    }
    bars = {
        "mark": {"type": "bar", "size": max(1.5, min(8, inner / 200))},
        "encoding": {
            "x": {**x, "field": "round"},
            "y": y,
            "color": color,
            "tooltip": {"field": "tip", "type": "nominal"},
        },
    }
    return {
        "data": {"name": "odd"},
        "width": inner,
        "height": 60,
        "layer": [bars, *([_begun(x)] if openings else [])],
    }


KIND = Kind(
    title="The run in time",
    pictures=pictures,
)
