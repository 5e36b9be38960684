"""Which commit the sources of the core are of."""

from __future__ import annotations

import os
import subprocess

from bench.engines.build import PACKAGE, SOURCES

ROOT = PACKAGE.parent
PATIENCE_S = 10
"""Longer than git takes to look at every file of a checkout."""


def commit() -> str:
    """As ``git describe --always --dirty`` has it; "" where the sources are no git checkout.

    Git's own variables are not passed on: a hook that calls bench sets them for its repository.
    """
    if not SOURCES.exists() or not (ROOT / ".git").exists():
        return ""
    own = {name: text for name, text in os.environ.items() if not name.startswith("GIT_")}
    own |= {"GIT_OPTIONAL_LOCKS": "0", "GIT_CEILING_DIRECTORIES": str(ROOT.parent)}
    quiet = ["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"]
    command = ["git", "-C", str(ROOT), *quiet, "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        found = subprocess.run(
            command, env=own, capture_output=True, text=True, check=False, timeout=PATIENCE_S
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""
