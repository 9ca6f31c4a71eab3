"""The helpers that generated programs call beside those of maps and locks, and with which arguments.

A row says for each program type what may be called, and what stands in r1 to r5. Arguments are mostly such as a
helper takes; now and then one that it refuses, because refusals have to agree too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from skep.objects import ProgramType


@dataclass(frozen=True, slots=True)
class Context:
    """The program's context."""


@dataclass(frozen=True, slots=True)
class Number:
    """One of some numbers, or, where ``low`` is below ``high``, one from there; with ``any`` sometimes whatever a
    register holds."""

    choices: tuple[int, ...] = ()
    low: int = 0
    high: int = 0
    any: bool = False


@dataclass(frozen=True, slots=True)
class Memory:
    """A piece of the stack; the next argument is its size, one of ``sizes``."""

    sizes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Size:
    """The size of the memory before it."""


Argument = Context | Number | Memory | Size


@dataclass(frozen=True, slots=True)
class HelperCall:
    """A helper by number and what it is called with."""

    number: int
    arguments: tuple[Argument, ...]


_CONTEXT, _SIZE = Context(), Size()
_NO_FLAGS = Number((0, 0, 0, 0, 1))
_PLACE = Number(low=0, high=70)
_BYTES = Memory((1, 2, 4, 6, 8, 16))
_WORDS = Memory((4, 8, 12, 16))

_CSUM_DIFF = HelperCall(28, (_WORDS, _SIZE, _WORDS, _SIZE, Number((0, 0xFFFF), any=True)))

#: By program type.
HELPERS: Mapping[ProgramType, tuple[HelperCall, ...]] = MappingProxyType(
    {
        ProgramType.XDP: (
            _CSUM_DIFF,
            HelperCall(44, (_CONTEXT, Number((-4, 4, 8, -20, 14, 1000, -1000)))),
            HelperCall(54, (_CONTEXT, Number((-4, -8, 4, -32, -3, 8)))),
            HelperCall(65, (_CONTEXT, Number((-1, -8, 4, 40, 200, -5000)))),
            HelperCall(188, (_CONTEXT,)),
            HelperCall(189, (_CONTEXT, _PLACE, _BYTES, _SIZE)),
            HelperCall(190, (_CONTEXT, _PLACE, _BYTES, _SIZE)),
        ),
        ProgramType.SCHED_CLS: (
            _CSUM_DIFF,
            HelperCall(26, (_CONTEXT, _PLACE, _BYTES, _SIZE)),
            HelperCall(9, (_CONTEXT, _PLACE, _BYTES, _SIZE, Number((0, 1, 2, 3, 4)))),
            HelperCall(68, (_CONTEXT, _PLACE, _BYTES, _SIZE, Number((0, 1, 1, 2)))),
            HelperCall(
                10, (_CONTEXT, Number((24, 24, 10, 7)), Number(any=True), Number(any=True), Number((0, 2, 4)))
            ),
            HelperCall(
                11, (_CONTEXT, Number((40, 50, 36)), Number(any=True), Number(any=True), Number((2, 4, 0x12)))
            ),
            HelperCall(38, (_CONTEXT, Number((14, 20, 34, 60, 64, 100, 1000, 20000)), _NO_FLAGS)),
            HelperCall(43, (_CONTEXT, Number((0, 4, 14, 200)), _NO_FLAGS)),
            HelperCall(39, (_CONTEXT, Number((0, 14, 40, 5000)))),
            HelperCall(18, (_CONTEXT, Number((0x0081, 0xA888, 0)), Number((1, 100, 0xFFFF)))),
            HelperCall(19, (_CONTEXT,)),
            HelperCall(50, (_CONTEXT, Number((-8, 4, 20, -20, 100)), Number((0, 1, 2)), Number((0, 0, 2, 4, 8)))),
            HelperCall(31, (_CONTEXT, Number((0x0008, 0xDD86)), _NO_FLAGS)),
            HelperCall(32, (_CONTEXT, Number((0, 1, 2, 3, 4)))),
            HelperCall(40, (_CONTEXT, Number((0,), any=True))),
            HelperCall(135, (_CONTEXT, Number((0, 1, 2, 3, 4)))),
            HelperCall(48, (_CONTEXT, Number((1, 77), any=True))),
            HelperCall(41, (_CONTEXT,)),
        ),
    }
)
