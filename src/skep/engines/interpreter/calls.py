"""Calls that leave the program: helpers, kernel functions, tail calls, and legacy packet loads.

Most helpers are native functions of the standard library, called with arguments that were checked against the
helper's prototype. Those whose work is control flow are done here: tail calls, and helpers that call back into the
program.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from skep.errors import Fault, UnsupportedError
from skep.objects.spec import KfuncReference

if TYPE_CHECKING:
    from skep.engines.interpreter.execution import Execution


def call_helper(e: Execution, slot: int, following: int, number: int) -> int | None:
    """Call a helper by its number; returns the next slot, or None where the execution says what is next."""
    raise UnsupportedError(f"helper {number} has no implementation")


def call_kfunc(e: Execution, slot: int, following: int) -> int | None:
    """Kernel functions have no implementation here yet."""
    reference = e.code.spec.references.get(slot)
    name = reference.name if isinstance(reference, KfuncReference) else "number " + str(slot)
    raise UnsupportedError(f"the kernel function {name} has no implementation")


def load_packet(e: Execution, size: int, offset: int) -> int | None:
    """The bytes of the packet at ``offset`` in network order, None outside the packet."""
    if e.registers[6] != e.context_address:
        raise Fault("needs the context in r6")
    return None
