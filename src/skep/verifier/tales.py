"""How each kind of rejection is told: which values to follow back, and the change that helps in this program.

Each function tells its part of the path (``case.story``) and gives a suggestion that names registers, instructions
and bounds, or None where the general one of the table says all there is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from skep.isa.meaning import Alu, Atomic, Branch, Load, LoadAcquire, Store, StoreRelease
from skep.programs import KINDS
from skep.stdlib import prototypes
from skep.verifier.context_tables import table_of
from skep.verifier.origin import Event, Place
from skep.verifier.register import Kind, Register
from skep.verifier.scalar import S64_MAX, signed64
from skep.verifier.story import Story, acquired_at, holders
from skep.verifier.words import kind_words, number_words, plain, words

if TYPE_CHECKING:
    from skep.verifier.case import Case

_FARTHEST = 0xFFFF


def usual(case: Case) -> str | None:
    """The register that the message names, and the branch that led here."""
    story = case.story
    if story is None:
        return None
    register = case.register
    if register is None:
        register = _named(case)
    if register is None:
        register = _operand(story)
    if register is not None and 0 <= register <= 9:
        story.value(register)
    story.branches(most=1)
    return None


def _operand(story: Story) -> int | None:
    """The register that an access goes through, or that an operation works on."""
    row, instruction = story.trail.row(story.at), story.trail.instruction(story.at)
    match None if row is None else row.meaning:
        case Load() | LoadAcquire():
            return instruction.src
        case Store() | StoreRelease() | Atomic() | Alu():
            return instruction.dst
        case _:
            return None


def _named(case: Case) -> int | None:
    """A register that the facts or the message name in another way (``arg#0`` is r1)."""
    found = re.search(r"\bR(\d+)\b", case.message) or next(
        (hit for one in case.details if (hit := re.search(r"\bR(\d+)\b", one))), None
    )
    if found is not None:
        return int(found[1])
    argument = re.search(r"\b(?:arg|args) ?#(\d)\b|\barg(\d)\b", case.message)
    return None if argument is None else int(argument[1] or argument[2]) + 1


# Memory.


def packet(case: Case) -> str | None:
    """An access to the packet beyond what was compared."""
    story = usual_register(case)
    access = case.detail(r"off=(-?\d+) size=(-?\d+), R\d+\(id=(\d+),off=-?\d+,r=(-?\d+)\)")
    register = case.register
    if story is None or access is None or register is None:
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


def usual_register(case: Case) -> Story | None:
    """Tell the usual things; the story, if there is one."""
    usual(case)
    return case.story


def _value_of(story: Story, event: Event, events: list[Event]) -> Register:
    operand = story._operand(event)
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
    story = case.story
    register = case.register
    if story is None or register is None:
        return usual(case)
    events = story.value(register)
    story.branches(most=1)
    access = case.detail(r"(?:value_size|mem_size|key_size)=(\d+) off=(-?\d+) size=(-?\d+)")
    if access is None:
        return None
    limit, offset, size = int(access[1]), int(access[2]), int(access[3])
    pointer = case.held(register)
    what = kind_words(pointer)
    if pointer.scalar.is_constant:
        if offset < 0:
            return f"The access starts {-offset} bytes before {what}: offsets from 0 to {limit - size} are possible."
        return (
            f"{what[0].upper()}{what[1:]} has {limit} bytes, and the access goes to byte {offset + size - 1}: use an "
            f"offset of at most {limit - size}, or make the value larger."
        )
    if case.groups.get("end") == "min":
        return (
            f"Make the offset in r{register} unsigned, or check its lower end before {case.here}: it may be "
            f"{plain(pointer.scalar.smin)}."
        )
    return _bound(case, events, limit - size - (offset - pointer.scalar.umax), limit, what)


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
    factor, number, where = case.scale(history)
    operand = story._operand(added)
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
    story = case.story
    register = case.register
    if story is None or register is None:
        return usual(case)
    events = story.value(register)
    story.branches(most=1)
    pointer = case.held(register)
    limit = _size_of(pointer)
    size = _access_size(case)
    if limit is None or size is None:
        return None
    instruction = case.spec.instructions[case.slot or 0]
    offset = instruction.offset if _is_access(case) else 0
    return _bound(case, events, limit - size - pointer.offset - offset, limit, kind_words(pointer))


def _size_of(pointer: Register) -> int | None:
    size = getattr(pointer.subject, "value_size", None) if pointer.kind is Kind.MAP_VALUE else None
    if isinstance(size, int):
        return size
    return pointer.extent if pointer.kind is Kind.MEMORY and pointer.extent else None


def _is_access(case: Case) -> bool:
    return _access_size(case) is not None


def _access_size(case: Case) -> int | None:
    story = case.story
    row = None if story is None else story.trail.row(story.at)
    return row.meaning.size if row is not None and isinstance(row.meaning, Load | Store) else None


def negative(case: Case) -> str | None:
    """An offset or size that may be below 0."""
    story = case.story
    register = case.register
    if story is None or register is None:
        return usual(case)
    events = story.value(register)
    story.branches(most=1)
    held = case.held(register)
    name, where = register, case.here
    if held.is_pointer:
        found = story.operand_events(events)
        if found is None:
            return None
        operand = story._operand(found[0])
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
    story = case.story
    register = case.register
    if story is None or register is None:
        return usual(case)
    events = story.value(register)
    story.branches(most=1)
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
    story = case.story
    register = case.register
    if story is None or register is None:
        return usual(case)
    events = story.value(register)
    story.branches(most=1)
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
    story = case.story
    register = case.register
    if story is None or register is None:
        return usual(case)
    events = story.value(register)
    story.branches(most=1)
    found = story.operand_events(events)
    if found is None:
        return None
    added, history = found
    factor, number, where = case.scale(history)
    operand = story._operand(added)
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
    story.value(number)
    story.branches(most=1)
    scalar = case.held(number).scalar
    if scalar.smax < S64_MAX:
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


# Registers and values.


def never_written(case: Case) -> str | None:
    """A register is read that holds nothing."""
    story = case.story
    register = case.register
    if story is None or register is None:
        return usual(case)
    events = story.value(register)
    story.branches(most=3)
    for event in events:
        if event.what == "cleared":
            slot = story.trail.moments[event.at].index
            return (
                f"The call of {case.listing.callee(slot)} at {case.place(slot)} leaves nothing in r1 to r5: keep the "
                f"value in r6 to r9 (a variable that is used on both sides of the call), or load it again."
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


# Things that are held.

#: What gives back what a call acquired; by the start of its name.
_RELEASES = (
    ("bpf_ringbuf_reserve_dynptr", "bpf_ringbuf_submit_dynptr() or bpf_ringbuf_discard_dynptr()"),
    ("bpf_ringbuf_reserve", "bpf_ringbuf_submit() or bpf_ringbuf_discard()"),
    ("bpf_sk", "bpf_sk_release()"),
    ("bpf_map_lookup_elem", "bpf_sk_release()"),
    ("bpf_task", "bpf_task_release()"),
    ("bpf_cgroup", "bpf_cgroup_release()"),
    ("bpf_cpumask", "bpf_cpumask_release()"),
    ("bpf_obj_new", "bpf_obj_drop(), or a push into a list or tree,"),
    ("bpf_percpu_obj_new", "bpf_percpu_obj_drop()"),
    ("bpf_refcount_acquire", "bpf_obj_drop()"),
    ("bpf_list_pop", "bpf_obj_drop(), or a push into a list or tree,"),
    ("bpf_rbtree_remove", "bpf_obj_drop(), or a push into a list or tree,"),
    ("bpf_kptr_xchg", "the release function of its type, or bpf_kptr_xchg() into a map,"),
    ("bpf_iter", "the iterator's destroy function"),
    ("bpf_key", "bpf_key_put()"),
    ("bpf_lookup_", "bpf_key_put()"),
    ("bpf_get_task_exe_file", "bpf_put_file()"),
    ("bpf_skb_ct", "bpf_ct_release()"),
    ("bpf_xdp_ct", "bpf_ct_release()"),
)


def leak(case: Case) -> str | None:
    """Something acquired is not given back."""
    story = case.story
    if story is None:
        return None
    advice = None
    first = story.at
    for slot in acquired_at(case.details):
        at = story.moment_of(slot)
        if at is None:
            continue
        first = min(first, at)
        callee = case.listing.callee(slot) or "this instruction"
        story.tell(at, f"{callee} acquires a reference, which has to be given back")
        release = next(
            (text for start, text in _RELEASES if callee.startswith(start)), "the function that releases it"
        )
        advice = f"Call {release}{' on ' + held if (held := _holder(story, at, slot)) else ''} before {case.here}"
    story.branches(since=first)
    story.tell(story.at, "here the path ends, and it is still held")
    if advice is None:
        return None
    return advice + ", on the path shown: return only after it was released."


def _holder(story: Story, at: int, slot: int) -> str:
    state = story.trail.moments[story.at].state
    for reference in state.references:
        if getattr(reference, "instruction", None) == slot:
            names = holders(story.trail, story.at, reference.id)
            return f"{names[0]}" if names else ""
    return ""


def locked(case: Case) -> str | None:
    """A rule of locks: where the lock was taken."""
    story = case.story
    if story is None:
        return None
    at = story.grew("locks")
    if at is None:
        story.branches(most=2)
        return None
    slot = story.trail.moments[at].index
    story.tell(at, f"{case.listing.callee(slot) or 'this'} takes the lock")
    story.branches(since=at)
    here = case.listing.callee(case.slot) if case.slot is not None else None
    if here is None:
        return f"Release the lock that was taken at {case.place(slot)} on this path, before {case.here}."
    return f"Move the call of {here} out of the part between {case.place(slot)} and the unlock."


def other_lock(case: Case) -> str | None:
    """The wrong lock is released."""
    story = case.story
    if story is None:
        return None
    at = story.grew("locks")
    if at is not None:
        slot = story.trail.moments[at].index
        top = story.trail.moments[at].top
        taken = story.trail.value(at, Place(top, 1))
        story.tell(at, f"the lock is taken, of {words(taken)}")
    story.value(1, end=False)
    story.tell(story.at, f"here another is released: r1 is {words(case.held(1))}")
    if at is None:
        return None
    return (
        f"Unlock through the pointer that was locked at {case.place(slot)}: keep it in a variable, and look the "
        f"value up once."
    )


#: Parts of a program that have a beginning and an end: words in messages, the field that counts, what to call them.
_SECTIONS = (
    ("bpf_spin_lock", "locks", "the lock is taken", "bpf_spin_unlock()"),
    ("bpf_res_spin_lock", "locks", "the lock is taken", "bpf_res_spin_unlock()"),
    ("rcu_read_lock", "rcu_depth", "the RCU section begins", "bpf_rcu_read_unlock()"),
    ("preempt_disable", "preempt_depth", "preemption is disabled", "bpf_preempt_enable()"),
    ("local_irq_save", "irq_flags", "interrupts are disabled", "bpf_local_irq_restore()"),
    ("local_irq_save", "irqs", "interrupts are disabled", "bpf_local_irq_restore()"),
)


def section(case: Case) -> str | None:
    """An exit or a call inside of a section that must not have one."""
    story = case.story
    if story is None:
        return None
    for word, name, begins, ending in _SECTIONS:
        if word not in case.message or not hasattr(story.trail.moments[0].state, name):
            continue
        at = story.grew(name)
        if at is None:
            continue
        slot = story.trail.moments[at].index
        story.tell(at, f"{begins} here")
        story.branches(since=at)
        return f"Call {ending} before {case.here}, on the path shown; {begins} at {case.place(slot)}."
    return usual(case)


# Calls.


def argument(case: Case) -> str | None:
    """An argument of the wrong kind."""
    story = case.story
    register = case.register if case.register is not None else _named(case)
    if story is None or register is None:
        return usual(case)
    events = story.value(register)
    story.branches(most=1)
    held = case.held(register)
    callee = (case.listing.callee(case.slot) if case.slot is not None else None) or "the call"
    if held.maybe_null:
        origin = next((one for one in events if one.what == "returned"), None)
        where = f" at {case.place_of(origin)}" if origin is not None else ""
        return f"Check argument {register} for null after it is returned{where}, before {callee} gets it."
    if held.kind is Kind.SCALAR:
        gone = next((one for one in events if one.what == "invalidated"), None)
        if gone is not None:
            return f"It was a pointer until {case.place_of(gone)}: load it again before {callee} gets it."
        return f"Pass {callee} a pointer as argument {register}; here it is {words(held)}."
    return None


def size(case: Case) -> str | None:
    """A size that is not bounded as it must be."""
    story = case.story
    register = case.register
    if story is None or register is None:
        return usual(case)
    story.value(register)
    buffer = case.held(register - 1) if register > 1 else None
    room = None if buffer is None else _room(buffer)
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


def _room(buffer: Register) -> int | None:
    """How many bytes there are behind a pointer."""
    if not buffer.scalar.is_constant:
        return None
    offset = buffer.offset + signed64(buffer.scalar.value)
    if buffer.kind is Kind.STACK and -512 <= offset < 0:
        return -offset
    limit = _size_of(buffer)
    return None if limit is None or not 0 <= offset < limit else limit - offset


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
    return f"bpf_{name}() is for programs of type {shown}; an {ours} program needs another way, or another type."


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


def kfunc_type(case: Case) -> str | None:
    """A kernel function that the program type has not."""
    if case.story is not None:
        case.story.branches(most=1)
    return None


def pair(case: Case) -> str | None:
    """Memory and its length do not fit."""
    story = case.story
    first, second = case.number("argument"), case.number("size")
    if story is None or first is None or second is None:
        return usual(case)
    story.value(first + 1)
    story.value(second + 1)
    story.branches(most=1)
    room = _room(case.held(first + 1))
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
