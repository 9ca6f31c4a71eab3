"""Instructions to text, in the kernel's dialect, the mnemonic one, or exactly as the kernel's log prints them.

What the first two write, the assembler reads back to the same instructions and symbols, whatever the bytes: a slot
that is no instruction, or has reserved fields set, is written as ``.slot`` with the reason in a comment.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from skep.isa.check import problem
from skep.isa.codec import encode
from skep.isa.instruction import Instruction, Instructions, wide_immediate
from skep.isa.meaning import Branch, Call, Goto, MayGoto, WideLoad
from skep.isa.row import Row
from skep.isa.symbols import Symbol
from skep.isa.table import row_of
from skep.isa.templates import Dialect, pieces

Style = Literal["kernel", "mnemonic", "log"]

#: The name of the helper of a number, or None.
HelperName = Callable[[int], str | None]
#: A remark on the instruction at a slot, or None.
Remark = Callable[[int, Instruction], str | None]

_NAME: Final = re.compile(r"[A-Za-z_.$][\w.$@]*\Z", re.ASCII)
_RESERVED_NAME: Final = re.compile(r"([rw]\d+|pc|exit)\Z")


@dataclass(frozen=True, slots=True)
class Line:
    """One instruction as text: its slot, the labels in front of it, the text, and a remark for a comment."""

    slot: int
    text: str
    labels: tuple[str, ...] = ()
    remark: str | None = None


@dataclass(frozen=True, slots=True)
class _Context:
    """What the writers of placeholders look at: one instruction and the names known around it."""

    style: Style
    row: Row
    slot: int
    instruction: Instruction
    high: Instruction
    symbol: Symbol | None = None
    labels: Mapping[int, str] | None = None
    helpers: HelperName | None = None

    def label(self, distance: int) -> str | None:
        """The label at a distance in slots from the next one."""
        return None if self.labels is None else self.labels.get(self.slot + 1 + distance)


def _relative(context: _Context, distance: int) -> str:
    if context.style == "log":
        return f"pc{distance:+d}"
    return context.label(distance) or f"{distance:+d}"


def _memory_offset(context: _Context, offset: int) -> str:
    if context.style == "kernel":
        return f"{'-' if offset < 0 else '+'} {abs(offset)}"
    return f"{offset:+d}" if offset or context.style == "log" else ""


def _helper(context: _Context) -> str:
    number = context.instruction.imm & 0xFFFFFFFF
    name = context.helpers(number) if context.helpers is not None else None
    if context.style == "log":
        prefix = "bpf_" if name and not name.startswith("bpf_") else ""
        return f"{prefix}{name or 'unknown'}#{context.instruction.imm}"
    if name is None or (context.labels is not None and name in context.labels.values()):
        return str(number)
    return name


def _wide(context: _Context) -> str:
    value = wide_immediate(context.instruction, context.high)
    if (symbol := context.symbol) is not None and context.style != "log":
        return _as_name(symbol.name) + (f"{symbol.offset:+d}" if symbol.offset else "")
    return hex(value)


def _bracketed(name: str) -> str:
    """A symbol's name as it may stand in brackets: a damaged object's names may hold anything."""
    return "".join(char if char.isprintable() and char not in "[]" else "_" for char in name)


def _map(context: _Context, kind: str, in_value: bool) -> str:
    name = _bracketed(context.symbol.name) if context.symbol else f"{kind}:{context.instruction.imm & 0xFFFFFFFF}"
    if not in_value:
        return f"map[{name}]"
    return f"map[{name}][0]+{context.high.imm & 0xFFFFFFFF}"


def _identified(context: _Context, what: str, descriptor: int) -> str:
    if context.style == "log":
        return f"{context.symbol.name if context.symbol else 'unknown'}#{context.instruction.imm}"
    if context.symbol is not None:
        return f"{what}[{_bracketed(context.symbol.name)}]"
    number = context.instruction.imm & 0xFFFFFFFF
    return f"{what}[id:{number}, fd:{descriptor}]" if descriptor else f"{what}[id:{number}]"


def _compared(context: _Context) -> str:
    imm = context.instruction.imm
    return hex(imm & 0xFFFFFFFF) if context.style == "log" else str(imm)


def _register(context: _Context, number: int, letter: str = "r") -> str:
    return f"%r{number}" if context.style == "mnemonic" else f"{letter}{number}"


_WRITERS: Final[dict[str, Callable[[_Context], str]]] = {
    "dst": lambda context: _register(context, context.instruction.dst),
    "src": lambda context: _register(context, context.instruction.src),
    "dst32": lambda context: _register(context, context.instruction.dst, "w"),
    "src32": lambda context: _register(context, context.instruction.src, "w"),
    "imm": lambda context: str(context.instruction.imm),
    "compared": _compared,
    "off": lambda context: _memory_offset(context, context.instruction.offset),
    "off_imm": lambda context: _memory_offset(context, context.instruction.imm),
    "target": lambda context: _relative(context, context.instruction.offset),
    "far": lambda context: _relative(context, context.instruction.imm),
    "callee": lambda context: _relative(context, context.instruction.imm),
    "helper": _helper,
    "kfunc": lambda context: _identified(context, "kfunc", context.instruction.offset),
    "wide": _wide,
    "map": lambda context: _map(context, "fd", in_value=False),
    "value": lambda context: _map(context, "fd", in_value=True),
    "map_index": lambda context: _map(context, "idx", in_value=False),
    "value_index": lambda context: _map(context, "idx", in_value=True),
    "ksym": lambda context: _identified(context, "ksym", context.high.imm & 0xFFFFFFFF),
    "function": lambda context: (
        f"subprog[{context.label(context.instruction.imm) or f'{context.instruction.imm:+d}'}]"
    ),
    "to": lambda context: str(context.instruction.imm >> 16 & 0xFFFF),
    "from": lambda context: str(context.instruction.imm & 0xFFFF),
}

_NO_SLOT: Final = Instruction(0)


def _write(context: _Context) -> str:
    row = context.row
    if context.style == "log":
        template = row.log
    elif context.style == "mnemonic":
        template = row.mnemonic[0]
    else:
        template = row.kernel[0]
        if row.name.startswith("ldind") and context.instruction.imm:
            template = row.kernel[1]
    return "".join(_WRITERS[text](context) if is_placeholder else text for text, is_placeholder in pieces(template))


def _raw_slot(instruction: Instruction) -> str:
    return f".slot {int.from_bytes(encode((instruction,)), 'little'):#018x}"


def instruction_text(
    instruction: Instruction,
    following: Instruction | None = None,
    *,
    dialect: Dialect = "kernel",
    helpers: HelperName | None = None,
) -> str:
    """One instruction as text, jumps as distances. ``following`` is the next slot, which wide loads need.

    What is no instruction is written as ``.slot`` with its eight bytes as a number.
    """
    row = row_of(instruction)
    if row is None or problem(instruction, following) is not None:
        return _raw_slot(instruction)
    return _write(_Context(dialect, row, 0, instruction, following or _NO_SLOT, helpers=helpers))


def log_text(
    instruction: Instruction,
    following: Instruction | None = None,
    *,
    helpers: HelperName | None = None,
    kfunc: str | None = None,
) -> str:
    """One instruction as Linux's verifier log prints it: ``(61) r0 = *(u32 *)(r1 +4)``, distances as ``pc+3``.

    ``kfunc`` is the name of the kernel function that the instruction calls, if it calls one. A wide load prints its
    64 bits, whatever they stand for. Reserved fields are not looked at; an opcode that is none prints ``BUG_ff``.
    """
    row = row_of(instruction)
    if row is None:
        return f"({instruction.opcode:02x}) BUG_{instruction.opcode:02x}"
    symbol = Symbol("kfunc", kfunc) if kfunc is not None else None
    context = _Context("log", row, 0, instruction, following or _NO_SLOT, symbol, helpers=helpers)
    return f"({instruction.opcode:02x}) {_write(context)}"


def disassemble(
    instructions: Instructions,
    *,
    dialect: Dialect = "kernel",
    functions: Mapping[int, str] | None = None,
    symbols: Mapping[int, Symbol] | None = None,
    helpers: HelperName | None = None,
    remark: Remark | None = None,
) -> list[Line]:
    """A program as lines of text.

    ``functions`` names slots where functions start, ``symbols`` the references by slot, ``helpers`` helpers by
    number; ``remark`` may add a comment to an instruction. Jump targets without a name are labelled ``L<slot>``.
    Names that assembly could not read back as names are changed so that it can.
    """
    labels = _labels(instructions, functions or {})
    lines: list[Line] = []
    slot = 0
    while slot < len(instructions):
        instruction = instructions[slot]
        following = instructions[slot + 1] if slot + 1 < len(instructions) else None
        row = row_of(instruction)
        trouble = problem(instruction, following)
        note = remark(slot, instruction) if remark is not None else None
        if row is None or trouble is not None:
            text, note = _raw_slot(instruction), "; ".join(part for part in (trouble, note) if part)
        else:
            symbol = symbols.get(slot) if symbols else None
            text = _write(_Context(dialect, row, slot, instruction, following or _NO_SLOT, symbol, labels, helpers))
        label = (labels[slot],) if slot in labels else ()
        lines.append(Line(slot, text, label, note))
        slot += 2 if row is not None and row.is_wide and trouble is None else 1
    return lines


def listing(lines: Iterable[Line]) -> str:
    """Lines as text for a file: labels at the margin, instructions indented, remarks as aligned comments."""
    rows = list(lines)
    width = min(max((len(line.text) for line in rows if line.remark), default=0), 48)
    parts = []
    for line in rows:
        parts += [f"{label}:\n" for label in line.labels]
        remark = (line.remark or "").replace("\n", " ")
        parts.append(f"    {line.text:<{width}}  # {remark}\n" if remark else f"    {line.text}\n")
    return "".join(parts)


def _as_name(text: str) -> str:
    """A text as a name that assembly reads as one."""
    return text if _NAME.match(text) else re.sub(r"[^\w.$@]", "_", f"_{text}", flags=re.ASCII)


def _labels(instructions: Instructions, functions: Mapping[int, str]) -> dict[int, str]:
    """A unique, readable name for each slot that a function starts at or a jump leads to."""
    starts, targets = _starts_and_targets(instructions)
    names: dict[int, str] = {}
    taken: set[str] = set()
    for slot in sorted({*functions, *targets}):
        if slot not in starts:
            continue
        wanted = functions.get(slot, f"L{slot}")
        name = _as_name(wanted)
        while name in taken or _RESERVED_NAME.match(name):
            name += "_"
        names[slot] = name
        taken.add(name)
    return names


def _starts_and_targets(instructions: Sequence[Instruction]) -> tuple[set[int], set[int]]:
    starts: set[int] = set()
    targets: set[int] = set()
    slot = 0
    while slot < len(instructions):
        instruction = instructions[slot]
        following = instructions[slot + 1] if slot + 1 < len(instructions) else None
        starts.add(slot)
        row = row_of(instruction)
        if row is None or problem(instruction, following) is not None:
            slot += 1
            continue
        match row.meaning:
            case Branch() | MayGoto() | Goto(far=False):
                targets.add(slot + 1 + instruction.offset)
            case Goto(far=True) | Call(target="subprogram") | WideLoad(refers="function"):
                targets.add(slot + 1 + instruction.imm)
            case _:
                pass
        slot += 2 if row.is_wide else 1
    return starts, targets
