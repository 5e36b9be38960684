"""A run that has not changed is taken from the cache; what is wrong with a cache harms nobody."""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bench.campaign.leveled import leveled
from bench.model.leveled import LeveledRun
from bench.store import kept
from bench.store.cache import ENDING, Cache, _Content
from bench.store.run_summaries import read_summary
from tests.store.test_run_summaries import of_samples, unasked, write


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "runs" / "r.jsonl")


def read(path: Path) -> LeveledRun:
    run = leveled(read_summary(path, unasked))
    return run


def put(path: Path) -> LeveledRun:
    """A run that was read, put and saved."""
    of, run = Cache(path.parent), read(path)
    of.put(path, path.stat(), run)
    of.save([path.name])
    return run


def alike(one: LeveledRun | None, other: LeveledRun) -> bool:
    """All the same; NaN in the same places, which equals nothing."""
    if one is None or [*one.levels] != [*other.levels]:
        return False
    pairs = [(one.levels[figure], other.levels[figure]) for figure in one.levels]
    rest = replace(one, levels={}) == replace(other, levels={})
    return rest and all(bytes(memoryview(a)) == bytes(memoryview(b)) for a, b in pairs)


def found(path: Path) -> LeveledRun | None:
    return Cache(path.parent).get(path, path.stat())


@pytest.mark.usefixtures("home")
def test_a_run_is_found_as_it_was_put(path: Path) -> None:
    assert found(path) is None
    run = put(path)
    assert alike(found(path), run)
    assert run.ids == ("a", "c")
    assert run.doubts == {"a": ("lossy",)}
    assert math.isnan(run.levels["pps"][0])
    level = (math.log(1000.0) + math.log(900.5)) / 2
    assert [*run.levels["ns_per_frame"]] == pytest.approx([level, math.nan], nan_ok=True)
    assert run.rounds == 58


@pytest.mark.usefixtures("home")
def test_a_file_that_has_changed_is_not(path: Path) -> None:
    put(path)
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert found(path) is None
    path.write_bytes(path.read_bytes() + b"\n")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert found(path) is None


@pytest.mark.usefixtures("home")
def test_runs_of_two_folders_are_apart(path: Path, tmp_path: Path) -> None:
    put(path)
    assert found(write(tmp_path / "others" / "r.jsonl")) is None


@pytest.mark.usefixtures("home")
def test_what_is_alike_in_many_runs_is_kept_once(path: Path) -> None:
    other = write(path.with_name("s.jsonl"))
    of = Cache(path.parent)
    for each in (path, other):
        of.put(each, each.stat(), read(each))
    of.save([path.name, other.name])
    again = Cache(path.parent)
    first, second = (again.get(each, each.stat()) for each in (path, other))
    assert first is not None
    assert second is not None
    assert first.cells is second.cells
    assert first.header.baselines is second.header.baselines


@pytest.mark.usefixtures("home")
def test_what_is_no_longer_there_is_no_longer_kept(path: Path) -> None:
    put(path)
    Cache(path.parent).save([])
    assert found(path) is None


OTHER = zlib.crc32(b"\x93\x01\x02\x03").to_bytes(4, "little") + b"\x93\x01\x02\x03"
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "cut off": lambda content: content[:-5],
    "a byte": lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
    "other": lambda content: content[:32] + OTHER,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_cache_is_none_and_made_again(path: Path, home: Path, damage: str) -> None:
    run = put(path)
    (file,) = home.rglob("*.levels")
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    assert found(path) is None
    put(path)
    assert alike(found(path), run)


WRONG: dict[str, Callable[[_Content], None]] = {
    "a text that is not there": lambda content: content.texts.clear(),
    "a text of something else": lambda content: content.texts.reverse(),
    "levels of fewer cells": lambda content: content.runs[0].levels.update(pps=memoryview(b"")),
}


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("wrong", WRONG)
def test_what_nobody_put_into_a_cache_is_not_found_and_the_run_is_read(
    path: Path, wrong: str
) -> None:
    """Its checksum fits."""
    run = put(path)
    file = kept.path_for(path.parent, ENDING)
    content = kept.read(file, _Content)
    assert content is not None
    WRONG[wrong](content)
    kept.write(file, content)
    assert found(path) is None
    put(path)
    assert alike(found(path), run)


def test_other_sources_of_bench_summarise_anew(
    path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(path)
    monkeypatch.setattr(kept, "sources", lambda: bytes(32))
    assert found(path) is None


def test_without_a_place_for_it_there_is_none(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    put(path)
    assert found(path) is None


def test_a_run_without_summaries_is_summarised_once(path: Path, home: Path) -> None:
    killed = path.with_name("killed.jsonl")
    killed.write_text("".join(path.read_text().splitlines(keepends=True)[:-2]))
    of, run = Cache(path.parent), leveled(read_summary(killed, of_samples))
    of.put(killed, killed.stat(), run)
    of.save([killed.name])
    assert alike(found(killed), run)
    assert home.is_dir()


@pytest.mark.parametrize("name", ["analysis/a.py", "campaign/a.py", "model/a.py", "store/a.py"])
def test_what_other_sources_kept_is_not_there(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "__file__", str(tmp_path / "bench/store/kept.py"))
    sources = kept.sources.__wrapped__
    for folder in ("analysis", "campaign", "model", "store", "render"):
        (tmp_path / "bench" / folder).mkdir(parents=True)
    before = sources()
    (tmp_path / "bench/render/a.py").write_text("1")
    assert sources() == before
    (tmp_path / "bench" / name).write_text("1")
    assert sources() != before
