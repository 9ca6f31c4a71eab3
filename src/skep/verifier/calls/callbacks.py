"""Functions that a helper calls back: how often is not known, so every number of rounds must be safe.

At the helper's call two paths begin: one goes into the function, and back to the same call when it returns; the other
goes on behind the call. Coming back to the call with a state that an earlier round covers ends the first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from skep.stdlib import prototypes
from skep.stdlib.prototype import HelperPrototype
from skep.verifier.calls.functions import new_frame
from skep.verifier.calls.helper_arguments import Passed
from skep.verifier.maps.facts import MapFacts
from skep.verifier.paths.widening import widen
from skep.verifier.rejection import NotCovered, Rejection
from skep.verifier.states.register import ANY_NUMBER, NOTHING, ZERO, Kind, Register, register
from skep.verifier.states.stack_objects import DynptrType
from skep.verifier.states.state import Frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from skep.verifier.calls.kfunc_arguments import Argument
    from skep.verifier.calls.kfunc_calls import KfuncCall
    from skep.verifier.paths.exploration import Explorer

_LOOP = prototypes.number("loop")
_FOR_EACH = prototypes.number("for_each_map_elem")
_DRAIN = prototypes.number("user_ringbuf_drain")
_FIND_VMA = prototypes.number("find_vma")

#: A callback says 0 to go on and 1 to stop.
_GO_ON_OR_STOP = (0, 1)


def schedule(explorer: Explorer, row: HelperPrototype, passed: Passed) -> None:
    """Fork a path into the function that the helper was given; the present one goes on behind the call."""
    if row.number == _LOOP:
        if explorer.registers[4].is_zero:
            # Linux may write the loop into the program then.
            explorer.mark_precise(4)
        _note_loop(explorer, passed.function, explorer.registers[4].is_zero)
        if explorer.registers[1].kind is not Kind.SCALAR:
            # Any value will do for the helper, but Linux cannot go back to where a pointer came from.
            raise Rejection("verifier bug: backtracking misuse", register=1)
        explorer.mark_precise(1)
        if explorer.frame.rounds >= explorer.registers[1].scalar.umax:
            if explorer.observer is not None:
                explorer.observer.exhausted(explorer)
            explorer.frame.rounds = 0
            return
    elif row.number not in (_FOR_EACH, _DRAIN, _FIND_VMA):
        raise NotCovered(f"callbacks of helper bpf_{row.name}")
    assert passed.function is not None
    function = explorer.structure.subprograms[passed.function]
    function.is_callback = True
    if explorer.observer is not None:
        explorer.observer.called(explorer, function)
    new_frame(explorer, function.index, explorer.index)
    other = explorer.fork(function.start)
    caller = other.frames[-1]
    callee = Frame(len(other.frames), function.index, explorer.index)
    if row.number == _LOOP:
        callee.registers[1] = ANY_NUMBER
        callee.registers[2] = caller.registers[3]
        callee.registers[3:6] = (NOTHING,) * 3
    elif row.number == _DRAIN:
        # A sample, as a dynptr of the kernel's own.
        callee.registers[1] = register(Kind.DYNPTR, id=explorer.new_id(), subject=DynptrType.LOCAL)
        callee.registers[2] = caller.registers[3]
        callee.registers[3:6] = (NOTHING,) * 3
    elif row.number == _FIND_VMA:
        callee.registers[1] = caller.registers[1]
        callee.registers[2] = register(Kind.OBJECT, subject=explorer.context.kernel_types.struct("vm_area_struct"))
        callee.registers[3] = caller.registers[4]
        callee.registers[4:6] = (NOTHING,) * 2
    else:
        map = passed.map
        assert isinstance(map, MapFacts)
        if map.type.label not in _ITERABLE:
            raise Rejection("callback function not allowed for map", map=map.name)
        callee.registers[1] = register(Kind.MAP, subject=map)
        callee.registers[2] = register(Kind.MAP_KEY, ZERO, extent=map.key_size, subject=map)
        callee.registers[3] = register(Kind.MAP_VALUE, subject=map)
        callee.registers[4] = caller.registers[3]
        callee.registers[5] = NOTHING
    callee.callback = _GO_ON_OR_STOP
    other.frames.append(callee)
    other.callback_turns += 1
    caller.rounds += 1
    explorer.frame.rounds = 0


def _note_loop(explorer: Explorer, function: int | None, plain: bool) -> None:
    """Linux writes a loop into the program where the flags are always 0 and the function is always the same."""
    index = explorer.index
    same = explorer.inlined_loops.setdefault(index, function) == function
    if not (same and plain):
        explorer.inlined_loops[index] = None


def call_back(explorer: Explorer, subprogram: int | None, prepare: Callable[[Frame, Frame], None]) -> None:
    """Fork a path into a function that a kernel function was given; ``prepare`` sets the registers it starts with.

    Its arguments are the frames of the caller and of the function.
    """
    assert subprogram is not None
    function = explorer.structure.subprograms[subprogram]
    function.is_callback = True
    if explorer.observer is not None:
        explorer.observer.called(explorer, function)
    new_frame(explorer, function.index, explorer.index)
    other = explorer.fork(function.start)
    caller = other.frames[-1]
    callee = Frame(len(other.frames), function.index, explorer.index)
    prepare(caller, callee)
    callee.callback = _GO_ON_OR_STOP
    other.frames.append(callee)
    other.callback_turns += 1
    caller.rounds += 1
    explorer.frame.rounds = 0


def check_function(explorer: Explorer, call: KfuncCall, argument: Argument, passed: Register) -> None:
    """An argument of a kernel function that has to be a function of the program."""
    if passed.kind is not Kind.FUNCTION:
        raise Rejection(f"arg{argument.position} expected pointer to func", register=argument.index, pointer=passed)
    assert isinstance(passed.subject, int)
    call.callback = passed.subject


_ITERABLE = frozenset({"hash", "lru_hash", "array", "percpu_hash", "lru_percpu_hash", "percpu_array"})


def back_to_helper(explorer: Explorer) -> int:
    """A callback returned: the helper may call it again, or return. Gives where its call is."""
    state = explorer.state
    callee = state.frames.pop()
    explorer.enter(state)
    # What the helper was given mattered at its first call; Linux does not follow it back through the rounds.
    explorer.sources[1:6] = (0,) * 5
    site = callee.call_site
    if explorer.observer is not None:
        explorer.observer.returned(explorer, site)
    before = explorer.last_turn(site)
    if before is not None:
        widen(before, state)
    return site
