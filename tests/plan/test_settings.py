"""--set: values of axes from the command line, in place of the matrix file's."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.base.errors import UsageError
from bench.matrix import load
from bench.model.matrix import Matrix
from bench.plan.plan import Plan, make_plan
from bench.plan.settings import parse_settings, with_settings
from tests.vocabulary import WORDS

TEXT = """\
name: m
axes:
  method: [sendto, sendmmsg]
  frame_size: [64, 1514]
  threads: 1
exclude:
  - {method: sendto, frame_size: 1514}
"""


def a_matrix(more: str = "", text: str = TEXT) -> Matrix:
    return load.parse(text + more, "m.yaml", WORDS)


def planned(*settings: str, of: Matrix | None = None) -> Plan:
    return make_plan(with_settings(of or a_matrix(), settings, WORDS), WORDS)


def refusal(*settings: str, of: Matrix | None = None) -> str:
    with pytest.raises(UsageError) as refused:
        planned(*settings, of=of)
    return str(refused.value)


def test_an_axis_has_the_values_of_the_command_line_alone() -> None:
    cells = planned("frame_size=128,256").cells
    assert {(cell.method, cell.frame_size) for cell in cells} == {
        (method, size) for method in ("sendto", "sendmmsg") for size in (128, 256)
    }


def test_an_axis_that_the_matrix_does_not_name_may_be_set() -> None:
    assert [c.values["burst"] for c in planned("burst=1,8", "method=sendmmsg").cells] == [1, 8] * 2


def test_rules_of_the_file_hold_for_the_values_that_they_name() -> None:
    kept = {(cell.method, cell.frame_size) for cell in planned("frame_size=1514,9000").cells}
    assert kept == {("sendto", 9000), ("sendmmsg", 1514), ("sendmmsg", 9000)}


def test_the_same_cells_have_the_ids_that_a_file_with_these_values_gives_them() -> None:
    file = a_matrix(text=TEXT.replace("[64, 1514]", "[1514, 9000]"))
    assert planned("frame_size=1514,9000").cells == planned(of=file).cells


@given(st.lists(st.integers(14, 65535), min_size=1, max_size=9, unique=True))
def test_a_list_is_written_with_brackets_or_without(sizes: list[int]) -> None:
    bare = json.dumps(sizes)[1:-1]
    assert parse_settings([f"frame_size={bare}"], WORDS) == {"frame_size": tuple(sizes)}
    assert parse_settings([f"frame_size=[{bare}]"], WORDS) == {"frame_size": tuple(sizes)}


def test_values_with_options_are_written_as_in_a_matrix() -> None:
    wanted = ["qdisc=noqueue,{kind: pfifo, limit: 50}", "sndbuf={bytes: 8MiB, force: true}"]
    assert parse_settings(wanted, WORDS) == {
        "qdisc": ({"kind": "noqueue"}, {"kind": "pfifo", "limit": 50}),
        "sndbuf": ({"bytes": 8 << 20, "force": True},),
    }


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["burst"], "--set burst: not of the form"),
        (["burst= "], "--set burst= : not of the form"),
        (["burts=1"], "--set burts=1: unknown axis, did you mean burst?"),
        (["cell=c1"], "--set cell=c1: unknown axis"),
        (["burst=0"], "--set burst=0: burst: 0 is not allowed; write a whole number from 1"),
        (["burst=1,1"], "--set burst=1,1: burst: 1 repeats 1"),
        (["burst=1,"], ""),
        (["burst=1", "burst=2"], "--set burst=2: burst is set twice"),
        (["qdisc={kind: pfifo, limt: 5}"], "unknown key 'limt'"),
        (["msg_dontwait=yes"], "write true or false"),
        (["burst=1]\n  threads: [1"], "--set burst=1]"),
        (["burst=]["], "--set burst=]["),
    ],
)
def test_a_setting_that_means_nothing_says_what_is_allowed(settings: list[str], said: str) -> None:
    if said:
        assert said in refusal(*settings)
    else:  # YAML lets a list end with a comma
        assert planned(*settings).cells


def test_what_cannot_work_names_the_option_and_not_a_line_of_the_file() -> None:
    said = refusal("threads=64", of=a_matrix("measure: {cpus: [0]}\n"))
    assert said == "--set threads=64: 64 threads on 1 CPU; at most 1"


def test_zipped_axes_are_set_together() -> None:
    of = a_matrix("zip: [[method, frame_size]]\n")
    assert "method has 2, frame_size has 3 values" in refusal("frame_size=64,65,66", of=of)
    both = planned("frame_size=64,65", "method=sendmmsg,sendto", of=of)
    assert [(c.method, c.frame_size) for c in both.cells] == [("sendmmsg", 64), ("sendto", 65)]


def test_a_baseline_that_no_cell_is_any_more_is_said() -> None:
    assert "no cell of the matrix is a baseline" in refusal(
        "frame_size=9000", of=a_matrix("baseline: {frame_size: 64}\n")
    )
