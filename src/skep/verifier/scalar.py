"""What is known of a number in a register: a tnum and four ranges, kept mutually tight.

A :class:`Scalar` stands for the 64-bit values that agree with its tnum and lie in its unsigned and signed 64-bit
ranges, and whose lower half lies in its unsigned and signed 32-bit ranges. Scalars are immutable and interned: equal
ones are the same object, so that comparing them is comparing addresses and results can be remembered by them.

Each view is narrowed by what the others say until nothing changes (``_tighten``). The rules are plain arithmetic on
ranges; ``tests/verifier`` checks that no operation loses a value.
"""

from __future__ import annotations

from functools import lru_cache

from skep.verifier import tnum
from skep.verifier.tnum import U64, Tnum

U32 = (1 << 32) - 1
S64_MIN, S64_MAX = -(1 << 63), (1 << 63) - 1
S32_MIN, S32_MAX = -(1 << 31), (1 << 31) - 1

#: How many interned scalars and remembered results are kept; a program that loops makes tens of thousands.
_POOL_SIZE = 1 << 16

#: tnum value and mask, then least and greatest as u64, s64, u32, s32.
_Facts = tuple[int, int, int, int, int, int, int, int, int, int]


class Scalar:
    """What is known of a 64-bit number. Ranges are inclusive; ``u32`` and ``s32`` speak of its lower half."""

    __slots__ = ("mask", "smax", "smax32", "smin", "smin32", "umax", "umax32", "umin", "umin32", "value")

    def __init__(self, facts: _Facts) -> None:
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
def _interned(facts: _Facts) -> Scalar:
    return Scalar(facts)


@lru_cache(maxsize=_POOL_SIZE)
def _tightened(facts: _Facts) -> _Facts | None:
    """``facts`` with every view narrowed by the others, or None if nothing satisfies them all."""
    while True:
        narrowed = _tighten(facts)
        if narrowed is None or narrowed == facts:
            return narrowed
        facts = narrowed


def scalar(
    bits: Tnum = tnum.UNKNOWN,
    u64: tuple[int, int] = (0, U64),
    s64: tuple[int, int] = (S64_MIN, S64_MAX),
    u32: tuple[int, int] = (0, U32),
    s32: tuple[int, int] = (S32_MIN, S32_MAX),
) -> Scalar | None:
    """The interned scalar that satisfies all that is given, as tight as it gets; None if no number does."""
    facts = _tightened((*bits, *u64, *s64, *u32, *s32))
    return None if facts is None else _interned(facts)


def constant(value: int) -> Scalar:
    """The one number ``value``, modulo 2**64."""
    value &= U64
    low = value & U32
    high = signed64(value), signed64(value)
    return _interned((value, 0, value, value, *high, low, low, signed32(low), signed32(low)))


UNKNOWN = _interned((0, U64, 0, U64, S64_MIN, S64_MAX, 0, U32, S32_MIN, S32_MAX))


def _tighten(facts: _Facts) -> _Facts | None:
    """One round of letting each view narrow the others."""
    value, mask, umin, umax, smin, smax, umin32, umax32, smin32, smax32 = facts

    # The known bits bound every range: unknown bits all clear, or all set, the sign bit the other way round.
    umin, umax = max(umin, value), min(umax, value | mask)
    smin = max(smin, signed64(value | mask & 1 << 63))
    smax = min(smax, signed64(value | mask & ~(1 << 63)))
    low_value, low_mask = value & U32, mask & U32
    umin32, umax32 = max(umin32, low_value), min(umax32, low_value | low_mask)
    smin32 = max(smin32, signed32(low_value | low_mask & 1 << 31))
    smax32 = min(smax32, signed32(low_value | low_mask & ~(1 << 31)))

    # A 64-bit range within one 4-GiB block bounds the lower half.
    if umin >> 32 == umax >> 32:
        umin32, umax32 = max(umin32, umin & U32), min(umax32, umax & U32)
    if smin >> 32 == smax >> 32:
        umin32, umax32 = max(umin32, smin & U32), min(umax32, smax & U32)
    # A 64-bit range that is a short step around a multiple of 4 GiB bounds the lower half as signed.
    for low, high in ((umin, umax), (smin, smax)):
        if high - low < 1 << 32 and signed32(low & U32) <= signed32(high & U32):
            smin32, smax32 = max(smin32, signed32(low & U32)), min(smax32, signed32(high & U32))

    umin32, umax32, smin32, smax32 = _both_signs(umin32, umax32, smin32, smax32, 32)
    umin, umax, smin, smax = _both_signs(umin, umax, smin, smax, 64)

    # The range of the lower half moves the ends of a 64-bit range inwards, to the nearest value with such a half.
    umin, umax = _with_half(umin, umax, umin32, umax32)
    smin, smax = _with_half(smin, smax, umin32, umax32)
    # A number that fits 32 signed bits is its own lower half.
    if smin >= S32_MIN and smax <= S32_MAX:
        smin, smax = max(smin, smin32), min(smax, smax32)

    if umin > umax or smin > smax or umin32 > umax32 or smin32 > smax32:
        return None
    for known in (tnum.between(umin, umax), tnum.with_low_half(tnum.UNKNOWN, tnum.between(umin32, umax32))):
        if (value ^ known[0]) & ~mask & ~known[1] & U64:
            return None
        value, mask = tnum.intersect((value, mask), known)
    if mask and (umin > value or umax < value | mask):
        # One number alone may have these bits and lie in this range.
        first = tnum.first_from((value, mask), umin)
        if first is not None and first <= umax:
            second = None if first == umax else tnum.first_from((value, mask), first + 1)
            if second is None or second > umax:
                value, mask = first, 0
    return value, mask, umin, umax, smin, smax, umin32, umax32, smin32, smax32


def _both_signs(umin: int, umax: int, smin: int, smax: int, bits: int) -> tuple[int, int, int, int]:
    """Narrow an unsigned and a signed range of the same ``bits`` bits by each other.

    The signed range covers one or two unsigned pieces: [smin, smax] as it is where it keeps one sign, otherwise
    [0, smax] and [2**bits + smin, 2**bits - 1]. The hull of what each piece shares with [umin, umax] is left.
    """
    whole = 1 << bits
    if smin >= 0 or smax < 0:
        pieces = [(smin % whole, smax % whole)]
    else:
        pieces = [(0, smax), (whole + smin, whole - 1)]
    shared = [(max(low, umin), min(high, umax)) for low, high in pieces]
    shared = [(low, high) for low, high in shared if low <= high]
    if not shared:
        return 1, 0, 1, 0
    as_signed = [
        (low - whole, high - whole) if low >> (bits - 1) else (low, high) for low, high in _split(shared, bits)
    ]
    return (
        shared[0][0],
        shared[-1][1],
        min(low for low, _ in as_signed),
        max(high for _, high in as_signed),
    )


def _split(pieces: list[tuple[int, int]], bits: int) -> list[tuple[int, int]]:
    """``pieces`` cut where the sign bit changes, so that each has one sign."""
    middle = 1 << (bits - 1)
    cut = []
    for low, high in pieces:
        if low < middle <= high:
            cut += [(low, middle - 1), (middle, high)]
        else:
            cut.append((low, high))
    return cut


def _with_half(low: int, high: int, half_min: int, half_max: int) -> tuple[int, int]:
    """The least and greatest number in [low, high] whose lower 32 bits lie in [half_min, half_max]."""
    base, half = low >> 32 << 32, low & U32
    if half < half_min:
        low = base | half_min
    elif half > half_max:
        low = base + (1 << 32) | half_min
    base, half = high >> 32 << 32, high & U32
    if half > half_max:
        high = base | half_max
    elif half < half_min:
        high = base - (1 << 32) | half_max
    return low, high
