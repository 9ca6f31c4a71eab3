"""Tracked numbers: which bits of a 64-bit value are known, and what they are.

A tnum is a pair ``(value, mask)``: a bit set in ``mask`` is unknown, the others are as in ``value``, and the two
never overlap. It stands for every number that agrees with the known bits. The operations below give the tightest pair
that is cheap to get, and never lose a number; ``tests/verifier`` holds them against plain arithmetic.

Source: H. Vishwanathan et al., "Sound, Precise, and Fast Abstract Interpretation with Tristate Numbers" (CGO 2022),
and the precision that Linux 6.18 was seen to have.
"""

from __future__ import annotations

from typing import Final

U64: Final = (1 << 64) - 1

#: ``(value, mask)``, both 64 bits unsigned.
Tnum = tuple[int, int]

UNKNOWN: Final[Tnum] = (0, U64)


def constant(value: int) -> Tnum:
    """The one number ``value``."""
    return value & U64, 0


def contains(number: Tnum, value: int) -> bool:
    """Whether the unsigned 64-bit ``value`` is among the numbers that ``number`` stands for."""
    return (value ^ number[0]) & ~number[1] & U64 == 0


def between(low: int, high: int) -> Tnum:
    """The bits that all of ``low`` … ``high`` (unsigned) have in common."""
    unknown = (1 << (low ^ high).bit_length()) - 1
    return low & ~unknown, unknown


def add(a: Tnum, b: Tnum) -> Tnum:
    """The sums, modulo 2**64."""
    least = a[0] + b[0]
    unknown = ((least + a[1] + b[1]) ^ least | a[1] | b[1]) & U64
    return least & ~unknown & U64, unknown


def subtract(a: Tnum, b: Tnum) -> Tnum:
    """The differences, modulo 2**64."""
    middle = a[0] - b[0]
    unknown = ((middle + a[1]) ^ (middle - b[1]) | a[1] | b[1]) & U64
    return middle & ~unknown & U64, unknown


def bit_and(a: Tnum, b: Tnum) -> Tnum:
    """Bitwise and."""
    value = a[0] & b[0]
    return value, (a[0] | a[1]) & (b[0] | b[1]) & ~value


def bit_or(a: Tnum, b: Tnum) -> Tnum:
    """Bitwise or."""
    value = a[0] | b[0]
    return value, (a[1] | b[1]) & ~value


def bit_xor(a: Tnum, b: Tnum) -> Tnum:
    """Bitwise exclusive or."""
    unknown = a[1] | b[1]
    return (a[0] ^ b[0]) & ~unknown, unknown


def multiply(a: Tnum, b: Tnum) -> Tnum:
    """The products, modulo 2**64: long multiplication where an unknown digit of ``a`` may or may not add its row."""
    if not (a[1] or b[1]):
        return constant(a[0] * b[0])
    total: Tnum = (0, 0)
    value, mask = a
    while value or mask:
        if value & 1:
            total = add(total, b)
        elif mask & 1:
            total = union(total, add(total, b))
        value >>= 1
        mask >>= 1
        b = shift_left(b, 1)
    return total


def multiply_masks(a: Tnum, b: Tnum) -> Tnum:
    """The products, modulo 2**64, as Linux knew them before 6.18: the known parts multiplied, unknown digits added.

    Source: Vishwanathan et al., "Sound, Precise, and Fast Abstract Interpretation with Tristate Numbers" (CGO 2022).
    """
    known = constant(a[0] * b[0])
    unknown: Tnum = (0, 0)
    value, mask = a
    while value or mask:
        if value & 1:
            unknown = add(unknown, (0, b[1]))
        elif mask & 1:
            unknown = add(unknown, (0, b[0] | b[1]))
        value >>= 1
        mask >>= 1
        b = shift_left(b, 1)
    return add(known, unknown)


def shift_left(a: Tnum, amount: int) -> Tnum:
    """Shifted left by 0 to 63 bits."""
    return a[0] << amount & U64, a[1] << amount & U64


def shift_right(a: Tnum, amount: int) -> Tnum:
    """Shifted right by 0 to 63 bits, zeros coming in."""
    return a[0] >> amount, a[1] >> amount


def shift_right_signed(a: Tnum, amount: int, bits: int = 64) -> Tnum:
    """Shifted right as signed ``bits``-bit numbers; an unknown sign makes every bit that comes in unknown."""
    return tuple((_signed(part, bits) >> amount) & ((1 << bits) - 1) for part in a)  # type: ignore[return-value]


def intersect(a: Tnum, b: Tnum) -> Tnum:
    """What is known if both hold. Where they contradict each other, the known bits of both are merged."""
    unknown = a[1] & b[1]
    return (a[0] | b[0]) & ~unknown, unknown


def union(a: Tnum, b: Tnum) -> Tnum:
    """What is known if either holds."""
    unknown = a[1] | b[1] | (a[0] ^ b[0])
    return a[0] & b[0] & ~unknown, unknown


def truncate(a: Tnum, size: int) -> Tnum:
    """The lower ``size`` bytes, zeros above."""
    low = (1 << 8 * size) - 1
    return a[0] & low, a[1] & low


def with_low_half(a: Tnum, low: Tnum) -> Tnum:
    """The upper 32 bits of ``a`` above the lower 32 of ``low``."""
    return a[0] >> 32 << 32 | low[0] & 0xFFFFFFFF, a[1] >> 32 << 32 | low[1] & 0xFFFFFFFF


def is_aligned(a: Tnum, size: int) -> bool:
    """Whether every number is a multiple of ``size``, a power of two."""
    return (a[0] | a[1]) & (size - 1) == 0


def within(inner: Tnum, outer: Tnum) -> bool:
    """Whether every number of ``inner`` is one of ``outer``."""
    return not inner[1] & ~outer[1] and inner[0] & ~outer[1] == outer[0]


def _signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def first_from(a: Tnum, least: int) -> int | None:
    """The smallest of the numbers that is ``least`` or more, if there is one."""
    value, mask = a
    wrong = (least ^ value) & ~mask & U64
    if not wrong:
        return least
    place = wrong.bit_length() - 1
    above = (1 << place + 1) - 1
    if value >> place & 1:
        return least & mask & ~above | value
    # A known bit is clear where ``least`` has it set: the next unknown bit above that is still clear is set.
    room = mask & ~least & ~above
    if not room:
        return None
    bit = room & -room
    return (least & mask & ~(2 * bit - 1)) | bit | value
