from __future__ import annotations

from pathlib import Path

import pytest

from tests.pytest_plugin.sessions import Pytest


@pytest.fixture
def run_pytest(tmp_path: Path) -> Pytest:
    return Pytest(tmp_path)
