"""One rejection with all that is known of it: what explanations are made from."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from skep.isa.meaning import Alu
from skep.objects.spec import ProgramSpec
from skep.verifier.answers.listing import Listing
from skep.verifier.explaining.origin import Event, Place
from skep.verifier.explaining.story import Story
from skep.verifier.states.register import NOTHING, Register


@dataclass(slots=True)
class Case:
    """``groups`` are those of the message's pattern, ``details`` the lines before it; ``story`` is None where no path
    was followed. ``slot`` is the instruction at fault, if one is."""

    message: str
    details: tuple[str, ...]
    groups: Mapping[str, str]
    spec: ProgramSpec
    listing: Listing
    story: Story | None
    slot: int | None
    visits: tuple[int, ...] = ()
    facts: Mapping[str, object] = field(default_factory=dict)

    @property
    def register(self) -> int | None:
        """The register that the message names."""
        text = self.groups.get("register")
        return int(text) if text else None

    def number(self, name: str) -> int | None:
        """A group of the pattern as a number."""
        text = self.groups.get(name)
        return int(text) if text else None

    def held(self, register: int) -> Register:
        """What a register of the running function holds at the fault."""
        if self.story is None:
            return NOTHING
        trail = self.story.trail
        return trail.value(self.story.at, Place(trail.moments[self.story.at].top, register))

    def detail(self, pattern: str) -> re.Match[str] | None:
        """The first of the lines before the message, or the message, that has ``pattern``."""
        for one in (*self.details, self.message):
            found = re.search(pattern, one)
            if found is not None:
                return found
        return None

    @property
    def here(self) -> str:
        """``instruction 17 (line 41)``: the place at fault."""
        return self.place(self.slot) if self.slot is not None else "this place"

    def place(self, slot: int) -> str:
        """``instruction 17 (line 41)``."""
        line = self.listing.source(slot)
        return f"instruction {slot}" + (f" (line {line.line})" if line is not None and line.line else "")

    def place_of(self, event: Event) -> str:
        """The place of an event of the story."""
        assert self.story is not None
        return self.place(self.story.trail.moments[event.at].index)

    def scale(self, events: list[Event]) -> tuple[int, int, str]:
        """By what the number at the head of ``events`` was multiplied since it was an index: (factor, register,
        place), the register and place being those where it was not yet."""
        assert self.story is not None
        trail = self.story.trail
        factor, where = 1, ""
        register = events[0].place.index if events else 0
        for event in events:
            row = trail.row(event.at)
            if event.what in ("compared", "filled", "spilled") and not event.place.is_slot:
                continue
            if event.what != "changed" or row is None or not isinstance(row.meaning, Alu) or row.operand == "src":
                break
            imm = trail.instruction(event.at).imm
            if row.meaning.operation == "lsh" and 0 < imm < 32:
                factor <<= imm
            elif row.meaning.operation == "mul" and imm > 0:
                factor *= imm
            else:
                break
            register, where = event.place.index, self.place_of(event)
        return factor, register, where


#: Tells what led to a rejection, and gives the change that helps in this very program (None: nothing to add).
Tell = Callable[[Case], str | None]


@dataclass(frozen=True, slots=True)
class MessageForm:
    """A form of the kernel's messages: what it means. ``{name}`` in a text is a group of the pattern."""

    pattern: re.Pattern[str]
    category: str
    problem: str
    reason: str
    suggestion: str
    tell: Tell | None = None


def form(
    pattern: str, category: str, problem: str, reason: str, suggestion: str, tell: Tell | None = None
) -> MessageForm:
    """A row of the table."""
    return MessageForm(re.compile(pattern), category, problem, reason, suggestion, tell)


#: The register that a message names.
REGISTER = r"R(?P<register>\d+)"
