"""Content of run files: what gzip packed, what comes by a pipe, what git has merged."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from bench.store.content import bytes_of, merge_mark

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


def test_a_pipe_is_read_whole(tmp_path: Path) -> None:
    """``bench show <(xz -dc run.jsonl.xz)``"""
    for content in (b"{}\n{}\n", gzip.compress(b"{}\n{}\n")):
        reading, writing = os.pipe()
        os.write(writing, content)
        os.close(writing)
        try:
            assert bytes_of(Path(f"/proc/self/fd/{reading}")) == b"{}\n{}\n"
        finally:
            os.close(reading)
