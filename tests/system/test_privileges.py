from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.system import privileges
from bench.system.privileges import Capability, Standing
from tests.running import ROOT, UNPRIVILEGED, needs_root, needs_setpriv, needs_unshare


def elsewhere(program: str, *prefix: str) -> list[str]:
    """The lines that a program prints in a process of its own."""
    script = f"from bench.system.privileges import *\n{program}"
    done = subprocess.run(
        [*prefix, sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


# Gaining


@needs_setpriv
@pytest.mark.netns
def test_who_lacks_capabilities_has_them_in_a_user_namespace() -> None:
    program = (
        "import os\n"
        "print(standing())\n"
        "gain()\n"
        "print(standing(), os.getuid(), os.getgid(), held() == GAINED, is_enough())\n"
        "before = os.stat('/proc/self/ns/user')\n"
        "gain()\n"
        "print(os.stat('/proc/self/ns/user') == before)"
    )
    assert elsewhere(program, *UNPRIVILEGED) == ["none", "user namespace 0 0 True True", "True"]


@pytest.mark.netns
def test_who_has_them_stays_where_he_is() -> None:
    program = (
        "import os\n"
        "before = os.stat('/proc/self/ns/user'), os.stat('/proc/self/ns/net')\n"
        "gain()\n"
        "print(before == (os.stat('/proc/self/ns/user'), os.stat('/proc/self/ns/net')))\n"
        "print(is_enough())"
    )
    assert elsewhere(program) == ["True", "True"]


@needs_root
def test_root_may_load_modules_until_the_rest_is_gained() -> None:
    program = "settle(); print(held() == LOADER); gain(); print(held() == CONTROLLER)"
    assert elsewhere(program) == ["True", "True"]


@needs_unshare
@pytest.mark.netns
def test_a_user_namespace_that_owns_no_network_namespace_is_not_enough() -> None:
    """``unshare -r`` and ``podman unshare`` make such."""
    program = "print(held() >= NEEDED, is_enough()); settle(); gain(); print(is_enough())"
    assert elsewhere(program, "unshare", "-Ur") == ["True False", "True"]


# Giving up


STATUS = (
    "import json\n"
    "lines = Path('/proc/self/status').read_text().splitlines()\n"
    "print(json.dumps({l.split(':')[0]: int(l.split(':')[1], 16) for l in lines"
    " if l.startswith(('Cap', 'NoNewPrivs'))}))"
)


@pytest.mark.netns
def test_what_is_given_up_does_not_come_back_by_exec() -> None:
    keep = "frozenset({Capability.CAP_NET_RAW, Capability.CAP_IPC_LOCK})"
    program = (
        f"import subprocess, sys\nshed({keep})\n"
        f"status = 'from pathlib import Path\\n' + {STATUS!r}\n"
        "exec(status)\n"
        "sys.stdout.flush()\n"
        "subprocess.run([sys.executable, '-c', status], check=True)"
    )
    mask = 1 << Capability.CAP_NET_RAW | 1 << Capability.CAP_IPC_LOCK
    wanted = {
        **dict.fromkeys(("CapPrm", "CapEff", "CapBnd"), mask),
        **dict.fromkeys(("CapInh", "CapAmb"), 0),
        "NoNewPrivs": 1,
    }
    assert [json.loads(line) for line in elsewhere(program)] == [wanted, wanted]


@needs_setpriv
def test_who_has_nothing_to_give_up_is_no_error() -> None:
    program = "shed(WORKER); shed(WORKER); print(sorted(held()), standing())"
    assert elsewhere(program, *UNPRIVILEGED) == ["[] none"]


@needs_setpriv
def test_a_user_namespace_that_cannot_be_used_is_none() -> None:
    """As root without CAP_SETFCAP, who may not be mapped into it."""
    program = "gain(); print(sorted(held()), standing())"
    assert elsewhere(program, "setpriv", "--bounding-set=-all") == ["[] none"]


@needs_setpriv
def test_ambient_capabilities_are_handed_on_as_far_as_they_are_kept() -> None:
    """So are they given to another user: ``setpriv``, AmbientCapabilities= of systemd."""
    program = f"shed(WORKER)\n{STATUS}"
    given = "+net_raw,+setuid"
    (line,) = elsewhere(program, "setpriv", f"--inh-caps={given}", f"--ambient-caps={given}")
    status = json.loads(line)
    assert status["CapAmb"] == status["CapInh"] == 1 << Capability.CAP_NET_RAW


# What to do


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {"sys/kernel/unprivileged_userns_clone": "0"},
            "kernel.unprivileged_userns_clone is 0; try sudo, "
            "or sudo sysctl -w kernel.unprivileged_userns_clone=1",
        ),
        (
            {"sys/user/max_user_namespaces": "0"},
            "user.max_user_namespaces is 0; try sudo, "
            "or sudo sysctl -w user.max_user_namespaces=10000",
        ),
        (
            {"sys/kernel/apparmor_restrict_unprivileged_userns": "1"},
            "kernel.apparmor_restrict_unprivileged_userns is 1; try sudo, "
            "or sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        (
            {"sys/kernel/unprivileged_userns_clone": "1", "self/status": "Seccomp:\t2\n"},
            "refused, and a seccomp filter is at work (a container's?): give the container "
            "CAP_SYS_ADMIN and CAP_NET_ADMIN, or a filter that lets unshare() pass",
        ),
        (
            {"self/status": "Seccomp:\t0\n", "sys/user/max_user_namespaces": "30000"},
            "refused by a limit (user.max_user_namespaces) or a security module; try sudo",
        ),
        (
            {"self/ns/user": None},
            "this kernel is without CONFIG_USER_NS; try sudo",
        ),
    ],
)
def test_what_forbids_a_user_namespace_is_named(
    files: dict[str, str | None], said: str, tmp_path: Path
) -> None:
    for name, content in ({"self/ns/user": ""} | files).items():
        path = tmp_path / "proc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is not None:
            path.write_text(content)
    assert privileges.obstacle(tmp_path) == said


@pytest.mark.parametrize(
    ("standing", "said"),
    [
        (Standing.ROOT, "needs root (CAP_X); try sudo"),
        (
            Standing.USER_NAMESPACE,
            "needs root (CAP_X outside of this user namespace); try sudo",
        ),
        (Standing.NONE, "needs root (CAP_X) or a user namespace: something forbids it"),
    ],
)
def test_the_remedy_is_one_that_helps(
    monkeypatch: pytest.MonkeyPatch, standing: Standing, said: str
) -> None:
    monkeypatch.setattr(privileges, "standing", lambda: standing)
    monkeypatch.setattr(privileges, "obstacle", lambda: "something forbids it")
    assert privileges.remedy("CAP_X") == said
