"""Values of the translation: one BPF register as up to three LLVM values, made on demand.

A register is wanted now as an address, now as 64 bits, now as its lower 32. A :class:`Value` remembers which of these
forms exist already; :class:`Code` adds the instruction that makes another. A value of which only the 32-bit form
exists has upper bits of zero: that is what keeps 32-bit arithmetic in 32 bits.
"""

from __future__ import annotations

_LOW = 0xFFFFFFFF


class Value:
    """The forms of one value, each None or the text of an LLVM operand.

    ``address`` is of type ptr, ``wide`` i64, ``word`` i32 (the lower half; with no other form, the upper half is
    zero). ``constant`` is the number itself, unsigned, if it is known; ``frame`` the offset from r10 of an address in
    the function's own frame that has no LLVM operand until somebody asks.
    """

    __slots__ = ("address", "constant", "element", "frame", "shifted", "wide", "word")

    def __init__(
        self,
        *,
        address: str | None = None,
        wide: str | None = None,
        word: str | None = None,
        constant: int | None = None,
        frame: int | None = None,
    ) -> None:
        self.address = address
        self.wide = wide
        self.word = word
        self.constant = constant
        self.frame = frame
        #: If this is another value shifted by a constant: LLVM's word for it, the operand, the amount.
        self.shifted: tuple[str, str, int] | None = None
        #: If this is the address of an element of a global: the global and the index in bytes.
        self.element: tuple[str, str] | None = None

    def copy(self) -> Value:
        """A value of the same forms, to which others can be added in another block."""
        value = Value.__new__(Value)
        value.address = self.address
        value.wide = self.wide
        value.word = self.word
        value.constant = self.constant
        value.frame = self.frame
        value.shifted = self.shifted
        value.element = self.element
        return value


def number(constant: int) -> Value:
    """A known number, given as unsigned or signed 64 bits."""
    constant &= (1 << 64) - 1
    return Value(
        wide=str(constant - (1 << 64) if constant >> 63 else constant),
        word=str(signed32(constant)),
        constant=constant,
    )


def signed32(constant: int) -> int:
    """The lower 32 bits as LLVM likes to read an i32."""
    low = constant & _LOW
    return low - (1 << 32) if low >> 31 else low
