"""Open-coded iterators: made on the stack, asked for elements until there is none, destroyed.

How many elements there are is not known, so a loop over them has to be safe for any number of rounds. Asking for one
forks the path: in one there is an element, in the other the iterator is drained and the result is null. Coming back
to the same call in a state that an earlier round covers ends the path; numbers that changed between two rounds and
turned out not to matter are widened to any, which makes most loops settle after two rounds.

Rules and messages were observed on Linux 6.18.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from skep.btf.types import Composite
from skep.objects.kinds import AttachType, ProgramType
from skep.stdlib.kfuncs import KfuncFlag
from skep.verifier.holding import references, sections
from skep.verifier.paths.widening import widen
from skep.verifier.rejection import Rejection
from skep.verifier.stack import object_slots, stack_access
from skep.verifier.states.register import NOTHING, NULL, RCU, READ_ONLY, TRUSTED, Kind, Register, register
from skep.verifier.states.slots import UNUSED
from skep.verifier.states.stack_objects import Iterator, Progress

if TYPE_CHECKING:
    from skep.verifier.calls.kfunc_arguments import Argument
    from skep.verifier.calls.kfunc_calls import KfuncCall
    from skep.verifier.paths.exploration import Explorer
    from skep.verifier.states.state import State


def check_argument(explorer: Explorer, call: KfuncCall, argument: Argument, passed: Register) -> None:
    """Hold a register against a parameter that is an iterator, and make or destroy it where the function does."""
    if call.name == _OF_GROUP and not _may_walk_group(explorer):
        raise Rejection("css_task_iter is only allowed in bpf_lsm, bpf_iter and sleepable progs", kfunc=call.name)
    if passed.kind is not Kind.STACK:
        raise Rejection(f"arg#{argument.position} expected pointer to an iterator on stack", register=argument.index)
    assert argument.target is not None
    name = argument.target.name.removeprefix("bpf_")
    count = argument.target.size // 8
    if call.flags & KfuncFlag.ITER_NEW and argument.position == 0:
        _make(explorer, call, argument, passed, name, count)
        return
    found = _at(explorer, passed, name, count)
    if isinstance(found, Iterator) and found.is_stale:
        raise Rejection(f"expected an RCU CS when using {call.name}", register=argument.index)
    if found is None:
        problem = object_slots.misplaced(passed, count, "iter")
        raise Rejection(
            f"expected an initialized {name} as arg #{argument.position}", *problem, register=argument.index
        )
    first = object_slots.first_slot(passed, count)
    assert first is not None
    frame = explorer.state.frames[passed.frame]
    slots = object_slots.bits(frame, first, count)
    explorer.liveness.read(explorer.state, explorer.index, slots)
    call.reference = found.reference
    if call.flags & KfuncFlag.ITER_DESTROY:
        references.release(explorer.state, found.reference)
        for position in range(count):
            frame.slots[first - position] = UNUSED
        call.written |= slots
    call.notes["iterator"] = found
    call.notes["place"] = (frame.index, first)


#: Walks the tasks of a control group, under a lock that most programs may interrupt.
_OF_GROUP = "bpf_iter_css_task_new"


def _may_walk_group(explorer: Explorer) -> bool:
    context = explorer.context
    return (
        context.type is ProgramType.LSM
        or (context.type is ProgramType.TRACING and context.attach_type is AttachType.TRACE_ITER)
        or explorer.sleepable
    )


def _make(explorer: Explorer, call: KfuncCall, argument: Argument, passed: Register, name: str, count: int) -> None:
    first = object_slots.first_slot(passed, count)
    frame = explorer.state.frames[passed.frame]
    taken = first is not None and any(
        isinstance(one.object, Iterator) for one in frame.slots[max(first - count + 1, 0) : first + 1]
    )
    if first is None or taken:
        problem = object_slots.misplaced(passed, count, "iter")
        raise Rejection(
            f"expected uninitialized {name} as arg #{argument.position}", *problem, register=argument.index
        )
    call.written |= stack_access.claim(explorer, argument.index, passed, count)
    protected = bool(call.flags & KfuncFlag.RCU_PROTECTED)
    inside = sections.in_rcu(explorer)
    made = Iterator(
        name,
        references.acquire(explorer),
        count,
        in_rcu=protected and inside,
        is_stale=protected and not inside,
    )
    object_slots.put(frame, first, made, count)


def _at(explorer: Explorer, pointer: Register, name: str, count: int) -> Iterator | None:
    """The iterator of that name whose address a pointer to the stack is."""
    first = object_slots.first_slot(pointer, count)
    slots = explorer.state.frames[pointer.frame].slots
    if first is None or first >= len(slots):
        return None
    for position in range(count):
        found = slots[first - position].object
        if not isinstance(found, Iterator) or found.name != name or found.position != position:
            return None
    found = slots[first].object
    assert isinstance(found, Iterator)
    return found


def next_element(explorer: Explorer, call: KfuncCall) -> Register:
    """Ask for an element: fork a path on which there is one; on the present one there is none."""
    found = call.notes["iterator"]
    assert isinstance(found, Iterator)
    level, first = call.notes["place"]
    element = _element(explorer, call, found)
    if found.progress is Progress.ACTIVE:
        other = explorer.fork(explorer.index + 1)
        active = replace(found, depth=found.depth + 1)
        object_slots.put(other.frames[level], first, active, found.slots)
        before = explorer.last_turn(explorer.index, before=explorer.state.parent)
        if before is not None:
            widen(before, other)
        other.frames[-1].registers[0:6] = (element, *(NOTHING,) * 5)
    drained = replace(found, progress=Progress.DRAINED)
    object_slots.put(explorer.state.frames[level], first, drained, found.slots)
    return NULL


def _element(explorer: Explorer, call: KfuncCall, iterator: Iterator) -> Register:
    """What points to an element: a kernel object, or read-only memory, void with the iterator."""
    table = call.function.table
    target = table.pointee(call.function.result)
    assert target is not None
    if isinstance(table.btf[target.id], Composite):
        flags = RCU if iterator.in_rcu else TRUSTED
        return register(Kind.OBJECT, id=explorer.new_id(), flags=flags, subject=target)
    return register(
        Kind.MEMORY,
        id=explorer.new_id(),
        reference=iterator.reference,
        extent=target.size,
        flags=READ_ONLY,
    )


def is_active(state: State) -> bool:
    """Whether the iterator that r1 points to may have more elements."""
    pointer = state.frames[-1].registers[1]
    first = object_slots.first_slot(pointer, 1)
    if pointer.kind is not Kind.STACK or first is None:
        return False
    slots = state.frames[pointer.frame].slots
    found = slots[first].object if first < len(slots) else None
    return isinstance(found, Iterator) and found.progress is Progress.ACTIVE


def depths_differ(old: State, current: State) -> bool:
    """Whether one of the iterators was asked for another element since, so that the loop does end."""
    for mine, theirs in zip(old.frames, current.frames, strict=True):
        for one, other in zip(mine.slots, theirs.slots, strict=False):
            before, now = one.object, other.object
            if (
                isinstance(before, Iterator)
                and isinstance(now, Iterator)
                and before.progress is Progress.ACTIVE
                and before.depth != now.depth
            ):
                return True
    return False
