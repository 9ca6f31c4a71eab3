"""Objects that a program allocates: new, dropped, counted; read and written with plain loads and stores.

An object is owned by the reference that ``bpf_obj_new`` gives, until it is dropped or handed to a list, a tree or a
field of a map. Whoever saw it in a list or tree may use it while the lock is held, without owning it.

Source: ``Documentation/bpf/graph_ds_impl.rst``; messages were observed on Linux 6.18.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from skep.btf.types import Struct
from skep.verifier.calls.kfunc_arguments import holds_only_numbers
from skep.verifier.holding import references
from skep.verifier.kernel.kernel_objects import check_place, untrusted_memory
from skep.verifier.kernel.kernel_types import KernelType, OutsideError
from skep.verifier.maps.map_fields import LOCKS, fields_of
from skep.verifier.rejection import NotCovered, Rejection
from skep.verifier.states.register import (
    ALLOCATED,
    MAYBE_NULL,
    NON_OWNING,
    NOTHING,
    PERCPU,
    RCU,
    UNTRUSTED,
    Kind,
    Register,
    register,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from skep.verifier.calls.kfunc_arguments import Argument
    from skep.verifier.calls.kfunc_calls import KfuncCall
    from skep.verifier.paths.exploration import Explorer
    from skep.verifier.steps.accesses import Access

#: The largest object that every CPU gets one of.
_LARGEST_PERCPU = 512


def is_owned(pointer: Register) -> bool:
    """Whether a pointer is one to an allocated object, without anything that would restrict its use."""
    return pointer.kind is Kind.OBJECT and pointer.flags == ALLOCATED


def access(explorer: Explorer, access: Access) -> Register | None:
    """A load from or store to an allocated object: what comes out is a number, or a pointer to no structure."""
    pointer = access.pointer
    type = pointer.subject
    assert isinstance(type, KernelType)
    index = access.index
    offset = pointer.offset + access.offset
    check_place(index, type, pointer, offset)
    if pointer.flags & PERCPU:
        raise Rejection(f"R{index} is ptr_{type.name} access percpu memory: off={offset}", register=index)
    if pointer.flags & UNTRUSTED:
        if access.is_store:
            raise Rejection("only read is supported", register=index, pointer=pointer)
        if not pointer.flags & NON_OWNING:
            raise Rejection("verifier bug: ref_obj_id for allocated object must be non-zero", register=index)
    for field in fields_of(type).all:
        if offset < field.offset + field.size and field.offset < offset + access.size:
            raise Rejection(f"direct access to {field.title} is disallowed", register=index, field=field)
    try:
        place = type.table.member_at(type, offset, access.size)
    except OutsideError as outside:
        raise Rejection(outside.message, register=index, pointer=pointer) from None
    if access.is_store or not (place.is_plain_pointer and explorer.rules.plain_pointers):
        return None
    return untrusted_memory()


def check_allocated(explorer: Explorer, call: KfuncCall, argument: Argument, passed: Register) -> None:
    """An argument that has to be an allocated object, to be dropped."""
    place = f"arg#{argument.position}"
    percpu = call.name == "bpf_percpu_obj_drop_impl"
    if passed.kind is Kind.OBJECT and passed.flags == ALLOCATED:
        if percpu:
            raise Rejection(f"{place} expected for bpf_obj_drop_impl()", register=argument.index)
    elif passed.kind is Kind.OBJECT and passed.flags == ALLOCATED | PERCPU:
        if not percpu:
            raise Rejection(f"{place} expected for bpf_percpu_obj_drop_impl()", register=argument.index)
    else:
        raise Rejection(f"{place} expected pointer to allocated object", register=argument.index, pointer=passed)
    if not passed.reference:
        raise Rejection("allocated object must be referenced", register=argument.index)
    call.passed_object = passed


def check_counted(explorer: Explorer, call: KfuncCall, argument: Argument, passed: Register) -> None:
    """An argument that has to be an allocated object with a count of references."""
    place = f"arg#{argument.position}"
    if passed.kind is not Kind.OBJECT or not passed.flags & (ALLOCATED | NON_OWNING):
        raise Rejection(f"{place} is neither owning or non-owning ref", register=argument.index, pointer=passed)
    assert isinstance(passed.subject, KernelType)
    fields = fields_of(passed.subject)
    if not fields:
        raise Rejection("verifier bug: Couldn't find btf_record", register=argument.index, pointer=passed)
    if fields.first("bpf_refcount") is None:
        raise Rejection(f"{place} doesn't point to a type with bpf_refcount field", register=argument.index)
    call.passed_object = passed


def owned(explorer: Explorer, type: KernelType, *, offset: int = 0, flags: int = 0) -> Register:
    """A pointer to an object that the program owns from now on."""
    if flags & MAYBE_NULL:
        # Linux counts on all the same where it takes the id of the reference: messages name ids.
        explorer.new_id()
    reference = id = references.acquire(explorer)
    if not flags & MAYBE_NULL:
        id = _lock_id(explorer, type)
    return register(Kind.OBJECT, offset=offset, id=id, reference=reference, flags=ALLOCATED | flags, subject=type)


def _lock_id(explorer: Explorer, type: KernelType) -> int:
    """An id to tell the lock in an object from others by; none where there is no lock."""
    return 0 if fields_of(type).first(*LOCKS) is None else explorer.new_id()


def seen(explorer: Explorer, type: KernelType, *, offset: int = 0, flags: int = 0) -> Register:
    """A pointer to an object that something else owns."""
    counted = fields_of(type).first("bpf_refcount") is not None
    id = explorer.new_id() if flags & MAYBE_NULL else _lock_id(explorer, type)
    kinds = ALLOCATED | NON_OWNING | (RCU if counted else 0) | flags
    return register(Kind.OBJECT, offset=offset, id=id, flags=kinds, subject=type)


def _new(explorer: Explorer, call: KfuncCall) -> Register:
    type = _type_asked_for(explorer, call)
    if call.name == "bpf_percpu_obj_new_impl":
        _check_percpu(type)
        return owned(explorer, type, flags=MAYBE_NULL | PERCPU)
    return owned(explorer, type, flags=MAYBE_NULL)


def _type_asked_for(explorer: Explorer, call: KfuncCall) -> KernelType:
    type_id = call.constant
    assert type_id is not None
    if type_id >> 32:
        raise Rejection("local type ID argument must be in range [0, U32_MAX]", kfunc=call.name)
    if not explorer.context.has_types:
        raise Rejection("bpf_obj_new/bpf_percpu_obj_new requires prog BTF", kfunc=call.name)
    types = explorer.context.program_types
    if type_id >= len(types.btf) or not isinstance(types.btf[type_id], Struct):
        raise Rejection(
            "bpf_obj_new/bpf_percpu_obj_new type ID argument must be of a struct", kfunc=call.name, type=type_id
        )
    return types.type(type_id)


def _check_percpu(type: KernelType) -> None:
    if type.size > _LARGEST_PERCPU:
        raise Rejection(f"bpf_percpu_obj_new type size ({type.size}) is greater than {_LARGEST_PERCPU}")
    if not holds_only_numbers(type.table, type.id):
        raise Rejection("bpf_percpu_obj_new type ID argument must be of a struct of scalars")
    if fields_of(type):
        raise Rejection("bpf_percpu_obj_new type ID argument must not contain special fields")


def _drop(explorer: Explorer, call: KfuncCall) -> Register:
    if not references.release(explorer.state, call.reference):
        raise NotCovered("an object that is dropped without having been acquired")
    return NOTHING


def _count(explorer: Explorer, call: KfuncCall) -> Register:
    passed = call.passed_object
    assert passed is not None
    assert isinstance(passed.subject, KernelType)
    return owned(explorer, passed.subject, flags=0 if passed.reference else MAYBE_NULL)


#: What these functions do and return.
SPECIAL: dict[str, Callable[[Explorer, KfuncCall], Register]] = {
    "bpf_obj_new_impl": _new,
    "bpf_percpu_obj_new_impl": _new,
    "bpf_obj_drop_impl": _drop,
    "bpf_percpu_obj_drop_impl": _drop,
    "bpf_refcount_acquire_impl": _count,
}
