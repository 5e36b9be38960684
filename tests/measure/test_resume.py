"""Going on with a run: what may be added to it, and what is still measured."""

from __future__ import annotations

import json
import re
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
from bench.model.header import HostFacts
from bench.model.matrix import Matrix, Rounds
from bench.model.run import Run
from bench.plan import plan, schedule
from bench.store import folders, reader, writer
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


HERE = host.fingerprint()


def on(machine: HostFacts) -> dict[str, Any]:
    return {"of_machine": Seen(machine, {})}


@pytest.mark.parametrize(
    ("then", "now", "change", "said"),
    [
        ("ci", "ci", {"hostname": "bbb222", "cpu": "another"}, None),
        ("", "", {}, None),
        ("ci", "lab", {}, "it is from another machine (ci, this is lab)"),
        ("", "", {"hostname": "bbb222"}, "it is from another machine"),
        ("", "ci", {"hostname": "bbb222"}, "it is from another machine"),
        ("ci", "", {}, None),
        ("", "", {"cpu": "another"}, f"it is from another machine ({HERE.cpu}, this is another"),
        ("ci", "ci", {"kernel": "9.9"}, "the machine has changed since, to another kernel"),
        ("ci", "ci", {"kernel_version": "#9"}, "the machine has changed since, to another kernel"),
        (
            *("", "", {"kernel": "9.9", "boot_id": "2"}),
            "the machine has rebooted since, to another kernel",
        ),
    ],
)
def test_the_users_word_decides_which_machine_it_is_and_else_hostname_and_cpu(
    tmp_path: Path, then: str, now: str, change: dict[str, str], said: str | None
) -> None:
    path = tmp_path / "run.jsonl"
    run(path, some_matrix(), after=6, machine=then)
    machine = on(replace(HERE, **change))
    if said is None:
        assert run(path, some_matrix(), resume=True, machine=now, **machine).end == "done"
    else:
        assert said in refusal(path, machine=now, **machine)


def test_a_run_that_goes_on_after_a_reboot_does_so_in_a_new_opening(begun: Path) -> None:
    before = reader.read(begun)
    last = max(sample.opening for sample in before.samples)
    rebooted = replace(HERE, boot_id="another")
    after = run(begun, some_matrix(), resume=True, **on(rebooted)).samples[len(before.samples) :]
    assert after
    assert {sample.opening for sample in after} == {last + 1}
    boots = [json.loads(line).get("boot_id") for line in begun.read_text().splitlines()]
    assert before.header.host.boot_id == HERE.boot_id
    assert [boot for boot in boots if boot] == ["another"]


def test_what_a_text_means_decides_and_not_the_text(begun: Path) -> None:
    """Comments, order, names of the matrix: what is added is the same."""
    of = some_matrix()
    other = replace(of, text=f"# mended\n{of.text}", name="m2", description="better")
    assert run(begun, other, resume=True).end == "done"


@pytest.mark.parametrize(
    ("measure", "said"),
    [
        ({"window_ns": 2_000_000}, "it has window '1ms', not '2ms'"),
        ({"rounds": Rounds(4, 9)}, "it has rounds {min: 4, max: 4}, not {min: 4, max: 9}"),
        ({"openings": 2}, "it has openings 1, not 2"),
        ({"precision": 0.5}, "it has precision 0.01, not 0.5"),
    ],
)
def test_what_is_measured_otherwise_is_named(
    begun: Path, measure: dict[str, Any], said: str
) -> None:
    of = some_matrix()
    changed = replace(of, measure=replace(of.measure, **measure))
    assert refusal(begun, changed) == f"cannot resume RUN: {said}; start a new run"


def test_other_baselines_and_other_cells_are_another_run(tmp_path: Path, begun: Path) -> None:
    of = some_matrix()
    swapped = replace(of, baseline={"frame_size": 1514})
    assert "it has other baselines" in refusal(begun, swapped)
    one = replace(of, axes={**of.axes, "frame_size": (64,)})
    assert refusal(begun, one) == "cannot resume RUN: it has other cells; start a new run"
    path = tmp_path / "filtered.jsonl"
    run(path, one, after=2, filters=("frame_size=64",))
    assert "it was called with --filter frame_size=64" in refusal(path, of)


def test_a_call_without_filters_takes_over_those_that_a_run_began_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    of, file, path = some_matrix(rounds=12), tmp_path / "m.yaml", tmp_path / "run.jsonl"
    file.write_text(of.text)
    one = replace(of, axes={**of.axes, "frame_size": (64,)})
    run(path, one, after=4, filters=("frame_size=64",))
    assert main(["run", str(file), "--resume", str(path), "--filter", "frame_size=1514"]) == 2
    capsys.readouterr()
    assert main(["run", str(file), "--resume", str(path)]) == 0
    assert f"bench: {path} began with --filter frame_size=64" in capsys.readouterr().err
    assert {cell.frame_size for cell in reader.read(path).cells} == {64}


def test_a_call_without_settings_takes_over_those_that_a_run_began_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    of, file, path = some_matrix(rounds=12), tmp_path / "m.yaml", tmp_path / "run.jsonl"
    file.write_text(of.text)
    set_ = replace(of, axes={**of.axes, "frame_size": (64, 128)})
    run(path, set_, after=4, settings=("frame_size=64,128",))
    assert main(["run", str(file), "--resume", str(path), "--set", "frame_size=64,256"]) == 2
    assert "it was called with --set frame_size=64,128" in capsys.readouterr().err
    assert main(["run", str(file), "--resume", str(path)]) == 0
    assert f"bench: {path} began with --set frame_size=64,128:" in capsys.readouterr().err
    stored = reader.read(path)
    assert {cell.frame_size for cell in stored.cells} == {64, 128}
    assert (stored.end, stored.header.settings) == ("done", ("frame_size=64,128",))


def test_the_latest_run_is_so_by_its_content(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where the content of another is from a clock that was wrong."""
    file, of = tmp_path / "m.yaml", some_matrix(rounds=12)
    file.write_text(of.text)
    folder = folders.results_folder(tmp_path, "ci", "m")
    names = ["20310101T000000Z-aaaaaa", "20200101T000000Z-bbbbbb", "20250101T000000Z-cccccc"]
    first, last, future = (folder / f"{name}.jsonl" for name in names)
    for path in (first, last, future):
        run(path, of, after=4, machine="ci")
    for path, century in ((first, 19), (future, 99)):
        path.write_text(path.read_text().replace('"started":"20', f'"started":"{century}'))
    assert main(["run", str(file), "--machine", "ci", "--results", str(tmp_path), "--resume"]) == 0
    said = capsys.readouterr().err
    assert f"bench: goes on with {last}" in said
    assert {first.name, future.name} <= {*re.split("[ ,]+", said)}
    assert [reader.read(path).end for path in (first, last)] == ["interrupted", "done"]


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
