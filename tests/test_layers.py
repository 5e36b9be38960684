"""Imports run downward only, folder by folder, and what is heavy is imported where it is used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = {
    "base": "errors, signals, units, files: they know nothing of benchmarks",
    "model": "frozen values that all others pass to each other",
    "matrix": "YAML text -> Matrix",
    "system": "this machine",
    "plan": "Matrix -> the cells that run; sets up nothing",
    "engines": "the C core, built and bound",
    "topology": "interfaces and qdiscs",
    "analysis": "pure: samples -> figures and verdicts",
    "store": "runs on disk",
    "measure": "a run: topologies, worker, rounds",
    "doctor": "what would spoil a measurement; knows no plan",
    "campaign": "what spans several runs",
    "render": "figures -> text",
    "cli": "one file a verb",
    "pytest_plugin": "cells as tests, tests of cells",
    "__main__": "the console script",
}
"""From the bottom up: a module imports only from its own folder and from those before it."""


STRANGERS = (("analysis", "store"),)
"""Folders that do not know each other: one computes, one reads, and who needs both joins them."""


def layer_of(module: str) -> str:
    return module.split(".")[1]


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


def own_layer(path: Path) -> str:
    return path.relative_to(ROOT / "bench").parts[0].removesuffix(".py")


def upward_imports() -> list[tuple[str, str]]:
    """(file, module) wherever a file imports from a folder above its own."""
    order = list(LAYERS)
    found = []
    for path in MODULES:
        own = own_layer(path)
        if own == "__init__":
            continue
        allowed = {*order[: order.index(own) + 1], "_core", "_core_test"}
        upward = {name for name in imports_of(path) if layer_of(name) not in allowed}
        found += [(str(path.relative_to(ROOT)), name) for name in sorted(upward)]
    return found


def test_imports_run_downward() -> None:
    assert upward_imports() == []


@pytest.mark.parametrize("pair", STRANGERS, ids=" and ".join)
def test_strangers_do_not_import_each_other(pair: tuple[str, str]) -> None:
    known = [
        (str(path.relative_to(ROOT)), name)
        for path in MODULES
        if own_layer(path) in pair
        for name in sorted(imports_of(path))
        if layer_of(name) in {*pair} - {own_layer(path)}
    ]
    assert known == []


def test_every_folder_has_its_layer() -> None:
    assert {own_layer(path) for path in MODULES} - {"__init__"} == set(LAYERS)


def test_no_two_modules_import_each_other() -> None:
    """Neither directly nor by way of others, but for imports inside functions."""
    names = {module_name(path): path for path in MODULES}
    graph = {name: top_level_imports(path) & names.keys() for name, path in names.items()}
    assert circles(graph) == []


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def top_level_imports(path: Path) -> set[str]:
    """Modules that are imported as a file is; a name of a package may be a module of it.

    The package around a file is there before it, and no import of its.
    """
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    own = module_name(path)
    return {name for name in found if not f"{own}.".startswith(f"{name}.")}


def circles(graph: dict[str, set[str]]) -> list[str]:
    """The modules that are left when those without imports are taken away, again and again."""
    left = dict(graph)
    while free := [name for name, wanted in left.items() if not wanted & left.keys()]:
        for name in free:
            del left[name]
    return sorted(left)


def test_only_engines_import_the_core() -> None:
    users = [path for path in MODULES if "bench._core" in path.read_text()]
    assert {own_layer(path) for path in users} == {"engines"}


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
    "vl_convert",
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


def test_pytest_starts_without_anything_of_bench() -> None:
    """The plugin is loaded in every session, whether it is used or not."""
    script = (
        "import sys, pytest, bench.pytest_plugin\n"
        "pytest.main(['--version', '-p', 'bench.pytest_plugin'])\n"
        "print(*sorted(name for name in sys.modules if name.startswith('bench')))"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "bench bench.pytest_plugin"


@pytest.mark.parametrize(
    ("process", "needs"),
    [
        ("bench.measure.worker", {"msgspec"}),
        ("bench.topology.reader", set()),
        ("bench.engines.keeper", set()),
    ],
)
def test_processes_that_measure_import_nothing_heavy(process: str, needs: set[str]) -> None:
    """But for what a worker is spoken to with."""
    assert heavy_of(f"import {process}") == needs


def test_methods_import_no_more_than_their_table() -> None:
    assert heavy_of_bench("methods") == {"tabulate"}


def test_only_what_draws_imports_vega() -> None:
    users = [path for path in MODULES if "vl_convert" in path.read_text()]
    assert [path.name for path in users] == ["convert.py"]


@pytest.mark.parametrize("verb", ["plan", "show", "schema"])
def test_only_what_sets_up_imports_pyroute2(verb: str) -> None:
    run, *_ = (ROOT / "results/vm/mmap_vs_sendto").glob("*.jsonl")
    arguments = {"plan": ["matrices/smoke.yaml"], "show": [run]}
    assert not heavy_of_bench(verb, *map(str, arguments.get(verb, []))) & {"pyroute2", "asyncio"}
