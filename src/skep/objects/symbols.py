"""What assembly writes for a wide load or call that an object left to the loader: the name of what it refers to."""

from __future__ import annotations

from collections.abc import Mapping

from skep.isa import Symbol
from skep.objects.spec import KfuncReference, KsymReference, MapReference, Reference


def symbols_of(references: Mapping[int, Reference]) -> dict[int, Symbol]:
    """By slot, the symbol of each reference that has one.

    The address of a function has none: it is a distance in the instruction, which the function's label names.
    """
    found = {}
    for slot, reference in references.items():
        match reference:
            case MapReference(map=name, offset=None):
                found[slot] = Symbol("map", name)
            case MapReference(map=name, offset=int(offset)):
                found[slot] = Symbol("map value", name, offset)
            case KfuncReference(name=name):
                found[slot] = Symbol("kfunc", name)
            case KsymReference(name=name):
                found[slot] = Symbol("kernel symbol", name)
            case _:
                pass
    return found
