"""What is known of a number in a register: a tnum and four ranges, each narrowed by the others as far as Linux does.

A :class:`Scalar` stands for the 64-bit values that agree with its tnum and lie in its unsigned and signed 64-bit
ranges, and whose lower half lies in its unsigned and signed 32-bit ranges. Scalars are immutable and interned: equal
ones are the same object, so that comparing them is comparing addresses and results can be remembered by them.

How far each view narrows the others decides verdicts: a verifier that deduces more accepts programs that Linux
refuses. So the deductions come in the order and the number in which Linux 6.18 was seen to make them
(``tests/verifier/test_bounds_against_kernel.py`` compares the states of its log, register by register); all are plain
arithmetic on ranges, and no value is lost (``tests/verifier/test_scalar.py``).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from skep.verifier.numbers import tnum
from skep.verifier.numbers.tnum import U64, Tnum

U32: Final = (1 << 32) - 1
S64_MIN: Final = -(1 << 63)
S64_MAX: Final = (1 << 63) - 1
S32_MIN: Final = -(1 << 31)
S32_MAX: Final = (1 << 31) - 1

#: How many interned scalars and remembered results are kept; a program that loops makes tens of thousands.
_POOL_SIZE: Final = 1 << 16

#: tnum value and mask, then least and greatest as u64, s64, u32, s32.
Facts = tuple[int, int, int, int, int, int, int, int, int, int]


class Scalar:
    """What is known of a 64-bit number. Ranges are inclusive; ``u32`` and ``s32`` speak of its lower half."""

    __slots__ = ("mask", "smax", "smax32", "smin", "smin32", "umax", "umax32", "umin", "umin32", "value")

    def __init__(self, facts: Facts) -> None:
        (
            self.value,
            self.mask,
            self.umin,
            self.umax,
            self.smin,
            self.smax,
            self.umin32,
            self.umax32,
            self.smin32,
            self.smax32,
        ) = facts

    @property
    def bits(self) -> Tnum:
        """Which bits are known."""
        return self.value, self.mask

    @property
    def facts(self) -> Facts:
        """All that is known, as one value."""
        return (
            self.value,
            self.mask,
            self.umin,
            self.umax,
            self.smin,
            self.smax,
            self.umin32,
            self.umax32,
            self.smin32,
            self.smax32,
        )

    @property
    def is_constant(self) -> bool:
        """Whether only one number is left."""
        return not self.mask

    def holds(self, number: int) -> bool:
        """Whether the unsigned 64-bit ``number`` is one of those that this stands for."""
        low = number & U32
        return (
            tnum.contains(self.bits, number)
            and self.umin <= number <= self.umax
            and self.smin <= signed64(number) <= self.smax
            and self.umin32 <= low <= self.umax32
            and self.smin32 <= signed32(low) <= self.smax32
        )

    def __repr__(self) -> str:
        if self.is_constant:
            return f"Scalar({signed64(self.value)})"
        return (
            f"Scalar(bits=({self.value:#x}; {self.mask:#x}), u64={self.umin}..{self.umax}, "
            f"s64={self.smin}..{self.smax}, u32={self.umin32}..{self.umax32}, s32={self.smin32}..{self.smax32})"
        )


def signed64(value: int) -> int:
    """An unsigned 64-bit number read as signed."""
    return value - (1 << 64) if value >> 63 else value


def signed32(value: int) -> int:
    """An unsigned 32-bit number read as signed."""
    return value - (1 << 32) if value >> 31 else value


@lru_cache(maxsize=_POOL_SIZE)
def _interned(facts: Facts) -> Scalar:
    return Scalar(facts)


@lru_cache(maxsize=_POOL_SIZE)
def settled(facts: Facts) -> Facts:
    """``facts`` with every view narrowed by the others. They contradict each other afterwards if they did before."""
    facts = _bounded_by_bits(facts)
    for _ in range(_ROUNDS):
        narrowed = _narrowed(facts)
        if narrowed == facts:
            break
        facts = narrowed
    return _bounded_by_bits(_bits_from_ranges(facts))


def contradictory(facts: Facts) -> bool:
    """Whether a range is empty, or a number that the bits fix is not the only one of its ranges."""
    value, mask, umin, umax, smin, smax, umin32, umax32, smin32, smax32 = facts
    if umin > umax or smin > smax or umin32 > umax32 or smin32 > smax32:
        return True
    if not mask and not (umin == umax == value and smin == smax == signed64(value)):
        return True
    low = value & U32
    return not mask & U32 and not (umin32 == umax32 == low and smin32 == smax32 == signed32(low))


def made(facts: Facts) -> Scalar:
    """The scalar with ``facts``, settled; of facts that contradict each other only the bits are kept, as in Linux."""
    facts = settled(facts)
    if contradictory(facts):
        facts = (facts[0], facts[1], *_ANYTHING) if facts[1] else _of_number(facts[0])
    return _interned(facts)


def scalar(
    bits: Tnum = tnum.UNKNOWN,
    u64: tuple[int, int] = (0, U64),
    s64: tuple[int, int] = (S64_MIN, S64_MAX),
    u32: tuple[int, int] = (0, U32),
    s32: tuple[int, int] = (S32_MIN, S32_MAX),
) -> Scalar | None:
    """The interned scalar that satisfies all that is given; None if no number is found to."""
    facts = settled((*bits, *u64, *s64, *u32, *s32))
    return None if contradictory(facts) else _interned(facts)


def constant(value: int) -> Scalar:
    """The one number ``value``, modulo 2**64."""
    return _interned(_of_number(value & U64))


#: Ranges that say nothing.
_ANYTHING: Final = (0, U64, S64_MIN, S64_MAX, 0, U32, S32_MIN, S32_MAX)
UNKNOWN: Final = _interned((0, U64, *_ANYTHING))

#: How often Linux lets ranges narrow each other; what more rounds would find is not found.
_ROUNDS: Final = 3


def _bounded_by_bits(facts: Facts) -> Facts:
    """Every range narrowed to what lies between all unknown bits clear and all set (the sign bit the other way)."""
    value, mask, umin, umax, smin, smax, umin32, umax32, smin32, smax32 = facts
    low, unknown = value & U32, mask & U32
    facts = (
        value,
        mask,
        max(umin, value),
        min(umax, value | mask),
        max(smin, signed64(value | mask & _SIGN64)),
        min(smax, signed64(value | mask & ~_SIGN64)),
        max(umin32, low),
        min(umax32, low | unknown),
        max(smin32, signed32(low | unknown & _SIGN32)),
        min(smax32, signed32(low | unknown & ~_SIGN32)),
    )
    alone = _only_number(facts) if mask else None
    return facts if alone is None else _of_number(alone)


def _only_number(facts: Facts) -> int | None:
    """The number that alone has these bits and lies in the unsigned range.

    If the range begins above all numbers with these bits but the greatest, Linux takes that one without a look at
    where the range ends; so a way that is impossible goes on with it.
    """
    value, mask, low, high, *_ = facts
    greatest = value | mask
    first = tnum.first_from((value, mask), low)
    if first == low:
        second = greatest if low >= greatest else tnum.first_from((value, mask), low + 1)
        return low if second is None or second > high else None
    if first is None or first == greatest:
        return greatest
    second = tnum.first_from((value, mask), first + 1)
    return first if first <= high and (second is None or second > high) else None


def _of_number(number: int) -> Facts:
    low = number & U32
    return number, 0, number, number, *(signed64(number),) * 2, low, low, *(signed32(low),) * 2


_SIGN64: Final = 1 << 63
_SIGN32: Final = 1 << 31


def _bits_from_ranges(facts: Facts) -> Facts:
    """The bits narrowed to what all numbers of the unsigned ranges have in common."""
    value, mask, umin, umax, smin, smax, umin32, umax32, smin32, smax32 = facts
    whole = tnum.intersect((value, mask), tnum.between(umin, umax))
    low = tnum.intersect(tnum.truncate(whole, 4), tnum.between(umin32, umax32))
    value, mask = tnum.with_low_half(whole, low)
    return value, mask, umin, umax, smin, smax, umin32, umax32, smin32, smax32


def _narrowed(facts: Facts) -> Facts:
    """One round of letting ranges narrow each other: the halves, the whole, then the whole by its lower half."""
    value, mask, umin, umax, smin, smax, umin32, umax32, smin32, smax32 = facts

    # A 64-bit range within one block of 4 GiB is one of lower halves too, signed where it does not cross a sign.
    for low, high in ((umin, umax), (smin, smax)):
        first, last = low & U32, high & U32
        if low >> 32 == high >> 32:
            if first <= last:
                umin32, umax32 = max(umin32, first), min(umax32, last)
            if signed32(first) <= signed32(last):
                smin32, smax32 = max(smin32, signed32(first)), min(smax32, signed32(last))
        # One that steps over a multiple of 4 GiB is one of signed lower halves around 0.
        elif (low >> 32) + 1 == high >> 32 and first >> 31 and not last >> 31:
            smin32, smax32 = max(smin32, signed32(first)), min(smax32, signed32(last))
    if signed32(umin32) <= signed32(umax32):
        smin32, smax32 = max(smin32, signed32(umin32)), min(smax32, signed32(umax32))
    if smin32 & U32 <= smax32 & U32:
        umin32, umax32 = max(umin32, smin32 & U32), min(umax32, smax32 & U32)
    elif umax32 < smin32 & U32:
        # The signed range is two unsigned pieces, [0, smax] and [smin, -1]; the unsigned one touches one of them.
        smin32, umax32 = signed32(umin32), min(umax32, smax32 & U32)
    elif smax32 & U32 < umin32:
        smax32, umin32 = signed32(umax32), max(umin32, smin32 & U32)

    # Signed and unsigned say the same of a range that has one sign.
    if signed64(umin) <= signed64(umax):
        smin, smax = max(smin, signed64(umin)), min(smax, signed64(umax))
    if smin & U64 <= smax & U64:
        umin, umax = max(umin, smin & U64), min(umax, smax & U64)
    elif umax < smin & U64:
        smin, umax = signed64(umin), min(umax, smax & U64)
    elif smax & U64 < umin:
        smax, umin = signed64(umax), max(umin, smin & U64)

    # The range of lower halves holds within the blocks that the ends of a 64-bit range lie in.
    umin, umax = max(umin, umin >> 32 << 32 | umin32), min(umax, umax >> 32 << 32 | umax32)
    smin, smax = max(smin, smin >> 32 << 32 | umin32), min(smax, smax >> 32 << 32 | umax32)
    # A number that fits 32 signed bits and is not negative there is its own lower half.
    if smin32 >= 0 and smin >= S32_MIN and smax <= S32_MAX:
        umin, umax = smin32, smax32
        smin, smax = smin32, smax32
    return value, mask, umin, umax, smin, smax, umin32, umax32, smin32, smax32
