"""Debian's kernels, packaged or built from its sources: their list, and the modules that the tests
use."""

from __future__ import annotations

import lzma
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.base.errors import BenchError, UsageError
from tools.guest import archive, built
from tools.guest.architecture import AMD64, ARM64, Architecture

NEWEST = "newest"
CHOSEN = (os.environ.get("KERNELS") or f"6.1 6.12 {NEWEST}").split()
"""The kernels on which `make test-kernels` runs tests."""
FLAVOURS: Mapping[str, tuple[str, Architecture]] = {
    "": ("cloud-amd64", AMD64),
    "arm64": ("cloud-arm64", ARM64),
    "arm64-16k": ("arm64-16k", ARM64),
    built.FLAVOUR: (built.FLAVOUR, built.ARCHITECTURE),
}
"""What may follow a version, with a hyphen, or be asked for alone: Debian's flavour of the kernel.
Those for clouds have bonding and all qdiscs as modules, and little else; none of them has pages of
16 KiB. Debian has no kernel of the last one."""
_NAME = re.compile(
    rf"linux-image-((\d[\d.]*).*)-({'|'.join(name for name, _ in FLAVOURS.values())})"
)

MODULES: Mapping[str, str] = {
    # Without these parameters bonding and ifb make interfaces of their own as they are loaded.
    "bonding": "max_bonds=0",
    "ifb": "numifbs=0",
    "dummy": "numdummies=0",
    **dict.fromkeys(("veth", "macvlan", "8021q", "bridge", "tun", "pktgen"), ""),
    **dict.fromkeys(("sch_tbf", "sch_htb", "sch_netem", "sch_ingress"), ""),
    **dict.fromkeys(("sch_fq_codel", "sch_fq", "sch_prio"), ""),
    **dict.fromkeys(("cls_u32", "cls_matchall", "cls_bpf", "act_gact", "act_mirred"), ""),
    **dict.fromkeys(("af_packet_diag", "unix_diag"), ""),
}
"""Modules loaded at boot, with parameters: nothing in the machine loads a module on demand."""

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
        """As the package calls it, such as 6.1.0-56, with what FLAVOURS add (6.1.0-56-arm64)."""
        return _release(self.folder.name)

    @property
    def architecture(self) -> Architecture:
        return FLAVOURS[_suffix(self.folder.name)][1]

    @property
    def memory(self) -> str:
        """All files of a machine are in it, and each takes whole pages."""
        return "2048M" if _suffix(self.folder.name) == built.FLAVOUR else "1024M"

    @property
    def image(self) -> Path:
        (image,) = [*self.folder.glob("boot/vmlinuz-*"), *self.folder.glob(f"{TREES}/vmlinuz")]
        return image

    def modules(self) -> list[Module]:
        """MODULES, each after its dependencies; built-in ones are left out.

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
    """A module's dependencies, from its .modinfo section."""
    found = re.search(rb"\0depends=([^\0]*)\0", content)
    return found[1].decode().replace("-", "_").split(",") if found and found[1] else []


# The archive


def fetch(version: str) -> Kernel:
    """The latest kernel of a series ("6.1"), or of all ("newest"), from the cache or the archive.

    A suffix chooses another flavour ("6.1-arm64"); the suffix alone is that flavour's newest.
    A cached kernel stays the latest of its series until the cache is removed.
    Raises UsageError if the archive has none, BenchError if it cannot be reached.
    """
    series, suffix = _asked(version)
    here = [path.name for path in archive.CACHE.glob("linux-image-*")]
    package = _latest(version, here) if series != NEWEST else None
    package = package or _latest(version, _offered(suffix))
    if package is None:
        suites = ", ".join(" ".join(archive.SUITES.values()).split())
        raise UsageError(f"the archive has no kernel {version} ({suites})")
    if _suffix(package) == built.FLAVOUR:
        return Kernel(built.fetch(package, _parts(package)[1]))
    return Kernel(archive.unpacked(package, partial(_download, package)))


def _asked(version: str) -> tuple[str, str]:
    """The series, and the suffix of FLAVOURS."""
    suffix = next((s for s in FLAVOURS if s and f"-{version}".endswith(f"-{s}")), "")
    return version.removesuffix(suffix).removesuffix("-") or NEWEST, suffix


def _latest(version: str, packages: list[str]) -> str | None:
    """The highest version of a series among packages' names."""
    series, suffix = _asked(version)
    start = "" if series == NEWEST else re.escape(series) + r"(?![\d])"
    flavour = FLAVOURS[suffix][0]
    names = (m for name in packages if (m := _NAME.fullmatch(name)) and m[3] == flavour)
    found = [m[0] for m in names if re.match(start, m[1])]
    return max(found, key=_numbers, default=None)


def _parts(package: str) -> re.Match[str]:
    found = _NAME.fullmatch(package)
    assert found
    return found


def _suffix(package: str) -> str:
    flavour = _parts(package)[3]
    return next(suffix for suffix, (name, _) in FLAVOURS.items() if name == flavour)


def _numbers(package: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", _parts(package)[1])]


def _release(package: str) -> str:
    return "-".join(filter(None, [_parts(package)[1], _suffix(package)]))


def offered() -> list[str]:
    """Releases of all kernels that the archive has, oldest first, flavour by flavour."""
    return [
        _release(name) for suffix in FLAVOURS for name in sorted(_offered(suffix), key=_numbers)
    ]


def _offered(suffix: str) -> list[str]:
    """Names of all packages with a kernel that can be booted (not -dbg, not a meta package), or of
    such packages as can be built."""
    flavour, architecture = FLAVOURS[suffix]
    if flavour == built.FLAVOUR:
        return [f"linux-image-{series}-{flavour}" for series in built.offered()]
    # A meta package's version has no patch level.
    names = archive.names(f"^linux-image-.*-{flavour}$", architecture)
    found = (m for name in names if (m := _NAME.fullmatch(name)) and m[3] == flavour)
    return [m[0] for m in found if m[2].count(".") == 2]


def _download(package: str, folder: Path) -> None:
    architecture = FLAVOURS[_suffix(package)][1]
    archive.download(package, architecture, folder)
    (deb,) = folder.glob("*.deb")
    # From Debian 13's later kernels on, the image and the modules are packages of their own.
    depends = archive.run("dpkg-deb", "-f", str(deb), "Depends")
    for part in re.findall(r"linux-(?:base|binary|modules)-\d[^\s,|]+", depends):
        archive.download(part, architecture, folder)
