"""What is learnt of the stack's liveness, as a log of level 2 tells it: ``(0) frame 0 insn 7 +live -8``.

``StackLiveness`` notes what instructions read and write of the stack and works out what is live when somebody asks.
Linux works it out where paths end and functions return, and prints what that changed. This notes the same things a
second time, so as to do that when Linux does. In brackets stand the calls that led to a function and where it
starts; "live" are slots that may be read from an instruction on, "written" those that are overwritten on every way
onwards. The order and all else is as Linux 6.18 was seen to do it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from skep.verifier.paths.stack_liveness import Chain, StackLiveness

if TYPE_CHECKING:
    from skep.verifier.states.state import State
    from skep.verifier.structure import Structure

_ALL: Final = (1 << 64) - 1


class _Masks:
    """One frame's stack as one function sees it: by instruction, sets of slots."""

    def __init__(self) -> None:
        self.reads: dict[int, int] = {}
        self.writes: dict[int, int] = {}
        self.live: dict[int, int] = {}
        self.written: dict[int, int] = {}


class _Function:
    """A function as reached by one chain of calls; ``outer`` is what called it."""

    def __init__(self, chain: Chain, start: int, outer: _Function | None) -> None:
        self.chain = chain
        self.start = start
        self.outer = outer
        self.frames: dict[int, _Masks] = {}
        #: Instructions of which it is known what they write.
        self.known: set[int] = set()
        self.is_new = False
        self.is_stale = False

    def masks(self, frame: int) -> _Masks:
        """What is known of one frame's stack."""
        found = self.frames.get(frame)
        if found is None:
            found = self.frames[frame] = _Masks()
        return found

    def read(self, frame: int, instruction: int, slots: int) -> None:
        """An instruction may read slots of a frame."""
        masks = self.masks(frame)
        masks.reads[instruction] = masks.reads.get(instruction, 0) | slots
        if slots & ~masks.live.get(instruction, 0):
            self.is_new = True

    def wrote(self, instruction: int, slots: Sequence[int]) -> None:
        """An instruction overwrote slots of each frame, and no others."""
        for frame, mask in enumerate(slots):
            if not mask and frame not in self.frames:
                continue
            writes = self.masks(frame).writes
            before = writes.get(instruction, 0)
            now = before & mask if instruction in self.known else mask
            if now != before:
                writes[instruction] = now
                self.is_new = True
                self.is_stale |= bool(before & ~now)
        self.known.add(instruction)


class ToldLiveness(StackLiveness):
    """Liveness that tells with ``say`` what was learnt, whenever it is asked to."""

    def __init__(self, structure: Structure, say: Callable[[str], None]) -> None:
        super().__init__(structure)
        self._say = say
        self._functions: dict[tuple[Chain, int], _Function] = {}
        self._postorders: dict[int, list[int]] = {}

    def read(self, state: State, instruction: int, slots: int) -> None:
        """``instruction`` of the running function may read ``slots``."""
        super().read(state, instruction, slots)
        function = self._function(state, len(state.frames) - 1)
        for frame in range(len(state.frames)):
            if mask := slots >> (frame << 6) & _ALL:
                function.read(frame, instruction, mask)

    def wrote(self, state: State, instruction: int, slots: int) -> None:
        """``instruction`` of the running function overwrote ``slots`` this time, and no others whole."""
        super().wrote(state, instruction, slots)
        frames = len(state.frames)
        self._function(state, frames - 1).wrote(
            instruction, [slots >> (frame << 6) & _ALL for frame in range(frames)]
        )

    def _function(self, state: State, depth: int) -> _Function:
        chain = tuple([frame.call_site for frame in state.frames[1 : depth + 1]])
        key = (chain, state.frames[depth].subprogram)
        found = self._functions.get(key)
        if found is None:
            outer = self._function(state, depth - 1) if depth else None
            start = self._structure.subprograms[key[1]].start
            found = self._functions[key] = _Function(chain, start, outer)
        return found

    def tell(self, state: State, pauses: Sequence[bool]) -> None:
        """Work out what was learnt of the functions that are running, and tell; ``pauses`` as in the flow."""
        for depth in range(len(state.frames) - 1, -1, -1):
            function = self._function(state, depth)
            if not function.is_new:
                continue
            self._update(function, pauses)
            if function.outer is not None:
                self._hand_out(function, function.outer, depth)

    @staticmethod
    def _hand_out(function: _Function, outer: _Function, depth: int) -> None:
        """What a function does to the frames below its own, its call does."""
        call = function.chain[-1]
        written = []
        for frame in range(depth):
            masks = function.frames.get(frame)
            written.append(0 if masks is None else masks.written.get(function.start, 0))
            if masks is not None:
                outer.read(frame, call, masks.live.get(function.start, 0))
        outer.wrote(call, written)

    def _update(self, function: _Function, pauses: Sequence[bool]) -> None:
        function.is_new = False
        if function.is_stale:
            function.is_stale = False
            for masks in function.frames.values():
                masks.live.clear()
                masks.written.clear()
        chain = ",".join(map(str, (*function.chain, function.start)))
        rounds = 0
        changed = True
        while changed:
            changed = False
            rounds += 1
            for frame in sorted(function.frames):
                changed |= self._round(function, frame, chain, pauses)
        self._say(f"({chain}) live stack update done in {rounds} iterations")

    def _round(self, function: _Function, frame: int, chain: str, pauses: Sequence[bool]) -> bool:
        """Once over all instructions for one frame's stack; whether anything changed."""
        masks = function.frames[frame]
        live, written = masks.live, masks.written
        changed = False
        for index in self._postorder(function.start):
            successors = self._structure.successors[index]
            after, both = 0, _ALL if successors else 0
            for successor in successors:
                after |= live.get(successor, 0)
                both &= written.get(successor, 0)
            reads, writes = masks.reads.get(index, 0), masks.writes.get(index, 0)
            now = (after & ~writes | reads, both | writes)
            before = (live.get(index, 0), written.get(index, 0))
            if now == before:
                continue
            changed = True
            live[index], written[index] = now
            if reads or writes or index == function.start or pauses[index]:
                for what, new, old in zip(("live", "written"), now, before, strict=True):
                    if new != old:
                        self._say(f"({chain}) frame {frame} insn {index} {_change(what, new, old)}")
        return changed

    def _postorder(self, start: int) -> list[int]:
        """The instructions of a function, those onwards first: the way taken at a jump before the one not taken."""
        found = self._postorders.get(start)
        if found is not None:
            return found
        found = self._postorders[start] = []
        waiting = [start]
        seen = {start}
        explored = set()
        while waiting:
            index = waiting[-1]
            if index in explored:
                found.append(waiting.pop())
                continue
            explored.add(index)
            for successor in self._structure.successors[index]:
                if successor not in seen:
                    seen.add(successor)
                    waiting.append(successor)
        return found


def _change(what: str, new: int, old: int) -> str:
    text = ""
    if added := new & ~old:
        text += f"+{what} {_slots(added)} "
    if gone := old & ~new:
        text += f"-{what} {_slots(gone)}"
    return text


def _slots(mask: int) -> str:
    return ",".join(str(-8 * (index + 1)) for index in range(64) if mask >> index & 1)


__all__ = ["ToldLiveness"]
