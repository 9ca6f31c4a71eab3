"""Ends: of the program with a value that its type permits and nothing held, and of functions that it calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from skep import programs
from skep.objects.kinds import AttachType, ProgramType
from skep.verifier.contexts.program_tables import returned_object
from skep.verifier.contexts.security_hooks import permitted_range
from skep.verifier.holding import sections
from skep.verifier.numbers.scalar import S64_MAX, S64_MIN, Scalar
from skep.verifier.rejection import Rejection
from skep.verifier.states.register import NOTHING, Kind, Register
from skep.verifier.steps.accesses import check_unmodified
from skep.verifier.steps.checks import readable
from skep.verifier.steps.step import END

if TYPE_CHECKING:
    from skep.verifier.context import Context
    from skep.verifier.paths.exploration import Explorer

_SCALAR: Final = Kind.SCALAR
_STACK: Final = Kind.STACK

_T, _A = ProgramType, AttachType
_NULL = (0, 0)

#: What is said last of a program that does not return 1 where nothing is returned.
_NOTE: Final = "Note, BPF_LSM_CGROUP that attach to void LSM hooks can't modify return value!"


def return_range(context: Context) -> tuple[int, int] | None:
    """What a program may return, or None if anything."""
    match context.type:
        case _T.LSM if context.replaces:
            return None
        case _T.LSM:
            return permitted_range(context)
        case _T.STRUCT_OPS:
            # A member that returns a pointer may always return none.
            return None if returned_object(context) is None else _NULL
        case _T.RAW_TRACEPOINT | _T.RAW_TRACEPOINT_WRITABLE if context.replaces:
            return (0, 0)
        case program:
            return programs.return_range(program, context.attach_type)


def leave(explorer: Explorer) -> int:
    """The step of ``exit``: back to the caller, or the end of a path."""
    explorer.jumps += 1
    state = explorer.state
    frames = state.frames
    if len(frames) > 1:
        return _return_to_caller(explorer)
    check_nothing_held(explorer, "BPF_EXIT instruction in main prog")
    check_result(explorer, 0)
    return END


def check_nothing_held(explorer: Explorer, prefix: str, *, locks: bool = True, thrown: bool = False) -> None:
    """Refuse to leave with something acquired that was not given back."""
    state = explorer.state
    if locks and state.locks:
        raise Rejection(f"{prefix} cannot be used inside bpf_spin_lock-ed region")
    left = state.references
    if left and explorer.context.type is _T.STRUCT_OPS and not thrown:
        # What is returned goes to the kernel, and whether it is what the kernel asks for is looked at later.
        left = tuple(one for one in left if one.id != explorer.registers[0].reference)
    if left:
        details = [f"Unreleased reference id={one.id} alloc_insn={one.instruction}" for one in left]
        raise Rejection(f"{prefix} would lead to reference leak", *details, references=left)
    if locks:
        sections.check_none_open(explorer, prefix)


def end_early(explorer: Explorer, before: Register, result: Register) -> int:
    """The running function returns ``result`` from its midst: a tail call was taken, or a packet load missed.

    ``before`` is what r0 held before that instruction. Gives where its caller goes on.
    """
    if explorer.frame.callback is not None:
        # The result of a callback matters, and Linux looks for where it came from before the instruction that made
        # it: it goes wrong there, or stops at what r0 was.
        if before is NOTHING:
            raise Rejection("verifier bug: callback unexpected regs 1")
        if result.scalar.is_constant:
            raise Rejection("verifier bug: subprog exit from frame 0")
    explorer.registers[0] = result
    if explorer.observer is not None:
        explorer.observer.left_early(explorer)
    return _return_to_caller(explorer)


def _return_to_caller(explorer: Explorer) -> int:
    state = explorer.state
    frames = state.frames
    callee, caller = frames[-1], frames[-2]
    explorer.liveness.left(state)
    # A function whose result nobody uses need not have one: clang leaves r0 alone in it.
    result = callee.registers[0]
    if result.kind is _STACK:
        raise Rejection("cannot return stack pointer to the caller")
    site = callee.call_site
    if callee.callback is not None:
        if result.kind is not _SCALAR:
            raise Rejection("R0 not a scalar value")
        explorer.mark_precise(0)
        low, high = callee.callback
        if result.scalar.smin < low or result.scalar.smax > high:
            raise Rejection(_outside("At callback return", "R0", result.scalar, (low, high)))
        from skep.verifier.calls.callbacks import back_to_helper

        return back_to_helper(explorer)
    caller.registers[0] = result
    caller.sources[0] = callee.sources[0]
    frames.pop()
    explorer.enter(state)
    return site + 1


def check_result(explorer: Explorer, index: int) -> None:
    """Refuse what a program, or a function that is verified on its own, leaves in a register as its result."""
    later = explorer.state.frames[0].callback
    if later is not None:
        _check_later_result(explorer, later, index)
        return
    context = explorer.context
    entered = explorer.structure.subprograms[explorer.state.frames[0].subprogram]
    is_function = bool(entered.index) and not entered.is_exception_callback
    if not is_function and _returns_nothing(context):
        return
    limits = None if is_function else return_range(context)
    readable(explorer, index)
    result = explorer.registers[index]
    if not is_function and _is_handed_back(context, result):
        check_unmodified(index, result)
        return
    if is_function and result.kind is not _SCALAR:
        raise Rejection(
            f"At subprogram exit the register R{index} is not a scalar value ({result.type_name})", register=index
        )
    if limits is None:
        return
    place = "At program exit"
    if result.kind is not _SCALAR:
        raise Rejection(f"{place} the register R{index} is not a known value ({result.type_name})", register=index)
    explorer.mark_precise(index)
    low, high = limits
    least, greatest = result.scalar.smin, result.scalar.smax
    if context.type is _T.LSM and context.attach_type is not _A.LSM_CGROUP:
        # A security hook returns an int: the upper half is not looked at.
        least, greatest = result.scalar.smin32, result.scalar.smax32
    if not (low <= least and greatest <= high):
        message = _outside(place, f"R{index}", result.scalar, limits)
        if context.attach_type is _A.LSM_CGROUP and context.hook.is_void:
            raise Rejection(_NOTE, message, register=index, limits=limits)
        raise Rejection(message, register=index, limits=limits)


def _is_handed_back(context: Context, result: Register) -> bool:
    """Whether a program gives the kernel the object that it asks for."""
    wanted = returned_object(context) if context.type is _T.STRUCT_OPS else None
    return wanted is not None and bool(result.reference) and result.subject is wanted


def _check_later_result(explorer: Explorer, limits: tuple[int, int], index: int) -> None:
    """The same for a function that a timer or its like calls on its own."""
    readable(explorer, index)
    result = explorer.registers[index]
    place = "At async callback return"
    if result.kind is not _SCALAR:
        raise Rejection(f"{place} the register R{index} is not a known value ({result.type_name})", register=index)
    explorer.mark_precise(index)
    if not (limits[0] <= result.scalar.smin and result.scalar.smax <= limits[1]):
        raise Rejection(_outside(place, f"R{index}", result.scalar, limits), register=index, limits=limits)


def _returns_nothing(context: Context) -> bool:
    """Whether what the program leaves in r0 is never looked at: the hook returns nothing."""
    if context.replaces:
        return False
    if context.type is _T.STRUCT_OPS or (context.type is _T.LSM and context.attach_type is not _A.LSM_CGROUP):
        return context.hook.is_void
    return False


def _outside(place: str, name: str, value: Scalar, limits: tuple[int, int]) -> str:
    text = f"{place} the register {name} has"
    unknown = True
    if value.smin > S64_MIN:
        text += f" smin={value.smin}"
        unknown = False
    if value.smax < S64_MAX:
        text += f" smax={value.smax}"
        unknown = False
    if unknown:
        text += " unknown scalar value"
    return f"{text} should have been in [{limits[0]}, {limits[1]}]"
