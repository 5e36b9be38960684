"""Colours that everybody tells apart, in light and in dark."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest

from bench.render.pictures import theme
from bench.render.pictures.theme import Scheme

Colour = npt.NDArray[np.float64]

SCHEMES = pytest.mark.parametrize("scheme", theme.SCHEMES.values(), ids=theme.SCHEMES)

EYES = {
    "all cones": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
"""What is left of linear RGB (Machado, Oliveira and Fernandes 2009, severity 1)."""

APART = 0.1
"""Of a distance in OKLab, where 0.02 can just be seen."""


def linear(colour: str) -> Colour:
    values = np.array([int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def oklab(rgb: Colour) -> Colour:
    """Ottosson 2020."""
    cones = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    lab = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return np.asarray(lab @ np.cbrt(cones @ np.clip(rgb, 0, 1)))


def contrast(a: str, b: str) -> float:
    """As WCAG 2 has it."""
    lights = sorted(float(np.array([0.2126, 0.7152, 0.0722]) @ linear(c)) for c in (a, b))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


@SCHEMES
@pytest.mark.parametrize("eye", EYES)
def test_series_keep_apart_for_every_eye(scheme: Scheme, eye: str) -> None:
    seen = {c: oklab(np.array(EYES[eye]) @ linear(c)) for c in scheme.series}
    near = [(a, b) for a, b in combinations(seen, 2) if np.linalg.norm(seen[a] - seen[b]) < APART]
    assert near == []


@SCHEMES
def test_marks_stand_out(scheme: Scheme) -> None:
    faint = [c for c in scheme.series if contrast(c, scheme.background) < 3]
    assert faint == []


@SCHEMES
def test_texts_can_be_read(scheme: Scheme) -> None:
    texts = (scheme.ink, scheme.muted, scheme.good, scheme.bad)
    assert [c for c in texts if contrast(c, scheme.background) < 4.5] == []


def test_no_two_series_look_alike() -> None:
    names = [f"m{n}" for n in range(40)]
    shapes = theme.series(names, names, 900)["shape"]["scale"]["range"]
    colours = [theme.LIGHT.series[n % len(theme.LIGHT.series)] for n in range(40)]
    assert len(set(zip(shapes, colours, strict=True))) == 40


def test_a_series_keeps_its_colour_when_others_are_not_drawn() -> None:
    names = ["a", "b", "c"]
    some = theme.series(names, ["c"], 900)["color"]
    assert (some["scale"]["domain"], some["legend"]["values"]) == (names, ["c"])
