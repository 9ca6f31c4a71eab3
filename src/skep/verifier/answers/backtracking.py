"""The walks back along the path by which Linux finds out what a number came from, as a log of level 2 tells of them.

skep needs no such walk (``precision``). So that its log has these lines all the same, what the path was is recorded
here: its instructions, what each found on the stack or left there, which numbers a jump refined together, and where
states were kept. A walk begins where a number turns out to matter and ends where all that it came from is known to
matter already. Its rules are those that the log of Linux 6.18 shows, and the section on precision tracking in
Documentation/bpf/verifier.rst.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from skep.isa.meaning import (
    Alu,
    Atomic,
    Branch,
    Call,
    Exit,
    Load,
    LoadAcquire,
    PacketLoad,
    Store,
    StoreRelease,
    WideLoad,
)
from skep.isa.table import row_of
from skep.verifier.answers.state_text import state_text
from skep.verifier.states.register import Kind
from skep.verifier.states.state import R10, Frame, Linked, State

if TYPE_CHECKING:
    from skep.verifier.paths.checkpoint import Checkpoint
    from skep.verifier.paths.exploration import Explorer
    from skep.verifier.structure import Structure

_SCALAR: Final = Kind.SCALAR
_ARGUMENTS: Final = 0b111110
_REGISTERS: Final = 10


@dataclass(slots=True, eq=False)
class Step:
    """An instruction of the path; ``before`` is the one before it, since the last state that was kept.

    ``stack`` is the frame and slot that it spilled a register to or filled one from, ``linked`` the numbers that it
    refined together.
    """

    index: int
    before: Step | None
    stack: tuple[int, int] | None = None
    linked: Linked = ()


@dataclass(slots=True)
class _Kept:
    """What is known of a kept state: the last step before it, and by frame which numbers matter.

    The numbers are two masks, of registers and of stack slots.
    """

    end: Step | None
    previous: int
    precise: list[list[int]]


class _Unknown(Exception):
    """The walk cannot go on: what the number came from cannot be told."""


class _Wanted:
    """What is looked for, by frame: registers and stack slots, a bit for each. ``frame`` is where the walk is."""

    def __init__(self, frame: int) -> None:
        self.frame = frame
        self.registers = [0] * (frame + 1)
        self.slots = [0] * (frame + 1)

    def __bool__(self) -> bool:
        return any(self.registers) or any(self.slots)

    def has(self, register: int) -> bool:
        """Whether a register of the running frame is wanted."""
        return bool(self.registers[self.frame] >> register & 1)

    def want(self, register: int) -> None:
        """A register of the running frame is wanted; the frame pointer is never a number."""
        if register != R10:
            self.registers[self.frame] |= 1 << register

    def drop(self, *registers: int) -> None:
        """Registers of the running frame are not wanted any more."""
        for register in registers:
            self.registers[self.frame] &= ~(1 << register)

    def enter(self) -> None:
        """The walk goes back into a function that had returned."""
        self.frame += 1
        if self.frame == len(self.registers):
            self.registers.append(0)
            self.slots.append(0)

    def leave(self) -> None:
        """The walk goes back to before a function was entered."""
        self.frame -= 1

    def sync(self, linked: Linked) -> None:
        """Numbers that were refined together are wanted together."""
        masks = (self.registers, self.slots)
        if any(level < len(self.slots) and masks[is_slot][level] >> index & 1 for level, index, is_slot in linked):
            for level, index, is_slot in linked:
                masks[is_slot][level] |= 1 << index

    def text(self) -> str:
        """What is wanted of the running frame, as the log has it."""
        registers, slots = self.registers[self.frame], self.slots[self.frame]
        return f"regs={_register_names(registers)} stack={_slot_names(slots)}"


def _bits(mask: int) -> list[int]:
    found = []
    while mask:
        found.append((mask & -mask).bit_length() - 1)
        mask &= mask - 1
    return found


def _register_names(mask: int) -> str:
    return ",".join(f"r{index}" for index in _bits(mask))


def _slot_names(mask: int) -> str:
    return ",".join(str(-8 * (index + 1)) for index in _bits(mask))


class Backtracking:
    """Records the path that is followed, and writes the walks back along it with ``say``."""

    def __init__(self, say: Callable[[str], None], instruction: Callable[[Explorer, int], str]) -> None:
        self._say = say
        self._instruction = instruction
        self._path: Step | None = None
        #: Whether the last step is still running: walks begin before it.
        self._runs = False
        self._forks: list[Step | None] = []
        self._kept: dict[Checkpoint, _Kept] = {}
        self._start = 0
        #: Where the paths were that loops came back on, by the state there.
        self._edges: dict[int, tuple[State, Step | None]] = {}

    # The path.

    def started(self, explorer: Explorer, function: int) -> None:
        """A function will be followed on its own."""
        self._path = None
        self._runs = False
        self._forks = []
        self._kept = {}
        self._edges = {}
        self._start = explorer.structure.subprograms[function].start

    def step(self, explorer: Explorer, waiting: int) -> None:
        """An instruction is about to be followed."""
        self.close(explorer, waiting)
        self._path = Step(explorer.index, self._path)
        self._runs = True
        explorer.used, explorer.linked = None, ()

    def close(self, explorer: Explorer, waiting: int) -> None:
        """The running instruction is done, and ``waiting`` forks have not been followed yet."""
        path = self._path
        if self._runs and path is not None:
            path.stack, path.linked = explorer.used, explorer.linked
        self._runs = False
        while len(self._forks) < waiting:
            self._forks.append(path)

    def kept(self, explorer: Explorer, checkpoint: Checkpoint, previous: int) -> None:
        """The state is kept: what comes now goes back to there."""
        self._kept[checkpoint] = _Kept(self._path, previous, [[0, 0] for _ in checkpoint.state.frames])
        self._path = None

    def resumed(self, explorer: Explorer, previous: int, waiting: int) -> None:
        """A fork is taken up."""
        self.close(explorer, waiting + 1)
        path = self._forks.pop()
        # What is called later begins with a path of its own.
        self._path = path if explorer.state.asynchronous_entries == 0 or explorer.state.parent is not None else None

    # Walks.

    def marked(self, explorer: Explorer, register: int) -> None:
        """The number in a register of the running function matters."""
        wanted = _Wanted(len(explorer.state.frames) - 1)
        wanted.want(register)
        self._walk(explorer, explorer.state, explorer.index, self._before(), wanted)

    def marked_slot(self, explorer: Explorer, frame: int, slot: int) -> None:
        """The number spilled in a stack slot matters."""
        wanted = _Wanted(len(explorer.state.frames) - 1)
        wanted.slots[frame] |= 1 << slot
        self._walk(explorer, explorer.state, explorer.index, self._before(), wanted)

    def inherited(self, explorer: Explorer, checkpoint: Checkpoint, state: State) -> None:
        """A state is covered by ``checkpoint``: what mattered there matters here."""
        kept = self._kept[checkpoint]
        wanted = _Wanted(len(state.frames) - 1)
        for level, frame in enumerate(checkpoint.state.frames):
            registers = kept.precise[level][0] & _numbers(frame)
            slots = kept.precise[level][1] & _spilled_numbers(frame)
            names = [f"r{index}" for index in _bits(registers)]
            names += [f"fp{-8 * (index + 1)}" for index in _bits(slots)]
            if names:
                self._say(f"frame {level}: propagating {','.join(names)}")
            wanted.registers[level] |= registers
            wanted.slots[level] |= slots
        if wanted:
            _, step = self._edges.get(id(state), (state, self._path))
            self._walk(explorer, state, checkpoint.index, step, wanted)

    def looped(self, explorer: Explorer, checkpoint: Checkpoint, state: State) -> None:
        """A loop came back: more may matter there when its paths are finished."""
        self._edges[id(state)] = (state, self._path)

    def precise(self, checkpoint: Checkpoint) -> Sequence[Sequence[int]]:
        """By frame, masks of the registers and slots of a kept state that matter."""
        return self._kept[checkpoint].precise

    def _before(self) -> Step | None:
        """The step before the running instruction."""
        path = self._path
        return path.before if self._runs and path is not None else path

    def _walk(self, explorer: Explorer, state: State, index: int, step: Step | None, wanted: _Wanted) -> None:
        try:
            self._back(explorer, state, index, step, wanted)
        except _Unknown:
            self._force(state)

    def _back(self, explorer: Explorer, state: State, index: int, step: Step | None, wanted: _Wanted) -> None:
        checkpoint = state.parent
        last, following = index, -1
        first = self._first(checkpoint)
        self._say_segment(wanted, last, first, following)
        following = last
        while True:
            while step is not None:
                self._one(explorer, step, following, wanted)
                if not wanted:
                    return
                following, step = step.index, step.before
            if checkpoint is None:
                raise _Unknown
            kept = self._kept[checkpoint]
            self._settle(checkpoint, kept, wanted)
            if not wanted:
                return
            following, step, last = first, kept.end, kept.previous
            checkpoint = checkpoint.state.parent
            first = self._first(checkpoint)
            self._say_segment(wanted, last, first, following)
            if last < 0:
                # At the entry of a global function its arguments come from outside.
                if self._start and not wanted.registers[0] & ~_ARGUMENTS and not wanted.slots[0]:
                    return
                raise _Unknown

    def _first(self, checkpoint: Checkpoint | None) -> int:
        return self._start if checkpoint is None else checkpoint.index

    def _say_segment(self, wanted: _Wanted, last: int, first: int, following: int) -> None:
        self._say(f"mark_precise: frame{wanted.frame}: last_idx {last} first_idx {first} subseq_idx {following} ")

    def _settle(self, checkpoint: Checkpoint, kept: _Kept, wanted: _Wanted) -> None:
        """Mark what is wanted of a kept state; of what was marked before no more is to be found out."""
        state = checkpoint.state
        for level in range(wanted.frame, -1, -1):
            frame = state.frames[level]
            precise = kept.precise[level]
            wanted.registers[level] &= _numbers(frame) & ~precise[0]
            wanted.slots[level] &= _spilled_numbers(frame) & ~precise[1]
            precise[0] |= wanted.registers[level]
            precise[1] |= wanted.slots[level]
            names = f"regs={_register_names(wanted.registers[level])} stack={_slot_names(wanted.slots[level])}"
            text = state_text(state, frame, precise=(precise[0], precise[1]))
            self._say(f"mark_precise: frame{level}: parent state {names}: {text}")

    def _force(self, state: State) -> None:
        """All numbers of all kept states on the path matter."""
        level = len(state.frames) - 1
        self._say(f"mark_precise: frame{level}: falling back to forcing all scalars precise")
        checkpoint = state.parent
        while checkpoint is not None:
            kept = self._kept[checkpoint]
            for level, frame in enumerate(checkpoint.state.frames):
                precise = kept.precise[level]
                for index in _bits(_numbers(frame) & ~precise[0]):
                    self._say(f"force_precise: frame{level}: forcing r{index} to be precise")
                for index in _bits(_spilled_numbers(frame) & ~precise[1]):
                    self._say(f"force_precise: frame{level}: forcing fp{-8 * (index + 1)} to be precise")
                precise[0] |= _numbers(frame)
                precise[1] |= _spilled_numbers(frame)
            checkpoint = checkpoint.state.parent

    def _one(self, explorer: Explorer, step: Step, following: int, wanted: _Wanted) -> None:
        """Go back over one instruction; ``following`` is the one that came behind it."""
        index = step.index
        text = self._instruction(explorer, index)
        self._say(f"mark_precise: frame{wanted.frame}: {wanted.text()} before {index}: {text}")
        wanted.sync(step.linked)
        self._undo(explorer, step, following, wanted)
        wanted.sync(step.linked)

    def _undo(self, explorer: Explorer, step: Step, following: int, wanted: _Wanted) -> None:
        structure = explorer.structure
        instruction = structure.instructions[step.index]
        row = row_of(instruction)
        assert row is not None
        dst, src = instruction.dst, instruction.src
        by_register = row.operand == "src"
        match row.meaning:
            case Alu(operation="mov" | "movsx"):
                if wanted.has(dst):
                    wanted.drop(dst)
                    if by_register:
                        wanted.want(src)
            case Alu():
                if wanted.has(dst) and by_register:
                    wanted.want(src)
            case Load() | LoadAcquire():
                self._undo_load(step, dst, wanted)
            case Store() | StoreRelease():
                self._undo_store(step, dst, src if by_register else None, wanted)
            case Atomic(result=result):
                if result is not None and wanted.has(0 if result == "r0" else src):
                    self._undo_load(step, 0 if result == "r0" else src, wanted)
                else:
                    self._undo_store(step, dst, src, wanted)
            case WideLoad():
                wanted.drop(dst)
            case PacketLoad():
                if wanted.has(0):
                    raise _Unknown
            case Branch():
                if by_register and (wanted.has(dst) or wanted.has(src)):
                    wanted.want(dst)
                    wanted.want(src)
            case Call(target=target):
                self._undo_call(structure, explorer, step.index, target, following, wanted)
            case Exit():
                self._undo_exit(structure, explorer, following, wanted)
            case _:
                pass

    @staticmethod
    def _undo_load(step: Step, into: int, wanted: _Wanted) -> None:
        if not wanted.has(into):
            return
        wanted.drop(into)
        if step.stack is not None:
            frame, slot = step.stack
            wanted.slots[frame] |= 1 << slot

    @staticmethod
    def _undo_store(step: Step, base: int, source: int | None, wanted: _Wanted) -> None:
        if wanted.has(base):
            # What is stored through was a number before.
            raise _Unknown
        if step.stack is None:
            return
        frame, slot = step.stack
        if wanted.slots[frame] >> slot & 1:
            wanted.slots[frame] &= ~(1 << slot)
            if source is not None:
                wanted.want(source)

    def _undo_call(
        self, structure: Structure, explorer: Explorer, index: int, target: str, following: int, wanted: _Wanted
    ) -> None:
        level = wanted.frame
        if target == "subprogram":
            callee = structure.by_start[index + 1 + structure.instructions[index].imm]
            if following != callee.start or callee.is_global:
                # It was not followed: what it returned comes from nowhere.
                wanted.drop(0)
                return
            if wanted.registers[level] & ~_ARGUMENTS or wanted.slots[level] or not level:
                # Also where a function was left in its midst, so that the walk never entered it.
                raise _Unknown
            wanted.registers[level - 1] |= wanted.registers[level] & _ARGUMENTS
            wanted.registers[level] = 0
            wanted.leave()
        elif explorer.flow.calls_back[index] and following != index + 1:
            if wanted.slots[level] or not level:
                raise _Unknown
            wanted.registers[level] = 0
            wanted.leave()
        else:
            wanted.drop(0)
            if wanted.registers[level] & _ARGUMENTS:
                raise _Unknown

    def _undo_exit(self, structure: Structure, explorer: Explorer, following: int, wanted: _Wanted) -> None:
        if explorer.flow.calls_back[following]:
            wanted.drop(*range(1, 6))
        call = row_of(structure.instructions[following - 1]) if following else None
        returns = call is not None and call.meaning == Call("subprogram") and wanted.has(0)
        wanted.drop(0)
        wanted.enter()
        if returns:
            wanted.want(0)


def _numbers(frame: Frame) -> int:
    """A bit for each register that holds a number."""
    found = 0
    for index in range(_REGISTERS):
        if frame.registers[index].kind is _SCALAR:
            found |= 1 << index
    return found


def _spilled_numbers(frame: Frame) -> int:
    """A bit for each slot that a number was spilled to."""
    found = 0
    for index, one in enumerate(frame.slots):
        if one.is_spill and one.register.kind is _SCALAR:
            found |= 1 << index
    return found


__all__ = ["Backtracking"]
