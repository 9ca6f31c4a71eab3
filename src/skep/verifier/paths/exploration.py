"""Following the paths of a program: depth first, one instruction at a time, nothing twice that need not be.

Which path comes first, when a state is kept and how long, is not a matter of taste: messages name the first violation
found, and whether a large program stays below the limit depends on it. The numbers below are those that Linux 6.18
was seen to go by (its processed and total counts agree).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from skep.verifier.paths import precision
from skep.verifier.paths.checkpoint import PATIENCE, Checkpoint, Match, covers, forget_dead, matches, may_be_same
from skep.verifier.paths.counts import StateCounts
from skep.verifier.paths.stack_liveness import StackLiveness
from skep.verifier.rejection import NotCovered, Rejection
from skep.verifier.stack import iterators
from skep.verifier.states.register import Kind, Register
from skep.verifier.states.state import Frame, Linked, State

if TYPE_CHECKING:
    from skep.verifier.context import Context
    from skep.verifier.paths.flow import Flow
    from skep.verifier.paths.observer import Observer
    from skep.verifier.steps.step import Step
    from skep.verifier.structure import Structure

#: Instructions followed on all paths together.
INSTRUCTION_LIMIT: Final = 1_000_000
#: Forks that wait to be followed.
WAITING_LIMIT: Final = 8192
_LONGEST_HISTORY: Final = 40
#: How often for each time that it was of use (and once more) an unfinished state in a loop without count may not be.
_PATIENCE_IN_LOOP: Final = 64


class _Loops:
    """States that were found to match one that is not finished: loops, whose marks of precision go round."""

    def __init__(self) -> None:
        self.entry: Checkpoint | None = None
        self.edges: list[tuple[Checkpoint, State]] = []


class Explorer:
    """One function's paths (the main program's, or a global function's) and what was found out on them."""

    def __init__(
        self, context: Context, structure: Structure, flow: Flow, steps: list[Step], liveness: StackLiveness
    ) -> None:
        self.context = context
        self.rules = context.rules
        self.structure = structure
        self.flow = flow
        self.liveness = liveness
        self._steps = steps
        #: By the call that the running function came from and by instruction, as Linux keeps them apart.
        self._explored: dict[int, dict[int, list[Checkpoint]]] = {}
        #: Those of the call that the running function came from.
        self._here: dict[int, list[Checkpoint]] = {}
        #: Instructions with a kept state that was finished and not yet rid of what is dead.
        self._unclean: set[int] = set()
        self._waiting: list[tuple[State, int, int]] = []
        self._loops: dict[tuple[tuple[int, ...], int], _Loops] = {}
        self.processed = 0
        self.limit = INSTRUCTION_LIMIT
        self.states = StateCounts(len(structure.instructions), len(structure.subprograms))
        #: Jumps, calls and ends followed since a state was kept last, and the instructions followed until then.
        self.jumps = 0
        self._kept_at = 0
        self.called_globals: set[int] = set()
        self.deepest: list[int] = [0] * len(structure.subprograms)
        #: By call of bpf_loop the function called, if it is one only and the loop may become the program's own.
        self.inlined_loops: dict[int, int | None] = {}
        self.visits: list[int] = [0] * len(structure.instructions)
        #: By branch, the instructions followed because its other way was possible too.
        self.branch_costs: dict[int, int] = {}
        self.state = State()
        self.frame: Frame = self.state.frames[0]
        self.registers: list[Register] = self.frame.registers
        self.sources: list[int] = self.frame.sources
        self.index = 0
        #: The last instruction that was noted in the history, as the number of those followed.
        self._noted = 0
        #: The frame and slot that the running load or store found a spilled register in, or left one.
        self.used: tuple[int, int] | None = None
        #: The numbers that the running jump refined together.
        self.linked: Linked = ()
        #: The instruction that led to where a state may be kept.
        self._previous = -1
        self._last_id = 0
        #: Told what happens, if there is one.
        self.observer: Observer | None = None

    # What instructions call.

    def new_id(self) -> int:
        """An id that nothing has yet."""
        self._last_id += 1
        return self._last_id

    @property
    def last_id(self) -> int:
        """The id given last."""
        return self._last_id

    def enter(self, state: State) -> None:
        """Go on with ``state``, whose running frame may be another than before."""
        self.state = state
        self.frame = state.frames[-1]
        self.registers = self.frame.registers
        self.sources = self.frame.sources
        here = self._explored.get(self.frame.call_site)
        if here is None:
            here = self._explored[self.frame.call_site] = {}
        self._here = here

    def fork(self, target: int) -> State:
        """A copy of the state that will go on at ``target`` when this path is finished."""
        other = self.state.copy()
        if other.parent is not None:
            other.parent.branches += 1
        self._waiting.append((other, target, self.index))
        if len(self._waiting) > WAITING_LIMIT:
            raise Rejection(f"The sequence of {len(self._waiting)} jumps is too complex.")
        return other

    def later(self, state: State, target: int) -> None:
        """Follow ``state``, which has nothing of this path's, from ``target`` on when this path is finished."""
        self._waiting.append((state, target, self.index))
        if len(self._waiting) > WAITING_LIMIT:
            raise Rejection(f"The sequence of {len(self._waiting)} jumps is too complex for async cb.")

    @property
    def waiting(self) -> int:
        """How many forks have not been followed yet."""
        return len(self._waiting)

    @property
    def sleepable(self) -> bool:
        """Whether what runs here may sleep: the program, or a function that something calls later."""
        known = self.state.sleepable
        return self.context.sleepable if known is None else known

    def remember(self, stack: tuple[int, int] | None = None) -> None:
        """Linux keeps the running instruction in its history; ``stack`` is the frame and slot of a spill or fill."""
        if stack is not None:
            self.used = stack
        if self._noted != self.processed:
            self._noted = self.processed
            self.state.history_length += 1

    def remark(self, line: str) -> None:
        """What Linux prints of the running instruction though it permits it."""
        if self.observer is not None:
            self.observer.remarked(self, line)

    def mark_precise(self, register: int) -> None:
        """A decision depends on the number in a register."""
        if self.observer is not None and self.registers[register].kind is Kind.SCALAR:
            self.observer.marked(self, register)
        precision.mark(self.state, register)

    def mark_slot_precise(self, frame: int, slot: int) -> None:
        """A decision depends on the number spilled in a stack slot."""
        if self.observer is not None:
            self.observer.marked_slot(self, frame, slot)
        precision.mark_slot(self.state, frame, slot)

    def use_stack(self, frame: Frame, bytes: int) -> None:
        """The function of ``frame`` uses ``bytes`` of its stack; slots it had not used hold nothing."""
        if bytes > self.deepest[frame.subprogram]:
            self.deepest[frame.subprogram] = bytes

    # The loop.

    def run(self, start: int, state: State) -> None:
        """Follow all paths of ``state`` from ``start``. Raises Rejection for the first that is not safe."""
        self.enter(state)
        observer = self.observer
        index, previous = start, -1
        forked_at, processed_then = -1, 0
        while True:
            self._follow(index, previous)
            self.liveness.left(self.state)
            self._finished(self.state)
            if observer is not None:
                observer.ended(self)
            if forked_at >= 0:
                spent = self.processed - processed_then
                self.branch_costs[forked_at] = self.branch_costs.get(forked_at, 0) + spent
            if not self._waiting:
                return
            state, index, previous = self._waiting.pop()
            forked_at, processed_then = previous, self.processed
            self.index = index
            self.enter(state)
            if observer is not None:
                observer.resumed(self, previous, len(self._waiting))

    def _follow(self, index: int, previous: int) -> None:
        """Follow one path, which came from ``previous``, from ``index`` to its end."""
        steps, pauses, landings, visits = self._steps, self.flow.pauses, self.flow.landings, self.visits
        observer = self.observer
        while index >= 0:
            self.index = index
            self.processed += 1
            if self.processed > self.limit:
                raise self._too_large()
            visits[index] += 1
            if pauses[index]:
                self._previous = previous
                if self._is_known(index):
                    if observer is not None:
                        observer.known(self, previous, len(self._waiting))
                    return
                if landings[index]:
                    self.remember()
            if observer is not None:
                observer.step(self, len(self._waiting))
            previous = index
            index = steps[index].follow(self)

    def _finished(self, state: State) -> None:
        checkpoint = state.parent
        while checkpoint is not None:
            checkpoint.branches -= 1
            if checkpoint.branches:
                return
            self._unclean.add(checkpoint.index)
            if self.states.left:
                self.states.finish(checkpoint)
            if self.observer is not None:
                self.observer.finished(self, checkpoint)
            if self._loops:
                self._leave_loop(checkpoint)
            checkpoint = checkpoint.state.parent

    def _too_large(self) -> Exception:
        if self.limit < INSTRUCTION_LIMIT:
            return NotCovered(f"more than {self.limit} instructions on all paths, as many as were asked for")
        return Rejection(f"BPF program is too large. Processed {self.processed} insn")

    def begin(self, function: int) -> None:
        """A function is followed on its own from now on: states of the last one mean nothing for it."""
        self.forget_states()
        if self.observer is not None:
            self.observer.started(self, function)

    def forget_states(self) -> None:
        """Drop what was kept."""
        self._explored = {}
        self._here = {}
        self._loops = {}
        self.states.forget()

    # Keeping and comparing states.

    def _is_known(self, index: int) -> bool:
        """Whether the state need not be followed from here; if it is followed, it may be kept."""
        state = self.state
        open_loop = self.flow.forced[index]
        forced = open_loop or state.history_length > _LONGEST_HISTORY
        keep = forced or (self.jumps >= 2 and self.processed - self._kept_at >= 8)
        kept = self._here.get(index)
        there = 0 if kept is None else len(kept)
        if self.states.shares_lists:
            there = self.states.compared(index, self.frame.call_site)
        if kept is not None:
            if index in self._unclean:
                self._clean_finished(kept, index)
            registers = self.registers
            has_loops = bool(self._loops)
            useless: list[Checkpoint] | None = None
            for checkpoint in kept:
                patience = checkpoint.patience
                if checkpoint.branches:
                    if self._is_same_again(checkpoint, index):
                        self._go_round(checkpoint, state, index)
                        self._drop(kept, useless)
                        return True
                    if keep and not forced and self.jumps < 20 and self.processed - self._kept_at < 100:
                        keep = False
                    if open_loop:
                        patience = (checkpoint.hits + 1) * _PATIENCE_IN_LOOP
                elif has_loops and self._is_open_loop(checkpoint):
                    if matches(checkpoint, state, self.flow.live, Match.WITHIN):
                        self._arrive(checkpoint, state, index)
                        self._add_edge(checkpoint, state)
                        self._drop(kept, useless)
                        return True
                else:
                    doubt = checkpoint.doubt
                    fits = True
                    if doubt >= 0:
                        doubtful = registers[doubt]
                        scalar = doubtful.scalar
                        fits = (
                            checkpoint.extent <= doubtful.extent
                            and checkpoint.umin <= scalar.umin
                            and scalar.umax <= checkpoint.umax
                            and checkpoint.kind is doubtful.kind
                        )
                    if fits and covers(checkpoint, state, self.flow.live):
                        self._arrive(checkpoint, state, index)
                        self._drop(kept, useless)
                        return True
                if keep:
                    checkpoint.misses += 1
                elif not open_loop:
                    continue
                if checkpoint.misses > patience:
                    # It is unlikely to be of use any more.
                    if useless is None:
                        useless = []
                    useless.append(checkpoint)
            self._drop(kept, useless)
        if there > self.states.most:
            self.states.most = there
        if keep:
            self._keep(index)
        return False

    def _arrive(self, checkpoint: Checkpoint, state: State, index: int) -> None:
        """The path ends at a state that covers it: what mattered there matters here."""
        checkpoint.hits += 1
        checkpoint.patience += PATIENCE
        if self.flow.landings[index]:
            self.remember()
        self._inherit(checkpoint, state)

    def _clean_finished(self, kept: list[Checkpoint], index: int) -> None:
        """Take what is dead from states that were finished since the last visit."""
        self._unclean.discard(index)
        for checkpoint in kept:
            if checkpoint.branches or checkpoint.clean:
                continue
            same = len(self.state.frames) == 1 or checkpoint.state.call_sites() == self.state.call_sites()
            if same and not self._is_open_loop(checkpoint):
                self._clean(checkpoint)
            else:
                self._unclean.add(index)

    def _inherit(self, checkpoint: Checkpoint, state: State) -> bool:
        if self.observer is not None:
            self.observer.inherited(self, checkpoint, state)
        return precision.inherit(checkpoint, state)

    def _drop(self, kept: list[Checkpoint], useless: list[Checkpoint] | None) -> None:
        if useless is None:
            return
        for checkpoint in useless:
            kept.remove(checkpoint)
            checkpoint.is_dropped = True
            self.states.drop(checkpoint, self.frame.call_site)

    def _is_same_again(self, checkpoint: Checkpoint, index: int) -> bool:
        """Whether a loop came back to a state that is no more general; Rejection if it changes nothing at all."""
        state = self.state
        flow = self.flow
        live = flow.live
        if checkpoint.state.asynchronous_entries != state.asynchronous_entries:
            # Another entry into a function that is called later: that it is the same says nothing of a loop.
            return False
        if flow.calls_back[index]:
            return matches(checkpoint, state, live, Match.WITHIN)
        if flow.asks_iterator[index]:
            return matches(checkpoint, state, live, Match.WITHIN) and iterators.is_active(state)
        old = checkpoint.state
        another_turn = flow.forced[index] and old.may_goto_turns != state.may_goto_turns
        if another_turn and matches(checkpoint, state, live, Match.WITHIN):
            return True
        if (
            old.may_goto_turns == state.may_goto_turns
            and old.callback_turns == state.callback_turns
            and may_be_same(checkpoint, state)
            and matches(checkpoint, state, live, Match.SAME)
            and not iterators.depths_differ(old, state)
        ):
            raise Rejection(f"infinite loop detected at insn {index}", instruction=index, checkpoint=checkpoint)
        return False

    def _keep(self, index: int) -> None:
        state = self.state
        self.states.keep(index, self.frame.call_site)
        self.jumps = 0
        self._kept_at = self.processed
        checkpoint = Checkpoint(state.copy(), index)
        kept = self._here.get(index)
        if kept is None:
            self._here[index] = [checkpoint]
        else:
            kept.insert(0, checkpoint)
        if self.flow.has_open_loops:
            self._enter_loop(checkpoint)
        for frame in state.frames:
            frame.kept()
        state.parent = checkpoint
        state.history_length = 0
        if self.observer is not None:
            self.observer.kept(self, checkpoint, self._previous)

    def _clean(self, checkpoint: Checkpoint) -> None:
        state = checkpoint.state
        alive = [self.liveness.alive(state, checkpoint.index, level) for level in range(len(state.frames))]
        forget_dead(checkpoint, self.flow.live, alive)

    # Loops whose end is not counted: callbacks and may_goto.

    def _loop_of(self, checkpoint: Checkpoint) -> list[tuple[tuple[int, ...], int]]:
        """The loops that a state lies in: of its own instruction and of the calls that led to it."""
        components = self.flow.components
        sites = checkpoint.state.call_sites()
        found = []
        for depth in range(len(sites) + 1):
            place = checkpoint.index if depth == len(sites) else sites[depth]
            if components[place]:
                found.append((sites[:depth], components[place]))
                break
        return found

    def _enter_loop(self, checkpoint: Checkpoint) -> None:
        for key in self._loop_of(checkpoint):
            loops = self._loops.setdefault(key, _Loops())
            if loops.entry is None:
                loops.entry = checkpoint

    def _is_open_loop(self, checkpoint: Checkpoint) -> bool:
        if not self._loops:
            return False
        return any(key in self._loops and self._loops[key].edges for key in self._loop_of(checkpoint))

    def _go_round(self, checkpoint: Checkpoint, state: State, index: int) -> None:
        self._arrive(checkpoint, state, index)
        if not self.flow.calls_back[index]:
            # Linux does not keep a loop of callbacks open for marks that go round.
            self._add_edge(checkpoint, state)

    def _add_edge(self, checkpoint: Checkpoint, state: State) -> None:
        for key in self._loop_of(checkpoint):
            again = state.copy()
            self._loops.setdefault(key, _Loops()).edges.append((checkpoint, again))
            self.states.loop(1)
            if self.observer is not None:
                self.observer.looped(self, checkpoint, again)

    def _leave_loop(self, checkpoint: Checkpoint) -> None:
        for key in self._loop_of(checkpoint):
            loops = self._loops.get(key)
            if loops is None or loops.entry is not checkpoint:
                continue
            self.states.loop(-len(loops.edges))
            for _ in range(64):
                changed = False
                for target, state in reversed(loops.edges):
                    changed |= self._inherit(target, state)
                if not changed:
                    break
            else:
                for _, state in loops.edges:
                    precision.everything(state)
            del self._loops[key]

    def last_turn(self, index: int, *, before: Checkpoint | None = None) -> State | None:
        """The state kept last at ``index`` on this path (earlier than ``before``), in the same chain of calls.

        Like Linux, it knows nothing of those that were dropped.
        """
        sites = self.state.call_sites()
        checkpoint = self.state.parent if before is None else before.state.parent
        while checkpoint is not None:
            if checkpoint.index == index and not checkpoint.is_dropped and checkpoint.state.call_sites() == sites:
                return checkpoint.state
            checkpoint = checkpoint.state.parent
        return None
