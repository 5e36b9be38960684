"""Others' text on a terminal: run files and matrices are passed on and may hold anything."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with an escape (``\\x1b``) for each invisible character.

    These are control characters, line feeds among them, which a terminal obeys; characters that
    turn the direction of writing; and surrogates, which no encoding has.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
