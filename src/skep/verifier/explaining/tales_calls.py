"""How calls are told that were refused: arguments, sizes, who may call what.

Each function tells its part of the path (``case.story``) and gives a suggestion that names registers, instructions
and bounds, or None where the general one of the table says all there is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from skep.stdlib import prototypes
from skep.stdlib.kfuncs import KFUNCS
from skep.verifier.explaining.telling import loaded_again, lost_bound, named_register, room_behind, usual
from skep.verifier.explaining.words import words
from skep.verifier.states.register import Kind

if TYPE_CHECKING:
    from skep.verifier.explaining.case import Case


def argument(case: Case) -> str | None:
    """An argument of the wrong kind."""
    story = case.story
    register = case.register if case.register is not None else named_register(case)
    if story is None or register is None:
        return usual(case)
    events = story.value(register)
    story.branches(most=1)
    held = case.held(register)
    callee = (case.listing.callee(case.slot) if case.slot is not None else None) or "the call"
    if held.maybe_null:
        origin = next((one for one in events if one.what in ("returned", "loaded")), None)
        where = f", which comes from {case.place_of(origin)}," if origin is not None else ""
        return f"Check argument {register}{where} for null before {callee} gets it: if (!p) return ...;"
    if held.kind is Kind.SCALAR:
        gone = next((one for one in events if one.what == "invalidated"), None)
        if gone is not None:
            return f"It was a pointer until {case.place_of(gone)}: load it again before {callee} gets it."
        return f"Pass {callee} {_wanted(case)} as argument {register}; here it is {words(held)}."
    if "expected" in case.groups and held.is_pointer:
        return f"{callee} takes {_wanted(case)} as argument {register}; here it is {words(held)}."
    return None


#: What messages call kinds of pointers, in words.
_IN_WORDS = {
    "fp": "the stack",
    "ctx": "the context",
    "pkt": "the packet",
    "map_value": "a map value",
    "map_ptr": "a map",
    "func": "a function",
    "mem": "memory",
    "sock": "a socket",
    "sock_common": "a socket",
    "tcp_sock": "a socket",
    "ringbuf_mem": "a ring buffer's record",
    "dynptr_ptr": "a dynptr",
    "trusted_ptr_": "a kernel object",
    "ptr_": "a kernel object",
    "percpu_ptr_": "a per-CPU kernel object",
}


def _wanted(case: Case) -> str:
    """What an argument may be, in words."""
    named = [_IN_WORDS.get(one.strip()) for one in case.groups.get("expected", "").split(",")]
    wanted = list(dict.fromkeys(one for one in named if one is not None))
    if not wanted:
        return "a pointer"
    return "a pointer to " + (", ".join(wanted[:-1]) + " or " if len(wanted) > 1 else "") + wanted[-1]


def size(case: Case) -> str | None:
    """A size that is not bounded as it must be."""
    story = case.story
    register = case.register
    if story is None or register is None:
        return usual(case)
    events = story.value(register)
    known = loaded_again(case, events) or lost_bound(case, events)
    if known is not None:
        return known
    buffer = case.held(register - 1) if register > 1 else None
    room = None if buffer is None else room_behind(buffer)
    story.branches(most=1)
    held = case.held(register)
    if "zero-sized" in case.message:
        return f"Skip the call where r{register} is 0: if (size == 0) return ...; before {case.here}."
    if not room or held.kind is not Kind.SCALAR:
        return None
    mask = (1 << (room + 1).bit_length() - 1) - 1
    return (
        f"The buffer in r{register - 1} has {room} bytes: before {case.here}, if (size > {room}) return ...; with "
        f"size unsigned, or size &= {mask:#x};."
    )


def helper_type(case: Case) -> str | None:
    """A helper that the program type has not."""
    if case.story is not None:
        case.story.branches(most=1)
    from skep.objects.kinds import ProgramType

    name = case.groups.get("helper", "").removeprefix("bpf_")
    number = prototypes.NUMBERS.get(name)
    if number is None:
        return None
    kinds = [
        one.label
        for one in ProgramType
        if one not in (ProgramType.UNSPEC, ProgramType.RAW, case.spec.type)
        and prototypes.permitted(number, one, None)
    ]
    if not kinds:
        return None
    shown = ", ".join(kinds[:6]) + (f" and {len(kinds) - 6} more" if len(kinds) > 6 else "")
    ours = case.spec.type.label if case.spec.type is not None else "this"
    return f"bpf_{name}() is for programs of type {shown}; programs of type {ours} need another way, or another type."


def kfunc_type(case: Case) -> str | None:
    """A kernel function that the program type has not."""
    if case.story is not None:
        case.story.branches(most=1)
    name = case.groups.get("kfunc", "")
    row = KFUNCS.get(name)
    if row is None:
        return f"Linux 6.18 has no kernel function {name}() for programs: check the name, or guard it as __weak."
    kinds = sorted(one.label for one in row.programs if one is not case.spec.type)
    if not kinds:
        return None
    shown = ", ".join(kinds[:6]) + (f" and {len(kinds) - 6} more" if len(kinds) > 6 else "")
    where = " attached in certain ways" if row.attaches else ""
    return f"{name}() is for programs of type {shown}{where}: move the call to one of those, or find another way."


def pair(case: Case) -> str | None:
    """Memory and its length do not fit."""
    story = case.story
    first, second = case.number("argument"), case.number("size")
    if story is None or first is None or second is None:
        return usual(case)
    story.value(first + 1)
    story.value(second + 1)
    story.branches(most=1)
    room = room_behind(case.held(first + 1))
    length = case.held(second + 1)
    if room is None or length.kind is not Kind.SCALAR:
        return None
    return (
        f"r{first + 1} has {room} bytes, and r{second + 1} is {words(length)}: pass a length from 1 to {room}, "
        f"checked unsigned before {case.here}."
    )


def map_type(case: Case) -> str | None:
    """A call that does not take this type of map."""
    usual(case)
    map = case.facts.get("map")
    found = case.spec.maps.get(map) if isinstance(map, str) else None
    if found is None:
        return None
    callee = (case.listing.callee(case.slot) if case.slot is not None else None) or "the call"
    return (
        f"Map {map} is of type {found.type.label}, which {callee} does not take: use the helper made for that type, "
        f"or define the map with another type."
    )


def flags(case: Case) -> str | None:
    """Flags where there are none: the second argument."""
    if case.story is not None:
        case.story.value(2)
        case.story.branches(most=1)
    return None


def global_call(case: Case) -> str | None:
    """An argument of a global function that is not as declared."""
    usual(case)
    function = case.groups.get("function", "")
    said = next((one for one in reversed(case.details) if re.search(r"arg#?\d|R\d", one)), None)
    if said is None:
        return None
    return (
        f"What {function}() declares is not met: {said}. Pass what is declared (a checked pointer, memory of the "
        f"full size), tag the parameter (__arg_ctx, __arg_nonnull, __arg_nullable), or make the function static."
    )


def first_argument(case: Case) -> str | None:
    """What is wrong with what the first argument points to."""
    if case.story is not None:
        case.story.value(1)
        case.story.branches(most=1)
    return None
