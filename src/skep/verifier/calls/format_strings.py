"""Formats of ``bpf_snprintf``, the one printing helper whose format is looked at before the program runs.

Source: bpf-helpers(7) for the conversions; what else is taken was tried on Linux 6.18, format by format.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from skep.stdlib import prototypes
from skep.verifier.maps.facts import MapFacts
from skep.verifier.numbers.scalar import signed64
from skep.verifier.rejection import Rejection

if TYPE_CHECKING:
    from skep.verifier.paths.exploration import Explorer

SNPRINTF: Final = prototypes.number("snprintf")

#: Text, a sign for itself, or a conversion that takes one argument.
_PIECE: Final = re.compile(
    rb"""
    (?P<text> [\t-\r\x20-$&-~\x80-\xff]+ | %% )
    | % [-+ 0]* (?: [1-9] [0-9]* )?
      (?: [sc] | l{0,2} [diuxX] | p [ku] s | p [iI] [46] | p B | p (?= [KxsS] | [\t-\r\x20-/:-@\[-`{-~] | \Z ) )
    """,
    re.VERBOSE,
)
_ARGUMENT: Final = 8


def conversions(format: bytes) -> int | None:
    """How many arguments a format takes, or None if it is wrong."""
    at = count = 0
    while at < len(format):
        piece = _PIECE.match(format, at)
        if piece is None:
            return None
        count += piece["text"] is None
        at = piece.end()
    return count


def check_snprintf(explorer: Explorer) -> None:
    """Refuse a format that is wrong, or takes more arguments than are passed."""
    format, size = explorer.registers[3], explorer.registers[5].scalar
    map = format.subject
    assert isinstance(map, MapFacts)
    assert map.constant is not None
    if size.bits[0] % _ARGUMENT:
        raise Rejection("")
    start = format.offset + signed64(format.scalar.value)
    text = map.constant[start:].partition(b"\0")[0]
    needed = conversions(text)
    if needed is None or needed > size.bits[0] // _ARGUMENT:
        raise Rejection("Invalid format string", format=text)
