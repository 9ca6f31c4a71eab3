"""A program made ready for the interpreter: functions for its instructions, made as they are reached.

A *block* is a run of instructions up to the next jump. At first it is executed step by step; when it proves to be
run often ``fusion`` makes one function of it. Nothing is made before it is reached, so that a program of any length
starts at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from skep.engines.interpreter.fusion import fuse
from skep.engines.interpreter.native import NativeHelper, native_helper
from skep.engines.interpreter.steps import Prepared, Step, make_step
from skep.engines.interpreter.templates import refusal
from skep.objects.spec import ProgramSpec
from skep.stdlib.prototype import HelperPrototype

if TYPE_CHECKING:
    from skep.engines import Binding
    from skep.engines.interpreter.execution import Execution
    from skep.maps import Map

#: How often a block runs step by step before it is compiled: by then stepping has cost about as much as compiling
#: does.
HOT: Final = 200
#: Instructions in a block at most, so that a long straight program is compiled in pieces.
LONGEST_BLOCK: Final = 64

#: Addresses of functions lie where no memory can (bits 47 to 63 differ), one range for each program.
_FUNCTIONS: Final = 0x0B9F_0000_0000_0000
_programs = count(1)


class Code:
    """The executable form of one program, shared by all executions of it on any thread.

    ``slots`` says what stands at each slot, None being the second half of a wide load.
    """

    def __init__(self, spec: ProgramSpec, binding: Binding, slots: Sequence[Prepared | None]) -> None:
        self.spec = spec
        self.binding = binding
        self.slots = slots
        self.blocks: Mapping[int, Step] = _Blocks(self)
        self._functions = _FUNCTIONS + (next(_programs) << 32)
        self._steps: dict[int, Step] = {}
        self._helpers: dict[tuple[int, int], NativeHelper] = {}
        self._maps: dict[int, Map] | None = None

    def at(self, slot: int) -> Prepared:
        """What stands at a slot; where no instruction begins, something that faults."""
        if not 0 <= slot < len(self.slots):
            problem = f"control leaves the program, which has slots 0 to {len(self.slots) - 1}: every path must exit"
            return Prepared(refusal(problem), slot, slot + 1)
        prepared = self.slots[slot]
        if prepared is None:
            return Prepared(refusal("control reaches the second half of a 64-bit immediate load"), slot, slot + 1)
        return prepared

    def step(self, slot: int) -> Step:
        """The function that executes the instruction at ``slot``."""
        step = self._steps.get(slot)
        if step is None:
            step = self._steps[slot] = make_step(self.at(slot))
        return step

    def native(self, helper: HelperPrototype, map: Map | None = None) -> NativeHelper:
        """The native function of a helper (for one map), compiled when first called. Raises UnsupportedError."""
        key = helper.number, 0 if map is None else map.address
        found = self._helpers.get(key)
        if found is None:
            found = self._helpers[key] = native_helper(helper, self.binding.type, map)
        return found

    def map_at(self, address: int) -> Map | None:
        """The map of the program whose descriptor is at ``address``, or None."""
        if self._maps is None:
            self._maps = {found.address: found for found in self.binding.maps.values()}
        return self._maps.get(address)

    def function_address(self, slot: int) -> int:
        """The number that stands for the function at ``slot`` in a register."""
        return self._functions + slot * 8

    def function_slot(self, address: int) -> int | None:
        """The slot of the function that ``address`` stands for, or None if it is none of this program's."""
        slot, rest = divmod(address - self._functions, 8)
        return slot if 0 <= slot < len(self.slots) and not rest else None


class _Blocks(dict[int, Step]):
    """Slot to the function that runs from there on, made when first asked for."""

    def __init__(self, code: Code) -> None:
        super().__init__()
        self._code = code

    def __missing__(self, slot: int) -> Step:
        block = self[slot] = _stepping_block(self._code, self, slot)
        return block


def _stepping_block(code: Code, blocks: _Blocks, start: int) -> Step:
    """A block that runs step by step, and replaces itself when it has run often."""
    body: list[tuple[int, Step]] = []
    prepared = code.at(start)
    while prepared.template.is_straight and len(body) < LONGEST_BLOCK:
        body.append((prepared.slot, code.step(prepared.slot)))
        prepared = code.at(prepared.next)
    last = prepared.slot
    end = None if prepared.template.is_straight else code.step(last)
    length = len(body) + (end is not None)
    runs = 0

    def stepping(e: Execution, r: list[Any]) -> int | None:
        nonlocal runs
        if e.left < length:
            return e.creep(start)
        runs += 1
        if runs > HOT:
            trace = blocks[start] = fuse(start, code.at)
            return trace(e, r)
        e.left -= length
        # A fault is located by what this frame holds in `slot`.
        for slot, step in body:  # noqa: B007
            step(e, r)
        slot = last  # noqa: F841
        return last if end is None else end(e, r)

    return stepping


#: The code of the function that steps through a block, by which a frame of it is recognised.
STEPPING_CODE: Final = next(
    constant for constant in _stepping_block.__code__.co_consts if getattr(constant, "co_name", "") == "stepping"
)
