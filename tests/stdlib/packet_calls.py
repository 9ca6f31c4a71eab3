"""The same helper calls on the same packet, here and in the running kernel, and what came of both.

A case is a program type, a packet and a list of calls. In the kernel they become one program, run by
BPF_PROG_TEST_RUN; here each call is one of the function that implements the helper, on memory laid out by
``skep.programs``. What is compared is the result of the last call, the packet, and either what a call wrote to memory
or how the socket buffer looks afterwards; in the kernel both leave through the control block.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from skep.isa.instruction import Instruction
from skep.memory.cpu import CpuBlock
from skep.objects.kinds import ProgramType
from skep.programs import of
from skep.stdlib import CallSite, implementation, prototypes
from skep.stdlib.prototype import ArgumentKind
from tests.programs import kernel_oracle as kernel
from tests.programs.memory import Memory


@dataclass(frozen=True, slots=True)
class Room:
    """An argument: memory of 20 bytes that held 0xEE, of which the helper may use the first ``size``."""

    size: int = 20


Argument = int | bytes | Room


@dataclass(frozen=True, slots=True)
class Call:
    """A helper by name and its arguments behind the context."""

    helper: str
    arguments: tuple[Argument, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """``value`` is the lower half of what the last call returned; ``seen`` what left through the control block."""

    value: int
    packet: bytes
    seen: bytes


#: How a socket buffer looks, in the order in which it leaves through the control block.
SEEN = ("len", "protocol", "vlan_tci", "vlan_proto", "pkt_type")
_OFFSETS = {"len": 0, "protocol": 16, "vlan_tci": 24, "vlan_proto": 28, "pkt_type": 4}
_FILL = b"\xee" * 24


def _wide(register: int, value: int) -> list[Instruction]:
    low, high = struct.unpack("<ii", (value & (1 << 64) - 1).to_bytes(8, "little"))
    return [Instruction(0x18, register, 0, 0, low), Instruction(0, 0, 0, 0, high)]


def _stored(at: int, data: bytes) -> list[Instruction]:
    code = []
    data = data.ljust(-(-len(data) // 8) * 8, b"\0")
    for place in range(0, len(data), 8):
        code += [*_wide(0, int.from_bytes(data[place : place + 8], "little")), Instruction(0x7B, 10, 0, at + place)]
    return code


def _takes_context(helper: str, program: ProgramType) -> bool:
    row = prototypes.prototype(prototypes.number(helper), program)
    return bool(row.arguments) and row.arguments[0].kind is ArgumentKind.CONTEXT


def code_of(program: ProgramType, calls: Sequence[Call]) -> list[Instruction]:
    """The program that makes the calls; its result is that of the last one."""
    code = [Instruction(0xBF, 6, 1)]
    room = 0
    for call in calls:
        at = 0
        setting: list[Instruction] = []
        register = 1
        if _takes_context(call.helper, program):
            setting.append(Instruction(0xBF, 1, 6))
            register = 2
        for argument in call.arguments:
            if isinstance(argument, int):
                setting += _wide(register, argument)
            else:
                data = _FILL if isinstance(argument, Room) else argument or b"\0"
                at -= -(-len(data) // 8) * 8
                code += _stored(at, data)
                setting += [Instruction(0xBF, register, 10), Instruction(0x07, register, 0, 0, at)]
                room = at if isinstance(argument, Room) else room
            register += 1
        code += [*setting, Instruction(0x85, 0, 0, 0, prototypes.number(call.helper))]
    code.append(Instruction(0xBF, 7, 0))
    if program is not ProgramType.XDP:
        for word, name in enumerate(SEEN):
            if room:
                code.append(Instruction(0x61, 1, 10, room + 4 * word))
            else:
                code.append(Instruction(0x61, 1, 6, _OFFSETS[name]))
            code.append(Instruction(0x63, 6, 1, 48 + 4 * word))
    code += [Instruction(0xBF, 0, 7), Instruction(0x95)]
    return code


def in_kernel(program: ProgramType, data: bytes, calls: Sequence[Call], given: bytes = b"") -> Result:
    if program is ProgramType.XDP:
        context = struct.pack("<6I", int.from_bytes(given[:4], "little"), len(data), 0, 0, 0, 0)
    else:
        context = given.ljust(192, b"\0")
    with kernel.loaded(program, code_of(program, calls)) as fd:
        outcome = kernel.run_once(fd, data, context=context)
    assert outcome.error == 0, outcome.error
    seen = outcome.context[:8] if program is ProgramType.XDP else outcome.context[48:68]
    return Result(outcome.retval, outcome.data, seen)


def here(program: ProgramType, data: bytes, calls: Sequence[Call], given: bytes = b"") -> Result:
    if program is ProgramType.XDP:
        given = struct.pack("<6I", int.from_bytes(given[:4], "little"), len(data), 0, 0, 0, 0)
    memory = Memory(of(program), data, given)
    cpus = CpuBlock(1, seed=1)
    value = 0
    room = None
    for call in calls:
        function = implementation(prototypes.number(call.helper), CallSite(program_type=program))
        arguments: list[object] = []
        if function.parameters[0][0] == "cpu":
            arguments.append(cpus.address(0))
        if _takes_context(call.helper, program):
            arguments.append(memory.context)
        for argument in call.arguments:
            if isinstance(argument, int):
                arguments.append(argument)
            else:
                filled = _FILL if isinstance(argument, Room) else argument or b"\0"
                buffer = ctypes.create_string_buffer(filled, len(filled))
                room = buffer if isinstance(argument, Room) else room
                arguments.append(buffer)
        value = function(*arguments[: len(function.parameters)]) or 0
    output = memory.leave()
    if program is ProgramType.XDP:
        seen = output.context[:8]
    elif room is not None:
        seen = room.raw[:20]
    else:
        seen = struct.pack("<5I", *(memory.field(name) for name in SEEN))
    return Result(value & 0xFFFFFFFF, output.packet, seen)
