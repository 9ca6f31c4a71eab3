"""Instructions that came later than the first ones: what they are called together, what older kernels say to them.

Since when each exists is in the instruction table (:mod:`skep.isa.table`). A kernel rejects an opcode that it does
not know as a whole, and a known opcode with a meaning that it does not know by the field that selects the meaning.

Source: RFC 9669 (conformance groups), LLVM's documentation of ``-mcpu``; the messages are those of Linux 6.1, whose
verifier looks at fields before opcodes, and for what is older than that of the versions before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from skep.isa import Instruction
from skep.isa.opcodes import OPERATION_MASK


def _says(text: str) -> Callable[[Instruction], str]:
    return lambda instruction: text


def _unknown(instruction: Instruction) -> str:
    return f"unknown opcode {instruction.opcode:02x}"


def _invalid_jump(instruction: Instruction) -> str:
    return f"invalid BPF_JMP opcode {instruction.opcode & OPERATION_MASK:x}"


def _invalid_atomic(instruction: Instruction) -> str:
    return f"BPF_ATOMIC uses invalid atomic opcode {instruction.imm:02x}"


@dataclass(frozen=True, slots=True)
class Family:
    """Instructions that came together: their name for people, what an older kernel says, and what to do."""

    name: str
    complaint: Callable[[Instruction], str]
    advice: str


_V3: Final = "compile with -mcpu=v3"
NO_GLOBAL_DATA: Final = "keep the data in a map that the program looks up, or on the stack"

#: By how the names of rows start; the first that fits is taken.
FAMILIES: Final[tuple[tuple[str, Family], ...]] = (
    (
        "arsh32",
        Family(
            "32-bit arithmetic shift right", _says("BPF_ARSH not supported for 32 bit ALU"), "compile with -mcpu=v2"
        ),
    ),
    (
        "atomic",
        Family(
            "atomic operations beyond add",
            _says("BPF_XADD uses reserved fields"),
            "compile with -mcpu=v2 and add without using the result, or take a bpf_spin_lock (5.1) or a per-CPU map",
        ),
    ),
    ("load_acquire8", Family("load-acquire", _unknown, _V3)),
    ("load_acquire16", Family("load-acquire", _unknown, _V3)),
    ("store_release8", Family("store-release", _unknown, _V3)),
    ("store_release16", Family("store-release", _unknown, _V3)),
    ("load_acquire", Family("load-acquire", _invalid_atomic, "use an atomic exchange or add with its result (5.12)")),
    ("store_release", Family("store-release", _invalid_atomic, "use an atomic exchange (5.12)")),
    ("sdiv", Family("signed division", _says("BPF_ALU uses reserved fields"), _V3)),
    ("smod", Family("signed remainder", _says("BPF_ALU uses reserved fields"), _V3)),
    ("movsx", Family("sign-extending move", _says("BPF_MOV uses reserved fields"), _V3)),
    ("ldx_s", Family("sign-extending load", _says("BPF_LDX uses reserved fields"), _V3)),
    ("bswap", Family("unconditional byte swap", _unknown, _V3)),
    ("gotol", Family("long jump (gotol)", _unknown, _V3)),
    ("may_goto", Family("may_goto", _unknown, "give the loop a constant bound (5.3)")),
    ("addr_space_cast", Family("address space cast", _says("BPF_MOV uses reserved fields"), "do without an arena")),
    (
        "call_subprogram",
        Family(
            "calls of functions",
            _says("BPF_CALL uses reserved fields"),
            "have all functions inlined (static __always_inline)",
        ),
    ),
    ("lddw_map_value", Family("global data", _says("unrecognized bpf_ld_imm64 insn"), NO_GLOBAL_DATA)),
    (
        "lddw_map_index",
        Family("maps by index", _says("unrecognized bpf_ld_imm64 insn"), "refer to maps by descriptor"),
    ),
    (
        "lddw_ksym",
        Family(
            "kernel variables",
            _says("unrecognized bpf_ld_imm64 insn"),
            "find the address in /proc/kallsyms and give it to the program as a constant",
        ),
    ),
    (
        "lddw_function",
        Family(
            "callbacks", _says("unrecognized bpf_ld_imm64 insn"), "call the function in a loop with a constant bound"
        ),
    ),
)
_SHORT_JUMPS: Final = Family("jumps if less (jlt, jle, jslt, jsle)", _invalid_jump, "compile with -mcpu=v1")
_JUMPS_32: Final = Family("32-bit jumps", _unknown, "compile with -mcpu=v2")


def family_of(row_name: str) -> Family | None:
    """The family of an instruction that not every kernel has; None for those that are as old as BPF."""
    if row_name.startswith("j"):
        return _JUMPS_32 if "32" in row_name else _SHORT_JUMPS
    return next((family for start, family in FAMILIES if row_name.startswith(start)), None)
