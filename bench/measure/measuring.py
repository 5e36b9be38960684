"""What every command that measures does before it and in which order: here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from bench.base import signals
from bench.base.stderr import say
from bench.model.header import HostFacts
from bench.plan.plan import TopologySpec
from bench.system import cpu_lock, host, privileges
from bench.topology import device, kinds

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Seen(Generic[T]):
    """The machine as it was before this process moved: in a user namespace net.core.* and the
    host's own interfaces are out of sight, and they count there too."""

    fingerprint: HostFacts
    found: T


@contextmanager
def measuring(
    topologies: Sequence[TopologySpec],
    look: Callable[[], T],
    check_output: Callable[[], object] = lambda: None,
    senders: Collection[int] = (),
    wait: bool = False,
) -> Iterator[Seen[T]]:
    """Get ready to measure in topologies; inside, an interrupt raises, and they can be set up.

    ``look`` looks at the machine (the doctor does); ``check_output`` raises where the result could
    not be written, before anything is done. ``senders`` are the CPUs that are sent from: no other
    run is on them meanwhile (``wait``: not any more). What was given up is not taken back at the
    end.
    """
    check_output()
    with cpu_lock.held(senders, wait=wait):
        yield from _ready(topologies, look)


def _ready(topologies: Sequence[TopologySpec], look: Callable[[], T]) -> Iterator[Seen[T]]:
    for line in device.restore_all():  # before anybody looks at them
        say(line)
    seen = Seen(host.fingerprint(), look())
    host.raise_file_limit()
    if topologies:
        kinds.load_modules(spec.interface for spec in topologies)  # while root still may
        privileges.gain()
    else:
        privileges.shed(privileges.CONTROLLER)
    with signals.raising():  # from here on there is something to undo
        yield seen
