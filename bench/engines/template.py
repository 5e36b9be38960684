"""The C file that ``bench init --engine`` writes: an engine that works as it is, and says why."""

from __future__ import annotations

import re
from pathlib import Path

TEMPLATE = Path(__file__).with_suffix(".c")


def template(name: str, file: str) -> str:
    """The text of a C file that defines a method ``name``."""
    words = {"NAME": name, "FILE": file}
    return re.sub(r"\b(NAME|FILE)\b", lambda word: words[word[0]], TEMPLATE.read_text())
