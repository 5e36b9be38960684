#!/usr/bin/env python3
"""Runs tests, or a command, of this checkout on another kernel: see `tools/kernels.py --help`.

Any Python starts it, from any folder: the virtual environment's Python does the work.
"""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHON = ROOT / ".venv/bin/python"

if __name__ == "__main__":
    if not PYTHON.exists():
        sys.exit(f"kernels: {PYTHON} is missing: run {ROOT}/tools/setup.sh")
    os.environ["PYTHONPATH"] = str(ROOT)
    os.execv(PYTHON, [str(PYTHON), "-m", "tools.guest", *sys.argv[1:]])
