"""One run of a program: registers, stack frames, and what the next instruction is.

:meth:`Execution.run` goes to the end, :meth:`Execution.step` executes one instruction; both use the same templates,
and one may follow the other at any point. Several executions may be stepped in turn by one thread, which is how
schedules are explored.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Final

from skep.engines.interpreter import access, calls
from skep.engines.interpreter.access import EMPTY, READERS, Cell, Known
from skep.engines.interpreter.code import Code
from skep.engines.interpreter.fault import located
from skep.engines.interpreter.stack import MAX_FRAMES, Stack
from skep.errors import Fault, RequestError, SkepError
from skep.isa.meaning import MASK64, signed
from skep.memory import Region, RegionKind
from skep.objects.kinds import ProgramType
from skep.programs import of

if TYPE_CHECKING:
    from skep.engines import Loaded
    from skep.engines.interpreter.hooks import Hook

#: Turns that the ``may_goto`` instructions of one function call have between them: BPF_MAX_LOOPS of Linux.
MAX_TURNS: Final = 8 * 1024 * 1024

#: Pieces of memory that an execution remembers; more would take longer to search than to look up.
MOST_KNOWN: Final = 8

#: A helper that calls back: yields the address of a function and its arguments, is sent r0, returns its own r0.
Callbacks = Generator[tuple[int, tuple[int, ...]], int, int]


#: What a call leaves behind: the program and slot to go on at, r6 to r10 and the turns of ``may_goto`` to give back,
#: and for a callback the helper that waits for its result.
Frame = tuple[Code, int, list[int | None], int, "Callbacks | None"]

#: r1 to r5 after a call: no longer to be read.
_GONE: Final = (None, None, None, None, None)


class Execution:
    """A run under way. ``pc`` is the slot of the next instruction, None when the run has ended with ``result``.

    ``registers`` is the live register file, None for what was never written. ``left`` is how many instructions it may
    still execute. ``frames`` has an entry for every call that has not returned.
    """

    def __init__(
        self,
        code: Code,
        stack: Stack,
        r1: int,
        r2: int,
        cpu: int,
        *,
        budget: int,
        turns: int = MAX_TURNS,
        hooks: Sequence[Hook] = (),
        give_back: Callable[[Stack], None] = Stack.close,
    ) -> None:
        binding = code.binding
        self.code = code
        self.stack = stack
        self._give_back: Callable[[Stack], None] | None = give_back
        self.space = binding.space
        self.cpu = cpu
        self.length = r2
        self.kind = of(binding.type)
        self.hooks = tuple(hooks)
        self.budget = budget
        self.left = budget
        self.pc: int | None = 0
        self.result: int | None = None
        self.frames: list[Frame] = []
        self.frame = stack.frames[0]
        self.registers: list[int | None] = [None] * 11
        self.registers[1] = r1
        self.registers[2] = r2 if binding.type is ProgramType.RAW else None
        self.registers[6:] = stack.at_entry[0]
        self.cells: list[Cell] = [EMPTY] * len(code.slots)
        self.tail_calls = 0
        #: The address of the spin lock that the program holds, if it does.
        self.held: int | None = None
        self._all_turns = turns
        self._turns = turns
        self._stack_cells: list[int] = []
        self._known: list[Known] = []
        self._views: dict[int, tuple[Region, memoryview]] = {}
        #: Structures that the program has read a pointer to from its context: from, to, writable.
        self.granted: list[tuple[int, int, bool]] = []
        self.context_address = r1
        self.context_low, self.context_high, self.context = 1, 0, memoryview(b"")
        if self.kind.native_size:
            self._open_context(r1)

    def _open_context(self, address: int) -> None:
        kind = self.kind
        region = self.space.find(address, kind.native_size)
        if region is None or region.kind is not RegionKind.CONTEXT:
            raise RequestError(f"a program of type {kind.label} needs a context, and there is none at {address:#x}")
        start = address - region.address
        self.context_low, self.context_high = address, address + kind.context_size
        self.context = self.view(region)[start : start + kind.native_size]

    def __enter__(self) -> Execution:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the stack back, and a lock that is held. The run cannot go on afterwards; may be called twice."""
        self.pc = None
        calls.release(self)
        if self._give_back is not None:
            self._give_back(self.stack)
            self._give_back = None

    # Running.

    def run(self) -> int:
        """Run to the end and return r0. Raises Fault; whatever the program did before that stays done."""
        registers = self.registers
        try:
            if self.hooks:
                while self.pc is not None:
                    self.step()
            while self.pc is not None:
                blocks = self.code.blocks
                pc: int | None = self.pc
                while pc is not None:
                    pc = blocks[pc](self, registers)
        except (SkepError, TypeError) as error:
            raise located(self, error) from None
        assert self.result is not None
        return self.result

    def step(self) -> None:
        """Execute one instruction. Raises Fault, and RequestError when the run has ended."""
        slot = self.pc
        if slot is None:
            raise RequestError("the program has ended; there is no next instruction")
        for hook in self.hooks:
            hook.before(self)
        try:
            if self.left <= 0:
                raise Fault(
                    f"the program has not ended after {self.budget:,} instructions; a larger budget lets it run on"
                )
            self.left -= 1
            prepared = self.code.at(slot)
            following = self.code.step(slot)(self, self.registers)
            if following is not None:
                self.pc = following
            elif prepared.template.is_straight:
                self.pc = prepared.next
        except (SkepError, TypeError) as error:
            raise located(self, error) from None
        for hook in self.hooks:
            hook.after(self, slot)

    def creep(self, slot: int) -> int | None:
        """Go on step by step from ``slot``, because a whole block is more than the budget has left."""
        self.pc = slot
        while self.pc is not None:
            self.step()
        return self.pc

    # What templates call. Each that stands for a jump returns the next slot, or None after setting `pc` or `code`.

    def load(self, slot: int, address: int, size: int) -> int:
        """A load that the cell of its slot does not cover."""
        if self.context_low <= address < self.context_high:
            return access.load_context(self, address - self.context_low, size)
        low, _, view = self._look_up(slot, address, size, "reads", store=False)
        value: int = READERS[size].unpack_from(view, address - low)[0]
        return value

    def store(self, slot: int, address: int, size: int, value: int) -> None:
        """A store that the cell of its slot does not cover."""
        if self.context_low <= address < self.context_high:
            access.store_context(self, address - self.context_low, size, value)
            return
        low, _, view = self._look_up(slot, address, size, "writes", store=True)
        READERS[size].pack_into(view, address - low, value)

    def reach(self, slot: int, address: int, size: int) -> Cell:
        """The cell for an atomic instruction."""
        if self.context_low <= address < self.context_high:
            raise Fault(
                f"updates {size} bytes at {address:#x}, in the context, which is not plain memory", address=address
            )
        if address & size - 1:
            raise Fault(f"updates {size} bytes at {address:#x}, which atomic access needs aligned", address=address)
        return self._look_up(slot, address, size, "updates", store=True)

    def load_packet(self, following: int, size: int, offset: int) -> int | None:
        """A legacy packet load; outside the packet it ends the function with 0."""
        value = calls.load_packet(self, size, signed(offset, 32))
        registers = self.registers
        registers[0] = 0 if value is None else value
        registers[1:6] = _GONE
        return self.leave() if value is None else following

    def is_tired(self) -> bool:
        """Whether ``may_goto`` jumps now."""
        if not self._turns:
            return True
        self._turns -= 1
        return False

    def refuse(self, slot: int, problem: str) -> None:
        """What stands at ``slot`` cannot be executed."""
        raise Fault(problem)

    def enter(self, target: int, following: int, waiting: Callbacks | None = None) -> int:
        """Call the function at ``target``; go on at ``following`` when it returns."""
        frames, registers = self.frames, self.registers
        depth = len(frames) + 1
        if depth == MAX_FRAMES:
            raise Fault(f"calls a function with {MAX_FRAMES} frames in use already; there can be no more")
        frames.append((self.code, following, registers[6:], self._turns, waiting))
        registers[0] = None
        registers[6:] = self.stack.at_entry[depth]
        self.frame = self.stack.frames[depth]
        self._turns = self._all_turns
        return target

    def leave(self) -> int | None:
        """Return from a function, or end the run."""
        registers, frames = self.registers, self.frames
        if not frames:
            if registers[0] is None:
                raise Fault("ends with r0, the result, never written")
            if self.held is not None:
                raise Fault(f"ends the program while it holds the lock at {self.held:#x}")
            self.result = registers[0]
            self.pc = None
            return None
        if self._stack_cells:
            for slot in self._stack_cells:
                self.cells[slot] = EMPTY
            self._stack_cells.clear()
        code, following, registers[6:], self._turns, waiting = frames.pop()
        registers[1:6] = _GONE
        self.frame = self.stack.frames[len(frames)]
        switches = code is not self.code
        if switches:
            self.switch(code, following)
        if waiting is not None:
            if registers[0] is None:
                raise Fault("a callback returns with r0, its result, never written")
            following = self.call_back(waiting, registers[0], following)
        if switches:
            self.pc = following
            return None
        return following

    def call_back(self, helper: Callbacks, value: int | None, following: int) -> int:
        """Let a helper that calls back go on with ``value``: enter the function it names, or take its result."""
        registers = self.registers
        try:
            function, arguments = next(helper) if value is None else helper.send(value)
        except StopIteration as end:
            registers[0] = end.value & MASK64
            registers[1:6] = _GONE
            return following
        target = self.code.function_slot(function)
        if target is None:
            raise Fault(f"the callback {function:#x} is not the address of a function of this program")
        registers[1:6] = [*arguments, *([None] * (5 - len(arguments)))]
        return self.enter(target, following, helper)

    def call_helper(self, slot: int, following: int, number: int) -> int | None:
        """Call a helper by its number."""
        return calls.call_helper(self, slot, following, number)

    def call_kfunc(self, slot: int, following: int) -> int | None:
        """Call a kernel function by its name."""
        return calls.call_kfunc(self, slot, following)

    def call_register(self, slot: int, following: int, value: int) -> int | None:
        """Call what a register holds: the address of a function, or as in runtimes outside Linux a helper's
        number."""
        target = self.code.function_slot(value)
        if target is not None:
            return self.enter(target, following)
        return calls.call_helper(self, slot, following, signed(value, 64))

    # What helpers need.

    def switch(self, code: Code, slot: int) -> None:
        """Go on in another program, at ``slot``."""
        self.code = code
        self.pc = slot
        self.forget()

    def enter_program(self, program: Loaded) -> None:
        """Go on at the start of another program, as a tail call does."""
        code = getattr(program, "code", None)
        if not isinstance(code, Code):
            raise Fault(f"jumps to the program {program.spec.name}, which was not loaded by the interpreter")
        self._turns = self._all_turns
        self.switch(code, 0)

    def forget(self) -> None:
        """Look every address up again: regions may have changed."""
        self.cells = [EMPTY] * len(self.code.slots)
        self._stack_cells.clear()
        self._known.clear()
        self._views.clear()

    def view(self, region: Region) -> memoryview:
        """The bytes of a region, viewed once."""
        known = self._views.get(region.address)
        if known is None or known[0] is not region:
            known = self._views[region.address] = region, region.view()
        return known[1]

    def packet_bounds(self) -> tuple[int, int]:
        """From where to where packet memory is the program's at this moment."""
        return self.kind.packet_bounds(self.context_address, 0, 0)

    def _look_up(self, slot: int, address: int, size: int, verb: str, *, store: bool) -> Cell:
        """The cell for an access, from what was looked up before or anew; kept for its slot."""
        for low, end, view, writable in self._known:
            if low <= address <= end - size and (writable or not store):
                cell = self.cells[slot] = low, end - size, view
                return cell
        known = low, end, view, _ = access.reach(self, address, size, verb, store=store)
        if self.stack.region.address <= low < self.stack.region.end:
            # Not to be found again once its frame is gone.
            self._stack_cells.append(slot)
        else:
            if len(self._known) == MOST_KNOWN:
                del self._known[0]
            self._known.append(known)
        cell = self.cells[slot] = low, end - size, view
        return cell
