"""A run that has not changed is taken from the cache; what is wrong with a cache harms nobody."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.model.summaries import RunSummary
from bench.store import cache
from bench.store.cache import Cache
from bench.store.run_summaries import read_summary
from tests.store.test_run_summaries import SUMMARIES, of_samples, unasked, write


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "runs" / "r.jsonl")


def kept(path: Path) -> RunSummary:
    """A run that was read, put and saved."""
    of, run = Cache(path.parent), read_summary(path, unasked)
    of.put(path, path.stat(), run)
    of.save([path.name])
    return run


def found(path: Path) -> RunSummary | None:
    return Cache(path.parent).get(path, path.stat())


@pytest.mark.usefixtures("home")
def test_a_run_is_found_as_it_was_put(path: Path) -> None:
    assert found(path) is None
    run, of_cache = kept(path), found(path)
    assert of_cache == run
    assert of_cache is not None
    assert of_cache.summaries == SUMMARIES


@pytest.mark.usefixtures("home")
def test_a_file_that_has_changed_is_not(path: Path) -> None:
    kept(path)
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert found(path) is None
    path.write_bytes(path.read_bytes() + b"\n")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert found(path) is None


@pytest.mark.usefixtures("home")
def test_runs_of_two_folders_are_apart(path: Path, tmp_path: Path) -> None:
    kept(path)
    assert found(write(tmp_path / "others" / "r.jsonl")) is None


@pytest.mark.usefixtures("home")
def test_what_is_alike_in_many_runs_is_kept_once(path: Path) -> None:
    other = write(path.with_name("s.jsonl"))
    of = Cache(path.parent)
    for each in (path, other):
        of.put(each, each.stat(), read_summary(each, unasked))
    of.save([path.name, other.name])
    again = Cache(path.parent)
    first, second = (again.get(each, each.stat()) for each in (path, other))
    assert first is not None
    assert second is not None
    assert first.cells is second.cells
    assert first.header.baselines is second.header.baselines


@pytest.mark.usefixtures("home")
def test_what_is_no_longer_there_is_no_longer_kept(path: Path) -> None:
    kept(path)
    Cache(path.parent).save([])
    assert found(path) is None


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "cut off": lambda content: content[:-5],
    "a byte": lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
    "other": lambda content: cache._checksum(b"\x93\x01\x02\x03") + b"\x93\x01\x02\x03",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_cache_is_none_and_made_again(path: Path, home: Path, damage: str) -> None:
    run = kept(path)
    (file,) = home.rglob("*.summaries")
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    assert found(path) is None
    kept(path)
    assert found(path) == run


def test_other_sources_of_bench_summarise_anew(
    path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept(path)
    monkeypatch.setattr(cache, "_sources", lambda: "others")
    assert found(path) is None


def test_without_a_place_for_it_there_is_none(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    kept(path)
    assert found(path) is None


def test_a_run_without_summaries_is_summarised_once(path: Path, home: Path) -> None:
    killed = path.with_name("killed.jsonl")
    killed.write_text("".join(path.read_text().splitlines(keepends=True)[:-2]))
    of, run = Cache(path.parent), read_summary(killed, of_samples)
    of.put(killed, killed.stat(), run)
    of.save([killed.name])
    assert found(killed) == run
    assert home.is_dir()
