"""Which cells are closed where memory does not hold them all."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from hypothesis import given
from hypothesis import strategies as st

from bench.measure.residency import Residency


def with_open(cells: Collection[str], memory: Mapping[str, int], budget: int) -> Residency:
    residency = Residency(memory, budget)
    for cell in cells:
        residency.opened(cell)
    return residency


def test_the_cell_that_is_used_last_is_closed_first_and_no_more_than_needed() -> None:
    memory = {"a": 4, "b": 4, "c": 4, "new": 4, "large": 8}
    assert with_open("abc", memory, 16).to_evict("new", ["a", "b", "c"]) == []
    assert with_open("abc", memory, 12).to_evict("new", ["a", "c", "b"]) == ["b"]
    assert with_open("abc", memory, 12).to_evict("new", ["a", "b"]) == ["c"]
    assert with_open("abc", memory, 12).to_evict("large", ["a", "b", "c"]) == ["c", "b"]


def test_what_was_closed_takes_no_room() -> None:
    residency = with_open("ab", {"a": 4, "b": 4, "c": 4}, 8)
    residency.closed("a")
    assert "a" not in residency
    assert "b" in residency
    assert residency.to_evict("c", ["b"]) == []
    residency.opened("c")
    residency.clear()
    assert not {"b", "c"} & {cell for cell in "abc" if cell in residency}


def test_a_rival_is_closed_whatever_room_there_is() -> None:
    memory = {"a": 4, "b": 4, "c": 4}
    residency = Residency(memory, 100, {"a": ["b"], "b": ["a"]})
    for cell in ("b", "c"):
        residency.opened(cell)
    assert residency.to_evict("a", ["b", "c"]) == ["b"]
    tight = Residency(memory, 8, {"a": ["b"], "b": ["a"]})
    for cell in ("b", "c"):
        tight.opened(cell)
    assert tight.to_evict("a", ["b", "c"]) == ["b"]


@given(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=60), st.integers(1, 6))
def test_evicting_never_closes_more_cells_than_first_in_first_out_would(
    uses: list[str], room: int
) -> None:
    def closed_by_plan() -> int:
        residency, count = Residency(dict.fromkeys(uses, 1), room), 0
        for position, cell in enumerate(uses):
            if cell not in residency:
                gone = residency.to_evict(cell, uses[position + 1 :])
                for other in gone:
                    residency.closed(other)
                count += len(gone)
                residency.opened(cell)
                assert sum(other in residency for other in set(uses)) <= room
        return count

    def closed_first_in_first_out() -> int:
        resident: list[str] = []
        count = 0
        for cell in uses:
            if cell not in resident:
                gone = max(0, len(resident) + 1 - room)
                resident = [*resident[gone:], cell]
                count += gone
        return count

    assert closed_by_plan() <= closed_first_in_first_out()
