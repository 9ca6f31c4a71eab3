"""Calls that cannot be made here: what a program may hold all the same, as long as it does not get there.

Programs are built for many kernels. They test whether a kernel function exists before they call it, and leave behind
instructions that CO-RE has poisoned because the kernel does not have what they ask for. Only who reaches one is
stopped, on every engine.
"""

from __future__ import annotations

from collections.abc import Mapping

from skep.errors import Fault, RequestError, SkepError, UnsupportedError
from skep.isa.instruction import Instruction
from skep.objects.kinds import ProgramType
from skep.objects.spec import KfuncReference, ProgramSpec
from skep.stdlib import registry
from skep.stdlib.prototypes import prototype

_CALL, _PSEUDO_CALL, _PSEUDO_KFUNC = 0x85, 1, 2
#: Helpers that engines carry out themselves.
_BY_ENGINES = frozenset((12, 181))


def missing_call(spec: ProgramSpec, type: ProgramType, slot: int, unresolved: Mapping[int, str]) -> SkepError | None:
    """Why the call at ``slot`` cannot be made, without its place; None if it can be, and for what is no such call.

    ``unresolved`` says which slots CO-RE has poisoned, and why.
    """
    instruction = spec.instructions[slot]
    if instruction.opcode != _CALL or instruction.src == _PSEUDO_CALL:
        return None
    if instruction.src == _PSEUDO_KFUNC:
        reference = spec.references.get(slot)
        if isinstance(reference, KfuncReference):
            return UnsupportedError(f"the kernel function {reference.name} has no implementation here")
        return Fault("calls a kernel function by number, which means nothing outside the kernel it was loaded into")
    if slot in unresolved:
        return poisoned(unresolved[slot])
    try:
        row = prototype(instruction.imm, type)
    except RequestError as error:
        return Fault(f"calls helper {instruction.imm}, which does not exist: {error.problem}")
    if row.number in _BY_ENGINES or row.number in registry.implemented():
        return None
    try:
        registry.implementation(row.number, registry.CallSite(program_type=type))
    except UnsupportedError as error:
        return error
    return None


def poisoned(reason: str) -> Fault:
    """The fault of an instruction whose CO-RE relocation asks for what the kernel does not have."""
    return Fault(
        f"{reason}; guard it by bpf_core_field_exists() and kin, or fit the program to another kernel with --btf"
    )


def may_miss(instruction: Instruction) -> bool:
    """Whether `missing_call` has to be asked of an instruction: cheap, for a first look at every one."""
    return instruction.opcode == _CALL and instruction.src != _PSEUDO_CALL
