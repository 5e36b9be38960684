"""``python -m tests.fuzz HARNESS SECONDS``: atheris on one of the harnesses.

What it learns is kept in .fuzz/HARNESS and made use of next time; an input that breaks something is
left there as crash-*, and the exit code is not 0.
"""

from __future__ import annotations

import importlib
import shutil
import sys
import tempfile
from pathlib import Path

import atheris

LEARNT = Path(__file__).parents[2] / ".fuzz"
LARGEST = 8192
"""Bytes of an input."""
SLOWEST_S = 60
"""A single input that takes longer is a fault, on a busy machine too."""


def main() -> None:
    name, seconds = sys.argv[1], int(sys.argv[2])
    tempfile.tempdir = "/dev/shm"  # thousands of files, none of which is worth a disk
    with atheris.instrument_imports(include=["bench", "yaml"]):
        harness = importlib.import_module(f"tests.fuzz.{name}")
    learnt, words = LEARNT / name, LEARNT / f"{name}.dict"
    learnt.mkdir(parents=True, exist_ok=True)
    for seed in harness.seeds():
        shutil.copy(seed, learnt / seed.name)
    words.write_text("".join(f'"{word}"\n' for word in harness.dictionary()))
    options = {
        "max_total_time": seconds,
        "max_len": LARGEST,
        "timeout": SLOWEST_S,
        "dict": words,
        "artifact_prefix": f"{LEARNT}/{name}-",
        "print_final_stats": 1,
        "verbosity": 0,
    }
    arguments = [f"-{key}={value}" for key, value in options.items()]
    atheris.Setup([sys.argv[0], *arguments, str(learnt)], harness.feed)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
