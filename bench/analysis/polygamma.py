"""The digamma function and its derivatives.

scipy has them, but to load it takes as long as to read more than a hundred nights of a history.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730)
"""The numbers of 2, 4, 6 ..."""

FAR = 10.0
"""From it on the terms of BERNOULLI leave an error below 1e-13."""


def polygamma(order: int, x: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The derivative of that order, 0 to 2, of the digamma function at each ``x`` > 0.

    Abramowitz and Stegun: the asymptotic series (6.3.18, 6.4.11) from FAR on, and the recurrence
    (6.3.5, 6.4.6) down to ``x``.
    """
    at = np.array(x, dtype=np.float64)
    sign, steps = (-1.0) ** order, np.zeros_like(at)
    while (near := at < FAR).any():
        steps -= np.where(near, sign * math.factorial(order) / at ** (order + 1), 0.0)
        at += near
    first = np.log(at) if order == 0 else -sign * math.factorial(order - 1) / at**order
    series = first - sign * math.factorial(order) / (2 * at ** (order + 1))
    for number, bernoulli in enumerate(BERNOULLI, 1):
        k = 2 * number
        rising = math.factorial(k + order - 1) / math.factorial(k)
        series -= sign * bernoulli * rising / at ** (k + order)
    found: npt.NDArray[np.float64] = series + steps
    return found
