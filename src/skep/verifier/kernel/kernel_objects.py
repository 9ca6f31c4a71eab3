"""Kernel objects: how far a pointer to one may be trusted, what is found in it, and whose place it can take.

What a load finds is a number, or a pointer that is trusted, protected by RCU, or neither. The kernel's types list the
few members of which the first two are true; of others a load gives a pointer that may be followed, as no load through
it can fault, but not passed where trust is asked. Rules and messages were observed on Linux 6.18, which was asked for
the pointers in every structure that a tracepoint gives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from skep.btf.types import Composite
from skep.objects.kinds import ProgramType
from skep.verifier.answers.text import tnum_text
from skep.verifier.contexts import table_stores
from skep.verifier.holding import sections
from skep.verifier.kernel.kernel_types import KernelType, OutsideError, Place, same_type
from skep.verifier.rejection import Rejection
from skep.verifier.states.register import (
    ALLOCATED,
    MAYBE_NULL,
    NON_OWNING,
    PERCPU,
    RCU,
    READ_ONLY,
    TRUSTED,
    UNTRUSTED,
    USER,
    Kind,
    Register,
    register,
)

if TYPE_CHECKING:
    from skep.verifier.paths.exploration import Explorer
    from skep.verifier.steps.accesses import Access

#: Flags that make a pointer trusted, if no other takes that back.
_GOOD: Final = TRUSTED | ALLOCATED | NON_OWNING
_SOCKETS: Final = frozenset({Kind.SOCKET, Kind.SOCK_COMMON, Kind.TCP_SOCK, Kind.MAP})


def is_trusted(passed: Register) -> bool:
    """Whether a function may rely on what a register points to."""
    if passed.reference:
        return True
    if passed.kind in _SOCKETS:
        return not passed.flags
    return passed.kind is Kind.OBJECT and bool(passed.flags & _GOOD) and not passed.flags & ~_GOOD


def is_safe(passed: Register) -> bool:
    """Whether what a register points to is there, even if it may change meanwhile."""
    return not passed.flags & ~_GOOD or is_rcu(passed)


def is_rcu(passed: Register) -> bool:
    """Whether what a register points to is protected by RCU."""
    return bool(passed.is_pointer and passed.flags & RCU)


#: Lists that the kernel keeps in its types: of members that are as trusted as what they are in, of those that RCU
#: protects, and of either that may be null.
_TRUSTED: Final = "safe_trusted"
_TRUSTED_OR_NULL: Final = "safe_trusted_or_null"
_RCU: Final = "safe_rcu"
_RCU_OR_NULL: Final = "safe_rcu_or_null"

#: Structures of which programs of some types may write some members.
_WRITERS: Final = frozenset({ProgramType.SCHED_CLS, ProgramType.SCHED_ACT, ProgramType.XDP})


def check_place(index: int, type: KernelType, pointer: Register, offset: int) -> None:
    """Refuse an access to an object before its start, or at a place in it that is not known."""
    if offset < 0:
        raise Rejection(f"R{index} is ptr_{type.name} invalid negative access: off={offset}", register=index)
    if not pointer.scalar.is_constant or pointer.scalar.value:
        raise Rejection(
            f"R{index} is ptr_{type.name} invalid variable offset: off={offset}, "
            f"var_off={tnum_text(pointer.scalar.bits)}",
            register=index,
        )


def access(explorer: Explorer, access: Access) -> Register | None:
    """What a load from a kernel object leaves in a register, or the refusal of a load or store."""
    pointer = access.pointer
    type = pointer.subject
    assert isinstance(type, KernelType)
    index = access.index
    offset = pointer.offset + access.offset
    if type.of_kernel and not explorer.context.is_gpl:
        raise Rejection(f"Cannot access kernel 'struct {type.name}' from non-GPL compatible program", register=index)
    check_place(index, type, pointer, offset)
    if pointer.flags & USER:
        raise Rejection(f"R{index} is ptr_{type.name} access user memory: off={offset}", register=index)
    if pointer.flags & PERCPU:
        raise Rejection(f"R{index} is ptr_{type.name} access percpu memory: off={offset}", register=index)
    if access.is_store and type.of_kernel and explorer.context.type is ProgramType.STRUCT_OPS:
        table_stores.check_store(explorer, type, offset, access.size)
        return None
    if access.is_store:
        _check_store(explorer, type, offset, access.size)
    if not isinstance(type.btf[type.id], Composite):
        raise Rejection(f"Type '{type.name}' is not a struct", register=index)
    try:
        place = type.table.member_at(type, offset, access.size)
    except OutsideError as outside:
        raise Rejection(outside.message, register=index, pointer=pointer) from None
    return None if access.is_store else _loaded(explorer, pointer, place)


def _check_store(explorer: Explorer, type: KernelType, offset: int, size: int) -> None:
    program = explorer.context.type
    if program not in _WRITERS:
        raise Rejection("only read is supported", type=type.name)
    # A module that tracks connections may have several structures of that name; it goes by the first.
    if type.name in ("nf_conn", "nf_conn___init") and type is type.table.find_struct(type.name):
        # The mark is all that may be written, and where it lies depends on the kernel's configuration.
        tracked = type.table.find_struct("nf_conn")
        mark = None if tracked is None else tracked.btf.member(tracked.id, "mark")
        if mark is not None and offset == mark.bit_offset // 8:
            end = offset + type.btf.size_of(mark.type)
            if offset + size > end:
                raise Rejection(
                    f"write access at off {offset} with size {size} beyond the member of nf_conn ended at {end}",
                    type=type.name,
                )
            return
        raise Rejection(f"no write support to nf_conn at off {offset}", type=type.name)
    raise Rejection("only read is supported", type=type.name)


def _loaded(explorer: Explorer, pointer: Register, place: Place) -> Register | None:
    if place.target is None:
        follows = place.is_plain_pointer and explorer.rules.plain_pointers
        return untrusted_memory() if follows else None
    flags = _flags(explorer, pointer, place)
    id = explorer.new_id() if flags & MAYBE_NULL else 0
    return register(Kind.OBJECT, id=id, flags=flags, subject=place.target)


def untrusted_memory() -> Register:
    """What a pointer to no structure leads to: whatever is there may be read, and a fault reads as zero."""
    return register(Kind.MEMORY, flags=READ_ONLY | UNTRUSTED)


def _flags(explorer: Explorer, pointer: Register, place: Place) -> int:
    """How far the pointer that was loaded may be trusted."""
    found = UNTRUSTED if place.through_union else 0
    if "percpu" in place.tags:
        found |= PERCPU
    if "user" in place.tags:
        found |= USER
    if pointer.flags & UNTRUSTED:
        return found | UNTRUSTED
    type = pointer.subject
    assert isinstance(type, KernelType)

    def listed(name: str) -> bool:
        return place.member_name in type.table.listed(type.name, name)

    if is_trusted(pointer):
        if listed(_TRUSTED):
            return found & ~UNTRUSTED | TRUSTED
        if listed(_TRUSTED_OR_NULL):
            return found & ~UNTRUSTED | TRUSTED | MAYBE_NULL
    if is_trusted(pointer) or is_rcu(pointer):
        if not sections.in_rcu(explorer):
            return found | UNTRUSTED
        if listed(_RCU):
            return found & ~UNTRUSTED | RCU
        if listed(_RCU_OR_NULL) or "rcu" in place.tags:
            return found & ~UNTRUSTED | RCU | MAYBE_NULL
    return found


def fits(found: KernelType, wanted: KernelType, offset: int, *, strict: bool) -> bool:
    """Whether a pointer at ``offset`` of ``found`` is one to ``wanted``, or to something that starts with it.

    With ``strict`` only the very type will do. Types whose names differ by ``___init`` are never the same.
    """
    if _is_flavour(found, wanted) or _is_flavour(wanted, found):
        return False
    if strict:
        return offset == 0 and same_type(found, wanted)
    return found.table.starts_with(found, wanted, offset)


def _is_flavour(one: KernelType, other: KernelType) -> bool:
    return one.name == f"{other.name}___init"
