"""Names that an instruction refers to and that only a loader can resolve, beside the slots they stand in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: What a symbol names: a map, a place in a map's value, a kernel variable, a kernel function, or an address of a
#: kind that the text does not tell (``r1 = name ll``, as compilers write before linking).
SymbolKind = Literal["map", "map value", "kernel symbol", "kfunc", "address"]


@dataclass(frozen=True, slots=True)
class Symbol:
    """A reference by name; ``offset`` counts bytes from what is named, into a map value or from an address."""

    kind: SymbolKind
    name: str
    offset: int = 0
