"""Imports run downward only, and what is heavy is imported where it is used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = [
    "errors",
    "printable",
    "stderr",
    "interrupts",
    "machine",
    "hardware",
    "cpus",
    "privileges",
    "units",
    "complaints",
    "model",
    "yamltree",
    "matrix_schema",
    "matrix",
    "plan",
    "native",
    "topology",
    "counters",
    "capture",
    "host",
    "estimate",
    "trial",
    "worker",
    "intervals",
    "stats",
    "misfits",
    "store",
    "compare",
    "runner",
    "report",
    "doctor",
    "render",
    "cli",
    "__main__",
]
"""From the bottom up: a module imports only what stands before it."""


def layer_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def imports_of(path: Path) -> set[str]:
    """Every bench module that a file imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
            if node.module == "bench":
                names = [f"bench.{alias.name}" for alias in node.names]
            found.update(names)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return {name for name in found if name.startswith("bench.")}


MODULES = sorted((ROOT / "bench").rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_downward(path: Path) -> None:
    own = layer_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
    if own in ("", "__init__"):
        return
    allowed = {*LAYERS[: LAYERS.index(own) + 1], "_core", "_core_test"}
    upward = {name for name in imports_of(path) if layer_of(name) not in allowed}
    assert not upward


def test_every_module_has_its_layer() -> None:
    names = {path.relative_to(ROOT / "bench").parts[0].removesuffix(".py") for path in MODULES}
    assert names - {"__init__"} == set(LAYERS)


def test_only_native_imports_the_core() -> None:
    users = [path for path in MODULES if "bench._core" in path.read_text()]
    assert [path.name for path in users] == ["native.py"]


HEAVY = {
    "asyncio",
    "cffi",
    "msgspec",
    "numpy",
    "pydantic",
    "pyroute2",
    "scipy",
    "setuptools",
    "tabulate",
    "tqdm",
    "yaml",
}
"""What takes long to import, of ours and of Python's; slow machines take seconds for some of it."""


def heavy_of(program: str, *arguments: str) -> set[str]:
    """Of HEAVY, what a process has imported that ran a program to its end."""
    script = (
        "import atexit, sys\n"
        f"atexit.register(lambda: print(*{HEAVY} & set(sys.modules), file=sys.stderr))\n"
        f"{program}"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


def heavy_of_bench(*arguments: str) -> set[str]:
    return heavy_of("from bench.cli import main; sys.exit(main())", *arguments)


def test_help_imports_nothing_heavy() -> None:
    assert heavy_of_bench("--help") == set()


@pytest.mark.parametrize("process", ["bench.worker", "bench.topology.reader"])
def test_processes_that_measure_import_nothing_heavy(process: str) -> None:
    assert heavy_of(f"import {process}") == set()


def test_methods_import_no_more_than_their_table() -> None:
    assert heavy_of_bench("methods") == {"tabulate"}


@pytest.mark.parametrize("verb", ["plan", "show", "schema"])
def test_only_what_sets_up_imports_pyroute2(verb: str) -> None:
    run, *_ = (ROOT / "results/vm/mmap_vs_sendto").glob("*.jsonl")
    arguments = {"plan": ["matrices/smoke.yaml"], "show": [run]}
    assert not heavy_of_bench(verb, *map(str, arguments.get(verb, []))) & {"pyroute2", "asyncio"}
