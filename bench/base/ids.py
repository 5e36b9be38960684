"""Ids as people and programs see them: with a letter in front.

Ten hex digits such as 0165529710 and 595797e027 are numbers to a spreadsheet and to pandas, which
spoil them. In files ids are without the letter; where one is asked for, either form will do.
"""

from __future__ import annotations

import re

_CELL = re.compile(r"[0-9a-f]{10}b?")  # with b: of side B of `bench ab`
_RUN = re.compile(r"[0-9a-f]{16}")


def shown(text: str) -> str:
    """The id of a cell or of a run with its letter; the name of another series as it is."""
    if _CELL.fullmatch(text):
        return f"c{text}"
    return f"r{text}" if _RUN.fullmatch(text) else text


def meant(text: str) -> str:
    """The id, as files have it, of one in either form; any other text as it is."""
    bare = text[1:]
    if (text[:1] == "c" and _CELL.fullmatch(bare)) or (text[:1] == "r" and _RUN.fullmatch(bare)):
        return bare
    return text
