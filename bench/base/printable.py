"""What others wrote, on a terminal: run files and matrices are passed on and may hold anything."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with an escape (``\\x1b``) for each character that is not to be seen.

    Such are control characters, which a terminal obeys, those that turn the direction of writing,
    and surrogates, which no encoding has. Line feeds are among them.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
