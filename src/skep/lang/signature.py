"""How types stand in the signature of an LLVM function, with the attributes that the C ABIs ask for."""

from __future__ import annotations

from skep.lang.types import BOOL, VOID, IntType, Type


def _extension(kind: Type) -> str:
    # The C ABIs leave it to the attribute whether a narrow integer is extended, and by whom.
    if kind is BOOL:
        return " zeroext"
    if isinstance(kind, IntType) and kind.bits < 32:
        return " signext" if kind.signed else " zeroext"
    return ""


def abi(kind: Type) -> str:
    """A parameter or argument type with its attributes."""
    return f"{kind.llvm} noundef{_extension(kind)}"


def abi_result(kind: Type) -> str:
    """A result type with its attributes."""
    return kind.llvm if kind is VOID else f"noundef{_extension(kind)} {kind.llvm}"
