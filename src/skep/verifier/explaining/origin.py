"""Where the value in a register came from, along one path: followed backwards from the place that uses it.

A value is copied between registers, spilled and loaded again, passed to functions and returned; it is changed by
arithmetic and learnt more of by comparisons; and it begins somewhere: a constant, a load, a call, or nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from skep.isa.meaning import (
    AddressSpaceCast,
    Alu,
    Atomic,
    Branch,
    Call,
    Exit,
    Load,
    LoadAcquire,
    MayGoto,
    PacketLoad,
    Store,
    StoreRelease,
    Swap,
    WideLoad,
)
from skep.isa.table import row_of
from skep.verifier.numbers.scalar import signed64
from skep.verifier.states.register import ANY_NUMBER, NOTHING, SHIFTED, Kind, Register
from skep.verifier.states.slots import SLOT_SIZE

if TYPE_CHECKING:
    from skep.isa.instruction import Instruction
    from skep.isa.row import Row
    from skep.verifier.explaining.path import Moment

What = Literal[
    "entry",  # a parameter, or nothing, from the start of the function
    "constant",
    "address",  # a wide load: map, map value, function, kernel variable
    "loaded",  # from memory
    "returned",  # by a call that was not followed
    "cleared",  # by a call
    "overwritten",  # a stack slot, by bytes that are no register
    "spilled",
    "filled",
    "changed",  # by arithmetic
    "compared",
    "widened",  # made any number, where a loop goes round whose rounds are not counted
    "invalidated",  # by a call elsewhere
    "begins before",  # where the path is known from
]
_ENDS = frozenset(
    {"entry", "constant", "address", "loaded", "returned", "cleared", "overwritten", "invalidated", "begins before"}
)


@dataclass(frozen=True, slots=True)
class Place:
    """A register of a frame, or a slot of its stack."""

    frame: int
    index: int
    is_slot: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """What an instruction did to a value: at moment ``at``, its ``place`` behind it, what it was before and after."""

    what: What
    at: int
    place: Place
    before: Register
    after: Register

    @property
    def is_end(self) -> bool:
        """Whether the value begins here."""
        return self.what in _ENDS


class Trail:
    """A path, and the way of values on it."""

    def __init__(self, moments: Sequence[Moment], instructions: Sequence[Instruction], *, whole: bool) -> None:
        self.moments = moments
        self.instructions = instructions
        self.whole = whole

    def row(self, at: int) -> Row | None:
        """The table row of the instruction at a moment."""
        return row_of(self.instructions[self.moments[at].index])

    def instruction(self, at: int) -> Instruction:
        """The instruction at a moment."""
        return self.instructions[self.moments[at].index]

    def value(self, at: int, place: Place) -> Register:
        """What is at a place before the instruction of a moment."""
        moment = self.moments[at]
        if not place.is_slot:
            return moment.register(place.frame, place.index)
        found = moment.slot(place.frame, place.index)
        return found.register if found.is_spill else NOTHING

    def events(self, at: int, place: Place) -> Iterator[Event]:
        """What happened to the value at ``place`` before moment ``at``, latest first, back to its beginning."""
        while at > 0:
            at -= 1
            event, place = self._back(at, place)
            if event is not None:
                yield event
                if event.is_end:
                    return
        value = self.value(0, place)
        yield Event("entry" if self.whole else "begins before", 0, place, value, value)

    def is_taken(self, at: int) -> bool | None:
        """Whether the jump at a moment was taken; None where the path ends there."""
        if at + 1 >= len(self.moments):
            return None
        moment = self.moments[at]
        target = moment.index + 1 + self.instructions[moment.index].offset
        return self.moments[at + 1].index == target

    def _back(self, at: int, place: Place) -> tuple[Event | None, Place]:
        """The event at one instruction and where the value was before it."""
        moment, following = self.moments[at], self.moments[at + 1]
        before, after = self.value(at, place), self.value(at + 1, place)
        row = self.row(at)
        instruction = self.instruction(at)
        top = moment.top

        def event(what: What) -> Event:
            return Event(what, at, place, before, after)

        here = place.frame == top and not place.is_slot
        match None if row is None else row.meaning:
            case Call() | Exit() if following.top != top:
                return self._over_frames(at, place)
            case MayGoto() if _widens(before, after):
                return event("widened"), place
            case Call():
                if here and place.index == 0:
                    return event("returned"), place
                if here and 1 <= place.index <= 5:
                    return event("cleared"), place
                if _widens(before, after):
                    return event("widened"), place
                if before is not after:
                    return event("invalidated" if after.kind is not before.kind else "compared"), place
            case Alu(operation=operation) if here and place.index == instruction.dst:
                if operation in ("mov", "movsx"):
                    if row is None or row.operand != "src":
                        return event("constant"), place
                    source = Place(top, instruction.src)
                    same = _says_as_much(self.value(at, source), after)
                    return None if same else event("changed"), source
                return event("changed"), place
            case Swap() | AddressSpaceCast() if here and place.index == instruction.dst:
                return event("changed"), place
            case WideLoad(refers=refers) if here and place.index == instruction.dst:
                return event("constant" if refers == "number" else "address"), place
            case Load() | LoadAcquire() if here and place.index == instruction.dst:
                slot = self._slot(at, instruction.src, instruction.offset)
                if slot is not None and self.value(at, slot) is not NOTHING:
                    return event("filled"), slot
                return event("loaded"), place
            case Store() | StoreRelease() if place.is_slot:
                return self._stored(at, place, row)
            case Atomic(result=result) if here and place.index == {"r0": 0, "src": instruction.src}.get(result or ""):
                return event("loaded"), place
            case PacketLoad() if here and place.index <= 5:
                return event("returned" if place.index == 0 else "cleared"), place
            case Branch():
                compared = here and place.index in (instruction.dst, instruction.src if self._by_register(at) else -1)
                if compared or before is not after:
                    return event("compared"), place
            case _:
                pass
        return None, place

    def _by_register(self, at: int) -> bool:
        row = self.row(at)
        return row is not None and row.operand == "src"

    def _stored(self, at: int, place: Place, row: Row | None) -> tuple[Event | None, Place]:
        instruction = self.instruction(at)
        slot = self._slot(at, instruction.dst, instruction.offset)
        before, after = self.value(at, place), self.value(at + 1, place)
        if slot != place:
            if before is not after:
                return Event("overwritten", at, place, before, after), place
            return None, place
        source = Place(self.moments[at].top, instruction.src)
        if row is not None and row.operand == "src" and after is not NOTHING:
            return Event("spilled", at, place, before, after), source
        return Event("constant" if after is not NOTHING else "overwritten", at, place, before, after), place

    def _over_frames(self, at: int, place: Place) -> tuple[Event | None, Place]:
        """Across the call of a function that is followed, or back out of it."""
        before, following = self.moments[at], self.moments[at + 1]
        value_before, value_after = self.value(at, place), self.value(at + 1, place)

        def event(what: What) -> Event:
            return Event(what, at, place, value_before, value_after)

        if place.frame < min(before.top, following.top) + 1 and _widens(value_before, value_after):
            return event("widened"), place
        if following.top > before.top:
            if place.frame == following.top:
                if not place.is_slot and 1 <= place.index <= 5:
                    source = Place(before.top, place.index)
                    if self.value(at, source) is value_after:
                        return None, source
                return event("entry"), place
            if place.frame == before.top and not place.is_slot and place.index <= 5:
                return event("cleared"), place
            return None, place
        if place.frame == following.top and not place.is_slot and place.index == 0:
            return None, Place(before.top, 0)
        return None, place

    def _slot(self, at: int, base: int, offset: int) -> Place | None:
        """The stack slot at a register and an offset, where it is a whole one or the start of one."""
        moment = self.moments[at]
        pointer = moment.register(moment.top, base)
        if pointer.kind is not Kind.STACK or not pointer.scalar.is_constant:
            return None
        place = pointer.offset + signed64(pointer.scalar.value) + offset
        if place >= 0:
            return None
        return Place(pointer.frame, (-place - 1) // SLOT_SIZE, is_slot=True)


def _widens(before: Register, after: Register) -> bool:
    """Whether a number became any: what a loop makes of those that differ from round to round."""
    return after is ANY_NUMBER and before is not ANY_NUMBER and before.kind is Kind.SCALAR


def _says_as_much(one: Register, other: Register) -> bool:
    """Whether two registers hold the same, their ids aside."""
    return (
        one.kind is other.kind
        and one.scalar is other.scalar
        and one.flags & ~SHIFTED == other.flags & ~SHIFTED
        and (one.kind is Kind.SCALAR or one.offset == other.offset)
    )
