"""HTML out of others' texts: the only place where a text becomes markup.

``Markup`` is HTML already; every other text is escaped, and its invisible characters are shown. So
no text of a run file is ever taken for markup or for script.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterable

from bench.base.printable import printable
from bench.render.document import Json


class Markup(str):
    """A piece of HTML."""

    __slots__ = ()


NOTHING = Markup()


def escaped(text: str) -> Markup:
    return text if isinstance(text, Markup) else Markup(html.escape(printable(text)))


def joined(parts: Iterable[str], between: str = "") -> Markup:
    return Markup(escaped(between).join(map(escaped, parts)))


def tag(name: str, *content: str, **attributes: str | bool) -> Markup:
    """An element. ``class_`` is class, ``aria_label`` is aria-label; a flag has no value."""
    written = []
    for key, value in attributes.items():
        label = key.rstrip("_").replace("_", "-")
        if value is True:
            written.append(f" {label}")
        elif value is not False:
            written.append(f' {label}="{escaped(value)}"')
    inner = joined(content)
    return Markup(f"<{name}{''.join(written)}>{inner}</{name}>")


_IN_SCRIPT = {character: f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


def data(value: Json, name: str) -> Markup:
    """JSON in an element that no browser runs, whatever texts it has."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for character, code in _IN_SCRIPT.items():
        text = text.replace(character, code)
    return Markup(f'<script type="application/json" id="{name}">{text}</script>')
