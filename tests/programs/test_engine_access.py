"""What a program writes to its context it reads back, on every engine as in the running kernel."""

from __future__ import annotations

import struct

import pytest

from skep.isa.instruction import Instruction
from skep.machine import Machine
from skep.objects.kinds import ProgramType
from skep.objects.spec import FunctionSpec, ProgramSpec
from skep.programs import ContextField, of
from tests.programs import kernel_oracle as kernel

needs_kernel = pytest.mark.skipif(
    not kernel.available() or kernel.version() != (6, 18), reason="needs bpf(2) of Linux 6.18"
)
LOAD = {1: 0x71, 2: 0x69, 4: 0x61, 8: 0x79}
STORE = {1: 0x73, 2: 0x6B, 4: 0x63, 8: 0x7B}
STORE_CONSTANT = {1: 0x72, 2: 0x6A, 4: 0x62, 8: 0x7A}
VALUES = (0, 1, 0x12345678, 0xFFFE, 0xFFFF, 0x10000, 0xFFFFFFFF, 0x1122334455667788)
PACKET = bytes.fromhex("0202020202020303030303030800" + "4500001400000000400600000a0000010a000002") + bytes(20)
#: Between them they have every field of ``struct __sk_buff`` that a packet has a say in.
PROGRAMS = (ProgramType.SCHED_CLS, ProgramType.CGROUP_SKB)
#: Fields that have fewer bytes in the kernel than programs see. It reads them whole wherever a narrow load begins,
#: so that only loads of the part that exists have one meaning.
KERNEL_WIDTHS = {"pkt_type": 1, "protocol": 2, "family": 2}
WRITES = [(program, row, size) for program in PROGRAMS for row in of(program).fields for size in sorted(row.writes)]
READS = [
    (program, row, size)
    for program in PROGRAMS
    for row in of(program).fields
    for size in sorted(row.reads)
    if row.kind.value == "scalar"
]


def _brought_out(*code: Instruction) -> tuple[Instruction, ...]:
    """``code``, then r2 brought out through the control block."""
    return (
        Instruction(0xBF, 6, 1),
        *code,
        Instruction(0x63, 6, 2, 48),
        Instruction(0x77, 2, 0, 0, 32),
        Instruction(0x63, 6, 2, 52),
        Instruction(0xB7, 0, 0, 0, 1),
        Instruction(0x95),
    )


def _compare(program: ProgramType, code: tuple[Instruction, ...], engine: str) -> None:
    spec = ProgramSpec("access", "access", program, code, functions=(FunctionSpec("access", 0),))
    context = struct.pack("<48x5I124x", 0x11223344, 0x55667788, 0x99AABBCC, 0xDDEEFF00, 0x01020304)
    with Machine(cpus=1) as machine:
        ran = machine.load(spec, engine=engine, verify=False).run(PACKET, context=context)
    with kernel.loaded(program, code) as fd:
        outcome = kernel.run_once(fd, PACKET, context=context)
    assert (outcome.error, outcome.data) == (0, ran.packet)
    assert ran.context[:192] == outcome.context


@needs_kernel
@pytest.mark.parametrize("engine", ["interpreter", "jit"])
@pytest.mark.parametrize(
    ("program", "row", "size"), WRITES, ids=[f"{program.label} {row.name} {size}" for program, row, size in WRITES]
)
def test_a_field_keeps_of_a_value_what_the_kernel_keeps(
    program: ProgramType, row: ContextField, size: int, engine: str
) -> None:
    code = [Instruction(0xB7, 2)]
    whole = 8 if row.size == 8 else 4
    for value in VALUES:
        low, high = struct.unpack("<ii", value.to_bytes(8, "little"))
        code += [
            Instruction(0x18, 3, 0, 0, low),
            Instruction(0, 0, 0, 0, high),
            Instruction(STORE[size], 6, 3, row.offset),
            Instruction(LOAD[whole], 4, 6, row.offset),
            Instruction(0x27, 2, 0, 0, 31),
            Instruction(0xAF, 2, 4),
            Instruction(STORE_CONSTANT[size], 6, 0, row.offset, low >> 3 & 0x0FFFFFFF),
            Instruction(LOAD[whole], 4, 6, row.offset),
            Instruction(0x27, 2, 0, 0, 31),
            Instruction(0xAF, 2, 4),
        ]
    _compare(program, _brought_out(*code), engine)


@needs_kernel
@pytest.mark.parametrize("engine", ["interpreter", "jit"])
@pytest.mark.parametrize(
    ("program", "row", "size"), READS, ids=[f"{program.label} {row.name} {size}" for program, row, size in READS]
)
def test_every_part_of_a_field_reads_as_in_the_kernel(
    program: ProgramType, row: ContextField, size: int, engine: str
) -> None:
    code = [Instruction(0xB7, 2)]
    for at in range(row.offset, row.offset + KERNEL_WIDTHS.get(row.name, row.size), size):
        if row.permits(at, size):
            code += [Instruction(LOAD[size], 4, 6, at), Instruction(0x27, 2, 0, 0, 31), Instruction(0xAF, 2, 4)]
    _compare(program, _brought_out(*code), engine)
