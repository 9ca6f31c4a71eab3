"""Reads what the kernel's verifier prints of registers at log level 2, so that states can be compared."""

from __future__ import annotations

import re
from dataclasses import dataclass

from skep.verifier.numbers.scalar import S32_MAX, S32_MIN, S64_MAX, S64_MIN, U32
from skep.verifier.numbers.tnum import U64
from skep.verifier.states.register import Kind, Register

#: Least and greatest of each range, as the log names them, with what they are where it leaves them out.
_NAMES = {
    "umin": 0,
    "umax": U64,
    "smin": S64_MIN,
    "smax": S64_MAX,
    "umin32": 0,
    "umax32": U32,
    "smin32": S32_MIN,
    "smax32": S32_MAX,
}
_STEP = re.compile(r"^(\d+): \([0-9a-f]{2}\) [^;]*(?:; (?:frame\d+: )?(.*))?$")
_FACT = re.compile(r"R(\d+)=(scalar\([^()]*(?:\([^()]*\)[^()]*)*\)|-?(?:0x[0-9a-f]+|\d+)(?= |$))")

Facts = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Printed:
    """One instruction that the kernel followed, and the numbers it printed behind it, by register."""

    index: int
    numbers: dict[int, Facts]


def steps(log: str) -> list[Printed]:
    """Every instruction that was followed, in order."""
    found = []
    for line in log.splitlines():
        match = _STEP.match(line)
        if match:
            numbers = {int(register): _facts(text) for register, text in _FACT.findall(match[2] or "")}
            found.append(Printed(int(match[1]), numbers))
    return found


def _facts(text: str) -> Facts:
    if not text.startswith("scalar"):
        return (int(text, 0) & U64,)
    known = dict(_NAMES)
    bits = re.search(r"var_off=\((0x[0-9a-f]+|\d+); (0x[0-9a-f]+|\d+)\)", text)
    value, mask = (int(bits[1], 0), int(bits[2], 0)) if bits else (0, U64)
    for names, number in re.findall(r"((?:[su](?:min|max)(?:32)?=)+)(-?(?:0x[0-9a-f]+|\d+))", text):
        for name in names.rstrip("=").split("="):
            amount = int(number, 0)
            if name.startswith("s"):
                width = 32 if name.endswith("32") else 64
                amount = (amount + (1 << width - 1)) % (1 << width) - (1 << width - 1)
            known[name] = amount
    return (value, mask, *known.values())


def facts_of(register: Register) -> Facts | None:
    """The same of a register that holds a number: its value alone, if that is known."""
    if register.kind is not Kind.SCALAR:
        return None
    scalar = register.scalar
    if scalar.is_constant:
        return (scalar.value,)
    return scalar.facts
