"""Spin locks: one at a time, of a known value, and nothing called while it is held.

Source: the commit message and documentation of ``bpf_spin_lock``; messages observed on Linux 6.18.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from skep.stdlib import prototypes
from skep.verifier.maps import MapFacts
from skep.verifier.register import Kind, Register
from skep.verifier.rejection import Rejection
from skep.verifier.scalar import signed64
from skep.verifier.state import HeldLock

if TYPE_CHECKING:
    from skep.verifier.exploration import Explorer

SPIN_LOCK = prototypes.number("spin_lock")
SPIN_UNLOCK = prototypes.number("spin_unlock")


def change_lock(explorer: Explorer, index: int, *, take: bool) -> None:
    """Take or release the lock that register ``index`` points to."""
    pointer = explorer.registers[index]
    map = _checked(index, pointer)
    state = explorer.state
    if take:
        if state.locks:
            raise Rejection("Locking two bpf_spin_locks are not allowed")
        state.locks = (HeldLock(map, pointer.id),)
        return
    if not state.locks:
        raise Rejection("bpf_spin_unlock without taking a lock")
    held = state.locks[-1]
    if held.subject is not map or held.id != pointer.id:
        raise Rejection("bpf_spin_unlock of different lock")
    state.locks = ()


def _checked(index: int, pointer: Register) -> MapFacts:
    """The map whose lock the pointer points to."""
    if pointer.kind is not Kind.MAP_VALUE or pointer.flags:
        raise Rejection(
            f"R{index} type={pointer.type_name} expected=map_value, ptr_", register=index, pointer=pointer
        )
    map = pointer.subject
    assert isinstance(map, MapFacts)
    if not pointer.scalar.is_constant:
        raise Rejection(f"R{index} doesn't have constant offset. bpf_spin_lock has to be at the constant offset")
    if not map.has_btf:
        raise Rejection(f"map '{map.name}' has to have BTF in order to use bpf_spin_lock", map=map.name)
    if map.lock is None:
        raise Rejection(f"map '{map.name}' has no valid bpf_spin_lock", map=map.name)
    offset = pointer.offset + signed64(pointer.scalar.value)
    if offset != map.lock.offset:
        raise Rejection(
            f"off {offset} doesn't point to 'struct bpf_spin_lock' that is at {map.lock.offset}", map=map.name
        )
    return map


def check_call_allowed(explorer: Explorer, helper: int) -> None:
    """Refuse every helper but the one that unlocks while a lock is held."""
    if explorer.state.locks and helper != SPIN_UNLOCK:
        raise Rejection("function calls are not allowed while holding a lock")
