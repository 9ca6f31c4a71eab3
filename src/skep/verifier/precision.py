"""Which numbers a decision depended on, back to where they came from.

Two states may differ in a number that nothing ever depended on. So numbers count when states are compared only once
something did: a branch decided by one, an offset added to a pointer, a size passed to a helper. Then the path is
walked backwards, from that instruction over the jump history, carrying the set of registers and stack slots that the
number was in; every checkpoint on the way is told which of its numbers mattered. Where the trail is lost, all numbers
of all checkpoints on the path matter.

Source: the section on precision tracking in Documentation/bpf/verifier.rst, and what Linux 6.18 was seen to print.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from skep.isa.meaning import (
    Alu,
    Atomic,
    Branch,
    Call,
    Exit,
    Load,
    LoadAcquire,
    PacketLoad,
    Store,
    StoreRelease,
    Swap,
    WideLoad,
)
from skep.verifier.register import Kind
from skep.verifier.state import State, Step

if TYPE_CHECKING:
    from skep.verifier.checkpoint import Checkpoint
    from skep.verifier.flow import Flow
    from skep.verifier.structure import Structure

_ARGUMENTS = 0b111110
_FRAME_POINTER = 1 << 10


class _Move(IntEnum):
    """How an instruction moves numbers between registers and stack, seen from behind."""

    NONE = 0
    COPY = 1
    SET = 2
    COMBINE = 3
    LOAD = 4
    STORE = 5
    COMPARE = 6
    SUBPROGRAM = 7
    CALL = 8
    CALLS_BACK = 9
    EXIT = 10
    PACKET_LOAD = 11
    KFUNC = 12


class _Lost(Exception):
    """The trail is lost."""


class Precision:
    """Marks of precision for one program."""

    def __init__(self, structure: Structure, flow: Flow) -> None:
        self._moves: list[tuple[_Move, int, int]] = []
        self._global_callees = set()
        self._is_call = [False] * len(structure.rows)
        for slot, row in enumerate(structure.rows):
            instruction = structure.instructions[slot]
            dst, src = 1 << instruction.dst, 1 << instruction.src
            move = _Move.NONE
            match None if row is None else row.meaning:
                case Alu(operation="mov" | "movsx"):
                    move = _Move.COPY if row is not None and row.operand == "src" else _Move.SET
                case Alu(operation="neg") | Swap():
                    move = _Move.NONE
                case Alu():
                    move = _Move.COMBINE if row is not None and row.operand == "src" else _Move.NONE
                case WideLoad():
                    move = _Move.SET
                case Load() | LoadAcquire():
                    move = _Move.LOAD
                case Store() | StoreRelease() | Atomic():
                    move = _Move.STORE
                    src = src if row is not None and row.operand == "src" else 0
                case Branch():
                    src = src if row is not None and row.operand == "src" else 0
                    move = _Move.COMPARE if src else _Move.NONE
                case Call(target="subprogram"):
                    move = _Move.SUBPROGRAM
                    self._is_call[slot] = True
                    if structure.by_start[slot + 1 + instruction.imm].is_global:
                        self._global_callees.add(slot)
                case Call(target="helper"):
                    move = _Move.CALLS_BACK if flow.calls_back[slot] else _Move.CALL
                case Call():
                    move = _Move.CALLS_BACK if flow.calls_back[slot] else _Move.KFUNC
                case Exit():
                    move = _Move.EXIT
                case PacketLoad():
                    move, dst = _Move.PACKET_LOAD, 1
                case _:
                    pass
            self._moves.append((move, dst, src))
        self._calls_back = flow.calls_back

    def mark(self, state: State, index: int, register: int) -> bool:
        """The number in ``register`` mattered at instruction ``index``, which ``state`` is about to execute."""
        top = len(state.frames) - 1
        if state.frames[top].registers[register].kind is not Kind.SCALAR:
            return False
        masks = [[0, 0] for _ in state.frames]
        masks[top][0] = 1 << register
        return self._trace(state, index, masks)

    def mark_slot(self, state: State, index: int, frame: int, slot: int) -> bool:
        """The number spilled in a stack slot mattered at instruction ``index``."""
        masks = [[0, 0] for _ in state.frames]
        masks[frame][1] = 1 << slot
        return self._trace(state, index, masks)

    def inherit(self, checkpoint: Checkpoint, state: State, index: int) -> bool:
        """``state`` was found to match ``checkpoint``: what mattered there matters here. Whether a mark was new."""
        masks = []
        wanted = False
        for frame, (registers, slots) in zip(checkpoint.state.frames, checkpoint.precise, strict=True):
            kept_registers = kept_slots = 0
            for number in _bits(registers):
                if frame.registers[number].kind is Kind.SCALAR:
                    kept_registers |= 1 << number
            for number in _bits(slots):
                spilled = frame.slots[number] if number < len(frame.slots) else None
                if spilled is not None and spilled.is_spill and spilled.register.kind is Kind.SCALAR:
                    kept_slots |= 1 << number
            wanted = wanted or bool(kept_registers or kept_slots)
            masks.append([kept_registers, kept_slots])
        return wanted and self._trace(state, index, masks)

    def everything(self, state: State) -> bool:
        """All numbers of all checkpoints that ``state`` came by matter."""
        changed = False
        checkpoint = state.parent
        while checkpoint is not None:
            for frame, masks in zip(checkpoint.state.frames, checkpoint.precise, strict=True):
                for number, register in enumerate(frame.registers):
                    if register.kind is Kind.SCALAR and not masks[0] >> number & 1:
                        masks[0] |= 1 << number
                        changed = True
                for number, slot in enumerate(frame.slots):
                    if slot.is_spill and slot.register.kind is Kind.SCALAR and not masks[1] >> number & 1:
                        masks[1] |= 1 << number
                        changed = True
            checkpoint = checkpoint.state.parent
        return changed

    def _trace(self, start: State, index: int, masks: list[list[int]]) -> bool:
        """Walk back from ``index``; ``masks`` are registers and slots for each frame. Whether a mark was new."""
        state = start
        changed = False
        following = -1
        skip = True
        at = index
        while True:
            history = state.history
            first = state.first_index
            while True:
                step = history if history is not None and history.index == at else None
                if skip:
                    skip = False
                else:
                    try:
                        self._back(at, following, step, masks)
                    except _Lost:
                        return self.everything(start) or changed
                    if not any(registers or slots for registers, slots in masks):
                        return changed
                following = at
                if at == first and (history is None or (step is not None and history.older is None)):
                    break
                if step is not None:
                    at = step.previous
                    history = step.older
                else:
                    at -= 1
            parent = state.parent
            if parent is None:
                return self.everything(start) or changed
            state = parent.state
            if len(masks) != len(state.frames):
                return self.everything(start) or changed
            changed |= _tell(parent, masks)
            if not any(registers or slots for registers, slots in masks):
                return changed
            following = first
            at = state.last_index

    def _back(self, at: int, following: int, step: Step | None, masks: list[list[int]]) -> None:
        """What mattered before the instruction, given what mattered behind it."""
        move, dst, src = self._moves[at]
        top = masks[-1]
        if step is not None and step.linked:
            _join(step, masks)
        if move is _Move.NONE:
            return
        if move in (_Move.COPY, _Move.SET, _Move.COMBINE):
            if top[0] & dst:
                if move is not _Move.COMBINE:
                    top[0] &= ~dst
                if move is not _Move.SET and src != _FRAME_POINTER:
                    top[0] |= src
        elif move is _Move.LOAD:
            if top[0] & dst:
                top[0] &= ~dst
                if step is not None and step.stack is not None:
                    frame, slot = step.stack
                    masks[frame][1] |= 1 << slot
        elif move is _Move.STORE:
            if top[0] & dst:
                raise _Lost
            if step is not None and step.stack is not None:
                frame, slot = step.stack
                if masks[frame][1] >> slot & 1:
                    masks[frame][1] &= ~(1 << slot)
                    top[0] |= src
        elif move is _Move.COMPARE:
            if top[0] & (dst | src):
                top[0] |= (dst | src) & ~_FRAME_POINTER
                if step is not None and step.linked:
                    _join(step, masks)
        elif move is _Move.PACKET_LOAD:
            if top[0] & dst:
                raise _Lost
        else:
            self._back_over_call(move, at, following, masks)

    def _back_over_call(self, move: _Move, at: int, following: int, masks: list[list[int]]) -> None:
        top = masks[-1]
        if move is _Move.EXIT:
            if self._calls_back[following]:
                top[0] &= ~_ARGUMENTS
            if top[0] & _ARGUMENTS:
                raise _Lost
            wanted = top[0] & 1 if following > 0 and self._is_call[following - 1] else 0
            top[0] &= ~1
            masks.append([wanted, 0])
        elif move is _Move.SUBPROGRAM and at not in self._global_callees:
            if len(masks) < 2 or top[0] & ~_ARGUMENTS or top[1]:
                raise _Lost
            masks.pop()
            masks[-1][0] |= top[0]
        elif move is _Move.CALLS_BACK and at != following - 1:
            if len(masks) < 2 or top[0] & ~_ARGUMENTS or top[1]:
                raise _Lost
            masks.pop()
        else:
            top[0] &= ~1
            if top[0] & _ARGUMENTS:
                raise _Lost


def _bits(mask: int) -> list[int]:
    found = []
    number = 0
    while mask:
        if mask & 1:
            found.append(number)
        mask >>= 1
        number += 1
    return found


def _join(step: Step, masks: list[list[int]]) -> None:
    """Registers that were the same number at a jump matter together."""
    present = [one for one in step.linked if one[0] < len(masks)]
    if any(masks[frame][is_slot] >> number & 1 for frame, number, is_slot in present):
        for frame, number, is_slot in present:
            masks[frame][is_slot] |= 1 << number


def _tell(checkpoint: Checkpoint, masks: list[list[int]]) -> bool:
    """Mark what ``masks`` say, and leave in them only what was new: the rest has been followed before."""
    changed = False
    for frame, marked, mask in zip(checkpoint.state.frames, checkpoint.precise, masks, strict=True):
        for number in _bits(mask[0]):
            if frame.registers[number].kind is not Kind.SCALAR or marked[0] >> number & 1:
                mask[0] &= ~(1 << number)
        for number in _bits(mask[1]):
            slots = frame.slots
            spilled = number < len(slots) and slots[number].is_spill
            if not spilled or slots[number].register.kind is not Kind.SCALAR or marked[1] >> number & 1:
                mask[1] &= ~(1 << number)
        changed = changed or bool(mask[0] or mask[1])
        marked[0] |= mask[0]
        marked[1] |= mask[1]
    return changed
