"""What led to a rejection, as steps: where the value at fault came from, what changed it, which branches were taken.

Each step is an instruction of the path and a sentence. The path is that of ``path``, values are followed back on it
by ``origin``; this module chooses what is worth telling and says it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from skep.isa.meaning import Alu, Branch, Call, Load, LoadAcquire
from skep.objects.spec import SourceLine
from skep.verifier.answers.listing import Listing
from skep.verifier.explaining.origin import Event, Place, Trail
from skep.verifier.explaining.words import kind_words, singular, words
from skep.verifier.states.register import MAYBE_NULL, Kind, Register
from skep.verifier.states.state import R10

#: Steps that are told of one value, and of all.
_MOST = 7
_MOST_TOGETHER = 12
_MOST_BRANCHES = 5

#: What an operation does, for a person.
_VERBS = {
    "add": "adds",
    "sub": "subtracts",
    "mul": "multiplies by",
    "div": "divides by",
    "sdiv": "divides (signed) by",
    "mod": "takes the remainder by",
    "smod": "takes the signed remainder by",
    "or": "sets bits of",
    "and": "masks with",
    "xor": "flips bits of",
    "lsh": "shifts left by",
    "rsh": "shifts right by",
    "arsh": "shifts right, keeping the sign, by",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction that had a part in a rejection: its assembly, what it did, and its source line if known."""

    instruction: int
    text: str
    what: str
    source: SourceLine | None

    def as_json(self) -> dict[str, Any]:
        """The step as a JSON object."""
        line = self.source
        return {
            "instruction": self.instruction,
            "text": self.text,
            "what": self.what,
            "source": None
            if line is None
            else {"file": line.file, "line": line.line, "column": line.column, "text": line.text},
        }


class Story:
    """The steps of one rejection; ``at`` is the moment of the instruction at fault."""

    def __init__(self, trail: Trail, listing: Listing) -> None:
        self.trail = trail
        self.listing = listing
        self.at = len(trail.moments) - 1
        #: By moment, and 0 for what comes before its instruction, 1 for the instruction.
        self._told: dict[tuple[int, int], str] = {}

    def steps(self) -> tuple[Step, ...]:
        """All that was told, in the order in which it happened."""
        chosen = sorted(self._told)
        if len(chosen) > _MOST_TOGETHER:
            chosen = [chosen[0], *chosen[-(_MOST_TOGETHER - 1) :]]
        return tuple(self._step(*key, self._told[key]) for key in chosen)

    def _step(self, at: int, order: int, what: str) -> Step:
        slot = self.trail.moments[at].index
        text = self.listing.text(slot) if order else f"{self.listing.function_at(slot)}()"
        return Step(slot, text, singular(what), self.listing.source(slot))

    def tell(self, at: int, what: str, order: int = 1) -> None:
        """Tell of a moment, unless something has been told of it; with ``order`` 0 of what was before it."""
        self._told.setdefault((at, order), what)

    def tell_instead(self, at: int, what: str) -> None:
        """Tell of a moment, whatever has been told of it."""
        self._told[at, 1] = what

    def value(self, register: int, *, end: bool = True) -> list[Event]:
        """Tell how a register of the running frame came to hold what it does; the events, latest first."""
        place = Place(self.trail.moments[self.at].top, register)
        events = self._tell_events(self.at, place)
        if end:
            held = self.trail.value(self.at, place)
            if held.kind is not Kind.NOT_INITIALISED:
                self.tell(self.at, f"here r{register} is {words(held)}")
        for event in events:
            operand = self.operand(event)
            if operand is not None and event.after.is_pointer:
                self._tell_events(event.at, operand)
                break
        return events

    def operand_events(self, events: Iterable[Event]) -> tuple[Event, list[Event]] | None:
        """Of a pointer's events, the last that added a register, and that register's own events."""
        for event in events:
            operand = self.operand(event)
            if operand is not None and event.after.is_pointer:
                return event, self._events(event.at, operand)
        return None

    def operand(self, event: Event) -> Place | None:
        """The register that an arithmetic event combined with, where it is an unknown number."""
        row = self.trail.row(event.at)
        if event.what != "changed" or row is None or not isinstance(row.meaning, Alu) or row.operand != "src":
            return None
        if row.meaning.operation in ("mov", "movsx"):
            return None
        frame = self.trail.moments[event.at].top
        instruction = self.trail.instruction(event.at)
        for index in (instruction.src, instruction.dst):
            place = Place(frame, index)
            value = self.trail.value(event.at, place)
            if value.kind is Kind.SCALAR and (event.after.is_pointer or not value.scalar.is_constant):
                return place
        return None

    def _events(self, at: int, place: Place) -> list[Event]:
        found: list[Event] = []
        seen: set[tuple[int, str]] = set()
        for event in self.trail.events(at, place):
            # Round a loop the same instructions do the same again: the last round tells enough.
            key = (self.trail.moments[event.at].index, event.what)
            if key in seen and not event.is_end:
                continue
            seen.add(key)
            found.append(event)
        return found

    def _tell_events(self, at: int, place: Place) -> list[Event]:
        events = self._events(at, place)
        shown = events if len(events) <= _MOST else [*events[: _MOST - 1], events[-1]]
        for event in shown:
            sentence = self.sentence(event)
            if sentence:
                self.tell(event.at, sentence, order=event.what not in ("entry", "begins before"))
        return events

    def branches(self, since: int = 0, most: int = _MOST_BRANCHES) -> None:
        """Tell which ways were taken from moment ``since`` on, where both were possible."""
        left = most
        for at in range(self.at - 1, since - 1, -1):
            moment = self.trail.moments[at]
            row = self.trail.row(at)
            if not moment.forked or row is None or not isinstance(row.meaning, Branch):
                continue
            taken = self.trail.is_taken(at)
            if taken is None or (at, 1) in self._told:
                continue
            self.tell(at, "this way: the jump is taken" if taken else "this way: the jump is not taken")
            left -= 1
            if not left:
                return

    def grew(self, name: str) -> int | None:
        """The last moment whose instruction took what ``name`` (a field of the state) counts."""
        for at in range(self.at - 1, -1, -1):
            before = getattr(self.trail.moments[at].state, name)
            after = getattr(self.trail.moments[at + 1].state, name)
            if (after > before) if isinstance(after, int) else len(after) > len(before):
                return at
        return None

    def shrank(self, name: str) -> int | None:
        """The last moment whose instruction gave back what ``name`` (a field of the state) counts."""
        for at in range(self.at - 1, -1, -1):
            before = getattr(self.trail.moments[at].state, name)
            after = getattr(self.trail.moments[at + 1].state, name)
            if (after < before) if isinstance(after, int) else len(after) < len(before):
                return at
        return None

    def moment_of(self, slot: int) -> int | None:
        """The last moment at which an instruction was followed, before the fault."""
        for at in range(self.at, -1, -1):
            if self.trail.moments[at].index == slot:
                return at
        return None

    # Sentences.

    def sentence(self, event: Event) -> str:
        """What an event was, for a person; empty where it is not worth telling."""
        name = name_of(event.place)
        after = event.after
        match event.what:
            case "entry":
                return self._entry(event, name)
            case "begins before":
                return f"{name} is {words(after)}"
            case "constant":
                return f"{name} is set to {words(after)}"
            case "address":
                return f"{name} is set to the address of {kind_words(after)}"
            case "loaded":
                return self._loaded(event, name)
            case "returned":
                return self._returned(event)
            case "cleared":
                callee = self.listing.callee(self.trail.moments[event.at].index)
                what = f"the call of {callee}" if callee is not None else "the packet load, which is a call inside,"
                return f"{what} leaves nothing in {name}: r1 to r5 do not survive calls"
            case "invalidated":
                return self._invalidated(event, name)
            case "overwritten":
                return f"{name} is overwritten with bytes that are no whole register"
            case "filled":
                return f"{name} is loaded back from the stack"
            case "changed":
                return self._changed(event, name)
            case "compared":
                return self._compared(event, name)
            case "widened":
                return (
                    f"the loop goes round, and its rounds are not counted: {name}, {words(event.before)} so far, may "
                    f"be any number in the next"
                )
            case _:
                return ""

    def _callee(self, at: int) -> str:
        return self.listing.callee(self.trail.moments[at].index) or "a function"

    def _entry(self, event: Event, name: str) -> str:
        if event.after.kind is Kind.NOT_INITIALISED:
            if event.place.is_slot:
                return ""
            return f"nothing has been written to {name} since the function was entered"
        if event.place.index == R10:
            return ""
        return f"{name} is {words(event.after)} on entry"

    def _loaded(self, event: Event, name: str) -> str:
        row, instruction = self.trail.row(event.at), self.trail.instruction(event.at)
        is_load = row is not None and isinstance(row.meaning, Load | LoadAcquire)
        base = self.trail.value(
            event.at, Place(self.trail.moments[event.at].top, instruction.src if is_load else instruction.dst)
        )
        if event.after.is_pointer:
            return f"{name} is loaded from {kind_words(base)}: {words(event.after)}"
        return f"{name} is loaded from {kind_words(base)}, as {words(event.after)}"

    def _returned(self, event: Event) -> str:
        callee = self._callee(event.at)
        if event.after.kind is Kind.NOT_INITIALISED:
            return f"{callee} returns nothing"
        text = f"{callee} returns {words(event.after)}"
        return text + (": it has to be checked" if event.after.flags & MAYBE_NULL else "")

    def _invalidated(self, event: Event, name: str) -> str:
        callee = self._callee(event.at)
        if event.before.kind in (Kind.PACKET, Kind.PACKET_META, Kind.PACKET_END):
            return f"{callee} may move the packet: {name} is no packet pointer any more"
        if event.before.reference:
            return f"{callee} gives up what {name} points to: it may not be used any more"
        return f"{callee} makes {name} {words(event.after)}; it was {words(event.before)}"

    def _changed(self, event: Event, name: str) -> str:
        row, instruction = self.trail.row(event.at), self.trail.instruction(event.at)
        now = f"{name} is now {words(event.after)}"
        if row is None or not isinstance(row.meaning, Alu):
            return now
        if row.meaning.operation in ("mov", "movsx"):
            bits = row.meaning.sign_bits or row.meaning.width
            return f"only the lower {bits} bits are kept: {now}" if bits < 64 else now
        verb = _VERBS.get(row.meaning.operation)
        if verb is None or row.operand != "src":
            return now
        operand = self.trail.value(event.at, Place(self.trail.moments[event.at].top, instruction.src))
        return f"{verb} r{instruction.src}, {words(operand)}: {now}"

    def _compared(self, event: Event, name: str) -> str:
        taken = self.trail.is_taken(event.at)
        row = self.trail.row(event.at)
        if row is not None and isinstance(row.meaning, Call):
            return f"{self._callee(event.at)} leaves {words(event.after)} in {name}"
        way = "the jump is taken" if taken else "the jump is not taken"
        before, after = words(event.before), words(event.after)
        if before == after:
            return "" if event.after.is_pointer else f"{way}; this says nothing new of {name}, {after}"
        return f"{way}, so {name} is {after}"


def name_of(place: Place) -> str:
    """``r3``, or ``the stack at fp-16``."""
    return f"the stack at fp-{8 * (place.index + 1)}" if place.is_slot else f"r{place.index}"


def acquired_at(details: Iterable[str]) -> list[int]:
    """The instructions that acquired what leaked, from the lines before the message."""
    return [int(found[1]) for one in details if (found := re.search(r"alloc_insn=(\d+)", one))]


def holders(trail: Trail, at: int, reference: int) -> list[str]:
    """The registers that hold a reference at a moment."""
    moment = trail.moments[at]
    frame = moment.state.frames[moment.top]
    held: list[tuple[int, Register]] = [
        (index, one) for index, one in enumerate(frame.registers) if one.reference == reference
    ]
    return [f"r{index}" for index, _ in held]
