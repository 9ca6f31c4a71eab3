"""Which lock an architecture uses: one table.

As in Linux, a queued lock where it is known to work, the ticket lock that 32-bit ARM has, and test-and-set elsewhere.
Every algorithm has its state in the four bytes of ``struct bpf_spin_lock``, all zero when free. All code that shares
memory must agree on one algorithm: it follows from the architecture alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from skep.lang import Function
from skep.locks import queued, test_and_set, ticket


@dataclass(frozen=True, slots=True)
class Lock:
    """An algorithm: ``lock(cpu, word)``, ``unlock(word)``, and ``lock_outside(word)`` for a thread that is no CPU."""

    name: str
    lock: Function[..., Any]
    unlock: Function[..., Any]
    lock_outside: Function[..., Any]


TEST_AND_SET = Lock("test-and-set", test_and_set.lock, test_and_set.unlock, test_and_set.lock_outside)
TICKET = Lock("ticket", ticket.lock, ticket.unlock, ticket.lock_outside)
QUEUED = Lock("queued", queued.lock, queued.unlock, queued.lock_outside)

#: Every algorithm by name.
LOCKS: Mapping[str, Lock] = MappingProxyType({lock.name: lock for lock in (TEST_AND_SET, TICKET, QUEUED)})

#: The algorithm of each architecture that has a better one than test-and-set.
ARCHITECTURES: Mapping[str, Lock] = MappingProxyType({"x86_64": QUEUED, "aarch64": QUEUED, "arm": TICKET})


def lock_for(arch: str) -> Lock:
    """The lock that programs use on ``arch``."""
    return ARCHITECTURES.get(arch, TEST_AND_SET)
