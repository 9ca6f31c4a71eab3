"""Registers held against the parameters of kernel functions: numbers, memory, the context, kernel objects.

Before what a parameter itself asks come the checks that all pointers share: null, trust, references, offsets.
The order matters, because the first violation is the one that is told. Observed on Linux 6.18.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from skep.btf.types import Composite
from skep.objects.kinds import ProgramType
from skep.stdlib.kfuncs import KfuncFlag
from skep.verifier.calls.helper_arguments import check_memory, check_string
from skep.verifier.calls.kfunc_arguments import Argument, ArgumentKind, holds_only_numbers, object_type, type_keyword
from skep.verifier.contexts.access import context_access
from skep.verifier.kernel import kernel_objects
from skep.verifier.paths import precision
from skep.verifier.rejection import NotCovered, Rejection
from skep.verifier.states.register import (
    ALLOCATED,
    ANY_NUMBER,
    MAYBE_NULL,
    NON_OWNING,
    RCU,
    TRUSTED,
    Kind,
    Register,
    register,
)
from skep.verifier.steps.accesses import Access, check_unmodified
from skep.verifier.structure import OFFSET_LIMIT

if TYPE_CHECKING:
    from skep.verifier.calls.kfunc_calls import KfuncCall
    from skep.verifier.paths.exploration import Explorer

_NUMBERS: Final = frozenset({ArgumentKind.SCALAR, ArgumentKind.CONSTANT, ArgumentKind.RETURNED_SIZE})
#: Kinds that ask nothing of a register at all, and those that say themselves what a null pointer is.
_UNASKED: Final = frozenset({ArgumentKind.IGNORED, ArgumentKind.NULL})
_NODES: Final = frozenset({ArgumentKind.LIST_NODE, ArgumentKind.RB_NODE})
#: Types whose context is memory as programs see it.
_OWN_CONTEXT: Final = frozenset(
    {
        ProgramType.TRACEPOINT,
        ProgramType.KPROBE,
        ProgramType.RAW_TRACEPOINT,
        ProgramType.RAW_TRACEPOINT_WRITABLE,
        ProgramType.TRACING,
        ProgramType.LSM,
        ProgramType.STRUCT_OPS,
        ProgramType.SYSCALL,
    }
)
_OBJECTS: Final = frozenset({ArgumentKind.OBJECT, ArgumentKind.ALLOCATED, ArgumentKind.MAP_OBJECT})
#: Kinds of register that may point anywhere into what they point to.
_ANY_OFFSET: Final = frozenset(
    {
        Kind.STACK,
        Kind.PACKET,
        Kind.PACKET_META,
        Kind.MAP_KEY,
        Kind.MAP_VALUE,
        Kind.MEMORY,
        Kind.BUFFER,
        Kind.SCALAR,
        Kind.ARENA,
    }
)


#: Modifiers of objects that may be pointed into.
_FIXED_OFFSET: Final = frozenset({0, TRUSTED, RCU, ALLOCATED, ALLOCATED | NON_OWNING, ALLOCATED | NON_OWNING | RCU})


def check_pointer(explorer: Explorer, call: KfuncCall, argument: Argument, kind: ArgumentKind) -> None:
    """What all pointers passed to kernel functions have to be, whatever the parameter is."""
    if kind in _NUMBERS or kind in _UNASKED:
        return
    index = argument.index
    passed = explorer.registers[index]
    trusted, rcu = call.wants_trusted, call.wants_rcu
    is_null = passed.is_zero or (passed.is_pointer and passed.flags & MAYBE_NULL)
    if is_null and (trusted or rcu) and "nullable" not in argument.marks:
        raise Rejection(f"Possibly NULL pointer passed to trusted arg{argument.position}", register=index)
    if kind is ArgumentKind.OBJECT:
        _check_structure(call, argument)
    elif kind is ArgumentKind.MEMORY:
        _check_holds_numbers(argument)
    if passed.reference:
        if call.flags & KfuncFlag.RELEASE:
            if call.reference:
                raise Rejection(f"more than one arg with ref_obj_id R{index} {passed.reference} {call.reference}")
            call.released = index
        call.reference = passed.reference
    if kind in _OBJECTS and (trusted or rcu) and not kernel_objects.is_trusted(passed):
        if not rcu:
            raise Rejection(f"R{index} must be referenced or trusted", register=index, pointer=passed)
        if not kernel_objects.is_rcu(passed):
            raise Rejection(f"R{index} must be a rcu pointer", register=index, pointer=passed)
    _check_offset(index, passed, released=call.released == index)


def _check_offset(index: int, passed: Register, *, released: bool) -> None:
    if released and passed.kind is not Kind.STACK:
        if passed.offset:
            raise Rejection(
                f"R{index} must have zero offset when passed to release func or trusted arg to kfunc", register=index
            )
        check_unmodified(index, passed)
    elif passed.kind is Kind.NOT_INITIALISED:
        raise Rejection("variable ? access var_off=(0x0; 0xffffffffffffffff) disallowed", register=index)
    elif passed.kind not in _ANY_OFFSET:
        check_unmodified(index, passed, passed.kind is Kind.OBJECT and passed.flags in _FIXED_OFFSET)


def _check_structure(call: KfuncCall, argument: Argument) -> None:
    target = argument.target
    assert target is not None
    if not isinstance(target.btf[target.id], Composite):
        raise Rejection(
            f"kernel function {call.name} args#{argument.position} pointer type {argument.target_text} "
            "is not supported",
            register=argument.index,
        )


def _check_holds_numbers(argument: Argument) -> None:
    target = argument.target
    assert target is not None
    if not holds_only_numbers(target.table, target.id):
        raise Rejection(
            f"arg#{argument.position} pointer type {argument.target_text} must point to scalar, "
            "or struct with scalar",
            register=argument.index,
        )


def check_number(explorer: Explorer, call: KfuncCall, argument: Argument, passed: Register) -> None:
    """A number, of any value."""
    if passed.kind is not Kind.SCALAR:
        raise Rejection(f"R{argument.index} is not a scalar", register=argument.index, pointer=passed)


def check_constant(explorer: Explorer, call: KfuncCall, argument: Argument, passed: Register) -> None:
    """A number that is known."""
    check_number(explorer, call, argument, passed)
    if not passed.scalar.is_constant:
        raise Rejection(f"R{argument.index} must be a known constant", register=argument.index)
    explorer.mark_precise(argument.index)
    call.constant = passed.scalar.value


def check_returned_size(explorer: Explorer, call: KfuncCall, argument: Argument, passed: Register) -> None:
    """The size of the memory that the function returns."""
    check_number(explorer, call, argument, passed)
    if not passed.scalar.is_constant:
        raise Rejection(f"R{argument.index} is not a const", register=argument.index)
    explorer.mark_precise(argument.index)
    call.returned_size = passed.scalar.value
    call.returned_read_only = "rdonly_buf_size" in argument.marks


def check_context(explorer: Explorer, call: KfuncCall, argument: Argument, passed: Register) -> None:
    """The program's context."""
    if passed.kind is not Kind.CONTEXT:
        raise Rejection(
            f"arg#{argument.position} expected pointer to ctx, but got {passed.type_name}", register=argument.index
        )


#: Structures that only programs see, and the kernel's own that will do for them.
_SEEN_BY_PROGRAMS = {"__sk_buff": "sk_buff", "xdp_md": "xdp_buff"}


def check_object(explorer: Explorer, call: KfuncCall, argument: Argument, passed: Register) -> None:
    """A kernel object of the parameter's type, or one that starts with such."""
    found = object_type(explorer.context, passed)
    wanted = argument.target
    assert found is not None
    assert wanted is not None
    if passed.kind is Kind.OBJECT and not kernel_objects.is_safe(passed):
        trusted = "trusted_" if passed.flags & TRUSTED else ""
        raise Rejection(
            f"arg#{argument.position} is {passed.type_name} expected {trusted}ptr_ or socket",
            register=argument.index,
            pointer=passed,
        )
    strict = call.released is not None and bool(passed.reference)
    seen_by_programs = _SEEN_BY_PROGRAMS.get(wanted.name) == found.name
    if not seen_by_programs and not kernel_objects.fits(found, wanted, passed.offset, strict=strict):
        raise Rejection(
            f"kernel function {call.name} args#{argument.position} expected pointer to {argument.target_text} "
            f"but R{argument.index} has a pointer to {type_keyword(found)} {found.name}",
            register=argument.index,
            pointer=passed,
        )
    if call.passed_object is None:
        call.passed_object = passed


def check_map_object(explorer: Explorer, call: KfuncCall, argument: Argument, passed: Register) -> None:
    """An argument that has to be a map, where the kernel's object of one was passed, or something else."""
    if "holder" in call.notes or passed.kind is not Kind.OBJECT:
        raise NotCovered(f"a register of type {passed.type_name} passed to {call.name} as a map")
    map = explorer.context.kernel_types.struct("bpf_map")
    check_object(explorer, call, replace(argument, target=map), passed)


def check_plain_memory(explorer: Explorer, call: KfuncCall, argument: Argument, passed: Register) -> None:
    """Memory as large as the parameter's type, which must hold nothing but numbers."""
    target = argument.target
    assert target is not None
    if passed.is_zero:
        return
    _check_both_ways(explorer, call, argument.index, target.size)


def _check_both_ways(explorer: Explorer, call: KfuncCall, index: int, size: int, *, zero: bool = False) -> None:
    """Memory that a function may read and write, null where it may be null."""
    passed = explorer.registers[index]
    if passed.kind is Kind.CONTEXT and explorer.context.type in _OWN_CONTEXT and (size or zero):
        for value in (None, ANY_NUMBER) if size else ():
            context_access(explorer, Access(index, passed, passed.offset + size - 1, 1, value))
        return
    if passed.is_pointer and passed.flags & MAYBE_NULL:
        known = register(
            passed.kind,
            passed.scalar,
            passed.offset,
            passed.id,
            passed.reference,
            passed.extent,
            passed.frame,
            passed.flags & ~MAYBE_NULL,
            passed.subject,
        )
        explorer.registers[index] = known
    try:
        for store in (False, True):
            check_memory(explorer, index, size, store=store, zero=zero)
    finally:
        explorer.registers[index] = passed


def check_memory_and_size(explorer: Explorer, call: KfuncCall, argument: Argument, passed: Register) -> None:
    """Memory with its size in bytes in the next argument."""
    following = call.after(argument)
    assert following is not None
    size = explorer.registers[following.index]
    if not (passed.is_zero and "opt" in argument.marks):
        try:
            _check_size(explorer, call, argument.index, following.index)
        except Rejection as rejection:
            raise Rejection(
                f"arg#{argument.position} arg#{following.position} memory, len pair leads to invalid memory access",
                *rejection.preceding,
                rejection.message,
                register=argument.index,
            ) from None
    if "szk" in following.marks:
        if not size.scalar.is_constant:
            raise Rejection(f"R{following.index} must be a known constant", register=following.index)
        # The size of what is returned matters all the same where Linux, given no memory, does not follow it back.
        precision.mark(explorer.state, following.index)
        call.constant = size.scalar.value


def _check_size(explorer: Explorer, call: KfuncCall, index: int, of_size: int) -> None:
    size = explorer.registers[of_size].scalar
    if size.smin < 0:
        raise Rejection(f"R{of_size} min value is negative, either use unsigned or 'var &= const'", register=of_size)
    if size.umax >= OFFSET_LIMIT:
        raise Rejection(
            f"R{of_size} unbounded memory access, use 'var &= const' or 'if (var < const)'", register=of_size
        )
    _check_both_ways(explorer, call, index, size.umax, zero=True)
    # Once for reading, once for writing: both are told in the log.
    explorer.mark_precise(of_size)
    explorer.mark_precise(of_size)


def check_constant_string(explorer: Explorer, call: KfuncCall, argument: Argument, passed: Register) -> None:
    """A string in a map that nobody changes."""
    if passed.kind is not Kind.MAP_VALUE or passed.flags:
        raise Rejection(
            f"arg#{argument.position} doesn't point to a const string", register=argument.index, pointer=passed
        )
    check_string(explorer, argument.index, passed)
