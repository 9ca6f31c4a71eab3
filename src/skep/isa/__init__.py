"""BPF instructions: values, the table of their encodings and meanings, assembly in both dialects (RFC 9669)."""

from skep.isa import opcodes
from skep.isa.check import check, problem, problems
from skep.isa.codec import SLOT_SIZE, ByteOrder, decode, encode
from skep.isa.instruction import Instruction, Instructions, wide_immediate
from skep.isa.table import BY_NAME, TABLE, Row, registers_read, registers_written, row_of

__all__ = [
    "BY_NAME",
    "SLOT_SIZE",
    "TABLE",
    "ByteOrder",
    "Instruction",
    "Instructions",
    "Row",
    "check",
    "decode",
    "encode",
    "opcodes",
    "problem",
    "problems",
    "registers_read",
    "registers_written",
    "row_of",
    "wide_immediate",
]
