"""How it is told that a register holds what it must not: numbers, return values, loops, what following costs.

Each function tells its part of the path (``case.story``) and gives a suggestion that names registers, instructions
and bounds, or None where the general one of the table says all there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from skep.isa.meaning import Branch
from skep.verifier.explaining.origin import Place
from skep.verifier.explaining.telling import loaded_again, lost_bound, register_story, usual, usual_register, widened
from skep.verifier.explaining.words import words
from skep.verifier.numbers.scalar import signed64
from skep.verifier.states.register import Kind

if TYPE_CHECKING:
    from skep.verifier.explaining.case import Case


def unbounded_math(case: Case) -> str | None:
    """A number of which nothing is known is added to a pointer."""
    story = case.story
    if story is None or case.slot is None:
        return usual(case)
    instruction = case.spec.instructions[case.slot]
    frame = story.trail.moments[story.at].top
    number = next(
        (
            index
            for index in (instruction.src, instruction.dst)
            if story.trail.value(story.at, Place(frame, index)).kind is Kind.SCALAR
        ),
        None,
    )
    if number is None:
        return usual(case)
    events = story.value(number)
    story.branches(most=1)
    known = loaded_again(case, events) or lost_bound(case, events) or widened(case, events)
    if known is not None:
        return known
    scalar = case.held(number).scalar
    if scalar.smax < 1 << 32:
        return (
            f"r{number} has an upper end only as a signed number: declare the variable unsigned, or check "
            f"if (x < 0) too, before {case.here}."
        )
    return (
        f"Bound r{number} before {case.here}: if (x > MAXIMUM) return ...; with x unsigned and in the variable that "
        f"is added, or x &= MASK;."
    )


def constant_math(case: Case) -> str | None:
    """A pointer is moved too far."""
    story = case.story
    if story is None or case.slot is None:
        return usual(case)
    instruction = case.spec.instructions[case.slot]
    story.value(instruction.dst)
    story.branches(most=1)
    return None


def never_written(case: Case) -> str | None:
    """A register is read that holds nothing."""
    told = register_story(case, branches=3)
    if told is None:
        return None
    story, register, events = told
    for event in events:
        if event.what == "cleared":
            slot = story.trail.moments[event.at].index
            callee = case.listing.callee(slot)
            what = f"The call of {callee}" if callee is not None else "The packet load"
            return (
                f"{what} at {case.place(slot)} leaves nothing in r1 to r5: keep the "
                f"value in r6 to r9 (a variable that is used on both sides of it), or load it again."
            )
    if register == 0:
        return f"Set the return value on this path before {case.here}: return 0; where the function ends."
    return f"Initialise the variable in r{register} where it is declared, so that every path to {case.here} sets it."


def return_value(case: Case) -> str | None:
    """A value is returned that the type does not permit."""
    story = case.story
    if story is None:
        return None
    story.value(0)
    story.branches(most=2)
    allowed = case.detail(r"should have been in \[(-?\d+), (-?\d+)\]")
    if allowed is None:
        return None
    low, high = int(allowed[1]), int(allowed[2])
    choice = f"{low}" if low == high else f"{low} or {high}" if high == low + 1 else f"{low} to {high}"
    kind = case.spec.type.label if case.spec.type is not None else "these"
    held = case.held(0)
    if held.kind is Kind.SCALAR and held.scalar.is_constant:
        return (
            f"Return {choice} instead of {signed64(held.scalar.value)} on this path: {kind} programs may return "
            f"nothing else here."
        )
    return f"Return {choice} on every path; here r0 is {words(held)}. {kind} programs may return nothing else here."


def constant(case: Case) -> str | None:
    """An argument that has to be a constant."""
    story = usual_register(case)
    register = case.register
    if story is None or register is None:
        return None
    held = case.held(register)
    if held.kind is not Kind.SCALAR:
        return None
    return (
        f"Argument {register} has to be one number that is known when the program is loaded; here it is "
        f"{words(held)}: pass a constant, the largest that is needed."
    )


def loop(case: Case) -> str | None:
    """A loop that changes nothing."""
    story = case.story
    if story is None or case.slot is None:
        return None
    trail = story.trail
    back = [at for at, one in enumerate(trail.moments) if one.index == case.slot]
    since = back[-2] if len(back) > 1 else 0
    advice = None
    for at in range(since, story.at):
        row, instruction = trail.row(at), trail.instruction(at)
        if row is None or not isinstance(row.meaning, Branch):
            continue
        way = "taken" if trail.is_taken(at) else "not taken"
        held = words(trail.value(at, Place(trail.moments[at].top, instruction.dst)))
        story.tell(at, f"the jump is {way}: r{instruction.dst} is {held}, as in the round before")
        if advice is None:
            advice = (
                f"Change r{instruction.dst}, which decides at {case.place(trail.moments[at].index)}, in every round; "
                f"bpf_loop() or bpf_for() are for counts that are not known."
            )
    story.tell(story.at, "here nothing has changed since the last round")
    return advice


def too_large(case: Case) -> str | None:
    """The limit was reached: where the instructions went."""
    busiest = sorted(range(len(case.visits)), key=lambda slot: -case.visits[slot])[:1]
    if not busiest or case.visits[busiest[0]] < 2:
        return None
    slot = busiest[0]
    return (
        f"{case.place(slot).capitalize()} was followed {case.visits[slot]:,} times: make the loop around it shorter, "
        f"use bpf_loop() or a loop with bpf_for(), or move its body to a global function."
    )


def deep_stack(case: Case) -> str | None:
    """How much stack each function uses."""
    depths = case.facts.get("depths")
    names = [one.name for one in case.spec.functions]
    if not isinstance(depths, (tuple, list)) or not depths:
        return None
    largest = max(range(len(depths)), key=lambda index: depths[index])
    if largest >= len(names):
        return None
    return (
        f"{names[largest]}() uses the most, {depths[largest]} bytes: move its large local variables to a per-CPU "
        f"array map, or make functions inline."
    )
