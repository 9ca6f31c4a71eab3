"""Random functions inside the language, as source text; and the machinery that turns text into functions."""

from __future__ import annotations

import itertools
import linecache
import random
from typing import Any

import skep.lang
from skep.lang import Function, function, make_struct

INTEGERS = ("u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64")
_names = itertools.count()

#: Structures whose fields random functions use; the names of the fields are those of their types.
Mixed = make_struct("Mixed", {kind: getattr(skep.lang, kind) for kind in INTEGERS})
Tight = make_struct("Tight", {kind: getattr(skep.lang, kind) for kind in INTEGERS}, packed=True)
LANGUAGE = {name: getattr(skep.lang, name) for name in skep.lang.__all__}


def from_text(text: str, **names: Any) -> Function[..., Any]:
    """The function that ``text`` defines, written as if in a file of its own."""
    file = f"<text {next(_names)}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    space: dict[str, Any] = {"__name__": "text", "Mixed": Mixed, "Tight": Tight, **LANGUAGE, **names}
    exec(compile(text, file, "exec", dont_inherit=True), space)
    made: Any = space["made"]
    return made if isinstance(made, Function) else function(made)


class Writer:
    """Writes one random function ``made(a: u64, b: u64) -> u64`` whose every value is defined."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.lines: list[str] = []
        self.variables: dict[str, str] = {"a": "u64", "b": "u64"}
        self.fixed: set[str] = {"a", "b"}
        self.loops = 0

    def function(self) -> str:
        self.lines = ["def made(a: u64, b: u64) -> u64:"]
        for kind in self.random.sample(INTEGERS, 4):
            self.declare(kind, 1)
        self.line(1, "row = array(u32, 8)")
        for name in ("mixed", "tight"):
            self.line(1, f"{name} = {name.title()}()")
            self.variables |= {f"{name}.{kind}": kind for kind in self.random.sample(INTEGERS, 3)}
        for _ in range(self.random.randint(2, 6)):
            self.statement(1, 2)
        total = " ^ ".join(f"rotate_left(u64({name}), {7 * at % 64})" for at, name in enumerate(self.variables))
        self.line(1, f"return {total} ^ u64(row[{self.random.randrange(8)}])")
        return "\n".join(self.lines) + "\n"

    def line(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    def declare(self, kind: str, depth: int) -> None:
        name = f"v{len(self.variables)}"
        # The value first: it may not name what it defines.
        value = self.expression(kind, 2)
        self.line(depth, f"{name}: {kind} = {value}")
        self.variables[name] = kind

    def statement(self, depth: int, budget: int) -> None:
        choice = self.random.randrange(7) if budget else 0
        targets = [name for name in self.variables if name not in self.fixed]
        if choice <= 2:
            name = self.random.choice(targets)
            kind = self.variables[name]
            if self.random.random() < 0.4:
                operator = self.random.choice(("+=", "-=", "*=", "^=", "|=", "&=", "//=", "%="))
                self.line(depth, f"{name} {operator} {self.expression(kind, 2)}")
            else:
                self.line(depth, f"{name} = {self.expression(kind, 3)}")
        elif choice == 3:
            self.line(depth, f"row[{self.expression('u64', 1)} & 7] = {self.expression('u32', 2)}")
        elif choice == 4:
            self.line(depth, f"if {self.condition(3)}:")
            self.statement(depth + 1, budget - 1)
            if self.random.random() < 0.6:
                self.line(depth, "else:")
                self.statement(depth + 1, budget - 1)
        elif choice == 5:
            self.counted(depth, budget)
        else:
            self.waiting(depth, budget)

    def counted(self, depth: int, budget: int) -> None:
        self.loops += 1
        name = f"k{self.loops}"
        step = self.random.choice((1, 2, -1, -2))
        bounds = self.random.choice(
            (
                str(self.random.randrange(6)),
                f"u16({self.expression('u64', 1)} & 7)",
                f"{self.random.randrange(-5, 3)}, {self.random.randrange(-3, 6)}, {step}",
                f"i8({self.random.randrange(100, 128)}), i8(127), {self.random.choice((1, 3, 50))}",
                f"u8({self.random.randrange(10)}), 0, -{self.random.choice((1, 3, 7))}",
            )
        )
        self.line(depth, f"for {name} in range({bounds}):")
        if self.random.random() < 0.3:
            self.line(depth + 1, f"if {self.condition(2)}:")
            self.line(depth + 2, self.random.choice(("break", "continue")))
        self.line(depth + 1, f"row[{self.random.randrange(8)}] += u32({name})")
        self.statement(depth + 1, budget - 1)

    def waiting(self, depth: int, budget: int) -> None:
        self.loops += 1
        name = f"n{self.loops}"
        self.line(depth, f"{name}: u32 = 0")
        self.line(depth, f"while {name} < {self.random.randrange(1, 5)} and {self.condition(2)}:")
        self.line(depth + 1, f"{name} += 1")
        self.statement(depth + 1, budget - 1)

    def condition(self, budget: int) -> str:
        choice = self.random.randrange(6) if budget > 0 else 0
        kind = self.random.choice(INTEGERS)
        if choice <= 1:
            operator = self.random.choice(("==", "!=", "<", "<=", ">", ">="))
            right = self.operand(kind, budget - 1)
            return f"({self.expression(kind, budget - 1)} {operator} {right})"
        if choice == 2:
            return f"({self.condition(budget - 1)} {self.random.choice(('and', 'or'))} {self.condition(budget - 1)})"
        if choice == 3:
            return f"(not {self.condition(budget - 1)})"
        if choice == 4:
            parts = [self.expression(kind, budget - 1) for _ in range(3)]
            first, second = (self.random.choice(("<", "<=", "==", "!=", ">")) for _ in range(2))
            return f"({parts[0]} {first} {parts[1]} {second} {parts[2]})"
        name = self.random.choice(("add_overflows", "sub_overflows", "multiply_overflows"))
        return f"{name}({self.expression(kind, budget - 1)}, {self.expression(kind, budget - 1)})"

    def literal(self, kind: str) -> int:
        bits, signed = int(kind[1:]), kind[0] == "i"
        low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
        interesting = (low, high, 0, 1, 2, 3, 7, high - 1, high // 2, low // 2)
        if self.random.random() < 0.7:
            return self.random.choice(interesting)
        return self.random.randint(low, high)

    def operand(self, kind: str, budget: int) -> str:
        return str(self.literal(kind)) if self.random.random() < 0.25 else self.expression(kind, budget)

    def expression(self, kind: str, budget: int) -> str:
        if budget <= 0 or self.random.random() < 0.1:
            names = [name for name, its in self.variables.items() if its == kind]
            if names and self.random.random() < 0.7:
                return self.random.choice(names)
            if self.random.random() < 0.5:
                return f"{kind}({self.random.choice(list(self.variables))})"
            return f"{kind}({self.literal(kind)})"
        inner = budget - 1
        choice = self.random.randrange(10)
        if choice <= 3:
            operator = self.random.choice(("+", "-", "*", "&", "|", "^", "//", "%"))
            return f"({self.expression(kind, inner)} {operator} {self.operand(kind, inner)})"
        if choice == 4:
            operator = self.random.choice(("<<", ">>"))
            amount = self.expression(self.random.choice(INTEGERS), inner)
            if self.random.random() < 0.5:
                amount = str(self.random.randrange(int(kind[1:])))
            return f"({self.expression(kind, inner)} {operator} {amount})"
        if choice == 5:
            return f"({self.random.choice(('-', '~'))}{self.expression(kind, inner)})"
        if choice == 6:
            return f"{kind}({self.expression(self.random.choice(INTEGERS), inner)})"
        if choice == 7:
            return f"({self.expression(kind, inner)} if {self.condition(inner)} else {self.expression(kind, inner)})"
        if choice == 8:
            names = ["min", "max", "add_saturating", "sub_saturating"]
            if kind[0] == "u":
                names.append("multiply_high")
            return f"{self.random.choice(names)}({self.expression(kind, inner)}, {self.expression(kind, inner)})"
        name = self.random.choice(("byte_swap", "popcount", "leading_zeros", "trailing_zeros", "rotate_left", "abs"))
        if name == "rotate_left":
            name = self.random.choice(("rotate_left", "rotate_right"))
            return f"{name}({self.expression(kind, inner)}, {self.random.randrange(int(kind[1:]))})"
        return f"{name}({self.expression(kind, inner)})"
