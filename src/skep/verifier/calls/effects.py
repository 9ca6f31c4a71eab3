"""What calling a function of the program may do, found before any path is followed: sleep, or move the packet.

A global function is not looked into where it is called, so that its callers have to expect what any helper or kernel
function in it, or in a function that it calls, may do. A tail call may do what it likes with the packet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from skep.isa.meaning import Call, WideLoad
from skep.objects.spec import KfuncReference
from skep.stdlib import prototypes
from skep.stdlib.kfuncs import KFUNCS, KfuncFlag

if TYPE_CHECKING:
    from skep.verifier.context import Context
    from skep.verifier.structure import Structure, Subprogram

_TAIL_CALL: Final = prototypes.number("tail_call")
#: Kernel functions that may move the packet.
PACKET_MOVERS: Final = frozenset({"bpf_xdp_pull_data"})


def find_effects(structure: Structure, context: Context) -> None:
    """Mark the functions that may sleep, or move the packet, by themselves or through others."""
    callers: list[tuple[Subprogram, Subprogram]] = []
    for slot, row in enumerate(structure.rows):
        function = structure.subprograms[structure.of_slot[slot]]
        match None if row is None else row.meaning:
            case Call(target="helper"):
                _helper(function, structure.instructions[slot].imm, context)
            case Call(target="subprogram") | WideLoad(refers="function"):
                callers.append((function, structure.by_start[slot + 1 + structure.instructions[slot].imm]))
            case Call():
                _kfunc(function, context, slot)
            case _:
                pass
    changed = True
    while changed:
        changed = False
        for caller, callee in callers:
            if callee.might_sleep > caller.might_sleep or callee.changes_packet > caller.changes_packet:
                caller.might_sleep |= callee.might_sleep
                caller.changes_packet |= callee.changes_packet
                changed = True


def _helper(function: Subprogram, number: int, context: Context) -> None:
    if number not in prototypes.NAMES:
        return
    row = prototypes.prototype(number, context.type)
    # Of a program that replaces a function Linux does not know yet which helpers it has.
    function.might_sleep |= row.might_sleep and not context.replaces
    function.changes_packet |= row.changes_packet or number == _TAIL_CALL


def _kfunc(function: Subprogram, context: Context, slot: int) -> None:
    reference = context.spec.references.get(slot)
    if isinstance(reference, KfuncReference):
        kfunc = KFUNCS.get(reference.name)
        function.might_sleep |= kfunc is not None and bool(kfunc.flags & KfuncFlag.SLEEPABLE)
        function.changes_packet |= reference.name in PACKET_MOVERS
