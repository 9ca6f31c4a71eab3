"""A function at the end of a program whose address is taken but that no path enters: Linux 6.18 refuses it.

A program of several functions is compiled function by function, without those that nothing reached. An instruction
that loads the address of one of them is left with that of the function behind it, and with none behind the last one.
In a program that is left with one function alone nobody looks. Observed on Linux 6.18.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from skep.isa.meaning import WideLoad
from skep.verifier.rejection import Rejection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from skep.verifier.structure import Structure


def check_dead_functions(structure: Structure, visits: Sequence[int]) -> None:
    """Refuse a program that takes the address of a dropped function at its end; ``visits`` are by instruction."""
    entered = [one.start for one in structure.subprograms if visits[one.start]]
    if len(entered) < 2:
        return
    for slot, row in enumerate(structure.rows):
        meaning = None if row is None else row.meaning
        if not visits[slot] or not isinstance(meaning, WideLoad) or meaning.refers != "function":
            continue
        target = slot + 1 + structure.instructions[slot].imm
        if target > entered[-1]:
            kept = sum(
                1
                for before in range(target)
                if visits[before] or (structure.rows[before] is None and before and visits[before - 1])
            )
            raise Rejection(f"verifier bug: No program to jit at insn {kept} (subprog < 0)", instruction=slot)
