"""BPF instructions: values, the table of their encodings and meanings, assembly in both dialects (RFC 9669).

Assembler and disassembler are loaded when first asked for: engines run without them.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from skep.isa import opcodes
from skep.isa.check import check, problem, problems
from skep.isa.codec import SLOT_SIZE, ByteOrder, decode, encode
from skep.isa.instruction import Instruction, Instructions, wide_immediate
from skep.isa.row import Row
from skep.isa.table import BY_NAME, TABLE, registers_read, registers_written, row_of

if TYPE_CHECKING:
    from skep.isa.assembler import Assembly, HelperNumber, assemble
    from skep.isa.disassembler import HelperName, Line, disassemble, instruction_text, listing, log_text
    from skep.isa.symbols import Symbol, SymbolKind
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

_LATER = {
    "Assembly": "assembler",
    "HelperNumber": "assembler",
    "assemble": "assembler",
    "HelperName": "disassembler",
    "Line": "disassembler",
    "disassemble": "disassembler",
    "instruction_text": "disassembler",
    "listing": "disassembler",
    "log_text": "disassembler",
    "Symbol": "symbols",
    "SymbolKind": "symbols",
    "Dialect": "templates",
}


def __getattr__(name: str) -> object:
    """Load what is not there yet, once."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    globals()[name] = value
    return value
