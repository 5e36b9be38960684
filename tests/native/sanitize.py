"""`make sanitize`: `bench run` of every method on every interface that it makes by itself, with a
core built with sanitizers. (Not a part of `make test`: the driver beside it is.)"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.engines import core
from tests import sanitized
from tests.engines.own import written
from tests.running import Bench

RING = {"slots": 64, "frame_size": 2048}
TAKES_XDP = {"kind": "veth", "gro": True, "queues": 2}
AXES: dict[str, list[Any]] = {
    "interface": ["lo", "veth", "ifb"],
    "frame_size": [64, 1514],
    "threads": [1, 2] if len(os.sched_getaffinity(0)) > 1 else [1],
    "socket": ["own", "shared"],
    "burst": [32],
    "fill": ["copy", "prefilled"],
    "ring": [{"version": version, **RING} for version in (1, 2, 3)],
}


@pytest.mark.netns
@pytest.mark.parametrize("sanitizers", sanitized.SANITIZERS)
def test_a_run_of_every_method_is_clean_under(
    bench: Bench, sanitizers: str, tmp_path: Path
) -> None:
    findings = tmp_path / "finding"
    bench.environment |= sanitized.environment(sanitizers, findings)
    loaded = subprocess.run(
        [sys.executable, "-P", "-c", "from bench import _core; print(_core.__file__)"],
        env=bench.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(loaded.stdout.strip()).is_relative_to(sanitized.KEPT)
    # What sends XDP frames has an interface of its own, which takes them; others need not. A C file
    # is compiled as the core is.
    by_xdp = [name for name, method in core.methods().items() if method.sends_xdp]
    others = [name for name in [*core.methods(), "mine"] if name not in by_xdp]
    exclude = [
        {"method": by_xdp, "interface": ["lo", {"kind": "veth", "gro": False}, "ifb"]},
        {"method": others, "interface": TAKES_XDP},
    ]
    axes = AXES | {"interface": [*AXES["interface"], TAKES_XDP], "method": [*by_xdp, *others]}
    outcome = bench("run", bench.matrix(axes, exclude=exclude), "--engine", written(bench.folder))
    found = sorted(tmp_path.glob("finding*"))
    assert not found, f"{len(found)}, the first of which: {found[0].read_text()}"
    assert outcome.code == 0, outcome.err
    run = bench.stored()
    assert {sample.cell for sample in run.samples} == {cell.id for cell in run.cells}
