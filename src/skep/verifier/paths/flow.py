"""Where control may go: reachability, the instructions at which states are compared, and which registers are live.

States are compared at jumps, at their targets and behind calls; a step to a target is kept in the jump history. A
register is live before an instruction if some way onwards reads it before writing it; what is not live does not
count when states are compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from skep.isa.instruction import Instruction
from skep.isa.meaning import Atomic, Branch, Call, Exit, Goto, LoadAcquire, MayGoto, PacketLoad, WideLoad
from skep.isa.row import RegisterRole
from skep.objects.spec import KfuncReference
from skep.stdlib import prototypes
from skep.stdlib.kfuncs import KFUNCS, KfuncFlag
from skep.stdlib.prototype import ArgumentKind
from skep.verifier.rejection import Rejection
from skep.verifier.structure import Structure

_ARGUMENTS = 0b111110
_SCRATCHED = 0b111111
_ALL = (1 << 10) - 1

#: Helpers that call a function of the program before they return, however often.
CALLBACK_HELPERS = frozenset(
    row.number
    for row in prototypes.ROWS
    if row.name != "timer_set_callback" and any(one.kind is ArgumentKind.FUNCTION for one in row.arguments)
)
#: Kernel functions that do so, and those that have a function called back later.
CALLBACK_KFUNCS = frozenset({"bpf_rbtree_add_impl"})
CALLBACK_SETTERS = frozenset(
    {"bpf_wq_set_callback_impl", "bpf_task_work_schedule_signal_impl", "bpf_task_work_schedule_resume_impl"}
)
_TIMER_SET_CALLBACK = prototypes.number("timer_set_callback")


class Flow:
    """The control flow of a program. Lists and sets are by slot.

    ``pauses``: states are compared here. ``landings``: getting here is kept in the jump history. ``forced``: a state
    is always kept here. ``calls_back``: a helper that calls back. ``asks_iterator``: a call that asks an iterator for
    an element. ``live``: a bit for each register that is live before the instruction.
    """

    def __init__(self, structure: Structure, parameters: Mapping[int, int] = MappingProxyType({})) -> None:
        """``parameters``: by call, how many parameters what is called has, where no helper's table says it."""
        self.structure = structure
        count = len(structure.instructions)
        self.pauses = [False] * count
        self.landings = [False] * count
        self.forced = [False] * count
        self.calls_back = [False] * count
        self.asks_iterator = [False] * count
        #: Calls of helpers and kernel functions that have functions of the program called, now or later.
        self.callers: frozenset[int] = frozenset()
        self._walk()
        self.live = _live_registers(structure, parameters)
        self.has_open_loops = any(self.forced)
        #: The loop that each slot lies in, as a number from 1 on; 0 for none. Only for programs with open loops.
        self.components = components(structure) if self.has_open_loops else [0] * count

    def _walk(self) -> None:
        """Follow every edge once; what is not found is unreachable."""
        structure = self.structure
        instructions = structure.instructions
        count = len(instructions)
        seen = [False] * count
        waiting = [0]
        seen[0] = True
        for one in structure.subprograms:
            if one.is_exception_callback and one.start < count:
                waiting.append(one.start)
                seen[one.start] = self.pauses[one.start] = True
        while waiting:
            slot = waiting.pop()
            for target in self._edges(slot):
                if not 0 <= target < count:
                    raise Rejection(
                        f"jump out of range from insn {slot} to {target}", instruction=slot, target=target
                    )
                if not seen[target]:
                    seen[target] = True
                    waiting.append(target)
        for slot in range(count):
            row = structure.rows[slot]
            if row is None:
                if seen[slot] and structure.instructions[slot].opcode == 0:
                    raise Rejection(f"jump into the middle of ldimm64 insn {slot - 1}", instruction=slot - 1)
                continue
            if not seen[slot]:
                raise Rejection(f"unreachable insn {slot}", instruction=slot)

    def _edges(self, slot: int) -> tuple[int, ...]:
        structure = self.structure
        instruction = structure.instructions[slot]
        row = structure.rows[slot]
        edges = structure.successors[slot]
        match None if row is None else row.meaning:
            case Goto():
                self.pauses[edges[0]] = self.landings[edges[0]] = True
            case Branch() | MayGoto() as jump:
                self.pauses[slot] = True
                self.forced[slot] |= isinstance(jump, MayGoto)
                target = slot + 1 + instruction.offset
                self.pauses[target] = self.landings[target] = True
            case Call(target=called):
                self._call(slot, called)
                if called == "subprogram":
                    callee = slot + 1 + instruction.imm
                    self._enter(slot, callee)
                    return (*edges, callee)
            case WideLoad(refers="function"):
                callee = slot + 1 + instruction.imm
                self._behind(slot + 2)
                self._enter(slot, callee)
                return (*edges, callee)
            case _:
                pass
        return edges

    def _call(self, slot: int, target: str) -> None:
        number = self.structure.instructions[slot].imm
        if target == "helper":
            if number == _TIMER_SET_CALLBACK:
                self.pauses[slot] = True
                self.callers |= {slot}
            if number in CALLBACK_HELPERS:
                self.callers |= {slot}
                self.calls_back[slot] = self.forced[slot] = self.pauses[slot] = self.landings[slot] = True
        elif target == "kfunc" and self._kfunc(slot) in CALLBACK_KFUNCS:
            self.callers |= {slot}
            self.calls_back[slot] = self.forced[slot] = self.pauses[slot] = self.landings[slot] = True
        elif target == "kfunc" and self._kfunc(slot) in CALLBACK_SETTERS:
            self.callers |= {slot}
            self.pauses[slot] = True
        elif target == "kfunc" and self._is_next(slot):
            self.asks_iterator[slot] = self.forced[slot] = self.pauses[slot] = True
        self._behind(slot + 1)

    def _kfunc(self, slot: int) -> str:
        reference = self.structure.spec.references.get(slot)
        return reference.name if isinstance(reference, KfuncReference) else ""

    def _is_next(self, slot: int) -> bool:
        row = KFUNCS.get(self._kfunc(slot))
        return row is not None and KfuncFlag.ITER_NEXT in row.flags

    def _behind(self, slot: int) -> None:
        if slot < len(self.pauses):
            self.pauses[slot] = self.landings[slot] = True

    def _enter(self, slot: int, callee: int) -> None:
        self.pauses[slot] = True
        self.pauses[callee] = self.landings[callee] = True


@cache
def _helper_reads(number: int) -> int:
    """A bit for each argument register of a helper."""
    if number not in prototypes.NAMES:
        return _ARGUMENTS
    count = max(len(row.arguments) for row in prototypes.ROWS if row.number == number)
    return (2 << count) - 2


#: Instructions of which the table does not say which registers they read and write as Linux sees it.
_OWN_REGISTERS = (Call, Exit, Atomic, LoadAcquire, PacketLoad)


def _reads_and_writes(structure: Structure, slot: int, parameters: Mapping[int, int]) -> tuple[int, int]:
    """Bits of the registers that an instruction reads and those that it writes."""
    row = structure.rows[slot]
    if row is None:
        return 0, 0
    instruction = structure.instructions[slot]
    if not isinstance(row.meaning, _OWN_REGISTERS):
        return _registers(row.reads, instruction), _registers(row.writes, instruction)
    match row.meaning:
        case Call(target="helper"):
            if slot in parameters:
                return (2 << parameters[slot]) - 2, _SCRATCHED
            return _helper_reads(instruction.imm), _SCRATCHED
        case Call(target="kfunc"):
            return (2 << parameters.get(slot, 5)) - 2, _SCRATCHED
        case Call():
            return _ARGUMENTS, _SCRATCHED
        case Exit():
            return 1, 0
        case Atomic(result=result):
            reads = 1 << instruction.dst | 1 << instruction.src | (result == "r0")
            return reads, 0 if result is None else 1 if result == "r0" else 1 << instruction.src
        case LoadAcquire():
            return 1 << instruction.src, 1 << instruction.dst
        case PacketLoad():
            # Linux takes these to read everything.
            return _ALL, 0


def _registers(roles: tuple[RegisterRole, ...], instruction: Instruction) -> int:
    found = 0
    for role in roles:
        found |= 1 << (instruction.dst if role == "dst" else instruction.src if role == "src" else role)
    return found


def _live_registers(structure: Structure, parameters: Mapping[int, int]) -> list[int]:
    count = len(structure.instructions)
    live = [0] * count
    table = [
        (slot, *_reads_and_writes(structure, slot, parameters), structure.successors[slot])
        for slot in range(count - 1, -1, -1)
        if structure.rows[slot] is not None
    ]
    changed = True
    while changed:
        changed = False
        for slot, reads, writes, successors in table:
            after = 0
            for successor in successors:
                after |= live[successor]
            before = after & ~writes | reads
            if before != live[slot]:
                live[slot] = before
                changed = True
    return live


def components(structure: Structure) -> list[int]:
    """Strongly connected components of more than one slot (or of one that goes to itself), numbered (Tarjan)."""
    count = len(structure.rows)
    found = [0] * count
    order = [0] * count
    lowest = [0] * count
    on_path = [False] * count
    path: list[int] = []
    visited = components = 0
    for start in range(count):
        if order[start] or structure.rows[start] is None:
            continue
        work = [(start, iter(structure.successors[start]))]
        visited += 1
        order[start] = lowest[start] = visited
        path.append(start)
        on_path[start] = True
        while work:
            slot, successors = work[-1]
            for successor in successors:
                if not order[successor]:
                    visited += 1
                    order[successor] = lowest[successor] = visited
                    path.append(successor)
                    on_path[successor] = True
                    work.append((successor, iter(structure.successors[successor])))
                    break
                if on_path[successor]:
                    lowest[slot] = min(lowest[slot], order[successor])
            else:
                work.pop()
                if work:
                    lowest[work[-1][0]] = min(lowest[work[-1][0]], lowest[slot])
                if lowest[slot] == order[slot]:
                    members = []
                    while True:
                        member = path.pop()
                        on_path[member] = False
                        members.append(member)
                        if member == slot:
                            break
                    if len(members) > 1 or slot in structure.successors[slot]:
                        components += 1
                        for member in members:
                            found[member] = components
    return found
