"""What an expression stands for while it is compiled: a value, a place in memory, or a thing of Python."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from skep.lang.types import BOOL, BoolType, IntType, Type


@dataclass(frozen=True, slots=True)
class Value:
    """A value of ``type`` that LLVM calls ``text``; ``constant`` is what it is known to be, if it is.

    ``type`` None is an integer literal that has no width yet: it takes that of what it meets.
    """

    type: Type | None
    text: str
    constant: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Memory that holds a ``type`` at the address ``pointer``, a multiple of ``align`` bytes."""

    type: Type
    pointer: str
    align: int


@dataclass(frozen=True, slots=True)
class Thing:
    """An object of Python that a name stands for: a type, a function, an operation, a module …"""

    object: Any


Result = Value | Place | Thing


def literal(value: int) -> Value:
    """An integer that has no width yet."""
    return Value(None, str(value), value)


TRUE = Value(BOOL, "true", 1)
FALSE = Value(BOOL, "false", 0)


def constant(kind: Type, value: int) -> Value:
    """A known value of ``kind``, wrapped to its range."""
    if isinstance(kind, IntType):
        value = kind(value)
        return Value(kind, str(value), value)
    if isinstance(kind, BoolType):
        return TRUE if value else FALSE
    assert value == 0
    return Value(kind, "null", 0)
