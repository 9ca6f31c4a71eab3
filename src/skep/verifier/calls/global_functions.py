"""Global functions: verified on their own, so that a call checks the arguments against their types and no more.

Rules and messages were observed on Linux 6.18.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from skep.objects.kinds import ProgramType
from skep.verifier.calls.exceptions import check_signature
from skep.verifier.calls.functions import forget_scratch
from skep.verifier.calls.helper_arguments import check_memory
from skep.verifier.calls.helper_calls import forget_packet
from skep.verifier.calls.signatures import Parameter, Signature, Takes, signature_of
from skep.verifier.holding.sections import may_sleep
from skep.verifier.kernel.kernel_types import KernelType
from skep.verifier.rejection import NotCovered, Rejection
from skep.verifier.states.register import (
    ANY_NUMBER,
    MAYBE_NULL,
    RCU,
    READ_ONLY,
    TRUSTED,
    UNTRUSTED,
    Kind,
    Register,
    register,
)
from skep.verifier.states.stack_objects import DynptrType
from skep.verifier.states.state import LOST, State
from skep.verifier.steps.accesses import Access, check_unmodified
from skep.verifier.steps.accesses import check as check_access

if TYPE_CHECKING:
    from skep.verifier.context import Context
    from skep.verifier.paths.exploration import Explorer
    from skep.verifier.structure import Subprogram


#: Types whose programs see their context as it is, so that it is memory like any other.
_PLAIN_CONTEXTS: Final = frozenset(
    {
        ProgramType.KPROBE,
        ProgramType.TRACEPOINT,
        ProgramType.RAW_TRACEPOINT,
        ProgramType.RAW_TRACEPOINT_WRITABLE,
        ProgramType.TRACING,
        ProgramType.LSM,
        ProgramType.STRUCT_OPS,
        ProgramType.SYSCALL,
        ProgramType.NETFILTER,
        ProgramType.CGROUP_DEVICE,
    }
)


def call_global(explorer: Explorer, callee: Subprogram) -> int:
    """A call of a global function: where to go on."""
    state = explorer.state
    refusal = _refusal(explorer, signature(explorer.context, callee))
    if state.locks:
        raise Rejection(
            "use static function instead", *refusal, "global function calls are not allowed while holding a lock,"
        )
    if callee.might_sleep and not may_sleep(explorer):
        raise Rejection(
            "a non-sleepable BPF program context",
            "global functions that may sleep are not allowed in non-sleepable context,",
            "i.e., in a RCU/IRQ/preempt-disabled section, or in",
            function=callee.name,
        )
    if refusal:
        raise Rejection(
            f"Caller passes invalid args into func#{callee.index} ('{callee.name}')", *refusal, function=callee.name
        )
    explorer.liveness.wrote(state, explorer.index, 0)
    explorer.called_globals.add(callee.index)
    forget_scratch(explorer)
    if callee.changes_packet and explorer.rules.tail_calls_move:
        forget_packet(state)
    return explorer.index + 1


def signature(context: Context, function: Subprogram) -> Signature:
    """What a function takes; looked up once."""
    found = context.signatures.get(function.index)
    if found is None:
        found = context.signatures[function.index] = signature_of(context, function)
    return found


def _refusal(explorer: Explorer, signature: Signature) -> tuple[str, ...]:
    """What is wrong with the arguments, as lines of the log; nothing if they will do."""
    if signature.problem:
        return (signature.problem,)
    try:
        for number, parameter in enumerate(signature.parameters):
            _check(explorer, number, parameter)
    except Rejection as rejection:
        return (*rejection.preceding, rejection.message)
    return ()


def remarks(explorer: Explorer, callee: Subprogram) -> tuple[str, ...]:
    """What Linux prints of the arguments of a function that is not global, though it permits them."""
    try:
        found = signature(explorer.context, callee)
    except NotCovered:
        return ()
    if found.problem or any(one.takes not in _REMARKED for one in found.parameters):
        return ()
    try:
        for number, parameter in enumerate(found.parameters):
            if parameter.takes is not Takes.DYNPTR or explorer.registers[number + 1].kind not in _DYNPTRS:
                _check(explorer, number, parameter)
    except Rejection as rejection:
        return (*rejection.preceding, rejection.message)
    return ()


def takes_context(context: Context, main: Subprogram) -> bool:
    """Whether the types of a program say that it takes its context, and nothing else."""
    try:
        found = signature_of(context, main)
    except NotCovered:
        return False
    return not found.problem and [one.takes for one in found.parameters] == [Takes.CONTEXT]


def mark_unreliable(explorer: Explorer, callee: Subprogram) -> None:
    """Find out whether a function that is not global is given what its types say."""
    try:
        found = signature(explorer.context, callee)
    except NotCovered:
        callee.unreliable = True
        return
    if found.problem or any(one.takes not in _REMARKED for one in found.parameters) or remarks(explorer, callee):
        callee.unreliable = True


#: What parameters of functions that are not global may be, where Linux looks at them.
_REMARKED: Final = frozenset({Takes.NUMBER, Takes.CONTEXT, Takes.DYNPTR})
_DYNPTRS: Final = frozenset({Kind.STACK, Kind.DYNPTR})


def _check(explorer: Explorer, number: int, parameter: Parameter) -> None:
    index = number + 1
    passed = explorer.registers[index]
    match parameter.takes:
        case Takes.NUMBER:
            if passed.kind is not Kind.SCALAR:
                raise Rejection(f"R{index} is not a scalar")
        case Takes.UNTRUSTED_MEMORY | Takes.UNTRUSTED_OBJECT:
            # Any value will do: what is read through it may be anything.
            pass
        case Takes.CONTEXT:
            if passed.kind is not Kind.CONTEXT:
                raise Rejection(f"arg#{number} expects pointer to ctx")
            check_unmodified(index, passed)
        case Takes.MEMORY:
            _check_memory(explorer, number, parameter, passed)
        case Takes.ARENA:
            if passed.kind not in (Kind.ARENA, Kind.SCALAR):
                raise Rejection(f"R{index} is not a pointer to arena or scalar.")
        case Takes.DYNPTR:
            _check_dynptr(explorer, number, passed)
        case Takes.OBJECT:
            if not (parameter.maybe_null and passed.is_zero):
                _check_object(index, passed, parameter)


def _check_memory(explorer: Explorer, number: int, parameter: Parameter, passed: Register) -> None:
    index = number + 1
    if passed.is_zero:
        # Linux takes a null that is known at the call even where the function says that it takes none.
        return
    if passed.kind is Kind.CONTEXT and explorer.context.type in _PLAIN_CONTEXTS:
        if parameter.size:
            check_access(explorer, Access(index, passed, parameter.size - 1, 1))
            check_access(explorer, Access(index, passed, parameter.size - 1, 1, ANY_NUMBER))
        return
    if passed.kind is not Kind.SCALAR and passed.flags & MAYBE_NULL:
        if not parameter.maybe_null:
            raise Rejection(f"arg#{number} is expected to be non-NULL")
        explorer.registers[index] = register(
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
    check_memory(explorer, index, parameter.size, store=False, zero=True)
    check_memory(explorer, index, parameter.size, store=True, zero=True)
    explorer.registers[index] = passed


def _check_object(index: int, passed: Register, parameter: Parameter) -> None:
    wanted = parameter.subject
    flags = passed.flags & ~(MAYBE_NULL if parameter.maybe_null else 0)
    if passed.kind is not Kind.OBJECT or flags not in (0, TRUSTED, RCU):
        raise Rejection(f"R{index} type={passed.type_name} expected=ptr_, trusted_ptr_, rcu_ptr_", register=index)
    check_unmodified(index, passed, fixed_offset_allowed=True)
    subject = passed.subject
    assert isinstance(subject, KernelType)
    assert wanted is not None
    if not subject.table.starts_with(subject, wanted, passed.offset):
        raise Rejection(f"R{index} is of type {subject.name} but {wanted.name} is expected", register=index)


def _check_dynptr(explorer: Explorer, number: int, passed: Register) -> None:
    from skep.verifier.stack import dynptrs

    if passed.kind not in (Kind.STACK, Kind.DYNPTR):
        raise Rejection(f"arg#{number} expected pointer to stack or const struct bpf_dynptr")
    if passed.kind is Kind.DYNPTR:
        check_unmodified(number + 1, passed)
    dynptrs.expect(explorer, number + 1)


def entry_state(explorer: Explorer, function: Subprogram) -> State:
    """The state in which a global function is entered: all that is known of its parameters is their types."""
    state = State()
    frame = state.frames[0]
    frame.subprogram = function.index
    found = signature(explorer.context, function)
    if function.is_exception_callback:
        check_signature(found)
    for number, parameter in enumerate(found.parameters):
        frame.registers[number + 1] = _given(explorer, parameter)
        # Of a number that matters Linux finds no beginning where it was passed in, and takes all to matter.
        frame.sources[number + 1] = LOST
    return state


def _given(explorer: Explorer, parameter: Parameter) -> Register:
    null = MAYBE_NULL if parameter.maybe_null else 0
    id = explorer.new_id() if null else 0
    match parameter.takes:
        case Takes.NUMBER:
            return ANY_NUMBER
        case Takes.CONTEXT:
            return register(Kind.CONTEXT)
        case Takes.MEMORY:
            return register(Kind.MEMORY, id=id, extent=parameter.size, flags=null)
        case Takes.UNTRUSTED_MEMORY:
            return register(Kind.MEMORY, flags=READ_ONLY | UNTRUSTED)
        case Takes.OBJECT:
            return register(Kind.OBJECT, id=id, flags=TRUSTED | null, subject=parameter.subject)
        case Takes.UNTRUSTED_OBJECT:
            return register(Kind.OBJECT, flags=UNTRUSTED, subject=parameter.subject)
        case Takes.DYNPTR:
            return register(Kind.DYNPTR, id=explorer.new_id(), subject=DynptrType.LOCAL)
        case Takes.ARENA:
            return ANY_NUMBER
