"""Which CPU and which hypervisor: files as they are on machines of several makers."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from bench.system import hardware
from bench.system.procfs import ProcFs
from tests.trees import Tree, machine_of

X86 = "processor\t: 0\nmodel name\t: AMD EPYC 7B13\nflags\t\t: fpu tsc{}\n"
FW_CFG = "proc/device-tree/fw-cfg@9020000/compatible"
DMI = "sys/class/dmi/id"


def arm(*cores: tuple[int, int]) -> str:
    """/proc/cpuinfo of arm64: arch/arm64/kernel/cpuinfo.c"""
    return "".join(
        f"processor\t: {number}\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd crc32\n"
        f"CPU implementer\t: {implementer:#04x}\nCPU architecture: 8\nCPU variant\t: 0x3\n"
        f"CPU part\t: {part:#05x}\nCPU revision\t: 1\n\n"
        for number, (implementer, part) in enumerate(cores)
    )


N1 = arm((0x41, 0xD0C), (0x41, 0xD0C))


@pytest.mark.parametrize(
    ("tree", "model"),
    [
        ({"proc/cpuinfo": X86, f"{DMI}/product_name": "PowerEdge"}, "AMD EPYC 7B13"),
        ({"proc/cpuinfo": N1}, "ARM Neoverse-N1"),
        (
            {
                "proc/cpuinfo": N1,
                f"{DMI}/sys_vendor": "Amazon EC2\n",
                f"{DMI}/product_name": "m6g.large\n",
            },
            "ARM Neoverse-N1 (Amazon EC2 m6g.large)",
        ),
        (
            {
                "proc/cpuinfo": N1,
                f"{DMI}/sys_vendor": "QEMU\n",
                f"{DMI}/product_name": "QEMU Virtual Machine\n",
            },
            "ARM Neoverse-N1 (QEMU Virtual Machine)",
        ),
        (
            {
                "proc/cpuinfo": f"{arm((0x41, 0xD08))}Model\t\t: Raspberry Pi 4\n",
                "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.2\0",
            },
            "ARM Cortex-A72 (Raspberry Pi 4 Model B Rev 1.2)",
        ),
        (
            {
                "proc/cpuinfo": arm((0x61, 0x22), (0x61, 0x22), (0x61, 0x23)),
                "proc/device-tree/model": "Apple MacBook Air (M1, 2020)\0",
            },
            "Apple Icestorm-M1 + Apple Firestorm-M1 (Apple MacBook Air (M1, 2020))",
        ),
        ({"proc/cpuinfo": arm((0x41, 0xDFF))}, "ARM part 0xdff"),
        ({"proc/cpuinfo": arm((0x99, 0x001))}, "implementer 0x99 part 0x001"),
        (
            {"proc/cpuinfo": f"model name\t: ARMv8 Processor rev 1 (v8l)\n{N1}"},
            "ARM Neoverse-N1",  # so it is shown to a program of 32 bits
        ),
        (
            {"proc/cpuinfo": "processor\t: 0\ncpu\t\t: POWER9, altivec supported\n"},
            "POWER9, altivec supported",
        ),
        ({"proc/cpuinfo": "processor\t: 0\nuarch\t\t: sifive,u74-mc\n"}, "sifive,u74-mc"),
        ({}, platform.machine()),
    ],
)
def test_the_model_of_the_cpu(tmp_path: Path, tree: Tree, model: str) -> None:
    assert hardware.cpu_model(machine_of(tmp_path, tree)) == model


@pytest.mark.parametrize(
    ("tree", "kind"),
    [
        ({"proc/cpuinfo": X86.format(" hypervisor")}, "virtual machine"),
        (
            {"proc/cpuinfo": X86.format(" hypervisor"), f"{DMI}/sys_vendor": "QEMU\n"},
            "virtual machine (QEMU)",
        ),
        (
            {"proc/cpuinfo": X86.format(" hypervisor"), "sys/hypervisor/type": "xen\n"},
            "virtual machine (xen)",
        ),
        (
            {"proc/cpuinfo": X86.format(" hypervisor"), ".dockerenv": ""},
            "virtual machine, container",
        ),
        ({"proc/cpuinfo": X86.format("")}, "none"),
        # CPUID is the word: the makers of clouds have bare machines, too.
        ({"proc/cpuinfo": X86.format(""), f"{DMI}/sys_vendor": "Amazon EC2\n"}, "none"),
        ({"proc/cpuinfo": X86.format(""), "run/.containerenv": ""}, "container"),
        (
            {
                "proc/cpuinfo": N1,
                f"{DMI}/sys_vendor": "Amazon EC2\n",
                f"{DMI}/product_name": "m6g.large\n",
            },
            "virtual machine (Amazon EC2)",
        ),
        (
            {
                "proc/cpuinfo": N1,
                f"{DMI}/sys_vendor": "Amazon EC2\n",
                f"{DMI}/product_name": "m6g.metal\n",
            },
            "none",
        ),
        (
            {
                "proc/cpuinfo": N1,
                f"{DMI}/sys_vendor": "Microsoft Corporation\n",
                f"{DMI}/product_name": "Virtual Machine\n",
                f"{DMI}/product_version": "Hyper-V UEFI Release v4.1\n",
            },
            "virtual machine (Microsoft Corporation)",
        ),
        ({"proc/cpuinfo": N1, f"{DMI}/sys_vendor": "Ampere(R)\n"}, "none"),
        (
            {
                "proc/cpuinfo": N1,
                "proc/device-tree/model": "linux,dummy-virt\0",
                "proc/device-tree/hypervisor/compatible": "linux,kvm\0",
            },
            "virtual machine (kvm)",
        ),
        (
            {
                "proc/cpuinfo": N1,
                "proc/device-tree/hypervisor/compatible": "xen,xen-4.17\0xen,xen\0",
            },
            "virtual machine (xen,xen-4.17)",
        ),
        (
            {"proc/cpuinfo": N1, "proc/device-tree/model": "linux,dummy-virt\0", FW_CFG: "x"},
            "virtual machine (QEMU)",
        ),
        ({"proc/cpuinfo": N1, "sys/hypervisor/type": "xen\n"}, "virtual machine (xen)"),
        ({"proc/device-tree/compatible": "qemu,pseries\0"}, "virtual machine (QEMU)"),
        ({"proc/cpuinfo": N1, "proc/device-tree/model": "Raspberry Pi 4\0"}, "none"),
        (
            {"proc/sysinfo": "VM00 Name: LINUX\nVM00 Control Program: KVM/Linux\n"},
            "virtual machine (KVM/Linux)",
        ),
        ({"proc/sysinfo": "Manufacturer: IBM\n"}, "none"),
        ({"proc/cpuinfo": N1}, None),
        ({}, None),
        ({"run/systemd/container": "lxc\n"}, "container"),
    ],
)
def test_what_is_below_this_system(tmp_path: Path, tree: Tree, kind: str | None) -> None:
    assert hardware.virtualisation(machine_of(tmp_path, tree)) == kind


def test_this_machine_has_a_cpu_of_some_name() -> None:
    assert hardware.cpu_model(ProcFs())
