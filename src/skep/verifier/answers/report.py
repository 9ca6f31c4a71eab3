"""What came of a verification, for programs and for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from skep.objects.spec import ProgramSpec, SourceLine
from skep.verifier.answers import cost
from skep.verifier.answers.cost import Costliest, Hot
from skep.verifier.answers.other_kernel import OtherKernel
from skep.verifier.explaining.explanation import Explanation

Verdict = Literal["accept", "reject", "unsupported"]

#: The kernel whose rules are applied.
KERNEL: Final = "6.18"


#: What is said of a program that replaces a function of another one, where nobody says which that is.
NO_TARGET = (
    "the program that it replaces a function of: give that with --target OBJECT:PROGRAM, in Python with "
    "verify(spec, target=other)"
)


@dataclass(frozen=True, slots=True)
class Report:
    """The verdict on one program.

    ``message`` is the kernel's own for a rejection, and what is missing where the verdict is ``unsupported``;
    ``details`` are the lines that the kernel prints before it. ``instruction`` is where, None where no instruction
    is to blame. ``processed`` counts instructions followed on all paths, ``total_states`` and ``peak_states`` the
    states kept, ``most_states`` those kept at one instruction; ``stack_depth`` is in bytes for each function,
    ``visits`` how often each instruction was followed, ``branch_costs`` how many instructions were followed because
    both ways of a branch were possible. ``milliseconds`` is what the verdict took. ``log`` is what was asked for with
    a log level. ``kernel`` is the version that the verdict is for; where that is not the one whose rules are applied,
    ``other_kernel`` says what it rests on.
    """

    program_name: str
    verdict: Verdict
    message: str = ""
    details: tuple[str, ...] = ()
    instruction: int | None = None
    processed: int = 0
    total_states: int = 0
    peak_states: int = 0
    most_states: int = 0
    stack_depth: tuple[int, ...] = ()
    milliseconds: float = 0.0
    visits: tuple[int, ...] = field(default=(), repr=False)
    branch_costs: Mapping[int, int] = field(default_factory=dict, repr=False)
    explanation: Explanation | None = None
    log: str = field(default="", repr=False)
    kernel: str = KERNEL
    other_kernel: OtherKernel | None = None
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

    @property
    def hottest(self) -> tuple[Hot, ...]:
        """The instructions that were followed most often, more than once."""
        return () if self.program is None else cost.hottest(self.program, self.visits)

    @property
    def costliest(self) -> Costliest | None:
        """The loop or branch that cost most, if there is one."""
        return None if self.program is None else cost.costliest(self.program, self.visits, self.branch_costs)

    def of(self, program: ProgramSpec | None) -> Report:
        """The same report, about ``program``."""
        return replace(self, program=program)

    def explain(self, width: int = 80) -> str:
        """The report for a person: what was found, where, why, what led there, and what to do about it."""
        from skep.verifier.answers.layout import lines_of

        return "\n".join(line.text for line in lines_of(self, width))

    def as_json(self) -> dict[str, Any]:
        """The report as one JSON object; see the documentation of ``skep verify --json``."""
        program, most = self.program, self.costliest
        return {
            "kind": "verification",
            "object": None if program is None else program.file,
            "program": self.program_name,
            "section": None if program is None else program.section,
            "type": None if program is None or program.type is None else program.type.label,
            "kernel": self.kernel,
            "verdict": self.verdict,
            "message": self.message,
            "details": list(self.details),
            "instruction": self.instruction,
            "source": cost.line_as_json(self.source),
            "processed": self.processed,
            "total_states": self.total_states,
            "peak_states": self.peak_states,
            "states_per_instruction": self.most_states,
            "stack_depth": list(self.stack_depth),
            "hottest": [
                {"instruction": one.instruction, "times": one.times, "source": cost.line_as_json(one.source)}
                for one in self.hottest
            ],
            "costliest": None
            if most is None
            else {
                "kind": most.kind,
                "first": most.first,
                "last": most.last,
                "instructions": most.instructions,
                "share_of_limit": round(most.share_of_limit, 6),
                "source": cost.line_as_json(most.source),
            },
            "milliseconds": round(self.milliseconds, 3),
            "explanation": None if self.explanation is None else self.explanation.as_json(),
            **({} if self.other_kernel is None else self.other_kernel.as_json()),
            **({"log": self.log} if self.log else {}),
        }
