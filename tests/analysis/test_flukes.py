"""Single openings that stray far are drawn in, and their variance with them."""

from __future__ import annotations

import numpy as np
import pytest

from bench.analysis.flukes import drawn_in
from bench.analysis.panel import Panel
from bench.analysis.shared import Shared

CELLS, OPENINGS = 20, 5
PLACES = ["veth"] * CELLS


def a_panel(seed: int, tails: float = 0.0) -> Panel:
    """Two runs; ``tails`` of the figures are 6 % above the others."""
    generator = np.random.default_rng(seed)
    values = generator.normal(0, 0.004, (2 * OPENINGS, CELLS))
    values += np.where(generator.random(values.shape) < tails, 0.06, 0.0)
    values += generator.normal(0, 0.02, (2 * OPENINGS, 1))
    return Panel(values, np.repeat([0, 1], OPENINGS), np.array([0, 1]))


def shared() -> Shared:
    return Shared.among(PLACES, CELLS, np.arange(CELLS))


def change(panel: Panel) -> np.ndarray:  # type: ignore[type-arg]
    runs = panel.runs
    found = runs[1] - runs[0]
    return np.asarray(found - np.median(found))


def test_a_fluke_of_one_opening_moves_its_cell_by_little() -> None:
    panel = a_panel(1)
    clean = change(panel)
    panel.values[2, 7] += 0.08
    calm, kept = drawn_in(panel, shared())
    assert abs(change(panel)[7] - clean[7]) > 0.015
    assert abs(change(calm)[7] - clean[7]) < 0.005
    assert 0.9 < kept < 1


def test_what_a_cell_does_in_a_whole_run_is_kept() -> None:
    panel = a_panel(2)
    panel.values[OPENINGS:, 3] += 0.05
    calm, _ = drawn_in(panel, shared())
    assert change(calm)[3] == pytest.approx(change(panel)[3], abs=0.004)


def test_runs_of_fewer_openings_than_show_a_fluke_are_kept_as_they_are() -> None:
    values = a_panel(3).values[:4]
    panel = Panel(values, np.array([0, 0, 1, 1]), np.array([0, 1]))
    calm, kept = drawn_in(panel, shared())
    assert (calm.values == values).all()
    assert kept == 1


@pytest.mark.parametrize("tails", [0.0, 0.02])
def test_its_variance_says_how_far_means_stray(tails: float) -> None:
    """Of what is drawn in, over the square of the part that is kept."""
    said, seen, plain = [], [], []
    for seed in range(100):
        panel = a_panel(seed, tails)
        calm, kept = drawn_in(panel, shared())
        rows = shared().off(calm.values[:OPENINGS])
        said.append(np.mean(np.var(rows, axis=0, ddof=1)) / OPENINGS / kept**2)
        seen.append(change(calm) / 2**0.5)
        plain.append(change(panel) / 2**0.5)
    truth = np.var(np.concatenate(seen))
    assert 0.85 < np.mean(said) / truth < 1.25
    if tails:
        assert truth < 0.5 * np.var(np.concatenate(plain))


def test_a_cell_without_figures_is_none_of_its_business() -> None:
    panel = a_panel(4)
    panel.values[:, 5] = np.nan
    panel.values[1, 6] = np.nan
    calm, _ = drawn_in(panel, shared())
    assert np.isnan(calm.values[:, 5]).all()
    assert (np.isnan(calm.values) == np.isnan(panel.values)).all()
