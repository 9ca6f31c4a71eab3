"""A program as assembly that can be read back: with the names of maps, subprograms and labels."""

from __future__ import annotations

from skep.isa import Symbol, disassemble, listing
from skep.objects import ProgramSpec
from skep.objects.spec import KfuncReference, KsymReference, MapReference


def listing_of(spec: ProgramSpec) -> str:
    """The instructions of a program as assembly."""
    symbols: dict[int, Symbol] = {}
    for slot, one in spec.references.items():
        match one:
            case MapReference(map=name, offset=None):
                symbols[slot] = Symbol("map", name)
            case MapReference(map=name, offset=int(offset)):
                symbols[slot] = Symbol("map value", name, offset)
            case KfuncReference(name=name):
                symbols[slot] = Symbol("kfunc", name)
            case KsymReference(name=name):
                symbols[slot] = Symbol("kernel symbol", name)
    functions = {one.start: one.name for one in spec.functions[1:]}
    return listing(disassemble(spec.instructions, symbols=symbols, functions=functions))
