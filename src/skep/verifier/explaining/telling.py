"""What ways of telling a rejection share: the usual way, and what the instruction at fault works on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from skep.isa.meaning import Alu, Atomic, Branch, Load, LoadAcquire, MayGoto, Store, StoreRelease
from skep.objects.spec import KfuncReference
from skep.stdlib.kfuncs import KFUNCS, KfuncFlag
from skep.verifier.explaining.origin import Event, Place
from skep.verifier.explaining.story import Story
from skep.verifier.explaining.words import words
from skep.verifier.numbers.scalar import U32, signed64
from skep.verifier.states.register import Kind, Register

if TYPE_CHECKING:
    from skep.verifier.explaining.case import Case


def usual(case: Case) -> str | None:
    """The register that the message names, and the branch that led here."""
    story = case.story
    if story is None:
        return None
    register = case.register
    if register is None:
        register = named_register(case)
    if register is None:
        register = operand_register(story)
    if register is not None and 0 <= register <= 9:
        story.value(register)
    story.branches(most=1)
    return None


def usual_register(case: Case) -> Story | None:
    """Tell the usual things; the story, if there is one."""
    usual(case)
    return case.story


def register_story(case: Case, branches: int = 1) -> tuple[Story, int, list[Event]] | None:
    """Tell how the register that the message names came to hold what it does, and the last ``branches``.

    The story, the register and its events; None where there is no story or no register: then the usual was told.
    """
    story, register = case.story, case.register
    if story is None or register is None:
        usual(case)
        return None
    events = story.value(register)
    story.branches(most=branches)
    return story, register, events


def operand_register(story: Story) -> int | None:
    """The register that an access goes through, or that an operation works on."""
    row, instruction = story.trail.row(story.at), story.trail.instruction(story.at)
    match None if row is None else row.meaning:
        case Load() | LoadAcquire():
            return instruction.src
        case Store() | StoreRelease() | Atomic() | Alu():
            return instruction.dst
        case _:
            return None


def named_register(case: Case) -> int | None:
    """A register that the facts or the message name in another way (``arg#0`` is r1)."""
    found = re.search(r"\bR(\d+)\b", case.message) or next(
        (hit for one in case.details if (hit := re.search(r"\bR(\d+)\b", one))), None
    )
    if found is not None:
        return int(found[1])
    argument = re.search(r"\b(?:arg|args) ?#(\d)\b|\barg(\d)\b", case.message)
    return None if argument is None else int(argument[1] or argument[2]) + 1


def access_size(case: Case) -> int | None:
    """How many bytes the load or store at fault touches; None where it is neither."""
    story = case.story
    row = None if story is None else story.trail.row(story.at)
    return row.meaning.size if row is not None and isinstance(row.meaning, Load | Store) else None


def is_access(case: Case) -> bool:
    """Whether a load or store is at fault."""
    return access_size(case) is not None


def size_of(pointer: Register) -> int | None:
    """The size of the map value or memory that a pointer points into, where that is known."""
    size = getattr(pointer.subject, "value_size", None) if pointer.kind is Kind.MAP_VALUE else None
    if isinstance(size, int):
        return size
    return pointer.extent if pointer.kind is Kind.MEMORY and pointer.extent else None


def room_behind(buffer: Register) -> int | None:
    """How many bytes there are behind a pointer."""
    if not buffer.scalar.is_constant:
        return None
    offset = buffer.offset + signed64(buffer.scalar.value)
    if buffer.kind is Kind.STACK and -512 <= offset < 0:
        return -offset
    limit = size_of(buffer)
    return None if limit is None or not 0 <= offset < limit else limit - offset


def loaded_again(case: Case, events: Sequence[Event]) -> str | None:
    """Whether the number at the end of ``events`` was compared, but as loaded before: tells where, and what to do."""
    story = case.story
    last = next((event for event in events if event.what == "loaded"), None)
    if story is None or last is None:
        return None
    trail = story.trail
    place = _loaded_from(story, last)
    if place is None:
        return None
    for at in range(last.at - 1, -1, -1):
        row = trail.row(at)
        if row is None or not isinstance(row.meaning, Branch):
            continue
        compared = Place(trail.moments[at].top, trail.instruction(at).dst)
        if trail.value(at, compared).kind is not Kind.SCALAR:
            continue
        for event in trail.events(at, compared):
            if event.what == "loaded" and _loaded_from(story, event) == place:
                story.tell_instead(
                    at, f"this compares what was loaded at {case.place_of(event)}, from the same place"
                )
                return (
                    f"It is loaded again at {case.place_of(last)}, behind the comparison at "
                    f"{case.place(trail.moments[at].index)}: what lies there may have changed, so keep it in one "
                    f"local variable, and compare and use that."
                )
            if event.what not in ("compared", "filled", "spilled"):
                break
    return None


def _loaded_from(story: Story, event: Event) -> tuple[object, ...] | None:
    """What an event loaded from: kind and subject of the pointer, its id, and the offset; None where it varies."""
    trail = story.trail
    row, instruction = trail.row(event.at), trail.instruction(event.at)
    if row is None or not isinstance(row.meaning, Load):
        return None
    base = trail.value(event.at, Place(trail.moments[event.at].top, instruction.src))
    if not base.scalar.is_constant:
        return None
    return base.kind, base.subject, base.id, base.frame, base.offset + instruction.offset + base.scalar.value


#: What operations are called in C.
_OPERATORS = {"mod": "%", "smod": "%", "div": "/", "sdiv": "/", "mul": "*", "sub": "-", "add": "+", "lsh": "<<"}


def lost_bound(case: Case, events: Sequence[Event]) -> str | None:
    """Where a number was still bounded, and an operation made it unknown."""
    story = case.story
    if story is None:
        return None
    for event in events:
        row = story.trail.row(event.at)
        before, after = event.before.scalar, event.after.scalar
        if event.what != "changed" or row is None or not isinstance(row.meaning, Alu):
            continue
        if before.umax > U32 or after.umax <= U32 or event.before.kind is not Kind.SCALAR:
            continue
        operator = _OPERATORS.get(row.meaning.operation)
        if operator is None:
            continue
        story.tell_instead(event.at, f"here the bound is lost: r{event.place.index} is now {words(event.after)}")
        return (
            f"The verifier does not follow {operator} at {case.place_of(event)}: compare its result again behind it "
            f"(if (x > MAXIMUM) return ...;), or use a mask."
        )
    return None


def uncounted_round(case: Case) -> int | None:
    """The moment at which a loop last went round whose rounds the verifier does not count; None if there is none.

    Those are loops over iterators, with ``may_goto``, and callbacks that a helper calls again.
    """
    story = case.story
    if story is None:
        return None
    trail = story.trail
    seen: dict[int, int] = {}
    for at in range(story.at - 1, -1, -1):
        moment, row = trail.moments[at], trail.row(at)
        reference = case.spec.references.get(moment.index)
        goes_round = row is not None and (
            isinstance(row.meaning, MayGoto)
            or (isinstance(reference, KfuncReference) and bool(_flags(reference.name) & KfuncFlag.ITER_NEXT))
            or trail.moments[at + 1].state.callback_turns > moment.state.callback_turns
        )
        if goes_round and seen.setdefault(moment.index, at) != at:
            return seen[moment.index]
    return None


def _flags(name: str) -> KfuncFlag:
    row = KFUNCS.get(name)
    return KfuncFlag.NONE if row is None else row.flags


def widened(case: Case, events: Sequence[Event]) -> str | None:
    """What to do about a number that an uncounted loop made any."""
    event = next((one for one in events if one.what == "widened"), None)
    if event is None:
        return None
    return (
        f"The rounds of the loop at {case.place_of(event)} are not counted, so that what changes from round to round "
        f"may be any number: compare it in every round, before it is used (if (i >= MAXIMUM) break;)."
    )
