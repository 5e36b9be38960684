"""The core's whole life, of every method and many knobs, under sanitizers over lo."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SKIPPED_BY_DRIVE = 77


@pytest.mark.netns
@pytest.mark.parametrize("sanitizers", ["address,undefined", "thread"])
def test_every_method_is_clean_under(sanitizers: str, tmp_path: Path) -> None:
    compiler = shutil.which("gcc")
    if compiler is None:  # only where the core came built, as to a virtual machine
        pytest.skip("gcc is missing")
    program = tmp_path / "drive"
    sources = [*sorted((ROOT / "csrc").glob("*.c")), ROOT / "tests/native/drive.c"]
    flags = f"-std=gnu11 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Werror -fsanitize={sanitizers}"
    macros = ['-DCORE_HASH="test"', '-DCORE_FLAGS="test"', f"-I{ROOT / 'csrc'}"]
    build = [compiler, *flags.split(), "-fno-sanitize-recover=all", *macros]
    subprocess.run([*build, *sources, "-pthread", "-o", program], check=True)
    drive = subprocess.run([program], capture_output=True, text=True, timeout=120, check=False)
    if drive.returncode == SKIPPED_BY_DRIVE:
        pytest.skip(drive.stdout.strip())
    assert (drive.returncode, drive.stdout, drive.stderr) == (0, "", "")
