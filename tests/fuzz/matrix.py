"""A matrix that can be read can be planned, selected, estimated and shown."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from unittest.mock import patch

from bench.base.errors import UsageError
from bench.base.values import value_text
from bench.cli.plan import time_text
from bench.matrix import load
from bench.measure.estimate import estimate
from bench.measure.prepare import vocabulary
from bench.model.axes import Ring
from bench.model.vocabulary import Vocabulary
from bench.plan import plan, selection, space
from bench.system.procfs import ProcFs

words = functools.cache(vocabulary)
MOST_COMBINATIONS = 500
"""More only take longer."""


def seeds() -> list[Path]:
    root = Path(__file__).parents[2]
    return [*sorted(root.glob("matrices/*.yaml")), *sorted(corpus().iterdir())]


def corpus() -> Path:
    return Path(__file__).parent / "corpus" / "matrix"


def dictionary() -> list[str]:
    known: Vocabulary = words()
    kinds = (*known.interfaces.values(), *known.qdiscs.values())
    options = [name for kind in kinds for name in kind.options.model_fields]
    keys = ["name", "axes", "zip", "exclude", "include", "measure", "baseline", "thresholds"]
    keys += ["window", "rounds", "min", "max", "openings", "precision", "seed", "cpus"]
    keys += ["min_effect", "kind"]
    rings = [axis.default for axis in known.axes.values() if isinstance(axis.type, Ring)]
    ring = [*(key for r in rings if isinstance(r, dict) for key in r), "bytes", "force"]
    names = [*known.methods, *(kind.name for kind in kinds), "default", "auto"]
    return [*(f"{key}: " for key in (*known.axes, *keys, *options, *ring)), *names]


def feed(data: bytes) -> None:
    with tempfile.NamedTemporaryFile(suffix=".yaml") as file:
        file.write(data)
        file.flush()
        try:
            _plan(Path(file.name))
        except UsageError as error:
            lines = str(error).splitlines()
            assert lines
            assert all(line.startswith(file.name) for line in lines), lines


def _plan(path: Path) -> None:
    loaded = load.load(path, words())
    with patch.object(space, "MOST_COMBINATIONS", MOST_COMBINATIONS):
        made = plan.make_plan(loaded, words())
    for cell in made.cells:
        assert all(value_text(cell.values[axis]) for axis in words().axes)
    last = made.runnable[-1]
    kept = selection.select(made, {"method": [last.method]})
    assert last in kept.cells
    assert {*kept.baselines} | {*kept.baselines.values()} <= {cell.id for cell in kept.cells}
    selection.check_devices(made, loaded)
    told = estimate(made, loaded, ProcFs())
    assert 0 < told.least_ns <= told.most_ns
    assert time_text(told)
