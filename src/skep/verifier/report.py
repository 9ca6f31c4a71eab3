"""What came of a verification, for programs and for people."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from skep.objects.spec import ProgramSpec, SourceLine
from skep.verifier.explanation import Explanation

Verdict = Literal["accept", "reject", "unsupported"]

#: How many instructions are named as those that cost most.
_HOTTEST = 3
_LIMIT = 1_000_000


@dataclass(frozen=True, slots=True)
class Report:
    """The verdict on one program.

    ``message`` is the kernel's own for a rejection, and what is missing where the verdict is ``unsupported``;
    ``details`` are the lines that the kernel prints before it. ``instruction`` is where, None where no instruction
    is to blame. ``processed`` counts instructions followed on all paths, ``total_states`` and ``peak_states`` the
    states kept, ``stack_depth`` is in bytes for each function, ``visits`` how often each instruction was followed.
    ``log`` is what was asked for with a log level.
    """

    program_name: str
    verdict: Verdict
    message: str = ""
    details: tuple[str, ...] = ()
    instruction: int | None = None
    processed: int = 0
    total_states: int = 0
    peak_states: int = 0
    stack_depth: tuple[int, ...] = ()
    milliseconds: float = 0.0
    visits: tuple[int, ...] = field(default=(), repr=False)
    explanation: Explanation | None = None
    log: str = field(default="", repr=False)
    program: ProgramSpec | None = field(default=None, repr=False, compare=False)

    @property
    def accepted(self) -> bool:
        """Whether the program is known to be safe."""
        return self.verdict == "accept"

    @property
    def source(self) -> SourceLine | None:
        """The line of source that the instruction came from, where the object says."""
        if self.instruction is None or self.program is None:
            return None
        return self.program.line_of(self.instruction)

    def of(self, program: ProgramSpec | None) -> Report:
        """The same report, about ``program``."""
        return replace(self, program=program)

    def explain(self) -> str:
        """The report for a person: what was found, where, why, and what to do about it."""
        if self.verdict == "accept":
            return self._cost()
        if self.verdict == "unsupported":
            return f"cannot be decided{self._place()}: it uses {self.message}, which is not checked here"
        lines = [f"{self.message}{self._place()}"]
        lines += [f"  kernel: {detail}" for detail in self.details]
        source = self.source
        if source is not None and source.text.strip():
            lines.append(f"  {source.file}:{source.line}: {source.text.strip()}")
        if self.explanation is not None:
            lines += [
                f"  problem ({self.explanation.category}): {self.explanation.problem}",
                f"  reason: {self.explanation.reason}",
                *(f"    {step.instruction}: {step.text}: {step.what}" for step in self.explanation.path),
                f"  suggestion: {self.explanation.suggestion}",
            ]
        return "\n".join(lines)

    def _place(self) -> str:
        return "" if self.instruction is None else f" (instruction {self.instruction})"

    def _cost(self) -> str:
        share = 100 * self.processed / _LIMIT
        depth = "+".join(str(size) for size in self.stack_depth)
        text = (
            f"{self.processed} instructions followed ({share:.1f}% of the limit), {self.peak_states} states at most, "
            f"{depth or 0} bytes of stack"
        )
        hottest = sorted(range(len(self.visits)), key=lambda slot: -self.visits[slot])[:_HOTTEST]
        often = [f"{slot} ({self.visits[slot]} times)" for slot in hottest if self.visits[slot] > 1]
        return text + (f"; most often instruction {', '.join(often)}" if often else "")

    def as_json(self) -> dict[str, Any]:
        """The report as one JSON object; see the documentation of ``skep verify --json``."""
        source, program = self.source, self.program
        return {
            "kind": "verification",
            "object": None if program is None else program.file,
            "program": self.program_name,
            "section": None if program is None else program.section,
            "type": None if program is None or program.type is None else program.type.label,
            "verdict": self.verdict,
            "message": self.message,
            "details": list(self.details),
            "instruction": self.instruction,
            "source": None
            if source is None
            else {"file": source.file, "line": source.line, "column": source.column, "text": source.text},
            "processed": self.processed,
            "total_states": self.total_states,
            "peak_states": self.peak_states,
            "stack_depth": list(self.stack_depth),
            "milliseconds": round(self.milliseconds, 3),
            "explanation": None if self.explanation is None else self.explanation.as_json(),
        }
