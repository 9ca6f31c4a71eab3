"""Sections of code: RCU read locks, disabled preemption, saved interrupt flags.

Inside one nothing may sleep, and none may be open when the program ends, throws or jumps to another. RCU read locks
do not nest, disabled preemption does, interrupt flags are restored in the opposite order to that in which they were
saved. What RCU protected is not trusted any more once the read lock is given back.

Rules and messages were observed on Linux 6.18.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from skep.stdlib.kfuncs import KfuncFlag
from skep.stdlib.prototype import HelperPrototype
from skep.verifier.rejection import Rejection
from skep.verifier.stack import object_slots, stack_access
from skep.verifier.states.held import Reference
from skep.verifier.states.register import MAYBE_NULL, NOTHING, RCU, UNTRUSTED, Kind, Register, register
from skep.verifier.states.slots import UNUSED, part, slot
from skep.verifier.states.stack_objects import IrqFlag, Iterator
from skep.verifier.states.state import State

if TYPE_CHECKING:
    from skep.verifier.calls.kfunc_arguments import Argument
    from skep.verifier.calls.kfunc_calls import KfuncCall
    from skep.verifier.paths.exploration import Explorer


def in_rcu(explorer: Explorer) -> bool:
    """Whether what RCU protects stays: in a read section, under a lock, and always where nothing sleeps."""
    state = explorer.state
    return bool(state.rcu_depth or state.locks or not explorer.sleepable)


def may_sleep(explorer: Explorer) -> bool:
    """Whether the program may sleep where it is."""
    return explorer.sleepable and _section(explorer.state) is None and not explorer.state.locks


#: What messages about sleeping call the sections, in the order in which they are looked at.
def _section(state: State) -> str | None:
    if state.rcu_depth:
        return "rcu_read_lock"
    if state.preempt_depth:
        return "non-preemptible"
    return "IRQ-disabled" if state.irqs else None


def check_helper(explorer: Explorer, row: HelperPrototype) -> None:
    """Refuse a helper that may sleep in a section."""
    section = _section(explorer.state) if row.might_sleep else None
    if section is not None:
        raise Rejection(f"sleepable helper bpf_{row.name}#{row.number} in {section} region", helper=row.name)


def check_kfunc(explorer: Explorer, call: KfuncCall) -> None:
    """Refuse a kernel function that may sleep in a section, or that has to be called in one."""
    section = _section(explorer.state) if call.flags & KfuncFlag.SLEEPABLE else None
    if section is not None:
        raise Rejection(f"kernel func {call.name} is sleepable within {section} region", kfunc=call.name)


def check_protected(explorer: Explorer, call: KfuncCall) -> None:
    """Refuse a kernel function that has to be called in an RCU read section outside of one."""
    if call.flags & KfuncFlag.RCU_PROTECTED and not in_rcu(explorer):
        raise Rejection(f"kernel func {call.name} requires RCU critical section protection", kfunc=call.name)


def check_none_open(explorer: Explorer, prefix: str) -> None:
    """Refuse to leave with a section open."""
    state = explorer.state
    for is_open, name in (
        (state.irqs, "bpf_local_irq_save"),
        (state.rcu_depth, "bpf_rcu_read_lock"),
        (state.preempt_depth, "bpf_preempt_disable"),
    ):
        if is_open:
            raise Rejection(f"{prefix} cannot be used inside {name}-ed region")


def _rcu_read_lock(explorer: Explorer, call: KfuncCall) -> Register:
    if explorer.state.rcu_depth:
        raise Rejection(f"nested rcu read lock (kernel function {call.name})")
    explorer.state.rcu_depth = 1
    return NOTHING


def _rcu_read_unlock(explorer: Explorer, call: KfuncCall) -> Register:
    state = explorer.state
    if not state.rcu_depth:
        raise Rejection(f"unmatched rcu read unlock (kernel function {call.name})")
    state.rcu_depth = 0
    expire(state)
    return NOTHING


def expire(state: State) -> None:
    """The RCU read section is over: objects that it protected are not trusted any more, nor what iterates them."""
    for frame in state.frames:
        for index, one in enumerate(frame.registers):
            if one.flags & RCU and one.is_pointer:
                frame.registers[index] = _expired(one)
        for number, there in enumerate(frame.slots):
            held = there.object
            if there.is_spill and there.register.flags & RCU and there.register.is_pointer:
                frame.slots[number] = slot(there.bytes, _expired(there.register))
            elif isinstance(held, Iterator) and held.in_rcu:
                frame.slots[number] = part(replace(held, in_rcu=False, is_stale=True))


def _expired(one: Register) -> Register:
    return register(
        one.kind,
        one.scalar,
        one.offset,
        one.id,
        one.reference,
        one.extent,
        one.frame,
        one.flags & ~(RCU | MAYBE_NULL) | UNTRUSTED,
        one.subject,
    )


def _preempt_disable(explorer: Explorer, call: KfuncCall) -> Register:
    explorer.state.preempt_depth += 1
    return NOTHING


def _preempt_enable(explorer: Explorer, call: KfuncCall) -> Register:
    state = explorer.state
    if not state.preempt_depth:
        raise Rejection(f"unmatched attempt to enable preemption (kernel function {call.name})")
    state.preempt_depth -= 1
    return NOTHING


# Saved interrupt flags.

#: Functions that save them; all others that take them restore them.
_SAVERS = frozenset({"bpf_local_irq_save", "bpf_res_spin_lock_irqsave"})
#: Functions that do so for a lock.
_LOCKS = frozenset({"bpf_res_spin_lock_irqsave", "bpf_res_spin_unlock_irqrestore"})


def check_irq_flag(explorer: Explorer, call: KfuncCall, argument: Argument, passed: Register) -> None:
    """Hold a register against a parameter that is saved interrupt flags, and save or restore them."""
    place = f"arg#{argument.position}"
    if passed.kind is not Kind.STACK:
        raise Rejection(f"{place} doesn't point to an irq flag on stack", register=argument.index)
    by_lock = call.name in _LOCKS
    number = object_slots.first_slot(passed, 1)
    frame = explorer.state.frames[passed.frame]
    found = frame.slots[number].object if number is not None and number < len(frame.slots) else None
    state = explorer.state
    if call.name in _SAVERS:
        if number is None or isinstance(found, IrqFlag):
            problem = object_slots.misplaced(passed, 1, "irq_flag")
            raise Rejection(f"expected uninitialized irq flag as {place}", *problem, register=argument.index)
        call.written |= stack_access.claim(explorer, argument.index, passed, 1)
        saved = Reference(explorer.new_id(), explorer.index)
        state.irqs = (*state.irqs, saved)
        object_slots.put(frame, number, IrqFlag(saved.id, by_lock), 1)
        return
    if number is None or not isinstance(found, IrqFlag):
        problem = object_slots.misplaced(passed, 1, "irq_flag")
        raise Rejection(f"expected an initialized irq flag as {place}", *problem, register=argument.index)
    slots = object_slots.bits(frame, number, 1)
    explorer.liveness.read(state, explorer.index, slots)
    if found.by_lock is not by_lock:
        names = "lock" if found.by_lock else "native", "lock" if by_lock else "native"
        raise Rejection(f"irq flag acquired by {names[0]} kfuncs cannot be restored with {names[1]} kfuncs")
    last = state.irqs[-1]
    if found.reference != last.id:
        raise Rejection(
            f"cannot restore irq state out of order, expected id={last.id} acquired at insn_idx={last.instruction}"
        )
    state.irqs = state.irqs[:-1]
    frame.slots[number] = UNUSED
    call.written |= slots


def _nothing(explorer: Explorer, call: KfuncCall) -> Register:
    return NOTHING


#: The functions that open and close sections.
SPECIAL: dict[str, Callable[[Explorer, KfuncCall], Register]] = {
    "bpf_rcu_read_lock": _rcu_read_lock,
    "bpf_rcu_read_unlock": _rcu_read_unlock,
    "bpf_preempt_disable": _preempt_disable,
    "bpf_preempt_enable": _preempt_enable,
    "bpf_local_irq_save": _nothing,
    "bpf_local_irq_restore": _nothing,
}
