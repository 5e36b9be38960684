"""Which kernel is meant, where it and QEMU come from, and which modules in which order.

No archive is asked.
"""

from __future__ import annotations

import lzma
import os
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

from bench.base.errors import BenchError, UsageError
from tools.guest import archive, built, emulator, foreign, initramfs, kernels
from tools.guest.architecture import AMD64, ARM64, Architecture

OFFERED = [
    "linux-image-6.1.0-9-cloud-amd64",
    "linux-image-6.1.0-56-cloud-amd64",
    "linux-image-6.12.9+deb12-cloud-amd64",
    "linux-image-6.12.117+deb12-cloud-amd64",
    "linux-image-6.16.3+deb13-cloud-amd64",
    "linux-image-6.1.0-56-cloud-arm64",
    "linux-image-6.12.117+deb12-cloud-arm64",
    "linux-image-6.12.117+deb12-arm64-16k",
]


@pytest.mark.parametrize(
    ("version", "release"),
    [
        ("6.1", "6.1.0-56"),
        ("6.12", "6.12.117+deb12"),
        ("6.12.9", "6.12.9+deb12"),
        (kernels.NEWEST, "6.16.3+deb13"),
        ("6.1-arm64", "6.1.0-56-arm64"),
        ("arm64", "6.12.117+deb12-arm64"),
        ("newest-arm64", "6.12.117+deb12-arm64"),
        ("arm64-16k", "6.12.117+deb12-arm64-16k"),
        ("6.12-arm64-16k", "6.12.117+deb12-arm64-16k"),
    ],
)
def test_the_latest_of_a_series_is_meant(version: str, release: str) -> None:
    package = kernels._latest(version, OFFERED)
    assert package
    assert kernels.Kernel(Path(package)).release == release


@pytest.mark.parametrize(
    "version", ["6.2", "5.10", "6.1.0-5", "6.1-arm64-16k", "6.16-arm64", "6.1-arm64-64k"]
)
def test_another_series_is_not_meant(version: str) -> None:
    assert kernels._latest(version, OFFERED) is None


architectures: set[str] = set()
"""Those of the archive's lists that were asked for."""


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """A cache of its own, and an archive's commands that only note what was asked."""
    asked: list[tuple[str, ...]] = []
    architectures.clear()

    def run(*command: str, folder: Path | None = None, of: Architecture | None = None) -> str:
        asked.append(command)
        if of is not None:
            architectures.add(of.name)
        if command[:2] == ("apt-get", "indextargets"):
            return "http://a/debian/\nhttp://b/debian-security\nhttp://c/other/\n"
        if command[:2] == ("apt-cache", "search"):
            metas = ["linux-image-6.12-cloud-amd64", "linux-image-cloud-amd64"]
            sources = ["linux-source-6.1", "linux-source-6.12", "linux-source"]
            names = [name for name in [*OFFERED, *metas, *sources] if re.search(command[3], name)]
            return "".join(f"{name} - Linux\n" for name in names)
        if command[:2] == ("apt-get", "download"):
            assert folder
            Path(folder, f"{command[3]}.deb").touch()
        if command[:2] == ("apt-get", "install"):
            (each,) = (part for part in command if part.startswith("Dir::Cache::Archives="))
            Path(each.partition("=")[2], f"{command[-1]}.deb").touch()
        if command[:2] == ("dpkg-deb", "-f"):
            separate = "linux-base-7.0 (= 1), linux-binary-7.0 (= 1), kmod"
            return separate if "6.16" in command[2] else "kmod, linux-base (>= 4.3~)"
        if command[:2] == ("dpkg-deb", "-x"):
            Path(command[3]).mkdir(exist_ok=True)
        return ""

    monkeypatch.setattr(archive, "CACHE", tmp_path)
    monkeypatch.setattr(archive, "run", run)
    return asked


def test_a_kernel_is_downloaded_once(
    asked: list[tuple[str, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = kernels.fetch("6.12")
    assert kernel.folder == tmp_path / "linux-image-6.12.117+deb12-cloud-amd64"
    assert ("apt-get", "download", "-qq", kernel.folder.name) in asked
    asked.clear()
    assert kernels.fetch("6.12") == kernel
    assert asked == []
    assert [path.name for path in tmp_path.glob(".download-*")] == []


@pytest.mark.parametrize(
    ("version", "parts"), [("6.12", []), ("6.16", ["linux-base-7.0", "linux-binary-7.0"])]
)
def test_image_and_modules_may_be_packages_of_their_own(
    version: str, parts: list[str], asked: list[tuple[str, ...]]
) -> None:
    kernel = kernels.fetch(version)
    downloaded = [command[3] for command in asked if command[1] == "download"]
    assert downloaded == [kernel.folder.name, *parts]
    unpacked = [Path(command[2]).stem for command in asked if command[1] == "-x"]
    assert sorted(unpacked) == sorted(downloaded)


def test_a_kernel_that_the_archive_lacks_is_told_from_one_that_cannot_be_had(
    asked: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match=r"the archive has no kernel 5\.10 \("):
        kernels.fetch("5.10")

    def no_network(package: str, folder: Path) -> None:
        raise BenchError("no network")

    monkeypatch.setattr(kernels, "_download", no_network)
    with pytest.raises(BenchError, match="no network") as raised:
        kernels.fetch("6.1")
    assert not isinstance(raised.value, UsageError)


def test_packages_come_from_where_this_machine_has_its_own(
    asked: list[tuple[str, ...]], tmp_path: Path
) -> None:
    assert kernels.offered()[0] == "6.1.0-9"
    lines = Path(tmp_path, "apt/sources.list").read_text().splitlines()
    assert [line.split()[2] for line in lines] == [
        "http://b/debian-security",
        *["http://a/debian"] * 3,
    ]
    *packaged, one, other = kernels.offered()
    assert len(packaged) == len(OFFERED), "neither meta package is a kernel"
    assert [one, other] == ["6.1-arm64-64k", "6.12-arm64-64k"], "they can be built"


def test_an_archive_that_cannot_be_reached_is_not_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "CACHE", tmp_path)
    monkeypatch.setattr(archive, "_sources", lambda: "deb http://127.0.0.1:1/debian sid main\n")
    monkeypatch.setenv("http_proxy", "")
    with pytest.raises(BenchError, match=r"^apt-get update .*: E: .*http://127.0.0.1:1/"):
        kernels.fetch("6.1")


def test_lists_that_could_not_be_had_are_asked_for_again(
    asked: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = archive.run

    def no_network(
        *command: str, folder: Path | None = None, of: Architecture | None = None
    ) -> str:
        if command[1] == "update":
            raise BenchError("no network")
        return ours(*command, folder=folder, of=of)

    with monkeypatch.context() as patch:
        patch.setattr(archive, "run", no_network)
        with pytest.raises(BenchError, match="no network"):
            kernels.offered()

    def updates() -> int:
        return [command[1] for command in asked].count("update")

    for _ in range(2):
        kernels.offered()
        assert updates() == 2, "one of each architecture"
    monkeypatch.setitem(archive.SUITES, "debian", "sid")
    kernels.offered()
    assert updates() == 4, "they are of other suites"


def test_qemu_comes_with_all_that_it_depends_on_once(
    asked: list[tuple[str, ...]], tmp_path: Path
) -> None:
    command = emulator.fetch(AMD64)
    (installed,) = (each for each in asked if each[:2] == ("apt-get", "install"))
    assert {"--download-only", "bookworm-backports", "qemu-system-x86"} <= set(installed)
    asked.clear()
    assert emulator.fetch(AMD64) == command
    assert asked == []
    assert all(part.startswith(str(tmp_path)) for part in command if part.startswith("/"))


def test_what_is_of_arm64_comes_from_arm64s_lists_and_what_runs_here_does_not(
    asked: list[tuple[str, ...]], tmp_path: Path
) -> None:
    kernel = kernels.fetch("6.1-arm64")
    assert (kernel.release, kernel.architecture) == ("6.1.0-56-arm64", ARM64)
    assert architectures == {"arm64"}
    assert (tmp_path / "apt-arm64/sources.list").exists()
    foreign.system(ARM64)
    assert architectures == {"arm64"}
    command = emulator.fetch(ARM64)
    assert architectures == {"arm64", "amd64"}
    assert str(tmp_path / "qemu-system-arm/usr/bin/qemu-system-aarch64") in command
    architectures.clear()
    compiler = foreign.build_environment(ARM64)["CC"]
    assert os.access(compiler, os.X_OK)
    assert str(tmp_path) in compiler
    assert architectures == {"amd64"}


def test_a_machine_of_another_distribution_is_told_so(
    asked: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "run", lambda *_, **__: "http://c/other\n")
    with pytest.raises(UsageError, match="ends in /debian-security"):
        kernels.fetch("6.1")


def test_a_command_that_fails_or_is_missing_is_one_line() -> None:
    says = "echo first >&2; echo E: no such package >&2; exit 1"
    with pytest.raises(BenchError, match=r"^sh -c .*: E: no such package$"):
        archive.run("sh", "-c", says)
    with pytest.raises(UsageError, match=r"^apt-nosuch, which .*, does not start: \w+"):
        archive.run("apt-nosuch")


# A kernel that is built


def leave(arguments: list[str]) -> None:
    """What make leaves: a configuration with all that was asked, or an image with all drivers."""
    (objects,) = (Path(each[2:]) for each in arguments if each.startswith("O="))
    if arguments[-1] == "allnoconfig":
        (objects / ".config").write_text(built.CONFIG.read_text())
    else:
        (objects / "arch/arm64/boot").mkdir(parents=True)
        (objects / "arch/arm64/boot/Image").write_text("an image")
        names = (name.replace("_", "-") for name in kernels.MODULES)
        (objects / "modules.builtin").write_text("".join(f"kernel/{n}.ko\n" for n in names))


@pytest.fixture
def building(asked: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Arguments of each make, which does as little as it can."""
    made: list[list[str]] = []
    ours = archive.run

    def run(*command: str, folder: Path | None = None, of: Architecture | None = None) -> str:
        if command[:2] == ("dpkg-deb", "-x") and "linux-source" in command[2]:
            place = Path(command[3], "usr/src")
            place.mkdir(parents=True)
            with tarfile.open(place / "linux-source-6.12.tar.xz", "w:xz"):
                pass
        return ours(*command, folder=folder, of=of)

    def make(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        made.append(command)
        leave(command)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(archive, "run", run)
    monkeypatch.setattr(built.subprocess, "run", make)
    return made


def test_a_kernel_without_a_package_is_built_once_and_has_all_drivers_in_it(
    building: list[list[str]], tmp_path: Path
) -> None:
    kernel = kernels.fetch("arm64-64k")
    assert (kernel.release, kernel.architecture) == ("6.12-arm64-64k", ARM64)
    assert kernel.memory == "2048M"
    assert [arguments[-1] for arguments in building] == ["allnoconfig", "Image"]
    assert all("ARCH=arm64" in arguments for arguments in building)
    assert kernel.image.read_text() == "an image"
    assert kernel.modules() == []
    building.clear()
    assert kernels.fetch("6.12-arm64-64k") == kernel
    assert building == []


def test_a_kernel_that_cannot_have_a_driver_is_not_built(
    building: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(built, "_lacking", lambda configured: ["CONFIG_BONDING=y"])
    with pytest.raises(BenchError, match=r"^Linux 6\.1 cannot have CONFIG_BONDING=y$"):
        kernels.fetch("6.1-arm64-64k")
    assert [path.name for path in tmp_path.glob("linux-image-*")] == []


def test_an_option_that_needs_another_is_missing_from_what_is_configured() -> None:
    configured = built.CONFIG.read_text().replace("CONFIG_VETH=y", "# CONFIG_VETH is not set")
    assert built._lacking(configured) == ["CONFIG_VETH=y"]


# Modules


def tree(folder: Path, modules: dict[str, list[str]], builtin: tuple[str, ...] = ()) -> None:
    """The modules of a kernel, by what they depend on; every second one is compressed."""
    root = folder / "lib/modules/6.1.0-56-cloud-amd64"
    (root / "kernel/net").mkdir(parents=True)
    for number, (name, depends) in enumerate(modules.items()):
        content = f"name={name}\0depends={','.join(depends)}\0retpoline=Y\0".encode()
        path = root / f"kernel/net/{name}.ko"
        if number % 2:
            path.with_suffix(".ko.xz").write_bytes(lzma.compress(content))
        else:
            path.write_bytes(content)
    lines = [f"kernel/net/{name}.ko\n" for name in builtin]
    (root / "modules.builtin").write_text("".join(lines))


def test_a_module_is_loaded_after_all_that_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {"bonding": "max_bonds=0", "act_mirred": "", "unix_diag": ""}
    monkeypatch.setattr(kernels, "MODULES", wanted)
    has = {"bonding": ["tls", "crc"], "crc": [], "tls": ["crc"], "act_mirred": [], "other": []}
    tree(tmp_path, has, builtin=("unix-diag",))
    loaded = kernels.Kernel(tmp_path).modules()
    assert [module.name for module in loaded] == ["crc", "tls", "bonding", "act_mirred"]
    assert [module.parameters for module in loaded] == ["", "", "max_bonds=0", ""]
    assert all(module.content.startswith(b"name=") for module in loaded)


def test_a_module_that_a_kernel_lacks_is_no_reason_to_skip(tmp_path: Path) -> None:
    folder = tmp_path / "linux-image-6.1.0-56-cloud-amd64"
    tree(folder, {"veth": []})
    with pytest.raises(BenchError, match=r"^Linux 6\.1\.0-56 has no module bonding"):
        kernels.Kernel(folder).modules()


def test_a_core_for_another_cpu_is_built_without_the_flags_for_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine has that environment too: by its hash a core is known to be the sources' own."""
    monkeypatch.setenv("CC", "gcc")
    monkeypatch.setenv("CFLAGS", "-march=native")
    compiler = tmp_path / "cc"
    compiler.write_text(f"#!/bin/sh\nenv >{tmp_path}/env\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setattr(foreign, "_compiler", lambda _: str(compiler))
    with pytest.raises(BenchError, match="cannot build the core for arm64: "):
        foreign.core(ARM64, "")
    lines = (tmp_path / "env").read_text().splitlines()
    told = dict(line.split("=", 1) for line in lines if line.startswith(("CC=", "CFLAGS=")))
    assert told == initramfs.build_environment(ARM64) == {"CC": str(compiler)}
    assert initramfs.build_environment(AMD64) == {"CC": "gcc", "CFLAGS": "-march=native"}
