"""What the calibration explains of a shift is taken off, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from bench.analysis.calibrated import FEWEST, explained
from bench.analysis.nightly import Nights, decide
from bench.analysis.noise import Floats, Integers

NIGHTS = 60


def one_kernel(runs: int = NIGHTS + 1) -> Integers:
    return np.zeros(runs, np.int64)


def machine(
    seed: int, share: float = 1.0, own: float = 0.003, runs: int = NIGHTS + 1
) -> tuple[Floats, Floats]:
    """Two shifts, and the calibration. The machine strays by 1 %, of which both have a share."""
    chance = np.random.default_rng(seed)
    speed = chance.normal(0, 0.01, runs)
    shifts = share * speed + chance.normal(0, own, (2, runs))
    return shifts, speed + chance.normal(0, 0.002, runs)


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_shift_loses_what_it_shares_with_the_calibration(sign: int) -> None:
    shifts, cost = machine(1)
    left = sign * shifts - explained(sign * shifts, cost, one_kernel(), NIGHTS)
    assert np.std(shifts, axis=1).min() > 0.008
    assert np.std(left, axis=1).max() < 0.005


def test_a_slow_machine_is_no_slow_shift_and_a_slow_shift_stays() -> None:
    shifts, cost = machine(2)
    slow, cost_of_slow = shifts.copy(), cost.copy()
    slow[:, NIGHTS] += 0.08
    left = slow - explained(slow, cost, one_kernel(), NIGHTS)
    assert left[:, NIGHTS] == pytest.approx([0.08] * 2, abs=0.015)
    cost_of_slow[NIGHTS] += 0.08
    left = slow - explained(slow, cost_of_slow, one_kernel(), NIGHTS)
    assert left[:, NIGHTS] == pytest.approx([0.0] * 2, abs=0.015)


def test_what_does_not_follow_the_calibration_is_left_as_it_is() -> None:
    parts = [
        np.abs(explained(*machine(seed, share=0.0, own=0.01), one_kernel(), NIGHTS)).mean()
        for seed in range(50)
    ]
    assert np.mean(parts) < 0.001


def test_a_kernel_that_slows_both_is_not_forgiven() -> None:
    shifts, cost = machine(3)
    shifts[:, NIGHTS] += 0.08
    cost[NIGHTS] += 0.08
    kernels = one_kernel()
    kernels[NIGHTS] = 1
    assert not explained(shifts, cost, kernels, NIGHTS)[:, NIGHTS].any()
    shifts[:, 40:NIGHTS] += 0.08
    cost[40:NIGHTS] += 0.08
    kernels[40:] = 1
    left = shifts - explained(shifts, cost, kernels, NIGHTS)
    rise = left[:, 40:NIGHTS].mean(axis=1) - left[:, :40].mean(axis=1)
    assert rise == pytest.approx([0.08] * 2, abs=0.005)


def test_beside_another_kernel_as_much_is_explained_of_the_nights_of_one() -> None:
    shifts, cost = machine(5)
    shifts[:, 40:] += 0.3
    kernels = np.repeat([0, 1], [40, NIGHTS + 1 - 40])
    left = shifts - explained(shifts, cost, kernels, NIGHTS)
    assert np.std(shifts[:, :40], axis=1).min() > 0.008
    assert np.std(left[:, :40], axis=1).max() < 0.005


def test_few_nights_and_missing_ones_explain_nothing() -> None:
    shifts, cost = machine(4, runs=FEWEST)
    assert not explained(shifts, cost, one_kernel(FEWEST), FEWEST - 1).any()
    shifts, cost = machine(4)
    assert not explained(shifts, np.full(NIGHTS + 1, np.nan), one_kernel(), NIGHTS).any()
    shifts[0, :55] = np.nan
    cost[NIGHTS] = np.nan
    found = explained(shifts, cost, one_kernel(), NIGHTS)
    assert not found[0].any()
    assert found[1, :NIGHTS].any()
    assert not found[:, NIGHTS].any()


@pytest.mark.parametrize("nights", [FEWEST, 30])
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_steady_nights_stand_out_no_more_often_than_they_should(nights: int, share: float) -> None:
    """Of single shifts without others to compare with, one night in a hundred at p 0.01."""
    p = []
    for seed in range(500):
        shifts, cost = machine(seed, share, own=0.01 if share == 0.0 else 0.003, runs=nights + 1)
        left = shifts - explained(shifts, cost, one_kernel(nights + 1), nights)
        none, number = np.zeros(2, np.int64), np.full(2, np.nan)
        judged = Nights(left[:, :nights], none, none, left[:, nights], number)
        p += [of.p for of in decide(judged, -1, 1)]
    assert np.mean(np.array(p) <= 0.01) <= 0.02
