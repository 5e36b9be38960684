"""The mutants of source files, by cosmic-ray, and a sample of them.

cosmic-ray mutates what mutmut leaves out: tables, defaults and constants outside functions, and
functions with a decorator. bench is full of them.
"""

from __future__ import annotations

import ast
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from pathlib import Path

import parso.tree
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.ast.ast_query import ASTQuery
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator, operator_names

from tools.mutants.change import Change, Mutant

Position = tuple[int, int]
"""Line from 1, column from 0."""

FAMILIES = (
    {"Add", "Sub", "Mul", "Div", "FloorDiv", "Mod", "Pow"},
    {"BitOr", "BitAnd", "BitXor"},
    {"LShift", "RShift"},
    {"Eq", "NotEq", "Lt", "LtE", "Gt", "GtE"},
    {"Is", "IsNot"},
)
"""Operators that are replaced by one another."""
STARS = {
    "parameters",
    "argument",
    "dictorsetmaker",
    "import_from",
    "star_expr",
    "trailer",
    "arglist",
}
"""parso's nodes in which a `*` or `**` is no operator."""
DULL = {"name", "newline", "string", "endmarker"}
"""Of parso: nodes that no operator changes."""


@dataclass(frozen=True)
class Place:
    """Where an operator of cosmic-ray can change a file."""

    file: str
    within: str
    line: str
    start: Position
    end: Position
    operator: str
    occurrence: int
    nth: int
    """Which one of those with the same operator and the same line in the same function."""

    def rank(self, seed: int) -> bytes:
        """A random place in the order of all; changes elsewhere in the file do not move it."""
        words = (seed, self.file, self.within, self.line, self.operator, self.nth)
        return hashlib.sha256("\0".join(map(str, words)).encode()).digest()


def sample(root: Path, files: Iterable[str], count: int, seed: int) -> list[Mutant]:
    """Mutants of ``files`` below ``root``, at most one at a place, at most ``count``."""
    sources = {file: (root / file).read_text() for file in files}
    chosen: dict[tuple[str, Position, Position], Place] = {}
    for file, source in sources.items():
        for place in sorted(places(file, source), key=lambda place: place.rank(seed)):
            chosen.setdefault((file, place.start, place.end), place)
    order = sorted(chosen.values(), key=lambda place: place.rank(seed))
    mutants = (mutant(sources[place.file], place) for place in order)
    return list(islice(filter(None, mutants), count))


def places(file: str, source: str) -> Iterator[Place]:
    """Where a file can be changed; several operators may change the same place."""
    nodes = [node for node in ast_nodes(get_ast(source)) if node.type not in DULL]
    lines = source.splitlines()
    types = _annotations(source)
    same: Counter[tuple[str, ...]] = Counter()
    for name, operator in _operators():
        for occurrence, (node, start, end) in enumerate(_at(operator, nodes)):
            is_star = node.type == "operator" and node.parent.type in STARS
            if is_star or any(a <= start < b for a, b in types):
                continue
            within = ASTQuery(node).get_definition_name() or ""
            line = lines[start[0] - 1].strip()
            yield Place(file, within, line, start, end, name, occurrence, same[name, within, line])
            same[name, within, line] += 1


def mutant(source: str, place: Place) -> Mutant | None:
    """The file with a change at ``place``; None if it is no Python, or no change."""
    text = mutate_code(source, get_operator(place.operator)(), place.occurrence)
    assert text is not None, f"{place.operator} has no occurrence {place.occurrence}"
    try:
        compile(text, place.file, "exec")
    except (SyntaxError, ValueError):
        return None
    old, new = source.splitlines(), text.splitlines()
    first = _alike(old, new)
    old, new = old[first:], new[first:]
    last = _alike(old[::-1], new[::-1])
    changed = (filter(None, map(str.strip, x[: len(x) - last])) for x in (old, new))
    before, after = map(" ".join, changed)
    if before == after:
        return None
    return Mutant(Change(place.file, place.within, before, after), first + 1, text)


def _at(
    operator: Operator, nodes: Sequence[parso.tree.NodeOrLeaf]
) -> Iterator[tuple[parso.tree.NodeOrLeaf, Position, Position]]:
    for node in nodes:
        for start, end in operator.mutation_positions(node):
            yield node, start, end


def _operators() -> Iterator[tuple[str, Operator]]:
    """Those that leave the type of a result as it is: a TypeError is noticed by any test."""
    for name in operator_names():
        kind, *names = name.removeprefix("core/").split("_")
        family = [names[0] in one and names[1] in one for one in FAMILIES if len(names) == 2]
        if any(family) or not kind.startswith(("ReplaceBinary", "ReplaceComparison")):
            operator = get_operator(name)
            if not operator.arguments():
                yield name, operator()


def _annotations(source: str) -> list[tuple[Position, Position]]:
    """Where types are: they change nothing when the code runs."""
    types = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.arg | ast.AnnAssign):
            types.append(node.annotation)
        elif isinstance(node, ast.FunctionDef):
            types.append(node.returns)
    return [
        ((t.lineno, t.col_offset), (t.end_lineno or 0, t.end_col_offset or 0)) for t in types if t
    ]


def _alike(old: Sequence[str], new: Sequence[str]) -> int:
    """How many lines are the same from the first on."""
    pairs = zip(old, new, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
