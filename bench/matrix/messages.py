"""pydantic's errors in words of our own, each with its place."""

from __future__ import annotations

from typing import Any

from pydantic_core import ErrorDetails

from bench.base.units import show, whole
from bench.matrix import yamltree
from bench.matrix.complaints import complaint, keys
from bench.matrix.schema import Context
from bench.matrix.yamltree import Problem, Tree

# Errors


def line_of(file: str, problem: Problem) -> str:
    return f"{file}:{problem.mark.line}:{problem.mark.column}: {problem.message}"


def not_a_mapping(tree: Tree) -> Problem:
    what = {list: "a YAML file that is a list", type(None): "an empty file"}
    found = what.get(type(tree.data), "a YAML file that is a single value")
    return Problem(tree.mark(()), f"{found}; a matrix file has at least the keys name and axes")


def problem_of(detail: ErrorDetails, tree: Tree, context: Context) -> Problem:
    """A pydantic error in our words, at its place."""
    path = detail["loc"]
    match detail["type"]:
        case "extra_forbidden":
            message = f"{_label(path[:-1])}{_unknown_key(path, tree, context)}"
            return Problem(tree.keys.get(path, tree.mark(path)), message)
        case "missing":
            written = tree.value(path[:-1])  # what was validated may be a copy with more in it
            mapping = written if isinstance(written, dict) else detail["input"]
            message = f"{_label(path[:-1])}{_missing(path[-1], mapping, context)}"
        case _:
            message = f"{_label(path)}{complaint(detail)}"
    return Problem(tree.mark(path), message)


def _label(path: yamltree.Path) -> str:
    """The subject of a message: ``ring block_size: ``, ``rounds min: ``; empty at the top."""
    section, *names = [part for part in path if isinstance(part, str)] or [""]
    label = " ".join(names) or section
    return f"{label}: " if label else ""


def _unknown_key(path: yamltree.Path, tree: Tree, context: Context) -> str:
    mapping = tree.value(path[:-1])
    known = context.known.get(id(mapping), ())
    name, colon, value = str(path[-1]).partition(":")
    if colon and value and name in known:
        return f"{show(path[-1])} is a key without a value; write {name}: {value}, with a space"
    what = "axis" if known == context.axes else "key"
    return f"unknown {what} {show(path[-1])}; {keys(path[-1], known, mapping)}"


def _missing(key: object, mapping: Any, context: Context) -> str:
    example = context.examples.get(id(mapping), {})
    if not isinstance(key, str) or key not in example:
        write = "it has to be given"
    elif mapping.keys() == {"kind"}:  # who wrote it bare has to learn the form with options
        write = f"write {whole(dict(example))}"
    else:
        write = f"write {key}: {example[key]}"
    return f"{show(key)} is missing; {write}"
