"""BPF instructions: values, the table of their encodings and meanings, assembly in both dialects (RFC 9669)."""

from skep.isa import opcodes
from skep.isa.assembler import Assembly, HelperNumber, assemble
from skep.isa.check import check, problem, problems
from skep.isa.codec import SLOT_SIZE, ByteOrder, decode, encode
from skep.isa.disassembler import HelperName, Line, disassemble, instruction_text, listing, log_text
from skep.isa.instruction import Instruction, Instructions, wide_immediate
from skep.isa.row import Row
from skep.isa.symbols import Symbol, SymbolKind
from skep.isa.table import BY_NAME, TABLE, registers_read, registers_written, row_of
from skep.isa.templates import Dialect

__all__ = [
    "BY_NAME",
    "SLOT_SIZE",
    "TABLE",
    "Assembly",
    "ByteOrder",
    "Dialect",
    "HelperName",
    "HelperNumber",
    "Instruction",
    "Instructions",
    "Line",
    "Row",
    "Symbol",
    "SymbolKind",
    "assemble",
    "check",
    "decode",
    "disassemble",
    "encode",
    "instruction_text",
    "listing",
    "log_text",
    "opcodes",
    "problem",
    "problems",
    "registers_read",
    "registers_written",
    "row_of",
    "wide_immediate",
]
