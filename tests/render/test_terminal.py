"""Listings on a screen."""

from __future__ import annotations

import re

import pytest

from bench.render.document import Item, Listing
from bench.render.screen import Screen
from bench.render.terminal import _listing


@pytest.mark.parametrize("heading", ["", "shifts:"])
def test_of_an_entry_that_matters_the_first_name_alone_is_coloured(heading: str) -> None:
    items = tuple(
        Item((f"{severity} one", "beside"), "a text", severity=severity)
        for severity in ("bad", "warn")
    )
    shown = _listing(Listing(heading, (*items, Item(("so", "so"), "a text"))), Screen(colour=True))
    coloured = re.findall("\x1b\\[[0-9;]+m(.*?)\x1b", shown)
    assert [text.strip() for text in coloured] == ["bad one", "warn one"]
