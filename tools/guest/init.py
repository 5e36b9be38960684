"""Process 1 of a virtual machine: loads the modules, runs one command, reports its exit code.

The console is the command's output. The second serial port takes the command's reports, a line of
JSON each; the last is the exit code, which a machine that died does not send.
"""

import ctypes
import json
import os
import signal
import socket
import subprocess
import termios
import traceback
import tty
from pathlib import Path
from typing import Any

MOUNTS = {
    "/dev": "devtmpfs",
    "/dev/pts": "devpts",
    "/dev/shm": "tmpfs",
    "/proc": "proc",
    "/run": "tmpfs",
    "/sys": "sysfs",
    "/sys/fs/cgroup": "cgroup2",
    "/sys/kernel/tracing": "tracefs",
}
REPORTS = "/dev/reports"
"""A link to the second serial port."""
FINIT_MODULE = {"x86_64": 313, "aarch64": 273}[os.uname().machine]
"""arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h"""
RB_POWER_OFF = 0x4321FEDC
"""include/uapi/linux/reboot.h"""
SIOCSIFFLAGS = 0x8914

libc = ctypes.CDLL(None, use_errno=True)


def checked(result: int, doing: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{doing}: {os.strerror(ctypes.get_errno())}")


def mount_all() -> None:
    for target, kind in MOUNTS.items():
        Path(target).mkdir(parents=True, exist_ok=True)
        made = libc.mount(kind.encode(), target.encode(), kind.encode(), 0, None)
        checked(made, f"mount {target}")


def open_ports(serial: str) -> int:
    """Open both ports raw, so that no line feed gets a carriage return.

    The console is standard input and output.
    """
    Path(REPORTS).symlink_to(f"{serial}1")
    names = (f"/dev/{serial}0", REPORTS)
    console, reports = (os.open(name, os.O_RDWR | os.O_NOCTTY) for name in names)
    for port in (console, reports):
        tty.setraw(port, termios.TCSANOW)
    for standard in range(3):
        os.dup2(console, standard)
    return reports


def load(path: str, parameters: str) -> None:
    with open(path, "rb") as file:
        checked(libc.syscall(FINIT_MODULE, file.fileno(), parameters.encode(), 0), path)


def set_lo_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = b"lo".ljust(16, b"\0") + (1).to_bytes(24, "little")  # struct ifreq: IFF_UP
        checked(libc.ioctl(control.fileno(), SIOCSIFFLAGS, request), "lo")


def run(job: dict[str, Any]) -> int:
    child = subprocess.Popen(
        job["command"], cwd=job["folder"], env=job["environment"], start_new_session=True
    )
    while True:  # process 1 has to reap orphans
        pid, status = os.wait()
        if pid == child.pid:
            return os.waitstatus_to_exitcode(status)


def main() -> None:
    mount_all()
    job = json.loads(Path("/job.json").read_text())
    reports = open_ports(job["serial"])
    for path, parameters in job["modules"]:
        load(path, parameters)
    set_lo_up()
    code = run(job)
    termios.tcdrain(1)
    os.write(reports, json.dumps({"exit": code}).encode() + b"\n")
    termios.tcdrain(reports)


if __name__ == "__main__":
    try:
        main()
    except BaseException:
        traceback.print_exc()
    libc.reboot(RB_POWER_OFF)
    signal.pause()
