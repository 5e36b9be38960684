"""Going on with a run: what may be added to it, and what is still measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.base.errors import UsageError
from bench.cli import main
from bench.matrix import load
from bench.measure import runner, stop
from bench.measure.measuring import Seen
from bench.measure.prepare import vocabulary
from bench.model.matrix import Matrix
from bench.model.run import Run
from bench.plan import plan, schedule
from bench.store import reader, writer
from bench.system import host
from tests.measure.fake_opening import FakeOpening
from tests.running import Quiet, seen


def some_matrix(rounds: Any = 4) -> Matrix:
    """Two cells, one the baseline of the other, that need no privilege."""
    content = {
        "name": "m",
        "axes": {"method": ["null"], "frame_size": [64, 1514]},
        "measure": {"window": "1ms", "rounds": rounds},
        "baseline": {"frame_size": 64},
    }
    return load.parse(json.dumps(content), "m.yaml", vocabulary())


def interrupt() -> None:
    raise KeyboardInterrupt


def run(
    path: Path,
    of: Matrix,
    *,
    cpus: tuple[int, ...] = (),
    after: int = 0,
    then: Callable[[], object] = interrupt,
    of_machine: Seen[dict[str, Any]] | None = None,
    **target: Any,
) -> Run:
    """Run it to the end, or interrupt it after so many slices; ``then`` is done instead of that."""
    planned = plan.make_plan(of, vocabulary())
    planned = replace(planned, cpus=cpus or planned.cpus)
    return runner.run(
        of,
        planned,
        runner.Target(path, **target),
        Quiet(then, after),
        of_machine or seen(),
        make_opening=FakeOpening(),
    )


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """A run that was interrupted in its second round."""
    path = tmp_path / "run.jsonl"
    assert run(path, some_matrix(), after=6).end == "interrupted"
    return path


def refusal(path: Path, of: Matrix | None = None, **options: Any) -> str:
    """Why a run is not resumed, in one line; it stays as it is."""
    before = path.read_bytes()
    with pytest.raises(UsageError) as refused:
        run(path, of or some_matrix(), resume=True, **options)
    assert path.read_bytes() == before
    return str(refused.value).replace(str(path), "RUN")


# What may be added to it


def test_a_run_is_not_resumed_on_other_cpus(begun: Path) -> None:
    there = reader.read(begun).header.measure.cpus
    text = ", ".join(f"CPU {cpu}" for cpu in there)
    assert refusal(begun, cpus=(there[0], 99)) == (
        f"cannot resume RUN: it ran on {text}, not CPU {there[0]}, CPU 99; start a new run"
    )


@pytest.mark.parametrize(
    ("key", "facts", "said"),
    [
        (
            "mitigations",
            {"spectre_v2": "Vulnerable"},
            "mitigation of spectre_v2 was Mitigation: Retpolines, is Vulnerable",
        ),
        ("mitigations", {}, "mitigation of spectre_v2 was Mitigation: Retpolines, is not there"),
        ("sysctls", {"net.core.wmem_max": "9"}, "sysctl net.core.wmem_max was 8, is 9"),
    ],
)
def test_a_run_is_not_resumed_on_a_machine_that_is_set_otherwise(
    tmp_path: Path, key: str, facts: dict[str, str], said: str
) -> None:
    machine = replace(
        host.fingerprint(),
        mitigations={"spectre_v2": "Mitigation: Retpolines"},
        sysctls={"net.core.wmem_max": "8"},
    )
    path = tmp_path / "run.jsonl"
    run(path, some_matrix(), after=6, of_machine=Seen(machine, {}))
    changed = Seen(replace(machine, **{key: facts}), {})
    assert refusal(path, of_machine=changed) == f"cannot resume RUN: {said}; start a new run"
    resumed = run(path, some_matrix(), resume=True, of_machine=Seen(machine, {}))
    assert resumed.end == "done"


def test_what_an_older_header_does_not_say_is_no_obstacle(begun: Path) -> None:
    header, *rest = begun.read_text().splitlines(keepends=True)
    written = json.loads(header)
    for section, key in [("measure", "cpus"), ("host", "mitigations"), ("host", "sysctls")]:
        del written[section][key]
    begun.write_text(json.dumps(written) + "\n" + "".join(rest))
    assert run(begun, some_matrix(), resume=True).end == "done"


def test_a_run_is_resumed_with_the_seed_that_it_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.jsonl"
    of = some_matrix(rounds=12)
    run(path, replace(of, measure=replace(of.measure, seed=7)), after=6)
    said = "it is shuffled with seed 7, not 8"
    assert refusal(path, of, seed=8) == f"cannot resume RUN: {said}; start a new run"
    file = tmp_path / "m.yaml"
    file.write_text(of.text)
    assert main(["run", str(file), "--resume", str(path), "--seed", "8"]) == 2
    assert said in capsys.readouterr().err
    assert main(["run", str(file), "--resume", str(path)]) == 0
    stored = reader.read(path)
    every = [*stored.samples, *stored.calibration_samples]
    ids = [cell.id for cell in (*stored.cells, *stored.calibration)]
    for round_ in range(2, 12):
        of_round = sorted((s for s in every if s.round == round_), key=lambda s: s.at_ns)
        assert [sample.cell for sample in of_round] == schedule.round_order(ids, 7, round_)


# What is still measured


def test_a_run_is_read_only_when_nobody_else_can_write_it(
    begun: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that ended in between would get a second end, after samples of rounds it has."""
    read, was_locked = reader.read, []

    def read_under_lock(path: Path) -> Run:
        try:
            writer.RunWriter(path, append=True).close()
        except UsageError as error:
            was_locked.append("still going on" in str(error))
        else:
            was_locked.append(False)
        return read(path)

    monkeypatch.setattr(reader, "read", read_under_lock)
    assert run(begun, some_matrix(), resume=True).end == "done"
    assert was_locked[0]


def test_what_is_no_unfinished_run_is_left_as_it_is(tmp_path: Path, begun: Path) -> None:
    """No line is cut off, no file or folder made, before it is known to be a run."""
    other = tmp_path / "notes.txt"
    other.write_text("a line\nwithout an end")
    assert "not a line of a run file" in refusal(other)
    begun.write_bytes(begun.read_bytes()[:-5])
    assert "seed" in refusal(begun, seed=99)
    for place in (tmp_path / "not" / "there", tmp_path):
        with pytest.raises(UsageError, match=r"name a run file \(.jsonl\)"):
            run(place, some_matrix(), resume=True)
    assert not (tmp_path / "not").exists()


def test_cells_that_are_precise_get_no_more_rounds_when_a_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, of = tmp_path / "run.jsonl", some_matrix(rounds={"min": 4, "max": 30})
    with monkeypatch.context() as patch:
        patch.setattr(stop, "wanted", lambda samples, *_: set(samples))
        assert run(path, of, after=4 * 6).end == "interrupted"
    monkeypatch.setattr(stop, "wanted", lambda *_: set())
    before = reader.read(path).samples
    assert max(sample.round for sample in before) == 5
    resumed = run(path, of, resume=True)
    assert (resumed.end, resumed.samples) == ("done", before)
