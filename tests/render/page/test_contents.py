"""What the contents at the top of a page link to."""

from __future__ import annotations

import re

from bench.render.page.markup import NOTHING
from bench.render.page.page import Part, Section, page


def links_of(*parts: str) -> dict[str, str]:
    """Texts and where they lead to; each part has two sections."""
    made = [Part(title, NOTHING, [Section("Table"), Section("The run in time")]) for title in parts]
    text = page("title", made, "")
    found = {name: to for to, name in re.findall(r'<a href="#([^"]+)">([^<]+)</a>', text)}
    assert all(f'id="{to}"' in text for to in found.values())
    return found


def test_of_one_run_there_are_its_sections_and_of_several_the_runs() -> None:
    assert links_of("one") == {"Table": "part0-table", "The run in time": "part0-the-run-in-time"}
    assert links_of("one", "two") == {"one": "part0", "two": "part1"}
