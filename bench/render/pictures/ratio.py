"""Each cell against its baseline: a forest plot, a line of panels for each workload."""

from __future__ import annotations

from collections.abc import Sequence

from bench.model.results import CellResult
from bench.render.pictures import figures, forest, layout
from bench.render.pictures.labels import Labels, unlike
from bench.render.pictures.layout import Panel
from bench.render.pictures.picture import Choice, Kind, NotDrawn, Picture, Spec, Subject

TITLES = {"pps": "pps, ratio to the baseline", "ns_per_frame": "ns/frame, ratio to the baseline"}
BETTER = {"pps": "right of 1 is faster", "ns_per_frame": "left of 1 is cheaper"}
RATIOS = {"pps": "ratio", "ns_per_frame": "ratio_ns"}


def pictures(subject: Subject, choice: Choice) -> list[Picture]:
    measured = subject.measured
    wanted = [choice.figure] if choice.figure else [*TITLES]
    rows = [row for row in measured if row.figures.ratio and not row.is_baseline]
    if not rows:
        raise NotDrawn("no cell has a ratio to a baseline; `baseline:` in the matrix names one")
    return [_picture(subject, measured, rows, figure) for figure in wanted]


def _picture(
    subject: Subject, measured: Sequence[CellResult], rows: Sequence[CellResult], figure: str
) -> Picture:
    labels = Labels([row.cell for row in measured])
    places = list(dict.fromkeys(labels.place(row.cell) for row in rows))
    loads = list(dict.fromkeys(labels.workload(row.cell) for row in rows))
    names = dict(
        zip(
            [row.cell.id for row in rows],
            _names(rows, labels),
            strict=True,
        )
    )
    lines = [
        [panel for place in places if (panel := _panel(rows, labels, (place, load), names, figure))]
        for load in loads
    ]
    aligned = [forest.aligned(line) for line in lines]
    series = list(dict.fromkeys(row.cell.method for row in measured))

    def draw(width: int) -> Spec:
        axis = forest.Axis(TITLES[figure], 1.0)
        return forest.spec(aligned, axis, series, width)

    baseline = subject.run.header.matrix.baseline or {}
    against = ", ".join(figures.setting(axis, value) for axis, value in baseline.items())
    return Picture(
        title="Ratio to the baseline",
        variant=figures.NAMES[figure],
        caption=f"{figures.NAMES[figure]} of each cell against its baseline ({against}), within "
        f"rounds; {BETTER[figure]}. Bars are 95 % intervals; a hollow mark has none.",
        data=layout.data(aligned),
        draw=draw,
    )


def _names(rows: Sequence[CellResult], labels: Labels) -> list[str]:
    """Alike in panels of other places and workloads, and different within one."""
    found: dict[str, str] = {}
    groups: dict[tuple[str, str], list[CellResult]] = {}
    for row in rows:
        where = labels.place(row.cell), labels.workload(row.cell)
        groups.setdefault(where, []).append(row)
    for group in groups.values():
        texts = [labels.means(row.cell) for row in group]
        ids = [row.cell.id for row in group]
        found |= zip(ids, unlike(texts, ids), strict=True)
    return [found[row.cell.id] for row in rows]


def _panel(
    rows: Sequence[CellResult],
    labels: Labels,
    where: tuple[str, str],
    names: dict[str, str],
    figure: str,
) -> Panel | None:
    mine = [row for row in rows if (labels.place(row.cell), labels.workload(row.cell)) == where]
    made = []
    for row in mine:
        if estimate := getattr(row.figures, RATIOS[figure]):
            tip = "\n".join([labels.whole(row.cell), *figures.told(row)])
            made.append(forest.row(names[row.cell.id], row.cell.method, estimate, tip))
    if not made:
        return None
    title = ", ".join(filter(None, where))
    return Panel(title, made, {})


KIND = Kind(
    title="Ratio to the baseline",
    pictures=pictures,
    reads=("figure",),
)
