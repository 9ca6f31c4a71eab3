"""The log of a verification in the kernel's format, for tools that read that: levels 1, 2 and 4.

Level 1 holds the path that was rejected and nothing of an accepted program; level 2 all paths. Both are written
while paths are followed: a state in full where a path begins or is taken up, behind each instruction what it changed.
Level 2 also tells how numbers are followed back (``backtracking``), what is learnt of the stack (``liveness_log``)
and where loops begin and end. What stands before and behind the paths is in ``log_frame``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from skep.isa import registers_read, registers_written
from skep.isa.meaning import Atomic, Branch, Call, Exit, Load, LoadAcquire, PacketLoad, Store, StoreRelease
from skep.isa.table import row_of
from skep.objects.spec import ProgramSpec, SourceLine
from skep.verifier.answers.backtracking import Backtracking
from skep.verifier.answers.liveness_log import ToldLiveness
from skep.verifier.answers.log_frame import context_remarks, instruction_of
from skep.verifier.answers.state_text import state_text
from skep.verifier.calls.global_functions import remarks
from skep.verifier.numbers.scalar import S64_MAX, S64_MIN
from skep.verifier.paths.checkpoint import Checkpoint
from skep.verifier.paths.flow import components
from skep.verifier.paths.observer import Observer
from skep.verifier.states.register import Kind
from skep.verifier.states.slots import SLOT_SIZE, STACK_SIZE, UNUSED, Slot
from skep.verifier.states.stack_objects import Dynptr, Iterator

if TYPE_CHECKING:
    from skep.verifier.context import Context
    from skep.verifier.paths.exploration import Explorer
    from skep.verifier.paths.stack_liveness import StackLiveness
    from skep.verifier.states.state import Frame, State
    from skep.verifier.structure import Structure, Subprogram

PATH: Final = 1
EVERYTHING: Final = 2

#: What was changed stands in a column of its own: the first that is free, a multiple of 8 from 40 on.
_COLUMN = 40
_STEP = 8
_ALL = -1
_SCRATCHED_BY_CALLS = 0b111111


#: Between an instruction and what it changed: space up to a column, and a semicolon.
_BEHIND: Final = "\0"


class _Later:
    """A state that is written only if the line is still there in the end."""

    __slots__ = ("frame", "registers", "slots", "state")

    def __init__(self, state: State, frame: int, registers: int | None, slots: int | None) -> None:
        self.state = state
        self.frame = frame
        self.registers = registers
        self.slots = slots

    def text(self) -> str:
        """The state as the log has it."""
        return state_text(self.state, self.state.frames[self.frame], self.registers, self.slots)


_Part = str | _Later
_Line = tuple[_Part, ...]


def _rendered(line: _Line) -> str:
    text = ""
    for part in line:
        if part is _BEHIND:
            length = len(text) + 1
            column = -(-max(length + _STEP // 2, _COLUMN) // _STEP) * _STEP
            text = text.ljust(column - 2) + ";"
        else:
            text += part if isinstance(part, str) else part.text()
    return text


class KernelLog(Observer):
    """Writes the log of one program while it is followed, with a level of 1 or 2."""

    def __init__(self, spec: ProgramSpec, level: int) -> None:
        self._spec = spec
        self._everything = bool(level & EVERYTHING)
        self._lines: list[_Line] = []
        self._texts: dict[int, str] = {}
        #: The last line, before anything was added to it: where a fork that it made goes on.
        self._bare: _Line = ()
        #: Of each fork that waits: how many lines there were, and the last of them.
        self._forks: list[tuple[int, _Line]] = []
        self._waiting = 0
        self._registers = _ALL
        self._slots = _ALL
        self._at_instruction = False
        #: The instruction behind which the path goes on elsewhere; whether because a fork was taken up.
        self._came_from: int | None = None
        self._resumed = False
        #: Whether all was written that the last instruction left to be written.
        self._settled = True
        self._joins = False
        self._source: SourceLine | None = None
        self._leaving: _Part | None = None
        #: Whether the function that was left was left in its midst.
        self._left_early = False
        self._frames = 1
        #: Whether the last instruction was a call, and the stack before it.
        self._called = False
        self._before: list[Slot] = []
        self._last: int | None = None
        #: Calls of what calls functions of the program, now or later; whether the last instruction was one and did.
        self._callers: frozenset[int | None] = frozenset()
        self._entered = False
        #: How numbers are followed back, which level 2 tells.
        self._back = Backtracking(self._line, self._quoted) if self._everything else None
        #: Functions that were called with what does not fit their types, of which Linux remarks once.
        self._unreliable: set[int] = set()
        self._told: ToldLiveness | None = None
        #: The loop that each slot lies in; the states in which loops were entered that are not finished.
        self._components: list[int] = []
        self._loops: dict[str, Checkpoint] = {}
        #: The global function that is followed, for when it turns out to be safe.
        self._function: str | None = None

    @property
    def lines(self) -> list[str]:
        """What has been written."""
        return [_rendered(line) for line in self._lines]

    # What happens.

    def liveness(self, structure: Structure) -> StackLiveness:
        """Liveness that tells what is learnt, at level 2."""
        if self._everything:
            self._told = ToldLiveness(structure, self._line)
            return self._told
        return super().liveness(structure)

    def started(self, explorer: Explorer, function: int) -> None:
        """A function will be followed on its own."""
        self.passed()
        self._callers = explorer.flow.callers
        if self._everything:
            self._components = components(explorer.structure)
            self._loops = {}
        if self._back is not None:
            self._back.started(explorer, function)
        if function:
            name = explorer.structure.subprograms[function].name
            self._function = f"Func#{function} ('{name}')"
            self._line(f"Validating {name}() func#{function}...")
        elif explorer.context.replaces:
            self._line(f"Validating {explorer.structure.subprograms[0].name}() func#0...")
        else:
            self._lines += [(line,) for line in context_remarks(self._spec)]
        self._forks.clear()
        self._waiting = 0
        self._registers = self._slots = _ALL
        self._at_instruction = False
        self._frames = 1
        self._last = None
        self._leaving = None
        self._settled = True
        self._came_from = None
        self._resumed = False

    def passed(self) -> None:
        """All paths of the last function were followed, and are safe."""
        if not self._everything:
            self._lines.clear()
        if self._function is not None:
            self._line(f"{self._function} is safe for any args that match its prototype")
            self._function = None

    def step(self, explorer: Explorer, waiting: int) -> None:
        """An instruction is about to be followed."""
        self._settle(explorer, waiting)
        state, frame, index = explorer.state, explorer.frame, explorer.index
        if self._came_from is not None and self._everything:
            self._line("")
            self._line(f"from {self._came_from} to {index}:", self._state(state, frame))
        elif self._resumed:
            self._joins = True
        self._came_from = None
        self._resumed = False
        self._changes(explorer, index)
        self._line_of(index)
        self._line(f"{index}: {self._instruction(explorer.context, index)}")
        self._bare = self._lines[-1]
        self._at_instruction = True
        self._waiting = waiting
        self._touched(explorer, index)
        self._last = index
        self._settled = False
        if self._back is not None:
            self._back.step(explorer, waiting)
        if self._told is not None and self._leaving is not None:
            self._told.tell(state, explorer.flow.pauses)

    def filled(self, explorer: Explorer, slots: int) -> None:
        """A call fills a buffer on the stack."""
        self._slots |= slots

    def ended(self, explorer: Explorer) -> None:
        """A path ended."""
        if self._told is not None:
            self._told.tell(explorer.state, explorer.flow.pauses)

    def remarked(self, explorer: Explorer, line: str) -> None:
        """Linux has something to say of an instruction that it permits."""
        self._line(line)

    def known(self, explorer: Explorer, previous: int, waiting: int) -> None:
        """The path ends at a state that is covered."""
        self._settle(explorer, waiting)
        if not self._everything:
            return
        if self._came_from is not None:
            self._line("")
            self._line(f"from {self._came_from} to {explorer.index}: safe")
        else:
            self._line(f"{explorer.index}: safe")
        self._came_from = None

    def resumed(self, explorer: Explorer, previous: int, waiting: int) -> None:
        """A fork is taken up."""
        if self._back is not None:
            self._back.resumed(explorer, previous, waiting)
        self._note_forks(waiting + 1)
        count, bare = self._forks.pop() if self._forks else (0, ())
        if not self._everything:
            del self._lines[count:]
            if self._lines:
                self._lines[-1] = bare
        self._resumed = True
        self._came_from = previous
        self._settled = True
        self._registers = self._slots = _ALL
        self._at_instruction = False
        self._waiting = waiting
        self._frames = len(explorer.state.frames)
        self._leaving = None

    def marked(self, explorer: Explorer, register: int) -> None:
        """A number turned out to matter."""
        if self._back is not None:
            self._back.marked(explorer, register)

    def marked_slot(self, explorer: Explorer, frame: int, slot: int) -> None:
        """A number on the stack turned out to matter."""
        if self._back is not None:
            self._back.marked_slot(explorer, frame, slot)

    def inherited(self, explorer: Explorer, checkpoint: Checkpoint, state: State) -> None:
        """What mattered of a state that was kept matters here."""
        if self._back is not None:
            self._settle(explorer, explorer.waiting)
            self._back.inherited(explorer, checkpoint, state)

    def looped(self, explorer: Explorer, checkpoint: Checkpoint, state: State) -> None:
        """A loop came back to where it was."""
        if self._back is not None:
            self._back.looped(explorer, checkpoint, state)
            if loop := loop_of(checkpoint, self._components):
                self._line(f"SCC backedge ({loop})")

    def finished(self, explorer: Explorer, checkpoint: Checkpoint) -> None:
        """All paths from a kept state were followed."""
        if self._everything:
            loop = loop_of(checkpoint, self._components)
            if loop and self._loops.get(loop) is checkpoint:
                del self._loops[loop]
                self._line(f"SCC exit ({loop})")

    def called(self, explorer: Explorer, callee: Subprogram) -> None:
        """A function that is followed is called."""
        if callee.index in self._unreliable:
            return
        for line in remarks(explorer, callee):
            self._unreliable.add(callee.index)
            self._line(line)

    def exhausted(self, explorer: Explorer) -> None:
        """A helper stops calling a function."""
        if self._everything:
            self._line(f"frame{explorer.frame.index} bpf_loop iteration limit reached")

    def left_early(self, explorer: Explorer) -> None:
        """A function returns in its midst."""
        self._leaving = self._state(explorer.state, explorer.frame)
        self._left_early = True
        if self._told is not None:
            self._told.tell(explorer.state, explorer.flow.pauses)

    def returned(self, explorer: Explorer, site: int) -> None:
        """A callback returned."""
        if self._back is not None:
            self._settle(explorer, explorer.waiting, returns_to=site)

    def kept(self, explorer: Explorer, checkpoint: Checkpoint, previous: int) -> None:
        """A state is kept."""
        if self._back is not None:
            self._settle(explorer, explorer.waiting)
            self._back.kept(explorer, checkpoint, previous)
            loop = loop_of(checkpoint, self._components)
            if loop and loop not in self._loops:
                self._loops[loop] = checkpoint
                self._line(f"SCC enter ({loop})")

    def refused(self, explorer: Explorer | None, lines: Sequence[str], facts: Mapping[str, object]) -> None:
        """The program is refused, for what ``lines`` say; ``explorer`` is None where no path led there."""
        if explorer is None:
            self.passed()
        old = facts.get("checkpoint")
        if self._resumed:
            self._joins = not self._everything
        elif explorer is not None and isinstance(old, Checkpoint):
            self._settle(explorer, explorer.waiting)
        if explorer is not None and isinstance(old, Checkpoint):
            self._line_of(explorer.index)
        for line in lines:
            self._line(line)
        if explorer is not None and isinstance(old, Checkpoint):
            self._line("cur state:", state_text(explorer.state, explorer.frame))
            frame = old.state.frames[-1]
            self._line(f"old state:{state_text(old.state, frame, precise=old.precise[frame.index])}")

    # Writing.

    def _line(self, *parts: _Part) -> None:
        if self._joins and self._lines:
            self._lines[-1] = (*self._lines[-1], " ", *parts)
            self._joins = False
        else:
            self._lines.append(parts)
        self._at_instruction = False

    def _state(self, state: State, frame: Frame, registers: int | None = None, slots: int | None = None) -> _Part:
        """A state as text, later where most of what is written is thrown away again."""
        if self._everything:
            return state_text(state, frame, registers, slots)
        return _Later(state.copy(), frame.index, registers, slots)

    def _note_forks(self, waiting: int) -> None:
        """Where the forks that the last instruction made go on."""
        self._entered = self._waiting < waiting and self._last in self._callers
        while self._waiting < waiting:
            self._forks.append((len(self._lines), self._bare))
            self._waiting += 1

    def _changes(self, explorer: Explorer, index: int) -> None:
        """What the last instruction changed, behind it if nothing has been written since."""
        self._compare_slots(explorer)
        if self._entered and self._last is not None and self._registers:
            # Linux notes all of the running frame as changed where it makes another.
            self._registers = self._slots = _ALL
        if not (self._registers or self._slots):
            return
        text = self._state(explorer.state, explorer.frame, self._registers, self._slots)
        if self._at_instruction:
            self._lines[-1] = (*self._lines[-1], _BEHIND, text)
            self._at_instruction = False
        else:
            self._line(f"{index}:", text)
        self._registers = self._slots = 0

    def _settle(self, explorer: Explorer, waiting: int, returns_to: int | None = None) -> None:
        """Write what the last instruction did at once: that it called or returned, and how a branch forked."""
        if self._settled:
            return
        self._settled = True
        self._note_forks(waiting)
        if self._back is not None:
            self._back.close(explorer, waiting)
        self._across_frames(explorer, explorer.index if returns_to is None else returns_to)
        self._frames = len(explorer.state.frames)
        if self._last is not None and self._is_branch(self._last):
            self._changes(explorer, self._last)

    def _across_frames(self, explorer: Explorer, index: int) -> None:
        """Both states where a function was called that is followed, or returned."""
        state = explorer.state
        frames = state.frames
        if self._leaving is not None and len(frames) < self._frames:
            self._line("returning from callee:")
            self._line(self._leaving)
            self._line(f"to caller at {index}:")
            self._line(self._state(state, frames[-1]))
            if self._left_early:
                self._left_early = False
            else:
                self._came_from = self._last
                self._registers = self._slots = 0
        elif len(frames) > self._frames and self._last is not None:
            self._line("caller:")
            self._line(self._state(state, frames[-2]))
            self._line("callee:")
            self._line(self._state(state, frames[-1]))
            self._registers = self._slots = _ALL
        elif self._last is not None and self._calls_global(explorer, self._last):
            callee = explorer.structure.by_start[self._last + 1 + self._spec.instructions[self._last].imm]
            self._line(f"Func#{callee.index} ('{callee.name}') is global and assumed valid.")
        self._leaving = None

    def _calls_global(self, explorer: Explorer, index: int) -> bool:
        row = row_of(self._spec.instructions[index])
        return row is not None and isinstance(row.meaning, Call) and row.meaning.target == "subprogram"

    def _quoted(self, explorer: Explorer, index: int) -> str:
        return self._instruction(explorer.context, index)

    def _line_of(self, index: int) -> None:
        line = self._spec.line_of(index)
        if line is None or line is self._source:
            return
        before, self._source = self._source, line
        if before is not None and (before.file, before.line, before.text) == (line.file, line.line, line.text):
            return
        name = line.file.rpartition("/")[2]
        self._line(f"; {line.text.strip()} @ {name}:{line.line}")

    def _instruction(self, context: Context, index: int) -> str:
        text = self._texts.get(index)
        if text is None:
            text = self._texts[index] = instruction_of(self._spec, context, index)
        return text

    def _is_branch(self, index: int | None) -> bool:
        if index is None:
            return False
        row = row_of(self._spec.instructions[index])
        return row is not None and isinstance(row.meaning, Branch)

    # What an instruction touches.

    def _touched(self, explorer: Explorer, index: int) -> None:
        instruction = self._spec.instructions[index]
        row = row_of(instruction)
        meaning = None if row is None else row.meaning
        mask = 0
        for number in (*registers_read(instruction), *registers_written(instruction)):
            mask |= 1 << number
        self._slots = 0
        self._called = isinstance(meaning, Call)
        self._before = explorer.frame.slots[:] if self._called else []
        match meaning:
            case Call():
                mask |= _SCRATCHED_BY_CALLS
                self._slots = self._objects_passed(explorer)
            case Exit():
                mask = 1
                if len(explorer.state.frames) > 1:
                    self._leaving = self._state(explorer.state, explorer.frame)
            case PacketLoad():
                mask |= _SCRATCHED_BY_CALLS
            case Load(size=size) | LoadAcquire(size=size):
                self._slots = self._stack_slots(explorer, instruction.src, instruction.offset, size)
            case Store(size=size) | StoreRelease(size=size) | Atomic(size=size):
                self._slots = self._stack_slots(explorer, instruction.dst, instruction.offset, size)
            case _:
                pass
        self._registers = mask

    @staticmethod
    def _objects_passed(explorer: Explorer) -> int:
        """A bit for each slot of a dynptr or an iterator that a call gets."""
        found = 0
        slots = explorer.frame.slots
        for pointer in explorer.registers[1:6]:
            if pointer.kind is not Kind.STACK or not pointer.scalar.is_constant:
                continue
            index = (-(pointer.offset + pointer.scalar.smin) - 1) // SLOT_SIZE
            if 0 <= index < len(slots) and isinstance(slots[index].object, Dynptr | Iterator):
                found |= 1 << index
        return found

    def _compare_slots(self, explorer: Explorer) -> None:
        """Slots of objects that a call made, changed or ended; buffers that it filled are known (``filled``)."""
        if self._slots == _ALL or not self._called or len(explorer.state.frames) != self._frames:
            return
        before, now = self._before, explorer.frame.slots
        for index, one in enumerate(now):
            old = before[index] if index < len(before) else UNUSED
            if old is one:
                continue
            if old.object is None and one.object is None:
                continue
            if isinstance(old.object, Iterator) and isinstance(one.object, Iterator) and one.object.is_stale:
                continue
            self._slots |= 1 << index

    @staticmethod
    def _stack_slots(explorer: Explorer, base: int, offset: int, size: int) -> int:
        """A bit for each slot that an access may touch."""
        pointer = explorer.registers[base]
        number = pointer.scalar
        if pointer.kind is not Kind.STACK or number.smin == S64_MIN or number.smax == S64_MAX:
            return 0
        least = number.smin + pointer.offset + offset
        greatest = number.smax + pointer.offset + offset + size - 1
        if least < -STACK_SIZE or greatest >= 0:
            return 0
        first, last = (-greatest - 1) // SLOT_SIZE, (-least - 1) // SLOT_SIZE
        return sum(1 << index for index in range(first, last + 1))


def loop_of(checkpoint: Checkpoint, components: Sequence[int]) -> str:
    """The loop that a state lies in, by its own instruction or by a call that led to it; empty if none."""
    sites = checkpoint.state.call_sites()
    for depth in range(len(sites) + 1):
        place = checkpoint.index if depth == len(sites) else sites[depth]
        if components[place]:
            return ",".join(map(str, (*sites[:depth], components[place])))
    return ""


__all__ = ["EVERYTHING", "PATH", "KernelLog"]
