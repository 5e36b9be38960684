"""Tests run on a copy of the checkout, with and without a fault in it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.mutants.change import Mutant

TESTS_ABOVE = {"model": ("matrix", "plan", "analysis", "store", "render")}
"""Other folders whose tests are a folder's, too: values do little by themselves."""
PLUGIN = "tools.mutants.recorder"
FEWEST_CPU_S = 60
HANGS_S = 900
"""So long may tests wait for nothing: a process on a busy host may stand still for minutes."""
NO_TESTS = 5
"""pytest's exit code when none were left."""


class Broken(Exception):
    """The tests cannot be run, or fail without a fault."""


@dataclass(frozen=True)
class Baseline:
    """The tests of a folder without a fault."""

    seconds: Mapping[str, float]
    """By test, the quickest first."""
    lines: Mapping[str, Mapping[str, Sequence[str]]]
    """By file and line number, the tests that run it."""

    def that_run(self, file: str, lineno: int) -> set[str]:
        """Tests that run a line; of a line that is run by an import, those that run the file, and
        those that run none: they look at what imports made."""
        lines = self.lines.get(file, {})
        tests = set(lines.get(str(lineno), ())) - {""}
        if not tests and "" in lines.get(str(lineno), [""]):
            tests = _tests_in([lines]) | (self.seconds.keys() - _tests_in(self.lines.values()))
        return tests


def _tests_in(files: Iterable[Mapping[str, Sequence[str]]]) -> set[str]:
    return {test for lines in files for some in lines.values() for test in some} - {""}


def folders_of(file: str) -> tuple[str, ...]:
    """The folders of tests of a file of bench."""
    folder = Path(file).parts[1]
    return (folder, *TESTS_ABOVE.get(folder, ()))


class Copy:
    """A copy of a checkout, with one fault at a time in it."""

    def __init__(self, checkout: Path, folder: Path) -> None:
        self.root = folder / "copy"
        self._folder = folder
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=checkout,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout.split("\0")
        built = [str(core.relative_to(checkout)) for core in checkout.glob("bench/*.so")]
        self._contents: dict[str, str] = {}
        for name in sorted(filter(None, {*listed, *built})):
            if (checkout / name).is_file():
                (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(checkout / name, self.root / name)
                content = (checkout / name).read_bytes()
                self._contents[name] = hashlib.sha256(content).hexdigest()

    def baseline(self, folder: str, kept: Path, packages: Path) -> Baseline:
        """Runs the tests below tests/``folder``, unless ``kept`` has what they did on the same
        files. Raises Broken if one fails."""
        record = kept / f"{folder}-{self._digest(folder)}.json"
        if not record.exists():
            made = self._folder / "record.json"
            code = self._pytest({"record": str(made)}, [f"tests/{folder}"], None, str(packages))
            if not made.exists():
                raise Broken(f"tests/{folder}: {self._output()}")
            if code:
                failed = json.loads(made.read_text())["failed"]
                raise Broken(f"tests/{folder} fail without a fault: {' '.join(failed)}")
            kept.mkdir(parents=True, exist_ok=True)
            for old in kept.glob(f"{folder}-*.json"):
                old.unlink()
            shutil.move(made, record)
        found = json.loads(record.read_text())
        quickest = sorted(found["seconds"].items(), key=lambda item: item[1])
        return Baseline(dict(quickest), found["lines"])

    def _digest(self, folder: str) -> str:
        """Of all files but the tests of other folders."""
        digest = hashlib.sha256()
        for name, content in self._contents.items():
            path = Path(name)
            if not path.name.startswith("test_") or path.is_relative_to(f"tests/{folder}"):
                digest.update(f"{name} {content}\n".encode())
        return digest.hexdigest()[:32]

    def notices(self, mutant: Mutant, baselines: Mapping[str, Baseline]) -> str | None:
        """The test that notices the fault, or how it ends; None if nothing does."""
        path = self.root / mutant.change.file
        kept = path.stat()
        source = path.read_text()
        path.write_text(mutant.text)
        try:
            for folder in folders_of(mutant.change.file):
                if noticed := self._fails(mutant, baselines[folder]):
                    return noticed
            return None
        finally:
            path.write_text(source)
            os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))  # its compiled form fits again

    def _fails(self, mutant: Mutant, baseline: Baseline) -> str | None:
        wanted = baseline.that_run(mutant.change.file, mutant.lineno)
        if not wanted:
            return None
        tests = [test for test in baseline.seconds if test in wanted]
        expected_s = sum(baseline.seconds[test] for test in tests)
        cpu_s = FEWEST_CPU_S + 4 * int(expected_s)
        result = self._folder / "failed"
        result.unlink(missing_ok=True)
        task = {
            "tests": tests,
            "known": list(baseline.seconds),
            "cpu_s": cpu_s,
            "result": str(result),
        }
        files = sorted({test.partition("::")[0] for test in tests})
        code = self._pytest(task, ["-x", *files], HANGS_S + 10 * expected_s)
        if code in (0, NO_TESTS):
            return None
        if result.exists():
            return result.read_text()
        return "no end" if code < 0 else "no start"

    def _pytest(
        self, task: Mapping[str, Any], args: Sequence[str], limit_s: float | None, path: str = ""
    ) -> int:
        """pytest's exit code; negative if it was ended."""
        asked = self._folder / "task.json"
        asked.write_text(json.dumps(task))
        (self._folder / "tmp").mkdir(exist_ok=True)
        env = os.environ | {
            "MUTANTS": str(asked),
            "PYTHONPATH": path,
            "PYTHONDONTWRITEBYTECODE": "" if "record" in task else "1",
            "TMPDIR": str(self._folder / "tmp"),
        }
        command = [sys.executable, "-m", "pytest", "-q", "-p", PLUGIN, "-p", "no:cacheprovider"]
        with (self._folder / "output").open("w") as output:
            process = subprocess.Popen(
                [*command, *args],
                cwd=self.root,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                return process.wait(limit_s)
            except subprocess.TimeoutExpired:
                return -signal.SIGKILL
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()

    def _output(self) -> str:
        return (self._folder / "output").read_text()[-2000:]
