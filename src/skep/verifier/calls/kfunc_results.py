"""What kernel functions return: numbers, kernel objects, memory; and the casts between them.

Source: the kernel's ``Documentation/bpf/kfuncs.rst``; observed on Linux 6.18.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from skep.btf.types import Composite, Enumeration, Int, Struct, Void
from skep.stdlib.kfuncs import KfuncFlag
from skep.verifier.calls.kfunc_arguments import type_keyword
from skep.verifier.holding import references
from skep.verifier.numbers.scalar import signed32
from skep.verifier.rejection import NotCovered, Rejection
from skep.verifier.states.register import (
    ANY_NUMBER,
    MAYBE_NULL,
    NOTHING,
    RCU,
    READ_ONLY,
    TRUSTED,
    UNTRUSTED,
    Kind,
    Register,
    register,
)

if TYPE_CHECKING:
    from skep.verifier.calls.kfunc_calls import KfuncCall
    from skep.verifier.paths.exploration import Explorer


#: Functions that return the address of a number that programs may change.
_WRITABLE: Final = frozenset({"bpf_session_cookie"})


def plain_result(explorer: Explorer, call: KfuncCall) -> Register:
    """What a function without rules of its own returns."""
    types = call.function.table
    result = types.btf.resolve(call.function.result)
    if isinstance(result, Void):
        return NOTHING
    if isinstance(result, Int | Enumeration):
        return ANY_NUMBER
    target = types.pointee(call.function.result)
    if target is None:
        raise NotCovered(f"what kernel function {call.name} returns")
    flags = MAYBE_NULL if call.flags & KfuncFlag.RET_NULL else 0
    found: Register
    if isinstance(types.btf[target.id], Struct):
        flags |= _trust(call)
        found = register(Kind.OBJECT, flags=flags, subject=target)
    elif call.returned_size is not None:
        flags |= READ_ONLY if call.returned_read_only else 0
        found = register(Kind.MEMORY, extent=call.returned_size, flags=flags, reference=call.reference)
    elif isinstance(types.btf[target.id], Composite | Void):
        raise Rejection(
            f"kernel function {call.name} returns pointer type {type_keyword(target)} {target.name} is not supported"
        )
    else:
        flags |= 0 if call.name in _WRITABLE else READ_ONLY
        found = register(Kind.MEMORY, extent=target.size, flags=flags)
    return _identified(explorer, call, found)


def _trust(call: KfuncCall) -> int:
    if call.name == "bpf_get_kmem_cache":
        return UNTRUSTED
    return RCU if call.flags & KfuncFlag.RCU_PROTECTED else 0


def _identified(explorer: Explorer, call: KfuncCall, found: Register) -> Register:
    id = reference = 0
    if found.flags & MAYBE_NULL:
        id = explorer.new_id()
    if call.flags & KfuncFlag.ACQUIRE:
        # Linux counts on all the same where it takes the id of the reference: messages name ids.
        id = reference = references.acquire(explorer)
    return register(
        found.kind,
        id=id,
        reference=reference or found.reference,
        extent=found.extent,
        flags=found.flags,
        subject=found.subject,
    )


def _to_kernel_context(explorer: Explorer, call: KfuncCall) -> Register:
    """The kernel's own structure behind the context."""
    context = explorer.context
    types = context.kernel_types
    table = types.find_struct("bpf_ctx_convert")
    member = None if table is None else types.btf.member(table.id, f"BPF_PROG_TYPE_{context.type.name}_kern")
    if member is None:
        raise NotCovered(f"bpf_cast_to_kern_ctx in {context.type.label} programs")
    if not isinstance(types.btf[member.type], Struct):
        raise Rejection(f"kern ctx type id {member.type} is not a struct", kfunc=call.name)
    return register(Kind.OBJECT, flags=TRUSTED, subject=types.type(member.type))


def _read_only_cast(explorer: Explorer, call: KfuncCall) -> Register:
    """Anything seen as an object of some type, or as memory, that may only be read and may not be there."""
    types = explorer.context.kernel_types
    number = call.constant
    assert number is not None
    number &= 0xFFFFFFFF
    if number >= len(types.btf):
        raise Rejection(f"Unknown type ID {signed32(number)} passed to kfunc {call.name}", kfunc=call.name)
    found = types.btf[number]
    if isinstance(found, Composite):
        return register(Kind.OBJECT, flags=UNTRUSTED, subject=types.type(number))
    if not explorer.rules.plain_pointers:
        raise Rejection("kfunc bpf_rdonly_cast type ID argument must be of a struct", kfunc=call.name)
    if isinstance(found, Void):
        return register(Kind.MEMORY, flags=READ_ONLY | UNTRUSTED)
    raise Rejection("kfunc bpf_rdonly_cast type ID argument must be of a struct or void", kfunc=call.name)


def _trap(explorer: Explorer, call: KfuncCall) -> Register:
    """Where the compiler found that the program would do something that has no meaning."""
    raise Rejection("unexpected __bpf_trap() due to uninitialized variable?", kfunc=call.name)


#: Functions that return what they were given as another type.
SPECIAL: dict[str, Callable[[Explorer, KfuncCall], Register]] = {
    "bpf_cast_to_kern_ctx": _to_kernel_context,
    "bpf_rdonly_cast": _read_only_cast,
    "__bpf_trap": _trap,
}
