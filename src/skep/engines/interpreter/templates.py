"""What the interpreter does for each instruction, as one line or a few lines of Python with blanks.

A template is filled in twice: with `r[d]`-like operands into a function for that one instruction (stepping, and
code that has not run often), and with local names and numbers into a function for a whole stretch of instructions
(``fusion``). So both ways of running are the same text, and the tests hold that text against ``skep.isa.meaning``.

The blanks: ``{d}`` and ``{s}`` are the destination and the right operand (register, or immediate already extended
to the width), ``{b}`` the base register of a memory operand and ``{o}`` its offset, ``{r0}`` register 0, ``{slot}``
where the instruction stands, ``{next}`` the slot behind it and ``{target}`` the slot it jumps to, ``{f}`` an object
that the template brings along, ``{frame}`` and ``{cells}`` the memory of the current stack frame and what is known
of the memory that each instruction reached last. ``e`` is the execution, ``r`` its registers.

A register that was never written holds None. Python itself finds its use: every operator but ``==`` raises TypeError
for it, so templates compare with ``^`` and copy with a unary ``+``; that costs nothing while all is well.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from skep.isa import meaning as isa
from skep.isa.instruction import Instruction

M64 = "0xFFFFFFFFFFFFFFFF"
M32 = "0xFFFFFFFF"
SIGN64 = "0x8000000000000000"
SIGN32 = "0x80000000"

#: 64-bit arithmetic. With a zero divisor the operands are still touched, so that an unwritten one is noticed.
ALU64 = {
    "add": "{d} = ({d} + {s}) & " + M64,
    "sub": "{d} = ({d} - {s}) & " + M64,
    "mul": "{d} = ({d} * {s}) & " + M64,
    "div": "{d} = {d} // {s} if +{s} else {d} & 0",
    "mod": "{d} = {d} % {s} if +{s} else +{d}",
    "or": "{d} = {d} | {s}",
    "and": "{d} = {d} & {s}",
    "xor": "{d} = {d} ^ {s}",
    "lsh": "{d} = ({d} << ({s} & 63)) & " + M64,
    "rsh": "{d} = {d} >> ({s} & 63)",
    "arsh": f"{{d}} = (({{d}} ^ {SIGN64}) - {SIGN64} >> ({{s}} & 63)) & {M64}",
    "neg": "{d} = -{d} & " + M64,
    "mov": "{d} = +{s}",
}

#: 32-bit arithmetic: the low half is taken where the upper one could reach the result.
ALU32 = {
    "add": "{d} = ({d} + {s}) & " + M32,
    "sub": "{d} = ({d} - {s}) & " + M32,
    "mul": "{d} = ({d} * {s}) & " + M32,
    "div": f"n = {{s}} & {M32}\n{{d}} = ({{d}} & {M32}) // n if n else {{d}} & 0",
    "mod": f"n = {{s}} & {M32}\n{{d}} = ({{d}} & {M32}) % n if n else {{d}} & {M32}",
    "or": "{d} = ({d} | {s}) & " + M32,
    "and": "{d} = {d} & {s} & " + M32,
    "xor": "{d} = ({d} ^ {s}) & " + M32,
    "lsh": "{d} = ({d} << ({s} & 31)) & " + M32,
    "rsh": f"{{d}} = ({{d}} & {M32}) >> ({{s}} & 31)",
    "arsh": f"{{d}} = (({{d}} & {M32} ^ {SIGN32}) - {SIGN32} >> ({{s}} & 31)) & {M32}",
    "neg": "{d} = -{d} & " + M32,
    "mov": "{d} = {s} & " + M32,
}

#: Signed division is rare enough to leave to the instruction table.
FROM_TABLE = "{d} = {f}({d}, {s})"

#: Signed comparison is unsigned comparison with both sign bits turned over.
CONDITION64 = {
    "eq": "not {d} ^ {s}",
    "ne": "{d} ^ {s}",
    "set": "{d} & {s}",
    "gt": "{d} > {s}",
    "ge": "{d} >= {s}",
    "lt": "{d} < {s}",
    "le": "{d} <= {s}",
    "sgt": f"({{d}} ^ {SIGN64}) > ({{s}} ^ {SIGN64})",
    "sge": f"({{d}} ^ {SIGN64}) >= ({{s}} ^ {SIGN64})",
    "slt": f"({{d}} ^ {SIGN64}) < ({{s}} ^ {SIGN64})",
    "sle": f"({{d}} ^ {SIGN64}) <= ({{s}} ^ {SIGN64})",
}

CONDITION32 = {
    "eq": f"not ({{d}} ^ {{s}}) & {M32}",
    "ne": f"({{d}} ^ {{s}}) & {M32}",
    "set": f"{{d}} & {{s}} & {M32}",
    "gt": f"({{d}} & {M32}) > ({{s}} & {M32})",
    "ge": f"({{d}} & {M32}) >= ({{s}} & {M32})",
    "lt": f"({{d}} & {M32}) < ({{s}} & {M32})",
    "le": f"({{d}} & {M32}) <= ({{s}} & {M32})",
    "sgt": f"({{d}} & {M32} ^ {SIGN32}) > ({{s}} & {M32} ^ {SIGN32})",
    "sge": f"({{d}} & {M32} ^ {SIGN32}) >= ({{s}} & {M32} ^ {SIGN32})",
    "slt": f"({{d}} & {M32} ^ {SIGN32}) < ({{s}} & {M32} ^ {SIGN32})",
    "sle": f"({{d}} & {M32} ^ {SIGN32}) <= ({{s}} & {M32} ^ {SIGN32})",
}

#: A memory operand. A cell says from where to where an access may begin and through which view the bytes are reached;
#: outside it the execution looks the address up, and makes a new cell if the access is in order. Blanks like
#: ``{size}`` that are the same wherever the template is used are filled in here.
ADDRESS = "a = ({b} + {o}) & " + M64 + "\nlow, high, view = {cells}[{slot}]\n"
LOAD = ADDRESS + "if low <= a <= high: {d}, = read{size}(view, a - low)\nelse: {d} = e.load({slot}, a, {size})"
SIGN_EXTEND = "\n{d} = ({d} ^ {sign}) - {sign} & " + M64
STORE = (
    "n = {s} & {mask}\n"
    + ADDRESS
    + "if low <= a <= high: write{size}(view, a - low, n)\nelse: e.store({slot}, a, {size}, n)"
)

#: The same relative to r10, which never changes within a frame: the place is known beforehand.
FRAME_LOAD = "{d}, = read{size}({frame}, {place})"
FRAME_STORE = "write{size}({frame}, {place}, {s} & {mask})"

#: Atomic instructions exclude each other among interpreters on other threads by one lock.
ATOMIC = (
    "n = {s} & {mask}\n"
    + ADDRESS
    + "if not low <= a <= high or a & {size} - 1: low, high, view = e.reach({slot}, a, {size})\n"
    + "with exclusive:\n"
    + "    old, = read{size}(view, a - low)\n"
    + "    write{size}(view, a - low, {update})"
)
UPDATES = {
    "add": "(old + n) & {mask}",
    "or": "old | n",
    "and": "old & n",
    "xor": "old ^ n",
    "xchg": "n",
    "cmpxchg": "n if not old ^ {r0} & {mask} else old",
}

#: The condition of a jump that is always taken.
ALWAYS = "True"

#: Bytes of stack in one frame: MAX_BPF_STACK of Linux.
FRAME_SIZE = 512


@dataclass(frozen=True, slots=True)
class Template:
    """The text for an instruction, and how it goes on from there.

    ``text`` has statements, or for a conditional jump the condition, or for a ``leaves`` instruction the expression
    whose value is the next slot (None: look at the execution). ``constant`` is what the blank ``{f}`` stands for.
    """

    text: str
    jumps: bool = False
    leaves: bool = False
    constant: object = None

    @property
    def is_straight(self) -> bool:
        """Whether control always goes on to the instruction behind."""
        return not (self.jumps or self.leaves)


def template(meaning: isa.Meaning, instruction: Instruction) -> Template:
    """The template of an instruction with that meaning."""
    return _CHOICES[type(meaning)](meaning, instruction)


def refusal(text: str) -> Template:
    """The template of what cannot be executed: reaching it is a fault that says ``text``."""
    return Template("e.refuse({slot}, {f})", leaves=True, constant=text)


def _with(text: str, **known: object) -> str:
    """``text`` with some of its blanks filled in."""
    for name, value in known.items():
        text = text.replace(f"{{{name}}}", str(value))
    return text


def _mask(size: int) -> str:
    return hex((1 << size * 8) - 1)


def _alu(meaning: isa.Alu, instruction: Instruction) -> Template:
    if meaning.sign_bits:
        mask, sign = hex((1 << meaning.sign_bits) - 1), hex(1 << meaning.sign_bits - 1)
        return Template(f"{{d}} = ({{s}} & {mask} ^ {sign}) - {sign} & {M64 if meaning.width == 64 else M32}")
    texts = ALU64 if meaning.width == 64 else ALU32
    if meaning.operation in texts:
        return Template(texts[meaning.operation])
    return Template(FROM_TABLE, constant=meaning.compute)


def _swap(meaning: isa.Swap, instruction: Instruction) -> Template:
    size = meaning.bits // 8
    low = f"({{d}} & {_mask(size)})"
    if meaning.operation == ("le" if sys.byteorder == "little" else "be"):
        return Template(f"{{d}} = {low}")
    return Template(f'{{d}} = from_bytes({low}.to_bytes({size}, "little"), "big")')


def _branch(meaning: isa.Branch, instruction: Instruction) -> Template:
    return Template((CONDITION64 if meaning.width == 64 else CONDITION32)[meaning.condition], jumps=True)


def _frame_place(base: int, offset: int, size: int) -> int | None:
    """Where in the frame an access lies that is known to stay inside, else None."""
    return FRAME_SIZE + offset if base == 10 and -FRAME_SIZE <= offset <= -size else None


def _load(meaning: isa.Load | isa.LoadAcquire, instruction: Instruction) -> Template:
    size = meaning.size
    place = _frame_place(instruction.src, instruction.offset, size)
    text = LOAD if place is None else FRAME_LOAD
    if isinstance(meaning, isa.Load) and meaning.is_signed:
        text += SIGN_EXTEND
    return Template(_with(text, size=size, place=place, sign=hex(1 << size * 8 - 1)))


def _store(meaning: isa.Store | isa.StoreRelease, instruction: Instruction) -> Template:
    size = meaning.size
    place = _frame_place(instruction.dst, instruction.offset, size)
    text = STORE if place is None else FRAME_STORE
    return Template(_with(text, size=size, place=place, mask=_mask(size)))


def _atomic(meaning: isa.Atomic, instruction: Instruction) -> Template:
    text = ATOMIC
    if meaning.result is not None:
        text += "\n{s} = old" if meaning.result == "src" else "\n{r0} = old"
    return Template(_with(text, update=UPDATES[meaning.operation], size=meaning.size, mask=_mask(meaning.size)))


def _call(meaning: isa.Call, instruction: Instruction) -> Template:
    calls = {
        "helper": "e.call_helper({slot}, {next}, {k})",
        "subprogram": "e.enter({target}, {next})",
        "kfunc": "e.call_kfunc({slot}, {next})",
        "register": "e.call_register({slot}, {next}, {d})",
    }
    return Template(calls[meaning.target], leaves=True)


_CHOICES: dict[type, Callable[[Any, Instruction], Template]] = {
    isa.Alu: _alu,
    isa.Swap: _swap,
    isa.Branch: _branch,
    isa.Goto: lambda meaning, instruction: Template(ALWAYS, jumps=True),
    isa.MayGoto: lambda meaning, instruction: Template("e.is_tired()", jumps=True),
    isa.Load: _load,
    isa.LoadAcquire: _load,
    isa.Store: _store,
    isa.StoreRelease: _store,
    isa.Atomic: _atomic,
    isa.WideLoad: lambda meaning, instruction: Template("{d} = {k}"),
    isa.PacketLoad: lambda meaning, instruction: Template(
        f"e.load_packet({{next}}, {meaning.size}, {{k}}{' + {s}' if meaning.indirect else ''})", leaves=True
    ),
    isa.Call: _call,
    isa.Exit: lambda meaning, instruction: Template("e.leave()", leaves=True),
    # Both address spaces of an arena are this process's own, so a pointer means the same in either.
    isa.AddressSpaceCast: lambda meaning, instruction: Template("{d} = +{s}"),
}
