"""Loops whose number of rounds is unknown: numbers that changed since the last round and never mattered become any.

Without it such a loop would be followed for every value of its counter.
"""

from __future__ import annotations

from skep.verifier.paths.checkpoint import Identities, same_scalar
from skep.verifier.states.register import ANY_NUMBER, SHIFTED, Kind, Register
from skep.verifier.states.slots import slot
from skep.verifier.states.state import State


def widen(before: State, now: State) -> None:
    """Forget the numbers in ``now`` that differ from those of ``before``, an earlier round, and do not matter."""
    marks = _precise_of(before, now)
    ids = Identities()
    for level in range(len(now.frames) - 1, -1, -1):
        old, new = before.frames[level], now.frames[level]
        registers, slots = marks[level]
        for index in range(10):
            if not registers >> index & 1:
                new.registers[index] = _widened(old.registers[index], new.registers[index], ids)
        for index, (one, other) in enumerate(zip(old.slots, new.slots, strict=False)):
            if one.is_spill and other.is_spill and not slots >> index & 1:
                widened = _widened(one.register, other.register, ids)
                if widened is not other.register:
                    new.slots[index] = slot(other.bytes, widened)


def _widened(old: Register, new: Register, ids: Identities) -> Register:
    if old.kind is not Kind.SCALAR or new.kind is not Kind.SCALAR:
        return new
    unchanged = (
        same_scalar(old.scalar, new.scalar) and old.offset == new.offset and ids.agree(_identity(old), _identity(new))
    )
    return new if unchanged else ANY_NUMBER


def _identity(one: Register) -> int:
    """What a number is to others: for Linux one that was added to is another than it was before."""
    return one.id | (one.flags & SHIFTED) << 32


def _precise_of(before: State, now: State) -> list[list[int]]:
    """The marks of the checkpoint that holds ``before``, which lies on the path of ``now``."""
    checkpoint = now.parent
    while checkpoint is not None:
        if checkpoint.state is before:
            return checkpoint.precise
        checkpoint = checkpoint.state.parent
    return [[0, 0] for _ in now.frames]
