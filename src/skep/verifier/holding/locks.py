"""Locks in map values and allocated objects, and what holds while one is held.

A spin lock is held alone; of resilient ones several may be, given back in the opposite order. A lock is known by the
value or object that it lies in: lists and trees there may be touched while it is held, and pointers to their elements
are void once it is given back.

Source: the commit message and documentation of ``bpf_spin_lock`` and ``bpf_res_spin_lock``; messages were observed
on Linux 6.18.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from skep.btf import Btf
from skep.objects.spec import KfuncReference
from skep.stdlib import prototypes
from skep.verifier.kernel.kernel_types import KernelType
from skep.verifier.maps.facts import MapFacts
from skep.verifier.maps.map_fields import Fields, fields_of
from skep.verifier.numbers.scalar import constant, scalar, signed64
from skep.verifier.rejection import Rejection
from skep.verifier.states.held import HeldLock, LockKind
from skep.verifier.states.register import ALLOCATED, ANY_NUMBER, NON_OWNING, NOTHING, Kind, Register, number
from skep.verifier.states.slots import slot
from skep.verifier.states.state import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from skep.verifier.calls.kfunc_arguments import Argument
    from skep.verifier.calls.kfunc_calls import KfuncCall
    from skep.verifier.paths.exploration import Explorer

SPIN_LOCK = prototypes.number("spin_lock")
SPIN_UNLOCK = prototypes.number("spin_unlock")

_LARGEST_ERROR = 4095


def change_lock(explorer: Explorer, index: int, *, take: bool, kind: LockKind = LockKind.SPIN) -> None:
    """Take or release the lock that register ``index`` points to."""
    pointer = explorer.registers[index]
    if kind is LockKind.SPIN:
        if not may_hold_lock(pointer):
            raise Rejection(
                f"R{index} type={pointer.type_name} expected=map_value, ptr_", register=index, pointer=pointer
            )
        if in_comparison(explorer):
            raise Rejection("can't spin_{lock,unlock} in rbtree cb", register=index)
    subject = _checked(index, pointer, kind)
    state = explorer.state
    if take:
        if kind is LockKind.SPIN and any(held.kind is LockKind.SPIN for held in state.locks):
            raise Rejection("Locking two bpf_spin_locks are not allowed")
        if kind is not LockKind.SPIN and any(
            held.kind is not LockKind.SPIN and held.subject is subject and held.id == pointer.id
            for held in state.locks
        ):
            raise Rejection("Acquiring the same lock again, AA deadlock detected")
        state.locks = (*state.locks, HeldLock(subject, pointer.id, kind, explorer.last_id))
        return
    if not state.locks:
        raise Rejection(f"{kind.title}_unlock without taking a lock")
    if not any(one.kind is kind and one.subject is subject and one.id == pointer.id for one in state.locks):
        raise Rejection(f"{kind.title}_unlock of different lock")
    last = state.locks[-1]
    if last.subject is not subject or last.id != pointer.id:
        raise Rejection(f"{kind.title}_unlock cannot be out of order")
    state.locks = state.locks[:-1]
    _forget_borrowed(state)


def may_hold_lock(pointer: Register) -> bool:
    """Whether a pointer is one to a map value or to an allocated object."""
    if pointer.kind is Kind.MAP_VALUE:
        return not pointer.flags
    return pointer.kind is Kind.OBJECT and pointer.flags == ALLOCATED


def _checked(index: int, pointer: Register, kind: LockKind) -> MapFacts | Btf:
    """What the lock is known by, beside the pointer's id: its map, or the types of its object."""
    title = kind.title
    if not pointer.scalar.is_constant:
        raise Rejection(f"R{index} doesn't have constant offset. {title}_lock has to be at the constant offset")
    subject: MapFacts | Btf
    fields: Fields
    if isinstance(pointer.subject, MapFacts):
        map = subject = pointer.subject
        name = map.name
        if not map.has_btf:
            raise Rejection(f"map '{name}' has to have BTF in order to use {title}_lock", map=name)
        fields, whose = map.fields, f"map '{name}'"
    else:
        assert isinstance(pointer.subject, KernelType)
        fields, whose = fields_of(pointer.subject), "local 'kptr'"
        subject, name = pointer.subject.btf, pointer.subject.name
    lock = fields.first(f"{title}_lock")
    if lock is None:
        raise Rejection(f"{whose} has no valid {title}_lock", map=name)
    offset = pointer.offset + signed64(pointer.scalar.value)
    if offset != lock.offset:
        raise Rejection(f"off {offset} doesn't point to 'struct {title}_lock' that is at {lock.offset}", map=name)
    return subject


def in_comparison(explorer: Explorer) -> bool:
    """Whether the running function is the one that a tree calls to compare two nodes."""
    frame = explorer.frame
    if frame.callback is None:
        return False
    called = explorer.context.spec.references.get(frame.call_site)
    return isinstance(called, KfuncReference) and called.name == "bpf_rbtree_add_impl"


def is_locked(state: State, pointer: Register) -> bool:
    """Whether the lock of the value or object that a pointer points into is held."""
    subject = pointer.subject.btf if isinstance(pointer.subject, KernelType) else pointer.subject
    return any(held.subject is subject and held.id == pointer.id for held in state.locks)


def _forget_borrowed(state: State) -> None:
    """No lock is held that kept others away: pointers to what lists and trees own are void."""
    for frame in state.frames:
        for index, one in enumerate(frame.registers):
            if one.kind is Kind.OBJECT and one.flags & NON_OWNING:
                frame.registers[index] = ANY_NUMBER
        for index, spilled in enumerate(frame.slots):
            if spilled.is_spill and spilled.register.kind is Kind.OBJECT and spilled.register.flags & NON_OWNING:
                frame.slots[index] = slot(spilled.bytes, ANY_NUMBER)


def check_call_allowed(explorer: Explorer, helper: int) -> None:
    """Refuse every helper but the one that unlocks while a lock is held."""
    if explorer.state.locks and helper != SPIN_UNLOCK:
        raise Rejection("function calls are not allowed while holding a lock")


def check_resilient(explorer: Explorer, call: KfuncCall, argument: Argument, passed: Register) -> None:
    """An argument that has to be a resilient spin lock: it is taken or given back."""
    if not may_hold_lock(passed):
        raise Rejection(
            f"arg#{argument.position} doesn't point to map value or allocated object",
            register=argument.index,
            pointer=passed,
        )
    irq = "irq" in call.name
    kind = LockKind.RESILIENT_IRQ if irq else LockKind.RESILIENT
    change_lock(explorer, argument.index, take="unlock" not in call.name, kind=kind)


def fork_failure(explorer: Explorer) -> None:
    """A resilient lock may not be had: the path on which it is not goes on behind the call with an error."""
    other = explorer.fork(explorer.index + 1)
    registers = other.frames[-1].registers
    failed = scalar(s64=(-_LARGEST_ERROR, -1), s32=(-_LARGEST_ERROR, -1))
    assert failed is not None
    registers[0:6] = (number(failed), *(NOTHING,) * 5)


def _taken(explorer: Explorer, call: KfuncCall) -> Register:
    return number(constant(0))


def _released(explorer: Explorer, call: KfuncCall) -> Register:
    return NOTHING


SPECIAL: dict[str, Callable[[Explorer, KfuncCall], Register]] = {
    "bpf_res_spin_lock": _taken,
    "bpf_res_spin_lock_irqsave": _taken,
    "bpf_res_spin_unlock": _released,
    "bpf_res_spin_unlock_irqrestore": _released,
}
