"""The engine of programs that are not ours: what it reads, and one program, running.

Each runs as the only child of a keeper (keeper.py), which is the first process of a PID namespace:
so a program may fork as it likes, all of it is stopped and continued at once, and it ends with the
keeper, whatever ends that.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.base.errors import BenchError, NotAllowed, told
from bench.model.cells import Cell
from bench.model.programs import EXEC, program_of
from bench.model.vocabulary import MethodInfo

METHOD = MethodInfo(
    name=EXEC,
    help="a program of yours: {kind: exec, command: [...]}; needs --allow-exec",
    path="the program's own",
    knobs=frozenset({"interface", "qdisc", "frame_size", "threads"}),
    untold=True,
    alone=True,
)

_KEEPER = "from bench.engines.keeper import main; main()"
ANSWER_S = 30.0
"""A keeper answers at once; one that is silent for longer hangs."""
REST_S = 2.0
"""A thread stops once it is back from a system call."""
TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def check_allowed(cells: Sequence[Cell], allowed: bool) -> None:
    """Raises NotAllowed, a line for each program of these cells, if no program may be run."""
    programs = {cell.method: cell.values["method"] for cell in cells if cell.engine == EXEC}
    if programs and not allowed:
        raise NotAllowed(
            "\n".join(
                f"method {name}: runs the command {' '.join(program_of(value).command)}, "
                "which the matrix has; allow it with --allow-exec"
                for name, value in programs.items()
            )
        )


def hashes(cells: Sequence[Cell]) -> dict[str, str]:
    """The SHA-256 of the file of each program of these cells, by the method's name; "" of one that
    is not there or may not be read."""
    programs = {cell.method: cell.values["method"] for cell in cells if cell.engine == EXEC}
    return {name: _hash(program_of(value).command[0]) for name, value in programs.items()}


def _hash(program: str) -> str:
    with suppress(OSError):
        return hashlib.sha256(Path(shutil.which(program) or "").read_bytes()).hexdigest()
    return ""


def why_missing(cell: Cell) -> str:
    """Why the program of a cell cannot be started; "" if it is there, or the cell has none."""
    if cell.engine != EXEC:
        return ""
    name, *_ = program_of(cell.values["method"]).command
    why = _obstacle(name)
    return f"method {cell.method}: {name} {why}, or exclude the method" if why else ""


def _obstacle(name: str) -> str:
    """Why a program cannot be started, and the way out; "" where nothing is known."""
    if found := shutil.which(name):
        interpreter = _interpreter(Path(found))
        gone = interpreter and not Path(interpreter).exists()
        return f"begins with #!{interpreter!r}, which is not there; name another" if gone else ""
    if "/" not in name:
        return "is not installed (it is not in PATH); install it"
    if not Path(name).exists():
        return f"is not there, seen from {Path.cwd()}; name it with its whole path"
    if Path(name).is_dir():
        return "is a folder; name a program"
    return "may not be executed; chmod +x"


def _interpreter(script: Path) -> str:
    """What a script's first line names (execve(2)); "" of a file that is none."""
    with suppress(OSError), script.open("rb") as file:
        first = file.readline(256)
        if first.startswith(b"#!") and (words := first[2:].rstrip(b"\n").split(b" ")):
            return os.fsdecode(next(filter(None, words), b""))
    return ""


def probe() -> str:
    """Why this kernel can run no program as a sender; "" if it can."""
    for name, config in (("ns/pid", "CONFIG_PID_NS"), ("children", "CONFIG_PROC_CHILDREN")):
        if not Path("/proc/thread-self", name).exists():
            return f"this kernel is without {config}"
    return ""


@dataclass(frozen=True, slots=True)
class CpuTime:
    """Nanoseconds: of all CPU time in user space and in the kernel (both in ticks), and spent
    waiting for a CPU."""

    total_ns: int = 0
    user_ns: int = 0
    system_ns: int = 0
    waited_ns: int = 0

    def __add__(self, other: CpuTime) -> CpuTime:
        return CpuTime(*(one + two for one, two in zip(self._all, other._all, strict=True)))

    def since(self, earlier: CpuTime) -> CpuTime:
        return CpuTime(*(max(0, a - b) for a, b in zip(self._all, earlier._all, strict=True)))

    @property
    def _all(self) -> tuple[int, ...]:
        return (self.total_ns, self.user_ns, self.system_ns, self.waited_ns)


MOST_WORD, MOST_WORDS = 2**17 - 1, 2**17
"""Bytes of a word of a command (execve(2): MAX_ARG_STRLEN), and of all: a message to a keeper."""


def _check_length(name: str, command: Sequence[str]) -> None:
    """Raises BenchError for a command that is too long."""
    lengths = [len(os.fsencode(word)) for word in command]
    for what, length, most in (
        ("a word of its command", max(lengths), MOST_WORD),
        ("its command", sum(lengths), MOST_WORDS),
    ):
        if length > most:
            raise BenchError(
                f"{name} cannot start: {what} has {length:,} bytes, more than a program may have: "
                f"{most:,}; shorten it ({{pcap}} is the name of a file with frames)"
            )


class RunningProgram:
    """A program with all its processes, stopped but for what ``go`` and ``stop`` surround.

    ``name`` is what messages call it. It starts running, with the descriptors ``inherited``. Raises
    BenchError if it cannot be started; every other method does once it has ended. ``close`` ends
    it. ``said`` is the last line that it wrote, as far as it was asked for.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        cpus: Sequence[int],
        netns_fd: int,
        environment: Mapping[str, str],
        inherited: Sequence[int] = (),
    ) -> None:
        _check_length(name, command)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._keeper = subprocess.Popen(
                [sys.executable, "-P", "-c", _KEEPER, str(os.getpid()), str(theirs.fileno())],
                pass_fds=(theirs.fileno(), netns_fd, *inherited),
                stdin=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
                start_new_session=True,
            )
        self._connection = ours
        ours.settimeout(ANSWER_S)
        self._name = name
        self.said = ""
        wanted = {
            "command": [*command],
            "cpus": [*cpus],
            "netns_fd": netns_fd,
            "environment": dict(environment),
            "inherited": [*inherited],
        }
        try:
            self._check(self._ask(json.dumps(wanted)))
        except BaseException:
            self.close()
            raise

    def go(self) -> None:
        self._check(self._ask("go"))

    def check(self) -> None:
        """Raises BenchError if it has ended."""
        self._check(self._ask("look"))

    def stop(self) -> CpuTime:
        """Until all of its threads have stopped; the CPU time of its processes up to now.

        That is exact where a process has stopped, and in ticks for one that has ended.
        """
        self._check(self._ask("stop"))
        deadline = time.monotonic() + REST_S
        while True:
            processes = [_Process(pid) for pid in self._processes()]
            if all(process.is_stopped() for process in processes):
                break
            if time.monotonic() > deadline:
                raise BenchError(f"{self._name} runs on {REST_S:g} s after SIGSTOP")
            time.sleep(0.0005)
        spent = _dead_children(self._inner())
        for process in processes:
            spent += process.cpu_time()
        return spent

    def close(self) -> str:
        """End it and all that it started: first with SIGTERM. What it ignored, or ""."""
        said = ""
        with suppress(OSError, BenchError), self._connection:
            said = str(self._ask("end").get("said", ""))
        try:
            self._keeper.wait(REST_S)  # until the last process of its namespace is gone
        except subprocess.TimeoutExpired:
            self._keeper.kill()
            self._keeper.wait()
        return said

    def _inner(self) -> int:
        """The keeper's inner process, which orphans are left to."""
        (inner,) = _children(self._keeper.pid) or [0]
        return inner

    def _processes(self) -> Iterator[int]:
        """The program, and all that came of it."""
        left = _children(self._inner())
        while left:
            pid = left.pop()
            left += _children(pid)
            yield pid

    def _ask(self, request: str) -> dict[str, Any]:
        try:
            self._connection.send(request.encode())
            answer = self._connection.recv(1 << 16)
        except OSError as error:
            raise BenchError(f"{self._name}: its keeper does not answer: {told(error)}") from error
        if not answer:
            raise BenchError(f"{self._name}: its keeper has ended")
        found: dict[str, Any] = json.loads(answer)
        return found

    def _check(self, answer: Mapping[str, Any]) -> None:
        self.said = answer["said"]
        if answer["ended"]:
            ended = f"{self._name} {answer['ended']}"
            raise BenchError(f"{ended}: {self.said}" if self.said else ended)


def _children(pid: int) -> list[int]:
    """Of all threads of a process."""
    found: list[int] = []
    try:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    except (FileNotFoundError, ProcessLookupError):
        pass  # it has ended meanwhile
    return found


class _Process:
    """A process as /proc has it (proc_pid_stat(5)); one that has ended has stopped."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._threads = _listed(Path(f"/proc/{pid}/task"))

    def is_stopped(self) -> bool:
        return all(fields[0] in "TtZX" for thread in self._threads if (fields := _stat(thread)))

    def cpu_time(self) -> CpuTime:
        """Its own, and that of the children that it has waited for."""
        fields = _stat(Path(f"/proc/{self._pid}"))
        if not fields:
            return CpuTime()
        user, system = (int(text) * TICK_NS for text in fields[11:13])
        own_ns = user + system
        with suppress(OSError):  # its threads, also those that have ended: exact while it stands
            own_ns = time.clock_gettime_ns(~self._pid << 3 | 2)
        own = CpuTime(own_ns, user, system, sum(map(_waited, self._threads)))
        return own + _dead_children(self._pid)


def _dead_children(pid: int) -> CpuTime:
    """Of the children that a process has waited for, and of theirs."""
    user, system = (int(text) * TICK_NS for text in _stat(Path(f"/proc/{pid}"))[13:15] or "00")
    return CpuTime(user + system, user, system)


def _listed(folder: Path) -> list[Path]:
    with suppress(OSError):
        return [*folder.iterdir()]
    return []


def _stat(folder: Path) -> list[str]:
    """The fields from the state on; none of what has ended."""
    with suppress(OSError):
        return (folder / "stat").read_text().rpartition(")")[2].split()
    return []


def _waited(thread: Path) -> int:
    """Nanoseconds that a thread waited for a CPU; 0 on a kernel without CONFIG_SCHED_INFO."""
    with suppress(OSError, IndexError):
        return int((thread / "schedstat").read_text().split()[1])
    return 0
