"""A matrix file as pytest collects it: a test for each cell."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.base.errors import BenchError
from bench.model.axes import Role, role_of
from bench.model.cells import Cell
from bench.model.programs import name_of
from bench.pytest_plugin import benchmark
from bench.pytest_plugin.runs import Runs
from bench.render import axes


class MatrixFile(pytest.File):
    """A matrix; its cells are the plan's, in its order."""

    def __init__(self, *, runs: Runs, **rest: Any) -> None:
        super().__init__(**rest)
        self.runs = runs

    def collect(self) -> Iterator[CellItem]:
        try:
            matrix, plan = self.runs.planned(self.path)
        except BenchError as error:
            raise self.CollectError(str(error)) from None
        cells = plan.cells
        columns = {axis: axes.column(cells, axis) for axis in cells[0].values}
        places = [a for a in axes.varying(cells) if role_of(a) in (Role.PLACE, Role.WORKLOAD)]
        methods = [name_of(method) for method in matrix.axes.get("method", ())]
        for i, (cell, name) in enumerate(zip(cells, axes.names(cells), strict=True)):
            params = {axis: column[i] for axis, column in columns.items()}
            index = methods.index(cell.method) if cell.method in methods else 0
            yield CellItem.from_parent(
                self,
                name=name,
                cell=cell,
                params=params,
                group=" ".join([matrix.name, *(f"{axis}={params[axis]}" for axis in places)]),
                line=matrix.mark("axes", "method", index).line - 1,
            )


class CellItem(pytest.Item):
    """A cell: it passes if it has valid figures, and did not regress against ``--bench-compare``.

    ``params`` are the texts of its axes; cells of a ``group`` compete.
    """

    def __init__(
        self, *, cell: Cell, params: dict[str, str], group: str, line: int, **rest: Any
    ) -> None:
        super().__init__(**rest)
        self.cell = cell
        self._params, self._group, self._line = params, group, line
        self.fixturenames = [benchmark.FIXTURE]  # by which pytest-benchmark knows its tests
        self.funcargs: dict[str, object] = {}

    @property
    def runs(self) -> Runs:
        assert isinstance(self.parent, MatrixFile)
        return self.parent.runs

    def setup(self) -> None:
        param = self.name.partition("[")[2].removesuffix("]")
        self._benchmark = benchmark.fixture_of(self, self._group, param, self._params)
        self.funcargs[benchmark.FIXTURE] = self._benchmark

    def runtest(self) -> None:
        measured = self.runs.measured(self.path).cell(self.cell.id)
        benchmark.record(self._benchmark, measured.seconds_per_frame, measured.record)
        if verdict := self.runs.verdict(self.path, self.cell):
            pytest.fail(verdict, pytrace=False)

    def reportinfo(self) -> tuple[os.PathLike[str], int, str]:
        return Path(self.path), self._line, self.name
