"""Timers, workqueues and task work in map values, and the functions that they call later.

Each belongs to the map that it lies in, which is passed beside it. The function that it calls runs on its own some
time after: it is followed from a state that has nothing of the program's, as often as it is set.

Source: the documentation of the helpers in bpf-helpers(7); messages, and how such functions are entered and left,
were observed on Linux 6.18.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from skep.verifier.maps.facts import MapFacts
from skep.verifier.numbers.scalar import S32_MAX, S32_MIN, signed64
from skep.verifier.rejection import NotCovered, Rejection
from skep.verifier.states.register import ANY_NUMBER, ZERO, Kind, Register, register
from skep.verifier.states.state import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from skep.verifier.calls.kfunc_arguments import Argument
    from skep.verifier.calls.kfunc_calls import KfuncCall
    from skep.verifier.paths.exploration import Explorer

_NOTHING: Final = (0, 0)
_ANY_INTEGER: Final = (S32_MIN, S32_MAX)


def check_place(index: int, pointer: Register, name: str) -> None:
    """Refuse a pointer into a map value that is not at the field of that type."""
    if not pointer.scalar.is_constant:
        raise Rejection(f"R{index} doesn't have constant offset. {name} has to be at the constant offset")
    map = pointer.subject
    assert isinstance(map, MapFacts)
    if not map.has_btf:
        raise Rejection(f"map '{map.name}' has to have BTF in order to use {name}", map=map.name)
    field = map.fields.first(name)
    if field is None:
        raise Rejection(f"map '{map.name}' has no valid {name}", map=map.name)
    offset = pointer.offset + signed64(pointer.scalar.value)
    if offset != field.offset:
        raise Rejection(f"off {offset} doesn't point to 'struct {name}' that is at {field.offset}", map=map.name)


def check_same_map(what: str, index: int, holder: Register, map: Register) -> None:
    """Refuse a map that is not the one that ``holder``, in register ``index`` - 1, points into."""
    if holder.subject is not map.subject or holder.extent != map.extent:
        raise Rejection(
            f"{what} pointer in R{index - 1} map_uid={holder.extent} doesn't match map pointer in R{index} "
            f"map_uid={map.extent}",
            register=index,
        )


def check_holder(explorer: Explorer, call: KfuncCall, argument: Argument, passed: Register) -> None:
    """An argument of a kernel function that has to be a workqueue or task work in a map value."""
    if passed.kind is not Kind.MAP_VALUE or passed.flags:
        raise Rejection(
            f"arg#{argument.position} doesn't point to a map value", register=argument.index, pointer=passed
        )
    assert argument.target is not None
    check_place(argument.index, passed, argument.target.name)
    call.notes["holder"] = passed


def check_map(explorer: Explorer, call: KfuncCall, argument: Argument, passed: Register) -> None:
    """An argument of a kernel function that has to be a map: that of the workqueue or task work before it."""
    index = argument.index
    if passed.kind is not Kind.MAP:
        raise Rejection(f"pointer in R{index} isn't map pointer", register=index, pointer=passed)
    map = passed.subject
    assert isinstance(map, MapFacts)
    holder = call.notes.get("holder")
    if isinstance(holder, Register):
        if not map.fields:
            # Linux 6.18 looks at the fields of that map without asking whether there are any.
            raise NotCovered(f"a map without fields of its own ({map.name}) passed to {call.name}")
        if map.holds("bpf_task_work"):
            check_same_map("bpf_task_work", index, holder, passed)
        elif map.holds("bpf_wq"):
            check_same_map("workqueue", index, holder, passed)
    call.map = map


def call_later(
    explorer: Explorer,
    subprogram: int | None,
    holder: Register,
    *,
    sleepable: bool,
    limits: tuple[int, int] = _NOTHING,
) -> None:
    """Have a function of the program followed on its own: it gets the map, a key and the value."""
    assert subprogram is not None
    function = explorer.structure.subprograms[subprogram]
    if function.is_global:
        raise NotCovered(f"global function {function.name} as a callback")
    function.is_asynchronous = function.is_callback = True
    map = holder.subject
    assert isinstance(map, MapFacts)
    state = State()
    state.sleepable = sleepable
    state.asynchronous_entries = explorer.state.asynchronous_entries + 1
    frame = state.frames[0]
    frame.subprogram = function.index
    frame.callback = limits
    frame.registers[1] = register(Kind.MAP, subject=map)
    frame.registers[2] = register(Kind.MAP_KEY, ZERO, extent=map.key_size, subject=map)
    frame.registers[3] = register(Kind.MAP_VALUE, subject=map)
    explorer.later(state, function.start)


def _set_queue_callback(explorer: Explorer, call: KfuncCall) -> Register:
    call_later(explorer, call.callback, call.notes["holder"], sleepable=True)
    return ANY_NUMBER


def _schedule_task_work(explorer: Explorer, call: KfuncCall) -> Register:
    call_later(explorer, call.callback, call.notes["holder"], sleepable=True, limits=_ANY_INTEGER)
    return ANY_NUMBER


def _number(explorer: Explorer, call: KfuncCall) -> Register:
    return ANY_NUMBER


SPECIAL: dict[str, Callable[[Explorer, KfuncCall], Register]] = {
    "bpf_wq_init": _number,
    "bpf_wq_start": _number,
    "bpf_wq_set_callback_impl": _set_queue_callback,
    "bpf_task_work_schedule_signal_impl": _schedule_task_work,
    "bpf_task_work_schedule_resume_impl": _schedule_task_work,
}
