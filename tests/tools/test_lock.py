"""requirements.lock, and what notices that it has changed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.lock import LOCK, ROOT, changes, pinned


def test_the_lock_has_exact_versions_with_hashes_and_names_no_index() -> None:
    requirements = LOCK.read_text().replace("\\\n", "").splitlines()
    for line in requirements:
        assert line.startswith("#") or re.fullmatch(
            r"[\w.-]+==[\w.]+( ; [^/@]*?)?(\s+--hash=sha256:[0-9a-f]{64})+", line
        )


def test_what_pyproject_asks_for_is_in_the_lock_in_a_version_that_it_allows() -> None:
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())
    locked = pinned(LOCK.read_text())
    project = asked["project"]
    for text in (
        *asked["build-system"]["requires"],
        *project["dependencies"],
        *(text for extra in project["optional-dependencies"].values() for text in extra),
    ):
        wanted = Requirement(text)
        if wanted.name == project["name"]:  # an extra that has others in it
            continue
        versions = locked[canonicalize_name(wanted.name)].split(", ")
        assert all(version in wanted.specifier for version in versions), text


def test_a_renewed_lock_is_told_by_package() -> None:
    before = "# by uv\nnumpy==2.4 ; python_version < '3.12' \\\n    --hash=sha256:0\n"
    before += "numpy==2.5 ; python_version >= '3.12' \\\npytest==9.1\nsix==1.17\ntqdm==4.70\n"
    after = before.replace("numpy==2.5", "numpy==2.6").replace("six==1.17", "zipp==4.0")
    assert changes(before, after.replace("sha256:0", "sha256:1")) == [
        "numpy 2.4, 2.5 -> 2.4, 2.6",
        "six 1.17 removed",
        "zipp 4.0 added",
    ]
    assert changes(before, before) == []


def test_an_environment_of_another_lock_is_out_of_date(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    made = tmp_path / ".venv/ready"
    for path in ("pyproject.toml", "setup.py", "requirements.lock", "tools/setup.sh", made):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
        os.utime(tmp_path / path, (1, 1))
    up_to_date = ["make", "-q", ".venv/ready"]
    assert subprocess.run(up_to_date, cwd=tmp_path, check=False).returncode == 0
    os.utime(tmp_path / "requirements.lock", (2, 2))
    assert subprocess.run(up_to_date, cwd=tmp_path, check=False).returncode == 1
