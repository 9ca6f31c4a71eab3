"""The form of the kernel's log, and that Linux takes what the assembler makes, compared with the running kernel.

One program holds an instruction of nearly every row; the kernel verifies it with its detailed log, and each line of
that log has to be what :func:`skep.isa.log_text` prints. Nothing is attached or run.
"""

from __future__ import annotations

import platform
import re

import pytest

from skep.engines.kernel.programs import KernelProgram
from skep.errors import KernelError
from skep.isa import TABLE, Instruction, Row, assemble, log_text
from skep.isa.meaning import Alu, Atomic, Branch, Exit, Load, LoadAcquire, PacketLoad, Store, StoreRelease, Swap
from skep.objects import ProgramType
from skep.stdlib.prototypes import NAMES

PROLOGUE = assemble(
    """
    r6 = r1
    r0 = 1
    r1 = 1
    r2 = 2
    r3 = 3
    *(u64 *)(r10 - 8) = r3
    *(u64 *)(r10 - 16) = 77
    """
).instructions
EPILOGUE = assemble(
    """
    goto pc+0
    gotol pc+0
    may_goto pc+0
    call get_prandom_u32
    call subprogram
    r0 = *(u8 *)skb[4]
    r0 = *(u16 *)skb[8]
    r0 = *(u32 *)skb[12]
    r7 = 1
    r0 = *(u8 *)skb[r7 + 5]
    r0 = *(u16 *)skb[r7]
    r0 = *(u32 *)skb[r7 + 2]
    r1 = 0x1122334455667788 ll
    r0 = 0
    exit
subprogram:
    r0 = 7
    exit
    """,
    helpers={"get_prandom_u32": 7}.get,
).instructions


def example(row: Row) -> Instruction | None:
    """An instruction of a row that a program with numbers in r0 to r3 and on its stack may hold."""

    def build(dst: int, src: int, offset: int, imm: int) -> Instruction:
        return Instruction(
            row.opcode,
            dst if row.dst is None else row.dst,
            src if row.src is None else row.src,
            offset if row.offset is None else row.offset,
            imm if row.imm is None else row.imm,
        )

    match row.meaning:
        case Alu() | Swap():
            return build(2, 3, 0, 5)
        case Branch():
            return build(2, 3, 0, -7 if "s" in row.name else 300)
        case Load() | LoadAcquire():
            return build(1, 10, -8, 0)
        case Store() | StoreRelease() | Atomic():
            return build(10, 3, -8, -3)
        case _:
            return None


def test_every_line_of_the_kernels_log_is_ours() -> None:
    version = tuple(int(part) for part in re.findall(r"\d+", platform.release())[:2])
    if version < (6, 15):
        pytest.skip(f"Linux {platform.release()} does not know all instructions; 6.15 does")
    middle = tuple(found for row in TABLE if (found := example(row)) is not None)
    program = PROLOGUE + middle + EPILOGUE
    try:
        loaded = KernelProgram.load(ProgramType.SOCKET_FILTER, program, log_level=2)
    except KernelError as error:
        if error.log:
            raise
        pytest.skip(f"bpf(2) is not available: {error.problem}")
    with loaded:
        log = loaded.log
    seen: set[int] = set()
    for line in re.finditer(r"^(\d+): (\([0-9a-f]{2}\) .*?)(?: +; .*)?$", log, re.MULTILINE):
        slot = int(line[1])
        following = program[slot + 1] if slot + 1 < len(program) else None
        assert line[2].rstrip() == log_text(program[slot], following, helpers=NAMES.get)
        seen.add(slot)
    second_slots = {slot + 1 for slot, instruction in enumerate(program) if instruction.is_wide}
    assert seen == set(range(len(program))) - second_slots


def test_what_the_program_leaves_out_is_known() -> None:
    others = {row.name for row in TABLE if example(row) is None and not isinstance(row.meaning, PacketLoad | Exit)}
    assert {name for name in others if not name.startswith("lddw")} == {
        *("goto", "gotol", "may_goto", "call_helper", "call_subprogram", "call_kfunc", "callx", "addr_space_cast"),
    }
