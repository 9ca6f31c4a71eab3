"""The public bpf_conformance test files: read them, run them on an engine, say what differs.

A file is plain text in sections that begin with ``-- name``: ``asm`` is the program in the mnemonic dialect, or
``raw`` the same as 64-bit words; ``mem`` is memory as hex, which r1 points at and whose length r2 holds; ``result``
is r0 afterwards, or ``error`` says that the program must be refused. ``#`` starts a comment. Other sections (``c``,
``no register offset``) are for other tools. Source of the format: the files of
github.com/Alan-Jowett/bpf_conformance and the runner beside them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from skep.engines import Binding, Engine
from skep.errors import RequestError, SkepError
from skep.isa.assembler import assemble
from skep.isa.codec import decode
from skep.isa.instruction import Instructions
from skep.memory import AddressSpace
from skep.memory.cpu import CpuBlock
from skep.objects.kinds import ProgramType
from skep.objects.spec import ProgramSpec

#: What test files are called.
SUFFIX: Final = ".data"


@dataclass(frozen=True, slots=True)
class Case:
    """One test: a program, the memory it starts with, and the 64-bit r0 expected (None: it has to be refused)."""

    name: str
    instructions: Instructions
    memory: bytes
    expected: int | None
    file: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a case went: ``result`` is r0 or None where running it raised ``error``."""

    case: Case
    result: int | None
    error: SkepError | None = None

    @property
    def passed(self) -> bool:
        """Whether the result is the expected one, or the refusal an expected one."""
        return self.result == self.case.expected

    @property
    def difference(self) -> str:
        """What was wrong, as a clause; empty if nothing was."""
        if self.passed:
            return ""
        if self.error is not None:
            return str(self.error)
        wanted = "a refusal" if self.case.expected is None else f"{self.case.expected:#x}"
        return f"r0 is {self.result:#x}, expected is {wanted}"


def read_case(path: Path) -> Case:
    """Read one test file. Raises RequestError for a file that is none, AssemblyError for a program in error."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise RequestError(f"the test file cannot be read: {reason}", file=str(path)) from None
    sections = _sections(text)
    file = str(path)
    if "asm" in sections:
        # The lines in front keep their places, so that messages name the line in the file.
        instructions = assemble(sections["asm"], dialect="mnemonic", file=file).instructions
    elif "raw" in sections:
        words = (_number(word, "raw", file) for word in _bare(sections["raw"]).split())
        instructions = decode(b"".join(word.to_bytes(8, "little") for word in words))
    else:
        raise RequestError("the test file has no asm and no raw section, so there is no program in it", file=file)
    if "result" not in sections and "error" not in sections:
        raise RequestError("the test file has no result section, so nothing can be compared", file=file)
    expected = None if "error" in sections else _number(_bare(sections["result"]).strip(), "result", file)
    return Case(
        path.stem, instructions, parse_hex(_bare(sections.get("mem", "")), "mem section", file), expected, file
    )


def cases(paths: list[Path]) -> Iterator[Case]:
    """The cases of files and of the files in folders, by name. Raises RequestError where there are none."""
    for path in paths:
        if not path.is_dir():
            yield read_case(path)
            continue
        files = sorted(path.rglob(f"*{SUFFIX}"))
        if not files:
            raise RequestError(f"the folder has no file that ends in {SUFFIX}", file=str(path))
        yield from map(read_case, files)


def run_case(case: Case, engine: Engine) -> Outcome:
    """Run one case as a program of type ``raw``."""
    try:
        return Outcome(case, run_bytes(case.instructions, case.memory, engine, case.name))
    except SkepError as error:
        return Outcome(case, None, error)


def run_bytes(instructions: Instructions, memory: bytes, engine: Engine, name: str = "program") -> int:
    """Run a program once over a copy of ``memory`` and return r0. r1 is its address, 0 if it is empty, r2 its
    length."""
    spec = ProgramSpec(name, "", ProgramType.RAW, instructions)
    cpus = CpuBlock(1)
    with AddressSpace() as space:
        address = 0
        if memory:
            region = space.allocate("mem", len(memory))
            region.write(0, memory)
            address = region.address
        loaded = engine.load(spec, Binding(space))
        try:
            return loaded.run(address, len(memory), cpus.address(0))
        finally:
            loaded.close()


def parse_hex(text: str, what: str, file: str | None = None) -> bytes:
    """Bytes from hex digits with or without spaces. Raises RequestError that names ``what``."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise RequestError(
            f"the {what} is not made of pairs of hex digits: {text.strip()[:40]!r}", file=file
        ) from None


def _sections(text: str) -> dict[str, str]:
    """Section name to its text; each text begins with as many empty lines as stand before it in the file."""
    sections: dict[str, list[str]] = {}
    current: list[str] = []
    for number, line in enumerate(text.splitlines()):
        if line.startswith("--"):
            current = sections.setdefault(line[2:].strip(), [""] * (number + 1))
        else:
            current.append(line)
    return {name: "\n".join(lines) for name, lines in sections.items()}


def _bare(text: str) -> str:
    return "\n".join(line.split("#", 1)[0] for line in text.splitlines())


def _number(text: str, section: str, file: str) -> int:
    try:
        number = int(text, 0)
    except ValueError:
        raise RequestError(f"the {section} section holds {text[:40]!r}, which is no number", file=file) from None
    if not -(1 << 63) <= number < 1 << 64:
        raise RequestError(f"the {section} section holds {number:#x}, which has more than 64 bits", file=file)
    return number & 0xFFFF_FFFF_FFFF_FFFF
