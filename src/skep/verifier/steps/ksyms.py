"""Wide loads of what the kernel has under a name: a variable, typed or only as an address, or one of its functions.

A typed variable is a per-CPU object, an object or plain memory that may only be read; a variable without type is a
number. Weak names that the kernel does not have are 0. Linux finds the address of a typed variable in its table of
symbols, which holds variables only if it was built with all of them; where that table cannot be read, or the program
is for another kernel, it is taken to hold them. Rules and messages were observed on Linux 6.18.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from skep.btf.kinds import Kind as BtfKind
from skep.btf.types import Composite, DataSection, Function, Variable
from skep.errors import SkepError
from skep.isa.instruction import wide_immediate
from skep.objects.spec import KfuncReference, KsymReference
from skep.verifier.rejection import NotCovered, Rejection
from skep.verifier.states.register import ANY_NUMBER, NULL, PERCPU, READ_ONLY, Kind, Register, register

if TYPE_CHECKING:
    from skep.isa.instruction import Instructions
    from skep.verifier.context import Context
    from skep.verifier.kernel.kernel_types import TypeTable

_PER_CPU: Final = ".data..percpu"


def loaded(context: Context, slot: int, instructions: Instructions) -> Register | None:
    """What the wide load at ``slot`` leaves in its register, or None if it is not of something in the kernel."""
    reference = context.spec.references.get(slot)
    match reference:
        case KsymReference(name=name, weak=weak, type_id=0):
            return NULL if weak and context.has_symbol(name) is False else ANY_NUMBER
        case KsymReference(name=name, weak=weak) | KfuncReference(name=name, weak=weak):
            return _named(context, name, weak, slot)
        case _:
            low, high = instructions[slot], instructions[slot + 1]
            if low.src != _BTF_ID:
                return None
            if wide_immediate(low, high) >> 32:
                raise Rejection("invalid module BTF object FD specified.", instruction=slot)
            return _of_type(context, context.kernel_types, low.imm, slot)


def _named(context: Context, name: str, weak: bool, slot: int) -> Register:
    found = context.kernel_types.find(name, BtfKind.VAR, BtfKind.FUNC)
    if found is not None:
        return _of_type(context, *found, slot)
    if not weak:
        raise NotCovered(f"kernel symbol {name}, which the kernel's types do not have", instruction=slot)
    return NULL


#: The pseudo source of a wide load of a type of the kernel.
_BTF_ID: Final = 3


def _of_type(context: Context, types: TypeTable, type_id: int, slot: int) -> Register:
    if not 0 <= type_id < len(types.btf):
        raise Rejection(f"ldimm64 insn specifies invalid btf_id {type_id}.", instruction=slot)
    type = types.btf[type_id]
    if not isinstance(type, Variable | Function):
        raise Rejection(f"pseudo btf_id {type_id} in ldimm64 isn't KIND_VAR or KIND_FUNC", instruction=slot)
    if context.has_symbol(type.name) is False:
        raise Rejection(f"ldimm64 failed to find the address for kernel symbol '{type.name}'.", instruction=slot)
    if isinstance(type, Function):
        return register(Kind.MEMORY, flags=READ_ONLY)
    subject = types.type(type.type)
    if type_id in _per_cpu(types):
        return register(Kind.OBJECT, flags=PERCPU, subject=subject)
    if isinstance(types.btf[subject.id], Composite):
        return register(Kind.OBJECT, subject=subject)
    try:
        return register(Kind.MEMORY, extent=types.btf.size_of(subject.id), flags=READ_ONLY)
    except SkepError:
        raise NotCovered(f"kernel variable {type.name}, whose size is not known", instruction=slot) from None


@cache
def _per_cpu(types: TypeTable) -> frozenset[int]:
    """The variables of which each CPU has its own."""
    # A module has a section of that name beside its kernel's.
    sections = [one for one in types.btf.find_all(_PER_CPU, BtfKind.DATASEC) if types.owns(one)]
    found = types.btf[sections[0]] if sections else None
    return frozenset(one.variable for one in found.variables) if isinstance(found, DataSection) else frozenset()
