"""The CPU and the hypervisor below it, by firmware and kernel, on any architecture.

The order of the questions is that of lscpu (util-linux) and systemd-detect-virt. Only files that
need no privileges are read: root's runs and other users' then name the same machine.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator, Mapping

from bench.system.procfs import ProcFs

DMI = "sys/class/dmi/id"


DEVICE_TREE = "proc/device-tree"


_MODEL_FIELDS = ("model name", "cpu model", "cpu", "uarch")
"""Fields of /proc/cpuinfo: x86 and LoongArch, MIPS, POWER, RISC-V."""


_IMPLEMENTERS: Mapping[int, str] = {
    0x41: "ARM",
    0x42: "Broadcom",
    0x43: "Cavium",
    0x46: "Fujitsu",
    0x48: "HiSilicon",
    0x4E: "NVIDIA",
    0x50: "APM",
    0x51: "Qualcomm",
    0x53: "Samsung",
    0x61: "Apple",
    0x6D: "Microsoft",
    0x70: "Phytium",
    0xC0: "Ampere",
}


_PARTS: Mapping[tuple[int, int], str] = {
    (0x41, 0xD03): "Cortex-A53",
    (0x41, 0xD04): "Cortex-A35",
    (0x41, 0xD05): "Cortex-A55",
    (0x41, 0xD07): "Cortex-A57",
    (0x41, 0xD08): "Cortex-A72",
    (0x41, 0xD09): "Cortex-A73",
    (0x41, 0xD0A): "Cortex-A75",
    (0x41, 0xD0B): "Cortex-A76",
    (0x41, 0xD0C): "Neoverse-N1",
    (0x41, 0xD0D): "Cortex-A77",
    (0x41, 0xD40): "Neoverse-V1",
    (0x41, 0xD41): "Cortex-A78",
    (0x41, 0xD42): "Cortex-A78AE",
    (0x41, 0xD44): "Cortex-X1",
    (0x41, 0xD46): "Cortex-A510",
    (0x41, 0xD47): "Cortex-A710",
    (0x41, 0xD48): "Cortex-X2",
    (0x41, 0xD49): "Neoverse-N2",
    (0x41, 0xD4A): "Neoverse-E1",
    (0x41, 0xD4B): "Cortex-A78C",
    (0x41, 0xD4D): "Cortex-A715",
    (0x41, 0xD4E): "Cortex-X3",
    (0x41, 0xD4F): "Neoverse-V2",
    (0x41, 0xD80): "Cortex-A520",
    (0x41, 0xD81): "Cortex-A720",
    (0x41, 0xD82): "Cortex-X4",
    (0x41, 0xD83): "Neoverse-V3AE",
    (0x41, 0xD84): "Neoverse-V3",
    (0x41, 0xD8E): "Neoverse-N3",
    (0x42, 0x516): "ThunderX2",
    (0x43, 0x0A1): "ThunderX-88XX",
    (0x43, 0x0AF): "ThunderX2-99xx",
    (0x46, 0x001): "A64FX",
    (0x48, 0xD01): "TaiShan-v110",
    (0x48, 0xD02): "TaiShan-v120",
    (0x4E, 0x003): "Denver 2",
    (0x4E, 0x004): "Carmel",
    (0x50, 0x000): "X-Gene",
    (0x51, 0x001): "Oryon",
    (0x51, 0xC00): "Falkor",
    (0x61, 0x022): "Icestorm-M1",
    (0x61, 0x023): "Firestorm-M1",
    (0x61, 0x032): "Blizzard-M2",
    (0x61, 0x033): "Avalanche-M2",
    (0x6D, 0xD49): "Azure-Cobalt-100",
    (0x70, 0x662): "FTC662",
    (0x70, 0x663): "FTC663",
    (0xC0, 0xAC3): "Ampere-1",
    (0xC0, 0xAC4): "Ampere-1a",
}
"""MIDR_EL1's implementer and part: sys-utils/lscpu-arm.c of util-linux."""


def cpu_model(machine: ProcFs) -> str:
    """The CPU's name. ARM's cores do not name their chip: the board does."""
    cpuinfo = _cpuinfo(machine)
    cores = " + ".join(_arm_cores(cpuinfo))
    named = next((cpuinfo[field][0] for field in _MODEL_FIELDS if field in cpuinfo), "")
    if named and not cores:
        return named
    board = _board(machine)
    return (cores or platform.machine()) + (f" ({board})" if board else "")


def _cpuinfo(machine: ProcFs) -> dict[str, list[str]]:
    """The fields of /proc/cpuinfo: name in lower case to all its values."""
    found: dict[str, list[str]] = {}
    for line in (machine.text("proc/cpuinfo") or "").splitlines():
        name, _, value = line.partition(":")
        found.setdefault(name.strip().lower(), []).append(value.strip())
    return found


def _arm_cores(cpuinfo: Mapping[str, list[str]]) -> Iterator[str]:
    """The kinds of cores, each once: big.LITTLE has several."""
    pairs = zip(cpuinfo.get("cpu implementer", []), cpuinfo.get("cpu part", []), strict=False)
    for implementer, part in dict.fromkeys(pairs):
        maker, number = int(implementer, 16), int(part, 16)
        named = _IMPLEMENTERS.get(maker, f"implementer {maker:#04x}")
        yield f"{named} {_PARTS.get((maker, number), f'part {number:#05x}')}"


def _board(machine: ProcFs) -> str:
    """The machine's name in the device tree, or in the DMI; empty if there is neither."""
    if model := _device_tree(machine, "model"):
        return model
    vendor, product = (_dmi(machine, name) for name in ("sys_vendor", "product_name"))
    return product if product.startswith(vendor) else f"{vendor} {product}".strip()


def _dmi(machine: ProcFs, name: str) -> str:
    return machine.text(f"{DMI}/{name}") or ""


def _device_tree(machine: ProcFs, name: str) -> str:
    """The first string of a property."""
    return (machine.text(f"{DEVICE_TREE}/{name}") or "").partition("\0")[0]


# Below this system

NONE = "none"


_VIRTUAL = (
    *("KVM", "OpenStack", "KubeVirt", "Amazon EC2", "QEMU", "VMware", "VMW", "innotek GmbH"),
    *("VirtualBox", "Xen", "Bochs", "Parallels", "BHYVE", "Hyper-V", "Apple Virtualization"),
    *("Google Compute Engine", "Alibaba Cloud ECS"),
)
"""Prefixes of a virtual machine's DMI: src/basic/virt.c of systemd, and one cloud more."""


_DMI_FIELDS = ("product_name", "sys_vendor", "board_vendor", "bios_vendor", "product_version")


_CONTAINERS = (".dockerenv", "run/.containerenv", "run/systemd/container")


def virtualisation(machine: ProcFs) -> str | None:
    """``virtual machine (QEMU)``, ``container``, both, or NONE; None if unknown."""
    kinds = [_virtual_machine(machine)]
    if any(machine.text(path) is not None for path in _CONTAINERS):
        kinds.append("container")
    if kinds == [None]:
        return None
    return ", ".join(kind for kind in kinds if kind) or NONE


def _virtual_machine(machine: ProcFs) -> str | None:
    """This virtual machine, in words; empty if it is none, None if unknown."""
    vendor = _dmi(machine, "sys_vendor") or machine.text("sys/hypervisor/type") or ""
    if flags := _cpuinfo(machine).get("flags"):  # x86's, by CPUID
        return _named(vendor) if "hypervisor" in flags[0].split() else ""
    if sysinfo := machine.text("proc/sysinfo"):  # s390's
        found = re.search(r"^VM00 Control Program:\s*(\S+)", sysinfo, re.M)
        return _named(found[1]) if found else ""
    if _is_virtual_dmi(machine):
        return _named(vendor)
    tree = _device_tree_hypervisor(machine) or machine.text("sys/hypervisor/type")
    if tree:
        return _named(tree)
    return "" if vendor or machine.text(f"{DEVICE_TREE}/model") else None


def _named(vendor: str) -> str:
    return f"virtual machine ({vendor})" if vendor else "virtual machine"


def _is_virtual_dmi(machine: ProcFs) -> bool:
    """Whether the DMI names a hypervisor or cloud; a cloud's bare machines are ``*metal*``."""
    if "metal" in _dmi(machine, "product_name"):
        return False
    return any(_dmi(machine, name).startswith(_VIRTUAL) for name in _DMI_FIELDS)


def _device_tree_hypervisor(machine: ProcFs) -> str:
    """The hypervisor's name, or the emulator's; empty if the tree shows neither."""
    told = _device_tree(machine, "hypervisor/compatible").removeprefix("linux,")
    if told:
        return told
    is_qemu = machine.glob(f"{DEVICE_TREE}/fw-cfg@*")
    return "QEMU" if is_qemu or _device_tree(machine, "compatible") == "qemu,pseries" else ""
