"""Runs tests, or a command, of this checkout on another kernel: one of Debian's, in QEMU.

    tools/kernels.py 6.1                            the tests of what depends on the kernel
    tools/kernels.py 6.12 -- tests/netns -k veth    some of them: arguments of pytest
    tools/kernels.py newest --run 'ip -d link'      any command, in the checkout's folder
    tools/kernels.py arm64-16k                      an ARM of 64 bits, with pages of 16 KiB
    tools/kernels.py --list                         the kernels that can be had
    tools/kernels.py --fetch                        QEMU and the kernels that KERNELS names

No root is needed, and no KVM. The exit code is the command's.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

from bench.base.errors import BenchError, UsageError
from tools.guest import kernels, vm


def execute(version: str, command: Sequence[str]) -> int:
    """Boot a kernel, run a command in the checkout with its output here; its exit code."""
    kernel = kernels.fetch(version)
    with vm.system(kernel.architecture) as system:
        job = vm.Job(command, {"COLUMNS": os.environ.get("COLUMNS", "100")})
        with vm.booted(kernel, system, job) as port, port.makefile() as lines:
            last = lines.readlines()[-1:]
    if not last:
        raise BenchError(f"Linux {kernel.release} died")
    return int(json.loads(last[0])["exit"])


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="tools/kernels.py",
        usage="%(prog)s VERSION [--run COMMAND | -- ARGUMENT...] | --list | --fetch",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("version", nargs="?", help="6.1, newest, 6.1-arm64, arm64, ...")
    parser.add_argument("--run", metavar="COMMAND", help="a shell command instead of pytest")
    parser.add_argument("--list", action="store_true", help="show all kernels of the archive")
    parser.add_argument("--fetch", action="store_true", help="download what is not here, no more")
    parser.add_argument("arguments", nargs="*", metavar="ARGUMENT", help="pytest's, after --")
    chosen = parser.parse_args()
    if chosen.list:
        print(*kernels.offered(), sep="\n")
        return 0
    if chosen.fetch:
        for version in kernels.CHOSEN:
            vm.fetch(kernels.fetch(version).architecture)
        return 0
    if chosen.version is None:
        parser.error("which kernel? --list shows all")
    pytest = [*vm.PYTEST, *(chosen.arguments or vm.TESTS)]
    return execute(chosen.version, ["sh", "-c", chosen.run] if chosen.run else pytest)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchError as error:
        print(f"kernels: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, UsageError) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
