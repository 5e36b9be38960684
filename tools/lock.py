#!/usr/bin/env python3
"""Renews requirements.lock and says what changed; `make lock` calls it.

The lock has the newest versions that pyproject.toml allows, with the hashes of their files, for
every Python and CPU of PYTHONS and MACHINES. uv resolves for all of them at once, which pip cannot;
only this tool needs it, in an environment that is removed at the end. No .venv is needed: a broken
lock makes none.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
PYTHONS = ("3.11", "3.12", "3.13", "3.14", "3.15")
MACHINES = ("x86_64", "aarch64")
_PINNED = re.compile(r"([\w.-]+)==(\S+)")


def pinned(text: str) -> dict[str, str]:
    """Packages of a lock and their versions; all versions, if Pythons have different ones."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if m := _PINNED.match(line):
            found.setdefault(m[1], []).append(m[2])
    return {name: ", ".join(versions) for name, versions in found.items()}


def changes(before: str, after: str) -> list[str]:
    """A line for each package that differs between two locks, by name."""
    old, new = pinned(before), pinned(after)
    lines = []
    for name in sorted(old.keys() | new.keys()):
        if name not in old:
            lines.append(f"{name} {new[name]} added")
        elif name not in new:
            lines.append(f"{name} {old[name]} removed")
        elif old[name] != new[name]:
            lines.append(f"{name} {old[name]} -> {new[name]}")
    return lines


def _compile(uv: Path, source: Path, *options: str) -> str:
    command = [str(uv), "pip", "compile", "--quiet", "--only-binary", ":all:", *options]
    return subprocess.run(
        [*command, str(source)], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def _renewed(folder: Path) -> str:
    """A new lock. Raises CalledProcessError, after the reason is on stderr."""
    venv.create(folder, with_pip=True)
    subprocess.run([str(folder / "bin/pip"), "install", "--quiet", "uv"], check=True)
    uv, made = folder / "bin/uv", folder / LOCK.name
    text = _compile(
        *(uv, ROOT / "pyproject.toml", "--universal", "--python-version", PYTHONS[0]),
        *("--extra", "dev", "--extra", "fuzz", "--extra", "report"),
        *("--generate-hashes", "--no-annotate", "--custom-compile-command", "make lock"),
    )
    made.write_text(text)
    for python in PYTHONS:  # each has a file of every package, or this fails and names it
        for machine in MACHINES:
            platform = f"{machine}-manylinux_2_28"
            options = ("--python-version", python, "--python-platform", platform)
            _compile(uv, made, "--no-deps", *options)
    return text


def main() -> int:
    before = LOCK.read_text() if LOCK.exists() else ""
    try:
        with tempfile.TemporaryDirectory() as folder:
            after = _renewed(Path(folder))
    except subprocess.CalledProcessError:
        print(f"lock: {LOCK.name} stays what it was", file=sys.stderr)
        return 1
    LOCK.write_text(after)
    print(*changes(before, after) or [f"{LOCK.name} has the newest versions already"], sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
