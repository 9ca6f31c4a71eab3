"""Programs of type ``raw`` in the kernel, which has no such type: plain memory in r1, its length in r2, 64 bits out.

The memory is the value of an array map, which a program may read and write at any offset that the verifier can
bound. A few instructions in front call the program as a subprogram, the value's address in r1, and store its result
before the memory, since a test run returns 32 bits only. The whole is a ``syscall`` program, whose test runs cost
least.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TypeVar

from skep.isa import opcodes
from skep.isa.instruction import Instruction
from skep.objects.kinds import MapType, ProgramType
from skep.objects.spec import FunctionSpec, MapReference, MapSpec, ProgramSpec

#: The map whose value is the memory.
MEMORY = ".memory"

#: Bytes of that value which stand before the memory: the result.
RESULT_BYTES = 8

_Fact = TypeVar("_Fact")

_MOV = opcodes.ALU64 | opcodes.MOV


def with_entry(spec: ProgramSpec, length: int) -> ProgramSpec:
    """The program as one that the kernel knows, for memory of ``length`` bytes in the map `MEMORY`."""
    has_memory = (
        Instruction(_MOV | opcodes.X, 1, 6),
        Instruction(opcodes.ALU64 | opcodes.ADD | opcodes.K, 1, imm=RESULT_BYTES),
        Instruction(_MOV | opcodes.K, 2, imm=length),
    )
    has_none = (Instruction(_MOV | opcodes.K, 1), Instruction(_MOV | opcodes.K, 2))
    entry = (
        Instruction(opcodes.LD | opcodes.IMM | opcodes.DW, 6),
        Instruction(0),
        *(has_memory if length else has_none),
        Instruction(opcodes.JMP | opcodes.CALL, src=1, imm=3),
        Instruction(opcodes.STX | opcodes.MEM | opcodes.DW, 6, 0, 0),
        Instruction(_MOV | opcodes.K, 0),
        Instruction(opcodes.JMP | opcodes.EXIT),
    )
    start = len(entry)

    def moved(by_slot: Mapping[int, _Fact]) -> dict[int, _Fact]:
        return {slot + start: value for slot, value in by_slot.items()}

    functions = (
        FunctionSpec("entry", 0),
        *(replace(function, start=function.start + start, type_id=0) for function in spec.functions),
    )
    memory = MapSpec(MEMORY, MapType.ARRAY, 4, RESULT_BYTES + length, 1)
    return replace(
        spec,
        type=ProgramType.SYSCALL,
        instructions=(*entry, *spec.instructions),
        functions=functions,
        references=MappingProxyType({0: MapReference(MEMORY, 0), **moved(spec.references)}),
        lines=MappingProxyType(moved(spec.lines)),
        core_relocations=MappingProxyType(moved(spec.core_relocations)),
        maps=MappingProxyType({**spec.maps, MEMORY: memory}),
    )
