"""Test-and-set: the lock that works everywhere, one bit that whoever sets it first owns.

The word is 0 when free and 1 when held. No order among waiters, so whoever runs gets it: throughput does not fall
when threads outnumber cores (measured 54-107 million acquisitions a second with two threads on two cores, 54-84 with
64), but one waiter may wait long (up to 600 ms with 64). Waiters read until the word looks free, so that they do not
take the cache line from its owner at every look.
"""

from __future__ import annotations

from skep.lang import (
    ACQUIRE,
    RELAXED,
    RELEASE,
    Ptr,
    atomic_exchange,
    atomic_load,
    atomic_store,
    function,
    target_is,
    u32,
    unlikely,
)
from skep.locks.waiting import wait
from skep.memory.cpu import Cpu


@function(inline="always")
def lock(cpu: Ptr[Cpu], word: Ptr[u32]) -> None:
    """Take the lock; one exchange where it is free."""
    lock_outside(word)


@function(inline="never", cold=True)
def _lock_slowly(word: Ptr[u32]) -> None:
    looks = u32(0)
    while atomic_exchange(word, u32(1), ACQUIRE) != 0:
        while atomic_load(word, RELAXED) != 0:
            looks = wait(looks)


@function(inline="always")
def unlock(word: Ptr[u32]) -> None:
    """Give the lock back."""
    atomic_store(word, u32(0), RELEASE)


@function(inline="always")
def lock_outside(word: Ptr[u32]) -> None:
    """Take the lock from a thread that is no CPU; there is no difference.

    As BPF instructions it is a loop of its own, because there is nobody to give the core to.
    """
    if target_is("bpf"):
        while atomic_exchange(word, u32(1), ACQUIRE) != 0:
            pass
    elif unlikely(atomic_exchange(word, u32(1), ACQUIRE) != 0):
        _lock_slowly(word)
