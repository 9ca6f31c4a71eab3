"""A program as assembly that can be read back: with the names of maps, subprograms and labels."""

from __future__ import annotations

from skep.isa import disassemble, listing
from skep.objects import ProgramSpec
from skep.objects.symbols import symbols_of


def listing_of(spec: ProgramSpec) -> str:
    """The instructions of a program as assembly."""
    functions = {one.start: one.name for one in spec.functions[1:]}
    return listing(disassemble(spec.instructions, symbols=symbols_of(spec.references), functions=functions))
