"""Accesses to a program's context: which fields a type has, and what a register holds after reading one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skep.objects.kinds import ProgramType
from skep.programs import KINDS
from skep.programs.field import FieldKind
from skep.verifier.contexts.argument_contexts import argument_access
from skep.verifier.contexts.context_tables import OBJECTS, table_of
from skep.verifier.rejection import NotCovered, Rejection
from skep.verifier.states.register import ANY_NUMBER, MAYBE_NULL, Kind, Register, register

if TYPE_CHECKING:
    from skep.verifier.paths.exploration import Explorer
    from skep.verifier.steps.accesses import Access

_POINTERS = {
    FieldKind.PACKET: (Kind.PACKET, 0),
    FieldKind.PACKET_END: (Kind.PACKET_END, 0),
    FieldKind.PACKET_META: (Kind.PACKET_META, 0),
    FieldKind.FLOW_KEYS: (Kind.FLOW_KEYS, 0),
    FieldKind.SOCKET: (Kind.SOCK_COMMON, MAYBE_NULL),
}

#: Types whose context is the arguments of a function of the kernel.
_BY_ARGUMENTS = frozenset({ProgramType.TRACING, ProgramType.LSM, ProgramType.STRUCT_OPS})


def context_access(explorer: Explorer, access: Access) -> Register:
    """What a load from the context leaves in a register, or the refusal of a load or store."""
    context = explorer.context
    if context.type in _BY_ARGUMENTS:
        return argument_access(explorer, access, context.hook)
    offset, size = access.offset, access.size
    kind = KINDS.get(context.type)
    pointer = None
    if kind is not None and not kind.takes_memory:
        field = kind.field_at(offset, size, write=access.is_store, attach_type=context.attach_type)
        if field is None:
            raise _refused(access)
        pointer = _POINTERS.get(field.kind)
    else:
        table = table_of(context.type, context.attach_type)
        if table is None:
            raise NotCovered(f"the context of {context.type.label} programs")
        if not table.permits(offset, size, store=access.is_store):
            raise _refused(access)
        pointer = table.pointers.get(offset)
    if access.is_store or pointer is None:
        return ANY_NUMBER
    found, flags = pointer
    subject = context.kernel_types.struct(OBJECTS[context.type, offset]) if found is Kind.OBJECT else None
    return register(found, id=explorer.new_id() if flags & MAYBE_NULL else 0, flags=flags, subject=subject)


def _refused(access: Access) -> Rejection:
    return Rejection(
        f"invalid bpf_context access off={access.offset} size={access.size}",
        offset=access.offset,
        size=access.size,
        store=access.is_store,
    )
