"""The archive that a machine starts with, read back as the kernel reads it."""

from __future__ import annotations

import io
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tools.guest import foreign, initramfs
from tools.guest.architecture import AMD64, ARM64
from tools.guest.initramfs import Archive


@dataclass(frozen=True)
class Entry:
    name: str
    mode: int
    mtime: int
    content: bytes


def entries(archive: bytes) -> list[Entry]:
    """Documentation/driver-api/early-userspace/buffer-format.rst"""
    found, at = [], 0
    while at < len(archive):
        assert archive[at : at + 6] == b"070701"
        fields = [int(archive[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        mode, uid, gid, mtime, size, length = (fields[n] for n in (1, 2, 3, 5, 6, 11))
        assert (uid, gid) == (0, 0)
        name = archive[at + 110 : at + 110 + length]
        assert name.endswith(b"\0")
        start = at + 110 + length + -(110 + length) % 4
        found.append(Entry(name[:-1].decode(), mode, mtime, archive[start : start + size]))
        at = start + size + -size % 4
    assert found.pop().name == "TRAILER!!!"
    return found


def packed(*paths: Path) -> dict[str, Entry]:
    out = io.BytesIO()
    archive = Archive(out)
    for path in paths:
        archive.add(path)
    archive.close()
    found = entries(out.getvalue())
    names = [entry.name for entry in found]
    assert len(names) == len(set(names))
    for name in names:  # no folder comes after what is in it
        parents = [str(parent) for parent in Path(name).parents if str(parent) != "."]
        assert set(parents) <= set(names[: names.index(name)])
    return {f"/{entry.name}": entry for entry in found}


def test_a_file_comes_with_its_name_content_mode_and_time(tmp_path: Path) -> None:
    script, text = tmp_path / "script", tmp_path / "a folder/text"
    text.parent.mkdir()
    script.write_bytes(b"#!/bin/sh\n")
    script.chmod(0o700)
    text.write_bytes(b"x" * 5)
    found = packed(script, text, script)
    assert found[str(script)].content == b"#!/bin/sh\n"
    assert found[str(script)].mode == stat.S_IFREG | 0o755
    assert found[str(script)].mtime == int(script.stat().st_mtime)
    assert found[str(text)].content == b"x" * 5
    assert found[str(text)].mode == stat.S_IFREG | 0o644


def test_links_on_the_way_to_a_file_come_with_it(tmp_path: Path) -> None:
    """/lib -> usr/lib, and libc.so.6 -> libc-2.36.so in it."""
    library = tmp_path / "usr/lib"
    library.mkdir(parents=True)
    (library / "real").write_bytes(b"y")
    (library / "relative").symlink_to("real")
    (library / "absolute").symlink_to(tmp_path / "lib/relative")
    (tmp_path / "lib").symlink_to("usr/lib")
    found = packed(tmp_path / "lib/absolute")
    root = tmp_path
    assert found[f"{root}/lib"].content == b"usr/lib"
    assert found[f"{root}/usr/lib/absolute"].content == str(root / "lib/relative").encode()
    assert found[f"{root}/usr/lib/relative"].content == b"real"
    assert found[f"{root}/usr/lib/real"].content == b"y"
    links = [name for name, entry in found.items() if stat.S_ISLNK(entry.mode)]
    assert len(links) == 3


@pytest.mark.parametrize("is_debians", [True, False])
def test_the_environments_python_is_a_link_to_one_that_is_there_with_its_library(
    is_debians: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_debians and initramfs._debians() is None:
        pytest.skip("Debian's Python of this version is not here, or cannot import bench")
    if not is_debians:
        monkeypatch.setattr(initramfs, "_debians", lambda: None)
    out = io.BytesIO()
    initramfs.write_system(out, AMD64)
    found = {f"/{entry.name}": entry for entry in entries(out.getvalue())}
    link = found[sys.executable]
    assert stat.S_ISLNK(link.mode)
    python = Path(link.content.decode())
    assert found[str(python)].mode == stat.S_IFREG | 0o755
    assert (python == Path(sys.executable).resolve()) or is_debians
    home = found[str(Path(sys.prefix, "pyvenv.cfg"))].content
    assert home == f"home = {python.parent}\n".encode()
    (library,) = [name for name in found if name.endswith("/os.py")]
    assert Path(library).parent.name == python.name
    assert [name for name in found if name.startswith(f"{Path(library).parent}/lib-dynload/")]


def test_of_a_foreign_system_only_what_a_machine_uses_is_in_it(tmp_path: Path) -> None:
    library = "usr/lib/aarch64-linux-gnu"
    for name in ("bin/dash", "bin/awk", f"{library}/libc.so.6", f"{library}/gconv/X.so"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "usr/share/doc").mkdir(parents=True)
    (tmp_path / "usr/share/doc/text").touch()
    (tmp_path / "bin/sh").symlink_to("dash")
    names = {str(name) for _, name in foreign.files(tmp_path, ["sh", "ip"])}
    assert names == {"/bin/dash", "/bin/sh", f"/{library}/libc.so.6"}


def test_a_machine_of_another_architecture_has_nothing_that_was_compiled_for_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes from elsewhere is left out of it here."""
    pinned: list[str] = []

    def packages(_architecture: object, names: list[str], _place: object) -> Path:
        pinned.extend(names)
        return tmp_path

    monkeypatch.setattr(foreign, "packages", packages)
    monkeypatch.setattr(foreign, "system", lambda _: tmp_path)
    monkeypatch.setattr(foreign, "core", lambda *_: b"arm")
    out = io.BytesIO()
    initramfs.write_system(out, ARM64)
    found = {f"/{entry.name}": entry for entry in entries(out.getvalue())}
    assert [name for name, entry in found.items() if entry.content.startswith(b"\x7fELF")] == []
    assert [entry.content for name, entry in found.items() if name.endswith(".so")] == [b"arm"] * 2
    assert {name.partition("==")[0] for name in pinned} >= {"cffi", "pydantic_core"}
    assert [name for name in found if "/pydantic_core/" in name] == []
    assert [name for name in found if name.endswith("/pytest/__init__.py")]


def test_what_decides_on_a_python_is_right_of_the_one_that_runs_bench() -> None:
    """It is a text, whose names nothing else holds: another Python would always be refused."""
    told = subprocess.run(
        [sys.executable, "-Ic", initramfs._trial()], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    assert all(Path(line, "os.py").exists() for line in told.stdout.splitlines()[:1])
