"""Pointers to objects that live in map values and in other objects: loading, storing and exchanging them.

A field tagged ``kptr_untrusted`` is stored to and loaded from like any other, and what comes out is not trusted. One
tagged ``kptr`` or ``percpu_kptr`` owns a reference: it is exchanged for another as a whole, and a plain load of it is
good for as long as RCU protects the object.

Source: the documentation of ``bpf_kptr_xchg`` in bpf-helpers(7) and of kernel pointers in
``Documentation/bpf/kfuncs.rst``; messages were observed on Linux 6.18.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from skep.btf.types import Composite
from skep.isa.meaning import Load, Store
from skep.objects.kinds import ProgramType
from skep.verifier.answers.text import tnum_text
from skep.verifier.holding import locks, references, sections
from skep.verifier.kernel.kernel_types import KernelType, same_type
from skep.verifier.maps.facts import MapFacts
from skep.verifier.maps.map_fields import Fields, SpecialField, fields_of
from skep.verifier.numbers.scalar import signed64
from skep.verifier.rejection import Rejection
from skep.verifier.states.register import (
    ALLOCATED,
    ANY_NUMBER,
    MAYBE_NULL,
    NON_OWNING,
    PERCPU,
    RCU,
    READ_ONLY,
    TRUSTED,
    UNTRUSTED,
    Kind,
    Register,
    register,
)
from skep.verifier.states.slots import slot
from skep.verifier.steps.checks import readable

if TYPE_CHECKING:
    from skep.verifier.paths.exploration import Explorer
    from skep.verifier.states.state import State
    from skep.verifier.steps.accesses import Access

#: Structs of the kernel that RCU keeps alive while somebody reads.
_RCU_PROTECTED = frozenset({"task_struct", "cgroup", "bpf_cpumask", "bpf_crypto_ctx", "prog_test_ref_kfunc"})

_POINTER_SIZE = 8

_PACKET: Final = frozenset({Kind.PACKET, Kind.PACKET_META})


def check_overlap(
    field: SpecialField, pointer: Register, offset: int, size: int, *, by_helper: bool, map: MapFacts
) -> None:
    """Refuse an access that overlaps ``field`` in another way than as a whole; ``offset`` with the fixed part."""
    name = field.title
    if by_helper:
        raise Rejection(f"{name} cannot be accessed indirectly by helper", map=map.name, field=field)
    if not pointer.scalar.is_constant:
        raise Rejection(f"{name} access cannot have variable offset", map=map.name, field=field)
    place = offset + signed64(pointer.scalar.value)
    if place != field.offset:
        raise Rejection(f"{name} access misaligned expected={field.offset} off={place}", map=map.name, field=field)
    if size != _POINTER_SIZE:
        raise Rejection(f"{name} access size must be BPF_DW", map=map.name, field=field)


def access(explorer: Explorer, access: Access, field: SpecialField) -> Register | None:
    """A load of, or store to, the whole of a field in a map value."""
    row = explorer.structure.rows[explorer.index]
    meaning = None if row is None else row.meaning
    if not isinstance(meaning, Load | Store) or (isinstance(meaning, Load) and meaning.is_signed):
        raise Rejection("kptr in map can only be accessed using BPF_MEM instruction mode", field=field)
    if access.value is None:
        return _loaded(explorer, field)
    if field.is_referenced:
        raise Rejection("store to referenced kptr disallowed", field=field)
    if field.name == "uptr":
        raise Rejection("store to uptr disallowed", field=field)
    if access.source < 0:
        if not access.value.is_zero:
            raise Rejection(f"BPF_ST imm must be 0 when storing to kptr at off={field.offset}", field=field)
    elif not access.value.is_zero:
        check_type(access.source, access.value, field)
    return None


def _loaded(explorer: Explorer, field: SpecialField) -> Register:
    target = field.target
    assert target is not None
    id = explorer.new_id()
    if field.name == "uptr":
        return register(Kind.MEMORY, id=id, extent=target.size, flags=MAYBE_NULL)
    flags = MAYBE_NULL
    if _is_protected(field, target) and sections.in_rcu(explorer):
        flags |= RCU
        if field.name == "percpu_kptr":
            flags |= PERCPU
        elif not target.of_kernel:
            flags |= ALLOCATED
        if not target.of_kernel and fields_of(target).first("bpf_list_node", "bpf_rb_node") is not None:
            flags |= NON_OWNING
    else:
        flags |= UNTRUSTED
    return register(Kind.OBJECT, id=id, flags=flags, subject=target)


def _is_protected(field: SpecialField, target: KernelType) -> bool:
    if field.name == "percpu_kptr":
        return True
    return field.name == "kptr" and (not target.of_kernel or target.name in _RCU_PROTECTED)


def check_type(index: int, value: Register, field: SpecialField) -> None:
    """Refuse a pointer that is not of the type, or not of the kind, that a field holds."""
    target = field.target
    assert target is not None
    found = value.subject
    name = ""
    if value.kind is Kind.OBJECT and isinstance(found, KernelType):
        if found.of_kernel:
            allowed = MAYBE_NULL | TRUSTED | RCU | (0 if field.is_referenced else UNTRUSTED)
        else:
            allowed = MAYBE_NULL | ALLOCATED | (PERCPU if field.name == "percpu_kptr" else 0)
        if not value.flags & ~allowed:
            name = found.name
            if not value.scalar.is_constant or value.scalar.value:
                raise Rejection(
                    f"variable {value.type_name} access var_off={tnum_text(value.scalar.bits)} disallowed",
                    register=index,
                )
            if value.offset < 0:
                raise Rejection(
                    f"negative offset {value.type_name} ptr R{index} off={value.offset} disallowed", register=index
                )
            if _fits(found, value.offset, target, exactly=field.is_referenced):
                return
    expected = f"ptr_{target.name}" + ("" if field.is_referenced else f" or untrusted_ptr_{target.name}")
    raise Rejection(
        f"invalid kptr access, R{index} type={value.type_name}{name} expected={expected}",
        register=index,
        pointer=value,
        field=field,
    )


def _fits(found: KernelType, offset: int, target: KernelType, *, exactly: bool) -> bool:
    if exactly:
        return not offset and same_type(found, target)
    return found.btf is target.btf and found.table.starts_with(found, target, offset)


def exchange(explorer: Explorer) -> Register:
    """``bpf_kptr_xchg``: what is in a field comes out, the pointer in r2 (or null) goes in. Gives the result."""
    place = _passed(explorer, 1)
    if not locks.may_hold_lock(place):
        raise _type_rejection(1, place, "map_value, ptr_")
    field = _exchange_place(explorer, 1, place)
    given = _passed(explorer, 2)
    if not given.is_zero:
        _check_given(given, field)
        if not _give_up(explorer, given.reference):
            raise Rejection("func bpf_kptr_xchg#194 reference has not been acquired before")
    target = field.target
    assert target is not None
    flags = MAYBE_NULL | (0 if target.of_kernel else ALLOCATED) | (PERCPU if field.name == "percpu_kptr" else 0)
    # What may be null gets an id, before the reference gives it another.
    explorer.new_id()
    id = references.acquire(explorer)
    return register(Kind.OBJECT, id=id, reference=id, flags=flags, subject=target)


def of_this_cpu(explorer: Explorer) -> Register:
    """``bpf_this_cpu_ptr``: the running CPU's own of what every CPU has one of."""
    target = _percpu_object(explorer)
    return _variable(explorer, target, 0) if target.of_kernel else _own(target)


def of_cpu(explorer: Explorer) -> Register:
    """``bpf_per_cpu_ptr``: one CPU's own. That there may be no such CPU is not asked for of a program's objects."""
    target = _percpu_object(explorer)
    readable(explorer, 2)
    return _variable(explorer, target, MAYBE_NULL) if target.of_kernel else _own(target)


def _own(target: KernelType) -> Register:
    return register(Kind.OBJECT, flags=ALLOCATED | RCU, subject=target)


def _variable(explorer: Explorer, target: KernelType, flags: int) -> Register:
    """One CPU's part of a variable of the kernel: an object, or memory that may only be read."""
    id = explorer.new_id() if flags else 0
    if isinstance(target.btf[target.id], Composite):
        return register(Kind.OBJECT, id=id, flags=flags, subject=target)
    return register(Kind.MEMORY, id=id, extent=target.size, flags=flags | READ_ONLY)


def _percpu_object(explorer: Explorer) -> KernelType:
    pointer = _passed(explorer, 1)
    known = (PERCPU, PERCPU | RCU, PERCPU | TRUSTED)
    if pointer.kind is not Kind.OBJECT or pointer.flags not in known:
        raise _type_rejection(1, pointer, "percpu_ptr_, percpu_rcu_ptr_, percpu_trusted_ptr_")
    target = pointer.subject
    assert isinstance(target, KernelType)
    return target


def _passed(explorer: Explorer, index: int) -> Register:
    """What is passed in a register, which may not point into a packet, where Linux asks that first."""
    readable(explorer, index)
    pointer = explorer.registers[index]
    if pointer.kind in _PACKET and explorer.context.type is not ProgramType.CGROUP_SOCKOPT:
        raise Rejection("helper access to the packet is not allowed", register=index)
    return pointer


def _type_rejection(index: int, pointer: Register, expected: str) -> Rejection:
    return Rejection(
        f"R{index} type={pointer.type_name} expected={expected}", register=index, pointer=pointer, expected=expected
    )


def _check_given(given: Register, field: SpecialField) -> None:
    """Refuse what may not go into a field: it has to be owned, and of the field's type."""
    flags = given.flags & ~(MAYBE_NULL | ALLOCATED)
    if given.flags & ALLOCATED:
        flags &= ~PERCPU
    if given.kind is not Kind.OBJECT or flags not in (0, TRUSTED, RCU):
        raise _type_rejection(2, given, "ptr_, trusted_ptr_, rcu_ptr_")
    if given.flags & ALLOCATED and given.flags & ~(ALLOCATED | PERCPU):
        raise Rejection("verifier bug: invalid PTR_TO_BTF_ID register for type match", register=2, pointer=given)
    if given.flags & MAYBE_NULL:
        raise Rejection("Possibly NULL pointer passed to helper arg2", register=2)
    check_type(2, given, field)
    if given.offset:
        raise Rejection("R2 must have zero offset when passed to release func or trusted arg to kfunc", register=2)
    if not given.reference:
        raise Rejection("R2 must be referenced when passed to release function", register=2)


def _exchange_place(explorer: Explorer, index: int, pointer: Register) -> SpecialField:
    """The field that the first argument of ``bpf_kptr_xchg`` points to."""
    fields: Fields
    if pointer.kind is Kind.MAP_VALUE:
        map = pointer.subject
        assert isinstance(map, MapFacts)
        if not map.has_btf:
            raise Rejection(f"map '{map.name}' has to have BTF in order to use bpf_kptr_xchg", map=map.name)
        fields = map.fields
    else:
        assert isinstance(pointer.subject, KernelType)
        fields = fields_of(pointer.subject)
    if not pointer.scalar.is_constant:
        raise Rejection(f"R{index} doesn't have constant offset. kptr has to be at the constant offset")
    kept = tuple(field for field in fields.all if field.is_pointer and field.name != "uptr")
    if not kept:
        raise Rejection(f"R{index} has no valid kptr", register=index)
    offset = pointer.offset + signed64(pointer.scalar.value)
    found = next((field for field in kept if field.offset == offset), None)
    if found is None:
        raise Rejection(f"off={offset} doesn't point to kptr", register=index)
    if not found.is_referenced:
        raise Rejection(f"off={offset} kptr isn't referenced kptr", register=index, field=found)
    return found


def _give_up(explorer: Explorer, id: int) -> bool:
    """A reference went into a field: its pointers are void, but that per-CPU objects stay readable under RCU."""
    state = explorer.state
    left = tuple(one for one in state.references if one.id != id)
    if len(left) == len(state.references):
        return False
    state.references = left
    _replace(state, id, sections.in_rcu(explorer))
    return True


def _replace(state: State, id: int, readable: bool) -> None:
    def after(one: Register) -> Register:
        if readable and one.flags & ALLOCATED and one.flags & PERCPU:
            flags = one.flags & ~ALLOCATED | RCU
            return register(one.kind, one.scalar, one.offset, one.id, 0, one.extent, one.frame, flags, one.subject)
        return ANY_NUMBER

    for frame in state.frames:
        for index, one in enumerate(frame.registers):
            if one.reference == id:
                frame.registers[index] = after(one)
        for index, spilled in enumerate(frame.slots):
            if spilled.is_spill and spilled.register.reference == id:
                frame.slots[index] = slot(spilled.bytes, after(spilled.register))
