"""Kernel functions that take dynptrs: over packets, clones, slices.

Rules and messages were observed on Linux 6.18.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from skep.verifier.rejection import Rejection
from skep.verifier.stack import dynptrs
from skep.verifier.states.register import MAYBE_NULL, READ_ONLY, Kind, Register
from skep.verifier.states.stack_objects import Dynptr, DynptrType
from skep.verifier.steps.accesses import check_unmodified, may_access_packet

if TYPE_CHECKING:
    from skep.verifier.calls.kfunc_arguments import Argument
    from skep.verifier.calls.kfunc_calls import KfuncCall
    from skep.verifier.paths.exploration import Explorer

#: What functions make a dynptr of.
_MADE = {
    "bpf_dynptr_from_skb": DynptrType.SKB,
    "bpf_dynptr_from_skb_meta": DynptrType.SKB_META,
    "bpf_dynptr_from_xdp": DynptrType.XDP,
}


def check_argument(explorer: Explorer, call: KfuncCall, argument: Argument, passed: Register) -> None:
    """Hold a register against a parameter that is a dynptr; make it where the function does."""
    index = argument.index
    if passed.kind not in (Kind.STACK, Kind.DYNPTR):
        raise Rejection(
            f"arg#{argument.position} expected pointer to stack or const struct bpf_dynptr", register=index
        )
    if passed.kind is Kind.DYNPTR:
        check_unmodified(index, passed)
    if "uninit" not in argument.marks:
        call.notes["dynptr"] = dynptrs.expect(explorer, index)
        return
    if passed.kind is Kind.DYNPTR:
        raise Rejection("verifier bug: misconfigured dynptr helper type flags", register=index)
    parent = call.notes.get("dynptr")
    type, reference = _MADE.get(call.name, DynptrType.LOCAL), 0
    if isinstance(parent, Dynptr):
        type, reference = parent.type, parent.reference
    call.written |= dynptrs.make(explorer, index, type, reference)


def _slice(explorer: Explorer, call: KfuncCall, flags: int) -> Register:
    dynptr = call.notes["dynptr"]
    assert isinstance(dynptr, Dynptr)
    assert call.constant is not None
    return dynptrs.slice_of_kfunc(dynptr, call.constant, flags | MAYBE_NULL, explorer.new_id())


def _read_only_slice(explorer: Explorer, call: KfuncCall) -> Register:
    return _slice(explorer, call, READ_ONLY)


def _writable_slice(explorer: Explorer, call: KfuncCall) -> Register:
    if not may_access_packet(explorer.context.type, store=True):
        raise Rejection("the prog does not allow writes to packet data")
    return _slice(explorer, call, 0)


#: The functions whose result is a slice.
SPECIAL: dict[str, Callable[[Explorer, KfuncCall], Register]] = {
    "bpf_dynptr_slice": _read_only_slice,
    "bpf_dynptr_slice_rdwr": _writable_slice,
}
