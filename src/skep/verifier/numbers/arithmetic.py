"""What arithmetic does to what is known: one abstract function for each instruction on numbers.

Each takes scalars and gives the scalar of all results. None loses a value (the tests hold them against plain
arithmetic); how tight they are follows what Linux 6.18 was seen to know, because a verifier that knows more accepts
programs that the kernel refuses. Results are remembered, because scalars are interned and programs repeat themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from skep.verifier.numbers import tnum
from skep.verifier.numbers.scalar import (
    S32_MAX,
    S32_MIN,
    S64_MAX,
    S64_MIN,
    U32,
    UNKNOWN,
    Facts,
    Scalar,
    constant,
    made,
    signed32,
    signed64,
)
from skep.verifier.numbers.tnum import U64, Tnum

_Range = tuple[int, int]
_MEMO: Final = 1 << 15

_ANY64: Final = (0, U64, S64_MIN, S64_MAX)
_ANY32: Final = (0, U32, S32_MIN, S32_MAX)


def _in_low_half(bits: Tnum, low: tuple[int, int, int, int]) -> Scalar:
    """The scalar whose lower half is as ``bits`` and ``low`` say (u32, s32), zeros above."""
    umin32, umax32, smin32, smax32 = low
    signed = (smin32, smax32) if smin32 >= 0 else (0, U32)
    value, mask = tnum.truncate(bits, 4)
    return made((value, mask, umin32, umax32, *signed, umin32, umax32, smin32, smax32))


@lru_cache(maxsize=_MEMO)
def low_half(a: Scalar) -> Scalar:
    """The lower 32 bits of ``a``, zeros above: what a 32-bit move leaves."""
    return _in_low_half(a.bits, (a.umin32, a.umax32, a.smin32, a.smax32))


@lru_cache(maxsize=_MEMO)
def zero_extended(a: Scalar, size: int) -> Scalar:
    """The lower ``size`` bytes of ``a``, zeros above: what a load of that size from a spilled register gives."""
    if size == 8:
        return a
    limit = (1 << 8 * size) - 1
    low, high = (a.umin & limit, a.umax & limit) if a.umin & ~limit == a.umax & ~limit else (0, limit)
    half = (a.umin32, a.umax32, a.smin32, a.smax32) if size == 4 else _ANY32
    return made((*tnum.truncate(a.bits, size), low, high, low, high, *half))


@lru_cache(maxsize=_MEMO)
def sign_extended(a: Scalar, size: int, width: int = 64) -> Scalar:
    """The lower ``size`` bytes of ``a`` with their sign copied up to ``width`` bits, zeros above.

    Linux keeps a range only where all numbers agree above the bytes that are extended and end up with one sign.
    """
    if a.is_constant:
        extended = signed_of(a.value, size)
        return constant(extended if width == 64 else extended & U32)
    bits = 8 * size
    low, high = (a.smin, a.smax) if width == 64 else (a.smin32, a.smax32)
    ends = sorted((signed_of(low, size), signed_of(high, size)))
    if low >> bits != high >> bits or (ends[0] >= 0) != (ends[1] >= 0):
        ends = [-(1 << bits - 1), (1 << bits - 1) - 1]
        whole, known = (0, U64), tnum.UNKNOWN
    else:
        whole = (ends[0] & U64, ends[1] & U64)
        known = tnum.between(*whole)
    if width == 64:
        return made((*known, *whole, ends[0], ends[1], *_ANY32))
    half = (whole[0] & U32, whole[1] & U32) if whole != (0, U64) else (0, U32)
    return _in_low_half(known, (*half, ends[0], ends[1]))


@lru_cache(maxsize=_MEMO)
def swapped(a: Scalar, size: int) -> Scalar:
    """The lower ``size`` bytes of ``a`` in the opposite order, zeros above: of ranges nothing is left."""
    limit = (1 << 8 * size) - 1
    value, mask = (int.from_bytes((part & limit).to_bytes(size, "little"), "big") for part in a.bits)
    return made((value, mask, *_ANY64, *_ANY32))


def signed_of(value: int, size: int) -> int:
    """The lower ``size`` bytes of a number, read as signed."""
    bits = 8 * size
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


@lru_cache(maxsize=_MEMO)
def compute(operation: str, width: int, a: Scalar, b: Scalar) -> Scalar:
    """All results of the ALU ``operation`` (its name in the instruction table) on ``width`` bits, 32 or 64."""
    rule = _RULES.get(operation)
    if rule is None or (operation in _SHIFTS and not _shifts_by_known(b, width)):
        # Of these Linux follows nothing, not even that 32-bit operations clear the upper half.
        return UNKNOWN
    facts = rule(a, b, width)
    return made(facts) if width == 64 else _in_low_half((facts[0], facts[1]), facts[6:])


_SHIFTS: Final = ("lsh", "rsh", "arsh")


def _shifts_by_known(b: Scalar, width: int) -> bool:
    """Whether ``b`` is one amount below the width; the range of other shifts is not followed."""
    return b.is_constant and b.value < width


def _wrapped(low: int, high: int, least: int, width: int) -> _Range:
    """The range [low, high] reduced to ``width`` bits from ``least`` on: everything, if only one end wraps."""
    size = 1 << width
    if (low - least) >> width != (high - least) >> width:
        return least, least + size - 1
    return (low - least) % size + least, (high - least) % size + least


def _add(a: Scalar, b: Scalar, width: int) -> Facts:
    return (
        *tnum.add(a.bits, b.bits),
        *_wrapped(a.umin + b.umin, a.umax + b.umax, 0, 64),
        *_wrapped(a.smin + b.smin, a.smax + b.smax, S64_MIN, 64),
        *_wrapped(a.umin32 + b.umin32, a.umax32 + b.umax32, 0, 32),
        *_wrapped(a.smin32 + b.smin32, a.smax32 + b.smax32, S32_MIN, 32),
    )


def _subtract(a: Scalar, b: Scalar, width: int) -> Facts:
    return (
        *tnum.subtract(a.bits, b.bits),
        *_wrapped(a.umin - b.umax, a.umax - b.umin, 0, 64),
        *_wrapped(a.smin - b.smax, a.smax - b.smin, S64_MIN, 64),
        *_wrapped(a.umin32 - b.umax32, a.umax32 - b.umin32, 0, 32),
        *_wrapped(a.smin32 - b.smax32, a.smax32 - b.smin32, S32_MIN, 32),
    )


def _unwrapped(low: int, high: int, least: int, width: int) -> _Range:
    """The range [low, high], or everything if an end wraps: what Linux kept before 6.17."""
    greatest = least + (1 << width) - 1
    return (low, high) if low >= least and high <= greatest else (least, greatest)


def _add_earlier(a: Scalar, b: Scalar, width: int) -> Facts:
    return (
        *tnum.add(a.bits, b.bits),
        *_unwrapped(a.umin + b.umin, a.umax + b.umax, 0, 64),
        *_unwrapped(a.smin + b.smin, a.smax + b.smax, S64_MIN, 64),
        *_unwrapped(a.umin32 + b.umin32, a.umax32 + b.umax32, 0, 32),
        *_unwrapped(a.smin32 + b.smin32, a.smax32 + b.smax32, S32_MIN, 32),
    )


def _subtract_earlier(a: Scalar, b: Scalar, width: int) -> Facts:
    return (
        *tnum.subtract(a.bits, b.bits),
        *_unwrapped(a.umin - b.umax, a.umax - b.umin, 0, 64),
        *_unwrapped(a.smin - b.smax, a.smax - b.smin, S64_MIN, 64),
        *_unwrapped(a.umin32 - b.umax32, a.umax32 - b.umin32, 0, 32),
        *_unwrapped(a.smin32 - b.smax32, a.smax32 - b.smin32, S32_MIN, 32),
    )


def _negate(a: Scalar, b: Scalar, width: int) -> Facts:
    return _subtract(constant(0), a, width)


def _product(x: _Range, y: _Range, least: int, width: int) -> _Range:
    corners = [i * j for i in x for j in y]
    low, high = min(corners), max(corners)
    greatest = least + (1 << width) - 1
    return (low, high) if low >= least and high <= greatest else (least, greatest)


def _multiply(a: Scalar, b: Scalar, width: int) -> Facts:
    return (
        *tnum.multiply(a.bits, b.bits),
        *_product((a.umin, a.umax), (b.umin, b.umax), 0, 64),
        *_product((a.smin, a.smax), (b.smin, b.smax), S64_MIN, 64),
        *_product((a.umin32, a.umax32), (b.umin32, b.umax32), 0, 32),
        *_product((a.smin32, a.smax32), (b.smin32, b.smax32), S32_MIN, 32),
    )


def _multiply_earlier(a: Scalar, b: Scalar, width: int) -> Facts:
    return (*tnum.multiply_masks(a.bits, b.bits), *_multiply(a, b, width)[2:])


def _multiply_unsigned(a: Scalar, b: Scalar, width: int) -> Facts:
    """Products before 6.14: of small numbers without a sign alone."""
    ranges: list[int] = []
    for (low_a, high_a, least_a), (low_b, high_b, least_b), bits in (
        ((a.umin, a.umax, a.smin), (b.umin, b.umax, b.smin), 64),
        ((a.umin32, a.umax32, a.smin32), (b.umin32, b.umax32, b.smin32), 32),
    ):
        half, top = 1 << bits // 2, 1 << bits - 1
        if least_a < 0 or least_b < 0 or high_a >= half or high_b >= half:
            ranges += [0, 2 * top - 1, -top, top - 1]
        else:
            low, high = low_a * low_b, high_a * high_b
            ranges += [low, high, *((low, high) if high < top else (-top, top - 1))]
    umin, umax, smin, smax, umin32, umax32, smin32, smax32 = ranges
    return (*tnum.multiply_masks(a.bits, b.bits), umin, umax, smin, smax, umin32, umax32, smin32, smax32)


def _bitwise(bits: Tnum, u64: _Range, u32: _Range) -> Facts:
    """What is left of a bitwise operation: the signed ranges follow from the unsigned where those have one sign."""
    s64 = signed64(u64[0]), signed64(u64[1])
    s32 = signed32(u32[0]), signed32(u32[1])
    if s64[0] > s64[1]:
        s64 = S64_MIN, S64_MAX
    if s32[0] > s32[1]:
        s32 = S32_MIN, S32_MAX
    return (*bits, *u64, *s64, *u32, *s32)


def _and(a: Scalar, b: Scalar, width: int) -> Facts:
    bits = tnum.bit_and(a.bits, b.bits)
    return _bitwise(
        bits,
        (bits[0], min(a.umax, b.umax)),
        (bits[0] & U32, min(a.umax32, b.umax32)),
    )


def _or(a: Scalar, b: Scalar, width: int) -> Facts:
    bits = tnum.bit_or(a.bits, b.bits)
    greatest = bits[0] | bits[1]
    return _bitwise(bits, (max(a.umin, b.umin), greatest), (max(a.umin32, b.umin32), greatest & U32))


def _xor(a: Scalar, b: Scalar, width: int) -> Facts:
    bits = tnum.bit_xor(a.bits, b.bits)
    greatest = bits[0] | bits[1]
    return _bitwise(bits, (bits[0], greatest), (bits[0] & U32, greatest & U32))


def _shift_left(a: Scalar, b: Scalar, width: int) -> Facts:
    amount = b.value & (width - 1)
    # Compilers extend the sign of a lower half by shifting it up by 32 and down again.
    s64 = (a.smin32 << 32, a.smax32 << 32) if amount == 32 else (S64_MIN, S64_MAX)
    u64 = (a.umin << amount, a.umax << amount) if a.umax <= 1 << 63 - amount else (0, U64)
    fits = amount < 32 and a.umax32 <= 1 << 31 - amount
    u32 = (a.umin32 << amount, a.umax32 << amount) if fits else (0, U32)
    return (*tnum.shift_left(a.bits, amount), *u64, *s64, *u32, S32_MIN, S32_MAX)


def _shift_right(a: Scalar, b: Scalar, width: int) -> Facts:
    amount = b.value & (width - 1)
    if width == 32:
        bits = tnum.shift_right(tnum.truncate(a.bits, 4), amount)
        return (*bits, *_ANY64, a.umin32 >> amount, a.umax32 >> amount, S32_MIN, S32_MAX)
    bits = tnum.shift_right(a.bits, amount)
    return (*bits, a.umin >> amount, a.umax >> amount, S64_MIN, S64_MAX, *_ANY32)


def _shift_right_signed(a: Scalar, b: Scalar, width: int) -> Facts:
    amount = b.value & (width - 1)
    if width == 32:
        bits = tnum.shift_right_signed(tnum.truncate(a.bits, 4), amount, 32)
        return (*bits, *_ANY64, 0, U32, a.smin32 >> amount, a.smax32 >> amount)
    return (*tnum.shift_right_signed(a.bits, amount), 0, U64, a.smin >> amount, a.smax >> amount, *_ANY32)


_RULES: Final[dict[str, Callable[[Scalar, Scalar, int], Facts]]] = {
    "add": _add,
    "sub": _subtract,
    "mul": _multiply,
    "neg": _negate,
    "add, earlier": _add_earlier,
    "sub, earlier": _subtract_earlier,
    "mul, earlier": _multiply_earlier,
    "mul, unsigned": _multiply_unsigned,
    "and": _and,
    "or": _or,
    "xor": _xor,
    "lsh": _shift_left,
    "rsh": _shift_right,
    "arsh": _shift_right_signed,
}


@lru_cache(maxsize=_MEMO)
def apart(a: Scalar, distance: int, width: int) -> Scalar:
    """A number ``distance`` above ``a``, computed in ``width`` bits: what is learnt of a linked register."""
    return compute("add", width, a, constant(distance))


def with_low_constant(a: Scalar, low: int) -> Scalar:
    """``a`` with ``low``, 32 bits, as its lower half."""
    bits = tnum.with_low_half(a.bits, tnum.constant(low))
    return made((*bits, a.umin, a.umax, a.smin, a.smax, low, low, signed32(low), signed32(low)))


def constant_operand(imm: int) -> Scalar:
    """A 32-bit immediate as an operand: its sign is extended to 64 bits."""
    return constant(signed64(imm & U64) if imm >= 0 else signed32(imm & U32))
