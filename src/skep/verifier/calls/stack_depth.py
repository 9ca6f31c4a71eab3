"""How much stack a chain of calls takes together: at most 512 bytes, in at most eight functions.

Looked at once all paths are known to be safe, along every call that the code holds, whether a path takes it or not.
Also here: what must not be called along such a chain. Limits and messages were observed on Linux 6.18.
"""

from __future__ import annotations

from typing import Final

from skep.isa.meaning import Call, WideLoad
from skep.objects.kinds import AttachType, ProgramType
from skep.objects.spec import KfuncReference
from skep.verifier.rejection import Rejection
from skep.verifier.structure import Structure, Subprogram

LIMIT: Final = 512
#: A tail call keeps the callers' frames, so those before it may not be large.
_TAIL_CALL_LIMIT: Final = 256
_FRAME_LIMIT: Final = 8
#: The JIT of x86-64 rounds each frame up to this, and that of earlier versions to this.
_ROUNDING: Final = 16
_ROUNDING_EARLIER: Final = 32
#: A frame of this many bytes gets a stack of its own, in programs that have such.
_PRIVATE_FROM: Final = 64

#: Types whose programs do not nest, so that functions of theirs may have stacks of their own.
_PRIVATE: Final = frozenset(
    {ProgramType.KPROBE, ProgramType.TRACEPOINT, ProgramType.PERF_EVENT, ProgramType.RAW_TRACEPOINT}
)


def has_private_stacks(structure: Structure, program: ProgramType, attach_type: AttachType | None) -> bool:
    """Whether large functions of a program have stacks of their own; no tail call may be in it."""
    if any(one.has_tail_call for one in structure.subprograms):
        return False
    return program in _PRIVATE or (program is ProgramType.TRACING and attach_type is not AttachType.TRACE_ITER)


def check_stack_depth(structure: Structure, used: list[int], *, private: bool, small: bool = True) -> None:
    """Refuse chains of calls that take too much; ``used`` is by function, in bytes.

    ``small`` says whether frames are rounded as little as they are since 6.12.
    """
    walk = _Walk(structure, used, private, _ROUNDING if small else _ROUNDING_EARLIER)
    for function in structure.subprograms:
        if function.index == 0 or function.is_asynchronous or function.is_exception_callback:
            walk.follow(function, 0, ())


class _Walk:
    def __init__(self, structure: Structure, used: list[int], private: bool, rounding: int) -> None:
        self._structure = structure
        self._used = used
        self._private = private
        self._rounding = rounding
        self._calls = {one.index: list(_calls(structure, one)) for one in structure.subprograms}
        #: By function and whether a callback leads there: the most stack and frames it was followed with.
        self._reached: dict[tuple[int, bool], tuple[int, int]] = {}

    def _size(self, function: Subprogram) -> int:
        size = -(-self._used[function.index] // self._rounding) * self._rounding
        return 0 if self._private and size >= _PRIVATE_FROM else size

    def follow(self, function: Subprogram, before: int, chain: tuple[Subprogram, ...]) -> None:
        """Follow all calls of a function that a chain of others led to."""
        if chain and function.has_tail_call and before >= _TAIL_CALL_LIMIT:
            raise Rejection(
                f"tail_calls are not allowed when call stack of previous frames is {before} bytes. Too large"
            )
        frames = len(chain) + 1
        total = before + self._size(function)
        if total > LIMIT:
            raise Rejection(
                f"combined stack size of {frames} calls is {total}. Too large", function=function.name, total=total
            )
        whole = (*chain, function)
        in_callback = any(one.is_callback or one.is_exception_callback for one in whole)
        known = self._reached.get((function.index, in_callback))
        if known is not None and known[0] >= total and known[1] >= frames:
            return
        self._reached[function.index, in_callback] = (total, frames)
        if function.has_tail_call and any(one.is_exception_callback for one in chain):
            raise Rejection("cannot tail call within exception cb")
        for slot, callee, is_call in self._calls[function.index]:
            if callee is None:
                if in_callback:
                    raise Rejection(
                        f"bpf_throw kfunc (insn {slot}) cannot be called from callback subprog {function.index}",
                        instruction=slot,
                    )
                continue
            if callee.is_asynchronous or callee.is_exception_callback:
                # It runs on a stack of its own, unless it is called like any other.
                if not is_call:
                    continue
                if callee.is_exception_callback:
                    raise Rejection(f"insn {slot} cannot call exception cb directly", instruction=slot)
            if frames >= _FRAME_LIMIT:
                raise Rejection(f"the call stack of {frames} frames is too deep !")
            self.follow(callee, total, whole)


def _calls(structure: Structure, function: Subprogram) -> list[tuple[int, Subprogram | None, bool]]:
    """Where a function calls or names others (whether it calls), and where it throws (no function)."""
    found: list[tuple[int, Subprogram | None, bool]] = []
    for slot in range(function.start, function.end):
        row = structure.rows[slot]
        match None if row is None else row.meaning:
            case Call(target="subprogram"):
                found.append((slot, structure.by_start[slot + 1 + structure.instructions[slot].imm], True))
            case WideLoad(refers="function"):
                found.append((slot, structure.by_start[slot + 1 + structure.instructions[slot].imm], False))
            case Call():
                reference = structure.spec.references.get(slot)
                if isinstance(reference, KfuncReference) and reference.name == "bpf_throw":
                    found.append((slot, None, True))
            case _:
                pass
    return found
