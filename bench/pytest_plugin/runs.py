"""The runs of a session: one for each matrix, of the cells that selected tests ask about."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from bench.analysis.summary import summarise
from bench.base.errors import BenchError, UsageError
from bench.measure import prepare
from bench.model.cells import Cell
from bench.model.matrix import Matrix
from bench.plan import selection
from bench.plan.plan import Plan
from bench.pytest_plugin import child, gate
from bench.pytest_plugin.measured import MeasuredMatrix, fitting
from bench.render import axes
from bench.store import folders, reader

KEPT = 3
"""Runs of a matrix in pytest's cache; pytest keeps the temporary folders of as many sessions."""
MARK = "bench"


class Runs:
    """Plans and measures on demand. What went wrong is told to every test that asks."""

    def __init__(self, session: pytest.Session) -> None:
        self._session, self._config = session, session.config
        self._plans: dict[Path, tuple[Matrix, Plan]] = {}
        self._measured: dict[Path, MeasuredMatrix | str] = {}
        self._gates: dict[Path, gate.Gate | str] = {}
        self._told: list[str] = []
        self._is_passing = False
        """Whether runs go with the session."""

    def planned(self, matrix: Path) -> tuple[Matrix, Plan]:
        """Raises UsageError with every error of the file."""
        path = matrix.resolve()
        if path not in self._plans:
            try:
                self._plans[path] = prepare.planned(path)
            except BenchError as error:
                raise type(error)(str(error).replace(str(path), self._name(path))) from None
        return self._plans[path]

    def measured(self, matrix: Path) -> MeasuredMatrix:
        """What was measured of a matrix; the first call measures. Fails the test if nothing was."""
        path = matrix.resolve()
        if path not in self._measured:
            try:
                self._measured[path] = self._run(path)
            except BenchError as error:
                self._measured[path] = str(error)
        found = self._measured[path]
        if isinstance(found, str):
            pytest.fail(found, pytrace=False)
        return found

    def asked_by(self, test: pytest.Item) -> MeasuredMatrix:
        """What was measured of the cells that a test's mark names. Fails the test if none are."""
        asked = self._asked_by(test)
        if asked is None:
            pytest.fail("name a matrix: @pytest.mark.bench('rings.yaml')", pytrace=False)
        path, axes = asked
        try:
            fitting(self.planned(path)[1].cells, axes)
        except BenchError as error:
            raise pytest.fail.Exception(str(error), pytrace=False) from None
        return self.measured(path).of(axes)

    def verdict(self, matrix: Path, cell: Cell) -> str:
        """Why a cell does not pass beside what it was compared with; "" if it does."""
        against = self._config.getoption("bench_compare")
        if against is None:
            return ""
        path = matrix.resolve()
        if path not in self._gates:
            self._gates[path] = self._gate(path, against)
        found = self._gates[path]
        return found if isinstance(found, str) else found.failing.get(cell.id, "")

    def told(self) -> list[str]:
        """Lines for the end of the session."""
        return self._told

    # Measuring

    def _run(self, path: Path) -> MeasuredMatrix:
        matrix, plan = self.planned(path)
        if against := self._config.getoption("bench_compare"):
            self._side(against, matrix.name)  # before anything is measured
        wanted = self._wanted(path)
        chosen = selection.select(plan, {selection.CELL: sorted(wanted)})
        options = self._options()
        self._announce(path, matrix, chosen)
        is_all = len(chosen.cells) == len(plan.cells)
        run, said = child.run(path, () if is_all else wanted, self._folder, options)
        self._forget_before(run)
        stored = reader.read(run)
        doctor = stored.header.doctor.verdict
        kept = "not kept" if self._is_passing else f"stored in {run}"
        self._told += [f"{self._name(path)}: {len(stored.cells)} cells, {kept}"]
        self._told += [f"  {line}" for line in (doctor, *said) if line]
        return MeasuredMatrix(
            stored,
            summarise(stored, stored.header.measure.precision),
            dict(zip((cell.id for cell in plan.cells), axes.names(plan.cells), strict=True)),
            is_strict=self._config.getoption("bench_strict"),
        )

    def _wanted(self, path: Path) -> set[str]:
        """The cells that the selected tests ask about."""
        cells = self.planned(path)[1].cells
        found: set[str] = set()
        for test in self._session.items:
            cell = getattr(test, "cell", None)
            if isinstance(cell, Cell) and test.path.resolve() == path:
                found.add(cell.id)
            elif (asked := self._asked_by(test)) and asked[0] == path:
                found |= _ids(cells, asked[1])
        return found

    def _asked_by(self, test: pytest.Item) -> tuple[Path, Mapping[str, Any]] | None:
        """The matrix that a test's mark names, and its axes; None where it asks for none."""
        mark = test.get_closest_marker(MARK)
        if mark is None or "bench_matrix" not in getattr(test, "fixturenames", ()):
            return None
        match mark.args:
            case (str() | Path() as named,):
                beside = test.path.parent / named
                path = beside if beside.exists() else self._config.rootpath / named
                return path.resolve(), mark.kwargs
        return None

    def _options(self) -> list[str]:
        text = self._config.getoption("bench_args")
        try:
            return shlex.split(text)
        except ValueError as error:
            raise UsageError(f"--bench-args {text}: {error}; quote it as for a shell") from None

    def _announce(self, path: Path, matrix: Matrix, chosen: Plan) -> None:
        """Measuring takes longer than a test is expected to."""
        from bench.cli.plan import time_text
        from bench.measure.estimate import estimate
        from bench.system.procfs import ProcFs

        text = time_text(estimate(chosen, matrix, ProcFs()))
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        capture = self._config.pluginmanager.get_plugin("capturemanager")
        if reporter is None or capture is None:
            return
        with capture.global_and_fixture_disabled():
            file = reporter.currentfspath
            reporter.write_line(
                f"bench: measuring {len(chosen.cells)} cells of {self._name(path)}, {text}"
            )
            if reporter.showfspath and file and not reporter.showlongtestinfo:
                # The line that the tests' results go on in.
                reporter.write_fspath_result(str(file), "")

    # Where runs lie

    @cached_property
    def _folder(self) -> Path:
        """As in ``--results``."""
        if given := self._config.getoption("bench_results"):
            return Path(self._config.invocation_params.dir, given)
        try:
            return self._config.cache.mkdir("bench")
        except (AttributeError, OSError):  # switched off (-p no:cacheprovider), or read only
            self._is_passing = True
            folder = tempfile.TemporaryDirectory(prefix="bench-")
            self._config.add_cleanup(folder.cleanup)
            return Path(folder.name)

    def _forget_before(self, latest: Path) -> None:
        """In the folder of the latest: --bench-args may name another machine."""
        if self._config.getoption("bench_results"):
            return
        folder = latest.parent
        for run in [path for path in folders.run_files(folder) if path != latest][: 1 - KEPT]:
            for file in folder.glob(f"{run.stem}.*"):
                file.unlink(missing_ok=True)

    def _name(self, path: Path) -> str:
        """A file as short as it can be named from here."""
        here = self._config.invocation_params.dir
        return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)

    # Comparing

    def _gate(self, path: Path, against: str) -> gate.Gate | str:
        matrix, _ = self.planned(path)
        measured = self.measured(path)
        strict = self._config.getoption("bench_strict")
        try:
            found = gate.gate(self._side(against, matrix.name), measured.path, strict)
        except BenchError as error:
            return str(error)
        self._told.append(f"  {found.told}")
        return found

    def _side(self, against: str, matrix: str) -> str:
        try:
            return gate.side_of(against, matrix)
        except UsageError as error:
            raise UsageError(f"--bench-compare: {error}") from None


def _ids(cells: tuple[Cell, ...], wanted: Mapping[str, Any]) -> set[str]:
    try:
        return {cell.id for cell in fitting(cells, wanted)}
    except BenchError:  # told by the test that asks for what is not there
        return set()
