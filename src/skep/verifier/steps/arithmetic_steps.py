"""Arithmetic on registers: numbers are computed, pointers moved, and what makes no sense on a pointer refused.

Pointers keep a fixed offset and a variable one apart: adding a constant changes the first, adding an unknown number
the second. The rules of what may be added to what are those of Documentation/bpf/verifier.rst; messages and limits
were observed on Linux 6.18.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from skep.isa.instruction import Instruction
from skep.isa.meaning import Alu, Swap
from skep.isa.row import Row
from skep.verifier.numbers import tnum
from skep.verifier.numbers.arithmetic import (
    compute,
    constant_operand,
    low_half,
    sign_extended,
    swapped,
    with_low_constant,
    zero_extended,
)
from skep.verifier.numbers.scalar import S32_MAX, S64_MAX, S64_MIN, U32, UNKNOWN, Scalar, constant, scalar, signed64
from skep.verifier.numbers.tnum import U64
from skep.verifier.rejection import Rejection
from skep.verifier.rules import Rules
from skep.verifier.states.register import (
    ANY_NUMBER,
    MAYBE_NULL,
    NOTHING,
    SHIFTED,
    SHIFTED_32,
    SHIFTED_64,
    UNTRUSTED,
    Kind,
    Register,
    at,
    number,
    register,
    with_id,
    with_scalar,
)
from skep.verifier.states.state import R10
from skep.verifier.steps.checks import readable, writable
from skep.verifier.steps.step import REMEMBERED, Calling, Step
from skep.verifier.structure import OFFSET_LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable

    from skep.verifier.paths.exploration import Explorer

_FLOW_KEYS: Final = Kind.FLOW_KEYS
_MAP: Final = Kind.MAP
_MEMORY: Final = Kind.MEMORY

_ARENA: Final = Kind.ARENA
_SCALAR: Final = Kind.SCALAR
_STACK: Final = Kind.STACK

_SYMBOLS: Final = {
    "add": "+=",
    "sub": "-=",
    "mul": "*=",
    "div": "/=",
    "sdiv": "/=",
    "or": "|=",
    "and": "&=",
    "lsh": "<<=",
    "rsh": ">>=",
    "mod": "%=",
    "smod": "%=",
    "xor": "^=",
    "arsh": "s>>=",
}

_MOVABLE: Final = frozenset(
    {
        Kind.CONTEXT,
        Kind.MAP_VALUE,
        Kind.MAP_KEY,
        _STACK,
        Kind.PACKET_META,
        Kind.PACKET,
        Kind.TRACEPOINT_BUFFER,
        Kind.OBJECT,
        Kind.MEMORY,
        Kind.BUFFER,
        Kind.FUNCTION,
        Kind.DYNPTR,
    }
)
_PACKET: Final = frozenset({Kind.PACKET, Kind.PACKET_META})


def alu(instruction: Instruction, row: Row, slot: int, rules: Rules) -> Step:
    """The step of an arithmetic instruction, as ``rules`` follow it."""
    assert isinstance(row.meaning, Alu)
    operation, width = row.meaning.operation, row.meaning.width
    if operation in ("mov", "movsx"):
        if row.operand == "imm":
            return _LoadConstant(instruction, slot, width)
        return _Move(instruction, slot, width, row.meaning.sign_bits, rules)
    if operation == "neg":
        return Calling(_negate(instruction, width, rules.operation(operation)))
    return _Combine(instruction, slot, operation, width, row.operand == "src", rules)


def swap(instruction: Instruction, row: Row) -> Step:
    """The step of a byte swap, or of the truncation that it is where the order is the machine's own."""
    assert isinstance(row.meaning, Swap)
    dst, size = instruction.dst, row.meaning.bits // 8
    turns = row.meaning.operation != {"little": "le", "big": "be"}[sys.byteorder]

    def follow(explorer: Explorer) -> int:
        readable(explorer, dst)
        writable(explorer, dst)
        registers = explorer.registers
        old = registers[dst]
        if old.kind is _SCALAR:
            known = old.scalar
            if turns or size < 8:
                registers[dst] = number(swapped(known, size) if turns else zero_extended(known, size))
        else:
            registers[dst] = ANY_NUMBER
        return explorer.index + 1

    return Calling(follow)


def _negate(instruction: Instruction, width: int, operation: str) -> Callable[[Explorer], int]:
    dst = instruction.dst

    def follow(explorer: Explorer) -> int:
        readable(explorer, dst)
        writable(explorer, dst)
        registers = explorer.registers
        old = registers[dst]
        known = old.kind is _SCALAR
        registers[dst] = number(compute(operation, width, old.scalar, constant(0))) if known else ANY_NUMBER
        return explorer.index + 1

    return follow


class _LoadConstant(Step):
    """The move of an immediate."""

    __slots__ = ("_behind", "_dst", "_loaded")

    def __init__(self, instruction: Instruction, slot: int, width: int) -> None:
        value = constant_operand(instruction.imm)
        self._dst: Final = instruction.dst
        self._loaded: Final = number(value if width == 64 else low_half(value))
        self._behind: Final = slot + 1

    def follow(self, explorer: Explorer) -> int:
        """Set the register."""
        dst = self._dst
        if dst == R10:
            writable(explorer, dst)
        explorer.sources[dst] = 0
        explorer.registers[dst] = self._loaded
        return self._behind


class _Move(Step):
    """The move of a register, whole or in part."""

    __slots__ = ("_behind", "_dst", "_is_whole", "_links", "_moved", "_sign_bits", "_src", "_width")

    def __init__(self, instruction: Instruction, slot: int, width: int, sign_bits: int, rules: Rules) -> None:
        self._dst: Final = instruction.dst
        self._src: Final = instruction.src
        self._width: Final = width
        self._sign_bits: Final = sign_bits
        self._is_whole: Final = width == 64 and not sign_bits
        self._links: Final = rules.links_copies
        self._behind: Final = slot + 1
        #: What is left of a register that the move gives no new id.
        self._moved: dict[Register, Register] = {}

    def follow(self, explorer: Explorer) -> int:
        """Copy what is known, and note that both are the same number where they are."""
        dst, src = self._dst, self._src
        registers = explorer.registers
        source = registers[src]
        if source is NOTHING or dst == R10:
            readable(explorer, src)
            writable(explorer, dst)
        sources = explorer.sources
        sources[dst] = sources[src]
        if self._is_whole and source.kind is not _SCALAR:
            registers[dst] = source
            return self._behind
        moved = self._moved.get(source)
        if moved is None:
            moved = self._move(explorer, source)
        registers[dst] = moved
        return self._behind

    def _move(self, explorer: Explorer, source: Register) -> Register:
        width, sign_bits = self._width, self._sign_bits
        if source.kind is not _SCALAR:
            return number(low_half(UNKNOWN)) if width == 32 else ANY_NUMBER
        if sign_bits:
            keeps = source.scalar.umax < 1 << (sign_bits - 1) and self._links
        else:
            keeps = width == 64 or (source.scalar.umax <= U32 and self._links)
        before = source
        if keeps:
            source = explorer.registers[self._src] = shared(explorer, source)
        value = source.scalar
        if sign_bits:
            value = sign_extended(value, sign_bits // 8, width)
        elif width == 32:
            value = low_half(value)
        moved = number(value, source.id) if keeps else number(value)
        if source is before:
            if len(self._moved) >= REMEMBERED:
                self._moved.clear()
            self._moved[source] = moved
        return moved


def shared(explorer: Explorer, source: Register) -> Register:
    """A number about to be copied, with an id, so that what is learnt of one copy is learnt of the other."""
    if source.kind is not _SCALAR:
        return source
    if source.flags & SHIFTED:
        source = number(source.scalar)
    if not source.id and not source.scalar.is_constant:
        return with_id(source, explorer.new_id())
    return source


class _Combine(Step):
    """An operation on two operands; ``other`` is the second one, if that is an immediate."""

    __slots__ = (
        "_adds",
        "_arena_sums",
        "_behind",
        "_by_register",
        "_dst",
        "_followed_as",
        "_operation",
        "_other",
        "_pairs",
        "_refusal",
        "_results",
        "_rules",
        "_splits",
        "_src",
        "_width",
    )

    def __init__(
        self, instruction: Instruction, slot: int, operation: str, width: int, by_register: bool, rules: Rules
    ) -> None:
        self._dst: Final = instruction.dst
        self._src: Final = instruction.src
        self._by_register: Final = by_register
        self._operation: Final = operation
        self._width: Final = width
        self._other: Final = number(constant_operand(instruction.imm))
        self._adds: Final = operation in ("add", "sub")
        self._rules: Final = rules
        self._followed_as: Final = rules.operation(operation)
        self._arena_sums: Final = rules.arena_sums
        #: A mask of all ones or all zeros is followed as two numbers.
        self._splits: Final = operation in ("and", "or") and rules.sign_masks
        self._refusal: Final = "" if by_register else _refusal(operation, width, instruction.imm)
        self._behind: Final = slot + 1
        #: By what the target held, what it holds afterwards, where the other operand is an immediate; by both.
        self._results: dict[Register, Register] = {}
        self._pairs: dict[tuple[Register, Register], Register] = {}

    def follow(self, explorer: Explorer) -> int:
        """Compute the result, or move the pointer."""
        dst = self._dst
        registers = explorer.registers
        target = registers[dst]
        if self._by_register:
            other = registers[self._src]
            sources = explorer.sources
            sources[dst] |= sources[self._src]
            found = self._pairs.get((target, other))
            if found is not None and target.kind is not other.kind:
                # The number that a pointer was moved by matters.
                explorer.mark_precise(dst if target.kind is _SCALAR else self._src)
        else:
            other = self._other
            found = self._results.get(target)
        registers[dst] = self._combined(explorer, target, other) if found is None else found
        return self._behind

    def _combined(self, explorer: Explorer, target: Register, other: Register) -> Register:
        dst, by_register = self._dst, self._by_register
        if target is NOTHING or other is NOTHING or self._refusal or dst == R10:
            if by_register:
                readable(explorer, self._src)
            readable(explorer, dst)
            if self._refusal:
                raise Rejection(self._refusal)
            writable(explorer, dst)
        last_id = explorer.last_id
        if (target.kind is _ARENA or other.kind is _ARENA) and (self._arena_sums or _is_arena_sum(target, other)):
            # Wherever it points to, it points into the arena or to nothing: any arithmetic will do.
            return register(_ARENA)
        if target.kind is _SCALAR and other.kind is _SCALAR:
            forks = self._splits and other.scalar.is_constant and _has_one_sign(target.scalar)
            whole = _one_sign(explorer, dst, target) if forks else target
            result = self._computed(whole, other)
            if forks:
                return result
        else:
            source = self._src if by_register else None
            result = _on_pointer(explorer, self._operation, self._width, dst, target, source, other)
            if explorer.last_id != last_id:
                return result
        if by_register:
            if len(self._pairs) >= REMEMBERED:
                self._pairs.clear()
            self._pairs[target, other] = result
        else:
            if len(self._results) >= REMEMBERED:
                self._results.clear()
            self._results[target] = result
        return result

    def _computed(self, target: Register, other: Register) -> Register:
        width = self._width
        result = compute(self._followed_as, width, target.scalar, other.scalar)
        if target.id and self._adds and other.scalar.is_constant:
            added = _constant_added(self._operation, width, target, other.scalar.value, self._rules)
            if added is not None:
                return number(result, target.id, SHIFTED_64 if width == 64 else SHIFTED_32, added)
        return number(result)


def _is_arena_sum(target: Register, other: Register) -> bool:
    """Whether it is arithmetic on a pointer into an arena and a number."""
    return target.kind is _ARENA and other.kind is _SCALAR


def _refusal(operation: str, width: int, imm: int) -> str:
    """Why an operation on an immediate is never allowed; empty, if it is."""
    if operation in ("div", "mod", "sdiv", "smod") and imm == 0:
        return "div by zero"
    if operation in ("lsh", "rsh", "arsh") and not 0 <= imm < width:
        return f"invalid shift {imm}"
    return ""


def _has_one_sign(known: Scalar) -> bool:
    """Whether a number is all ones or all zeros, in 64 bits or in 32."""
    return (known.smin == -1 and known.smax == 0) or (known.smin32 == -1 and known.smax32 == 0)


def _one_sign(explorer: Explorer, dst: int, mask: Register) -> Register:
    """Of a number that is all ones or all zeros: all ones; a second path has all zeros.

    Compilers turn a condition into such a number (an arithmetic shift by 63 or 31) and select with it.
    """
    known = mask.scalar
    if known.smin == -1 and known.smax == 0:
        ones, zeros = constant(-1), constant(0)
    else:
        ones, zeros = with_low_constant(known, U32), with_low_constant(known, 0)
    explorer.fork(explorer.index).frames[-1].registers[dst] = with_scalar(mask, zeros)
    return with_scalar(mask, ones)


def _constant_added(operation: str, width: int, target: Register, value: int, rules: Rules) -> int | None:
    """What an addition leaves a number apart from those with its id; None where Linux loses sight of it.

    It follows one addition or subtraction of a constant of 32 bits, in 32 bits only of a number that has no more;
    earlier versions only additions of positive constants in 64 bits, or none.
    """
    if not rules.links_differences and not (
        rules.links_sums and operation == "add" and width == 64 and value <= S32_MAX
    ):
        return None
    if target.flags & SHIFTED or (width == 32 and target.scalar.umax > U32):
        return None
    constant = signed64(value) if width == 64 else (value & U32) - ((value & 1 << 31) << 1)
    if operation == "sub":
        constant = -constant
    return constant if -S32_MAX - 1 <= constant <= S32_MAX else None


def _on_pointer(
    explorer: Explorer, operation: str, width: int, dst: int, target: Register, src: int | None, other: Register
) -> Register:
    """The result of arithmetic with a pointer on one side or both."""
    if target.kind is not _SCALAR and other.kind is not _SCALAR:
        if operation == "sub":
            return ANY_NUMBER
        raise Rejection(f"R{dst} pointer {_SYMBOLS[operation]} pointer prohibited", register=dst)
    if target.kind is _SCALAR:
        explorer.mark_precise(dst)
        pointer, added = _with_number_first(other), target.scalar
    else:
        if src is not None:
            explorer.mark_precise(src)
        pointer, added = target, other.scalar
    if width == 32:
        if operation == "sub":
            return ANY_NUMBER
        raise Rejection(f"R{dst} 32-bit pointer arithmetic prohibited", register=dst)
    name = pointer.type_name
    if pointer.flags & MAYBE_NULL:
        raise Rejection(f"R{dst} pointer arithmetic on {name} prohibited, null-check it first", register=dst)
    if pointer.kind is _MEMORY and pointer.flags & UNTRUSTED:
        # Where it points to does not matter, but a number that it is added to stays a number.
        return ANY_NUMBER if target.kind is _SCALAR else pointer
    known = added.is_constant
    nothing_added = known and added.value == 0 and operation == "add"
    if pointer.kind not in _MOVABLE:
        if pointer.kind is _FLOW_KEYS:
            allowed = known
        else:
            allowed = pointer.kind is _MAP and nothing_added
        if not allowed:
            raise Rejection(f"R{dst} pointer arithmetic on {name} prohibited", register=dst)
    _check_offset(name, added, 0)
    _check_offset(name, pointer.scalar, pointer.offset)
    result = _moved(explorer, operation, dst, pointer, added, target.kind is _SCALAR)
    _check_offset(name, result.scalar, result.offset)
    return result


def _with_number_first(pointer: Register) -> Register:
    """What Linux takes over of a pointer that is added to a number: not which reference it stands for, and not whose
    stack it points into, which is then that of the first function.
    """
    if not pointer.reference and not pointer.frame:
        return pointer
    return register(
        pointer.kind,
        pointer.scalar,
        pointer.offset,
        pointer.id,
        extent=pointer.extent,
        flags=pointer.flags,
        subject=pointer.subject,
    )


def _check_offset(name: str, value: Scalar, fixed: int) -> None:
    """Refuse offsets so large that a sum of two could overflow."""
    if value.is_constant:
        amount = signed64(value.value)
        if not -OFFSET_LIMIT < amount < OFFSET_LIMIT:
            raise Rejection(f"math between {name} pointer and {amount} is not allowed", pointer=name, value=amount)
    if not -OFFSET_LIMIT < fixed < OFFSET_LIMIT:
        raise Rejection(f"{name} pointer offset {fixed} is not allowed", pointer=name, value=fixed)
    if value.smin == S64_MIN:
        raise Rejection(
            f"math between {name} pointer and register with unbounded min value is not allowed", pointer=name
        )
    if not -OFFSET_LIMIT < value.smin < OFFSET_LIMIT:
        raise Rejection(f"value {value.smin} makes {name} pointer be out of bounds", pointer=name, value=value.smin)


def _moved(
    explorer: Explorer, operation: str, dst: int, pointer: Register, added: Scalar, is_reversed: bool
) -> Register:
    if operation == "add":
        if added.is_constant:
            offset = pointer.offset + signed64(added.value)
            if -(1 << 31) <= offset < 1 << 31:
                return at(pointer, pointer.scalar, offset, pointer.id, pointer.extent)
        value = _sum(pointer.scalar, added)
        if pointer.kind in _PACKET:
            return at(pointer, value, pointer.offset, explorer.new_id(), 0)
        return at(pointer, value, pointer.offset, pointer.id, pointer.extent)
    if operation == "sub":
        if is_reversed:
            raise Rejection(f"R{dst} tried to subtract pointer from scalar", register=dst)
        if pointer.kind is _STACK:
            raise Rejection(f"R{dst} subtraction from stack pointer prohibited", register=dst)
        if added.is_constant:
            offset = pointer.offset - signed64(added.value)
            if -(1 << 31) <= offset < 1 << 31:
                return at(pointer, pointer.scalar, offset, pointer.id, pointer.extent)
        value = _difference(pointer.scalar, added)
        if pointer.kind in _PACKET:
            extent = 0 if added.smin < 0 else pointer.extent
            return at(pointer, value, pointer.offset, explorer.new_id(), extent)
        return at(pointer, value, pointer.offset, pointer.id, pointer.extent)
    if operation in ("and", "or", "xor"):
        raise Rejection(f"R{dst} bitwise operator {_SYMBOLS[operation]} on pointer prohibited", register=dst)
    raise Rejection(f"R{dst} pointer arithmetic with {_SYMBOLS[operation]} operator prohibited", register=dst)


@lru_cache(maxsize=1 << 14)
def _sum(a: Scalar, b: Scalar) -> Scalar:
    s64 = (a.smin + b.smin, a.smax + b.smax)
    if s64[0] < S64_MIN or s64[1] > S64_MAX:
        s64 = (S64_MIN, S64_MAX)
    u64 = (a.umin + b.umin, a.umax + b.umax)
    if u64[1] > U64:
        u64 = (0, U64)
    return scalar(tnum.add(a.bits, b.bits), u64, s64) or UNKNOWN


@lru_cache(maxsize=1 << 14)
def _difference(a: Scalar, b: Scalar) -> Scalar:
    s64 = (a.smin - b.smax, a.smax - b.smin)
    if s64[0] < S64_MIN or s64[1] > S64_MAX:
        s64 = (S64_MIN, S64_MAX)
    u64 = (a.umin - b.umax, a.umax - b.umin) if a.umin >= b.umax else (0, U64)
    return scalar(tnum.subtract(a.bits, b.bits), u64, s64) or UNKNOWN
