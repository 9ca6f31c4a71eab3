"""Which stack slots may still be read: what was stored in the others does not count when states are compared.

Learnt while paths are followed. Every instruction that was seen to read a slot, or to write all of one, is noted for
the chain of calls that it was reached by; what is live flows backwards along the control flow of each function, and
from a function to those that called it. Path-insensitive: a slot is dead only if no way from here on, seen so far,
reads it before it is overwritten. Paths not seen yet do not matter for states whose every way onwards is finished.

A set of slots is an integer with a bit for each, 64 bits a frame.
"""

from __future__ import annotations

from skep.verifier.states.state import State
from skep.verifier.structure import Structure

#: The call instructions that lead to a function: its identity among the functions of all chains.
Chain = tuple[int, ...]


def bit(frame: int, slot: int) -> int:
    """The set of one slot."""
    return 1 << (frame << 6) + slot


class _Instance:
    """One function as reached by one chain of calls. ``live`` is, by instruction, what is live before it."""

    __slots__ = ("chain", "end", "live", "outer", "reads", "stale", "start", "writes")

    def __init__(self, chain: Chain, start: int, end: int, outer: _Instance | None) -> None:
        self.chain = chain
        self.start = start
        self.end = end
        self.outer = outer
        self.reads: dict[int, int] = {}
        self.writes: dict[int, int] = {}
        self.live: dict[int, int] = {}
        self.stale = False


class StackLiveness:
    """What is known so far of the reads and writes of all chains."""

    def __init__(self, structure: Structure) -> None:
        self._structure = structure
        self._instances: dict[tuple[Chain, int], _Instance] = {}
        self._predecessors: dict[int, list[int]] = {}
        for slot, row in enumerate(structure.rows):
            if row is not None:
                for successor in structure.successors(slot):
                    self._predecessors.setdefault(successor, []).append(slot)

    def _instance(self, state: State, depth: int) -> _Instance:
        chain = tuple([frame.call_site for frame in state.frames[1 : depth + 1]]) if depth else ()
        function = state.frames[depth].subprogram
        found = self._instances.get((chain, function))
        if found is None:
            outer = self._instance(state, depth - 1) if depth else None
            bounds = self._structure.subprograms[function]
            found = self._instances[chain, function] = _Instance(chain, bounds.start, bounds.end, outer)
        return found

    def read(self, state: State, instruction: int, slots: int) -> None:
        """``instruction`` of the running function may read ``slots``."""
        self._read(self._instance(state, len(state.frames) - 1), instruction, slots)

    def _read(self, instance: _Instance, instruction: int, slots: int) -> None:
        before = instance.reads.get(instruction, 0)
        if slots & ~before:
            instance.reads[instruction] = before | slots
            self._spread(instance, [instruction], slots)

    def wrote(self, state: State, instruction: int, slots: int) -> None:
        """``instruction`` of the running function overwrote ``slots`` this time, and no others whole."""
        instance = self._instance(state, len(state.frames) - 1)
        before = instance.writes.get(instruction)
        if before is None:
            instance.writes[instruction] = slots
            if slots & instance.live.get(instruction, 0):
                instance.stale = True
        elif before & ~slots:
            instance.writes[instruction] = before & slots
            instance.stale = True

    def _spread(self, instance: _Instance, waiting: list[int], slots: int) -> None:
        """Let what is live before the ``waiting`` instructions flow backwards."""
        live, reads, writes = instance.live, instance.reads, instance.writes
        predecessors = self._predecessors
        depth = len(instance.chain)
        while waiting:
            at = waiting.pop()
            after = 0
            for successor in self._structure.successors(at):
                after |= live.get(successor, 0)
            before = after & ~writes.get(at, 0) | reads.get(at, 0)
            if before == live.get(at, 0):
                continue
            live[at] = before
            if at == instance.start and instance.outer is not None:
                outer = before & (1 << (depth << 6)) - 1
                if outer:
                    self._read(instance.outer, instance.chain[-1], outer)
            waiting += predecessors.get(at, ())

    def _refresh(self, instance: _Instance) -> None:
        if instance.stale:
            instance.stale = False
            instance.live = {}
            self._spread(instance, sorted(instance.reads), 0)

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
