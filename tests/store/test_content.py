"""Content of files that git has merged."""

from __future__ import annotations

import pytest

from bench.store.content import merge_mark

OURS, BETWEEN, THEIRS = b"<<<<<<< HEAD", b"=======", b">>>>>>> night"


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([], 0),
        ([b"{}", b"{}"], 0),
        ([OURS, b"{}", BETWEEN, b"{}", THEIRS], 1),
        ([b"{}", b"{}", OURS, b"{}"], 3),
        ([b"{}", THEIRS], 2),
        ([b" <<<<<<< HEAD", b'{"text": "======="}'], 0),
    ],
)
def test_the_first_line_of_a_conflict_is_found(lines: list[bytes], found: int) -> None:
    assert merge_mark(b"\n".join(lines)) == found
