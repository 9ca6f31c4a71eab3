"""The errors that skep raises: one small family under :class:`SkepError`.

Every error is one sentence for a person and carries the facts it speaks of as fields, so that a
program can use them too. Input of any kind, however damaged, ends in one of these and in nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skep.memory.region import Region


class SkepError(Exception):
    """Something that skep was asked to do cannot be done; ``str()`` of it is one clear sentence.

    ``problem`` says what is wrong and, where there is one, the next step. The other fields are where:
    ``file`` (as the user named it), ``section`` (of an ELF file), ``offset`` (bytes from the start of the
    section, or of the file where there is no section), ``instruction`` (index in 8-byte slots),
    ``source`` (``file.c:line``). A field that does not apply is None.
    """

    def __init__(
        self,
        problem: str,
        *,
        file: str | None = None,
        section: str | None = None,
        offset: int | None = None,
        instruction: int | None = None,
        source: str | None = None,
    ) -> None:
        super().__init__(problem)
        self.problem = problem
        self.file = file
        self.section = section
        self.offset = offset
        self.instruction = instruction
        self.source = source

    def __str__(self) -> str:
        place = []
        if self.section is not None:
            place.append(f"section {self.section}")
        if self.offset is not None:
            place.append(f"offset {self.offset:#x}")
        if self.instruction is not None:
            place.append(f"instruction {self.instruction}")
        if self.source is not None:
            place.append(self.source)
        parts = [part for part in (self.file, ", ".join(place), self.problem) if part]
        return ": ".join(parts)


class EncodingError(SkepError):
    """Bytes that are no instruction, or an instruction that has no bytes (RFC 9669)."""


class AssemblyError(SkepError):
    """Assembly text that cannot be read; ``line`` and ``column`` count from 1.

    ``text`` is the line, which ``str()`` shows with a caret below it.
    """

    def __init__(
        self, problem: str, *, line: int, column: int = 1, file: str | None = None, text: str | None = None
    ) -> None:
        super().__init__(problem, file=file, source=f"line {line}, column {column}")
        self.line = line
        self.column = column
        self.text = text

    def __str__(self) -> str:
        sentence = super().__str__()
        if self.text is None:
            return sentence
        # Tabs before the caret are repeated, so that it stands below its column whatever their width.
        indent = "".join("\t" if char == "\t" else " " for char in self.text[: self.column - 1])
        return f"{sentence}\n{self.text.rstrip()}\n{indent}^"


class BtfError(SkepError):
    """BTF or BTF.ext data that is damaged or says something impossible."""


class ObjectError(SkepError):
    """An ELF object that is damaged, is not BPF, or uses what skep does not know."""


class LanguageError(SkepError):
    """A function outside the subset of Python that ``skep.lang`` compiles.

    ``line`` and ``column`` count from 1; ``text`` is the source line, which ``str()`` shows with a caret below it.
    """

    def __init__(
        self,
        problem: str,
        *,
        file: str | None = None,
        line: int | None = None,
        column: int | None = None,
        text: str | None = None,
    ) -> None:
        super().__init__(problem, file=file, source=None if line is None else f"line {line}, column {column}")
        self.line = line
        self.column = column
        self.text = text

    def __str__(self) -> str:
        sentence = super().__str__()
        if self.text is None or self.column is None:
            return sentence
        stripped = self.text.lstrip()
        caret = " " * (self.column - 1 - (len(self.text) - len(stripped))) + "^"
        return f"{sentence}\n    {stripped.rstrip()}\n    {caret}"


class MapError(SkepError):
    """A map that cannot be made, or an operation that it refuses; ``errno`` is the kernel's number for the reason."""

    def __init__(self, problem: str, *, errno: int | None = None) -> None:
        super().__init__(problem)
        self.errno = errno


class CaptureError(SkepError):
    """A packet capture that cannot be read or written."""


class LoadError(SkepError):
    """A program that cannot be made ready to run on an engine."""


class VerdictError(LoadError):
    """A program that the JIT does not run, because it is not known to be safe.

    ``verdict`` is ``reject`` or ``unsupported``; ``message`` is the kernel's, or what cannot be checked.
    """

    def __init__(
        self,
        problem: str,
        *,
        verdict: str,
        message: str,
        file: str | None = None,
        section: str | None = None,
        instruction: int | None = None,
        source: str | None = None,
    ) -> None:
        super().__init__(problem, file=file, section=section, instruction=instruction, source=source)
        self.verdict = verdict
        self.message = message


class UnsupportedError(SkepError):
    """Valid input that uses something skep has no implementation for; the message names it."""


class Fault(SkepError):
    """A running program did what it must not: a stray access, a bad call, too many instructions.

    ``text`` is the instruction as assembly, ``registers`` r0 to r10 as they were before it (None: never written),
    ``address`` what it tried to reach and ``region`` the region of memory nearest to that, where they apply.
    """

    def __init__(
        self,
        problem: str,
        *,
        text: str = "",
        registers: tuple[int | None, ...] = (),
        address: int | None = None,
        region: Region | None = None,
        file: str | None = None,
        section: str | None = None,
        instruction: int | None = None,
        source: str | None = None,
    ) -> None:
        super().__init__(problem, file=file, section=section, instruction=instruction, source=source)
        self.text = text
        self.registers = registers
        self.address = address
        self.region = region

    def dump(self) -> str:
        """The registers as lines for a person, three to a line; empty where they are not known."""
        cells = [
            f"r{number:<2} = {'never written' if value is None else f'{value:#018x}'}".ljust(26)
            for number, value in enumerate(self.registers)
        ]
        return "\n".join("".join(cells[start : start + 3]).rstrip() for start in range(0, len(cells), 3))


class KernelError(SkepError):
    """The running kernel refused a request, or this process may not ask; ``errno`` says which."""

    def __init__(self, problem: str, *, errno: int | None = None, log: str = "", file: str | None = None) -> None:
        super().__init__(problem, file=file)
        self.errno = errno
        self.log = log


class RequestError(SkepError):
    """What the caller asked for does not exist or does not fit: a name, an option, a value."""
