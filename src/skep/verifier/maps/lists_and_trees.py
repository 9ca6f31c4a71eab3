"""Lists and trees of allocated objects: heads and roots in map values and objects, nodes in the objects they hold.

Everything here is done under the lock that lies beside the head or root. What is put in is owned by the list or tree
from then on; what is taken out is owned by the program; what is only looked at is borrowed until the lock is given
back.

Source: ``Documentation/bpf/graph_ds_impl.rst``; messages, and the order of checks, were observed on Linux 6.18.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from skep.verifier.calls import callbacks
from skep.verifier.holding.locks import in_comparison, is_locked
from skep.verifier.kernel.kernel_types import KernelType, same_type
from skep.verifier.maps import allocated
from skep.verifier.maps.facts import MapFacts
from skep.verifier.maps.map_fields import Fields, SpecialField, fields_of
from skep.verifier.numbers.scalar import signed64
from skep.verifier.rejection import NotCovered, Rejection
from skep.verifier.states.register import ANY_NUMBER, MAYBE_NULL, NON_OWNING, RCU, Kind, Register, register
from skep.verifier.states.slots import slot
from skep.verifier.states.state import Frame, State

if TYPE_CHECKING:
    from collections.abc import Callable

    from skep.verifier.calls.kfunc_arguments import Argument
    from skep.verifier.calls.kfunc_calls import KfuncCall
    from skep.verifier.paths.exploration import Explorer

_ADD = "bpf_rbtree_add_impl"
#: Functions that put a node in, and those that take one out.
_PUT = frozenset({_ADD, "bpf_list_push_front_impl", "bpf_list_push_back_impl"})
_TAKE = frozenset({"bpf_list_pop_front", "bpf_list_pop_back", "bpf_rbtree_remove"})


def check_owner(explorer: Explorer, call: KfuncCall, argument: Argument, passed: Register) -> None:
    """An argument that has to be the head of a list or the root of a tree, under its lock."""
    is_value = passed.kind is Kind.MAP_VALUE and not passed.flags
    if not is_value and not allocated.is_owned(passed):
        raise Rejection(
            f"arg#{argument.position} expected pointer to map value or allocated object",
            register=argument.index,
            pointer=passed,
        )
    if not is_value and not passed.reference:
        raise Rejection("allocated object must be referenced", register=argument.index)
    assert argument.target is not None
    field = _field_at(argument, passed, argument.target.name)
    if not is_locked(explorer.state, passed):
        lock = _fields(passed).first("bpf_spin_lock", "bpf_res_spin_lock")
        assert lock is not None
        away = ("held lock and object are not in the same allocation",) if explorer.state.locks else ()
        # The kernel names where the spin lock is, -22 where the lock is a resilient one.
        place = lock.offset if lock.name == "bpf_spin_lock" else -22
        raise Rejection(
            f"bpf_spin_lock at off={place} must be held for {field.name}", *away, register=argument.index, field=field
        )
    call.notes["owner"] = field


def _fields(pointer: Register) -> Fields:
    subject = pointer.subject
    if isinstance(subject, MapFacts):
        return subject.fields
    assert isinstance(subject, KernelType)
    return fields_of(subject)


def _field_at(argument: Argument, pointer: Register, name: str) -> SpecialField:
    """The field of that type that a pointer points to."""
    if not pointer.scalar.is_constant:
        raise Rejection(
            f"R{argument.index} doesn't have constant offset. {name} has to be at the constant offset",
            register=argument.index,
        )
    offset = pointer.offset + signed64(pointer.scalar.value)
    field = _fields(pointer).at(offset, name)
    if field is None:
        raise Rejection(f"{name} not found at offset={offset & 0xFFFFFFFF}", register=argument.index, pointer=pointer)
    return field


def check_node(explorer: Explorer, call: KfuncCall, argument: Argument, passed: Register) -> None:
    """An argument that has to be a node of the list or tree before it: owned, or of a tree borrowed."""
    if call.name in _PUT:
        if not allocated.is_owned(passed):
            raise Rejection(
                f"arg#{argument.position} expected pointer to allocated object",
                register=argument.index,
                pointer=passed,
            )
        if not passed.reference:
            raise Rejection("allocated object must be referenced", register=argument.index)
    else:
        if not (passed.kind is Kind.OBJECT and passed.flags & NON_OWNING) and not passed.reference:
            raise Rejection(
                f"{call.name} can only take non-owning or refcounted bpf_rb_node pointer",
                register=argument.index,
                pointer=passed,
            )
        if in_comparison(explorer):
            raise Rejection(f"{call.name} not allowed in rbtree cb", kfunc=call.name)
    assert argument.target is not None
    if passed.kind is not Kind.OBJECT:
        raise NotCovered(f"a {passed.type_name} as node of a tree")
    node = _field_at(argument, passed, argument.target.name)
    owner = call.notes["owner"]
    assert isinstance(owner, SpecialField)
    element, type = owner.target, passed.subject
    assert element is not None
    assert isinstance(type, KernelType)
    if not same_type(element, type):
        raise Rejection(
            f"operation on {owner.name} expects arg#1 {node.name} at offset={owner.node} in struct {element.name}, "
            f"but arg is at offset={node.offset} in struct {type.name}",
            register=argument.index,
        )
    if node.offset != owner.node:
        raise Rejection(
            f"arg#1 offset={node.offset}, but expected {node.name} at offset={owner.node} in struct {element.name}",
            register=argument.index,
        )


def _put(explorer: Explorer, call: KfuncCall) -> Register:
    """A node is put in: the list or tree owns it, its pointers are borrowed from now on."""
    _lend(explorer.state, explorer.registers[2].reference)
    return ANY_NUMBER


def _add(explorer: Explorer, call: KfuncCall) -> Register:
    owner = call.notes["owner"]
    assert isinstance(owner, SpecialField)
    element = owner.target
    assert element is not None

    def prepare(caller: Frame, callee: Frame) -> None:
        node = allocated.seen(explorer, element, offset=owner.node)
        callee.registers[1] = callee.registers[2] = node

    callbacks.call_back(explorer, call.callback, prepare)
    return _put(explorer, call)


def _lend(state: State, id: int) -> None:
    """What was owned is something else's now: pointers to it are borrowed."""
    state.references = tuple(one for one in state.references if one.id != id)

    def lent(one: Register) -> Register:
        assert isinstance(one.subject, KernelType)
        counted = fields_of(one.subject).first("bpf_refcount") is not None
        flags = one.flags | NON_OWNING | (RCU if counted else 0)
        return register(one.kind, one.scalar, one.offset, one.id, 0, one.extent, one.frame, flags, one.subject)

    for frame in state.frames:
        for index, one in enumerate(frame.registers):
            if one.reference == id:
                frame.registers[index] = lent(one)
        for index, spilled in enumerate(frame.slots):
            if spilled.is_spill and spilled.register.reference == id:
                frame.slots[index] = slot(spilled.bytes, lent(spilled.register))


def _take(explorer: Explorer, call: KfuncCall) -> Register:
    """A node comes out: the program owns it, if there was one."""
    owner = call.notes["owner"]
    assert isinstance(owner, SpecialField)
    assert owner.target is not None
    return allocated.owned(explorer, owner.target, offset=owner.node, flags=MAYBE_NULL)


def _look(explorer: Explorer, call: KfuncCall) -> Register:
    """A node is looked at: the program may use it while the lock is held, if there is one."""
    owner = call.notes["owner"]
    assert isinstance(owner, SpecialField)
    assert owner.target is not None
    return allocated.seen(explorer, owner.target, offset=owner.node, flags=MAYBE_NULL)


SPECIAL: dict[str, Callable[[Explorer, KfuncCall], Register]] = {
    **dict.fromkeys(("bpf_list_push_front_impl", "bpf_list_push_back_impl"), _put),
    _ADD: _add,
    **dict.fromkeys(_TAKE, _take),
    **dict.fromkeys(
        (
            "bpf_list_front",
            "bpf_list_back",
            "bpf_rbtree_first",
            "bpf_rbtree_root",
            "bpf_rbtree_left",
            "bpf_rbtree_right",
        ),
        _look,
    ),
}
