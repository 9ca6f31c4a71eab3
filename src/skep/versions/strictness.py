"""Where the verifiers of older kernels are known to be stricter than that of 6.18, and what of it a program touches.

Rules were mostly relaxed, so that what 6.18 accepts may be refused by an older verifier although it knows everything
that the program uses. The list holds what meets many programs; it is not complete.

Source: the commits that relaxed them: precision (5.3, b5dc0163d8fd), limits (5.2, c04c0d2b968a), frozen maps (5.5,
a23740ec43ba), 32-bit bounds (5.7, 3f50f132d840), offsets on the stack and pointers to global functions (5.12,
01f810ace9ed and e5069b9c23b3), narrow spills (5.16, 354e8f1970f8), stack that was never written (6.3, 6715df8d5d24),
comparisons of registers (6.8, 67420501e868).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from skep.btf import Function, FunctionPrototype, Pointer
from skep.isa import opcodes
from skep.isa.opcodes import CLASS_MASK, MODE_MASK, OPERATION_MASK, SIZE_MASK, SOURCE_MASK
from skep.objects.spec import MapReference, ProgramSpec
from skep.versions.addresses import varies_stack_pointers
from skep.versions.version import KernelVersion

#: How many instructions a kernel followed at most before 5.2.
FOLLOWED_BEFORE_5_2: Final = 131_072

_NO_COMPARISON: Final = (opcodes.JA, opcodes.CALL, opcodes.EXIT, opcodes.JCOND)


def _branches(program: ProgramSpec) -> bool:
    jumps = (opcodes.JMP, opcodes.JMP32)
    return any(
        one.opcode & CLASS_MASK in jumps and one.opcode & OPERATION_MASK not in _NO_COMPARISON
        for one in program.instructions
        if not one.is_wide
    )


def _compares_registers(program: ProgramSpec) -> bool:
    jumps = (opcodes.JMP, opcodes.JMP32)
    return any(
        one.opcode & CLASS_MASK in jumps
        and one.opcode & SOURCE_MASK == opcodes.X
        and one.opcode & OPERATION_MASK not in _NO_COMPARISON
        for one in program.instructions
    )


def _uses_32_bits(program: ProgramSpec) -> bool:
    return any(
        one.opcode & CLASS_MASK == opcodes.ALU and one.opcode & OPERATION_MASK not in (opcodes.MOV, opcodes.END)
        for one in program.instructions
    )


def _spills_narrowly(program: ProgramSpec) -> bool:
    return any(
        one.opcode & CLASS_MASK == opcodes.STX
        and one.opcode & MODE_MASK == opcodes.MEM
        and one.opcode & SIZE_MASK != opcodes.DW
        and one.dst == opcodes.FRAME_POINTER
        for one in program.instructions
    )


def _uses_stack(program: ProgramSpec) -> bool:
    return any(
        opcodes.FRAME_POINTER in (one.dst, one.src) and one.opcode & CLASS_MASK not in (opcodes.LD, opcodes.JMP)
        for one in program.instructions
    )


def _reads_frozen(program: ProgramSpec) -> bool:
    read = {one.map for one in program.references.values() if isinstance(one, MapReference)}
    return any(one.frozen and one.name in read for one in program.maps.values())


def _varies_stack_pointers(program: ProgramSpec) -> bool:
    return bool(program.instructions) and varies_stack_pointers(program.instructions)


def _passes_pointers(program: ProgramSpec) -> bool:
    """Whether a global function takes a pointer that is not its first argument, which may be the context."""
    if program.btf is None:
        return False
    for one in program.functions[1:]:
        function = program.btf[one.type_id] if one.is_global and one.type_id else None
        prototype = program.btf[function.prototype] if isinstance(function, Function) else None
        if isinstance(prototype, FunctionPrototype):
            rest = prototype.parameters[1:]
            if any(isinstance(program.btf.resolve(parameter.type), Pointer) for parameter in rest):
                return True
    return False


#: Since when it is not so any more, whether a program touches it, and what was stricter.
_ROWS: Final[tuple[tuple[str, Callable[[ProgramSpec], bool], str], ...]] = (
    (
        "5.3",
        _branches,
        "before 5.3 paths were told apart by numbers that do not matter, so that more of them are followed",
    ),
    ("5.5", _reads_frozen, "before 5.5 constants of .rodata were not known: both ways of a test on one are followed"),
    ("5.7", _uses_32_bits, "before 5.7 little was known of the result of 32-bit arithmetic"),
    ("5.12", _varies_stack_pointers, "before 5.12 writing to the stack at an offset that varies was refused"),
    ("5.12", _passes_pointers, "from 5.6 to 5.11 a global function took no pointers but the context"),
    ("5.16", _spills_narrowly, "before 5.16 the bounds of a number of less than 8 bytes were lost on the stack"),
    ("6.3", _uses_stack, "before 6.3 reading bytes of the stack that were never written was refused"),
    ("6.8", _compares_registers, "before 6.8 a comparison of two unknown registers bounded neither"),
)


#: The versions that relaxed a rule of the list, in order.
RELAXED: Final = tuple(KernelVersion.of(until) for until, _, _ in _ROWS)


def stricter(program: ProgramSpec, version: KernelVersion) -> Iterator[str]:
    """What the program touches and the verifier of ``version`` is stricter about, each a clause."""
    for until, touches, text in _ROWS:
        if version < KernelVersion.of(until) and touches(program):
            yield text
