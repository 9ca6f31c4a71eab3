"""How accesses to memory are told that were refused, and the bound, comparison or place that would help.

Each function tells its part of the path (``case.story``) and gives a suggestion that names registers, instructions
and bounds, or None where the general one of the table says all there is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from skep.isa.meaning import Alu, Branch
from skep.programs import KINDS
from skep.verifier.contexts.context_tables import table_of
from skep.verifier.explaining.origin import Event, Place
from skep.verifier.explaining.story import Story
from skep.verifier.explaining.telling import (
    access_size,
    is_access,
    loaded_again,
    lost_bound,
    register_story,
    size_of,
    uncounted_round,
    usual_register,
)
from skep.verifier.explaining.words import kind_words, number_words, plain, words
from skep.verifier.states.register import Kind, Register

if TYPE_CHECKING:
    from skep.verifier.explaining.case import Case


_FARTHEST = 0xFFFF


def packet(case: Case) -> str | None:
    """An access to the packet beyond what was compared."""
    access = case.detail(r"off=(-?\d+) size=(-?\d+), R\d+\(id=(\d+),off=-?\d+,r=(-?\d+)\)")
    story = usual_register(case)
    register = case.register
    if access is None or register is None:
        return None
    moved = int(access[1]) if story is None else case.held(register).offset
    if int(access[3]) == 0 and max(moved, int(access[1]) + int(access[2])) > _FARTHEST:
        return (
            f"A comparison with data_end counts for {_FARTHEST:,} bytes of the packet at most, and this path goes on "
            f"beyond them: give the loop a fixed number of rounds, and compare in each: "
            f"for (i = 0; i < 1500; i++) {{ if (p + {access[2]} > data_end) break; ... }}."
        )
    if story is None:
        return None
    pointer = case.held(register)
    offset, size, known = int(access[1]), int(access[2]), int(access[4])
    end = offset + size
    compared = _extent_set_at(case, register)
    if not pointer.scalar.is_constant:
        added = story.operand_events(story.value(register))
        if pointer.scalar.umax > _FARTHEST:
            what = f"r{register}"
            if added is not None:
                event, events = added
                number = event.before if event.before.kind is Kind.SCALAR else _value_of(story, event, events)
                what = f"{number_words(number.scalar)}, added at {case.place_of(event)}"
            return (
                f"Bound the variable part ({what}) first: a packet pointer may be moved by at most {_FARTHEST} "
                f"bytes; then compare the moved pointer: if (p + {end} > data_end) return ...;"
            )
        if known <= 0:
            return (
                f"Compare the pointer again after it was moved, before {case.here}: if (p + {end} > data_end) "
                f"return ...; a comparison made before the addition does not count for it."
            )
    if known <= 0:
        return (
            f"Compare before {case.here}, with the pointer that is followed: if (p + {end} > data_end) return ...; "
            f"no byte behind it is known to be there."
        )
    where = f" at {case.place_of(compared)}" if compared is not None else ""
    return (
        f"The comparison{where} covers {known} bytes, and byte{'s' if size > 1 else ''} "
        f"{offset if size == 1 else f'{offset} to {end - 1}'} {'are' if size > 1 else 'is'} accessed: compare "
        f"{end} bytes (if (p + {end} > data_end) return ...;)."
    )


def _value_of(story: Story, event: Event, events: list[Event]) -> Register:
    operand = story.operand(event)
    return story.trail.value(event.at, operand) if operand is not None else event.after


def _extent_set_at(case: Case, register: int) -> Event | None:
    story = case.story
    assert story is not None
    place = Place(story.trail.moments[story.at].top, register)
    for event in story.trail.events(story.at, place):
        if event.what == "compared" and event.before.extent != event.after.extent:
            return event
    return None


def outside(case: Case) -> str | None:
    """An access that may leave a map value or other memory."""
    told = register_story(case)
    if told is None:
        return None
    _, register, events = told
    access = case.detail(r"(?:value_size|mem_size|key_size)=(\d+) off=(-?\d+) size=(-?\d+)")
    if access is None:
        return None
    limit, offset, size = int(access[1]), int(access[2]), int(access[3])
    pointer = case.held(register)
    what = kind_words(pointer)
    if not size:
        return f"An access of 0 bytes to {what} is asked for here, and none is permitted: pass a size of at least 1."
    if pointer.scalar.is_constant:
        if offset < 0:
            return f"The access starts {-offset} bytes before {what}: offsets from 0 to {limit - size} are possible."
        return _moved_each_round(case, events, limit, what) or (
            f"{what[0].upper()}{what[1:]} has {limit} bytes, and the access goes to byte {offset + size - 1}: use an "
            f"offset of at most {limit - size}, or make the value larger."
            if limit >= size and pointer.kind is Kind.MAP_VALUE
            else f"{what[0].upper()}{what[1:]} has {limit} bytes, and the access goes to byte {offset + size - 1}."
        )
    if case.groups.get("end") == "min":
        return (
            f"Make the offset in r{register} unsigned, or check its lower end before {case.here}: it may be "
            f"{plain(pointer.scalar.smin)}."
        )
    return _bound(case, events, limit - size - (offset - pointer.scalar.umax), limit, what)


def _moved_each_round(case: Case, events: list[Event], limit: int, what: str) -> str | None:
    """What keeps a pointer inside that moves on with each round of a loop whose rounds are not counted."""
    at = uncounted_round(case)
    story = case.story
    if at is None or story is None:
        return None
    added = story.operand_events(events)
    moves = added[1] if added is not None else events
    moved = next((event for event in moves if event.what == "changed"), None)
    row = None if moved is None else story.trail.row(moved.at)
    if moved is None or row is None or not isinstance(row.meaning, Alu) or row.operand == "src":
        return None
    stride = story.trail.instruction(moved.at).imm
    if row.meaning.operation != "add" or stride <= 0:
        return None
    story.tell(at, "the loop goes round, and its rounds are not counted")
    return (
        f"r{moved.place.index} moves on by {stride} at {case.place_of(moved)} in each round of the loop at "
        f"{case.place(story.trail.moments[at].index)}, whose rounds are not counted: count them, and compare before "
        f"the access: if (i >= {max(limit // stride, 1)}) break; {what} has {limit} bytes."
    )


def _bound(case: Case, events: list[Event], largest: int, limit: int, what: str) -> str | None:
    """The comparison that keeps the variable part of a pointer at or below ``largest``."""
    story = case.story
    assert story is not None
    if largest < 0:
        return f"{what[0].upper()}{what[1:]} has {limit} bytes: no offset added here leaves room for this access."
    found = story.operand_events(events)
    if found is None:
        return f"Keep the offset at or below {largest}: {what} has {limit} bytes."
    added, history = found
    known = loaded_again(case, history) or lost_bound(case, history)
    if known is not None:
        return known
    factor, number, where = case.scale(history)
    operand = story.operand(added)
    if not where:
        number = operand.index if operand is not None else number
        where = case.place_of(added)
    count = largest // factor + 1
    unit = f", which is multiplied by {factor}" if factor > 1 else ""
    mask = (1 << (count.bit_length() - 1)) - 1
    return (
        f"Compare r{number} with {count}, unsigned, before {where}{unit}: if (index >= {count}) return ...;"
        + (f" or mask it: index &= {mask:#x};" if mask else "")
        + f" {what} has {limit} bytes."
    )


def unbounded(case: Case) -> str | None:
    """An offset without an upper end."""
    told = register_story(case)
    if told is None:
        return None
    _, register, events = told
    pointer = case.held(register)
    limit = size_of(pointer)
    size = access_size(case)
    if limit is None or size is None:
        return None
    instruction = case.spec.instructions[case.slot or 0]
    offset = instruction.offset if is_access(case) else 0
    return _bound(case, events, limit - size - pointer.offset - offset, limit, kind_words(pointer))


def negative(case: Case) -> str | None:
    """An offset or size that may be below 0."""
    told = register_story(case)
    if told is None:
        return None
    story, register, events = told
    held = case.held(register)
    name, where = register, case.here
    if held.is_pointer:
        found = story.operand_events(events)
        if found is None:
            return None
        operand = story.operand(found[0])
        name = operand.index if operand is not None else register
        where, events = case.place_of(found[0]), found[1]
    for event in events:
        row = story.trail.row(event.at)
        if event.what != "compared" or row is None or not isinstance(row.meaning, Branch):
            continue
        if row.meaning.condition in ("sgt", "sge", "slt", "sle"):
            return (
                f"{case.place_of(event).capitalize()} compares it as a signed number, which leaves negative values: "
                f"declare the variable unsigned (__u32, __u64), or add if (x < 0) return ...; before {where}."
            )
    return (
        f"Before {where}, bound r{name} from below: compare it with its maximum as an unsigned number, or mask it "
        f"(x &= 0xff)."
    )


def null(case: Case) -> str | None:
    """A pointer that may be null is followed."""
    told = register_story(case)
    if told is None:
        return None
    story, _, events = told
    for event in events:
        if event.what == "returned":
            slot = story.trail.moments[event.at].index
            return (
                f"Check what {case.listing.callee(slot)} returned at {case.place(slot)} before {case.here}: "
                f"if (!p) return ...; in the same variable that is used afterwards."
            )
    return None


def number_followed(case: Case) -> str | None:
    """A number is used as a pointer."""
    told = register_story(case)
    if told is None:
        return None
    story, _, events = told
    for event in events:
        if event.what == "invalidated":
            slot = story.trail.moments[event.at].index
            callee = case.listing.callee(slot)
            if event.before.kind in (Kind.PACKET, Kind.PACKET_META, Kind.PACKET_END):
                return (
                    f"{callee} at {case.place(slot)} may move the packet: load data and data_end from the context "
                    f"again behind it, and compare again."
                )
            return f"{callee} at {case.place(slot)} gave it up: do not use it behind that call."
        if event.what == "compared" and event.before.is_pointer and not event.after.is_pointer:
            return (
                f"On this path the pointer is null (see {case.place_of(event)}): return there, instead of going on."
            )
        if event.what == "changed" and event.before.is_pointer and not event.after.is_pointer:
            return f"Keep the pointer: {case.place_of(event)} makes a number of it."
        if event.what == "loaded":
            return (
                "What is loaded as a plain number cannot be followed: read through it with bpf_probe_read_kernel() "
                "(or bpf_probe_read_user() for addresses of user space), or BPF_CORE_READ() with CO-RE."
            )
        if event.what == "constant":
            return f"It is set to {words(event.after)} at {case.place_of(event)}: on this path it is no pointer."
        if event.what == "returned":
            slot = story.trail.moments[event.at].index
            return f"{case.listing.callee(slot)} returns a number, not a pointer that can be followed."
    return None


def stack(case: Case) -> str | None:
    """An access outside the stack."""
    story = usual_register(case)
    access = case.detail(r"off=(-?\d+) size=(-?\d+)")
    if story is None or access is None:
        return None
    offset, size = int(access[1]), int(access[2])
    if "var_off" in case.message or "variable-offset" in case.message:
        return None
    if offset < -512:
        return (
            f"The access starts {-offset} bytes below the frame pointer, and a function has 512: make local "
            f"variables smaller by {-offset - 512} bytes, or keep the large one in a per-CPU array map."
        )
    if offset + size > 0:
        return (
            f"The access of {size} bytes at {offset} ends {offset + size} bytes above the frame pointer: the local "
            f"array is shorter than what is accessed."
        )
    return None


def variable_stack(case: Case) -> str | None:
    """A local array is indexed with what may be outside."""
    told = register_story(case)
    if told is None:
        return None
    story, register, events = told
    found = story.operand_events(events)
    if found is None:
        return None
    added, history = found
    factor, number, where = case.scale(history)
    operand = story.operand(added)
    name = number if where or operand is None else operand.index
    where = where or case.place_of(added)
    pointer = case.held(register)
    access = case.detail(r"off=(-?\d+) size=(\d+)")
    if access is not None and pointer.scalar.smin >= 0 and int(access[1]) < 0:
        room, size = -int(access[1]), int(access[2])
        count = max((room - size) // factor + 1, 1)
        return (
            f"The array starts {room} bytes below the frame pointer: compare r{name} with the number of its elements "
            f"(at most {count}), unsigned, before {where}, or mask it."
        )
    return f"Compare r{name} with the number of elements of the array, unsigned, before {where}, or mask it."


def context_field(case: Case) -> str | None:
    """A place of the context that cannot be accessed so."""
    if case.story is not None:
        case.story.branches(most=1)
    offset, size_ = case.number("offset"), case.number("size")
    permits = _context_permits(case)
    if offset is None or size_ is None or permits is None or case.spec.type is None:
        return None
    store = bool(case.facts.get("store"))
    sizes = [one for one in (1, 2, 4, 8) if permits(offset, one, store)]
    verb = "written" if store else "read"
    kind = case.spec.type.label
    if sizes:
        text = " or ".join(str(one) for one in sizes)
        return f"{kind} programs may have {text} bytes {verb} at offset {offset}, not {size_}: use the whole field."
    if store and permits(offset, size_, False):
        return f"{kind} programs may read the field at offset {offset}, but not write it: keep the value elsewhere."
    for start in range(offset - 1, max(offset - 8, -1), -1):
        for one in (8, 4, 2):
            if start + one > offset and permits(start, one, store):
                return (
                    f"Offset {offset} lies inside the field at {start} to {start + one - 1}, which is {verb} as a "
                    f"whole ({one} bytes): read it into a variable first, then take the part."
                )
    return f"{kind} programs have no field at offset {offset} that may be {verb}."


def _context_permits(case: Case) -> Callable[[int, int, bool], bool] | None:
    """Whether the context of the program's type has an access: offset, size, whether it is a store."""
    type, attach = case.spec.type, case.spec.attach_type
    if type is None:
        return None
    kind = KINDS.get(type)
    if kind is not None and not kind.takes_memory:
        return lambda offset, size, store: kind.field_at(offset, size, write=store, attach_type=attach) is not None
    table = table_of(type, attach)
    if table is None:
        return None
    return lambda offset, size, store: table.permits(offset, size, store=store)
