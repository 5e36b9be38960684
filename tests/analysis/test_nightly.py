"""Nightly decisions: an alarm takes two sessions that agree, and a change of some size."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from bench.analysis import nightly
from bench.analysis.nightly import Decision, Finding, Nights, decide
from bench.analysis.noise import Floats

SERIES = 40
DECISIONS = 90_000


def history(nights: int = 20, seed: int = 1, sigma: float = 0.005) -> Floats:
    """Noise around ln 100; shape: series, nights."""
    noise = np.random.default_rng(seed).standard_normal((SERIES, nights))
    return np.log(100) + sigma * noise


def night(
    change: float,
    again: float = np.nan,
    *,
    before: Floats | None = None,
    last: float | None = None,
    better: int = 1,
    began: int = 0,
) -> list[Decision]:
    """All series change alike: tonight, when measured again, and in a pending last night."""
    values = history() if before is None else before
    pending = 0
    if last is not None:
        values = np.hstack([values, np.full((SERIES, 1), np.log(100) + last)])
        pending = 1
    nights = Nights(
        history=values,
        began=np.full(SERIES, began),
        pending=np.full(SERIES, pending),
        tonight=np.full(SERIES, np.log(100) + change),
        again=np.full(SERIES, np.log(100) + again),
    )
    return decide(nights, better, DECISIONS)


def findings(decisions: list[Decision]) -> set[Finding]:
    return {decision.finding for decision in decisions}


def test_a_night_like_the_others_is_steady() -> None:
    assert findings(night(0.001)) == {Finding.STEADY}


def test_a_change_below_the_minimum_effect_is_steady_however_certain() -> None:
    quiet = history(sigma=0.0005)
    assert findings(night(-0.028, -0.028, before=quiet, last=-0.028)) == {Finding.STEADY}
    assert findings(night(-0.035, -0.035, before=quiet, last=-0.035)) == {Finding.REGRESSED}


def test_a_slow_night_is_suspect_until_it_is_measured_again() -> None:
    assert findings(night(-0.06)) == {Finding.SUSPECT}
    assert findings(night(-0.06, -0.06)) == {Finding.SUSPECTED}
    assert findings(night(-0.06, 0.0)) == {Finding.UNCONFIRMED}
    assert findings(night(-0.06, 0.06)) == {Finding.UNCONFIRMED}


def test_two_nights_that_agree_are_a_regression() -> None:
    assert findings(night(-0.06, -0.06, last=-0.06)) == {Finding.REGRESSED}


def test_two_nights_that_do_not_agree_are_none() -> None:
    assert findings(night(-0.06, -0.06, last=0.06)) == {Finding.SUSPECTED}
    assert findings(night(0.0, last=-0.06)) == {Finding.STEADY}


def after(*last: float, tonight: float, again: float = np.nan, better: int = 1) -> set[Finding]:
    """After some pending nights, where one night alone must be 5 % off to be suspicious."""
    pending = np.tile(np.log(100) + np.array(last), (SERIES, 1))
    nights = Nights(
        history=np.hstack([history(sigma=0.014), pending]),
        began=np.zeros(SERIES, int),
        pending=np.full(SERIES, len(last)),
        tonight=np.full(SERIES, np.log(100) + tonight),
        again=np.full(SERIES, np.log(100) + again),
    )
    return findings(decide(nights, better, DECISIONS))


def test_a_regression_lasts_through_a_night_that_is_not_suspicious_by_itself() -> None:
    assert after(tonight=-0.045) == {Finding.STEADY}
    assert after(-0.08, -0.08, tonight=-0.045) == {Finding.REGRESSED}
    assert after(-0.08, -0.08, tonight=-0.045, again=-0.05) == {Finding.REGRESSED}
    assert after(-0.08, -0.08, -0.045, tonight=-0.04) == {Finding.REGRESSED}


def test_a_regression_ends_with_a_night_nearer_to_the_level() -> None:
    assert after(-0.08, -0.08, tonight=-0.03) == {Finding.STEADY}
    assert after(-0.08, -0.08, tonight=-0.045, again=0.0) == {Finding.STEADY}
    assert after(-0.08, -0.08, tonight=0.045) == {Finding.STEADY}


def test_one_suspicion_makes_no_regression_of_a_night_that_is_none() -> None:
    assert after(-0.08, tonight=-0.045) == {Finding.STEADY}
    assert after(-0.08, -0.08, tonight=-0.045, better=-1) == {Finding.STEADY}


def test_better_twice_is_improved_and_once_is_nothing_to_report() -> None:
    assert findings(night(0.06, 0.06)) == {Finding.STEADY}
    assert findings(night(0.06, 0.06, last=0.06)) == {Finding.IMPROVED}
    assert findings(night(0.06, 0.06, last=0.06, better=-1)) == {Finding.REGRESSED}


def test_a_night_that_stands_out_is_pending_tomorrow() -> None:
    assert all(decision.stands_out for decision in night(-0.06, -0.06))
    assert all(decision.stands_out for decision in night(0.06, 0.06))
    assert not any(decision.stands_out for decision in night(-0.06, 0.0))


def test_a_new_level_begins_where_it_is_said_to() -> None:
    values = history(40)
    values[:, :20] += 0.10
    assert findings(night(0.0, before=values, began=20)) == {Finding.STEADY}
    assert findings(night(0.10, 0.10, before=values, began=20, last=0.10)) == {Finding.IMPROVED}
    assert {decision.nights for decision in night(0.0, before=values, began=20)} == {20}


def test_too_short_a_level_says_nothing() -> None:
    decisions = night(-0.5, before=history(2))
    assert findings(decisions) == {Finding.UNKNOWN}
    assert findings(night(-0.5, before=history(0))) == {Finding.UNKNOWN}


def test_a_night_that_was_not_measured_is_unknown() -> None:
    assert findings(night(np.nan)) == {Finding.UNKNOWN}


def test_one_bad_night_in_the_history_hides_nothing() -> None:
    values = history(20)
    values[:, 7] -= 0.25
    assert findings(night(-0.06, -0.06, before=values, last=-0.06)) == {Finding.REGRESSED}


def test_missing_nights_are_no_nights_of_the_level() -> None:
    values = history(20)
    values[:, ::4] = np.nan
    decisions = night(-0.06, -0.06, before=values, last=-0.06)
    assert findings(decisions) == {Finding.REGRESSED}
    assert {decision.nights for decision in decisions} == {15}


def test_the_change_comes_with_its_interval() -> None:
    for decision in night(-0.06, -0.06, last=-0.06):
        assert decision.low < decision.change < decision.high
        assert decision.change == pytest.approx(np.expm1(-0.06), abs=0.006)


def test_a_single_series_with_few_nights_needs_more_than_many_series_do() -> None:
    alone = Nights(
        history=np.log(100) + 0.005 * np.array([[1.0, -1.0, 0.5, -0.5, 0.0, -0.06 / 0.005]]),
        began=np.array([0]),
        pending=np.array([1]),
        tonight=np.array([np.log(100) - 0.06]),
        again=np.array([np.log(100) - 0.06]),
    )
    (decision,) = decide(alone, 1, DECISIONS)
    assert decision.finding is not Finding.REGRESSED


def test_a_change_that_no_night_shows_by_itself_is_told_of_some_nights_together() -> None:
    rng = np.random.default_rng(4)
    values = np.log(100) + 0.05 * rng.standard_normal((SERIES, 40))
    values[:, 25:] -= 0.15
    pending, told = np.zeros(SERIES, np.int64), np.zeros((SERIES, 40), bool)
    for at in range(10, 40):
        tonight = values[:, at]
        nights = Nights(values[:, :at], np.zeros(SERIES, np.int64), pending, tonight, tonight)
        found = decide(nights, 1, DECISIONS)
        told[:, at] = [decision.finding is Finding.REGRESSED for decision in found]
        lately = np.array([decision.lately for decision in found])
        stands_out = [decision.stands_out for decision in found]
        pending = np.where(stands_out, np.maximum(pending, lately) + 1, 0)
        assert all(of.high < 0 for of in found if of.finding is Finding.REGRESSED)
    assert not told[:, :25].any()
    assert told[:, 25:].any(axis=1).mean() > 0.9


@pytest.mark.parametrize(("by", "number"), [(3.4, 3), (2.9, 5), (2.4, 8)])
def test_the_smaller_a_change_the_more_nights_show_it_together(by: float, number: int) -> None:
    """Nights that are all ``by`` standard deviations away: eight at the most."""

    def told(nights: int) -> list[int]:
        slow = np.log(100) - by * 0.005
        values = np.hstack([history(40), np.full((SERIES, nights - 1), slow)])
        none, tonight = np.zeros(SERIES, np.int64), np.full(SERIES, slow)
        found = decide(Nights(values, none, none, tonight, tonight), 1, DECISIONS, effect=0.0)
        return [of.lately for of in found if of.finding is Finding.REGRESSED]

    assert len(told(number)) > 0.8 * SERIES
    assert {*told(number)} == {number - 1}
    assert len(told(number - 1)) < 0.2 * SERIES


def test_all_numbers_of_nights_share_the_chance_of_one_decision(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spent: list[float] = []

    def lately(_nights: Nights, _number: int, _better: int, chance: float, _effect: object) -> Any:
        spent.append(chance)
        return {}

    monkeypatch.setattr(nightly, "_lately", lately)
    night(0.0)
    assert sum(spent) == pytest.approx(nightly.CHANCE / DECISIONS)


def told_of_three_nights(before: Floats, nearest: float) -> float:
    """The part of the series; two nights are four standard deviations away."""
    far, tonight = (np.log(100) - 0.005 * np.array([4.0, nearest])).tolist()
    values = np.hstack([before, np.full((SERIES, 2), far)])
    none, tonights = np.zeros(SERIES, np.int64), np.full(SERIES, tonight)
    found = decide(Nights(values, none, none, tonights, tonights), 1, DECISIONS, effect=0.0)
    return sum(of.finding is Finding.REGRESSED for of in found) / SERIES


def test_of_some_nights_the_nearest_must_be_far_as_well() -> None:
    """A night is by chance 2.53 deviations away in one of 176, on one side; a little farther, as
    so few nights may have tails."""
    assert told_of_three_nights(history(40), 3.0) > 0.7
    assert told_of_three_nights(history(40), 2.4) < 0.1


def test_where_single_nights_are_far_by_chance_some_nights_must_be_farther() -> None:
    noise = np.random.default_rng(2).standard_t(4, (SERIES, 40)) / math.sqrt(2)
    heavy = np.log(100) + 0.005 * noise
    assert told_of_three_nights(heavy, 2.8) < 0.3
    assert told_of_three_nights(heavy, 4.5) > 0.5


@pytest.mark.parametrize(("percent", "is_told"), [(40, False), (60, True)])
def test_of_some_nights_too_an_effect_is_a_part_of_the_level_up_and_down(
    percent: int, is_told: bool
) -> None:
    """A cost that rose by 60 % is 37 % less of what it was before, seen the other way round."""
    rise = np.log1p(percent / 100)
    values = np.hstack([history(40, sigma=0.15), np.full((SERIES, 7), np.log(100) + rise)])
    none, tonight = np.zeros(SERIES, np.int64), np.full(SERIES, np.log(100) + rise)
    risen = decide(Nights(values, none, none, tonight, tonight), -1, DECISIONS, effect=0.5)
    fallen = decide(Nights(-values, none, none, -tonight, -tonight), 1, DECISIONS, effect=1 / 3)
    expected = {Finding.REGRESSED if is_told else Finding.STEADY}
    assert findings(risen) == findings(fallen) == expected


def alarms(chance: float, heavy: bool) -> int:
    """Of 200 series over 60 nights without a change, whatever its size."""
    rng = np.random.default_rng(7)
    draw = rng.standard_t(4, (200, 80)) if heavy else rng.standard_normal((200, 80))
    values = np.log(100) + 0.01 * draw
    pending, told = np.zeros(200, np.int64), 0
    for at in range(20, 80):
        nights = Nights(
            values[:, :at], np.zeros(200, np.int64), pending, values[:, at], values[:, at]
        )
        found = decide(nights, 1, 200 * 60, chance, effect=0.0)
        told += sum(decision.finding is Finding.REGRESSED for decision in found)
        pending = np.where([decision.stands_out for decision in found], pending + 1, 0)
    return told


@pytest.mark.parametrize("heavy", [False, True])
def test_no_more_false_alarms_than_the_chance_that_is_spent(heavy: bool) -> None:
    """With a confirmation that always agrees; the chance is large so that some can be seen."""
    assert alarms(0.05, heavy) == 0
    assert alarms(10.0, heavy) <= 10


def test_a_missed_night_keeps_what_is_pending() -> None:
    values = np.hstack([history(), np.full((SERIES, 1), np.log(100) - 0.06)])
    pending = np.ones(SERIES, np.int64)
    began, none = np.zeros(SERIES, np.int64), np.full(SERIES, np.nan)
    missed = decide(Nights(values, began, pending, none, none), 1, DECISIONS)
    assert all(decision.stands_out for decision in missed)
    nothing = decide(Nights(values, began, began, none, none), 1, DECISIONS)
    assert not any(decision.stands_out for decision in nothing)
    slow = np.full(SERIES, np.log(100) - 0.06)
    later = Nights(np.hstack([values, none[:, None]]), began, pending + 1, slow, slow)
    assert findings(decide(later, 1, DECISIONS)) == {Finding.REGRESSED}
