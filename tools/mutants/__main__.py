"""Puts small faults into bench's pure code, one at a time, and says which ones no test notices.

    make mutants
    make mutants COUNT=50 SEED=7 FILES=bench/analysis

The faults are cosmic-ray's: an operator, a number, a condition, a loop, a decorator. Each is tried
in a copy of the checkout, with those tests of its folder that run its line. A survivor that alters
nothing that matters stands in equivalent.toml, with the reason. All others want a test.
"""

from __future__ import annotations

import argparse
import queue
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

from tools.mutants.change import Mutant, equivalents
from tools.mutants.sample import sample
from tools.mutants.trials import Baseline, Broken, Copy, folders_of

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ROOT / ".mutants/packages"
KEPT = ROOT / ".mutants/baselines"
PURE = ("model", "matrix", "plan", "analysis", "store", "render")


class Copies:
    """A copy of the checkout per worker."""

    def __init__(self, folder: Path, workers: int) -> None:
        self._free: queue.Queue[Copy] = queue.Queue()
        for number in range(workers):
            self._free.put(Copy(ROOT, folder / str(number)))

    @contextmanager
    def one(self) -> Iterator[Copy]:
        copy = self._free.get()
        try:
            yield copy
        finally:
            self._free.put(copy)

    def baseline(self, folder: str) -> Baseline:
        with self.one() as copy:
            return copy.baseline(folder, KEPT, PACKAGES)

    def notices(self, mutant: Mutant, baselines: Mapping[str, Baseline]) -> str | None:
        with self.one() as copy:
            return copy.notices(mutant, baselines)


def files_below(names: Sequence[str]) -> list[str]:
    found: set[Path] = set()
    for name in names:
        path = (ROOT / name).resolve()
        found.update(path.rglob("*.py") if path.is_dir() else [path])
    return sorted(str(path.relative_to(ROOT)) for path in found)


def tried(mutants: Sequence[Mutant], workers: int) -> Iterator[tuple[Mutant, str | None]]:
    """Each mutant with what noticed it, as they end."""
    with (
        tempfile.TemporaryDirectory(prefix="mutants-") as folder,
        ThreadPoolExecutor(workers) as pool,
    ):
        copies = Copies(Path(folder), workers)
        folders = sorted({name for mutant in mutants for name in folders_of(mutant.change.file)})
        print(f"mutants: running tests of {', '.join(folders)}", file=sys.stderr, flush=True)
        baselines = dict(zip(folders, pool.map(copies.baseline, folders), strict=True))
        running: dict[Future[str | None], Mutant] = {
            pool.submit(copies.notices, mutant, baselines): mutant for mutant in mutants
        }
        try:
            for future in as_completed(running):
                yield running[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="make mutants",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="*", default=[f"bench/{folder}" for folder in PURE])
    parser.add_argument("--count", type=int, default=200, help="number of mutants (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="which ones (%(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="at a time (%(default)s)")
    args = parser.parse_args()

    for which in (signal.SIGINT, signal.SIGTERM):  # also where a shell ignores the first
        signal.signal(which, signal.default_int_handler)

    mutants = sample(ROOT, files_below(args.files), args.count, args.seed)
    known = equivalents()
    same = [mutant for mutant in mutants if mutant.change in known]
    different = [mutant for mutant in mutants if mutant.change not in known]
    survivors = []
    try:
        for number, (mutant, noticed) in enumerate(tried(different, args.workers), 1):
            if noticed is None:
                survivors.append(mutant)
            by = f"noticed by {noticed}" if noticed else "SURVIVED"
            print(f"[{number}/{len(different)}] {mutant.change}\n  {by}", flush=True)
    except Broken as error:
        print(f"mutants: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("mutants: interrupted", file=sys.stderr)
        return 130
    seen = len(different) - len(survivors)
    print(
        f"\n{len(mutants)} mutants, seed {args.seed}: {seen} noticed, {len(same)} equivalent,"
        f" {len(survivors)} not noticed: {seen / max(1, len(different)):.1%} of {len(different)}"
    )
    for mutant in sorted(survivors, key=lambda mutant: str(mutant.change)):
        print(mutant.change)
    return 0


if __name__ == "__main__":
    sys.exit(main())
