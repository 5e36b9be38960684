"""A run file that can be read can be shown in every format, and compared; else it is one line."""

from __future__ import annotations

import io
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from bench import cli
from bench.render import FORMATS


def seeds() -> list[Path]:
    return sorted(corpus().iterdir())


def corpus() -> Path:
    return Path(__file__).parent / "corpus" / "run"


def dictionary() -> list[str]:
    text = (corpus() / "short.jsonl").read_text()
    return sorted({word for word in text.split('"') if word.isidentifier()})


def feed(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.jsonl")
        path.write_bytes(data)
        form = [*FORMATS][len(data) % len(FORMATS)]
        _expect((0, 2), "show", str(path), "--format", form)
        good = str(corpus() / "short.jsonl")
        _expect((0, 2, 3, 4), "compare", good, str(path), "--force", "--format", form)


def _expect(codes: tuple[int, ...], *arguments: str) -> None:
    """One of these exit codes; what is said on stderr (a last line may be cut off) is in lines of
    ours, and there is one where the input is bad."""
    out, err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = cli.main([*arguments])
    said = err.getvalue().split("\n")[:-1]
    assert code in codes, (code, said)
    assert all(line.startswith("bench: ") for line in said), said
    assert said or code != 2
