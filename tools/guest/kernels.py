"""Debian's kernels: which there are, their download, and the modules that the tests use.

apt-get and apt-cache work on lists of their own in the cache folder: no root is needed, what this
machine has installed or configured is left alone, and kernels newer than its release can be had.
"""

from __future__ import annotations

import fcntl
import lzma
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError, UsageError

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("BENCH_KERNELS_CACHE", ROOT / ".kernels"))
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
SUITES = {"debian-security": "bookworm-security", "debian": "bookworm-backports trixie-backports"}
"""The first has bookworm's 6.1 and its 6.12, the second what came after them."""
NEWEST = "newest"
_NAME = re.compile(r"linux-image-((\d[\d.]*).*)-cloud-amd64")
"""Kernels for virtual machines: bonding and all qdiscs are modules, and little else is there."""

MODULES: Mapping[str, str] = {
    # Without these parameters bonding and ifb make interfaces of their own as they are loaded.
    "bonding": "max_bonds=0",
    "ifb": "numifbs=0",
    "dummy": "numdummies=0",
    **dict.fromkeys(("veth", "macvlan", "bridge", "tun", "pktgen"), ""),
    **dict.fromkeys(("sch_tbf", "sch_htb", "sch_netem", "sch_ingress"), ""),
    **dict.fromkeys(("cls_u32", "cls_matchall", "cls_bpf", "act_gact", "act_mirred"), ""),
    **dict.fromkeys(("af_packet_diag", "unix_diag"), ""),
}
"""What is loaded at boot, with parameters: nothing in the machine loads a module on demand."""


class NotOffered(UsageError):
    """The archive has no such kernel."""


TREES = "usr/lib/modules/*"
"""Where later kernels of Debian have their modules, and the image itself."""


@dataclass(frozen=True, slots=True)
class Module:
    """A kernel module: its parameters at boot, and its file, not compressed."""

    name: str
    parameters: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Kernel:
    """An unpacked package."""

    folder: Path

    @property
    def release(self) -> str:
        """As the package calls it, such as 6.1.0-56."""
        return _release(self.folder.name)

    @property
    def image(self) -> Path:
        (image,) = [*self.folder.glob("boot/vmlinuz-*"), *self.folder.glob(f"{TREES}/vmlinuz")]
        return image

    def modules(self) -> list[Module]:
        """Those of MODULES, each after all that it depends on; what is built in is left out.

        Raises BenchError if the kernel has one neither as a module nor built in.
        """
        (tree,) = [*self.folder.glob("lib/modules/*"), *self.folder.glob(TREES)]
        files = {_module_name(path.name): path for path in tree.rglob("*.ko*")}
        builtin = {_module_name(path) for path in (tree / "modules.builtin").read_text().split()}
        loaded: dict[str, Module] = {}

        def load(name: str) -> None:
            if name in loaded or name in builtin:
                return
            if name not in files:
                raise BenchError(f"Linux {self.release} has no module {name}")
            content = _content(files[name])
            for needed in _depends(content):
                load(needed)
            loaded[name] = Module(name, MODULES.get(name, ""), content)

        for name in MODULES:
            load(name)
        return list(loaded.values())


def _module_name(path: str) -> str:
    return path.rpartition("/")[2].partition(".")[0].replace("-", "_")


def _content(path: Path) -> bytes:
    content = path.read_bytes()
    return lzma.decompress(content) if path.suffix == ".xz" else content


def _depends(content: bytes) -> list[str]:
    """What a module's .modinfo section says that it needs."""
    found = re.search(rb"\0depends=([^\0]*)\0", content)
    return found[1].decode().replace("-", "_").split(",") if found and found[1] else []


# The archive


def fetch(version: str) -> Kernel:
    """The latest kernel of a series ("6.1"), or of all ("newest"), from the cache or the archive.

    A kernel that is in the cache stays the latest of its series until the cache is removed.
    Raises NotOffered where the archive has none, BenchError where it cannot be had.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    with _lock():
        here = [path.name for path in CACHE.glob("linux-image-*")]
        package = _latest(version, here) if version != NEWEST else None
        package = package or _latest(version, _offered())
        if package is None:
            raise NotOffered(f"the archive has no kernel {version} ({', '.join(SUITES.values())})")
        folder = CACHE / package
        if not folder.exists():
            _download(package)
    return Kernel(folder)


def _latest(version: str, packages: list[str]) -> str | None:
    """The highest version of a series among packages' names."""
    series = "" if version == NEWEST else re.escape(version) + r"(?![\d])"
    found = [name for name in packages if (m := _NAME.fullmatch(name)) and re.match(series, m[1])]
    return max(found, key=_numbers, default=None)


def _numbers(package: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", _release(package))]


def _release(package: str) -> str:
    found = _NAME.fullmatch(package)
    assert found
    return found[1]


def offered() -> list[str]:
    """Releases of all kernels that the archive has, oldest first."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with _lock():
        return [_release(name) for name in sorted(_offered(), key=_numbers)]


def _offered() -> list[str]:
    """Names of all packages with a kernel that can be booted (not -dbg, not a meta package)."""
    lists = CACHE / "apt/lists"
    if not any(lists.glob("*_Packages*")):
        (lists / "partial").mkdir(parents=True, exist_ok=True)
        (CACHE / "apt/sources.list").write_text(_sources())
        _run("apt-get", "update", "-qq")
    # apt's own expressions are POSIX's; a meta package's version has no patch level
    shown = _run("apt-cache", "search", "--names-only", "^linux-image-.*-cloud-amd64$")
    names = [line.split()[0] for line in shown.splitlines()]
    return [name for name in names if (m := _NAME.fullmatch(name)) and m[2].count(".") == 2]


def _sources() -> str:
    """Lines for apt: SUITES, from where this machine has its Debian packages."""
    shown = _run("apt-get", "indextargets", "--format", "$(REPO_URI)", own=False)
    repositories = {uri.rstrip("/") for uri in shown.split()}
    found = []
    for name, suites in SUITES.items():
        uris = sorted(uri for uri in repositories if uri.endswith(f"/{name}"))
        if not uris:
            raise UsageError(f"no apt source of this machine ends in /{name}: kernels are Debian's")
        found += [f"deb [signed-by={KEYRING}] {uris[0]} {suite} main" for suite in suites.split()]
    return "".join(f"{line}\n" for line in found)


def _download(package: str) -> None:
    with tempfile.TemporaryDirectory(prefix=".download-", dir=CACHE) as temporary:
        _run("apt-get", "download", "-qq", package, folder=temporary)
        (deb,) = Path(temporary).glob("*.deb")
        # From Debian 13's later kernels on, the image and the modules are packages of their own.
        depends = _run("dpkg-deb", "-f", str(deb), "Depends")
        for part in re.findall(r"linux-(?:base|binary|modules)-\d[^\s,|]+", depends):
            _run("apt-get", "download", "-qq", part, folder=temporary)
        unpacked = Path(temporary, "unpacked")
        for each in Path(temporary).glob("*.deb"):
            _run("dpkg-deb", "-x", str(each), str(unpacked))
        unpacked.rename(CACHE / package)


@contextmanager
def _lock() -> Iterator[None]:
    """Two at the same time download once."""
    with open(CACHE / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(*command: str, folder: str | None = None, own: bool = True) -> str:
    """The output of one of apt's or dpkg's commands, with lists of our own or the machine's."""
    options = []
    if command[0].startswith("apt-") and own:
        apt = CACHE / "apt"
        options = [
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
    except FileNotFoundError:
        raise UsageError(f"{command[0]} is missing: it fetches Debian's kernels") from None
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.startswith(("E:", "W:", "dpkg"))]
        reason = (said or done.stderr.splitlines() or ["no output"])[0]
        raise BenchError(f"{' '.join(command)}: {reason}")
    return done.stdout
