"""Why a program was rejected and what to do about it, for a person who wrote it in C.

The tables in ``messages`` give, for each form of the kernel's message, what it means; the path that led there says
how it came about in this program, and what would have to change. The first row that fits is taken, and a message
without a row gets a sentence by what it speaks of.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from skep.verifier.explaining.case import Case
from skep.verifier.explaining.messages import FORMS
from skep.verifier.explaining.messages.general import general
from skep.verifier.explaining.story import Step
from skep.verifier.explaining.telling import usual
from skep.verifier.explaining.words import singular


@dataclass(frozen=True, slots=True)
class Explanation:
    """``category`` is a short name of the kind of problem; ``problem``, ``reason`` and ``suggestion`` are a sentence
    or two each; ``path`` is what led to it, in order."""

    category: str
    problem: str
    reason: str
    suggestion: str
    path: tuple[Step, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The explanation as a JSON object."""
        return {
            "category": self.category,
            "problem": self.problem,
            "reason": self.reason,
            "suggestion": self.suggestion,
            "path": [step.as_json() for step in self.path],
        }


def explain(case: Case) -> Explanation:
    """The explanation of a rejection; ``case.groups`` are filled in here."""
    for row in FORMS:
        found = row.pattern.fullmatch(case.message)
        if found is None:
            continue
        groups = {name: text or "" for name, text in found.groupdict().items()}
        case = replace(case, groups=groups)
        advice = (row.tell or usual)(case)
        return Explanation(
            row.category,
            singular(row.problem.format_map(groups)),
            singular(row.reason.format_map(groups)),
            singular(advice or row.suggestion.format_map(groups)),
            _path(case),
        )
    row = general(case.message)
    usual(case)
    return Explanation(row.category, row.problem, row.reason, row.suggestion, _path(case))


def _path(case: Case) -> tuple[Step, ...]:
    """What was told, the instruction at fault in any case."""
    if case.story is None:
        return ()
    case.story.tell(case.story.at, "here the program is refused")
    return case.story.steps()


def is_explained(message: str) -> bool:
    """Whether a message has an explanation of its own."""
    return any(row.pattern.fullmatch(message) for row in FORMS)


def patterns() -> Iterator[str]:
    """The patterns that have an explanation, in the order in which they are tried."""
    for row in FORMS:
        yield row.pattern.pattern
