"""The oracle of the fuzz tests: integers of a width, as plain Python, and the operations of the language on them.

The same source text that is compiled is run by Python itself with these in place of the language's names, so that
Python's own rules of control flow, precedence and evaluation are what the compiler is held against.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Wrapped:
    """An integer of ``bits`` that wraps; it mixes with plain literals and with its own kind only."""

    __slots__ = ("bits", "signed", "value")

    def __init__(self, value: int, bits: int, signed: bool) -> None:
        value &= (1 << bits) - 1
        self.value = value - (1 << bits) if signed and value >> (bits - 1) else value
        self.bits = bits
        self.signed = signed

    def like(self, value: int) -> Wrapped:
        return Wrapped(value, self.bits, self.signed)

    def other(self, other: Wrapped | int) -> int:
        if isinstance(other, Wrapped):
            assert (other.bits, other.signed) == (self.bits, self.signed)
            return other.value
        return other

    def __index__(self) -> int:
        return self.value

    def __bool__(self) -> bool:
        return self.value != 0

    def __repr__(self) -> str:
        return f"{self.value}:{'i' if self.signed else 'u'}{self.bits}"

    def __add__(self, other: Wrapped | int) -> Wrapped:
        return self.like(self.value + self.other(other))

    def __sub__(self, other: Wrapped | int) -> Wrapped:
        return self.like(self.value - self.other(other))

    def __mul__(self, other: Wrapped | int) -> Wrapped:
        return self.like(self.value * self.other(other))

    def __and__(self, other: Wrapped | int) -> Wrapped:
        return self.like(self.value & self.other(other))

    def __or__(self, other: Wrapped | int) -> Wrapped:
        return self.like(self.value | self.other(other))

    def __xor__(self, other: Wrapped | int) -> Wrapped:
        return self.like(self.value ^ self.other(other))

    def __floordiv__(self, other: Wrapped | int) -> Wrapped:
        divisor = self.other(other)
        return self.like(self.value // divisor if divisor else 0)

    def __mod__(self, other: Wrapped | int) -> Wrapped:
        divisor = self.other(other)
        return self.like(self.value % divisor if divisor else self.value)

    def __lshift__(self, other: Wrapped | int) -> Wrapped:
        return self.like(self.value << int(other) % self.bits)

    def __rshift__(self, other: Wrapped | int) -> Wrapped:
        return self.like(self.value >> int(other) % self.bits)

    def __neg__(self) -> Wrapped:
        return self.like(-self.value)

    def __invert__(self) -> Wrapped:
        return self.like(~self.value)

    def __int__(self) -> int:
        return self.value

    def __abs__(self) -> Wrapped:
        return self.like(abs(self.value))

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, Wrapped | int)
        return self.value == self.other(other)

    def __lt__(self, other: Wrapped | int) -> bool:
        return self.value < self.other(other)

    def __le__(self, other: Wrapped | int) -> bool:
        return self.value <= self.other(other)

    def __gt__(self, other: Wrapped | int) -> bool:
        return self.value > self.other(other)

    def __ge__(self, other: Wrapped | int) -> bool:
        return self.value >= self.other(other)

    __hash__ = None  # type: ignore[assignment]

    @property
    def unsigned(self) -> int:
        return self.value & ((1 << self.bits) - 1)


def _converter(bits: int, signed: bool) -> Callable[[Wrapped | int], Wrapped]:
    def convert(value: Wrapped | int = 0) -> Wrapped:
        return Wrapped(int(value), bits, signed)

    return convert


def _rotate_left(value: Wrapped, amount: Wrapped | int) -> Wrapped:
    places = int(amount) % value.bits
    return value.like(value.unsigned << places | value.unsigned >> (value.bits - places))


def _rotate_right(value: Wrapped, amount: Wrapped | int) -> Wrapped:
    return _rotate_left(value, -int(amount) % value.bits)


def _byte_swap(value: Wrapped) -> Wrapped:
    return value.like(int.from_bytes(value.unsigned.to_bytes(value.bits // 8, "little"), "big"))


def _leading_zeros(value: Wrapped) -> Wrapped:
    return value.like(value.bits - value.unsigned.bit_length())


def _trailing_zeros(value: Wrapped) -> Wrapped:
    lowest = value.unsigned & -value.unsigned
    return value.like(lowest.bit_length() - 1 if lowest else value.bits)


def _saturate(value: int, like: Wrapped) -> Wrapped:
    low = -(1 << (like.bits - 1)) if like.signed else 0
    high = (1 << (like.bits - like.signed)) - 1
    return like.like(min(max(value, low), high))


def _overflows(value: int, like: Wrapped) -> bool:
    return like.like(value).value != value


class _Fields:
    """A structure with a field for each integer type, zero at first."""

    def __init__(self) -> None:
        for bits in (8, 16, 32, 64):
            setattr(self, f"u{bits}", Wrapped(0, bits, False))
            setattr(self, f"i{bits}", Wrapped(0, bits, True))


#: The language's names, as Python.
ORACLE: dict[str, Any] = {
    **{
        f"{'i' if signed else 'u'}{bits}": _converter(bits, signed)
        for bits in (8, 16, 32, 64)
        for signed in (False, True)
    },
    "rotate_left": _rotate_left,
    "rotate_right": _rotate_right,
    "byte_swap": _byte_swap,
    "popcount": lambda value: value.like(value.unsigned.bit_count()),
    "leading_zeros": _leading_zeros,
    "trailing_zeros": _trailing_zeros,
    "multiply_high": lambda left, right: left.like(left.value * right.value >> left.bits),
    "add_saturating": lambda left, right: _saturate(left.value + right.value, left),
    "sub_saturating": lambda left, right: _saturate(left.value - right.value, left),
    "add_overflows": lambda left, right: _overflows(left.value + right.value, left),
    "sub_overflows": lambda left, right: _overflows(left.value - right.value, left),
    "multiply_overflows": lambda left, right: _overflows(left.value * right.value, left),
    "Mixed": _Fields,
    "Tight": _Fields,
    "likely": bool,
    "unlikely": bool,
    "array": lambda convert, count: [convert(0)] * count,
}
