"""The process around a program: its stops, its ends, and its last words.

It is two processes. The outer one enters the interface's network namespace and makes a PID
namespace; the inner one is the first process in that. What the first process of a PID namespace
signals to -1 reaches all others in it at once (kill(2)), those that were forked meanwhile or left
their session included; orphans become its children; and all of them are killed when it ends
(pid_namespaces(7)). It ends with the outer one, as that does with the worker (PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from bench.base.errors import told
from bench.engines.build import CHECKOUT
from bench.system.privileges import CLONE_NEWNET

_CLONE_NEWNS, _CLONE_NEWPID = 0x00020000, 0x20000000
_MS_REC, _MS_PRIVATE = 0x4000, 0x40000
_PR_SET_PDEATHSIG = 1
_MOST_WORDS = 1 << 16
"""Bytes of a program's output that are kept: the last ones."""
_MOST_SHOWN = 200
"""Characters of a line of it."""
GRACE_S = 1.5
"""For what a program does on SIGTERM."""

_FAILURE = re.compile(r"error|fail|cannot|unable|invalid|not compatible", re.IGNORECASE)

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """``PARENT FD``: the first message has the command, its environment, CPUs and namespace."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    parent, fd = int(sys.argv[1]), int(sys.argv[2])
    if os.getppid() != parent:
        return
    connection = socket.socket(fileno=fd)
    wanted = json.loads(connection.recv(1 << 20))
    if why := _entered(wanted["netns_fd"]):
        connection.send(_told({"ended": f"cannot start: {why}", "said": ""}))
        return
    if inner := os.fork():
        connection.close()
        os.waitpid(inner, 0)
        return
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    _mount()
    with suppress(ConnectionError):
        _Keeper(connection).serve(wanted)


def _entered(netns_fd: int) -> str:
    """Why this process may not be in the interface's namespace, or its children in one of their
    own; "" if they are."""
    if _libc.setns(netns_fd, CLONE_NEWNET) != 0:
        return f"cannot enter the interface's namespace: {os.strerror(ctypes.get_errno())}"
    if _libc.unshare(_CLONE_NEWPID | _CLONE_NEWNS) != 0:
        return f"cannot make a PID namespace for it: {os.strerror(ctypes.get_errno())}"
    return ""


def _mount() -> None:
    """/sys and /proc of these namespaces, as ``ip netns exec`` has it; where that is forbidden
    (a container's), a program finds its interface by system calls alone."""
    _libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)
    for kind in (b"sysfs", b"proc"):
        _libc.mount(kind, b"/sys" if kind == b"sysfs" else b"/proc", kind, 0, None)


class _Keeper:
    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._said = b""

    def serve(self, wanted: Mapping[str, Any]) -> None:
        """Start the program, and do what is asked until the other end is gone."""
        never_read, _never_written = os.pipe()
        try:
            self._program = subprocess.Popen(
                wanted["command"],
                stdin=never_read,  # nothing comes, and no end of it: some end when it does
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=_own(wanted["environment"]),
                start_new_session=True,
                pass_fds=wanted["inherited"],
                preexec_fn=lambda: _settle(wanted["cpus"]),
            )
        except OSError as error:
            why = f"cannot start: {told(error)}"
            self._connection.send(_told({"ended": why, "said": ""}))
            return
        assert self._program.stdout
        os.set_blocking(self._program.stdout.fileno(), False)
        self._connection.send(_told(self._state()))
        ready = select.poll()
        ready.register(self._connection, select.POLLIN)
        ready.register(self._program.stdout, select.POLLIN)
        while True:
            for descriptor, event in ready.poll():
                if descriptor == self._connection.fileno():
                    if not (request := self._connection.recv(64)):
                        return
                    self._connection.send(_told(self._answer(request.decode())))
                elif not self._listen() and event & select.POLLHUP:
                    ready.unregister(descriptor)

    def _answer(self, request: str) -> dict[str, str]:
        match request:
            case "go":
                _signal_all(signal.SIGCONT)
            case "stop":
                _signal_all(signal.SIGSTOP)
            case "end":
                return {"said": self._end()}
        return self._state()

    def _state(self) -> dict[str, str]:
        code, how = self._program.poll(), ""
        others = _reap_orphans(self._program.pid)
        if code is not None:
            died = f"died of {_name(-code)}" if code < 0 else ""
            how = died or f"exited with code {code}"
            if code == 0 and others:
                how += " and went on in the background; have it stay in the foreground"
        self._listen()
        return {"ended": how, "said": telling(self._said.decode(errors="replace"))}

    def _listen(self) -> bool:
        """Take some of what the program writes, so that it goes on; false at its end."""
        assert self._program.stdout
        try:
            words = os.read(self._program.stdout.fileno(), 1 << 16)
        except BlockingIOError:
            return True
        self._said = (self._said + words)[-_MOST_WORDS:]
        return bool(words)

    def _end(self) -> str:
        """Ask it to end; what it ignores, or ""."""
        _signal_all(signal.SIGTERM)
        _signal_all(signal.SIGCONT)
        deadline = time.monotonic() + GRACE_S
        while self._program.poll() is None:
            if time.monotonic() > deadline:
                return f"ignored SIGTERM for {GRACE_S:g} s"
            self._listen()
            time.sleep(0.002)
        return ""


def _name(number: int) -> str:
    """Real-time signals have none but the first and the last."""
    return signal.Signals(number).name if number in [*signal.Signals] else f"signal {number}"


def telling(text: str) -> str:
    """The last line that speaks of a failure, else the last one: usage comes after complaints."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    failures = [line for line in lines if _FAILURE.search(line)]
    return (failures or lines or [""])[-1][:_MOST_SHOWN]


def _told(answer: Mapping[str, str]) -> bytes:
    return json.dumps(answer).encode()


def _own(environment: Mapping[str, str]) -> dict[str, str]:
    """The user's environment, without what leads this process to bench, and with this."""
    kept = {name: text for name, text in os.environ.items() if name not in ("PYTHONPATH", CHECKOUT)}
    return kept | dict(environment)


def _settle(cpus: list[int]) -> None:
    """In the program's process, before it is the program."""
    os.sched_setaffinity(0, cpus)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # the worker ignores them
        signal.signal(number, signal.SIG_DFL)


def _signal_all(number: signal.Signals) -> None:
    """Every process of the namespace but this one."""
    with suppress(ProcessLookupError):
        os.kill(-1, number)


def _reap_orphans(program: int) -> bool:
    """Take the ends of children that others left to this process, but never the program's: Popen
    waits for that. Whether any child is left."""
    try:
        while found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if found.si_pid == program:
                break
            os.waitpid(found.si_pid, 0)
    except ChildProcessError:
        return False
    return True
