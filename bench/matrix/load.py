"""YAML text -> Matrix: every error of the file with its place, all in one go.

The text is read with its marks (yamltree) and validated by pydantic models, which are made from
the vocabulary. Each of pydantic's errors is put into words at the mark of its path.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench.base.errors import UsageError
from bench.base.values import Value
from bench.matrix import yamltree
from bench.matrix.messages import line_of, not_a_mapping, problem_of
from bench.matrix.schema import Axes, Context, Models, documented, models_of
from bench.matrix.yamltree import Tree
from bench.model.matrix import Matrix
from bench.model.vocabulary import Vocabulary

LARGEST_FILE = 1 << 20
"""Bytes."""


# What other modules call


def load(path: Path, vocabulary: Vocabulary) -> Matrix:
    """The matrix in a file. Raises UsageError if it cannot be read, and as parse does."""
    return parse(_text_of(path), str(path), vocabulary)


def name_in(path: Path) -> str:
    """The name that a matrix file gives itself, whatever else is wrong in it. Raises UsageError."""
    tree = yamltree.read(_text_of(path), _is_list)
    name = tree.data.get("name") if isinstance(tree.data, dict) else None
    if not isinstance(name, str):
        raise UsageError(f"{path}: has no `name`; name a matrix file")
    return name


def parse(text: str, file: str, vocabulary: Vocabulary) -> Matrix:
    """The matrix in a text; ``file`` is its name in messages.

    A dict among the values of an exclude rule may be partial, as the file has it: it matches every
    value that has all its items.

    Raises UsageError with every error of the text, a line each, by position.
    """
    tree = yamltree.read(text, _is_list)
    checked = _checked(tree, models_of(vocabulary))
    if checked is None or tree.problems:
        raise UsageError("\n".join(line_of(file, p) for p in sorted(set(tree.problems))))
    return Matrix(
        file=file,
        text=text,
        name=checked.name,
        description=checked.description,
        axes=_tuples(checked.axes),
        zip=tuple(map(tuple, checked.zip)),
        exclude=tuple(map(_tuples, checked.exclude)),
        include=tuple(row.given() for row in checked.include),
        measure=checked.measure.values(),
        baseline=checked.baseline.given() if checked.baseline else None,
        thresholds=tuple((_tuples(rule), rule.min_effect) for rule in checked.thresholds),
        marks=tree.marks,
    )


def axis_values(axis: str, text: str, vocabulary: Vocabulary, name: str) -> tuple[Value, ...]:
    """The canonical values of an axis in a text of YAML: ``1, 64`` or ``[1, 64]``.

    Raises UsageError with every error, a line each that begins with ``name``.
    """
    written = text if text.startswith("[") and text.endswith("]") else f"[{text}]"
    tree = yamltree.read(f"name: x\naxes:\n  {axis}: {written}\n", _is_list)
    checked = _checked(tree, models_of(vocabulary))
    if checked is None or tree.problems:
        raise UsageError("\n".join(f"{name}: {p.message}" for p in sorted(set(tree.problems))))
    values = _tuples(checked.axes)
    if [*values] != [axis]:
        raise UsageError(f"{name}: names other axes, too; write one axis and its values")
    return values[axis]


def _tuples(axes: Axes) -> dict[str, tuple[Value, ...]]:
    return {axis: tuple(values) for axis, values in axes.given().items()}


SCHEMA_TITLE = "a matrix of bench"
"""By which ``bench init`` knows a schema that it may renew."""


def json_schema(vocabulary: Vocabulary) -> dict[str, Any]:
    """The JSON Schema (2020-12) of the matrix file as users write it."""
    for kind in (*vocabulary.interfaces.values(), *vocabulary.qdiscs.values()):
        documented(kind.options)
    schema = models_of(vocabulary).file.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": SCHEMA_TITLE,
    }


# From bytes to checked data


def _text_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise UsageError(f"{path}: does not exist; name a matrix file") from None
    except IsADirectoryError:
        raise UsageError(f"{path}: is a directory; name a matrix file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{path}: cannot be read ({reason}); name a readable file") from None
    return _decoded(content, str(path))


def _decoded(content: bytes, file: str) -> str:
    if len(content) > LARGEST_FILE:
        raise UsageError(f"{file}: is larger than 1 MiB; a matrix file has at most that")
    if b"\0" in content:
        raise UsageError(f"{file}: is binary (it has NUL bytes); a matrix file is UTF-8 text")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(
            f"{file}: is not UTF-8 (byte 0x{content[error.start]:02x} on line {line}); "
            "a matrix file is UTF-8 text"
        ) from None


def _is_list(path: yamltree.Path) -> bool:
    """Whether the format takes a list of values at a path, or one value bare."""
    match path:
        case ("axes", str()) | ("exclude", int(), str()):
            return True
        case ("thresholds", int(), str() as key):
            return key != "min_effect"
    return False


def _checked(tree: Tree, models: Models) -> Any:
    """The file's model; None if there is none, with the reasons added to the tree's problems."""
    if not isinstance(tree.data, dict):
        if not tree.problems:
            tree.problems.append(not_a_mapping(tree))
        return None
    context = _context(tree.data.get("axes"), models)
    try:
        return models.file.model_validate(tree.data, context=context)
    except ValidationError as error:
        tree.problems += [
            problem_of(detail, tree, context)
            for detail in error.errors(include_url=False)
            if not tree.is_spoiled(detail["loc"])
        ]
        return None


def _context(axes: object, models: Models) -> Context:
    """What the axes are before they are validated; they may be wrong."""
    written = axes if isinstance(axes, dict) else {}
    unnamed = models.defaults.keys() - written.keys()
    return Context(
        taken={axis: [models.defaults[axis]] for axis in unnamed},
        lengths={axis: len(values) for axis, values in written.items()},
        axes=tuple(models.defaults),
    )
