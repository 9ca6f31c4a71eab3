"""What instructions do, as functions that run: the definition that engines and the verifier are held against.

Registers are unsigned 64-bit Python integers. Where an instruction has an immediate in the place of its right
operand, the operand is the immediate extended with its sign to 64 bits and taken as unsigned
(:func:`immediate_operand`); operations on 32 bits use the low halves and clear the upper half of the result.

Rules that are easy to get wrong, all from RFC 9669, section 4: dividing by zero gives 0, the remainder by zero is the
dividend (of 32 bits: with the upper half cleared), signed division truncates toward zero, the most negative number
divided by -1 is itself with remainder 0, and shift amounts are taken modulo the width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

MASK32: Final = 0xFFFF_FFFF
MASK64: Final = 0xFFFF_FFFF_FFFF_FFFF

#: (destination, right operand) to the new destination.
Compute = Callable[[int, int], int]
#: (destination, right operand) to whether the jump is taken.
Predicate = Callable[[int, int], bool]
#: (old value in memory, source register, r0) to the new value in memory, all cut to the size of the access.
Update = Callable[[int, int, int], int]


def signed(value: int, bits: int) -> int:
    """The low ``bits`` bits of ``value`` as a signed number."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def immediate_operand(imm: int) -> int:
    """A 32-bit immediate as the right operand of arithmetic or a comparison: sign-extended, then unsigned."""
    return signed(imm, 32) & MASK64


@dataclass(frozen=True, slots=True)
class Alu:
    """Arithmetic: ``dst = compute(dst, operand)``; ``operation`` is its name, ``width`` 32 or 64 bits.

    ``sign_bits`` is the width that a sign-extending move extends from, else 0.
    """

    operation: str
    width: int
    compute: Compute
    sign_bits: int = 0


@dataclass(frozen=True, slots=True)
class Swap:
    """A byte swap of the low ``bits`` bits, the rest of the register cleared.

    ``operation`` is "le" or "be" (to that byte order from the machine's own) or "bswap" (always).
    """

    operation: Literal["le", "be", "bswap"]
    bits: int

    def compute(self, dst: int, byte_order: str = "little") -> int:
        """The new destination on a machine of the given byte order."""
        size = self.bits // 8
        value = dst & ((1 << self.bits) - 1)
        if self.operation == ("le" if byte_order == "little" else "be"):
            return value
        return int.from_bytes(value.to_bytes(size, "little"), "big")


@dataclass(frozen=True, slots=True)
class Branch:
    """A conditional jump: taken where ``taken(dst, operand)``; it compares ``width`` bits.

    ``inverse`` names the condition that holds exactly when this one does not; "set" has none among instructions.
    """

    condition: str
    width: int
    taken: Predicate
    inverse: str | None


@dataclass(frozen=True, slots=True)
class Goto:
    """An unconditional jump; ``far`` ones take their distance from ``imm`` instead of ``offset``."""

    far: bool


@dataclass(frozen=True, slots=True)
class MayGoto:
    """A jump that the runtime takes when it has had enough of a loop, and else does not."""


@dataclass(frozen=True, slots=True)
class Load:
    """``dst = memory[src + offset]`` of ``size`` bytes, zero- or sign-extended to 64 bits."""

    size: int
    is_signed: bool = False

    def extend(self, value: int) -> int:
        """The register's new content for the ``size`` bytes read as an unsigned number."""
        return signed(value, self.size * 8) & MASK64 if self.is_signed else value & ((1 << self.size * 8) - 1)


@dataclass(frozen=True, slots=True)
class Store:
    """``memory[dst + offset] = operand``: the low ``size`` bytes of the source register or of the immediate."""

    size: int

    def truncate(self, value: int) -> int:
        """The unsigned number of ``size`` bytes that is stored for an operand."""
        return value & ((1 << self.size * 8) - 1)


@dataclass(frozen=True, slots=True)
class Atomic:
    """A read-modify-write of ``memory[dst + offset]``, ``size`` bytes, sequentially consistent where it fetches.

    The old value, zero-extended, goes to the register that ``result`` names: the source register, r0, or nowhere.
    """

    operation: str
    size: int
    update: Update
    result: Literal["src", "r0"] | None


@dataclass(frozen=True, slots=True)
class LoadAcquire:
    """``dst = memory[src + offset]``, zero-extended; later accesses stay behind it."""

    size: int


@dataclass(frozen=True, slots=True)
class StoreRelease:
    """``memory[dst + offset] = src``; earlier accesses stay before it."""

    size: int


@dataclass(frozen=True, slots=True)
class WideLoad:
    """``dst`` = a 64-bit immediate, or what ``refers`` says the immediate stands for."""

    refers: Literal["number", "map", "map value", "kernel symbol", "function"]
    by_index: bool = False


@dataclass(frozen=True, slots=True)
class PacketLoad:
    """Legacy packet access: ``r0`` = ``size`` bytes of the packet of the context in r6, in network order.

    The position is ``imm``, plus the source register where ``indirect``. Outside the packet the program ends with 0.
    """

    size: int
    indirect: bool


@dataclass(frozen=True, slots=True)
class Call:
    """A call with arguments r1 to r5 and result r0; ``target`` is what the instruction names."""

    target: Literal["helper", "subprogram", "kfunc", "register"]


@dataclass(frozen=True, slots=True)
class Exit:
    """Return r0 to the caller, or end the program."""


@dataclass(frozen=True, slots=True)
class AddressSpaceCast:
    """``dst = src`` as a pointer of another address space: to ``imm >> 16``, from ``imm & 0xffff``."""


Meaning = (
    Alu
    | Swap
    | Branch
    | Goto
    | MayGoto
    | Load
    | Store
    | Atomic
    | LoadAcquire
    | StoreRelease
    | WideLoad
    | PacketLoad
    | Call
    | Exit
    | AddressSpaceCast
)


def _sdiv(a: int, b: int, width: int) -> int:
    dividend, divisor = signed(a, width), signed(b, width)
    if divisor == 0:
        return 0
    quotient = abs(dividend) // abs(divisor)
    return quotient if (dividend < 0) == (divisor < 0) else -quotient


def _smod(a: int, b: int, width: int) -> int:
    dividend, divisor = signed(a, width), signed(b, width)
    if divisor == 0:
        return a
    remainder = abs(dividend) % abs(divisor)
    return -remainder if dividend < 0 else remainder


#: Operations on operands already cut to ``width`` bits; the result is cut afterwards.
_OPERATIONS: Final[dict[str, Callable[[int, int, int], int]]] = {
    "add": lambda a, b, width: a + b,
    "sub": lambda a, b, width: a - b,
    "mul": lambda a, b, width: a * b,
    "div": lambda a, b, width: a // b if b else 0,
    "sdiv": _sdiv,
    "or": lambda a, b, width: a | b,
    "and": lambda a, b, width: a & b,
    "lsh": lambda a, b, width: a << (b & (width - 1)),
    "rsh": lambda a, b, width: a >> (b & (width - 1)),
    "neg": lambda a, b, width: -a,
    "mod": lambda a, b, width: a % b if b else a,
    "smod": _smod,
    "xor": lambda a, b, width: a ^ b,
    "mov": lambda a, b, width: b,
    "arsh": lambda a, b, width: signed(a, width) >> (b & (width - 1)),
}

_CONDITIONS: Final[dict[str, tuple[Callable[[int, int, int], bool], str | None]]] = {
    "eq": (lambda a, b, width: a == b, "ne"),
    "gt": (lambda a, b, width: a > b, "le"),
    "ge": (lambda a, b, width: a >= b, "lt"),
    "set": (lambda a, b, width: (a & b) != 0, None),
    "ne": (lambda a, b, width: a != b, "eq"),
    "sgt": (lambda a, b, width: signed(a, width) > signed(b, width), "sle"),
    "sge": (lambda a, b, width: signed(a, width) >= signed(b, width), "slt"),
    "lt": (lambda a, b, width: a < b, "ge"),
    "le": (lambda a, b, width: a <= b, "gt"),
    "slt": (lambda a, b, width: signed(a, width) < signed(b, width), "sge"),
    "sle": (lambda a, b, width: signed(a, width) <= signed(b, width), "sgt"),
}

_UPDATES: Final[dict[str, Update]] = {
    "add": lambda old, source, r0: old + source,
    "or": lambda old, source, r0: old | source,
    "and": lambda old, source, r0: old & source,
    "xor": lambda old, source, r0: old ^ source,
    "xchg": lambda old, source, r0: source,
    "cmpxchg": lambda old, source, r0: source if old == r0 else old,
}


def alu(operation: str, width: int) -> Alu:
    """The arithmetic of one name ("add", "sdiv" …) on 32 or 64 bits."""
    function = _OPERATIONS[operation]
    mask = MASK64 if width == 64 else MASK32

    def compute(dst: int, operand: int) -> int:
        return function(dst & mask, operand & mask, width) & mask

    return Alu(operation, width, compute)


def sign_extending_move(bits: int, width: int) -> Alu:
    """A move that extends the sign of the low ``bits`` bits of its operand to ``width`` bits."""
    mask = MASK64 if width == 64 else MASK32

    def compute(dst: int, operand: int) -> int:
        return signed(operand, bits) & mask

    return Alu("movsx", width, compute, bits)


def branch(condition: str, width: int) -> Branch:
    """The conditional jump of one name ("eq", "sgt", "set" …) on 32 or 64 bits."""
    function, inverse = _CONDITIONS[condition]
    mask = MASK64 if width == 64 else MASK32

    def taken(dst: int, operand: int) -> bool:
        return function(dst & mask, operand & mask, width)

    return Branch(condition, width, taken, inverse)


def atomic(operation: str, size: int, fetch: bool) -> Atomic:
    """The read-modify-write of one name ("add", "xchg", "cmpxchg" …) on 4 or 8 bytes."""
    function = _UPDATES[operation]
    mask = MASK64 if size == 8 else MASK32

    def update(old: int, source: int, r0: int) -> int:
        return function(old & mask, source & mask, r0 & mask) & mask

    result: Literal["src", "r0"] | None = None
    if fetch:
        result = "r0" if operation == "cmpxchg" else "src"
    return Atomic(operation, size, update, result)
