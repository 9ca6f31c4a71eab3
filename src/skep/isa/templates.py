"""The text forms of the instruction table, compiled: to shapes for reading and to pieces for writing.

A template is literal text with placeholders in braces. Each placeholder stands for one of a few short token
sequences, so a template expands into a handful of *shapes*, tuples of token keys, and reading a line is one look-up
of its shape. The placeholders are:

=================  ===================================================================  ==================
``dst`` ``src``    a 64-bit register                                                    the register field
``dst32 src32``    a 32-bit register in the kernel dialect                              the register field
``imm``            a number                                                             ``imm``
``compared``       a number (the verifier log prints it in hexadecimal)                 ``imm``
``off``            ``+ 4``, ``- 4`` or nothing                                          ``offset``
``off_imm``        the same, or ``+ -4``                                                ``imm``
``target``         a jump's ``+3``, ``pc+3`` or label                                   ``offset``
``far``            the same                                                             ``imm``
``callee``         ``+3``, ``pc+3`` or ``pc+3#name``; ``helper`` reads labels           ``imm``
``helper``         a number, a name, or ``name#number``                                 ``imm``
``kfunc``          ``kfunc[name]``, ``kfunc[id:7]``, ``kfunc[id:7, fd:1]``              ``imm``, ``offset``
``wide``           a number of 64 bits, or a symbol, or symbol + number                 both ``imm``
``map``            ``map[name]``, ``map[fd:7]``                                         ``imm``
``value``          ``map[name][0]+8``, ``map[fd:7][0]+8``                               both ``imm``
``map_index``      ``map[idx:0]``                                                       ``imm``
``value_index``    ``map[idx:0][0]+8``                                                  both ``imm``
``ksym``           ``ksym[name]``, ``ksym[id:7]``, ``ksym[id:7, fd:1]``                 both ``imm``
``function``       ``subprog[label]``, ``subprog[+3]``                                  ``imm``
``to`` ``from``    the number of an address space                                       halves of ``imm``
=================  ===================================================================  ==================
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Final, Literal

from skep.isa.row import Row
from skep.isa.table import TABLE
from skep.isa.tokens import tokens_of

#: The dialects that are read: LLVM's and the kernel's, and the mnemonic one of other user-space runtimes.
Dialect = Literal["kernel", "mnemonic"]

_SIGNED: Final = (("+", "N"), ("-", "N"))
_RELATIVE: Final = (*_SIGNED, ("pc", "+", "N"), ("pc", "-", "N"))
_IN_VALUE: Final = (("[", "N", "]"), ("[", "N", "]", "+", "N"))

#: The token sequences that each placeholder stands for.
_SHAPES: Final[dict[str, tuple[tuple[str, ...], ...]]] = {
    "dst": (("R",),),
    "src": (("R",),),
    "dst32": (("W",),),
    "src32": (("W",),),
    "imm": (("N",), *_SIGNED),
    "compared": (("N",), *_SIGNED),
    "off": ((), *_SIGNED),
    "off_imm": ((), *_SIGNED, ("+", "-", "N")),
    "target": (("N",), *_RELATIVE, ("L",)),
    "far": (("N",), *_RELATIVE, ("L",)),
    "callee": (*_RELATIVE, ("pc", "+", "N", "#", "L"), ("pc", "-", "N", "#", "L")),
    "helper": (("N",), ("L",), ("L", "#", "N"), ("L", "#", "-", "N")),
    "kfunc": (("kfunc[]",),),
    "wide": (("N",), *_SIGNED, ("L",), ("L", "+", "N"), ("L", "-", "N")),
    "map": (("map[]",),),
    "value": tuple(("map[]", *rest) for rest in _IN_VALUE),
    "map_index": (("map_index[]",),),
    "value_index": tuple(("map_index[]", *rest) for rest in _IN_VALUE),
    "ksym": (("ksym[]",),),
    "function": (("subprog[]",),),
    "to": (("N",),),
    "from": (("N",),),
}

_PIECES: Final = re.compile(r"\{(\w+)\}")


#: What people call placeholders, where that is not their name in capitals.
_PLACEHOLDER_NAMES: Final = {
    "imm": "NUMBER",
    "compared": "NUMBER",
    "wide": "NUMBER",
    "off": "+OFFSET",
    "off_imm": "+OFFSET",
    "target": "LABEL",
    "far": "LABEL",
    "callee": "+DISTANCE",
    "helper": "NAME",
}


def readable(template: str) -> str:
    """A template for people: placeholders as capital words."""
    return "".join(
        _PLACEHOLDER_NAMES.get(text, text.upper()) if is_placeholder else text
        for text, is_placeholder in pieces(template)
    )


@dataclass(frozen=True, slots=True)
class Capture:
    """Where a placeholder's tokens lie in a line of a shape; a register that must be r0 has the name "r0"."""

    placeholder: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Match:
    """What a line of a shape is: its row, and which tokens fill which placeholder."""

    row: Row
    captures: tuple[Capture, ...]


Shape = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Grammar:
    """All that a dialect, or both together, can say: ``words`` are the literal words of its templates."""

    words: frozenset[str]
    shapes: dict[Shape, Match]

    def expected(self, shape: Shape) -> tuple[int, list[str]]:
        """How many leading keys of a shape that is none begin some shape, and what keys could come next."""
        for length in range(len(shape), -1, -1):
            prefix = shape[:length]
            following = {s[length] for s in self.shapes if len(s) > length and s[:length] == prefix}
            if following or prefix in self.shapes:
                return length, sorted(following)
        return 0, []


@cache
def pieces(template: str) -> tuple[tuple[str, bool], ...]:
    """A template cut up: (text, False) for literal text, (name, True) for a placeholder."""
    parts = _PIECES.split(template)
    return tuple((part, index % 2 == 1) for index, part in enumerate(parts) if part)


def _alternatives(template: str) -> list[list[tuple[str, tuple[str, ...]]]]:
    """For each element of a template the (name, keys) that it can be; literals are named by "" or, for r0, "r0"."""
    elements: list[list[tuple[str, tuple[str, ...]]]] = []
    for text, is_placeholder in pieces(template):
        if is_placeholder:
            elements.append([(text, keys) for keys in _SHAPES[text]])
        else:
            for token in tokens_of(text):
                name = "r0" if token.kind == "register" else ""
                elements.append([(name, (token.key({token.text}),))])
    return elements


def _words(template: str) -> set[str]:
    return {
        token.text
        for text, is_placeholder in pieces(template)
        if not is_placeholder
        for token in tokens_of(text)
        if token.kind == "word"
    }


@cache
def grammar(dialect: Dialect | None = None) -> Grammar:
    """The grammar of one dialect, or of both where ``dialect`` is None: no line means two things."""
    words = {"pc"}
    shapes: dict[Shape, Match] = {}
    for row in TABLE:
        templates: list[str] = []
        if dialect != "mnemonic":
            templates += row.kernel
        if dialect != "kernel":
            templates += row.mnemonic
        for template in dict.fromkeys(templates):
            words |= _words(template)
            for combination in product(*_alternatives(template)):
                keys: list[str] = []
                captures = []
                for name, part in combination:
                    if name:
                        captures.append(Capture(name, len(keys), len(keys) + len(part)))
                    keys += part
                shapes.setdefault(tuple(keys), Match(row, tuple(captures)))
    return Grammar(frozenset(words), shapes)
