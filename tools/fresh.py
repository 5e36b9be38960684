"""README.md's two commands on fresh machines of several Debian releases: `make test-fresh`.

    python3 -m tools.fresh bookworm trixie unstable

A machine is a minimal root of the release with python3, gcc and make, and a clone of the checkout's
last commit in a folder with a space in its name: once as root, and once as another user, who gets
only the packages that tools/setup.sh names. It has this computer's kernel and network, and this
computer's sources of Debian's and Python's packages. Roots stay in .fresh for the next time, with
the output of each machine. Needs root.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from bench.base.errors import BenchError, UsageError
from tools.guest import archive

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".fresh"
PACKAGES = ("python3", "gcc", "make")
"""A machine's packages, by README.md."""
TOOLS = {"debootstrap": "debootstrap", "git": "git", "unshare": "util-linux"}
"""Programs that this tool needs here, and their packages."""
HOMES = {"root": "/root", "user": "/home/user"}
CLONE = "a clone"
RESULTS = "tmp/results.xml"

CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
PASSED_ON = re.compile(rf"PIP_\w+|\w+_(proxy|PROXY)|{'|'.join(CERTIFICATES)}")
"""Variables of the sources of packages, and the way to them."""
COPIED = (
    *("etc/resolv.conf", "etc/hosts", "etc/pip.conf", "etc/xdg/pip"),
    *("etc/ssl/certs/ca-certificates.crt", "usr/local/share/ca-certificates"),
)
"""This computer's files about the same."""

# A chroot would not do: in one the kernel refuses a user namespace. The shell stays as process 1 of
# the machine: it reaps the tests' orphans, and all of the machine ends with it.
ENTER = """
set -e
mount --bind "$0" "$0"
cd "$0"
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount -t tmpfs tmpfs dev/shm
pivot_root . .
umount -l .
cd /
"$@"
exit $?
"""


class MachineError(BenchError):
    """A machine did not do what README.md promises."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A machine's tests, and the seconds that each command took."""

    tests: Mapping[str, int]
    seconds: Mapping[str, float]


def commands(readme: str) -> list[str]:
    """The lines of the first block under the heading "Two commands"."""
    found = re.search(r"^## Two commands\n.*?^```\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    if found is None:
        raise UsageError("README.md has no block of commands under the heading Two commands")
    return found[1].splitlines()


def missing(said: str) -> list[str]:
    """The packages that tools/setup.sh tells root to install."""
    found = re.search(r"^setup: missing: .*\(apt-get install ([^)]+)\)$", said, re.MULTILINE)
    if found is None:
        raise MachineError("tools/setup.sh named nothing to install")
    return found[1].split()


def counts(results: str) -> dict[str, int]:
    """Outcome to number of tests, from pytest's JUnit file."""
    suites = [*ElementTree.fromstring(results).iter("testsuite")]
    total = {
        name: sum(int(suite.get(name, 0)) for suite in suites)
        for name in ("tests", "failures", "errors", "skipped")
    }
    failed = total["failures"] + total["errors"]
    passed = total["tests"] - failed - total["skipped"]
    return {"passed": passed, "failed": failed, "skipped": total["skipped"]}


def told(tests: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {what}" for what, number in tests.items())


# A release's root


def base(suite: str) -> Path:
    """The root of a release, from the cache or the archive."""
    root, made = CACHE / suite, CACHE / f".{suite}"
    if root.exists():
        return root
    say(f"making a root of {suite}")
    shutil.rmtree(made, ignore_errors=True)
    uri = archive.repository("debian")
    bootstrap = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}"]
    # In a mount namespace nothing of it stays mounted, however it ends.
    command = ["unshare", "--mount", *bootstrap, suite, str(made), uri]
    with open(CACHE / f"{suite}.log", "w") as log:
        status = subprocess.run(command, env=_apt_proxy(), stdout=log, stderr=log, check=False)
    if status.returncode != 0:
        raise BenchError(f"no root of {suite}: debootstrap failed, see {log.name}")
    (made / "etc/apt/sources.list").write_text(f"deb {uri} {suite} main\n")
    (made / "etc/apt/apt.conf.d/90machine").write_text(_apt_settings())
    for name in COPIED:
        _copy(Path("/", name), made / name)
    made.rename(root)
    return root


def _apt_settings() -> str:
    """This computer's settings of apt's fetching, without those that each release's apt has."""
    shown = archive.run("apt-config", "dump").splitlines()
    left_out = ("Acquire::IndexTargets", "Acquire::Changelogs")
    lines = [s for s in shown if s.startswith("Acquire::") and not s.startswith(left_out)]
    return "".join(f"{line}\n" for line in lines)


def _apt_proxy() -> dict[str, str]:
    """The environment of debootstrap, which does not read apt's settings."""
    shown = archive.run("apt-config", "dump", "--format", "%v", "Acquire::http::Proxy")
    return {**os.environ, **({"http_proxy": shown.strip()} if shown.strip() else {})}


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    elif source.exists():
        shutil.copy(source, target)


# A machine


@dataclass(frozen=True, slots=True)
class Machine:
    """A root of its own, where one user runs commands; their output is in the log."""

    root: Path
    user: str
    log: Path

    def run(self, command: Sequence[str], user: str | None = None) -> int:
        """Run a command in the clone, as the machine's user or another. Returns its exit code."""
        user = user or self.user
        as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        environment = {
            **{name: value for name, value in os.environ.items() if PASSED_ON.fullmatch(name)},
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": HOMES[user],
            "USER": user,
            "LANG": "C.UTF-8",
            "PYTEST_ADDOPTS": f"--junit-xml=/{RESULTS}",
        }
        inside = ["env", "-C", f"{HOMES[self.user]}/{CLONE}", *as_user, *command]
        enter = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", ENTER]
        with open(self.log, "a") as log:
            log.write(f"\n$ {' '.join(command)}\n")
            log.flush()
            return subprocess.run(
                [*enter, str(self.root), *inside],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                check=False,
            ).returncode

    def must(self, *command: str, user: str | None = None) -> None:
        if (status := self.run(command, user)) != 0:
            raise MachineError(f"{' '.join(command)}: exit code {status}")

    def tests(self) -> dict[str, int]:
        """Outcome to number of tests; empty before any were run."""
        results = self.root / RESULTS
        return counts(results.read_text()) if results.exists() else {}

    def install_what_set_up_names(self, command: str) -> None:
        """A user's first command names the packages that root has to install; install them.

        Raises MachineError if one is already there.
        """
        if self.run(["sh", "-c", command]) == 0:
            return
        packages = missing(self.log.read_text())
        say(f"  {', '.join(packages)} missing: installed by root")
        for package in packages:
            if self.run(["dpkg", "-s", package], "root") == 0:
                raise MachineError(f"tools/setup.sh named {package}, which is there")
        self.must("apt-get", "update", "-qq", user="root")
        self.must("apt-get", "install", "-qq", "--yes", *packages, user="root")


def tried(suite: str, user: str) -> Outcome:
    """Run README.md's commands on a fresh machine. Raises MachineError if one fails."""
    machine = Machine(CACHE / f"{suite}-{user}", user, CACHE / f"{suite}-{user}.log")
    seconds = {}
    shutil.rmtree(machine.root, ignore_errors=True)
    machine.log.unlink(missing_ok=True)
    try:
        _lay_out(machine, base(suite))
        lines = commands((machine.root / HOMES[user][1:] / CLONE / "README.md").read_text())
        if user != "root":
            machine.install_what_set_up_names(lines[0])
        for line in lines:
            name = line.partition("#")[0].strip()
            say(f"  {name}")
            start = time.monotonic()
            status = machine.run(["sh", "-c", line])
            seconds[name] = time.monotonic() - start
            if status != 0:
                tests = f" ({told(machine.tests())})" if machine.tests() else ""
                raise MachineError(f"{name}: exit code {status}{tests}")
        return Outcome(machine.tests(), seconds)
    finally:
        shutil.rmtree(machine.root, ignore_errors=True)


def _lay_out(machine: Machine, root: Path) -> None:
    """A copy of a release's root, with a home for the user and a clone in it."""
    archive.run("cp", "--archive", "--reflink=auto", str(root), str(machine.root))
    home = machine.root / HOMES[machine.user][1:]
    if machine.user != "root":
        archive.run("useradd", "--root", str(machine.root), "--create-home", machine.user)
    archive.run("git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(home / CLONE))
    owner = home.stat()
    archive.run("chown", "--recursive", f"{owner.st_uid}:{owner.st_gid}", str(home))


# The command


def say(text: str) -> None:
    print(f"fresh: {text}", file=sys.stderr, flush=True)


def prepare() -> None:
    """Install this tool's programs, and make its cache. Raises UsageError without root."""
    if os.geteuid() != 0:
        raise UsageError("a fresh machine's root has files of root: run make test-fresh as root")
    if lacking := [package for name, package in TOOLS.items() if shutil.which(name) is None]:
        say(f"installing {' '.join(lacking)}")
        archive.run("apt-get", "update", "-qq")
        archive.run("apt-get", "install", "-qq", "--yes", *lacking)
    if archive.run("git", "-C", str(ROOT), "status", "--porcelain"):
        say("the checkout has changes that are in no commit: they are not tried")
    CACHE.mkdir(exist_ok=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python3 -m tools.fresh",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("suites", nargs="+", metavar="RELEASE", help="such as bookworm")
    parser.add_argument("--user", choices=HOMES, action="append", help="only as this user")
    chosen = parser.parse_args()
    prepare()
    failed = False
    for suite in chosen.suites:
        for user in chosen.user or HOMES:
            say(f"{suite} as {user}")
            try:
                outcome = tried(suite, user)
            except MachineError as error:
                failed = True
                print(f"{suite} as {user}: {error}; see {CACHE}/{suite}-{user}.log", flush=True)
                continue
            took = ", ".join(f"{name} {taken:.0f} s" for name, taken in outcome.seconds.items())
            print(f"{suite} as {user}: {told(outcome.tests)}; {took}", flush=True)
    return 1 if failed else 0


def _ended(number: int, _frame: object) -> None:
    """Ends this process as Ctrl-C does: the machine dies with its command, and is removed."""
    sys.exit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _ended)
    try:
        sys.exit(main())
    except BenchError as error:
        print(f"fresh: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, UsageError) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
