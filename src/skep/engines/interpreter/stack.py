"""The stack of one run: 512 bytes for each of at most eight frames, with a gap between two frames.

The sizes are Linux's (MAX_BPF_STACK, MAX_CALL_FRAMES). The gaps make an access that leaves its frame by up to 512
bytes in either direction an access to nothing, where in one piece of memory it would reach the caller's frame.
"""

from __future__ import annotations

import ctypes
from typing import Final

from skep.engines.interpreter.templates import FRAME_SIZE
from skep.memory import AddressSpace, Region, RegionKind

#: Functions that may be active at once, the program itself included.
MAX_FRAMES: Final = 8
FRAME_STRIDE: Final = 2 * FRAME_SIZE


class Stack:
    """Memory for the frames of one run at a time, known to an address space until it is closed.

    Frame 0, of the program itself, lies highest; below every frame there is a gap.
    """

    def __init__(self, space: AddressSpace) -> None:
        self._space = space
        self.region = space.allocate("stack", MAX_FRAMES * FRAME_STRIDE, RegionKind.STACK)
        whole = self.region.view()
        #: The bytes of each frame by depth.
        self.frames = [
            whole[start : start + FRAME_SIZE]
            for start in (self.frame_address(depth) - self.region.address for depth in range(MAX_FRAMES))
        ]
        #: r6 to r10 where a function begins, by depth.
        self.at_entry = [
            (None, None, None, None, self.frame_address(depth) + FRAME_SIZE) for depth in range(MAX_FRAMES)
        ]

    def frame_address(self, depth: int) -> int:
        """The lowest address of a frame; r10 holds what is FRAME_SIZE above."""
        return self.region.end - FRAME_SIZE - depth * FRAME_STRIDE

    def depth_of(self, region: Region, address: int) -> int | None:
        """The frame that ``address`` lies in or, in a gap, right below; None if ``region`` is another run's stack."""
        if region.address != self.region.address:
            return None
        return MAX_FRAMES - 1 - (address - region.address) // FRAME_STRIDE

    def clear(self) -> None:
        """Zero every frame, so that what a run finds there does not depend on the runs before it."""
        ctypes.memset(self.region.address, 0, self.region.size)

    def close(self) -> None:
        """Give the memory back."""
        self._space.remove(self.region)
