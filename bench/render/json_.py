"""JSON: everything that a document has for programs."""

from __future__ import annotations

import json

from bench.render.document import Document
from bench.render.screen import PAPER, Screen

FORMAT = 3
"""Goes up when a key changes its meaning or goes away, not when one is added."""


def render(document: Document, _screen: Screen = PAPER) -> str:
    """One JSON object: name, facts and notes of any verb, and what is the verb's own."""
    whole = {
        "format": FORMAT,
        "name": document.name,
        "description": document.description,
        **document.data,
        "provenance": document.records.provenance,
        "facts": {fact.key: fact.value for fact in document.facts if fact.key},
        document.records.name: document.records.rows,
        "notes": document.notes,
    }
    return json.dumps(whole, indent=2) + "\n"
