"""Conditional jumps: which ways are possible, and what is known on each.

A comparison narrows numbers, also those known to be the same or a constant apart; tells null from not null for every
register with the same id; and shows how far the packet reaches. The rules of ranges are in ``comparison``; those of
packets and null are in Documentation/bpf/verifier.rst.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from skep.isa.instruction import Instruction
from skep.isa.meaning import Branch
from skep.isa.row import Row
from skep.verifier.numbers.arithmetic import apart, constant_operand
from skep.verifier.numbers.comparison import INVERSE, decided, when, when_same
from skep.verifier.numbers.scalar import Scalar
from skep.verifier.paths.widening import widen
from skep.verifier.rules import Rules
from skep.verifier.states.register import (
    MAYBE_NULL,
    NOTHING,
    SHIFTED,
    SHIFTED_64,
    Kind,
    Register,
    number,
    with_extent,
    with_id,
    with_scalar,
)
from skep.verifier.states.slots import slot
from skep.verifier.states.state import R10, Linked, State
from skep.verifier.steps.checks import readable
from skep.verifier.steps.nullness import known_not_null, not_null, settle_null
from skep.verifier.steps.step import REMEMBERED, Calling, Step

if TYPE_CHECKING:
    from skep.verifier.paths.exploration import Explorer

_PACKET: Final = Kind.PACKET
_PACKET_END: Final = Kind.PACKET_END
_PACKET_META: Final = Kind.PACKET_META

_SCALAR: Final = Kind.SCALAR

#: Extents of packet pointers known to be at, or beyond, the end of the packet.
AT_END: Final = -1
BEYOND_END: Final = -2

_LONGEST_PACKET: Final = 0xFFFF
_MOST_LINKED: Final = 6
_PACKET_KINDS: Final = frozenset({Kind.PACKET, Kind.PACKET_META, Kind.PACKET_END})
#: The condition with its sides exchanged.
_FLIPPED: Final = {
    "gt": "lt",
    "lt": "gt",
    "ge": "le",
    "le": "ge",
    "sgt": "slt",
    "slt": "sgt",
    "sge": "sle",
    "sle": "sge",
}


class _Outcome:
    """What a comparison of two numbers says: whether it is decided; what both are where it holds, and where not."""

    __slots__ = ("is_decided", "is_taken", "passed_a", "passed_b", "taken_a", "taken_b")

    def __init__(self, answer: bool | None, a: Register, b: Register) -> None:
        self.is_decided: Final = answer is not None
        self.is_taken: Final = answer is True
        self.taken_a = self.passed_a = a
        self.taken_b = self.passed_b = b


def branch(instruction: Instruction, row: Row, slot: int, rules: Rules) -> Step:
    """The step of a conditional jump, as ``rules`` follow it."""
    assert isinstance(row.meaning, Branch)
    return _Branch(instruction, slot, row.meaning, row.operand == "src", rules)


class _Branch(Step):
    """A conditional jump; ``_other`` is what it compares with, if that is an immediate."""

    __slots__ = (
        "_behind",
        "_by_bits",
        "_by_register",
        "_condition",
        "_dst",
        "_keeps",
        "_of_ranges",
        "_other",
        "_outcomes",
        "_pairs",
        "_src",
        "_target",
        "_width",
    )

    def __init__(self, instruction: Instruction, slot: int, meaning: Branch, by_register: bool, rules: Rules) -> None:
        self._condition: Final = meaning.condition
        self._width: Final = meaning.width
        self._dst: Final = instruction.dst
        self._src: Final = instruction.src
        self._by_register: Final = by_register
        self._other: Final = number(constant_operand(instruction.imm))
        self._behind: Final = slot + 1
        self._target: Final = slot + 1 + instruction.offset
        self._by_bits: Final = rules.bits_disagree
        self._of_ranges: Final = rules.compares_ranges
        self._keeps: Final = rules.links_differences
        #: What was found out for numbers compared with the immediate; for pairs of numbers.
        self._outcomes: dict[Register, _Outcome] = {}
        self._pairs: dict[tuple[Register, Register], _Outcome] = {}

    def follow(self, explorer: Explorer) -> int:
        """Go the only way that is possible, or behind the jump, and leave a fork that goes to its target."""
        dst, src, by_register = self._dst, self._src, self._by_register
        registers = explorer.registers
        a = registers[dst]
        b = registers[src] if by_register else self._other
        explorer.jumps += 1
        if a.kind is not _SCALAR or b.kind is not _SCALAR:
            return self._compare_pointers(explorer, a, b)
        outcome = self._pairs.get((a, b)) if by_register else self._outcomes.get(a)
        if outcome is None:
            outcome = self._find_out(a, b)
        if outcome.is_decided:
            explorer.mark_precise(dst)
            if by_register:
                explorer.mark_precise(src)
                _join(explorer, dst, src)
            return self._target if outcome.is_taken else self._behind
        linked: Linked = ()
        if a.id or b.id:
            if b.id:
                linked = _linked(explorer, b.id, linked)
            if a.id:
                linked = _linked(explorer, a.id, linked)
            if len(linked) > 1:
                explorer.remember()
                explorer.linked = linked
                _join(explorer, dst, src if by_register else dst, linked)
                self._narrow_linked(explorer, outcome, linked)
                return self._behind
        if by_register:
            _join(explorer, dst, src)
        other = explorer.fork(self._target).frames[-1].registers
        other[dst] = outcome.taken_a
        registers[dst] = outcome.passed_a
        if by_register:
            other[src] = outcome.taken_b
            registers[src] = outcome.passed_b
        return self._behind

    def _find_out(self, a: Register, b: Register) -> _Outcome:
        """Compare two numbers, and remember what was found."""
        condition, width = self._condition, self._width
        looks = self._of_ranges or _is_constant(a, width) or _is_constant(b, width)
        answer = decided(condition, width, a.scalar, b.scalar, self._by_bits) if looks else None
        outcome = _Outcome(answer, a, b)
        if answer is None and looks:
            inverse = INVERSE[condition]
            if self._by_register and self._src == self._dst:
                outcome.taken_a = outcome.taken_b = with_scalar(a, when_same(condition, width, a.scalar))
                outcome.passed_a = outcome.passed_b = with_scalar(a, when_same(inverse, width, a.scalar))
            else:
                # Before 6.8 nothing was learnt of numbers that are not equal.
                whole = self._of_ranges
                same = (a.scalar, b.scalar)
                taken = when(condition, width, *same) if whole or condition != "ne" else same
                passed = when(inverse, width, *same) if whole or inverse != "ne" else same
                outcome.taken_a, outcome.taken_b = with_scalar(a, taken[0]), with_scalar(b, taken[1])
                outcome.passed_a, outcome.passed_b = with_scalar(a, passed[0]), with_scalar(b, passed[1])
        if self._by_register:
            if len(self._pairs) >= REMEMBERED:
                self._pairs.clear()
            self._pairs[a, b] = outcome
        else:
            if len(self._outcomes) >= REMEMBERED:
                self._outcomes.clear()
            self._outcomes[a] = outcome
        return outcome

    def _narrow_linked(self, explorer: Explorer, outcome: _Outcome, linked: Linked) -> None:
        """Fork, and narrow on both ways what is known to be one number with an operand, too.

        An operand may just have lost its id, if there are too many of the same.
        """
        dst, src = self._dst, self._src if self._by_register else -1
        a = explorer.registers[dst]
        b = explorer.registers[src] if src >= 0 else self._other
        other = explorer.fork(self._target)
        keeps = self._keeps
        _narrow(other, dst, a, outcome.taken_a.scalar, src, b, outcome.taken_b.scalar, linked, keeps)
        _narrow(explorer.state, dst, a, outcome.passed_a.scalar, src, b, outcome.passed_b.scalar, linked, keeps)

    def _compare_pointers(self, explorer: Explorer, a: Register, b: Register) -> int:
        """A comparison with a pointer, or nothing, on one side or both."""
        dst, src, by_register = self._dst, self._src, self._by_register
        if a is NOTHING or b is NOTHING:
            readable(explorer, dst)
            if by_register:
                readable(explorer, src)
        condition, width = self._condition, self._width
        answer = _decided(condition, width, a, b)
        if by_register:
            if answer is not None:
                # Only a side that is a number can matter as one.
                explorer.mark_precise(dst)
                explorer.mark_precise(src)
            _join(explorer, dst, src)
        elif answer is not None:
            explorer.mark_precise(dst)
        if answer is not None:
            return self._target if answer else self._behind
        other = explorer.fork(self._target)
        if width == 64:
            _learn_of_pointers(condition, dst, a, src if by_register else None, b, explorer.state, other)
        return self._behind


def _join(explorer: Explorer, dst: int, src: int, linked: Linked = ()) -> None:
    """Numbers that were compared, and those refined with them, matter together from here back."""
    sources = explorer.sources
    both = sources[dst] | sources[src]
    if len(linked) > 1:
        frames = explorer.state.frames
        running = explorer.frame.index
        together = 0
        touches = False
        for level, index, is_slot in linked:
            frame = frames[level]
            together |= frame.source_of_slot(index) if is_slot else frame.sources[index]
            touches = touches or (level == running and not is_slot and index in (dst, src))
        if touches:
            both = together = together | both
        for level, index, is_slot in linked:
            if is_slot:
                frames[level].slot_sources[index] = together
            else:
                frames[level].sources[index] = together
    if dst != R10 and src != R10:
        sources[dst] = sources[src] = both


def may_goto(instruction: Instruction) -> Step:
    """The step of a jump that the runtime takes when it has had enough: both ways are possible."""
    distance = instruction.offset

    def follow(explorer: Explorer) -> int:
        explorer.jumps += 1
        before = explorer.last_turn(explorer.index, before=explorer.state.parent)
        other = explorer.fork(explorer.index + 1)
        other.may_goto_turns += 1
        if before is not None:
            widen(before, other)
        return explorer.index + 1 + distance

    return Calling(follow)


def goto(target: int) -> Step:
    """The step of an unconditional jump."""
    return _Goto(target)


class _Goto(Step):
    """An unconditional jump."""

    __slots__ = ("_target",)

    def __init__(self, target: int) -> None:
        self._target: Final = target

    def follow(self, explorer: Explorer) -> int:
        """Go there."""
        explorer.jumps += 1
        return self._target


def _is_constant(register: Register, width: int) -> bool:
    mask = register.scalar.mask
    return not (mask if width == 64 else mask & 0xFFFFFFFF)


def _linked(explorer: Explorer, id: int, found: Linked) -> Linked:
    """``found`` and all numbers with this id that are still live, up to a limit; those beyond it lose their id."""
    live = explorer.flow.live
    frames = explorer.state.frames
    place = explorer.index
    for frame in reversed(frames):
        alive = live[place]
        place = frame.call_site
        for index, register in enumerate(frame.registers):
            if register.id == id and register.kind is _SCALAR and alive >> index & 1:
                one = (frame.index, index, False)
                if len(found) < _MOST_LINKED:
                    found = (*found, one)
                else:
                    frame.registers[index] = number(register.scalar)
        for index, spilled in enumerate(frame.slots):
            if spilled.is_spill and spilled.register.id == id and spilled.register.kind is _SCALAR:
                one = (frame.index, index, True)
                if len(found) < _MOST_LINKED:
                    found = (*found, one)
                else:
                    frame.slots[index] = slot(spilled.bytes, with_id(spilled.register, 0))
    return found


def _narrow(
    state: State,
    dst: int,
    a: Register,
    a_scalar: Scalar,
    src: int,
    b: Register,
    b_scalar: Scalar,
    linked: Linked,
    keeps: bool,
) -> None:
    """Set both sides of a comparison to what is known on one way, and what is linked to them.

    ``src`` is negative where ``b`` is an immediate; ``keeps`` says whether a number stays apart from the others that
    it is linked to once it has learnt from one, as it does since 6.18.
    """
    registers = state.frames[-1].registers
    new_a = registers[dst] = with_scalar(a, a_scalar)
    if src >= 0:
        new_b = registers[src] = with_scalar(b, b_scalar)
        if b.id and len(linked) > 1:
            _spread(state, new_b, (len(state.frames) - 1, src), linked, keeps)
    if a.id and len(linked) > 1:
        new_a = registers[dst]
        _spread(state, new_a, (len(state.frames) - 1, dst), linked, keeps)


def _spread(state: State, known: Register, place: tuple[int, int], linked: Linked, keeps: bool) -> None:
    for frame_index, index, is_slot in linked:
        frame = state.frames[frame_index]
        if not is_slot and (frame_index, index) == place:
            continue
        old = frame.slots[index].register if is_slot else frame.registers[index]
        if old.kind is not _SCALAR or old.id != known.id:
            continue
        shifts = (old.flags | known.flags) & SHIFTED
        if shifts == SHIFTED:
            # One was shifted in 64 bits, the other in 32: what they say of each other is not followed.
            continue
        if old.offset == known.offset or not shifts:
            new = known
        else:
            width = 64 if shifts == SHIFTED_64 else 32
            moved = apart(known.scalar, old.offset - known.offset, width)
            new = number(moved, old.id, old.flags if keeps else known.flags, old.offset)
        if is_slot:
            frame.slots[index] = slot(frame.slots[index].bytes, new)
        else:
            frame.registers[index] = new


def _learn_of_pointers(
    condition: str, dst: int, a: Register, src: int | None, b: Register, passed: State, taken: State
) -> None:
    """What a comparison in 64 bits with a pointer says on both ways."""
    is_equality = condition in ("eq", "ne")
    if is_equality and src is not None and a.is_pointer and b.is_pointer:
        _share_not_null(condition, dst, a, src, b, passed, taken)
    if is_equality and src is None and a.flags & MAYBE_NULL and b.is_zero:
        # Of a register that holds 0 Linux does not see that it is null.
        settle_null(passed, dst, is_null=condition == "ne")
        settle_null(taken, dst, is_null=condition == "eq")
    elif src is not None:
        _find_packet_range(condition, dst, a, src, b, passed=passed, taken=taken)


def _decided(condition: str, width: int, a: Register, b: Register) -> bool | None:
    """Whether the jump is taken, where a comparison with a pointer has only one answer."""
    if a.kind in _PACKET_KINDS and b.kind in _PACKET_KINDS and width == 64:
        return _decided_by_packet(condition, a, b)
    if not (b.kind is _SCALAR and _is_constant(b, width)):
        condition = _FLIPPED.get(condition, condition)
        a, b = b, a
    if not (b.kind is _SCALAR and _is_constant(b, width)):
        return None
    value = b.scalar.value & ((1 << width) - 1)
    if value or not known_not_null(a):
        return None
    return {"eq": False, "ne": True}.get(condition)


def _decided_by_packet(condition: str, a: Register, b: Register) -> bool | None:
    if b.kind is _PACKET_END:
        packet = a
    elif a.kind is _PACKET_END:
        packet, condition = b, _FLIPPED.get(condition, condition)
    else:
        return None
    if condition in ("le", "gt") and packet.extent == BEYOND_END:
        return condition == "gt"
    if condition in ("lt", "ge") and packet.extent in (BEYOND_END, AT_END):
        return condition == "ge"
    return None


def _share_not_null(
    condition: str, dst: int, a: Register, src: int, b: Register, passed: State, taken: State
) -> None:
    """Of two pointers that are equal, one not null, the other is not null either."""
    if a.maybe_null == b.maybe_null or Kind.OBJECT in (a.kind, b.kind):
        return
    registers = (taken if condition == "eq" else passed).frames[-1].registers
    index = src if b.maybe_null else dst
    registers[index] = not_null(registers[index])


def _find_packet_range(
    condition: str, dst: int, a: Register, src: int, b: Register, *, passed: State, taken: State
) -> None:
    """A pointer into the packet was compared with its end: bytes before it are there, on one of the two ways.

    Metadata ends where the packet begins, so that a metadata pointer is compared with that.
    """
    if _is_limit(b, a):
        pointer, index = a, dst
    elif _is_limit(a, b):
        pointer, index = b, src
        condition = _FLIPPED.get(condition, condition)
    else:
        return
    match condition:
        case "gt":
            _reaches(passed, pointer, 0)
            _ends(taken, index, BEYOND_END)
        case "lt":
            _reaches(taken, pointer, 1)
            _ends(passed, index, AT_END)
        case "ge":
            _reaches(passed, pointer, 1)
            _ends(taken, index, AT_END)
        case "le":
            _reaches(taken, pointer, 0)
            _ends(passed, index, BEYOND_END)
        case _:
            pass


def _is_limit(limit: Register, pointer: Register) -> bool:
    """Whether ``limit`` ends what ``pointer`` points into."""
    if pointer.kind is _PACKET:
        return limit.kind is _PACKET_END
    return (
        pointer.kind is _PACKET_META
        and limit.kind is _PACKET
        and not limit.offset
        and not limit.id
        and limit.scalar.is_constant
    )


def _reaches(state: State, pointer: Register, beyond: int) -> None:
    """All bytes up to ``pointer``, and ``beyond`` more, are there."""
    if pointer.offset < 0 or (pointer.offset == 0 and beyond):
        return
    furthest = pointer.scalar.umax
    if furthest > _LONGEST_PACKET or furthest + pointer.offset > _LONGEST_PACKET:
        return
    extent = pointer.offset + beyond
    for frame in state.frames:
        for index, register in enumerate(frame.registers):
            if register.kind is pointer.kind and register.id == pointer.id and register.extent < extent:
                frame.registers[index] = with_extent(register, extent)
        for index, spilled in enumerate(frame.slots):
            register = spilled.register
            if register.kind is pointer.kind and register.id == pointer.id and register.extent < extent:
                frame.slots[index] = slot(spilled.bytes, with_extent(register, extent))


def _ends(state: State, index: int, extent: int) -> None:
    registers = state.frames[-1].registers
    if registers[index].kind is _PACKET:
        registers[index] = with_extent(registers[index], extent)
