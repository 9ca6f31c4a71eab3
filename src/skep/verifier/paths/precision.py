"""Which numbers a decision depended on, back to where they came from.

Two states may differ in a number that nothing ever depended on. So numbers count when states are compared only once
something did: a branch decided by one, an offset added to a pointer, a size passed to a helper. Then every checkpoint
that the path came by is told which of its numbers the one that mattered came from.

Linux finds out by walking the path backwards. Here each register carries along where its number came from since the
last checkpoint (``state``): a set that moves, loads and arithmetic hand on as they are followed. What is marked is
the same, and marking takes a step a checkpoint, not a step an instruction. Where a trail is lost, all numbers of all
checkpoints on the path matter.

Source: the section on precision tracking in Documentation/bpf/verifier.rst, and what Linux 6.18 was seen to print.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from skep.verifier.states.register import Kind
from skep.verifier.states.state import FRAME_MASK, LOST, REGISTER_MASK, SPAN, State

if TYPE_CHECKING:
    from skep.verifier.paths.checkpoint import Checkpoint
    from skep.verifier.states.state import Frame

_SCALAR: Final = Kind.SCALAR
_REGISTERS: Final = REGISTER_MASK.bit_length()


def mark(state: State, register: int) -> None:
    """The number in a register of the running function matters."""
    frame = state.frames[-1]
    if frame.registers[register].kind is _SCALAR:
        sources = frame.sources[register]
        if sources:
            _tell(state, sources)


def mark_slot(state: State, frame: int, slot: int) -> None:
    """The number spilled in a stack slot matters."""
    _tell(state, state.frames[frame].source_of_slot(slot))


def inherit(checkpoint: Checkpoint, state: State) -> bool:
    """``state`` was found to match ``checkpoint``: what mattered there matters here. Whether a mark was new."""
    sources = 0
    for level, frame in enumerate(checkpoint.state.frames):
        registers, slots = checkpoint.precise[level]
        here = state.frames[level]
        while registers:
            index = (registers & -registers).bit_length() - 1
            registers &= registers - 1
            if frame.registers[index].kind is _SCALAR:
                sources |= here.sources[index]
        while slots:
            index = (slots & -slots).bit_length() - 1
            slots &= slots - 1
            if _spilled_number(frame, index):
                sources |= here.source_of_slot(index)
    return sources != 0 and _tell(state, sources)


def everything(state: State) -> bool:
    """All numbers of all checkpoints that ``state`` came by matter."""
    changed = False
    checkpoint = state.parent
    while checkpoint is not None:
        checkpoint.forget_plan()
        for frame, masks in zip(checkpoint.state.frames, checkpoint.precise, strict=True):
            for number, register in enumerate(frame.registers):
                if register.kind is _SCALAR and not masks[0] >> number & 1:
                    masks[0] |= 1 << number
                    changed = True
            for number in range(len(frame.slots)):
                if not masks[1] >> number & 1 and _spilled_number(frame, number):
                    masks[1] |= 1 << number
                    changed = True
        checkpoint = checkpoint.state.parent
    return changed


def _spilled_number(frame: Frame, slot: int) -> bool:
    if slot >= len(frame.slots):
        return False
    one = frame.slots[slot]
    return one.is_spill and one.register.kind is _SCALAR


def _tell(state: State, sources: int) -> bool:
    """Mark ``sources`` of the last checkpoint, and where those came from in turn; only what is new is followed."""
    changed = False
    checkpoint = state.parent
    while checkpoint is not None and sources:
        if sources & LOST:
            return everything(state) or changed
        older = 0
        rest = sources >> 1
        kept = checkpoint.state
        for level, frame in enumerate(kept.frames):
            part = rest & FRAME_MASK
            if part:
                checkpoint.forget_plan()
                marks = checkpoint.precise[level]
                wanted = part & REGISTER_MASK & ~marks[0]
                while wanted:
                    index = (wanted & -wanted).bit_length() - 1
                    wanted &= wanted - 1
                    if frame.registers[index].kind is _SCALAR:
                        marks[0] |= 1 << index
                        older |= frame.sources[index]
                        changed = True
                wanted = (part >> _REGISTERS) & ~marks[1]
                while wanted:
                    index = (wanted & -wanted).bit_length() - 1
                    wanted &= wanted - 1
                    if _spilled_number(frame, index):
                        marks[1] |= 1 << index
                        older |= frame.source_of_slot(index)
                        changed = True
            rest >>= SPAN
            if not rest:
                break
        sources = older
        checkpoint = kept.parent
    if sources & LOST:
        return everything(state) or changed
    return changed
