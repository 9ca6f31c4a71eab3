"""What a row of the instruction table holds.

A row fixes some fields of a slot and leaves others free. An instruction belongs to the row of its opcode whose fixed
*selecting* field it carries: the immediate for atomics and byte swaps, the offset for division and moves, the source
field for wide loads and calls. Fixed fields that do not select are reserved: they must hold what the row says,
mostly 0.

Text forms are templates: words, and placeholders that :mod:`skep.isa.templates` documents. The first form of a
dialect is the one that is written, all are read. ``log`` is how the kernel's verifier log and ``bpftool prog dump
xlated`` write the instruction, where that differs by more than spacing and number formats.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from skep.isa import meaning
from skep.isa.meaning import Meaning

#: A register that an instruction reads or writes: by the field that names it, or by number.
RegisterRole = Literal["dst", "src"] | int

Selector = Literal["", "src", "offset", "imm"]


@dataclass(frozen=True, slots=True)
class Row:
    """One instruction. In ``dst``, ``src``, ``offset``, ``imm`` None is a free field and a number a fixed one.

    ``selector`` names the field that tells rows of one opcode apart, "" where the opcode is enough.
    ``high`` is the second slot's immediate of a wide load: None free, 0 fixed. ``operand`` says whether the right
    operand of arithmetic, a comparison or a store is the source register or the immediate.

    ``linux`` is the first release whose verifier accepts the form, ``mcpu`` the first ``-mcpu`` for which LLVM
    generates it (its assembler accepts every form at any setting); None where neither ever does.
    """

    name: str
    opcode: int
    meaning: Meaning
    kernel: tuple[str, ...]
    mnemonic: tuple[str, ...]
    log: str
    dst: int | None = 0
    src: int | None = 0
    offset: int | None = 0
    imm: int | None = 0
    high: int | None = 0
    selector: Selector = ""
    operand: Literal["src", "imm"] | None = None
    reads: tuple[RegisterRole, ...] = ()
    writes: tuple[RegisterRole, ...] = ()
    mcpu: int | None = 1
    linux: str | None = "3.18"

    @property
    def is_wide(self) -> bool:
        """Whether the instruction takes two slots."""
        return isinstance(self.meaning, meaning.WideLoad)

    @property
    def is_jump(self) -> bool:
        """Whether control may go elsewhere than to the next instruction and stay in the function."""
        return isinstance(self.meaning, meaning.Branch | meaning.Goto | meaning.MayGoto)
