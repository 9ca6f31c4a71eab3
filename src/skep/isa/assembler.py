"""Text to instructions, in the kernel's dialect, the mnemonic one, or a mixture that each line tells for itself.

A line is labels (``name:``), then one instruction, then a comment. A listing's ``12:`` in front of an instruction is
skipped; the opcode in ``12: (bf)`` has to agree with the text. Directives of a compiler that hold no code are skipped
too. ``.slot 0x95`` is eight bytes
as a number, least significant first. Names stand for distances (labels), helper numbers (the caller's resolver
says which) and what a loader resolves (:class:`Symbol`); a jump to ``exit`` where no label has that name leads to the
first ``exit`` instruction, as in the bpf_conformance suite.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

from skep.errors import AssemblyError
from skep.isa import opcodes
from skep.isa.codec import decode
from skep.isa.instruction import Instruction, Instructions
from skep.isa.meaning import signed
from skep.isa.row import Row
from skep.isa.symbols import Symbol, SymbolKind
from skep.isa.table import BY_NAME, TABLE
from skep.isa.templates import Capture, Dialect, Grammar, Match, grammar, readable
from skep.isa.tokens import Token, TokenError, tokens_of

#: The number of the helper of a name, or None.
HelperNumber = Callable[[str], int | None]

#: What listings put before an instruction: its index, and in the kernel's log its opcode.
_LISTING: Final = re.compile(r"\s*\d+:(?:\s*\(([0-9a-f]{2})\))?(?=\s|$)")

#: A directive, as opposed to a label whose name starts with a dot.
_DIRECTIVE: Final = re.compile(r"\s*(\.\w+)(?=\s|$)", re.ASCII)

#: Directives of compilers that place no code.
_IGNORED_DIRECTIVES: Final = frozenset(
    (
        ".addrsig",
        ".addrsig_sym",
        ".file",
        ".global",
        ".globl",
        ".ident",
        ".p2align",
        ".size",
        ".text",
        ".type",
        ".weak",
    )
)

#: How keys of tokens are called in messages.
_KEY_NAMES: Final = {
    "R": "a register (r0 to r10)",
    "W": "a 32-bit register (w0 to w10)",
    "N": "a number",
    "L": "a name",
}


@dataclass(frozen=True, slots=True)
class Assembly:
    """What a text says: ``labels`` and ``symbols`` by name and by slot, ``lines`` from slots to lines of the text."""

    instructions: Instructions
    labels: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    symbols: Mapping[int, Symbol] = field(default_factory=lambda: MappingProxyType({}))
    lines: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}))


class _Problem(Exception):
    """Something wrong at a column of the line being read."""

    def __init__(self, problem: str, column: int) -> None:
        super().__init__(problem)
        self.problem = problem
        self.column = column


@dataclass(slots=True)
class _Draft:
    """An instruction being read: the values of its fields so far, and the name it waits for."""

    row: Row
    slot: int
    line: int
    text: str
    values: dict[str, int] = field(default_factory=dict)
    label: Token | None = None
    label_field: Literal["offset", "imm"] = "imm"
    symbol: Symbol | None = None

    def set(self, name: str, value: int, column: int) -> None:
        if self.values.setdefault(name, value) != value:
            raise _Problem(f"the registers of {self.row.name} written twice must be the same", column)

    def build(self) -> list[Instruction]:
        row, values = self.row, self.values
        slots = [
            Instruction(
                row.opcode,
                values.get("dst", row.dst or 0),
                values.get("src", row.src or 0),
                values.get("offset", row.offset or 0),
                values.get("imm", row.imm or 0),
            )
        ]
        if row.is_wide:
            slots.append(Instruction(0, imm=values.get("high", 0)))
        return slots


def assemble(
    text: str,
    *,
    dialect: Dialect | None = None,
    helpers: HelperNumber | None = None,
    file: str | None = None,
) -> Assembly:
    """Read assembly text.

    ``dialect`` None takes either dialect, line by line. ``helpers`` gives the number of a helper's name; a call of a
    name that is a label calls the subprogram there. ``file`` is for messages only. Raises :class:`AssemblyError`.
    """
    return _Assembler(grammar(dialect), helpers, file).run(text)


class _Assembler:
    def __init__(self, grammar: Grammar, helpers: HelperNumber | None, file: str | None) -> None:
        self.grammar = grammar
        self.helpers = helpers
        self.file = file
        self.labels: dict[str, int] = {}
        self.parts: list[_Draft | Instruction] = []
        self.lines: dict[int, int] = {}
        self.slot = 0

    def run(self, text: str) -> Assembly:
        for number, line in enumerate(text.split("\n"), 1):
            try:
                self._read_line(line, number)
            except (TokenError, _Problem) as error:
                raise self._error(error, number, line) from None
        labels = MappingProxyType(dict(self.labels))
        for part in self.parts:
            if isinstance(part, _Draft) and part.row is BY_NAME["exit"]:
                self.labels.setdefault("exit", part.slot)
                break
        instructions: list[Instruction] = []
        symbols = {}
        for part in self.parts:
            if isinstance(part, Instruction):
                instructions.append(part)
                continue
            try:
                self._resolve(part)
            except _Problem as error:
                raise self._error(error, part.line, part.text) from None
            if part.symbol is not None:
                symbols[part.slot] = part.symbol
            instructions += part.build()
        return Assembly(tuple(instructions), labels, MappingProxyType(symbols), MappingProxyType(self.lines))

    def _error(self, error: TokenError | _Problem, line: int, text: str) -> AssemblyError:
        return AssemblyError(error.problem, line=line, column=error.column, file=self.file, text=text)

    def _read_line(self, line: str, number: int) -> None:
        directive = _DIRECTIVE.match(line)
        if directive and directive[1] in _IGNORED_DIRECTIVES:
            return
        listing = _LISTING.match(line)
        tokens = tokens_of(" " * listing.end() + line[listing.end() :] if listing else line)
        while len(tokens) >= 2 and tokens[1].text == ":":
            self._define(tokens[0])
            tokens = tokens[2:]
        if not tokens:
            return
        first = tokens[0]
        if first.kind == "word" and first.text.startswith("."):
            if first.text != ".slot":
                raise _Problem(
                    f"directive {first.text} is not known; one text is one program, without sections or data",
                    first.column,
                )
            self._place(self._raw_slot(tokens), number)
        else:
            opcode = int(listing[1], 16) if listing and listing[1] else None
            self._place(self._parse(tokens, number, line, opcode), number)

    def _define(self, token: Token) -> None:
        if token.kind != "word":
            raise _Problem(f"{token.text} cannot be a label; a label is a name", token.column)
        if token.text in self.labels:
            raise _Problem(f"label {token.text} is defined twice", token.column)
        self.labels[token.text] = self.slot

    def _place(self, part: _Draft | Instruction, line: int) -> None:
        self.parts.append(part)
        self.lines[self.slot] = line
        self.slot += 2 if isinstance(part, _Draft) and part.row.is_wide else 1

    def _raw_slot(self, tokens: list[Token]) -> Instruction:
        if len(tokens) != 2 or tokens[1].kind != "number" or tokens[1].number >= 1 << 64:
            raise _Problem(".slot takes one number of at most 64 bits", tokens[-1].column)
        return decode(tokens[1].number.to_bytes(8, "little"))[0]

    def _parse(self, tokens: list[Token], number: int, line: str, opcode: int | None) -> _Draft:
        match = self._match(tokens)
        if match is None:
            raise self._no_match(tokens)
        if opcode == opcodes.LDDW and match.row is BY_NAME["mov64_imm"]:
            # The kernel writes 64-bit immediates like 32-bit ones.
            tokens = [*tokens, Token("word", "ll", len(line) + 1)]
            match = self._match(tokens) or match
        if opcode is not None and opcode != match.row.opcode:
            raise _Problem(
                f"the listing says opcode {opcode:#04x}, but this text is {match.row.opcode:#04x}", tokens[0].column
            )
        draft = _Draft(match.row, self.slot, number, line)
        for capture in match.captures:
            part = tokens[capture.start : capture.end]
            anchor = part[0] if part else tokens[-1]
            _READERS[capture.placeholder](draft, part, capture, anchor.column)
        return draft

    def _match(self, tokens: list[Token]) -> Match | None:
        keys = [token.key(self.grammar.words) for token in tokens]
        if found := self.grammar.shapes.get(tuple(keys)):
            return found
        # A name may be the same as a word of the language, as in a jump to a label "exit".
        for index in range(len(tokens) - 1, 0, -1):
            if tokens[index].kind == "word" and keys[index] != "L":
                other = (*keys[:index], "L", *keys[index + 1 :])
                if found := self.grammar.shapes.get(other):
                    return found
        return None

    def _no_match(self, tokens: list[Token]) -> _Problem:
        first = tokens[0]
        if first.kind == "word" and first.text not in self.grammar.words:
            hint = _did_you_mean(first.text, self.grammar.words)
            return _Problem(f"no instruction is called {first.text}{hint}", first.column)
        keys = tuple(token.key(self.grammar.words) for token in tokens)
        length, expected = self.grammar.expected(keys)
        column = tokens[length].column if length < len(tokens) else tokens[-1].column + len(tokens[-1].text)
        found = repr(tokens[length].text) if length < len(tokens) else "the end of the line"
        if "N" in expected:
            expected = [key for key in expected if key not in ("+", "-")]
        if "+=" in expected:
            return _Problem(f"expected an operator, such as '=' or '+=', not {found}", column)
        names = [_KEY_NAMES.get(key, repr(key.replace("[]", "[…]"))) for key in expected]
        if not names:
            return _Problem(f"expected the end of the line, not {found}", column)
        if len(names) > 8:
            forms = _forms_of(first.text)
            hint = f"; {forms}" if forms else ""
            return _Problem(f"{found} cannot stand here{hint}", column)
        listed = " or ".join((", ".join(names[:-1]), names[-1]) if len(names) > 1 else names)
        return _Problem(f"expected {listed}, not {found}", column)

    def _resolve(self, draft: _Draft) -> None:
        label = draft.label
        if label is None:
            return
        target = self.labels.get(label.text)
        if draft.row is BY_NAME["call_helper"]:
            if target is not None:
                draft.row = BY_NAME["call_subprogram"]
            else:
                draft.values["imm"] = self._helper_number(label)
                return
        if target is None:
            hint = _did_you_mean(label.text, self.labels)
            raise _Problem(f"label {label.text} is not defined{hint}", label.column)
        distance = target - draft.slot - 1
        if draft.label_field == "offset" and not -0x8000 <= distance <= 0x7FFF:
            raise _Problem(
                f"label {label.text} is {distance} slots away, beyond a 16-bit jump; jump with gotol (ja32)",
                label.column,
            )
        draft.values[draft.label_field] = distance

    def _helper_number(self, name: Token) -> int:
        number = self.helpers(name.text) if self.helpers is not None else None
        if number is None:
            known = "a label nor a helper that is known" if self.helpers is not None else "a label"
            neither = "neither" if self.helpers is not None else "not"
            raise _Problem(
                f"{name.text} is {neither} {known}; call a kernel function as kfunc[{name.text}]", name.column
            )
        return _immediate(number, name.column)


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(word, sorted(known), 1)
    return f"; did you mean {close[0]}?" if close else ""


def _forms_of(word: str) -> str:
    """How instructions that begin with a word are written, or "" where the word does not say enough."""
    forms = [
        readable(template)
        for row in TABLE
        for template in (*row.kernel, *row.mnemonic)
        if re.match(rf"{re.escape(word)}(?![\w.])", template)
    ]
    unique = list(dict.fromkeys(forms))
    return f"write {' or '.join(unique[:3])}" if unique else ""


def _amount(part: Sequence[Token]) -> int:
    """The signed number that the last tokens of a placeholder spell."""
    negative = len(part) > 1 and part[-2].text == "-"
    return -part[-1].number if negative else part[-1].number


def _within(value: int, low: int, high: int, what: str, column: int) -> int:
    if not low <= value <= high:
        raise _Problem(f"{what} {value} is outside {low} to {high}", column)
    return value


def _immediate(value: int, column: int, hint: str = "") -> int:
    if not -(1 << 31) <= value < 1 << 32:
        raise _Problem(f"number {value:#x} does not fit in 32 bits{hint}", column)
    return signed(value, 32)


def _read_register(draft: _Draft, part: Sequence[Token], capture: Capture, column: int) -> None:
    if capture.placeholder == "r0":
        if part[0].number:
            raise _Problem(f"{draft.row.name} always uses r0 here, not {part[0].text}", column)
        return
    draft.set(capture.placeholder.removesuffix("32"), part[0].number, column)


def _read_immediate(draft: _Draft, part: Sequence[Token], capture: Capture, column: int) -> None:
    hint = ""
    if draft.row.operand == "imm":
        hint = "; load it into a register with lddw (r1 = NUMBER ll) first"
        if draft.row.name == "mov64_imm":
            hint = "; write lddw (in the kernel dialect: put ll behind the number)"
    draft.values["imm"] = _immediate(_amount(part), column, hint) if part else 0


def _read_offset(draft: _Draft, part: Sequence[Token], capture: Capture, column: int) -> None:
    draft.values["offset"] = _within(_amount(part), -0x8000, 0x7FFF, "offset", column) if part else 0


def _read_target(draft: _Draft, part: Sequence[Token], capture: Capture, column: int) -> None:
    short = capture.placeholder == "target"
    if len(part) == 1 and part[0].kind == "word":
        draft.label = part[0]
        draft.label_field = "offset" if short else "imm"
    elif short:
        draft.values["offset"] = _within(_amount(part), -0x8000, 0x7FFF, "jump distance", column)
    else:
        # Of a call, the kernel's listings append the callee's name: pc+3#name.
        distance = part[:-2] if part[-1].kind == "word" else part
        draft.values["imm"] = _within(_amount(distance), -(1 << 31), (1 << 31) - 1, "distance", column)


def _read_helper(draft: _Draft, part: Sequence[Token], capture: Capture, column: int) -> None:
    if len(part) == 1 and part[0].kind == "word":
        draft.label = part[0]
    else:
        draft.values["imm"] = _immediate(_amount(part), column)


_IDENTITY: Final = re.compile(r"id:(\d+|0x[0-9a-fA-F]+)(?:\s*,\s*fd:(-?\d+))?$")


def _identity(token: Token) -> tuple[int, int] | None:
    """The BTF id and the BTF descriptor of ``ksym[id:7, fd:1]``, or None for a name."""
    match = _IDENTITY.match(token.inside)
    if match is None:
        _name(token)
        return None
    return _immediate(int(match[1], 0), token.column), int(match[2] or 0)


def _name(token: Token) -> str:
    name = token.inside
    if not name:
        raise _Problem(f"{token.text} names nothing", token.column)
    if re.match(r"(id|fd|idx)\b\s*:", name):
        raise _Problem(
            f"{token.text} is not understood; maps are map[NAME], map[fd:N] or map[idx:N], "
            "kernel symbols ksym[NAME] or ksym[id:N]",
            token.column,
        )
    return name


def _read_kfunc(draft: _Draft, part: Sequence[Token], capture: Capture, column: int) -> None:
    identity = _identity(part[0])
    if identity is None:
        draft.symbol = Symbol("kfunc", _name(part[0]))
    else:
        draft.values["imm"] = identity[0]
        draft.values["offset"] = _within(identity[1], -0x8000, 0x7FFF, "descriptor index", column)


def _read_ksym(draft: _Draft, part: Sequence[Token], capture: Capture, column: int) -> None:
    identity = _identity(part[0])
    if identity is None:
        draft.symbol = Symbol("kernel symbol", _name(part[0]))
    else:
        draft.values["imm"] = identity[0]
        draft.values["high"] = _immediate(identity[1], column)


def _read_map(draft: _Draft, part: Sequence[Token], capture: Capture, column: int) -> None:
    offset = 0
    if len(part) > 1:
        if part[2].number:
            raise _Problem("only element 0 of a map has an address: write [0]", part[2].column)
        offset = part[-1].number if len(part) > 4 else 0
        draft.values["high"] = _immediate(offset, column)
    match = re.match(r"(?:fd|idx):(\d+|0x[0-9a-fA-F]+)$", part[0].inside)
    if match:
        draft.values["imm"] = _immediate(int(match[1], 0), column)
    else:
        kind: SymbolKind = "map value" if len(part) > 1 else "map"
        draft.symbol = Symbol(kind, _name(part[0]), offset)


def _read_function(draft: _Draft, part: Sequence[Token], capture: Capture, column: int) -> None:
    inside = part[0].inside
    if re.match(r"[+-]\d+$", inside):
        draft.values["imm"] = _within(int(inside), -(1 << 31), (1 << 31) - 1, "distance", column)
    else:
        draft.label = Token("word", _name(part[0]), column)


def _read_wide(draft: _Draft, part: Sequence[Token], capture: Capture, column: int) -> None:
    if part[0].kind == "word":
        # The addend lies in the instruction, as relocations without one of their own expect.
        addend = _amount(part) if len(part) > 1 else 0
        _set_wide(draft, addend, column)
        draft.symbol = Symbol("address", part[0].text, addend)
    else:
        _set_wide(draft, _amount(part), column)


def _set_wide(draft: _Draft, value: int, column: int) -> None:
    if not -(1 << 63) <= value < 1 << 64:
        raise _Problem(f"number {value:#x} does not fit in 64 bits", column)
    draft.values["imm"] = signed(value, 32)
    draft.values["high"] = signed(value >> 32, 32)


def _read_space(draft: _Draft, part: Sequence[Token], capture: Capture, column: int) -> None:
    number = _within(part[0].number, 0, 0xFFFF, "address space", column)
    shifted = number << 16 if capture.placeholder == "to" else number
    draft.values["imm"] = signed(draft.values.get("imm", 0) | shifted, 32)


_READERS: Final[dict[str, Callable[[_Draft, Sequence[Token], Capture, int], None]]] = {
    "r0": _read_register,
    "dst": _read_register,
    "src": _read_register,
    "dst32": _read_register,
    "src32": _read_register,
    "imm": _read_immediate,
    "compared": _read_immediate,
    "off": _read_offset,
    "off_imm": _read_immediate,
    "target": _read_target,
    "far": _read_target,
    "callee": _read_target,
    "helper": _read_helper,
    "kfunc": _read_kfunc,
    "wide": _read_wide,
    "map": _read_map,
    "value": _read_map,
    "map_index": _read_map,
    "value_index": _read_map,
    "ksym": _read_ksym,
    "function": _read_function,
    "to": _read_space,
    "from": _read_space,
}
