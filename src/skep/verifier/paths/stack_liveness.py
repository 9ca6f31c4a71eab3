"""Which stack slots may still be read: what was stored in the others does not count when states are compared.

Learnt while paths are followed. Every instruction that was seen to read a slot, or to write all of one, is noted for
the chain of calls that it was reached by; what is live flows backwards along the control flow of each function, and
from a function to those that called it. Path-insensitive: a slot is dead only if no way from here on, seen so far,
reads it before it is overwritten. Paths not seen yet do not matter for states whose every way onwards is finished.

A set of slots is an integer with a bit for each, 64 bits a frame.

What is live grows as reads are seen. It shrinks where an instruction is seen for the first time and turns out to
overwrite what was taken to be live before it: then only what was live because of that is made out anew, when it is
asked for.

What a function overwrites of its callers' stacks on every way from its start, its call overwrites: that is made out
where a path leaves the function, from what has been seen of it by then.
"""

from __future__ import annotations

from skep.verifier.states.state import State
from skep.verifier.structure import Structure

#: The call instructions that lead to a function: its identity among the functions of all chains.
Chain = tuple[int, ...]


def bit(frame: int, slot: int) -> int:
    """The set of one slot."""
    return 1 << (frame << 6) + slot


class Instance:
    """One function as reached by one chain of calls. ``live`` is, by instruction, what is live before it.

    ``killed`` are the slots that an instruction turned out to overwrite and that are still taken for live before it,
    ``exposed`` the instructions that turned out to overwrite less than before: neither has been followed up yet.
    ``is_new`` holds while something was noted that its call does not know of.
    """

    __slots__ = ("chain", "exposed", "is_new", "killed", "live", "outer", "reads", "start", "writes")

    def __init__(self, chain: Chain, start: int, outer: Instance | None) -> None:
        self.chain = chain
        self.start = start
        self.outer = outer
        self.reads: dict[int, int] = {}
        self.writes: dict[int, int] = {}
        self.live: dict[int, int] = {}
        self.killed: dict[int, int] = {}
        self.exposed: list[int] = []
        self.is_new = False


class StackLiveness:
    """What is known so far of the reads and writes of all chains."""

    def __init__(self, structure: Structure) -> None:
        self._structure = structure
        self._instances: dict[tuple[Chain, int], Instance] = {}
        self._successors = structure.successors
        self._predecessors: list[list[int]] = [[] for _ in structure.rows]
        for slot, row in enumerate(structure.rows):
            if row is not None:
                for successor in structure.successors[slot]:
                    if successor < len(structure.rows):
                        self._predecessors[successor].append(slot)

    def _instance(self, state: State, depth: int) -> Instance:
        frame = state.frames[depth]
        if frame.instance is not None:
            return frame.instance
        chain = tuple([frame.call_site for frame in state.frames[1 : depth + 1]]) if depth else ()
        function = frame.subprogram
        found = self._instances.get((chain, function))
        if found is None:
            outer = self._instance(state, depth - 1) if depth else None
            start = self._structure.subprograms[function].start
            found = self._instances[chain, function] = Instance(chain, start, outer)
        frame.instance = found
        return found

    def read(self, state: State, instruction: int, slots: int) -> None:
        """``instruction`` of the running function may read ``slots``."""
        instance = state.frames[-1].instance or self._instance(state, len(state.frames) - 1)
        if slots & ~instance.reads.get(instruction, 0):
            self._read(instance, instruction, slots)

    def _read(self, instance: Instance, instruction: int, slots: int) -> None:
        before = instance.reads.get(instruction, 0)
        if slots & ~before:
            instance.reads[instruction] = before | slots
            if slots & ~instance.live.get(instruction, 0):
                instance.is_new = True
            self._spread(instance, [instruction])

    def wrote(self, state: State, instruction: int, slots: int) -> None:
        """``instruction`` of the running function overwrote ``slots`` this time, and no others whole."""
        self._wrote(state.frames[-1].instance or self._instance(state, len(state.frames) - 1), instruction, slots)

    def _wrote(self, instance: Instance, instruction: int, slots: int) -> None:
        before = instance.writes.get(instruction, -1)
        if before < 0:
            instance.writes[instruction] = slots
            if slots:
                instance.is_new = True
            killed = slots & instance.live.get(instruction, 0)
            if killed:
                instance.killed[instruction] = killed
        elif before & ~slots:
            instance.writes[instruction] = before & slots
            instance.is_new = True
            instance.exposed.append(instruction)

    def left(self, state: State) -> None:
        """A path ends, or is about to leave the running function: tell calls what their functions overwrite."""
        for frame in reversed(state.frames[1:]):
            instance = frame.instance
            if instance is not None and instance.is_new and instance.outer is not None:
                instance.is_new = False
                self._wrote(instance.outer, instance.chain[-1], self._overwritten(instance))

    def _overwritten(self, instance: Instance) -> int:
        """What a function overwrites of its callers' stacks, whichever way it takes from its start."""
        outer = (1 << (len(instance.chain) << 6)) - 1
        writes, successors = instance.writes, self._successors
        written: dict[int, int] = {}
        waiting = [at for at, slots in writes.items() if slots & outer]
        while waiting:
            at = waiting.pop()
            onwards = successors[at]
            before = outer if onwards else 0
            for successor in onwards:
                before &= written.get(successor, 0)
            before |= writes.get(at, 0) & outer
            if before != written.get(at, 0):
                written[at] = before
                waiting += self._predecessors[at]
        return written.get(instance.start, 0)

    def _spread(self, instance: Instance, waiting: list[int]) -> None:
        """Let what is live before the ``waiting`` instructions flow backwards."""
        live, reads, writes = instance.live, instance.reads, instance.writes
        successors, predecessors = self._successors, self._predecessors
        depth = len(instance.chain)
        while waiting:
            at = waiting.pop()
            after = 0
            for successor in successors[at]:
                after |= live.get(successor, 0)
            known = live.get(at, 0)
            before = after & ~writes.get(at, 0) | reads.get(at, 0) | known
            if before == known:
                continue
            live[at] = before
            if at == instance.start and instance.outer is not None:
                outer = before & (1 << (depth << 6)) - 1
                if outer:
                    self._read(instance.outer, instance.chain[-1], outer)
            waiting += predecessors[at]

    def _refresh(self, instance: Instance) -> None:
        """Take back what was live only because an overwriting instruction was not known to overwrite."""
        if not instance.killed and not instance.exposed:
            return
        live, reads, writes = instance.live, instance.reads, instance.writes
        doubtful = list(instance.killed.items())
        changed = instance.exposed
        instance.killed = {}
        instance.exposed = []
        while doubtful:
            at, slots = doubtful.pop()
            known = live.get(at, 0)
            gone = slots & known & ~reads.get(at, 0)
            if not gone:
                continue
            # Another way may still read it: that is found out once all that is in doubt is taken back.
            live[at] = known & ~gone
            changed.append(at)
            for before in self._predecessors[at]:
                rest = gone & ~writes.get(before, 0)
                if rest:
                    doubtful.append((before, rest))
        self._spread(instance, changed)

    def alive(self, state: State, index: int, depth: int) -> int:
        """The slots of frame ``depth`` that may be read from ``index`` on, one bit each."""
        found = 0
        top = len(state.frames) - 1
        for level in range(depth, top + 1):
            instance = self._instance(state, level)
            self._refresh(instance)
            if level == top:
                found |= instance.live.get(index, 0)
            else:
                site = state.frames[level + 1].call_site
                found |= instance.live.get(site + 1, 0)
                if state.frames[level + 1].callback is not None:
                    found |= instance.live.get(site, 0)
        return found >> (depth << 6) & (1 << 64) - 1
