"""Loops whose number of rounds is unknown: numbers that changed since the last round and never mattered become any.

Without it such a loop would be followed for every value of its counter.
"""

from __future__ import annotations

from skep.verifier.paths.checkpoint import same_scalar
from skep.verifier.states.register import ANY_NUMBER, SHIFTED, Kind, Register
from skep.verifier.states.slots import slot
from skep.verifier.states.state import State


def widen(before: State, now: State) -> None:
    """Forget the numbers in ``now`` that differ from those of ``before``, an earlier round, and do not matter."""
    marks = _precise_of(before, now)
    for level, (old, new) in enumerate(zip(before.frames, now.frames, strict=True)):
        registers, slots = marks[level]
        for index in range(10):
            if not registers >> index & 1:
                new.registers[index] = _widened(old.registers[index], new.registers[index])
        for index, (one, other) in enumerate(zip(old.slots, new.slots, strict=False)):
            if one.is_spill and other.is_spill and not slots >> index & 1:
                widened = _widened(one.register, other.register)
                if widened is not other.register:
                    new.slots[index] = slot(other.bytes, widened)


def _widened(old: Register, new: Register) -> Register:
    if old.kind is not Kind.SCALAR or new.kind is not Kind.SCALAR:
        return new
    unchanged = (
        same_scalar(old.scalar, new.scalar)
        and bool(old.id) == bool(new.id)
        and (old.flags ^ new.flags) & SHIFTED == 0
        and old.offset == new.offset
    )
    return new if unchanged else ANY_NUMBER


def _precise_of(before: State, now: State) -> list[list[int]]:
    """The marks of the checkpoint that holds ``before``, which lies on the path of ``now``."""
    checkpoint = now.parent
    while checkpoint is not None:
        if checkpoint.state is before:
            return checkpoint.precise
        checkpoint = checkpoint.state.parent
    return [[0, 0] for _ in now.frames]
