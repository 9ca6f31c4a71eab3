"""What arithmetic does to what is known: one abstract function for each instruction on numbers.

Each takes scalars and gives the scalar of all results. None loses a value (the tests hold them against plain
arithmetic); how tight they are follows what Linux 6.18 was seen to know, because a verifier that knows more accepts
programs that the kernel refuses. Results are remembered, because scalars are interned and programs repeat themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from skep.verifier import tnum
from skep.verifier.scalar import (
    S32_MAX,
    S32_MIN,
    S64_MAX,
    S64_MIN,
    U32,
    UNKNOWN,
    Scalar,
    constant,
    scalar,
    signed32,
    signed64,
)
from skep.verifier.tnum import U64, Tnum

_Range = tuple[int, int]
_MEMO = 1 << 15

#: Any 32-bit number, the upper half zero.
UNKNOWN32 = scalar(u64=(0, U32)) or UNKNOWN


@lru_cache(maxsize=_MEMO)
def low_half(a: Scalar) -> Scalar:
    """The lower 32 bits of ``a``, zeros above: what a 32-bit move leaves."""
    return _made(
        tnum.truncate(a.bits, 4), u64=(a.umin32, a.umax32), u32=(a.umin32, a.umax32), s32=(a.smin32, a.smax32)
    )


@lru_cache(maxsize=_MEMO)
def zero_extended(a: Scalar, size: int) -> Scalar:
    """The lower ``size`` bytes of ``a``, zeros above: what a load of that size from a spilled register gives."""
    if size == 8:
        return a
    if size == 4:
        return low_half(a)
    limit = (1 << 8 * size) - 1
    fits = a.umax <= limit
    return _made(tnum.truncate(a.bits, size), u64=(a.umin, a.umax) if fits else (0, limit))


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
    if low >> bits == high >> bits and (ends[0] >= 0) == (ends[1] >= 0):
        wide = _made(s64=(ends[0], ends[1]))
    else:
        wide = _made(s64=(-(1 << bits - 1), (1 << bits - 1) - 1))
    return wide if width == 64 else low_half(wide)


def signed_of(value: int, size: int) -> int:
    """The lower ``size`` bytes of a number, read as signed."""
    bits = 8 * size
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def unknown_of_size(size: int) -> Scalar:
    """Any number of ``size`` bytes, zeros above: what a load from memory gives."""
    return UNKNOWN if size == 8 else scalar(u64=(0, (1 << 8 * size) - 1)) or UNKNOWN


@lru_cache(maxsize=_MEMO)
def compute(operation: str, width: int, a: Scalar, b: Scalar) -> Scalar:
    """All results of the ALU ``operation`` (its name in the instruction table) on ``width`` bits, 32 or 64."""
    rule = _RULES.get(operation)
    if rule is None or (operation in _SHIFTS and not _shifts_by_known(b, width)):
        # Of these Linux follows nothing, not even that 32-bit operations clear the upper half.
        return UNKNOWN
    if width == 32:
        a, b = low_half(a), low_half(b)
    result = rule(a, b, width)
    return result if width == 64 else low_half(result)


_SHIFTS = ("lsh", "rsh", "arsh")


def _shifts_by_known(b: Scalar, width: int) -> bool:
    """Whether ``b`` is one amount below the width; the range of other shifts is not followed."""
    return b.is_constant and b.value < width


def _made(
    bits: Tnum = tnum.UNKNOWN,
    u64: _Range = (0, U64),
    s64: _Range = (S64_MIN, S64_MAX),
    u32: _Range = (0, U32),
    s32: _Range = (S32_MIN, S32_MAX),
) -> Scalar:
    """The scalar with these facts, which hold of at least one number."""
    return scalar(bits, u64, s64, u32, s32) or UNKNOWN


def _wrapped(low: int, high: int, least: int, width: int) -> _Range:
    """The range [low, high] reduced to ``width`` bits from ``least`` on: everything, if only one end wraps."""
    size = 1 << width
    if (low - least) >> width != (high - least) >> width:
        return least, least + size - 1
    return (low - least) % size + least, (high - least) % size + least


def _all_ranges(combine: Callable[[_Range, _Range], _Range], a: Scalar, b: Scalar, bits: Tnum) -> Scalar:
    """Combine each of the four ranges on its own, as unbounded integers, and wrap."""
    return _made(
        bits,
        _wrapped(*combine((a.umin, a.umax), (b.umin, b.umax)), 0, 64),
        _wrapped(*combine((a.smin, a.smax), (b.smin, b.smax)), S64_MIN, 64),
        _wrapped(*combine((a.umin32, a.umax32), (b.umin32, b.umax32)), 0, 32),
        _wrapped(*combine((a.smin32, a.smax32), (b.smin32, b.smax32)), S32_MIN, 32),
    )


def _add(a: Scalar, b: Scalar, width: int) -> Scalar:
    return _all_ranges(lambda x, y: (x[0] + y[0], x[1] + y[1]), a, b, tnum.add(a.bits, b.bits))


def _subtract(a: Scalar, b: Scalar, width: int) -> Scalar:
    return _all_ranges(lambda x, y: (x[0] - y[1], x[1] - y[0]), a, b, tnum.subtract(a.bits, b.bits))


def _negate(a: Scalar, b: Scalar, width: int) -> Scalar:
    return _subtract(constant(0), a, width)


def _product(x: _Range, y: _Range, least: int, width: int) -> _Range:
    corners = [i * j for i in x for j in y]
    low, high = min(corners), max(corners)
    greatest = least + (1 << width) - 1
    return (low, high) if low >= least and high <= greatest else (least, greatest)


def _multiply(a: Scalar, b: Scalar, width: int) -> Scalar:
    return _made(
        tnum.multiply(a.bits, b.bits),
        _product((a.umin, a.umax), (b.umin, b.umax), 0, 64),
        _product((a.smin, a.smax), (b.smin, b.smax), S64_MIN, 64),
        _product((a.umin32, a.umax32), (b.umin32, b.umax32), 0, 32),
        _product((a.smin32, a.smax32), (b.smin32, b.smax32), S32_MIN, 32),
    )


def _and(a: Scalar, b: Scalar, width: int) -> Scalar:
    bits = tnum.bit_and(a.bits, b.bits)
    return _made(bits, u64=(0, min(a.umax, b.umax)), u32=(0, min(a.umax32, b.umax32)))


def _or(a: Scalar, b: Scalar, width: int) -> Scalar:
    bits = tnum.bit_or(a.bits, b.bits)
    return _made(bits, u64=(max(a.umin, b.umin), U64), u32=(max(a.umin32, b.umin32), U32))


def _xor(a: Scalar, b: Scalar, width: int) -> Scalar:
    return _made(tnum.bit_xor(a.bits, b.bits))


def _shift_left(a: Scalar, b: Scalar, width: int) -> Scalar:
    amount = b.value
    u64 = (a.umin << amount, a.umax << amount) if a.umax << amount <= U64 else (0, U64)
    u32 = (0, U32)
    if amount < 32 and a.umax32 << amount <= U32:
        u32 = (a.umin32 << amount, a.umax32 << amount)
    # Compilers extend the sign of a lower half by shifting it up by 32 and down again.
    s64 = (a.smin32 << 32, a.smax32 << 32) if width == 64 and amount == 32 else (S64_MIN, S64_MAX)
    return _made(tnum.shift_left(a.bits, amount), u64, s64, u32)


def _shift_right(a: Scalar, b: Scalar, width: int) -> Scalar:
    amount = b.value
    return _made(tnum.shift_right(a.bits, amount), u64=(a.umin >> amount, a.umax >> amount))


def _shift_right_signed(a: Scalar, b: Scalar, width: int) -> Scalar:
    amount = b.value
    if width == 64:
        return _made(tnum.shift_right_signed(a.bits, amount), s64=(a.smin >> amount, a.smax >> amount))
    bits = tnum.shift_right_signed(tnum.truncate(a.bits, 4), amount, 32)
    return _made(bits, s32=(a.smin32 >> amount, a.smax32 >> amount))


_RULES: dict[str, Callable[[Scalar, Scalar, int], Scalar]] = {
    "add": _add,
    "sub": _subtract,
    "mul": _multiply,
    "neg": _negate,
    "and": _and,
    "or": _or,
    "xor": _xor,
    "lsh": _shift_left,
    "rsh": _shift_right,
    "arsh": _shift_right_signed,
}


def constant_operand(imm: int) -> Scalar:
    """A 32-bit immediate as an operand: its sign is extended to 64 bits."""
    return constant(signed64(imm & U64) if imm >= 0 else signed32(imm & U32))
