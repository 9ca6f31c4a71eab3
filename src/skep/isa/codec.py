"""Instructions to bytes and back, in either byte order (RFC 9669, section 3).

A slot is opcode, a byte of two register numbers, a 16-bit offset and a 32-bit immediate. Byte order turns the
offset and the immediate around, and also which half of the register byte is the destination.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final, Literal

from skep.errors import EncodingError
from skep.isa.instruction import Instruction, Instructions

ByteOrder = Literal["little", "big"]

#: Bytes in a slot.
SLOT_SIZE: Final = 8

_FORMATS: Final = {"little": struct.Struct("<BBhi"), "big": struct.Struct(">BBhi")}


def _format(byte_order: str) -> struct.Struct:
    try:
        return _FORMATS[byte_order]
    except KeyError:
        raise EncodingError(f'byte order {byte_order!r} is not known; use "little" or "big"') from None


def decode(data: bytes | bytearray | memoryview, byte_order: str = "little", *, strict: bool = False) -> Instructions:
    """Read a program from its bytes.

    Any 8 bytes make a slot, so that the verifier can give its own verdict on what they mean. With ``strict`` each
    slot must also be an instruction with its reserved fields clear, as :func:`skep.isa.check` says.
    Raises :class:`EncodingError` where the length is not a multiple of 8, and with ``strict`` for the first bad slot.
    """
    layout = _format(byte_order)
    if len(data) % SLOT_SIZE:
        whole = len(data) - len(data) % SLOT_SIZE
        raise EncodingError(
            f"{len(data)} bytes are not a whole number of 8-byte instructions; {len(data) - whole} are left over",
            offset=whole,
        )
    if byte_order == "little":
        program = tuple(
            Instruction(opcode, registers & 0xF, registers >> 4, offset, imm)
            for opcode, registers, offset, imm in layout.iter_unpack(data)
        )
    else:
        program = tuple(
            Instruction(opcode, registers >> 4, registers & 0xF, offset, imm)
            for opcode, registers, offset, imm in layout.iter_unpack(data)
        )
    if strict:
        from skep.isa.check import check

        check(program)
    return program


def encode(instructions: Iterable[Instruction], byte_order: str = "little") -> bytes:
    """The bytes of a program. Raises :class:`EncodingError` where a value is too large for its field."""
    layout = _format(byte_order)
    little = byte_order == "little"
    parts = []
    for slot, instruction in enumerate(instructions):
        dst, src = instruction.dst, instruction.src
        if not (0 <= dst <= 15 and 0 <= src <= 15):
            name, number = ("source", src) if 0 <= dst <= 15 else ("destination", dst)
            raise EncodingError(f"{name} register {number} does not fit in 4 bits", instruction=slot)
        registers = dst | src << 4 if little else src | dst << 4
        try:
            parts.append(layout.pack(instruction.opcode, registers, instruction.offset, instruction.imm))
        except struct.error:
            raise EncodingError(_misfit(instruction), instruction=slot) from None
    return b"".join(parts)


def _misfit(instruction: Instruction) -> str:
    if not 0 <= instruction.opcode <= 0xFF:
        return f"opcode {instruction.opcode} does not fit in 8 bits"
    if not -0x8000 <= instruction.offset <= 0x7FFF:
        return f"offset {instruction.offset} does not fit in 16 signed bits"
    return f"immediate {instruction.imm} does not fit in 32 signed bits"
