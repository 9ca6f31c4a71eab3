"""Global functions: verified on their own, so that a call checks the arguments against their types and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skep.btf.types import Enum, Enum64, Function, FunctionPrototype, Int, Modifier, Type, Void
from skep.verifier.calls import forget_scratch
from skep.verifier.helper_calls import forget_packet
from skep.verifier.register import ANY_NUMBER, Kind
from skep.verifier.rejection import NotCovered, Rejection
from skep.verifier.state import State

if TYPE_CHECKING:
    from skep.verifier.context import Context
    from skep.verifier.exploration import Explorer
    from skep.verifier.structure import Subprogram


def parameters(context: Context, function: Subprogram) -> int:
    """How many parameters a global function has; NotCovered unless all are numbers."""
    btf = context.spec.btf
    described = None if btf is None else btf[function.type_id]
    prototype = btf[described.prototype] if btf is not None and isinstance(described, Function) else None
    if btf is None or not isinstance(prototype, FunctionPrototype):
        raise NotCovered(f"global function {function.name}, whose type is not known")

    def resolved(type_id: int) -> Type:
        found = btf[type_id]
        while isinstance(found, Modifier):
            found = btf[found.target]
        return found

    for one in prototype.parameters:
        if not isinstance(resolved(one.type), Int | Enum | Enum64):
            raise NotCovered(f"global function {function.name}, which takes a pointer ({one.name})")
    if not isinstance(resolved(prototype.result), Int | Enum | Enum64 | Void):
        raise NotCovered(f"global function {function.name}, which does not return a number")
    return len(prototype.parameters)


def call_global(explorer: Explorer, callee: Subprogram) -> None:
    """The step of a call of a global function."""
    if explorer.state.locks:
        raise Rejection("use static function instead", "global function calls are not allowed while holding a lock,")
    count = parameters(explorer.context, callee)
    for index in range(1, count + 1):
        register = explorer.registers[index]
        if register.kind is not Kind.SCALAR:
            detail = f"R{index} is not a scalar"
            raise Rejection(
                f"Caller passes invalid args into func#{callee.index} ('{callee.name}')", detail, function=callee.name
            )
    explorer.liveness.wrote(explorer.state, explorer.index, 0)
    explorer.called_globals.add(callee.index)
    forget_scratch(explorer)
    if callee.changes_packet:
        forget_packet(explorer.state)
    explorer.next = explorer.index + 1


def entry_state(context: Context, function: Subprogram) -> State:
    """The state in which a global function is entered: its parameters are any numbers."""
    state = State()
    frame = state.frames[0]
    frame.subprogram = function.index
    for index in range(1, parameters(context, function) + 1):
        frame.registers[index] = ANY_NUMBER
    return state
