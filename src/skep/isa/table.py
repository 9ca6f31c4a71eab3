"""The table of instructions: a row each, with its encoding, its text in both dialects, its age and its meaning.

Assembler, disassembler, encoder, engines and verifier all read this table and nothing beside it. What a row holds is
in :mod:`skep.isa.row`; the rows stand in ``rows_compute`` and ``rows_memory``.

Sources: RFC 9669, sections 4 and 5; LLVM 22's assembler for the kernel dialect; the public bpf_conformance suite and
ubpf for the mnemonic one, with names made up for what has none there (packet loads, acquire and release); Linux's
release notes for when it took an instruction.
"""

from __future__ import annotations

from typing import Final

from skep.isa import rows_compute, rows_memory
from skep.isa.instruction import Instruction
from skep.isa.row import RegisterRole, Row, Selector

__all__ = ["BY_NAME", "TABLE", "Row", "registers_read", "registers_written", "row_of", "rows_of_opcode"]

#: Every instruction, in the order of the RFC's sections.
TABLE: Final[tuple[Row, ...]] = (
    *rows_compute.arithmetic(),
    rows_compute.cast(),
    *rows_compute.swaps(),
    *rows_compute.jumps(),
    *rows_compute.calls(),
    *rows_memory.wide_loads(),
    *rows_memory.loads_and_stores(),
    *rows_memory.atomics(),
    *rows_memory.packet_loads(),
)

#: Rows by name.
BY_NAME: Final[dict[str, Row]] = {row.name: row for row in TABLE}


def _lookup() -> tuple[tuple[Selector, dict[int, Row]] | None, ...]:
    found: list[tuple[Selector, dict[int, Row]] | None] = [None] * 256
    for row in TABLE:
        entry = found[row.opcode]
        if entry is None:
            entry = found[row.opcode] = (row.selector, {})
        value = getattr(row, row.selector) if row.selector else 0
        assert entry[0] == row.selector, row.name
        assert value not in entry[1], row.name
        entry[1][value] = row
    return tuple(found)


_LOOKUP: Final = _lookup()


def row_of(instruction: Instruction) -> Row | None:
    """The row that an instruction belongs to, or None where its opcode or selecting field is not known.

    Reserved fields are not looked at (:func:`skep.isa.check` does); the second slot of a wide load has no row.
    """
    entry = _LOOKUP[instruction.opcode & 0xFF]
    if entry is None:
        return None
    selector, rows = entry
    if not selector:
        return rows[0]
    if selector == "imm":
        return rows.get(instruction.imm)
    return rows.get(instruction.offset if selector == "offset" else instruction.src)


def rows_of_opcode(opcode: int) -> tuple[Selector, dict[int, Row]] | None:
    """The selecting field of an opcode and the rows by its value, or None for an opcode that is no instruction."""
    return _LOOKUP[opcode] if 0 <= opcode <= 0xFF else None


def _numbers(roles: tuple[RegisterRole, ...], instruction: Instruction) -> tuple[int, ...]:
    return tuple(instruction.dst if role == "dst" else instruction.src if role == "src" else role for role in roles)


def registers_read(instruction: Instruction) -> tuple[int, ...]:
    """The registers that an instruction may read; for a call all argument registers, whatever the callee takes."""
    row = row_of(instruction)
    return () if row is None else _numbers(row.reads, instruction)


def registers_written(instruction: Instruction) -> tuple[int, ...]:
    """The registers that an instruction writes or, as calls and packet loads do with r1 to r5, makes unreadable."""
    row = row_of(instruction)
    return () if row is None else _numbers(row.writes, instruction)
