"""The tables of a run, beside it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from bench.base.errors import BenchError
from bench.base.stderr import say
from bench.render import FORMATS
from bench.render.screen import PAPER

if TYPE_CHECKING:
    from bench.render.document import Document

ENDINGS = {"markdown": ".md", "csv": ".csv"}


def keep(document: Document, run: Path, forms: Iterable[str]) -> list[Path]:
    """Write the table of a run beside it, in these formats: the files that were written.

    Where that fails nothing is lost: the run is whole and the table can be made of it at any time.
    So it is said, and no failure of the command, which would have a run repeated.
    """
    from bench.base import files

    written = []
    for form in forms:
        path = run.with_suffix(ENDINGS[form])
        try:
            if path.exists() and not _is_of(path, form, run.stem):
                raise BenchError(f"{path} is no table of this run and stays as it is")
            files.write_text(path, FORMATS[form](document, PAPER))
            written.append(path)
        except (BenchError, OSError) as error:
            again = f"bench show {quote(str(run))} --format {form} --output FILE"
            say(f"{error}; the run is complete, for its table: {again}")
    return written


def _is_of(path: Path, form: str, run: str) -> bool:
    """Whether a file is a table of the run with that name, as far as it had got then."""
    from bench.render import markdown

    text = path.read_text(errors="replace")
    if form == "markdown":
        return markdown.is_of(text, run)
    return all(line.startswith(f"{run},") for line in text.splitlines()[1:2])
