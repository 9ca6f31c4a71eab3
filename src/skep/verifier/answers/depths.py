"""The stack of each function as level 4 prints it: as it is once Linux has rewritten the program.

``may_goto`` counts its turns on the stack; a call of ``bpf_loop`` that may become a loop of the program keeps three
registers there; functions that are never reached are gone, and one is added where exceptions are thrown and nothing
catches them. Seen on Linux 6.18 for x86-64. That calls are made cheaper (``bpf_fastcall``), and spills around them
taken out, is not followed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from skep.isa.meaning import MayGoto
from skep.objects.spec import KfuncReference

if TYPE_CHECKING:
    from skep.verifier.paths.exploration import Explorer

#: Turns left and the time that counting began at, a number each.
_MAY_GOTO: Final = 16
_LOOP: Final = 24


def printed_depths(explorer: Explorer) -> list[int]:
    """Bytes of stack by function, in order."""
    structure = explorer.structure
    found = []
    for function in structure.subprograms:
        slots = range(function.start, function.end)
        if not any(explorer.visits[slot] for slot in slots):
            continue
        depth = explorer.deepest[function.index]
        if any(explorer.inlined_loops.get(slot) is not None for slot in slots):
            depth += _LOOP
        rows = [structure.rows[slot] for slot in slots if explorer.visits[slot]]
        if any(row is not None and isinstance(row.meaning, MayGoto) for row in rows):
            depth += _MAY_GOTO
        found.append(depth)
    throws = any(
        isinstance(reference, KfuncReference) and reference.name == "bpf_throw" and explorer.visits[slot]
        for slot, reference in structure.spec.references.items()
    )
    if throws and not any(function.is_exception_callback for function in structure.subprograms):
        found.append(0)
    return found
