"""Arenas: memory that a program shares with user space, where pointers may point anywhere.

An address of user space is a number to the program until it is cast to the kernel's address space; then it may be
moved and used at will, since what lies outside reads as zero and writes nothing. Rules and messages were observed on
Linux 6.18.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from skep.isa.instruction import Instruction
from skep.objects.kinds import MapType
from skep.verifier.rejection import Rejection
from skep.verifier.states.register import ANY_NUMBER, Kind, Register, register
from skep.verifier.steps.checks import readable, writable
from skep.verifier.steps.step import Calling, Step

if TYPE_CHECKING:
    from collections.abc import Callable

    from skep.verifier.calls.kfunc_calls import KfuncCall
    from skep.verifier.paths.exploration import Explorer

#: A cast to the kernel's address space from that of user space; the other way the halves change places.
_TO_KERNEL: Final = 1


def cast_address(instruction: Instruction) -> Step:
    """The step of a cast between address spaces."""
    dst, src, spaces = instruction.dst, instruction.src, instruction.imm

    def follow(explorer: Explorer) -> int:
        if spaces not in (_TO_KERNEL, _TO_KERNEL << 16):
            raise Rejection("addr_space_cast insn can only convert between address space 1 and 0")
        if not any(map.type is MapType.ARENA for map in explorer.context.maps.values()):
            raise Rejection("addr_space_cast insn can only be used in a program that has an associated arena")
        readable(explorer, src)
        writable(explorer, dst)
        explorer.registers[dst] = register(Kind.ARENA) if spaces == _TO_KERNEL else ANY_NUMBER
        return explorer.index + 1

    return Calling(follow)


def _allocated(explorer: Explorer, call: KfuncCall) -> Register:
    return ANY_NUMBER


#: Kernel functions that return an address in an arena, as user space has it: a number until it is cast.
SPECIAL: Final[dict[str, Callable[[Explorer, KfuncCall], Register]]] = {"bpf_arena_alloc_pages": _allocated}
