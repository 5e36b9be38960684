"""Sessions of pytest, each in a folder and a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.running import ROOT

# What changes a session's output. With CI pytest tells each failure twice: in the summary too.
DISTURBING = ("PYTEST_XDIST_WORKER", "PYTEST_ADDOPTS", "NO_COLOR", "CI", "BUILD_NUMBER")


@dataclass(frozen=True)
class Ended:
    code: int
    text: str


class Pytest:
    """``null`` cells need no privilege; 24 rounds of them take some 50 ms."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.results = folder / "results"

    def matrix(
        self, axes: dict[str, Any] | None = None, *, name: str = "m", rounds: int = 24, **more: Any
    ) -> Path:
        path = self.folder / f"{name}.yaml"
        axes = axes or {"method": ["null"], "burst": [1, 64]}
        matrix = {
            "name": name,
            "axes": axes,
            "measure": {"window": "1ms", "rounds": rounds},
            "baseline": {"burst": 1},
        }
        path.write_text(json.dumps(matrix | more))  # JSON is YAML
        return path

    def tests(self, text: str) -> None:
        (self.folder / "test_it.py").write_text(f"import pytest\n{text}")

    def __call__(self, *arguments: object) -> Ended:
        """A session that finds the plugin as it is here, installed or not."""
        plugin = ("-p", "bench.pytest_plugin", "-p", "no:xdist", "-p", "no:hypothesispytest")
        return self.bare("-m", "pytest", *plugin, *arguments)

    def bare(self, *arguments: object) -> Ended:
        environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}
        for name in DISTURBING:
            environment.pop(name, None)
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return Ended(done.returncode, done.stdout + done.stderr)

    def runs(self) -> list[Path]:
        """The files of ``--bench-results results``, oldest first."""
        return sorted(self.results.rglob("*.jsonl"))
