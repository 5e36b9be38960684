"""The parties of a cell: what sends, and what takes frames at the other end."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal


class PartyRole(Enum):
    SENDER = "sender"
    RECEIVER = "receiver"


@dataclass(frozen=True, slots=True)
class Party:
    """An engine in a role, at a port of the cell's topology, on some CPUs.

    Thread i runs on ``cpus[i]``, or any thread on any of them; without any it runs anywhere. The
    figures of a cell are those of the party that is ``under_test``.
    """

    role: PartyRole
    engine: str
    port: Literal["tx", "rx"]
    cpus: tuple[int, ...] = ()
    under_test: bool = False


def under_test(parties: tuple[Party, ...]) -> Party:
    (tested,) = (party for party in parties if party.under_test)
    return tested
