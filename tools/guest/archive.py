"""Debian's archive: packages of several releases, unpacked into the cache folder.

apt-get and apt-cache work on lists of their own there: no root is needed, this machine's packages
and settings are left alone, and packages newer than its release are available.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from bench.base.errors import BenchError, UsageError
from tools.guest.architecture import AMD64, Architecture

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("BENCH_KERNELS_CACHE", ROOT / ".kernels"))
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
SUITES = {
    "debian-security": "bookworm-security",
    "debian": "bookworm bookworm-backports trixie-backports",
}
"""The first has bookworm's 6.1 and its 6.12; the second has later kernels, QEMU, and the rest of
bookworm."""


def kept(name: str, fill: Callable[[Path], None]) -> Path:
    """The cache's folder of a name, which ``fill`` makes if it is missing.

    It stays until the cache is removed. Raises BenchError if ``fill`` fails.
    """
    folder = CACHE / name
    with _locked():
        if folder.exists():
            return folder
        print(f"kernels: downloading {name}", file=sys.stderr)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=CACHE) as temporary:
            content = Path(temporary, "content")
            fill(content)
            content.rename(folder)
    return folder


def unpacked(name: str, download: Callable[[Path], None]) -> Path:
    """The cache's folder of a name: all packages that ``download`` puts into a folder, unpacked."""
    return kept(name, partial(unpack, download))


def unpack(download: Callable[[Path], None], content: Path) -> None:
    """Unpack all packages that ``download`` puts into a folder."""
    packages = content.with_name("packages")
    packages.mkdir()
    download(packages)
    for package in sorted(packages.glob("*.deb")):
        run("dpkg-deb", "-x", str(package), str(content))


def download(package: str, architecture: Architecture, folder: Path) -> None:
    """One package, without its dependencies."""
    _update(architecture)
    run("apt-get", "download", "-qq", package, folder=folder, of=architecture)


def download_all(
    packages: Sequence[str], suite: str, architecture: Architecture, folder: Path
) -> None:
    """Packages of a release and all their dependencies, as if nothing were installed here."""
    _update(architecture)
    (folder / "partial").mkdir()
    (folder / "nothing").touch()
    run(
        *("apt-get", "install", "-qq", "--yes", "--download-only", "--no-install-recommends"),
        *("-t", suite, "-o", f"Dir::State::Status={folder}/nothing", "-o", "Debug::NoLocking=1"),
        *("-o", f"Dir::Cache::Archives={folder}", *packages),
        of=architecture,
    )


def names(expression: str, architecture: Architecture) -> list[str]:
    """The names of packages that match a POSIX regular expression."""
    with _locked():
        _update(architecture)
    shown = run("apt-cache", "search", "--names-only", expression, of=architecture)
    return [line.split()[0] for line in shown.splitlines()]


def _state(architecture: Architecture) -> Path:
    """The folder of apt's lists."""
    return CACHE / ("apt" if architecture == AMD64 else f"apt-{architecture.name}")


def _update(architecture: Architecture) -> None:
    """Fetch the archive's lists, unless they are here."""
    sources, lists = (_state(architecture) / part for part in ("sources.list", "lists"))
    wanted = _sources()
    if sources.exists() and sources.read_text() == wanted:
        return
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    sources.write_text(wanted)
    try:
        # Without --error-on, apt-get succeeds with a part of the lists, or none.
        retrying = ("-o", "Acquire::Retries=2")
        run("apt-get", "update", "-qq", "--error-on=any", *retrying, of=architecture)
    except BaseException:
        sources.unlink()
        raise


def _sources() -> str:
    """Lines for apt: SUITES, from this machine's source of Debian packages."""
    lines = [
        f"deb [signed-by={KEYRING}] {repository(name)} {suite} main\n"
        for name, suites in SUITES.items()
        for suite in suites.split()
    ]
    return "".join(lines)


def repository(name: str) -> str:
    """This machine's source of ``debian`` or ``debian-security``."""
    shown = run("apt-get", "indextargets", "--format", "$(REPO_URI)")
    repositories = {uri.rstrip("/") for uri in shown.split()}
    uris = sorted(uri for uri in repositories if uri.endswith(f"/{name}"))
    if not uris:
        raise UsageError(f"no apt source of this machine ends in /{name}: Debian's is needed")
    return uris[0]


@contextmanager
def _locked() -> Iterator[None]:
    """Hold the cache's lock: two processes at a time download once."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run(*command: str, folder: Path | None = None, of: Architecture | None = None) -> str:
    """The output of a command of apt or dpkg, with our own lists of an architecture, or with this
    machine's."""
    options = []
    if of is not None:
        apt = _state(of)
        options = [
            *("-o", f"APT::Architecture={of.name}", "-o", f"APT::Architectures={of.name}"),
            *("-o", f"Dir::State::Lists={apt}/lists", "-o", f"Dir::Cache={apt}"),
            *("-o", f"Dir::Etc::SourceList={apt}/sources.list", "-o", "Dir::Etc::SourceParts=-"),
            *("-o", "APT::Sandbox::User="),  # root's cache may be closed to the user _apt
        ]
    try:
        done = subprocess.run(
            [command[0], *options, *command[1:]],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:  # a folder of PATH may be closed to this user
        what = f"{command[0]}, which fetches Debian's kernels, does not start"
        raise UsageError(f"{what}: {error.strerror}") from None
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.startswith(("E:", "W:", "dpkg"))]
        reason = (said or done.stderr.splitlines() or ["no output"])[0]
        raise BenchError(f"{' '.join(command)}: {reason}")
    return done.stdout
