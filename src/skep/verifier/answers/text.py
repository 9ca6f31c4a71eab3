"""How the kernel's log writes numbers that are partly known."""

from __future__ import annotations

from skep.verifier.numbers.tnum import Tnum

_LARGEST_DECIMAL = 0xFFFF


def tnum_text(bits: Tnum) -> str:
    """``(value; mask)``, or the number where all bits are known."""
    value, mask = bits
    return f"({value:#x}; {mask:#x})" if mask else number_text(value)


def number_text(value: int) -> str:
    """An unsigned number: in decimal where that is short, otherwise in hexadecimal."""
    return str(value) if value <= _LARGEST_DECIMAL else f"{value:#x}"
