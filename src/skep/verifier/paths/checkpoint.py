"""A state that was kept, to compare later ones with; and how two states are compared.

A later state that is no more general than a kept one, in what the kept one's continuation turned out to depend on,
need not be followed: the same instructions would be found safe again. How much "no more general" asks depends on why
the question is put (``Match``).
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from skep.verifier.numbers import tnum
from skep.verifier.numbers.scalar import Scalar
from skep.verifier.states.register import NOTHING, SHIFTED, Kind, Register
from skep.verifier.states.slots import INVALID, MISC, UNUSED, Slot
from skep.verifier.states.stack_objects import Dynptr, IrqFlag, Iterator, StackObject
from skep.verifier.states.state import Frame, State

if TYPE_CHECKING:
    from collections.abc import Sequence


_SCALAR: Final = Kind.SCALAR
_NOTHING: Final = Kind.NOT_INITIALISED


class Match(Enum):
    """How closely a state has to match."""

    #: The kept state is finished: what it did not depend on may differ.
    PRUNE = "prune"
    #: The kept state is not finished: ranges may be narrower, nothing may be missing.
    WITHIN = "within"
    #: Nothing may differ: a loop that changes nothing.
    SAME = "same"


_PRUNE: Final = Match.PRUNE
_SAME: Final = Match.SAME


#: How often for each time that it was of use (and once more) a kept state may not be.
PATIENCE: Final = 3


class Checkpoint:
    """A kept state. ``branches`` is how many paths from it are not finished.

    ``precise`` holds for each frame two masks: of the registers, and of the stack slots, whose numbers matter.
    """

    __slots__ = (
        "branches",
        "clean",
        "doubt",
        "extent",
        "hits",
        "index",
        "is_dropped",
        "kind",
        "misses",
        "patience",
        "plan",
        "precise",
        "state",
        "suspect",
        "umax",
        "umin",
    )

    def __init__(self, state: State, index: int) -> None:
        self.state = state
        self.index = index
        self.branches = 1
        self.hits = 0
        self.misses = 0
        #: Whether it is kept for its path alone: later ones are not compared with it any more.
        self.is_dropped = False
        #: How many misses are too many.
        self.patience = PATIENCE
        self.clean = False
        self.precise: list[list[int]] = [[0, 0] for _ in state.frames]
        #: What to compare once it is finished; None if that has to be made out, because marks changed.
        self.plan: list[_Entry] | None = None
        #: If what is compared first is a register of the running frame, its index, else negative. A register fits
        #: only if it is of this kind, lies in this range and is known to reach this far.
        self.doubt = -1
        self.kind = _NOTHING
        self.umin = 0
        self.umax = 0
        self.extent = 0
        #: The register that differed from a later state last, the first to look at the next time.
        self.suspect = 0

    def forget_plan(self) -> None:
        """What matters has changed."""
        self.plan = None
        self.doubt = -1

    def doubt_first(self, first: _Entry) -> None:
        """``first`` is what is compared first from now on."""
        self.doubt = -1
        if first.level == len(self.state.frames) - 1 and (first.how == _PRECISE or first.how == _POINTER):
            register = first.register
            self.doubt = first.index
            self.kind = register.kind
            self.umin = register.scalar.umin
            self.umax = register.scalar.umax
            self.extent = register.extent


class Identities:
    """Which id of the kept state stands for which of the current one: one for one."""

    __slots__ = ("_back", "_forth", "_next")

    def __init__(self) -> None:
        self._forth: dict[int, int] = {}
        self._back: dict[int, int] = {}
        self._next = -1

    def reset(self) -> None:
        """Forget all pairs."""
        if self._forth:
            self._forth.clear()
            self._back.clear()
        self._next = -1

    def agree(self, old: int, current: int) -> bool:
        """Whether the two can stand for each other; having none only agrees with having none."""
        if not old or not current:
            return old == current
        known = self._forth.get(old)
        if known is None:
            if current in self._back:
                return False
            self._forth[old] = current
            self._back[current] = old
            return True
        return known == current

    def agree_as_numbers(self, old: int, current: int) -> bool:
        """The same for numbers, of which the kept one has an id: having none is having one that nothing else has."""
        if not current:
            current = self._next
            self._next -= 1
        return self.agree(old, current)


@lru_cache(maxsize=1 << 16)
def within(current: Scalar, old: Scalar) -> bool:
    """Whether all numbers of ``current`` are among those of ``old``."""
    return (
        old.umin <= current.umin
        and current.umax <= old.umax
        and old.smin <= current.smin
        and current.smax <= old.smax
        and old.umin32 <= current.umin32
        and current.umax32 <= old.umax32
        and old.smin32 <= current.smin32
        and current.smax32 <= old.smax32
        and tnum.within(current.bits, old.bits)
    )


#: The pairs of the comparison that is going on.
_IDENTITIES: Final = Identities()


def same_scalar(one: Scalar, other: Scalar) -> bool:
    """Whether two scalars stand for the same numbers; interning may have forgotten one of them."""
    return one is other or (within(one, other) and within(other, one))


#: Kinds of which a narrower one will do for a wider one.
_RANGED: Final = frozenset({Kind.MAP_VALUE, Kind.MAP_KEY, Kind.MEMORY, Kind.BUFFER, Kind.TRACEPOINT_BUFFER})
_PACKET: Final = frozenset({Kind.PACKET, Kind.PACKET_META})


def _identical(old: Register, current: Register, ids: Identities) -> bool:
    return (
        old.kind is current.kind
        and old.flags == current.flags
        and old.offset == current.offset
        and old.extent == current.extent
        and old.frame == current.frame
        and old.subject == current.subject
        and same_scalar(old.scalar, current.scalar)
        and ids.agree(old.id, current.id)
        and ids.agree(old.reference, current.reference)
    )


def _register_matches(old: Register, current: Register, precise: bool, ids: Identities, match: Match) -> bool:
    if match is _SAME:
        return _identical(old, current, ids)
    kind = old.kind
    if kind is _NOTHING:
        return match is _PRUNE or current.kind is _NOTHING
    if kind is not current.kind:
        return False
    if kind is _SCALAR:
        if not precise and match is _PRUNE:
            return True
        if not within(current.scalar, old.scalar):
            return False
        if not old.id:
            # What numbers are to each other only matters where the kept state knew of it.
            return True
        if (old.flags ^ current.flags) & SHIFTED or (old.flags & SHIFTED and old.offset != current.offset):
            return False
        return ids.agree_as_numbers(old.id, current.id)
    if old is current and not (old.id or old.reference):
        return True
    if kind in _RANGED:
        return (
            old.flags == current.flags
            and old.offset == current.offset
            and old.extent == current.extent
            and old.subject == current.subject
            and within(current.scalar, old.scalar)
            and ids.agree(old.id, current.id)
            and ids.agree(old.reference, current.reference)
        )
    if kind in _PACKET:
        # What was compared as at the end or beyond it goes other ways at the next comparison: no extent stands in.
        if old.extent != current.extent and not 0 <= old.extent < current.extent:
            return False
        return old.offset == current.offset and ids.agree(old.id, current.id) and within(current.scalar, old.scalar)
    return _identical(old, current, ids)


def _registers_match(old: Frame, current: Frame, live: int, precise: int, ids: Identities, match: Match) -> bool:
    mine, theirs = old.registers, current.registers
    for index in _indices(live):
        if not _register_matches(mine[index], theirs[index], bool(precise >> index & 1), ids, match):
            return False
    return True


@lru_cache(maxsize=1 << 12)
def _indices(mask: int) -> tuple[int, ...]:
    """The numbers of the bits that are set, of registers."""
    return tuple(index for index in range(11) if mask >> index & 1)


def _stack_matches(old: Frame, current: Frame, precise: int, ids: Identities, match: Match) -> bool:
    there = len(current.slots)
    for index, mine in enumerate(old.slots):
        theirs = current.slots[index] if index < there else None
        if mine is theirs and not mine.is_spill and mine.object is None:
            continue
        if not _slot_matches(mine, theirs, bool(precise >> index & 1), ids, match):
            return False
    return True


def _slot_matches(mine: Slot, theirs: Slot | None, precise: bool, ids: Identities, match: Match) -> bool:
    if match is not _PRUNE and (theirs is None or mine.bytes != theirs.bytes):
        return False
    # Bytes that may be anything match whatever is there.
    if mine.is_anything:
        return True
    if theirs is None:
        return False
    if mine.whole_number is not None and theirs.whole_number is not None:
        return _register_matches(mine.whole_number, theirs.whole_number, precise, ids, match)
    if mine.bytes != theirs.bytes and not _bytes_match(mine.bytes, theirs.bytes):
        return False
    if mine.object is not None and theirs.object is not None:
        return _object_matches(mine.object, theirs.object, ids)
    return not mine.is_spill or _register_matches(mine.register, theirs.register, precise, ids, match)


@lru_cache(maxsize=1 << 12)
def _bytes_match(mine: str, theirs: str) -> bool:
    """Whether each byte is what it was, where that was not anything."""
    return all(one in (INVALID, MISC) or one == other for one, other in zip(mine, theirs, strict=True))


def _object_matches(mine: StackObject, theirs: StackObject, ids: Identities) -> bool:
    """Whether two objects on the stack are as far, and their references stand for each other."""
    if not ids.agree(mine.reference, theirs.reference) or mine.position != theirs.position:
        return False
    match mine, theirs:
        case Dynptr(type=one), Dynptr(type=other):
            return one is other
        case IrqFlag(by_lock=one_way), IrqFlag(by_lock=other_way):
            return one_way is other_way
        case Iterator(), Iterator():
            # How many elements were taken does not matter.
            return mine.name == theirs.name and mine.progress is theirs.progress and mine.is_stale == theirs.is_stale
        case _:
            return False


def _order(state: State) -> list[int]:
    """In which order what is held was acquired, each as a number that says of what kind it is."""
    held = [(one.id, 1) for one in state.references] + [(one.id, 2) for one in state.irqs]
    held += [(one.since, 3) for one in state.locks]
    # A lock has the id of what was acquired before it.
    return [kind for _, kind in sorted(held)]


#: How an entry of a plan is compared: a number that does not matter, one that does, a pointer; a slot of the stack
#: whose number, if it is one, does not matter, and one where it does.
_NUMBER: Final = 0
_PRECISE: Final = 1
_POINTER: Final = 2
_SLOT: Final = 3
_PRECISE_SLOT: Final = 4


class _Entry:
    """What a later state has to match: ``index`` of a register or slot of frame ``level``, ``how`` to compare it.

    ``plain``: what is the very same object fits, whatever else was compared, because it has no id.
    """

    __slots__ = ("how", "index", "level", "plain", "register", "slot")

    def __init__(self, level: int, index: int, how: int, register: Register, slot: Slot, plain: bool) -> None:
        self.level = level
        self.index = index
        self.how = how
        self.register = register
        self.slot = slot
        self.plain = plain


def _plan(checkpoint: Checkpoint, live: Sequence[int]) -> list[_Entry]:
    """What to compare with a finished checkpoint: what is live and not anything anyway."""
    state = checkpoint.state
    top = len(state.frames) - 1
    plan: list[_Entry] = []
    for level, frame in enumerate(state.frames):
        registers, slots = checkpoint.precise[level]
        for index in _indices(live[checkpoint.index if level == top else state.frames[level + 1].call_site]):
            register = frame.registers[index]
            if register.kind is _SCALAR:
                if registers >> index & 1:
                    plan.append(_Entry(level, index, _PRECISE, register, UNUSED, not register.id))
                else:
                    plan.append(_Entry(level, index, _NUMBER, register, UNUSED, True))
            elif register.kind is not _NOTHING:
                plain = not register.id and not register.reference
                plan.append(_Entry(level, index, _POINTER, register, UNUSED, plain))
        for index, slot in enumerate(frame.slots):
            if not slot.is_anything:
                how = _PRECISE_SLOT if slots >> index & 1 else _SLOT
                plan.append(_Entry(level, index, how, NOTHING, slot, _is_plain(slot, how)))
    if plan:
        checkpoint.doubt_first(plan[0])
    return plan


def _is_plain(slot: Slot, how: int) -> bool:
    if slot.whole_number is not None:
        return how == _SLOT or not slot.whole_number.id
    return slot.object is None and not slot.register.id and not slot.register.reference


def covers(checkpoint: Checkpoint, current: State, live: Sequence[int]) -> bool:
    """Whether ``current``, at the same instruction, is no more general than a finished checkpoint."""
    frames = current.frames
    if len(checkpoint.state.frames) != len(frames):
        return False
    plan = checkpoint.plan
    if plan is None:
        plan = checkpoint.plan = _plan(checkpoint, live)
    ids = _IDENTITIES
    ids.reset()
    for position, entry in enumerate(plan):
        how = entry.how
        if how >= _SLOT:
            fits = _slot_fits(entry, frames[entry.level].slots, ids)
        else:
            theirs = frames[entry.level].registers[entry.index]
            if how == _NUMBER:
                fits = theirs.kind is _SCALAR
            else:
                fits = (theirs is entry.register and entry.plain) or _register_matches(
                    entry.register, theirs, how == _PRECISE, ids, _PRUNE
                )
        if not fits:
            if position:
                # What differed now most likely differs the next time, too.
                plan.insert(0, plan.pop(position))
                checkpoint.doubt_first(entry)
            return False
    return _same_calls_and_holds(checkpoint.state, current, ids)


def _slot_fits(entry: _Entry, slots: list[Slot], ids: Identities) -> bool:
    if entry.index >= len(slots):
        return False
    mine, theirs = entry.slot, slots[entry.index]
    if mine is theirs and entry.plain:
        return True
    precise = entry.how == _PRECISE_SLOT
    one, other = mine.whole_number, theirs.whole_number
    if one is not None and other is not None:
        return not precise or _register_matches(one, other, True, ids, _PRUNE)
    if mine.is_spill and theirs.is_spill:
        if mine.bytes != theirs.bytes and not _bytes_match(mine.bytes, theirs.bytes):
            return False
        return _register_matches(mine.register, theirs.register, precise, ids, _PRUNE)
    return _slot_matches(mine, theirs, precise, ids, _PRUNE)


def _same_calls_and_holds(old: State, current: State, ids: Identities) -> bool:
    """Whether both were reached by the same calls and hold the same things."""
    if old.references or current.references or old.locks or current.locks or old.irqs or current.irqs:
        if len(old.references) != len(current.references) or len(old.locks) != len(current.locks):
            return False
        if len(old.irqs) != len(current.irqs):
            return False
        if (old.locks or old.irqs) and _order(old) != _order(current):
            return False
        for one_reference, other_reference in zip(old.references, current.references, strict=True):
            if not ids.agree(one_reference.id, other_reference.id):
                return False
        for one_saved, other_saved in zip(old.irqs, current.irqs, strict=True):
            if not ids.agree(one_saved.id, other_saved.id):
                return False
        for one_lock, other_lock in zip(old.locks, current.locks, strict=True):
            if one_lock.kind is not other_lock.kind or one_lock.subject is not other_lock.subject:
                return False
            if not ids.agree(one_lock.id, other_lock.id):
                return False
    if old.rcu_depth != current.rcu_depth or old.preempt_depth != current.preempt_depth:
        return False
    if len(old.frames) == 1:
        return old.frames[0].rounds <= current.frames[0].rounds
    for one, other in zip(old.frames, current.frames, strict=True):
        if one.call_site != other.call_site or one.rounds > other.rounds:
            return False
    return True


def matches(checkpoint: Checkpoint, current: State, live: Sequence[int], match: Match) -> bool:
    """Whether ``current``, at the same instruction, is no more general than a checkpoint that is not finished.

    ``live`` are, by instruction, the registers that matter.
    """
    old = checkpoint.state
    if len(old.frames) != len(current.frames):
        return False
    ids = _IDENTITIES
    ids.reset()
    if not _same_calls_and_holds(old, current, ids):
        return False
    top = len(old.frames) - 1
    for level, (one, other) in enumerate(zip(old.frames, current.frames, strict=True)):
        place = checkpoint.index if level == top else old.frames[level + 1].call_site
        registers, slots = checkpoint.precise[level]
        if not _registers_match(one, other, live[place], registers, ids, match):
            return False
        if not _stack_matches(one, other, slots, ids, match):
            return False
    return True


def may_be_same(checkpoint: Checkpoint, current: State) -> bool:
    """A quick look whether the registers of the running functions could be all the same."""
    frames = checkpoint.state.frames
    if len(frames) != len(current.frames):
        return False
    mine, theirs = frames[-1].registers, current.frames[-1].registers
    if _differ(mine[checkpoint.suspect], theirs[checkpoint.suspect]):
        return False
    for index in range(11):
        if _differ(mine[index], theirs[index]):
            checkpoint.suspect = index
            return False
    return True


def _differ(one: Register, other: Register) -> bool:
    return one is not other and (
        one.kind is not other.kind
        or one.offset != other.offset
        or one.id != other.id
        or one.flags != other.flags
        or one.reference != other.reference
        or one.extent != other.extent
        or one.subject != other.subject
        or not same_scalar(one.scalar, other.scalar)
    )


_BELOW_R10: Final = (1 << 10) - 1


def forget_dead(checkpoint: Checkpoint, live: Sequence[int], alive: Sequence[int]) -> None:
    """Take from a finished checkpoint what nothing onwards reads. ``alive`` are the live slots of each frame."""
    state = checkpoint.state
    top = len(state.frames) - 1
    for level, frame in enumerate(state.frames):
        mask = live[checkpoint.index if level == top else state.frames[level + 1].call_site]
        for index in _indices(~mask & _BELOW_R10):
            frame.registers[index] = NOTHING
        read = alive[level]
        for index, slot in enumerate(frame.slots):
            if slot is not UNUSED and not read >> index & 1:
                frame.slots[index] = UNUSED
    checkpoint.clean = True
    checkpoint.forget_plan()
