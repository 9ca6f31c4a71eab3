"""Accesses to a context that is the arguments of a function of the kernel: tracing, LSM and struct_ops programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from skep.objects.kinds import AttachType
from skep.verifier.contexts.hook import Hook
from skep.verifier.contexts.security_hooks import permitted_range
from skep.verifier.numbers.scalar import scalar
from skep.verifier.rejection import Rejection
from skep.verifier.states.register import ANY_NUMBER, MAYBE_NULL, Kind, Register, number, register

if TYPE_CHECKING:
    from skep.verifier.paths.exploration import Explorer
    from skep.verifier.steps.accesses import Access

_SLOT: Final = 8
_SLOTS: Final = 12


def _result(explorer: Explorer, hook: Hook) -> Register:
    """What the function returned: of a security hook it is known what it may be."""
    if explorer.context.attach_type is not AttachType.LSM_MAC:
        return ANY_NUMBER
    limits = permitted_range(explorer.context)
    known = None if limits is None else scalar(s64=limits, s32=limits)
    return ANY_NUMBER if known is None else number(known)


def argument_access(explorer: Explorer, access: Access, hook: Hook) -> Register:
    """What a load from the context leaves in a register. Raises Rejection for other accesses."""
    offset, size = access.offset, access.size
    details: tuple[str, ...] = ()
    if not access.is_store and 0 <= offset < _SLOT * _SLOTS and (part := hook.slot(offset // _SLOT)).in_part:
        return register(part.kind, flags=part.flags, subject=part.subject)
    if not access.is_store and 0 <= offset < _SLOT * _SLOTS and offset % size == 0:
        if offset % _SLOT:
            details = (f"func '{hook.name}' offset {offset} is not multiple of {_SLOT}",)
        else:
            seen = hook.slot(offset // _SLOT)
            if seen.problem:
                details = (seen.problem,)
            elif seen.refused and size == _SLOT:
                pass
            elif seen.kind is Kind.SCALAR and not ((seen.whole or seen.refused) and size != _SLOT):
                return _result(explorer, hook) if seen is hook.result else ANY_NUMBER
            elif size != _SLOT:
                details = (f"func '{hook.name}' size {size} must be {_SLOT}",)
            else:
                if seen.remark:
                    explorer.remark(f"func '{hook.name}' {seen.remark}")
                if seen.reference and all(one.id != seen.reference for one in explorer.state.references):
                    raise Rejection(
                        f"invalid bpf_context access off={offset}. Reference may already be released",
                        offset=offset,
                        size=size,
                        store=False,
                    )
                id = explorer.new_id() if seen.flags & MAYBE_NULL else 0
                return register(seen.kind, id=id, reference=seen.reference, flags=seen.flags, subject=seen.subject)
    raise Rejection(
        f"invalid bpf_context access off={offset} size={size}",
        *details,
        offset=offset,
        size=size,
        store=access.is_store,
    )
