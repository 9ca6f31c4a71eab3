"""Ticket: waiters draw a number and are served in that order, as 32-bit ARM does in Linux.

The word is two halves of 16 bits, the number being served and the next to be drawn; all zero is free. Each half is
only ever touched in its own width: drawing with a 32-bit addition and serving with a 16-bit store makes the
processor wait for the store to reach the cache (10 ns instead of 5 on the machine measured). Strictly fair, and
therefore slow when threads outnumber cores: the one whose turn it is may not be running. Waiters give their core
back soon, which is all that a strict order allows. At most 65,535 may wait.
"""

from __future__ import annotations

from skep.lang import (
    ACQUIRE,
    RELAXED,
    RELEASE,
    Ptr,
    address_of,
    atomic_add,
    atomic_load,
    atomic_store,
    cast,
    function,
    likely,
    struct,
    u16,
    u32,
)
from skep.locks.waiting import wait, yield_core
from skep.memory.cpu import Cpu

#: Up to this many others before it a waiter spins; further back it gives its core away at once.
_NEAR = 1


@struct
class Tickets:
    """The lock word."""

    serving: u16
    next: u16


@function(inline="always")
def lock(cpu: Ptr[Cpu], word: Ptr[u32]) -> None:
    """Draw a number and wait until it is served."""
    lock_outside(word)


@function(inline="always")
def lock_outside(word: Ptr[u32]) -> None:
    """Take the lock from a thread that is no CPU; there is no difference."""
    tickets = cast(Ptr[Tickets], word)
    number = atomic_add(address_of(tickets.next), u16(1), RELAXED)
    if likely(atomic_load(address_of(tickets.serving), ACQUIRE) == number):
        return
    _await(tickets, number)


@function(inline="never", cold=True)
def _await(tickets: Ptr[Tickets], number: u16) -> None:
    looks = u32(0)
    while True:
        serving = atomic_load(address_of(tickets.serving), ACQUIRE)
        if serving == number:
            return
        if number - serving > _NEAR:
            yield_core()
        else:
            looks = wait(looks)


@function(inline="always")
def unlock(word: Ptr[u32]) -> None:
    """Serve the next number."""
    tickets = cast(Ptr[Tickets], word)
    serving = address_of(tickets.serving)
    atomic_store(serving, atomic_load(serving, RELAXED) + u16(1), RELEASE)
