"""What following a program took, and where it went: the instructions, loops and branches that cost most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from skep.isa.meaning import Branch, Goto, MayGoto
from skep.isa.table import row_of
from skep.objects.spec import ProgramSpec, SourceLine

#: Instructions that Linux follows at most.
LIMIT: Final = 1_000_000
#: How many instructions are named as those followed most often.
_HOTTEST: Final = 3
#: An inner loop is named instead of the one around it where it takes this much of its cost.
_MOSTLY: Final = 0.8


@dataclass(frozen=True, slots=True)
class Hot:
    """An instruction and how often it was followed."""

    instruction: int
    times: int
    source: SourceLine | None


@dataclass(frozen=True, slots=True)
class Costliest:
    """The loop (slots ``first`` to ``last``) or branch (at ``first``, equal to ``last``) that cost most instructions.

    A loop costs what was followed inside of it; a branch, what was followed because both its ways were possible.
    """

    kind: Literal["loop", "branch"]
    first: int
    last: int
    instructions: int
    source: SourceLine | None

    @property
    def share_of_limit(self) -> float:
        """Of the million instructions that there are, 0 to 1."""
        return self.instructions / LIMIT


def hottest(spec: ProgramSpec, visits: Sequence[int]) -> tuple[Hot, ...]:
    """The instructions followed most often, if any was followed more than once; one for each source line."""
    found: list[Hot] = []
    for slot in sorted(range(len(visits)), key=lambda slot: (-visits[slot], slot)):
        if visits[slot] < 2 or len(found) == _HOTTEST:
            break
        source = spec.line_of(slot)
        if source is None or all(one.source != source for one in found):
            found.append(Hot(slot, visits[slot], source))
    return tuple(found)


def costliest(spec: ProgramSpec, visits: Sequence[int], branch_costs: Mapping[int, int]) -> Costliest | None:
    """The loop that cost most; in a program without one, the branch whose second way did."""
    loops = sorted(
        (
            (sum(visits[first : last + 1]), first, last)
            for first, last in _loops(spec)
            if last < len(visits) and visits[first] > 1
        ),
        reverse=True,
    )
    if loops:
        cost, first, last = loops[0]
        for inner_cost, inner_first, inner_last in loops[1:]:
            if first <= inner_first and inner_last <= last and inner_cost >= cost * _MOSTLY:
                cost, first, last = inner_cost, inner_first, inner_last
        return Costliest("loop", first, last, cost, spec.line_of(first))
    if branch_costs:
        slot, cost = max(branch_costs.items(), key=lambda item: (item[1], -item[0]))
        return Costliest("branch", slot, slot, cost, spec.line_of(slot))
    return None


def _loops(spec: ProgramSpec) -> list[tuple[int, int]]:
    """Backward jumps: where each leads, and where it is."""
    found = []
    for slot, instruction in enumerate(spec.instructions):
        row = row_of(instruction)
        if row is None or not isinstance(row.meaning, Branch | Goto | MayGoto):
            continue
        far = isinstance(row.meaning, Goto) and row.meaning.far
        target = slot + 1 + (instruction.imm if far else instruction.offset)
        if 0 <= target <= slot:
            found.append((target, slot))
    return found


def line_as_json(line: SourceLine | None) -> dict[str, Any] | None:
    """A source line as a JSON object."""
    if line is None:
        return None
    return {"file": line.file, "line": line.line, "column": line.column, "text": line.text}
