"""The options that engines declare: as axes of a matrix, and as the core has their values."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bench.base.errors import BenchError
from bench.engines import core, options
from bench.engines.config import config_of
from bench.engines.library import library
from bench.model.axes import AXES, Axis, Choice, Flag, Ring, Size, Whole
from bench.model.vocabulary import axes_of
from tests.vocabulary import RING_OPTIONS, WORDS


def test_the_words_of_the_tests_are_what_the_ring_declares() -> None:
    ring = core.methods()["tx_ring"]
    assert ring.options == RING_OPTIONS
    assert ring.knobs == WORDS.methods["tx_ring"].knobs


def test_all_engines_agree_on_their_options() -> None:
    methods = core.methods()
    declared = {option.name for method in methods.values() for option in method.options}
    assert axes_of(methods).keys() == declared | AXES.keys()


def test_values_are_handed_over_in_the_order_of_the_declaration() -> None:
    ring = {"version": 3, "block_size": 8192, "block_nr": 7, "frame_size": 1024}
    values = {"ring": ring, "ring_wait": "spin", "mmap_locked": True, "vnet_hdr": None}
    config = config_of({"method": "tx_ring", "frame_size": 64, "threads": 1, **values})
    assert {name: getattr(config.options[0].ring, name) for name in ring} == ring
    assert [config.options[i].number for i in range(1, 7)] == [2, 0, 1, 0, 1, 0]


def test_an_option_without_a_value_is_at_its_default() -> None:
    config = config_of({"method": "tx_ring", "frame_size": 64, "threads": 1})
    (default, *_) = (option.default for option in RING_OPTIONS)
    assert isinstance(default, dict)
    assert {name: getattr(config.options[0].ring, name) for name in default} == default


# Declarations of other engines


class Declaring:
    """Engines that declare options: structs of the core, whose texts live as long as this."""

    def __init__(self) -> None:
        self._ffi = library().ffi
        self._kept: list[Any] = []

    def text(self, text: str) -> Any:
        self._kept.append(self._ffi.new("char[]", text.encode()))
        return self._kept[-1]

    def option(self, **fields: Any) -> Any:
        some = {"name": "depth", "help": "what it does", **fields}
        texts = {name: self.text(v) for name, v in some.items() if isinstance(v, str)}
        choices = {"choices": [self.text(name) for name in some.pop("choices", [])]}
        self._kept.append(self._ffi.new("struct option_info *", {**some, **choices, **texts}))
        return self._kept[-1][0]

    def axes(self, *declared: Any) -> tuple[Axis, ...]:
        row = SimpleNamespace(options=declared, option_nr=len(declared))
        return options.declared("mine", row)

    def refusal(self, **fields: Any) -> str:
        with pytest.raises(BenchError) as caught:
            self.axes(self.option(**fields))
        return str(caught.value)


@pytest.fixture
def engine() -> Declaring:
    return Declaring()


def test_each_type_of_option_is_an_axis(engine: Declaring) -> None:
    lib = library().lib
    whole = engine.option(type=lib.OPTION_WHOLE, low=1, high=4096, fallback={"number": 64})
    size = engine.option(
        name="room", type=lib.OPTION_SIZE, low=0, high=2**32, fallback={"number": 4096}
    )
    choice = engine.option(
        name="wait", type=lib.OPTION_CHOICE, choices=["poll", "spin"], fallback={"number": 1}
    )
    flag = engine.option(name="zero_copy", fallback={"number": 1}, sending_only=True, after="fill")
    ring = engine.option(
        name="slots", type=lib.OPTION_RING, fallback={"ring": {"version": 1, "block_nr": 9}}
    )
    help_, after = "what it does", "qdisc_bypass"
    assert engine.axes(whole, size, choice, flag, ring) == (
        Axis("depth", Whole(1, 4096), 64, help_, after=after),
        Axis("room", Size(0, 2**32), 4096, help_, after=after),
        Axis("wait", Choice(("poll", "spin")), "spin", help_, after=after),
        Axis("zero_copy", Flag(), True, help_, at_opening=False, after="fill"),
        Axis(
            "slots",
            Ring(),
            {"version": 1, "block_size": 0, "block_nr": 9, "frame_size": 0},
            help_,
            after=after,
        ),
    )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "Depth"}, "Depth: a name has small letters, digits and _, and begins with"),
        ({"name": ""}, "without a name: a name has small letters"),
        ({"help": ""}, "depth: has no help"),
        ({"after": "ring"}, "depth: follows ring; one of interface, qdisc, "),
        ({"fallback": {"number": 2}}, "depth: its default is 2; 0 or 1"),
        ({"type": 1, "low": 1, "high": 8}, "depth: its default is 0; from 1 to 8"),
        ({"type": 2, "high": 8, "fallback": {"number": 9}}, "depth: its default is 9; from 0 to 8"),
        ({"type": 3}, "depth: its default is choice 0 of 0, counted from 0"),
        ({"type": 99}, "depth: its type is 99; one of OPTION_*"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused(
    engine: Declaring, fields: dict[str, Any], said: str
) -> None:
    assert engine.refusal(**fields).startswith(f"method mine: option {said}")


def test_an_engine_declares_each_option_once_and_not_too_many(engine: Declaring) -> None:
    with pytest.raises(BenchError, match="declares an option twice: depth, depth"):
        engine.axes(engine.option(), engine.option())
    most = library().lib.CORE_MAX_OPTIONS
    many = [engine.option(name=f"option_{i}") for i in range(most + 1)]
    assert len(engine.axes(*many[:most])) == most
    with pytest.raises(BenchError, match=f"declares {most + 1} options; at most {most}"):
        engine.axes(*many)
