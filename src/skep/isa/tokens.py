"""A line of assembly in either dialect, cut into tokens with their columns.

Comments begin with ``//``, ``;``, or with ``#`` at the start of the line or after a space (so that ``helper#1``, as
the kernel prints calls, is not one); ``/* … */`` within a line is skipped. A token's key is what the templates of the
instruction table are compared with: ``R`` for any 64-bit register, ``W`` for any 32-bit one, ``N`` for any number,
``L`` for a word that no template contains, ``map[]`` and its like for a reference in brackets, else the text itself.
"""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass
from typing import Final

from skep.isa import opcodes

_TOKEN: Final = re.compile(
    r"""
    (?P<space>[ \t\r\f\v]+|/\*.*?\*/)
  | (?P<comment>//|;|(?:(?<=\s)|^)\#)
  | (?P<reference>(?:map|ksym|kfunc|subprog)\[[^\]\n]*\])
  | (?P<register>%?[rw][0-9]+(?![\w.$@]))
  | (?P<number>0[xX][0-9a-fA-F]+(?![\w.$@])|[0-9]+(?![\w.$@]))
  | (?P<operator>s?>>=|s?[<>]=|s[/%]=|s[<>](?![\w.$@])|<<=|[-=!+*/%&|^]=|[-+*=<>&()\[\],:\#])
  | (?P<word>[A-Za-z_.$][\w.$@]*)
    """,
    re.VERBOSE | re.ASCII,
)

#: What a run of characters that is no token looks like, for the message.
_RUN: Final = re.compile(r"[\w.$@%]+|.", re.DOTALL)


class TokenError(Exception):
    """A character sequence that is no token; ``column`` counts from 1."""

    def __init__(self, problem: str, column: int) -> None:
        super().__init__(problem)
        self.problem = problem
        self.column = column


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a line: ``kind`` is the name of its class, ``column`` counts from 1, ``number`` is its value."""

    kind: str
    text: str
    column: int
    number: int = 0

    @property
    def inside(self) -> str:
        """What stands between the brackets of a reference."""
        return self.text[self.text.index("[") + 1 : -1].strip()

    def key(self, words: Container[str]) -> str:
        """The token as templates see it; ``words`` are those that templates contain."""
        if self.kind == "register":
            return self.text.removeprefix("%")[0].upper()
        if self.kind == "number":
            return "N"
        if self.kind == "reference":
            head = self.text[: self.text.index("[")]
            return "map_index[]" if head == "map" and self.inside.startswith("idx:") else f"{head}[]"
        if self.kind == "word" and self.text not in words:
            return "L"
        return self.text


def tokens_of(line: str) -> list[Token]:
    """The tokens of a line up to its comment. Raises :class:`TokenError`."""
    found = []
    position = 0
    while position < len(line):
        match = _TOKEN.match(line, position)
        if match is None:
            run = _RUN.match(line, position)
            text = run.group() if run else line[position]
            what = "number" if text[:1].isdigit() else "register" if text[:1] == "%" else "part of an instruction"
            raise TokenError(f"{text!r} is no {what}", position + 1)
        kind, text = match.lastgroup or "", match.group()
        if kind == "comment":
            break
        if kind != "space":
            found.append(Token(kind, text, position + 1, _number(kind, text, position + 1)))
        position = match.end()
    return found


def _number(kind: str, text: str, column: int) -> int:
    if kind == "number":
        if len(text) > 40:
            raise TokenError("a number of more than 64 bits", column)
        return int(text, 16) if text[:2] in ("0x", "0X") else int(text)
    if kind == "register":
        digits = text.lstrip("%rw")
        if len(digits) > 2 or int(digits) >= opcodes.REGISTERS:
            raise TokenError(f"there is no register {text}; the last is {text.rstrip('0123456789')}10", column)
        return int(digits)
    return 0
