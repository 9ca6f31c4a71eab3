"""The instructions and source lines of a program, as explanations quote them."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from skep.isa import disassemble
from skep.isa.meaning import Call
from skep.isa.table import row_of
from skep.objects.spec import KfuncReference, ProgramSpec, SourceLine
from skep.objects.symbols import symbols_of
from skep.stdlib import prototypes

#: Lines shown before and behind the one that matters.
_AROUND = 2
#: A file that is larger, in bytes, is not read.
_LARGEST_SOURCE = 1 << 22


class Listing:
    """A program's text: assembly by slot, names of what is called, source lines with those around them."""

    def __init__(self, spec: ProgramSpec) -> None:
        self.spec = spec

    @cached_property
    def _texts(self) -> dict[int, str]:
        lines = disassemble(
            self.spec.instructions,
            functions={one.start: one.name for one in self.spec.functions},
            symbols=symbols_of(self.spec.references),
            helpers=helper_name,
        )
        return {line.slot: line.text for line in lines}

    def text(self, slot: int) -> str:
        """The instruction as assembly; a jump names the slot that it leads to."""
        instruction = self.spec.instructions[slot]
        row = row_of(instruction)
        found = self._texts.get(slot, "")
        if row is not None and row.is_jump:
            distance = instruction.imm if "far" in row.name or row.opcode == 0x06 else instruction.offset
            head, _, _ = found.partition("goto ")
            return f"{head}goto {slot + 1 + distance}"
        if row is not None and isinstance(row.meaning, Call) and row.meaning.target == "subprogram":
            return f"call {(self.callee(slot) or '').removesuffix('()').removeprefix('the function at ')}"
        return found

    def callee(self, slot: int) -> str | None:
        """The name of what a call calls, with brackets; None where the instruction is no call."""
        instruction = self.spec.instructions[slot]
        row = row_of(instruction)
        if row is None or not isinstance(row.meaning, Call):
            return None
        if row.meaning.target == "helper":
            name = prototypes.NAMES.get(instruction.imm)
            return f"bpf_{name}()" if name is not None else f"helper {instruction.imm}"
        if row.meaning.target == "subprogram":
            start = slot + 1 + instruction.imm
            for function in self.spec.functions:
                if function.start == start:
                    return f"{function.name}()"
            return f"the function at {start}"
        reference = self.spec.references.get(slot)
        return f"{reference.name}()" if isinstance(reference, KfuncReference) else "a kernel function"

    def function_at(self, slot: int) -> str:
        """The function that a slot belongs to."""
        name = self.spec.name
        for function in self.spec.functions:
            if function.start <= slot:
                name = function.name
        return name

    def source(self, slot: int) -> SourceLine | None:
        """The line that a slot came from."""
        return self.spec.line_of(slot)

    def around(self, line: SourceLine) -> list[tuple[int, str]]:
        """The line and those around it, with their numbers: of the file where it is there and has not changed since,
        else those that the object quotes."""
        of_file = _lines_of(line)
        if of_file:
            first = max(line.line - 1 - _AROUND, 0)
            shown = of_file[first : line.line + _AROUND]
            return [(first + 1 + number, text) for number, text in enumerate(shown)]
        quoted = {
            one.line: one.text
            for one in self.spec.lines.values()
            if one.file == line.file and abs(one.line - line.line) <= _AROUND and one.text.strip()
        }
        quoted[line.line] = line.text
        return sorted(quoted.items())


def helper_name(number: int) -> str | None:
    """``bpf_map_lookup_elem`` for 1."""
    name = prototypes.NAMES.get(number)
    return None if name is None else f"bpf_{name}"


def _lines_of(line: SourceLine) -> list[str]:
    """The lines of the source file, if it is there and still has this line where the object says."""
    if not line.text.strip():
        return []
    try:
        file = Path(line.file)
        if not file.is_file() or file.stat().st_size > _LARGEST_SOURCE:
            return []
        lines = file.read_text(errors="replace").splitlines()
    except (OSError, ValueError):
        return []
    fits = 0 < line.line <= len(lines) and lines[line.line - 1].strip() == line.text.strip()
    return lines if fits else []
