"""What was wrong with a slice, as people read it."""

from __future__ import annotations

import pytest

from bench.model.problems import Code, Problem


@pytest.mark.parametrize("code", [code for code in Code if code is not Code.OTHER])
def test_one_frame_is_one_and_several_are_several(code: Code) -> None:
    one, two = (Problem(code, number).text for number in (1, 2))
    assert "1 frames" not in one
    assert ("1 frame " in one) == ("2 frames " in two)
