"""``bench completion``: what a shell needs to complete bench's words; and the completing itself.

argcomplete asks the parser itself at each TAB. So a new option completes without more ado, and the
values of ``--filter`` are those of the matrix or the run on the line, which no static script knows.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bench.base.errors import BenchError
from bench.base.exit_codes import ExitCode

if TYPE_CHECKING:
    from bench.model.cells import Cell

HELP = "print what a shell needs to complete the words of bench"
EXAMPLES = (
    "bench completion bash > ~/.local/share/bash-completion/completions/bench",
    "bench completion fish > ~/.config/fish/completions/bench.fish",
)

SHELLS = ("bash", "zsh", "fish")
ASKED = "_ARGCOMPLETE"
"""The variable that a shell sets when it asks."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help=", ".join(SHELLS))


def execute(args: argparse.Namespace) -> int:
    try:
        from argcomplete.shell_integration import shellcode
    except ImportError:
        raise BenchError(
            "bench completion needs argcomplete: pip install 'bench[completion]'"
        ) from None
    sys.stdout.write(f"{shellcode(['bench'], shell=args.shell).strip()}\n")
    return ExitCode.FINE


def complete(parser: argparse.ArgumentParser) -> None:
    """Answer a shell, and end the process."""
    try:
        import argcomplete
    except ImportError:
        sys.exit(ExitCode.FAILURE)
    for verb in _verbs(parser):
        for action in verb._actions:
            if completer := COMPLETERS.get(action.dest):
                action.completer = completer  # type: ignore[attr-defined]
    argcomplete.autocomplete(parser, always_complete_options="long")


def _verbs(parser: argparse.ArgumentParser) -> Iterable[argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.values()


# What completes what: each gets the word so far, and the line as far as it could be parsed


def _paths(prefix: str, endings: Sequence[str]) -> list[str]:
    """Folders, and files with one of these endings."""
    folder, slash, _ = prefix.rpartition("/")
    beginning = folder + slash
    found = []
    with suppress(OSError):
        for path in sorted(Path(beginning or ".").iterdir()):
            if path.is_dir() and not path.name.startswith("."):
                found.append(f"{beginning}{path.name}/")
            elif path.name.endswith(tuple(endings)):
                found.append(beginning + path.name)
    return found


def _matrices(prefix: str, **_of: object) -> list[str]:
    return _paths(prefix, (".yaml", ".yml"))


def _runs(prefix: str, **_of: object) -> list[str]:
    from bench.store.folders import ENDINGS

    return _paths(prefix, ENDINGS)


def _engines(prefix: str, **_of: object) -> list[str]:
    return _paths(prefix, (".c",))


def _folders(prefix: str, **_of: object) -> list[str]:
    return [path for path in _paths(prefix, ()) if path.endswith("/")]


def _machines(parsed_args: argparse.Namespace, **_of: object) -> list[str]:
    """Those that have results."""
    with suppress(OSError):
        return sorted(path.name for path in parsed_args.results.iterdir() if path.is_dir())
    return []


def _devices(**_of: object) -> list[str]:
    with suppress(OSError):
        return sorted(path.name for path in Path("/sys/class/net").iterdir())
    return []


def _settings(prefix: str, parsed_args: argparse.Namespace, **_of: object) -> list[str]:
    """``AXIS=VALUE,VALUE`` with the axes and values of the matrix or the run on the line."""
    values = _values(_cells(parsed_args))
    axis, equals, written = prefix.partition("=")
    if not equals:
        return [f"{name}=" for name in values]
    before, comma, _ = written.rpartition(",")
    taken = set(before.split(","))
    return [f"{axis}={before}{comma}{text}" for text in values.get(axis, ()) if text not in taken]


def _values(cells: Sequence[Cell]) -> Mapping[str, Sequence[str]]:
    """The texts of the values of each axis, as tables show them; without cells only the axes."""
    from bench.base.values import brief_text, distinct
    from bench.model.axes import AXES
    from bench.model.cells import axes_of

    found: dict[str, Sequence[str]] = {}
    for axis in axes_of(cells):
        values = distinct(cell.values.get(axis) for cell in cells)
        if values:
            found[axis] = [brief_text(value, values) for value in values]
    return found or dict.fromkeys(AXES, ())


def _cells(parsed_args: argparse.Namespace) -> Sequence[Cell]:
    """Of the matrix or the run on the line; none where it cannot be read."""
    from bench.measure import prepare
    from bench.store import reader

    with suppress(BenchError, OSError):
        if matrix := getattr(parsed_args, "matrix", None):
            return prepare.planned(Path(matrix))[1].cells
        if run := getattr(parsed_args, "run", None):
            return reader.cells_in(run)
    return ()


COMPLETERS: Mapping[str, Callable[..., list[str]]] = {
    "matrix": _matrices,
    "matrices": _matrices,
    "run": _runs,
    "runs": _runs,
    "a": _runs,
    "b": _runs,
    "resume": _runs,
    "results": _folders,
    "engine": _engines,
    "core_a": _folders,
    "core_b": _folders,
    "machine": _machines,
    "allow_device": _devices,
    "filter": _settings,
    "set": _settings,
    "set_b": _settings,
}
"""By the name of the argument: the same one completes alike on every verb."""
